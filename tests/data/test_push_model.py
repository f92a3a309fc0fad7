"""Any schema, rows and mode: a push makes of the target what the model says; undo gives back the old."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given, seed, settings
from hypothesis import strategies as st

from raccord.data import back, compare, exchangeable, observe, plan, push, salts
from raccord.data.change import Numbered
from raccord.data.job import Job
from raccord.data.spec import Spec
from raccord.database.url import parse
from raccord.errors import HeldBack
from tests import pgkit
from tests.data.worlds import IN_SCOPE, TYPES, Made, World, expected, worlds

NUMBERS = itertools.count()


# Whatever the last case left, views of extensions apart.
EMPTY = """
do $$ declare one regclass; begin
  for one in select oid from pg_class where relkind in ('r', 'p') and not relispartition
      and relnamespace = 'public'::regnamespace loop
    execute format('drop table if exists %s cascade', one);
  end loop;
end $$"""


def said(into: str, names: list[str]) -> str:
    """An insert of one row, as psycopg reads it."""
    return f"{into.replace('%', '%%')} values ({', '.join(['%s'] * len(names))})"


class Ends:
    """Two databases, on servers of two releases."""

    def __init__(self, names: dict[int, str], dev: int, prod: int) -> None:
        self.servers = {"dev": pgkit.server(dev), "prod": pgkit.server(prod)}
        self.names = {"dev": names[dev], "prod": names[prod]}
        self.targets = {one: parse(self.servers[one].url(self.names[one]), "/") for one in self.names}

    def run(self, where: str, statements: str) -> list[tuple]:
        return self.servers[where].run(statements, self.names[where])

    def make(self, world: World) -> None:
        for where, rows in (("dev", world.dev), ("prod", world.prod)):
            with self.servers[where].connect(self.names[where]) as db, db.transaction():
                db.execute(EMPTY)
                for table in world.tables:
                    db.execute(world.create(table))
                    names = world.names(table)
                    into = f"insert into {table.sql} ({table.listed(names)}) overriding system value"
                    for row in rows[table.name]:
                        db.execute(said(into, names), row)
                if world.constrain:
                    db.execute(world.constrain)

    def rows(self, where: str, world: World) -> dict[str, list[str]]:
        return {
            table.name: sorted(
                row[0] for row in self.run(where, f"select (own.*)::text from {table.sql} own")
            )
            for table in world.tables
        }

    def modelled(self, world: World, rows: dict) -> dict[str, list[str]]:
        """Rows as prod would spell them."""
        found = {}
        with self.servers["prod"].connect(self.names["prod"]) as db, db.transaction(force_rollback=True):
            db.prepare_threshold = None  # one statement, of tables that differ
            for table in world.tables:
                db.execute(f"create temp table said (like {table.sql} including generated)")
                names = world.names(table)
                for row in rows[table.name]:
                    db.execute(said(f"insert into said ({table.listed(names)})", names), row)
                found[table.name] = sorted(row[0] for row in db.execute("select (said.*)::text from said"))
                db.execute("drop table said")
        return found


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Ends, Ends]]:
    try:
        with pgkit.server(16).lent() as old, pgkit.server(18).lent() as new:
            names = {16: old, 18: new}
            up, down = Ends(names, 16, 18), Ends(names, 18, 16)
            for where in up.names:
                up.run(where, TYPES)
            yield up, down
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def pushed(ends: Ends, world: World, mode: str, state: Path) -> Job:
    def having(extra: str) -> list[Made]:
        return [table for table in world.tables if extra in table.extras]

    def own(table: Made, name: str) -> str:
        return table.listed([name])

    spec = Spec(
        "all", "dev", "prod", tuple(table.name for table in world.tables), mode=mode,
        where={one.name: f"{own(one, 'w')} < {IN_SCOPE}" for one in having("where")},
        exclude=tuple(f"{one.name}.{one.column('ex')}" for one in having("excluded")),
        mask={
            f"{one.name}.{one.column('mk')}": f"coalesce({own(one, 'mk')}, '') || '!'"
            for one in having("masked")
        },
    )  # fmt: skip
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
        job, held = None, ""
        try:
            job = pushed(ends, world, mode, Path(folder))
        except HeldBack as error:
            held = error.message
        if job is None:
            assert ends.rows("prod", world) == before
            # Numbers that no update gives: nothing but those may be refused.
            assert wanted is None or any("numbered" in table.extras for table in world.tables), held
            event("refused, though possible" if wanted is not None else "refused")
            return
        assert wanted is not None
        event(mode)
        after = ends.rows("prod", world)
        assert after == ends.modelled(world, wanted)
        try:
            back.take_back(Job(job.spec, Path(folder), "back", {}), ends.targets["prod"], job.id)
        except Numbered:
            # Rows that were all copied anew have other numbers than any update gives.
            assert ends.rows("prod", world) == after
            event("a number that can't be taken back")
            return
        assert ends.rows("prod", world) == before
        back.take_back(Job(job.spec, Path(folder), "again", {}), ends.targets["prod"], "back")
        assert ends.rows("prod", world) == after


FEW = st.sampled_from([0, 100_000])
EQUAL = st.sampled_from(["replace", "mirror"])
MERGED = st.sampled_from(["insert", "upsert"])


@settings(max_examples=4)
@given(world=worlds(keyless=True), mode=EQUAL, few=FEW, swaps=st.booleans(), way=st.integers(0, 1))
def test_equal(ends, world, mode, few, swaps, way):
    check(ends[way], world, mode, few, swaps)


@settings(max_examples=4)
@given(world=worlds(keyless=False), mode=MERGED, few=FEW, way=st.integers(0, 1))
def test_merged(ends, world, mode, few, way):
    check(ends[way], world, mode, few)


@pytest.mark.long
@pytest.mark.parametrize("part", range(400))
def test_two_thousand_times(ends, part):
    @seed(part)
    @settings(max_examples=5, derandomize=False, database=None)
    @given(data=st.data())
    def some(data):
        mode = data.draw(EQUAL | MERGED)
        world = data.draw(worlds(keyless=mode in ("replace", "mirror")))
        check(ends[part % 2], world, mode, data.draw(FEW), data.draw(st.booleans()))

    some()
