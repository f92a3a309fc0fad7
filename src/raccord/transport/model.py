"""What every transport does: run a command there, and reach what listens there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from raccord.kernel.proc import OUTPUT_LIMIT, Child, Result

SECONDS = 600.0  # that a command may take where nobody says otherwise

# Words that are passed on one by one, or a line for the shell there.
Words = Sequence[str] | str
# Asks a person: a question, and whether what is typed may be seen. None where there is nobody.
Ask = Callable[[str, bool], str | None]


class Transport(Protocol):
    """A way to a place. It connects when it is first used, and again where the connection was lost."""

    @property
    def key(self) -> str:
        """Tells places apart; "" for this machine."""

    @property
    def shown(self) -> str:
        """How a person knows the place."""

    def run(
        self,
        words: Words,
        *,
        stdin: bytes = b"",
        timeout: float | None = SECONDS,
        limit: int = OUTPUT_LIMIT,
    ) -> Result:
        """Runs a command there to its end, and keeps what it says.

        Args:
            words: with secrets in none of them: others there can read them.
            stdin: what it reads.
            timeout: seconds, None for no limit.
            limit: bytes of standard output that are kept at most.

        Returns:
            Its exit status and both its outputs; 127 mostly says that there is no such program.

        Raises:
            TransportError: the place can't be reached, or was lost.
            ProcessTimeout: it took too long.
            ProcessFailed: it said more than `limit` bytes.
        """

    def started(
        self,
        words: Words,
        *,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> AbstractContextManager[Child]:
        """A command that runs there, as the process here that speaks for it; ended with the block.

        Raises:
            TransportError: the place can't be reached.
        """

    def check(self, status: int) -> None:
        """Tells how a command ended that was `started` from how the way to it did.

        Args:
            status: what its process ended with.

        Raises:
            TransportError: the place was lost.
        """

    def forwarded(self, host: str, port: int, *, name: str = "s") -> AbstractContextManager[Path]:
        """A socket here, for this user alone, that leads to a server as seen from there.

        It may stay open after the block, for the next one who asks, until the transport is closed.
        Where nobody listens there, a connection is made and closed at once.

        Args:
            host: name or address, "localhost" being theirs; or the path of a socket there.
            port: where `host` is no path.
            name: of the socket's file.

        Raises:
            TransportError: the place can't be reached.
        """

    def said(self) -> str:
        """Why a server there could last not be reached; "" where that isn't known."""

    def close(self) -> None:
        """Ends the connection and all that goes through it."""
