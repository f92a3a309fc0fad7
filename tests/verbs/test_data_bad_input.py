"""What is wrong with a server, a role, a schema or a row: each says what, where and the next
command, ends with a documented exit code, and leaves the target as it was, to the byte of a dump."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raccord.cli.main import main
from tests import pgkit
from tests.datakit import Two, two, why

SETUP = """
create type mood as enum ('sad', 'ok');
create type spot as (x int, y int);
create domain small as int check (value < 1000);
create table shop (id int primary key, name text unique, note text, mood mood, small small, spot spot);
create table sale (id int primary key, shop int references shop);
insert into shop values (1, 'one', 'c4n4ry', 'sad', 1, '(1,2)'), (2, 'two', 'n2', null, null, null);
insert into sale values (1, 1), (2, null);
"""
DIFFER = "update shop set note = 'c4n4ry dev' where id = 2; insert into sale values (3, 2)"
CLERK = (
    "create role {clerk} login password 'x'; grant select, insert, update, delete on shop, sale to {clerk};"
)


CASES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("data_bad_input.toml").read_text("utf-8"))
HELD = 5
RESET = "alter database {name} reset all; grant temporary on database {name} to public"


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    try:
        with two(tmp_path_factory.mktemp("shops")) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def dump(shops: Two, name: str = "prod") -> list[str]:
    """Everything that a database holds."""
    server, database = shops.ends[name]
    words = [str(server.bin / "pg_dump"), "-h", str(server.folder), "-p", str(server.port), database]
    env = {**os.environ, "PGUSER": "postgres", "PGPASSWORD": pgkit.PASSWORD}
    said = subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if "restrict " not in line]


@contextlib.contextmanager
def roles(shops: Two) -> Iterator[str]:
    """A role that owns nothing."""
    name = f"clerk_{os.getpid()}"
    server, _ = shops.ends["prod"]
    server.run(f"drop role if exists {name}")
    try:
        yield name
    finally:
        shops.run(
            "prod",
            f"do $$ begin if to_regrole('{name}') is not null then drop owned by {name}; end if; end $$",
        )
        server.run(f"drop role if exists {name}")


def said(shops: Two, capsys, *words: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it said for programs and for a person."""
    capsys.readouterr()
    code = main(
        ["-C", str(shops.repo.path), "data", *words, *(["--yes"] if words[0] == "push" else []), "--json"]
    )
    got = capsys.readouterr()
    return code, got.out, got.out + got.err


@pytest.mark.long_but(10)
@pytest.mark.parametrize("name", CASES)
def test_it_says_what_and_where_and_changes_nothing(shops, capsys, name):
    case = CASES[name]
    fresh(shops)
    with roles(shops) as clerk:
        shops.run("prod", CLERK.format(clerk=clerk))
        for end in ("prod", "dev"):
            shops.run(end, case.get(end, "").replace("{clerk}", clerk))
        keys = {"tables": ["shop", "sale"]} | case.get("keys", {})
        shops.configure(tuple(keys.pop("tables")), **keys)
        lead(shops, tuple(case.get("url", ("$", ""))), clerk if case.get("clerk") else "postgres")
        before = dump(shops)
        code, answer, everything = said(shops, capsys, *case.get("argv", ("push", "all", "--to", "prod")))
        assert dump(shops) == before, everything
        shops.ends["prod"][0].run(RESET.format(name=shops.ends["prod"][1]))
    assert code == case.get("exit", HELD), everything
    found = told(json.loads(answer))
    found = (found[0], re.sub(r"^raccord -C \S+ ", "raccord ", found[1]))
    assert case["says"] in found[0] and case.get("next", "") in found[1], found
    assert "\n" not in found[0] and found[1] not in ("", "raccord sync"), found
    assert "c4n4ry" not in everything and "p%40ss" not in everything, everything
    assert not any(text in everything for text in ("Traceback", "DETAIL", "CONTEXT")), everything


def fresh(shops: Two) -> None:
    shops.both(pgkit.RESET + SETUP)
    shops.run("dev", DIFFER)


