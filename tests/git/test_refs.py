"""Refs are read in one call and moved all or none, on condition."""

import os
import threading
from dataclasses import replace

import pytest

from raccord.errors import ProcessFailed, WorldMoved
from raccord.git.refs import Change, Refs, read, update
from raccord.git.repo import open_repository
from tests.git.traps import Trap, hook
from tests.gitkit import Repo, remote_with_clone


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    for number in range(3):
        made.commit({"f": str(number)})
    made.git("branch", "feature/a", "HEAD~1")
    return made


@pytest.fixture
def git(repo):
    return open_repository(repo.path).git


def test_heads_remotes_upstreams(tmp_path):
    _, clone = remote_with_clone(tmp_path)
    clone.git("push", "--quiet", "origin", "main:topic/x")
    clone.git("fetch", "--quiet")
    clone.git("branch", "--quiet", "--track", "mine", "origin/topic/x")
    clone.git("tag", "-m", "note", "v1")
    tip = clone.oid()
    refs = read(open_repository(clone.path).git)
    assert refs.heads == {"main": tip, "mine": tip}
    assert refs.remote("origin") == {"main": tip, "topic/x": tip}
    assert refs.remote("orig") == {}
    assert refs.by_name["refs/remotes/origin/HEAD"].symref == "refs/remotes/origin/main"
    assert refs.by_name["refs/heads/mine"].upstream == "refs/remotes/origin/topic/x"
    assert refs.get("refs/heads/main") == tip
    assert refs.get("refs/heads/none") is None
    assert refs.get("refs/tags/v1") is None


def test_tags_are_peeled_on_request(repo, git):
    repo.git("tag", "-m", "note", "v1")
    repo.git("tag", "light")
    refs = read(git, "refs/tags")
    assert refs.by_name["refs/tags/v1"].peeled == repo.oid() != refs.get("refs/tags/v1")
    assert refs.by_name["refs/tags/light"].peeled == repo.oid()
    assert list(read(git, "refs/raccord").by_name) == []


def test_odd_names(repo, git):
    names = ["-dash", "sp'quote", "äöü", "x@y", 'quo"te', "a%00b", os.fsdecode(b"\xff")]
    for name in names:
        repo.git("update-ref", f"refs/heads/{name}", "HEAD")
    assert set(read(git).heads) == {"main", "feature/a", *names}


def test_a_lost_object_or_a_broken_ref_stops_nothing(repo, git):
    (repo.path / ".git/refs/heads/lost").write_text("1" * 40 + "\n")
    (repo.path / ".git/refs/heads/broken").write_text("nonsense\n")
    repo.git("symbolic-ref", "refs/heads/dangling", "refs/heads/nowhere")
    refs = read(git)
    assert refs.get("refs/heads/main") == repo.oid()
    assert refs.get("refs/heads/lost") in (None, "1" * 40)
    assert "refs/heads/broken" in refs.broken
    repo.git("tag", "-m", "note", "v1")
    everything = read(git, "refs")
    assert everything.by_name["refs/tags/v1"].peeled == repo.oid()
    assert {"refs/heads/broken", "refs/heads/lost"} <= set(everything.broken)


def test_no_refs(tmp_path):
    assert read(open_repository(Repo.init(tmp_path / "new").path).git) == Refs()


def test_update_create_and_delete_in_one_go(repo, git):
    one, two = repo.oid("HEAD~1"), repo.oid()
    update(
        git,
        [
            Change("refs/heads/feature/a", two, one),
            Change("refs/raccord/new", one, None),
            Change("refs/heads/main", one, two),
        ],
        "raccord: test",
    )
    refs = read(git, "refs")
    assert refs.get("refs/heads/feature/a") == two
    assert refs.get("refs/raccord/new") == one
    assert repo.git("reflog", "-1", "--format=%gs", "refs/heads/feature/a") == "raccord: test"
    update(git, [Change("refs/raccord/new", None, one)], "raccord: test")
    assert read(git, "refs/raccord") == Refs()
    update(git, [], "nothing")


