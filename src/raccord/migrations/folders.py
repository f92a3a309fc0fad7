"""Lists the files of version folders that alembic would load, in its order (script/base.py of 1.20).

Opens none of them and never writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from raccord.migrations.revision import is_compiled_name, is_revision_name


class Listed(NamedTuple):
    """A file that alembic would load, or a folder that can't be listed.

    Attributes:
        path: as listed.
        real: the same without symbolic links.
        status: of the file itself; None where nobody could ask for it.
        trouble: why not, or "".
    """

    path: str
    real: str
    status: os.stat_result | None
    trouble: str = ""


@dataclass(slots=True)
class Seen:
    """What a listing looked at, so that the next one can tell whether it would be the same.

    Attributes:
        folders: each folder, with its status from before it was listed.
        plain: whether the times of folders and files tell of every change: there are no links, no bytecode
            counts, and nothing was in the way.
    """

    folders: list[tuple[str, os.stat_result]] = field(default_factory=list)
    plain: bool = True


def listed(top: str, seen: Seen, *, recursive: bool, sourceless: bool) -> Iterator[Listed]:
    """The files in a version folder.

    Args:
        top: the folder.
        seen: told of what was looked at.
        recursive: whether alembic goes into its subfolders.
        sourceless: whether bytecode without a source counts.
    """
    seen.plain = seen.plain and not sourceless
    todo = [top]
    while todo:
        folder = todo.pop()
        try:
            seen.folders.append((folder, os.stat(folder)))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            seen.plain = False
            yield Listed(folder, folder, None, f"the folder can't be listed: {error.strerror}")
            continue
        folders = {entry.name for entry in entries if _is_dir(entry)}
        if recursive:
            below = [entry for entry in entries if entry.name in folders and not entry.is_symlink()]
            todo += [entry.path for entry in reversed(below)]
        if folder.endswith("__pycache__"):
            continue
        plain = [entry for entry in entries if entry.name not in folders]
        real = os.path.realpath(folder)
        for entry in plain:
            if entry.is_symlink():
                seen.plain = False
            yield from _one(entry, real, sourceless)
        if sourceless:
            for entry in _without_source(folder, plain):
                yield from _one(entry, os.path.realpath(os.path.join(folder, "__pycache__")), sourceless)


def _one(entry: os.DirEntry[str], real_folder: str, sourceless: bool) -> Iterator[Listed]:
    real = f"{real_folder}{os.sep}{entry.name}"
    try:
        if entry.is_symlink():
            # alembic goes by the name of what a link leads to.
            real = os.path.realpath(entry.path)
            if _counts(real, sourceless):
                yield Listed(entry.path, real, os.stat(real))
        elif _counts(entry.path, sourceless):
            yield Listed(entry.path, real, entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        # A file that is gone since it was listed is not there; a link that leads nowhere is.
        if entry.is_symlink():
            yield Listed(entry.path, real, None, "a symbolic link that leads nowhere")
    except OSError as error:
        yield Listed(entry.path, real, None, f"can't be looked at: {error.strerror}")


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # links in a circle: `_one` says so


def _counts(path: str, sourceless: bool) -> bool:
    name = path.rpartition(os.sep)[2]
    if is_revision_name(name):
        return True
    if not sourceless or not is_compiled_name(name):
        return False
    folder = os.path.dirname(path)
    source = os.path.join(folder, name[:-1])
    return not os.path.exists(source) and not (name.endswith("o") and os.path.exists(source + "c"))


def _without_source(folder: str, plain: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    """The bytecode in a folder's cache that no file of the folder belongs to."""
    stems = {entry.name.split(".")[0] for entry in plain}
    try:
        with os.scandir(os.path.join(folder, "__pycache__")) as scan:
            found = [entry for entry in scan if entry.name.split(".")[0] not in stems]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda entry: entry.name)
