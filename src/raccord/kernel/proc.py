"""The only caller of other programs: no shell, a scrubbed environment, a time limit, bounded output.

A child runs in a process group of its own, so that ending it ends what it started. Its arguments are
readable by every local user: no secret is ever passed in them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raccord.errors import CannotRun, ProcessFailed, ProcessTimeout, ProgramMissing
from raccord.kernel import pipes

Child = subprocess.Popen[bytes]
PIPE, NOWHERE = subprocess.PIPE, subprocess.DEVNULL  # for `started`
STDERR_LIMIT = 256 * 1024
OUTPUT_LIMIT = 1024 * 1024 * 1024
REST_S = 0.2

# Variables through which a hook's parent leaks its repository into our children, and through
# which an environment makes git run programs or prompt. Kept: identity, SSH set-up, credentials,
# configuration scopes, protocol restrictions.
KEPT_GIT = frozenset(
    {
        "GIT_AUTHOR_EMAIL",
        "GIT_AUTHOR_NAME",
        "GIT_ASKPASS",
        "GIT_COMMITTER_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_PROTOCOL_FROM_USER",
        "GIT_ALLOW_PROTOCOL",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_CERT",
        "GIT_SSL_KEY",
        "GIT_SSL_NO_VERIFY",
        "GIT_TERMINAL_PROMPT",
    }
)
# A container's settings, such as safe.directory; GIT_CONFIG_COUNT tells how many there are.
KEPT_GIT_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended, and what it said."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str

    def check(self, *, hint: str = "") -> Result:
        """Returns itself, or raises `ProcessFailed` where the program failed."""
        if self.returncode:
            raise ProcessFailed(self.argv, self.returncode, self.stderr, hint=hint)
        return self


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment less git's leaking variables and relative PATH entries, `extra` on top."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in KEPT_GIT or name.startswith(KEPT_GIT_PREFIXES)
    }
    if "PATH" in env:
        # A relative or empty entry means the directory of the child: a repository's own `git` would run.
        env["PATH"] = os.pathsep.join(filter(os.path.isabs, env["PATH"].split(os.pathsep)))
    if extra:
        env.update(extra)
    return env


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600.0,
    limit: int = OUTPUT_LIMIT,
    errors: IO[bytes] | None = None,
) -> Result:
    """Runs a program to its end and keeps what it says.

    Args:
        argv: the program and its arguments; never a shell line.
        cwd: where it runs.
        stdin: what it reads; nothing by default, so that it can't wait for a person.
        env: variables set on top of `environment()`.
        timeout: seconds before it is ended, None for no limit.
        limit: bytes of standard output that are kept at most. Of standard error the end is kept.
        errors: a file for its standard error, which it and what it starts keep open until they end.

    Raises:
        ProgramMissing: there is no such program.
        ProcessTimeout: it ran too long; its whole process group was ended.
        ProcessFailed: it said more than `limit` bytes, and was ended.
    """
    with started(argv, cwd=cwd, env=env, stderr=errors or subprocess.PIPE) as child:
        out, err = _talk([child], stdin, timeout, limit)
    return Result(tuple(argv), child.returncode, out, err)


def pipe(
    first: Sequence[str],
    second: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600.0,
    limit: int = OUTPUT_LIMIT,
) -> Result:
    """Runs `first | second`; what passes between them is not kept.

    Raises:
        ProcessFailed: `first` failed, or as `run`.
    """
    with started(first, cwd=cwd, env=env) as source:
        assert source.stdout is not None
        with started(second, cwd=cwd, env=env, stdin=source.stdout) as child:
            # The reader alone holds the pipe now, so that `first` notices when it ends.
            source.stdout.close()
            out, err = _talk([source, child], stdin, timeout, limit)
    Result(tuple(first), source.returncode, b"", err).check()
    return Result(tuple(second), child.returncode, out, err)


@contextlib.contextmanager
def started(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.PIPE,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    keep: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program; ended, with its process group, when the block is left.

    Args:
        keep: open files that it holds open too, and with them their locks; nothing on Windows.

    Raises:
        ProgramMissing: there is no such program.
        CannotRun: the system would not start it.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=environment(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=tuple(keep) if os.name == "posix" else (),
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise CannotRun(f"{cwd} is not there", hint="git worktree prune") from error
        raise ProgramMissing(tuple(argv), 127, f"{argv[0]}: not found") from error
    except OSError as error:
        raise CannotRun(f"can't start {argv[0]}: {error.strerror}") from error
    try:
        yield child
    finally:
        if child.poll() is None:
            end(child)
        for end_of_pipe in (child.stdin, child.stdout, child.stderr):
            if end_of_pipe is not None:
                with contextlib.suppress(OSError):
                    end_of_pipe.close()


def end(child: subprocess.Popen[bytes], *, grace: float = 2.0) -> None:
    """Ends a child and its process group: asks, waits `grace` seconds, then kills what is left of it."""
    if child.poll() is not None:
        return
    _signal(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    # What the child started may take a little longer to put its locks away. The group's number can't be
    # given to others while it has a member; a zombie that nobody reaps counts as one.
    until = time.monotonic() + min(grace, REST_S)
    while _signal(child, 0) and time.monotonic() < until:
        time.sleep(0.01)
    _signal(child, getattr(signal, "SIGKILL", signal.SIGTERM))
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(5.0)


def finish(child: subprocess.Popen[bytes], *, grace: float = 2.0) -> None:
    """Gives a child `grace` seconds to end by itself, then ends it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    end(child)


