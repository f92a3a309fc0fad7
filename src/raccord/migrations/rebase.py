"""Decides how a branch's own revisions come to stand on those of the base. Pure: no I/O, no clock.

What stands on a revision of the base is put on the head above it. Links between own revisions stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from raccord.errors import CannotRun, UsageError
from raccord.migrations import walk
from raccord.migrations.graph import Graph
from raccord.model.text import shown

NAMED = 4  # revisions in a line
HINT = "raccord migrations merge -m MESSAGE, on the base"


@dataclass(frozen=True, slots=True)
class Rebase:
    """What becomes of the own revisions.

    Attributes:
        own: all of them, the first to be applied first.
        moved: those whose file changes, with what they stand on afterwards.
        dropped: own merges that go, with what takes their place below others.
        spare: own merges that could go: they change nothing and join nothing any more.
        affected: the moved and dropped ones and all that comes after them.
        heads: of the history afterwards.
    """

    own: tuple[str, ...]
    moved: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, str]
    spare: tuple[str, ...]
    affected: tuple[str, ...]
    heads: tuple[str, ...]


def decide(graph: Graph, base: Graph, idle: Set[str], *, drop: bool) -> Rebase:
    """How the branch's own revisions are put on top of the base's.

    Args:
        graph: the branch's history, whole; with all that the base has.
        base: the base's history.
        idle: own revisions that change nothing.
        drop: whether own merges go that change nothing and join nothing any more.

    Raises:
        CannotRun: the base's history is not whole, or the branch has it in another form.
        UsageError: there is more than one head to put something on.
    """
    _same(graph, base)
    own = tuple(one for one in reversed(graph.order()) if one not in base)
    links: dict[str, tuple[str, ...]] = {one: base.parents(one) for one in base}
    moved: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, str] = {}
    spare: list[str] = []
    for one in own:
        old = graph.parents(one)
        new = _parents(graph, base, one, old, dropped)
        new = _least(new, links)
        if len(old) > 1 and len(new) == 1 and one in idle and not _named(graph, one):
            spare.append(one)
            if drop:
                dropped[one] = new[0]
                continue
        links[one] = new
        if new != old:
            moved[one] = new
    touched = [*moved, *dropped]
    affected = graph.descendants(touched)
    below = {parent for one, parents in links.items() for parent in parents}
    heads = tuple(one for one in reversed(list(links)) if one not in below)
    return Rebase(own, moved, dropped, tuple(spare), tuple(one for one in own if one in affected), heads)


def _same(graph: Graph, base: Graph) -> None:
    if not base.healthy:
        raise CannotRun("the base's history is not whole", hint="raccord migrations history, on the base")
    others = [
        one
        for one in base
        if (base[one].down, base[one].depends_on) != (graph[one].down, graph[one].depends_on)
    ]
    if others:
        some = ", ".join(map(shown, others[:NAMED]))
        raise CannotRun(
            f"{some} stands on something else here than on the base: put it back first",
            hint=f"raccord migrations find {shown(others[0])} --diff",
        )


def _parents(
    graph: Graph, base: Graph, one: str, old: Sequence[str], dropped: Mapping[str, str]
) -> tuple[str, ...]:
    """What it stands on once the base has moved under it."""
    if not old and not _named(graph, one) and not graph[one].depends_on and len(base):
        # Begun on its own while the base was empty or unknown; one with a label is meant to stand alone.
        return (_only(base.heads, one),)
    new = [dropped.get(up, up) if up not in base else _above(base, up, one) for up in old]
    return tuple(dict.fromkeys(new))


def _above(base: Graph, up: str, one: str) -> str:
    """The head of the base above a revision of it."""
    above = base.descendants([up], dependencies=False)
    return _only([head for head in base.heads if head in above], one)


def _only(heads: Sequence[str], one: str) -> str:
    if len(heads) == 1:
        return heads[0]
    listed = ", ".join(map(shown, heads[:NAMED]))
    raise UsageError(
        f"{shown(one)} could be put on several heads of the base: {listed}", hint=HINT, heads=list(heads)
    )


def _least(parents: tuple[str, ...], links: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Those of the parents that come before none of the others: alembic stumbles over the rest."""
    if len(parents) < 2:
        return parents
    lower = {one: walk.reached([one], links) - {one} for one in parents}
    return tuple(one for one in parents if not any(one in lower[other] for other in parents))


def _named(graph: Graph, one: str) -> bool:
    """Whether a file gives a branch its label, or something depends on the revision by name."""
    wanted = any(one in names for names in graph.dependencies.values())
    return bool(graph[one].labels or graph[one].unclear) or wanted
