"""Rows pulled back from prod: what is personal comes masked, joins still meet, and nothing clear crosses."""

from __future__ import annotations

import re

import pytest

from raccord.errors import UsageError
from raccord.model.options_data import DataDiffOptions, DataPullOptions, DataPushOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from tests import pgkit
from tests.datakit import Two, two, why

SETUP = """
create domain mail as text check (value ~ '^[^@]+@[^@]+$');
create table users (
  id int primary key, email mail not null unique, nom text not null, telephone varchar(16), birth_date date,
  ip inet, iban varchar(34) check (length(iban) >= 8), password_hash text not null, api_token text, note text,
  address jsonb not null default '{}', rank int);
create table logins (email mail references users (email), at int, ip_address text, primary key (email, at));
create table files (name text primary key, size int);
"""
ROWS = """
insert into users select g, 'c4n4ry' || g || '@corp.example', 'c4n4ry ' || g, '+33 6 c4n4ry' || g,
  ('1980-04-0' || g)::date,
  '192.0.2.1', 'FR76c4n4ry' || g, 'c4n4ry' || g, 'c4n4ry', 'a note', '{"street": "c4n4ry"}', g
from generate_series(1, 5) g;
insert into users (id, email, nom, password_hash) values (6, 'null@corp.example', '', '');
insert into logins select 'c4n4ry' || 1 + g % 5 || '@corp.example', g, '192.0.2.' || g
from generate_series(1, 20) g;
insert into files values ('a.pdf', 1);
"""
TABLES = ("users", "logins", "files")


@pytest.fixture
def crm(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("prod", ROWS)
            found.configure(TABLES, secrets="exclude")
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def pull(crm: Two, **options) -> RunReport:
    report = crm.workspace.data_pull(DataPullOptions("all", "prod", **options))
    assert isinstance(report, RunReport)
    return report


def planned(crm: Two, **options) -> Plan:
    report = crm.workspace.data_pull(DataPullOptions("all", "prod", dry_run=True, **options))
    assert isinstance(report, Plan)
    return report


def masks(plan: Plan) -> dict[str, str]:
    notes = [note for stage in plan.stages for lane in stage.lanes for note in lane.notes]
    return {
        f"{one.data['table']}.{one.data['column']}": one.data["mask"]
        for one in notes
        if one.name == "data.mask" and one.status == "note"
    }


def test_masked_by_default(crm):
    plan = planned(crm)
    assert why(plan) == "" and masks(plan) == {
        "logins.email": "mask:email",
        "logins.ip_address": "mask:ip",
        "users.address": "mask:fixed=…",
        "users.birth_date": "mask:date",
        "users.email": "mask:email",
        "users.iban": "mask:hash",
        "users.ip": "mask:ip",
        "users.nom": "mask:name",
        "users.password_hash": "mask:hash",
        "users.telephone": "mask:phone",
    }
    assert not (crm.repo.path / ".git/raccord/mask.key").exists()
    report = pull(crm)
    assert (report.state, report.verb) == ("done", "data pull"), report
    got = crm.rows("dev", *TABLES)
    assert "c4n4ry" not in str(got) and "192.0.2" not in str(got) and "1980-04" not in str(got)
    assert crm.run("dev", "select count(*) from users where note = 'a note' and rank = id") == [(5,)]
    assert crm.run("dev", "select name from files") == [("a.pdf",)]
    # What was joined is joined, what was null or told apart still is, and prod's tokens stay there.
    join = "select l.at, u.id from logins l join users u using (email) order by 1"
    assert crm.run("dev", join) == crm.run("prod", join)
    assert crm.run("dev", "select telephone, birth_date, iban from users where id = 6") == [(None,) * 3]
    assert crm.run("dev", "select count(api_token) from users") == [(0,)]
    # There are more people than names.
    assert crm.run("dev", "select count(distinct nom) > 1 from users") == [(True,)]
    assert re.fullmatch(r"[0-9a-f]{20}@example\.org", crm.run("dev", "select email from users")[0][0])
    # The same again, so nothing is left to do; and the salt is its owner's alone.
    assert pull(crm).state == "nothing"
    assert crm.workspace.data_diff(DataDiffOptions("all", "dev", "prod")).equal
    key = crm.repo.path / ".git/raccord/mask.key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    assert crm.undo().state == "done" and crm.rows("dev", "users") == {"users": []}


def test_another_repository_masks_otherwise(crm, tmp_path):
    assert pull(crm).state == "done"
    before = crm.run("dev", "select email from users order by id")
    (crm.repo.path / ".git/raccord/mask.key").unlink()
    assert pull(crm).state == "done"
    assert not {*before} & {*crm.run("dev", "select email from users")}


def test_the_target_never_sees_a_clear_value(crm):
    """Masked on the source: whatever the target's server is told, no clear value is in it."""
    crm.run(
        "dev",
        "create table seen (said text); create function tell() returns trigger language plpgsql as"
        " 'begin insert into seen values (new::text); return new; end';"
        "create trigger t before insert on users for each row execute function tell()",
    )
    crm.configure(TABLES, secrets="include", triggers="fire")
    assert pull(crm).state == "done"
    assert crm.run("dev", "select count(*), count(*) filter (where said ~ 'c4n4ry') from seen") == [(6, 0)]


def test_unmasked_for_a_reason(crm):
    with pytest.raises(UsageError, match="--unmasked needs --reason"):
        pull(crm, unmasked=True)
    with pytest.raises(UsageError, match="--reason is for --unmasked"):
        pull(crm, reason="x")
    # The datakit protects prod, from which it comes; dev is nobody's.
    crm.configure(TABLES, secrets="include", protected=True)
    with pytest.raises(UsageError, match="prod is protected") as error:
        pull(crm, unmasked=True, reason="order 7")
    again = "raccord data pull all --from prod --to dev --unmasked --reason 'order 7'"
    assert error.value.hint == f"{again} --yes-to prod"
    plan = planned(crm, unmasked=True, reason="order 7")
    notes = str([note.message for stage in plan.stages for lane in stage.lanes for note in lane.notes])
    assert "users: address, birth_date, email, iban, ip, nom, telephone may hold personal data" in notes
    assert "users: api_token, password_hash may hold secrets, and the set sends them" in notes
    report = pull(crm, unmasked=True, reason="order 7", yes_to="prod")
    assert report.state == "done" and report.waivers[0].reason == "order 7"
    assert crm.rows("dev", *TABLES) == crm.rows("prod", *TABLES)


def test_no_push_goes_round_the_masks(crm):
    with pytest.raises(UsageError, match="all comes from dev: what goes there is pulled") as error:
        crm.workspace.data_push(DataPushOptions("all", "dev", "prod"))
    assert error.value.hint == "raccord data pull all --from prod"


def test_a_protected_target(crm):
    path = crm.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace("[environments.prod]", "protected = true\n[environments.prod]"))
    with pytest.raises(UsageError, match="dev is protected"):
        pull(crm)
    assert pull(crm, yes_to="dev").state == "done"


