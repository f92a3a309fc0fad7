"""New revisions: written by the project's own alembic, refused where something is missing below them."""

from __future__ import annotations

import ast
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import CannotRun, UsageError
from raccord.model.options import HealOptions, NewOptions, UpgradeOptions
from raccord.model.plan import Finding, Plan
from raccord.model.report import LaneReport, RunReport
from raccord.workspace import Workspace
from tests import pgkit
from tests.alembickit import alembic
from tests.gitkit import Repo

VERSIONS = "backend/migrations/versions"
ENV = """\
import os, sys
from alembic import context
from sqlalchemy import create_engine
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from models import metadata
config = context.config
with create_engine(config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
TEMPLATE = '''\
"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

TEAM = "ours"


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''
MODELS = """\
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("t_r1", metadata, sa.Column("x", sa.Integer))
sa.Table("t_r2", metadata, sa.Column("x", sa.Integer))
"""
BASKET = 'sa.Table("basket", metadata, sa.Column("id", sa.Integer, primary_key=True))\n'


def revision(id_: str, down: str | None) -> str:
    return (
        f'"""create {id_}"""\nfrom alembic import op\nimport sqlalchemy as sa\n'
        f"revision = {id_!r}\ndown_revision = {down!r}\n"
        f'def upgrade():\n    op.create_table("t_{id_}", sa.Column("x", sa.Integer))\n'
        f'def downgrade():\n    op.drop_table("t_{id_}")\n'
    )


class Shop:
    """A repository on main with two revisions, and worktrees that share its database."""

    def __init__(self, path: Path, url: str = "") -> None:
        self.path = path
        self.main = Repo.init(path / "main")
        self.url = url or f"sqlite:///{path / 'app.db'}"
        told = self.url.replace("%", "%%")
        self.ini = f"[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = {told}\n"
        self.main.commit(
            {
                "backend/alembic.ini": self.ini,
                "backend/migrations/env.py": ENV,
                "backend/migrations/script.py.mako": TEMPLATE,
                "backend/models.py": MODELS,
                ".gitignore": "__pycache__/\n",
                self.file("r1"): revision("r1", None),
                self.file("r2"): revision("r2", "r1"),
            },
            "start",
        )

    @staticmethod
    def file(id_: str) -> str:
        return f"{VERSIONS}/{id_}_x.py"

    def new(self, repo: Repo, message: str = "add a basket", **options) -> RunReport:
        report = Workspace.open(repo.path).migration_new(NewOptions(message, **options))
        assert isinstance(report, RunReport)
        return report

    def upgrade(self, repo: Repo) -> None:
        alembic(repo, "upgrade", "heads")


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.fixture
def alone(shop, monkeypatch, tmp_path):
    """The same where no alembic is to be found."""
    git = Path(shop.main.git("--exec-path")).parent.parent / "bin"
    monkeypatch.setenv("PATH", str(git))
    return shop


def files(repo: Repo) -> set[str]:
    return {
        path.relative_to(repo.path / VERSIONS).as_posix() for path in (repo.path / VERSIONS).rglob("*.py")
    }


def only(report: RunReport) -> LaneReport:
    (lane,) = report.lanes
    return lane


def named(notes: tuple[Finding, ...], name: str) -> list[Finding]:
    return [one for one in notes if one.name == name]


def held(report: RunReport) -> Finding:
    lane = only(report)
    assert lane.state == "held" and lane.finding is not None, lane
    return lane.finding


def test_the_projects_own_template_is_rendered_and_taken_back(shop):
    before = files(shop.main)
    plan = Workspace.open(shop.main.path).migration_new(NewOptions("add a basket", dry_run=True))
    assert isinstance(plan, Plan) and files(shop.main) == before
    assert not (shop.main.path / ".git/raccord").exists()
    assert shop.main.git("status", "--porcelain", "--ignored") == ""
    report = shop.new(shop.main)
    assert report.state == "done", report
    (name,) = files(shop.main) - before
    assert re.fullmatch(r"[0-9a-f]{12}_add_a_basket\.py", name)
    text = (shop.main.path / VERSIONS / name).read_text()
    assert 'TEAM = "ours"' in text and "down_revision: str | None = 'r2'" in text
    assert alembic(shop.main, "heads") == f"{name[:12]} (head)"
    (command,) = named(only(report).notes, "migration.command")
    assert f"alembic revision '--message=add a basket' --rev-id={name[:12]} --head=r2" in command.message
    assert shop.main.git("status", "--porcelain", "-uall") == f"?? {VERSIONS}/{name}"
    assert not list((shop.main.path / ".git/raccord").glob("scratch*"))
    undone = Workspace.open(shop.main.path).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and files(shop.main) == before


def test_without_an_alembic_raccord_writes_it(alone, monkeypatch):
    ini = alone.main.path / "backend/alembic.ini"
    ini.write_text(
        f"{alone.ini}file_template = %%(year)d/%%(rev)s-%%(slug)s\nrecursive_version_locations = true\n"
    )
    before = files(alone.main)
    report = alone.new(alone.main, 'a "basket"', depends_on=("r1",))
    assert report.state == "done"
    (note,) = named(only(report).notes, "migration.runner")
    assert "no alembic to run" in note.message
    (name,) = files(alone.main) - before
    assert re.fullmatch(r"20\d\d/[0-9a-f]{12}-a_basket\.py", name)
    text = (alone.main.path / VERSIONS / name).read_text()
    assert "from alembic import op\nimport sqlalchemy as sa" in text
    assert 'down_revision: Union[str, Sequence[str], None] = "r2"' in text
    assert 'depends_on: Union[str, Sequence[str], None] = "r1"' in text
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert alembic(alone.main, "heads").endswith("(head)")


def test_autogenerate_writes_what_the_models_have_more(shop):
    shop.upgrade(shop.main)
    before = files(shop.main)
    nothing = shop.new(shop.main, autogenerate=True)
    assert nothing.state == "nothing" and files(shop.main) == before
    assert named(only(nothing).notes, "migration.unchanged")
    shop.main.commit({"backend/models.py": MODELS + BASKET})
    plan = Workspace.open(shop.main.path).migration_new(NewOptions("x", autogenerate=True, dry_run=True))
    assert isinstance(plan, Plan)
    (note,) = named(plan.stages[0].lanes[0].notes, "migration.operations")
    assert note.data["operations"] == ["create_table basket"]
    report = shop.new(shop.main, autogenerate=True)
    assert report.state == "done"
    (name,) = files(shop.main) - before
    assert "op.create_table('basket'" in (shop.main.path / VERSIONS / name).read_text()
    shop.upgrade(shop.main)
    assert shop.new(shop.main, autogenerate=True).state == "nothing"


def test_autogenerate_asks_an_env_py_that_alone_knows_the_database(shop, tmp_path):
    (tmp_path / "url").write_text(shop.url)
    told = ENV.replace('config.get_main_option("sqlalchemy.url")', f"open({str(tmp_path / 'url')!r}).read()")
    shop.main.commit({"backend/migrations/env.py": told})
    finding = held(shop.new(shop.main, autogenerate=True))
    assert (finding.name, finding.hint) == ("migration.behind", "raccord migrations upgrade")


@pytest.mark.long
def test_autogenerate_on_postgresql(tmp_path):
    try:
        server = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(str(error))
    with server.lent() as name:
        shop = Shop(tmp_path, server.url(name, scheme="postgresql+psycopg"))
        finding = held(shop.new(shop.main, autogenerate=True))
        assert (finding.name, finding.hint) == ("migration.behind", "raccord migrations upgrade")
        shop.upgrade(shop.main)
        shop.main.commit({"backend/models.py": MODELS + BASKET})
        before = files(shop.main)
        assert shop.new(shop.main, autogenerate=True).state == "done"
        (made,) = files(shop.main) - before
        shop.upgrade(shop.main)
        assert server.run("select version_num from alembic_version", name) == [(made[:12],)]


def test_a_run_that_fails_leaves_nothing(shop):
    shop.upgrade(shop.main)
    shop.main.commit({"backend/models.py": MODELS + "raise SystemExit('no such luck')\n"})
    before = files(shop.main)
    with pytest.raises(CannotRun, match="no such luck") as caught:
        shop.new(shop.main, autogenerate=True)
    assert "alembic revision --autogenerate" in caught.value.hint
    assert files(shop.main) == before and shop.main.git("status", "--porcelain", "--ignored") == ""
    assert not list((shop.main.path / ".git/raccord").glob("scratch*"))
    with pytest.raises(CannotRun):
        shop.new(shop.main, 'say """', head="r2")  # the template can't hold it


