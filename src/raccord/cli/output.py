"""Writes whole texts to the standard streams, even where a reader went away or can't show a character."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping

VERSION = 1  # of the --json contract


def prepare() -> None:
    """Lets both streams show any text: what their encoding lacks is escaped instead of failing.

    A stream that is closed leads nowhere, lest the next file that is opened take its place.
    """
    opened = os.open(os.devnull, os.O_RDONLY)
    while opened <= 2:
        opened = os.dup(opened)
    os.close(opened)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.StringIO())
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Writes to standard output. A reader that went away (`| head`) is no failure.

    Raises:
        OSError: the output can't be written, such as onto a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Closed here, or the interpreter would complain when it flushes at its end.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        if not isinstance(error, BrokenPipeError):
            raise


def finish() -> None:
    """Closes standard output where what is left in it can't be written, which was told already: else the
    interpreter would try again at its end, complain, and exit otherwise.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.close()


def document(kind: str, fields: Mapping[str, object]) -> None:
    """Writes one JSON document of the contract; undecodable bytes of a path are lone surrogates, escaped."""
    write(json.dumps({"version": VERSION, "kind": kind, **fields}, indent=2) + "\n")


def say(line: str) -> None:
    """Writes one line to standard error; who can't be told is not told."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
