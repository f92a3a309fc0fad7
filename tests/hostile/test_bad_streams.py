"""Closed and full streams, terminals, languages, encodings: real starts of the program."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.gitkit import Repo
from tests.hostile.desk import RACCORD, program
from tests.hostile.house import wrong_output


def test_a_reader_that_went_away(house):
    for words in (["status"], ["status", "--json"], ["sync", "--all", "--dry-run"]):
        out, into = os.pipe()
        os.close(out)
        found = program([*RACCORD, *words], house.at, stdout=into)
        os.close(into)
        assert (found.code, found.err) == (0, b"")


@pytest.mark.long_but(1)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(house, closed):
    """Git's own files must not take the place of a stream."""
    before = house.said_of()
    for verb in ("status", "sync --all --dry-run", "snapshot --all"):
        found = program(["sh", "-c", f'exec "$@" {closed}', "sh", *RACCORD, *verb.split()], house.at)
        assert (found.code, found.err) == (0, b"")
    for more in ([], ["--json"]):
        found = program(["sh", "-c", f'exec "$@" {closed}', "sh", *RACCORD, "show", "none", *more], house.at)
        assert found.code == 2
    assert house.said_of() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_an_output_that_is_full(house):
    for words in (["status"], ["status", "--json"]):
        with open("/dev/full", "wb") as full:
            found = program([*RACCORD, *words], house.at, stdout=full.fileno())
        assert found.code == 6, found
        assert found.err.startswith(b"raccord: ")


def test_nobody_is_asked_where_there_is_no_terminal(house):
    (house.repo.path / "lib.py").write_text("kept\n")
    assert program([*RACCORD, "snapshot", "--all"], house.at).code == 0
    (house.repo.path / "lib.py").write_text("lost\n")
    # A terminal on none or one of the streams is nobody to ask.
    read, write = os.pipe()
    found = program([*RACCORD, "restore"], house.at, stdin=read)
    os.close(read)
    os.close(write)
    assert (found.code, found.err) == (0, b"")
    assert (house.repo.path / "lib.py").read_text() == "kept\n"


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "fr_FR.UTF-8", "LC_ALL": "fr_FR.UTF-8", "LANGUAGE": "fr"},
        pytest.param({"PYTHONIOENCODING": "ascii:strict"}, marks=pytest.mark.long),
        pytest.param({"PYTHONIOENCODING": "utf-16"}, marks=pytest.mark.long),
        pytest.param({"LANG": "none", "TZ": "Mars/Olympus", "TERM": "dumb"}, marks=pytest.mark.long),
    ],
    ids=lambda env: "-".join(env.values()).replace("/", "_"),
)
def test_languages_and_encodings(house, env):
    house.agent.commit({os.fsdecode(b"caf\xc3\xa9\xff"): "1"}, "é")
    house.agent.git("branch", "-m", "caf\xe9")
    (house.repo.path / "\u65e5\u672c").write_text("1")
    for verb in ("status", "sync --all --dry-run", "snapshot --all", "log"):
        found = program([*RACCORD, *verb.split()], house.at, env)
        assert (found.code, found.err) == (0, b""), (verb, found)
    (house.folder / "nowhere").mkdir()
    found = program([*RACCORD, "status"], house.folder / "nowhere", env)
    assert found.code == 6
    coded = "utf-16" if "utf-16" in env.values() else "ascii"
    assert "is in no git repository" in found.err.decode(coded)


def test_names_that_are_not_utf_8(house):
    env = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for more in ([], ["--json"]):
        found = program([*RACCORD, "status", *more], house.at, env)
        assert found.code == 6
        assert wrong_output(more, found) == []
        assert "not for UTF-8" in found.text
        assert "PYTHONUTF8=1" in found.text


@pytest.mark.long
@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    "columns", ["1", "100000", *(pytest.param(n, marks=pytest.mark.long) for n in ("0", "20"))]
)
def test_a_narrow_terminal(house, columns):
    for verb in ("status", "sync --all --dry-run", "log"):
        found = program([*RACCORD, *verb.split()], house.at, {"COLUMNS": columns, "LINES": "1"})
        assert (found.code, found.err) == (0, b"")
    found = program([*RACCORD, "show", "none"], house.at, {"COLUMNS": columns})
    assert (found.code, len(found.err.splitlines())) == (2, 2)


def test_modules_of_the_tree_are_not_imported(house):
    """The program's own folder comes first on Python's path, not the one that it is started in."""
    script = shutil.which("raccord")
    if script is None:
        pytest.skip("the command is not installed")
    for name in ("json", "sqlite3", "typing", "raccord", "sitecustomize", "usercustomize", "typer", "rich"):
        (house.repo.path / f"{name}.py").write_text(f"open({str(house.trap.mark)!r}, 'w')\n")
    for verb in ("status", "sync --all --dry-run", "snapshot"):
        found = program([script, *verb.split()], house.at)
        assert (found.code, found.err) == (0, b"")
    assert not house.trap.sprung()


def test_a_repository_that_is_only_named(house):
    """What follows -C is where it works, wherever it was started."""
    found = program([*RACCORD, "-C", str(house.agent.path), "status", "--json"], house.outside)
    assert found.code == 0
    assert json.loads(found.out)["top"] == str(Repo(house.agent.path).path)
