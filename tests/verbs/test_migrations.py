"""Migrations of several worktrees on one database: looked at with holes, put back whole, taken away again."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from raccord.errors import CannotRun, UsageError
from raccord.model.options import HealOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.alembickit import alembic
from tests.gitkit import Repo

ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def revision(id_: str, down: str | None, body: str = "") -> str:
    below = f'"{down}"' if down else None
    return (
        f'"""create {id_}"""\nrevision = "{id_}"\ndown_revision = {below}\n'
        f'from alembic import op\n{body}\ndef upgrade():\n    op.execute("create table t_{id_} (x int)")\n'
        f'def downgrade():\n    op.execute("drop table t_{id_}")\n'
    )


class Shop:
    """A clone on main and worktrees, each with a backend; one SQLite database for all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "app.db"
        Repo.init(path / "remote.git", bare=True)
        self.main = Repo.init(path / "main")
        self.main.git("remote", "add", "origin", str(path / "remote.git"))
        ini = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///{self.database}\n"
        files = {"backend/alembic.ini": ini, "backend/migrations/env.py": ENV, ".gitignore": "__pycache__/\n"}
        self.main.commit({**files, self.file("r1"): revision("r1", None)}, "start")
        self.main.git("push", "-q", "origin", "main")

    @staticmethod
    def file(id_: str) -> str:
        return f"backend/migrations/versions/{id_}_x.py"

    def tree(self, name: str) -> Repo:
        return self.main.worktree(name, name)

    def applied(self, *ids: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            db.execute("create table if not exists alembic_version (version_num text not null)")
            db.execute("delete from alembic_version")
            db.executemany("insert into alembic_version values (?)", [(one,) for one in ids])

    def at(self, repo: Repo) -> Workspace:
        return Workspace.open(repo.path)

    def heal(self, repo: Repo, **options) -> RunReport:
        report = self.at(repo).migration_heal(HealOptions(**options))
        assert isinstance(report, RunReport)
        return report


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.fixture
def two(shop):
    """One worktree with two more revisions committed and one not; the database is at the last."""
    one, other = shop.tree("one"), shop.tree("other")
    one.commit({shop.file("r2"): revision("r2", "r1"), shop.file("r3"): revision("r3", "r2")})
    one.write(shop.file("r4"), revision("r4", "r3"))
    shop.applied("r4")
    return one, other


def test_the_whole_chain_comes_back_and_alembic_works(shop):
    one, other = shop.tree("one"), shop.tree("other")
    one.commit({shop.file("r2"): revision("r2", "r1"), shop.file("r3"): revision("r3", "r2")})
    alembic(one, "upgrade", "head")
    report = shop.heal(other, backend="backend")
    assert (report.state, [lane.state for lane in report.lanes]) == ("done", ["done", "done"])
    for id_ in ("r2", "r3"):
        assert (other.path / shop.file(id_)).read_bytes() == (one.path / shop.file(id_)).read_bytes()
    assert other.git("status", "--porcelain") == ""
    assert alembic(other, "current") == "r3 (head)"
    alembic(other, "upgrade", "head")
    alembic(other, "downgrade", "r1")
    assert shop.heal(other).state == "nothing"


def test_a_folder_of_another_worktree_or_of_none_is_refused(shop, two):
    one, other = two
    for backend in (f"{one.path}/backend", f"../{one.path.name}/backend"):
        with pytest.raises(UsageError, match="outside of this worktree") as caught:
            shop.heal(other, backend=backend)
        assert caught.value.hint == f"raccord -C {one.path} migrations status"
    with pytest.raises(UsageError, match="outside of this worktree"):
        shop.at(other).migration_status("../..")
    assert shop.heal(other, backend=f"{other.path}/backend").state == "done"


def test_it_is_taken_away_again(shop, two):
    _one, other = two
    before = (shop.main.path / ".git/info/exclude").read_bytes()
    shop.heal(other)
    undone = shop.at(other).undo()
    assert isinstance(undone, RunReport) and undone.state == "done"
    assert sorted(path.name for path in (other.path / "backend/migrations/versions").iterdir()) == ["r1_x.py"]
    assert (shop.main.path / ".git/info/exclude").read_bytes() == before


def test_eject_takes_its_lines_out_of_the_ignore_file(shop, two):
    _, other = two
    path = shop.main.path / ".git/info/exclude"
    path.write_bytes(path.read_bytes() + b"mine")
    before = path.read_bytes()
    shop.heal(other)
    path.write_bytes(path.read_bytes() + b"later\n")
    report = shop.at(other).eject()
    assert path.read_bytes() == before + b"\nlater\n"
    assert any(note.name == "eject.migrations" for note in report.notes)
    assert other.git("status", "--porcelain", "-uall").count("??") == 3


def test_an_undo_leaves_what_was_edited_since(shop, two):
    _one, other = two
    shop.heal(other)
    other.write(shop.file("r2"), "edited since\n")
    undone = shop.at(other).undo()
    assert isinstance(undone, RunReport) and undone.state != "done"
    assert (other.path / shop.file("r2")).read_text() == "edited since\n"


def test_what_another_worktree_has_yet_to_commit_is_not_hidden_from_it(shop, two):
    one, other = two
    shop.heal(other)
    assert "r4_x.py" in one.git("status", "--porcelain", "-uall")
    assert (other.path / "backend/migrations/versions/raccord_r4_x.py").is_file()
    assert other.git("status", "--porcelain", "-uall") == ""


def test_a_copy_goes_once_the_branch_has_the_file_itself(shop, two):
    one, other = two
    shop.heal(other)
    one.commit({shop.file("r4"): revision("r4", "r3")})
    other.git("merge", "-q", "--ff-only", "one")
    assert shop.heal(other).state == "done"
    assert not (other.path / "backend/migrations/versions/raccord_r4_x.py").exists()
    assert (other.path / shop.file("r4")).is_file()
    assert shop.heal(other).state == "nothing"


def test_a_dry_run_writes_nothing(shop, two):
    _, other = two
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in shop.path.rglob("*") if path.is_file())
    plan = shop.at(other).migration_heal(HealOptions(dry_run=True))
    assert isinstance(plan, Plan) and [step.kind for step in plan.steps()] == [
        "migration.exclude",
        "migration.files",
    ]
    assert before == sorted((str(p), p.lstat().st_mtime_ns) for p in shop.path.rglob("*") if p.is_file())


