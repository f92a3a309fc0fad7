"""Turns pending changes into a report: first in the store, in one transaction, then in the document.

A kill between the two leaves a consolidation that is not placed yet: the next call places it, once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from raccord.coordination import document
from raccord.coordination.ledger import Ledger
from raccord.coordination.papers import put, read
from raccord.coordination.report import heading, report
from raccord.coordination.spec import Spec, named, reporting
from raccord.coordination.summary import Summary, summary
from raccord.errors import CannotRun, WorldMoved
from raccord.model import globs
from raccord.model.coordination import Change, Consolidation, Root, Trigger
from raccord.model.plan import Json
from raccord.model.text import shown

TRIES = 20

Look = Callable[[Sequence[str]], object]


def consolidate(
    ledger: Ledger, spec: Spec, roots: Sequence[Root], trigger: Trigger, conditions: Mapping[str, Json],
    *, worktree: str = "",
) -> Consolidation | None:  # fmt: skip
    """Consolidates what is pending; None where nothing is.

    The report may be in the store and not yet in the document: see `place`.
    """
    began = time.monotonic()
    home = reporting(roots, worktree)
    places = {} if home is None else named(roots, home)

    def make(pending: Sequence[Change]) -> Consolidation | None:
        if not pending:
            return None
        key, at = f"c-{secrets.token_hex(6)}", time.time()
        text = report(
            key,
            trigger,
            conditions,
            at,
            pending,
            spec.language,
            place=lambda root: places.get(root, Path(root).name),
            summaries=_summaries(ledger, pending),
        )
        files = len({(one.root, one.path) for one in pending})
        took = time.monotonic() - began
        return Consolidation(
            key, trigger, conditions, at, len(pending), files, text, spec.language, took, home is None
        )

    return ledger.consolidate(make)


def _summaries(ledger: Ledger, pending: Sequence[Change]) -> dict[str, Summary]:
    """What lies between the first and the last content of each file; only where both were kept."""
    ends: dict[tuple[str, str], tuple[str, str]] = {}
    for one in pending:
        first = ends.get((one.root, one.path), (one.old, ""))[0]
        ends[one.root, one.path] = first, one.new
    found: dict[str, Summary] = {}
    for (_, path), (old, new) in ends.items():
        before = ledger.content(old) if old else b""
        after = ledger.content(new) if new else b""
        if before is not None and after is not None and before != after:
            made = summary(before, after)
            found[path] = _joined(found[path], made) if path in found else made
    return found


def _joined(one: Summary, two: Summary) -> Summary:
    sections = tuple(dict.fromkeys((*one.sections, *two.sections)))
    return Summary(one.added + two.added, one.removed + two.removed, sections)


def place(
    ledger: Ledger, spec: Spec, home: Root, look: Look, *, also: Collection[str] = ()
) -> Sequence[Consolidation]:
    """Writes every consolidation that is not in the document yet into it.

    Args:
        look: records what became of files of the home: what is written over them would hide it.
        also: ids of others that belong there, though they were placed once.

    Returns:
        Those that were placed.

    Raises:
        CannotRun: the document can't be read or written; the consolidations stay as they are.
    """
    known = ledger.consolidations(own=True, unplaced=not also)
    waiting = [one for one in reversed(known) if not one.placed or one.id in also]
    if not waiting:
        return ()
    began = time.monotonic()
    for _ in range(TRIES):
        try:
            _write(ledger, spec, home, waiting, look, again=bool(also))
            break
        except WorldMoved:
            time.sleep(0.01)  # somebody writes to it just now; what he wrote goes in
    else:
        raise CannotRun(f"{shown(spec.report)} changes all the time", hint="raccord consolidate")
    took = (time.monotonic() - began) / len(waiting)
    for one in waiting:
        ledger.placed(one.id, one.took + (0.0 if one.id in also else took))
    return waiting


def _write(
    ledger: Ledger, spec: Spec, home: Root, waiting: Sequence[Consolidation], look: Look, *, again: bool
) -> None:
    look([path for path in (spec.report, spec.archive) if globs.named(spec.patterns, path)])
    known = ledger.known(home.path)
    old, version = read(home.path, spec.report, known)
    kept = read(home.path, spec.archive)[0] if again else b""
    lacking = [one for one in waiting if not document.has(old, one.id) and not document.has(kept, one.id)]
    if not lacking:
        return
    title = heading(spec.language)
    rolled = document.added(old, [one.report for one in lacking], title, spec.kept)
    if rolled.older:
        # First into the archive: a report may be in both for a moment, never in none.
        before, there = read(home.path, spec.archive, known)
        after = document.archived(before, rolled.older, title)
        if after != before:
            put(ledger, home.path, spec.archive, after, there)
    put(ledger, home.path, spec.report, rolled.document, version)
