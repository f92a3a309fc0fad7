"""Walks directories that git doesn't list: ignored ones, and those without files. Follows no link."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from raccord.errors import HeldBack
from raccord.kernel.fs_tree import Tree
from raccord.model.text import shown


def walk(tree: Tree, top: str, without: Container[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Everything below a directory: path and "file" (or link), "empty" (directory), "opaque" or "special".

    Embedded repositories are named and not entered.

    Args:
        without: directories that are passed over.

    Raises:
        HeldBack: a directory can't be read.
    """
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            folder = tree.folder(path)
            with os.scandir(folder.path if folder.fd is None else folder.fd) as entries:
                found = sorted((entry.name, _kind(entry)) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            raise unreadable(path) from error
        if any(name == ".git" and _leads_to_git(tree, path, kind) for name, kind in found):
            yield path, "opaque"
            continue
        if not found:
            yield path, "empty"
        for name, kind in found:
            if kind != "directory":
                yield f"{path}/{name}", kind
            elif name != ".git" and f"{path}/{name}" not in without:
                waiting.append(f"{path}/{name}")


def unreadable(path: str) -> HeldBack:
    """What is said of a file that can't be read: a backup that isn't whole is none."""
    return HeldBack(
        f"{shown(path)} can't be read, so no snapshot can keep it: permission denied",
        hint=f"make {shown(path)} readable, or have git ignore it",
        path=path,
    )


def _leads_to_git(tree: Tree, path: str, kind: str) -> bool:
    """Whether `.git` in a directory makes it a repository of its own, as far as git looks."""
    return kind == "file" or tree.signature(f"{path}/.git/HEAD") is not None


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink() or entry.is_file(follow_symlinks=False):
        return "file"
    return "directory" if entry.is_dir(follow_symlinks=False) else "special"
