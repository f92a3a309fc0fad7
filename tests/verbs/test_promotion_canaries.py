"""Secrets beside rows: in archives, in what hooks answer, in a keyring; and none where others may look."""

from __future__ import annotations

import json

import keyring
import pytest

from tests import pgkit, sitekit
from tests.canaries import Cage
from tests.datakit import two
from tests.sitekit import Reply, Web

ROWS = {"secret column": "cnry-apikey-41", "excluded": "cnry-excluded-42", "masked": "cnry-masked-43"}
SQL = {"where": "cnry-where-44", "mask": "cnry-masksql-45", "fixed": "cnry-fixed-46"}
KEYS = {"passphrase": "cnry passphrase 47", "password": pgkit.PASSWORD}
TOKEN = "cnry-t/ok€n-48"
SETUP = """
create table site (id int primary key, api_key text, note text, own text, name text);
create table plain (a int, note text);
"""


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run(
                "dev",
                f"insert into site values (1, '{ROWS['secret column']}', 'n', '{ROWS['excluded']}',"
                f" '{ROWS['masked']}'); insert into plain values (1, 'n'), (1, 'n')",
            )
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def configured(pair) -> None:
    pair.configure(
        ("site", "plain"),
        secrets="exclude",
        exclude=["site.own"],
        where={"site": f"note <> '{SQL['where']}'", "plain": f"note <> '{SQL['where']}'"},
        mask={"site.name": f"case note when '{SQL['mask']}' then note else 'x' end"},
    )


def test_archives_and_kept_rows(pair, tmp_path):
    cage = Cage(pair.repo.path, ROWS | SQL | KEYS)
    configured(pair)
    assert cage.run("data", "export", "all")[0] == 0, cage.said
    (clear,) = (pair.repo.path / "exports").glob("*.raccord")
    assert cage.run("data", "import", str(clear), "--to", "prod", "--yes")[0] == 0, cage.said
    pair.run("prod", "update site set note = 'since'; delete from plain")
    for words in (
        ("data", "restore", "--list"), ("--json", "data", "restore", "--list"),
        ("data", "restore", str(clear), "--to", "prod", "--dry-run"),
        ("--json", "data", "restore", str(clear), "--to", "prod", "--yes"),
        ("data", "restore", "--to", "prod", "--yes"), ("--json", "log"),
    ):  # fmt: skip
        assert cage.run(*words)[0] == 0, cage.said
    assert cage.sing() == {}
    # The same with secrets, sealed: in a process that everybody sees.
    (tmp_path / "word").write_text(KEYS["passphrase"])
    word = ("--passphrase", f"file:{tmp_path}/word")
    sealed = ("data", "export", "all", "--secrets", "include", *word)
    assert cage.watched(*sealed, "--out", "exports/sealed.raccord")[0] == 0, cage.said
    back = ("data", "restore", "exports/sealed.raccord", "--to", "prod", *word)
    assert cage.watched(*back, "--yes")[0] == 0, cage.said
    assert len(cage.seen) > 3 and cage.sing() == {}


def test_an_archive_that_would_hold_them_is_found_out(pair):
    """The look itself: what stands in an archive is seen."""
    cage = Cage(pair.repo.path, ROWS)
    pair.configure(("site", "plain"), secrets="exclude")
    assert cage.run("data", "export", "all")[0] == 0, cage.said
    assert cage.sing() == {"excluded": ["archives"], "masked": ["archives"]}


@pytest.fixture
def web():
    with sitekit.web() as found:
        yield found


ANSWERS = (
    f"bad Bearer {TOKEN}", f"bad token {TOKEN}", json.dumps({"token": TOKEN}), "no cnry-t%2Fok%E2%82%ACn-48",
    f"can't reach postgresql://postgres:{pgkit.PASSWORD}@db/app",
)  # fmt: skip


@pytest.mark.long_but(2)
@pytest.mark.parametrize("answer", range(len(ANSWERS)))
def test_what_hooks_say(pair, web: Web, answer, tmp_path, monkeypatch):
    cage = Cage(pair.repo.path, KEYS | {"token": TOKEN})
    monkeypatch.setenv("HOOK_TOKEN", f"Bearer {TOKEN}")
    pair.configure(("site", "plain"), after=["index", "run"])
    with (pair.repo.path / "raccord.toml").open("a") as file:
        (tmp_path / "said").write_text(ANSWERS[4])
        said = ["sh", "-c", f"cat {tmp_path}/said; exit 3"]
        file.write(
            f'[hooks.index]\nurl = "{web.url}/"\nheaders = {{ Authorization = "env:HOOK_TOKEN" }}\n'
            f"retries = 0\n[hooks.run]\ncommand = {json.dumps(said)}\nretries = 0\n"
        )
    web.answers = [Reply(500, ANSWERS[answer])]
    code, told = cage.run("data", "push", "all", "--to", "prod", "--yes")
    assert code == 4 and "***" in told, told
    assert TOKEN.encode() in web.got[-1].headers["Authorization"].encode("latin-1")
    for words in (("status",), ("data", "status"), ("--json", "data", "status"), ("--json", "log")):
        cage.run(*words)
    assert cage.run("continue")[0] == 4
    assert cage.sing() == {}


def test_a_keyring(pair, tmp_path, monkeypatch):
    """A URL and a passphrase in a keyring come into no process, message or file."""
    from tests.kernel.test_secret import Filed

    before = keyring.get_keyring()
    keyring.set_keyring(Filed(tmp_path / "keyring"))
    try:
        server, database = pair.ends["prod"]
        keyring.set_password("prod", "url", server.url(database))
        config = pair.repo.path / "raccord.toml"
        configured(pair)
        text = config.read_text()
        config.write_text(text.replace(json.dumps(server.url(database)), '"keyring:prod/url"'))
        cage = Cage(pair.repo.path, ROWS | SQL | KEYS)
        for words in (
            ("data", "diff", "all", "--to", "prod"), ("data", "push", "all", "--to", "prod", "--yes"),
            ("--json", "data", "status"), ("data", "restore", "--to", "prod", "--yes"), ("--json", "log"),
        ):  # fmt: skip
            assert cage.run(*words)[0] == 0, cage.said
        keyring.set_password("prod", "url", f"postgresql://postgres:{KEYS['passphrase']}@127.0.0.1:1/x")
        assert cage.run("data", "push", "all", "--to", "prod", "--yes")[0] == 6
        assert cage.sing() == {}
    finally:
        keyring.set_keyring(before)