@pytest.mark.long
def test_what_env_py_puts_elsewhere_or_renames_or_leaves_out(shop):
    shop.upgrade(shop.main)
    hook = (
        "def directives(context, revision, made):\n"
        "    made[0].rev_id = '0003'\n"
        "    made[0].version_path = os.path.join(os.path.dirname(__file__), 'versions')\n"
    )
    env = ENV.replace("config =", hook + "config =").replace(
        "target_metadata=metadata", "target_metadata=metadata, process_revision_directives=directives"
    )
    shop.main.commit({"backend/migrations/env.py": env, "backend/models.py": MODELS + BASKET})
    before = files(shop.main)
    plan = Workspace.open(shop.main.path).migration_new(NewOptions("x", autogenerate=True, dry_run=True))
    assert isinstance(plan, Plan) and files(shop.main) == before
    assert shop.new(shop.main, autogenerate=True).state == "done"
    assert files(shop.main) - before == {"0003_add_a_basket.py"}
    assert alembic(shop.main, "heads") == "0003 (head)"
    undone = Workspace.open(shop.main.path).undo()
    assert isinstance(undone, RunReport) and files(shop.main) == before
    none = ENV.replace(
        "target_metadata=metadata",
        "target_metadata=metadata, process_revision_directives=lambda context, revision, made: made.clear()",
    )
    shop.main.commit({"backend/migrations/env.py": none})
    assert shop.new(shop.main, autogenerate=True).state == "nothing" and files(shop.main) == before