def test_all_worktrees_in_one_run(shop, two):
    trees = [shop.tree(f"more{n}") for n in range(3)]
    report = shop.heal(shop.main, all=True)
    assert report.state == "done"
    for tree in (*trees, shop.main, two[1]):
        assert (tree.path / shop.file("r3")).is_file()
    assert all(not site.missing for site in shop.at(shop.main).migration_status().sites)


def test_two_contents_stop_and_one_is_chosen(shop, two):
    one, other = two
    third = shop.tree("third")
    third.write(shop.file("r3"), revision("r3", "r2", "another = 1"))
    report = shop.heal(other)
    (lane,) = report.lanes
    assert lane.state == "held" and lane.finding is not None and lane.finding.name == "migration.ambiguous"
    assert not (other.path / shop.file("r2")).exists(), "not half of a chain either"
    found = shop.at(other).migration_find("r3", diff=True)
    assert len(found.contents) == 2 and "+another = 1" in found.contents[1].diff
    wanted = (one.path / shop.file("r3")).read_bytes()
    digest = next(c.digest for c in found.contents if c.origins[0].where == str(one.path))
    shop.heal(other, choose={"r3": digest[:10]})
    (healed,) = (other.path / "backend/migrations/versions").glob("*r3_x.py")
    assert healed.read_bytes() == wanted
    with pytest.raises(UsageError, match="begin with"):
        shop.heal(third, choose={"r2": "ffff"})


