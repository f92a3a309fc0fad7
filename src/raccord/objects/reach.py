"""What a store on another host asks of the way there; `transport/` fulfils it, a verb joins them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from raccord.kernel.fs_look import Signature


class Files(Protocol):
    """Files on a host, by absolute path. Called from several threads.

    Every method may raise `TransportError`, `FileNotFoundError`, `PermissionError` and `OSError`.
    """

    @property
    def replaces(self) -> bool:
        """Whether `put_over` can be called."""

    def look(self, path: str, *, follow: bool = False) -> Signature | None:
        """What is at a path; None where nothing is."""

    def names(self, path: str) -> list[tuple[str, Signature]]:
        """What is in a directory; links as such."""

    def opened(self, path: str) -> AbstractContextManager[tuple[Signature, Iterator[bytes]]]:
        """A file, and its bytes."""

    def write(self, path: str, data: Iterable[bytes], mode: int | None) -> Signature:
        """Writes a new file."""

    def copy(self, path: str, to: str) -> tuple[Signature, Signature]:
        """Copies a file to a new one; returns what both are then."""

    def date(self, path: str, seconds: int) -> None:
        """Sets a file's times, in seconds since the epoch."""

    def place(self, path: str, to: str) -> None:
        """Renames a file to a name that nothing has."""

    def put_over(self, path: str, to: str) -> None:
        """Renames a file over whatever has the name, in one step."""

    def drop(self, path: str) -> None:
        """Removes a file."""

    def make_folder(self, path: str) -> None:
        """Makes a directory."""

    def drop_folder(self, path: str) -> None:
        """Removes an empty directory."""


class Way(Protocol):
    """The way to a host."""

    @property
    def key(self) -> str:
        """Tells hosts apart."""

    @property
    def shown(self) -> str:
        """How a person knows it."""

    def sftp(self) -> Files:
        """Its files; connects where that has not been done, or was lost."""
