"""Any schema, rows and mode: a push makes of the target what the model says; undo gives back the old."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, given, seed, settings
from hypothesis import strategies as st

from raccord.data import back, compare, exchangeable, observe, plan, push, salts
from raccord.data.push import Job
from raccord.data.spec import Spec
from raccord.database.url import parse
from raccord.errors import HeldBack
from tests import pgkit
from tests.data.worlds import TYPES, World, expected, worlds

NUMBERS = itertools.count()


class Ends:
    """Two databases, on servers of two releases."""

    def __init__(self, dev: str, prod: str) -> None:
        self.servers = {"dev": pgkit.server(16), "prod": pgkit.server()}
        self.names = {"dev": dev, "prod": prod}
        self.targets = {one: parse(self.servers[one].url(self.names[one]), "/") for one in self.names}

    def run(self, where: str, statements: str) -> list[tuple]:
        return self.servers[where].run(statements, self.names[where])

    def make(self, world: World) -> None:
        for where, rows in (("dev", world.dev), ("prod", world.prod)):
            with self.servers[where].connect(self.names[where]) as db, db.transaction():
                db.execute("drop table if exists c, b, a cascade")
                for table in world.tables:
                    db.execute(table.create)
                    for row in rows[table.name]:
                        db.execute(
                            f"insert into {table.name} values ({', '.join(['%s'] * table.width)})", row
                        )

    def rows(self, where: str, world: World) -> dict[str, list[str]]:
        return {
            table.name: sorted(
                row[0] for row in self.run(where, f"select ({table.name}.*)::text from {table.name}")
            )
            for table in world.tables
        }

    def modelled(self, world: World, rows: dict) -> dict[str, list[str]]:
        """Rows as prod would spell them."""
        found = {}
        with self.servers["prod"].connect(self.names["prod"]) as db, db.transaction(force_rollback=True):
            db.prepare_threshold = None  # one statement, of tables that differ
            for table in world.tables:
                db.execute(f"create temp table said (like {table.name})")
                for row in rows[table.name]:
                    db.execute(f"insert into said values ({', '.join(['%s'] * table.width)})", row)
                found[table.name] = sorted(row[0] for row in db.execute("select (said.*)::text from said"))
                db.execute("drop table said")
        return found


@pytest.fixture(scope="module")
def ends():
    try:
        with pgkit.server(16).lent() as dev, pgkit.server().lent() as prod:
            found = Ends(dev, prod)
            for where in found.names:
                found.run(where, TYPES)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def pushed(ends: Ends, world: World, mode: str, state: Path) -> Job:
    spec = Spec("all", "dev", "prod", tuple(table.name for table in world.tables), mode=mode)
    with observe.ends(ends.targets["dev"], ends.targets["prod"], spec) as (one, two):
        seen = observe.seen(one, two, spec, salts.read(state))
        assert not seen.refused and not seen.hindered
        found, made = observe.decided(one, two, spec, seen)
    for decision in made:
        event(decision.way)
    expected = {each.pair.id: plan.expect(spec, each, one) for each, one in zip(found, made, strict=True)}
    expected = {name: plan.Expected.parse(one.document()) for name, one in expected.items()}
    job = Job(spec, state, f"push-{next(NUMBERS)}", expected)
    push.push(job, ends.targets["dev"], ends.targets["prod"])
    return job


def check(ends: Ends, world: World, mode: str, few: int, swaps: bool = False) -> None:
    ends.make(world)
    before = ends.rows("prod", world)
    wanted = expected(world, mode)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # However many rows differ, all travel; or each block is a row.
        patch.setattr(compare, "KEPT_KEYS", few)
        patch.setattr(plan, "FEW_ROWS", few)
        patch.setattr(exchangeable, "MANY_ROWS", 1 if swaps else 1_000_000)
        patch.setattr(compare, "BLOCK_ROWS", 2)
        try:
            job = pushed(ends, world, mode, Path(folder))
        except HeldBack:
            assert ends.rows("prod", world) == before
            # Values that rows exchange: nothing but those may be refused.
            assert wanted is None or any(table.unique for table in world.tables)
            event("refused, though possible" if wanted is not None else "refused")
            return
        assert wanted is not None
        event(mode)
        after = ends.rows("prod", world)
        assert after == ends.modelled(world, wanted)
        back.take_back(Job(job.spec, Path(folder), "back", {}), ends.targets["prod"], job.id)
        assert ends.rows("prod", world) == before
        back.take_back(Job(job.spec, Path(folder), "again", {}), ends.targets["prod"], "back")
        assert ends.rows("prod", world) == after


FEW = st.sampled_from([0, 100_000])
EQUAL = st.sampled_from(["replace", "mirror"])
MERGED = st.sampled_from(["insert", "upsert"])


@settings(max_examples=8)
@given(world=worlds(keyless=True), mode=EQUAL, few=FEW, swaps=st.booleans())
def test_equal(ends, world, mode, few, swaps):
    check(ends, world, mode, few, swaps)


@settings(max_examples=8)
@given(world=worlds(keyless=False), mode=MERGED, few=FEW)
def test_merged(ends, world, mode, few):
    check(ends, world, mode, few)


@pytest.mark.long
@pytest.mark.parametrize("part", range(100))
def test_two_thousand_times(ends, part):
    @seed(part)
    @settings(max_examples=20, derandomize=False, database=None)
    @given(data=st.data())
    def some(data):
        mode = data.draw(EQUAL | MERGED)
        world = data.draw(worlds(keyless=mode in ("replace", "mirror")))
        check(ends, world, mode, data.draw(FEW))

    some()
