"""Numbers of what runs did: none falls when runs are undone, dropped or read again after a restart."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from raccord.model.plan import Json
from tests.kernel.house import House, lane, setting


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def flat(said: Json, at: str = "") -> dict[str, int]:
    """Each number by its names."""
    if not isinstance(said, dict):
        return {at: said}
    return {key: value for name, one in said.items() for key, value in flat(one, f"{at}/{name}").items()}


def healing(name: str, old: int, new: int, **more: Json) -> Json:
    return setting(
        name, old, new, counts={"heals": 1, "promoted": {"rows": {"s": {"prod": {"added": 3}}}}}, **more
    )


def test_what_runs_counted_stays_when_they_go(house: House) -> None:
    journal = house.engine.journal
    one = house.apply(lane("a", healing("a", 0, 1)), lane("b", setting("b", 0, 1, fails="held"))).id
    two = house.undo(one)
    house.apply(lane("c", healing("c", 0, 1)))
    before = journal.totals()
    assert two is not None
    assert before == {
        "heals": 2,
        "promoted": {"rows": {"s": {"prod": {"added": 6}}}},
        "runs": {"test": {"partial": 1, "done": 1}, "undo": {"done": 1}},
        "stops": {"held": 1},
    }
    journal.forget([one])
    assert journal.totals() == before
    journal.forget(house.runs())
    assert house.runs() == [] and journal.totals() == before


@pytest.mark.parametrize("seed", range(5))
def test_no_number_ever_falls(tmp_path: Path, seed: int) -> None:
    house, chance = House(tmp_path), random.Random(seed)
    known: dict[str, int] = {}
    for number in range(25):
        runs = [run for run in house.runs() if house.engine.journal.load(run).ended is not None]
        match chance.randrange(5):
            case 0 if runs:
                house.engine.journal.forget(chance.sample(runs, 1))
            case 1 if runs:
                house.undo(chance.choice(runs))
            case 2:
                house.store.close()
                house.open()
            case _:
                more = {"fails": chance.choice(["held", "stop"])} if chance.random() < 0.5 else {}
                name = f"n{number}"
                house.apply(lane(name, healing(f"{name}x", 0, 1), healing(name, 0, 1, **more)))
        now = flat(house.engine.journal.totals())
        assert all(now.get(name, 0) >= value for name, value in known.items())
        known = now
    assert known
