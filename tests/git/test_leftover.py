"""Locks that a killed fetch or push left are cleared; those of anybody else are not."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.git import leftover
from raccord.git.remote import fetch
from raccord.git.repo import Repository, open_repository
from tests.gitkit import remote_with_clone


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setattr(leftover, "SETTLED_S", 0.05)
    _, clone = remote_with_clone(tmp_path)
    return open_repository(clone.path)


def note_of_the_dead(repo: Repository) -> Path:
    """A note whose process was killed."""
    folder = repo.common / "raccord/notes"
    folder.mkdir(parents=True, exist_ok=True)
    code = (
        "import sys, os, signal; from pathlib import Path; from raccord.kernel.owner import me\n"
        "Path(sys.argv[1]).write_text(str(me(Path(sys.argv[2]))))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    note = folder / "0123"
    src = str(Path(leftover.__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", code, note, folder.parent], env={**os.environ, "PYTHONPATH": src}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    return note


def lock(repo: Repository, name: str, text: str = "") -> Path:
    path = repo.common / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_the_dead_left_is_cleared_and_the_fetch_goes_on(repo: Repository) -> None:
    note = note_of_the_dead(repo)
    left = [
        lock(repo, "refs/remotes/origin/main"),
        lock(repo, "refs/remotes/origin/a/b", "0" * 40 + "\n"),
        lock(repo, "refs/remotes/origin/c", "0" * 40),
        lock(repo, "refs/raccord/runs/x"),
        lock(repo, "packed-refs", "# pack-refs with: peeled\n"),
    ]
    leftover.clear(repo)
    fetch(repo, "origin")
    assert not note.exists()
    assert [path for path in left if path.exists()] == []


def test_locks_of_others_stay(repo: Repository) -> None:
    old = lock(repo, "refs/remotes/origin/old")
    os.utime(old, (1, 1))
    strange = lock(repo, "refs/remotes/origin/strange", "something else")
    branch = lock(repo, "refs/heads/main")
    leftover.clear(repo)
    assert old.exists(), "nobody died"
    # The change time is what counts: it can't be set.
    note_of_the_dead(repo)
    leftover.clear(repo)
    assert [path.exists() for path in (old, strange, branch)] == [True, True, True]


def test_the_living_keep_their_locks(repo: Repository) -> None:
    note = leftover.begin(repo)
    held = lock(repo, "refs/remotes/origin/main")
    leftover.clear(repo)
    assert held.exists()
    leftover.end(repo, note)
    assert note.exists(), "the lock may be of a child that was killed: the next raccord looks"
    held.unlink()
    leftover.end(repo, note)
    assert not note.exists()


def test_a_lock_that_moves_on_is_left_alone(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    note_of_the_dead(repo)
    held = lock(repo, "refs/remotes/origin/main")
    monkeypatch.setattr("time.sleep", lambda _: held.write_text("0" * 40 + "\n"))
    leftover.clear(repo)
    assert held.exists()


def test_packed_refs_of_a_git_at_work_stay_locked(repo: Repository) -> None:
    note_of_the_dead(repo)
    held = lock(repo, "packed-refs")
    at_work = subprocess.Popen(["git", "cat-file", "--batch"], cwd=repo.common, stdin=subprocess.PIPE)
    try:
        leftover.clear(repo)
        assert held.exists()
    finally:
        at_work.communicate()


def test_a_push_that_is_killed_is_cleared_at_once(repo: Repository) -> None:
    there = repo.common / "refs/remotes/origin/main.lock"
    git = replace(
        repo.git, settings=("-c", "alias.die=!printf 01 > .git/refs/remotes/origin/main.lock; kill -9 $PPID")
    )
    assert leftover.run(repo, git, *git.settings, "die", timeout=100).returncode == -signal.SIGKILL
    assert not there.exists()
