"""`raccord gc`, `eject` and `init`: old backups dropped, every trace removed, a configuration written."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from raccord.checks.observe import detect
from raccord.code.base import choose_remote, find_base
from raccord.config import FILE, commented
from raccord.data.keeping import Shelf as Rows
from raccord.data.steps import KEEP
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.files.steps import KEEP as FILES_KEEP
from raccord.files.steps import PUT as FILES_PUT
from raccord.files.steps import forget as forget_files
from raccord.git import archive, snapshot
from raccord.git.refs import read
from raccord.git.snapshot_model import SnapshotInfo
from raccord.git.status import ignored
from raccord.kernel import fs
from raccord.kernel.journal import Journal
from raccord.kernel.locks import living
from raccord.migrations import excluded
from raccord.migrations.backups import BACKUP, Shelf
from raccord.migrations.clones import remaining
from raccord.migrations.forks import Forks
from raccord.migrations.offer import comment, offer
from raccord.migrations.steps import exclude_file
from raccord.model.language import guess
from raccord.model.plan import Finding
from raccord.model.report import RemovalReport
from raccord.verbs.files_sets import place_of
from raccord.verbs.migration_unfork import addressed, by_hand, reap
from raccord.verbs.room import Room

DAY = 86400.0
FILES = (FILES_KEEP, FILES_PUT)  # steps that leave something behind in a store or here
# What people write about their repository, and how much of it says what language they do it in.
DOCUMENTS = (".adoc", ".md", ".rst", ".txt")
MOST_DOCUMENTS = 40
LARGEST_DOCUMENT = 64 * 1024  # bytes


def gc(room: Room, *, dry_run: bool) -> RemovalReport:
    """Drops snapshots and runs that are older than configured and beyond the newest of their worktree."""
    keep = room.config.snapshots
    oldest = time.time() - keep.keep_days * DAY
    journal = room.engine().journal
    waiting = set(journal.unfinished())
    by_tree: dict[str, list[SnapshotInfo]] = {}
    for one in sorted(snapshot.listing(room.repo.git), key=lambda one: -one.taken):
        by_tree.setdefault(one.worktree, []).append(one)
    old = [one for many in by_tree.values() for one in many[keep.keep_last :] if one.taken < oldest]
    runs = [run for run in journal.newest(1_000_000)[keep.keep_last :] if run not in waiting]
    runs = [run for run in runs if journal.load(run).started < oldest]
    wanted = {step.step.payload.get("archive") for run in waiting for step in journal.load(run).steps}
    runs = [
        run
        for run in runs
        if not any(
            one.step.kind == KEEP and one.step.payload["id"] in wanted for one in journal.load(run).steps
        )
    ]
    full: list[Finding] = []
    if not dry_run:
        runs, full = _emptied(room, journal, runs)
    needed = {
        pin for run in waiting for step in journal.load(run).steps for pin in (step.step.payload.get("id"),)
    }
    old = [one for one in old if one.id not in needed]
    before = snapshot.size(room.repo.git)
    removed = [f"snapshot {one.id} of {one.worktree}" for one in old] + [f"run {run}" for run in runs]
    total = sum(map(len, by_tree.values()))
    kept = total + len(journal.newest(1_000_000)) - len(removed)
    forks, told = reap(room, dry_run=dry_run)
    removed += forks
    if dry_run:
        return RemovalReport("gc", True, tuple(removed), kept, None, told)
    stuck = _backups_dropped(room, journal, runs)
    # The run of a backup that stays is how the next gc finds it.
    runs = [run for run in runs if run not in stuck]
    removed = [one for one in removed if one.removeprefix("run ") not in stuck]
    kept += len(stuck)
    kept_on = [left for told_ in stuck.values() for left in told_]
    for step in [step.step for run in runs for step in journal.load(run).steps]:
        if step.kind == KEEP:
            Rows.below(room.state).forget(step.payload["id"])
    snapshot.drop(room.repo.git, [one.id for one in old])
    archive.drop(room.repo.git, runs)
    journal.forget(runs)
    for run in runs:
        fs.remove_tree(room.state / "logs" / run)
    freed = max(0, before - snapshot.size(room.repo.git))
    note = Finding("gc.git", "note", "git prunes the objects at its next gc", "git gc")
    notes = (*((note,) if old or runs else ()), *kept_on)
    return RemovalReport("gc", False, tuple(removed), kept, freed, (*notes, *full, *told))


def _emptied(room: Room, journal: Journal, runs: list[str]) -> tuple[list[str], list[Finding]]:
    """Empties the trash of pushes of objects; a run whose trash can't be reached is kept, and told."""
    gone, stuck = [], []
    for run in runs:
        try:
            for step in journal.load(run).steps:
                if step.step.kind in FILES:
                    forget_files(step.step, lambda name: place_of(room, name))
        except RaccordError as error:
            said = f"run {run} stays, as what it keeps can't be removed: {error.message}"
            stuck.append(Finding("gc.files", "unknown", said, error.hint or "raccord gc"))
        else:
            gone.append(run)
    return gone, stuck


