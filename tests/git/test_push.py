"""A push tells each update apart, overwrites only what its lease names, and says when it doesn't know."""

import os
import sys
import threading
from pathlib import Path

import pytest

from raccord.errors import HeldBack
from raccord.git.remote import Push, Pushed, ask, fetch, push
from tests.git.remotes import MAIN, moved_remote, opened, script
from tests.git.traps import Trap, hook
from tests.gitkit import Repo, git, remote_with_clone

CUT = Path(__file__).with_name("cut.py")


@pytest.fixture
def pair(tmp_path):
    return remote_with_clone(tmp_path)


def test_each_ends_in_its_own_way(pair):
    remote, clone = pair
    base = clone.oid()
    for name in ("behind", "stale", "forced", "deleted", "kept", "ahead"):
        clone.git("push", "--quiet", "origin", f"{base}:refs/heads/{name}")
    theirs = {name: moved_remote(remote, name) for name in ("behind", "stale")}
    mine = clone.commit({"mine": "1"})
    clone.git("push", "--quiet", "origin", f"{mine}:refs/heads/forced")
    other = clone.git("commit-tree", "-m", "other", "-p", base, f"{mine}^{{tree}}")
    found = push(
        opened(clone),
        "origin",
        [
            Push("refs/heads/ahead", mine),
            Push("refs/heads/behind", mine),
            Push("refs/heads/deleted", None, lease=base),
            Push("refs/heads/forced", other, lease=mine, force=True),
            Push("refs/heads/kept", base),
            Push("refs/heads/new", mine),
            Push("refs/heads/new-leased", mine, lease=None, force=True),
            Push("refs/heads/stale", other, lease=base, force=True),
        ],
    )
    assert {ref.removeprefix("refs/heads/"): one.status for ref, one in found.items()} == {
        "ahead": Pushed.OK,
        "behind": Pushed.BEHIND,
        "deleted": Pushed.OK,
        "forced": Pushed.OK,
        "kept": Pushed.SAME,
        "new": Pushed.OK,
        "new-leased": Pushed.OK,
        "stale": Pushed.STALE,
    }
    assert remote.oid("behind") == theirs["behind"]
    assert remote.oid("stale") == theirs["stale"]
    assert remote.oid("forced") == other
    assert remote.oid("new") == remote.oid("ahead") == mine


def test_a_lease_that_a_fetch_renewed_still_holds(pair):
    """After a fetch, a bare lease would overwrite what nobody has looked at."""
    remote, clone = pair
    base = clone.oid()
    theirs = moved_remote(remote)
    fetch(opened(clone), "origin")
    other = clone.git("commit-tree", "-m", "other", f"{base}^{{tree}}")
    found = push(opened(clone), "origin", [Push(MAIN, other, lease=base, force=True)])
    assert found[MAIN].status is Pushed.STALE
    assert remote.oid("main") == theirs


def test_without_force_nothing_is_overwritten(pair):
    remote, clone = pair
    before = remote.oid("main")
    other = clone.git("commit-tree", "-m", "other", f"{before}^{{tree}}")
    found = push(opened(clone), "origin", [Push(MAIN, other)])
    assert found[MAIN].status is Pushed.BEHIND
    assert remote.oid("main") == before
    existing = push(opened(clone), "origin", [Push(MAIN, other, lease=None, force=True)])
    assert existing[MAIN].status is Pushed.STALE


def test_deleting_what_is_gone_keeps_nothing_back(pair):
    _, clone = pair
    mine = clone.commit({"mine": "1"})
    found = push(
        opened(clone), "origin", [Push("refs/heads/gone", None, lease=mine), Push("refs/heads/new", mine)]
    )
    assert found["refs/heads/new"].status is Pushed.OK
    assert found["refs/heads/gone"].status in (Pushed.STALE, Pushed.REJECTED, Pushed.SAME)


def test_atomic_is_all_or_none(pair):
    remote, clone = pair
    base = clone.oid()
    moved_remote(remote)
    mine = clone.commit({"mine": "1"})
    updates = [Push(MAIN, mine, lease=base, force=True), Push("refs/heads/new", mine)]
    found = push(opened(clone), "origin", updates, atomic=True)
    assert found[MAIN].status is Pushed.STALE
    assert found["refs/heads/new"].status is Pushed.REJECTED
    assert remote.git("for-each-ref", "refs/heads/new") == ""


def test_the_remotes_hook_speaks(pair):
    remote, clone = pair
    script(remote.path / "hooks/update", 'test "$1" != refs/heads/no || { echo "no means no"; exit 1; }\n')
    mine = clone.commit({"mine": "1"})
    found = push(opened(clone), "origin", [Push("refs/heads/no", mine), Push("refs/heads/yes", mine)])
    assert found["refs/heads/no"].status is Pushed.REJECTED
    assert "no means no" in found["refs/heads/no"].message
    assert found["refs/heads/yes"].status is Pushed.OK


