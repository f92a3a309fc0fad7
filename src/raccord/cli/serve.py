"""`raccord serve`: the service with its routes, live page and metrics, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from raccord.cli import exits, output
from raccord.cli.face import Face, Json
from raccord.cli.watch import DISABLED
from raccord.errors import CannotRun
from raccord.kernel.extras import install

EXAMPLE = "raccord serve --port 8000"


def command(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port on loopback.")] = 8000,
    dev: Annotated[
        bool, typer.Option("--dev", help="Let everybody on this machine in who sends x-dev-bypass: 1.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Print a new link to the page of the server that runs here.")
    ] = False,
    polling: Annotated[
        bool, typer.Option("--polling", help="Look at files by the clock: for network file systems.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Serve who changed what: live page, REST, metrics."""
    face = Face.of(context, as_json)
    if os.environ.get(DISABLED) == "0":
        print(f"{DISABLED}=0: the service is disabled.", file=sys.stderr)
        return exits.DONE
    try:
        from raccord.web.serve import bound
    except ImportError as error:
        raise CannotRun(
            f"serving needs more packages, and one can't be imported here: {error}",
            hint=install("serve"),
        ) from error
    from raccord.workspace import Workspace

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    with Workspace.open(face.directory) as workspace:
        if link:
            return _link(face, workspace.coordination.state)
        service = workspace.coordination.serving(polling=polling)
        server = bound(workspace, workspace.again, service, port, dev=dev)
        if face.as_json:
            output.document("serve", {"url": server.url, "link": server.link()})
        else:
            output.write(f"{server.url}\n" if dev else f"open once: {server.link()}\n")
            if dev:
                output.write("--dev: everybody on this machine may read and change everything here.\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.stop())
        server.run()
    return exits.DONE


def _link(face: Face, state: Path) -> int:
    from raccord.web.client import asked, running

    url, made = running(state), asked(state, "POST", "/api/links")
    link = url + made["link"].lstrip("/")
    if face.as_json:
        output.document("serve", {"url": url, "link": link})
    else:
        output.write(f"open once: {link}\n")
    return exits.DONE
