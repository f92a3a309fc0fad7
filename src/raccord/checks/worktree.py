"""What a gate must know of its worktree: the tree that HEAD names, what differs from it. Only looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raccord.errors import WorldMoved
from raccord.git.answer import ask
from raccord.git.run import Git, strings


@dataclass(frozen=True, slots=True)
class Seen:
    """A worktree against its HEAD.

    Attributes:
        head_tree: the id of the tree of HEAD.
        modified: tracked paths that are staged, edited, deleted or in conflict.
        untracked: files that git neither tracks nor ignores.
    """

    head_tree: str
    modified: frozenset[str]
    untracked: frozenset[str]

    @property
    def clean(self) -> bool:
        """Whether the worktree holds the tree of HEAD and nothing else that git sees."""
        return not self.modified and not self.untracked

    def demand(self, worktree: Path, tree: str) -> None:
        """Raises `WorldMoved` unless HEAD is at the tree."""
        if self.head_tree != tree:
            raise WorldMoved(
                f"{worktree} is at tree {self.head_tree[:12]}, not {tree[:12]}",
                hint="raccord sync",
                tree=self.head_tree,
            )


def look(worktree: Path) -> Seen:
    """Two git processes."""
    git = Git(worktree)
    head = git.line("rev-parse", "--verify", "HEAD^{tree}")
    words = ("--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=none")
    out = ask(git, "status", *words).check().stdout
    modified, untracked = set(), set()
    for entry in strings(out):
        kind, _, rest = entry.partition(" ")
        if kind == "?":
            untracked.add(rest)
        elif kind == "1":
            modified.add(rest.split(" ", 7)[7])
        elif kind == "u":
            modified.add(rest.split(" ", 9)[9])
    return Seen(head, frozenset(modified), frozenset(untracked))
