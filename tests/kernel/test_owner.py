"""Owners: a recycled pid, a reboot, a zombie and another container are not mistaken for a living process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.kernel import fs_beacon, owner
from raccord.kernel.owner import BEACON, Owner, age, me
from tests.kernel.forks import ended, forked

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_this_process_lives_and_survives_being_written_down(tmp_path: Path) -> None:
    mine = me(tmp_path)
    assert mine.alive() and not mine.elsewhere
    assert Owner.parse(str(mine), tmp_path) == mine == me(tmp_path)


def test_a_process_that_ended_is_dead(tmp_path: Path) -> None:
    pid = forked(lambda: time.sleep(30))
    other = Owner(pid, owner._stat(pid)[1], owner.boot_id(), owner.space_id(), 0, tmp_path)
    assert other.alive()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while owner._stat(pid)[0] != "Z" and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not other.alive(), "a zombie holds nothing"
    ended(pid)
    assert not other.alive()


@LINUX
@pytest.mark.parametrize("changed", [{"start": "1"}, {"boot": "00000000-0000-0000-0000-000000000000"}])
def test_a_recycled_pid_and_a_reboot_are_dead(tmp_path: Path, changed: dict[str, str]) -> None:
    assert not replace(me(tmp_path), **changed).alive()  # type: ignore[arg-type] # strings all


@LINUX
def test_what_cannot_be_told_counts_as_alive(tmp_path: Path) -> None:
    assert replace(me(tmp_path), boot="").alive(), "a system that names no boot can't be compared"
    assert replace(me(tmp_path), start="").alive()
    assert Owner(1, "", owner.boot_id(), owner.space_id(), 0, tmp_path).alive(), "a pid that may not be asked"
    assert replace(me(tmp_path), space="1", beacon=0).alive(), "another container, with no beacon"


@LINUX
def test_a_process_of_another_container_is_known_by_its_beacon(tmp_path: Path) -> None:
    """Two containers see the same folder and the same kernel, but not each other's pids."""
    script = (
        "import sys, time, pathlib; from raccord.kernel.owner import me;"
        "print(me(pathlib.Path(sys.argv[1])), flush=True); time.sleep(60)"
    )
    shared = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*shared, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace can be made here")
    child = subprocess.Popen(
        [*shared, sys.executable, "-c", script, tmp_path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(owner.__file__).parents[2])},
    )
    assert child.stdout is not None
    other = Owner.parse(child.stdout.readline().decode().strip(), tmp_path)
    assert other.elsewhere and other.space != owner.space_id() and other.boot == owner.boot_id()
    assert other.alive() and other.pid != child.pid
    child.kill()
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 60
    while other.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not other.alive(), "no person is needed to get out"


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock")
def test_a_beacon_goes_out_with_its_process_and_not_with_a_child(tmp_path: Path) -> None:
    path = tmp_path / BEACON
    number = fs_beacon.light(path)
    assert number == fs_beacon.light(path)

    def child() -> None:
        assert fs_beacon.lit(path, number) is True
        assert fs_beacon.lit(path, number + 1) is False
        assert fs_beacon.light(path) != number
        assert fs_beacon.lit(path, number) is True

    assert ended(forked(child)) == 0
    reader, writer = os.pipe()

    def other() -> None:
        os.write(writer, str(fs_beacon.light(path)).encode())
        time.sleep(30)

    pid = forked(other)
    theirs = int(os.read(reader, 30))
    os.close(reader)
    os.close(writer)
    assert fs_beacon.lit(path, theirs) is True
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    assert fs_beacon.lit(path, theirs) is False
    assert path.stat().st_size == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock")
def test_a_folder_made_anew_has_its_own_beacons(tmp_path: Path) -> None:
    path = tmp_path / BEACON
    fs_beacon.light(path)
    path.unlink()
    assert fs_beacon.lit(path, 5) is False
    number = fs_beacon.light(path)

    def child() -> None:
        assert fs_beacon.lit(path, number) is True

    assert ended(forked(child)) == 0


def test_age_counts_from_the_start_of_the_process() -> None:
    assert 0 <= age() < 3600 * 24
