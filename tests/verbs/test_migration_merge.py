"""Several heads of a branch's own history become one, in a file that alembic takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import CannotRun, UsageError
from raccord.model.options import HealOptions, MergeOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.alembickit import alembic
from tests.gitkit import Repo

VERSIONS = "backend/migrations/versions"
INI = "[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///app.db\n"


def revision(id_: str, down: str | None) -> str:
    return f"revision = {id_!r}\ndown_revision = {down!r}\ndef upgrade(): pass\ndef downgrade(): pass\n"


@pytest.fixture
def fork(tmp_path) -> Repo:
    """A worktree whose history has two heads."""
    repo = Repo.init(tmp_path / "main")
    chain = {"r1": None, "a2": "r1", "b2": "r1"}
    files = {f"{VERSIONS}/{id_}_x.py": revision(id_, down) for id_, down in chain.items()}
    repo.commit({"backend/alembic.ini": INI, "backend/migrations/env.py": "", **files}, "start")
    return repo


def merge(repo: Repo, message: str = "join a and b", **options) -> RunReport:
    report = Workspace.open(repo.path).migration_merge(MergeOptions(message, **options))
    assert isinstance(report, RunReport)
    return report


def versions(repo: Repo) -> list[Path]:
    return sorted((repo.path / VERSIONS).glob("*.py"))


def test_two_heads_become_one_and_two_again(fork):
    before = versions(fork)
    plan = Workspace.open(fork.path).migration_merge(MergeOptions("join", dry_run=True))
    assert isinstance(plan, Plan) and versions(fork) == before and not (fork.path / ".git/raccord").exists()
    assert merge(fork).state == "done"
    (new,) = set(versions(fork)) - set(before)
    assert re.fullmatch(r"[0-9a-f]{12}_join_a_and_b\.py", new.name)
    assert alembic(fork, "heads") == f"{new.name[:12]} (head)"
    assert "Parents: " in alembic(fork, "show", new.name[:12]) or "Merges: " in alembic(fork, "show", "head")
    assert new.read_text().splitlines()[0] == '"""join a and b'
    assert fork.git("status", "--porcelain", "-uall") == f"?? {VERSIONS}/{new.name}"
    with pytest.raises(UsageError, match="nothing to merge"):
        merge(fork)
    undone = Workspace.open(fork.path).undo()
    assert isinstance(undone, RunReport) and undone.state == "done" and versions(fork) == before


def test_it_is_written_as_the_projects_own(fork):
    lines = "file_template = %%(year)d_%%(month).2d_%%(rev)s-%%(slug)s\ntimezone = UTC\n"
    ini = fork.path / "backend/alembic.ini"
    ini.write_text(f"{INI}{lines}truncate_slug_length = 12\n")
    (fork.path / "backend/migrations/script.py.mako").write_text(
        "revision: str = ${repr(up_revision)}\ndef upgrade(engine_name: str) -> None:\n    pass\n"
    )
    merge(fork, 'say "a\\b" twice: """')
    (new,) = fork.path.glob(f"{VERSIONS}/20*.py")
    assert re.fullmatch(r"20\d\d_\d\d_[0-9a-f]{12}-say_a_b_\.py", new.name)
    text = new.read_text()
    compile(text, "x", "exec")
    assert "def upgrade(engine_name: str) -> None:" in text and "revision: str =" in text
    assert 'down_revision: Union[str, Sequence[str], None] = ("a2", "b2")' in text
    assert "+00:00" in text


def test_a_copy_of_another_branch_is_no_head_of_this_one(fork, tmp_path):
    other = fork.worktree("other", "other")
    fork.git("rm", "-q", f"{VERSIONS}/b2_x.py")
    fork.git("commit", "-qm", "one head")
    (fork.path / f"{VERSIONS}/b3_x.py").write_text(revision("b3", "b2"))
    Workspace.open(fork.path).migration_heal(HealOptions(trust=True))
    (fork.path / f"{VERSIONS}/b3_x.py").unlink()
    assert [path.name for path in versions(fork)] == ["a2_x.py", "b2_x.py", "r1_x.py"]
    with pytest.raises(UsageError, match="b2: of other branches"):
        merge(fork)
    assert merge(other).state == "done"


def test_it_refuses_what_is_not_whole(fork):
    with pytest.raises(UsageError, match="needs a message"):
        merge(fork, " ")
    with pytest.raises(UsageError, match="no file can hold"):
        merge(fork, "a \0 in it")
    fork.write(f"{VERSIONS}/c3_x.py", revision("c3", "lost"))
    with pytest.raises(CannotRun, match="revision lost is missing"):
        merge(fork)
    fork.write(f"{VERSIONS}/c3_x.py", revision("c3", "c4"))
    fork.write(f"{VERSIONS}/c4_x.py", revision("c4", "c3"))
    with pytest.raises(CannotRun, match="come before each other"):
        merge(fork)


def test_on_the_command_line(fork, capsys):
    assert main(["-C", str(fork.path), "migrations", "merge", "-m", "join", "--dry-run"]) == 0
    assert "joins a2, b2" in capsys.readouterr().out
    assert main(["-C", str(fork.path), "migrations", "merge"]) == 2
    assert main(["-C", str(fork.path), "migrations", "upgrade", "--dry-run"]) == 0
    assert "alembic upgrade" in capsys.readouterr().out
