"""Databases upgraded by the project's own alembic: healed first, backed up, once for all, and undone."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raccord.errors import CannotRun, UsageError
from raccord.model.event import Event
from raccord.model.options import UpgradeOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.gitkit import Repo

ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
SLOW = """\
    import os, time
    open({started!r}, "w").close()
    for _ in range(3000):
        if os.path.exists({go!r}):
            break
        time.sleep(0.01)
"""


def revision(id_: str, down: str | None, body: str = "", after: str = "") -> str:
    below = f'"{down}"' if down else None
    return (
        f'"""create {id_}"""\nrevision = "{id_}"\ndown_revision = {below}\nfrom alembic import op\n'
        f'def upgrade():\n{body}    op.execute("create table t_{id_} (x int)")\n{after}'
        f'def downgrade():\n    op.execute("drop table t_{id_}")\n'
    )


class Shop:
    """A main worktree with two revisions, others beside it, and one database for all."""

    def __init__(self, path: Path, url: str = "") -> None:
        self.path = path
        self.database = path / "app.db"
        self.main = Repo.init(path / "main")
        url = url or f"sqlite:///{self.database}"
        ini = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url.replace('%', '%%')}\n"
        files = {"backend/alembic.ini": ini, "backend/migrations/env.py": ENV, ".gitignore": "__pycache__/\n"}
        chain = {self.file("r1"): revision("r1", None), self.file("r2"): revision("r2", "r1")}
        self.main.commit({**files, **chain}, "start")

    @staticmethod
    def file(id_: str) -> str:
        return f"backend/migrations/versions/{id_}_x.py"

    def at(self, repo: Repo) -> Workspace:
        return Workspace.open(repo.path)

    def upgrade(self, repo: Repo, **options) -> RunReport:
        report = self.at(repo).migration_upgrade(UpgradeOptions(**options))
        assert isinstance(report, RunReport)
        return report

    def query(self, statement: str) -> list:
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            return db.execute(statement).fetchall()

    def tables(self) -> set[str]:
        return {name for (name,) in self.query("select name from sqlite_master where type = 'table'")}

    def heads(self) -> set[str]:
        return {name for (name,) in self.query("select version_num from alembic_version")}


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def states(report: RunReport) -> list[str]:
    return [lane.state for lane in report.lanes]


def start(repo: Repo, *words: str) -> subprocess.Popen[str]:
    """raccord as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "raccord", "-C", str(repo.path), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)


def test_up_and_back_and_up_again(shop):
    shop.query("create table mine (x)")
    shop.query("insert into mine values (7)")
    plan = shop.at(shop.main).migration_upgrade(UpgradeOptions(dry_run=True))
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps()] == ["database.backup", "migration.upgrade"]
    assert "alembic upgrade r2" in plan.stages[0].lanes[0].notes[0].message
    assert not (shop.main.path / ".git/raccord").exists() and shop.tables() == {"mine"}
    report = shop.upgrade(shop.main)
    assert (report.state, shop.heads()) == ("done", {"r2"}), report
    assert shop.upgrade(shop.main).state == "nothing"
    shop.query("insert into mine values (8)")
    undone = shop.at(shop.main).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert shop.tables() == {"mine"} and shop.query("select x from mine") == [(7,)]
    again = shop.at(shop.main).undo(undone.id)
    assert isinstance(again, RunReport) and again.state == "done", again
    assert shop.heads() == {"r2"} and shop.query("select x from mine") == [(7,), (8,)]


def test_a_database_that_is_not_there_yet(shop):
    assert shop.upgrade(shop.main, to="r1").state == "done"
    assert shop.heads() == {"r1"}
    undone = shop.at(shop.main).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert not shop.database.exists() and (shop.path / "app.db.undone").is_file()


@pytest.mark.long
def test_what_is_written_while_an_undo_is_at_it_is_kept(shop):
    shop.upgrade(shop.main, to="r1")
    shop.upgrade(shop.main)

    def listen(event: Event) -> None:
        if event.what == "step" and event.text.startswith("bring"):
            shop.query("insert into t_r1 values (7)")

    undone = Workspace.open(shop.main.path, listen=listen).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and shop.heads() == {"r1"}, undone
    assert shop.query("select x from t_r1") == []
    note = undone.lanes[0].steps[-1].note
    assert "was written to since its backup" in note
    late = next(path for path in (shop.main.path / ".git/raccord/backups").glob("*-late-*.sqlite"))
    assert late.stem in note
    with contextlib.closing(sqlite3.connect(late)) as db:
        assert db.execute("select x from t_r1").fetchall() == [(7,)]


