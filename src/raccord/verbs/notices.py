"""Tells the configured command of the runs in which migrations were put back or applied."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace

from raccord.kernel.record import RunRecord
from raccord.model.counts import told, total
from raccord.model.migration_report import Notice
from raccord.model.plan import Finding, Json, Plan
from raccord.model.text import shown
from raccord.notify.command import send
from raccord.verbs.room import Room

VERSION = 1
MIGRATIONS = "migration."
NAMED = (
    ("heals", "worktree healed", "worktrees healed"),
    ("revisions_copied", "revision put back", "revisions put back"),
    ("upgrades", "database upgraded", "databases upgraded"),
    ("revisions_applied", "revision applied", "revisions applied"),
)


def announced(room: Room, plan: Plan) -> Plan:
    """The plan, saying which command its run will tell."""
    command = room.config.notify.command
    if not command or not any(step.kind.startswith(MIGRATIONS) for step in plan.steps()):
        return plan
    note = Finding("notify.command", "note", f"what comes of migrations is told to: {_command(command)}")
    return replace(plan, notes=(*plan.notes, note))


def notice(room: Room, record: RunRecord) -> Finding | None:
    """Tells the command of a run that is over; a note where that failed, which changes nothing in the run."""
    command = room.config.notify.command
    counts = told(counted(record))
    if not command or not counts:
        return None
    said = Notice(
        repository=str(room.repo.common),
        run=record.id,
        verb=record.verb,
        state=record.state,
        by=record.plan.by,
        counts=counts,
        text=f"raccord {record.verb}: {words(counts)}",
    )
    document = {"version": VERSION, "kind": "notice", **asdict(said)}
    failed = send(command, document, room.repo.top or room.repo.common)
    if not failed:
        return None
    why = f"nobody was told of this run: {_command(command)}: {failed}"
    return Finding("notify.failed", "note", why)


def _command(command: tuple[str, ...]) -> str:
    return shown(shlex.join(command))


def counted(record: RunRecord) -> dict[str, Json]:
    """What a run's steps counted, those that were taken back left out."""
    done = [step.outcome for step in record.steps if step.state == "done" and not step.back]
    return total(one.counts for one in done if one is not None)


def words(counts: Mapping[str, Json]) -> str:
    """Counts in one line for a person."""
    sources = counts.get("by_source", {})
    listed = ", ".join(f"{shown(kind)} {number}" for kind, number in sorted(sources.items()))
    said = []
    for name, one, many in NAMED:
        if number := counts.get(name):
            said.append(f"{number} {one if number == 1 else many}")
            if name == "revisions_copied" and listed:
                said[-1] += f" ({listed})"
    return ", ".join(said)
