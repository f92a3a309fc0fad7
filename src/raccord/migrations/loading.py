"""Reads the revision files in version folders from the disk, and remembers what it read.

Never imports or executes one, never writes. What alembic would stumble over, or can't be read, is named.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raccord.migrations import lfs
from raccord.migrations.folders import Listed, Seen, listed
from raccord.migrations.memo import Memo, Parsed, Question, Stamp, key_of, stamp_of
from raccord.migrations.regular import regular
from raccord.migrations.revision import LARGEST, Revision, Unread, is_compiled_name


@dataclass(frozen=True, slots=True)
class File:
    """One revision and where it lies.

    Attributes:
        path: as listed, a symbolic link not followed.
        revision: what it says.
    """

    path: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class Fault:
    """A file or folder that can't be read as what it should be.

    Attributes:
        path: where it lies.
        line: 1-based; 0 where no line is to blame.
        reason: what is wrong, without the path.
    """

    path: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What version folders hold.

    Attributes:
        files: the revisions, in the order in which alembic lists them.
        faults: files that are no revision as far as can be told, and folders that can't be listed.
        strangers: Python files without a revision; alembic refuses to work while they lie there.
        absent: folders that aren't there; alembic passes them by.
    """

    files: tuple[File, ...] = ()
    faults: tuple[Fault, ...] = ()
    strangers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """The revisions, for a `Graph`."""
        return tuple(file.revision for file in self.files)


def load(
    folders: Sequence[str | Path],
    *,
    recursive: bool = False,
    sourceless: bool = False,
    memo: Memo | None = None,
) -> Loaded:
    """All revisions in version folders.

    Args:
        folders: the version locations, in the order of the configuration.
        recursive: alembic's `recursive_version_locations`.
        sourceless: alembic's `sourceless`: files of bytecode without a source count; they are faults, since
            bytecode can't be read without running it.
        memo: what was read before; by default nothing is known. The answer is the same object as before where
            nothing changed since.
    """
    memo = Memo() if memo is None else memo
    question = question_of(folders, recursive=recursive, sourceless=sourceless)
    if isinstance(known := memo.answer(question), Loaded):
        return known
    if isinstance(known, dict) and (loaded := _restored(known, memo)) is not None:
        return loaded
    now = time.time_ns()
    looked = Seen()
    stamps: list[tuple[str, Stamp | None]] = []
    files: list[File] = []
    faults: list[Fault] = []
    strangers: list[str] = []
    absent: list[str] = []
    seen: set[str] = set()
    with uncollected():
        for folder in question[0]:
            if not os.path.exists(folder):
                absent.append(folder)
                stamps.append((folder, None))
                continue
            for one in listed(folder, looked, recursive=recursive, sourceless=sourceless):
                if one.real in seen:
                    continue
                seen.add(one.real)
                try:
                    result, stamp = _result(one, memo, now)
                except FileNotFoundError:
                    looked.plain = False
                    continue  # gone since it was listed
                looked.plain = looked.plain and stamp is not None
                stamps.append((one.path, stamp))
                if isinstance(result, Revision):
                    files.append(File(one.path, result))
                elif isinstance(result, Unread):
                    faults.append(Fault(one.path, result.line, result.reason))
                else:
                    strangers.append(one.path)
    loaded = Loaded(tuple(files), tuple(faults), tuple(strangers), tuple(absent))
    if looked.plain:
        folders_seen = [(path, stamp_of(status)) for path, status in looked.folders]
        memo.keep(question, [*folders_seen, *stamps], loaded, now, saved=_saved(loaded))
    return loaded


def question_of(folders: Sequence[str | Path], *, recursive: bool, sourceless: bool) -> Question:
    """What `load` asks its memo."""
    return (tuple(os.fspath(folder) for folder in folders), recursive, sourceless)


def _saved(loaded: Loaded) -> dict[str, object]:
    """As JSON; what revisions say is kept by content, for all worktrees together."""
    return {
        "keys": [key_of(file.revision) for file in loaded.files],
        "paths": [file.path for file in loaded.files],
        "faults": [[one.path, one.line, one.reason] for one in loaded.faults],
        "strangers": list(loaded.strangers),
    }


def _restored(saved: Mapping[str, Any], memo: Memo) -> Loaded | None:
    """What `_saved` made JSON of; None where a content is not known any more."""
    files = []
    for path, key in zip(saved["paths"], saved["keys"], strict=True):
        if (revision := memo.revision(key)) is None:
            return None
        files.append(File(path, revision))
    faults = tuple(Fault(*one) for one in saved["faults"])
    return Loaded(tuple(files), faults, tuple(saved["strangers"]))


def _result(one: Listed, memo: Memo, now: int) -> tuple[Parsed, Stamp | None]:
    """What a file says, and its stamp where that tells whether it will say the same again."""
    name = one.real.rpartition(os.sep)[2]
    if one.status is None:
        return Unread(name, 0, one.trouble), None
    if is_compiled_name(name):
        return Unread(name, 0, "bytecode without its source, which can't be read without running it"), None
    stamp = stamp_of(one.status)
    if (known := memo.said(one.path, stamp)) is not None:
        return known[0], stamp
    try:
        source, status = regular(one.real, LARGEST)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Unread(name, 0, f"can't be read: {error.strerror or error}"), None
    if (pointer := lfs.pointer(source)) is not None:
        return Unread(name, 0, f"{lfs.POINTS} of {pointer.size} bytes"), None
    result = memo.parsed(source, name)
    memo.remember(one.path, stamp := stamp_of(status), result, now)
    return result, stamp


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Holds the garbage collector back: it takes a third of the time of parsing, and trees are no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
