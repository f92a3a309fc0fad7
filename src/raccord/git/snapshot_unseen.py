"""Finds what `git status` doesn't show: hidden edits, converted files, permissions, empty directories."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import UnsafePath
from raccord.git.answer import ask
from raccord.git.repo import Repository
from raccord.git.run import Git, strings
from raccord.git.snapshot_draft import Draft
from raccord.git.snapshot_index import DIRECTORY, GITLINK, Entry, Index
from raccord.git.snapshot_walk import unreadable, walk
from raccord.kernel.fs import Signature
from raccord.kernel.fs_tree import Tree

EMPTY = ("ls-files", "-z", "--others", "--directory", "--exclude-standard")
CONVERTING = ":(exclude,attr:!text !eol !filter !ident !working-tree-encoding)"
REWRITING = ":(exclude,attr:!filter !ident !working-tree-encoding)"
EXECUTABLE = 0o100755
_TYPE = 0o170000


@dataclass(frozen=True, slots=True)
class Conversion:
    """Tracked paths that git may convert: their blob, and its size (-1 where the size tells nothing)."""

    blobs: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Tracked:
    """What `lstat` says of the tracked files.

    Attributes:
        usual: the most frequent mode of plain files, and of executable ones.
        others: the files that have another.
        gone: paths that are not there.
    """

    usual: tuple[int, int]
    others: dict[str, int]
    gone: tuple[str, ...]


def tracked(root: Path, index: Index) -> Tracked:
    """Looks at every tracked file, while git does the same.

    Raises:
        HeldBack: a directory can't be entered.
    """
    top = os.path.join(os.fsencode(root), b"")
    found: dict[bool, dict[bytes, int]] = {False: {}, True: {}}
    gone = []
    for path, in_index in index.modes():
        if in_index & _TYPE not in (stat.S_IFREG, stat.S_IFLNK):
            continue
        try:
            mode = os.lstat(top + path).st_mode
        except PermissionError as error:
            raise unreadable(os.fsdecode(path)) from error
        except OSError:
            # Below a link that leads in a circle git status only grumbles, and lists nothing.
            gone.append(os.fsdecode(path))
            continue
        if in_index & _TYPE == mode & _TYPE == stat.S_IFREG:
            found[in_index == EXECUTABLE][path] = mode
    usual = [Counter(found[kind].values()).most_common(1) for kind in (False, True)]
    plain, executable = (most[0][0] if most else None for most in usual)
    others = {os.fsdecode(path): mode for path, mode in found[False].items() if mode != plain}
    others |= {os.fsdecode(path): mode for path, mode in found[True].items() if mode != executable}
    return Tracked((plain or 0o100644, executable or EXECUTABLE), others, tuple(gone))


def hidden(draft: Draft, tree: Tree, seen: Tracked) -> None:
    """Adds what git status doesn't show of tracked files."""
    for entry in draft.index.hidden:
        if entry.mode not in (GITLINK, DIRECTORY) and not entry.stage and there(tree, entry.path) is not None:
            draft.reads.setdefault(entry.path, "hidden")
    skipped = {entry.path for entry in draft.index.hidden if "s" in entry.flags}
    draft.absent += sorted(set(seen.gone) - skipped - set(draft.absent) - set(draft.reads))


def conversion(repo: Repository, git: Git, index: Index) -> Conversion:
    """The tracked files of which "unmodified" does not tell the bytes, since git converts them."""
    entries_of = (*repo.settings.entries, *repo.settings.elsewhere)
    values = {each.value.lower() for each in entries_of if each.key == "core.autocrlf"}
    everything = not values <= {"false", "no", "off", "0", ""}
    names = None if everything else set(strings(ask(git, "ls-files", "-z", "--", CONVERTING).check().stdout))
    if names is not None and not names:
        return Conversion({})
    rewritten = set(strings(ask(git, "ls-files", "-z", "--", REWRITING).check().stdout))
    entries = [e for e in index.entries() if not e.stage and plain(e) and (names is None or e.path in names)]
    asked = "".join(f"{entry.oid}\n" for entry in entries).encode()
    sizes = git.out("cat-file", "--batch-check=%(objectsize)", stdin=asked).split(b"\n")
    blobs = {}
    for entry, size in zip(entries, sizes, strict=False):
        told = size.isdigit() and entry.path not in rewritten
        blobs[entry.path] = entry.oid, int(size) if told else -1
    return Conversion(blobs)


def converted(draft: Draft, tree: Tree, found: Conversion) -> None:
    """Adds the unmodified files whose bytes are not those of the blob."""
    gone = set(draft.absent)
    for path, (oid, size) in found.blobs.items():
        if path in draft.reads or path in gone:
            continue
        seen = there(tree, path)
        # Conversion of line ends only takes bytes away, so that an equal size means equal bytes.
        if seen is not None and seen.size != size:
            draft.reads[path] = "converted"
            draft.clean[path] = oid


def empty(draft: Draft, tree: Tree, untracked: Iterable[str], ignored: Iterable[str]) -> None:
    """Finds the directories without any file, which `git status` doesn't show."""
    left_out = {path.rstrip("/") for path in (*ignored, *draft.opaque)}
    tops = {path.rstrip("/") for path in untracked if path.endswith("/")}
    # Where a tracked file is gone, git takes its directory, and one in its place, for tracked.
    for path in (*draft.absent, *(entry.path for entry in draft.index.hidden), *draft.unmerged):
        seen = there(tree, path)
        if seen is None:
            tops.add(_emptied(tree, path))
        elif seen.is_dir:
            tops.add(path)
    for top in tops - left_out - {""}:
        for name, kind in walk(tree, top, left_out):
            if kind == "empty":
                note(draft, tree, name)


def note(draft: Draft, tree: Tree, directory: str) -> None:
    """Notes a directory without files."""
    seen = tree.signature(directory)
    if seen is not None:
        draft.directories[directory] = seen.mode


def _emptied(tree: Tree, path: str) -> str:
    """The nearest directory above a tracked file that is gone, where nothing is left in it; else ""."""
    while path := path.rpartition("/")[0]:
        try:
            return "" if tree.folder(path).names() else path
        except FileNotFoundError:
            continue
        except (NotADirectoryError, UnsafePath):
            break
        except PermissionError as error:
            raise unreadable(path) from error
    return ""


def there(tree: Tree, path: str) -> Signature | None:
    """What is at a path; what lies beyond a link is not in the worktree."""
    try:
        return tree.signature(path)
    except UnsafePath:
        return None


def plain(entry: Entry) -> bool:
    """Whether an entry is a file that git status tells the truth about."""
    return stat.S_ISREG(entry.mode) and not entry.flags
