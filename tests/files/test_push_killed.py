"""A push of objects killed anywhere: each is old or new, the next push finishes, an undo brings back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import s3kit, sshkit
from tests.fileskit import Two

ROOT = Path(__file__).resolve().parent.parent.parent
DEV = {f"{name}/{number}": f"dev {number}".encode() for name in "ab" for number in range(4)}
PROD = {"a/0": b"dev 0", "a/1": b"old 1", "a/2": b"old, and longer", "own/1": b"own", "own/2": b""}


def killed(two: Two, number: int) -> bool:
    """Whether a push was killed there; it may have ended before."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.killed", str(two.repo.path), str(number)],
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode == -9


def filled(path: Path, kinds: tuple[str, str]) -> Two:
    try:
        two = Two(path, *kinds)
    except (s3kit.NoServer, sshkit.NoSshd) as error:
        pytest.skip(f"no server: {error}")
    two.put("dev", DEV)
    two.put("prod", PROD)
    return two


def tried(path: Path, kinds: tuple[str, str], number: int) -> None:
    two = filled(path, kinds)
    cut = killed(two, number)
    for key, data in two.objects("prod").items():
        assert data in (DEV.get(key), PROD.get(key)), key
    assert {key for key in PROD if key in DEV} <= two.objects("prod").keys()
    # The next push finishes the killed run first.
    report = two.push(mode="mirror", delete=True)
    assert report.state in ("done", "nothing"), report
    assert two.objects("prod") == DEV
    assert cut or report.state == "nothing"
    while two.objects("prod") != PROD:
        undone = two.undo()
        assert undone.state == "done", undone


@pytest.mark.long_but(2)
@pytest.mark.parametrize("number", [0, 9, 14, 25, 38])
def test_anywhere_on_directories(tmp_path, number):
    tried(tmp_path, ("file", "file"), number)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("number", [3, 12, 20])
def test_anywhere_on_buckets(tmp_path, number):
    tried(tmp_path, ("file", "s3"), number)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("number", [4, 13, 21])
def test_anywhere_behind_ssh(tmp_path, number):
    tried(tmp_path, ("file", "sftp"), number)


@pytest.mark.long_but(2)
@pytest.mark.parametrize("kinds", [("file", "file"), ("file", "s3")])
@pytest.mark.parametrize("number", [12, 17, 22, 27])
def test_an_abort_takes_back_what_no_line_tells(tmp_path, kinds, number):
    two = filled(tmp_path, kinds)
    assert killed(two, number)
    # A kill may take the newest lines of the log along.
    for log in (two.repo.path / ".git/raccord/files").glob("*.log"):
        log.write_bytes(b"\n".join(log.read_bytes().split(b"\n")[:3]))
    with two.workspace as workspace:
        aborted = workspace.abort()
    assert aborted.state in ("aborted", "done"), aborted
    assert two.objects("prod") == PROD


@pytest.mark.long
@pytest.mark.parametrize(
    "kinds", [("file", "file"), ("file", "s3"), ("s3", "file"), ("file", "sftp"), ("sftp", "file")]
)
@pytest.mark.parametrize("number", range(1, 60, 2))
def test_everywhere(tmp_path, kinds, number):
    tried(tmp_path, kinds, number)