def test_what_the_base_has_comes_first(shop):
    one = shop.main.worktree("one", "one")
    shop.main.commit({shop.file("r3"): revision("r3", "r2")})
    finding = held(shop.new(one))
    assert (finding.name, finding.hint) == ("migration.base", "raccord sync")
    assert "main has r3" in finding.message
    one.git("merge", "-q", "main")
    assert shop.new(one).state == "done"


@pytest.mark.long
def test_what_the_database_has_comes_first_and_is_not_dropped(shop):
    one, other = shop.main.worktree("one", "one"), shop.main.worktree("other", "other")
    one.commit({shop.file("r3"): revision("r3", "r2")})
    shop.upgrade(one)
    finding = held(shop.new(other))
    assert (finding.name, finding.hint) == ("migration.ahead", "raccord migrations heal")
    Workspace.open(other.path).migration_heal(HealOptions())
    finding = held(shop.new(other, autogenerate=True))
    assert finding.name == "migration.theirs" and "r3 of other branches" in finding.message
    assert finding.hint == "raccord migrations fork"
    # It stands on r2, beside the copy that is no head of this branch.
    before = files(other)
    report = shop.new(other)
    assert report.state == "done"
    (name,) = files(other) - before
    assert "= 'r2'" in (other.path / VERSIONS / name).read_text()
    (claim,) = named(only(report).notes, "migration.claim")
    assert claim.data["id"] == "r3" and claim.data["places"] == ["one (one)", "one"]


def test_others_on_the_same_parent_are_named(shop, tmp_path):
    for name in ("one", "two"):
        tree = shop.main.worktree(name, name)
        tree.write(shop.file(f"{name}3"), revision(f"{name}3", "r2"))
    gone = shop.main.worktree("gone", "gone")
    gone.commit({shop.file("g3"): revision("g3", "r2"), shop.file("g4"): revision("g4", "g3")})
    shop.main.git("worktree", "remove", "--force", str(gone.path))
    report = shop.new(shop.main)
    found = {one.data["id"]: one.data["places"] for one in named(only(report).notes, "migration.claim")}
    assert found == {"one3": ["one (one)"], "two3": ["two (two)"], "g3": ["gone"]}
    (rest,) = named(only(report).notes, "migration.claims")
    assert "raccord migrations rebase" in rest.message


