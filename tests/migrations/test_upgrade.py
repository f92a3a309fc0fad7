"""What an upgrade applies, where a database stands in between, and what runs alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.errors import UsageError
from raccord.migrations.graph import Graph
from raccord.migrations.project import Database, Project
from raccord.migrations.revision import Revision
from raccord.migrations.runner import misread, runner, words
from raccord.migrations.upgrade import decide, position
from raccord.model.handler import Position


def one(id_: str, *down: str, needs: tuple[str, ...] = ()) -> Revision:
    return Revision(id_, down, needs, (), f"{id_}.py", id_, "", "")


# r1 - r2 - r3 - m    and d, on its own, which needs r2
#    \\- b2 -----/
GRAPH = Graph(
    [
        one("r1"),
        one("r2", "r1"),
        one("r3", "r2"),
        one("b2", "r1"),
        one("m", "r3", "b2"),
        one("d", needs=("r2",)),
    ]
)


@pytest.mark.parametrize(
    ("heads", "to", "pending", "targets", "after"),
    [
        ((), "", {"r1", "r2", "r3", "b2", "m", "d"}, {"m", "d"}, {"m", "d"}),
        (("r2",), "m", {"r3", "b2", "m"}, {"m"}, {"m"}),
        (("b2",), "r3", {"r2", "r3"}, {"r3"}, {"r3", "b2"}),
        (("r2",), "d", {"d"}, {"d"}, {"d"}),
        (("r3",), "r2", set(), set(), {"r3"}),
        (("m", "d"), "", set(), set(), {"m", "d"}),
        (("r2",), "+1", {"r3"}, {"r3"}, {"r3"}),
    ],
)
def test_what_is_applied(heads, to, pending, targets, after):
    found = decide(GRAPH, heads, to)
    assert ({*found.pending}, {*found.targets}, found.after) == (pending, targets, after)
    seen = GRAPH.ancestors(heads)
    for rev in found.pending:
        assert {*GRAPH.needs(rev)} <= seen, "parents come first"
        seen.add(rev)


def test_a_word_for_several_is_refused():
    with pytest.raises(UsageError, match="several"):
        decide(GRAPH, (), "head")


@pytest.mark.parametrize(
    ("now", "stands"),
    [
        ({"r1"}, Position.BEFORE),
        ({"r3"}, Position.AFTER),
        ({"r2"}, Position.BETWEEN),
        ({"m"}, Position.AFTER),
        ({"b2"}, Position.NEITHER),
        (set(), Position.NEITHER),
        ({"foreign"}, Position.NEITHER),
    ],
)
def test_where_a_database_stands(now, stands):
    assert position(now, {"r1"}, {"r3"}, ("r2", "r3"), GRAPH) is stands


def test_without_files_only_what_was_planned_is_known():
    for now, stands in (({"r1"}, Position.BEFORE), ({"r3"}, Position.AFTER), ({"r2"}, Position.NEITHER)):
        assert position(now, {"r1"}, {"r3"}, ("r2", "r3"), Graph()) is stands


def environment(folder: Path, *, alembic: bool) -> str:
    python = folder / "bin/python"
    for file in (
        python,
        folder / "lib/python3.11/site-packages" / ("alembic" if alembic else "x") / "__init__.py",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return str(python)


def test_what_runs_alembic(tmp_path, monkeypatch):
    backend = tmp_path / "backend"
    backend.mkdir()
    database = Database("alembic", "", backend, (backend,))
    project = Project(tmp_path, backend, backend / "alembic.ini", (database,))
    monkeypatch.setenv("PATH", "relative:/nowhere")
    assert runner(project, None) == ()
    environment(backend / ".venv", alembic=False)
    top = environment(tmp_path / "venv", alembic=True)
    assert runner(project, None) == (top, "-m", "alembic"), "one without alembic is passed by"
    own = environment(backend / ".venv", alembic=True)
    assert words(runner(project, None), database, "r1") == (own, "-m", "alembic", "upgrade", "r1")
    assert runner(project, ("uv", "run", "alembic")) == ("uv", "run", "alembic")
    assert runner(project, ("bin/alembic",)) == (str(backend / "bin/alembic"),)


@pytest.mark.parametrize(
    "id_", ["", "-x", "--sql", "a@b", "a:b", "a+1", "+1", "ab-1", "2026-01-05_x", "heads"]
)
def test_ids_that_a_command_line_takes_for_something_else(id_):
    assert misread(id_)


@pytest.mark.parametrize("id_", ["a1b2", "1", "add_users", "add-users", "é"])
def test_ids_that_it_takes_as_they_are(id_):
    assert not misread(id_)
