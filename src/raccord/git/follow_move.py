"""A move between two commits: what it is, what must hold, and staging what it writes.

What is plain is written here; else git merges the index (staged edits that don't overlap stay) and writes the
files (filters and end of lines of the new commit's attributes apply), both on private copies. Changes nothing
outside of the stage.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from raccord.errors import HeldBack, ProcessFailed, WorldMoved
from raccord.git import follow_index, follow_refs, follow_target, worktrees
from raccord.git.deltas import Delta
from raccord.git.follow_check import Examined, examine, problem, some
from raccord.git.follow_edit import edited
from raccord.git.follow_index import Index
from raccord.git.follow_refs import Head, RefMoves
from raccord.git.follow_shared import Shared
from raccord.git.follow_stage import PRIVATE, Stage, unfinished
from raccord.git.follow_target import Target
from raccord.git.refs import Change
from raccord.git.run import Git, strings
from raccord.kernel import fs
from raccord.kernel.fs import Signature
from raccord.kernel.fs_swap_log import Entry
from raccord.kernel.fs_tree import Tree
from raccord.model.plan import Finding, Json
from raccord.model.text import shown

LINK, EXECUTABLE = 0o120000, 0o100755


@dataclass(frozen=True, slots=True)
class Move:
    """A worktree that follows a ref; JSON-able through `payload()` and `Move.of()`.

    Attributes:
        worktree: its top directory, absolute.
        gitdir: its own git directory (`git rev-parse --absolute-git-dir`).
        old: the commit (or tree) that index and files have now, apart from edits; a full object id.
        new: the commit (or tree) that they get; a full object id.
        refs: what moves with it: usually one, the branch that HEAD points to, or "HEAD" where it is detached.
        message: for the reflogs, without "raccord: ".
    """

    worktree: str
    gitdir: str
    old: str
    new: str
    refs: tuple[Change, ...]
    message: str = "follow"

    def payload(self) -> dict[str, Json]:
        """As JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]  # JSON is Any

    @classmethod
    def of(cls, payload: Mapping[str, Json]) -> Move:
        """Read back from JSON."""
        return cls(**{**payload, "refs": tuple(Change(**each) for each in payload["refs"])})

    @property
    def key(self) -> str:
        """Tells this move from others."""
        return hashlib.sha256(json.dumps(self.payload(), sort_keys=True).encode()).hexdigest()

    @property
    def width(self) -> int:
        """Bytes of an object's name."""
        return len(self.old) // 2

    @property
    def moves(self) -> RefMoves:
        """What moves besides index and files."""
        return RefMoves(self.refs, None, self.message)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a move found."""

    deltas: Sequence[Delta]
    examined: Examined
    findings: list[Finding]


def look(git: Git, move: Move, index: Index, mtime_ns: int, *, trusted: bool, shared: Shared) -> Looked:
    """Compares the two commits, and the worktree with what must hold.

    Args:
        index: the worktree's, not a split one.
        mtime_ns: when that was written.

    Raises:
        ProcessFailed: git failed, for one since a commit isn't there.
    """
    git, gitdir = git.at(Path(move.worktree)), Path(move.gitdir)
    deltas = shared.differences(git, move.old, move.new)
    sparse = bool(index.skipped) and fs.signature(gitdir / "info" / "sparse-checkout") is not None
    examined = examine(git, index, mtime_ns, deltas, sparse=sparse, trusted=trusted)
    findings = [*_around(git, move, gitdir, index), *examined.findings()]
    if not trusted:
        findings += filters(git, examined.write)
    return Looked(deltas, examined, findings)


def read_index(stage: Stage, git: Git, width: int) -> tuple[Index, Signature | None]:
    """Links the index, so that it can be put back, and reads it, with the entries of its shared part.

    Raises:
        CannotRun: it can't be read.
    """
    seen = follow_target.link_index(stage)
    index = follow_index.parse(fs.read(stage.meta / "index.old") if seen else b"", width)
    if index.split:
        _copy_index(stage, index, seen)
        stage.call(stage.private(git), *PRIVATE, "update-index", "--no-split-index", "--force-write-index")
        index = follow_index.parse(fs.read(stage.index), width)
    return index, seen


def _copy_index(stage: Stage, index: Index, seen: Signature | None) -> None:
    """Writes a private index. It keeps the time of the worktree's: from it git tells which entries it must
    not trust.
    """
    fs.unlink(stage.index)
    if seen is not None:
        fs.write_new(stage.index, index.data, durable=False, mtime_ns=seen.mtime_ns)


def staged(
    stage: Stage, git: Git, move: Move, *, trusted: bool, shared: Shared
) -> tuple[Target, Index | None]:
    """Puts everything new into the stage; also returns the new index, None where it stays as it is.

    Raises:
        WorldMoved: HEAD or the ref is elsewhere.
        HeldBack: something stands in the way.
        CannotRun: disk full.
    """
    index, seen = read_index(stage, git, move.width)
    looked = look(git, move, index, seen.mtime_ns if seen else 0, trusted=trusted, shared=shared)
    refuse(looked.findings)
    examined, before = looked.examined, looked.examined.before
    # HEAD stays on its branch; that it is still there is looked at again when the index is locked.
    head = follow_refs.read_head(git, stage.gitdir)
    moves = RefMoves(move.refs, Head(head, head) if head.startswith("refs/") else None, move.message)
    files = stage.files()
    if not looked.deltas:
        fs.unlink(stage.index)
        return Target(move.key, files, (), moves, seen, move.width), None
    new = edited(index, looked.deltas)
    _copy_index(stage, new or index, seen)
    if new is None:
        _merge_index(stage, git, move, trusted=trusted)
        new = _check_index(stage, index, looked.deltas)
    private = stage.private(git)
    if not trusted:
        refuse(filters(private, examined.write))
    names = {path: str(number) for number, path in enumerate(examined.write)}
    literal = shared.literal(private, new, names) and _write(files / "new", private, looked, names, shared)
    if names and not literal:
        _check_out(stage, git, files, names, trusted)
    _confirm(stage, files / "new", examined, names)
    entries = [Entry(path, before[path], staged=name) for path, name in names.items()]
    entries += [Entry(path, before[path]) for path in examined.remove]
    entries += [Entry(path, before[path], folder=True) for path in examined.folders]
    target = Target(move.key, files, tuple(entries), moves, seen, move.width, synced=literal)
    return target, new


def refuse(findings: Sequence[Finding]) -> None:
    """Raises for the first finding that fails.

    Raises:
        WorldMoved: it says that HEAD or a ref moved.
        HeldBack: anything else.
    """
    bad = [finding for finding in findings if finding.status == "fail"]
    if bad:
        kind = WorldMoved if bad[0].name == "follow.moved" else HeldBack
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise kind(
            bad[0].message + more,
            hint=bad[0].hint,
            findings=[asdict(finding) for finding in bad],
            **bad[0].data,
        )


def _merge_index(stage: Stage, git: Git, move: Move, *, trusted: bool) -> None:
    """Brings the private index from the old commit to the new one; what doesn't overlap stays as it is."""
    private = stage.private(git)
    merge = (*PRIVATE, "read-tree", "-m", move.old, move.new)
    try:
        stage.call(private, *merge, trusted=trusted)
    except ProcessFailed:
        # It may only be that the times of a file changed and its content didn't.
        try:
            stage.call(private, *PRIVATE, "update-index", "-q", "--refresh", trusted=trusted)
            stage.call(private, *merge, trusted=trusted)
        except ProcessFailed as failed:
            raise HeldBack(failed.message, hint="git status", stderr=failed.stderr) from failed


