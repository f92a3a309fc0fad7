"""The commands that faults are put into, and their worlds without one. What must hold: `judge.py`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.inject import Fault
from tests.faults.migrating import (
    HEAL,
    MERGE,
    REBASE,
    ROLLBACK,
    UPGRADE,
    forked,
    haunted,
    unbased,
    unhealed,
    unupgraded,
    upgraded,
)
from tests.faults.place import Place, build, must
from tests.faults.state import World
from tests.gitkit import Repo, git

NOTHING_LEFT = "there is no run to take back"  # the undo that was cut off took it back already


@dataclass(frozen=True)
class Scenario:
    """A command that faults are put into.

    Attributes:
        name: what the figures call it.
        argv: the command.
        cwd: the worktree that it is started in.
        prepare: what comes before it, once.
        finish: the command that brings every outcome to one final state.
        served: how the database on a server that it needs is backed up: "clone" or "dump"; "" for none.
        nothing: what the command says where there is nothing left to do, if that is a usage error.
        undone: what an abort, and an undo after all, bring back: fields of a `World`.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str = "main"
    prepare: Callable[[Place], None] = lambda place: None
    finish: tuple[str, ...] = ()
    served: str = ""
    nothing: str = ""
    undone: tuple[str, ...] = ()

    @property
    def backwards(self) -> bool:
        """Whether it takes another run back."""
        return self.argv[0] == "undo"

    def over(self, said: str) -> bool:
        """Whether a command that failed only says that nothing is left to do."""
        nothing = NOTHING_LEFT if self.backwards else self.nothing
        return bool(nothing) and nothing in said


SYNC = ("sync", "--all", "--allow-dirty", "--skip-tests", "--reason", "faults")


def synced(place: Place) -> None:
    """A sync that went well."""
    must(place.raccord(*SYNC))


def changed(place: Place) -> None:
    """A snapshot, and a worktree that has changed in every way since."""
    must(place.raccord("snapshot", "--ignored", cwd="b"))
    b = Repo(place.top("b"))
    b.commit({"b.txt": "of b, again\n", "later.txt": "later\n"}, "b: after the snapshot")
    b.write("staged.txt", "thrown over\n")
    b.write("README.md", "staged later\n")
    b.git("add", "README.md")
    b.write("notes.txt", None)
    b.write("scratch/untracked.txt", "edited too\n")
    b.write("scratch/another.txt", "new since\n")
    b.write(".env", "SECRET=lost?\n")
    shutil.rmtree(b.path / "cache")


def reported(place: Place) -> None:
    """A report that raccord wrote and nobody committed, in a document that the base has changed since."""
    other = place.root / "ws-other"
    git(place.root, "clone", "--quiet", place.remote, other)
    seed, main = Repo(other), Repo(place.top("main"))
    # What is watched is ignored by git, and changes in nobody's way.
    seed.commit({"raccord.toml": '[coordination]\nwatch = [".env"]\n', "SYNC_STATUS.md": "# Status\n"})
    seed.git("push", "--quiet", "origin", "main")
    main.git("pull", "--quiet", "--ff-only")
    must(place.raccord("consolidate"))
    main.write(".env", "SECRET=told\n")
    must(place.raccord("consolidate"))
    seed.commit({"SYNC_STATUS.md": "# Status\n\nfrom afar\n", "README.md": "three\n"})
    seed.git("push", "--quiet", "origin", "main")
    shutil.rmtree(other)


UNDO = ("undo", "--yes")

SCENARIOS = (
    Scenario("gates", ("sync", "--all", "--allow-dirty", "--reason", "faults"), finish=SYNC),
    Scenario("heal", HEAL, prepare=unhealed, finish=HEAL, undone=("trees",)),
    Scenario("merge", MERGE, prepare=forked, finish=MERGE, nothing="nothing to merge", undone=("trees",)),
    Scenario("rebase", REBASE, prepare=unbased, finish=REBASE, undone=("trees",)),
    Scenario("report", SYNC, prepare=reported, finish=SYNC),
    Scenario("restore", ("restore", "--yes"), "b", changed, ("restore", "--yes")),
    Scenario("rollback", ROLLBACK, "main", haunted, ROLLBACK, undone=("databases",)),
    Scenario("rollback-clone", ROLLBACK, "main", haunted, ROLLBACK, "clone", undone=("databases",)),
    Scenario("snapshot", ("snapshot", "--all", "--ignored"), finish=("snapshot", "--all")),
    Scenario("sync", SYNC, finish=SYNC),
    Scenario("undo", UNDO, prepare=synced, finish=SYNC),
    Scenario("upgrade", UPGRADE, "main", unupgraded, UPGRADE, undone=("databases",)),
    Scenario("upgrade-clone", UPGRADE, "main", unupgraded, UPGRADE, "clone", undone=("databases",)),
    Scenario("upgrade-dump", UPGRADE, "main", unupgraded, UPGRADE, "dump", undone=("databases",)),
    Scenario("undo-upgrade", UNDO, "main", upgraded, UPGRADE),
    Scenario("undo-upgrade-clone", UNDO, "main", upgraded, UPGRADE, "clone"),
    Scenario("undo-upgrade-dump", UNDO, "main", upgraded, UPGRADE, "dump"),
)


@dataclass(frozen=True)
class Reference:
    """What a scenario's worlds look like where nothing goes wrong.

    Attributes:
        scenario: the scenario.
        template: where its workspace is kept.
        old, new, final: before the command, after it, and after the finishing command.
        seconds: how long the command runs under the tracer.
        calls: the writing system calls that it makes, each with its program, in order.
    """

    scenario: Scenario
    template: Path
    old: World
    new: World
    final: World
    seconds: float
    calls: list[str]


def refer(scenario: Scenario, place: Place, template: Path) -> Reference:
    """Builds a scenario's workspace and runs it through without a fault."""
    build(place)
    scenario.prepare(place)
    place.refresh()
    place.save(template)
    return measured(scenario, place, template)


def measured(scenario: Scenario, place: Place, template: Path) -> Reference:
    """Runs a scenario through without a fault, where its workspace stands ready."""
    old = place.look()
    since = time.monotonic()
    ran = place.struck(scenario.argv, scenario.cwd, Fault())
    seconds = time.monotonic() - since
    must((ran.exit if ran.exit is not None else -1, ran.output))
    new = place.look()
    if scenario.undone and new == old:
        raise AssertionError(f"{scenario.name} changes nothing: {ran.output}")
    code, said = place.raccord(*scenario.finish, cwd=scenario.cwd)
    if not scenario.over(said):
        must((code, said))
    return Reference(scenario, template, old, new, place.look(), seconds, ran.calls)
