"""What the shell's completion offers for ids, and the arguments that the verbs of `Run` share.

A completion can't say what went wrong: where raccord can't run, it offers nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.errors import RaccordError

if TYPE_CHECKING:
    from raccord.workspace import Workspace

LIMIT = 50
UNFINISHED = frozenset({"stopped", "running", "pending"})


def runs(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of runs, with what they were."""
    try:
        found = _workspace(context).log(LIMIT)
    except RaccordError:
        return []
    return [(run.id, f"{run.verb}: {run.state}") for run in found if run.id.startswith(incomplete)]


def snapshots(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of snapshots, with what they are for."""
    try:
        found = _workspace(context).snapshots()
    except RaccordError:
        return []
    return [(one.id, one.message or one.branch) for one in found if one.id.startswith(incomplete)]


def lanes(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Keys of the lanes that wait, in whichever run."""
    try:
        workspace = _workspace(context)
        reports = [workspace.show(run.id) for run in workspace.status().stopped]
    except RaccordError:
        return []
    return [
        (lane.key, lane.title)
        for report in reports
        for lane in report.lanes
        if lane.state in UNFINISHED and lane.key.startswith(incomplete)
    ]


def _workspace(context: typer.Context) -> Workspace:
    from raccord.workspace import Workspace

    root = context.find_root().params.get("directory") or os.curdir
    return Workspace.open(Path(root))


LaneArgument = Annotated[
    str,
    typer.Argument(
        metavar="[LANE]",
        help="The worktree or branch; all that wait where it is left out.",
        show_default=False,
        autocompletion=lanes,
    ),
]
RunOption = Annotated[
    str,
    typer.Option(
        "--run",
        metavar="RUN",
        help="The run, where several wait.",
        show_default=False,
        autocompletion=runs,
    ),
]
