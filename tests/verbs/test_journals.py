"""Old entries of journals move into their archives, as a run that can be taken back and killed."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import raccord
from raccord.kernel import fs_objects
from raccord.model.report_coordination import ConsolidateReport
from raccord.workspace import Workspace
from tests.faults import inject
from tests.gitkit import Repo
from tests.webkit import until

PATH, ARCHIVE = "docs/passation.md", "docs/passation_archive.md"
CONFIGURATION = """\
[coordination]
watch = ["docs/*.md", "notes.log"]
journals = ["docs/passation*.md"]
"""


def day(ago: int) -> str:
    return (datetime.now().astimezone() - timedelta(days=ago)).strftime("%Y-%m-%d")


ENTRIES = [f"## {day(ago)}\n\nentry of {ago} days ago\n\n" for ago in (0, 1, 9, 10)]
JOURNAL = "# Passation\n\n" + "".join(ENTRIES)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo.init(tmp_path / "main")
    made.commit({"raccord.toml": CONFIGURATION, PATH: JOURNAL, ".gitignore": "*.log\n"})
    written(made)
    made.write("notes.log", "")
    with Workspace.open(made.path) as workspace:
        workspace.coordination.consolidate()
    return made


def written(repo: Repo, text: str = "", ago: float = 3600) -> None:
    """The journal, as if it were left alone for a while."""
    if text:
        repo.write(PATH, text)
    at = time.time() - ago
    os.utime(repo.path / PATH, (at, at))


def consolidated(repo: Repo, text: str) -> ConsolidateReport:
    repo.write("notes.log", text)
    with Workspace.open(repo.path) as workspace:
        return workspace.coordination.consolidate()


def both(repo: Repo) -> tuple[str, str]:
    archive = repo.path / ARCHIVE
    return (repo.path / PATH).read_text(), archive.read_text() if archive.exists() else ""


def test_what_is_old_moves_and_an_undo_brings_it_back(repo: Repo) -> None:
    assert consolidated(repo, "one").journals == ""
    assert both(repo) == ("# Passation\n\n" + "".join(ENTRIES[:2]), "".join(ENTRIES[2:]))
    with Workspace.open(repo.path) as workspace:
        assert workspace.coordination.changes(pending=True) == ()  # it is raccord's own
        assert workspace.snapshots()
        consolidated(repo, "two")
        assert [one.verb for one in workspace.log()] == ["journals"]
        workspace.undo()
    assert both(repo) == (JOURNAL, "")
    assert not (repo.path / ARCHIVE).exists()


def test_who_writes_just_now_is_left_alone(repo: Repo) -> None:
    written(repo, ago=0)
    consolidated(repo, "one")
    assert both(repo) == (JOURNAL, "")


def test_what_somebody_writes_meanwhile_stays(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    real, mine = fs_objects.put, JOURNAL.replace("entry of 9", "my entry of 9")

    def put(root: str, path: str, *more: Any) -> str:
        if path == PATH:
            repo.write(PATH, mine)
        return real(root, path, *more)

    monkeypatch.setattr(fs_objects, "put", put)
    consolidated(repo, "one")
    assert both(repo) == (mine, "")


def test_a_journal_without_dates_and_others_stay(repo: Repo) -> None:
    written(repo, "# Notes\n\nno date\n")
    repo.write("docs/other.md", JOURNAL)
    os.utime(repo.path / "docs/other.md", (1e9, 1e9))
    consolidated(repo, "one")
    assert both(repo) == ("# Notes\n\nno date\n", "")
    assert (repo.path / "docs/other.md").read_text() == JOURNAL


def test_while_a_service_runs(repo: Repo) -> None:
    repo.write("raccord.toml", CONFIGURATION + "commit = true\ncommit_protected = true\n")
    with Workspace.open(repo.path) as workspace:
        running = workspace.coordination.watching()
        running.start()
        try:
            repo.write("notes.log", "changed")
            until(lambda: workspace.coordination.changes(pending=True))
            running.keeper.consolidate()
            assert running.errors == {}
        finally:
            running.stop()
    assert both(repo)[1] == "".join(ENTRIES[2:])
    assert "Raccord-Consolidation" in repo.git("show", "-s", "--format=%B")
    assert repo.git("show", "--format=", "--name-only", "HEAD") == "SYNC_STATUS.md"


@pytest.mark.long
@pytest.mark.skipif(bool(inject.why_not()), reason=inject.why_not())
@pytest.mark.parametrize("part", range(10))
def test_killed_anywhere_no_entry_is_in_none(repo: Repo, part: int) -> None:
    repo.write("notes.log", "killed")
    argv = [sys.executable, "-m", "raccord", "consolidate"]
    env = {**os.environ, "PYTHONPATH": str(Path(raccord.__file__).parents[1])}
    inject.run(argv, cwd=repo.path, env=env, fault=inject.Fault("kill-all", 60 + part * 22))
    joined = "".join(both(repo))
    assert all(entry in joined for entry in ENTRIES)
    consolidated(repo, "after")
    assert both(repo) == ("# Passation\n\n" + "".join(ENTRIES[:2]), "".join(ENTRIES[2:]))
    with Workspace.open(repo.path) as workspace:
        assert workspace.status().stopped == ()