@pytest.mark.long
def test_several_heads_and_words_for_one(shop):
    shop.main.commit({shop.file("a3"): revision("a3", "r2"), shop.file("b3"): revision("b3", "r2")})
    finding = held(shop.new(shop.main))
    assert finding.name == "migration.heads" and "--head REV" in finding.hint
    before = files(shop.main)
    assert shop.new(shop.main, "on a", head="a3").state == "done"
    with pytest.raises(UsageError, match="r2 is no head"):
        shop.new(shop.main, head="r2")
    assert shop.new(shop.main, "beside", head="r2", splice=True, label="side").state == "done"
    assert shop.new(shop.main, "anew", head="base", label="fresh", depends_on=("side",)).state == "done"
    made = {name.partition("_")[2]: name for name in files(shop.main) - before}
    text = (shop.main.path / VERSIONS / made["anew.py"]).read_text()
    assert "down_revision: str | None = None" in text and "depends_on = 'side'" in text
    assert "('side',)" in (shop.main.path / VERSIONS / made["beside.py"]).read_text()
    assert len(alembic(shop.main, "heads").splitlines()) == 4
    for options, what in (
        ({"head": "nowhere"}, "no revision or branch"),
        ({"head": "heads"}, "several revisions"),
        ({"head": "b3", "depends_on": ("nowhere",)}, "no revision or branch"),
        ({"head": "b3", "label": "side"}, "is taken"),
        ({"message": " "}, "needs a message"),
        ({"message": "a\0b"}, "needs a message"),
    ):
        with pytest.raises(UsageError, match=what):
            shop.new(shop.main, **options)


@pytest.mark.long
def test_a_configuration_full_of_traps(shop):
    """Percent signs, several locations, a separator, subfolders, a formatter that looks for its own file."""
    more = shop.main.path / "backend/mo re"
    more.mkdir()
    lines = (
        "[DEFAULT]\nwho = 100%%%%\n"
        "[alembic]\nscript_location = %(here)s/migrations\npath_separator = newline\n"
        "version_locations =\n    %(here)s/migrations/versions\n    %(here)s/mo re\n"
        "prepend_sys_path =\n    .\n    src dir\n"
        f"sqlalchemy.url = {shop.url}\nfile_template = %%(rev)s-%(who)s\n"
        "[post_write_hooks]\nhooks = mark\nmark.type = exec\n"
        f"mark.executable = {sys.executable}\n"
        f"mark.options = {shop.path / 'mark.py'} REVISION_SCRIPT_FILENAME\n"
    )
    (shop.path / "mark.py").write_text(
        "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n"
        "style = next(p / 'ruff.toml' for p in path.parents if (p / 'ruff.toml').exists())\n"
        "path.write_text(path.read_text() + style.read_text())\n"
    )
    shop.main.commit({"backend/alembic.ini": lines, "backend/ruff.toml": "STYLE = 'near'\n"})
    report = shop.new(shop.main)
    assert report.state == "done", report
    (path,) = shop.main.path.glob(f"{VERSIONS}/*-100%.py")
    assert path.read_text().endswith("STYLE = 'near'\n") and ast.parse(path.read_text())
    assert alembic(shop.main, "heads").endswith("(head)")


@pytest.mark.long
def test_a_project_with_nothing_but_pyproject(shop):
    shop.main.git("rm", "-q", "backend/alembic.ini")
    env = ENV.replace('config.get_main_option("sqlalchemy.url")', repr(shop.url))
    toml = '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    shop.main.commit({"backend/pyproject.toml": toml, "backend/migrations/env.py": env})
    shop.upgrade(shop.main)
    shop.main.commit({"backend/models.py": MODELS + BASKET})
    before = files(shop.main)
    assert shop.new(shop.main, autogenerate=True).state == "done"
    assert len(files(shop.main) - before) == 1


