"""What would come back of the rows that a push kept, whatever the kind of its database. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raccord.data.difference import Difference, Digest, Key
from raccord.data.pairs import Pair
from raccord.data.plan import DELTA, SKIP, Counts, Decision, Expected
from raccord.data.spec import Spec
from raccord.database.tables import Name, label
from raccord.errors import WorldMoved
from raccord.model.plan import Finding
from raccord.model.text import shown

KEYLESS = "data.keyless"


@dataclass(frozen=True, slots=True)
class Kept:
    """What would come back.

    Attributes:
        found: how the tables differ from what was kept of them.
        decisions: what would be done with each.
        referring: rows elsewhere that refer to rows that would go.
        refused: what speaks against it.
        notes: what a person should know.
    """

    found: tuple[Difference, ...] = ()
    decisions: tuple[Decision, ...] = ()
    referring: tuple[Finding, ...] = ()
    refused: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()


def differs(pair: Pair, counts: Counts, gone: Sequence[Key] | None = None) -> Difference:
    """How a table differs from what was kept of it.

    Args:
        gone: keys of rows that would go, where those are known one by one.
    """
    listed = None if gone is None else tuple(gone)
    return Difference(pair, Digest(), Digest(), *counts, puts=None, gone=listed)


def decide(one: Difference, said: Mapping[str, Any], way: str = "") -> Decision:
    """What to do with a table.

    Args:
        said: by its archive.
        way: how it goes back whole, where that is open.
    """
    counts = (one.added, one.changed, one.removed)
    name, total = one.pair.shown, sum(counts)
    if not total:
        return Decision(name, SKIP, "as it was")
    if way:
        return Decision(name, way, "nobody changed it since, so it goes back whole", *counts)
    return Decision(name, DELTA, f"of {said['old']['rows']} rows that were kept", *counts)


def neither(spec: Spec, pair: Pair) -> Finding:
    """Equal rows of a table without a key can't be told apart once others changed some of them."""
    said = f"the rows of {pair.shown}, which has no key, are neither as before that push nor as after it"
    return Finding(KEYLESS, "fail", said, f"raccord data diff {shown(spec.name)} --to {spec.goal}")


def hinted(spec: Spec, referring: Sequence[Finding]) -> tuple[Finding, ...]:
    """The same; what was kept is fixed, so another set or mode is no help."""
    hint = f"change those rows first, or raccord data diff {shown(spec.name)} --to {spec.goal}"
    return tuple(replace(one, hint=hint) if one.status == "fail" else one for one in referring)


def refuse_other(spec: Spec, expected: Mapping[Name, Expected], found: Mapping[Name, Counts]) -> None:
    """Makes sure that what comes back is what was planned.

    Raises:
        WorldMoved: it is something else by now.
    """
    planned = {name: one.counts for name, one in expected.items()}
    if planned == found:
        return
    other = sorted(name for name in {*planned, *found} if planned.get(name) != found.get(name))
    raise WorldMoved(
        f"the rows of {', '.join(map(label, other))} are no longer those that were planned with",
        hint=spec.again,
    )
