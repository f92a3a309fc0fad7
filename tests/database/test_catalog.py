"""Catalogs: everything that a migration may change is in them, and the same thing spelled otherwise isn't."""

from __future__ import annotations

import sqlite3

import pytest

from raccord.database.catalog import Catalog, catalog, differences
from raccord.errors import DatabaseError

BASE = """
create schema "Odd ""S"; create extension vector; create type mood as enum ('sad', 'ok');
create domain positive as int check (value > 0); create type pair as (a int, b text);
create table t (
  id bigint generated always as identity primary key, m mood not null default 'ok', a int, "Ü x" text);
create table u (a int references t (id), b int, constraint "B" check (b > 0), unique (a, b));
create table "Odd ""S"."T" (a int);
create index i on u (b); create sequence s; create view v as select a from u;
create materialized view mv as select 1 as x; create function f(a int) returns int language sql as 'select 1';
create function tf() returns trigger language plpgsql as 'begin return new; end';
create trigger tg before insert on t for each row execute function tf();
create table part (d date) partition by range (d);
create table alembic_version (version_num varchar(32) primary key);
"""

CHANGES = {
    "schema": ("create schema extra", "schema extra is new"),
    "enum left over": ("create type left_over as enum ('x')", "enum public.left_over is new: 'x'"),
    "label": (
        "alter type mood add value 'great'",
        "enum public.mood was 'sad', 'ok', is 'sad', 'ok', 'great'",
    ),
    "label's place": ("alter type mood add value 'so' before 'ok'", "is 'sad', 'so', 'ok'"),
    "domain": ("alter domain positive set not null", "domain public.positive"),
    "composite": ("alter type pair add attribute c int", "column public.pair.c is new: integer"),
    "type": ("alter table u alter b type bigint", "column public.u.b was integer, is bigint"),
    "length": ('alter table t alter "Ü x" type varchar(9)', 'column public.t."Ü x"'),
    "null": ("alter table u alter b set not null", "column public.u.b was integer, is integer not null"),
    "default": ("alter table u alter b set default 3", "is integer default 3"),
    "identity": ("alter table t alter id drop identity", "column public.t.id"),
    "generated": ("alter table u add g int generated always as (b * 2) stored", "stored as (b * 2)"),
    "collation": ('alter table t alter "Ü x" type text collate "C"', 'collate "C"'),
    "check": ('alter table u drop constraint "B"', 'constraint public.u."B" is missing: CHECK ((b > 0))'),
    "foreign key": (
        "alter table u drop constraint u_a_fkey, add foreign key (a) references t on delete cascade",
        "ON DELETE CASCADE",
    ),
    "not valid": ("alter table u add constraint n check (a > 1) not valid", "NOT VALID"),
    "index": ("drop index i; create index i on u (b) where b > 3", "WHERE (b > 3)"),
    "unique index": ("create unique index on u (b)", "index public.u_b_idx is new"),
    "sequence": ("alter sequence s increment 5", "sequence public.s was bigint start 1 by 1"),
    "view": ("create or replace view v as select a, b from u", "view public.v was"),
    "materialized view": ("refresh materialized view mv with no data", "(unpopulated)"),
    "function": ("create or replace function f(a int) returns int language sql as 'select 2'", "select 2"),
    "overload": (
        "create function f(a text) returns int language sql as 'select 1'",
        "function public.f(a text)",
    ),
    "procedure": ("create procedure p() language sql as 'select 1'", "procedure public.p() is new"),
    "aggregate": (
        "create aggregate ag(int) (sfunc = int4pl, stype = int4)",
        "aggregate public.ag(integer) is new",
    ),
    "trigger": ("alter table t disable trigger tg", "(disabled)"),
    "extension": ("drop extension vector", "extension vector is missing"),
    "row security": (
        "alter table t enable row level security",
        "table public.t was plain, is row level security",
    ),
    "policy": ("create policy po on t using (a > 1)", "policy public.t.po is new"),
    "rule": ("create rule r as on delete to u do instead nothing", "rule public.u.r is new"),
    "partition": ("create table p1 partition of part default", "partition of public.part, DEFAULT"),
    "unlogged": ("alter table u set unlogged", "table public.u was plain, is unlogged"),
    "options": ("alter table u set (fillfactor = 50)", "fillfactor=50"),
    "comment": ("comment on column t.a is 'it''s'", "comment on table column public.t.a is new: it's"),
    "comment in a schema": (
        'comment on table "Odd ""S"."T" is $$x$$',
        'comment on table "Odd ""S"."T" is new',
    ),
    "comment on a trigger": ("comment on trigger tg on t is 'x'", "comment on trigger tg on public.t"),
    "comment on a type": ("comment on type mood is 'x'", "comment on type public.mood"),
    "odd schema": ('drop table "Odd ""S"."T"', 'table "Odd ""S"."T" is missing'),
    "statistics": ("create statistics st on a, b from u", "statistics public.st is new"),
    "replica identity": ("alter table u replica identity full", "replica identity full"),
}


