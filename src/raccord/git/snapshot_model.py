"""What a snapshot is, and how it is written down in its commit. Pure data: reads and writes nothing.

A snapshot is a commit under `refs/raccord/snapshots/<id>`; its parents are HEAD's commit and, during an
operation, the commits that its state names. Its tree:

    manifest.json   format 1, ASCII JSON, undecodable bytes of a path as lone surrogates: the fields of
                    `Snapshot` but `commit` and `index_data`; `kept` and `operation` map a path to
                    [mode, blob, size, why, torn, mtime_ns, ctime_ns, inode]
    index           the index file, unsplit and without its caches
    files/<path>    the raw bytes of each kept file; of a link, its target
    odd/<number>    the same where git refuses the path in a tree
    staged/<oid>    blobs that the index names and HEAD does not
    operation/<…>   the raw bytes of MERGE_HEAD, rebase-merge/… as they lie in the worktree's git directory

The commit's message holds the `SnapshotInfo` as JSON in its second paragraph.
"""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from raccord.errors import RaccordError
from raccord.git.snapshot_index import Entry, parse
from raccord.model.plan import Json

FORMAT = 1
PREFIX = "refs/raccord/snapshots/"
LINK = 0o120000
_NOT_WRITTEN = ("commit", "index_data")


@dataclass(frozen=True, slots=True)
class Kept:
    """One file or link as it was.

    Attributes:
        mode: as in `lstat`: type and permission bits; 0o120000 for a link.
        blob: the git object with its raw bytes.
        size: bytes.
        why: "changed", "untracked", "ignored", "asked", "hidden" (assume-unchanged, skip-worktree),
            "converted" (its bytes are not those of the blob in the index), or "operation".
        torn: it was written to at each of several readings; this is the last.
        mtime_ns, ctime_ns, ino: as in `lstat`, so that the next snapshot need not read it again.
    """

    mode: int
    blob: str
    size: int
    why: str
    torn: bool = False
    mtime_ns: int = 0
    ctime_ns: int = 0
    ino: int = 0

    @property
    def link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


@dataclass(frozen=True)
class Snapshot:
    """The state of one worktree.

    Attributes:
        id: its name below `refs/raccord/snapshots/`.
        commit: the commit that holds it.
        worktree: the top directory, absolute.
        gitdir: the worktree's own git directory, absolute.
        head: the commit of HEAD, "" where the branch has none yet.
        branch: the full ref that HEAD points to, "" where it is detached.
        index: the blob with the bytes of the index.
        index_mtime_ns: the modification time of the index file, 0 where there was none.
        taken: Unix seconds when the reading began.
        message: why it was taken.
        hash_size: bytes of an object id.
        modes: the usual modes of tracked files that are not in `kept`: plain ones and executable ones.
        permissions: the modes of those that have another.
        kept: path to what was there, where the index alone can't tell.
        absent: tracked paths that were not there.
        directories: untracked directories without any file in them, with their mode.
        opaque: embedded repositories and submodules, left alone by snapshot and restore.
        skipped: sockets, pipes and devices; never opened.
        asked: paths looked at byte by byte; one that is neither in `kept` nor tracked wasn't there.
        ignored: files and directories (these end in "/") that git ignored, by name only.
        every_ignored: whether all ignored files are in `kept`.
        operation: path below `gitdir` to the state file of an operation in progress (merge, rebase, …).
        doing: its name, "" where there is none.
        index_data: the bytes of `index`.
    """

    id: str
    commit: str
    worktree: str
    gitdir: str
    head: str
    branch: str
    index: str
    index_mtime_ns: int
    taken: float
    message: str
    hash_size: int
    modes: tuple[int, int]
    permissions: Mapping[str, int]
    kept: Mapping[str, Kept]
    absent: tuple[str, ...]
    directories: Mapping[str, int]
    opaque: tuple[str, ...]
    skipped: tuple[str, ...]
    asked: tuple[str, ...]
    ignored: tuple[str, ...]
    every_ignored: bool
    operation: Mapping[str, Kept]
    doing: str
    index_data: bytes = field(repr=False)

    @property
    def ref(self) -> str:
        """The ref that keeps it."""
        return PREFIX + self.id

    @property
    def torn(self) -> tuple[str, ...]:
        """Files that were being written while they were read."""
        return tuple(path for path, kept in self.kept.items() if kept.torn)

    @property
    def info(self) -> SnapshotInfo:
        """Its line in a list."""
        whys = [kept.why for kept in self.kept.values()]
        return SnapshotInfo(
            id=self.id,
            commit=self.commit,
            worktree=self.worktree,
            branch=self.branch,
            head=self.head,
            taken=self.taken,
            message=self.message,
            changed=sum(why in ("changed", "hidden", "converted") for why in whys) + len(self.absent),
            untracked=whys.count("untracked"),
            ignored=whys.count("ignored") + whys.count("asked"),
            bytes=sum(kept.size for kept in self.kept.values()),
            doing=self.doing,
        )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The lines of the index."""
        return self.staged[0]

    @cached_property
    def staged(self) -> tuple[tuple[Entry, ...], bytes]:
        """See `Index.content`."""
        return parse(self.index_data, self.hash_size).content()


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One line of the list of snapshots.

    Attributes:
        changed, untracked, ignored: how many files of each it keeps (a deleted one counts as changed).
        bytes: their size before compression.
        doing: the operation that was in progress, or "".
        problem: why it can't be read, or "".
        (the others as in `Snapshot`)
    """

    id: str
    commit: str
    worktree: str = ""
    branch: str = ""
    head: str = ""
    taken: float = 0.0
    message: str = ""
    changed: int = 0
    untracked: int = 0
    ignored: int = 0
    bytes: int = 0
    doing: str = ""
    problem: str = ""


