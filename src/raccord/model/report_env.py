"""What the `env` verbs answer with; see `report`."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class EnvironmentEntry:
    """An environment, as the configuration has it; nothing was asked.

    Attributes:
        name: of it.
        protected: whether its name has to be given before it is changed.
        host: the host that it is behind, or where that comes from; "" for this machine.
        container: the name of the container, or the filter, or "".
        database: its URL without secrets, or where that comes from, or "".
        objects: the URL of its object store, or "".
    """

    name: str
    protected: bool
    host: str = ""
    container: str = ""
    database: str = ""
    objects: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentCheck:
    """Whether the parts of an environment can be reached.

    Attributes:
        name: of it.
        passed: whether all can be.
        findings: one for each part: host, container, database, objects.
    """

    name: str
    passed: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentRun:
    """A command that was run where an environment is.

    Attributes:
        name: of the environment.
        place: where it was run.
        command: as a shell would take it.
        status: what it ended with; null where it was not run.
        stdout: what it said, where that was not passed on.
        stderr: the end of what it said on its standard error, where that was not passed on.
    """

    name: str
    place: str
    command: str
    status: int | None = None
    stdout: str = ""
    stderr: str = ""
