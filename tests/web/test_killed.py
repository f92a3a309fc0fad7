"""`raccord serve` killed at any moment: no change or report is lost or double, and channels hear of each."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from raccord.coordination.ledger import Ledger
from raccord.kernel.store import Store
from raccord.workspace import Workspace
from tests.coordination.test_channels import Receiver, receiver
from tests.gitkit import Repo
from tests.webkit import save, until

__all__ = ["receiver"]
KILLS = 5
CONFIGURATION = """
[coordination]
threshold = 2
trigger_check_seconds = 1
[channels.team]
url = "env:TEAM_HOOK"
events = ["*"]
"""
NAMES = ("AGENTS.md", "ROADMAP.md", "docs/passation.md")


def started(top: Path, url: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "raccord", "serve", "--port", "0", "--json"],
        cwd=top,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TEAM_HOOK": url},
    )
    assert child.stdout is not None
    said = ""
    while not said.rstrip().endswith("}"):
        line = child.stdout.readline()
        assert line, said
        said += line
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.timeout(600)
def test_a_killed_server_loses_no_change_no_report_and_no_letter(tmp_path, receiver, seed):
    chance = random.Random(seed)
    repo = Repo.init(tmp_path / "main")
    repo.commit({**dict.fromkeys(NAMES, "start\n"), "raccord.toml": CONFIGURATION}, "start")
    trees = [repo.path, tmp_path / "claude-1"]
    repo.git("worktree", "add", "-q", str(trees[1]), "-b", "claude-1")
    child = started(repo.path, receiver.url)
    until(lambda: _reached(repo.path))
    kill(child)
    for number in range(KILLS):
        receiver.answers = [chance.choice([200, 500])]
        child = started(repo.path, receiver.url)
        end = time.monotonic() + chance.random() * 2.5
        while time.monotonic() < end:
            save(chance.choice(trees) / chance.choice(NAMES), f"{seed} {number} {chance.random()}\n")
            time.sleep(chance.random() * 0.1)
        kill(child)
        save(chance.choice(trees) / chance.choice(NAMES), f"{seed} {number} while dead\n")
    receiver.answers = []
    child = started(repo.path, receiver.url)
    try:
        with Workspace.open(repo.path) as workspace:
            workspace.coordination.consolidate()
        _until_told(repo.path)
    finally:
        kill(child)
    _judge(repo.path, trees, receiver)


def _database(top: Path) -> Path:
    return top / ".git" / "raccord" / "state.db"


def _reached(top: Path) -> bool:
    with sqlite3.connect(_database(top)) as db:
        return bool(db.execute("select 1 from cache where space = 'told'").fetchall())


def _until_told(top: Path) -> None:
    with sqlite3.connect(_database(top), timeout=30) as db:
        # Those that were refused wait for longer than a test does.
        db.execute("update letters set next = 0 where state = 'waiting'")
        db.commit()

        def told() -> bool:
            last = db.execute("select max(id) from changes").fetchone()[0]
            reached = json.loads(db.execute("select value from cache where space = 'told'").fetchone()[0])
            waiting = db.execute("select count(*) from letters where state = 'waiting'").fetchone()[0]
            return reached[0] == last and waiting == 0

        until(told, 60)


def _judge(top: Path, trees: list[Path], receiver: Receiver) -> None:
    store = Store(_database(top))
    ledger = Ledger(store)
    changes, reports = ledger.changes(), ledger.consolidations()
    text = (top / "SYNC_STATUS.md").read_text()
    archive = top / "SYNC_STATUS_ARCHIVE.md"
    text += archive.read_text() if archive.exists() else ""
    for one in reports:
        assert text.count(f"<!-- raccord:consolidation:{one.id} -->") == 1
        assert len(ledger.changes(consolidation=one.id)) == one.changes
    assert sum(one.changes for one in reports) == len(changes)
    for tree in trees:
        for name in NAMES:
            chain = [one for one in changes if (one.root, one.path) == (str(tree), name)]
            assert [one.old for one in chain[1:]] == [one.new for one in chain[:-1]]
            if chain:
                assert ledger.content(chain[-1].new) == (tree / name).read_bytes()
    # The same letter may come twice where a kill hid its answer: under the same name, for who gets it to see.
    letters = {headers["X-Raccord-Delivery"]: json.loads(body) for headers, body in receiver.got}
    told = [one for one in letters.values() if one["event"] == "consolidation"]
    assert sorted(one["consolidation"] for one in told) == sorted(one.id for one in reports)
    seen = Counter(
        (change["worktree"], change["file_path"], change["old_checksum"], change["new_checksum"])
        for one in letters.values()
        if one["event"] == "change"
        for change in one["changes"]
    )
    assert seen == Counter((one.root, one.path, one.old or None, one.new or None) for one in changes)
    store.close()