def test_every_change_is_seen_and_only_it(place):
    place.run(BASE)
    before = catalog(place.target)
    assert before.digest == catalog(place.target).digest
    missed = {}
    with place.server.connect(place.name) as db:
        # Within a transaction of the test's own, so that each change starts from the same state.
        from raccord.database import postgres
        from raccord.database.catalog import of_postgres

        for name, (statements, wanted) in CHANGES.items():
            if "add value" in statements:
                continue
            with db.transaction(force_rollback=True):
                db.execute(statements)
                db.execute("set local search_path to pg_catalog")
                lines = differences(before, of_postgres(db))
            if not any(wanted in line for line in lines) or len(lines) > 4:
                missed[name] = lines
        assert postgres.quoted(db, "a") == '"a"'
    assert missed == {}


@pytest.mark.parametrize("name", [name for name, (text, _) in CHANGES.items() if "add value" in text])
def test_a_new_label(place, name):
    place.run(BASE)
    before = catalog(place.target)
    place.run(CHANGES[name][0])
    (line,) = differences(before, catalog(place.target))
    assert CHANGES[name][1] in line


def test_up_and_down_again_is_no_difference(place):
    place.run(BASE)
    before = catalog(place.target)
    place.run("alter table t add c int; create table w (x int primary key); create index on t (c)")
    assert differences(before, catalog(place.target))
    place.run(
        "drop table w; alter table t drop c; insert into t (a) values (1); select nextval('s'); analyze"
    )
    after = catalog(place.target)
    assert differences(before, after) == ()
    assert (before.digest, before.names) == (after.digest, after.names)


def test_left_out_tables_and_chosen_schemas(place):
    place.run(BASE)
    whole = catalog(place.target)
    assert any("alembic_version" in key for key in whole.objects)
    assert not any(
        "alembic_version" in key for key in catalog(place.target, without=["alembic_version"]).objects
    )
    odd = catalog(place.target, ['Odd "S'])
    assert 'table "Odd ""S"."T"' in odd.objects and not any("public" in key for key in odd.objects)
    # What an extension brought is not ours.
    assert not any("l2_distance" in key for key in whole.objects)


def test_many_tables(place):
    place.run(
        "do $$ begin for i in 1..200 loop"
        " execute format('create table t%s (id int primary key, a text, b int references t%s)', i, i);"
        " end loop; end $$"
    )
    assert sum(key.startswith("table ") for key in catalog(place.target).objects) == 200


# -------------------------------------------------------------------- SQLite

