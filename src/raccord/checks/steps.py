"""The steps that run a set-up or test command in a worktree: `gate.setup` and `gate.run`.

They never push, and never delete what a command left: artefacts go to the trash, all else is reported.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from raccord.checks import cache, worktree
from raccord.checks.output import Output, log_name
from raccord.errors import CannotRun, HeldBack, ProcessTimeout, ProgramMissing, UnsafePath
from raccord.kernel import fs, proc
from raccord.model.globs import named
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step
from raccord.model.text import shown

SHOWN = 20  # lines of a failing command's output that go into the finding


@dataclass(frozen=True, slots=True)
class Command:
    """A step's payload, read."""

    worktree: Path
    tree: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    timeout: float | None
    artefacts: tuple[str, ...]
    common: Path
    number: int

    @property
    def shown(self) -> str:
        """The command as a person types it."""
        return shown(shlex.join(self.argv))

    def key(self) -> str:
        """The name of its result in the cache."""
        env = proc.environment()
        values = {name: env.get(name) for name in self.env}
        return cache.key(self.worktree, self.tree, self.argv, values, env.get("PATH", ""))


def command(step: Step) -> Command:
    """Reads a step's payload."""
    got = step.payload
    return Command(
        worktree=Path(got["worktree"]),
        tree=got["tree"],
        argv=tuple(got["argv"]),
        env=tuple(got["env"]),
        timeout=got["timeout"],
        artefacts=tuple(got["artefacts"]),
        common=Path(got["common"]),
        number=got["number"],
    )


