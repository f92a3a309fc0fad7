"""The steps that put migration files into a worktree or rewrite them, and that keep them out of commits."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from raccord.errors import UnsafePath, WorldMoved
from raccord.git import follow_put
from raccord.git.follow_index import blob_oid
from raccord.git.follow_put import PathChange, Put
from raccord.git.repo import Repository
from raccord.git.run import strings
from raccord.git.worktrees import Worktree, worktrees
from raccord.kernel import fs, fs_alive
from raccord.kernel.fs_look import Signature
from raccord.kernel.fs_tree import Tree
from raccord.migrations import excluded
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step, checkout
from raccord.model.text import shown

FILES = "migration.files"
EXCLUDE = "migration.exclude"
MODE = 0o100644
LOCK = "excluding"  # in raccord's own folder; after a kill it stays, and holds nobody up
LOCK_S = 60.0
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def files_step(
    tree: Worktree,
    changes: Sequence[tuple[str, str, str]],
    title: str,
    modes: Mapping[str, int] | None = None,
    sources: Mapping[str, int] | None = None,
) -> Step:
    """The step that brings files of a worktree from one content to another.

    Args:
        changes: path, and the blobs that are and that shall be there; "" for no file.
        modes: of files that have another one than new files get, by path.
        sources: for a heal, how many contents come from which kind of place.
    """
    payload: dict[str, Json] = {
        "worktree": str(tree.path),
        "gitdir": str(tree.gitdir),
        "changes": [list(one) for one in changes],
        "modes": dict(modes or {}),
    }
    if sources:
        payload["sources"] = dict(sources)
    return Step(FILES, 1, title, payload, resources=(checkout(tree.path),))


def exclude_step(common: Path, patterns: Sequence[str], *, add: bool = True) -> Step:
    """The step that adds patterns to `info/exclude` of the repository, or takes them away."""
    verb = "keep out of commits" if add else "no longer keep out of commits"
    count = f"{len(patterns)} files" if len(patterns) != 1 else "1 file"
    payload: dict[str, Json] = {"common": str(common), "patterns": list(patterns), "add": add}
    return Step(EXCLUDE, 1, f"{verb}: {count}", payload)


def exclude_file(common: Path) -> Path:
    """The repository's own ignore file, which holds for all its worktrees."""
    return common / "info" / "exclude"


def pattern(path: str) -> str:
    """The line of an ignore file that means just this path.

    No line can hold a line's end: "?" stands for it.
    """
    raw = "".join(f"\\{char}" if char in "\\*?[" else "?" if char in "\r\n" else char for char in path)
    end = len(raw) - len(raw.rstrip(" "))
    return "/" + (raw[: len(raw) - end] + "\\ " * end if end else raw)


def path_of(line: bytes) -> str:
    """The path that a line of `pattern` means."""
    return os.fsdecode(_ESCAPED.sub(rb"\1", line.removeprefix(b"/")))


def copies(common: Path) -> frozenset[str]:
    """The paths that a heal keeps out of commits, in whichever worktree."""
    return frozenset(map(path_of, excluded.patterns(fs.read_or_none(exclude_file(common)) or b"")))


