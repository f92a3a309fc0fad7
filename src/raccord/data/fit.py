"""Tries masks on the source before anything travels: do their values fit the columns? Writes nothing.

What a mask makes is counted on the server, and no value comes over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raccord.data.masks import limit
from raccord.data.pairs import Pair
from raccord.data.scope import chosen, relation, scope
from raccord.data.stage import one_row
from raccord.database import postgres
from raccord.database.tables import identifier
from raccord.model.plan import Finding
from raccord.model.text import shown

_CHECKS = """
select k.conname, pg_get_expr(k.conbin, k.conrelid),
  (select array_agg(a.attname::text) from unnest(k.conkey) c(n)
   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.n)
from pg_constraint k join pg_class t on t.oid = k.conrelid join pg_namespace n on n.oid = t.relnamespace
where k.contype = 'c' and n.nspname = %s and t.relname = %s order by 1
"""


def unfit(one: postgres.Connection, two: postgres.Connection, pairs: Sequence[Pair]) -> list[Finding]:
    """What speaks against the masks of some tables, each column by name."""
    found: list[Finding] = []
    for pair in pairs:
        if pair.masks:
            values = [*_values(one, pair)]
            found += values or [*_same(one, pair), *_checked(one, two, pair)]
    return found


def _finding(said: str) -> Finding:
    return Finding("data.mask", "fail", said, "choose another mask, or exclude the column")


def _values(one: postgres.Connection, pair: Pair) -> Iterator[Finding]:
    """Masks that fail, or make more than a column holds."""
    for name in pair.masks:
        column, sql = pair.sided(True).column(name), f"{pair.masks[name]}\n"
        what = f"count(({sql})::{column.type})"
        most = limit(column) if column.texts else 0
        if most:
            what += f", count(*) filter (where length(({sql})::text) > {most})"
        try:
            with one.transaction():
                row = one_row(one, f"select {what} from {relation(pair, source=True)}{chosen(pair)}")
        except postgres.driver().OperationalError:
            raise  # of the server or the way to it, not of the mask
        except postgres.driver().Error as error:
            state = postgres.condition(error)
            yield _finding(f"what masks {pair.shown}.{name} makes no {shown(column.type)}: {state}")
            continue
        if most and row[1]:
            said = f"what masks {pair.shown}.{name} is longer than its {most} characters in {row[1]} rows"
            yield _finding(said)


def _same(one: postgres.Connection, pair: Pair) -> Iterator[Finding]:
    """Unique columns in which several rows would get one value."""
    for unique in pair.target.uniques:
        if not set(unique.columns) & pair.masks.keys() or not set(unique.columns) <= {*pair.columns}:
            continue
        listed = ", ".join(map(identifier, unique.columns))
        filled = " and ".join(f"{identifier(name)} is not null" for name in unique.columns)
        rows = scope(pair, source=True, columns=unique.columns)
        count = one_row(
            one,
            f"select coalesce(sum(n), 0) from (select count(*) as n from {rows} r where {filled}"
            f" group by {listed} having count(*) > 1) x",
        )[0]
        if count:
            named = ", ".join(map(shown, unique.columns))
            yield _finding(f"{count} rows of {pair.shown} would get one {named}, which is unique")


def _checked(one: postgres.Connection, two: postgres.Connection, pair: Pair) -> Iterator[Finding]:
    """Rules of the target's table that masked rows would not pass."""
    every = [column.name for column in pair.source.columns]
    for rule, sql, columns in two.execute(_CHECKS, list(pair.id)).fetchall():
        if not {*columns} & pair.masks.keys() or not {*columns} <= {*every}:
            continue
        rows = scope(pair, source=True, columns=[name for name in every if pair.target.column(name)])
        try:
            with one.transaction():
                count = one_row(one, f"select count(*) from {rows} r where not ({sql})")[0]
        except postgres.driver().OperationalError:
            raise  # of the server or the way to it, not of the mask
        except postgres.driver().Error as error:
            state = postgres.condition(error)
            yield _finding(f"the rule {shown(rule)} of {pair.shown} can't be tried on masked rows: {state}")
            continue
        if count:
            named = ", ".join(shown(name) for name in columns if name in pair.masks)
            said = f"{count} rows of {pair.shown} would not pass the rule {shown(rule)}"
            yield _finding(f"{said} once {named} is masked")
