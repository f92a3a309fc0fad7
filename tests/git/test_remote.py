"""Fetch, ask and push against real remotes: one connection, pinned leases, each update told apart."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.git.traps import Trap, hook
from tests.gitkit import Repo, git, remote_with_clone

from raccord.errors import CannotRun, HeldBack, ProcessFailed
from raccord.git import connect
from raccord.git.remote import (
    Denied,
    Gone,
    Offline,
    Push,
    Pushed,
    ask,
    default_branch,
    fetch,
    push,
)
from raccord.git.repo import open_repository
from raccord.kernel.proc import Result

MAIN = "refs/heads/main"
CUT = Path(__file__).with_name("cut.py")


@pytest.fixture
def pair(tmp_path):
    return remote_with_clone(tmp_path)


def moved_remote(remote: Repo, branch: str = "main", file: str = "README.md") -> str:
    """A new commit on a branch of the bare remote; its id."""
    tree = remote.git("rev-parse", "main^{tree}")
    blob = remote.git("hash-object", "-w", "--stdin", input=f"{next(remote.clock)}\n")
    tree = remote.git("mktree", input=f"100644 blob {blob}\t{file}\n")
    old = remote.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)
    parent = ["-p", old] if old else []
    new = remote.git("commit-tree", "-m", "moved", *parent, tree)
    remote.git("update-ref", f"refs/heads/{branch}", new)
    return new


def opened(repo: Repo):
    return open_repository(repo.path)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


class TestFetch:
    def test_what_moved(self, pair):
        remote, clone = pair
        old = clone.oid("origin/main")
        gone = moved_remote(remote, "gone")
        fetch(opened(clone), "origin")
        remote.git("update-ref", "-d", "refs/heads/gone")
        new, made = moved_remote(remote), moved_remote(remote, "made/x")
        found = fetch(opened(clone), "origin")
        assert found.moved == {
            "refs/remotes/origin/gone": (gone, None),
            "refs/remotes/origin/made/x": (None, made),
            "refs/remotes/origin/main": (old, new),
        }
        assert fetch(opened(clone), "origin").moved == {}

    def test_nothing_else_is_written(self, pair):
        remote, clone = pair
        moved_remote(remote)
        remote.git("tag", "v1", "main")
        clone.git("tag", "mine")
        clone.git("config", "fetch.pruneTags", "true")
        before = clone.git("for-each-ref", "refs/tags", "refs/heads")
        fetch(opened(clone), "origin")
        assert clone.git("for-each-ref", "refs/tags", "refs/heads") == before
        assert not (clone.path / ".git/FETCH_HEAD").exists()

    def test_a_branch_where_a_directory_was(self, pair):
        remote, clone = pair
        moved_remote(remote, "topic/a")
        fetch(opened(clone), "origin")
        remote.git("update-ref", "-d", "refs/heads/topic/a")
        new = moved_remote(remote, "topic")
        fetch(opened(clone), "origin")
        assert clone.oid("origin/topic") == new

    def test_a_mirror_does_not_overwrite_branches(self, pair, tmp_path):
        remote, clone = pair
        git(tmp_path, "clone", "--quiet", "--mirror", remote.path, "mirror.git")
        mirror = Repo(tmp_path / "mirror.git")
        mine = mirror.git("commit-tree", "-m", "mine", "-p", "main", "main^{tree}")
        mirror.git("update-ref", MAIN, mine)
        theirs = moved_remote(remote)
        fetch(opened(mirror), "origin")
        assert mirror.oid("main") == mine
        assert mirror.oid("refs/remotes/origin/main") == theirs

    def test_a_bare_clone_gets_its_remote_branches(self, pair, tmp_path):
        remote, _ = pair
        git(tmp_path, "clone", "--quiet", "--bare", remote.path, "bare.git")
        bare = Repo(tmp_path / "bare.git")
        fetch(opened(bare), "origin")
        assert bare.oid("refs/remotes/origin/main") == remote.oid("main")

    def test_only_the_configured_branches(self, pair):
        remote, clone = pair
        clone.git("config", "remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main")
        moved_remote(remote, "other")
        new = moved_remote(remote)
        assert list(fetch(opened(clone), "origin").moved) == ["refs/remotes/origin/main"]
        assert clone.oid("origin/main") == new

    def test_twelve_at_once(self, pair):
        remote, clone = pair
        for number in range(8):
            moved_remote(remote, f"b{number}")
        fetch(opened(clone), "origin")
        tips = {f"b{number}": moved_remote(remote, f"b{number}") for number in range(8)}
        repo = opened(clone)
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: fetch(repo, "origin"), range(12)))
        assert {name: clone.oid(f"origin/{name}") for name in tips} == tips

    def test_submodules_are_left_alone(self, pair, tmp_path):
        remote, clone = pair
        clone.git("config", "fetch.recurseSubmodules", "true")
        lib = Repo.init(tmp_path / "lib")
        lib.commit({"l": "1"})
        git(clone.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
        clone.commit(message="sub")
        lib.commit({"l": "2"})
        fetch(opened(clone), "origin")
        assert git(clone.path / "sub", "rev-list", "--count", "--all") == "1"


class TestUnreachable:
    @pytest.mark.parametrize(
        ("url", "error"),
        [
            ("/no/such/place", Gone),
            ("https://localhost:1/x.git", Offline),
            ("git://localhost:1/x.git", Offline),
            ("ssh://localhost:1/x.git", Offline),
            ("ext::sh -c 'touch %S'", CannotRun),
            ("fd::7", CannotRun),
        ],
    )
    def test_each_in_one_line(self, pair, url, error):
        _, clone = pair
        clone.git("remote", "set-url", "origin", url)
        for call in (
            lambda repo: fetch(repo, "origin", timeout=20),
            lambda repo: ask(repo, "origin", [MAIN]),
            lambda repo: push(repo, "origin", [Push(MAIN, clone.oid())]),
        ):
            with pytest.raises(error) as caught:
                call(opened(clone))
            assert type(caught.value) is error
            assert caught.value.hint
            assert "\n" not in caught.value.message
            assert "origin" in caught.value.message

    def test_no_such_remote(self, pair):
        with pytest.raises(Gone, match="no remote upstream"):
            fetch(opened(pair[1]), "upstream")
        with pytest.raises(Gone):
            fetch(opened(pair[1]), "--upload-pack=x")

    def test_a_remote_that_is_silent(self, pair, tmp_path):
        _, clone = pair
        clone.git("config", "remote.origin.uploadpack", str(script(tmp_path / "silent", "sleep 30\n")))
        since = time.monotonic()
        with pytest.raises(Offline, match=r"no answer within 0\.5 s"):
            fetch(opened(clone), "origin", timeout=0.5)
        assert time.monotonic() - since < 5

    def test_a_rewritten_url_can_not_run_a_program(self, pair, tmp_path):
        _, clone = pair
        trap = Trap.made(tmp_path / "trap")
        clone.git("remote", "set-url", "origin", "https://example.invalid/x")
        clone.git("config", f"url.ext::{trap} .insteadOf", "https://example.invalid/")
        clone.git("config", "protocol.ext.allow", "always")
        with pytest.raises(CannotRun, match="may not use"):
            fetch(opened(clone), "origin")
        assert not trap.sprung()

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            (
                "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Denied,
            ),
            ("Host key verification failed.\nfatal: Could not read from remote repository.", Denied),
            ("fatal: could not read Username for 'https://x': terminal prompts disabled", Denied),
            ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://u:pw@x/'", Denied),
            ("fatal: unable to access 'https://x/': The requested URL returned error: 403", Denied),
            ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", Gone),
            ("remote: Repository not found.\nfatal: repository 'https://u:pw@x/' not found", Gone),
            (
                "ssh: Could not resolve hostname x: Name or service not known\nfatal: Could not read from",
                Offline,
            ),
            ("fatal: unable to access 'https://u:pw@x/': Could not resolve host: x", Offline),
            (
                "kex_exchange_identification: read: Connection reset by peer\nfatal: Could not read from",
                Offline,
            ),
            ("error: RPC failed; HTTP 503 curl 22\nfatal: expected flush after ref listing", Offline),
            ("fatal: the remote end hung up unexpectedly", Offline),
            ("error: cannot lock ref 'refs/x': is at a but expected b", ProcessFailed),
        ],
    )
    def test_the_words_of_git_and_of_servers(self, said, error):
        with pytest.raises(error) as caught:
            connect.explain("origin", Result(("git", "fetch"), 128, b"", said))
        assert "pw" not in str(caught.value) + repr(caught.value.data)


class TestUnattended:
    def test_ssh_never_asks(self, pair, tmp_path, monkeypatch):
        _, clone = pair
        seen = tmp_path / "seen"
        script(tmp_path / "bin/ssh", f'echo "$@" >> {seen}\nexit 255\n')
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        clone.git("remote", "set-url", "origin", "ssh://localhost/x")
        with pytest.raises(Offline):
            fetch(opened(clone), "origin")
        assert "BatchMode=yes" in seen.read_text()

    def test_what_the_user_set_up_is_used(self, pair, tmp_path, monkeypatch):
        _, clone = pair
        seen = tmp_path / "seen"
        own = script(tmp_path / "my-ssh", f'echo "$@" >> {seen}\nexit 255\n')
        clone.git("remote", "set-url", "origin", "ssh://localhost/x")
        clone.git("config", "core.sshCommand", str(own))
        with pytest.raises(Offline):
            fetch(opened(clone), "origin")
        clone.git("config", "--unset", "core.sshCommand")
        monkeypatch.setenv("GIT_SSH_COMMAND", str(own))
        with pytest.raises(Offline):
            fetch(opened(clone), "origin")
        assert seen.read_text().count("git-upload-pack") == 2
        assert "BatchMode" not in seen.read_text()


class TestDefaultBranch:
    def test_as_last_known(self, pair):
        remote, clone = pair
        assert default_branch(opened(clone), "origin") == "main"

    def test_asked_where_it_is_not_known(self, pair):
        remote, clone = pair
        moved_remote(remote, "release/next")
        remote.git("symbolic-ref", "HEAD", "refs/heads/release/next")
        clone.git("remote", "set-head", "origin", "--delete")
        assert default_branch(opened(clone), "origin") == "release/next"

    def test_a_well_known_one_where_nobody_answers(self, pair):
        _, clone = pair
        clone.git("remote", "set-head", "origin", "--delete")
        clone.git("remote", "set-url", "origin", "/no/such/place")
        assert default_branch(opened(clone), "origin") == "main"
        clone.git("update-ref", "-d", "refs/remotes/origin/main")
        assert default_branch(opened(clone), "origin") is None


class TestAsk:
    def test_what_is_there_now(self, pair):
        remote, clone = pair
        new = moved_remote(remote)
        moved_remote(remote, "x/refs/heads/main")
        asked = ask(opened(clone), "origin", [MAIN, "refs/heads/none"])
        assert asked == {MAIN: new, "refs/heads/none": None}
        assert ask(opened(clone), "origin", []) == {}

    def test_the_place_of_pushes(self, pair, tmp_path):
        remote, clone = pair
        other = Repo.init(tmp_path / "other.git", bare=True)
        clone.git("config", "remote.origin.pushurl", str(other.path))
        assert ask(opened(clone), "origin", [MAIN]) == {MAIN: None}


class TestPush:
    def test_each_ends_in_its_own_way(self, pair):
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

    def test_a_lease_that_a_fetch_renewed_still_holds(self, pair):
        """After a fetch, a bare lease would overwrite what nobody has looked at."""
        remote, clone = pair
        base = clone.oid()
        theirs = moved_remote(remote)
        fetch(opened(clone), "origin")
        other = clone.git("commit-tree", "-m", "other", f"{base}^{{tree}}")
        found = push(opened(clone), "origin", [Push(MAIN, other, lease=base, force=True)])
        assert found[MAIN].status is Pushed.STALE
        assert remote.oid("main") == theirs

    def test_without_force_nothing_is_overwritten(self, pair):
        remote, clone = pair
        before = remote.oid("main")
        other = clone.git("commit-tree", "-m", "other", f"{before}^{{tree}}")
        found = push(opened(clone), "origin", [Push(MAIN, other)])
        assert found[MAIN].status is Pushed.BEHIND
        assert remote.oid("main") == before
        existing = push(opened(clone), "origin", [Push(MAIN, other, lease=None, force=True)])
        assert existing[MAIN].status is Pushed.STALE

    def test_deleting_what_is_gone_keeps_nothing_back(self, pair):
        remote, clone = pair
        mine = clone.commit({"mine": "1"})
        found = push(
            opened(clone), "origin", [Push("refs/heads/gone", None, lease=mine), Push("refs/heads/new", mine)]
        )
        assert found["refs/heads/new"].status is Pushed.OK
        assert found["refs/heads/gone"].status in (Pushed.STALE, Pushed.REJECTED, Pushed.SAME)

    def test_atomic_is_all_or_none(self, pair):
        remote, clone = pair
        base = clone.oid()
        moved_remote(remote)
        mine = clone.commit({"mine": "1"})
        updates = [Push(MAIN, mine, lease=base, force=True), Push("refs/heads/new", mine)]
        found = push(opened(clone), "origin", updates, atomic=True)
        assert found[MAIN].status is Pushed.STALE
        assert found["refs/heads/new"].status is Pushed.REJECTED
        assert remote.git("for-each-ref", "refs/heads/new") == ""

    def test_the_remotes_hook_speaks(self, pair):
        remote, clone = pair
        script(
            remote.path / "hooks/update", 'test "$1" != refs/heads/no || { echo "no means no"; exit 1; }\n'
        )
        mine = clone.commit({"mine": "1"})
        found = push(opened(clone), "origin", [Push("refs/heads/no", mine), Push("refs/heads/yes", mine)])
        assert found["refs/heads/no"].status is Pushed.REJECTED
        assert "no means no" in found["refs/heads/no"].message
        assert found["refs/heads/yes"].status is Pushed.OK

    def test_the_users_hook_runs_and_may_refuse(self, pair, tmp_path):
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

    def test_a_hook_may_use_bare_repositories(self, pair):
        """What raccord forbids itself must not break a user's hook."""
        remote, clone = pair
        script(
            clone.path / ".git/hooks/pre-push",
            f"cd {remote.path} && unset GIT_DIR && git rev-parse main >&2\n",
        )
        assert push(opened(clone), "origin", [Push(MAIN, clone.commit({"m": "1"}))])[MAIN].status is Pushed.OK

    @pytest.mark.parametrize("lands", [True, False])
    def test_a_connection_that_dies_leaves_it_unknown(self, pair, tmp_path, lands):
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

    def test_no_answer_in_time_leaves_it_unknown(self, pair, tmp_path):
        _, clone = pair
        clone.git("config", "remote.origin.receivepack", str(script(tmp_path / "silent", "sleep 30\n")))
        found = push(opened(clone), "origin", [Push(MAIN, clone.commit({"m": "1"}))], timeout=0.5)
        assert found[MAIN].status is Pushed.UNKNOWN
        assert "no answer" in found[MAIN].message

    def test_settings_that_push_more_are_overruled(self, pair):
        remote, clone = pair
        clone.git("config", "push.followTags", "true")
        clone.git("config", "push.default", "matching")
        mine = clone.commit({"m": "1"})
        clone.git("tag", "-m", "note", "v1")
        clone.git("branch", "other")
        assert list(push(opened(clone), "origin", [Push("refs/heads/new", mine)])) == ["refs/heads/new"]
        names = remote.git("for-each-ref", "--format=%(refname)").split()
        assert names == ["refs/heads/main", "refs/heads/new"]

    def test_odd_names_from_a_linked_worktree_and_a_bare_repository(self, pair, tmp_path):
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

    def test_a_race_has_one_winner(self, pair, tmp_path):
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

    def test_nothing_to_push(self, pair):
        assert push(opened(pair[1]), "origin", []) == {}
