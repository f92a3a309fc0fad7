"""`raccord migrations heal`: puts the whole missing chain back into worktrees, wherever it is."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.errors import CannotRun
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations import lfs
from raccord.migrations.archive import Content
from raccord.migrations.loading import Fault, uncollected
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.places import NoEnvironment
from raccord.migrations.plan import SPARE, Ground, Heal, Place, first, heal, spares, vouched
from raccord.migrations.steps import blob_of, exclude_step, files_step, pattern
from raccord.model.options import HealOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step, checkout
from raccord.model.text import shown
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migration_excluded import check_exclude
from raccord.verbs.notices import announced
from raccord.verbs.room import Room

KEEPING = "info/exclude"


def put_back(room: Room, options: HealOptions) -> tuple[Plan, RunRecord | None]:
    """Puts back what is missing.

    Raises:
        CannotRun: no alembic environment here.
        UsageError: there are several, or a choice names nothing.
    """
    return carried_out(
        room, lambda: plan(room, options, chosen(room, every=options.all)), options.dry_run, every=options.all
    )


def carried_out(
    room: Room, make: Callable[[], Plan], dry_run: bool, *, every: bool
) -> tuple[Plan, RunRecord | None]:
    """Makes a plan and, unless only that is asked for, applies it under the chosen worktrees' locks."""
    if dry_run:
        return announced(room, make()), None
    engine = room.engine()
    engine.recover()

    def anew() -> Plan:
        room.__dict__.pop("trees", None)
        return announced(room, make())

    # Asked for after the first plan, which has listed the worktrees.
    return engine.apply(anew, (checkout(tree.path) for tree in chosen(room, every=every)))


def plan(room: Room, options: HealOptions, trees: Sequence[Worktree]) -> Plan:
    """Observes and decides; without `dry_run`, what will be put back is kept in raccord's own store."""
    check_exclude(room)
    desk = Desk(room, trees, options.backend, keep=not options.dry_run, ask_env=True)
    return Plan("migrations heal", healing(desk, options).stages, by=options.by)


@dataclass(frozen=True, slots=True)
class Healing:
    """What a heal does, for a verb that heals first.

    Attributes:
        desk: what it was decided on.
        decisions: by the key of the site.
    """

    desk: Desk
    stages: tuple[Stage, ...]
    decisions: Mapping[str, Heal]

    def steps(self, key: str) -> tuple[Step, ...]:
        """The steps of one site by themselves, with that which keeps its copies out of commits."""
        lanes = [lane for stage in self.stages for lane in stage.lanes if lane.key == key]
        hidden = sorted({pattern(place.path) for place in self.decisions[key].places if place.exclude})
        first = (exclude_step(Path(self.desk.room.repo.common), hidden),) if hidden else ()
        return (*first, *(step for lane in lanes for step in lane.steps))


def healing(desk: Desk, options: HealOptions, only: Collection[str] | None = None) -> Healing:
    """See `plan`.

    Args:
        only: the worktrees that are healed, if not all; then there may be none.
    """
    lanes: list[Lane] = []
    decisions: dict[str, Heal] = {}
    # Several databases may follow one history of a worktree, whose files are put there once.
    before: dict[Path, list[tuple[Site, Heal]]] = {}
    with uncollected():
        for site in desk.found:
            if only is not None and str(site.tree.path) not in only:
                continue
            if isinstance(site, Unfound):
                if not options.all:
                    raise site.error
                if not isinstance(site.error, NoEnvironment):
                    lanes.append(Lane(site.key, shown(site.tree.path.name), held=problem(site)))
                continue
            there = before.setdefault(site.tree.path, [])
            decisions[site.key] = decision = _decided(desk, site, options, there)
            lane = _lane(desk.room, site, decision, there)
            # A worktree's files move in one lane at a time.
            busy = [one.key for one in lanes if one.steps and one.key in {other.key for other, _ in there}]
            lanes.append(replace(lane, needs=(*lane.needs, *busy[-1:])) if lane.steps else lane)
            there.append((site, decision))
    if options.all and not decisions and not lanes and only is None:
        raise CannotRun("no worktree has an alembic environment", hint="alembic init")
    places = [place for decision in decisions.values() for place in decision.places]
    if places and not options.dry_run:
        desk.sources.archive.remember(Content.of(place.pick) for place in places)
    return Healing(desk, _stages(desk.room, lanes, places), decisions)


def _decided(desk: Desk, site: Site, options: HealOptions, there: Sequence[tuple[Site, Heal]]) -> Heal:
    """What to do for a site, after what was decided for others of its worktree."""
    if faults := site.graph.cycles:
        said = f"revisions go in a circle: {', '.join(map(shown, faults[0]))}"
        return Heal(held=Finding("migration.cycle", "fail", said, "raccord migrations history"))
    put = [place.path for _, other in there for place in other.places]
    ours = [
        place.pick
        for other, decision in there
        if other.database.versions == site.database.versions
        for place in decision.places
    ]
    applied = desk.sources.shelf.digests(site.target.key) if ours and site.target else {}
    for pick in ours:
        if applied.get(pick.revision.id, pick.digest) != pick.digest:
            said = (
                f"{shown(pick.revision.id)} was applied to another database of this worktree in other words"
            )
            hint = shown(f"raccord migrations find {pick.revision.id} --diff")
            return Heal(held=Finding("migration.ambiguous", "fail", said, hint))
    site = replace(site, graph=site.graph.added(pick.revision for pick in ours)) if ours else site
    missing = site.missing
    if not missing:
        return Heal()
    if (blocked := _blocked(site)) is not None:
        return Heal(held=blocked)
    if pointers := [one for one in site.loaded.faults if one.reason.startswith(lfs.POINTS)]:
        return Heal(held=_not_checked_out(site, pointers))
    known = {*site.graph, *site.graph.labels}
    found = desk.sources.find(missing, known)
    if found.nowhere and options.fetch_lfs and desk.sources.fetch_lfs(found.nowhere):
        desk.forget()
        found = desk.sources.find(missing, known)
    choices = desk.choices(site, found, options.choose)
    picks = [one.pick for one in choices.values() if one.pick is not None]
    trust = vouched(site.heads or (), choices, site.links) | desk.trust(picks)
    return heal(missing, found, choices, trust, _ground(desk, site, put), trusting=options.trust)