def test_the_schema_tells_which_content_was_applied(shop):
    one, other, third = shop.tree("one"), shop.tree("other"), shop.tree("third")
    made = revision("r2", "r1").replace('op.execute("create table t_r2 (x int)")', "op.{}")
    made = made.replace("from alembic import op", "import sqlalchemy as sa\nfrom alembic import op")
    table = "create_table('{}', sa.Column('id', sa.Integer()))"
    one.write(shop.file("r2"), made.format(table.format("basket")))
    third.write(shop.file("r2"), made.format(table.format("cart")))
    alembic(one, "upgrade", "head")
    plan = shop.at(other).migration_heal(HealOptions(dry_run=True))
    assert isinstance(plan, Plan)
    lanes = [lane for stage in plan.stages for lane in stage.lanes]
    (note,) = [each for lane in lanes for each in lane.notes if each.name == "migration.schema"]
    assert "table basket is there; table cart is not there" in note.message
    assert shop.heal(other).state == "done"
    (healed,) = (other.path / "backend/migrations/versions").glob("*r2_x.py")
    assert healed.read_bytes() == (one.path / shop.file("r2")).read_bytes()
    # As soon as something else may explain it, a person is asked.
    one.write(
        shop.file("r3"), made.replace('"r2"', '"r3"').replace('"r1"', '"r2"').format("f('x'); helper()")
    )
    shop.applied("r3")
    (lane,) = shop.heal(shop.tree("fourth")).lanes
    assert lane.finding is not None and "r3 may have changed it" in lane.finding.message


def test_what_nobody_vouches_for_waits_for_a_word(shop):
    one, other = shop.tree("one"), shop.tree("other")
    one.write(shop.file("r2"), revision("r2", "r1"))
    # Named by a file and by no database: it never ran here.
    other.write("backend/migrations/versions/r3_x.py", revision("r3", "r2"))
    shop.applied("r1")
    (lane,) = shop.heal(other).lanes
    assert lane.state == "held" and lane.finding is not None and lane.finding.name == "migration.untrusted"
    assert shop.heal(other, trust=True).state == "done"


def test_a_branch_of_the_trusted_remote_is_taken_unasked(shop):
    other = shop.tree("other")
    gone = shop.tree("gone")
    gone.commit({shop.file("r2"): revision("r2", "r1")})
    gone.git("push", "-q", "origin", "gone")
    shop.main.git("worktree", "remove", "--force", str(gone.path))
    shop.main.git("branch", "-D", "gone")
    shop.applied("r2")
    report = shop.heal(other)
    assert report.state == "done" and "origin has it" in report.lanes[1].notes[0].message


def test_nowhere_says_what_was_searched(shop):
    other = shop.tree("other")
    shop.applied("lost")
    (lane,) = shop.heal(other).lanes
    assert lane.state == "held" and lane.finding is not None and lane.finding.name == "migration.nowhere"
    assert "worktrees" in lane.finding.message and "reflogs" in lane.finding.message
    with pytest.raises(UsageError, match="nowhere to be found"):
        shop.at(other).migration_find("lost")


def test_an_overlay_that_the_project_names_takes_the_copies(shop, two):
    _, other = two
    ini = other.path / "backend/alembic.ini"
    lines = "version_locations = migrations/versions overlay\npath_separator = space\n"
    ini.write_text(ini.read_text() + lines)
    other.write(".gitignore", "__pycache__/\nbackend/overlay/\n")
    (other.path / "backend/overlay").mkdir()
    report = shop.heal(other)
    assert [lane.state for lane in report.lanes] == ["done"], "nothing has to be kept out of commits"
    assert sorted(p.name for p in (other.path / "backend/overlay").iterdir()) == [
        "r2_x.py",
        "r3_x.py",
        "r4_x.py",
    ]
    assert alembic(other, "current") == "r4 (head)"


def test_looks_stand_holes(shop, two):
    one, other = two
    workspace = shop.at(other)
    status = workspace.migration_status()
    sites = {Path(site.worktree).name: site for site in status.sites}
    assert sites["one"].missing == () and sites["one"].pending == 0
    assert sites["other"].missing == ("r4",) and sites["other"].pending is None
    assert status.next_command == "raccord migrations heal --all"
    (current,) = workspace.migration_current()
    assert [(row.id, row.marks) for row in current.rows] == [("r4", ("missing",))]
    (heads,) = workspace.migration_heads()
    assert [row.id for row in heads.rows] == ["r1"]
    rows = {row.id: row for row in workspace.migration_list().rows if row.id}
    assert rows["r4"].worktrees == ("one",) and set(rows["r4"].marks) == {"applied", "head"}
    assert set(rows["r1"].worktrees) == {"main", "one", "other"}
    (history,) = shop.at(one).migration_history()
    assert [row.id for row in history.rows if row.id] == ["r4", "r3", "r2", "r1"]


