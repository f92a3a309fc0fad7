"""Brings files, index, refs and HEAD of a worktree to an explicit state: what `raccord restore` stands on.

The same machine as `follow` (`follow_target.py`), fed with raw blobs instead of trees: no filter, no
end-of-line conversion, modes as given. A kill at any point leaves what `apply` finishes or `revert`
takes back. It never touches a path that is not named in its changes.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from raccord.errors import CannotRun, HeldBack, ProcessFailed, UnsafePath, WorldMoved
from raccord.git import follow_refs, follow_stage, follow_target
from raccord.git.follow_blobs import write_blobs
from raccord.git.follow_index import blob_oid
from raccord.git.follow_refs import Head, RefMoves
from raccord.git.follow_stage import Stage
from raccord.git.follow_target import Moved, Target
from raccord.git.refs import Change
from raccord.git.run import Git
from raccord.git.snapshot_index import parse
from raccord.kernel import fs
from raccord.kernel.fs import Signature
from raccord.kernel.fs_swap_log import Entry, above
from raccord.kernel.fs_tree import Tree
from raccord.model.handler import Position
from raccord.model.plan import Json
from raccord.model.text import shown

__all__ = ["Moved", "PathChange", "Put", "apply", "probe", "revert"]


@dataclass(frozen=True, slots=True)
class PathChange:
    """What shall be at a path.

    Attributes:
        path: relative to the worktree's top.
        mode: as in `lstat`: 0o100644 or any other regular mode, kept exactly; 0o120000 for a symbolic link;
            0o040755 or the like for a directory (made if missing, else left as it is); 0: nothing shall be
            there.
        blob: id of the git blob with the raw bytes (of a link: its target); "" for a directory or nothing.
    """

    path: str
    mode: int
    blob: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """A worktree's state to bring back; JSON-able through `payload()` and `Put.of()`.

    Attributes:
        worktree: its top directory, absolute.
        gitdir: its own git directory (`git rev-parse --absolute-git-dir`).
        changes: the paths to write or remove; everything else stays.
        index: id of the git blob that holds the complete bytes of an index file (not a split one), "" to
            leave the index alone. Its stat data are refreshed by git after the files are in place.
        index_mtime_ns: the modification time that this index file had, 0 where it isn't known: then git
            compares the content of every file with it (right, and slower).
        refs: refs that move in the same step; their `old` is what they have now; "HEAD" moves a detached
            HEAD.
        head: what HEAD points to now and shall point to, None to leave it.
        message: for the reflogs, without "raccord: ".
        index_before: id of the blob that the index file has to be now, "" for any.
        name: what tells it from others where its index is made anew for each attempt.
    """

    worktree: str
    gitdir: str
    changes: tuple[PathChange, ...]
    index: str = ""
    index_mtime_ns: int = 0
    refs: tuple[Change, ...] = ()
    head: Head | None = None
    message: str = "restore"
    index_before: str = ""
    name: str = ""

    def payload(self) -> dict[str, Json]:
        """As JSON."""
        said: dict[str, Json] = json.loads(json.dumps(asdict(self)))
        # What is left out is as earlier releases wrote it.
        return {key: value for key, value in said.items() if value or key not in ("index_before", "name")}

    @classmethod
    def of(cls, payload: Mapping[str, Json]) -> Put:
        """Read back from JSON."""
        head = payload["head"]
        return cls(
            **{
                **payload,
                "changes": tuple(PathChange(**each) for each in payload["changes"]),
                "refs": tuple(Change(**each) for each in payload["refs"]),
                "head": Head(**head) if head else None,
            }
        )

    @property
    def key(self) -> str:
        """Tells this one from others."""
        if self.name:
            return self.name
        return hashlib.sha256(json.dumps(self.payload(), sort_keys=True).encode()).hexdigest()

    @property
    def moves(self) -> RefMoves:
        """What moves besides index and files."""
        return RefMoves(self.refs, self.head, self.message)


def apply(
    git: Git,
    put: Put,
    run: str,
    lane: str,
    *,
    seen: Mapping[str, Signature | None] | None = None,
    wait: float = 5.0,
) -> Moved:
    """Does it, or finishes it after a kill.

    Args:
        git: at the worktree.
        run: the run's id, and
        lane: the lane's key: they name what is left beside the repository while it runs.
        seen: what the caller's own snapshot saw at a path (`Tree.signature`); a path that differs refuses the
            whole. Paths that are not in it are taken as they are found.
        wait: seconds to wait for another git command that holds the index or a ref.

    Raises:
        WorldMoved: refs, HEAD, the index or a path are not what they were; nothing was changed.
        HeldBack: something unnamed is in the way (a full directory where a file shall be, a held index.lock).
        UnsafePath: a path leads out of the worktree or through a symbolic link.
        CannotRun: disk full or read-only, a blob is missing; nothing was changed.
    """
    left = uncleaned(put, run, lane)
    with follow_stage.opened(put.worktree, put.gitdir, run, lane, wait) as stage:
        earlier = follow_target.resume(stage, git, put.key, wait)
        if isinstance(earlier, Moved):
            return earlier
        if left and _stands(git, put) is Position.AFTER:
            return Moved((), earlier)  # killed while it cleaned up
        try:
            swap = follow_target.prepare(stage, _staged(stage, git, put, seen or {}))
        except BaseException:
            stage.empty()
            raise
        done = follow_target.carry(stage, git, swap, resumed=False, wait=wait)
        return Moved(done.paths, (*earlier, *done.rescued))


def probe(git: Git, put: Put, run: str, lane: str) -> Position:
    """Where it stands, by looking only: AFTER where refs, index and every path are as wanted, else BEFORE."""
    meta = follow_stage.place(put.gitdir, run, lane)
    return follow_target.probe(meta, put.key, lambda: _stands(git, put))


def uncleaned(put: Put, run: str, lane: str) -> bool:
    """Whether something of it is left beside the repository, which `apply` or `revert` cleans up."""
    return fs.signature(follow_stage.place(put.gitdir, run, lane)) is not None


def _stands(git: Git, put: Put) -> Position:
    """Where it stands, as far as the worktree tells."""
    try:
        after = follow_refs.stand(git, Path(put.gitdir), put.moves)[1] and _index_is(git, put)
        with Tree(put.worktree) as tree:
            done = after and all(_is(tree, change) for change in put.changes)
    except (ProcessFailed, CannotRun):
        return Position.UNKNOWN
    return Position.AFTER if done else Position.BEFORE


def revert(git: Git, put: Put, run: str, lane: str, *, wait: float = 5.0) -> tuple[str, ...]:
    """Takes back a half-done one, exactly; does nothing where it never began or has ended.

    Returns:
        Copies of what someone wrote meanwhile and was in the way.

    Raises:
        WorldMoved: something else of this run's lane is unfinished there.
        HeldBack: another git command holds the index.
        CannotRun: disk full or read-only; call it again.
    """
    if not uncleaned(put, run, lane):
        return ()
    with follow_stage.opened(put.worktree, put.gitdir, run, lane, wait) as stage:
        return follow_target.revert(stage, git, put.key, wait)


def _staged(stage: Stage, git: Git, put: Put, seen: Mapping[str, Signature | None]) -> Target:
    """Puts everything new into the stage."""
    before = None
    if put.index:
        before = follow_target.link_index(stage)
        if put.index_before:
            there = fs.read_or_none(stage.meta / "index.old") or b""
            if blob_oid([there], len(there), len(put.index_before) // 2) != put.index_before:
                raise WorldMoved("the index is not what it was", hint="try again")
        data = git.out("cat-file", "blob", put.index)
        # Older than anything: then git trusts no entry without reading the file.
        fs.write_new(stage.index, data, mtime_ns=put.index_mtime_ns or 1_000_000_000)
    entries, wanted = _entries(put, seen)
    files = stage.files()
    write_blobs(stage, git, files / "new", wanted)
    return Target(put.key, files, tuple(entries), put.moves, before, 0, refresh=True)


def _entries(put: Put, seen: Mapping[str, Signature | None]) -> tuple[list[Entry], dict[str, PathChange]]:
    """The paths that change, and what is to be staged for them, by the name that it gets in the stage."""
    entries: list[Entry] = []
    wanted: dict[str, PathChange] = {}
    named = {change.path for change in put.changes}
    with Tree(put.worktree) as tree:
        for change in put.changes:
            path = change.path
            if ".git" in (part.casefold() for part in fs.split(path)):
                raise UnsafePath(f"{shown(path)} is git's own", path=path)
            now = _signature(tree, path, named)
            if path in seen and not _same(seen[path], now):
                raise WorldMoved(f"{shown(path)} changed meanwhile", hint="try again", path=path)
            if stat.S_ISDIR(change.mode):
                # One that is there is named too: else it would go with the last file in it.
                entries.append(Entry(path, now, folder=True, mode=stat.S_IMODE(change.mode)))
            elif change.mode:
                if now is not None and now.is_dir:
                    _check_going(tree, path, named)
                name = str(len(wanted))
                wanted[name] = change
                entries.append(Entry(path, now, staged=name))
            elif now is not None:
                entries.append(Entry(path, now))
    return entries, wanted


def _signature(tree: Tree, path: str, named: set[str]) -> Signature | None:
    try:
        return tree.signature(path)
    except UnsafePath:
        if named.isdisjoint(above(path)):
            raise
        return None  # the link goes


def _same(seen: Signature | None, now: Signature | None) -> bool:
    return now is None if seen is None else seen.same(now)


def _check_going(tree: Tree, path: str, named: set[str]) -> None:
    """Looks that all files in a directory go, where a file takes its place."""
    for name, is_dir in tree.folder(path).names():
        inside = f"{path}/{name}"
        if is_dir:
            _check_going(tree, inside, named)
        elif inside not in named:
            raise HeldBack(f"{shown(inside)} is in the way", hint="move it away", paths=[inside])


def _is(tree: Tree, change: PathChange) -> bool:
    """Whether a path is as wanted."""
    try:
        found = tree.signature(change.path)
    except UnsafePath:
        return False
    if found is None or not change.mode:
        full = found is not None and found.is_dir and bool(tree.folder(change.path).names())
        return not change.mode and (found is None or full)
    if stat.S_IFMT(found.mode) != stat.S_IFMT(change.mode):
        return False
    if found.is_dir:
        return True
    if found.is_file and stat.S_IMODE(found.mode) != stat.S_IMODE(change.mode):
        return False
    folder, name = tree.parent(change.path)
    return blob_oid(folder.chunks(name), found.size, len(change.blob) // 2) == change.blob


def _index_is(git: Git, put: Put) -> bool:
    """Whether the index has what is wanted; stat data aside."""
    if not put.index:
        return True
    width = len(put.index) // 2
    wanted = git.out("cat-file", "blob", put.index)
    now = fs.read_or_none(Path(put.gitdir) / "index") or b""
    return parse(wanted, width).content() == parse(now, width).content()
