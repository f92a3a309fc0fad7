"""Part of a table travels with all that it refers to: constraints hold, and nothing else goes or comes."""

from __future__ import annotations

import random

import pytest

from raccord.model.plan import Plan
from tests import pgkit
from tests.datakit import two, why

SETUP = """
create table land (id int primary key, name text);
create table area (
  code text, year int, land int references land, name text, primary key (year, code));
create table category (id int primary key, parent int references category, name text);
create table author (id int primary key, best int, name text);
create table article (
  id int primary key, category int not null references category, author int references author,
  year int, code text, live bool default false, name text,
  foreign key (code, year) references area (code, year));
alter table author add foreign key (best) references article;
"""
ROWS = """
insert into land select g, 'land ' || g from generate_series(1, 9) g;
insert into area select 'a' || g, 2000 + g % 3, g, 'area ' || g from generate_series(1, 9) g;
insert into category select g, nullif(g / 2, 0), 'category ' || g from generate_series(1, 40) g;
insert into author select g, null, 'author ' || g from generate_series(1, 9) g;
insert into article
select g, 41 - g, 1 + g % 9, 2000 + (1 + g % 9) % 3, 'a' || 1 + g % 9, g <= 2, 'article ' || g
from generate_series(1, 40) g;
update author set best = id + 20 where id > 1;
"""
SET = ("article", "author", "category", "area")
WHERE = {"article": "live", "author": "false", "category": "category.id = 3", "area": "false"}
TABLES = (*SET, "land")


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", ROWS)
            found.configure(SET, where=WHERE, closure="all")
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def ids(pair, name, table):
    return [row[0] for row in pair.run(name, f"select id from {table} order by 1")]


def notes(plan: Plan) -> dict[str, int]:
    lane = plan.stages[0].lanes[0]
    return {one.data["table"]: one.data["rows"] for one in lane.notes if one.name == "data.closure"}


def test_what_chosen_rows_refer_to_comes_and_goes_back(pair):
    before = pair.rows("prod", *TABLES)
    plan = pair.plan()
    assert "refers to by author_best_fkey" in str(plan)
    assert pair.push().state == "done"
    for table in TABLES:
        there = pair.rows("prod", table)[table]
        assert there and {*there} < {*pair.rows("dev", table)[table]}, table
    # Articles 1 and 2 are of the authors 2 and 3, whose best ones are 22 and 23, and so on.
    assert ids(pair, "prod", "article") == [1, 2, 22, 23, 25, 26, 28, 29]
    came = {table: len(pair.rows("prod", table)[table]) for table in TABLES}
    # Two articles and a category are there for their own sake.
    assert notes(plan) == came | {"article": 6, "category": came["category"] - 1}
    assert pair.diff().equal and not pair.plan().stages[0].lanes[0].steps
    assert pair.undo().state == "done" and pair.rows("prod", *TABLES) == before


def test_without_it_the_same_rows_are_refused(pair):
    pair.configure(SET, where=WHERE)
    before = pair.rows("prod", *TABLES)
    assert "foreign_key" in why(pair.push()) or "foreign key" in why(pair.push())
    assert pair.rows("prod", *TABLES) == before


@pytest.mark.long
def test_outside_the_set_only_if_asked(pair):
    pair.configure(SET, where=WHERE, closure=True)
    assert "refers to land, which is not in the set" in str(pair.plan())
    assert pair.push().state == "partial"
    pair.run("prod", "insert into land select g, 'other' from generate_series(1, 20) g")
    assert pair.push().state == "done"
    assert len(ids(pair, "prod", "land")) == 20


@pytest.mark.long
def test_nothing_goes_for_it(pair):
    """Rows that prod alone has stay, unless where names them; a parent that where names in prod changes."""
    pair.run(
        "prod",
        "insert into land values (100, 'mine'), (2, 'old');"
        "insert into category values (500, null, 'mine'), (39, null, 'old');"
        "insert into article (id, category, live, name) values (600, 500, false, 'mine'),"
        " (601, 500, true, 'goes'), (22, 500, true, 'a parent, live here')",
    )
    assert pair.push().state == "done"
    assert {100, 2} <= {*ids(pair, "prod", "land")} and {500, 39} <= {*ids(pair, "prod", "category")}
    assert 600 in ids(pair, "prod", "article") and 601 not in ids(pair, "prod", "article")
    for table, of in (("land", 2), ("category", 39), ("article", 22)):
        query = f"select t::text from {table} t where id = {of}"
        assert pair.run("prod", query) == pair.run("dev", query)
    assert pair.diff().equal