def _write(into: Path, git: Git, looked: Looked, names: Mapping[str, str], shared: Shared) -> bool:
    """Writes files whose bytes are those of their blobs, durably; False where some are too large for that."""
    blobs = {delta.path: delta.new for delta in looked.deltas if delta.path in names}
    contents = shared.contents(git, set(blobs.values()))
    if any(blob not in contents for blob in blobs.values()):
        return False
    for path, name in names.items():
        mode, data = looked.examined.write[path], contents[blobs[path]]
        if mode == LINK:
            fs.make_link(into / name, data)
        else:
            fs.write_new(into / name, data, mode=0o777 if mode == EXECUTABLE else 0o666)
    return True


def _check_out(stage: Stage, git: Git, files: Path, names: Mapping[str, str], trusted: bool) -> None:
    """Lets git write the files as it would into the worktree, attributes taken from the new index.

    It does not write the index: its times are those at which read-tree last looked into the worktree.
    """
    into = files / "out"
    fs.make_dirs(into, durable=False)
    there = git.at(into).using(
        GIT_DIR=str(stage.gitdir), GIT_WORK_TREE=str(into), GIT_INDEX_FILE=str(stage.index)
    )
    listed = b"".join(os.fsencode(path) + b"\0" for path in names)
    try:
        stage.call(there, *PRIVATE, "checkout-index", "-z", "--stdin", stdin=listed, trusted=trusted)
    except ProcessFailed as failed:
        raise HeldBack(failed.message, hint="run the filter by hand", stderr=failed.stderr) from failed
    # One directory to make durable, instead of one for each of the worktree's.
    for path, name in names.items():
        fs.rename(f"{into}/{path}", f"{files}/new/{name}")


