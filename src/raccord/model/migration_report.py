"""What the verbs below `raccord migrations` answer with: frozen data as in `report.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raccord.model.plan import Finding, Json


@dataclass(frozen=True, slots=True)
class MigrationOrigin:
    """One place that holds a content of a revision.

    Attributes:
        kind: "archive" (raccord's own store), "worktree", "directory", "index", "ref", "history", "stash",
            "reflog" or "dangling".
        where: a directory, a ref, a stash or a reflog entry.
        path: of the file below that place, or "".
        commit: that brought it, or "".
        author: of that commit, or "".
        time: seconds since the epoch when it was written; 0 where nobody knows.
        said: all of it in one line.
    """

    kind: str
    where: str
    path: str
    commit: str
    author: str
    time: float
    said: str


@dataclass(frozen=True, slots=True)
class MigrationContent:
    """One content of a revision.

    Attributes:
        digest: SHA-256 of its bytes.
        name: the file's base name.
        message: the first line of its docstring.
        parents: ids that it stands on, dependencies included.
        trusted: why it may be put back unasked, or "".
        origins: every place that holds it, in the order of the sources.
        diff: what differs from the first content, where that was asked for.
    """

    digest: str
    name: str
    message: str
    parents: tuple[str, ...]
    trusted: str
    origins: tuple[MigrationOrigin, ...]
    diff: str = ""


@dataclass(frozen=True, slots=True)
class MigrationFind:
    """Where a revision is.

    Attributes:
        revision: its id.
        contents: every content that claims the id.
        searched: what was looked into, a line each.
        notes: what could not be looked at.
    """

    revision: str
    contents: tuple[MigrationContent, ...]
    searched: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationFork:
    """A database that was cloned for one worktree.

    Attributes:
        name: of the PostgreSQL database, or the path of the SQLite file.
        of: the URL of the database that it was made of, without its password.
        owner: the worktree that it was made for; "" where git no longer knows it.
        key: of the chain of revisions that was applied when it was made, contents included.
        made: seconds since the epoch.
        used: whether the worktree uses it.
        ahead: revisions that only the fork has; None where one of the two was not read.
        behind: revisions that only its source has.
        edited: revisions of its chain whose file in the worktree is another one by now, or gone.
    """

    name: str
    of: str
    owner: str
    key: str
    made: float
    used: bool
    ahead: int | None
    behind: int | None
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForkUrl:
    """The URL of one fork.

    Attributes:
        database: the section or engine of alembic's configuration.
        url: as the worktree's own is written, but for the database.
        masked: whether a password was left out.
    """

    database: str
    url: str
    masked: bool


@dataclass(frozen=True, slots=True)
class ForkUrls:
    """The URLs of a worktree's forks."""

    urls: tuple[ForkUrl, ...]


@dataclass(frozen=True, slots=True)
class MigrationSite:
    """One database's history as one worktree has it.

    Attributes:
        worktree: absolute path.
        branch: the short name, or "".
        database: the section or engine of alembic's configuration.
        url: of the database, without its password; "" where it isn't known.
        revisions: how many files.
        heads: of the files.
        applied: the revisions in the version table; None where it was not read.
        missing: ids that the database or a file names and that no file here has.
        pending: revisions that an upgrade to the heads would apply; None where the database was not read.
        findings: what is wrong, each with the next command.
        fork: the worktree's own clone of a database, or that of another one which it uses; None for none.
    """

    worktree: str
    branch: str
    database: str
    url: str
    revisions: int
    heads: tuple[str, ...]
    applied: tuple[str, ...] | None
    missing: tuple[str, ...]
    pending: int | None
    findings: tuple[Finding, ...] = ()
    fork: MigrationFork | None = None


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The migrations of all worktrees at a glance.

    Attributes:
        sites: each database of each worktree.
        next_command: what to type next, or "".
        notes: findings about the whole.
        counts: since the start: "heals", "revisions_copied", of these "by_source", "upgrades" and
            "revisions_applied"; one that is 0 is left out.
    """

    sites: tuple[MigrationSite, ...]
    next_command: str = ""
    notes: tuple[Finding, ...] = ()
    counts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """What the configured command is told of a run in which migrations were put back or applied.

    Attributes:
        repository: the git directory that all worktrees share.
        run: what `show` and `undo` take.
        verb: the command.
        state: see `RunState`.
        by: who asked.
        counts: as in `MigrationStatus`, of this run.
        text: one line for a person.
    """

    repository: str
    run: str
    verb: str
    state: str
    by: str
    counts: Mapping[str, Json]
    text: str


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """One revision of a list, or a line that only draws.

    Attributes:
        art: the columns of the drawn graph.
        id: the revision, "" on a line that only draws.
        message: what it does.
        parents: ids that it stands on.
        marks: "head", "applied", "missing" and the like.
        worktrees: the names of those that have its file.
        refs: other places that have it.
    """

    art: str
    id: str = ""
    message: str = ""
    parents: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    worktrees: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationList:
    """A history of revisions, the newest first.

    Attributes:
        title: what it is of.
        rows: with the drawn graph.
        notes: what could not be read.
    """

    title: str
    rows: tuple[MigrationRow, ...]
    notes: tuple[Finding, ...] = ()
