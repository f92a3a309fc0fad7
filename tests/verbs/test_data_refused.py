"""What a push refuses, by name and before anything is changed; and what it leaves alone."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.model.options_data import DataPushOptions
from raccord.workspace import Workspace
from tests import pgkit
from tests.datakit import Two, two, why

SETUP = """
create table shop (id int primary key, name text unique, note text, api_token text);
create table sale (id int primary key, shop int references shop on delete cascade);
insert into shop values (1, 'one', 'n1', 'dev-canary'), (2, 'two', 'n2', null);
insert into sale values (1, 1);
"""


@pytest.fixture
def shops(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.configure(("shop", "sale"))
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def refused(shops: Two, words: str, **options) -> None:
    """It is held back, in the plan already, and nothing changes."""
    before = shops.rows("prod", "shop", "sale")
    assert words in why(shops.plan(**options)), shops.plan(**options)
    report = shops.push(**options)
    assert (report.state, words in why(report)) == ("partial", True), report
    assert shops.rows("prod", "shop", "sale") == before


@pytest.mark.long_but(3)
@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("prod", "alter table shop alter note type varchar(9)", "type is text in dev, character varying(9)"),
        ("prod", "alter table shop alter note set not null", "nullability is null in dev, not null"),
        ("prod", "alter table shop drop note", "shop.note is missing in prod"),
        ("dev", "alter table shop drop note", "shop.note is missing in dev"),
        ("prod", 'alter table shop alter note type text collate "C"', 'collate "C" in prod'),
        ("prod", "drop table sale", "prod has no table sale"),
        ("prod", "alter table shop drop constraint shop_pkey cascade", "shop has the key id in dev"),
        ("prod", "create rule r as on delete to shop do instead nothing", "shop has rules"),
        ("prod", "create table gone (id int references shop); insert into gone values (2)", ""),
    ],
)  # fmt: skip
def test_what_stands_against_it(shops, where, change, words):
    shops.run(where, change)
    shops.run("dev", "delete from shop where id = 2; update shop set name = 'x'")
    before = shops.run("prod", "select * from shop order by 1")
    if not words:
        # A delete would hit what refers to the rows: said once it is known which go.
        words = "1 row of gone refers by gone_id_fkey to rows that would go from shop"
        assert words in why(shops.plan()) and words in why(shops.push())
    else:
        assert words in " ".join([why(shops.plan()), *(one.message for one in shops.diff().refused)])
        assert shops.push().state == "partial"
    assert shops.run("prod", "select * from shop order by 1") == before


def test_an_enum_with_other_labels(shops):
    shops.both("create type mood as enum ('a'); alter table shop add mood mood")
    shops.run("prod", "alter type mood add value 'b'")
    refused(shops, "shop.mood: values is 'a' in dev, 'a', 'b' in prod")


def test_an_empty_source_empties_nothing(shops):
    shops.run("dev", "delete from shop")
    refused(shops, "shop has no row in dev, and 2 in prod")
    assert shops.push(allow_empty=True).state == "done"
    assert shops.rows("prod", "shop", "sale") == {"shop": [], "sale": []}


def test_triggers(shops):
    shops.run("dev", "update shop set note = 'x'")
    shops.run(
        "prod",
        "create function stamp() returns trigger language plpgsql"
        " as 'begin new.note = ''stamped''; return new; end';"
        "create trigger t before insert or update on shop for each row execute function stamp()",
    )
    refused(shops, "shop has triggers that would fire in prod: t")
    shops.configure(("shop", "sale"), triggers="skip")
    report = shops.push()
    assert report.state == "done" and shops.rows("prod", "shop") == shops.rows("dev", "shop"), report
    assert shops.run("prod", "update shop set id = id returning note")[0] == ("stamped",)
    shops.configure(("shop", "sale"), triggers="fire")
    assert shops.push().state == "done"
    assert shops.run("prod", "select distinct note from shop") == [("stamped",)]


def test_secrets_stay_where_they_are(shops):
    shops.configure(("shop", "sale"), secrets="exclude")
    shops.run("prod", "update shop set api_token = 'prod-canary', note = 'p'; delete from shop where id = 2")
    shops.run("dev", "update shop set api_token = 'dev-canary' where id = 2")
    assert shops.push().state == "done"
    assert shops.run("prod", "select api_token from shop order by id") == [("prod-canary",), (None,)]
    assert shops.run("prod", "select note from shop order by id") == [("n1",), ("n2",)]
    # What goes is kept whole, and comes back whole.
    shops.run("dev", "delete from sale; delete from shop where id = 1")
    assert shops.push(allow_empty=True).state == "done" and shops.undo().state == "done"
    assert shops.run("prod", "select api_token from shop where id = 1") == [("prod-canary",)]
    # New rows would lack it.
    shops.both("update shop set api_token = '' where api_token is null")
    shops.both("alter table shop alter api_token set not null")
    assert shops.diff().equal is False
    shops.run("dev", "insert into shop values (9, 'nine', '', '')")
    refused(shops, "shop.api_token doesn't travel, and new rows need it", allow_empty=True)
    shops.run("dev", "delete from shop where id = 9")
    # Said in so many words they travel.
    shops.configure(("shop", "sale"))
    assert shops.push(allow_empty=True).state == "done"
    assert shops.run("prod", "select api_token from shop") == [("dev-canary",)]


def test_conditions_exclusions_and_masks(shops):
    shops.configure(
        ("shop",),
        where={"shop": "id < 10 -- of mine"},
        exclude=["shop.note"],
        mask={"shop.api_token": "'t' || id"},
        mode="mirror",
    )
    shops.run("dev", "update shop set note = 'dev', name = 'n' || id; insert into shop values (20, 'far')")
    shops.run("prod", "update shop set note = 'prod'; insert into shop values (30, 'own')")
    assert shops.push().state == "done"
    assert shops.run("prod", "select * from shop order by 1") == [
        (1, "n1", "prod", "t1"),
        (2, "n2", "prod", "t2"),
        (30, "own", None, None),
    ]
    # A row that the condition leaves out has the key of one that comes.
    shops.configure(("shop",), where={"shop": "name <> 'own'"})
    shops.run("dev", "insert into shop values (30, 'mine')")
    report = shops.push()
    assert "1 row of shop has the key of rows that where leaves out in prod" in why(report)
    for keys, words in (
        ({"where": {"shops": "true"}}, "where names shops, which is no table"),
        ({"mask": {"shop.x": "1"}}, "mask names shop.x, which is no column"),
        ({"mask": {"shop.id": "1"}}, "shop.id is part of the key"),
        ({"exclude": ["shop.id"]}, "shop.id is part of the key"),
    ):
        shops.configure(("shop",), **keys)
        assert words in " ".join(one.message for one in shops.diff().refused)


def test_an_undo_leaves_what_others_changed(shops):
    shops.run("dev", "update shop set note = 'x'; insert into shop values (3, 'three')")
    assert shops.push().state == "done"
    shops.run("prod", "update shop set note = 'later' where id = 3")
    undone = shops.undo()
    assert undone.state == "partial" and "changed since: 1 row of shop (id 3)" in why(undone), undone
    finding = undone.lanes[0].finding
    again = f"raccord data restore {undone.undo_of} --to prod --set all --dry-run"
    assert finding is not None and finding.hint == again
    shops.run("prod", "update shop set note = null where id = 3; insert into shop values (4, 'four')")
    assert shops.undo().state == "done"
    assert shops.run("prod", "select id, note from shop order by 1") == [(1, "n1"), (2, "n2"), (4, None)]


def test_a_protected_environment(shops):
    shops.configure(("shop",), protected=True)
    shops.run("dev", "update shop set note = 'x'")
    for given in ("", "dev"):
        with pytest.raises(UsageError, match="prod is protected"):
            shops.push(yes_to=given)
    assert shops.plan().steps()
    run = shops.push(yes_to="prod")
    assert run.state == "done"
    # So is the way back.
    assert shops.workspace.undo_changes() == ("prod",)
    for given in ("", "dev"):
        with pytest.raises(UsageError, match="prod is protected") as error:
            shops.workspace.undo(yes_to=given)
        assert error.value.hint == f"raccord undo {run.id} --yes-to prod"
    assert shops.workspace.undo(dry_run=True).steps()
    assert shops.workspace.undo(yes_to="dev,prod").state == "done"
    with pytest.raises(UsageError, match="prod is protected"):
        shops.undo(shops.workspace.log(1)[0].id)


@pytest.mark.long
def test_rows_that_an_undo_names(shops):
    """A few, by their keys; a key that is a secret is none that is shown."""
    shops.both("create table grants (token text primary key, note text);")
    shops.configure(("shop", "grants"))
    shops.run("dev", "delete from sale; update shop set note = 'x'")
    shops.run("dev", "insert into shop select g, 'n' || g from generate_series(10, 15) g")
    shops.run("dev", "insert into grants values ('c4n4ry', 'a')")
    shops.run("prod", "delete from sale")
    assert shops.push().state == "done"
    shops.run("prod", "update shop set note = 'later' where id > 9; update grants set note = 'later'")
    words = "6 rows of shop (id 10, id 11, id 12 and 3 more); 1 row of grants (token ***)"
    for said in (why(shops.workspace.undo(dry_run=True)), why(shops.undo())):
        assert set(words.split("; ")) <= set(said.partition("changed since: ")[2].split("; ")), said


@pytest.mark.long
def test_others_in_the_way(shops):
    shops.configure(("shop",), lock_seconds=1)
    shops.run("dev", "update shop set note = 'x'")
    server, database = shops.ends["prod"]
    with server.connect(database) as db, db.transaction():
        db.execute("update shop set note = 'mine' where id = 1")
        report = shops.push()
        assert "others kept" in why(report) and "longer than 1 s" in why(report), report
        # Readers are in nobody's way.
    with server.connect(database) as db, db.transaction():
        db.execute("select * from shop")
        assert shops.push().state == "done"


def test_a_constraint_that_prod_alone_has(shops):
    shops.run("dev", "update shop set note = 'c4n4ry' where id = 2")
    shops.run("prod", "alter table shop add constraint short check (length(note) < 4)")
    before = shops.rows("prod", "shop")
    report = shops.push()
    assert 'violates check constraint "short"' in why(report) and shops.rows("prod", "shop") == before
    everything = json.dumps([str(report), str(shops.plan())])
    assert "c4n4ry" not in everything and not re.search(r"p@ss|p%40ss", everything)


def test_rights_and_row_security(shops):
    server, database = shops.ends["prod"]
    shops.run(
        "prod",
        "drop role if exists clerk; create role clerk login password 'x'; grant select on shop to clerk",
    )
    url = server.url(database, user="clerk", password="x")
    text = (shops.repo.path / "raccord.toml").read_text().replace(server.url(database), url)
    (shops.repo.path / "raccord.toml").write_text(text)
    try:
        shops.run("prod", "grant select, insert, update on shop, sale to clerk")
        shops.run("dev", "update shop set note = 'x'")
        assert "the role may not delete in sale of prod" in why(shops.plan())
        shops.run("prod", "grant delete on shop, sale to clerk; alter table shop enable row level security")
        assert "row security hides rows of shop" in why(shops.plan())
        shops.run("prod", "alter table shop disable row level security")
        assert shops.push().state == "done"
        assert shops.rows("prod", "shop") == shops.rows("dev", "shop")
    finally:
        shops.run("prod", "drop owned by clerk; drop role clerk")


def test_words_that_mean_nothing(shops):
    workspace = shops.workspace
    for name, goal, words in (
        ("none", "prod", "there is no data set none; known: all"),
        ("all", "nowhere", "there is no environment nowhere; known: dev, prod"),
        ("all", "dev", "all would go from dev to dev"),
    ):
        with pytest.raises(UsageError, match=words):
            workspace.data_push(DataPushOptions(name, goal))
    shops.configure(("shops_*",))
    assert "dev has no table shops_*" in why(shops.plan())


def test_where_a_url_comes_from(shops, monkeypatch):
    path = shops.repo.path / "raccord.toml"
    server, database = shops.ends["prod"]
    url = server.url(database)
    text = path.read_text()
    (shops.repo.path / "url.txt").write_text(url + "\n")
    for said in ('"env:PROD_URL"', '"file:url.txt"', '"command:cat url.txt"'):
        path.write_text(text.replace(json.dumps(url), said))
        monkeypatch.setenv("PROD_URL", url)
        assert shops.diff().equal
        monkeypatch.delenv("PROD_URL")
    for said, words in (
        ('"env:PROD_URL"', "the variable PROD_URL, which has the database of prod, is not set"),
        ('"file:none.txt"', "none.txt, which has the database of prod, is not there"),
        ('"command:false"', "false, which prints the database of prod, failed"),
        ('"postgresql://u:c4n4ry@127.0.0.1:1/x"', "can't be reached"),
    ):
        path.write_text(text.replace(json.dumps(url), said))
        with pytest.raises(CannotRun, match=re.escape(words)) as error:
            shops.diff()
        assert "c4n4ry" not in str(error.value)


def test_the_repository_holds_no_password(shops):
    shops.run("dev", "update shop set note = 'x'")
    run = shops.push()
    assert shops.undo().state == "done"
    kept = b"".join(
        path.read_bytes() for path in (shops.repo.path / ".git/raccord").rglob("*") if path.is_file()
    )
    said = subprocess.run(
        ["git", "-C", shops.repo.path, "log", "-p", "--all", "--format=%B"], capture_output=True, check=True
    ).stdout
    for secret in ("s3cr€t/p@ss:w?rd #1", "s3cr%E2%82%ACt"):
        assert secret.encode() not in kept and secret.encode() not in said
    assert run.id


def test_what_is_where(shops):
    shops.run("dev", "update shop set note = 'x'")
    status = shops.workspace.data_status()
    there = [(one.environment, one.rows, one.push) for one in status.sets]
    rows = {"shop": 2, "sale": 1}
    assert there == [("dev", rows, None), ("prod", rows, None)]
    run = shops.push(by="ada")
    pushed = shops.workspace.data_status("all").sets[1].push
    assert pushed is not None
    head = subprocess.check_output(["git", "-C", shops.repo.path, "rev-parse", "HEAD"], text=True).strip()
    assert (pushed.run, pushed.by, pushed.changed, pushed.commit) == (run.id, "ada", 2, head)
    undone = shops.undo()
    pushed = shops.workspace.data_status("all").sets[1].push
    assert pushed is not None and pushed.undone_by == undone.id
    with pytest.raises(RaccordError):
        Workspace.open(shops.repo.path).data_status("none")