def test_copies_are_no_heads_of_the_branch_and_looks_say_what_comes_next(shop, two):
    _, other = two
    other.commit({shop.file("o2"): revision("o2", "r1")})
    assert shop.at(shop.main).migration_status().next_command == "raccord migrations heal --all"
    shop.heal(shop.main, all=True)
    status = shop.at(other).migration_status()
    assert status.next_command == "raccord migrations upgrade"
    site = next(site for site in status.sites if site.worktree == str(other.path))
    assert site.heads == ("o2", "r4") and not site.findings
    (heads,) = shop.at(other).migration_heads()
    assert {row.id: row.marks for row in heads.rows} == {"o2": ("head",), "r4": ("head", "copy")}
    (content,) = shop.at(other).migration_find("r3").contents
    assert content.trusted == "applied here"
    other.write(shop.file("p2"), revision("p2", "r1"))
    status = shop.at(other).migration_status()
    site = next(site for site in status.sites if site.worktree == str(other.path))
    assert [(one.name, one.message) for one in site.findings] == [("migration.heads", "2 heads: o2, p2")]


def test_one_bad_file_is_named_and_hides_no_other(shop, two):
    one, other = two
    one.write("backend/migrations/versions/bad.py", "revision = 'bad'\ndown_revision = (\n")
    assert shop.heal(other).state == "done"
    site = next(s for s in shop.at(other).migration_status().sites if s.worktree == str(one.path))
    assert any("bad.py" in finding.message for finding in site.findings)


def test_a_cycle_and_no_environment_change_nothing(shop, tmp_path):
    other = shop.tree("other")
    other.write(shop.file("r8"), revision("r8", "r9"))
    other.write(shop.file("r9"), revision("r9", "r8"))
    (lane,) = shop.heal(other).lanes
    assert lane.finding is not None and lane.finding.name == "migration.cycle"
    empty = Repo.init(tmp_path / "empty")
    empty.commit({"x": "x"})
    with pytest.raises(CannotRun, match="no alembic"):
        Workspace.open(empty.path).migration_heal()
    other.write("second/alembic.ini", "[alembic]\nscript_location = x\n")
    with pytest.raises(UsageError, match="2 alembic configurations"):
        shop.heal(other)


def test_a_database_that_cannot_be_read_is_told(shop):
    other = shop.tree("other")
    shop.database.write_bytes(b"this is no database" * 100)
    site = next(s for s in shop.at(other).migration_status().sites if s.worktree == str(other.path))
    assert site.applied is None and site.findings[-1].status == "unknown"
    with pytest.raises(CannotRun, match="not read"):
        shop.at(other).migration_current()


def test_nothing_of_a_migration_runs(shop, two):
    one, other = two
    trap = f"open({str(shop.path / 'ran')!r}, 'w')\n"
    one.write(shop.file("r4"), revision("r4", "r3") + trap)
    one.write("backend/migrations/env.py", trap)
    for look in ("migration_status", "migration_list"):
        getattr(shop.at(other), look)()
    shop.at(other).migration_find("r4")
    shop.heal(other)
    assert not (shop.path / "ran").exists()


def test_faces(shop, two, capfd):
    from raccord.cli.main import main

    _, other = two
    for words in (
        ["status"],
        ["list"],
        ["find", "r3"],
        ["current"],
        ["history"],
        ["heads"],
        ["heal", "--dry-run"],
    ):
        assert main(["-C", str(other.path), "migrations", *words]) == 0, words
        text = capfd.readouterr().out
        assert "r" in text and "Traceback" not in text
        assert main(["-C", str(other.path), "--json", "migrations", *words]) == 0
        assert json.loads(capfd.readouterr().out)["version"] == 1
    assert main(["migrations", "shell-init"]) == 0
    shell = capfd.readouterr().out
    for name in ("auto_copy_missing_migrations", "list_all_migrations", "find_migration_in_worktrees"):
        assert f"{name}()" in shell
    subprocess.run(["sh", "-n"], input=shell.encode(), check=True)
    assert main(["-C", str(other.path), "migrations", "heal", "--choose", "r3"]) == 2
    assert "REV=DIGEST" in capfd.readouterr().err
