"""What the `data` verbs answer with; see `report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class DataCell:
    """A value that differs. Long ones are cut, secret ones never shown.

    Attributes:
        column: its name.
        source: as text, null for null.
        target: the same of the other side.
    """

    column: str
    source: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class DataRow:
    """A row that differs.

    Attributes:
        key: its key, as text.
        cells: the values that differ.
    """

    key: tuple[str, ...]
    cells: tuple[DataCell, ...]


@dataclass(frozen=True, slots=True)
class DataTable:
    """How one table differs.

    Attributes:
        table: its name.
        source: how many rows of the set the source has.
        target: how many the target has.
        added: rows that the source alone has.
        changed: rows that differ.
        removed: rows that the target alone has.
        key: the columns that tell rows apart; none where only the whole row does.
        kept: columns that don't travel.
        rows: some of those that differ.
    """

    table: str
    source: int
    target: int
    added: int
    changed: int
    removed: int
    key: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    rows: tuple[DataRow, ...] = ()


@dataclass(frozen=True, slots=True)
class DataDiff:
    """How a set differs between two environments.

    Attributes:
        name: of the set.
        origin: the environment that the rows would come from.
        goal: the one that they would go to.
        source: its database, without its secrets.
        target: that of the other.
        tables: in the order in which they are filled.
        equal: whether nothing differs; null where that is not known.
        refused: what speaks against comparing or pushing, each by name.
        notes: what a person should know.
        next_command: what to type next, or "".
    """

    name: str
    origin: str
    goal: str
    source: str
    target: str
    tables: tuple[DataTable, ...]
    equal: bool | None
    refused: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class DataPush:
    """The last push of a set into an environment.

    Attributes:
        run: its id.
        at: when it ended, in seconds since the epoch.
        by: who asked.
        commit: on which commit the worktree stood, or "".
        mode: how.
        origin: the environment that the rows came from.
        added: rows.
        changed: rows.
        removed: rows.
        undone_by: the run that took it back, or "".
    """

    run: str
    at: float
    by: str
    commit: str
    mode: str
    origin: str
    added: int
    changed: int
    removed: int
    undone_by: str = ""


@dataclass(frozen=True, slots=True)
class DataWithout:
    """The rows of a table that no row of another refers to.

    Attributes:
        table: its name.
        other: the one that is to refer to it.
        rows: how many; null where that can't be said.
        why: it can't, or "".
    """

    table: str
    other: str
    rows: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class DataStanding:
    """Where one set stands in one environment.

    Attributes:
        name: of the set.
        environment: where.
        rows: how many rows each table has there.
        push: the last one, or null.
        unread: why its database was not read, or "".
        hint: what to type about that.
        without: the rows of its tables that others have nothing for.
    """

    name: str
    environment: str
    rows: Mapping[str, int]
    push: DataPush | None = None
    unread: str = ""
    hint: str = ""
    without: tuple[DataWithout, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingHook:
    """A hook after a push that was not answered as it is to be. The push stands.

    Attributes:
        name: of the hook.
        environment: where it is called.
        run: the run of the push.
        unknown: whether it was sent, and may have run.
        why: what came of it.
        next_command: what calls it again.
    """

    name: str
    environment: str
    run: str
    unknown: bool
    why: str
    next_command: str


@dataclass(frozen=True, slots=True)
class DataStatus:
    """What is where.

    Attributes:
        sets: each set in each environment.
        pending: hooks that wait.
        next_command: what to type next, or "".
    """

    sets: tuple[DataStanding, ...]
    next_command: str = ""
    pending: tuple[PendingHook, ...] = ()


@dataclass(frozen=True, slots=True)
class DataExportTable:
    """One table that was exported.

    Attributes:
        table: its name.
        rows: how many; -1 where nobody counted yet.
        size: of its rows in bytes, packed; 0 before they are written.
        file: the file that holds it alone, or "".
        masked: columns whose values were sent in place of others, and by which masks.
    """

    table: str
    rows: int
    size: int = 0
    file: str = ""
    masked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataExport:
    """A set that was written into files, or would be.

    Attributes:
        name: of the set.
        origin: the environment that the rows come from.
        source: its database, without its secrets.
        path: the archive, or the folder of CSV files.
        tables: in the order in which they are filled.
        form: "archive" or "csv".
        sealed: "none", "passphrase" or "age".
        secret: columns in it that may hold secrets.
        resumed: how many tables an earlier, cut off call had written.
        size: of all files in bytes.
        sha256: tells the archive apart from every other; "" for CSV files.
        masked: whether what may hold secrets or personal data by its name is masked, as a pull does.
        dry_run: whether nothing was written.
        notes: what a person should know.
        next_command: what to type next, or "".
        run: what the journal knows it by, "" where nothing was written.
    """

    name: str
    origin: str
    source: str
    path: str
    tables: tuple[DataExportTable, ...]
    form: str
    sealed: str
    secret: tuple[str, ...] = ()
    resumed: int = 0
    size: int = 0
    sha256: str = ""
    masked: bool = False
    dry_run: bool = False
    notes: tuple[Finding, ...] = ()
    next_command: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class DataBackup:
    """Rows that a run kept before it overwrote them.

    Attributes:
        run: its id.
        verb: what it did.
        id: of what it kept.
        name: of the set.
        environment: whose rows they are.
        at: when it began, in seconds since the epoch.
        until: when `raccord gc` may drop it at the earliest, likewise.
        rows: how many were kept; rows that were added count none.
        size: in bytes.
        tables: that it touched.
        by: who asked.
        undone_by: the run that took it back, or "".
        unread: why it can't be read, or "".
    """

    run: str
    verb: str
    id: str
    name: str
    environment: str
    at: float
    until: float
    rows: int = 0
    size: int = 0
    tables: tuple[str, ...] = ()
    by: str = ""
    undone_by: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class DataBackups:
    """Which rows are kept.

    Attributes:
        backups: newest first.
        keep_last: how many of the newest runs are kept, however old they are.
    """

    backups: tuple[DataBackup, ...]
    keep_last: int
