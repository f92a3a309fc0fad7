"""Random states of a worktree, wrecked at random, come back whole; and so does what the restore took away."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.errors import HeldBack
from raccord.git import snapshot, snapshot_restore
from tests.git.snapshotkit import collect, fingerprint, opened, restore, take
from tests.gitkit import GitFailed, Repo

PATHS = ["a", "b", "a/b", "d/x", "d/y/z", "d", "x.log", "d/x.log", "we\nird", "w\udcff", "-n", ".gitignore"]
path = st.sampled_from(PATHS)
content = st.sampled_from(
    ["", "1\n", "2\n", "1\r\n2\r\n", "a\nb\nc\nd\n", "\x00\n", "*.log\nd/\n", "x" * 5000]
)
step = st.one_of(
    st.tuples(st.just("write"), path, content, st.sampled_from([0o644, 0o755, 0o600, 0o775])),
    st.tuples(st.just("link"), path, st.sampled_from(["a", "../..", "/nowhere", "d"])),
    st.tuples(st.just("delete"), path),
    st.tuples(st.just("folder"), path),
    st.tuples(
        st.just("git"),
        st.sampled_from([("add", "-f", "--"), ("rm", "-q", "--cached", "-r", "-f", "--")]),
        path,
    ),
    st.tuples(
        st.just("git"), st.sampled_from([("add", "-N", "-f", "--"), ("checkout", "-q", "HEAD", "--")]), path
    ),
    st.tuples(st.just("git"), st.sampled_from([("update-index", "--assume-unchanged", "--")]), path),
    st.tuples(st.just("git"), st.sampled_from([("update-index", "--skip-worktree", "--")]), path),
    st.tuples(
        st.just("git"),
        st.sampled_from(
            [
                ("add", "-A"),
                ("commit", "-qam"),
                ("reset", "-q", "--hard", "--"),
                ("reset", "-q", "--soft", "first"),
                ("switch", "-q", "other"),
                ("merge", "-q", "other"),
                ("cherry-pick", "other"),
                ("rebase", "-q", "other"),
                ("checkout", "-q", "--detach"),
                ("clean", "-qfdx"),
            ]
        ),
    ),
)
steps = st.lists(step, max_size=12)


def do(repo, steps):
    """Carries out what of the steps can be."""
    for kind, *args in steps:
        target = repo.path / args[0] if kind != "git" else repo.path
        with contextlib.suppress(OSError, GitFailed):
            if kind == "git":
                words = [*args[0], *args[1:], *(["x"] if args[0][0] == "commit" else [])]
                repo.git(*words, env={"GIT_EDITOR": "true"})
            elif kind == "delete" and target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            elif kind == "delete":
                target.unlink()
            elif kind == "folder":
                target.mkdir(parents=True)
            elif kind == "link":
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                os.symlink(args[1], target)
            else:
                repo.write(args[0], args[1]).chmod(args[2])


def without_refs(found):
    return {key: value for key, value in found.items() if key != "refs"}


def why_not(repo, taken):
    """Why a restore is held back: another branch is checked out, and the one of the snapshot went on."""
    found, worktree = opened(repo)
    try:
        snapshot_restore.prepare(found, worktree, taken, take(repo, ignored="all"))
    except HeldBack as held:
        return held.message
    return ""


def there_and_back(before, after, gc):
    """One history: a state is kept, wrecked, brought back; then what was wrecked is brought back."""
    with tempfile.TemporaryDirectory() as place:
        repo = Repo.init(Path(place, "r"))
        repo.commit({"a": "a\nb\nc\nd\n", "d/x": "x\n", "d/y/z": "z\n", ".gitignore": "*.log\n"})
        repo.git("tag", "first")
        repo.git("switch", "-q", "-c", "other")
        repo.commit({"a": "a\nB\nc\nd\n", "b": "b\n"})
        repo.git("switch", "-q", "main")
        repo.commit({"a": "a\nbb\nc\nd\n"})
        do(repo, before)
        kept = fingerprint(repo)
        taken = take(repo, ignored="all")
        assert fingerprint(repo) == kept
        assert snapshot.read(opened(repo)[0].git, taken.id) == taken
        do(repo, after)
        wrecked = fingerprint(repo)
        if gc:
            collect(repo)
        if "branch main moved" in (problem := why_not(repo, taken)):
            assert fingerprint(repo) == wrecked
            return
        assert problem == ""
        now = restore(repo, taken)
        assert without_refs(fingerprint(repo)) == without_refs(kept)
        restore(repo, now)
        assert fingerprint(repo) == wrecked


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(before=steps, after=steps, gc=st.booleans())
def test_any_state_comes_back(before, after, gc):
    there_and_back(before, after, gc)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=400)
@given(before=steps, after=steps, gc=st.booleans())
def test_very_many_states_come_back(before, after, gc):
    there_and_back(before, after, gc)