def _blocked(site: Site) -> Finding | None:
    """What lies in the place of a version folder."""
    for folder in site.folders:
        path = site.tree.path / folder
        if not os.path.isdir(path) and os.path.lexists(path):
            where = shown(shlex.quote(str(path)))
            return Finding("migration.folder", "fail", f"{shown(folder)} is no folder", f"ls -ld {where}")
    return None


def _not_checked_out(site: Site, pointers: Sequence[Fault]) -> Finding:
    paths = [shown(os.path.relpath(one.path, site.tree.path)) for one in pointers]
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    said = f"{paths[0]}{more}: {pointers[0].reason}; alembic can't load it either"
    return Finding("migration.lfs", "fail", said, lfs.CHECK_OUT, {"paths": paths})


def _ground(desk: Desk, site: Site, put: Iterable[str]) -> Ground:
    folders = site.folders
    taken = set(put)
    for folder in folders:
        where = site.tree.path / folder
        if where.is_dir():
            taken |= {f"{folder}/{name}" if folder else name for name in os.listdir(where)}
    overlay = None
    if site.database.listed and len(folders) > 1:
        git = desk.room.repo.git.at(site.tree.path)
        ignored = [one for one in folders if git.ok("check-ignore", "-q", "--", f"{one}/revision.py")]
        overlay = ignored[0] if ignored else None
    return Ground(folders, overlay, taken)


def _lane(room: Room, site: Site, decision: Heal, there: Sequence[tuple[Site, Heal]]) -> Lane:
    tree = site.tree
    title = f"{shown(tree.path.name)} ({shown(tree.branch)})" if tree.branch else shown(tree.path.name)
    if site.several:
        title += f" {shown(site.database.name)}"
    notes = list(decision.notes)
    if site.unread:
        said = f"the database was not read: {site.unread}"
        notes.append(Finding("migration.unread", "unknown", said, site.unread_hint))
    for fault in site.loaded.faults:
        line = f":{fault.line}" if fault.line else ""
        said = f"{shown(os.path.relpath(fault.path, tree.path))}{line}: {fault.reason}"
        notes.append(Finding("migration.unreadable", "unknown", said, ""))
    same = any(other.database.versions == site.database.versions for other, _ in there)
    spare = [] if same else _spare(room, site)
    if decision.held is not None or not (decision.places or spare):
        return Lane(site.key, title, held=decision.held, notes=tuple(notes))
    steps = []
    if spare:
        count = f"{len(spare)} copies" if len(spare) != 1 else "1 copy"
        steps.append(files_step(tree, spare, f"take away {count} that the branch has itself now"))
    if not decision.places:
        return Lane(site.key, title, tuple(steps), notes=tuple(notes))
    changes = [(place.path, "", blob_of(place.pick.source, room.repo)) for place in decision.places]
    count = f"{len(changes)} revisions" if len(changes) != 1 else "1 revision"
    names = ", ".join(shown(place.pick.revision.id) for place in decision.places[:4])
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    sources = Counter(str(first(place.pick.origins).kind) for place in decision.places)
    steps.append(files_step(tree, changes, f"put back {count}: {names}{more}", sources=sources))
    needs = (KEEPING,) if any(place.exclude for place in decision.places) else ()
    return Lane(site.key, title, tuple(steps), needs=needs, notes=tuple(notes))


def _spare(room: Room, site: Site) -> list[tuple[str, str, str]]:
    """The copies of an earlier heal that the branch has itself now, as changes."""
    if not any(SPARE in one.path for one in site.loaded.files):
        return []
    top = os.path.realpath(site.tree.path)
    files = [(os.path.relpath(os.path.realpath(one.path), top), one.revision.id) for one in site.loaded.files]
    return [
        (path, blob_of(fs.read(site.tree.path / path), room.repo), "")
        for path in spares(files)
        if not path.startswith("..")
    ]


def _stages(room: Room, lanes: Sequence[Lane], places: Sequence[Place]) -> tuple[Stage, ...]:
    hidden = sorted(map(pattern, {place.path for place in places if place.exclude}))
    if not hidden:
        return (Stage("heal", tuple(lanes)),)
    check_exclude(room, to_write=True)
    first = Lane(KEEPING, KEEPING, (exclude_step(Path(room.repo.common), hidden),))
    return (Stage("exclude", (first,)), Stage("heal", tuple(lanes)))


def problem(one: Unfound) -> Finding:
    """Why a worktree's migrations can't be read; that it has none is only a note."""
    status = "note" if isinstance(one.error, NoEnvironment) else "unknown"
    said = f"{shown(one.tree.path.name)}: {one.error.message}"
    return Finding("migration.unreadable", status, said, one.error.hint)
