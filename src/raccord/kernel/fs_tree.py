"""Names below a root directory, reached component by component so that no symbolic link is ever followed.

A racing program may replace a parent by a link at any moment: on POSIX each parent is opened with
O_NOFOLLOW from its own parent, and every operation is relative to that descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from raccord.errors import UnsafePath
from raccord.kernel import fs_rename
from raccord.kernel.fs_look import BINARY, CLOEXEC, DIRECTORY, NOFOLLOW, Signature, signed, split
from raccord.model.text import shown

_BY_FD = os.open in os.supports_dir_fd and bool(DIRECTORY)


@dataclass(frozen=True, slots=True)
class Folder:
    """An open directory; valid until its `Tree` moves on to another parent.

    Attributes:
        path: for messages, and for what the platform can't do by descriptor.
        fd: its descriptor, None where the platform has none for directories.
    """

    path: str
    fd: int | None

    def name(self, name: str) -> str:
        """What a system call takes for a name in here."""
        return name if self.fd is not None else os.path.join(self.path, name)

    def look(self, name: str) -> os.stat_result | None:
        """The `lstat` of a name, None where nothing is."""
        try:
            return os.stat(self.name(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def signature(self, name: str) -> Signature | None:
        """The signature of a name, None where nothing is."""
        found = self.look(name)
        return None if found is None else signed(found)

    def names(self) -> list[tuple[str, bool]]:
        """What is in here, and whether it is a directory (links are none)."""
        with os.scandir(self.fd if self.fd is not None else self.path) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, or the target of a link."""
        found = self.look(name)
        if found is not None and stat.S_ISLNK(found.st_mode):
            yield os.fsencode(os.readlink(self.name(name), dir_fd=self.fd))
            return
        with open(self.descriptor(name), "rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                yield chunk

    def descriptor(self, name: str) -> int:
        """What a file is read by; the caller closes it."""
        # A pipe put here meanwhile must not block us.
        flags = os.O_RDONLY | NOFOLLOW | CLOEXEC | BINARY | getattr(os, "O_NONBLOCK", 0)
        return os.open(self.name(name), flags, dir_fd=self.fd)

    def place(self, name: str, other: Folder, other_name: str) -> None:
        """Moves a name to a free name of another folder; see `fs_rename.place`."""
        fs_rename.place(self.name(name), other.name(other_name), source_fd=self.fd, target_fd=other.fd)

    def exchange(self, name: str, other: Folder, other_name: str) -> None:
        """Exchanges two names; see `fs_rename.exchange`."""
        fs_rename.exchange(self.name(name), other.name(other_name), source_fd=self.fd, target_fd=other.fd)

    def mkdir(self, name: str, mode: int = 0) -> bool:
        """Makes a directory; False where something has the name.

        Args:
            mode: its exact permissions, 0 for what the umask gives. A directory that is there gets them
                too, since a kill may have come between making it and this.
        """
        made = True
        try:
            os.mkdir(self.name(name), dir_fd=self.fd)
        except FileExistsError:
            made = False
        found = self.look(name)
        if mode and found is not None and stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) != mode:
            os.chmod(self.name(name), mode, dir_fd=self.fd)
        return made

    def rmdir(self, name: str) -> bool:
        """Removes an empty directory; False where it isn't one, or isn't empty."""
        try:
            os.rmdir(self.name(name), dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EBUSY):
                return False
            raise
        return True

    def sync(self) -> None:
        """Makes the names in here durable."""
        if self.fd is not None:
            os.fsync(self.fd)

    def sync_file(self, name: str) -> None:
        """Makes the bytes of a regular file durable."""
        flags = (os.O_RDONLY if os.name == "posix" else os.O_RDWR) | NOFOLLOW | CLOEXEC
        handle = os.open(self.name(name), flags, dir_fd=self.fd)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def writable(self) -> bool:
        """Whether names may be added and removed here."""
        if self.fd is not None and os.access in os.supports_effective_ids:
            return os.access(".", os.W_OK | os.X_OK, dir_fd=self.fd, effective_ids=True)
        return os.access(self.path, os.W_OK | os.X_OK)


class Tree:
    """The directories below a root, opened one chain at a time: cheap where paths come in sorted order."""

    def __init__(self, root: str | Path) -> None:
        """Opens the root itself, through whatever links lead to it.

        Raises:
            OSError: it isn't there or is no directory.
        """
        self.root = str(root)
        handle = os.open(root, os.O_RDONLY | DIRECTORY | CLOEXEC) if _BY_FD else None
        self._chain: list[tuple[str, Folder]] = [("", Folder(self.root, handle))]

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shorten(0)

    @property
    def top(self) -> Folder:
        """The root."""
        return self._chain[0][1]

    def parent(self, relative: str) -> tuple[Folder, str]:
        """The folder that holds a path, and the path's last component.

        Raises:
            FileNotFoundError: a parent isn't there.
            NotADirectoryError: a parent is a file.
            UnsafePath: a parent is a symbolic link, or the path leads out of the root.
        """
        *parents, name = split(relative)
        common = 0
        while (
            common < len(parents)
            and common + 1 < len(self._chain)
            and self._chain[common + 1][0] == parents[common]
        ):
            common += 1
        self._shorten(common + 1)
        for part in parents[common:]:
            self._chain.append((part, self._child(self._chain[-1][1], part)))
        return self._chain[-1][1], name

    def folder(self, relative: str) -> Folder:
        """A directory below the root, "" for the root; raises as `parent` does."""
        return self.parent(f"{relative}/x")[0] if relative else self.parent("x")[0]

    def signature(self, relative: str) -> Signature | None:
        """The signature of what is at a path; None where it, or a parent of it, isn't there."""
        try:
            folder, name = self.parent(relative)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return folder.signature(name)

    def forget(self) -> None:
        """Closes all but the root: for after directories were removed or replaced."""
        self._shorten(1)

    def make(self, relative: str, mode: int = 0) -> bool:
        """Makes a directory whose parent is there; see `Folder.mkdir`."""
        folder, name = self.parent(relative)
        return folder.mkdir(name, mode)

    def remove(self, relative: str) -> bool:
        """Removes an empty directory; False where it is none, isn't empty, or is behind a link."""
        self.forget()
        try:
            folder, name = self.parent(relative)
        except (FileNotFoundError, NotADirectoryError, UnsafePath):
            return False
        return folder.rmdir(name)

    def _child(self, folder: Folder, name: str) -> Folder:
        path = os.path.join(folder.path, name)
        try:
            if folder.fd is not None:
                return Folder(
                    path, os.open(name, os.O_RDONLY | DIRECTORY | NOFOLLOW | CLOEXEC, dir_fd=folder.fd)
                )
            found = os.lstat(path)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(folder.name(name), dir_fd=folder.fd, follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    raise UnsafePath(f"{shown(path)} is a symbolic link on the way", path=path) from error
            raise NotADirectoryError(errno.ENOTDIR, "a parent is no directory", path) from error
        if stat.S_ISLNK(found.st_mode):
            raise UnsafePath(f"{shown(path)} is a symbolic link on the way", path=path)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a parent is no directory", path)
        return Folder(path, None)

    def _shorten(self, length: int) -> None:
        while len(self._chain) > length:
            _, folder = self._chain.pop()
            if folder.fd is not None:
                os.close(folder.fd)