@pytest.mark.long
def test_several_databases_of_one_environment(shop):
    ini = shop.ini.replace("[alembic]\n", "[alembic]\ndatabases = a, b\n").replace("sqlalchemy.url", "x")
    ini += f"[a]\nsqlalchemy.url = {shop.url}\n[b]\nsqlalchemy.url = sqlite:///{shop.path / 'b.db'}\n"
    shop.main.commit({"backend/alembic.ini": ini})
    finding = held(shop.new(shop.main, autogenerate=True))
    assert finding.name == "migration.behind"
    assert shop.new(shop.main).state == "done"


@pytest.mark.long
def test_several_histories_of_one_project(shop):
    ini = f"{shop.ini}[second]\nscript_location = %(here)s/second\nsqlalchemy.url = {shop.url}2\n"
    second = {
        f"backend/second/{name}": text for name, text in (("env.py", ENV), ("script.py.mako", TEMPLATE))
    }
    shop.main.commit(
        {"backend/alembic.ini": ini, **second, "backend/second/versions/s1_x.py": revision("s1", None)}
    )
    one = shop.main.worktree("one", "one")
    one.write("backend/second/versions/s2_x.py", revision("s2", "s1"))
    one.write(shop.file("o3"), revision("o3", "r2"))
    with pytest.raises(UsageError, match="several histories: alembic, second"):
        shop.new(shop.main)
    report = shop.new(shop.main, name="second")
    assert report.state == "done", report
    (path,) = shop.main.path.glob("backend/second/versions/*_add_a_basket.py")
    assert "= 's1'" in path.read_text()
    assert [note.data["id"] for note in named(only(report).notes, "migration.claim")] == ["s2"]


@pytest.mark.long
def test_an_unreadable_database_is_told_and_a_first_revision_written(tmp_path):
    shop = Shop(tmp_path)
    for id_ in ("r1", "r2"):
        shop.main.git("rm", "-q", shop.file(id_))
    shop.main.commit({"backend/models.py": MODELS})
    Path(tmp_path / "app.db").write_bytes(b"no database at all" * 100)
    (shop.main.path / VERSIONS).mkdir(exist_ok=True)
    report = shop.new(shop.main)
    assert report.state == "done"
    (note,) = named(only(report).notes, "migration.unread")
    assert note.status == "unknown"
    (name,) = files(shop.main)
    assert "down_revision: str | None = None" in (shop.main.path / VERSIONS / name).read_text()


@pytest.mark.long
def test_a_name_that_is_taken_and_one_that_git_ignores(shop):
    (shop.main.path / "backend/alembic.ini").write_text(f"{shop.ini}file_template = %%(slug)s\n")
    assert shop.new(shop.main, "same").state == "done"
    with pytest.raises(CannotRun, match="is there already"):
        shop.new(shop.main, "same")
    shop.main.write(".gitignore", "__pycache__/\nbackend/migrations/versions/hidden*\n")
    report = shop.new(shop.main, "hidden")
    (note,) = named(only(report).notes, "migration.ignored")
    assert "git add -f" in note.hint


def test_on_the_command_line(shop, capsys):
    where = ["-C", str(shop.main.path), "migrations", "new"]
    assert main([*where, "-m", "--odd", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "_odd.py: " in out and "on r2" in out
    assert main(where) == 2
    assert main([*where, "-m", "x", "--name", "other"]) == 2
    shop.main.commit({shop.file("a3"): revision("a3", "r2"), shop.file("b3"): revision("b3", "r2")})
    assert main([*where, "-m", "x"]) == 5
    assert "raccord migrations merge" in capsys.readouterr().out


@pytest.mark.long
def test_an_upgrade_applies_it(shop):
    Workspace.open(shop.main.path).migration_upgrade(UpgradeOptions())
    assert shop.new(shop.main).state == "done"
    report = Workspace.open(shop.main.path).migration_upgrade(UpgradeOptions())
    assert isinstance(report, RunReport) and report.state == "done"
    with sqlite3.connect(shop.path / "app.db") as db:
        ((head,),) = db.execute("select version_num from alembic_version")
    assert alembic(shop.main, "current") == f"{head} (head)"
