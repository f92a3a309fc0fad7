"""Fetch, ask and push against real remotes: one connection, pinned leases, each update told apart."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from raccord.errors import CannotRun, ProcessFailed
from raccord.git import connect
from raccord.git.remote import (
    Denied,
    Gone,
    Offline,
    Push,
    ask,
    default_branch,
    fetch,
    push,
)
from raccord.kernel.proc import Result
from tests.git.remotes import MAIN, moved_remote, opened, script
from tests.git.traps import Trap
from tests.gitkit import Repo, git, remote_with_clone


@pytest.fixture
def pair(tmp_path):
    return remote_with_clone(tmp_path)


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
        remote, _ = pair
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
        _, clone = pair
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
        assert time.monotonic() - since < 25

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
                "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
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
        _, clone = pair
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
        _, clone = pair
        other = Repo.init(tmp_path / "other.git", bare=True)
        clone.git("config", "remote.origin.pushurl", str(other.path))
        assert ask(opened(clone), "origin", [MAIN]) == {MAIN: None}
