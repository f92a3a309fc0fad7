"""`raccord data push`: compares a set between two environments, and makes the target what its mode says.

`raccord data pull` is the same in the other direction, with masks on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from raccord.data import salts
from raccord.data.difference import Difference
from raccord.data.plan import DELTA, FILL, SKIP, Decision, Expected, emptied, expect, staying, unfilled
from raccord.data.spec import Spec
from raccord.data.steps import keep_step, push_step
from raccord.database.keeping import new_id
from raccord.database.tables import Name
from raccord.errors import UsageError
from raccord.kernel.record import RunRecord
from raccord.model.options_data import DataPullOptions, DataPushOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Step
from raccord.verbs import data_masking, data_sets
from raccord.verbs.again import again
from raccord.verbs.room import Room


def push(room: Room, options: DataPushOptions) -> tuple[Plan, RunRecord | None]:
    """Pushes a set.

    Raises:
        UsageError: no such set or environment, a protected one that was not named, or what is a pull.
        CannotRun: a database can't be reached.
    """
    refuse_pull(room, options.name, options.origin, options.goal)

    def make() -> Plan:
        found, made = data_sets.configured(room, options.name), plan(room, options)
        if not (found.before or found.after):
            return made
        from raccord.verbs.hooking import hooked  # most pushes need nothing of it

        return hooked(room, made, options.goal, found.before, found.after)

    return data_sets.promoted(room, options, again("data push", options), make)


def refuse_pull(room: Room, name: str, origin: str, goal: str) -> None:
    """Makes sure that rows don't go where their set comes from: that is a pull, with masks on.

    Raises:
        UsageError: they would.
    """
    if origin != goal == data_sets.configured(room, name).from_ and origin:
        words = ["raccord", "data", "pull", name, "--from", origin]
        said = f"{name} comes from {goal}: what goes there is pulled, with masks on"
        raise UsageError(said, hint=shlex.join(words))


def pull(room: Room, options: DataPullOptions) -> tuple[Plan, RunRecord | None]:
    """Pulls a set: what may hold secrets or personal data is masked, unless there is a reason not to.

    Raises:
        UsageError: as for a push; or nothing is to be masked and no reason is given, or the protected
            environment that the rows come from was not named.
        CannotRun: a database can't be reached.
    """
    reason = data_masking.reason(
        options, ["raccord", "data", "pull", options.name, "--from", options.origin, "--unmasked"]
    )
    data_sets.environments(room).environment(options.origin)
    goal = options.goal or data_sets.configured(room, options.name).from_
    asked = DataPushOptions(
        options.name, goal, options.origin, options.mode, options.allow_empty, options.yes_to,
        options.dry_run, options.by, pulls=True, unmasked=reason,
    )  # fmt: skip
    command = again("data pull", replace(options, goal=goal))
    also = [options.origin] if reason else []
    return data_sets.promoted(room, asked, command, lambda: plan(room, asked, command), also)


def plan(room: Room, options: DataPushOptions, command: str = "") -> Plan:
    """Observes and decides.

    Args:
        command: plans it anew; where it is "", that of a push of this set.
    """
    spec = data_sets.spec(
        room,
        options.name,
        options.goal,
        origin=options.origin,
        mode=options.mode,
        allow_empty=options.allow_empty,
        pulls=options.pulls,
        masking=options.pulls and not options.unmasked,
    )
    spec = replace(spec, command=command or ("" if options.pulls else again("data push", options)))
    if salts.needed(spec) and not options.dry_run:
        salts.make(room.state)
    ends = data_sets.found_ends(room, spec)
    key, title = f"data:{spec.goal}:{spec.name}", f"{spec.name} from {spec.origin} to {spec.goal}"
    with data_sets.looked(ends) as look:
        seen = look.seen
        against = [*seen.refused, *seen.hindered]
        if against:
            return _plan(options, Lane(key, title, held=against[0], notes=(*against[1:], *seen.notes)))
        found, decisions = look.decided()
        referring = look.referred(found)
    notes = (*seen.notes, *map(noted, decisions), *staying(spec, decisions))
    return _plan(
        options,
        lane(
            room, spec, key, title, (found, decisions, referring), notes,
            lambda id_, expected: push_step(
                spec, room.state, id_, ends.source, ends.target, expected, data_sets.commit(room)
            ),
        ),
    )  # fmt: skip


def lane(
    room: Room,
    spec: Spec,
    key: str,
    title: str,
    seen: tuple[Sequence[Difference], Sequence[Decision], Sequence[Finding]],
    notes: Sequence[Finding],
    last: Callable[[str, Mapping[Name, Expected]], Step],
) -> Lane:
    """What becomes of a set, once it is known how its rows differ: steps, nothing, or why not.

    Args:
        seen: how each table differs, what is decided for it, and which rows refer to those that would go.
        last: makes the step that does it, from the id of what is kept and what must be found.
    """
    found, decisions, referring = seen
    against = [one for one in referring if one.status == "fail"]
    notes = (*notes, *(one for one in referring if one not in against[:1]))
    if held := emptied(spec, found) or unfilled(found) or next(iter(against), None):
        return Lane(key, title, held=held, notes=notes)
    if all(each.way == SKIP for each in decisions):
        return Lane(key, title, notes=notes)
    expected = {each.pair.id: expect(spec, each, made) for each, made in zip(found, decisions, strict=True)}
    # What is kept is never more than the tables that lose something.
    about = sum(
        each.pair.target.bytes
        for each, made in zip(found, decisions, strict=True)
        if made.way not in (SKIP, DELTA, FILL) and (made.changed or made.removed)
    )
    id_ = new_id()
    return Lane(key, title, (keep_step(room.state, id_, about), last(id_, expected)), notes=notes)


def _plan(options: DataPushOptions, lane: Lane) -> Plan:
    verb = "pull" if options.pulls else "push"
    waivers = data_masking.waived(options.unmasked, options.by)
    return Plan(f"data {verb}", (Stage(verb, (lane,)),), waivers, by=options.by)


def noted(one: Decision) -> Finding:
    """What is decided for a table, for a person."""
    data = {
        "table": one.table,
        "way": one.way,
        "added": one.added,
        "changed": one.changed,
        "removed": one.removed,
    }
    return Finding("data.table", "note", one.said, data=data)
