"""`raccord migrations fork`: clones the shared databases for this worktree, and points it at the clones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from raccord.database import copying
from raccord.database.naming import other, place, spelled
from raccord.database.url import SQLITE, Target
from raccord.errors import CannotRun, NotOurs, RaccordError, UsageError
from raccord.kernel.record import RunRecord
from raccord.migrations.fork import applied_chain, chain_key, fork_name
from raccord.migrations.fork_steps import END, fork_step, missing
from raccord.migrations.forks import Fork, Forks, Spot, new_id, owner
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.pointing import point_step, spots
from raccord.migrations.standing import Named, Standing, absent
from raccord.model.migration_report import ForkUrl, ForkUrls
from raccord.model.options import ForkOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step
from raccord.model.text import shown
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migration_unfork import DROP, dropping
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room

SHOWN = 3  # sessions that a note names


def fork(room: Room, options: ForkOptions) -> tuple[Plan, RunRecord | None]:
    """Gives this worktree databases of its own, or takes them away.

    Raises:
        CannotRun: no alembic environment here.
        UsageError: there are several.
    """
    return carried_out(room, lambda: plan(room, options), options.dry_run, every=False)


def plan(room: Room, options: ForkOptions) -> Plan:
    """Observes and decides."""
    desk = Desk(room, chosen(room, every=False), options.backend, ask_env=True)
    sites = _sites(desk)
    if options.drop:
        return dropping(room, sites, options)
    databases: dict[object, list[Site]] = {}
    for site in sites:  # two engines may name one database
        databases.setdefault(site.target.key if site.target else id(site), []).append(site)
    lanes = [_lane(desk, same, options) for same in databases.values()]
    return Plan("migrations fork", (Stage("fork", tuple(lanes)),), by=options.by)


def _sites(desk: Desk) -> list[Site]:
    for one in desk.found:
        if isinstance(one, Unfound):
            raise one.error
    return desk.sites


def _lane(desk: Desk, same: Sequence[Site], options: ForkOptions) -> Lane:
    room, site = desk.room, same[0]
    tree, target = site.tree, site.target
    name = target.shown if target else shown(site.database.name)
    key, title = (
        f"{tree.path}@{target.key if target else site.database.name}",
        f"{name} for {shown(tree.path.name)}",
    )
    known = mine(room, site)
    if (held := _lost(known) or _unready(site)) is not None:
        return Lane(key, title, held=held)
    assert target is not None  # else it is not ready
    if _own(room, site, target):
        said = f"{name} is this worktree's own: it lies in it"
        return Lane(key, title, notes=(Finding("fork.own", "note", said),))
    if known is not None and known.named.key == target.key:
        said = f"{name} is this worktree's fork of {known.source.title} already"
        return Lane(key, title, notes=(Finding("fork.there", "note", said, "raccord migrations status"),))
    notes: list[Finding] = []
    if known is None:
        made = _new(desk, site, target)
        try:
            notes += _way(target, options)
        except RaccordError as error:
            return Lane(key, title, held=Finding("fork.refused", "fail", error.message, error.hint))
    else:
        made = known
        notes.append(Finding("fork.there", "note", f"its fork is {known.title}, which it does not use"))
    found, told = _spots(room, same, target, made)
    notes += told
    steps: list[Step] = []
    if known is None:
        made = replace(made, spots=tuple(found))
        steps.append(fork_step(made, room.state, f"clone {name} as {made.title}", evict=options.end_sessions))
    # Once all are written, env.py says whether it goes by them.
    steps += [
        _pointing(tree.path, one, made.named if site.start and one is found[-1] else None) for one in found
    ]
    return Lane(key, title, tuple(steps), notes=tuple(notes))


def _lost(known: Fork | None) -> Finding | None:
    """Why a worktree can't be pointed at the fork that it has: somebody dropped it."""
    try:
        if known is None or not missing(known, Standing.find(known.named)):
            return None
        said = f"{known.title}, this worktree's fork of {known.source.title}, is gone"
    except NotOurs as error:
        said = error.message
    except RaccordError:
        return None  # a server that can't be asked is told of otherwise
    return Finding("fork.missing", "fail", said, f"{DROP}, then: raccord migrations fork")


def _unready(site: Site) -> Finding | None:
    """Why a database can't be forked."""
    target = site.target
    if target is not None and absent(target):
        said = f"{target.shown} is not there yet: there is nothing to clone"
        return Finding("fork.absent", "fail", said, "raccord migrations upgrade")
    if target is None or site.heads is None:
        said = f"the database was not read, so it is not cloned: {site.unread}"
        return Finding("migration.unread", "unknown", said, site.unread_hint)
    return None