@pytest.mark.parametrize(
    "bad",
    [
        ("refs/heads/feature/a", "HEAD", "HEAD~2"),  # at another commit
        ("refs/heads/feature/a", "HEAD", None),  # exists already
        ("refs/heads/none", "HEAD", "HEAD~1"),  # does not exist
        ("refs/heads/feature/a", None, "HEAD~2"),  # delete, at another commit
        ("refs/heads/none", None, "HEAD"),  # delete, does not exist
        ("refs/heads/feature/a", None, None),  # shall be gone, and is not
    ],
)
def test_one_condition_that_fails_moves_nothing(repo, git, bad):
    ref, new, old = bad
    before = read(git, "refs")
    changes = [
        Change("refs/raccord/first", repo.oid(), None),
        Change(ref, new and repo.oid(new), old and repo.oid(old)),
        Change("refs/raccord/last", repo.oid(), None),
    ]
    with pytest.raises(WorldMoved) as caught:
        update(git, changes, "raccord: test")
    assert read(git, "refs") == before
    assert caught.value.data["refs"] == [change.ref for change in changes]


def test_gone_already_is_well(repo, git):
    update(git, [Change("refs/heads/none", None, None)], "raccord: test")


def test_another_failure_is_not_a_moved_world(repo, git):
    with pytest.raises(ProcessFailed, match="1111"):
        update(git, [Change("refs/heads/new", "1" * 40, None)], "raccord: test")
    (repo.path / ".git/refs/heads/main.lock").write_text("")
    hurried = replace(git, settings=("-c", "core.filesRefLockTimeout=100"))
    with pytest.raises(ProcessFailed, match=r"update-ref.*main\.lock"):
        update(hurried, [Change("refs/heads/main", repo.oid("HEAD~1"), repo.oid())], "raccord: test")


def test_a_short_lock_is_waited_for(repo, git):
    lock = repo.path / ".git/refs/heads/main.lock"
    lock.write_text("")
    threading.Timer(0.5, lock.unlink).start()
    update(git, [Change("refs/heads/main", repo.oid("HEAD~1"), repo.oid())], "raccord: test")


def test_a_detached_head_moves_itself(repo, git):
    tip, older = repo.oid(), repo.oid("HEAD~1")
    repo.git("switch", "--quiet", "--detach")
    update(git, [Change("HEAD", older, tip)], "raccord: test")
    assert repo.oid("HEAD") == older
    assert repo.oid("main") == tip


def test_a_message_is_a_message(repo, git):
    tip, older = repo.oid(), repo.oid("HEAD~1")
    update(git, [Change("refs/heads/main", older, tip)], "--no-deref")
    assert repo.git("reflog", "-1", "--format=%gs", "refs/heads/main") == "--no-deref"


def test_hooks_of_refs_run_on_order_alone(repo, git, tmp_path):
    trap = Trap.made(tmp_path / "trap")
    hook(repo, "reference-transaction", trap)
    update(git, [Change("refs/raccord/x", repo.oid(), None)], "raccord: test")
    assert not trap.sprung()
    update(git, [Change("refs/raccord/y", repo.oid(), None)], "raccord: test", trusted=True)
    assert trap.sprung()


def test_a_hook_that_refuses_is_no_moved_world(repo, git):
    link = repo.path / ".git/hooks/reference-transaction"
    link.parent.mkdir(exist_ok=True)
    link.write_text("#!/bin/sh\necho not on my watch >&2\nexit 1\n")
    link.chmod(0o755)
    with pytest.raises(ProcessFailed, match="hook"):
        update(git, [Change("refs/raccord/x", repo.oid(), None)], "raccord: test", trusted=True)


def test_many_at_once_lose_no_update(repo, git):
    errors = []

    def work(number: int) -> None:
        try:
            update(git, [Change(f"refs/raccord/n{number}", repo.oid(), None)], "raccord: test")
        except ProcessFailed as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(read(git, "refs/raccord").by_name) == 12