@pytest.mark.long_but(1)
@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_modes(pair, mode):
    pair.run("prod", "insert into land values (2, 'old')")
    before = pair.rows("prod", *TABLES)
    pair.configure(SET, where=WHERE, closure="all", mode=mode)
    report = pair.push()
    assert report.state == "done", report
    wanted = "old" if mode == "insert" else "land 2"
    assert pair.run("prod", "select name from land where id = 2") == [(wanted,)]
    assert len(ids(pair, "prod", "land")) > 3
    assert pair.undo().state == "done" and pair.rows("prod", *TABLES) == before


def test_keys_that_are_masked(pair):
    pair.both("create table person (email text primary key); create table visit (id int primary key, who text"
              " not null references person, live bool)")  # fmt: skip
    pair.run(
        "dev",
        "insert into person select 'p' || g || '@there' from generate_series(1, 50) g;"
        "insert into visit select g, 'p' || g || '@there', g < 4 from generate_series(1, 50) g",
    )
    where = {"visit": "live", "person": "false"}
    pair.configure(("person", "visit"), where=where, closure=True, mask={"person.email": "mask:email"})
    before = pair.rows("prod", "person")
    assert pair.push().state == "done"
    found = pair.run("prod", "select email from person join visit on email = who")
    assert len(found) == 3 and all("@example.org" in email for (email,) in found)
    assert pair.diff().equal
    assert pair.undo().state == "done" and pair.rows("prod", "person") == before


def test_a_table_without_a_key(pair):
    pair.both(
        "create table loose (id int unique, name text);"
        "alter table article add loose int references loose (id)"
    )
    pair.configure(("article", "loose"), where={"article": "live", "loose": "false"}, closure=True)
    assert "loose has no key, by which a closure could name its rows" in why(pair.plan())


@pytest.mark.long
def test_a_server_that_only_reads(pair):
    """Temporary tables are asked for, whatever the role's transactions are by default."""
    server, database = pair.ends["dev"]
    server.run(f"alter database {database} set default_transaction_read_only to on")
    assert pair.push().state == "done"
    server.run(f"alter database {database} reset all")


@pytest.mark.long_but(1)
@pytest.mark.parametrize("seed", range(8))
def test_against_a_model(pair, seed):
    """Any graph of tables, circles among them: what comes is what a walk finds, and constraints hold."""
    luck = random.Random(seed)
    names = [f"t{at}" for at in range(4)]
    edges = [(luck.choice(names), luck.choice(names)) for _ in range(6)]
    columns = {name: [f"r{at}" for at, (child, _) in enumerate(edges) if child == name] for name in names}
    pair.both(
        "; ".join(
            f"create table {name} (a int, b text, picked bool not null,"
            f" {''.join(f'{one}a int, {one}b text, ' for one in columns[name])} primary key (a, b))"
            for name in names
        )
        + ";"
        + "; ".join(
            f"alter table {child} add foreign key (r{at}a, r{at}b) references {parent} (a, b)"
            for at, (child, parent) in enumerate(edges)
        )
    )
    rows, refers = {}, {}
    for name in names:
        for number in range(luck.randrange(1, 15)):
            rows[name, number] = luck.random() < 0.2
    for name, number in rows:
        for at, (child, parent) in enumerate(edges):
            if child == name and luck.random() < 0.6:
                goals = [n for t, n in rows if t == parent]
                refers[name, number, at] = (parent, luck.choice(goals))
    said = [f"insert into {n} (a, b, picked) values ({a}, 'k{a}', {p})" for (n, a), p in rows.items()]
    said += [
        f"update {n} set r{at}a = {goal[1]}, r{at}b = 'k{goal[1]}' where a = {a}"
        for (n, a, at), goal in refers.items()
    ]
    pair.run("dev", "; ".join(said))
    whole = {name for name in names if luck.random() < 0.2}
    outside = {name for name in names if luck.random() < 0.3} - whole
    outside = outside if len(outside | whole) < 4 else set()
    inside = [name for name in names if name not in outside]
    where = {name: "picked" for name in inside if name not in whole}
    pair.configure(tuple(inside), where=where, closure="all")
    wanted = {(n, a) for (n, a), picked in rows.items() if n in whole or (picked and n in inside)}
    todo = list(wanted)
    while todo:
        one = todo.pop()
        for goal in [goal for (n, a, _), goal in refers.items() if (n, a) == one]:
            if goal not in wanted:
                wanted.add(goal)
                todo.append(goal)
    report = pair.push()
    assert report.state in ("done", "nothing"), report
    found = {(name, row[0]) for name in names for row in pair.run("prod", f"select a from {name}")}
    assert found == wanted
    assert pair.diff().equal
    if report.state == "done":
        assert pair.undo().state == "done"
        assert not any(pair.run("prod", f"select 1 from {name}") for name in names)
