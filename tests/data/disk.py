"""A small disk for a test, in memory: mounted where this machine allows that, and filled to the last page."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class Disk:
    """A disk of its own where one can be mounted, a plain folder elsewhere; `there` says which."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        folder.mkdir()
        owner = "nobody" if os.geteuid() == 0 else str(os.geteuid())
        words = ["mount", "-t", "tmpfs", "-o", f"size={size},uid={owner}", "tmpfs", str(folder)]
        self.there = (
            shutil.which("mount") is not None and not subprocess.run(words, capture_output=True).returncode
        )
        self.ballast = folder / "ballast"

    @property
    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.folder).free

    def fill(self, but: int) -> None:
        """Leaves so many bytes."""
        with self.ballast.open("wb") as file:
            # What a disk in memory says of its own room is a guess.
            size, step = 0, self.free + 4096 & -4096
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                except OSError:
                    step = step // 2 & -4096
            file.truncate(max(0, size - but))

    def close(self) -> None:
        """Unmounts it."""
        self.ballast.unlink(missing_ok=True)
        if self.there:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)
        self.folder.rmdir()
