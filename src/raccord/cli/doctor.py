"""`raccord doctor`: what is wrong, why, and what to type next."""

from __future__ import annotations

import dataclasses
import os
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json
from raccord.cli.watch import DISABLED

EXAMPLE = "raccord doctor --online"


def command(
    context: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Ask environments and databases on other machines too.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", "-a", help="Show what is well, too.")] = False,
    as_json: Json = False,
) -> int:
    """Find what is wrong, and what to type next."""
    from raccord.workspace import Workspace

    face = Face.of(context, as_json)
    report = Workspace.doctor(face.directory, online=online, enabled=os.environ.get(DISABLED, ""))
    from raccord.cli.render_doctor import doctor

    face.show("doctor", dataclasses.asdict(report), lambda page: doctor(page, report, every=every))
    return exits.FAILED if report.problems else exits.DONE
