"""`raccord data restore`: rows that a push kept, or those of an archive, put back as a run of their own."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.data import kinds
from raccord.data.import_steps import IMPORT
from raccord.data.job import Job, names_of
from raccord.data.keeping import Shelf
from raccord.data.plan import SKIP
from raccord.data.restore_steps import RESTORE, restore_step
from raccord.data.spec import REPLACE, Spec
from raccord.data.steps import PUSH, RETURN, conditions
from raccord.database.keeping import new_id
from raccord.database.tables import Name
from raccord.errors import RestoreFailed, UsageError, WorldMoved
from raccord.kernel.record import RunRecord, StepRecord
from raccord.model.options_data import DataImportOptions, DataRestoreOptions
from raccord.model.plan import Lane, Plan, Stage
from raccord.model.report_data import DataBackup, DataBackups
from raccord.model.text import shown
from raccord.verbs import data_import, data_push, data_sets
from raccord.verbs.again import again
from raccord.verbs.room import Room

VERB = "data restore"
LIST = f"raccord {VERB} --list"
DAY = 86400.0
KEEPING = frozenset({IMPORT, PUSH, RESTORE, RETURN})  # steps that keep rows
BRINGING = frozenset({IMPORT, PUSH})  # those whose backup is meant where none is named
NAMED = 3  # backups that an error names


@dataclass(frozen=True, slots=True)
class _Backup:
    """What one step kept, and what is said of it."""

    step: StepRecord
    report: DataBackup


def restore(room: Room, options: DataRestoreOptions) -> tuple[Plan, RunRecord | None]:
    """Puts kept rows back, or those of an archive.

    Raises:
        UsageError: no such backup or environment, or a protected one that was not named.
        CannotRun: a database can't be reached, or the archive not be used.
        RestoreFailed: what was kept can't be read.
        WorldMoved: the environment leads to another database by now, or a table is gone or another.
    """
    file = _file(room, options)
    if file is not None:
        asked = DataImportOptions(
            options.name, options.goal, options.set, mode=REPLACE, key=options.key, yes_to=options.yes_to,
            dry_run=options.dry_run, by=options.by,
        )  # fmt: skip
        return data_sets.promoted(
            room, asked, again(VERB, options), lambda: data_import.plan(room, asked, VERB)
        )
    return data_sets.promoted(room, options, again(VERB, options), lambda: plan(room, options))


def _file(room: Room, options: DataRestoreOptions) -> Path | None:
    """The archive that is meant, if it is one: a run's id is no path."""
    path = Path(room.path / options.name).absolute() if options.name and "\0" not in options.name else None
    if path is None or not (os.path.exists(path) or path.suffix == data_import.SUFFIX or "/" in options.name):
        return None
    return path


def plan(room: Room, options: DataRestoreOptions) -> Plan:
    """Compares what was kept with what is there, and decides."""
    # One after the other, the last set of a run first: its rows may refer to those of the sets before it.
    stages, before = [], set[Name]()
    for one in _meant(room, options):
        stages.append(Stage("restore", (_lane(room, options, one, before),)))
        before.update(names_of(Shelf.below(room.state).needed(one.report.id)))
    return Plan(VERB, tuple(stages), by=options.by)


def _lane(room: Room, options: DataRestoreOptions, one: _Backup, before: Collection[Name]) -> Lane:
    said, id_ = one.report, new_id()
    spec = _spec(room, options, one)
    target = data_sets.environments(room).target(spec.goal)
    if target.key != one.step.step.payload["target"]:
        raise WorldMoved(
            f"the environment {spec.goal} leads to another database than run {said.run} changed:"
            f" {target.shown}",
            hint=LIST,
        )
    known = conditions(lambda name: data_sets.sql(room, name), spec.name)
    job = Job(spec, room.state, id_, {}, conditions=known)
    found = kinds.of(target).kept(job, target, said.id, before)
    key, title = f"data:{spec.goal}:{spec.name}", f"{spec.name} in {spec.goal} as before run {said.run}"
    notes = (*found.notes, *map(data_push.noted, found.decisions))
    if found.refused:
        return Lane(key, title, held=found.refused[0], notes=(*found.refused[1:], *notes))
    if all(each.way == SKIP for each in found.decisions):
        return Lane(key, title, notes=notes)
    return data_push.lane(
        room, spec, key, title, (found.found, found.decisions, found.referring), notes,
        lambda id_, expected: restore_step(
            spec, room.state, id_, said.id, target, expected, data_sets.commit(room)
        ),
    )  # fmt: skip


