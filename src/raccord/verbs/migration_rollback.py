"""`raccord migrations rollback-phantoms`: takes down what a branch applied that is gone.

What that removes is seen on a clone first. Every place is looked into before a revision counts as gone.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.database.url import OTHER, Target
from raccord.errors import CannotRun
from raccord.git.remote import narrow
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations.archive import Content
from raccord.migrations.asking import told
from raccord.migrations.backups import backup_step
from raccord.migrations.clones import sweep
from raccord.migrations.contents import ORDER, Candidate
from raccord.migrations.driving import interpreter
from raccord.migrations.faults import blocking
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.plan import Ground, heal, vouched
from raccord.migrations.prove import changes
from raccord.migrations.proving import Bench, Unit
from raccord.migrations.rollback import LIVING, Rollback, decide, living
from raccord.migrations.rollback_steps import ROLLBACK
from raccord.migrations.runner import runner
from raccord.migrations.sightings import Seen
from raccord.migrations.standing import Named
from raccord.migrations.steps import blob_of, files_step
from raccord.migrations.upgrade_steps import Order, Part
from raccord.model.event import Event
from raccord.model.options import RollbackOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step
from raccord.model.text import shown
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migration_excluded import ignored
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room
from raccord.verbs.sync import fetched

NAMED = 4  # revisions in a title
MOST = 12  # objects in a note


def rollback(room: Room, options: RollbackOptions) -> tuple[Plan, RunRecord | None]:
    """Takes down what nobody has any more.

    Raises:
        CannotRun: no alembic environment here, its history is not whole, or not all of every remote can be
            seen.
    """
    return carried_out(room, lambda: plan(room, options), options.dry_run, every=False)


def plan(room: Room, options: RollbackOptions) -> Plan:
    """Observes, decides, and tries it on a clone; without `dry_run` raccord's own store keeps the files."""
    _all_fetched(room)
    here = chosen(room, every=False)[0]
    desk = Desk(room, chosen(room, every=True), options.backend, keep=not options.dry_run)
    sections: dict[str, list[Site]] = {}
    for one in desk.found:
        if one.tree.path == here.path:
            if isinstance(one, Unfound):
                raise one.error
            sections.setdefault(one.database.section, []).append(one)
    lanes = [_Planner(desk, options, sites).lanes() for sites in sections.values()]
    stages = (
        Stage("rollback", tuple(first for first, _ in lanes)),
        Stage("copies", tuple(lane for _, more in lanes for lane in more)),
    )
    return Plan("migrations rollback-phantoms", tuple(one for one in stages if one.lanes), by=options.by)


def _all_fetched(room: Room) -> None:
    """Gets every branch of every remote: what somebody pushed anywhere is no phantom.

    Raises:
        CannotRun: a remote can't be asked, or some of what is there would not be seen.
    """
    for remote in room.repo.settings.remotes():
        if narrow(room.repo, remote):
            raise CannotRun(
                f"not all branches of {shown(remote)} are fetched here, and one may have what is applied",
                hint=f"git remote set-branches {shown(shlex.quote(remote))} '*'",
            )
        fetched(room, remote)
    if fs.signature(room.repo.common / "shallow") is not None:
        raise CannotRun(
            "the history is cut off here, and what was cut off may have what is applied",
            hint="git fetch --unshallow",
        )


class _Held(Exception):
    """Why nothing is taken down."""

    def __init__(self, finding: Finding, notes: tuple[Finding, ...] = ()) -> None:
        super().__init__(finding.message)
        self.finding = finding
        self.notes = notes


