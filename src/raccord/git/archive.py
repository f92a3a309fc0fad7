"""Keeps the documents of runs as commits under `refs/raccord/runs/`, from which a lost database is rebuilt.

Each commit holds `run.json`; its parents are its predecessor and the commits that an undo needs, so that no
`git gc` takes them away. Never touches any other ref.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from raccord.errors import ProcessFailed, RaccordError, UsageError, WorldMoved
from raccord.git.refs import read
from raccord.git.run import Git
from raccord.git.snapshot import batch, delete, sync_refs
from raccord.git.snapshot_write import Tip, importing
from raccord.model.text import shown

PREFIX = "refs/raccord/runs/"


def save(
    git: Git, common: Path, run: str, document: bytes, pins: Sequence[str], *, after: str, hash_size: int = 20
) -> str:
    """Keeps a run's document, durably, in one process; returns the commit that holds it.

    Args:
        git: at any place of the repository.
        common: its common git directory.
        pins: commits that have to be kept with it.
        after: the commit of the document that this one follows, "" where it is the run's first.
        hash_size: bytes of an object id.

    Raises:
        WorldMoved: another document was saved meanwhile; nothing was changed.
        HeldBack: a pin is no commit that is here.
        CannotRun: the disk is full.
        ProcessFailed: git failed.
    """
    ref = PREFIX + run
    message = f"raccord run {run}\n".encode("ascii", "backslashreplace")
    with importing(git, common, hash_size) as to:
        mark, _ = to.blob(document)
        parents = [after, *pins] if after else list(pins)
        to.commit(Tip(ref, parents, message, time.time(), {b"run.json": ("100644", mark)}))
        try:
            commit = to.finish()[0]
        except ProcessFailed as error:
            if "Not updating" in error.stderr:
                raise WorldMoved(f"run {shown(run)} was saved by someone else meanwhile", run=run) from error
            raise
    sync_refs(common, ref)
    return commit


def load(git: Git, run: str) -> bytes:
    """The last document of a run.

    Raises:
        UsageError: there is none.
        ProcessFailed: git failed.
    """
    (found,) = batch(git, [f"{PREFIX}{run}:run.json"])
    if found is None:
        raise UsageError(f"there is no run {shown(run)}", hint="raccord log", run=run)
    return found[1]


def load_all(git: Git) -> dict[str, bytes | RaccordError]:
    """The last document of every run, in two processes; an error for a ref that holds none.

    Raises:
        ProcessFailed: git failed.
    """
    names = sorted(read(git, PREFIX.rstrip("/")).by_name)
    documents: dict[str, bytes | RaccordError] = {}
    for name, found in zip(names, batch(git, [f"{name}:run.json" for name in names]), strict=True):
        hint = f"git update-ref -d {shlex.quote(shown(name))}"
        none = RaccordError(f"{shown(name)} holds no run", hint=hint, ref=name)
        documents[name.removeprefix(PREFIX)] = none if found is None else found[1]
    return documents


def drop(git: Git, runs: Sequence[str]) -> None:
    """Gives the documents of runs up, and what they pinned; those that are gone already are no mistake.

    Raises:
        ProcessFailed: git failed.
    """
    delete(git, [PREFIX + run for run in runs])


class GitArchive:
    """The journal's `Archive` in a repository; remembers where each run stands: saving is one process."""

    def __init__(self, git: Git, common: Path, hash_size: int = 20) -> None:
        """See `save` for the arguments."""
        self._git = git
        self._common = common
        self._hash_size = hash_size
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def save(self, run: str, document: bytes, pins: Sequence[str]) -> None:
        """Keeps a run's document in the place of the one that this object saved or found.

        Raises:
            WorldMoved: someone else saved one meanwhile.
            ProcessFailed: git failed.
        """
        with self._lock:
            after = self._last.get(run)
            if after is None:
                asked = self._git.run("rev-parse", "--verify", "--quiet", PREFIX + run)
                after = asked.stdout.decode().strip()
            self._last[run] = save(
                self._git, self._common, run, document, pins, after=after, hash_size=self._hash_size
            )

    def load_all(self) -> Mapping[str, bytes | RaccordError]:
        """Every document that is kept, by run; see the function of the same name."""
        return load_all(self._git)