def test_an_undo_leaves_a_database_that_went_on(shop):
    first = shop.upgrade(shop.main, to="r1")
    shop.upgrade(shop.main)
    undone = shop.at(shop.main).undo(first.id)
    assert isinstance(undone, RunReport) and states(undone) == ["held"]
    assert shop.heads() == {"r2"}


def test_what_is_missing_is_put_back_first(shop):
    one, other = shop.main.worktree("one", "one"), shop.main.worktree("other", "other")
    one.commit({shop.file("r3"): revision("r3", "r2")})
    shop.upgrade(one)
    other.commit({shop.file("o3"): revision("o3", "r2")})
    report = shop.upgrade(other)
    assert report.state == "done" and shop.heads() == {"r3", "o3"}, report
    assert (other.path / shop.file("r3")).is_file()
    assert other.git("status", "--porcelain") == ""
    applied = shop.at(other)._room.repo.git.out("cat-file", "blob", "refs/raccord/migrations:meta.json")
    assert b"o3" in applied.partition(b'"applied"')[2]


@pytest.mark.long
def test_all_is_one_upgrade_to_what_the_base_has(shop):
    trees = [shop.main.worktree(name, name) for name in ("a", "b")]
    trees[0].commit({shop.file("a3"): revision("a3", "r2")})
    report = shop.upgrade(trees[0], all=True)
    assert states(report) == ["done"] and shop.heads() == {"r2"}
    assert shop.upgrade(trees[1], all=True).state == "nothing"
    assert shop.upgrade(trees[0]).state == "done" and shop.heads() == {"a3"}


def test_a_migration_that_fails_leaves_all_as_it_was_or_stops(shop):
    shop.main.commit({shop.file("r3"): revision("r3", "r2", "    raise SystemExit('no such luck')\n")})
    shop.upgrade(shop.main, to="r2")
    (lane,) = shop.upgrade(shop.main).lanes
    assert lane.state == "held" and lane.finding is not None
    assert lane.finding.name == "migration.failed" and "no such luck" in lane.finding.message
    # SQLite takes no table back: what is left stands there until somebody decides.
    shop.main.commit({shop.file("r3"): revision("r3", "r2", after="    raise ValueError('half')\n")})
    report = shop.upgrade(shop.main)
    (lane,) = report.lanes
    assert lane.state == "stopped" and lane.finding is not None and lane.finding.name == "migration.half"
    assert "ValueError: half" in lane.finding.message and "t_r3" in shop.tables()
    (blocked,) = shop.upgrade(shop.main).lanes
    assert blocked.finding is not None and blocked.finding.name == "unfinished"
    assert shop.at(shop.main).abort().state == "aborted"
    assert shop.heads() == {"r2"} and "t_r3" not in shop.tables()


@pytest.mark.long
def test_an_environment_that_upgrades_another_database_is_told(shop):
    other = f"sqlite:///{shop.path / 'else.db'}"
    hidden = ENV.replace('context.config.get_main_option("sqlalchemy.url")', "URL")
    lines = f"URL = context.config.get_main_option('sqlalchemy.url')\nglobals().update(URL={other!r})\n"
    shop.main.commit({"backend/migrations/env.py": hidden.replace("with", lines + "with", 1)})
    (lane,) = shop.upgrade(shop.main).lanes
    assert lane.state == "held" and lane.finding is not None and lane.finding.name == "migration.elsewhere", (
        lane
    )


