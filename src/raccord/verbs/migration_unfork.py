"""`raccord migrations fork --drop`, and the forks whose worktree is gone: put back, backed up, dropped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.database import postgres
from raccord.database.keeping import new_id
from raccord.database.naming import other
from raccord.database.url import SQLITE, Target
from raccord.errors import RaccordError, UsageError
from raccord.git.worktrees import Worktree
from raccord.migrations.asking import completed
from raccord.migrations.backups import backup_step
from raccord.migrations.fork_steps import END, drop_step, missing, written
from raccord.migrations.forks import Fork, Forks, owner
from raccord.migrations.observe import Site, sites
from raccord.migrations.pointing import PointHandler, point_step, spots
from raccord.migrations.standing import Named, Standing
from raccord.model.handler import Context, Position
from raccord.model.options import ForkOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step
from raccord.model.text import shown
from raccord.verbs.room import Room

DROP = "raccord migrations fork --drop"


def dropping(room: Room, here: Sequence[Site], options: ForkOptions) -> Plan:
    """The plan that drops the forks of a worktree and puts its old URLs back.

    Raises:
        UsageError: it has none.
    """
    tree = here[0].tree
    forks = [one for one in Forks(room.state).all() if owner(one, [tree]) is not None]
    if not forks:
        raise UsageError("this worktree has no fork", hint="raccord migrations fork")
    others = [each for each in room.trees if each.path != tree.path]
    known = _known(room, others)
    lanes = []
    for one in forks:
        users = _users(one, known)
        lanes.append(_lane(room, _spotted(room, one, here), evict=options.end_sessions, users=users))
    return Plan("migrations fork", (Stage("drop", tuple(lanes)),), by=options.by)


def _spotted(room: Room, fork: Fork, here: Sequence[Site]) -> Fork:
    """The fork with every place that points at it, those that a person wrote too."""
    found = list(fork.spots)
    for site in here:
        if site.target is not None and site.target.key == fork.named.key:
            known = {(one.file, one.variable) for one in found}
            some, _ = spots(site, site.target, fork.source.beside, room.repo)
            found += [one.back() for one in some if (one.file, one.variable) not in known]
    return replace(fork, spots=tuple(found))


def _known(room: Room, trees: Sequence[Worktree]) -> list[Site]:
    """The databases that worktrees name, the person's own by its env.py where only that knows."""
    found = sites(trees, room.config.migrations.backend, ask=False)
    if room.here is not None:
        found = completed(found, room.here.path, room.config.migrations.command)
    return [one for one in found if isinstance(one, Site) and one.database.url]


def addressed(room: Room) -> list[Target]:
    """The databases that any worktree names."""
    return [target for _, target in _addresses(_known(room, room.trees))]


def _addresses(known: Sequence[Site]) -> Iterator[tuple[Site, Target]]:
    for site in known:
        with contextlib.suppress(RaccordError):  # what is no URL leads nowhere
            yield site, site.addressed


def _users(fork: Fork, known: Sequence[Site]) -> list[str]:
    """The worktrees that use a fork."""
    names = [site.tree.path.name for site, target in _addresses(known) if target.key == fork.named.key]
    return list(dict.fromkeys(names))


def gone(room: Room) -> list[Fork]:
    """The forks whose worktree git no longer knows. Asks no database."""
    return [one for one in Forks(room.state).all() if owner(one, room.trees) is None]


def reaping(room: Room, by: str = "") -> Plan:
    """The plan that drops the forks whose worktree is gone, unless another worktree uses them."""
    lost = gone(room)
    known = _known(room, room.trees) if lost else []
    lanes = [_orphan(room, one, known) for one in lost]
    return Plan("gc", (Stage("forks", tuple(lanes)),), by=by)


