"""The verbs from the command line, in real repositories: text, JSON, exit codes, questions on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raccord.cli.main import main
from tests.gitkit import Repo, remote_with_clone


@pytest.fixture
def shop(tmp_path) -> Repo:
    """A clone with two worktrees of one commit each, one of which has a test that fails."""
    _, clone = remote_with_clone(tmp_path)
    clone.worktree("basket", "basket").commit({"basket.txt": "b"})
    clone.worktree("search", "search").commit({"search.txt": "s"})
    return clone


def raccord(repo: Repo, *words: str) -> int:
    """Runs a command line in a repository, in this process."""
    return main(["-C", str(repo.path), *words])


def said(capsys) -> dict:
    """The JSON document that was printed."""
    return json.loads(capsys.readouterr().out)


def test_bare_raccord_is_the_status_and_the_one_next_command(shop, capsys):
    assert raccord(shop) == 0
    out = capsys.readouterr().out
    assert raccord(shop, "status") == 0
    assert capsys.readouterr().out == out
    for words in ("basket", "search", "origin/main", "↑1", "clean"):
        assert words in out
    assert out.splitlines()[-1] == "next: raccord sync --all"


def test_status_asks_for_no_sync_that_would_do_nothing(shop, capsys):
    assert raccord(shop, "sync", "--all", "--skip-tests", "--reason", "a test") == 0
    capsys.readouterr()
    assert raccord(shop, "status", "--json") == 0
    document = said(capsys)
    assert [tree["ahead"] for tree in document["worktrees"]] == [0, 1, 1]
    assert document["next_command"] == ""
    # A commit that the remote lacks; then one whose branch was deleted there, which no sync pushes again.
    basket = shop.path.parent / "basket"
    Repo(basket, shop.clock).commit({"more.txt": "m"})
    assert raccord(shop, "status", "--json") == 0
    assert said(capsys)["next_command"] == "raccord sync --all"
    shop.git("branch", "--set-upstream-to=origin/basket", "basket")
    shop.git("push", "--quiet", "--delete", "origin", "basket")
    assert raccord(shop, "status", "--json") == 0
    assert said(capsys)["next_command"] == ""


def test_json_before_and_behind_the_verb_are_one(shop, capsys):
    for words in (["status", "--json"], ["--json", "status"], ["--json"]):
        assert raccord(shop, *words) == 0
        document = said(capsys)
        assert (document["version"], document["kind"]) == (1, "status")
        assert [tree["name"] for tree in document["worktrees"]][1:] == ["basket", "search"]
        assert document["worktrees"][0]["current"] is True


def test_a_dry_run_prints_the_plan_and_changes_nothing(shop, capsys):
    before = shop.git("for-each-ref")
    assert raccord(shop, "sync", "--all", "--dry-run", "--json") == 0
    document = said(capsys)
    assert (document["kind"], document["verb"]) == ("plan", "sync")
    assert raccord(shop, "sync", "--all", "--dry-run") == 0
    assert "Nothing was changed." in capsys.readouterr().out
    assert shop.git("for-each-ref") == before


def test_a_sync_that_holds_back_one_lane_ends_with_5(shop, capsys):
    test = json.dumps([sys.executable, "-c", "import os; raise SystemExit(os.path.exists('search.txt'))"])
    assert raccord(shop, "sync", "--all", "--test-command", test) == 5
    out = capsys.readouterr().out
    assert "✓ basket" in out
    assert "✗ search" in out
    assert raccord(shop, "log", "--json") == 0
    (run,) = said(capsys)["runs"]
    assert (run["verb"], run["state"], run["held"]) == ("sync", "partial", 1)
    assert raccord(shop, "show", run["id"]) == 0
    assert "held back" in capsys.readouterr().out
    assert shop.git("ls-remote", "origin", "refs/heads/basket")
    assert not shop.git("ls-remote", "origin", "refs/heads/search")


def test_the_scripts_spellings_and_the_reason_in_the_journal(shop, capsys):
    words = [
        "-BaseBranch",
        "main",
        "-SkipTests",
        "-NoPush",
        "-Reason",
        "the server is down",
        "--json",
        "--all",
    ]
    code = raccord(shop, "sync", *words)
    document = said(capsys)
    assert code == 0
    assert {waiver["reason"] for waiver in document["waivers"]} == {"the server is down"}
    assert len(document["waivers"]) == 2
    assert not shop.git("ls-remote", "origin", "refs/heads/basket")


def test_a_snapshot_is_listed_and_restored(shop, capsys):
    note = shop.write("note.txt", "first")
    assert raccord(shop, "snapshot", "--message", "before lunch") == 0
    capsys.readouterr()
    note.write_text("second")
    assert raccord(shop, "restore", "--list", "--json") == 0
    (snapshot,) = said(capsys)["snapshots"]
    assert snapshot["message"] == "before lunch"
    assert raccord(shop, "restore", snapshot["id"], "--dry-run") == 0
    assert note.read_text() == "second"
    assert raccord(shop, "restore", snapshot["id"], "--yes") == 0
    assert note.read_text() == "first"
    assert raccord(shop, "undo", "--yes") == 0
    assert note.read_text() == "second"


def test_init_writes_once(shop, capsys):
    assert raccord(shop, "init", "--dry-run") == 0
    text = capsys.readouterr().out
    assert not (shop.path / "raccord.toml").exists()
    assert raccord(shop, "init") == 0
    assert (shop.path / "raccord.toml").read_text() == text
    assert shop.git("status", "--porcelain") == "?? raccord.toml"
    assert raccord(shop, "init") == 2
    assert (shop.path / "raccord.toml").read_text() == text


def test_a_wrong_configuration_is_named_with_its_line(shop, capsys):
    shop.write("raccord.toml", "[sync]\njbos = 1\n")
    assert raccord(shop, "status") == 6
    err = capsys.readouterr().err
    assert "raccord.toml:2: sync.jbos: is no key; did you mean jobs?" in err
    assert err.splitlines()[-1].startswith("next: edit ")


def test_eject_needs_a_person_or_a_yes(shop, capsys):
    assert raccord(shop, "snapshot") == 0
    assert raccord(shop, "eject") == 2
    assert f"next: raccord -C {shop.path} eject --yes" in capsys.readouterr().err
    assert shop.git("for-each-ref", "refs/raccord")
    assert raccord(shop, "eject", "--yes") == 0
    assert not shop.git("for-each-ref", "refs/raccord")


def test_gc_keeps_what_is_young(shop, capsys):
    assert raccord(shop, "snapshot") == 0
    capsys.readouterr()
    assert raccord(shop, "gc", "--json") == 0
    assert said(capsys)["removed"] == []


@pytest.mark.parametrize(
    "words", [["undo"], ["show", "nothing"], ["continue"], ["skip"], ["abort"], ["restore"]]
)
def test_what_is_not_there_is_said_in_a_line(shop, words, capsys):
    assert raccord(shop, *words) in (1, 2, 6)
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert err[0].startswith("raccord: ")
    assert err[1].startswith("next: ")


def terminal(cwd: Path, words: list[str], answer: str) -> tuple[int, str]:
    """Runs the program on a terminal of its own, answers its question; the exit code and what was shown."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "raccord", *words],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    seen, asked, deadline = b"", False, time.monotonic() + 100
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            seen += chunk
        if b"[y/N]" in seen and not asked:
            os.write(ours, answer.encode())
            asked = True
        if child.poll() is not None and not select.select([ours], [], [], 0)[0]:
            break
    os.close(ours)
    return child.wait(100), seen.decode()


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("n\n", 0, "second"), ("\x04", 130, "second"), ("y\n", 0, "first")]
)
def test_a_terminal_is_asked_before_something_is_overwritten(shop, answer, code, left, capsys):
    note = shop.write("note.txt", "first")
    assert raccord(shop, "snapshot") == 0
    note.write_text("second")
    ended, shown = terminal(shop.path, ["restore"], answer)
    assert "Go on?" in shown
    assert "plan" in shown
    assert (ended, note.read_text()) == (code, left)
