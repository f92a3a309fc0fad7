"""Decides what a push does with each table, and what it can't do. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.data.difference import MOST, Difference, Digest
from raccord.data.order import Order
from raccord.data.pairs import Pair
from raccord.data.scope import Blocks
from raccord.data.spec import CHANGES, INSERT, REMOVES, REPLACE, Spec
from raccord.database.tables import Name, Reference, label
from raccord.model.plan import Finding, Json
from raccord.model.text import grouped, several, shown

SKIP, DELTA, WHOLE, FILL, ANEW, SWAP = "skip", "delta", "whole", "fill", "anew", "swap"
STRAIGHT = frozenset({FILL, ANEW, SWAP})
FEW_ROWS = 1_000  # differing rows up to which a table is never filled anew
# What a foreign key may do by itself to rows that refer.
CARRIES = frozenset({"cascade", "set null", "set default"})
MOST_NUMBERS = 10_000  # blocks that a plan names
Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one table.

    Attributes:
        way: "skip"; "delta": the rows that differ travel; "whole": all travel, and the target compares them;
            "fill": they are copied straight into an empty table; "anew": after all rows went from it; "swap":
            into a table that takes its place.
        why: in words.
        added, changed, removed: how many rows.
        stays: how many rows differ, or are the target's own, and stay as they are.
    """

    table: str
    way: str
    why: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    stays: int = 0

    @property
    def counts(self) -> Counts:
        """Rows added, changed and removed."""
        return self.added, self.changed, self.removed

    @property
    def said(self) -> str:
        """All of it in one line."""
        parts = [
            f"{grouped(number)} to {verb}"
            for number, verb in zip(self.counts, ("add", "change", "remove"), strict=True)
            if number
        ]
        if self.stays:
            parts.append(
                f"{grouped(self.stays)} {'stays as it is' if self.stays == 1 else 'stay as they are'}"
            )
        return f"{self.table}: {', '.join(parts) or 'nothing to do'} ({self.why})"


def relevant(spec: Spec, one: Difference) -> Counts:
    """How many rows a mode adds, changes and removes."""
    return one.added, one.changed if spec.mode in CHANGES else 0, one.removed if spec.mode in REMOVES else 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a push must find in one table, or it does nothing.

    Attributes:
        way: see `Decision`.
        source, target: what all rows come to, where that was asked.
        blocks, numbers: where the differences are; None where nobody may rely on it.
        touched: what the rows there come to in the source; None where more than that must be looked at.
        state: the target's when it was compared (`places.state`).
    """

    counts: Counts
    way: str = WHOLE
    source: Digest | None = None
    target: Digest | None = None
    blocks: Blocks | None = None
    numbers: tuple[int, ...] = ()
    touched: Digest | None = None
    state: str = ""

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        blocks = [self.blocks.count, self.blocks.first, *self.numbers] if self.blocks else None
        ends = [None if one is None else str(one) for one in (self.source, self.target)]
        told = {"touched": str(self.touched)} if self.touched is not None else {}
        told |= {"state": self.state} if self.state else {}
        return {"counts": list(self.counts), "way": self.way, "ends": ends, "blocks": blocks, **told}

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Expected:
        """Reads `document` back."""
        counts, blocks = said["counts"], said["blocks"]
        source, target = (None if one is None else Digest.parse(one) for one in said["ends"])
        return cls(
            (counts[0], counts[1], counts[2]), said["way"], source, target,
            None if blocks is None else Blocks(blocks[0], blocks[1]), tuple(blocks[2:]) if blocks else (),
            Digest.parse(said["touched"]) if "touched" in said else None, said.get("state", ""),
        )  # fmt: skip


def expect(spec: Spec, one: Difference, made: Decision) -> Expected:
    """What a push must find of what the plan saw."""
    if spec.mode not in REMOVES and made.way not in STRAIGHT:
        return Expected(made.counts, made.way)
    # What triggers make of the rows is no proof in the end, so all is compared again at the start.
    certain = made.way == DELTA and len(one.numbers) <= MOST_NUMBERS and not fires(spec, one.pair)
    if not certain or one.blocks is None:
        state = one.state if made.way in STRAIGHT else ""
        return Expected(made.counts, made.way, one.source, one.target, state=state)
    # The rest of the table is as it was if nobody else wrote, and no foreign key carries a change on to it.
    alone = one.state and one.blocks.first is not None and not _carried(one.pair)
    touched, state = (one.touched, one.state) if alone else (None, "")
    return Expected(made.counts, made.way, one.source, one.target, one.blocks, one.numbers, touched, state)


def _carried(pair: Pair) -> bool:
    """Whether the server may change rows of a table by itself, as those change that they refer to."""
    return any({one.on_delete, one.on_update} & CARRIES for one in pair.target.refers)


def decisions(spec: Spec, order: Order, found: Sequence[Difference]) -> list[Decision]:
    """What to do with each table."""
    filled = {one.pair.id for one in found if fillable(spec, order, one.pair) and not one.target.rows}
    anew = {
        one.pair.id: one
        for one in found
        if one.pair.id not in filled and _mostly(one) and not _against(spec, order, one.pair)
    }
    empty = {one.pair.id for one in found if not one.target.rows and not one.pair.where}
    while blocked := [name for name, one in anew.items() if not unreferred(order, one.pair, {*anew, *empty})]:
        for name in blocked:
            del anew[name]
    made = []
    for one in found:
        way = FILL if one.pair.id in filled else ANEW if one.pair.id in anew else ""
        made.append(decide(spec, one, way))
    return made


def _mostly(one: Difference) -> bool:
    total = one.added + one.changed + one.removed
    return total > FEW_ROWS and total > MOST * max(one.source.rows, one.target.rows)


def fillable(spec: Spec, order: Order, pair: Pair) -> bool:
    """Whether rows can be copied straight into a table, once it is empty.

    An insert leaves out what another table's rows stand against, and columns that close a circle come last.
    """
    late = order.late.get(pair.id, frozenset()) & frozenset(pair.columns)
    return spec.mode != INSERT and not pair.where and not late


def may_anew(spec: Spec, order: Order, pair: Pair) -> bool:
    """Whether a table may be filled anew, as far as it is known before its rows were looked at."""
    return not _against(spec, order, pair) and unreferred(order, pair, order.tables)


def straight(spec: Spec, order: Order, pair: Pair) -> bool:
    """Whether all rows of a table may be replaced by copies, as far as the table itself goes."""
    return not _against(spec, order, pair)


def _against(spec: Spec, order: Order, pair: Pair) -> bool:
    return spec.mode != REPLACE or bool(pair.kept) or fires(spec, pair) or not fillable(spec, order, pair)


def fires(spec: Spec, pair: Pair) -> bool:
    """Whether triggers have a say in what a table comes to."""
    return spec.triggers == "fire" and bool(pair.target.triggers)


def unreferred(order: Order, pair: Pair, empties: Collection[Name]) -> bool:
    """Whether no row refers to a table's rows once the tables that are filled after it are empty."""
    after = order.tables[order.tables.index(pair.id) + 1 :]
    return all(
        one.table == pair.id or (one.table in empties and one.table in after) for one in pair.target.referred
    )


