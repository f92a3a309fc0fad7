"""Whole schemas in the manner of known applications, with thousands of rows each: pushed in every mode and
taken back, by roles that are no superusers, from an older release to a newer one and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import pgkit
from tests.datakit import Two, two, why

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

RENTED_OTHERWISE = """
update film set title = 'x' where id < 900; delete from payment where customer < 50;
delete from customer where id < 50; insert into person values ('own', null);
"""
SCHEMAS = Path(__file__).with_name("applications")
# How many rows, in dev and in prod; what else differs there; the tables and keys of the set.
APPLICATIONS: dict[str, tuple[str, str, str, tuple[str, ...], dict[str, Any]]] = {
    "forge": (
        "3001", "2501", "delete from pick where id > 150; delete from list where id > 200 and k = 's'",
        ("*", 'Ünï "Cödé".*'), {},
    ),
    "pages": ("22000", "21000", "update page set title = 'x' where id < 9", ("*",), {}),
    "rentals": ("3000", "2500", RENTED_OTHERWISE, ("*",), {"triggers": "skip"}),
}  # fmt: skip
FOREIGN = pgkit.quoted('Ünï "Cödé"')
EVERY = """
select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema)' order by 1
"""
# What there is besides rows: nothing of it may change, and nothing may be left.
BESIDES = """
select c.oid::regclass::text, c.relkind::text, c.relowner::text, c.relacl::text from pg_class c
join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^(pg_toast|pg_catalog|information_schema)'
union all select tgrelid::regclass::text, tgname, tgenabled::text, null from pg_trigger where not tgisinternal
union all select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text
from pg_constraint where conrelid <> 0
union all select locktype, mode, null, null from pg_locks where locktype = 'advisory' and database =
  (select oid from pg_database where datname = current_database())
order by 1, 2, 3, 4
"""


@pytest.fixture(params=[(16, 18), (18, 16)], ids=["up", "down"])
def ends(tmp_path, request):
    """On servers of two releases."""
    try:
        with two(tmp_path, *request.param) as found, found.roles("own", "app"):
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.mark.parametrize("role", ["own", "app"])
@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_application(ends: Two, name, role):
    more, fewer, otherwise, tables, keys = APPLICATIONS[name]
    schema, rows = ((SCHEMAS / f"{name}{part}.sql").read_text("utf-8") for part in ("", "-rows"))
    ends.both("set role own;" + schema)
    ends.run("dev", "set role own;" + rows.replace("{n}", more).replace("{s}", ""))
    ends.run("prod", "set role own;" + rows.replace("{n}", fewer).replace("{s}", "q") + otherwise)
    every = [row[0] for row in ends.run("prod", EVERY)]
    if role == "app":
        # It owns nothing, so it can neither exchange tables nor switch their triggers off.
        ends.both(f"grant select, insert, update, delete on {', '.join(every)} to app")
        ends.both("grant usage, select, update on all sequences in schema public to app")
        if name == "forge":
            ends.both(f"grant usage on schema {FOREIGN} to app")
    ends.users = {"dev": role, "prod": role}
    ends.configure(tables, **keys)
    before, besides = ends.rows("prod", *every), ends.run("prod", BESIDES)
    if role == "app" and keys:
        assert "may switch its triggers off in prod" in why(ends.plan())
        assert ends.push().state == "partial" and ends.rows("prod", *every) == before
        return
    keyless = name == "rentals"
    for mode in ("replace", "mirror", "upsert", "insert"):
        report = ends.push(mode=mode)
        if keyless and mode in ("upsert", "insert"):
            assert f"has no key, which mode {mode} needs" in why(report)
        else:
            assert report.state == "done", why(report)
            now = ends.rows("prod", *every)
            if mode in ("replace", "mirror"):
                assert now == ends.rows("dev", *every) and ends.diff().equal
            assert ends.run("prod", BESIDES) == besides
            undone = ends.undo()
            assert undone.state == "done", why(undone)
        assert ends.rows("prod", *every) == before and ends.run("prod", BESIDES) == besides
