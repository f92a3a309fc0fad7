"""`raccord data diff` and `raccord data status`: what differs, and what is where. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from raccord.data import kinds
from raccord.data.difference import Difference
from raccord.data.import_steps import IMPORT
from raccord.data.restore_steps import RESTORE
from raccord.data.steps import PUSH
from raccord.errors import RaccordError
from raccord.kernel.journal import Journal
from raccord.model.options_data import DataDiffOptions
from raccord.model.report_data import (
    DataCell,
    DataDiff,
    DataPush,
    DataRow,
    DataStanding,
    DataStatus,
    DataTable,
    DataWithout,
)
from raccord.verbs import data_sets
from raccord.verbs.room import Room


def diff(room: Room, options: DataDiffOptions) -> DataDiff:
    """How a set differs.

    Raises:
        UsageError: no such set or environment.
        CannotRun: a database can't be reached.
    """
    # What goes back to where the set comes from is a pull, whose masks hide what they would hide.
    back = options.goal == data_sets.configured(room, options.name).from_
    spec = data_sets.spec(room, options.name, options.goal, origin=options.origin, pulls=back, masking=back)
    ends = data_sets.found_ends(room, spec)
    with data_sets.looked(ends) as look:
        found = look.seen
        tables: tuple[DataTable, ...] = ()
        if not found.refused:
            tables = tuple(_table(look, each) for each in look.differences(samples=options.rows))
    equal = None if found.refused else not any(each.added or each.changed or each.removed for each in tables)
    return DataDiff(
        name=spec.name,
        origin=spec.origin,
        goal=spec.goal,
        source=ends.source.shown,
        target=ends.target.shown,
        tables=tables,
        equal=equal,
        refused=(*found.refused, *found.hindered),
        notes=found.notes,
        next_command=f"{spec.again} --dry-run" if equal is False else "",
    )


def _table(look: kinds.Look, each: Difference) -> DataTable:
    pair = each.pair
    rows = tuple(
        DataRow(key, tuple(DataCell(*cell) for cell in cells)) for key, cells in look.differing(each)
    )
    return DataTable(
        pair.shown, each.source.rows, each.target.rows, each.added, each.changed, each.removed,
        pair.key, pair.kept, rows,
    )  # fmt: skip


def status(room: Room, name: str = "") -> DataStatus:
    """What is where: rows of each set in each environment that it comes from or was pushed to.

    Raises:
        UsageError: no such set.
    """
    names = [name] if name else sorted(room.config.data)
    last = pushes(room.journal(), PUSH, IMPORT, RESTORE)
    found = []
    for each in names:
        data_sets.configured(room, each)
        for place, environment in sorted(room.config.environments.items()):
            if environment.database is None:
                continue
            standing = DataStanding(each, place, {}, last.get((each, place)))
            try:
                rows, lone = _rows(room, each, place)
                found.append(replace(standing, rows=rows, without=lone))
            except RaccordError as error:
                found.append(replace(standing, unread=error.message, hint=error.hint))
    from raccord.verbs.hooking import pending  # of both rooms, and most looks need nothing of it

    waiting = pending(room.journal())
    return DataStatus(tuple(found), waiting[0].next_command if waiting else "", waiting)


def _rows(room: Room, name: str, place: str) -> tuple[dict[str, int], tuple[DataWithout, ...]]:
    """How many rows of a set an environment has, and for which others have nothing."""
    spec = data_sets.spec(room, name, "", origin=place)
    target = data_sets.environments(room).target(place)
    knows, wanted = kinds.of(target), room.config.data[name].without
    lone = knows.unreferred(target, spec, wanted) if wanted else ()
    return knows.counted(target, spec), tuple(
        DataWithout(one.table, one.other, one.rows, one.why) for one in lone
    )


def pushes(journal: Journal | None, *steps: str) -> dict[tuple[str, str], DataPush]:
    """The last push of each set into each environment.

    Args:
        steps: the kinds of those that push.
    """
    found: dict[tuple[str, str], DataPush] = {}
    for run in journal.newest(1_000_000) if journal else ():
        record = journal.load(run) if journal else None
        for step in record.steps if record else ():
            if record is None or step.step.kind not in steps or step.state != "done" or step.back:
                continue
            if record.plan.undo_of:
                continue
            spec = step.step.payload["spec"]
            counts = (step.outcome.record if step.outcome else {}).get("counts") or [0, 0, 0]
            push = DataPush(
                run=run,
                at=record.ended or record.started,
                by=record.plan.by,
                commit=step.step.payload["commit"],
                mode=spec["mode"],
                origin=spec["origin"],
                added=counts[0],
                changed=counts[1],
                removed=counts[2],
                undone_by=(journal.undone_by(run) if journal else "") or "",
            )
            found.setdefault((spec["name"], spec["goal"]), push)
    return found
