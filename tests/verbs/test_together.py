"""Many raccords at once, as many processes: no failure, one fetch, every worktree right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verbs.flock import Flock


@pytest.mark.timeout(500)
@pytest.mark.parametrize("many", [8, pytest.param(20, marks=pytest.mark.long)])
def test_many_syncs_started_at_once(tmp_path: Path, many: int) -> None:
    flock = Flock.make(tmp_path)
    for number in range(4):
        flock.tree(f"t{number}", {f"t{number}.py": "t\n"})
    flock.advance({"lib.py": "new\n"})
    log = tmp_path / "connections"
    shim = tmp_path / "shim"
    shim.write_text(f'#!/bin/sh\nshift\necho "$*" >> {log}\nexec sh -c "$*"\n')
    shim.chmod(0o755)
    flock.main.git("config", "core.sshCommand", str(shim))
    flock.main.git("config", "ssh.variant", "simple")
    flock.main.git("remote", "set-url", "origin", f"ssh://localhost{flock.remote.path}")
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-m", "raccord", "-C", str(flock.main.path), "sync", "--all"]
    command += ["--skip-tests", "--reason", "a race", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen(command, env=env, **pipes) for _ in range(many)]  # type: ignore[call-overload]
    ends = [(child.communicate(timeout=450), child.returncode) for child in children]
    failed = [(code, out.decode(), err.decode()) for (out, err), code in ends if code != 0]
    assert not failed, "\n".join(map(str, failed[0]))
    for name in flock.trees:
        flock.in_step(name)
    asked = log.read_text().splitlines()
    assert sum("upload-pack" in line for line in asked) == 1, asked
    assert sum("receive-pack" in line for line in asked) == 1, asked
    assert flock.main.git("for-each-ref", "refs/raccord/runs").count("\n") == 0