def changed_ways(
    spec: Spec, order: Order, pairs: Iterable[Pair], expected: Mapping[Name, Expected]
) -> list[Name]:
    """Tables for which the way that was planned is no longer open."""
    listed = list(pairs)
    empty = set()
    for pair in listed:
        one = expected[pair.id]
        if one.way == ANEW or (one.target is not None and not one.target.rows and not pair.where):
            empty.add(pair.id)
    bad = []
    for pair in listed:
        way = expected[pair.id].way
        if (way == FILL and not fillable(spec, order, pair)) or (
            way == ANEW and (_against(spec, order, pair) or not unreferred(order, pair, empty))
        ):
            bad.append(pair.id)
    return bad


def decide(spec: Spec, one: Difference, way: str = "") -> Decision:
    """What to do with a table.

    Args:
        way: how its rows are copied straight into it, where that was found to be open.
    """
    name = one.pair.shown
    added, changed, removed = relevant(spec, one)
    stays = one.changed + one.removed - changed - removed
    if not (added or changed or removed):
        why = f"equal: {several(one.source.rows, 'row')}" if one.equal else f"mode {spec.mode}"
        return Decision(name, SKIP, why, stays=stays)
    total = added + changed + removed
    if way == FILL:
        return Decision(name, FILL, "copied straight into the empty table", added, changed, removed, stays)
    if way == ANEW:
        part = one.share or min(1.0, total / max(one.source.rows, one.target.rows))
        about = f"{'about ' if one.share else ''}{round(part * 100)} %"
        why = f"{about} of the rows differ, so all go and all are copied"
        return Decision(name, ANEW, why, added, changed, removed, stays)
    if not one.pair.key:
        return Decision(name, WHOLE, "all rows travel: it has no key", added, changed, removed, stays)
    if one.puts is None:
        why = "all rows travel: " + (
            "most differ" if one.share else f"{grouped(total)} differ{'s' if total == 1 else ''}"
        )
        return Decision(name, WHOLE, why, added, changed, removed, stays)
    # Of all rows that there are on either side: some are on one alone.
    share = f"{grouped(total)} of {several(one.source.rows + one.removed, 'row')} travel or go"
    return Decision(name, DELTA, share, added, changed, removed, stays)


def refers(one: Reference, pair: Pair, count: int) -> Finding:
    """Rows that stand against a delete: nothing is ever cascaded."""
    name = label(one.table)
    said = several(count, "row", name, ("refers", "refer"))
    said = f"{said} by {shown(one.name)} to rows that would go from {pair.shown}"
    return Finding("data.referred", "fail", said, f"add {name} to the set, or push with mode upsert")


def emptied(spec: Spec, found: Sequence[Difference]) -> Finding | None:
    """A source that came up empty never means to empty the target, unless that is asked for."""
    if spec.allow_empty or spec.mode not in REMOVES:
        return None
    for one in found:
        if not one.source.rows and one.target.rows:
            return Finding(
                "data.empty",
                "fail",
                f"{one.pair.shown} has no row in {spec.origin},"
                f" and {grouped(one.target.rows)} in {spec.goal}",
                f"{spec.again} --allow-empty",
            )
    return None


def unfilled(found: Sequence[Difference]) -> Finding | None:
    """A new row needs a value in each column that takes no null and has no default, if that stays too."""
    for one in found:
        for column in map(one.pair.column, one.pair.kept if one.added else ()):
            if not column.nullable and not column.default:
                name = f"{one.pair.shown}.{column.name}"
                said = f"{name} doesn't travel, and new rows need it: it takes no null and has no default"
                return Finding("data.column", "fail", said, "mask it, or send it: see exclude and secrets")
    return None


def staying(spec: Spec, decisions: Sequence[Decision]) -> list[Finding]:
    """What a push leaves although it differs."""
    if spec.mode != INSERT:
        return []
    return [
        Finding(
            "data.stays",
            "note",
            f"{one.table}: {several(one.stays, 'row', '', ('differs or is', 'differ or are'))}"
            f" {spec.goal}'s own, and {'stays' if one.stays == 1 else 'stay'}",
        )
        for one in decisions
        if one.stays
    ]
