"""A promotion that is killed: python -m tests.examples.killed WORKSPACE PROFILE KIND WHERE.

KIND is "files" or "data": WHERE is what the `killed` of that room takes. Or it is "hooks": WHERE counts the
moments just before and just after something is written down of a hook.
"""

from __future__ import annotations

import sys

from raccord.hooks.attempts import Attempts
from raccord.model.options_data import PromoteOptions
from raccord.workspace import Workspace
from tests.data import killed as data
from tests.files import killed as files


def arm(number: int) -> None:
    left, add = [number], Attempts.add

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            data.die()

    def counted(self: Attempts, *words: str) -> None:
        count()
        add(self, *words)
        count()

    setattr(Attempts, "add", counted)  # noqa: B010 - a method can't be assigned


if __name__ == "__main__":
    _, workspace, profile, kind, where = sys.argv
    if kind == "files":
        files.arm(int(where))
    elif kind == "hooks":
        arm(int(where))
    else:
        data.arm(where)
    Workspace.open(workspace).promote(PromoteOptions(profile, "prod"))
