"""Reads what may be secret from where the configuration says. What was read is in no message."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from raccord.config import Secret, expanded
from raccord.errors import CannotRun
from raccord.kernel import fs, proc
from raccord.kernel.extras import install
from raccord.model.text import shown

SECONDS = 60.0  # that a command may take to print it


def read(
    source: Secret, what: str, top: Path, variable: Callable[[str], str | None], example: str = "…"
) -> str:
    """Reads a value of one line.

    Args:
        what: it is, for messages: "the database of prod".
        top: where relative paths start, and where commands run.
        variable: reads a variable of the environment, None where it isn't set.
        example: of a value, for a hint.

    Raises:
        CannotRun: where it comes from says nothing, or more than one line, or the package keyring is needed
            and not installed.
    """
    if source.kind == "text":
        return source.words[0]
    if source.kind == "env":
        value = variable(source.words[0])
        if not value:
            name = source.words[0]
            raise CannotRun(
                f"the variable {name}, which has {what}, is not set", hint=f"export {name}={example}"
            )
        return value
    if source.kind == "keyring":
        service, user = source.words
        return _keyring(service, user, what)
    by = _file if source.kind == "file" else _command
    lines = by(source.words, what, top).strip().splitlines()
    if len(lines) != 1:
        wanted = "one line" if not lines else "one line, and no more"
        raise CannotRun(f"{what} is to be {wanted}: it comes from a {source.kind}")
    return lines[0]


def _file(words: tuple[str, ...], what: str, top: Path) -> str:
    place = top / expanded(words[0])
    try:
        return fs.read(place).decode()
    except FileNotFoundError:
        raise CannotRun(
            f"{shown(str(place))}, which has {what}, is not there",
            hint="write it there, as one line, or correct the path in raccord.toml",
        ) from None
    except UnicodeDecodeError:
        raise CannotRun(f"{shown(str(place))} is no text") from None


def _keyring(service: str, user: str, what: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError, NoKeyringError
    except ImportError:
        raise CannotRun(
            f"{what} is in a keyring, which needs the package keyring", hint=install("keyring")
        ) from None
    named = shown(f"{user} of {service}")
    try:
        value = keyring.get_password(service, user)
    except NoKeyringError:
        raise CannotRun(
            f"there is no keyring here that could have {what}", hint="python -m keyring --list-backends"
        ) from None
    except KeyringError as error:
        # What a backend says may repeat what it read.
        raise CannotRun(
            f"the keyring does not tell {what}, {named}: {type(error).__name__}",
            hint="unlock it, then run this again",
        ) from None
    if not value:
        hint = f"python -m keyring set {shown(shlex.join([service, user]))}"
        raise CannotRun(f"the keyring has no {named}, which is to be {what}", hint=hint)
    if len(value.splitlines()) != 1:
        raise CannotRun(f"{what} is to be one line, and no more: it comes from a keyring")
    return value


def _command(words: tuple[str, ...], what: str, top: Path) -> str:
    done = proc.run(words, cwd=top, timeout=SECONDS)
    if done.returncode:
        raise CannotRun(
            f"{shown(words[0])}, which prints {what}, failed ({done.returncode})",
            hint="run it by hand: what it says may be secret, and is not shown here",
        )
    return done.stdout.decode("utf-8", "surrogateescape")
