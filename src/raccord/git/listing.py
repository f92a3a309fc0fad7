"""Reads git's configuration of a repository: what holds here, and what only its other worktrees would read.

Runs nothing but `git config`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from raccord.errors import CannotRun, ProcessTimeout
from raccord.git.config import LISTING, Entry, Settings, parse
from raccord.git.run import ENVIRONMENT
from raccord.kernel import proc
from raccord.model.text import shown

OPENING_S = 30.0  # a configuration that includes a pipe makes git wait for ever
INCLUDES_DEEP = 10  # git's own limit
_CONDITIONAL = ("includeif", "path")


def read_settings(here: str, common: str) -> Settings:
    """The configuration as read at `here`, and what only other worktrees would read of it."""
    entries = parse(_listed(here, *LISTING))
    own = [entry for entry in entries if entry.own]
    more: set[str] = set()
    if any(entry.key == "extensions.worktreeconfig" for entry in own):
        more.update(_worktree_files(common))
    elsewhere: tuple[Entry, ...] = ()
    # A condition may hold in another worktree: what it includes counts, and what that includes.
    for _ in range(INCLUDES_DEEP):
        more.update(_conditional(here, entry) for entry in (*own, *elsewhere) if entry.kind == _CONDITIONAL)
        found = _included(here, more) if more else ()
        if found == elsewhere:
            return Settings(entries, elsewhere)
        elsewhere = found
    raise CannotRun(
        f"the configuration at {shown(here)} includes files that include files too often",
        hint="git config --list --show-origin",
    )


def _conditional(here: str, entry: Entry) -> str:
    """The file that a condition includes, as an absolute path or as git itself expands it."""
    if entry.value.startswith(("~", "%(prefix)/")):
        return entry.value
    beside = os.path.join(here, entry.origin.removeprefix("file:"))
    return os.path.join(os.path.dirname(beside), entry.value)


def _worktree_files(common: str) -> list[str]:
    files = [os.path.join(common, "config.worktree")]
    with contextlib.suppress(OSError), os.scandir(os.path.join(common, "worktrees")) as found:
        files += [os.path.join(each.path, "config.worktree") for each in found]
    return [file for file in files if os.path.exists(file)]


def _included(here: str, files: set[str]) -> tuple[Entry, ...]:
    """What `files` say, read in one spawn; those that git can't parse stop git itself wherever they count."""
    listing = ("config", "--list", "-z", "--show-scope", "--show-origin", "--includes", "--file", "-")
    try:
        said = _listed(here, *listing, stdin=b"".join(map(_include, sorted(files))))
    except CannotRun:
        said = b"".join(_listed(here, *listing, stdin=_include(file), ok=True) for file in sorted(files))
    # `--file` hides the scope; these are all the repository's own.
    return tuple(replace(entry, scope="local") for entry in parse(said))


def _include(file: str) -> bytes:
    quoted = os.fsencode(file).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'[include]\npath = "' + quoted + b'"\n'


def _listed(here: str, *args: str, stdin: bytes = b"", ok: bool = False) -> bytes:
    """Lists configuration without the settings that raccord's calls carry."""
    try:
        result = proc.run(["git", *args], cwd=Path(here), stdin=stdin, env=ENVIRONMENT, timeout=OPENING_S)
    except ProcessTimeout:
        raise stuck(here) from None
    if result.returncode and not ok:
        last = shown(result.stderr.strip().rpartition("\n")[2].removeprefix("fatal: "))
        raise CannotRun(
            f"git can't read its configuration at {shown(here)}: {last}", hint="git config --list"
        )
    return result.stdout if not result.returncode else b""


def stuck(here: str) -> CannotRun:
    """The error for a git that doesn't end."""
    return CannotRun(f"git gave no answer within {OPENING_S:g} s at {shown(here)}", hint="git config --list")