def _confirm(stage: Stage, new: Path, examined: Examined, names: Mapping[str, str]) -> None:
    """Compares untracked files that seemed the same with what would be written, now that this is known."""
    for path in examined.confirm:
        with Tree(stage.worktree) as tree, Tree(new) as staged_tree:
            here, name = tree.parent(path)
            there, staged_name = staged_tree.parent(names[path])
            one, other = here.look(name), there.look(staged_name)
            same = one is not None and other is not None and one.st_mode == other.st_mode
            if not same or b"".join(here.chunks(name)) != b"".join(there.chunks(staged_name)):
                refuse([problem("follow.untracked", [path])])


def _check_index(stage: Stage, before: Index, deltas: Sequence[Delta]) -> Index:
    """The merged index, which must have the new entries, none of the gone ones, and all others as before."""
    after = follow_index.parse(fs.read(stage.index), before.width)
    expected = set(before.offsets)
    for delta in deltas:
        path = os.fsencode(delta.path)
        item = after.get(path)
        if (item.mode, item.oid) != (delta.new_mode, delta.new) if item else bool(delta.new):
            raise HeldBack(
                f"git merged the index entry of {shown(delta.path)} in another way", hint="git status"
            )
        if delta.new:
            expected.add(path)
        else:
            expected.discard(path)
    if set(after.offsets) != expected or after.unmerged or after.skipped > before.skipped:
        raise HeldBack("git merged the index in another way than was expected", hint="git status")
    return after


def filters(git: Git, paths: Mapping[str, int]) -> list[Finding]:
    """A problem where paths need a filter that is off, since the repository's own configuration names it."""
    off = {name for setting in git.settings if (name := _filter_of(setting))}
    if not off or not paths:
        return []
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    said = strings(git.out("check-attr", "--cached", "-z", "--stdin", "filter", stdin=listed))
    need = [path for path, value in zip(said[0::3], said[2::3], strict=True) if value in off]
    return [problem("follow.filter", need)] if need else []


def _filter_of(setting: str) -> str:
    """The driver that a setting of `git/config.py` switches off."""
    key = setting.removeprefix("--config-env=").rpartition("=")[0]
    if not key.startswith("filter."):
        return ""
    name, _, what = key.removeprefix("filter.").rpartition(".")
    return name if what in ("clean", "smudge", "process") else ""


def _around(git: Git, move: Move, gitdir: Path, index: Index) -> list[Finding]:
    """What must hold besides the paths: no operation in progress, HEAD and the ref where they were."""
    found = []
    if others := unfinished(gitdir):
        text = f"another move of {shown(move.worktree)} is unfinished ({shown(others[0])})"
        found.append(Finding("follow.unfinished", "fail", text, "raccord continue, or raccord abort"))
    name, _ = worktrees.operation(gitdir)
    if name:
        found.append(
            Finding(
                "follow.operation", "fail", f"a {name} is in progress in {shown(move.worktree)}", "git status"
            )
        )
    if index.sparse:
        text = f"{shown(move.worktree)} has a sparse index, which raccord can't move"
        found.append(Finding("follow.sparse", "fail", text, "git sparse-checkout reapply --no-sparse-index"))
    head = follow_refs.read_head(git, gitdir)
    wanted = {change.old if change.ref == "HEAD" else change.ref for change in move.refs}
    if wanted and head not in wanted:
        text = f"HEAD of {shown(move.worktree)} is {shown(head)}, not {shown(some(sorted(map(str, wanted))))}"
        found.append(Finding("follow.moved", "fail", text, "try again"))
    return found


def all_old(move: Move, deltas: Sequence[Delta]) -> bool:
    """Whether the index still has every path that changes as it was before."""
    index = follow_index.parse(fs.read_or_none(Path(move.gitdir) / "index") or b"", move.width)
    for delta in deltas:
        item = index.get(os.fsencode(delta.path))
        if ((item.mode, item.oid) if item else (0, "")) != (delta.old_mode, delta.old):
            return False
    return True