def blob_at(top: Path, path: str, repo: Repository) -> str | None:
    """The name of the blob that a file of a worktree would be; "" for no file, None for something else."""
    with Tree(top) as tree:
        return _blob(tree, path, len(repo.zero) // 2)


class FilesHandler:
    """Puts files there, and takes them away again."""

    kind, version = FILES, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the worktree."""
        put = self._put(step)
        if not Path(put.worktree).is_dir():
            return Position.NEITHER
        git = self._repo.git.at(Path(put.worktree))
        stands = follow_put.probe(git, put, context.run, context.lane)
        if stands is Position.BEFORE and self._looked(step)[0]:
            return Position.NEITHER
        return stands

    def apply(self, step: Step, context: Context) -> Outcome:
        """Puts them, or finishes a step that was cut off."""
        put = self._put(step)
        git = self._repo.git.at(Path(put.worktree))
        if not Path(put.worktree).is_dir():
            raise WorldMoved(f"{shown(put.worktree)} is gone", hint="git worktree prune")
        stands = follow_put.probe(git, put, context.run, context.lane)
        begun = stands in (Position.BETWEEN, Position.AFTER)
        moved, seen = ("", None) if begun else self._looked(step)
        if moved:
            raise WorldMoved(f"{shown(moved)} is not what it was", hint="try again", path=moved)
        # What Python compiled counts as long as size and second are the same: before, so that a kill leaves
        # none of it, and after, as somebody may import meanwhile.
        _forget_compiled(put)
        done = follow_put.apply(git, put, context.run, context.lane, seen=seen)
        _forget_compiled(put)
        record = {"paths": len(done.paths), "rescued": list(done.rescued)}
        sources = step.payload.get("sources")
        if not sources:
            return Outcome(record)
        return Outcome(
            record, counts={"heals": 1, "revisions_copied": sum(sources.values()), "by_source": sources}
        )

    def revert(self, step: Step, context: Context) -> None:
        """Takes back a step that was cut off."""
        put = self._put(step)
        follow_put.revert(self._repo.git.at(Path(put.worktree)), put, context.run, context.lane)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The same, back; it refuses files that were edited since."""
        back = [[path, new, old] for path, old, new in step.payload["changes"]]
        count = f"{len(back)} files" if len(back) != 1 else "1 file"
        title = (
            f"put {count} back as before" if any(new for _, _, new in back) else f"take {count} away again"
        )
        payload = {key: value for key, value in step.payload.items() if key != "sources"} | {"changes": back}
        return (Step(FILES, 1, title, payload, resources=step.resources),)

    def _put(self, step: Step) -> Put:
        modes = step.payload.get("modes", {})
        changes = [
            PathChange(path, modes.get(path, MODE) if new else 0, new)
            for path, _, new in step.payload["changes"]
        ]
        return Put(step.payload["worktree"], step.payload["gitdir"], tuple(changes), message="migrations")

    def _looked(self, step: Step) -> tuple[str, dict[str, Signature | None]]:
        """The first path that is neither as before nor as after, "" for none, and what was looked at."""
        width = len(self._repo.zero) // 2
        seen: dict[str, Signature | None] = {}
        with Tree(step.payload["worktree"]) as tree:
            for path, old, new in step.payload["changes"]:
                with contextlib.suppress(UnsafePath):
                    seen[path] = tree.signature(path)
                if _blob(tree, path, width) not in (old, new):
                    return str(path), seen
        return "", seen


def _forget_compiled(put: Put) -> None:
    """Removes the bytecode of the files, which Python makes again."""
    for change in put.changes:
        folder, _, name = change.path.rpartition("/")
        cache = f"{folder}/__pycache__" if folder else "__pycache__"
        stem = name.removesuffix(".py")
        with contextlib.suppress(UnsafePath, OSError), Tree(put.worktree) as tree:
            for found, _ in tree.folder(cache).names():
                if found.startswith(f"{stem}.") and found.endswith(".pyc"):
                    fs.unlink(fs.contained(put.worktree, f"{cache}/{found}"))


def _blob(tree: Tree, path: str, width: int) -> str | None:
    """The name of the blob that a file would be; "" for no file, None for something else."""
    try:
        found = tree.signature(path)
    except UnsafePath:
        return None
    if found is None:
        return ""
    if not found.is_file:
        return None
    folder, name = tree.parent(path)
    return blob_oid(folder.chunks(name), found.size, width)


class ExcludeHandler:
    """Adds lines to `info/exclude`, and takes them away again where no worktree has such a copy any more."""

    kind, version = EXCLUDE, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Whether the lines are there."""
        there = excluded.patterns(fs.read_or_none(_file(step)) or b"")
        found = [line in there for line in _patterns(step)]
        done = all(found) if step.payload["add"] else not any(found)
        return Position.AFTER if done else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Writes the file anew, whole; other lanes and other runs may be about to do so too."""
        path, wanted = _file(step), _patterns(step)
        state = Path(step.payload["common"]) / "raccord"
        fs.make_dirs(state)
        with fs_alive.alive(state / LOCK, LOCK_S):
            data = fs.read_or_none(path) or b""
            there = excluded.patterns(data)
            add = [line for line in wanted if step.payload["add"] and line not in there]
            remove = [line for line in wanted if not step.payload["add"] and line in there]
            remove = self._spare(remove)
            if add or remove:
                fs.make_dirs(path.parent)
                fs.write_atomic(path, excluded.changed(data, add, remove))
        return Outcome({"changed": [os.fsdecode(line) for line in (*add, *remove)]})

    def _spare(self, lines: Sequence[bytes]) -> list[bytes]:
        """Those that keep no file out of commits: what another run put back stays hidden."""
        spare = dict(zip(lines, map(path_of, lines), strict=True))
        for tree in worktrees(self._repo) if lines else ():
            there = [path for path in spare.values() if os.path.lexists(tree.path / path)]
            if there and not tree.bare:
                # Unanswered, none of them counts as committed: their lines stay.
                git = self._repo.git.at(tree.path)
                known = strings(git.run("ls-files", "-z", "--", *map(_literal, there)).stdout)
                spare = {line: path for line, path in spare.items() if path not in there or path in known}
        return [*spare]

    def revert(self, step: Step, context: Context) -> None:
        """The file is written whole or not at all; a line too many harms nobody."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Takes away what it added."""
        changed: Sequence[str] = outcome.record.get("changed", ())
        if not changed:
            return ()
        return (exclude_step(Path(step.payload["common"]), changed, add=not step.payload["add"]),)


def _literal(path: str) -> str:
    return f":(literal){path}"


def _file(step: Step) -> Path:
    return exclude_file(Path(step.payload["common"]))


def _patterns(step: Step) -> list[bytes]:
    return [os.fsencode(line) for line in step.payload["patterns"]]


def blob_of(source: bytes, repo: Repository) -> str:
    """The name that a content has as a blob of a repository."""
    return _blob_of(source, len(repo.zero) // 2)


# A chain is put back into many worktrees.
@functools.lru_cache(maxsize=1024)
def _blob_of(source: bytes, width: int) -> str:
    return blob_oid([source], len(source), width)
