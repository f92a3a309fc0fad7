"""Says whether a contender's result is right, by comparing it with real `git rebase` runs in a scratch clone.

Files are hashed here and not by git, so a stale index cannot make a wrong work tree look clean.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workspaces import Workspace


@dataclass(frozen=True)
class Expected:
    """What must be found after a sync."""

    base: str
    trees: dict[str, str]
    subjects: dict[str, str]


def expect(workspace: Workspace, scratch: Path) -> Expected:
    """Rebase each branch alone in a clone made at `scratch`; the workspace is not touched."""
    workspace.git(workspace.root, "clone", "--quiet", "--shared", str(workspace.remote), str(scratch))
    trees: dict[str, str] = {}
    subjects: dict[str, str] = {}
    for branch in workspace.branches:
        workspace.git(scratch, "rebase", "--quiet", "main", f"origin/{branch}")
        trees[branch] = workspace.git(scratch, "rev-parse", "HEAD^{tree}").strip()
        subjects[branch] = workspace.git(scratch, "log", "--format=%s%n%b", "main..HEAD")
    return Expected(workspace.git(scratch, "rev-parse", "main").strip(), trees, subjects)


def faults(workspace: Workspace, expected: Expected) -> dict[str, str]:
    """The branches that are wrong after a sync, each with the first thing found wrong in it."""
    here = _heads(workspace, workspace.main)
    there = _heads(workspace, workspace.remote)
    contains = ("for-each-ref", f"--contains={expected.base}", "--format=%(refname:lstrip=2)", "refs/heads/")
    rebased = set(workspace.git(workspace.remote, *contains).split())
    found: dict[str, str] = {}
    for branch in workspace.branches:
        if branch not in rebased:
            found[branch] = "the remote branch does not contain the new base"
        elif here.get(branch) != there.get(branch):
            found[branch] = "the local and the remote branch differ"
        elif fault := _fault_in_tree(workspace, branch, expected):
            found[branch] = fault
    return found


def _heads(workspace: Workspace, repository: Path) -> dict[str, str]:
    names = "--format=%(refname:lstrip=2) %(objectname)"
    shown = workspace.git(repository, "for-each-ref", names, "refs/heads/")
    return dict(line.split(" ", 1) for line in shown.splitlines())


def _fault_in_tree(workspace: Workspace, branch: str, expected: Expected) -> str | None:
    tree = workspace.tree(branch)
    if workspace.git(tree, "symbolic-ref", "HEAD").strip() != f"refs/heads/{branch}":
        return "another branch is checked out"
    if workspace.git(tree, "rev-parse", "HEAD^{tree}").strip() != expected.trees[branch]:
        return "the commit's tree is not the one that git rebase makes"
    if workspace.git(tree, "log", "--format=%s%n%b", f"{expected.base}..HEAD") != expected.subjects[branch]:
        return "the commits are not the ones that git rebase makes"
    if workspace.git(tree, "status", "--porcelain", "--untracked-files=all"):
        return "git status is not clean"
    listed = workspace.git(tree, "ls-tree", "-r", "-z", "HEAD").split("\0")
    wanted = dict(_entry(line) for line in listed if line)
    return None if files_of(tree) == wanted else "files differ from the commit"


def _entry(line: str) -> tuple[str, tuple[str, str]]:
    """A line of `git ls-tree`, as the path and its mode and blob id."""
    described, path = line.split("\t", 1)
    mode, _, blob = described.split(" ")
    return path, (mode, blob)


def files_of(tree: Path) -> dict[str, tuple[str, str]]:
    """Every file under `tree` but `.git`, with its git mode and blob id (SHA-1)."""
    found: dict[str, tuple[str, str]] = {}
    for folder, names, files in os.walk(tree):
        names[:] = [name for name in names if name != ".git"]
        for name in files:
            path = Path(folder, name)
            relative = path.relative_to(tree).as_posix()
            if relative == ".git":
                continue
            mode = path.lstat().st_mode
            linked = stat.S_ISLNK(mode)
            data = os.fsencode(os.readlink(path)) if linked else path.read_bytes()
            kind = "120000" if linked else "100755" if mode & stat.S_IXUSR else "100644"
            found[relative] = (kind, _blob_id(data))
    return found


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
