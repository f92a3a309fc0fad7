"""`raccord watch`: sees every change of the watched files as it happens, and consolidates, until Ctrl-C."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli import exits, output
from raccord.cli.face import Face, Json

if TYPE_CHECKING:
    from raccord.coordination.keeper import Checked
    from raccord.coordination.running import Running

EXAMPLE = "raccord watch --json"
DISABLED = "AUTOSYNC_ENABLED"


def command(
    context: typer.Context,
    polling: Annotated[
        bool, typer.Option("--polling", help="Look at files by the clock: for network file systems.")
    ] = False,
    as_json: Json = False,
) -> int:
    """See changes of watched files live; ends with Ctrl-C."""
    face = Face.of(context, as_json)
    if os.environ.get(DISABLED) == "0":
        print(f"{DISABLED}=0: the service is disabled.", file=sys.stderr)
        return exits.DONE
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    with face.workspace() as workspace:
        running = workspace.coordination.watching(polling=polling)
        running.keeper.checked.append(_teller(face))
        until_told(running)
    return exits.DONE


def until_told(running: Running) -> None:
    """Runs a service until a signal asks for its end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        running.start()
        try:
            running.wait()
        except KeyboardInterrupt:
            pass
        finally:
            running.stop()
    finally:
        signal.signal(signal.SIGTERM, before)


def _teller(face: Face) -> Callable[[Checked], None]:
    from raccord.cli.render_coordination import line
    from raccord.verbs.coordination import change

    def tell(one: Checked) -> None:
        for found in one.changes:
            if face.as_json:
                output.document("change", dataclasses.asdict(change(found)))
            else:
                output.write(line(change(found)) + "\n")

    return tell
