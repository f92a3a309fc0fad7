"""A branch's own revisions on top of the base's: only while nobody else has them, and alembic agrees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import CannotRun, UsageError
from raccord.model.options import (
    HealOptions,
    MergeOptions,
    RebaseOptions,
    UpgradeOptions,
)
from raccord.model.plan import Finding, Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.alembickit import ENV, alembic
from tests.gitkit import Repo

VERSIONS = "backend/migrations/versions"


def revision(id_: str, down: str | None) -> str:
    return (
        f'"""create {id_}\n\nRevision ID: {id_}\nRevises: {down or ""}\nCreate Date: 2026-01-01\n"""\n'
        f"from alembic import op\nrevision: str = {id_!r}\ndown_revision = {down!r}  # why\n"
        f'def upgrade():\n    op.execute("create table t_{id_} (x int)")\n'
        f'def downgrade():\n    op.execute("drop table t_{id_}")\n'
    )


class Shop:
    """A clone on main with one revision, and a remote; each worktree has a database of its own."""

    def __init__(self, path: Path, url: str = "sqlite:///app.db") -> None:
        self.path = path
        Repo.init(path / "remote.git", bare=True)
        self.main = Repo.init(path / "main")
        self.main.git("remote", "add", "origin", str(path / "remote.git"))
        ini = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url.replace('%', '%%')}\n"
        files = {"backend/alembic.ini": ini, "backend/migrations/env.py": ENV}
        self.main.commit(
            {**files, ".gitignore": "__pycache__/\n*.db\n", self.file("r1"): revision("r1", None)}, "start"
        )
        self.main.git("push", "-q", "origin", "main")

    @staticmethod
    def file(id_: str) -> str:
        return f"{VERSIONS}/{id_}_x.py"

    def base(self, *chain: str) -> None:
        """The base goes on."""
        self.main.commit({self.file(one): revision(one, chain[at]) for at, one in enumerate(chain[1:])}, "on")
        self.main.git("push", "-q", "origin", "main")

    def rebase(self, repo: Repo, **options) -> RunReport:
        report = Workspace.open(repo.path).migration_rebase(RebaseOptions(**options))
        assert isinstance(report, RunReport)
        return report


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.fixture
def one(shop) -> Repo:
    """A worktree with two revisions on r1, one committed; main has r2 and r3 since, and is merged."""
    repo = shop.main.worktree("one", "one")
    repo.commit({shop.file("o1"): revision("o1", "r1")})
    shop.base("r1", "r2", "r3")
    repo.git("merge", "-q", "main")
    repo.write(shop.file("o2"), revision("o2", "o1"))
    return repo


def held(report: RunReport) -> Finding:
    (lane,) = report.lanes
    assert lane.state == "held" and lane.finding is not None, lane
    return lane.finding


def state(repo: Repo) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (repo.path / VERSIONS).glob("*.py")}


def undone(repo: Repo) -> None:
    report = Workspace.open(repo.path).undo()
    assert isinstance(report, RunReport) and report.state == "done", report


def test_one_head_and_two_again(shop, one):
    before = state(one)
    os.chmod(one.path / shop.file("o1"), 0o755)
    stale = one.path / VERSIONS / "__pycache__/o1_x.cpython-311.pyc"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"stale")
    assert len(alembic(one, "heads").splitlines()) == 2
    plan = Workspace.open(one.path).migration_rebase(RebaseOptions(dry_run=True))
    assert isinstance(plan, Plan) and state(one) == before and stale.exists()
    assert [step.kind for step in plan.steps()] == ["migration.files"]
    assert not (shop.main.path / ".git/raccord").exists()
    report = shop.rebase(one)
    assert report.state == "done", report
    assert alembic(one, "heads") == "o2 (head)"
    text = (one.path / shop.file("o1")).read_text()
    assert text == revision("o1", "r3") and os.stat(one.path / shop.file("o1")).st_mode & 0o777 == 0o755
    assert {name for name, data in state(one).items() if data != before[name]} == {"o1_x.py"}
    assert not stale.exists()
    assert one.git("status", "--porcelain", "-uall").split() == ["M", shop.file("o1"), "??", shop.file("o2")]
    again = shop.rebase(one)
    assert again.state == "nothing" and "stand on top of origin/main" in again.lanes[0].notes[0].message
    undone(one)
    assert state(one) == before and os.stat(one.path / shop.file("o1")).st_mode & 0o777 == 0o755
    assert len(alembic(one, "heads").splitlines()) == 2


def test_an_undo_has_the_old_bytes_after_a_gc(shop, one):
    one.write(shop.file("o1"), revision("o1", "r1") + "# never committed\n")
    before = state(one)
    assert shop.rebase(one).state == "done"
    one.git("gc", "-q", "--prune=now")
    undone(one)
    assert state(one) == before


@pytest.mark.long
def test_it_applies_on_a_database_that_had_the_base(shop, one):
    alembic(one, "upgrade", "r3")
    assert shop.rebase(one).state == "done"
    alembic(one, "upgrade", "head")
    assert alembic(one, "current") == "o2 (head)"


def test_the_base_comes_first(shop, one):
    shop.base("r3", "r4")
    finding = held(shop.rebase(one))
    assert (finding.name, finding.hint) == ("migration.base", "raccord sync")
    assert "origin/main has r4" in finding.message


def test_what_is_pushed_needs_a_reason(shop, one):
    one.git("push", "-q", "origin", "one")
    before = state(one)
    finding = held(shop.rebase(one))
    assert finding.name == "migration.pushed" and "origin/one has o1" in finding.message
    with pytest.raises(UsageError, match="say why"):
        shop.rebase(one, pushed=True)
    assert state(one) == before
    report = shop.rebase(one, pushed=True, reason="nobody looked at it", by="me")
    assert report.state == "done" and alembic(one, "heads") == "o2 (head)"
    assert [(w.guard, w.by, w.reason) for w in report.waivers] == [
        ("migration.pushed", "me", "nobody looked at it")
    ]


@pytest.mark.long_but(3)
@pytest.mark.parametrize("kind", ["branch", "remote", "tag", "past", "worktree", "detached", "stacked"])
def test_what_others_have_stays(shop, one, kind):
    where = "other"
    if kind == "branch":
        one.git("branch", "other")
    elif kind == "remote":
        one.git("push", "-q", "origin", "one:other")
        where = "origin/other"
    elif kind == "tag":
        one.git("tag", "-a", "-m", "x", "other")
        where = "refs/tags/other"
    elif kind == "past":
        # Gone from the branch since, and from its tree.
        tree = one.worktree("later", "other")
        tree.git("rm", "-q", shop.file("o1"))
        tree.commit()
        one.git("worktree", "remove", str(tree.path))
    elif kind == "worktree":
        tree = shop.main.worktree("other", "side")
        tree.write(shop.file("o2"), revision("o2", "o1"))
        where = "other (side) has o2"
    elif kind == "detached":
        one.git("worktree", "add", "-q", "--detach", str(shop.path / "other"), "one")
        where = "HEAD of other has o1"
    else:
        tree = one.worktree("above", "other")
        tree.commit({"x": "x"})
        one.git("worktree", "remove", str(tree.path))
    before = state(one)
    finding = held(shop.rebase(one, pushed=True, unread=True, reason="x"))
    assert finding.name == "migration.shared" and where in finding.message, finding
    assert finding.hint.startswith("raccord migrations merge") and state(one) == before


@pytest.mark.long
def test_what_is_applied_is_taken_back_first(shop, one):
    alembic(one, "upgrade", "heads")
    before = state(one)
    finding = held(shop.rebase(one))
    assert finding.name == "migration.applied" and "take it back first" in finding.message
    assert "downgrade o1@r1" in finding.hint
    done = subprocess.run(finding.hint, shell=True, capture_output=True, text=True)  # as a person
    assert done.returncode == 0, done.stderr
    assert state(one) == before and alembic(one, "current").startswith("r3")
    assert shop.rebase(one).state == "done"
    alembic(one, "upgrade", "head")
    assert alembic(one, "current") == "o2 (head)"


@pytest.mark.long
def test_what_raccord_applied_counts_where_nobody_can_ask(shop, one):
    assert isinstance(Workspace.open(one.path).migration_upgrade(UpgradeOptions()), RunReport)
    database = one.path / "backend/app.db"
    database.rename(shop.path / "away.db")
    # Asked, it is not there: no database of this name has anything.
    assert shop.rebase(one).state == "done"
    undone(one)
    ini = one.path / "backend/alembic.ini"
    ini.write_text(ini.read_text().replace("app.db", "new.db"))
    finding = held(shop.rebase(one))
    assert finding.name == "migration.applied" and "no worktree names now" in finding.message
    assert shop.rebase(one, unread=True, reason="it was a trial").state == "done"


def test_a_database_that_can_not_be_read(shop, one):
    (one.path / "backend/app.db").write_bytes(b"no database" * 200)
    finding = held(shop.rebase(one))
    assert (finding.name, finding.status) == ("migration.unread", "unknown")
    assert shop.rebase(one, unread=True, reason="no server here").state == "done"


@pytest.mark.long
def test_a_shared_database_on_postgresql(tmp_path):
    try:
        server = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(str(error))
    with server.lent() as name:
        shop = Shop(tmp_path, server.url(name, scheme="postgresql+psycopg"))
        one = shop.main.worktree("one", "one")
        one.commit({shop.file("o1"): revision("o1", "r1")})
        shop.base("r1", "r2")
        one.git("merge", "-q", "main")
        alembic(one, "upgrade", "heads")
        finding = held(shop.rebase(one))
        assert finding.name == "migration.applied" and "main (main) use it too" in finding.message
        assert finding.hint.startswith("raccord migrations merge")
        alembic(one, "downgrade", "o1@r1")
        assert shop.rebase(one).state == "done"
        alembic(one, "upgrade", "head")
        assert server.run("select version_num from alembic_version", name) == [("o1",)]
        server.run("insert into alembic_version values ('gone')", name)
        undone(one)
        finding = held(shop.rebase(one))
        assert (finding.name, finding.status) == ("migration.ahead", "unknown")


@pytest.mark.long
def test_an_own_merge_that_joins_nothing_any_more(shop, one):
    assert isinstance(Workspace.open(one.path).migration_merge(MergeOptions("join")), RunReport)
    (merge,) = (name for name in state(one) if "join" in name)
    id_ = merge[:12]
    one.write(shop.file("o3"), revision("o3", id_))
    shop.base("r3", "r4")
    one.git("merge", "-q", "origin/main")
    before = state(one)
    report = shop.rebase(one)
    assert report.state == "done" and alembic(one, "heads") == "o3 (head)"
    assert (
        'down_revision = "o2"' in state(one)[merge].decode() and "Revises: o2\n" in state(one)[merge].decode()
    )
    (spare,) = [note for note in report.lanes[0].notes if note.name == "migration.spare"]
    assert "--drop-merges" in spare.hint
    undone(one)
    assert state(one) == before
    assert shop.rebase(one, drop_merges=True).state == "done"
    assert merge not in state(one) and alembic(one, "heads") == "o3 (head)"
    assert b"down_revision = 'o2'" in state(one)["o3_x.py"]
    alembic(one, "upgrade", "head")
    undone(one)
    assert state(one) == before


@pytest.mark.long
def test_files_that_python_writes_otherwise(shop):
    one = shop.main.worktree("one", "one")
    shop.base("r1", "r2")
    one.git("merge", "-q", "main")
    crlf = "\ufeff" + revision("o1", "r1").replace("\n", "\r\n")
    latin = "# coding: latin-1\n# gr\u00fc\u00dfe\n" + revision("o2", "r1").replace("'r1'", "(\n  'r' 'x'\n)")
    one.write(shop.file("o1"), crlf.encode())
    one.write(shop.file("o2"), latin.replace("'x'", "'1'").encode("latin-1"))
    assert shop.rebase(one).state == "done"
    assert (
        state(one)["o1_x.py"] == crlf.replace("'r1'", "'r2'").replace("Revises: r1", "Revises: r2").encode()
    )
    assert b"gr\xfc\xdfe" in state(one)["o2_x.py"]
    assert sorted(alembic(one, "heads").splitlines()) == ["o1 (head)", "o2 (head)"]


def test_it_refuses_what_it_can_not_judge(shop, one):
    base = state(one)
    one.write(shop.file("o3"), revision("o3", "lost"))
    with pytest.raises(CannotRun, match="revision lost is missing"):
        shop.rebase(one)
    one.write(shop.file("o3"), None)
    one.write(shop.file("r2"), revision("r2", "r1").replace("'r1'", "None"))
    with pytest.raises(CannotRun, match="r2 stands on something else here"):
        shop.rebase(one)
    one.git("checkout", "-q", "--", shop.file("r2"))
    (one.path / ".git").read_text()
    gitdir = Path(one.git("rev-parse", "--absolute-git-dir"))
    (gitdir / "MERGE_HEAD").write_text(one.oid("main") + "\n")
    assert held(shop.rebase(one)).name == "migration.operation"
    (gitdir / "MERGE_HEAD").unlink()
    shop.base("r1", "q2")
    one.git("merge", "-q", "origin/main")
    with pytest.raises(UsageError, match="several heads of the base"):
        shop.rebase(one)
    assert {name: data for name, data in state(one).items() if name in base} == base


@pytest.mark.long
def test_copies_of_others_are_no_revisions_of_ours(shop, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for file in shop.main.path.glob("backend/alembic.ini"):
        shop.main.commit({"backend/alembic.ini": file.read_text().replace("sqlite:///app.db", url)})
    shop.main.git("push", "-q", "origin", "main")
    one, other = shop.main.worktree("one", "one"), shop.main.worktree("other", "other")
    one.commit({shop.file("o1"): revision("o1", "r1")})
    alembic(one, "upgrade", "head")
    Workspace.open(other.path).migration_heal(HealOptions())
    shop.base("r1", "r2")
    other.git("merge", "-q", "main")
    report = shop.rebase(other)
    assert (
        report.state == "nothing" and "no revision that origin/main lacks" in report.lanes[0].notes[0].message
    )


def test_on_the_command_line(shop, one, capsys):
    where = ["-C", str(one.path), "migrations", "rebase"]
    assert main([*where, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "o1: from r1 to r3" in out and "put 1 revision on top of origin/main: o1" in out
    assert main([*where, "--pushed"]) == 2
    one.git("branch", "other")
    assert main(where) == 5
    assert "raccord migrations merge" in capsys.readouterr().out
