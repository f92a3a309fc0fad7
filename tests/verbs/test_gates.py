"""Gates within a sync: red puts the branch back, green is pushed and remembered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.verbs.flock import Flock, contents, names

PYTHON = sys.executable
PASS = ((PYTHON, "-c", "open('ran.log', 'a').write('x')"),)
FAIL = ((PYTHON, "-c", "print('two failed'); raise SystemExit(1)"),)
# Red in one worktree only.
PICKY = ((PYTHON, "-c", "import os; raise SystemExit(os.path.exists('bad.py'))"),)


@pytest.fixture
def flock(tmp_path: Path) -> Flock:
    return Flock.make(tmp_path)


def test_a_red_gate_puts_its_branch_back_and_pushes_only_the_others(flock: Flock) -> None:
    bad = flock.tree("bad", {"bad.py": "b\n"})
    flock.tree("good", {"good.py": "g\n"})
    flock.advance({"lib.py": "new\n"})
    before = bad.oid(), contents(bad.path), flock.on_remote("bad")
    report = flock.sync(skip_tests=False, reason="", test_commands=PICKY)
    assert report.state == "partial" and names(report)["bad"] == "held"
    assert (bad.oid(), contents(bad.path), flock.on_remote("bad")) == before
    assert bad.git("status", "--porcelain") == ""
    flock.in_step("good")


def test_what_a_red_gate_said_is_shown_and_kept(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    report = flock.sync("a", skip_tests=False, reason="", test_commands=FAIL)
    finding = flock.lane(report, "a").finding
    assert finding is not None and finding.name == "gate.red"
    logs = list((flock.main.path / ".git" / "raccord" / "logs").rglob("*.log"))
    assert logs and b"two failed" in logs[0].read_bytes()


def test_a_green_tree_is_not_tested_twice(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    assert (
        flock.sync("a", skip_tests=False, reason="no push yet", no_push=True, test_commands=PASS).state
        == "done"
    )
    assert (tree.path / "ran.log").read_text() == "x"
    assert flock.sync("a", skip_tests=False, reason="", test_commands=PASS).state == "done"
    assert (tree.path / "ran.log").read_text() == "x"
    flock.in_step("a")


def test_a_gate_without_its_program_holds_back_before_anything_moves(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    before = tree.oid()
    report = flock.sync("a", skip_tests=False, reason="", test_commands=(("no-such-program",),))
    finding = flock.lane(report, "a").finding
    assert tree.oid() == before and finding is not None and finding.status == "unknown"


def test_the_makefile_says_what_the_gate_is(flock: Flock) -> None:
    flock.tree("a", {"Makefile": "test:\n\t@echo made > made.log\n"})
    flock.advance({"lib.py": "new\n"})
    plan = flock.planned("a", skip_tests=False, reason="")
    assert any("make test" in step.title for step in plan.steps())
    assert flock.sync("a", skip_tests=False, reason="").state == "done"
    assert (flock.trees["a"].path / "made.log").exists()


def test_red_tests_after_a_conflict_by_hand_keep_the_resolution(flock: Flock) -> None:
    tree = flock.tree("clash", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    published = flock.on_remote("clash")
    flock.sync("clash", skip_tests=False, reason="", test_commands=FAIL, resolve_by_hand=True)
    tree.write("app.py", "both\ntwo\nthree\nfour\nfive\n")
    tree.git("add", "app.py")
    report = flock.at("clash").continue_()
    assert report.state == "partial" and flock.lane(report, "clash").state == "held", report
    assert (tree.path / "app.py").read_text().startswith("both") and flock.on_remote("clash") == published
    assert tree.git("status", "--porcelain") == ""
    assert flock.sync("clash", skip_tests=False, reason="", test_commands=PASS).state == "done"
    flock.in_step("clash")


def test_by_hand_a_missing_test_program_never_means_untested(flock: Flock) -> None:
    tree = flock.tree("clash", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    published = flock.on_remote("clash")
    commands = (("no-such-program",),)
    flock.sync("clash", skip_tests=False, reason="", test_commands=commands, resolve_by_hand=True)
    tree.write("app.py", "both\ntwo\nthree\nfour\nfive\n")
    tree.git("add", "app.py")
    report = flock.at("clash").continue_()
    assert flock.lane(report, "clash").state == "held" and flock.on_remote("clash") == published
