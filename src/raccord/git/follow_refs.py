"""The refs and the HEAD that move together with a worktree: where they stand, and moving them in one
transaction.

Never forces: every change names the value that it expects, and git refuses where the world has moved.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import HeldBack, ProcessFailed, WorldMoved
from raccord.git.follow_stage import Stage
from raccord.git.refs import Change
from raccord.git.run import Git
from raccord.kernel import fs
from raccord.model.plan import Json
from raccord.model.text import shown

# How long a ref lock that a killed git of ours may have left must stay as it is before it is taken for left.
SETTLED_S = 1.0
_POLL_S = 0.05
_QUIET = ("-c", "core.hooksPath=/dev/null")
_OWN = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")


@dataclass(frozen=True, slots=True)
class Head:
    """What the worktree's HEAD points to: "refs/heads/x", or an object id where it is detached."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RefMoves:
    """All that moves besides index and files.

    Attributes:
        refs: in one transaction; "HEAD" is the detached HEAD.
        head: where HEAD is to point to, None to leave it.
        message: for the reflogs.
    """

    refs: tuple[Change, ...]
    head: Head | None
    message: str

    def reverse(self) -> RefMoves:
        """The same, back."""
        head = Head(self.head.new, self.head.old) if self.head else None
        back = tuple(Change(change.ref, change.old, change.new) for change in self.refs)
        return RefMoves(back, head, f"{self.message} (taken back)")

    @classmethod
    def of(cls, data: Mapping[str, Json]) -> RefMoves:
        """Read back from `dataclasses.asdict`, through JSON."""
        head = data["head"]
        return cls(
            tuple(Change(**each) for each in data["refs"]), Head(**head) if head else None, data["message"]
        )


def read_head(git: Git, gitdir: Path) -> str:
    """What HEAD points to: a full ref name, or an object id.

    Raises:
        ProcessFailed: git can't read it.
    """
    said = (fs.read_or_none(gitdir / "HEAD") or b"").decode("utf-8", "surrogateescape").strip()
    name = said.removeprefix("ref:").strip()
    # With the reftable format the file is there for old programs only.
    if not said or name == "refs/heads/.invalid":
        asked = git.run("symbolic-ref", "-q", "HEAD")
        if asked.returncode:
            return git.line("rev-parse", "--verify", "HEAD")
        return asked.stdout.decode("utf-8", "surrogateescape").strip()
    return name


def read_refs(git: Git, names: Sequence[str]) -> dict[str, str | None]:
    """The object ids that refs have, None for those that don't exist.

    Raises:
        ProcessFailed: git failed.
    """
    found: dict[str, str | None] = dict.fromkeys(names)
    wanted = [name for name in names if name != "HEAD"]
    if wanted:
        listed = git.out("for-each-ref", "--format=%(refname)%00%(objectname)", *wanted)
        for line in listed.splitlines():
            name, _, oid = line.decode("utf-8", "surrogateescape").partition("\0")
            if name in found:
                found[name] = oid
    if "HEAD" in found:
        asked = git.run("rev-parse", "-q", "--verify", "HEAD")
        found["HEAD"] = asked.stdout.decode().strip() if asked.returncode == 0 else None
    return found


def stand(git: Git, gitdir: Path, moves: RefMoves) -> tuple[bool, bool]:
    """Whether all refs and HEAD are as before, and whether all are as after."""
    now = read_refs(git, [change.ref for change in moves.refs])
    before = all(now[change.ref] == change.old for change in moves.refs)
    after = all(now[change.ref] == change.new for change in moves.refs)
    if moves.head:
        head = read_head(git, gitdir)
        before, after = before and head == moves.head.old, after and head == moves.head.new
    return before, after


def move(stage: Stage, git: Git, moves: RefMoves, *, since_ns: int, resumed: bool, wait: float) -> None:
    """Moves refs and HEAD, those that aren't moved yet.

    Args:
        git: at the worktree, so that its HEAD gets its reflog entry.
        since_ns: when the log was written; a lock that a killed git of ours left is younger.
        resumed: whether an earlier attempt was killed.
        wait: seconds to wait for another git command that holds a ref.

    Raises:
        WorldMoved: a ref or HEAD is neither as before nor as after.
        HeldBack: another git command holds a ref.
    """
    until = time.monotonic() + wait
    if resumed:
        _clear(_locks(stage.gitdir, moves), moves, since_ns)
    while moves.refs or moves.head:
        try:
            _move(stage, git, moves)
            return
        except ProcessFailed as failed:
            locks = [path for path in _locks(stage.gitdir, moves) if fs.signature(path) is not None]
            if failed.returncode < 0:
                _clear(locks, moves, since_ns)
            if _moved(git, stage.gitdir, moves):
                return
            if not locks and "lock" not in failed.stderr and failed.returncode >= 0:
                raise HeldBack(failed.message, hint=failed.hint, stderr=failed.stderr) from failed
            if time.monotonic() > until:
                held = ", ".join(shown(str(path)) for path in locks) or "a ref"
                raise HeldBack(
                    f"another git command holds {held}",
                    hint="try again when it has ended",
                    stderr=failed.stderr,
                ) from failed
            time.sleep(_POLL_S)


