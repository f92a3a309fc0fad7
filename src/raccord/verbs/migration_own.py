"""Which revisions of a worktree are its branch's own: those that the base lacks, or has otherwise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import UsageError
from raccord.git.answer import ask
from raccord.git.run import Git, strings
from raccord.git.worktrees import Worktree
from raccord.migrations.observe import Site
from raccord.verbs.migration_branch import base_of
from raccord.verbs.room import Room


@dataclass(frozen=True, slots=True)
class Own:
    """The branch's own files.

    Attributes:
        base: what they were compared with, for a person.
        top: the worktree, links followed.
        paths: of the files, relative to it.
    """

    base: str
    top: str
    paths: frozenset[str]

    def has(self, path: str | Path) -> bool:
        """Whether a file is one of them."""
        return os.path.relpath(os.path.realpath(path), self.top) in self.paths


def own(room: Room, tree: Worktree, sites: Sequence[Site], asked: str = "") -> Own:
    """The files of version folders that the branch added or changed; not those that are kept out of commits.

    Args:
        asked: the base, or "" for the configured one.

    Raises:
        UsageError: nothing says which branch is the base.
    """
    hint = "raccord migrations lint --all, or --base BRANCH"
    try:
        base = base_of(room, asked)
    except UsageError as error:
        raise UsageError(error.message, hint=hint) from error
    if base is None:
        raise UsageError("there is no commit yet to compare with", hint=hint)
    folders = dict.fromkeys(folder for site in sites for folder in site.folders)
    where = [f":(top,literal){folder}" if folder else ":(top)" for folder in folders]
    top = os.path.realpath(tree.path)
    if not where:
        return Own(base.name, top, frozenset())
    git = room.repo.git.at(tree.path)
    shared = git.run("merge-base", base.oid, "HEAD")
    # What the base changed since is not this branch's doing, nor is what both have alike.
    paths = _changed(git, base.oid, where)
    if shared.returncode == 0:
        paths &= _changed(git, shared.stdout.decode().strip(), where)
    new = ask(git, "ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", *where).check()
    return Own(base.name, top, frozenset(paths | {*strings(new.stdout)}))


def _changed(git: Git, commit: str, where: Sequence[str]) -> set[str]:
    """The paths that differ between a commit and the worktree."""
    said = ask(git, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", commit, "--", *where)
    return {*strings(said.check().stdout)}
