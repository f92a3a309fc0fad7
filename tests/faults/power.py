"""Power cuts: the workspace lies on a loop-mounted image, which is copied while the command stands still.

The copy, mounted in its stead, holds what had reached the disk. Needs root and a loop device. The remote is
another machine, and keeps its power.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.inject import Fault, Ran
from tests.faults.judge import Verdict, judge
from tests.faults.place import Place, build
from tests.faults.scenarios import Reference, Scenario, measured
from tests.faults.tracer import copy_sparse

SIZE = 64 * 1024 * 1024
# No commit by the clock: what is not flushed on purpose does not reach the disk by luck.
OPTIONS = "loop,commit=600"


def make(image: Path) -> None:
    """Makes an empty disk."""
    with open(image, "wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True, capture_output=True)


def mount(image: Path, at: Path) -> None:
    """Mounts a disk."""
    at.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "ext4", "-o", OPTIONS, image, at], check=True, capture_output=True)


def unmount(at: Path) -> None:
    """Unmounts what is mounted, if anything."""
    if os.path.ismount(at):
        subprocess.run(["umount", at], check=True, capture_output=True)


def why_not() -> str:
    """Why power can't be cut here, or "" where it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root can mount a disk image"
    if not shutil.which("mkfs.ext4"):
        return "no mkfs.ext4"
    with tempfile.TemporaryDirectory() as folder:
        image, at = Path(folder, "image"), Path(folder, "mounted")
        try:
            make(image)
            mount(image, at)
        except (OSError, subprocess.CalledProcessError) as error:
            said = os.fsdecode(getattr(error, "stderr", b"") or b"").strip()
            return f"no disk image can be mounted here: {said or error}"
        unmount(at)
    return ""


class Bench:
    """One workspace on a disk of its own, whose power can be cut again and again.

    Args:
        root: an empty directory; not on the disk itself.
    """

    def __init__(self, root: Path, scenario: Scenario) -> None:
        self.disk = root / "disk.img"
        self.cut_disk = root / "cut.img"
        self.template = root / "template"
        self.template.mkdir(parents=True)
        self.place = Place.make(root / "place", scenario.served)
        self.reference = self._prepare(scenario)

    def _prepare(self, scenario: Scenario) -> Reference:
        make(self.disk)
        with self._mounted(self.disk):
            build(self.place)
            scenario.prepare(self.place)
            self.place.refresh()
        copy_sparse(str(self.disk), str(self.template / "disk.img"))
        shutil.copytree(self.place.remote, self.template / "remote.git", symlinks=True)
        if self.place.server:
            self.place.server.save()
        with self._mounted(self.disk):
            return measured(scenario, self.place, self.template)

    @contextlib.contextmanager
    def _mounted(self, image: Path) -> Iterator[None]:
        mount(image, self.place.workspace)
        try:
            yield
        finally:
            unmount(self.place.workspace)

    def cut(self, at: int, recovery: str) -> tuple[Ran, Verdict]:
        """Cuts the power before a writing system call, mounts what was on the disk, recovers and judges."""
        copy_sparse(str(self.template / "disk.img"), str(self.disk))
        self.cut_disk.unlink(missing_ok=True)
        shutil.rmtree(self.place.remote)
        shutil.copytree(self.template / "remote.git", self.place.remote, symlinks=True)
        if self.place.server:
            self.place.server.reset()
        scenario = self.reference.scenario
        with self._mounted(self.disk):
            fault = Fault("cut", at)
            ran = self.place.struck(scenario.argv, scenario.cwd, fault, (self.disk, self.cut_disk))
        # Over before the call came: the power stays, the disk is the one that was unmounted.
        with self._mounted(self.cut_disk if self.cut_disk.exists() else self.disk):
            return ran, judge(self.place, self.reference, ran, recovery)
