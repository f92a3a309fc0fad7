"""Writes raw git blobs as files and links into a stage: exact bytes, exact permissions, never a filter.

Many small blobs come from one git process; one that is large goes straight from git into its file.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from raccord.errors import CannotRun, ProcessFailed
from raccord.git.follow_stage import Stage
from raccord.git.run import Git
from raccord.kernel import fs, proc
from raccord.model.text import shown

LARGE = 8 * 1024 * 1024
BATCH = 64 * 1024 * 1024


class Wanted(Protocol):
    """What shall be at a path: see `follow_put.PathChange`."""

    @property
    def path(self) -> str: ...
    @property
    def mode(self) -> int: ...
    @property
    def blob(self) -> str: ...


def write_blobs(stage: Stage, git: Git, into: Path, wanted: Mapping[str, Wanted]) -> None:
    """Writes each blob under its name.

    Args:
        into: the directory of the stage.
        wanted: by the name that it gets there.

    Raises:
        CannotRun: a blob is missing, or the disk is full.
        ProcessFailed: git failed.
    """
    if not wanted:
        return
    known = sizes(git, {each.blob for each in wanted.values()})
    for name, each in wanted.items():
        if each.blob not in known:
            raise CannotRun(f"the content of {shown(each.path)} is missing: {each.blob}", hint="git fsck")
        if known[each.blob] > LARGE and stat.S_ISREG(each.mode):
            _stream(git, each, into / name)
    small = [(name, each) for name, each in wanted.items() if not (into / name).is_file()]
    for batch in _batches(small, known):
        listed = "".join(f"{each.blob}\n" for _, each in batch).encode()
        output = memoryview(stage.call(git, "cat-file", "--batch", stdin=listed))
        for name, each in batch:
            begin = output[:128].tobytes().index(b"\n") + 1
            end = begin + known[each.blob]
            data, output = output[begin:end], output[end + 1 :]
            if stat.S_ISLNK(each.mode):
                fs.make_link(into / name, data.tobytes())
            else:
                fs.write_new(into / name, data, mode=stat.S_IMODE(each.mode), exact=True)


def sizes(git: Git, blobs: Collection[str]) -> dict[str, int]:
    """The bytes of each of these that is there and is a blob.

    Raises:
        ProcessFailed: git failed.
    """
    listed = "".join(f"{blob}\n" for blob in sorted(blobs)).encode()
    said = git.out("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=listed)
    rows = [line.split(" ") for line in said.decode().splitlines()]
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[1] == "blob"}


def _batches(
    wanted: Sequence[tuple[str, Wanted]], known: Mapping[str, int]
) -> Iterator[list[tuple[str, Wanted]]]:
    batch: list[tuple[str, Wanted]] = []
    total = 0
    for name, each in wanted:
        if batch and total + known[each.blob] > BATCH:
            yield batch
            batch, total = [], 0
        batch.append((name, each))
        total += known[each.blob]
    if batch:
        yield batch


def _stream(git: Git, each: Wanted, path: Path) -> None:
    argv = git.argv("cat-file", "blob", each.blob)
    with (
        fs.opened_new(path, mode=stat.S_IMODE(each.mode)) as file,
        proc.started(argv, cwd=git.cwd, env=git.environment(), stdout=file) as child,
    ):
        said = child.communicate()[1].decode("utf-8", "replace")
    if child.returncode:
        if "No space left" in said or "quota" in said:
            raise CannotRun(f"can't write {shown(each.path)}: the disk is full")
        raise ProcessFailed(("git", "cat-file", "blob"), child.returncode, said)