def manifest(snapshot: Snapshot) -> bytes:
    """The bytes of `manifest.json`."""
    data: dict[str, Json] = {"format": FORMAT}
    for each in dataclasses.fields(snapshot):
        if each.name in ("kept", "operation"):
            files: Mapping[str, Kept] = getattr(snapshot, each.name)
            data[each.name] = {path: _row(kept) for path, kept in files.items()}
        elif each.name not in _NOT_WRITTEN:
            data[each.name] = getattr(snapshot, each.name)
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def read_manifest(data: bytes, commit: str, index_data: bytes) -> Snapshot:
    """The snapshot that `manifest` wrote.

    Raises:
        RaccordError: it is damaged, or of a format that this release does not know.
    """
    try:
        fields = json.loads(data)
        known = fields.pop("format")
        if known != FORMAT:
            raise RaccordError(
                f"snapshot {commit[:12]} has format {known}, and this release of raccord reads {FORMAT}",
                hint="install the raccord release that wrote it",
            )
        fields["modes"] = (fields["modes"][0], fields["modes"][1])
        for name in ("absent", "opaque", "skipped", "asked", "ignored"):
            fields[name] = tuple(fields[name])
        for name in ("kept", "operation"):
            fields[name] = {path: Kept(*row) for path, row in fields[name].items()}
        return Snapshot(**fields, commit=commit, index_data=index_data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RaccordError(f"snapshot {commit[:12]} is damaged: {error!r}", hint="git fsck") from error


def summary(snapshot: Snapshot) -> bytes:
    """The message of a snapshot's commit."""
    info = dataclasses.asdict(snapshot.info)
    del info["commit"], info["problem"]
    subject = f"raccord snapshot {snapshot.id}"
    return f"{subject}\n\n{json.dumps(info, separators=(',', ':'))}\n".encode("ascii")


def read_summary(name: str, commit: str, body: bytes) -> SnapshotInfo:
    """The line of the list that `summary` wrote; one with a `problem` where the commit is none of ours."""
    try:
        fields = json.loads(body)
        return SnapshotInfo(**{**fields, "id": name, "commit": commit})
    except (TypeError, ValueError):
        return SnapshotInfo(name, commit, problem="not written by raccord, or damaged")


def _row(kept: Kept) -> list[Json]:
    return [kept.mode, kept.blob, kept.size, kept.why, kept.torn, kept.mtime_ns, kept.ctime_ns, kept.ino]
