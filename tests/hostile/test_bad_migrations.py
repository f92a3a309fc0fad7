"""Broken migrations at the command line: each verb says so, ends as documented, and changes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests import pgkit
from tests.hostile import migrations
from tests.hostile.desk import Desk
from tests.hostile.house import wrong_output
from tests.hostile.migrations import CASES, LOOKS, VERBS, copied, urls

# Secrets in the URLs of cases: no verb may repeat them.
SECRETS = ("secret",)
DEFAULT = ("status", "heal", "upgrade")


@pytest.fixture(scope="session")
def scene(tmp_path_factory) -> Path:
    return migrations.build(tmp_path_factory.mktemp("migrations"))


@pytest.fixture
def desk(plain_driver, scene, tmp_path) -> Desk:
    return Desk(plain_driver, copied(scene, tmp_path / "house"), {})


def check(desk: Desk, name: str, verbs: tuple[str, ...]) -> None:
    """What each verb says and ends with; one that is refused changes nothing, nor does a look."""
    case = CASES[name]
    for verb in verbs:
        words = ("migrations", *VERBS[verb])
        before = desk.house.said_of()
        found = desk.types(*words)
        wanted = case.codes.get(verb, 0)
        assert wrong_output(words, found) == [], (verb, found)
        assert found.code == wanted, (verb, found)
        text = " ".join(found.text.split())
        assert not any(secret in text for secret in SECRETS), (verb, text)
        if wanted:
            assert re.search(case.says, text) or verb == "merge", (verb, text)
            assert "next: " in text, (verb, text)
        if verb == "status":
            assert re.search(case.also, text), text
        if wanted or verb in LOOKS:
            assert desk.house.said_of() == before, verb


@pytest.mark.long_but(10)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.long])
def test_what_is_broken_is_said(desk, name):
    CASES[name].plant(desk.house)
    check(desk, name, DEFAULT)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_every_verb_says_what_is_broken(desk, name):
    CASES[name].plant(desk.house)
    check(desk, name, tuple(VERBS))


@pytest.mark.parametrize(
    ("backend", "code", "says"),
    [
        *((one, 6, "no alembic.ini") for one in ("nope", "a\nb", "--", "backend/alembic.ini/x")),
        *((one, 2, "lies outside of this worktree") for one in ("../agent/nope", "/etc")),
    ],
)
def test_a_backend_that_is_none(desk, backend, code, says):
    before = desk.house.said_of()
    for verb in ("status", "heal", "upgrade"):
        words = ("migrations", *VERBS[verb], "--", backend)
        found = desk.types(*words)
        assert wrong_output(words, found) == [] and found.code == code, found
        assert says in " ".join(found.text.split())
    assert desk.house.said_of() == before


def test_words_that_mean_nothing(desk):
    for code, says, hint, words in (
        (2, "nowhere to be found", "git fetch|raccord", "find nope"),
        (2, "several revisions begin with r", "name one whole", "find r"),
        (2, "not REV=DIGEST", "raccord migrations find", "heal --choose r2"),
        (2, "0 contents of r2 begin with ff", "raccord migrations find r2", "heal --choose r2=ff"),
        (2, "needs a message", "raccord migrations merge -m", "merge -m ''"),
        (2, "No such command", "raccord migrations --help", "nope"),
    ):
        desk.refused(code, says, hint, "migrations", *words.replace("''", "").split(" "))


def test_a_worktree_that_nobody_can_read_hides_no_other(desk):
    desk.house.agent.write(migrations.INI, "\0")
    found = desk.types("migrations", "heal", "--all")
    assert found.code == 5 and "stands before the first [section]" in found.text
    assert "r2" in found.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        (migrations.INI, 6, "can't read .*alembic.ini: Permission denied"),
        (f"{migrations.SCRIPT}/env.py", 0, "env.py, which can't be read: Permission denied"),
        (f"{migrations.VERSIONS}/r1_x.py", 0, "r1_x.py: can't be read: Permission denied"),
        (migrations.VERSIONS, 0, "the folder can't be listed: Permission denied"),
        ("../app.db", 0, "unable to open database file"),
    ],
)
def test_what_may_not_be_read(desk, path, code, says):
    for one in (desk.house.folder, *desk.house.folder.rglob("*")):
        if not one.is_symlink():
            one.chmod(one.stat().st_mode | 0o044 | (0o011 if one.is_dir() else 0))
    for above in desk.house.folder.parents:
        # All of them: pytest closes the one that its runs share whenever one more begins.
        if (mode := above.stat().st_mode) & 0o005 != 0o005:
            above.chmod(mode | 0o055)
    (desk.house.repo.path / path).chmod(0)
    desk.env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    desk.uid = 65534
    before = desk.house.said_of()
    found = desk.types("migrations", "history")
    assert wrong_output(["history"], found) == [] and found.code == code, found
    assert re.search(says, " ".join(found.text.split())), found.text
    assert desk.house.said_of() == before


def test_a_server_that_does_not_let_us_in(desk):
    try:
        server = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(str(error))
    with server.lent() as name:
        for url, says in (
            (server.url(name, password="my-secret"), "password authentication failed"),
            (server.url("nope"), '"nope" does not exist'),
        ):
            urls(desk.house, url.replace("%", "%%"))
            for verb, code in (("current", 6), ("upgrade", 5), ("heal", 0)):
                found = desk.types("migrations", *VERBS[verb])
                assert found.code == code and says in " ".join(found.text.split()), found
                assert "my-secret" not in found.text and pgkit.PASSWORD not in found.text


@pytest.mark.long
def test_a_database_that_somebody_keeps_locked(desk):
    """Its version table is read all the same; the upgrade fails, and nothing is changed."""
    house = desk.house
    house.agent.git("checkout", "-q", "--detach")
    house.repo.git("merge", "-q", "--ff-only", "agent")
    migrations.rows(house.folder, "r1")
    with contextlib.closing(sqlite3.connect(house.folder / "app.db")) as db:
        db.execute("begin exclusive")
        before = house.said_of()
        found = desk.types("migrations", "current")
        assert found.code == 0 and "r1" in found.text
        found = desk.types("migrations", "upgrade", "--yes")
        assert found.code == 5 and "locked" in found.text, found
        assert house.said_of() == before
    shutil.rmtree(house.git / "raccord")