def _own(room: Room, site: Site, target: Target) -> bool:
    """Whether a SQLite file lies in the worktree, and in no other one within it."""
    if target.kind != SQLITE:
        return False
    path = Path(os.path.realpath(target.path))
    tops = [Path(os.path.realpath(tree.path)) for tree in room.trees if not tree.bare]
    around = [top for top in tops if path.is_relative_to(top)]
    nearest = max(around, key=lambda top: len(top.parts), default=None)
    if nearest is not None and path.is_relative_to(room.repo.common):
        nearest = None  # git's own directory belongs to all
    return nearest == Path(os.path.realpath(site.tree.path))


def mine(room: Room, site: Site) -> Fork | None:
    """The fork that a worktree has of the database that it uses, or whose fork it uses."""
    if site.target is None:
        return None
    for one in reversed(Forks(room.state).all()):
        if site.target.key in (one.named.key, one.source.key) and owner(one, [site.tree]) is not None:
            return one
    return None


def _new(desk: Desk, site: Site, target: Target) -> Fork:
    room = desk.room
    heads = tuple(sorted(site.heads or ()))
    chain = applied_chain(site.graph, heads, desk.sources.shelf.digests(target.key))
    key, id_ = chain_key(chain), new_id()
    tree = site.tree.branch or site.tree.path.name
    sqlite = target.kind == SQLITE
    of = Path(target.path).stem if sqlite else target.name or target.user
    name = fork_name(of, tree, key, id_)
    if sqlite:
        name = str(Forks(room.state).files / f"{name}.db")
    source = Named.of(site, target)
    source = replace(source, beside=target.path if sqlite else target.name or target.user)
    named = source.other(target, name)
    return Fork(id_, name, named, source, str(site.tree.gitdir), chain, key, heads)


def _way(target: Target, options: ForkOptions) -> list[Finding]:
    """How it is going to be copied.

    Raises:
        DatabaseError: it can't be.
    """
    if target.kind == SQLITE:
        return []
    found = copying.way(target)
    found.check(target.name or target.user)
    if not found.sessions or (options.end_sessions and found.copies):
        return []
    who = ", ".join(found.sessions[:SHOWN]) + (" …" if len(found.sessions) > SHOWN else "")
    if found.programs:
        raise CannotRun(
            f"others are connected, so the server can't copy it: {who}. Nor can pg_dump: {found.programs}",
            hint=f"raccord migrations fork {END}",
        )
    said = f"copied through pg_dump, since others are connected: {who}"
    return [Finding("fork.sessions", "note", said, "", {"sessions": list(found.sessions)})]


def _spots(room: Room, same: Sequence[Site], target: Target, made: Fork) -> tuple[list[Spot], list[Finding]]:
    found: dict[Spot, None] = {}
    told: list[Finding] = []
    for site in same:
        some, note = spots(site, target, made.name, room.repo)
        found |= dict.fromkeys(some)
        if note is not None and note not in told:
            told.append(note)
    return list(found), told


def _pointing(worktree: Path, one: Spot, proof: Named | None) -> Step:
    file = shown(os.path.relpath(one.file, worktree))
    return point_step(worktree, one, f"{shown(one.variable)} in {file}: {shown(one.new)}", proof)


def urls(room: Room, backend: str = "", *, password: bool = False) -> ForkUrls:
    """The URLs of this worktree's forks, as its own are written but for the database.

    Args:
        password: whether they have it.

    Raises:
        UsageError: it has no fork.
        CannotRun: no alembic environment here.
    """
    desk = Desk(room, chosen(room, every=False), backend, ask_env=True)
    found = []
    for site in _sites(desk):
        known = mine(room, site)
        if known is None or site.target is None or site.database.url is None:
            continue
        text = site.database.url.strip()
        begin, end = place(text)
        text = text[:begin] + spelled(text, site.project.backend, known.name) + text[end:]
        goal = other(site.target, known.name)
        if goal.secrets and not password:
            text = replace(goal, password=None).shown
        found.append(ForkUrl(site.database.name, text, bool(goal.secrets) and not password))
    if not found:
        raise UsageError("this worktree has no fork of its database", hint="raccord migrations fork")
    return ForkUrls(tuple(found))