def reap(room: Room, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Drops the forks whose worktree is gone, as a run of its own.

    Returns:
        What was dropped, or would be, a line each; and what a person should know.
    """
    if not gone(room):
        return (), ()
    if dry_run:
        plan, ended = reaping(room), {}
    else:
        engine = room.engine()
        engine.recover()
        plan, run = engine.apply(lambda: reaping(room))
        ended = run.lanes if run is not None else {}
    removed: list[str] = []
    notes: list[Finding] = []
    for stage in plan.stages:
        for lane in stage.lanes:
            done = ended.get(lane.key)
            finding = done.finding if done is not None else lane.held
            if finding is not None:
                notes.append(finding)
            elif lane.steps:
                removed.append(lane.title)
    if removed and not dry_run:
        notes.append(
            Finding("fork.dropped", "note", "forks were backed up where they had changed", "raccord undo")
        )
    return tuple(removed), tuple(notes)


def _orphan(room: Room, fork: Fork, known: Sequence[Site]) -> Lane:
    """The lane of a fork whose worktree is gone: another worktree's configuration leads to its server."""
    ways = [
        Named.of(site, target)
        for site, target in _addresses(known)
        if other(target, fork.name).key == fork.named.key
    ]
    way = next(iter(ways), None)
    if way is None:
        said = f"{fork.title} stays: no worktree's configuration leads to {fork.named.title}"
        held = Finding("fork.unreachable", "unknown", said, by_hand(fork))
        return Lane(f"fork {fork.id}", fork.title, held=held)

    def led(named: Named) -> Named:
        return replace(way, key=named.key, title=named.title, beside=named.beside)

    found = replace(
        fork,
        gitdir="",
        spots=(),
        named=led(fork.named),
        source=led(fork.source),
    )
    return _lane(room, found, evict=False, users=_users(fork, known))


def _lane(room: Room, fork: Fork, *, evict: bool, users: Sequence[str]) -> Lane:
    key, title = f"fork {fork.id}", f"{fork.title}, a fork of {fork.source.title}"
    if users:
        said = f"{fork.title} stays: {', '.join(map(shown, users))} uses it"
        return Lane(key, title, held=Finding("fork.used", "fail", said, DROP))
    steps: list[Step] = []
    notes: list[Finding] = []
    try:
        standing = Standing.find(fork.named)
        if missing(fork, standing):
            heads: list[str] = []
            notes.append(Finding("fork.missing", "note", f"{fork.title} is gone already"))
            changed = False
        else:
            if not evict:
                _refuse_used(fork, standing)
            heads = sorted(standing.heads())
            changed = written(fork, standing)
    except RaccordError as error:
        return Lane(key, title, held=Finding("fork.kept", "unknown", error.message, error.hint))
    for one in fork.spots:
        worktree = Path(fork.named.worktree)
        file = shown(os.path.relpath(one.file, worktree))
        back = one.back()
        step = point_step(worktree, back, f"{shown(one.variable)} in {file}: {shown(back.new)} again")
        where = PointHandler(room.repo).probe(step, Context("", "", lambda text: None, lambda: False))
        if where is Position.BEFORE:
            steps.append(step)
        elif where is Position.NEITHER:
            said = f"{file} names neither the fork nor what it was before: it stays as it is"
            notes.append(Finding("fork.file", "note", said))
    id_ = new_id() if changed else ""
    if changed:
        steps.append(backup_step(fork.named, room.state, heads, id_))
    since = ", which was written to" if changed else ", which nothing was written to"
    title_of = f"drop {fork.title}{since}"
    steps.append(drop_step(fork, room.state, heads, id_, title_of, evict=evict))
    return Lane(key, title, tuple(steps), notes=tuple(notes))


def _refuse_used(fork: Fork, standing: Standing) -> None:
    """Makes sure that nobody is connected.

    Raises:
        UsageError: somebody is.
    """
    if standing.target.kind == SQLITE:
        return
    with postgres.administering(standing.target) as db:
        who = postgres.sessions(db, fork.name)
    if who:
        said = f"others are connected to {fork.title}: {', '.join(who[:3])}"
        raise UsageError(said, hint=f"end them, or: {DROP} {END}")


def by_hand(fork: Fork) -> str:
    """The command that removes a fork without raccord."""
    return f"rm {fork.title}" if fork.named.key.startswith(f"{SQLITE}:") else f"dropdb {fork.title}"
