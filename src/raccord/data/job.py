"""A push that is carried out, whatever the kind of its databases; one at a time into each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.data.difference import HIDDEN, Difference, cut
from raccord.data.keeping import Shelf
from raccord.data.pairs import Pair, hidden
from raccord.data.plan import Counts, Expected, relevant
from raccord.data.seen import Seen
from raccord.data.spec import Spec
from raccord.database.lock import Held, lock
from raccord.database.tables import Name, Table, label
from raccord.database.url import Target
from raccord.errors import HeldBack, WorldMoved
from raccord.model.plan import Finding, Json
from raccord.model.text import grouped, several, shown

NAMED = 3  # rows that a refused undo names of each table
LOCK = "raccord data"  # of the advisory lock on the target
LOCKS = "databases"  # below raccord's own folder: SQLite's lock files


@dataclass(frozen=True, slots=True)
class Job:
    """What is carried out.

    Attributes:
        state: raccord's own folder.
        id: of the archive that keeps what is overwritten.
        expected: what must be found in each table.
        wait: seconds to wait for another push.
        cancelled: whether a person interrupted.
        conditions: those of the set as it is configured now, by what tells one from another.
    """

    spec: Spec
    state: Path
    id: str
    expected: Mapping[Name, Expected]
    wait: float = 60.0
    say: Callable[[str], None] = field(default=lambda text: None)
    cancelled: Callable[[], bool] = field(default=lambda: False)
    conditions: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shelf(self) -> Shelf:
        """Where archives are."""
        return Shelf.below(self.state)


@contextlib.contextmanager
def alone(job: Job, target: Target) -> Iterator[Held]:
    """Excludes other pushes into a database, as long as the connection that holds the lock lives.

    Whether it still does is to be asked before the commit: afterwards it no longer matters.
    """
    folder = job.state / LOCKS
    with lock(target, folder, version_table=LOCK, schema="", wait=job.wait, waiting=_waiting(job)) as held:
        yield held


def _waiting(job: Job) -> Callable[[str], None]:
    return lambda holder: job.say(f"waiting for {holder}")


def refuse(against: Sequence[Finding]) -> None:
    """Goes on only where nothing speaks against it.

    Raises:
        HeldBack: something does.
    """
    if against:
        raise HeldBack(against[0].message, hint=against[0].hint, finding=against[0].name)


def refuse_others(seen: Seen, job: Job) -> None:
    """Refuses a set of other tables than were planned with.

    Raises:
        WorldMoved: they are others.
    """
    names = {pair.id for pair in seen.tables}
    if names != set(job.expected):
        other = ", ".join(label(name) for name in sorted(names ^ set(job.expected)))
        raise WorldMoved(
            f"the tables of the set are others by now: {other}",
            hint=f"raccord data diff {job.spec.name} --to {job.spec.goal}",
        )


def moved_on(job: Job, pair: Pair) -> WorldMoved:
    """Says that a table is no longer what was planned with."""
    return WorldMoved(
        f"the rows of {pair.shown} are no longer those that were planned with",
        hint=job.spec.again,
    )


def refuse_moved(job: Job, one: Difference) -> None:
    """Refuses other numbers of rows than were planned.

    Raises:
        WorldMoved: they are others by now.
    """
    planned, now = job.expected[one.pair.id].counts, relevant(job.spec, one)
    if planned != now:
        raise WorldMoved(
            f"{one.pair.shown} was planned with {_said(planned)}, and by now it is {_said(now)}",
            hint=job.spec.again,
        )


def _said(counts: Counts) -> str:
    return (
        f"{several(counts[0], 'row')} to add, {grouped(counts[1])} to change, {grouped(counts[2])} to remove"
    )


def conclude(job: Job, target: Target, parts: Sequence[Mapping[str, Json]], **known: Json) -> None:
    """Writes the archive's document; what comes next is the commit.

    Args:
        known: what tells later whether that took place.
    """
    job.shelf.finish(
        job.id,
        {
            "database": target.key,
            "environment": job.spec.goal,
            "set": job.spec.name,
            **known,
            "tables": [dict(one) for one in parts],
        },
    )


class Referred(HeldBack):
    """Rows that would go are referred to by others, which a delete would hit."""


@dataclass(slots=True)
class Changed:
    """What became of one table: how many rows were added, changed, removed, and left out with the reason."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of a table are not as a push left them.

    Attributes:
        keys: of a few of them, for a person; a secret one hidden.
    """

    table: str
    rows: int
    keys: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """All of it in one line."""
        named = ", ".join(self.keys)
        more = f" and {self.rows - len(self.keys)} more" if self.keys and self.rows > len(self.keys) else ""
        return f"{several(self.rows, 'row')} of {self.table}" + (f" ({named}{more})" if named else "")


def key_of(pair: Pair, values: Iterable[str]) -> str:
    """A row's key for a person."""
    said = []
    for name, value in zip(pair.key, values, strict=True):
        said.append(f"{name} {HIDDEN if hidden(pair, name) else cut(value)}")
    return shown(" ".join(said))


def archived(tables: Mapping[Name, Table], said: Mapping[str, Json], conditions: Mapping[str, str]) -> Pair:
    """A table as an archive has it.

    Args:
        conditions: see `Job`.

    Raises:
        WorldMoved: it is gone, has other columns by now, or takes a condition that is another by now.
    """
    name = (said["table"][0], said["table"][1])
    table = tables.get(name)
    types = dict(zip(said["columns"], said["types"], strict=True))
    if table is None:
        raise WorldMoved(f"the table {label(name)} is gone")
    now = {column: found.type for column in whole(table) if (found := table.column(column))}
    if now != types:
        other = ", ".join(
            sorted(name for name in now.keys() | types.keys() if now.get(name) != types.get(name))
        )
        raise WorldMoved(f"the columns of {label(name)} are others by now: {other}")
    kept = tuple(column for column in said["columns"] if column not in said["sets"])
    return Pair(
        table, table, tuple(said["sets"]), kept, tuple(said["key"]),
        _condition(said, conditions), binary=said["binary"],
    )  # fmt: skip


def _condition(said: Mapping[str, Json], conditions: Mapping[str, str]) -> str:
    """Which rows of a table an archive is about, where neither a key nor all that is in them tells that.

    An archive says of a condition only what tells it from another: values stand in it.
    """
    if not said["where"] or said["key"] or {*said["sets"]} == {*said["columns"]}:
        return ""
    if said["where"] not in conditions:
        name = label((said["table"][0], said["table"][1]))
        raise WorldMoved(
            f"the rows of {name} have no key, and their where is another by now",
            hint="set where in raccord.toml to what it was",
        )
    return conditions[said["where"]]


def whole(table: Table) -> tuple[str, ...]:
    """All columns of a row that can be written."""
    return tuple(column.name for column in table.columns if not column.generated)


def names_of(document: Mapping[str, Json]) -> list[Name]:
    """The tables of an archive."""
    return [(str(said["table"][0]), str(said["table"][1])) for said in document["tables"]]
