"""Asks a person on the terminal what only a person knows: whether a host's key is its own, and passwords."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, Any

from raccord.cli import output
from raccord.model.text import shown


class Asking:
    """Asks, from any thread, while its block lasts; then the terminal shows again what is typed.

    Args:
        paused: keeps others from writing onto the terminal.
    """

    def __init__(self, paused: Callable[[], AbstractContextManager[None]]) -> None:
        self._paused = paused
        self._before: list[Any] | None = None

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Ctrl-C ends who waits for the answer, not who reads it.
        if self._before is not None:
            with contextlib.suppress(OSError), _terminal() as terminal:
                _set(terminal, self._before)

    def ask(self, question: str, seen: bool) -> str | None:
        """The answer to a question; None where there is none.

        Args:
            seen: whether what is typed may be seen.
        """
        import termios

        with self._paused(), _terminal() as terminal:
            before = termios.tcgetattr(terminal)
            if not seen:
                quiet = [*before]
                quiet[3] &= ~termios.ECHO
                self._before = before
                _set(terminal, quiet)
            try:
                sys.stderr.write("\n".join(shown(line) for line in question.rstrip().split("\n")) + " ")
                sys.stderr.flush()
                answer = terminal.readline()
            finally:
                if not seen:
                    _set(terminal, before)
                    self._before = None
                    output.say("")
        return os.fsdecode(answer.rstrip(b"\r\n")) if answer else None


def _terminal() -> IO[bytes]:
    # Unbuffered: a thread that is left reading must hold no lock that the interpreter's end waits for.
    return open(os.ttyname(sys.stdin.fileno()), "rb", buffering=0)


def _set(terminal: IO[bytes], attributes: list[Any]) -> None:
    import termios

    termios.tcsetattr(terminal, termios.TCSADRAIN, attributes)
