"""Full and read-only disks, and people without rights: said in one line, nothing changed, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.desk import Desk
from tests.hostile.house import PATH, House, wrong_output
from tests.verbs.flock import contents

root_only = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount"
)


@pytest.fixture
def disk(tmp_path, house) -> Iterator[House]:
    """The workspace on a small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip(f"can't mount: {made.stderr.decode().strip()}")
    try:
        yield House.copied(house.folder, place / "house")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: Path, left: int) -> None:
    """Fills a disk up to so many bytes."""
    with (folder / "fill").open("wb") as file:
        size = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        file.write(b"x" * max(0, size - left))


@pytest.mark.long_but(3)
@root_only
@pytest.mark.parametrize("left", [0, 8 * 1024])
@pytest.mark.parametrize("words", ["sync --all", "snapshot --all", "sync --all --dry-run"])
def test_a_full_disk(desk, disk, words, left):
    desk.house = disk
    disk.at = disk.repo.path
    (disk.repo.path / "untracked.txt").write_bytes(os.urandom(100_000))
    desk.answered(0, "status")
    fill(disk.folder, left)
    desk.refused(6, "disk is full|No space left|is full", "df -h", *words.split())
    desk.answered(0, "status")
    (disk.folder / "fill").unlink()
    desk.answered(0, "snapshot", "--all")


@root_only
@pytest.mark.long
@pytest.mark.parametrize("left", range(12, 300, 12))
def test_a_disk_that_fills_up_meanwhile(desk, disk, left):
    """Wherever it ends: what it could not finish is finished or taken back once there is room."""
    desk.house = disk
    disk.at = disk.repo.path
    before = contents(disk.agent.path)
    local = contents(disk.repo.path)
    fill(disk.folder, left * 1024)
    words = ("sync", "--all", "--skip-tests", "--no-push", "--reason", "a test")
    found = desk.types(*words)
    assert wrong_output(words, found) == []
    (disk.folder / "fill").unlink()
    again = desk.types("continue")
    assert again.code in (0, 2, 5), again
    after = contents(disk.agent.path)
    moved = {**before, "f": after["f"], "new.txt": after.get("new.txt")}
    assert after in (before, moved)
    assert contents(disk.repo.path) == local
    assert disk.agent.git("status", "--porcelain") == ""
    assert disk.repo.git("fsck", "--connectivity-only", "--no-dangling") == ""
    desk.answered(5, *words)  # the other one has edits
    assert contents(disk.agent.path)["new.txt"][1] == b"new\n"


@root_only
def test_a_disk_that_is_read_only(desk, disk):
    desk.house = disk
    disk.at = disk.repo.path
    desk.answered(0, "snapshot", "--all")
    place = str(disk.folder.parent)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    desk.answered(0, "status")
    assert "snapshot" in desk.answered(0, "log")
    for words in ("sync --all", "snapshot --all", "sync --all --dry-run", "undo --yes", "gc"):
        desk.refused(6, "read-only|readonly", "raccord|ls -ld|df -h", *words.split())


@pytest.fixture
def guest(desk, template) -> Iterator[Desk]:
    """The desk of another user, in a folder that others may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        house = House.copied(template, Path(folder) / "house")
        os.chmod(house.folder, 0o755)
        settings = Path(folder) / "settings"
        settings.write_text(
            "[user]\n\tname = Guest\n\temail = guest@example.invalid\n[safe]\n\tdirectory = *\n"
        )
        env = {"HOME": folder, "GIT_CONFIG_GLOBAL": str(settings), "PATH": PATH}
        yield Desk(desk.driver, house, env, 65534)


as_another = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may become another user"
)


@as_another
def test_somebody_who_may_not_write(guest):
    guest.answered(0, "status")
    guest.answered(0, "log")
    for words in ("sync --all", "snapshot --all", "sync --all --dry-run"):
        guest.refused(6, "[Pp]ermission denied|not permitted", ".", *words.split())


@as_another
def test_somebody_who_may_not_enter(guest):
    guest.house.git.chmod(0o700)
    guest.refused(6, "can't read|in no git repository|[Pp]ermission denied", ".", "status")
    guest.house.git.chmod(0o755)
    (guest.house.repo.path / "raccord.toml").chmod(0o600)
    guest.refused(6, "raccord.toml: can't be read: Permission denied", "edit .*raccord.toml", "status")


@as_another
def test_somebody_elses_repository(guest):
    guest.env["GIT_CONFIG_GLOBAL"] = "/dev/null"
    for words in ("status", "sync --all", "snapshot --all", "log"):
        guest.refused(
            6, "it belongs to someone else", "git config --global --add safe.directory", *words.split()
        )