def _move(stage: Stage, git: Git, moves: RefMoves) -> None:
    about = f"raccord: {moves.message}".encode("utf-8", "replace").decode()
    if moves.head and (head := read_head(git, stage.gitdir)) not in (moves.head.old, moves.head.new):
        raise WorldMoved(f"HEAD moved meanwhile: it is at {shown(head)}", hint="try again", ref="HEAD")
    if moves.refs:
        try:
            stage.call(
                git, *_QUIET, "update-ref", "-m", about, "--stdin", "-z", stdin=_transaction(moves.refs)
            )
        except ProcessFailed as failed:
            now = read_refs(git, [change.ref for change in moves.refs])
            if failed.returncode < 0 or any(now[change.ref] != change.new for change in moves.refs):
                raise
    if moves.head and read_head(git, stage.gitdir) == moves.head.old != moves.head.new:
        if moves.head.new.startswith("refs/"):
            stage.call(git, *_QUIET, "symbolic-ref", "-m", about, "HEAD", moves.head.new)
        else:
            stage.call(git, *_QUIET, "update-ref", "-m", about, "--no-deref", "HEAD", moves.head.new)


def _transaction(refs: Sequence[Change]) -> bytes:
    words: list[str] = []
    for change in refs:
        if change.ref == "HEAD":
            words.append("option no-deref")
        if change.new is not None and change.old is not None:
            words += [f"update {change.ref}", change.new, change.old]
        elif change.new is not None:
            words += [f"create {change.ref}", change.new]
        else:
            words += [f"{'verify' if change.old is None else 'delete'} {change.ref}", change.old or ""]
    return b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)


def _moved(git: Git, gitdir: Path, moves: RefMoves) -> bool:
    """Whether all is as after; raises where something is neither as before nor as after."""
    now: dict[str, str | None] = dict(read_refs(git, [change.ref for change in moves.refs]))
    wanted = {change.ref: (change.old, change.new) for change in moves.refs}
    if moves.head:
        now["HEAD's target"] = read_head(git, gitdir)
        wanted["HEAD's target"] = (moves.head.old, moves.head.new)
    for name, (old, new) in wanted.items():
        if now[name] not in (old, new):
            raise WorldMoved(
                f"{shown(name)} moved meanwhile: it is {now[name] or 'gone'}, not {old or 'absent'}",
                hint="try again",
                ref=name,
            )
    return all(now[name] == new for name, (_, new) in wanted.items())


def _locks(gitdir: Path, moves: RefMoves) -> list[Path]:
    """The lock files of the files backend that our transactions take."""
    common = (fs.read_or_none(gitdir / "commondir") or b".").decode("utf-8", "surrogateescape").strip()
    paths = [gitdir / "HEAD.lock"]
    for change in moves.refs:
        if change.ref != "HEAD":
            base = gitdir if change.ref.startswith(_OWN) else gitdir / common
            paths.append(base / f"{change.ref}.lock")
    return paths


def _clear(locks: Sequence[Path], moves: RefMoves, since_ns: int) -> None:
    """Removes the ref locks that a killed git of ours left: every git of ours has ended
    (`kernel/fs_alive.py`), the lock is younger than our log, holds nothing or just what we write, and
    nobody goes on with it.
    """
    ours = {b""}
    for name in [each for change in moves.refs for each in (change.old, change.new)]:
        ours.add(f"{name}\n".encode())
    for name in (moves.head.old, moves.head.new) if moves.head else ():
        ours |= {f"{name}\n".encode(), f"ref: {name}\n".encode("utf-8", "surrogateescape")}
    left = []
    for path in locks:
        seen, held = fs.signature(path), fs.read_or_none(path)
        # Git writes a ref's id and its newline one after the other: a kill may fall between the two.
        if (
            seen
            and held is not None
            and seen.ctime_ns >= since_ns
            and any(each.startswith(held) for each in ours)
        ):
            left.append((path, seen))
    if left:
        time.sleep(SETTLED_S)
    for path, seen in left:
        if seen.same(fs.signature(path)):
            fs.unlink(path)
