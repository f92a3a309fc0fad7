"""Revisions tried on clones: what a downgrade leaves behind is named, and what is shared stays as it is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import CannotRun, UsageError
from raccord.model.options import ProveOptions
from raccord.model.proof import MigrationProof, ProofReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.alembickit import alembic
from tests.gitkit import Repo

ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(URL).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
FROM_CONFIG = "context.config.get_main_option('sqlalchemy.url')"


def revision(id_: str, down: str | tuple[str, ...] | None, up: str, back: str) -> str:
    def body(text: str) -> str:
        lines = [line if line.startswith("!") else f"op.execute({line!r})" for line in text.splitlines()]
        return "".join(f"    {line.lstrip('!')}\n" for line in lines) or "    pass\n"

    return (
        f'"""do {id_}"""\nrevision = {id_!r}\ndown_revision = {down!r}\nfrom alembic import op\n'
        f"def upgrade():\n{body(up)}def downgrade():\n{body(back)}"
    )


class Shop:
    """A worktree with one revision that its database has."""

    def __init__(self, path: Path, url: str, env: str = ENV, ini: str = "") -> None:
        self.repo = Repo.init(path / "main")
        written = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url.replace('%', '%%')}\n"
        self.repo.commit(
            {
                "backend/alembic.ini": ini or written,
                "backend/migrations/env.py": env.replace("URL", FROM_CONFIG),
                ".gitignore": "__pycache__/\n",
            },
            "start",
        )
        self.add("r1", None, "create table kept (x int)", "drop table kept")

    def add(self, id_: str, down: str | tuple[str, ...] | None, up: str, back: str) -> None:
        self.repo.commit({f"backend/migrations/versions/{id_}.py": revision(id_, down, up, back)}, id_)

    def prove(self, *words: str, **options) -> ProofReport:
        return Workspace.open(self.repo.path).migration_prove(ProveOptions(words, **options))


def states(report: ProofReport) -> dict[str, str]:
    return {one.revision: one.state for one in report.proofs}


def proof(report: ProofReport, id_: str) -> MigrationProof:
    return next(one for one in report.proofs if one.revision == id_)


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path, f"sqlite:///{tmp_path / 'app.db'}")
    alembic(made.repo, "upgrade", "r1")
    return made


@pytest.fixture(scope="module")
def pg():
    return pgkit.server()


@pytest.fixture
def pg_shop(tmp_path, pg):
    with pg.lent() as name:
        made = Shop(tmp_path, pg.url(name, scheme="postgresql+psycopg"))
        alembic(made.repo, "upgrade", "r1")
        made.name = name  # type: ignore[attr-defined]
        yield made


def clones(pg) -> list[tuple]:
    return pg.run("select datname from pg_database where datname ~ '^raccord_(clone|new)'")


def everything(top: Path) -> dict[str, bytes]:
    """All files but raccord's own, with their bytes."""
    return {
        str(path): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and ".git/raccord" not in str(path)
    }


def test_what_is_pending_is_tried_and_nothing_shared_changes(shop, tmp_path):
    shop.add("r2", "r1", "create table t2 (x int)", "drop table t2")
    shop.add("r3", "r2", "create table t3 (x int)\ncreate index i3 on t3 (x)", "drop table t3")
    shop.add("r4", "r3", "insert into kept values (1)", "delete from kept")
    before = everything(tmp_path)
    report = shop.prove()
    assert states(report) == {"r2": "pass", "r3": "pass", "r4": "pass"} and report.passed
    assert report.next_command == "raccord migrations upgrade"
    assert "changes no schema" in proof(report, "r4").reason
    assert everything(tmp_path) == before
    assert not list((shop.repo.path / ".git/raccord/clones").iterdir())
    assert states(shop.prove("r2")) == {"r2": "pass"}
    assert states(shop.prove(to="r3")) == {"r2": "pass", "r3": "pass"}


def test_what_can_not_be_taken_back_is_told(shop):
    shop.add("idle", "r1", "create table idle (x int)", "")
    shop.add("raises", "idle", "create table raising (x int)", "!raise NotImplementedError('never back')")
    shop.add("half", "raises", "create table a (x int)\ncreate table b (x int)", "drop table b")
    shop.add("fails", "half", "create table c (x int)\ncreate table kept (x int)", "drop table c")
    shop.add("after", "fails", "create table d (x int)", "drop table d")
    shop.add("beside", "half", "create table e (x int)", "drop table e")
    report = shop.prove()
    assert states(report) == {
        "idle": "irreversible",
        "raises": "irreversible",
        "half": "irreversible",
        "fails": "failed",
        "after": "unreached",
        "beside": "pass",
    }
    assert "does nothing" in proof(report, "idle").reason
    assert "never back" in proof(report, "raises").reason and proof(report, "raises").trace
    assert proof(report, "half").left[0].startswith("column a.x is new")
    assert "already exists" in proof(report, "fails").reason


