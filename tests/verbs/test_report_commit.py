"""Reports are committed after a consolidation: alone, once, where nobody is in the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import raccord
from raccord.model.report_coordination import ConsolidateReport
from tests.faults import inject
from tests.verbs.flock import Flock

REPORT = "SYNC_STATUS.md"
CONFIGURATION = """\
language = "fr"
[sync]
fetch_reuse_seconds = 0
[coordination]
watch = ["notes.log"]
commit = true
push = true
commit_protected = true
"""


@pytest.fixture
def flock(tmp_path: Path) -> Flock:
    made = Flock.make(tmp_path)
    configured(made, CONFIGURATION)
    return made


def configured(flock: Flock, text: str) -> None:
    flock.main.commit({"raccord.toml": text}, "configuration")
    flock.main.git("push", "-q", "origin", "main")


def consolidated(flock: Flock, text: str) -> ConsolidateReport:
    known = flock.at().coordination
    if not (flock.main.path / "notes.log").exists():
        flock.main.write("notes.log", "")
        known.consolidate()
    flock.main.write("notes.log", text)
    report = known.consolidate()
    assert report.consolidation and not report.error, report
    return report


def changed(flock: Flock) -> list[str]:
    return flock.main.git("status", "--porcelain").splitlines()


def test_that_file_alone_is_committed_and_pushed(flock: Flock) -> None:
    old = flock.main.oid()
    flock.main.write("lib.py", "staged\n")
    flock.main.git("add", "lib.py")
    flock.main.write("lib.py", "staged, and edited\n")
    flock.main.write("app.py", "edited\n")
    report = consolidated(flock, "one")
    assert report.uncommitted == "" and report.commit == flock.main.oid()
    assert flock.main.oid("HEAD^") == old
    assert flock.main.git("show", "--format=", "--name-only", "HEAD") == REPORT
    subject, trailer = flock.main.git("show", "-s", "--format=%s%n%(trailers)", "HEAD").splitlines()[:2]
    assert subject == "docs(sync): rapport de 1 changement"
    assert report.consolidation and trailer == f"Raccord-Consolidation: {report.consolidation.id}"
    assert (
        flock.main.git("show", "-s", "--format=%an <%ae>|%cn", "HEAD")
        == "Tester <tester@example.invalid>|Tester"
    )
    assert changed(flock) == [" M app.py", "MM lib.py"]
    assert flock.main.git("show", ":lib.py") == "staged"
    assert flock.on_remote("main") == flock.main.oid()
    again = consolidated(flock, "two")
    assert again.commit == flock.main.oid() and flock.main.oid("HEAD^") == report.commit


def test_undo_leaves_the_report_uncommitted(flock: Flock) -> None:
    flock.main.write("raccord.toml", CONFIGURATION.replace("push = true", "push = false"))
    old = flock.main.oid()
    consolidated(flock, "one")
    text = (flock.main.path / REPORT).read_bytes()
    flock.main.write("lib.py", "mine, staged since\n")
    flock.main.git("add", "lib.py")
    assert flock.undo().state == "done"
    assert flock.main.oid() == old and (flock.main.path / REPORT).read_bytes() == text
    assert changed(flock) == ["M  lib.py", " M raccord.toml", f"?? {REPORT}"]


@pytest.mark.long_but(3)
@pytest.mark.parametrize("case", ["edited", "staged", "detached", "protected", "merging", "hook", "identity"])
def test_where_it_cant_be_it_says_why_and_is_done_after_the_next(flock: Flock, case: str) -> None:
    first = consolidated(flock, "first")
    tip, path = flock.main.oid(), flock.main.path
    hook = path / ".git/hooks/pre-commit"
    if case == "edited":
        (path / REPORT).write_text("mine\n" + (path / REPORT).read_text())
    elif case == "staged":
        (path / REPORT).write_text("mine\n" + (path / REPORT).read_text())
        flock.main.git("add", REPORT)
    elif case == "detached":
        flock.main.git("checkout", "-q", "--detach")
    elif case == "protected":
        flock.main.write("raccord.toml", CONFIGURATION.replace("commit_protected = true", ""))
    elif case == "merging":
        (path / ".git/MERGE_HEAD").write_text(tip + "\n")
    elif case == "hook":
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today\nexit 1\n")
        hook.chmod(0o755)
    else:
        flock.main.git("config", "user.name", "")
    report = consolidated(flock, "second")
    assert report.commit == "" and report.uncommitted, report
    assert flock.main.oid() == tip == first.commit
    if case in ("edited", "staged"):
        flock.main.git("commit", "-qam", "mine")
        flock.main.git("push", "-q", "origin", "main")
    elif case == "detached":
        flock.main.git("checkout", "-q", "main")
    elif case == "protected":
        flock.main.git("checkout", "-q", "raccord.toml")
    elif case == "merging":
        (path / ".git/MERGE_HEAD").unlink()
    elif case == "hook":
        hook.unlink()
    else:
        flock.main.git("config", "--unset", "user.name")
    third = consolidated(flock, "third")
    assert third.commit == flock.main.oid(), third
    assert changed(flock) == []
    if case in ("detached", "protected", "merging", "hook", "identity"):
        assert flock.main.git("show", "-s", "--format=%B").count("Raccord-Consolidation") == 2


def test_commits_of_others_are_not_pushed_along(flock: Flock) -> None:
    flock.main.commit({"lib.py": "not pushed yet\n"})
    report = consolidated(flock, "one")
    assert report.commit == flock.main.oid() and "other commits" in report.uncommitted
    assert flock.main.git("show", "--format=", "--name-only", "HEAD") == REPORT
    assert flock.on_remote("main") == flock.main.oid("HEAD~2")


def test_what_others_pushed_is_not_pushed_over(flock: Flock) -> None:
    theirs = flock.advance({"lib.py": "theirs\n"})
    report = consolidated(flock, "one")
    assert report.commit and report.uncommitted and flock.on_remote("main") == theirs


def test_a_hook_may_not_add_other_files(flock: Flock) -> None:
    hook = flock.main.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho x > other.txt\ngit add other.txt\n")
    hook.chmod(0o755)
    old = flock.main.oid()
    report = consolidated(flock, "one")
    assert "other.txt" in report.uncommitted and flock.main.oid() == old
    assert changed(flock) == [f"?? {REPORT}", "?? other.txt"]


@pytest.mark.long
@pytest.mark.skipif(bool(inject.why_not()), reason=inject.why_not())
@pytest.mark.parametrize("part", range(12))
def test_killed_anywhere_each_report_is_committed_once(flock: Flock, part: int) -> None:
    configured(flock, CONFIGURATION.replace("push = true", ""))
    consolidated(flock, "first")
    flock.main.write("notes.log", "killed")
    argv = [sys.executable, "-m", "raccord", "consolidate"]
    env = {**os.environ, "PYTHONPATH": str(Path(raccord.__file__).parents[1])}
    calls = 20 + part * 24  # of about 306
    ran = inject.run(argv, cwd=flock.main.path, env=env, fault=inject.Fault("kill-all", calls))
    assert ran.exit is None or ran.exit == 0, ran.output
    consolidated(flock, "after")
    assert changed(flock) == []
    log = flock.main.git("log", "--format=%(trailers:key=Raccord-Consolidation,valueonly)").split()
    known = [one.id for one in flock.at().coordination.consolidations()]
    assert sorted(log) == sorted(known)
    text = flock.main.git("show", f"HEAD:{REPORT}")
    assert [text.count(f":{one} -->") for one in known] == [1] * len(known)
    assert flock.at().status().stopped == ()


def test_a_report_that_git_ignores_is_said_not_to_be_committed(flock: Flock) -> None:
    flock.main.commit({".gitignore": f"{REPORT}\n"}, "ignore the report")
    report = consolidated(flock, "first")
    assert (report.commit, report.uncommitted) == ("", f"{REPORT} is not committed: git ignores it")