def _backups_dropped(room: Room, journal: Journal, runs: Sequence[str]) -> dict[str, list[Finding]]:
    """Drops the backups of runs; those of which one stays, with the reasons."""
    shelf = Shelf.below(room.state)
    servers = cache(lambda: addressed(room))
    stuck: dict[str, list[Finding]] = {}
    for run in runs:
        ids = [step.step.payload["id"] for step in journal.load(run).steps if step.step.kind == BACKUP]
        ids += [one for id_ in ids for one in shelf.rescued(id_)]
        for one in ids:
            if (left := shelf.forget(one, servers)) is not None:
                stuck.setdefault(run, []).append(left)
    return stuck


def eject(room: Room, *, dry_run: bool) -> RemovalReport:
    """Removes every trace of raccord from the repository: its refs and its state; the configuration stays.

    Raises:
        CannotRun: a run is going on.
    """
    busy = living(room.reading) if room.reading else []
    if busy:
        raise CannotRun(f"run {busy[0][1]} is going on", hint=f"raccord show {busy[0][1]}")
    journal = room.journal()
    waiting = journal.unfinished() if journal else []
    if waiting and not dry_run:
        raise CannotRun(f"run {waiting[0]} is not finished", hint=f"raccord continue --run {waiting[0]}")
    refs = sorted(read(room.repo.git, "refs/raccord").by_name)
    removed = list(refs)
    if room.state.is_dir():
        removed.append(str(room.state))
    notes: list[Finding] = []
    if room.repo.top is not None and (room.repo.top / FILE).exists():
        notes.append(Finding("eject.config", "note", f"{FILE} stays: it is yours", f"git rm {FILE}"))
    ignoring = exclude_file(room.repo.common)
    data = fs.read_or_none(ignoring) or b""
    if hidden := excluded.patterns(data):
        removed.append(f"{len(hidden)} lines of {ignoring}")
        said = "the migrations that were put back stay: git shows them now"
        notes.append(Finding("eject.migrations", "note", said, "git status"))
    if lost := remaining(room.state):
        said = f"{lost} clones of databases that a killed command left may stay on their servers"
        notes.append(Finding("eject.clones", "unknown", said, "raccord migrations prove, before eject"))
    if journal and any(
        s.step.kind == FILES_KEEP for r in journal.newest(1_000_000) for s in journal.load(r).steps
    ):
        said = "what pushes of objects kept stays in their stores, below .raccord-trash"
        notes.append(Finding("eject.files", "note", said, "remove it by hand"))
    forks = Forks(room.state).all()
    for fork in forks:
        said = f"{fork.title}, a fork of {fork.source.title}, stays: it is yours"
        notes.append(Finding("eject.fork", "note", said, by_hand(fork)))
    if not dry_run:
        shelf = Shelf.below(room.state)
        kept_on = [shelf.forget(id_, lambda: addressed(room)) for id_ in shelf.ids()]
        notes += [told for told in kept_on if told is not None]
        for fork in forks:
            Forks(room.state).forget(fork)
        room.close()
        snapshot.delete(room.repo.git, refs)
        for left in (room.repo.common / "refs" / "raccord", room.repo.common / "logs" / "refs" / "raccord"):
            if left.is_dir():  # git keeps the folders of refs that are gone
                fs.remove_tree(left)
        if room.state.is_dir():
            fs.remove_tree(room.state)
        if hidden:
            fs.write_atomic(ignoring, excluded.changed(data, remove=hidden))
    return RemovalReport("eject", dry_run, tuple(removed), 0, None, tuple(notes))


def _spoken(top: Path) -> tuple[str, str] | None:
    """The language of the repository's own documents, and the first of them that says so."""
    names = sorted(name for name in fs.names(top) if name.lower().endswith(DOCUMENTS))
    docs = top / "docs"
    folder = sorted(fs.names(docs)) if docs.is_dir() else []
    paths = [top / name for name in names] + [docs / one for one in folder if one.lower().endswith(DOCUMENTS)]
    said: dict[str, list[str]] = {}
    for path in [one for one in paths if one.is_file() and not one.is_symlink()][:MOST_DOCUMENTS]:
        text = (fs.read_or_none(path) or b"")[:LARGEST_DOCUMENT].decode("utf-8", "replace")
        if language := guess(text):
            said.setdefault(language, []).append(os.path.relpath(path, top))
    if not said:
        return None
    most = max(said, key=lambda language: len(said[language]))
    return most, said[most][0]


def init(room: Room, *, write: bool) -> str:
    """A commented configuration from what is found; written where asked for, never over an existing one.

    Raises:
        UsageError: there is a configuration already.
        CannotRun: this is no worktree.
    """
    top = room.repo.top
    if top is None:
        raise CannotRun("this is no worktree, but a bare repository", hint="git worktree add DIR")
    refs = read(room.repo.git)
    remote = choose_remote(room.repo.settings, "")
    found: dict[str, tuple[object, str]] = {}
    try:
        base = find_base(room.repo, refs, remote, "", room.trees)
        found["sync.base"] = (base.branch, base.name)
    except UsageError:
        pass
    if language := _spoken(top):
        found["language"] = language
    gates = detect(top).gates
    if gates:
        found["gates.commands"] = (tuple(gate.argv for gate in gates), gates[0].source)
    lines = offer(top, lambda path: path in ignored(room.repo.git, [path]))
    text = commented(found) + comment(lines)
    if write:
        path = top / FILE
        if path.exists():
            raise UsageError(f"{FILE} is there already", hint=f"edit {path}")
        fs.write_atomic(path, text.encode())
    return text
