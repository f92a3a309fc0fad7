"""A push that is killed: python -m tests.files.killed WORKSPACE NUMBER, ended by SIGKILL.

NUMBER says before or after which of its writes to a store, to its log or to the files below it dies.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from raccord.files.log import Log
from raccord.kernel import fs_objects
from raccord.model.options_data import FilesPushOptions
from raccord.objects.far import Far
from raccord.objects.local import Local
from raccord.objects.s3 import S3
from raccord.workspace import Workspace

STORES = [(kind, name) for kind in (Far, Local, S3) for name in ("write", "copy", "remove")]
PLACES: list[tuple[Any, str]] = [(Log, "add"), (fs_objects, "_swap"), *STORES]


def arm(number: int) -> None:
    left, lock = [number], threading.Lock()

    def count() -> None:
        with lock:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*words: Any) -> Any:
            count()
            found = function(*words)
            count()
            return found

        setattr(owner, name, call)

    for owner, name in PLACES:
        counted(owner, name)


if __name__ == "__main__":
    arm(int(sys.argv[2]))
    Workspace.open(sys.argv[1]).files_push(FilesPushOptions("all", "prod", mode="mirror", delete=True))
