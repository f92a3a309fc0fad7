"""Every key of the configuration, declared once: its default, what it takes and what it is for.

The check of a value, `raccord init` and the reference page all come from here.
"""

from __future__ import annotations

import dataclasses
import keyword
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raccord.config.coordination import Channel, Coordination
from raccord.config.hooks import Hook
from raccord.config.kinds import (
    COMMAND,
    COMMANDS,
    FILE,
    GLOBS,
    LANGUAGE,
    PATTERNS,
    PLACES,
    TEXT,
    VARIABLES,
    Kind,
    choice,
    key,
    whole,
)
from raccord.config.promotion import DataSet, Environment, FileSet, Profile

Command = tuple[str, ...]

LOCK_FILES = (
    "**/package-lock.json",
    "**/pnpm-lock.yaml",
    "**/poetry.lock",
    "**/requirements*.txt",
    "**/uv.lock",
    "**/yarn.lock",
)


@dataclass(frozen=True, slots=True)
class Sync:
    """How worktrees are brought in step."""

    base: str = key("", TEXT, "The branch to replay on; the remote's default branch where it is empty.")
    remote: str = key(
        "",
        TEXT,
        "The remote that has the base and takes the pushes; where it is empty, origin, else the only one. A "
        "branch's pushRemote and remote.pushDefault of git's own configuration say where else to push.",
        '"origin"',
    )
    jobs: int = key(0, whole(0, "worktrees"), "How many worktrees are worked on at once; 0 for one per core.")
    protected: tuple[str, ...] = key(
        ("main", "master", "develop", "prod", "production", "release/*"),
        PATTERNS,
        "Branches that are never pushed with force, and that follow only their own remote branch.",
    )
    fetch_reuse_seconds: int = key(
        5, whole(0, "seconds"), "A fetch younger than this is not made again, whoever made it."
    )
    lock_wait_seconds: int = key(
        300, whole(0, "seconds"), "How long to wait for another run that holds the same worktree."
    )


@dataclass(frozen=True, slots=True)
class Gates:
    """What must pass before a branch is pushed. Commands run in the branch's worktree, without a shell."""

    commands: tuple[Command, ...] | None = key(
        None,
        COMMANDS,
        "The tests to run, in order; where this is left out, what the project's files ask for. An empty list "
        "means that there are none.",
    )
    timeout_seconds: int = key(
        3600, whole(0, "seconds"), "How long one command may run; 0 for as long as it likes."
    )
    environment: tuple[str, ...] = key(
        (),
        VARIABLES,
        "Variables that change what the tests do: a result is reused only where they are the same.",
    )
    artefacts: tuple[str, ...] = key(
        (),
        GLOBS,
        "Untracked files that the commands leave behind and that may be removed after them.",
        '["*.pyc", "coverage.xml", "reports/**"]',
    )
    setup: tuple[Command, ...] = key(
        (),
        COMMANDS,
        "Commands that run before the tests where the replay changed a file of `setup_when`.",
        '[["npm", "ci"]]',
    )
    setup_when: tuple[str, ...] = key(
        LOCK_FILES,
        GLOBS,
        "The lock files whose change calls for `setup`.",
    )