class _Planner:
    """Plans for the databases of one section of this worktree's configuration."""

    def __init__(self, desk: Desk, options: RollbackOptions, sites: Sequence[Site]) -> None:
        self.desk, self.options, self.room = desk, options, desk.room
        self.start = runner(sites[0].project, self.room.config.migrations.command)
        self.how = interpreter(self.start)
        self.sites = told(sites, self.start)
        for site in self.sites:
            if site.target is None or site.target.kind == OTHER or site.heads is None:
                raise CannotRun(f"the database was not read: {site.unread}", hint=site.unread_hint)

    def lanes(self) -> tuple[Lane, list[Lane]]:
        """The lane that takes down, and those that take copies out of worktrees."""
        site = self.sites[0]
        key = f"{site.tree.path}@{site.database.section}"
        title = ", ".join(target.shown for one in self.sites if (target := one.target) is not None)
        try:
            return self._lanes(key, title)
        except _Held as held:
            return Lane(key, title, held=held.finding, notes=held.notes), []

    def _lanes(self, key: str, title: str) -> tuple[Lane, list[Lane]]:
        picks, notes = self._picks()
        graph = self.sites[0].graph.added(pick.revision for pick in picks)
        heads = frozenset().union(*(site.heads or () for site in self.sites))
        alive = self._alive(graph.ancestors(heads))
        decisions = [decide(graph, site.heads or (), alive) for site in self.sites]
        if not any(one.gone for one in decisions):
            return Lane(key, title, notes=(_nothing(),)), []
        self._refuse(graph, picks, decisions, alive)
        if not self.options.dry_run:
            gone = {id_ for one in decisions for id_ in one.gone}
            own = [
                Content(file.revision.id, file.revision.name, fs.read(file.path))
                for file in self.sites[0].loaded.files
                if file.revision.id in gone
            ]
            self.desk.sources.archive.remember([*map(Content.of, picks), *own])
        lost, after = self._proven(graph, picks, decisions)
        notes = (*self._from(picks, decisions), *notes, lost)
        steps = self._steps(graph, picks, decisions, after)
        return Lane(key, title, steps, notes=notes), self._copies(key, decisions)

    def _picks(self) -> tuple[list[Candidate], tuple[Finding, ...]]:
        """The files that are missing here, wherever they are."""
        picks: dict[str, Candidate] = {}
        notes: dict[str, Finding] = {}
        for site in self.sites:
            if (wrong := blocking(site.graph, site.loaded)) and not wrong.name.endswith(".missing"):
                raise CannotRun(f"the history is not whole: {wrong.message}", hint=wrong.hint)
            if not site.missing:
                continue
            found = self.desk.sources.find(site.missing, {*site.graph, *site.graph.labels})
            choices = self.desk.choices(site, found, self.options.choose)
            some = [one.pick for one in choices.values() if one.pick is not None]
            trust = vouched(site.heads or (), choices, site.links) | self.desk.trust(some)
            ground = Ground(("",), None, frozenset())
            decided = heal(site.missing, found, choices, trust, ground, trusting=self.options.trust)
            if decided.held is not None:
                hint = decided.held.hint.replace("migrations heal", "migrations rollback-phantoms")
                raise _Held(replace(decided.held, hint=hint), decided.notes)
            picks |= {one.pick.revision.id: one.pick for one in decided.places}
            notes |= {one.message: one for one in decided.notes}
        return list(picks.values()), tuple(notes.values())

    def _alive(self, applied: Iterable[str]) -> dict[str, Seen]:
        """The revisions that somebody has."""
        sources = self.desk.sources
        sources.near()
        sure = self._sighted()
        doubted = [one for one in applied if one not in sure]
        if doubted:
            # In a folder that no worktree here has, somebody may have them yet.
            sources.find(doubted, thorough=True)
            for trouble in sources.troubles():
                # A worktree whose directory is gone has nothing; what its branch has is looked at.
                if trouble.kind in LIVING | {"worktree"} and trouble.hint != "git worktree repair":
                    place = "/".join(filter(None, (trouble.where, trouble.path)))
                    said = f"{shown(place)}: {trouble.reason}; a revision may be in it"
                    raise _Held(Finding("migration.unknown", "unknown", said, trouble.hint))
        return self._sighted()

    def _sighted(self) -> dict[str, Seen]:
        """As far as was looked: what only worktrees have may be copies, which git ignores."""
        seen = list(self.desk.sources.all.held(*ORDER))
        sure = living((one for one in seen if one[0].kind != "worktree"), frozenset())
        files: dict[str, set[str]] = {}
        for sighting, revision in seen:
            if sighting.kind == "worktree" and revision.id not in sure:
                files.setdefault(sighting.where, set()).add(sighting.path)
        passed = {(top, path) for top in files for path in ignored(self.room, Path(top), sorted(files[top]))}
        return living(seen, passed)

    def _refuse(
        self,
        graph: Graph,
        picks: Sequence[Candidate],
        decisions: Sequence[Rollback],
        alive: Mapping[str, Seen],
    ) -> None:
        if missing := [one for decision in decisions for one in decision.gone if one not in graph]:
            raise _Held(Finding("migration.nowhere", "fail", f"no file of {shown(missing[0])} anywhere"))
        if wrong := blocking(graph, self.sites[0].loaded):
            raise _Held(wrong)
        for one in decisions:
            for id_, needs in one.kept.items():
                sighting = alive[id_][0]
                place = "/".join(shown(part) for part in (sighting.where, sighting.path) if part)
                said = f"{shown(id_)} ({place}) stands on {shown(needs[0])}, which nobody has any more"
                hint = "raccord migrations heal, there, and commit the file"
                raise _Held(Finding("migration.needed", "fail", said, hint))

    def _proven(
        self, graph: Graph, picks: Sequence[Candidate], decisions: Sequence[Rollback]
    ) -> tuple[Finding, list[frozenset[str]]]:
        """What it removes and where it leads, seen on a clone."""
        gone = list(dict.fromkeys(id_ for one in decisions for id_ in one.gone))
        contents = [Content.of(pick) for pick in picks]
        unit = Unit(self.sites, self.how, graph, self.room.state, contents=contents)
        sweep(unit.targets, self.room.state)
        self.room.listen(Event("", "", "said", "trying it on a clone"))
        with Bench.set_up(unit, "rollback") as bench:
            before = bench.catalogs()
            failed = bench.go("down", gone)
            if failed is not None:
                said = f"tried on a clone, it failed: {failed.error}"
                hint = f"raccord migrations find {shown(gone[0])}"
                data = {"trace": list(failed.trace)}
                raise _Held(Finding("migration.irreversible", "fail", said, hint, data))
            lines = changes(before, bench.catalogs())
            after = bench.heads()
        removed = [line.partition(" is missing")[0] for line in lines if " is missing" in line]
        tables = [one for one in removed if one.startswith("table ")]
        inside = tuple(f" {one.removeprefix('table ')}" for one in tables)
        # What goes with its table is not told again.
        told_ = tables + [
            one
            for one in removed
            if one not in tables and not any(f"{name}." in one or one.endswith(name) for name in inside)
        ]
        some = ", ".join(map(shown, told_[:MOST])) + (
            f" and {len(told_) - MOST} more" if len(told_) > MOST else ""
        )
        said = f"proven on a clone; it removes {some or 'no table and no column'}"
        return Finding("migration.destroys", "note", said, "", {"changes": list(lines)}), after

    def _from(self, picks: Sequence[Candidate], decisions: Sequence[Rollback]) -> Iterable[Finding]:
        """What is taken down, for a person, with the branch that it was on if raccord saw that."""
        kept = self.desk.sources.shelf.contents
        came = {
            pick.revision.id: f" (was on {shown(origin.where.removeprefix('refs/heads/'))})"
            for pick in picks
            if pick.digest in kept
            and (origin := kept[pick.digest].origin) is not None
            and origin.kind == "ref"
        }
        for one in decisions:
            named = ", ".join(f"{shown(id_)}{came.get(id_, '')}" for id_ in one.gone)
            said = f"no branch, tag or worktree here has {named}; another clone may, if it never pushed"
            yield Finding("migration.phantoms", "note", said, "", {"revisions": list(one.gone)})

    def _steps(
        self,
        graph: Graph,
        picks: Sequence[Candidate],
        decisions: Sequence[Rollback],
        after: Sequence[frozenset[str]],
    ) -> tuple[Step, ...]:
        backups: list[Step] = []
        parts: list[Part] = []
        for site, one, left in zip(self.sites, decisions, after, strict=True):
            if not one.gone:
                continue
            assert isinstance(site.target, Target)
            named = Named.of(site, site.target)
            heads = tuple(sorted(site.heads or ()))
            step = backup_step(named, self.room.state, heads)
            backups.append(step)
            parts.append(Part(named, heads, tuple(sorted(left)), one.gone, step.payload["id"]))
        gone = list(dict.fromkeys(id_ for part in parts for id_ in part.pending))
        lent = tuple(pick.revision.id for pick in picks)
        digests = {id_: graph[id_].digest for id_ in (*gone, *lent)}
        some = ", ".join(map(shown, gone[:NAMED])) + (
            f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
        )
        order = Order(tuple(parts), self.room.state, self.start, (), digests, lent)
        return (*backups, order.step(ROLLBACK, f"take down {some}"))

    def _copies(self, key: str, decisions: Sequence[Rollback]) -> list[Lane]:
        """Takes copies of what is gone out of the worktrees: the next upgrade would apply it again."""
        gone = {id_ for one in decisions for id_ in one.gone}
        files: dict[Path, dict[str, str]] = {}
        trees = {site.tree.path: site.tree for site in self.desk.sites}
        for site in self.desk.sites:
            top = os.path.realpath(site.tree.path)
            for file in site.loaded.files:
                path = os.path.relpath(os.path.realpath(file.path), top)
                if file.revision.id in gone and not path.startswith(".."):
                    files.setdefault(site.tree.path, {})[path] = blob_of(fs.read(file.path), self.room.repo)
        lanes = []
        for place, paths in files.items():
            count = f"{len(paths)} copies" if len(paths) != 1 else "1 copy"
            changed = [(path, blob, "") for path, blob in paths.items()]
            step = files_step(trees[place], changed, f"take {count} of them away")
            lanes.append(Lane(f"{place}@copies", shown(place.name), (step,), needs=(key,)))
        return lanes


def _nothing() -> Finding:
    said = "everything that is applied is on a branch, in a tag or in a worktree"
    return Finding("migration.phantoms", "note", said, "", {"revisions": []})
