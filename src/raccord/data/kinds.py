"""The kinds of databases that sets of rows travel between, one module for each, behind one protocol.

Rows go between two databases of one kind. What is decided about them is the same for all: `pairs`, `order`,
`plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from raccord.data import on_postgres, on_sqlite
from raccord.data.difference import Cells, Difference, Key
from raccord.data.job import Job, Moved
from raccord.data.kept import Kept
from raccord.data.leaving import Leaving
from raccord.data.loads import Source
from raccord.data.masks import Salt
from raccord.data.places import one_and_the_same
from raccord.data.plan import Decision
from raccord.data.seen import Seen
from raccord.data.spec import Spec
from raccord.data.without import Without
from raccord.database.tables import Name
from raccord.database.url import POSTGRESQL, SQLITE, Target
from raccord.errors import CannotRun
from raccord.model.handler import Position
from raccord.model.plan import Finding, Json


class Arriving(Protocol):
    """A target of one moment, and rows that would come into it. Nothing is left behind."""

    @property
    def seen(self) -> Seen:
        """What both have of a set."""

    def decided(self) -> tuple[list[Difference], list[Decision]]:
        """How they differ, as well as a push needs to know it, and what it does with each."""

    def referred(self, differs: Iterable[Difference]) -> list[Finding]:
        """Rows outside the set that refer to rows that would go."""


class Look(Arriving, Protocol):
    """Both databases of a set, as of one moment each. Nothing is written."""

    def differences(self, samples: int = 0) -> list[Difference]:
        """How the rows of each table differ.

        Args:
            samples: of how many changed rows of each table the keys are given.
        """

    def differing(self, each: Difference) -> Iterator[tuple[Key, Cells]]:
        """The values that differ, of those rows."""


class Kind(Protocol):
    """What is done with sets of rows in databases of one kind."""

    def looked(self, source: Target, target: Target, spec: Spec, salt: Salt) -> AbstractContextManager[Look]:
        """Looks at both.

        Raises:
            DatabaseError: one can't be read.
        """

    def counted(self, target: Target, spec: Spec) -> dict[str, int]:
        """How many rows of a set a database has, by table."""

    def unreferred(self, target: Target, spec: Spec, wanted: Mapping[str, str]) -> list[Without]:
        """How many rows of a set's tables no row of another table refers to.

        Args:
            wanted: for a table, the one whose rows are to refer to it.
        """

    def carry_out(self, job: Job, source: Target, target: Target) -> None:
        """Pushes, in one transaction; what it overwrites is kept before, and the archive finished.

        Raises:
            WorldMoved: what differs is not what was planned; nothing was changed.
            HeldBack: something stands against it; nothing was changed.
            DatabaseBusy: others kept the tables.
            DatabaseError: the database failed; `position` knows whether it took place.
        """

    def leaving(self, target: Target, spec: Spec) -> AbstractContextManager[Leaving]:
        """One state of a database, from which rows go into files.

        Raises:
            DatabaseError: it can't be read.
        """

    def arriving(
        self, target: Target, spec: Spec, source: Source, say: Callable[[str], object]
    ) -> AbstractContextManager[Arriving]:
        """Looks at rows in files, and at the database that they are to come into.

        Raises:
            RaccordError: one of them can't be used.
        """

    def bring(self, job: Job, source: Source, target: Target) -> None:
        """Brings rows of files into a set. Raises as `carry_out` does, and `Damaged` where the files are not
        what they were."""

    def take_back(self, job: Job, target: Target, archive: str) -> None:
        """Puts back what a push overwrote or removed, and removes what it added.

        Raises:
            WorldMoved: others changed some of it since; nothing was changed.
            RestoreFailed: the archive can't be read.
            HeldBack: something stands against it; nothing was changed.
        """

    def kept(self, job: Job, target: Target, archive: str, also: Collection[Name]) -> Kept:
        """What would come back of what a push kept, whatever others changed since. Nothing is left behind.

        Args:
            also: other tables whose rows come back before.

        Raises:
            WorldMoved: a table is gone, or has other columns by now.
            RestoreFailed: the archive can't be read.
        """

    def put_back(self, job: Job, target: Target, archive: str) -> None:
        """Puts it back. Raises as `carry_out` and `take_back`."""

    def moved(self, job: Job, target: Target, archive: str) -> list[Moved]:
        """What others changed since, of what a push touched."""

    def position(self, job: Job, target: Target, document: Mapping[str, Json], /) -> Position:
        """Whether a push took place whose archive was finished.

        Args:
            document: what the archive says.
        """

    def analyze(self, target: Target, names: Iterable[Name]) -> None:
        """Has statistics gathered."""


KINDS: Mapping[str, Kind] = {
    POSTGRESQL: on_postgres,
    SQLITE: on_sqlite,
}


def kind(source: Target, target: Target) -> Kind:
    """What knows both databases.

    Raises:
        CannotRun: they are of different kinds, or one and the same, or nothing knows them.
    """
    if source.kind != target.kind:
        raise CannotRun(
            f"rows don't travel from {source.shown} to {target.shown}: they are of different kinds",
            hint="name two databases of one kind",
        )
    if source.key == target.key:
        raise one_and_the_same(target)
    return of(target)


def of(target: Target) -> Kind:
    """What knows a database.

    Raises:
        CannotRun: nothing does.
    """
    found = KINDS.get(target.kind)
    if found is None:
        raise CannotRun(f"rows of {target.shown} can't be moved", hint="name a PostgreSQL or SQLite database")
    return found
