"""`raccord migrations upgrade`: heals, backs up, and runs alembic once for each database.

Several worktrees may share a database: the revisions of one of them are applied. What other branches have and
the base lacks is applied only from their own worktrees.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from raccord.code.base import choose_remote, find_base
from raccord.database.url import Target
from raccord.errors import UsageError
from raccord.git.refs import read
from raccord.kernel.record import RunRecord
from raccord.migrations.backups import backup_step
from raccord.migrations.faults import blocking
from raccord.migrations.graph import Graph
from raccord.migrations.observe import ASK, Site
from raccord.migrations.runner import absence, misread, runner, words
from raccord.migrations.standing import Named, absent
from raccord.migrations.upgrade import Upgrade, decide
from raccord.migrations.upgrade_steps import UPGRADE, Order, Part, digests
from raccord.model.options import UpgradeOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step
from raccord.model.text import shown
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migration_excluded import check_exclude
from raccord.verbs.migrations import Healing, carried_out, healing
from raccord.verbs.room import Room

NAMED = 4  # revisions in a title


def upgrade(room: Room, options: UpgradeOptions) -> tuple[Plan, RunRecord | None]:
    """Upgrades the databases of this worktree, or of all.

    Raises:
        CannotRun: no alembic environment here.
        UsageError: there are several, or a word stands for nothing.
    """
    return carried_out(room, lambda: plan(room, options), options.dry_run, every=options.all)


def plan(room: Room, options: UpgradeOptions) -> Plan:
    """Observes and decides: what a heal does, then an upgrade for each database."""
    check_exclude(room)
    desk = Desk(
        room, chosen(room, every=options.all), options.backend, keep=not options.dry_run, ask_env=True
    )
    healed = healing(desk, options)

    def to(site: Site, graph: Graph) -> Upgrade:
        return decide(graph, site.heads or (), options.to)

    found = _once(room, units_of(desk.sites))
    lanes = [upgrading(room, healed, unit, left, to, alone=not options.all) for unit, left in found]
    stages = [
        replace(stage, lanes=tuple(lane for lane in stage.lanes if _tells(lane))) for stage in healed.stages
    ]
    stages = [stage for stage in stages if stage.lanes]
    told = tuple(lane for lane in lanes if lane is not None)
    return Plan("migrations upgrade", (*stages, Stage("upgrade", told)), by=options.by)


Unit = list[Site]


def units_of(sites: Iterable[Site]) -> list[Unit]:
    """What one run of env.py upgrades: the databases of a section of a worktree's configuration."""
    units: dict[tuple[str, str], Unit] = {}
    for site in sites:
        units.setdefault((str(site.tree.path), site.database.section), []).append(site)
    return list(units.values())


def sharing(units: Iterable[Unit]) -> list[list[Unit]]:
    """Those that name the same databases together; one whose URL isn't known is alone."""
    shared: dict[object, list[Unit]] = {}
    for unit in units:
        key: object = frozenset(
            (site.target.key, site.database.version_table, site.database.version_schema)
            for site in unit
            if site.target is not None
        )
        known = all(site.target is not None for site in unit)
        shared.setdefault(key if known else id(unit), []).append(unit)
    return list(shared.values())


def _tells(lane: Lane) -> bool:
    """Whether a lane of the heal says something that the upgrade's own does not."""
    return bool(lane.steps or lane.held or any(one.name != "migration.unread" for one in lane.notes))


def _once(room: Room, units: Sequence[Unit]) -> list[tuple[Unit, list[Unit]]]:
    """One worktree's unit for each set of databases, and those of the other worktrees that share it.

    It is that of the base's branch, since what others have may never be merged; else that of the worktree
    which the person is in. Where there is neither, all that share it are named as others of themselves.
    """
    shared = sharing(units)
    branch = ""
    if any(len(some) > 1 for some in shared):
        remote = choose_remote(room.repo.settings, room.config.sync.remote)
        base = find_base(room.repo, read(room.repo.git), remote, room.config.sync.base, room.trees)
        branch = base.branch
    found = []
    for some in shared:
        here = [unit for unit in some if room.here is not None and unit[0].tree.path == room.here.path]
        of_base = [unit for unit in some if unit[0].tree.branch == branch]
        if len(some) > 1 and not (of_base or here):
            found.append((some[0], some))
            continue
        first = (of_base or here or some)[0]
        found.append((first, [unit for unit in some if unit is not first]))
    return found


