"""Revisions of branches that are gone: exactly they are taken down, once that was seen on a clone."""

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

from raccord.cli.main import main
from raccord.errors import CannotRun
from raccord.model.event import Event
from raccord.model.options import HealOptions, RollbackOptions, UpgradeOptions
from raccord.model.plan import Plan
from raccord.model.report import LaneReport, RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.alembickit import alembic
from tests.gitkit import Repo

ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine
with create_engine(URL).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
FROM_CONFIG = "context.config.get_main_option('sqlalchemy.url')"
SLOW = """\
    import os, time
    open({started!r}, "w").close()
    for _ in range(3000):
        if os.path.exists({go!r}):
            break
        time.sleep(0.01)
"""


def revision(id_: str, down: str | None, back: str = "", label: str | None = None) -> str:
    return (
        f'"""create {id_}"""\nrevision = {id_!r}\ndown_revision = {down!r}\nbranch_labels = {label!r}\n'
        "from alembic import op\n"
        f'def upgrade():\n    op.execute("create table t_{id_} (x int)")\n'
        f'def downgrade():\n{back}    op.execute("drop table t_{id_}")\n'
    )


class Shop:
    """A main worktree with two revisions, a database, and a branch that applied two more and is gone."""

    def __init__(self, path: Path, url: str = "", env: str = "") -> None:
        self.path = path
        self.database = path / "app.db"
        self.main = Repo.init(path / "main")
        url = url or f"sqlite:///{self.database}"
        ini = "[alembic]\nscript_location = migrations\n"
        ini += "" if env else f"sqlalchemy.url = {url.replace('%', '%%')}\n"
        env = env or ENV.replace("URL", FROM_CONFIG)
        files = {"backend/alembic.ini": ini, "backend/migrations/env.py": env, ".gitignore": "__pycache__/\n"}
        chain = {self.file("r1"): revision("r1", None), self.file("r2"): revision("r2", "r1")}
        self.main.commit({**files, **chain}, "start")
        alembic(self.main, "upgrade", "head")

    @staticmethod
    def file(id_: str) -> str:
        return f"backend/migrations/versions/{id_}_x.py"

    def gone(self, name: str, *ids: str, back: str = "", apply: str = "alembic") -> None:
        """A branch that applied these and was removed, branch and worktree."""
        tree = self.main.worktree(name, name)
        below = "r2"
        for id_ in ids:
            tree.commit({self.file(id_): revision(id_, below, back)})
            below = id_
        if apply == "alembic":
            alembic(tree, "upgrade", below)
        else:
            report = Workspace.open(tree.path).migration_upgrade(UpgradeOptions(to=below))
            assert isinstance(report, RunReport) and report.state == "done", report
        self.main.git("worktree", "remove", "--force", str(tree.path))
        self.main.git("branch", "-D", name)

    def rollback(self, repo: Repo | None = None, **options) -> RunReport:
        report = self.at(repo).migration_rollback(RollbackOptions(trust=True, **options))
        assert isinstance(report, RunReport)
        return report

    def at(self, repo: Repo | None = None) -> Workspace:
        return Workspace.open((repo or self.main).path)

    def plan(self, **options) -> Plan:
        plan = self.at().migration_rollback(RollbackOptions(dry_run=True, **options))
        assert isinstance(plan, Plan)
        return plan

    def query(self, statement: str) -> list:
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            return db.execute(statement).fetchall()

    def tables(self) -> set[str]:
        listed = "select name from sqlite_master where type = 'table' and name like 't!_%' escape '!'"
        return {name for (name,) in self.query(listed)}

    def heads(self) -> set[str]:
        return {name for (name,) in self.query("select version_num from alembic_version")}


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def held(report: RunReport) -> LaneReport:
    (lane,) = report.lanes
    assert lane.state == "held" and lane.finding is not None, report
    return lane


def test_exactly_what_is_gone_is_taken_down_and_comes_back(shop):
    shop.main.commit({shop.file("r3"): revision("r3", "r2")})
    alembic(shop.main, "upgrade", "head")
    shop.gone("feature", "p1", "p2", apply="raccord")
    shop.query("insert into t_p1 values (7)")
    assert shop.heads() == {"r3", "p2"}
    plan = shop.plan()
    (lane,) = plan.stages[0].lanes
    assert [step.kind for step in lane.steps] == ["database.backup", "migration.rollback"]
    assert any("removes table t_p1, table t_p2" in note.message for note in lane.notes), lane.notes
    assert shop.heads() == {"r3", "p2"} and shop.tables() == {"t_r1", "t_r2", "t_r3", "t_p1", "t_p2"}
    report = shop.rollback()
    assert report.state == "done" and shop.heads() == {"r3"}, report
    assert not any(step.counts for lane in report.lanes for step in lane.steps)
    assert shop.tables() == {"t_r1", "t_r2", "t_r3"} and shop.main.git("status", "--porcelain", "-uall") == ""
    assert shop.rollback().state == "nothing"
    undone = shop.at().undo(report.id)
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert shop.heads() == {"r3", "p2"} and shop.query("select x from t_p1") == [(7,)]
    again = shop.rollback()  # what was applied is known again
    assert again.state == "done" and shop.heads() == {"r3"}


