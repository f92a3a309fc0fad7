"""`undo`, `continue`, `skip`, `abort`, `log` and `show`: what can be done with runs of the past."""

from __future__ import annotations

import shlex
from dataclasses import replace

from raccord.code.keeping import snapshot_step
from raccord.errors import UsageError
from raccord.kernel.journal import Journal
from raccord.kernel.record import RunRecord
from raccord.kernel.undo import undo_plan, undoable
from raccord.model.plan import Finding, Plan, Step
from raccord.model.text import shown
from raccord.verbs import protected
from raccord.verbs.room import Room

# Kinds of steps, whose modules most runs need not load.
HOOK, EXPORT = "hook.call", "data.export"


def undo(
    room: Room, run: str | None, *, dry_run: bool, by: str, yes_to: str = ""
) -> tuple[Plan, RunRecord | None]:
    """Takes a run back: the named one, or the newest that changed something.

    One that was cut off is finished, and is then what was asked for: no other run is taken back besides.

    Args:
        yes_to: the protected environments that may be changed, with commas between them.

    Raises:
        UsageError: there is none, it is not over, or it changed a protected environment that was not named.
    """
    engine = room.engine()
    finished = [] if dry_run else [one for one in engine.recover() if one.undo_of]
    for one in finished:
        if run is None or one.undo_of == engine.journal.find(run):
            return one.plan, one
    name = engine.journal.find(run) if run else undoable(engine.journal, engine.handlers, _over)
    if name is None:
        raise UsageError("there is no run to take back", hint="raccord log")
    _refuse_export(engine.journal.load(name))

    def make() -> Plan:
        room.__dict__.pop("trees", None)
        record = engine.journal.load(name)
        left = [record.lanes[key] for key in record.open_lanes] if _over(record) else []
        for lane in left:
            lane.state = "skipped"  # as it will be
        notes = tuple(Finding("undo.left", "note", f"{one.title}: waits, and is left") for one in left)
        plan = undo_plan(record, engine.handlers, lambda step: _backup(room, step), by)
        return replace(plan, notes=(*plan.notes, *notes))

    if dry_run:
        return make(), None
    goals = protected.changed(room, _steps(engine.journal, name))
    protected.refuse_unnamed(room, goals, yes_to, f"raccord undo {name}")
    record = engine.journal.load(name)
    if record.open_lanes and _over(record) and not make().empty:
        back_out(room, None, name, "skipped")
    return engine.apply(make)


def _refuse_export(record: RunRecord) -> None:
    """Says why an export is not taken back.

    Raises:
        UsageError: the run is one.
    """
    places = [str(one.step.payload["place"]) for one in record.steps if one.step.kind == EXPORT]
    if places:
        raise UsageError(
            f"run {record.id} changed no environment: it wrote {shown(places[0])}, yours to keep or remove",
            hint=f"ls -l {shown(shlex.quote(places[0]))}",
        )


def _over(record: RunRecord) -> bool:
    """Whether nothing of a run is to be done; hooks that wait after it can be left."""
    if not record.open_lanes or not any(step.step.kind == HOOK for step in record.steps):
        return not record.open_lanes
    from raccord.verbs.hooking import only_hooks_left  # most runs need nothing of it

    return only_hooks_left(record)


def environments(room: Room, run: str | None) -> tuple[str, ...]:
    """The environments that the undo of a run would change; none where there is nothing to undo.

    Raises:
        UsageError: there is no such run.
    """
    engine = room.engine()
    name = engine.journal.find(run) if run else undoable(engine.journal, engine.handlers, _over)
    return protected.changed(room, _steps(engine.journal, name)) if name else ()


def _steps(journal: Journal, run: str) -> list[Step]:
    return [one.step for one in journal.load(run).steps]


def _backup(room: Room, step: Step) -> tuple[Step, ...]:
    """The step that keeps what another step overwrites in its worktree."""
    tree = next((t for t in room.trees if str(t.path) == step.payload.get("worktree")), None)
    if tree is None:
        raise UsageError(f"no worktree at {step.payload.get('worktree')} any more", hint="git worktree list")
    return (snapshot_step(tree, "before undo"),)


def unfinished(room: Room, run: str | None) -> str:
    """The run that `continue`, `skip` and `abort` mean.

    Raises:
        UsageError: none waits, or several do.
    """
    journal = room.engine().journal
    if run:
        return journal.find(run)
    waiting = journal.unfinished()
    if not waiting:
        raise UsageError("no run waits to be continued", hint="raccord status")
    if len(waiting) > 1:
        named = ", ".join(waiting)
        raise UsageError(f"several runs wait: {named}", hint=f"raccord continue --run {waiting[-1]}")
    return waiting[0]


def lane_key(room: Room, run: str, name: str | None) -> str | None:
    """The lane that a person meant: its key, or a worktree's or branch's name in its title.

    Raises:
        UsageError: no unfinished lane, or several.
    """
    if name is None:
        return None
    record = room.engine().journal.load(run)
    lanes = [record.lanes[key] for key in record.open_lanes]
    found = [lane.key for lane in lanes if lane.key == name] or [
        lane.key
        for lane in lanes
        if name in (lane.title, *lane.title.replace("(", "").replace(")", "").split())
    ]
    if len(found) != 1:
        what = "several unfinished lanes" if found else "no unfinished lane"
        raise UsageError(f"{what} called {name!r} in run {run}", hint=f"raccord show {run}")
    return found[0]


def go_on(room: Room, lane: str | None, run: str | None) -> RunRecord:
    """Goes on with a stopped or killed run."""
    name = unfinished(room, run)
    key = lane_key(room, name, lane)
    _asked(room, name, key)
    return room.engine().resume(name, key)


def skip(room: Room, lane: str | None, run: str | None) -> RunRecord:
    """Puts unfinished lanes back, leaves them out, and goes on with the others."""
    record = back_out(room, lane, run, "skipped")
    return room.engine().resume(record.id) if record.open_lanes else record


def back_out(room: Room, lane: str | None, run: str | None, state: str) -> RunRecord:
    """Takes back the unfinished lanes of a run: "skipped" or "aborted". One that has none is told so."""
    name = unfinished(room, run)
    engine = room.engine()
    waiting = engine.journal.load(name).open_lanes
    key = lane_key(room, name, lane)
    _asked(room, name, key)
    record = engine.back_out(name, key, state)
    if not waiting:
        said = f"nothing was {state}: all of it had been done before"
        engine.journal.note(record, Finding("run.late", "note", said, f"raccord undo {name}"))
    return record


def _asked(room: Room, run: str, lane: str | None) -> None:
    """A person decides about what may have been heard by others."""
    record = room.engine().journal.load(run)
    if any(step.step.kind == HOOK for step in record.steps):
        from raccord.verbs.hooking import asked

        asked(record, lane)
