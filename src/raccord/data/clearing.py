"""Frees unique values that rows exchange: each becomes null, until its row gets the new one.

So rows can be put before others go even where they trade places. Not where a value takes no null, where nulls
are equal to the index, or where other rows refer to it.
"""

from __future__ import annotations

from raccord.data.scope import relation
from raccord.data.stage import Stage, run
from raccord.database import postgres
from raccord.database.tables import Unique, identifier


def clear(db: postgres.Connection, stage: Stage) -> None:
    """Frees those of a table's rows that change and that go."""
    pair = stage.pair
    if stage.pour or not pair.key:
        return
    for unique in pair.target.uniques:
        name = _free(stage, unique)
        if not name:
            continue
        of, said = relation(pair), f"{identifier(name)} = null"
        moves = " or ".join(
            f"t.{identifier(one)} is distinct from p.{identifier(one)}"
            for one in unique.columns
            if one in stage.sets
        )
        run(db, f"update {of} t set {said} from {stage.put} p where {stage.match} and ({moves})")
        run(db, f"update {of} t set {said} from {stage.gone} g where {stage.goes}")


def _free(stage: Stage, unique: Unique) -> str:
    """A column of an index that may be null for a while, or ""."""
    pair = stage.pair
    held = {name for one in pair.target.referred for name in one.refs}
    if unique.nulls or held & {*unique.columns}:
        return ""
    own = {*pair.key, *held}
    return next(
        (
            name
            for name in unique.columns
            if name in stage.sets and name not in own and pair.column(name).nullable
        ),
        "",
    )
