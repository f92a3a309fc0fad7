"""What both ends of a set have, joined: the tables that it means, in which order, and what speaks against it.

Pure: whoever reads the tables hands them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.data.masks import Salt
from raccord.data.obstacles import obstacles
from raccord.data.order import Order, ordered
from raccord.data.pairs import Pair, Pairs, meant, pairs
from raccord.data.spec import Spec
from raccord.database.tables import Listed, Name, Table, label, matching
from raccord.model.language import sentence
from raccord.model.plan import Finding

WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Seen:
    """What both ends have.

    Attributes:
        tables: pairs in the order in which they are filled.
        refused: what speaks against comparing them.
        hindered: what speaks against a push.
        notes: what a person should know.
        log: how far the target's log was written, by when all that is seen was committed; see `places`.
    """

    tables: tuple[Pair, ...]
    order: Order
    refused: tuple[Finding, ...] = ()
    hindered: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    log: str = ""


def chosen(spec: Spec, where: str, listed: Iterable[Listed]) -> tuple[list[int], list[Finding]]:
    """Which of some tables a set means, by their numbers, and of which of its words there is none.

    Args:
        where: they are, in words.
    """
    refused = []
    found: dict[int, None] = {}
    for pattern, hits in matching(listed, spec.tables).items():
        wild = bool(WILD & {*pattern})
        meant_ones = [oid for oid, name, _ in hits if not wild or meant(name[1])]
        if not meant_ones:
            said = sentence("{where} has no table {table}", where=where, table=pattern)
            hint = sentence("correct tables in [data.{set}]", set=spec.name)
            refused.append(Finding("data.missing", "fail", said, hint))
        found.update(dict.fromkeys(meant_ones))
    return list(found), refused


def joined(
    spec: Spec,
    source: Mapping[Name, Table],
    target: Mapping[Name, Table],
    unmatched: Sequence[Finding],
    salt: Salt,
    close: Callable[[Pairs], Pairs] = lambda found: found,
) -> Seen:
    """What both ends have.

    Args:
        unmatched: what was found of patterns that mean no table.
        close: adds what comes by closure, where nothing speaks against it.
    """
    found = pairs(spec, source, target, salt)
    if not found.refused and not unmatched:
        found = close(found)
    order = ordered([pair.target for pair in found.tables])
    hindered: list[Finding] = [*order.refused]
    notes = [*found.notes, *_outside(found)]
    for pair in found.tables:
        against, said = obstacles(spec, pair)
        hindered += against
        notes += said
    by_name = {pair.id: pair for pair in found.tables}
    listed = tuple(by_name[name] for name in order.tables)
    return Seen(listed, order, (*unmatched, *found.refused), tuple(hindered), tuple(notes))


def _outside(found: Pairs) -> list[Finding]:
    """Parents that don't travel: their rows must be there already."""
    inside = {pair.id for pair in found.tables}
    notes = []
    for pair in found.tables:
        for name in sorted({one.target for one in pair.target.refers} - inside):
            said = sentence(
                "{table} refers to {other}, which is not in the set", table=pair.shown, other=label(name)
            )
            notes.append(Finding("data.parent", "note", said))
    return notes