def test_the_users_hook_runs_and_may_refuse(pair, tmp_path):
    remote, clone = pair
    trap = Trap.made(tmp_path / "trap")
    hook(clone, "pre-push", trap)
    mine = clone.commit({"mine": "1"})
    assert push(opened(clone), "origin", [Push(MAIN, mine)])[MAIN].status is Pushed.OK
    assert trap.sprung()
    (clone.path / ".git/hooks/pre-push").unlink()
    script(clone.path / ".git/hooks/pre-push", "echo tests are red >&2\nexit 1\n")
    mine = clone.commit({"mine": "2"})
    with pytest.raises(HeldBack) as caught:
        push(opened(clone), "origin", [Push(MAIN, mine)])
    assert "tests are red" in str(caught.value.data["output"])
    assert remote.oid("main") != mine


def test_a_hook_may_use_bare_repositories(pair):
    """What raccord forbids itself must not break a user's hook."""
    remote, clone = pair
    script(
        clone.path / ".git/hooks/pre-push",
        f"cd {remote.path} && unset GIT_DIR && git rev-parse main >&2\n",
    )
    assert push(opened(clone), "origin", [Push(MAIN, clone.commit({"m": "1"}))])[MAIN].status is Pushed.OK


@pytest.mark.parametrize("lands", [True, False])
def test_a_connection_that_dies_leaves_it_unknown(pair, tmp_path, lands):
    remote, clone = pair
    before = remote.oid("main")
    mine = clone.commit({"mine": "1"})
    # The remote's report is cut off, after it did its work or before.
    program = tmp_path / "dying"
    script(program, f'git receive-pack "$1" | {sys.executable} {CUT} {"lands" if lands else ""}\n')
    clone.git("config", "remote.origin.receivepack", str(program))
    found = push(opened(clone), "origin", [Push(MAIN, mine), Push("refs/heads/new", mine)])
    assert {one.status for one in found.values()} == {Pushed.UNKNOWN}
    clone.git("config", "--unset", "remote.origin.receivepack")
    asked = ask(opened(clone), "origin", [MAIN, "refs/heads/new"])
    assert asked == {
        MAIN: mine if lands else before,
        "refs/heads/new": mine if lands else None,
    }


def test_no_answer_in_time_leaves_it_unknown(pair, tmp_path):
    _, clone = pair
    clone.git("config", "remote.origin.receivepack", str(script(tmp_path / "silent", "sleep 30\n")))
    found = push(opened(clone), "origin", [Push(MAIN, clone.commit({"m": "1"}))], timeout=0.5)
    assert found[MAIN].status is Pushed.UNKNOWN
    assert "no answer" in found[MAIN].message


def test_settings_that_push_more_are_overruled(pair):
    remote, clone = pair
    clone.git("config", "push.followTags", "true")
    clone.git("config", "push.default", "matching")
    mine = clone.commit({"m": "1"})
    clone.git("tag", "-m", "note", "v1")
    clone.git("branch", "other")
    assert list(push(opened(clone), "origin", [Push("refs/heads/new", mine)])) == ["refs/heads/new"]
    names = remote.git("for-each-ref", "--format=%(refname)").split()
    assert names == ["refs/heads/main", "refs/heads/new"]


def test_odd_names_from_a_linked_worktree_and_a_bare_repository(pair, tmp_path):
    remote, clone = pair
    linked = clone.worktree(tmp_path / "linked", "topic")
    mine = linked.commit({"m": "1"})
    odd = "refs/heads/" + os.fsdecode("ä'\"$x-".encode() + b"\xff")
    found = push(opened(linked), "origin", [Push(odd, mine), Push("refs/heads/-dash", mine)])
    assert [one.status for one in found.values()] == [Pushed.OK, Pushed.OK]
    git(tmp_path, "clone", "--quiet", "--bare", clone.path, "bare.git")
    bare = Repo(tmp_path / "bare.git")
    bare.git("config", "remote.origin.url", str(remote.path))
    found = push(opened(bare), "origin", [Push("refs/heads/bare", bare.oid("topic"))])
    assert found["refs/heads/bare"].status is Pushed.OK


def test_a_race_has_one_winner(pair, tmp_path):
    remote, clone = pair
    base = clone.oid()
    repo = opened(clone)
    oids = [clone.git("commit-tree", "-m", str(n), "-p", base, f"{base}^{{tree}}") for n in range(6)]
    results = []

    def work(oid: str) -> None:
        results.append((oid, push(repo, "origin", [Push(MAIN, oid, lease=base, force=True)])[MAIN]))

    threads = [threading.Thread(target=work, args=(oid,)) for oid in oids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [oid for oid, one in results if one.status is Pushed.OK]
    assert winners == [remote.oid("main")]


def test_nothing_to_push(pair):
    assert push(opened(pair[1]), "origin", []) == {}