@pytest.mark.long
def test_what_is_applied_already_is_taken_down_first(shop):
    shop.repo.git("switch", "-qc", "feature")
    shop.add("r2", "r1", "create table t2 (x int)", "drop table t2")
    shop.add("r3", "r2", "create table t3 (x int)", "")
    alembic(shop.repo, "upgrade", "head")
    report = shop.prove()
    assert states(report) == {"r2": "pass", "r3": "irreversible"}
    assert "its downgrade does nothing" in proof(report, "r3").reason
    assert states(shop.prove(fresh=True)) == {"r2": "pass", "r3": "irreversible"}
    assert shop.prove("r2").next_command == ""


@pytest.mark.long
def test_merges_and_branches(shop):
    for id_, down in (("a2", "r1"), ("b2", "r1"), ("m3", ("a2", "b2")), ("c4", "m3")):
        shop.add(id_, down, f"create table t_{id_} (x int)", f"drop table t_{id_}")
    assert states(shop.prove()) == dict.fromkeys(("a2", "b2", "m3", "c4"), "pass")
    alembic(shop.repo, "upgrade", "heads")
    assert states(shop.prove("a2", "c4")) == dict.fromkeys(("a2", "c4"), "pass")


@pytest.mark.long
def test_no_database_yet(tmp_path):
    shop = Shop(tmp_path, f"sqlite:///{tmp_path / 'app.db'}")
    report = shop.prove()
    assert states(report) == {"r1": "pass"} and report.fresh and not (tmp_path / "app.db").exists()


@pytest.mark.long
def test_a_url_that_only_env_py_knows(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path / 'app.db'}")
    env = "import os\n" + ENV.replace("URL", "os.environ['SHOP_' + 'DATABASE']")
    shop = Shop(tmp_path, "", env, "[alembic]\nscript_location = migrations\n")
    alembic(shop.repo, "upgrade", "r1")
    shop.add("r2", "r1", "create table t2 (x int)", "drop table t2")
    assert states(shop.prove()) == {"r2": "pass"}


def test_an_environment_that_goes_elsewhere_is_refused(tmp_path):
    hidden = ENV.replace("create_engine(URL)", "globals()['create_' + 'engine']('sqlite:///else.db')")
    env = (
        "from alembic import context\nfrom sqlalchemy import engine_from_config\n"
        f"engine_from_config(context.config.get_section('alembic', {{}}))\n{hidden}"
    )
    shop = Shop(tmp_path, f"sqlite:///{tmp_path / 'app.db'}", env)
    with pytest.raises(CannotRun, match=r"else\.db"):
        shop.prove()
    assert not (shop.repo.path / "backend/else.db").exists()


def test_it_refuses_what_makes_no_sense(shop):
    with pytest.raises(UsageError, match="no revision or branch"):
        shop.prove("nowhere")
    with pytest.raises(UsageError, match="together"):
        shop.prove("r1", to="r1")
    assert shop.prove("backend").proofs == ()
    shop.add("r3", "lost", "", "")
    with pytest.raises(CannotRun, match="lost is missing"):
        shop.prove()