def test_what_somebody_has_stays(shop):
    tree = shop.main.worktree("other", "other")
    tree.commit({shop.file("o3"): revision("o3", "r2")})
    (tree.path / shop.file("u4")).write_text(revision("u4", "o3"))
    alembic(tree, "upgrade", "head")
    report = shop.rollback()
    assert report.state == "nothing" and shop.heads() == {"u4"}
    shop.main.git(
        "worktree", "remove", "--force", str(tree.path)
    )  # u4 was never committed, and is nowhere now
    assert "u4" in held(shop.rollback()).finding.message  # type: ignore[union-attr]
    shop.main.git("switch", "-q", "other")
    shop.main.git("rm", "-q", shop.file("o3"))
    shop.main.git("commit", "-qm", "squashed")
    shop.query("update alembic_version set version_num = 'o3'")
    assert shop.rollback().state == "nothing" and shop.heads() == {"o3"}  # it is in the branch's history


@pytest.mark.long
def test_a_living_revision_on_a_phantom_is_told(shop):
    shop.gone("feature", "p1")
    shop.main.worktree("next", "next").commit({shop.file("n2"): revision("n2", "p1")})
    lane = held(shop.rollback())
    assert (
        lane.finding is not None and lane.finding.name == "migration.needed" and "n2" in lane.finding.message
    )
    assert shop.heads() == {"p1"}


def test_a_downgrade_that_fails_is_seen_on_the_clone(shop):
    shop.gone("feature", "p1", back="    raise ValueError('never')\n")
    lane = held(shop.rollback())
    assert lane.finding is not None and lane.finding.name == "migration.irreversible"
    assert "never" in lane.finding.message and shop.heads() == {"p1"} and "t_p1" in shop.tables()
    assert not list((shop.main.path / ".git/raccord/clones").iterdir())


def copies(repo: Repo) -> list[Path]:
    return list((repo.path / "backend/migrations/versions").glob("*p1_x.py"))


@pytest.mark.long
def test_copies_in_worktrees_go_too(shop):
    shop.gone("feature", "p1")
    other = shop.main.worktree("other", "other")
    for repo in (shop.main, other):
        healed = Workspace.open(repo.path).migration_heal(HealOptions(trust=True))
        assert isinstance(healed, RunReport) and healed.state == "done"
        assert copies(repo)
    report = shop.rollback()
    assert report.state == "done" and shop.heads() == {"r2"}, report
    assert not copies(shop.main) and not copies(other)
    undone = shop.at().undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and shop.heads() == {"p1"}
    assert copies(shop.main) and copies(other)


def test_nothing_untrusted_runs_and_nothing_unread_counts_as_gone(shop):
    shop.gone("feature", "p1")
    report = shop.at().migration_rollback(RollbackOptions())
    assert isinstance(report, RunReport)
    lane = held(report)
    assert lane.finding is not None and lane.finding.name == "migration.untrusted"
    assert "rollback-phantoms --trust" in lane.finding.hint
    other = shop.main.worktree("other", "other")
    (other.path / shop.file("broken")).write_text("revision = 'p1'\ndef upgrade(:\n")
    lane = held(shop.rollback())
    assert lane.finding is not None and lane.finding.name == "migration.unknown" and shop.heads() == {"p1"}
    (other.path / shop.file("broken")).unlink()
    shop.main.git("remote", "add", "origin", str(shop.path / "nowhere.git"))
    with pytest.raises(CannotRun):
        shop.rollback()


@pytest.mark.long
def test_what_a_colleague_pushed_anywhere_is_theirs(shop, tmp_path):
    for name in ("origin", "team"):
        subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / name)], check=True)
        shop.main.git("remote", "add", name, str(tmp_path / name))
        shop.main.git("push", "-q", name, "HEAD:refs/heads/main")
    subprocess.run(["git", "clone", "-q", "-b", "main", str(tmp_path / "team"), str(tmp_path / "theirs")])
    theirs = Repo(tmp_path / "theirs")
    theirs.commit({shop.file("p1"): revision("p1", "r2")})
    theirs.git("push", "-q", "origin", "HEAD:refs/heads/feature")
    alembic(theirs, "upgrade", "head")
    shop.main.git("config", "remote.team.fetch", "+refs/heads/main:refs/remotes/team/main")
    with pytest.raises(CannotRun) as caught:
        shop.rollback()
    assert caught.value.hint == "git remote set-branches team '*'"
    shop.main.git("remote", "set-branches", "team", "*")
    (lane,) = shop.rollback().lanes
    assert lane.notes[0].data == {"revisions": []} and shop.heads() == {"p1"}
    (shop.main.path / ".git/shallow").write_text(shop.main.git("rev-parse", "HEAD") + "\n")
    with pytest.raises(CannotRun, match="cut off"):
        shop.rollback()