@pytest.mark.long_but(3)
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"users.nom": "mask:null"}, "users.nom can't be masked with mask:null: it takes no null"),
        ({"users.nom": "mask:ip", "users.rank": "mask:email"}, "users.rank can't be masked with mask:email"),
        ({"users.telephone": "mask:email"}, "an address needs more than its 16 characters"),
        ({"users.email": "mask:fixed=x@y"}, "users.email (mask:fixed=…), to which logins_email_fkey refers"),
        ({"users.email": "lower(email)"}, "users.email (SQL of the set), to which logins_email_fkey refers"),
        ({"users.email": "mask:name"}, "masks users.email makes no public.mail: check violation (23514)"),
        ({"users.iban": "mask:fixed=x"}, "rows of users would not pass the rule users_iban_check once iban"),
        ({"users.rank": "1 / (rank - 1)"}, "users.rank makes no integer: division by zero (22012)"),
        ({"users.telephone": "nom || nom || nom"}, "telephone is longer than its 16 characters in 5 rows"),
        ({"users.id": "mask:fixed=1"}, "users.id is part of the key, so it can neither stay"),
    ],
)  # fmt: skip
def test_masks_that_do_not_fit(crm, mask, words):
    crm.configure(TABLES, secrets="exclude", mask=mask)
    before = crm.rows("dev", *TABLES)
    said = [one.message for one in crm.workspace.data_diff(DataDiffOptions("all", "dev", "prod")).refused]
    assert words in " ".join([*said, why(planned(crm))])
    report = pull(crm)
    assert report.state == "partial" and crm.rows("dev", *TABLES) == before, report


def test_unique_values_stay_apart(crm):
    crm.run("prod", "update users set note = id, rank = 1; create unique index on users (note, rank)")
    crm.run("dev", "create unique index on users (note, rank)")
    crm.configure(TABLES, secrets="exclude", mask={"users.note": "mask:fixed=x"})
    assert "rows of users would get one note, rank, which is unique" in why(planned(crm))
    crm.configure(TABLES, secrets="exclude", mask={"users.note": "mask:hash"})
    assert pull(crm).state == "done"


def test_what_the_set_says_counts(crm):
    """Names of masks, SQL and `mask:none` go before what a column's name says; a push takes them too."""
    said = {"users.nom": "mask:none", "users.iban": "mask:keep-domain", "users.note": "'n' || id"}
    crm.configure(TABLES, secrets="exclude", mask=said | {"users.telephone": "mask:fixed=it's \\ 0"})
    assert pull(crm).state == "done"
    row = crm.run("dev", "select nom, note, telephone from users where id = 1")
    assert row == [("c4n4ry 1", "n1", "it's \\ 0")]
    crm.configure(TABLES, mask=said | {"users.telephone": "mask:fixed=it's \\ 0"})
    crm.run("dev", "truncate users cascade")
    crm.run("dev", "insert into users select 9, 'a@b', 'dev', '1', null, null, 'FR7612345', '', '', ''")
    report = crm.push(mode="insert")
    assert report.state == "done", report
    assert crm.run("prod", "select nom, email, note, telephone from users where id = 9") == [
        ("dev", "a@b", "n9", "it's \\ 0")
    ]
    assert re.fullmatch("[0-9a-f]{20}", crm.run("prod", "select iban from users where id = 9")[0][0])


def test_a_parent_that_does_not_come(crm):
    crm.configure(("logins",))
    report = pull(crm)
    assert "logins.email (mask:email) would refer to no row of users, which is not in the set" in why(report)


def test_masks_named_wrongly(crm):
    for said, words in (
        ("mask:emial", "is no mask that there is; known: date, email"),
        ("mask:fixed", "needs a value: mask:fixed=TEXT"),
        ("mask:hash=c4n4ry", "takes no value"),
    ):
        crm.configure(TABLES, mask={"users.nom": said})
        with pytest.raises(Exception, match=words) as error:
            crm.workspace.data_status()
        assert "c4n4ry" not in str(error.value)
    # Two colons are SQL.
    crm.configure(("files",), mask={"files.size": "size::text::int"})
    assert pull(crm).state == "done"