@pytest.mark.long
def test_on_the_command_line(shop, capsys):
    shop.add("r2", "r1", "create table t2 (x int)", "")
    at = ["-C", str(shop.repo.path), "migrations", "prove"]
    assert main([*at, "backend"]) == 1
    said = capsys.readouterr().out
    assert "not reversible" in said and "table t2 is new" in said
    assert main([*at, "r2", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "proof" and document["proofs"][0]["state"] == "irreversible"
    assert main([*at, "r1"]) == 0


@pytest.mark.long
def test_several_databases_of_one_environment(tmp_path):
    urls = {name: f"sqlite:///{tmp_path / name}.db" for name in ("eins", "zwei")}
    ini = "[alembic]\nscript_location = migrations\ndatabases = eins, zwei\n"
    ini += "".join(f"[{name}]\nsqlalchemy.url = {url}\n" for name, url in urls.items())
    env = (
        "from alembic import context\nfrom sqlalchemy import engine_from_config\n"
        "for name in ('eins', 'zwei'):\n"
        "    engine = engine_from_config(context.config.get_section(name, {}), prefix='sqlalchemy.')\n"
        "    with engine.connect() as connection:\n"
        "        context.configure(connection=connection)\n"
        "        with context.begin_transaction():\n"
        "            context.run_migrations(engine_name=name)\n"
    )
    shop = Shop(tmp_path, "", env, ini)
    versions = shop.repo.path / "backend/migrations/versions"
    (versions / "r1.py").write_text(
        revision("r1", None, "create table t (x int)", "!pass")
        .replace("upgrade()", "upgrade(engine_name)")
        .replace("downgrade()", "downgrade(engine_name)")
        .replace("    pass", "    if engine_name == 'eins': op.execute('drop table t')")
    )
    report = shop.prove()
    assert states(report) == {"r1": "irreversible"} and report.proofs[0].left[0].startswith("zwei: ")


@pytest.mark.long
def test_a_leftover_enum_on_postgresql(pg_shop, pg):
    pg_shop.add("enum", "r1", "create type color as enum ('red')\ncreate table t (c color)", "drop table t")
    pg_shop.add("fine", "enum", "create type shape as enum ('round')", "drop type shape")
    report = pg_shop.prove()
    assert states(report) == {"enum": "irreversible", "fine": "pass"}
    assert proof(report, "enum").left == ("enum public.color is new: 'red'",)
    assert "leaves enum public.color behind" in proof(report, "enum").reason
    assert pg.run("select count(*) from pg_type where typname in ('color', 'shape')", pg_shop.name) == [(0,)]
    assert not clones(pg)
    assert states(pg_shop.prove("enum", fresh=True)) == {"enum": "irreversible"} and not clones(pg)


@pytest.mark.long
def test_concurrent_indexes_and_cycles_of_objects_on_postgresql(pg_shop, pg):
    block = "!with op.get_context().autocommit_block():"
    pg_shop.add(
        "index",
        "r1",
        f"{block}\n!    op.execute('create index concurrently i on kept (x)')",
        f"{block}\n!    op.execute('drop index concurrently i')",
    )
    pg_shop.add(
        "more",
        "index",
        "create sequence s\ncreate function f() returns int language sql as 'select 1'\n"
        "create domain d as int check (value > 0)\nalter table kept add constraint c check (x > 0)",
        "alter table kept drop constraint c\ndrop domain d\ndrop function f()",
    )
    report = pg_shop.prove()
    assert states(report) == {"index": "pass", "more": "irreversible"}, report
    assert [line.partition(" is new")[0] for line in proof(report, "more").left] == ["sequence public.s"]
    with pg.connect(pg_shop.name) as somebody:  # then it is dumped, or it says who is in the way
        somebody.execute("begin; select * from kept")
        with contextlib.suppress(CannotRun):
            assert states(pg_shop.prove("index")) == {"index": "pass"}
    assert not clones(pg)


@pytest.mark.long
def test_killed_its_clones_are_dropped_by_the_next(pg_shop, pg, tmp_path):
    started = tmp_path / "started"
    pg_shop.add("slow", "r1", f"!import time\n!open({str(started)!r}, 'w').close()\n!time.sleep(1.5)", "")
    raccord = subprocess.Popen(
        [sys.executable, "-m", "raccord", "-C", str(pg_shop.repo.path), "migrations", "prove"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(raccord.pid, signal.SIGKILL)
    raccord.communicate()
    assert len(clones(pg)) == 1
    assert pg_shop.prove("r1").notes == ()  # its child is at work still
    assert len(clones(pg)) == 1
    folder = pg_shop.repo.path / ".git/raccord/clones"
    notes: list[str] = []
    while not notes:
        assert time.monotonic() < until
        time.sleep(0.1)
        notes = [one.message for one in pg_shop.prove("r1").notes]
    assert "when it was killed" in notes[0] and not clones(pg) and not list(folder.iterdir())


def test_passwords_are_nowhere(pg_shop, tmp_path):
    pg_shop.add("r2", "r1", "!raise ValueError(str(op.get_bind().engine.url.password))", "")
    report = pg_shop.prove()
    assert states(report) == {"r2": "failed"} and pgkit.PASSWORD not in str(report)


@pytest.mark.long
def test_a_sqlite_file_with_a_log_and_many_rows(shop, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("insert into kept values (1)")
        db.commit()
        shop.add("r2", "r1", "create table t2 (x int)", "drop table t2")
        assert states(shop.prove()) == {"r2": "pass"}
