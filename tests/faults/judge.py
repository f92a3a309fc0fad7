"""What must hold after a fault.

Whatever went wrong: after one `continue`, one `abort` or the same command again, every worktree as a whole
is as before or as after the command, the remote has nothing that the workspace lacks, no lock is left, and
the next command works.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.faults.inject import Ran
from tests.faults.place import Place
from tests.faults.scenarios import Reference
from tests.faults.state import World

RECOVERIES = ("continue", "abort", "again")
# Killed where nothing had been written down yet, there is nothing to continue or abort: a usage error.
FINE = {"continue": (0, 2, 5), "abort": (0, 2, 5), "again": (0, 5)}


@dataclass(frozen=True)
class Verdict:
    """What a fault did.

    Attributes:
        losses: promises that were broken; () where all held.
        litter: temporary files that stayed; ugly, and no loss.
    """

    losses: tuple[str, ...]
    litter: tuple[str, ...] = ()


def judge(place: Place, known: Reference, ran: Ran | None, recovery: str) -> Verdict:
    """Recovers after a fault and looks whether everything held.

    Args:
        ran: how the command ended; None where nobody knows.
        recovery: one of `RECOVERIES`.
    """
    scenario = known.scenario
    losses: list[str] = []
    if ran is not None and (ran.exit == 3 or "Traceback" in ran.output):
        losses.append(f"the command itself ended as a bug: {tail(ran.output)}")
    argv = scenario.argv if recovery == "again" else (recovery,)
    code, said = place.raccord(*argv, cwd=scenario.cwd)
    if recovery == "again" and waiting(place):
        # It left alone what the cut-off run holds, and said so: the person does what it said.
        code, said = place.raccord("continue", cwd=scenario.cwd)
    if code not in FINE[recovery] and not scenario.over(said):
        losses.append(f"{recovery}: exit {code}: {tail(said)}")
    world = place.look()
    losses += compare(world, known)
    losses += settled(place)
    # Where all had been done, abort says so, and only an undo takes it back.
    new = all(getattr(world, one) == getattr(known.new, one) for one in scenario.undone)
    if recovery == "abort" and code == 0 and not (new and ": done (" in said):
        losses += brought_back(world, known, "abort")
    code, said = place.raccord(*scenario.finish, cwd=scenario.cwd)
    if code and not scenario.over(said):
        losses.append(f"{' '.join(scenario.finish)}: exit {code}: {tail(said)}")
    final = place.look()
    for name, tree in final.trees.items():
        if tree != known.final.trees.get(name):
            losses.append(f"in the end {name} differs: {short(tree.differences(known.final.trees[name]))}")
    if final.remote != known.final.remote:
        losses.append(f"in the end the remote differs: {changes(final.remote, known.final.remote)}")
    if final.databases != known.final.databases:
        losses.append(f"in the end a database differs: {changes(final.databases, known.final.databases)}")
    losses += taken_back(place, known) if scenario.undone else []
    locks = tuple(name for name in world.leftovers if name.endswith(".lock"))
    if locks:
        losses.append(f"locks left: {', '.join(locks)}")
    return Verdict(tuple(losses), tuple(name for name in world.leftovers if name not in locks))


def taken_back(place: Place, known: Reference) -> list[str]:
    """Whether an undo brings back what was there before."""
    code, said = place.raccord("undo", "--yes", cwd=known.scenario.cwd)
    if code:
        return [f"undo: exit {code}: {tail(said)}"]
    return brought_back(place.look(), known, "undo")


def brought_back(world: World, known: Reference, by: str) -> list[str]:
    """Whether that is as before which an undo or abort brings back."""
    return [
        f"after {by} the {name} are not what they were"
        for name in known.scenario.undone
        if getattr(world, name) != getattr(known.old, name)
    ]


def compare(world: World, known: Reference) -> list[str]:
    """Whether each worktree is wholly old or wholly new, and the remote not ahead of the workspace."""
    found = []
    if world.trees.keys() != known.old.trees.keys():
        found.append(f"worktrees: {sorted(world.trees)}")
    for name, tree in world.trees.items():
        old, new = known.old.trees[name], known.new.trees[name]
        if tree not in (old, new):
            from_old, from_new = tree.differences(old), tree.differences(new)
            nearer = ("old", from_old) if len(from_old) <= len(from_new) else ("new", from_new)
            found.append(f"{name} is neither old nor new; against {nearer[0]}: {short(nearer[1])}")
    for refs, olds, news in (
        (world.databases, known.old.databases, known.new.databases),
        (world.refs, known.old.refs, known.new.refs),
        (world.remote, known.old.remote, known.new.remote),
    ):
        for ref in sorted(refs.keys() | olds.keys() | news.keys()):
            seen, before, after = refs.get(ref), olds.get(ref), news.get(ref)
            if seen not in (before, after):
                found += [f"{ref} is {seen}, neither {before} nor {after}"]
    for ref, tip in known.new.remote.items():
        moved = tip != known.old.remote.get(ref)
        # An undo brings the remote back to what it had; the workspace may be ahead of that.
        if known.scenario.backwards:
            continue
        if moved and world.remote.get(ref) == tip and world.refs.get(ref) != known.new.refs.get(ref):
            found.append(f"{ref} was pushed, and the workspace no longer has it")
    return found


def settled(place: Place) -> list[str]:
    """Whether the repository is sound and nothing waits for anybody."""
    found = []
    fsck = subprocess.run(
        ["git", "fsck", "--connectivity-only", "--no-dangling", "--no-progress"],
        cwd=place.top("main"),
        env=place.env,
        capture_output=True,
        check=False,
    )
    if fsck.returncode:
        found.append(f"git fsck: {tail(os.fsdecode(fsck.stderr))}")
    waits = waiting(place)
    if waits:
        found.append(f"status: {waits}")
    return found


def waiting(place: Place) -> str:
    """What `status` says that waits for a person, or "" where nothing does."""
    code, said = place.raccord("status", "--json")
    if code:
        return f"exit {code}: {tail(said)}"
    stopped = json.loads(said)["stopped"]
    return f"something waits: {stopped}" if stopped else ""


def changes(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The entries that differ."""
    keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    return short([f"{key}: {one.get(key)} / {other.get(key)}" for key in keys])


def short(lines: Sequence[str]) -> str:
    """A few of many."""
    return "; ".join(lines[:4]) + (f"; and {len(lines) - 4} more" if len(lines) > 4 else "")


def tail(said: str) -> str:
    """The end of what a command said, on one line."""
    return " | ".join(said.strip().splitlines()[-6:])[-600:]