@pytest.mark.long
def test_what_lies_in_a_stash_is_somebodys(shop):
    shop.main.write(shop.file("p1"), revision("p1", "r2"))
    alembic(shop.main, "upgrade", "head")
    shop.main.git("stash", "push", "-q", "-u")
    assert shop.rollback().state == "nothing" and shop.heads() == {"p1"}


@pytest.mark.long
def test_a_url_that_only_env_py_knows(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path / 'app.db'}")
    shop = Shop(tmp_path, env=ENV.replace("URL", "os.environ['SHOP_' + 'DATABASE']"))
    shop.gone("feature", "p1")
    assert shop.rollback().state == "done" and shop.heads() == {"r2"}
    undone = shop.at().undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and shop.heads() == {"p1"}


@pytest.mark.long
def test_on_the_command_line(shop, capsys):
    shop.gone("feature", "p1")
    at = ["-C", str(shop.main.path), "migrations", "rollback-phantoms"]
    assert main([*at, "--dry-run", "--trust"]) == 0
    said = capsys.readouterr().out
    assert "take down p1" in said and "removes table t_p1" in said
    assert main([*at, "backend", "--trust", "--yes"]) == 0 and shop.heads() == {"r2"}


def start(repo: Repo) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "raccord", "-C", str(repo.path), "migrations", "rollback-phantoms", "--trust"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed_half_way(shop: Shop, *, kill_all: bool) -> None:
    """Kills raccord, and perhaps its driver, while the real database's p1 is taken down."""
    started, go = shop.path / "started", shop.path / "go"
    shop.gone("feature", "p1", back=SLOW.format(started=str(started), go=str(go)))
    go.touch()  # the clone's need not wait
    raccord = start(shop.main)
    wait_for(started, raccord)
    logs = shop.main.path / ".git/raccord/logs"
    started.unlink()
    go.unlink()
    wait_for(started, raccord)
    assert list(logs.rglob("*.log"))
    (child,) = [pid for pid in os.listdir("/proc") if pid.isdigit() and parent(pid) == str(raccord.pid)]
    os.kill(raccord.pid, signal.SIGKILL)
    raccord.communicate()
    if kill_all:
        os.kill(int(child), signal.SIGKILL)
        go.touch()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.005)


def parent(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    return ""


@pytest.mark.long
def test_a_killed_raccord_waits_for_its_driver_and_finishes(shop):
    killed_half_way(shop, kill_all=False)

    def listen(event: Event) -> None:
        if event.text.startswith("waiting for process") or event.text.startswith("waiting for raccord"):
            (shop.path / "go").touch()

    ended = Workspace.open(shop.main.path, listen=listen).continue_()
    assert (shop.path / "go").exists() and ended.state == "done" and shop.heads() == {"r2"}, ended
    assert not list((shop.main.path / ".git/raccord/versions").iterdir())


@pytest.mark.long
@pytest.mark.parametrize("way", ["continue", "abort"])
def test_killed_with_its_driver_it_goes_on_or_back(shop, way):
    killed_half_way(shop, kill_all=True)
    workspace = shop.at()
    ended = workspace.continue_() if way == "continue" else workspace.abort()
    assert ended.state == ("done" if way == "continue" else "aborted"), ended
    assert shop.heads() == ({"r2"} if way == "continue" else {"p1"})
    assert ("t_p1" in shop.tables()) == (way == "abort")


@pytest.fixture(scope="module")
def pg():
    return pgkit.server()


@pytest.fixture
def pg_shop(tmp_path, pg):
    with pg.lent() as name:
        shop = Shop(tmp_path, pg.url(name, scheme="postgresql+psycopg"))
        shop.query = lambda statement: pg.run(statement, name)  # type: ignore[method-assign]
        shop.tables = lambda: {  # type: ignore[method-assign]
            row[0] for row in pg.run("select tablename from pg_tables where tablename ~ '^t_'", name)
        }
        yield shop
        shop.at().eject()  # a backup is a database of the server's, which other tests look at


@pytest.mark.long
def test_postgresql_down_and_back(pg_shop, pg):
    pg_shop.main.commit({pg_shop.file("r3"): revision("r3", "r2")})
    alembic(pg_shop.main, "upgrade", "head")
    pg_shop.gone("feature", "p1", "p2")
    report = pg_shop.rollback()
    assert report.state == "done" and pg_shop.heads() == {"r3"}, report
    assert pg_shop.tables() == {"t_r1", "t_r2", "t_r3"}
    for path in (pg_shop.main.path / ".git").rglob("*"):
        if path.is_file():
            assert pgkit.PASSWORD.encode() not in path.read_bytes(), path
    assert not pg.run("select 1 from pg_database where datname ~ '^raccord_(clone|new)'")
    undone = pg_shop.at().undo(report.id)
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert pg_shop.heads() == {"r3", "p2"} and "t_p2" in pg_shop.tables()


@pytest.mark.long
def test_postgresql_killed_it_waits_for_its_driver(pg_shop):
    test_a_killed_raccord_waits_for_its_driver_and_finishes(pg_shop)