def test_what_can_not_be_run_or_read_is_said(shop, monkeypatch):
    shop.upgrade(shop.main, to="r1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (lane,) = shop.upgrade(shop.main).lanes
    assert lane.finding is not None and lane.finding.name == "migration.runner"
    with pytest.raises(UsageError, match="no revision or branch"):
        shop.upgrade(shop.main, to="nowhere")
    shop.main.commit({"backend/migrations/env.py": "import os\nfrom alembic import context\n"
                      "context.configure(url=os.environ['URL'])\n"})  # fmt: skip
    (lane,) = shop.upgrade(shop.main).lanes
    assert lane.finding is not None and lane.finding.name == "migration.unread" and lane.finding.hint
    with pytest.raises(CannotRun):
        Workspace.open(Repo.init(shop.path / "empty").path).migration_upgrade()


def test_the_projects_own_python_is_preferred(shop):
    environment = shop.main.path / ".venv"
    (environment / "lib/python3/site-packages/alembic").mkdir(parents=True)
    (environment / "lib/python3/site-packages/alembic/__init__.py").touch()
    (environment / "bin").mkdir()
    python = environment / "bin/python"
    python.write_text(f'#!/bin/sh\ntouch {shop.path}/ran\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shop.main.git("config", "core.excludesFile", "/dev/null")
    assert shop.upgrade(shop.main, to="r1").state == "done" and (shop.path / "ran").exists()


@pytest.mark.long
def test_several_databases_of_one_environment(shop):
    urls = {name: f"sqlite:///{shop.path / name}.db" for name in ("eins", "zwei")}
    ini = "[alembic]\nscript_location = migrations\ndatabases = eins, zwei\n"
    ini += "".join(f"[{name}]\nsqlalchemy.url = {url}\n" for name, url in urls.items())
    env = (
        "from alembic import context\nfrom sqlalchemy import engine_from_config\n"
        "for name in ('eins', 'zwei'):\n"
        "    engine = engine_from_config(context.config.get_section(name, {}), prefix='sqlalchemy.')\n"
        "    with engine.connect() as connection:\n"
        "        context.configure(connection=connection)\n"
        "        with context.begin_transaction():\n"
        "            context.run_migrations()\n"
    )
    shop.main.commit({"backend/alembic.ini": ini, "backend/migrations/env.py": env})
    shop.database = shop.path / "zwei.db"
    shop.query("create table mine (x)")
    report = shop.upgrade(shop.main)
    assert report.state == "done", report
    for name in urls:
        shop.database = shop.path / f"{name}.db"
        assert shop.heads() == {"r2"}
    undone = shop.at(shop.main).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    shop.database = shop.path / "zwei.db"
    assert shop.tables() == {"mine"} and not (shop.path / "eins.db").exists()


def many_at_once(shop: Shop, number: int) -> list[str]:
    trees = [shop.main, *(shop.main.worktree(f"w{n}", f"w{n}") for n in range(3))]
    started = [start(trees[n % 4], "--json", "migrations", "upgrade") for n in range(number)]
    ended = [one.communicate(timeout=200)[0] for one in started]
    assert [one.returncode for one in started] == [0] * number, ended
    return [
        "applied" if '"state": "done"' in said or '"state":"done"' in said else "nothing" for said in ended
    ]


def test_many_at_once_apply_it_once(shop):
    assert sorted(many_at_once(shop, 4)) == ["applied", "nothing", "nothing", "nothing"]
    assert shop.heads() == {"r2"} and len(list((shop.main.path / ".git/raccord/backups").glob("*.json"))) == 1


@pytest.mark.long
def test_twenty_at_once_apply_it_once(shop):
    assert sorted(many_at_once(shop, 20)) == ["applied"] + ["nothing"] * 19
    assert shop.heads() == {"r2"}


def killed_half_way(shop: Shop, kill_all: bool, *, made: bool = False) -> None:
    """Kills raccord, and perhaps its alembic, in the middle of r3, before or after its table was made."""
    started, go = shop.path / "started", shop.path / "go"
    body = SLOW.format(started=str(started), go=str(go))
    text = revision("r3", "r2", after=body) if made else revision("r3", "r2", body)
    shop.main.commit({shop.file("r3"): text})
    raccord = start(shop.main, "migrations", "upgrade", "--to", "r3")
    wait_for(started)
    child = next(
        pid
        for pid in os.listdir("/proc")
        if pid.isdigit() and str(raccord.pid) in _parents(pid) and "upgrade" in _command(pid)
    )
    os.kill(raccord.pid, signal.SIGKILL)
    raccord.communicate()
    if kill_all:
        os.kill(int(child), signal.SIGKILL)
        go.touch()


def go_on(shop: Shop) -> RunReport:
    """Continues, and lets alembic go on only once it is waited for."""
    said: list[str] = []

    def listen(event: Event) -> None:
        said.append(event.text)
        if event.text.startswith("waiting for process") or event.text.startswith("waiting for raccord"):
            (shop.path / "go").touch()

    ended = Workspace.open(shop.main.path, listen=listen).continue_()
    assert (shop.path / "go").exists(), said
    return ended


def _parents(pid: str) -> list[str]:
    with contextlib.suppress(OSError):
        return [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]]
    return []


def _command(pid: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def test_a_killed_raccord_waits_for_its_alembic_and_finishes(shop):
    shop.upgrade(shop.main)
    killed_half_way(shop, kill_all=False)
    ended = go_on(shop)
    assert ended.state == "done" and shop.heads() == {"r3"}, ended


@pytest.mark.long
def test_killed_with_its_alembic_it_applies_again(shop):
    shop.upgrade(shop.main)
    killed_half_way(shop, kill_all=True)
    ended = shop.at(shop.main).continue_()
    assert ended.state == "done" and shop.heads() == {"r3"}, ended


@pytest.mark.long
def test_what_a_killed_alembic_left_is_taken_away_first(shop):
    shop.query("create table mine (x)")
    shop.upgrade(shop.main)
    killed_half_way(shop, kill_all=True, made=True)
    assert shop.heads() == {"r2"} and "t_r3" in shop.tables()
    ended = shop.at(shop.main).continue_()
    assert ended.state == "done" and shop.heads() == {"r3"}, ended
    backups = [path.name for path in (shop.main.path / ".git/raccord/backups").glob("*.json")]
    assert sum("-cut-off-" in name for name in backups) == 1
    undone = shop.at(shop.main).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and "t_r3" not in shop.tables()


@pytest.mark.long
def test_rows_that_somebody_wrote_since_are_not_taken_away_with_it(shop):
    shop.query("create table mine (x)")
    shop.upgrade(shop.main)
    killed_half_way(shop, kill_all=True, made=True)
    shop.query("insert into mine values (7)")
    (lane, *_) = shop.at(shop.main).continue_().lanes
    assert lane.state == "stopped" and lane.finding is not None and lane.finding.name == "migration.half"
    assert shop.query("select x from mine") == [(7,)]
    assert shop.at(shop.main).abort().state == "aborted" and "t_r3" not in shop.tables()


@pytest.mark.long
def test_interrupted_it_goes_on_or_back(shop):
    shop.upgrade(shop.main)
    started, go = shop.path / "started", shop.path / "go"
    shop.main.commit({shop.file("r3"): revision("r3", "r2", SLOW.format(started=str(started), go=str(go)))})
    raccord = start(shop.main, "migrations", "upgrade")
    wait_for(started)
    raccord.send_signal(signal.SIGINT)
    said, _ = raccord.communicate(timeout=30)
    assert raccord.returncode == 130 and shop.heads() == {"r2"}, said
    go.touch()
    assert shop.at(shop.main).continue_().state == "done" and shop.heads() == {"r3"}


@pytest.mark.long
def test_what_an_interrupted_alembic_left_is_taken_away_first(shop):
    shop.upgrade(shop.main)
    started, go = shop.path / "started", shop.path / "go"
    slow = SLOW.format(started=str(started), go=str(go))
    shop.main.commit({shop.file("r3"): revision("r3", "r2", after=slow)})
    raccord = start(shop.main, "migrations", "upgrade")
    wait_for(started)
    raccord.send_signal(signal.SIGINT)
    raccord.communicate(timeout=30)
    assert shop.heads() == {"r2"} and "t_r3" in shop.tables()
    go.touch()
    ended = shop.at(shop.main).continue_()
    assert ended.state == "done" and shop.heads() == {"r3"}, ended


@pytest.fixture(scope="module")
def pg():
    return pgkit.server()


@pytest.fixture
def pg_shop(tmp_path, pg):
    with pg.lent() as name:
        shop = Shop(tmp_path, pg.url(name, scheme="postgresql+psycopg"))
        shop.ask = lambda statement: pg.run(statement, name)  # type: ignore[attr-defined]
        shop.heads = lambda: {row[0] for row in shop.ask("select version_num from alembic_version")}  # type: ignore[attr-defined, method-assign]
        yield shop


def test_postgresql_up_and_back(pg_shop):
    report = pg_shop.upgrade(pg_shop.main)
    assert report.state == "done" and pg_shop.heads() == {"r2"}, report
    for path in (pg_shop.main.path / ".git").rglob("*"):
        if path.is_file():
            assert pgkit.PASSWORD.encode() not in path.read_bytes(), path
    pg_shop.main.commit({pg_shop.file("r3"): revision("r3", "r2", after="    raise ValueError('half')\n")})
    (lane,) = pg_shop.upgrade(pg_shop.main).lanes
    assert lane.state == "held" and pg_shop.heads() == {"r2"}
    undone = pg_shop.at(pg_shop.main).undo(report.id)
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert pg_shop.ask("select count(*) from pg_tables where tablename like 't_r%'") == [(0,)]
    copies = "select count(*) from pg_database where datname like 'raccord_backup_%'"
    assert pg_shop.ask(copies) != [(0,)]
    pg_shop.at(pg_shop.main).eject()
    assert pg_shop.ask(copies) == [(0,)]


@pytest.mark.long
def test_postgresql_killed_it_waits_for_its_alembic(pg_shop):
    pg_shop.upgrade(pg_shop.main)
    killed_half_way(pg_shop, kill_all=False)
    ended = go_on(pg_shop)
    assert ended.state == "done" and pg_shop.heads() == {"r3"}, ended


@pytest.mark.long
def test_postgresql_twenty_at_once(pg_shop):
    assert sorted(many_at_once(pg_shop, 20)) == ["applied"] + ["nothing"] * 19
    assert pg_shop.heads() == {"r2"}
