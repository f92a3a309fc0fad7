"""The error family: each error carries what happened, data for programs, and the next command for a person.

Nothing here maps to an exit code or an HTTP status: `cli/exits.py` does the one, `web/` the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence


class RaccordError(Exception):
    """A foreseen failure.

    Args:
        message: one line that says what and where.
        hint: the next command to type, or "".
        data: values for `--json`, without secrets.
    """

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data


class UsageError(RaccordError):
    """The command was called wrongly: an unknown branch, a waiver without its reason."""


class NotOurs(UsageError):
    """What was to be removed was not made by raccord. Nothing was removed."""


class RunIsOver(UsageError):
    """The run to go on with, or to take back, has nothing left to do."""


class CannotRun(RaccordError):
    """raccord can't work here: no repository, no git, a disk that is full or read-only."""


class NotARepository(CannotRun):
    """The directory is in no git repository."""


class NoCommits(CannotRun):
    """The repository has no commit yet."""


class GitMissing(CannotRun):
    """No `git` program on the PATH."""


class GitTooOld(CannotRun):
    """The `git` program is older than raccord supports."""


class Leased(RaccordError):
    """Somebody else has a lease in the way."""


class LeaseLost(RaccordError):
    """A lease that was to be prolonged ended, or was never granted."""


class ConfigError(CannotRun):
    """A configuration file can't be read or says something invalid.

    Args:
        file: the path of the file.
        line: the 1-based line, or 0 when it is not known.
        key: the dotted key, or "".
        expected: what would have been valid.
    """

    def __init__(self, file: str, line: int, key: str, problem: str, expected: str = "") -> None:
        where = f"{file}:{line}" if line else file
        what = f"{where}: {key}: {problem}" if key else f"{where}: {problem}"
        wanted = f"; expected {expected}" if expected else ""
        super().__init__(
            what + wanted,
            hint=f"edit {where}",
            file=file,
            line=line,
            key=key,
            expected=expected,
        )


class StoreError(CannotRun):
    """The state database can't be opened, read or written."""


class DatabaseError(CannotRun):
    """A database can't be reached, read or written. The message never holds a password."""


class DatabaseMissing(DatabaseError):
    """There is no such database, or no such file."""


class DatabaseBusy(DatabaseError):
    """Others are at work on a database, for longer than the wait allowed."""


class DriverMissing(DatabaseError):
    """The package that speaks to this kind of database is not installed."""


class ObjectsError(CannotRun):
    """An object store can't be reached, read or written. The message never holds a key."""


class TransportError(CannotRun):
    """A host or a container can't be reached, or was lost. The message never holds a password."""


class ContainerMissing(TransportError):
    """There is no such container, or several, or it doesn't run."""


class HostKeyUnknown(TransportError):
    """Nobody has said yet that the key of a host is its own."""


class HostKeyChanged(TransportError):
    """A host shows another key than the one that is known for it."""


class LockTimeout(CannotRun):
    """A resource stayed locked by a live owner for longer than the wait allowed."""


class ProcessFailed(RaccordError):
    """A program ended with a failure.

    Args:
        argv: the command, without secrets.
        returncode: its exit status; negative for a signal.
        stderr: the end of what it said.
    """

    def __init__(self, argv: Sequence[str], returncode: int, stderr: str, *, hint: str = "") -> None:
        said = stderr.strip().splitlines()
        last = next((line for line in reversed(said) if line.strip()), "")
        # Git goes on with advice.
        last = next((line for line in reversed(said) if line.startswith(("fatal: ", "error: "))), last)
        name = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), argv[:3]))
        how = f"was ended by signal {-returncode}" if returncode < -1 else f"failed ({returncode})"
        super().__init__(
            f"{name} {how}" + (f": {last}" if last else ""),
            hint=hint,
            argv=list(argv),
            returncode=returncode,
            stderr=stderr,
        )
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr


class ProcessTimeout(ProcessFailed):
    """A program ran longer than it was allowed to, and was ended."""


class ProgramMissing(ProcessFailed):
    """The program to run does not exist."""


class WorldMoved(RaccordError):
    """A conditional write was refused: the world is no longer what the plan saw. Nothing was changed."""


class HeldBack(RaccordError):
    """A step failed as foreseen (a red gate, a conflict): its lane is put back and the others go on."""


class Stop(RaccordError):
    """A step waits for a person: its lane stays as it is until `continue`, `skip` or `abort`."""


class Unanswered(RaccordError):
    """The world gave no answer, so nobody knows whether the step took place. Unknown is not clean."""


class UnknownStep(RaccordError):
    """The journal holds a step of a kind or version that this release does not know."""


class RestoreFailed(RaccordError):
    """Putting something back failed; the message names the backup that still holds it."""


class UnsafePath(RaccordError):
    """A path leads outside the directory that it must stay in, or through a symbolic link."""
