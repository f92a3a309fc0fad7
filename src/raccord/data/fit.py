"""Tries on the source, before anything travels, whether values fit: those that masks make, and the numbers of
large objects, which stay behind. Writes nothing.

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
from raccord.model.language import Sentence, counted, sentence
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
    """What speaks against some tables' masks, and against values that mean nothing elsewhere, by name."""
    found: list[Finding] = []
    for pair in pairs:
        found += _objects(one, pair)
        if pair.masks:
            values = [*_values(one, pair)]
            found += values or [*_same(one, pair), *_checked(one, two, pair)]
    return found


def _objects(one: postgres.Connection, pair: Pair) -> Iterator[Finding]:
    """Columns whose values name large objects: their contents lie elsewhere, and don't travel with a row.

    Who knows that the other server has them too says so by a mask, such as the column's own name.
    """
    for name in pair.columns:
        if pair.column(name).binary != "oid" or name in pair.masks or pair.brought:
            continue
        rows = scope(pair, source=True, columns=[name])
        known = f"select from pg_largeobject_metadata m where m.oid = r.{identifier(name)}"
        count = one_row(one, f"select count(*) from {rows} r where exists ({known})")[0]
        if count:
            said = Sentence(
                counted(
                    "{number} rows of {column} name large objects, which don't travel",
                    "{number} rows of {column} name large objects, which don't travel",
                    number=int(str(count)),
                    column=f"{pair.shown}.{name}",
                )
            )
            hint = sentence(
                'exclude = ["{column}"], or keep such values in a column bytea', column=f"{pair.shown}.{name}"
            )
            yield Finding("data.objects", "fail", said, hint)


def _finding(said: Sentence) -> Finding:
    return Finding("data.mask", "fail", said, sentence("choose another mask, or exclude the column"))


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
            said = sentence(
                "what masks {column} makes no {type}: {why}",
                column=f"{pair.shown}.{name}",
                type=shown(column.type),
                why=state,
            )
            yield _finding(said)
            continue
        if most and row[1]:
            said = Sentence(
                counted(
                    "what masks {column} is longer than its {most} characters in {number} rows",
                    "what masks {column} is longer than its {most} characters in {number} rows",
                    column=f"{pair.shown}.{name}",
                    most=most,
                    number=int(str(row[1])),
                )
            )
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
            said = sentence(
                "{count} rows of {table} would get one {columns}, which is unique",
                count=str(count),
                table=pair.shown,
                columns=[*map(shown, unique.columns)],
            )
            yield _finding(said)


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
            said = sentence(
                "the rule {rule} of {table} can't be tried on masked rows: {why}",
                rule=shown(rule),
                table=pair.shown,
                why=state,
            )
            yield _finding(said)
            continue
        if count:
            said = Sentence(
                counted(
                    "{number} rows of {table} would not pass the rule {rule} once {columns} is masked",
                    "{number} rows of {table} would not pass the rule {rule} once {columns} is masked",
                    number=int(str(count)),
                    table=pair.shown,
                    rule=shown(rule),
                    columns=[shown(name) for name in columns if name in pair.masks],
                )
            )
            yield _finding(said)
