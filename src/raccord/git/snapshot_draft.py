"""A snapshot in the making: what has to be kept, before anything is read. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from raccord.git.snapshot_index import Index
from raccord.git.worktrees import Worktree


@dataclass(slots=True)
class Draft:
    """A snapshot whose files are still to be read; the attributes are those of `Snapshot`.

    Attributes:
        reads: path to why it has to be kept.
        staged: blobs that the index names and HEAD may not.
        unmerged: paths in conflict.
        intents: whether a file is only meant to be added (`git add -N`).
        clean: asked paths to the blob of the index: kept only where their bytes are not that blob's.
        state: state files of the operation in progress, relative to the git directory.
    """

    worktree: Worktree
    index: Index
    index_mtime_ns: int
    head: str
    branch: str
    taken: float
    hash_size: int
    reads: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    staged: set[str] = field(default_factory=set)
    unmerged: list[str] = field(default_factory=list)
    intents: bool = False
    modes: tuple[int, int] = (0o100644, 0o100755)
    permissions: dict[str, int] = field(default_factory=dict)
    clean: dict[str, str] = field(default_factory=dict)
    opaque: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    directories: dict[str, int] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    every_ignored: bool = False
    state: list[str] = field(default_factory=list)
    doing: str = ""