@dataclass(frozen=True, slots=True)
class GateRun:
    """Tests a tree in its worktree; a green result of a clean worktree is kept and not asked for again.

    Attributes:
        shelf: where results are kept.
        clock: Unix time in seconds.
    """

    shelf: cache.Shelf
    clock: Callable[[], float] = time.time
    kind: str = field(default="gate.run", init=False)
    version: int = field(default=1, init=False)

    def probe(self, step: Step, context: Context) -> Position:
        """Before, unless the result is known: a test that a kill cut off runs again."""
        green = self.shelf.cache_get(cache.SPACE, command(step).key())
        return Position.BEFORE if green is None else Position.AFTER

    def apply(self, step: Step, context: Context) -> Outcome:
        """Runs the command, or takes the kept result of the same tree, command, environment and toolchain."""
        wanted = command(step)
        key = wanted.key()
        known = self.shelf.cache_get(cache.SPACE, key)
        if known is not None:
            return Outcome({**known, "cached": True}, note=f"{wanted.shown}: green before, on the same tree")
        outcome, clean = execute(wanted, context, self.clock)
        if clean and wanted.key() == key:
            kept = {name: outcome.record[name] for name in ("log", "seconds", "at")}
            self.shelf.cache_put(cache.SPACE, key, kept)
        return outcome

    def revert(self, step: Step, context: Context) -> None:
        """A command that was cut off left nothing that raccord answers for."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """Nothing: a test changes nothing that raccord answers for."""
        return ()


@dataclass(frozen=True, slots=True)
class GateSetup:
    """Installs what a changed lock file names, before the tests.

    Attributes:
        clock: Unix time in seconds.
    """

    clock: Callable[[], float] = time.time
    kind: str = field(default="gate.setup", init=False)
    version: int = field(default=1, init=False)

    def probe(self, step: Step, context: Context) -> Position:
        """Before: an installer that was cut off, or is done, may run again."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Runs the command."""
        return execute(command(step), context, self.clock)[0]

    def revert(self, step: Step, context: Context) -> None:
        """A command that was cut off left nothing that raccord answers for."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """Nothing: what is installed is ignored by git, and the next change of a lock file installs anew."""
        return ()


def execute(wanted: Command, context: Context, clock: Callable[[], float]) -> tuple[Outcome, bool]:
    """Runs a command in its worktree and keeps its output.

    Returns:
        What it left behind, and whether the worktree held exactly the tree before and after.

    Raises:
        WorldMoved: the worktree isn't at the tree; nothing was run.
        HeldBack: the command failed, ran too long or isn't there.
        KeyboardInterrupt: it was cancelled; its process group was ended and its output kept.
    """
    before = worktree.look(wanted.worktree)
    before.demand(wanted.worktree, wanted.tree)
    context.say(f"{wanted.shown} in {shown(str(wanted.worktree))}")
    output = Output()
    started = clock()
    log = wanted.common / "raccord" / "logs" / context.run / log_name(context.lane, wanted.number)
    ended = "cancelled"
    failure: HeldBack | None = None
    try:
        status = proc.stream(
            _argv(wanted),
            cwd=wanted.worktree,
            sink=output.add,
            timeout=wanted.timeout,
            cancelled=context.cancelled,
        )
        ended = f"exit {status}" if status >= 0 else f"ended by signal {-status}"
        if status:
            failure = _red(wanted, ended, output, log)
    except ProgramMissing:
        ended = "not found"
        hint = "install it, or raccord sync --skip-tests --reason '…'"
        failure = HeldBack(
            f"{shown(wanted.argv[0])} is not there", hint=hint, finding="gate.missing", argv=list(wanted.argv)
        )
    except ProcessTimeout:
        ended = f"no end after {wanted.timeout:g} s"
        failure = _red(wanted, ended, output, log, finding="gate.timeout")
    except CannotRun as error:
        ended = error.message
        failure = _red(wanted, ended, output, log)
    finally:
        seconds = round(clock() - started, 3)
        fs.make_dirs(log.parent)
        fs.write_atomic(log, _header(wanted, started, seconds, ended) + output.kept())
    left = worktree.look(wanted.worktree)
    record = {
        "log": str(log),
        "seconds": seconds,
        "at": started,
        "cached": False,
        **_clean_up(wanted, context, sorted(left.untracked - before.untracked)),
        "modified": sorted(left.modified - before.modified),
    }
    if failure is not None:
        failure.data.update(record)
        raise failure
    moved = left.head_tree != wanted.tree
    clean = not moved and before.clean and not left.modified and set(left.untracked) == set(record["removed"])
    return Outcome(record, note=_note(wanted, record, moved)), clean


def _argv(wanted: Command) -> list[str]:
    """The command with a relative program made absolute: where it would be looked up differs by platform."""
    name, *rest = wanted.argv
    return [str(wanted.worktree / name) if "/" in name else name, *rest]


def _red(wanted: Command, ended: str, output: Output, log: Path, *, finding: str = "gate.red") -> HeldBack:
    tail = [shown(line) for line in output.last_lines(SHOWN)]
    return HeldBack(
        f"{wanted.shown} failed ({ended})" + (f": {tail[-1]}" if tail else ""),
        hint=f"less {shlex.quote(str(log))}",
        finding=finding,
        argv=list(wanted.argv),
        ended=ended,
        tail=tail,
    )


def _header(wanted: Command, started: float, seconds: float, ended: str) -> bytes:
    when = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    lines = (
        f"$ {wanted.shown}",
        f"in {shown(str(wanted.worktree))}, tree {wanted.tree}",
        f"{when}, {seconds:g} s, {ended}",
    )
    return "\n".join((*lines, "", "")).encode("utf-8", "replace")


def _clean_up(wanted: Command, context: Context, new: list[str]) -> dict[str, Json]:
    """Moves the new untracked files that are artefacts to the trash; names both kinds."""
    trash = wanted.common / "raccord" / "trash" / context.run / log_name(context.lane, wanted.number)[:-4]
    removed = []
    for path in new:
        if named(wanted.artefacts, path):
            # Gone meanwhile is gone all the same; a path that can't be moved safely stays and is reported.
            with contextlib.suppress(FileNotFoundError, UnsafePath):
                fs.trash(wanted.worktree, path, trash)
                removed.append(path)
    return {"removed": removed, "left": [path for path in new if path not in set(removed)]}


def _note(wanted: Command, record: dict[str, Json], moved: bool) -> str:
    said = []
    if moved:
        said.append("it moved HEAD: what was tested is not what will be pushed")
    if record["modified"]:
        said.append(f"it modified {_some(record['modified'])}: tested with that, pushed without")
    if record["left"]:
        said.append(f"it left {_some(record['left'])}")
    return f"{wanted.shown}: {'; '.join(said)}" if said else ""


def _some(paths: list[str]) -> str:
    first = ", ".join(shown(path) for path in paths[:3])
    return first + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