@dataclass(frozen=True, slots=True)
class Migrations:
    """Where Alembic's revisions are looked for, and which of them may be put back without being asked."""

    backend: str = key(
        "",
        TEXT,
        "The folder that alembic is run in, or its configuration file, relative to a worktree; looked for "
        "where it is empty.",
        '"backend"',
    )
    outside: tuple[str, ...] = key(
        (),
        PLACES,
        "Directories that git does not list as worktrees and that hold migrations too; ~ is your home.",
        '["~/Project-*"]',
    )
    command: tuple[str, ...] | None = key(
        None,
        COMMAND,
        "What runs alembic, in the folder of its configuration; where this is left out, the Python of "
        "`.venv` or `venv` there or at the worktree's top, else the `alembic` on your PATH.",
        '["uv", "run", "alembic"]',
    )
    trusted_remote: str = key(
        "",
        TEXT,
        "The remote whose revisions may be put back unasked; where it is empty, origin, else the only one.",
    )
    in_sync: str = key(
        "local",
        choice("off", "heal", "local", "upgrade"),
        "What `raccord sync` does after a replay: nothing; put back what is missing; also apply what the "
        "base brings, to databases on this machine (a file, a socket, localhost); or to all databases.",
    )


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of runs in which migrations were put back or applied."""

    command: tuple[str, ...] | None = key(
        None,
        COMMAND,
        "Runs at the end of such a run, without a shell and for 10 seconds at most, and gets one line of "
        "JSON on its standard input: the kind `notice` of the JSON contract.",
        '["./scripts/post-to-chat.sh"]',
    )


@dataclass(frozen=True, slots=True)
class Lint:
    """What `raccord migrations lint` asks of revisions."""

    off: tuple[str, ...] = key(
        (),
        PATTERNS,
        "Rules that are not applied; `*` stands for any part of a name.",
        '["lock-*", "squawk:*"]',
    )
    notes: tuple[str, ...] = key(
        (), PATTERNS, "Rules whose findings are told, and fail nothing.", '["several-changes"]'
    )
    baseline: str = key(
        "raccord-lint.json", FILE, "The file of findings that were there before, relative to a worktree."
    )
    squawk: tuple[str, ...] | None = key(
        None,
        COMMAND,
        "What runs squawk, which reads the SQL that the project's alembic prints for a PostgreSQL database; "
        "where this is left out, the `squawk` on your PATH. To run neither, turn `squawk:*` off.",
        '["npx", "squawk-cli"]',
    )


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How long backups are kept; `raccord gc` drops what is both older and beyond the newest."""

    keep_days: int = key(30, whole(0, "days"), "Backups younger than this are always kept.")
    keep_last: int = key(
        20,
        whole(0, "backups"),
        "So many of the newest snapshots of each worktree, and of the newest runs, are kept however old.",
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration.

    Attributes:
        source: the file that the values came from; "" where all are defaults.
    """

    language: str = key(
        "",
        LANGUAGE,
        "The language of findings and reports; where it is empty, that of your system (LC_ALL, LC_MESSAGES, "
        "LANG) if raccord speaks it, else English.",
        '"fr"',
    )
    sync: Sync = dataclasses.field(default_factory=Sync)
    gates: Gates = dataclasses.field(default_factory=Gates)
    migrations: Migrations = dataclasses.field(default_factory=Migrations)
    lint: Lint = dataclasses.field(default_factory=Lint)
    notify: Notify = dataclasses.field(default_factory=Notify)
    coordination: Coordination = dataclasses.field(default_factory=Coordination)
    snapshots: Snapshots = dataclasses.field(default_factory=Snapshots)
    environments: Mapping[str, Environment] = dataclasses.field(default_factory=dict)
    data: Mapping[str, DataSet] = dataclasses.field(default_factory=dict)
    files: Mapping[str, FileSet] = dataclasses.field(default_factory=dict)
    channels: Mapping[str, Channel] = dataclasses.field(default_factory=dict)
    profiles: Mapping[str, Profile] = dataclasses.field(default_factory=dict)
    hooks: Mapping[str, Hook] = dataclasses.field(default_factory=dict)
    source: str = ""


SECTIONS: dict[str, type] = {
    "sync": Sync,
    "gates": Gates,
    "migrations": Migrations,
    "lint": Lint,
    "notify": Notify,
    "coordination": Coordination,
    "snapshots": Snapshots,
}
# Sections of which there may be several, each with a name of its own: [data.knowledge].
NAMED: dict[str, type] = {
    "environments": Environment,
    "data": DataSet,
    "files": FileSet,
    "profiles": Profile,
    "hooks": Hook,
    "channels": Channel,
}
EXAMPLES = {
    "environments": "dev",
    "data": "knowledge",
    "files": "web-files",
    "profiles": "web-sources",
    "hooks": "web-crawler",
    "channels": "team",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One declared key, as documentation and checks see it.

    Attributes:
        section: "" for a key that stands above all sections.
    """

    section: str
    name: str
    default: Any
    kind: Kind
    doc: str
    example: str

    @property
    def dotted(self) -> str:
        """The name with its section: "sync.base"."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def field(self) -> str:
        """The name of its attribute: `from` is a word of Python's."""
        return f"{self.name}_" if self.name in keyword.kwlist else self.name


def keys() -> Iterator[Key]:
    """Every declared key: those above all sections, then section by section."""
    for section, cls in {"": Config, **SECTIONS, **NAMED}.items():
        for spec in dataclasses.fields(cls):
            if meta := spec.metadata:
                name = spec.name.rstrip("_")
                yield Key(section, name, meta["default"], meta["kind"], meta["doc"], meta["example"])
