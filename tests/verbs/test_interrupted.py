"""Ctrl-C, a polite kill, and a sudden one, while tests run: nothing is lost, nobody is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.verbs.flock import Flock, contents

ROOT = Path(__file__).resolve().parents[2]
# Says that it runs, and then takes its time.
SLOW = ["sh", "-c", "echo $$ > ../pid; exec sleep 200"]


def started(flock: Flock, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "raccord", "-C", str(flock.trees["a"].path), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heeding,
    )


def heeding() -> None:
    """As a terminal starts it: what a shell starts behind itself, or nohup, inherits deaf ears."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def awaited(path: Path, child: subprocess.Popen[bytes]) -> int:
    until = time.monotonic() + 100
    while time.monotonic() < until and child.poll() is None:
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"the gate never ran: {child.communicate()}")


def runs(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


@pytest.mark.long_but(1)
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("then", ["continue", "abort"])
def test_interrupted_in_a_gate(tmp_path: Path, sign: signal.Signals, then: str) -> None:
    flock = Flock.make(tmp_path)
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    old = tree.oid(), contents(tree.path), flock.on_remote("a")
    child = started(flock, "sync", "--test-command", json.dumps(SLOW))
    pid = awaited(tmp_path / "pid", child)
    child.send_signal(sign)
    _, err = child.communicate(timeout=100)
    assert child.returncode == 130, err
    assert not runs(pid), "the test command was ended too"
    waiting = flock.at("a").status()
    assert waiting.stopped and "raccord continue" in waiting.next_command
    assert flock.on_remote("a") == old[2]
    if then == "abort":
        assert flock.at("a").abort().state == "aborted"
        assert (tree.oid(), contents(tree.path), flock.on_remote("a")) == old
    else:
        (tmp_path / "pid").unlink()
        again = started(flock, "continue")
        os.kill(awaited(tmp_path / "pid", again), signal.SIGTERM)  # the gate ends, red
        again.communicate(timeout=100)
        assert again.returncode == 5
        assert (tree.oid(), contents(tree.path), flock.on_remote("a")) == old
    assert flock.at("a").status().stopped == ()


def test_killed_in_a_gate_the_next_sync_finishes(tmp_path: Path) -> None:
    flock = Flock.make(tmp_path)
    tree = flock.tree(
        "a", {"a.py": "a\n", "gate.sh": "test -f ../go || { echo $$ > ../pid; exec sleep 200; }\n"}
    )
    flock.advance({"lib.py": "new\n"})
    gate = json.dumps(["sh", "gate.sh"])
    child = started(flock, "sync", "--test-command", gate)
    pid = awaited(tmp_path / "pid", child)
    child.kill()
    child.communicate(timeout=100)
    if runs(pid):
        os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    report = flock.sync("a", skip_tests=False, reason="", test_commands=(("sh", "gate.sh"),))
    assert report.state in ("done", "nothing"), report
    flock.in_step("a")
    assert tree.git("status", "--porcelain") == "" and flock.at("a").status().stopped == ()