def stream(
    argv: Sequence[str],
    *,
    cwd: Path,
    sink: Callable[[bytes], None],
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Runs a program whose output, both streams as one, goes to `sink` as it comes.

    Returns:
        The exit status; negative for a signal.

    Raises:
        ProgramMissing: there is no such program.
        ProcessTimeout: it ran longer than `timeout` seconds.
        KeyboardInterrupt: `cancelled` became true; the process group was ended.
    """
    with started(argv, cwd=cwd, env=env, stderr=subprocess.STDOUT) as child:
        assert child.stdout is not None
        _attend([child], b"", {child.stdout: sink}, timeout, cancelled)
    return child.returncode


def logged(
    argv: Sequence[str],
    *,
    cwd: Path,
    log: IO[bytes],
    stdin: bytes = b"",
    keep: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Runs a program whose output goes to a file: it goes on undisturbed if this process is killed.

    Args:
        stdin: what it reads; if this process is killed it may get only the beginning.
        keep: as for `started`.

    Returns:
        The exit status; negative for a signal.

    Raises:
        ProgramMissing: there is no such program.
        KeyboardInterrupt: `cancelled` became true; the process group was ended.
    """
    with started(argv, cwd=cwd, env=env, stdout=log, stderr=log, keep=keep) as child:
        _attend([child], stdin, {}, None, cancelled)
    return child.returncode


def _talk(
    children: Sequence[subprocess.Popen[bytes]], stdin: bytes, timeout: float | None, limit: int
) -> tuple[bytes, str]:
    """Feeds the first child, reads the last one's output and everyone's errors, and waits for all."""
    out: list[bytes] = []
    err = bytearray()
    size = 0

    def keep(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > limit:
            raise ProcessFailed(_argv(children[-1]), -1, f"it said more than {limit} bytes")
        out.append(data)

    def keep_end(data: bytes) -> None:
        err.extend(data)
        del err[:-STDERR_LIMIT]

    readers: dict[IO[bytes], Callable[[bytes], None]] = {}
    for child in children:
        if child.stderr is not None:
            readers[child.stderr] = keep_end
    assert children[-1].stdout is not None
    readers[children[-1].stdout] = keep
    _attend(children, stdin, readers, timeout, lambda: False)
    return b"".join(out), err.decode("utf-8", "replace")


def _attend(
    children: Sequence[subprocess.Popen[bytes]],
    stdin: bytes,
    readers: dict[IO[bytes], Callable[[bytes], None]],
    timeout: float | None,
    cancelled: Callable[[], bool],
) -> None:
    """Talks to children until they end; ends them with their groups where that fails."""
    until = None if timeout is None else time.monotonic() + timeout
    try:
        pipes.talk(
            children[0].stdin,
            stdin,
            readers,
            until=until,
            ended=lambda: all(child.poll() is not None for child in children),
            cancelled=cancelled,
        )
        # One that closed its pipes may run on.
        while any(child.poll() is None for child in children):
            if until is not None and time.monotonic() > until:
                raise pipes.TooLate
            if cancelled():
                raise KeyboardInterrupt
            _wait(next(child for child in children if child.returncode is None), pipes.POLL_S)
    except pipes.TooLate:
        raise ProcessTimeout(_argv(children[-1]), -1, f"no end after {timeout:g} s") from None
    finally:
        for child in children:
            if child.poll() is None:
                end(child)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits for a child to end. `Popen.wait` with a limit sleeps half a millisecond before it looks."""
    if hasattr(os, "pidfd_open"):
        fd = os.pidfd_open(child.pid)
        try:
            waiting = select.poll()
            waiting.register(fd, select.POLLIN)
            waiting.poll(seconds * 1000)
        finally:
            os.close(fd)
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)


def _argv(child: subprocess.Popen[bytes]) -> tuple[str, ...]:
    return tuple(str(arg) for arg in child.args) if isinstance(child.args, (list, tuple)) else ()


def _signal(child: subprocess.Popen[bytes], sign: int) -> bool:
    """Signals a child's group; whether there was anyone to signal."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, sign)
        else:
            child.send_signal(sign)
            return child.poll() is None
    except ProcessLookupError:
        return False
    except PermissionError:
        return child.returncode is None
    return True
