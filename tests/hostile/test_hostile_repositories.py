"""Hostile repositories at the real command line: nothing of them runs, nothing outside is written.

Each case makes one workspace hostile in one way. Where strace is there, every exec is traced in every
case, of which all but a few are `long`: a trace costs three times what it looks at.
"""

from __future__ import annotations

import os
import re

import pytest

from tests.hostile import environment, files, gitdirs, settings, state
from tests.hostile.house import CASES, PATH, STRACE, VERBS, Driver, House, execs_of, wrong_output

MODULES = (environment, files, gitdirs, settings, state)


def named(long: bool) -> list[str]:
    return sorted(name for name, one in CASES.items() if one.long == long)


def judge(name: str, house: House, driver: Driver) -> None:
    """Plants a case, looks in every way that it asks for, and judges each."""
    one = CASES[name]
    spring = one.plant(house)
    house.trap.sprung()
    before = house.said_of()
    driver.execs()
    wrong = []
    for verb, code in one.verbs.items():
        words = VERBS[verb]
        outcome = driver.run(words, house.at, {**os.environ, "PATH": PATH, **house.env})
        faults = wrong_output(words, outcome) + execs_of(house, driver.execs())
        if outcome.code != code:
            faults.append(f"exit {outcome.code}, not {code}")
        if code in (1, 2, 6) and not re.search(one.says, outcome.text):
            faults.append(f"nothing like {one.says!r}")
        if house.trap.mark.exists():
            faults.append(f"ran: {house.trap.mark.read_text()}")
            house.trap.sprung()
        if faults:
            wrong.append(f"{verb}: " + "; ".join(faults) + f"\n{outcome.text[-1500:]}")
        if outcome.code < 0:
            break
    after = house.said_of()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    # A move changes worktrees, and nothing else.
    moved = ("agent/", "clone/", "clone/.git/")
    if changed := {key for key in changed if "move" not in one.verbs or not key.startswith(moved)}:
        wrong.append(f"changed: {sorted(changed)}")
    if spring:
        house.repo.git(*spring, check=False, env=house.env)
        if not house.trap.sprung():
            wrong.append("the trap is no trap")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


TRACED = named(long=False)[::4]


@pytest.mark.long_but(6)
@pytest.mark.parametrize("name", TRACED)
def test_nothing_runs_but_git(name, house, driver):
    judge(name, house, driver)


@pytest.mark.long_but(38)
@pytest.mark.parametrize("name", sorted({*named(long=False)} - {*TRACED}))
def test_nothing_of_it_runs(name, house, plain_driver):
    judge(name, house, plain_driver)


@pytest.mark.long
@pytest.mark.skipif(STRACE is None, reason="no strace: execs are not traced")
@pytest.mark.parametrize("name", sorted({*named(long=False)} - {*TRACED}))
def test_nothing_runs_but_git_either(name, house, driver):
    judge(name, house, driver)


@pytest.mark.long
@pytest.mark.parametrize("name", named(long=True))
def test_nothing_of_a_large_one_runs(name, house, driver):
    judge(name, house, driver)


def test_there_are_enough():
    assert len(CASES) >= 60


@pytest.mark.skipif(STRACE is None, reason="no strace: execs are not traced")
def test_the_trace_sees_what_runs(house, driver):
    """A command of the user's own: it does run, and the trace and the trap tell."""
    house.env["GIT_SSH_COMMAND"] = str(house.trap)
    house.repo.git("config", "remote.origin.url", "ssh://localhost/x")
    driver.execs()
    assert driver.run(VERBS["sync"], house.at, {**os.environ, "PATH": PATH, **house.env}).code == 6
    assert [line for line in execs_of(house, driver.execs()) if str(house.trap) in line]
    assert house.trap.sprung()
