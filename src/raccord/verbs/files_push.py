"""`raccord files push`: compares a set between two environments, and makes the target what its mode says.

`raccord files pull` is the same in the other direction, without what is private.
"""

from __future__ import annotations

from dataclasses import replace

from raccord.files.observe import observe
from raccord.files.plan import decide
from raccord.files.steps import keep_step, put_step, verify_step
from raccord.kernel.ident import new_id
from raccord.kernel.record import RunRecord
from raccord.model.options_data import FilesPushOptions
from raccord.model.plan import Lane, Plan, Stage, Step
from raccord.verbs import files_sets, promoting
from raccord.verbs.again import again
from raccord.verbs.room import Room


def push(room: Room, options: FilesPushOptions) -> tuple[Plan, RunRecord | None]:
    """Pushes a set.

    Raises:
        UsageError: no such set or environment, or a protected one that was not named.
        CannotRun: a store can't be reached.
    """

    def make() -> Plan:
        found, made = files_sets.configured(room, options.name), plan(room, options)
        if not (found.before or found.after):
            return made
        from raccord.verbs.hooking import hooked  # most pushes need nothing of it

        return hooked(room, made, options.goal, found.before, found.after)

    files_sets.configured(room, options.name)  # before a name is asked for
    return promoting.promoted(room, options, again("files push", options), make)


def pull(room: Room, options: FilesPushOptions) -> tuple[Plan, RunRecord | None]:
    """Pulls a set: from another environment to the one that it comes from, without what is private.

    Raises:
        UsageError, CannotRun: as for a push.
    """
    goal = options.goal or files_sets.configured(room, options.name).from_
    promoting.environments(room).environment(options.origin)
    asked = replace(options, goal=goal, pulls=True)
    return promoting.promoted(room, asked, again("files pull", asked), lambda: plan(room, asked))


def plan(room: Room, options: FilesPushOptions) -> Plan:
    """Observes and decides."""
    spec = files_sets.spec(
        room,
        options.name,
        options.goal,
        origin=options.origin,
        mode=options.mode,
        delete=options.delete,
        pulls=options.pulls,
    )
    ends = files_sets.found_ends(room, spec)
    key, title = f"files:{spec.goal}:{spec.name}", f"{spec.name} from {spec.origin} to {spec.goal}"
    seen = observe(ends.source, ends.target, ends.origin, spec)
    made = decide(spec, seen.source, seen.comparison)
    notes = (*seen.notes, *made.notes)
    id_, goal = new_id(), ends.goal.key
    here = room.here
    put = put_step(
        spec, room.state, id_, {"place": ends.origin.key}, goal, made, seen.comparison.learnt,
        (here.head if here else "") or "",
    )  # fmt: skip
    steps: tuple[Step, ...] = ()
    if made.items:
        keep = keep_step(spec, room.state, id_, goal, made.items, seen.target)
        steps = (keep, put) if put.destroys else (put,)
    elif seen.comparison.learnt and made.held is None:
        steps = (put,)
    stages = [
        Stage(spec.verb.removeprefix("files "), (Lane(key, title, steps, held=made.held, notes=notes),))
    ]
    if made.items:
        # A stage of its own: what was left out is told without taking back what went through.
        verify = verify_step(spec, room.state, id_, goal)
        stages.append(Stage("verify", (Lane(key, title, (verify,)),)))
    return Plan(spec.verb, tuple(stages), by=options.by)
