"""Frees unique values that rows exchange: each is another for a while, until its row gets the new one.

So rows can be put before others go even where they trade places. What stands there meanwhile is null, or,
where that can't be, a value that nobody has; not where other rows refer to it.
"""

from __future__ import annotations

from raccord.data.scope import relation
from raccord.data.stage import Stage, run
from raccord.database import postgres
from raccord.database.tables import Column, Unique, identifier

# As wide as 60 bits of chance, below all that people count with.
_WIDE = "-(('x' || left(md5(gen_random_uuid()::text), 15))::bit(60)::bigint)"
_CHANCE = {
    "int4": "-(('x' || left(md5(gen_random_uuid()::text), 7))::bit(28)::int)",
    "int8": _WIDE,
    "text": "gen_random_uuid()::text",
    "uuid": "gen_random_uuid()",
}


def clear(db: postgres.Connection, stage: Stage) -> None:
    """Frees those of a table's rows that change and that go."""
    pair = stage.pair
    if stage.pour or not pair.key:
        return
    for unique in pair.target.uniques:
        name, other = _free(stage, unique)
        if not name:
            continue
        of, said = relation(pair), f"{identifier(name)} = {other}"
        moves = " or ".join(
            f"t.{identifier(one)} is distinct from p.{identifier(one)}"
            for one in unique.columns
            if one in stage.sets
        )
        run(db, f"update {of} t set {said} from {stage.put} p where {stage.match} and ({moves})")
        run(db, f"update {of} t set {said} from {stage.gone} g where {stage.goes}")


def _free(stage: Stage, unique: Unique) -> tuple[str, str]:
    """A column of an index, and what may stand in it for a while; ("", "") where nothing may."""
    pair = stage.pair
    held = {name for one in pair.target.referred for name in one.refs}
    # Nulls are equal to one index or another.
    alike = {name for one in pair.target.uniques if one.nulls for name in one.columns}
    for name in unique.columns:
        if name in stage.sets and name not in {*pair.key, *held}:
            said = _meanwhile(pair.column(name), nulls=name in alike)
            if said:
                return name, said
    return "", ""


def _meanwhile(column: Column, *, nulls: bool) -> str:
    if column.nullable and not nulls:
        return "null"
    return _CHANCE.get(column.binary, "")
