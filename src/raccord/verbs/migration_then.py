"""What a sync does about migrations once the replay is over: looked at on the disk, returned as steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence

from raccord.config import libpq_defaults
from raccord.errors import HeldBack
from raccord.git.files import files
from raccord.kernel.guards import resources
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site
from raccord.migrations.sources import Sources
from raccord.migrations.standing import Named
from raccord.migrations.then import then_step
from raccord.migrations.upgrade import Upgrade, towards
from raccord.model.handler import Context, Outcome
from raccord.model.options import HealOptions
from raccord.model.plan import Finding, Step, checkout
from raccord.verbs.migration_desk import Desk
from raccord.verbs.migration_upgrade import Unit, upgrading
from raccord.verbs.migrations import Healing, healing
from raccord.verbs.room import Room
from raccord.verbs.sync_migrations import here, settled

TOLD = 4  # findings in one line


class Later:
    """What follows a step of `migration.then`; the lanes of a run search together, one after the other."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._searching = threading.Lock()
        self._sources: dict[tuple[str, ...], Sources] = {}

    def __call__(self, step: Step, context: Context) -> Outcome:
        """Looks, and says what is to be done.

        Raises:
            HeldBack: what is missing in a worktree waits for a person's word.
        """
        if step.payload["do"] == "heal":
            return self._heal(step)
        return self._upgrade(step, context)

    def _desk(self, worktrees: Iterable[str]) -> Desk:
        wanted = set(worktrees)
        trees = [tree for tree in self._room.trees if str(tree.path) in wanted]
        # A database that was out of reach a moment ago would keep each lane waiting.
        return Desk(self._room, trees, keep=True, known=dict(self._room.refused))

    def _healing(self, desk: Desk, worktrees: Sequence[str]) -> Healing:
        folders = tuple(sorted({folder for site in desk.sites for folder in site.folders}))
        with self._searching:
            desk.sources = self._sources.setdefault(folders, desk.sources)
            return healing(desk, HealOptions(all=True), only=worktrees)

    def _heal(self, step: Step) -> Outcome:
        worktrees = step.payload["worktrees"]
        healed = self._healing(self._desk(worktrees), worktrees)
        steps: list[Step] = []
        notes: list[Finding] = []
        for key in worktrees:
            more, told, held = settled(healed, key)
            if held is not None and step.payload["strict"]:
                raise HeldBack(held.message, hint=held.hint, finding=held.name, **held.data)
            steps += more
            notes += [*told, *([held] if held else [])]
        return Outcome(more=tuple(steps), note=_line(notes))

    def _upgrade(self, step: Step, context: Context) -> Outcome:
        worktree = step.payload["worktree"]
        desk = self._desk([worktree])
        unit = [site for site in desk.sites if site.database.section == step.payload["section"]]
        if silent := [site for site in unit if site.heads is None]:
            return Outcome(note=f"not upgraded, the database was not read: {silent[0].unread}")
        unit = [site for site in unit if site.heads]
        if not unit:
            return Outcome()
        if not step.payload["locked"]:
            # Under its lock the database is asked again: many syncs at once, and one applies.
            names = [Named.of(site, site.target).resource for site in unit if site.target is not None]
            payload = {**step.payload, "locked": True}
            return Outcome(
                more=(then_step(step.title, payload, (checkout(worktree), *dict.fromkeys(names))),)
            )
        if waits := _waits(self._room, context.run, step):
            return Outcome(note=f"not upgraded, run {waits} is not finished: raccord continue --run {waits}")
        away = [site for site in unit if site.target is None or not site.target.local(libpq_defaults())]
        if self._room.config.migrations.in_sync == "local" and away:
            command = here("raccord migrations upgrade", worktree)
            return Outcome(note=f"not upgraded, the database is on another machine: {command}")
        return _applied(self._room, self._healing(desk, [worktree]), unit, step)


def _line(notes: list[Finding]) -> str:
    more = f"; and {len(notes) - TOLD} more" if len(notes) > TOLD else ""
    return "; ".join(one.message for one in notes[:TOLD]) + more


def _waits(room: Room, run: str, step: Step) -> str:
    """The run that waits for a person with one of the databases, "" for none."""
    journal = room.journal()
    for other in journal.unfinished() if journal is not None else ():
        record = journal.load(other) if journal is not None and other != run else None
        if record is None or (record.state == "running" and record.owner.alive()):
            continue
        names = resources(s.step for key in record.open_lanes for s in record.of(key))
        if any(name in names for name in step.resources if name.startswith("database:")):
            return other
    return ""


def _applied(room: Room, healed: Healing, unit: Unit, step: Step) -> Outcome:
    worktree = step.payload["worktree"]

    def to(site: Site, graph: Graph) -> Upgrade:
        return towards(graph, site.heads or (), _of_base(room, site, step.payload["base"]))

    lane = upgrading(room, healed, unit, (), to, alone=False)
    held = lane.held if lane else next(what.held for what in healed.decisions.values() if what.held)
    if lane is None or held is not None:
        hint = f"; next: {here(held.hint, worktree)}" if held and held.hint else ""
        return Outcome(note=f"not upgraded: {held.message if held else ''}{hint}")
    if not lane.steps:
        return Outcome()
    back = [one for site in unit for one in healed.steps(site.key)]
    return Outcome(more=(*back, *lane.steps), note=_line(list(lane.notes)))


def _of_base(room: Room, site: Site, base: str) -> list[str]:
    """The revisions that a worktree has from the base, unchanged: others are applied on request only."""
    git = room.repo.git.at(site.tree.path)
    theirs, mine = (files(git, commit, site.folders) for commit in (base, "HEAD"))
    top = os.path.realpath(site.tree.path)
    paths = {os.path.relpath(os.path.realpath(one.path), top): one.revision.id for one in site.loaded.files}
    return [id_ for path, id_ in paths.items() if path in theirs and theirs[path] == mine.get(path)]
