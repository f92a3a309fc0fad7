"""The one place that maps errors and results to exit codes and to the lines that a person reads of them."""

from __future__ import annotations

import contextlib
import errno
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from raccord import errors
from raccord.cli import output
from raccord.kernel import bugs
from raccord.model import plan
from raccord.model.report import RunReport
from raccord.model.text import shown

if TYPE_CHECKING:
    from raccord.model.report_data import DataStanding
    from raccord.model.report_files import FilesStanding

DONE = 0
FAILED = 1
USAGE = 2
BUG = 3
STOPPED = 4
PARTIAL = 5
CANNOT_RUN = 6
RESTORE_FAILED = 7
INTERRUPTED = 130

MEANING = {
    DONE: "done, or nothing to do",
    FAILED: "failed as foreseen",
    USAGE: "called wrongly",
    BUG: "a bug in raccord, with a report to paste",
    STOPPED: "stopped, waiting for a person: `raccord continue`, `skip` or `abort`",
    PARTIAL: "partial: some lanes are held back, the others are done",
    CANNOT_RUN: "could not run: no repository, no git, an invalid configuration, a full disk",
    RESTORE_FAILED: "a restore failed; the message names the backup",
    INTERRUPTED: "interrupted; `raccord continue` finishes, `raccord abort` takes back",
}

# The most derived class that an error is an instance of decides.
OF_ERROR: dict[type[BaseException], int] = {
    KeyboardInterrupt: INTERRUPTED,
    errors.CannotRun: CANNOT_RUN,
    errors.HeldBack: PARTIAL,
    errors.RaccordError: FAILED,
    errors.RestoreFailed: RESTORE_FAILED,
    errors.Stop: STOPPED,
    errors.Unanswered: STOPPED,
    errors.UnknownStep: STOPPED,
    errors.UsageError: USAGE,
}

OF_STATE = {
    "aborted": DONE,
    "done": DONE,
    "failed": FAILED,
    "interrupted": INTERRUPTED,
    "nothing": DONE,
    "partial": PARTIAL,
    "running": STOPPED,
    "stopped": STOPPED,
}

# The next command where the error itself names none.
NEXT: dict[type[BaseException], str] = {
    KeyboardInterrupt: "raccord status",
    errors.GitMissing: "install git, and see that it is on the PATH",
    errors.GitTooOld: "install git 2.39 or newer",
    errors.NoCommits: "git commit",
    errors.NotARepository: "raccord -C DIR status, where DIR is in a git repository",
    errors.ProcessFailed: "git fsck",
    errors.RaccordError: "raccord status",
    errors.UnknownStep: "raccord --version, and install the release that the message names",
    errors.UsageError: "raccord --help",
}

# What the system refuses and no code of ours can help.
SYSTEM = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
        errno.EROFS,
    }
)
FULL = frozenset({errno.EDQUOT, errno.ENOSPC})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a face shows it.

    Attributes:
        kind: the error's class.
        message: one line, safe to show.
        hint: the next command.
        exit: the exit code.
        data: details for programs.
        report: what to paste, where it is a bug.
    """

    kind: str
    message: str
    hint: str
    exit: int
    data: Mapping[str, object] = field(default_factory=dict)
    report: str = ""


def of_run(report: RunReport) -> int:
    """The exit code of a run that ended so."""
    if any(lane.finding is not None and lane.finding.name == plan.RESTORE_FAILED for lane in report.lanes):
        return RESTORE_FAILED
    return OF_STATE[report.state]


def of_standings(sets: Iterable[DataStanding | FilesStanding]) -> int:
    """The exit code of a status: what could not be read is not known to be well."""
    return FAILED if any(one.unread for one in sets) else DONE


def problem(error: BaseException, argv: Sequence[str]) -> Problem:
    """What to say of an error; of one that nobody foresaw, a report to paste."""
    foreseen = _foreseen(error)
    if foreseen is None:
        from raccord.cli import bug

        message = f"a bug: {bugs.told(error)}"
        hint = "report it, with what stands between the lines"
        return Problem("Bug", _line(message), hint, BUG, report=bug.report(error, argv))
    if isinstance(foreseen, errors.RaccordError):
        message, hint, data = foreseen.message, _typed(foreseen, argv), foreseen.data
    else:
        message, hint, data = "interrupted", "", {}
    return Problem(
        kind=type(foreseen).__name__,
        message=_line(message),
        hint=_line(hint or ("df -h ." if data.get("errno") in FULL else _nearest(NEXT, foreseen))),
        exit=_nearest(OF_ERROR, foreseen),
        data=data,
    )


def _typed(error: errors.RaccordError, argv: Sequence[str]) -> str:
    """The hint as it can be typed here: of a name that was misspelled the same command with the one meant."""
    typed, meant, hint = error.data.get("typed"), error.data.get("meant"), error.hint
    if isinstance(typed, str) and isinstance(meant, str):
        said = [_meant(word, typed, meant) for word in argv]
        if said != list(argv):
            return shlex.join(["raccord", *said])
    at = len(list(takewhile(lambda word: word.startswith("-") and word != "-C", argv)))
    elsewhere = at + 1 < len(argv) and argv[at] == "-C"
    if elsewhere and hint.startswith("raccord ") and not hint.startswith("raccord -C "):
        return f"raccord -C {shlex.quote(argv[at + 1])}{hint.removeprefix('raccord')}"
    return hint


def _meant(word: str, typed: str, meant: str) -> str:
    option, equals, value = word.partition("=")
    if word == typed:
        return meant
    return f"{option}={meant}" if equals and option.startswith("--") and value == typed else word


def misuse(error: Exception) -> Problem:
    """What to say of words that the command line's parser does not take."""
    format_message = getattr(error, "format_message", error.__str__)
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "raccord"
    return Problem("UsageError", _line(format_message().rstrip(".")), f"{command} --help", USAGE)


def tell(what: Problem, *, as_json: bool) -> int:
    """Says it: a line and the next command, or an object for programs. Returns the exit code."""
    if as_json:
        import dataclasses
        import json

        # An error may carry any value; to fail on it here would hide the error itself.
        fields = json.loads(json.dumps(dataclasses.asdict(what), default=str))
        with contextlib.suppress(OSError, ValueError):  # the output itself may be full, or closed since
            output.document("error", {"error": fields})
            return what.exit
    if what.report:
        output.say(what.report)
    output.say(f"raccord: {what.message}")
    output.say(f"next: {what.hint}")
    return what.exit


def _foreseen(error: BaseException) -> BaseException | None:
    if isinstance(error, errors.RaccordError | KeyboardInterrupt):
        return error
    if isinstance(error, MemoryError):
        return errors.CannotRun("out of memory", hint="free some memory, then run it again")
    if isinstance(error, OSError) and error.errno in SYSTEM:
        where = f"{error.filename}: " if error.filename else ""
        return errors.CannotRun(f"{where}{error.strerror}", hint="df -h ." if error.errno in FULL else "")
    return None


def _nearest(table: Mapping[type[BaseException], T], error: BaseException) -> T:
    return next(table[cls] for cls in type(error).__mro__ if cls in table)


def _line(text: str) -> str:
    return shown(" ".join(text.split("\n")))