FILE = """
create table t (id integer primary key autoincrement, "Name x" varchar(10) not null default 'a',
  n int check (n > 0),
  g int generated always as (n * 2) virtual, constraint uq unique (n, "Name x"));
create table u (a int references t (id) on delete cascade, b text collate nocase,
  primary key (a, b)) without rowid;
create index i on t (n desc) where n > 3; create view v as select n from t;
create trigger tg after insert on t begin select 1; end;
create table alembic_version (version_num varchar(32) not null, constraint pk primary key (version_num));
"""


def of(file, statements: str) -> Catalog:
    with open(file.path, "wb"):
        pass
    db = sqlite3.connect(file.path)
    db.executescript(f"begin; {statements}\n; commit")
    db.close()
    return catalog(file)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("create table t (a int)", 'CREATE TABLE IF NOT EXISTS "t" (  [a]  INT /* c */ ) -- x'),
        ("create table t (id integer primary key)", "create table t (id INTEGER NOT NULL, PRIMARY KEY (id))"),
        ("create table t (a int check (a > 0))", 'create table t (a int, check ("a">0))'),
        ("create table t (a int unique)", "create table t (a int, unique (a))"),
        ("create table t (a references u (b))", "create table t (a, foreign key (a) references u(b))"),
        ("create table t (a); create index i on t (a)", 'create table t(a); create index "i" on "t" ("a")'),
        (
            "create table t (a); create view v as select a from t",
            "create table t(a); CREATE VIEW v AS SELECT a\nFROM t",
        ),
        ("create table t (a, b)", "create table t (a, c); alter table t add b; alter table t drop c"),
        ("create table t (a); analyze", "create table t (a)"),
    ],
)
def test_sqlite_spelled_otherwise(file, one, other):
    assert differences(of(file, one), of(file, other)) == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("alter table t add c int", "column t.c is new: int"),
        ("create table w (a)", "table w is new"),
        ("drop index i", "index i is missing"),
        ("drop index i; create index i on t (n)", "index i was"),
        ("drop view v; create view v as select id from t", "view v was"),
        ("drop trigger tg", "trigger tg is missing"),
        ("create virtual table f using fts5 (a)", "table f is new"),
    ],
)
def test_sqlite_changes(file, change, line):
    before = of(file, FILE)
    assert differences(before, catalog(file)) == ()
    assert any(line in found for found in differences(before, of(file, FILE + change)))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("varchar(10)", "varchar(20)", "column t.Name x was varchar(10)"),
        (" not null default 'a'", " default 'a'", "column t.Name x was"),
        ("default 'a'", "default 'A'", "is varchar(10) not null default 'A'"),
        ("n > 0", "n > 1", "constraint t: check ( n > 1 ) is new"),
        ("n * 2", "n * 3", "column t.g was int virtual as ( n * 2 ), is int virtual as ( n * 3 )"),
        (" virtual", " stored", "is int stored"),
        ("constraint uq unique", "constraint other unique", "constraint t.uq is missing: unique"),
        ('unique (n, "Name x")', "unique (n)", "unique (n) is new"),
        ("on delete cascade", "on delete set null", "on delete set null"),
        ("collate nocase", "collate rtrim", "collate rtrim"),
        ("primary key (a, b)", "primary key (b, a)", "primary key was a, b, is b, a"),
        ("without rowid", "strict, without rowid", "table u was"),
        (" autoincrement", "", "table t was autoincrement, is plain"),
    ],
)  # fmt: skip
def test_sqlite_details(file, old, new, line):
    assert old in FILE
    changed = (
        FILE.replace(old, new).replace("a int ref", "a integer ref")
        if "strict" in new
        else FILE.replace(old, new)
    )
    lines = differences(of(file, FILE), of(file, changed))
    assert any(line in found for found in lines), lines


def test_sqlite_without_the_version_table(file):
    of(file, FILE)
    assert not any("alembic" in key for key in catalog(file, without=["Alembic_Version"]).objects)


def test_two_kinds_are_not_compared(file, place):
    with pytest.raises(DatabaseError):
        differences(of(file, FILE), catalog(place.target))
