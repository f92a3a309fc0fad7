"""What is said of forks where worktrees are looked at: whose they are, and how far from their source.

Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from raccord.errors import RaccordError, StoreError
from raccord.migrations.fork import distance, edited
from raccord.migrations.forks import Fork, Forks, owner
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site
from raccord.migrations.standing import Named, Standing
from raccord.model.migration_report import MigrationFork
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.verbs.migration_unfork import DROP, gone
from raccord.verbs.room import Room


def forks(room: Room, sites: Sequence[Site]) -> dict[str, MigrationFork]:
    """The fork of each site that has one or uses one, by the site's key."""
    known = Forks(room.state).all()
    if not known:
        return {}
    graph = Graph(one for site in sites for one in site.loaded.revisions)
    heads: dict[str, frozenset[str] | None] = {
        site.target.key: site.heads for site in sites if site.target is not None
    }
    found: dict[str, MigrationFork] = {}
    for site in sites:
        if site.target is None:
            continue
        key = site.target.key
        used = next((one for one in known if one.named.key == key), None)
        own = [one for one in known if one.source.key == key and owner(one, [site.tree]) is not None]
        fork = used or (own[-1] if own else None)
        if fork is not None:
            found[site.key] = _fork(room, fork, site, graph, heads, used=used is not None)
    return found


def _fork(
    room: Room,
    fork: Fork,
    site: Site,
    graph: Graph,
    heads: dict[str, frozenset[str] | None],
    *,
    used: bool,
) -> MigrationFork:
    assert site.target is not None  # one of the two
    way = Named.of(site, site.target)
    for other in (fork.named, fork.source):
        # As this worktree is led there: the one that it was made for may have to run its env.py.
        named = replace(way, key=other.key, title=other.title, beside=other.beside)
        if named.key not in heads:
            try:
                heads[named.key] = Standing.find(named).heads()
            except RaccordError:
                heads[named.key] = None
    ours, theirs = heads[fork.named.key], heads[fork.source.key]
    apart = None if ours is None or theirs is None else distance(graph, ours, theirs)
    whose = owner(fork, room.trees)
    return MigrationFork(
        name=fork.name,
        of=fork.source.title,
        owner=str(whose.path) if whose else "",
        key=fork.key,
        made=fork.made,
        used=used,
        ahead=apart.ahead if apart else None,
        behind=apart.behind if apart else None,
        edited=edited(fork.chain, site.graph),
    )


def said(fork: MigrationFork, site: Site) -> Iterable[Finding]:
    """What a person should know of it."""
    far = "not known how far from it"
    if fork.ahead is not None:
        far = (
            f"{fork.ahead} ahead, {fork.behind} behind"
            if fork.ahead or fork.behind
            else "at the same revisions"
        )
    what = f"{shown(fork.name)}, a fork of {fork.of}: {far}"
    if not fork.used:
        said = f"it does not use its fork {what}"
        yield Finding("fork.unused", "note", said, "raccord migrations fork")
        return
    yield Finding("fork.used", "note", f"it uses {what}")
    if fork.owner != str(site.tree.path):
        of = f"for {shown(fork.owner)}" if fork.owner else "for a worktree that is gone"
        yield Finding("fork.foreign", "note", f"that fork was made {of}", "raccord migrations fork")
    if fork.edited:
        some = ", ".join(map(shown, fork.edited[:3])) + (" …" if len(fork.edited) > 3 else "")
        said = f"its files are no longer what that fork's key {fork.key} stands for: {some}"
        yield Finding("fork.key", "unknown", said, f"{DROP}, then: raccord migrations fork")


def lost(room: Room) -> tuple[Finding, ...]:
    """A note of the forks whose worktree is gone."""
    try:
        names = [one.title for one in gone(room)]
    except StoreError as error:
        return (Finding("fork.unknown", "unknown", error.message, error.hint),)
    if not names:
        return ()
    count = f"{len(names)} forks of worktrees that are" if len(names) > 1 else "a fork of a worktree that is"
    some = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return (Finding("fork.gone", "note", f"{count} gone: {some}", "raccord gc", {"forks": names}),)
