"""Makes a commit of a few files alone: nothing else that is staged or edited goes along.

The hooks that `git commit` would run before it run here, on an index of their own. What is made are objects;
`follow_put` then moves the branch and the index together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.errors import HeldBack, ProcessFailed, WorldMoved
from raccord.git.follow_put import Put
from raccord.git.hooks import find_hook, run_hook
from raccord.git.refs import Change
from raccord.git.repo import Repository
from raccord.git.run import Git, strings
from raccord.git.snapshot_index import parse
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.kernel.fs_private import private_folder
from raccord.model.text import shown

PLAIN = "100644"
NO_EDITOR = {"GIT_EDITOR": ":"}


@dataclass(frozen=True, slots=True)
class Alone:
    """What is to be committed.

    Attributes:
        tree: the worktree whose branch gets it.
        tip: the commit that it stands on.
        files: path and content, as they are in the worktree.
        message: of the commit.
    """

    tree: Worktree
    tip: str
    files: Mapping[str, bytes]
    message: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a commit goes.

    Attributes:
        worktree, gitdir: of the branch, absolute.
        branch: its short name.
        paths: that the commit changes.
    """

    worktree: str
    gitdir: str
    branch: str
    paths: tuple[str, ...]


def made(repo: Repository, what: Alone) -> str:
    """Makes the commit, which no branch has yet; its id.

    Raises:
        HeldBack: a hook refused or changed other files, or git knows no identity.
    """
    git = repo.git.at(what.tree.path).ordered()
    listed = b"".join(_line(git, path, data) for path, data in what.files.items())
    with private_folder() as folder:
        return _commit(repo, git, what, listed, folder)


def put_of(git: Git, where: Place, old: str, new: str) -> Put:
    """What moves a branch and its index from one of two commits to the other; no file changes.

    Raises:
        WorldMoved: the index has something else at the paths than the old commit, or the new one.
        HeldBack: it is a split index.
    """
    change = Change(f"refs/heads/{where.branch}", new, old)
    put = Put(
        where.worktree, where.gitdir, (), refs=(change,), message="commit alone", name=f"{old} {new}"
    )  # fmt: skip
    before = fs.read_or_none(Path(where.gitdir) / "index") or b""
    if parse(before, len(old) // 2).split:
        raise HeldBack("its index is a split one", hint="git update-index --no-split-index")
    with private_folder() as folder:
        fs.write_new(folder / "next", before, durable=False)
        own = git.using(GIT_INDEX_FILE=str(folder / "next"))
        now = own.out("ls-files", "-s", "-z", "--", *(f":(literal){path}" for path in where.paths))
        wanted, entries = (_entries(git, one, where.paths) for one in (new, old))
        if _staged(now) == wanted:
            return put  # that was done already
        if _staged(now) != entries:
            raise WorldMoved("something else is staged", hint="git status")
        nothing = "0" * len(old)
        lines = [wanted.get(path, f"0 {nothing}") + f"\t{path}" for path in where.paths]
        own.out(
            "update-index",
            "-z",
            "--index-info",
            stdin="\0".join([*lines, ""]).encode("utf-8", "surrogateescape"),
        )
        after = fs.read(folder / "next")
    index_before, index = (
        git.out("hash-object", "-w", "--no-filters", "--stdin", stdin=one).decode("ascii").strip()
        for one in (before, after)
    )
    return replace(put, index=index, index_before=index_before)


def _entries(git: Git, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """Mode and blob of paths in a commit."""
    listed = strings(git.out("ls-tree", "-z", "--full-tree", commit, "--", *paths))
    split = (line.partition("\t") for line in listed)
    return {path: " ".join(meta.split()[::2]) for meta, _, path in split}


def _staged(listed: bytes) -> dict[str, str]:
    """The same of an index; what is in conflict equals nothing."""
    split = (line.partition("\t") for line in strings(listed))
    return {path: meta.removesuffix(" 0") for meta, _, path in split}


def _line(git: Git, path: str, data: bytes) -> bytes:
    """An entry of the index for a content of the worktree, as the repository's own attributes keep it."""
    oid = git.out("hash-object", "-w", f"--path={path}", "--stdin", stdin=data, trusted=True).strip()
    return PLAIN.encode() + b" " + oid + b"\t" + os.fsencode(path) + b"\0"


def _commit(repo: Repository, git: Git, what: Alone, listed: bytes, folder: Path) -> str:
    index = str(folder / "index")
    own = git.using(GIT_INDEX_FILE=index)
    own.out("read-tree", what.tip)
    own.out("update-index", "-z", "--index-info", stdin=listed)
    env = {"GIT_INDEX_FILE": index, **NO_EDITOR}
    _hook(repo, "pre-commit", what.tree.path, env=env)
    tree = own.line("write-tree")
    differs = strings(git.out("diff-tree", "-r", "-z", "--name-only", "--no-renames", what.tip, tree))
    if others := [path for path in differs if path not in what.files]:
        raise HeldBack(f"the hook pre-commit adds {shown(others[0])} to the commit", hint="git status")
    if not differs:
        raise HeldBack("the hook pre-commit leaves nothing to commit", hint="git status")
    said = folder / "message"
    fs.write_new(said, what.message.encode("utf-8", "surrogateescape"), durable=False)
    _hook(repo, "prepare-commit-msg", what.tree.path, str(said), "message", env=env)
    _hook(repo, "commit-msg", what.tree.path, str(said), env=env)
    text = git.out("stripspace", stdin=fs.read(said))
    sign = ["-S"] if repo.settings.flag("commit.gpgsign") else []
    try:
        return git.out(
            "commit-tree", *sign, "-p", what.tip, tree, stdin=text, trusted=True
        ).decode("ascii").strip()  # fmt: skip
    except ProcessFailed as error:
        last = error.stderr.strip().rpartition("\n")[2]
        raise HeldBack(f"git made no commit: {shown(last)}", hint="git commit --dry-run") from None


def _hook(repo: Repository, name: str, worktree: Path, *args: str, env: Mapping[str, str]) -> None:
    result = run_hook(repo, name, worktree, *args, env=env)
    if result is not None and result.returncode:
        last = result.output.strip().rpartition("\n")[2]
        said = f"hook {name} answered {result.returncode}: {shown(last)}"
        raise HeldBack(said, hint=f"see {find_hook(repo, name, worktree)}")
