"""Snapshots: the full state of a worktree as git objects under a private ref, exact to the byte.

Never uses the stash, never touches the index, a branch or a file, takes none of git's locks but that of its
own ref, and runs nothing of the worktree's. What a snapshot holds stands in `snapshot_model.py`, how one is
put back in `snapshot_restore.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.errors import CannotRun, ProcessFailed, RaccordError, UsageError, WorldMoved
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.snapshot_draft import Draft
from raccord.git.snapshot_look import demand_files, look
from raccord.git.snapshot_model import (
    PREFIX,
    Kept,
    Snapshot,
    SnapshotInfo,
    manifest,
    read_manifest,
    read_summary,
    summary,
)
from raccord.git.snapshot_write import Import, Reader, Tip, importing, tree_of
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.kernel.fs_tree import Tree
from raccord.model.text import shown

# A file's timestamps tell that it wasn't written since only once the clock has ticked on.
SETTLED_S = 2.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def take(
    repo: Repository,
    worktree: Worktree,
    *,
    id: str,  # noqa: A002 (it is the snapshot's id)
    message: str = "",
    ignored: str | Sequence[str] = "none",
    like: Snapshot | None = None,
) -> Snapshot:
    """Keeps the state of one worktree, durably, under `refs/raccord/snapshots/<id>`.

    Args:
        id: a name for it, fit for a ref; must be new.
        ignored: "none", "all", or paths (files or directories, relative) to keep whatever git says of them;
            of these even tracked files are compared byte by byte, so name what is about to be overwritten.
        like: an earlier snapshot of the same worktree: files that were not written since are not read again.

    Raises:
        UsageError: the id is no name for a ref.
        HeldBack: a file can't be read, or the worktree is missing: what isn't whole is not kept at all.
        WorldMoved: there is a snapshot of this name.
        CannotRun: the index is damaged, the disk full.
        ProcessFailed: git failed.
    """
    if not _ID.fullmatch(id) or id.endswith((".lock", ".", "/")) or ".." in id or ".lock/" in id:
        raise UsageError(f"{shown(id)!r} is no name for a snapshot")
    demand_files(worktree)
    git = repo.git.at(worktree.path)
    # Git starts while we look.
    with importing(git, repo.common, len(repo.zero) // 2) as to:
        draft = look(repo, worktree, ignored)
        snapshot, tip = _written(git, draft, to, id, message, like)
        to.commit(tip)
        try:
            commits = to.finish()
        except ProcessFailed as error:
            if "Not updating" in error.stderr:
                raise WorldMoved(f"there is a snapshot {id} already", id=id) from error
            raise
    sync_refs(repo.common, PREFIX + id)
    return replace(snapshot, commit=commits[0])


def read(git: Git, name: str) -> Snapshot:
    """The snapshot with the id `name`, as it was taken.

    Raises:
        UsageError: there is none of this name.
        RaccordError: it is damaged, or of another release.
    """
    found = read_many(git, [name])
    if name not in found:
        raise UsageError(f"there is no snapshot {shown(name)}", hint="raccord restore --list", id=name)
    return found[name]


def read_many(git: Git, ids: Sequence[str]) -> dict[str, Snapshot]:
    """Those of the snapshots that exist, in two processes at most.

    Raises:
        RaccordError: one is damaged, or of another release.
    """
    asked = [f"{PREFIX}{name}{path}" for name in ids for path in ("^{commit}", ":manifest.json", ":index")]
    objects = batch(git, asked)
    found = {}
    for number, name in enumerate(ids):
        commit, document, index = objects[3 * number : 3 * number + 3]
        if commit is None:
            continue
        if document is None or index is None:
            problem = f"snapshot {name} is damaged: it has no manifest or no index"
            raise RaccordError(problem, hint="git fsck", id=name)
        found[name] = read_manifest(document[1], commit[0], index[1])
    return found


def listing(git: Git) -> tuple[SnapshotInfo, ...]:
    """Every snapshot, the oldest first, in one process; a damaged one is listed with its problem."""
    out = git.out(
        "for-each-ref", "--format=%(refname)%00%(objectname)%00%(contents:body)%00", PREFIX.rstrip("/")
    )
    fields = out.split(b"\0")
    infos = [
        read_summary(os.fsdecode(name.lstrip(b"\n")).removeprefix(PREFIX), oid.decode("ascii"), body)
        for name, oid, body in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    ]
    return tuple(sorted(infos, key=lambda info: (info.taken, info.id)))


def drop(git: Git, ids: Sequence[str]) -> None:
    """Gives snapshots up; those that are gone already are no mistake.

    Raises:
        ProcessFailed: git failed.
    """
    delete(git, [PREFIX + name for name in ids])


def size(git: Git) -> int:
    """Bytes on disk that only raccord's refs hold: what would be free if all of them were dropped and gc ran.

    Raises:
        ProcessFailed: git failed.
    """
    ours = "refs/raccord/*"
    # The edges are listed too; the sum is the last line. Without `-aggressive` the trees of branches that are
    # ahead of a snapshot would not be taken off.
    told = git.line(
        "rev-list", "--disk-usage", "--objects-edge-aggressive", "--ignore-missing",
        f"--glob={ours}", "--not", f"--exclude={ours}", "--all",
    )  # fmt: skip
    return int(told.split()[-1])


def delete(git: Git, refs: Sequence[str]) -> None:
    """Deletes refs of raccord's own in one transaction.

    Raises:
        ProcessFailed: git failed.
    """
    if refs:
        lines = b"".join(b"delete %s\0\0" % os.fsencode(ref) for ref in dict.fromkeys(refs))
        git.out("update-ref", "--stdin", "-z", stdin=lines)


def batch(git: Git, names: Sequence[str]) -> list[tuple[str, bytes] | None]:
    """Object id and bytes of each name, None for what is not there; no name holds a newline.

    Raises:
        ProcessFailed: git failed, on a damaged object for one.
    """
    out = git.out("cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
    found: list[tuple[str, bytes] | None] = []
    at = 0
    for _ in names:
        end = out.index(b"\n", at)
        words = out[at:end].rsplit(b" ", 2)
        at = end + 1
        if words[-1] == b"missing":
            found.append(None)
        elif words[-1] == b"ambiguous":
            raise CannotRun(f"git finds {shown(os.fsdecode(words[0]))} ambiguous")
        else:
            length = int(words[2])
            found.append((words[0].decode("ascii"), out[at : at + length]))
            at += length + 1
    return found


def sync_refs(common: Path, ref: str) -> None:
    """Makes the names durable that git left to the system: those of a new pack and of a new ref."""
    places = [common / "objects" / "pack", common / "reftable"]
    places += list((common / ref).parents)[: ref.count("/")]
    for place in places:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            fs.sync_dir(place)


def _written(
    git: Git, draft: Draft, to: Import, name: str, message: str, like: Snapshot | None
) -> tuple[Snapshot, Tip]:
    """Sends the files, the index and the manifest; the snapshot and its commit, still to be sent."""
    known: Mapping[str, Kept] = like.kept if like and like.worktree == str(draft.worktree.path) else {}
    before = (like.taken - SETTLED_S) * 1e9 if like else 0
    with Tree(draft.worktree.path) as tree:
        reader = Reader(tree, to)
        kept: dict[str, Kept] = {}
        for path, why in sorted(draft.reads.items()):
            old = known.get(path)
            if old and (old.ctime_ns >= before or path in draft.clean):
                old = None
            one = reader.read(path, why, unless=draft.clean.get(path, ""), known=old)
            if one:
                kept[path] = one if one.why == why else replace(one, why=why)
            elif why == "changed":
                draft.absent.append(path)
    with Tree(draft.worktree.gitdir) as tree:
        states = Reader(tree, to)
        operation = {path: one for path in draft.state if (one := states.read(path, "operation"))}
    parents, staged = _named(git, draft, operation)
    mark, index = to.blob(draft.index.stripped())
    snapshot = Snapshot(
        id=name,
        commit="",
        worktree=str(draft.worktree.path),
        gitdir=str(draft.worktree.gitdir),
        head=draft.head,
        branch=draft.branch,
        index=index,
        index_mtime_ns=draft.index_mtime_ns,
        taken=draft.taken,
        message=message,
        hash_size=draft.hash_size,
        modes=draft.modes,
        permissions=draft.permissions,
        kept=kept,
        absent=tuple(sorted(draft.absent)),
        directories=dict(sorted(draft.directories.items())),
        opaque=tuple(sorted(draft.opaque)),
        skipped=tuple(sorted({*draft.skipped, *reader.skipped})),
        asked=draft.asked,
        ignored=draft.ignored,
        every_ignored=draft.every_ignored,
        operation=operation,
        doing=draft.doing,
        index_data=draft.index.stripped(),
    )
    files = tree_of(kept.items(), b"files", reader.marks)
    files |= tree_of(operation.items(), b"operation", states.marks)
    files |= {b"staged/" + oid.encode(): (mode, oid) for oid, mode in staged.items()}
    if draft.intents:
        # The index names the empty blob for it, which nobody needs to have written.
        files[b"staged/empty"] = ("100644", to.blob(b"")[0])
    files[b"index"] = ("100644", mark)
    files[b"manifest.json"] = ("100644", to.blob(manifest(snapshot))[0])
    return snapshot, Tip(PREFIX + name, parents, summary(snapshot), draft.taken, files)


def _named(git: Git, draft: Draft, operation: Mapping[str, Kept]) -> tuple[list[str], dict[str, str]]:
    """The commits to have as parents, and the other objects to keep with their modes."""
    parents = [draft.head] if draft.head else []
    staged = dict.fromkeys(draft.staged, "100644")
    words = re.compile(rb"\b[0-9a-f]{%d}\b" % (2 * draft.hash_size))
    named: set[str] = set()
    for path in operation:
        data = fs.read_or_none(draft.worktree.gitdir / path) or b""
        named.update(word.decode() for word in words.findall(data))
    asked = sorted({*named, *staged} if named else ())
    for oid, line in zip(asked, _types(git, asked), strict=True):
        if line == "commit" and oid in named:
            parents.append(oid)
        elif line in ("tree", "blob") and oid in named:
            staged[oid] = "040000" if line == "tree" else "100644"
    return list(dict.fromkeys(parents)), staged


def _types(git: Git, oids: Sequence[str]) -> list[str]:
    if not oids:
        return []
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    answers = git.out("cat-file", "--batch-check=%(objecttype)", stdin=asked).decode().splitlines()
    return [answer.rsplit(" ", 1)[-1] for answer in answers]
