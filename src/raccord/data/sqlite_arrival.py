"""Rows that come from files into SQLite: compared with a file, and brought into it as a push is.

They are put into temporary tables of the connection that compares or writes; these vanish with it. Nothing
that a file says becomes SQL: see `loads`.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from raccord.data.container import ANOTHER
from raccord.data.csv_set import FORM
from raccord.data.difference import Difference
from raccord.data.job import Job, alone, refuse, refuse_others
from raccord.data.loads import UNUSED, Load, Loads, Source, There
from raccord.data.loads import seen as met
from raccord.data.pace import Pace
from raccord.data.pairs import Pair
from raccord.data.plan import Decision, decide
from raccord.data.sealing import Damaged
from raccord.data.seen import Seen, joined
from raccord.data.spec import Spec
from raccord.data.sqlite_csv import Csv, exact, loose
from raccord.data.sqlite_look import locked, named_tables, referred, unclosed
from raccord.data.sqlite_push import carry, staged
from raccord.data.sqlite_rows import Row, Unpacked, Unreadable
from raccord.data.sqlite_session import Session, opened, reading, transaction
from raccord.data.sqlite_sql import listed
from raccord.data.sqlite_stage import Stage, compare, gathered, make
from raccord.database import sqlite, tables_sqlite
from raccord.database.tables import Name, identifier
from raccord.database.tables_sqlite import affinity
from raccord.database.url import Target
from raccord.model.plan import Finding
from raccord.model.text import shown


def there(db: sqlite.Connection) -> There:
    """What a file is asked for."""
    return There(lambda: tables_sqlite.listed(db), lambda names: named_tables(db, names))


def seen(two: Session, loads: Loads, spec: Spec) -> Seen:
    """What both the files and the target have of a set."""
    return met(
        there(two.db), loads, spec,
        lambda as_, ours, theirs, refused: joined(
            as_, ours, theirs, [*refused, *unclosed(spec, spec.goal)], UNUSED
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arriving:
    """See `kinds.Arriving`."""

    two: Session
    spec: Spec
    seen: Seen
    loads: Loads
    say: Callable[[str], object]
    _stages: dict[Name, Stage] = field(default_factory=dict)

    def decided(self) -> tuple[list[Difference], list[Decision]]:
        """How the tables differ, and what an import does with each."""
        found = []
        for at, pair in enumerate(self.seen.tables):
            stage = self._stages[pair.id] = make(self.two, pair, at, pair.key)
            rows = _landed(self.two, self.spec, self.loads[pair.id], pair, at, self.say)
            found.append(compare(self.two, self.spec, stage, rows))
        return found, [decide(self.spec, one) for one in found]

    def referred(self, differs: Iterable[Difference]) -> list[Finding]:
        """Rows outside the set that refer to rows that would go."""
        return referred(self.two, self.spec, self.seen, self._stages, differs)


@contextlib.contextmanager
def arriving(target: Target, spec: Spec, source: Source, say: Callable[[str], object]) -> Iterator[Arriving]:
    """See `kinds.Kind`."""
    with reading(target, spec) as (two, _):
        loads = source.loads(there(two.db), spec)
        found = seen(two, loads, spec)
        found = replace(found, hindered=(*locked(target, spec), *found.hindered))
        yield Arriving(two, spec, found, loads, say)


def bring(job: Job, source: Source, target: Target) -> None:
    """See `kinds.Kind`."""
    spec = job.spec
    with alone(job, target), opened(target, spec, job.cancelled) as two, transaction(two, target, spec):
        loads = source.loads(there(two.db), spec)
        found = seen(two, loads, spec)
        refuse((*found.refused, *found.hindered))
        refuse_others(found, job)
        stages = staged(
            job, two, found.tables,
            lambda pair, at: _landed(two, spec, loads[pair.id], pair, at, job.say),
        )  # fmt: skip
        carry(job, two, target, stages, spec.mode)


def _landed(
    two: Session, spec: Spec, load: Load, pair: Pair, number: int, say: Callable[[str], object]
) -> tuple[str, str]:
    """The rows of a file in a temporary table; see `sqlite_stage.gathered`.

    Raises:
        Damaged: they are not those that the file says, or have one key twice.
    """

    def put(goal: str) -> None:
        count = _fed(two, load, pair, goal, say)
        if load.rows >= 0 and count != load.rows:
            raise _damaged(spec, load, pair, f"they are {count}, and not {load.rows}")

    try:
        found = gathered(two, pair, number, put)
    except (Unreadable, UnicodeEncodeError, OverflowError) as error:
        why = str(error) if isinstance(error, Unreadable) else "a value is none of SQLite's"
        raise _damaged(spec, load, pair, why) from None
    # A file may hold what no table with this key would.
    if pair.key:
        keys = listed(pair.key)
        empty = " or ".join(f"{identifier(name)} is null" for name in pair.key)
        if two.number(f"select count(*) from {found[0]} where {empty}"):
            raise _damaged(spec, load, pair, f"a row has no {', '.join(map(shown, pair.key))}")
        same = f"select 1 from {found[0]} group by {keys} having count(*) > 1 limit 1"
        if two.ask(same).fetchone():
            raise _damaged(
                spec, load, pair, f"two rows have the same key ({', '.join(map(shown, pair.key))})"
            )
    return found


def _fed(two: Session, load: Load, pair: Pair, goal: str, say: Callable[[str], object]) -> int:
    """Puts the rows into a table; returns how many."""
    pace = Pace(say, f"loading {pair.shown}", load.rows, load.size)
    names, wanted = listed(pair.columns), [load.columns.index(name) for name in pair.columns]
    all_ = wanted == [*range(len(load.columns))]
    pick = itemgetter(*wanted) if len(wanted) > 1 else lambda row: (row[wanted[0]],)
    count = 0

    def give(rows: Sequence[Row]) -> None:
        nonlocal count
        count += two.put(goal, names, len(wanted), rows if all_ else map(pick, rows))

    reads = _reads(load, pair, give)

    def take(block: bytes) -> None:
        reads.take(block)
        pace.add(len(block))

    load.feed(take)
    reads.end()
    return count


def _reads(load: Load, pair: Pair, give: Callable[[Sequence[Row]], None]) -> Unpacked | Csv:
    if load.form != FORM:
        return Unpacked(len(load.columns), give)
    kinds: list[Callable[[str], Any]] = []
    for name in load.columns:
        column = pair.target.column(name)
        kind = column.type if column else ""
        kinds.append(exact if load.exact else loose(kind, affinity(kind)))
    return Csv(kinds, give)


def _damaged(spec: Spec, load: Load, pair: Pair, why: str) -> Damaged:
    where = shown(load.file) or f"the rows of {pair.shown} in {spec.origin}"
    hint = f"head {shown(shlex.quote(load.file))}" if load.file else ANOTHER
    return Damaged(f"{where}: {why}; nothing was changed", hint=hint)
