"""A user's hook runs where and as git would run it, and no longer than it may."""

import os
from pathlib import Path

import pytest

from raccord.errors import ProcessTimeout
from raccord.git.hooks import find_hook, run_hook
from raccord.git.repo import open_repository
from tests.gitkit import Repo


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"f": "1"})
    return made


def put(path: Path, text: str = "exit 0\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(mode)
    return path


def test_none(repo):
    opened = open_repository(repo.path)
    assert find_hook(opened, "pre-rebase", repo.path) is None
    assert run_hook(opened, "pre-rebase", repo.path) is None
    put(repo.path / ".git/hooks/pre-rebase", mode=0o644)
    assert find_hook(opened, "pre-rebase", repo.path) is None
    (repo.path / ".git/hooks/post-checkout").mkdir()
    assert find_hook(opened, "post-checkout", repo.path) is None


def test_looking_for_none_starts_nothing(repo, monkeypatch):
    from raccord.kernel import proc

    opened = open_repository(repo.path)
    monkeypatch.setattr(proc, "run", None)
    assert run_hook(opened, "pre-rebase", repo.path) is None


def test_arguments_input_place_and_result(repo, tmp_path):
    linked = repo.worktree("linked", "topic")
    put(
        repo.path / ".git/hooks/post-rewrite",
        'echo "$# $1"; pwd; cat; git rev-parse --abbrev-ref HEAD; echo oops >&2; exit 3\n',
    )
    result = run_hook(open_repository(repo.path), "post-rewrite", linked.path, "rebase", stdin=b"old new\n")
    assert result is not None
    assert result.returncode == 3
    assert result.name == "post-rewrite"
    assert result.output == f"1 rebase\n{linked.path}\nold new\ntopic\noops\n"


def test_git_sees_the_hook_in_the_same_place(repo, home):
    put(repo.path / "tools/hooks/pre-rebase")
    put(home / "hooks/pre-rebase")
    linked = repo.worktree("linked", "topic")
    put(linked.path / "tools/hooks/pre-rebase")
    for configured, worktree, expected in (
        ("tools/hooks", repo.path, repo.path / "tools/hooks/pre-rebase"),
        ("tools/hooks", linked.path, linked.path / "tools/hooks/pre-rebase"),
        (str(repo.path / "tools/hooks"), linked.path, repo.path / "tools/hooks/pre-rebase"),
        ("~/hooks", repo.path, home / "hooks/pre-rebase"),
    ):
        repo.git("config", "core.hooksPath", configured)
        assert find_hook(open_repository(repo.path), "pre-rebase", worktree) == expected


def test_a_hook_that_hangs_is_ended(repo):
    put(repo.path / ".git/hooks/post-checkout", "sleep 60\n")
    with pytest.raises(ProcessTimeout):
        run_hook(open_repository(repo.path), "post-checkout", repo.path, timeout=0.3)


def test_what_a_surrounding_hook_exported_does_not_reach_it(repo, monkeypatch):
    put(repo.path / ".git/hooks/post-checkout", "env\n")
    opened = open_repository(repo.path)
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/elsewhere")
    result = run_hook(opened, "post-checkout", repo.path)
    assert result is not None
    assert "/elsewhere" not in result.output
    assert f"GIT_DIR={repo.path}/.git\n" in result.output
    assert "RACCORD_" not in result.output


def test_output_without_end_is_cut(repo):
    put(repo.path / ".git/hooks/post-checkout", "head -c 3000000 /dev/zero\n")
    result = run_hook(open_repository(repo.path), "post-checkout", repo.path)
    assert result is not None
    assert len(result.output) <= 64 * 1024


def test_bytes_that_are_no_text(repo):
    put(repo.path / ".git/hooks/post-checkout", r"printf '\377'" + "\n")
    result = run_hook(open_repository(repo.path), "post-checkout", repo.path, os.fsdecode(b"\xff"))
    assert result is not None
    assert result.output == "\ufffd"
