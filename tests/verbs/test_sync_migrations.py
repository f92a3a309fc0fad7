"""Syncs that heal and upgrade: real git, real alembic, SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from raccord.model.options import SyncOptions
from raccord.model.plan import Plan
from raccord.model.report import LaneReport, RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.alembickit import alembic
from tests.gitkit import Repo, git
from tests.verbs.test_migrations import ENV, revision

VERSIONS = "backend/migrations/versions"


class Shop:
    """A remote, a clone on main that is at r1, worktrees with a backend each, and one database for all."""

    def __init__(self, path: Path, url: str = "") -> None:
        self.path = path
        self.database = path / "app.db"
        self.remote = Repo.init(path / "remote.git", bare=True)
        self.main = Repo.init(path / "main")
        self.main.git("remote", "add", "origin", str(self.remote.path))
        url = url or f"sqlite:///{self.database}"
        ini = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url.replace('%', '%%')}\n"
        files = {
            "backend/alembic.ini": ini,
            "backend/migrations/env.py": ENV,
            ".gitignore": "__pycache__/\n",
            "raccord.toml": "[sync]\nfetch_reuse_seconds = 0\n",
        }
        self.main.commit({**files, self.file("r1"): revision("r1", None)}, "start")
        self.main.git("push", "-q", "-u", "origin", "main")
        self.main.git("remote", "set-head", "origin", "main")
        self.other = path / "elsewhere"
        git(path, "clone", "-q", self.remote.path, self.other)

    def at(self, *ids: str, new: str = "") -> Shop:
        """Says that the database is at these revisions, as alembic would leave it."""
        self.query("create table if not exists alembic_version (version_num varchar(32) primary key)")
        self.query("delete from alembic_version")
        for one in ids:
            self.query(f"insert into alembic_version values ('{one}')")
        if new:
            self.query(f"create table t_{new} (x int)")
        return self

    @staticmethod
    def file(id_: str) -> str:
        return f"{VERSIONS}/{id_}_x.py"

    def tree(self, name: str, files: dict[str, str] | None = None) -> Repo:
        repo = self.main.worktree(name, name)
        repo.commit(files or {f"{name}.txt": name})
        return repo

    def merged(self, files: dict[str, str]) -> str:
        """Somebody else brings files to main."""
        there = Repo(self.other, self.main.clock)
        there.git("pull", "-q", "--ff-only")
        oid = there.commit(files, "base moves")
        there.git("push", "-q", "origin", "main")
        return oid

    def sync(self, repo: Repo, **options: Any) -> RunReport:
        words = {"skip_tests": True, "reason": "a test", **options}
        report = Workspace.open(repo.path).sync(SyncOptions(**words))
        assert isinstance(report, RunReport)
        return report

    def planned(self, repo: Repo, **options: Any) -> Plan:
        words = {"skip_tests": True, "reason": "a test", **options}
        plan = Workspace.open(repo.path).sync(SyncOptions(**words, dry_run=True))
        assert isinstance(plan, Plan)
        return plan

    def query(self, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            return db.execute(statement).fetchall()

    def heads(self) -> set[str]:
        return {name for (name,) in self.query("select version_num from alembic_version")}


def lane(report: RunReport, repo: Repo) -> LaneReport:
    return next(one for one in report.lanes if one.key == str(repo.path))


def kinds(report: RunReport) -> list[str]:
    return [step.kind for one in report.lanes for step in one.steps]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path).at("r1", new="r1")


@pytest.fixture(scope="module")
def pg() -> pgkit.Server:
    return pgkit.server()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        yield Shop(tmp_path).at("r1", new="r1")
        return
    server = request.getfixturevalue("pg")
    with server.lent() as name:
        shop = Shop(tmp_path, server.url(name, scheme="postgresql+psycopg"))
        shop.query = lambda statement: server.run(statement, name)  # type: ignore[method-assign]
        yield shop.at("r1", new="r1")


@pytest.mark.long_but(1)
def test_one_worktree_applies_a_revision_and_the_other_syncs_and_works(either: Shop) -> None:
    shop = either
    a = shop.tree("a", {shop.file("x"): revision("x", "r1")})
    b = shop.tree("b")
    alembic(a, "upgrade", "head")
    report = shop.sync(b)
    assert report.state == "done", report
    assert (b.path / shop.file("x")).read_bytes() == (a.path / shop.file("x")).read_bytes()
    assert alembic(b, "current") == "x (head)"
    alembic(b, "upgrade", "head")
    assert b.git("status", "--porcelain") == "", "a copy never makes a worktree dirty"
    # Day two: it is merged, and comes by itself.
    shop.merged({shop.file("x"): revision("x", "r1"), "lib.py": "new\n"})
    report = shop.sync(b)
    assert report.state == "done", report
    assert b.git("status", "--porcelain") == "" and shop.file("x") in b.git("ls-files")
    assert alembic(b, "current") == "x (head)"
    assert shop.sync(b).state == "nothing"


@pytest.mark.long
def test_what_the_base_brings_is_applied_once_for_all(either: Shop) -> None:
    shop = either
    trees = [shop.tree(name) for name in ("a", "b")]
    own = shop.tree("c", {shop.file("c2"): revision("c2", "r1")})
    shop.merged({shop.file("r2"): revision("r2", "r1"), shop.file("r3"): revision("r3", "r2")})
    plan = shop.planned(shop.main, all=True)
    words = [text for part in plan.stages for one in part.lanes for text in one.then]
    assert "database upgraded, decided after the replay" in words
    assert "migrations healed, decided after the replay" in words
    assert shop.heads() == {"r1"}
    report = shop.sync(shop.main, all=True)
    assert report.state == "done", report
    assert shop.heads() == {"r3"}, "what c alone has waits until somebody asks for it"
    assert kinds(report).count("migration.upgrade") == kinds(report).count("database.backup") == 1
    for tree in (*trees, own):
        assert tree.git("status", "--porcelain") == ""
        alembic(tree, "current")
    assert shop.sync(shop.main, all=True).state == "nothing"


def put_back(shop: Shop) -> tuple[Repo, Repo]:
    """A worktree that applied x, and another that has a copy of it since a sync."""
    a = shop.tree("a", {shop.file("x"): revision("x", "r1")})
    b = shop.tree("b")
    shop.at("x", new="x")
    assert shop.sync(b).state == "done"
    assert (b.path / shop.file("x")).is_file()
    return a, b


def test_a_copy_makes_room_for_the_very_file_and_comes_back_with_an_undo(shop: Shop) -> None:
    _, b = put_back(shop)
    there = Repo(shop.other, shop.main.clock)
    path = there.write(shop.file("x"), revision("x", "r1"))
    path.chmod(0o755)  # which a copy is not
    shop.merged({shop.file("x"): revision("x", "r1")})
    before = b.oid()
    report = shop.sync(b)
    assert report.state == "done", report
    assert (b.path / shop.file("x")).read_text() == revision("x", "r1")
    assert shop.file("x") in b.git("ls-files") and b.git("status", "--porcelain") == ""
    undone = Workspace.open(b.path).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert b.oid() == before and b.git("status", "--porcelain") == ""
    assert (b.path / shop.file("x")).read_text() == revision("x", "r1"), "the copy is back"


@pytest.mark.long
def test_a_copy_that_a_gitignore_shows_is_nobodys_edit(shop: Shop) -> None:
    shop.tree("a", {shop.file("x"): revision("x", "r1")})
    b = shop.tree("b", {".gitignore": "__pycache__/\n!*.py\n"})
    shop.at("x", new="x")
    assert shop.sync(b).state == "done"
    assert "x_x.py" in b.git("status", "--porcelain")
    shop.merged({"lib.py": "new\n"})
    assert shop.sync(b).state == "done" and (b.path / "lib.py").is_file()


def test_a_copy_that_differs_from_what_the_base_brings_holds_back_with_both_named(shop: Shop) -> None:
    a, b = put_back(shop)
    shop.merged({shop.file("x"): revision("x", "r1", "edited = 1")})
    before = b.oid()
    report = shop.sync(b)
    one = lane(report, b)
    assert one.state == "held" and one.finding is not None and one.finding.name == "migration.differs"
    assert "put back here is x" in one.finding.message and "origin/main brings x" in one.finding.message
    assert len(set(one.finding.data["digests"])) == 2
    assert b.oid() == before
    assert (b.path / shop.file("x")).read_bytes() == (a.path / shop.file("x")).read_bytes()


@pytest.mark.long
def test_copies_of_two_runs_stay_hidden_until_the_last_goes(shop: Shop) -> None:
    _, b = put_back(shop)
    c = shop.tree("c")
    assert shop.sync(c).state == "done"
    first = next(run for run in Workspace.open(b.path).log() if run.started == min(
        one.started for one in Workspace.open(b.path).log()))  # fmt: skip
    undone = Workspace.open(b.path).undo(first.id)
    assert isinstance(undone, RunReport) and not (b.path / shop.file("x")).exists(), undone
    assert c.git("status", "--porcelain") == ""


def test_what_a_person_must_settle_holds_its_branch_and_no_other(shop: Shop) -> None:
    a = shop.tree("a", {shop.file("x"): revision("x", "r1")})
    rival = shop.tree("rival", {shop.file("x"): revision("x", "r1", "another = 1")})
    b = shop.tree("b")
    shop.at("x", new="x")
    shop.merged({"lib.py": "new\n"})
    before = b.oid()
    report = shop.sync(b, all=True)
    one = lane(report, b)
    assert one.state == "held" and one.finding is not None and one.finding.name == "migration.ambiguous"
    assert f"raccord -C {b.path} migrations" in one.finding.hint
    assert b.oid() == before and b.git("status", "--porcelain") == ""
    assert shop.remote.git("branch", "--list", "b") == "", "nor is it pushed"
    assert lane(report, a).state == lane(report, rival).state == "done"


def test_a_revision_that_is_nowhere_is_named_and_keeps_no_code_back(shop: Shop) -> None:
    b = shop.tree("b")
    shop.at("lost")
    shop.merged({"lib.py": "new\n"})
    report = shop.sync(b)
    assert report.state == "done"
    assert any("nowhere to be found: lost" in step.note for step in lane(report, b).steps)
    assert (b.path / "lib.py").is_file()


def test_a_database_out_of_reach_is_named_and_keeps_no_code_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "postgresql://nobody@127.0.0.1:1/app")
    b = shop.tree("b")
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    report = shop.sync(b)
    assert report.state == "done" and (b.path / shop.file("r2")).is_file()
    assert [note.name for note in report.notes] == ["migration.unread"]


def test_a_database_elsewhere_is_left_to_a_person(
    tmp_path: Path, pg: pgkit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pg.lent() as name:
        shop = Shop(tmp_path, pg.url(name, scheme="postgresql+psycopg"))
        shop.query = lambda statement: pg.run(statement, name)  # type: ignore[method-assign]
        shop.at("r1", new="r1")
        b = shop.tree("b")
        shop.merged({shop.file("r2"): revision("r2", "r1")})
        # As if its address were another machine's.
        elsewhere = {"hostaddr": "192.0.2.1"}
        monkeypatch.setattr("raccord.verbs.sync_migrations.libpq_defaults", lambda: elsewhere)
        report = shop.sync(b)
        (note,) = report.notes
        assert report.state == "done" and note.name == "migration.away" and "r2" in note.message
        assert note.hint == f"raccord -C {b.path} migrations upgrade" and shop.heads() == {"r1"}


def test_a_red_test_takes_the_branch_back_and_leaves_the_database_and_it_works(shop: Shop) -> None:
    b = shop.tree("b")
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    before = b.oid()
    report = shop.sync(b, skip_tests=False, reason="", test_commands=(("false",),))
    assert lane(report, b).state == "held" and b.oid() == before
    assert shop.heads() == {"r2"}, "others may use it already"
    # The branch is behind its database now: what it lacks was put back.
    assert (b.path / shop.file("r2")).is_file() and b.git("status", "--porcelain") == ""


def test_tests_run_on_the_upgraded_database(shop: Shop) -> None:
    b = shop.tree("b", {shop.file("b2"): revision("b2", "r1")})
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    ask = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('select count(*) from t_r2')"
    command = ("python", "-c", ask, str(shop.database))
    report = shop.sync(b, skip_tests=False, reason="", test_commands=(command,))
    assert report.state == "done", report


def test_an_undo_puts_the_database_back(shop: Shop) -> None:
    b = shop.tree("b")
    shop.query("create table mine (x int)")
    shop.query("insert into mine values (7)")
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    before = b.oid()
    shop.sync(b)
    shop.query("insert into mine values (8)")
    undone = Workspace.open(b.path).undo()
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert shop.heads() == {"r1"} and shop.query("select x from mine") == [(7,)]
    assert b.oid() == before


def test_a_migration_that_fails_holds_the_database_back_and_no_code(shop: Shop) -> None:
    b = shop.tree("b")
    shop.merged({shop.file("r2"): revision("r2", "r1", "raise SystemExit('no such luck')")})
    report = shop.sync(b)
    assert report.state == "partial" and lane(report, b).state == "done"
    (held,) = [one for one in report.lanes if one.state == "held"]
    assert held.finding is not None and held.finding.name == "migration.failed"
    assert shop.heads() == {"r1"} and (b.path / shop.file("r2")).is_file()


@pytest.mark.long
def test_a_worktree_that_is_held_back_still_finds_what_was_applied(shop: Shop) -> None:
    dirty = shop.tree("dirty")
    dirty.write("mine.txt", "mine\n")
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    report = shop.sync(dirty, all=True)
    assert lane(report, dirty).state == "held" and shop.heads() == {"r2"}
    assert (dirty.path / shop.file("r2")).is_file()
    assert dirty.git("status", "--porcelain") == "?? mine.txt"


@pytest.mark.long
def test_a_rebase_by_hand_is_healed_after_it(shop: Shop) -> None:
    shop.tree("a", {shop.file("x"): revision("x", "r1")})
    b = shop.tree("b", {"lib.py": "mine\n"})
    shop.at("x", new="x")
    shop.merged({"lib.py": "theirs\n", shop.file("r2"): revision("r2", "r1")})
    report = shop.sync(b, resolve_by_hand=True)
    assert report.state == "stopped" and [note.name for note in report.notes] == ["migration.later"]
    b.write("lib.py", "both\n")
    b.git("add", "lib.py")
    done = Workspace.open(b.path).continue_()
    assert done.state == "done", done
    assert (b.path / shop.file("x")).is_file() and b.git("status", "--porcelain") == ""


@pytest.mark.long_but(1)
@pytest.mark.parametrize("word", ["off", "heal"])
def test_the_configuration_says_less(shop: Shop, word: str) -> None:
    shop.tree("a", {shop.file("x"): revision("x", "r1")})
    b = shop.tree("b")
    shop.at("x", new="x")
    text = f'[sync]\nfetch_reuse_seconds = 0\n[migrations]\nin_sync = "{word}"\n'
    shop.merged({shop.file("r2"): revision("r2", "r1"), "raccord.toml": text})
    b.commit({"raccord.toml": text})
    report = shop.sync(b)
    assert report.state == "done" and shop.heads() == {"x"}, report
    assert (b.path / shop.file("x")).exists() == (word == "heal")


def test_a_repository_without_alembic_loads_nothing_of_it(tmp_path: Path) -> None:
    Repo.init(tmp_path / "remote.git", bare=True)
    main = Repo.init(tmp_path / "main")
    main.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    main.commit({"pyproject.toml": "[project]\nname = 'x'\n"})
    main.git("push", "-q", "-u", "origin", "main")
    main.worktree("a", "a").commit({"a": "a"})
    code = (
        "import sys\nfrom raccord.model.options import SyncOptions\nfrom raccord.workspace import Workspace\n"
        "options = SyncOptions(all=True, skip_tests=True, reason='x')\n"
        f"report = Workspace.open({str(main.path)!r}).sync(options)\n"
        "assert report.state == 'done', report\n"
        "rooms = ('raccord.migrations', 'raccord.database')\n"
        "print([name for name in sys.modules if name.startswith(rooms)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done


def together(trees: list[Repo]) -> list[str]:
    words = ["--json", "sync", "--skip-tests", "--reason", "a race"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "raccord", "-C", str(tree.path), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for tree in trees
    ]
    ended = [one.communicate(timeout=250) for one in started]
    assert [one.returncode for one in started] == [0] * len(trees), ended
    return [out for out, _ in ended]


@pytest.mark.long
def test_many_syncs_at_once_apply_it_once(either: Shop) -> None:
    shop = either
    trees = [shop.tree(f"t{number}") for number in range(3)]
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    said = together(trees)
    assert sum('"migration.upgrade"' in one for one in said) == 1, said
    assert shop.heads() == {"r2"}
    for tree in trees:
        assert (tree.path / shop.file("r2")).is_file() and tree.git("status", "--porcelain") == ""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_twenty_syncs_at_once_apply_it_once(either: Shop) -> None:
    shop = either
    trees = [shop.tree(f"t{number}") for number in range(20)]
    shop.merged({shop.file("r2"): revision("r2", "r1")})
    said = together(trees)
    assert sum('"migration.upgrade"' in one for one in said) == 1
    assert shop.heads() == {"r2"}


def test_killed_in_the_middle_of_an_upgrade_it_is_continued(shop: Shop) -> None:
    started, go = shop.path / "started", shop.path / "go"
    body = (
        "import os, time\n"
        f"open({str(started)!r}, 'w').close()\n"
        f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
    )
    b = shop.tree("b")
    shop.merged({shop.file("r2"): revision("r2", "r1", body)})
    words = ["sync", "--skip-tests", "--reason", "a test"]
    process = subprocess.Popen([sys.executable, "-m", "raccord", "-C", str(b.path), *words])
    until = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    go.touch()
    report = Workspace.open(b.path).continue_()
    assert report.state == "done" and shop.heads() == {"r2"}, report
    assert shop.remote.git("branch", "--list", "b")


def test_a_server_that_never_answers_is_waited_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr("raccord.database.postgres.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        shop = Shop(tmp_path, f"postgresql+psycopg://me@127.0.0.1:{port}/main")
        for name in ("one", "two"):
            tree = shop.tree(name)
            ini = (tree.path / "backend/alembic.ini").read_text().replace("/main", f"/{name}")
            tree.commit({"backend/alembic.ini": ini})
        shop.merged({shop.file("r2"): revision("r2", "r1")})
        report = shop.sync(shop.main, all=True)
        assert report.state == "done", report
        server.settimeout(0)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                server.accept()[0].close()
                asked += 1
    assert asked == 1
    assert any("not read" in note.message for note in report.notes)
