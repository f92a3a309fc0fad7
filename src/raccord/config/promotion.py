"""The keys of what travels between environments: declared as those of `config.keys` are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raccord.config.kinds import (
    CLOSURE,
    COMMAND,
    CONTAINER,
    ENDPOINT,
    HIDDEN,
    HOST,
    LOGIN,
    MASKS,
    NAMES,
    PATTERNS,
    PREFIX,
    SECRET,
    STORE,
    TEXT,
    TEXTS,
    TRUTH,
    Secret,
    choice,
    key,
    whole,
)

ROW_MODES = ("replace", "insert", "upsert", "mirror")
OBJECT_MODES = ("insert", "upsert", "mirror")


@dataclass(frozen=True, slots=True)
class Environment:
    """A named place, such as dev or prod, with a database, an object store, or both."""

    database: Secret | None = key(
        None,
        SECRET,
        "The URL of its database, or where it comes from; a relative file starts at the worktree.",
    )
    objects: str = key(
        "",
        STORE,
        "Its object store: a bucket, or part of one, or a directory; with `ssh` a directory on that host.",
    )
    objects_endpoint: str = key(
        "",
        ENDPOINT,
        "The server of the bucket; that of AWS where it is empty. With `ssh` an address such as localhost is "
        "meant as seen from there.",
    )
    objects_region: str = key("us-east-1", TEXT, "The region of the bucket.")
    objects_key_id: Secret | None = key(
        None, HIDDEN, "Where the id of the key comes from; without one the bucket is asked as a stranger."
    )
    objects_key: Secret | None = key(None, HIDDEN, "Where the secret key itself comes from.")
    objects_token: Secret | None = key(
        None, HIDDEN, "Where the session token of a temporary key comes from.", '"env:AWS_SESSION_TOKEN"'
    )
    ssh: Secret | None = key(
        None,
        HOST,
        "The host that it is reached through: its database, hooks, and a directory of objects are meant as "
        "seen from there.",
    )
    ssh_user: Secret | None = key(
        None, LOGIN, "Who logs in there; the one that `ssh` or ssh's own configuration says by default."
    )
    ssh_password: Secret | None = key(
        None, HIDDEN, "Where the password comes from; keys and agents need none.", '"env:VPS_PASSWORD"'
    )
    ssh_config: str = key(
        "", TEXT, "Another configuration file of ssh's than its own two.", '"~/vagrant-ssh-config"'
    )
    container: str = key(
        "",
        CONTAINER,
        "The container that its database is in, on that host or here: the database's host is meant as seen "
        "from within.",
    )
    container_program: tuple[str, ...] = key(
        ("docker",),
        COMMAND,
        "The program that knows the container, called as docker is.",
        '["sudo", "-n", "docker"]',
    )
    protected: bool = key(
        False, TRUTH, "Whether its name has to be typed, or given by `--yes-to`, before it is changed."
    )


@dataclass(frozen=True, slots=True)
class DataSet:
    """A set of tables whose rows travel together from one environment to another."""

    tables: tuple[str, ...] = key(
        (),
        PATTERNS,
        "The tables, as names or patterns, with their schema or without; a pattern leaves out Alembic's "
        "version table and outboxes.",
        '["knowledge_*", "templates"]',
    )
    from_: str = key("dev", TEXT, "The environment that the rows come from.", '"dev"')
    mode: str = key(
        "replace",
        choice(*ROW_MODES),
        "`replace` and `mirror` make the target equal, `mirror` moving no more than what differs; `upsert` "
        "removes nothing; `insert` only adds, and overwrites nothing.",
    )
    where: Mapping[str, str] = key(
        {}, TEXTS, "For a table, the SQL condition of the rows that belong to the set, on both sides."
    )
    closure: bool | str = key(
        False,
        CLOSURE,
        'Whether rows that `where` leaves out travel too where rows that travel refer to them; `"all"` for '
        "those of tables outside the set as well.",
    )
    exclude: tuple[str, ...] = key(
        (),
        PATTERNS,
        "Columns that don't travel, as table.column; the target keeps what it has.",
        '["users.note"]',
    )
    mask: Mapping[str, str] = key(
        {},
        MASKS,
        "For a column, as table.column, what is sent in its place: `mask:` and one of `date`, `email`, "
        "`fixed=TEXT`, `hash`, `ip`, `keep-domain`, `name`, `null` and `phone`, or `none` for the value "
        "itself; or SQL.",
        """{ "users.email" = "mask:email", "users.note" = "'note ' || id" }""",
    )
    secrets: str = key(
        "exclude",
        choice("exclude", "include"),
        "Whether columns whose names say that they hold secrets travel; for those that `exclude` or "
        "`mask` names it is no question.",
    )
    triggers: str = key(
        "refuse",
        choice("refuse", "fire", "skip"),
        "What happens where the target has triggers: nothing is pushed, they fire, or they are switched off "
        "within the transaction, which only the table's owner may do; SQLite's are dropped and made again.",
    )
    swap: bool = key(
        True,
        TRUTH,
        "Whether large tables may be filled aside and exchanged for the old ones, for which readers wait a "
        "moment.",
    )
    lock_seconds: int = key(10, whole(1, "seconds"), "How long a push waits for others who use the tables.")
    statement_seconds: int = key(
        3600, whole(0, "seconds"), "How long one statement may take; 0 for as long as it likes."
    )
    without: Mapping[str, str] = key(
        {},
        TEXTS,
        "For a table, another whose rows refer to it: `raccord data status` counts rows of the first that "
        "none of the second refers to.",
        '{ knowledge_base = "knowledge_base_chunks" }',
    )
    before: tuple[str, ...] = key(
        (), NAMES, "Hooks that run in the target before a push; one that fails stops it.", '["freeze"]'
    )
    after: tuple[str, ...] = key(
        (),
        NAMES,
        "Hooks that run in the target after a push; one that fails stays pending.",
        '["web-crawler"]',
    )


@dataclass(frozen=True, slots=True)
class FileSet:
    """A set of objects that travel together from one environment's object store to another's."""

    prefix: str = key("", PREFIX, "Where they begin, in both stores; all of them where it is empty.")
    only: tuple[str, ...] = key(
        (),
        PATTERNS,
        "Which of them, as patterns like the lines of a .gitignore, relative to the prefix.",
        '["*.pdf", "!drafts/"]',
    )
    private: tuple[str, ...] = key(
        (),
        PATTERNS,
        "Which of them no pull brings to the environment that the set comes from, as patterns like those of "
        "`only`.",
        '["invoices/", "*.key"]',
    )
    from_: str = key("dev", TEXT, "The environment that the objects come from.", '"dev"')
    mode: str = key(
        "insert",
        choice(*OBJECT_MODES),
        "`insert` only adds, and tells what differs; `upsert` overwrites what differs too; `mirror` also "
        "removes what the source has not, where `--delete` is given.",
    )
    keep: str = key(
        "trash",
        choice("trash", "versions"),
        "How what a push overwrites or removes is kept for undo: `trash` copies it below `.raccord-trash`; "
        "`versions` copies nothing and relies on a bucket with versioning, for as long as that keeps them.",
    )
    before: tuple[str, ...] = key((), NAMES, "As in a data set.", '["freeze"]')
    after: tuple[str, ...] = key((), NAMES, "As in a data set.", '["web-crawler"]')


@dataclass(frozen=True, slots=True)
class Profile:
    """Sets that `raccord promote` takes to an environment in one run: objects first, then rows."""

    files: tuple[str, ...] = key((), NAMES, "The file sets, in this order.", '["web-files"]')
    data: tuple[str, ...] = key((), NAMES, "The data sets, in this order, after the files.", '["web"]')
    modes: Mapping[str, str] = key(
        {},
        TEXTS,
        "For a set, as data.NAME or files.NAME, another mode than its own.",
        '{ "data.web" = "upsert" }',
    )
    before: tuple[str, ...] = key((), NAMES, "Hooks before all those of its sets.", '["freeze"]')
    after: tuple[str, ...] = key((), NAMES, "Hooks after all those of its sets.", '["web-crawler"]')
