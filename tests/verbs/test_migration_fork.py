"""A database for a worktree: cloned, pointed at, told of, and dropped with its worktree."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from raccord.errors import UsageError
from raccord.model.options import (
    ForkOptions,
    HealOptions,
    SyncOptions,
    UpgradeOptions,
)
from raccord.model.plan import Lane, Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.gitkit import Repo

ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine
from dotenv import load_dotenv
load_dotenv()
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
# As python-dotenv does it, as far as this needs it.
DOTENV = """\
import os
def load_dotenv():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, ".env")) as file:
        for line in file:
            key, _, value = line.partition("=")
            if not line.startswith("#"):
                os.environ.setdefault(key.removeprefix("export "), value.strip().strip("\\"'"))
"""
INI = "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n"
SECRETS = b"# mine\r\nexport OTHER=1\nDATABASE_URL='%s'\nLAST=x"


def revision(id_: str, down: str | None) -> str:
    below = f'"{down}"' if down else None
    return (
        f'"""create {id_}"""\nrevision = "{id_}"\ndown_revision = {below}\nfrom alembic import op\n'
        f'def upgrade():\n    op.execute("create table t_{id_} (x int)")\n'
        f'def downgrade():\n    op.execute("drop table t_{id_}")\n'
    )


def file(id_: str) -> str:
    return f"backend/migrations/versions/{id_}_x.py"


class Shop:
    """A main worktree with two revisions, and one database for all, which an ignored `.env` names."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.main = Repo.init(path / "main")
        files = {
            "backend/alembic.ini": INI,
            "backend/migrations/env.py": ENV,
            "backend/dotenv.py": DOTENV,
            ".gitignore": "__pycache__/\n.env\n",
        }
        self.main.commit({**files, file("r1"): revision("r1", None), file("r2"): revision("r2", "r1")})
        self.env(self.main)

    def env(self, repo: Repo) -> Path:
        path = repo.path / "backend/.env"
        path.write_bytes(SECRETS % self.url.encode())
        path.chmod(0o600)
        return path

    def tree(self, name: str, branch: str = "") -> Repo:
        repo = self.main.worktree(name, branch or name)
        self.env(repo)
        return repo

    def at(self, repo: Repo) -> Workspace:
        return Workspace.open(repo.path)

    def fork(self, repo: Repo, **options) -> RunReport:
        report = self.at(repo).migration_fork(ForkOptions(**options))
        assert isinstance(report, RunReport)
        return report

    def plan(self, repo: Repo, **options) -> Lane:
        plan = self.at(repo).migration_fork(ForkOptions(dry_run=True, **options))
        assert isinstance(plan, Plan)
        (stage,) = plan.stages
        (lane,) = stage.lanes
        return lane

    def upgrade(self, repo: Repo, **options) -> None:
        report = self.at(repo).migration_upgrade(UpgradeOptions(**options))
        assert isinstance(report, RunReport) and report.state == "done", report

    def gc(self):
        return self.at(self.main).gc()

    def told(self, repo: Repo):
        sites = self.at(self.main).migration_status().sites
        return next(one for one in sites if one.worktree == str(repo.path))


class Lite(Shop):
    """The database is a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.database = path / "app.db"
        super().__init__(path, f"sqlite:///{self.database}")

    def heads(self, path: Path | str = "") -> set[str]:
        return {one for (one,) in self.query("select version_num from alembic_version", path)}

    def query(self, statement: str, path: Path | str = "") -> list:
        with contextlib.closing(sqlite3.connect(path or self.database)) as db, db:
            return db.execute(statement).fetchall()

    def forks(self) -> list[str]:
        return sorted(map(str, (self.main.path / ".git/raccord-forks").glob("*.db")))


@pytest.fixture
def lite(tmp_path):
    shop = Lite(tmp_path)
    shop.upgrade(shop.main, to="r1")
    shop.database.chmod(0o640)
    shop.query("create table mine (x)")
    shop.query("insert into mine values (7)")
    return shop


def test_a_fork_is_made_used_told_of_and_dropped(lite):
    one = lite.tree("one")
    before = (one.path / "backend/.env").read_bytes()
    lane = lite.plan(one)
    assert [step.kind for step in lane.steps] == ["database.fork", "worktree.point"] and lite.forks() == []
    report = lite.fork(one)
    assert report.state == "done", report
    (fork,) = lite.forks()
    assert os.stat(fork).st_mode & 0o777 == 0o640
    after = (one.path / "backend/.env").read_bytes()
    assert after == before.replace(os.fsencode(lite.database), os.fsencode(fork))
    assert (one.path / "backend/.env").stat().st_mode & 0o777 == 0o600
    assert one.git("status", "--porcelain") == ""
    lite.upgrade(one)
    assert (lite.heads(fork), lite.heads()) == ({"r2"}, {"r1"})
    told = lite.told(one).fork
    assert told is not None and told.used and (told.ahead, told.behind, told.edited) == (1, 0, ())
    assert lite.told(lite.main).fork is None
    assert lite.fork(one).state == "nothing"
    lite.query("insert into mine values (8)", fork)
    dropped = lite.fork(one, drop=True)
    assert dropped.state == "done" and lite.forks() == [], dropped
    assert (one.path / "backend/.env").read_bytes() == before
    assert [step.kind for step in dropped.lanes[0].steps] == [
        "worktree.point", "database.backup", "database.unfork"
    ]  # fmt: skip
    undone = lite.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert lite.forks() == [fork] and lite.query("select x from mine", fork) == [(7,), (8,)]
    assert (one.path / "backend/.env").read_bytes() == after and lite.told(one).fork.used


def test_a_fork_is_undone(lite):
    one = lite.tree("one")
    before = (one.path / "backend/.env").read_bytes()
    lite.fork(one)
    undone = lite.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert lite.forks() == [] and (one.path / "backend/.env").read_bytes() == before
    again = lite.at(one).undo(undone.id)
    assert isinstance(again, RunReport) and again.state == "done" and lite.told(one).fork.used


@pytest.mark.long
def test_nothing_is_backed_up_where_nothing_was_written(lite):
    one = lite.tree("one")
    lite.fork(one)
    dropped = lite.fork(one, drop=True)
    assert [step.kind for step in dropped.lanes[0].steps] == ["worktree.point", "database.unfork"]
    undone = lite.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and len(lite.forks()) == 1, undone
    with pytest.raises(UsageError, match="no fork"):
        lite.fork(lite.main, drop=True)


def test_it_goes_with_its_worktree_and_not_before(lite):
    one, two, three = (lite.tree(name) for name in ("one", "two", "three"))
    for repo in (one, two, three):
        lite.fork(repo)
    assert len(lite.forks()) == 3
    lite.upgrade(two)
    shutil.move(one.path, one.path.with_name("unmounted"))  # git still knows it
    lite.main.git("worktree", "move", three.path, three.path.with_name("moved"))
    assert lite.gc().removed == () and len(lite.forks()) == 3
    lite.main.git("worktree", "remove", "--force", two.path)
    again = lite.main.worktree("two", "two-again")  # another worktree of the same path
    plan = lite.at(lite.main).gc(dry_run=True)
    assert len(plan.removed) == 1 and "two" in plan.removed[0] and len(lite.forks()) == 3
    assert [one.name for one in lite.at(lite.main).migration_status().notes] == ["fork.gone"]
    report = lite.gc()
    assert report.removed == plan.removed and len(lite.forks()) == 2, report
    undone = lite.at(again).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and len(lite.forks()) == 3, undone


@pytest.mark.long
def test_one_that_another_worktree_uses_stays(lite):
    one, two = lite.tree("one"), lite.tree("two")
    lite.fork(one)
    shutil.copy(one.path / "backend/.env", two.path / "backend/.env")
    assert [note.name for note in lite.told(two).findings if note.name.startswith("fork.")] == [
        "fork.used", "fork.foreign"
    ]  # fmt: skip
    lite.main.git("worktree", "remove", "--force", one.path)
    report = lite.gc()
    assert report.removed == () and [note.name for note in report.notes] == ["fork.used"]
    assert len(lite.forks()) == 1


@pytest.mark.long
def test_one_that_somebody_deleted_is_not_used_again(lite):
    one = lite.tree("one")
    lite.fork(one)
    (fork,) = lite.forks()
    os.unlink(fork)
    lane = lite.plan(one)
    assert lane.held is not None and lane.held.hint.startswith("raccord migrations fork --drop, then"), lane
    lite.env(one)
    lane = lite.plan(one)
    assert lane.held is not None and lane.held.name == "fork.missing" and lane.steps == ()
    assert lite.fork(one, drop=True).state == "done" and lite.fork(one).state == "done"
    assert lite.told(one).fork.used and lite.forks() != [fork]


def test_what_git_tracks_or_others_share_is_left_alone(lite, monkeypatch):
    one = lite.tree("one")
    env = one.path / "backend/.env"
    tracked = env.read_bytes()
    one.commit({"backend/.env": tracked}, "oh no")
    report = lite.fork(one)
    assert report.state == "done" and env.read_bytes() == tracked
    assert "git tracks it" in report.lanes[0].notes[0].message
    assert "export DATABASE_URL=" in report.lanes[0].notes[0].hint
    (url,) = lite.at(one).migration_fork_urls().urls
    assert url.url == f"sqlite:///{lite.forks()[0]}" and not url.masked
    assert [note.name for note in lite.told(one).findings] == ["fork.unused"]
    two = lite.main.worktree("two", "two")
    (two.path / "backend/.env").symlink_to(lite.main.path / "backend/.env")
    assert "it is a link" in lite.plan(two).notes[0].message
    three = lite.tree("three")
    monkeypatch.setenv("DATABASE_URL", lite.url)
    assert [step.kind for step in lite.plan(three).steps] == ["database.fork", "worktree.point"]
    assert lite.plan(three).notes[0].name == "fork.environment"
    monkeypatch.setenv("DATABASE_URL", url.url)
    told = lite.at(one).migration_status().sites
    assert next(each for each in told if each.worktree == str(one.path)).fork.used


@pytest.mark.long
def test_a_configuration_that_git_tracks(tmp_path):
    shop = Lite(tmp_path)
    ini = INI + f"sqlalchemy.url = {shop.url}\n"
    env = ENV.replace('os.environ["DATABASE_URL"]', 'context.config.get_main_option("sqlalchemy.url")')
    shop.main.commit({"backend/alembic.ini": ini, "backend/migrations/env.py": env})
    shop.upgrade(shop.main)
    one = shop.tree("one")
    report = shop.fork(one)
    (note,) = report.lanes[0].notes
    assert report.state == "done" and note.name == "fork.by_hand", report
    assert f"sqlalchemy.url = sqlite:///{shop.forks()[0]}" in note.message
    assert one.git("status", "--porcelain") == ""


def test_what_can_not_be_forked_is_said(lite):
    one = lite.tree("one")
    (one.path / "backend/.env").write_text("DATABASE_URL=sqlite:///./own.db\n")
    assert lite.plan(one).held.name == "fork.absent"
    sqlite3.connect(one.path / "backend/own.db").execute("create table t (x)").connection.close()
    assert [note.name for note in lite.plan(one).notes] == ["fork.own"]
    (one.path / "backend/.env").unlink()
    assert lite.plan(one).held.name == "migration.unread"
    with pytest.raises(UsageError, match="no fork"):
        lite.at(one).migration_fork_urls()


@pytest.mark.long
def test_files_that_are_no_longer_what_was_applied(lite):
    one = lite.tree("one")
    lite.fork(one)
    assert lite.told(one).fork.edited == ()
    one.commit({file("r1"): revision("r1", None) + "# edited\n"})
    told = lite.told(one)
    assert told.fork.edited == ("r1",) and "fork.key" in [note.name for note in told.findings]


@pytest.mark.long
def test_a_person_who_wrote_to_the_file_is_respected(lite):
    one = lite.tree("one")
    lite.fork(one)
    (one.path / "backend/.env").write_text("DATABASE_URL=sqlite:////elsewhere.db\n")
    dropped = lite.fork(one, drop=True)
    assert dropped.state == "done" and lite.forks() == [], dropped
    assert (one.path / "backend/.env").read_text() == "DATABASE_URL=sqlite:////elsewhere.db\n"


@pytest.mark.long
def test_a_worktree_that_was_pointed_by_hand(lite):
    one, two = lite.tree("one"), lite.tree("two")
    env = one.path / "backend/.env"
    (lite.path / "away").write_bytes(env.read_bytes())
    env.unlink()
    env.symlink_to(lite.path / "away")
    lite.fork(one)
    env.unlink()
    before = SECRETS % lite.url.encode()
    env.write_bytes(before.replace(os.fsencode(lite.database), os.fsencode(lite.forks()[0])))
    shutil.copy(env, two.path / "backend/.env")
    (lane,) = lite.fork(one, drop=True).lanes
    assert lane.finding is not None and lane.finding.name == "fork.used" and "two" in lane.finding.message
    lite.env(two)
    assert lite.fork(one, drop=True).state == "done" and lite.forks() == [] and env.read_bytes() == before


@pytest.mark.long
def test_a_sync_notes_those_whose_worktree_is_gone(lite):
    one = lite.tree("one")
    lite.fork(one)
    lite.main.git("worktree", "remove", "--force", one.path)
    plan = lite.at(lite.main).sync(SyncOptions(dry_run=True))
    assert isinstance(plan, Plan) and "fork.gone" in [note.name for note in plan.notes]
    (lite.main.path / ".git/raccord/forks/0123456789abcdef.json").write_text("{")
    plan = lite.at(lite.main).sync(SyncOptions(dry_run=True))
    assert isinstance(plan, Plan) and "fork.unknown" in [note.name for note in plan.notes]


@pytest.mark.long
def test_eject_leaves_them_and_names_them(lite):
    one = lite.tree("one")
    lite.fork(one)
    report = lite.at(lite.main).eject()
    assert [note.name for note in report.notes] == ["eject.fork"] and len(lite.forks()) == 1
    assert not list((lite.main.path / ".git").rglob("raccord-forks/????????????????"))


@pytest.fixture(scope="module")
def pg():
    return pgkit.server()


class Server(Shop):
    """The database is PostgreSQL's."""

    def __init__(self, path: Path, pg: pgkit.Server, name: str) -> None:
        self.pg, self.name = pg, name
        super().__init__(path, pg.url(name, scheme="postgresql+psycopg"))

    def names(self) -> list[str]:
        made = self.pg.run(
            "select datname from pg_database where shobj_description(oid, 'pg_database') like 'made by%'"
            " and datname not like 'raccord_backup%' or datname like 'raccord_new%'"
        )
        return sorted(name for (name,) in made)

    def heads(self, name: str = "") -> set[str]:
        rows = self.pg.run("select version_num from alembic_version", name or self.name)
        return {one for (one,) in rows}


@pytest.fixture
def shop(tmp_path, pg):
    with pg.lent() as name:
        shop = Server(tmp_path, pg, name)
        shop.upgrade(shop.main, to="r1")
        yield shop
        for (made,) in pg.run("select datname from pg_database"):
            if made in shop.names() or made.startswith("raccord_backup"):
                pg.run(f"drop database {pgkit.quoted(made)} with (force)")


def test_postgresql(shop):
    copies = "select datname from pg_database where datname like 'raccord_backup_%'"
    # The fixture's own upgrade made one.
    mine = {one.stem.lower() for one in (shop.main.path / ".git/raccord/backups").glob("*.json")}
    others = {one for one in shop.pg.run(copies) if one[0].removeprefix("raccord_backup_") not in mine}
    one = shop.tree("one", "feature/Größe-" + "x" * 80)
    before = (one.path / "backend/.env").read_bytes()
    report = shop.fork(one)
    assert report.state == "done", report
    (name,) = shop.names()
    assert len(name) <= 63 and name.isascii() and "feature_gro" in name
    assert (one.path / "backend/.env").read_bytes() == before.replace(
        f"/{shop.name}'".encode(), f"/{name}'".encode()
    )
    for path in (shop.main.path / ".git").rglob("*"):
        if path.is_file():
            assert pgkit.PASSWORD.encode() not in path.read_bytes(), path
    shop.upgrade(one)
    assert (shop.heads(name), shop.heads()) == ({"r2"}, {"r1"})
    (url,) = shop.at(one).migration_fork_urls().urls
    assert url.masked and url.url.endswith(f"/{name}") and ":***" not in url.url
    (url,) = shop.at(one).migration_fork_urls(password=True).urls
    assert url.url == shop.pg.url(name, scheme="postgresql+psycopg")
    shop.main.git("worktree", "remove", "--force", one.path)
    with shop.pg.connect(name):
        report = shop.gc()
        assert report.removed == () and report.notes[0].name == "fork.kept" and shop.names() == [name]
    assert len(shop.gc().removed) == 1
    # With no pg_dump of the release the backup is a database itself.
    undone = shop.at(shop.main).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert shop.heads(name) == {"r2"}
    assert {*shop.pg.run(copies)} > others
    assert [note.name for note in shop.at(shop.main).eject().notes] == ["eject.fork"]
    assert {*shop.pg.run(copies)} == others and shop.names() == [name]


@pytest.mark.long
def test_others_who_are_connected(shop, monkeypatch):
    one, two = shop.tree("one"), shop.tree("two")
    with shop.pg.connect(shop.name) as db:
        db.execute("set application_name = 'the app'")
        held = shop.plan(one).held
        assert "the app of postgres" in held.message and held.hint.endswith("--end-sessions")
        assert shop.fork(one).lanes[0].state == "held" and shop.names() == []
        monkeypatch.setenv("PATH", f"{shop.pg.bin}{os.pathsep}{os.environ['PATH']}")
        assert shop.plan(one).notes[0].name == "fork.sessions"
        report = shop.fork(one)
        assert report.state == "done" and "through pg_dump" in report.lanes[0].steps[0].note, report
        assert shop.heads(shop.names()[0]) == {"r1"}
        report = shop.fork(two, end_sessions=True)
        assert report.state == "done" and "by the server" in report.lanes[0].steps[0].note, report


@pytest.mark.long
def test_roles(shop, pg, monkeypatch):
    pg.run(
        "create role modest login password 'mödest'; create role rich login createdb password 'ri:ch';"
        "grant all on all tables in schema public to modest, rich",
        shop.name,
    )
    try:
        one = shop.tree("one")
        shop.url = pg.url(shop.name, user="modest", password="mödest", scheme="postgresql+psycopg")
        shop.env(one)
        held = shop.plan(one).held
        assert "may not make databases" in held.message and 'ALTER ROLE "modest" CREATEDB' in held.hint
        shop.url = pg.url(shop.name, user="rich", password="ri:ch", scheme="postgresql+psycopg")
        shop.env(one)
        held = shop.plan(one).held
        assert "may not copy" in held.message and 'GRANT "postgres" TO "rich"' in held.hint
        monkeypatch.setenv("PATH", f"{pg.bin}{os.pathsep}{os.environ['PATH']}")
        report = shop.fork(one)
        assert report.state == "done" and "owners and grants" in report.lanes[0].steps[0].note, report.lanes[
            0
        ].finding
        shop.upgrade(one)
        assert shop.heads(shop.names()[0]) == {"r2"} and shop.heads() == {"r1"}
        dropped = shop.fork(one, drop=True)
        assert dropped.state == "done" and shop.names() == [], dropped
        undone = shop.at(one).undo()
        assert isinstance(undone, RunReport) and undone.state == "done", undone
        assert shop.heads(shop.names()[0]) == {"r2"}
        shop.fork(one, drop=True)
    finally:
        for name in (shop.name, "postgres"):
            pg.run("drop owned by modest, rich", name)
        pg.run("drop role modest, rich")


@pytest.mark.long
def test_extensions_and_names_of_any_script(shop, pg):
    pg.run(f'alter database {pgkit.quoted(shop.name)} rename to "Größe?%41 {shop.name}"')
    shop.name = f"Größe?%41 {shop.name}"
    vectors = "create extension vector; create table v (e vector(3)); insert into v values ('[1,2,3]')"
    pg.run(vectors, shop.name)
    shop.url = pg.url(shop.name, scheme="postgresql+psycopg")
    one = shop.tree("日本語")
    assert shop.fork(one).state == "done"
    (name,) = shop.names()
    assert name.startswith("grosse_41_") and pg.run("select e::text from v", name) == [("[1,2,3]",)]
    shop.upgrade(one)
    assert shop.heads(name) == {"r2"}
    pg.run("insert into v values ('[4,5,6]')", name)
    assert shop.fork(one, drop=True).state == "done"
    undone = shop.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert pg.run("select count(*) from v", name) == [(2,)]


@pytest.mark.long
def test_several_databases_of_one_environment(shop, pg):
    """Each gets a fork of its own, where its URL stands."""
    with pg.lent() as other:
        urls = {"eins": shop.url, "zwei": pg.url(other, scheme="postgresql+psycopg")}
        ini = f"{INI}databases = eins, zwei\n" + "".join(
            f"[{name}]\nsqlalchemy.url = {url.replace('%', '%%')}\n" for name, url in urls.items()
        )
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
        one = shop.tree("one")
        report = shop.fork(one)
        assert report.state == "done" and len(report.lanes) == 2 and len(shop.names()) == 2, report
        assert [note.name for lane in report.lanes for note in lane.notes] == ["fork.by_hand"] * 2
        found = shop.at(one).migration_fork_urls().urls
        assert [each.database for each in found] == ["eins", "zwei"]
        assert shop.fork(one, drop=True).state == "done" and shop.names() == []


def at_once(shop: Shop, number: int) -> None:
    trees = [shop.tree(f"w{n}") for n in range(number)]
    words = [sys.executable, "-m", "raccord", "--json", "-C"]
    started = [
        subprocess.Popen(
            [*words, tree.path, "migrations", "fork"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for tree in trees
    ]
    said = [one.communicate(timeout=280)[0] for one in started]
    assert [one.returncode for one in started] == [0] * number, said
    sites = shop.at(shop.main).migration_status().sites
    assert sum(one.fork is not None and one.fork.used for one in sites) == number


@pytest.mark.long
def test_four_at_once(shop):
    at_once(shop, 4)
    assert len(shop.names()) == 4


@pytest.mark.long
@pytest.mark.timeout(600)
def test_twenty_at_once(shop):
    at_once(shop, 20)
    assert len(shop.names()) == 20


KILLED = """\
import importlib, os, signal, sys
from raccord.model.options import ForkOptions
from raccord.workspace import Workspace
where, when, drop, path = sys.argv[1:]
module, _, name = where.partition(":")
holder = importlib.import_module(module)
*within, name = name.split(".")
for one in within:
    holder = getattr(holder, one)
whole = getattr(holder, name)
def cut(*args, **more):
    if when == "after":
        whole(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(holder, name, cut)
Workspace.open(path).migration_fork(ForkOptions(drop=bool(drop)))
"""
PLACES = [
    ("raccord.database.clone:clone", "before"),
    ("raccord.database.owned:template", "after"),
    ("raccord.database.owned:name", "after"),
    ("raccord.migrations.fork_steps:_measured", "after"),
    ("raccord.kernel.fs:write_atomic", "before"),
    ("raccord.migrations.pointing:_changed", "after"),
]
DROPS = [
    ("raccord.migrations.pointing:PointHandler.apply", "before"),
    ("raccord.database.backup:backup", "after"),
    ("raccord.database.clone:drop", "before"),
    ("raccord.database.clone:drop", "after"),
]


def killed(repo: Repo, where: str, when: str, *, drop: bool = False) -> None:
    """Forks in a process that ends itself at a place."""
    words = [sys.executable, "-c", KILLED, where, when, "x" if drop else "", repo.path]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


def settled(shop: Server, repo: Repo, *, forked: bool, before: bytes) -> None:
    """Either all of a fork is there, or nothing of it."""
    env = (repo.path / "backend/.env").read_bytes()
    if not forked:
        assert (shop.names(), env) == ([], before) and shop.told(repo).fork is None
        assert not list((shop.main.path / ".git/raccord/forks").glob("*"))
        return
    (name,) = shop.names()
    assert name.encode() in env and shop.heads(name) == {"r1"} and shop.told(repo).fork.used


@pytest.mark.long_but(1)
@pytest.mark.parametrize(("where", "when"), PLACES)
def test_killed_it_goes_on(shop, where, when):
    one = shop.tree("one")
    before = (one.path / "backend/.env").read_bytes()
    killed(one, where, when)
    with contextlib.suppress(UsageError):  # before its run was written down, there is none
        assert shop.at(one).continue_().state == "done"
    settled(shop, one, forked=bool(shop.names()), before=before)
    assert shop.fork(one).state in ("done", "nothing")
    settled(shop, one, forked=True, before=before)


@pytest.mark.long
@pytest.mark.parametrize(("where", "when"), PLACES)
def test_killed_it_goes_back(shop, where, when):
    one = shop.tree("one")
    before = (one.path / "backend/.env").read_bytes()
    killed(one, where, when)
    with contextlib.suppress(UsageError):
        assert shop.at(one).abort().state == "aborted"
    settled(shop, one, forked=False, before=before)


@pytest.mark.long
@pytest.mark.parametrize(("where", "when"), DROPS)
def test_killed_while_it_drops(shop, where, when):
    one = shop.tree("one")
    before = (one.path / "backend/.env").read_bytes()
    shop.fork(one)
    shop.pg.run("create table mine (x int)", shop.names()[0])
    killed(one, where, when, drop=True)
    ended = shop.at(one).continue_()
    assert ended.state == "done", ended
    settled(shop, one, forked=False, before=before)
    undone = shop.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    settled(shop, one, forked=True, before=before)
    killed(one, where, when, drop=True)
    assert shop.at(one).abort().state == "aborted"
    settled(shop, one, forked=True, before=before)


# The URL comes from a module of the application: only a run of env.py tells.
ASKED = ENV.replace("from dotenv import load_dotenv\nload_dotenv()\n", "from settings import URL\n").replace(
    'os.environ["DATABASE_URL"]', "URL"
)
SETTINGS = """\
import os
from dotenv import load_dotenv
load_dotenv()
open(os.environ.get("TOLD", os.devnull), "a").write(os.getcwd() + "\\n")
URL = {url}
"""


def asking(shop: Shop, url: str) -> None:
    files = {"backend/migrations/env.py": ASKED, "backend/settings.py": SETTINGS.replace("{url}", url)}
    shop.main.commit(files, "only env.py knows")


@pytest.mark.long
def test_a_url_that_only_env_py_knows(shop, monkeypatch):
    asking(shop, 'os.environ["DATABASE_" + "URL"]')
    one, two = shop.tree("one"), shop.tree("two")
    monkeypatch.setenv("TOLD", str(shop.path / "told"))
    applied = {site.worktree: site.applied for site in shop.at(one).migration_status().sites}
    assert applied == {str(shop.main.path): None, str(one.path): ("r1",), str(two.path): None}
    assert [row.id for row in shop.at(one).migration_current()[0].rows] == ["r1"]
    assert set((shop.path / "told").read_text().split()) == {str(one.path / "backend")}
    one.commit({file("r1"): None})
    healed = shop.at(one).migration_heal(HealOptions(dry_run=True))
    assert isinstance(healed, Plan) and not healed.empty


@pytest.mark.long
def test_a_fork_of_what_only_env_py_knows(shop):
    asking(shop, 'os.environ["DATABASE_" + "URL"]')
    one = shop.tree("one")
    report = shop.fork(one)
    assert report.state == "done", report
    (name,) = shop.names()
    assert f"/{name}'".encode() in (one.path / "backend/.env").read_bytes()
    shop.upgrade(one)
    assert (shop.heads(name), shop.heads()) == ({"r2"}, {"r1"})
    for path in (shop.main.path / ".git").rglob("*"):
        if path.is_file():
            assert pgkit.PASSWORD.encode() not in path.read_bytes(), path
    assert shop.fork(one, drop=True).state == "done" and shop.names() == []
    undone = shop.at(one).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and shop.names() == [name], undone
    shop.main.git("worktree", "remove", "--force", one.path)
    assert len(shop.gc().removed) == 1 and shop.names() == []


@pytest.mark.long
def test_a_url_that_is_put_together(shop):
    url = shop.url.rpartition("/")[0]
    asking(shop, f'{url!r} + "/" + os.environ["POSTGRES_DB"]')
    one = shop.tree("one")
    env = one.path / "backend/.env"
    env.write_text(f"APP={shop.name}\nPOSTGRES_DB={shop.name}\n")
    report = shop.fork(one)
    assert report.state == "done", report
    (name,) = shop.names()
    assert env.read_text() == f"APP={shop.name}\nPOSTGRES_DB={name}\n"
    shop.fork(one, drop=True)
    # A value that is the same by chance: env.py does not go by it, and all is as it was.
    env.write_text(f"POSTGRES_DB={shop.name}\n")
    asking(shop, repr(shop.url))
    one.git("merge", "--quiet", "main")
    before = env.read_bytes()
    (lane,) = shop.fork(one).lanes
    assert lane.finding is not None and lane.finding.name == "fork.elsewhere", lane
    assert shop.names() == [] and env.read_bytes() == before and shop.told(one).fork is None
    env.write_text("LAST=x\n")
    assert shop.plan(one).notes[0].name == "fork.by_hand"


@pytest.mark.long
def test_every_variable_of_the_file_that_names_it(lite):
    one = lite.tree("one")
    env = one.path / "backend/.env"
    async_url = lite.url.replace("sqlite:", "sqlite+aiosqlite:")
    env.write_text(
        f"DATABASE_URL={lite.url}\nASYNC_URL={async_url}\nOTHER=sqlite:////o.db\nALSO=${{ASYNC_URL}}\n"
    )
    before = env.read_text()
    report = lite.fork(one)
    assert report.state == "done" and env.read_text() == before.replace(str(lite.database), lite.forks()[0])
    assert lite.fork(one, drop=True).state == "done" and env.read_text() == before


@pytest.mark.long
def test_an_env_py_that_fails_is_told(shop):
    asking(shop, "1 / 0")
    one = shop.tree("one")
    told = next(site for site in shop.at(one).migration_status().sites if site.worktree == str(one.path))
    assert told.applied is None and "ZeroDivisionError" in told.findings[-1].message
    assert "ZeroDivisionError" in shop.plan(one).held.message


@pytest.mark.long
def test_nobody_elses_env_py_runs_to_look_at_a_fork(lite, monkeypatch):
    two = lite.tree("two")
    asking(lite, 'os.environ["DATABASE_" + "URL"]')
    one = lite.tree("one")
    assert lite.fork(one).state == "done"
    (fork,) = lite.forks()
    (two.path / "backend/.env").write_bytes(SECRETS % f"sqlite:///{fork}".encode())
    monkeypatch.setenv("TOLD", str(lite.path / "told"))
    (site,) = [site for site in lite.at(two).migration_status().sites if site.worktree == str(two.path)]
    assert site.fork is not None and (site.fork.ahead, site.fork.behind) == (0, 0)
    assert not (lite.path / "told").exists()


@pytest.mark.long
def test_gc_finds_a_backup_again_that_it_could_not_drop(lite):
    (lite.main.path / "raccord.toml").write_text("[snapshots]\nkeep_days = 0\nkeep_last = 0\n")
    lite.upgrade(lite.main)
    document = max((lite.main.path / ".git/raccord/backups").glob("*.json"))
    said = document.read_bytes()
    document.write_bytes(b"{")
    report = lite.gc()
    assert report.kept == 1 and report.notes[-1].name == "backup.kept", report
    assert len(report.removed) == 1  # the run of the fixture's upgrade
    document.write_bytes(said)
    report = lite.gc()
    assert len(report.removed) == 1 and list(document.parent.iterdir()) == [], report
