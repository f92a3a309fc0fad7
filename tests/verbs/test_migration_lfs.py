"""Revisions that Git LFS stores: real git-lfs, with a remote that is a directory."""

from __future__ import annotations

import json
import shutil

import pytest

from raccord.errors import CannotRun
from raccord.model.options import HealOptions
from raccord.workspace import Workspace
from tests.gitkit import Repo, git
from tests.verbs.test_migrations import Shop, revision

HAS_LFS = shutil.which("git-lfs") is not None
needs_lfs = pytest.mark.skipif(not HAS_LFS, reason="git-lfs is not installed")
SKIP = {"GIT_LFS_SKIP_SMUDGE": "1"}


@pytest.fixture
def clone(tmp_path, home):
    """A clone whose version files Git LFS stores; it fetched pointers only. The database is at "r2"."""
    shop = Shop(tmp_path / "theirs")
    shop.main.git("lfs", "install", "--local")
    url = f"file://{shop.path}/remote.git"
    shop.main.git("remote", "set-url", "origin", url)
    shop.main.git("push", "-q", "origin", "main")
    shop.main.git("checkout", "-q", "-b", "feature")
    shop.main.write(".gitattributes", "*_x.py filter=lfs diff=lfs merge=lfs -text\n")
    shop.main.git("add", ".gitattributes")
    shop.main.commit({shop.file("r2"): revision("r2", "r1")})
    shop.main.git("push", "-q", "origin", "feature")
    shop.applied("r2")
    git(tmp_path, "clone", "-q", url, "mine", env=SKIP)
    return shop, Repo(tmp_path / "mine")


def heal(repo: Repo, **options):
    return Workspace.open(repo.path).migration_heal(HealOptions(**options))


@needs_lfs
def test_what_is_not_fetched_is_named_and_fetched_on_request(clone):
    shop, mine = clone
    (lane,) = heal(mine).lanes
    assert lane.finding.name == "migration.nowhere"
    size = len(revision("r2", "r1"))
    assert "r2_x.py: Git LFS object" in lane.finding.message and f", {size} bytes," in lane.finding.message
    assert "raccord migrations heal --fetch-lfs" in lane.finding.hint
    report = heal(mine, fetch_lfs=True)
    assert report.state == "done"
    assert (mine.path / shop.file("r2")).read_text() == revision("r2", "r1")
    assert "origin has it" in report.lanes[-1].notes[0].message
    assert heal(mine).state == "nothing"


@needs_lfs
def test_a_server_without_it_is_told(clone):
    shop, mine = clone
    shutil.rmtree(shop.path / "remote.git/lfs")
    with pytest.raises(CannotRun, match="Git LFS can download nothing") as error:
        heal(mine, fetch_lfs=True)
    assert "git lfs" in error.value.hint
    assert not (mine.path / shop.file("r2")).exists()


@needs_lfs
def test_a_worktree_that_holds_only_pointers_is_told_to_check_them_out(clone):
    shop, mine = clone
    mine.git("checkout", "-q", "feature", env=SKIP)
    shop.applied("r3")
    (lane,) = heal(mine).lanes
    assert lane.finding.name == "migration.lfs" and lane.finding.hint == "git lfs pull"
    assert "r2_x.py: a Git LFS pointer to a content of" in lane.finding.message
    (site,) = Workspace.open(mine.path).migration_status().sites
    assert any(one.hint == "git lfs pull" for one in site.findings)


@needs_lfs
def test_what_a_worktree_has_checked_out_is_content(clone):
    shop, mine = clone
    other = mine.worktree("other", "other", "origin/feature")
    other.git("lfs", "install", "--local")
    other.git("lfs", "pull")
    assert (other.path / shop.file("r2")).read_text() == revision("r2", "r1")
    shutil.rmtree(mine.path / ".git/lfs/objects")
    report = heal(mine)
    assert report.state == "done" and "origin has it" in report.lanes[-1].notes[0].message
    assert heal(mine).state == "nothing"


def test_without_git_lfs_the_person_is_told_to_install_it(tmp_path, monkeypatch):
    shop = Shop(tmp_path)
    other = shop.tree("other")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 100\n"
    other.commit({shop.file("r2"): pointer})
    other.git("rm", "-q", shop.file("r2"))
    shop.applied("r2")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(programs))
    # Where git keeps programs of its own, a package may have put git-lfs too.
    monkeypatch.setenv("GIT_EXEC_PATH", str(programs))
    with pytest.raises(CannotRun, match="git-lfs is not installed"):
        heal(shop.main, fetch_lfs=True)


def test_it_can_be_asked_for_at_the_command_line(tmp_path, capfd):
    from raccord.cli.main import main

    shop = Shop(tmp_path)
    shop.applied("r1")
    assert main(["-C", str(shop.main.path), "migrations", "heal", "--fetch-lfs", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["version"] == 1
