"""`raccord promote`: the sets of a profile in one plan, one run and one undo; objects first, then rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raccord.config import OBJECT_MODES, ROW_MODES, DataSet, FileSet, Profile, absent
from raccord.data.steps import PUSH
from raccord.errors import UsageError
from raccord.kernel.record import RunRecord
from raccord.model.options_data import DataPushOptions, FilesPushOptions, PromoteOptions
from raccord.model.plan import Finding, Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs import data_push, data_sets, files_push, files_sets
from raccord.verbs.again import again
from raccord.verbs.hooking import changes, hooked
from raccord.verbs.promoting import sets_of
from raccord.verbs.room import Room

VERB = "promote"


@dataclass(frozen=True, slots=True)
class Part:
    """The plan of one set of a profile.

    Attributes:
        name: of the set, as "data.NAME" or "files.NAME".
        stages: each with one lane.
    """

    name: str
    stages: tuple[Stage, ...]

    @property
    def rows(self) -> bool:
        """Whether it moves rows, not objects."""
        return self.name.startswith("data.")


def promote(room: Room, options: PromoteOptions) -> tuple[Plan, RunRecord | None]:
    """Takes a profile to an environment.

    Raises:
        UsageError: no such profile, set or environment, or a protected one that was not named.
        CannotRun: a database or a store can't be reached.
    """
    configured(room, options.name)
    return data_sets.promoted(room, options, again(VERB, options), lambda: plan(room, options))


def configured(room: Room, name: str) -> Profile:
    """A profile by its name.

    Raises:
        UsageError: there is none, or it says nothing, or something of a set that it has not.
    """
    found = room.config.profiles.get(name)
    if found is None:
        raise absent("profile", name, room.config.profiles, "profiles", sets_of(room))
    sets = [*(f"files.{one}" for one in found.files), *(f"data.{one}" for one in found.data)]
    at = f"[profiles.{name}]"
    if not sets:
        raise UsageError(f"the profile {name} names no set", hint=f"set files or data in {at}")
    if twice := [one for one, number in Counter(sets).items() if number > 1]:
        raise UsageError(f"the profile {name} names {shown(twice[0])} twice", hint=f"correct {at}")
    for one, mode in found.modes.items():
        if one not in sets:
            raise UsageError(
                f"the profile {name} has a mode for {shown(one)}, which is none of {', '.join(sets)}",
                hint=f"correct modes in {at}",
            )
        known_modes = ROW_MODES if one.startswith("data.") else OBJECT_MODES
        if mode not in known_modes:
            raise UsageError(
                f"the profile {name} has the mode {shown(mode)} for {one}, not one of"
                f" {', '.join(known_modes)}",
                hint=f"correct modes in {at}",
            )
    return found


def plan(room: Room, options: PromoteOptions) -> Plan:
    """Observes and decides."""
    profile = configured(room, options.name)
    by_set = {name: files_sets.configured(room, name).mode for name in profile.files}
    by_set |= {
        name: profile.modes[key] for name in profile.files if (key := f"files.{name}") in profile.modes
    }
    if options.delete and "mirror" not in by_set.values():
        raise UsageError(
            f"--delete is for a mirror, and {options.name} has none",
            hint="set the mode of a file set, or take --delete away",
        )
    parts = [
        Part(
            f"files.{name}",
            files_push.plan(
                room,
                FilesPushOptions(
                    name,
                    options.goal,
                    origin=options.origin,
                    mode=mode,
                    delete=options.delete and mode == "mirror",
                ),
            ).stages,
        )
        for name, mode in by_set.items()
    ]
    for name in profile.data:
        data_push.refuse_pull(room, name, options.origin, options.goal)
        chosen = DataPushOptions(
            name,
            options.goal,
            origin=options.origin,
            mode=profile.modes.get(f"data.{name}", ""),
            allow_empty=options.allow_empty,
        )
        parts.append(Part(f"data.{name}", data_push.plan(room, chosen, again(VERB, options)).stages))
    key, title = f"promote:{options.goal}:{options.name}", f"{options.name} to {options.goal}"
    made = Plan(VERB, joined(key, title, parts), by=options.by)
    sets = [_set(room, part.name) for part in parts if changes(part.stages)]
    before = [*profile.before, *(name for one in sets for name in one.before)]
    after = [*(name for one in sets for name in one.after), *profile.after]
    return hooked(room, made, options.goal, before, after)


def _set(room: Room, name: str) -> DataSet | FileSet:
    kind, _, name = name.partition(".")
    return room.config.data[name] if kind == "data" else room.config.files[name]


def joined(key: str, title: str, parts: Sequence[Part]) -> tuple[Stage, ...]:
    """Makes one lane of the plans of several sets. Pure.

    One that is held back holds all. What a failing stage takes back is all that was done before it, but
    objects that were only added, where nothing refers to them yet: they stay, and need not travel again.
    """
    held = next((_of(part, lane.held) for part in parts for lane in _lanes(part) if lane.held), None)
    held = held or _twice(parts)
    several = len(parts) > 1
    stages: list[Stage] = []
    first_rows: int | None = None
    destroyed = False
    for part in parts:
        if part.rows and first_rows is None:
            first_rows = len(stages)
        for stage in part.stages:
            (lane,) = stage.lanes
            notes = tuple(_of(part, note) for note in lane.notes) if several else lane.notes
            steps = () if held else lane.steps
            whole = destroyed and parts[-1].rows
            back = len(stages) if whole else len(stages) - first_rows if first_rows is not None else 0
            stages.append(
                Stage(f"{stage.name} {part.name}", (Lane(key, title, steps, held=held, notes=notes),), back)
            )
            destroyed = destroyed or (not part.rows and any(step.destroys for step in lane.steps))
    return tuple(stages)


def _lanes(part: Part) -> list[Lane]:
    return [lane for stage in part.stages for lane in stage.lanes]


def _of(part: Part, found: Finding) -> Finding:
    return replace(found, message=f"{part.name}: {found.message}")


def _twice(parts: Sequence[Part]) -> Finding | None:
    """Why nothing is done: two sets would change one table, each planned for as it is before the other."""
    by: dict[str, str] = {}
    for part in parts:
        for step in (step for lane in _lanes(part) for step in lane.steps if step.kind == PUSH):
            for one in step.payload["expected"]:
                table = ".".join(one["table"])
                if table in by:
                    said = f"{shown(table)} is in both {by[table]} and {part.name}"
                    return Finding("promote.twice", "fail", said, "take it out of one of them")
                by[table] = part.name
    return None
