"""A kill at every system call of a move that writes: the next call finishes it or takes it back, exactly."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from raccord.git import follow, follow_stage
from raccord.model.handler import Position
from tests.faults import inject
from tests.faults.inject import Fault
from tests.git import followkit
from tests.git.followkit import Place, shared

DRIVER = """
import json, sys
from pathlib import Path
from raccord.git import follow
from raccord.git.config import Settings
from raccord.git.follow import Move
from raccord.git.follow_shared import Shared
from raccord.git.run import Git
move = Move.of(json.loads(sys.argv[1]))
shared = [Shared(Settings())] if sys.argv[2] == "apply" else []
getattr(follow, sys.argv[2])(Git(Path(move.worktree)), move, "run", "lane", *shared, wait=1.0)
"""

pytestmark = pytest.mark.skipif(bool(inject.why_not()), reason=inject.why_not() or "-")


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Place:
    return followkit.place(tmp_path_factory.mktemp("template") / "place")


def run(place: Place, fault: Fault, how: str = "apply") -> inject.Ran:
    source = Path(follow.__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-c", DRIVER, json.dumps(place.move.payload()), how]
    return inject.run(argv, cwd=place.tree.path, env=env, fault=fault)


@pytest.fixture(scope="module")
def known(template, tmp_path_factory):
    """The worlds before and after, and how many system calls write on the way."""
    place = template.copy(tmp_path_factory.mktemp("known") / "place")
    before = followkit.world(place)
    ran = run(place, Fault())
    assert ran.exit == 0, ran.output
    return before, followkit.world(place), ran


def recover(place: Place, known, how: str) -> None:
    """What an engine does after a kill, and what must hold then."""
    before, after, _ = known
    position = follow.probe(place.git, place.move, "run", "lane")
    assert position in (Position.BEFORE, Position.BETWEEN, Position.AFTER)
    if how == "apply":
        left = follow_stage.place(place.move.gitdir, "run", "lane")
        if position is not Position.AFTER or left.exists():
            moved = follow.apply(place.git, place.move, "run", "lane", shared(place.git))
            assert moved.rescued == ()
        assert followkit.world(place) == after
        assert follow.probe(place.git, place.move, "run", "lane") is Position.AFTER
    else:
        assert follow.revert(place.git, place.move, "run", "lane") == ()
        now = follow.probe(place.git, place.move, "run", "lane")
        assert now in (Position.BEFORE, Position.AFTER)
        assert followkit.world(place) == (before if now is Position.BEFORE else after)


def strike(template: Place, known, root: Path, fault: Fault, how: str) -> None:
    place = template.copy(root / "place")
    ran = run(place, fault)
    assert ran.hit, "it was over before"
    try:
        if ran.exit is not None:
            # The caller lived on: it took everything back, or had done all.
            position = follow.probe(place.git, place.move, "run", "lane")
            expected = {Position.BEFORE: known[0], Position.AFTER: known[1]}
            assert position in expected, f"{position} {ran.output}"
            assert followkit.world(place) == expected[position]
        recover(place, known, how)
    finally:
        shutil.rmtree(root / "place")


def strike_at(template, known, root, do, how, share, offset=0) -> None:
    for at in range(1 + offset % share, len(known[2].calls) + 1, share):
        try:
            strike(template, known, root, Fault(do, at), how)
        except Exception as error:
            raise AssertionError(f"{do} {how} at {at}: {known[2].calls[at - 1]}") from error


@pytest.mark.long_but(2)
@pytest.mark.parametrize("how", ["apply", "revert"])
@pytest.mark.parametrize("do", ["kill-all", "kill-one"])
def test_a_sampled_kill_leaves_all_old_or_all_new(template, known, tmp_path, do, how):
    strike_at(template, known, tmp_path, do, how, 60, offset=len(do + how) * 7)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["apply", "revert"])
@pytest.mark.parametrize("do", ["kill-all", "kill-one"])
@pytest.mark.parametrize("part", range(4))
def test_every_kill_leaves_all_old_or_all_new(template, known, tmp_path, do, how, part):
    strike_at(template, known, tmp_path, do, how, 4, offset=part)


def strike_twice(template: Place, known, root: Path, first: int, how: str, second: int) -> bool:
    """A kill, a kill of what was to mend it, and the mending; False where the second came too late."""
    place = template.copy(root / "place")
    try:
        assert run(place, Fault("kill-all", first)).hit
        hit = run(place, Fault("kill-all", second), how).hit
        recover(place, known, "apply" if second % 2 else "revert")
        return bool(hit)
    except Exception as error:
        raise AssertionError(f"killed at {first}, {how} killed at {second}") from error
    finally:
        shutil.rmtree(root / "place")


def middles(known) -> list[int]:
    """In the midst of the swaps, of the ref transaction, and after the index is in place."""
    calls = known[2].calls
    swaps = [at for at, call in enumerate(calls, 1) if call.endswith("renameat2")]
    ref = [at for at, call in enumerate(calls, 1) if "update-ref: rename" in call]
    return [swaps[len(swaps) // 2], ref[0], len(calls) - 35]


@pytest.mark.parametrize("how", ["apply", "revert"])
def test_a_kill_of_the_mending_is_mended_too(template, known, tmp_path, how):
    assert strike_twice(template, known, tmp_path, middles(known)[0], how, 6)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["apply", "revert"])
@pytest.mark.parametrize("middle", range(3))
def test_every_kill_of_the_mending_is_mended_too(template, known, tmp_path, how, middle):
    second = 1
    while strike_twice(template, known, tmp_path, middles(known)[middle], how, second):
        second += 1
    assert second > 5