def lead(shops: Two, change: tuple[str, str], user: str) -> None:
    """Has prod's URL say something else, and names environments that are none, or the same."""
    server, database = shops.ends["prod"]
    path = shops.repo.path / "raccord.toml"
    url = server.url(database)
    socket = url.replace(f"127.0.0.1:{server.port}", "") + f"?host={server.folder}&port={server.port}"
    goal = re.sub(
        *change, server.url(database, user=user, password="x") if user != "postgres" else url, count=1
    )
    text = path.read_text().replace(json.dumps(url), json.dumps(goal))
    for name, said in (("same", url.replace("127.0.0.1", "localhost")), ("socket", socket)):
        text += f"[environments.{name}]\ndatabase = {json.dumps(said)}\n"
    path.write_text(text + "[environments.bare]\n")


def told(answer: dict) -> tuple[str, str]:
    """What was said, and the next command."""
    if "error" in answer:
        return answer["error"]["message"], answer["error"]["hint"]
    held = [one for one in lanes(answer) if one]
    assert held, answer
    return held[0]["message"], held[0]["hint"]


def lanes(answer: dict) -> Iterator[dict]:
    for key, value in answer.items():
        if key in ("finding", "held") and isinstance(value, dict):
            yield value
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from lanes(one)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("end", ["dev", "prod"])
def test_somebody_who_holds_a_table_holds_up_a_plan_no_longer_than_the_set_says(shops, capsys, end):
    fresh(shops)
    shops.configure(("shop", "sale"), lock_seconds=1)
    server, database = shops.ends[end]
    with server.connect(database) as db, db.transaction():
        db.execute("lock table sale")
        for words in (("diff", "all", "--to", "prod"), ("push", "all", "--to", "prod")):
            code, answer, _ = said(shops, capsys, *words)
            message, hint = told(json.loads(answer))
            assert code == 6 and f"/{database} busy for longer than 1 s" in message, message
            assert "lock_seconds" in hint and re.search(r"\(.* of postgres, pid \d+: sale\)", message), (
                message
            )
        assert said(shops, capsys, "status")[0] == 1  # what could not be read is not known
    assert shops.push().state == "done"


def test_a_statement_that_takes_too_long(shops, capsys):
    fresh(shops)
    shops.configure(("shop", "sale"), statement_seconds=1, where={"shop": "pg_sleep(2) is not null"})
    code, answer, _ = said(shops, capsys, "push", "all", "--to", "prod")
    assert code == 6 and "a statement took longer than 1 s" in told(json.loads(answer))[0]


def test_an_error_of_dev_is_told_of_dev(shops, capsys):
    fresh(shops)
    shops.configure(("shop", "sale"), mask={"shop.note": "note::int::text"})
    shops.run("dev", "update shop set note = '1'")
    text = shops.plan().steps()
    assert text
    real = shops.run
    from raccord.data import push

    def late(*words):
        real("dev", "update shop set note = 'c4n4ry' where id = 2")
        return begun(*words)

    begun = push.push
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push, "push", late)
        report = shops.push()
    said = why(report)
    assert shops.ends["dev"][1] in said and "invalid text representation (22P02)" in said, report
    assert "c4n4ry" not in str(report)


def test_a_standby(tmp_path, capsys):
    with contextlib.ExitStack() as stack:
        try:
            own = stack.enter_context(pgkit.own(wal_level="replica"))
            shops = Two(
                tmp_path,
                (pgkit.server(), stack.enter_context(pgkit.server().lent())),
                (own, own.create()),
            )
        except pgkit.NoServer as error:
            pytest.skip(f"no PostgreSQL server: {error}")
        shops.both(SETUP)
        shops.run("dev", DIFFER)
        shops.configure(("shop", "sale"))
        own.run("checkpoint")
        own.halt()
        (own.folder / "data/standby.signal").touch()
        own.start()
        before = dump(shops)
        code, answer, _ = said(shops, capsys, "push", "all", "--to", "prod")
        message, hint = told(json.loads(answer))
        assert (code, message) == (HELD, "prod is a standby, which takes no rows of its own")
        assert hint == "name its primary in [environments.prod]" and dump(shops) == before
        # To read from it is fine.
        assert shops.diff().equal is False
