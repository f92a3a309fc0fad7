"""What a person's words for a revision mean: `head`, `heads`, `base`, part of an id, `label@head`, `+2`.

As alembic reads them (script/revision.py of 1.20), on a history that may have holes. Never reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from raccord.errors import UsageError
from raccord.migrations.graph import Graph

_RELATIVE = re.compile(r"(?:(.+?)@)?(\w+)?((?:\+|-)\d+)")
_SHORTEST = 4  # alembic takes no shorter id for the rest of a partial one
BASE = ""  # below every revision; no revision has an empty id


def resolve(graph: Graph, text: str) -> tuple[str, ...]:
    """The ids that a word stands for; none for `base`.

    Args:
        text: an id or the beginning of one, a label, `head`, `heads`, `base`, each also as `label@…`, or `-2`
            for two below the heads.

    Raises:
        UsageError: it stands for nothing, or for one of several.
    """
    label, _, word = text.rpartition("@")
    if re.fullmatch(r"-\d+", word):
        heads = [rev for rev in graph.effective_heads if not label or label in graph.branch_labels(rev)]
        return tuple(rev for rev in (_walked(graph, head, int(word)) for head in heads) if rev)
    return tuple(_one(graph, rev, label) for rev in _symbols(graph, word, label))


def target(graph: Graph, text: str, current: Iterable[str] = ()) -> tuple[str, ...]:
    """The ids that `upgrade` would go to.

    Args:
        text: what `resolve` takes, or relative: `+1` from the database's revision, `abc+1` and `head-1`
            from another, each also as `label@…`.
        current: the ids in the version table.

    Raises:
        UsageError: it stands for nothing, or for one of several.
    """
    if not (relative := _RELATIVE.match(text)):
        return resolve(graph, text)
    label, symbol, steps = relative[1] or "", relative[2] or "", int(relative[3])
    if symbol:
        starts = resolve(graph, f"{label}@{symbol}" if label and steps < 0 else symbol)
        if len(starts) > 1:
            raise UsageError(f"{symbol!r} is several revisions: {_listed(starts)}", ids=list(starts))
    elif steps > 0:
        starts = _starts(graph, label, tuple(current))
    else:
        raise UsageError(f"{text!r} is below what the database has: an upgrade can't go there")
    found = _walked(graph, starts[0] if starts else BASE, steps, label if steps > 0 else "")
    if found is None:
        raise UsageError(f"{text!r} leads past the end of the history")
    return (found,) if found else ()


def lineage(graph: Graph, ids: Iterable[str], word: str) -> tuple[str, ...]:
    """Those of the ids that a revision, or one with that label, comes before or after or is.

    Raises:
        UsageError: the word stands for nothing.
    """
    label, _, symbol = word.rpartition("@")
    against = {_one(graph, label)} if label else set()
    against |= {_one(graph, rev) for rev in _symbols(graph, symbol, label)}
    if not against:
        return tuple(ids)
    near = graph.descendants(against, dependencies=False) | graph.ancestors(against, dependencies=False)
    return tuple(rev for rev in ids if rev in near)


def _symbols(graph: Graph, word: str, label: str) -> tuple[str, ...]:
    if word == "base":
        return ()
    if word == "heads":
        return lineage(graph, graph.heads, label) if label else graph.effective_heads
    if word == "head":
        heads = lineage(graph, graph.heads, label) if label else graph.heads
        if len(heads) > 1:
            said = f"{label}@head" if label else "head"
            raise UsageError(
                f"{said!r} is several revisions: {_listed(heads)}",
                hint="name one, or say 'heads' for all",
                ids=list(heads),
            )
        return heads
    return (word,)


def _one(graph: Graph, word: str, label: str = "") -> str:
    """The one revision that an id, the beginning of one or a label names, on the branch of the label."""
    branch = _branch(graph, label) if label else ""
    names = {rev: rev for rev in graph} | dict(graph.labels)
    if word in names:
        found = names[word]
    else:
        begun = [name for name in names if len(name) >= _SHORTEST and name.startswith(word)]
        if branch:
            begun = [name for name in begun if _related(graph, names[name], branch)]
        if not begun:
            least = f"; {_SHORTEST} letters are the least" if len(word) < _SHORTEST else ""
            raise UsageError(f"no revision or branch is called {word!r}{least}", name=word)
        if len(begun) > 1:
            raise UsageError(f"{word!r} begins several revisions: {_listed(begun)}", name=word, ids=begun)
        found = names[begun[0]]
    if branch and not _related(graph, found, branch):
        raise UsageError(f"revision {found} is not on the branch {label!r}", name=word)
    return found


def _branch(graph: Graph, label: str) -> str:
    try:
        return _one(graph, label)
    except UsageError as error:
        raise UsageError(f"no branch is called {label!r}", name=label) from error


def _related(graph: Graph, one: str, other: str) -> bool:
    near = graph.descendants([one], dependencies=False) | graph.ancestors([one], dependencies=False)
    return other in near


def _starts(graph: Graph, label: str, current: tuple[str, ...]) -> tuple[str, ...]:
    """From where `+1` counts: the database's one revision, or its one on the branch."""
    starts = tuple(_one(graph, rev) for rev in current)
    if label:
        on_branch = lineage(graph, starts, label)
        if not on_branch:
            # The branch's own beginning, as far as it is applied.
            active = lineage(graph, graph.ancestors(starts), label)
            on_branch = graph.tips(active)
        starts = on_branch
    if len(starts) > 1:
        raise UsageError(
            f"the database is at several revisions: {_listed(starts)}",
            hint="say from which branch: label@+1",
            ids=list(starts),
        )
    return starts


def _walked(graph: Graph, start: str, steps: int, label: str = "") -> str | None:
    """The revision that many steps up or down; `BASE` for below the first; None beyond the ends."""
    at: str | None = start
    for _ in range(abs(steps)):
        assert at is not None
        if steps > 0:
            ways = graph.bases if at == BASE else graph.children(at)
            ways = lineage(graph, ways, label) if label else ways
        elif at == BASE:
            ways = ()
        else:
            ways = graph.parents(at) or (BASE,)
        if len(ways) > 1:
            raise UsageError(
                f"{abs(steps)} steps from {start or 'base'} lead to several: {_listed(ways)}", ids=ways
            )
        if not ways:
            return None
        at = ways[0]
        if at not in graph and at != BASE:
            raise UsageError(f"the file of revision {at} is missing", name=at)
    return at


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(ids)
