"""A promotion that is killed: python -m tests.examples.killed WORKSPACE PROFILE KIND WHERE.

KIND is "files" or "data": WHERE is what the `killed` of that room takes.
"""

from __future__ import annotations

import sys

from raccord.model.options_data import PromoteOptions
from raccord.workspace import Workspace
from tests.data import killed as data
from tests.files import killed as files

if __name__ == "__main__":
    _, workspace, profile, kind, where = sys.argv
    if kind == "files":
        files.arm(int(where))
    else:
        data.arm(where)
    Workspace.open(workspace).promote(PromoteOptions(profile, "prod"))