def _spec(room: Room, options: DataRestoreOptions, one: _Backup) -> Spec:
    """The set as it was pushed; how it is written is as configured now, if it still is."""
    made = Spec.parse(one.step.step.payload["spec"])
    made = replace(
        made, origin=f"what run {one.report.run} kept", mode=REPLACE, where={}, mask={}, closure=False,
        allow_empty=True, verb="push", masking=False,
        command=again(VERB, replace(options, name=one.report.run)),
    )  # fmt: skip
    now = room.config.data.get(made.name)
    if now is None:
        return made
    return replace(
        made, triggers=now.triggers, lock_seconds=now.lock_seconds, statement_seconds=now.statement_seconds,
        swap=now.swap,
    )  # fmt: skip


def _meant(room: Room, options: DataRestoreOptions) -> list[_Backup]:
    """The backups that are to be put back: those of one run.

    Raises:
        UsageError: there are none.
    """
    every = _backups(room)
    if options.name:
        run = _run(room, options.name, every)
        found = [one for one in every if one.report.run == run]
        if not found:
            raise _none(every, f"run {run} kept no rows, or what it kept is gone")
        if unread := next((one.report.unread for one in found if one.report.unread), ""):
            raise RestoreFailed(unread, hint=LIST)
    else:
        kept = [one for one in every if one.step.step.kind in BRINGING and not one.report.undone_by]
        found = [one for one in kept if _fits(options, one.report)]
        found = [one for one in found if one.report.run == found[0].report.run]
    fitting = [one for one in found if _fits(options, one.report)]
    if fitting:
        return fitting
    if found:
        elsewhere = sorted({f"{one.report.name} in {one.report.environment}" for one in found})
        raise _none(every, f"run {found[0].report.run} kept rows of {', '.join(map(shown, elsewhere))}")
    of = f" of {shown(options.set)}" if options.set else ""
    raise _none(every, f"no push{of} into {shown(options.goal)} that stands has kept rows")


def _fits(options: DataRestoreOptions, said: DataBackup) -> bool:
    return said.environment == options.goal and options.set in ("", said.name)


def _run(room: Room, name: str, every: list[_Backup]) -> str:
    by_id = next((one.report.run for one in every if one.report.id == name), "")
    if by_id:
        return by_id
    try:
        return room.journal_or_usage().find(name)
    except UsageError as error:
        raise _none(every, error.message) from None


def _none(every: list[_Backup], said: str) -> UsageError:
    """The error that says what there is instead."""
    named = [f"{one.report.run} ({one.report.name} in {one.report.environment})" for one in every[:NAMED]]
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    there = f"there are backups of {', '.join(map(shown, named))}{more}" if named else "there is no backup"
    return UsageError(f"{said}; {there}", hint=LIST if named else "raccord log")


def backups(room: Room) -> DataBackups:
    """Every backup of rows that can be put back, newest first."""
    return DataBackups(tuple(one.report for one in _backups(room)), room.config.snapshots.keep_last)


def _backups(room: Room) -> list[_Backup]:
    journal = room.journal()
    if journal is None:
        return []
    shelf, days = Shelf.below(room.state), room.config.snapshots.keep_days
    there = set(shelf.ids())
    found = []
    for run in journal.newest(1_000_000):
        record = journal.load(run)
        for one in reversed(record.steps):
            id_ = one.step.payload.get("id", "")
            if one.step.kind not in KEEPING or one.state != "done" or one.back or id_ not in there:
                continue
            said = _report(shelf, record, id_, record.started + days * DAY, journal.undone_by(run))
            if said is not None:
                found.append(_Backup(one, said))
    return found


def _report(shelf: Shelf, record: RunRecord, id_: str, until: float, undone_by: str) -> DataBackup | None:
    try:
        document = shelf.document(id_)
    except RestoreFailed as error:
        return DataBackup(record.id, record.verb, id_, "", "", record.started, until, unread=error.message)
    if document is None:
        return None
    parts = [said[name] for said in document["tables"] for name in ("old", "new", "many") if said.get(name)]
    return DataBackup(
        record.id, record.verb, id_, document["set"], document["environment"], record.started, until,
        rows=sum(said["old"]["rows"] for said in document["tables"]),
        size=sum(part["bytes"] for part in parts),
        tables=tuple(str(said["table"][-1]) for said in document["tables"]),
        by=record.plan.by, undone_by=undone_by,
    )  # fmt: skip