def upgrading(
    room: Room,
    healed: Healing,
    unit: Unit,
    others: Sequence[Unit],
    to: Callable[[Site, Graph], Upgrade],
    *,
    alone: bool,
) -> Lane | None:
    """The lane that upgrades the databases of one worktree's environment.

    Args:
        healed: what is put back first.
        others: the units of other worktrees that share them.
        to: what has to be applied to a database, given the whole history.
        alone: whether no other lane is wanted, so that what was asked for wrongly is an error.

    Returns:
        None where the heal's lane says why nothing is done.

    Raises:
        UsageError: `to` did.
    """
    site = unit[0]
    where = ", ".join(one.target.shown if one.target else shown(one.database.name) for one in unit)
    key = f"{site.tree.path}@{site.database.section}"
    title = f"{where} from {shown(site.tree.path.name)}"
    if any(healed.decisions[one.key].held for one in unit):
        return None
    names = [other[0].tree.path.name for other in others]
    if unit in others:
        listed = ", ".join(map(shown, names[:NAMED]))
        said = (
            f"{listed} share {where}, and none of them has the base's branch: go to the one to upgrade from"
        )
        return Lane(where, where, held=Finding("migration.base", "fail", said, "raccord migrations upgrade"))
    started = runner(site.project, room.config.migrations.command)
    graph = site.graph.added(
        place.pick.revision for one in unit for place in healed.decisions[one.key].places
    )
    held = _unready(unit, graph)
    if held is not None:
        return Lane(key, title, held=held)
    try:
        parts = [(one, to(one, graph)) for one in unit]
    except UsageError as error:
        if alone:
            raise
        return Lane(key, title, held=Finding("migration.target", "fail", error.message, error.hint))
    parts = [(one, what) for one, what in parts if what.pending]
    notes: tuple[Finding, ...] = ()
    if others:
        listed = ", ".join(map(shown, names[:NAMED])) + (" …" if len(names) > NAMED else "")
        said = f"shared with {listed}: what is only there is applied from there"
        notes = (
            Finding("migration.shared", "note", said, "raccord migrations upgrade", {"worktrees": names}),
        )
    if not parts:
        return Lane(key, title, notes=notes)
    if odd := [one for _, what in parts for one in what.targets if misread(one)]:
        said = f"alembic's command line would not take {shown(odd[0])} for a revision"
        return Lane(key, title, held=Finding("migration.target", "fail", said))
    if not started:
        return Lane(key, title, held=Finding("migration.runner", "fail", *absence(site.project)))
    steps, command = _steps(room, parts, graph, started)
    notes = (
        *notes,
        Finding("migration.command", "note", f"in {shown(str(site.project.backend))}: {command}"),
    )
    needs = tuple(one.key for one in unit if _heals(healed, one.key))
    return Lane(key, title, steps, notes=notes, needs=needs)


def _heals(healed: Healing, key: str) -> bool:
    return any(lane.key == key and lane.steps for stage in healed.stages for lane in stage.lanes)


def _unready(unit: Unit, graph: Graph) -> Finding | None:
    """Why a database can't be upgraded."""
    for site in unit:
        if site.heads is None and not (site.target is not None and absent(site.target)):
            command = shlex.join(words(("alembic",), site.database, "heads"))
            said = f"the database was not read, so nothing is run: {site.unread}"
            # What raccord could read is to be made readable; the rest is left to the project's own alembic.
            hint = shown(command) if site.unread_hint in ("", ASK) else site.unread_hint
            return Finding("migration.unread", "unknown", said, hint)
    return blocking(graph, unit[0].loaded)


def _steps(
    room: Room, parts: Sequence[tuple[Site, Upgrade]], graph: Graph, started: tuple[str, ...]
) -> tuple[tuple[Step, ...], str]:
    """The backups and the upgrade, and the commands that the upgrade runs."""
    backups: list[Step] = []
    told: list[Part] = []
    pending: dict[str, None] = {}
    targets: dict[str, None] = {}
    wanted: Mapping[str, str] = {}
    for site, what in parts:
        target = site.target
        assert isinstance(target, Target)
        named = Named.of(site, target)
        heads = tuple(sorted(site.heads or ()))
        step = backup_step(named, room.state, heads)
        backups.append(step)
        told.append(Part(named, heads, tuple(sorted(what.after)), what.pending, step.payload["id"]))
        pending |= dict.fromkeys(what.pending)
        targets |= dict.fromkeys(what.targets)
        wanted = {**wanted, **digests(graph, what.pending)}
    order = Order(tuple(told), room.state, started, tuple(targets), wanted)
    some = ", ".join(map(shown, list(pending)[:NAMED]))
    more = f" and {len(pending) - NAMED} more" if len(pending) > NAMED else ""
    step = order.step(UPGRADE, f"apply {some}{more}")
    database = parts[0][0].database
    command = " && ".join(shlex.join(words(started, database, one)) for one in targets)
    return (*backups, step), shown(command)
