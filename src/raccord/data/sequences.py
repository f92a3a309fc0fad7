"""Moves sequences on behind the numbers that rows came with. They never go back."""

from __future__ import annotations

from collections.abc import Sequence

from raccord.data.stage import Stage, one_row
from raccord.database import postgres
from raccord.database.tables import identifier


def moves(db: postgres.Connection, stages: Sequence[Stage]) -> list[str]:
    """What moves the sequences of some tables on, so that none gives a number again that a row came with.

    Returns:
        Statements: no rollback takes them back, so they are run last.
    """
    found = []
    for stage in stages:
        for name in stage.columns:
            column = stage.pair.column(name)
            if column.sequence is None or not column.counted:
                continue
            seq, of = identifier(*column.sequence), identifier(name)
            step, least, most = one_row(
                db,
                "select seqincrement, seqmin, seqmax from pg_sequence"
                f" where seqrelid = {_literal(seq)}::regclass",
            )
            end, behind = ("max", "<") if int(str(step)) > 0 else ("min", ">")
            # Numbers that it can never give are in nobody's way.
            within = f"{of} between {least} and {most}"
            reached = one_row(db, f"select {end}({of}) filter (where {within})::bigint from {stage.put}")[0]
            if reached is None:
                continue
            # Others draw from it without a lock on the table: how far it is is asked when it is moved.
            last = f"s.last_value {behind} {reached} or s.last_value = {reached} and not s.is_called"
            found.append(f"select setval({_literal(seq)}, {reached}) from {seq} s where {last}")
    return found


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
