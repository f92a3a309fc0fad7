"""Which test commands a worktree's files ask for. Reads files as data; never runs make, npm or the like."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from raccord.kernel import proc
from raccord.model.plan import Finding

READ_LIMIT = 1024 * 1024  # bytes; a project file beyond it is not read
SCAN_LIMIT = 5000  # directory entries looked at in search of a test file
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in GNU make's own order
PLACEHOLDER = "no test specified"  # what `npm init` writes
Found: TypeAlias = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Gate:
    """A test command.

    Attributes:
        argv: the command; a relative program with a slash starts at the worktree's top.
        source: what asks for it, such as "Makefile: target test".
        missing: the program that isn't there, or "".
    """

    argv: tuple[str, ...]
    source: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Gates:
    """The test commands of a worktree, in the order in which they run, and what to know of them."""

    gates: tuple[Gate, ...] = ()
    notes: tuple[Finding, ...] = ()


def detect(top: Path, configured: Sequence[Sequence[str]] | None = None) -> Gates:
    """The test commands of the worktree at `top`; never raises for what its files hold.

    Args:
        configured: the commands to take; () for none at all, None for what the files say.
    """
    if configured is not None and not configured:
        return Gates(notes=(Finding("gate.none", "note", "the configuration names no test command"),))
    if configured:
        return Gates(tuple(_gate(top, tuple(argv), "configured") for argv in configured))
    for look in DETECTORS:
        found = look(top)
        if found:
            return Gates((_gate(top, *found),))
    note = Finding(
        "gate.none",
        "note",
        "no test command found: nothing is tested before the push",
        hint="raccord init",
    )
    return Gates(notes=(note,))


def program(top: Path, name: str) -> str | None:
    """The full path of the program that `name` starts in the worktree, or None."""
    if os.sep in name or "/" in name:
        return shutil.which(os.path.join(top, name))
    return shutil.which(name, path=proc.environment().get("PATH"))


def _gate(top: Path, argv: tuple[str, ...], source: str) -> Gate:
    return Gate(argv, source, "" if program(top, argv[0]) else argv[0])


def _powershell(top: Path) -> Found | None:
    script = "tests/run_all.ps1"
    if not _is_file(top, script):
        return None
    return ("pwsh", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", script), script


def _make(top: Path) -> Found | None:
    names = [name for name in MAKEFILES if _is_file(top, name)]
    if not names or "test" not in _targets(_text(top, names[0])):
        return None
    return ("make", "test"), f"{names[0]}: target test"


def _targets(text: str) -> set[str]:
    """The explicit targets that a Makefile's own text names; includes are not followed."""
    targets: set[str] = set()
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        # A recipe starts with a tab; `test := x` assigns; `%` and `$(x)` are not known without make.
        rule = re.match(r"(?![\t#])([^:=#]+?)\s*::?(?![:=])(.*)", line)
        if rule is None:
            continue
        names = rule[1].split()
        targets.update(rule[2].partition("#")[0].split() if ".PHONY" in names else names)
    return targets


def _pytest(top: Path) -> Found | None:
    source = _pytest_source(top)
    if not source:
        return None
    # The worktree's own interpreter has the project's dependencies; a `pytest` on the PATH may not.
    for python in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if shutil.which(top / python):
            return (python, "-m", "pytest"), source
    return ("pytest",), source


def _pytest_source(top: Path) -> str:
    for name in ("pytest.ini", ".pytest.ini"):
        if _is_file(top, name):
            return name
    with contextlib.suppress(tomllib.TOMLDecodeError, RecursionError):
        tool = tomllib.loads(_text(top, "pyproject.toml")).get("tool")
        if isinstance(tool, dict) and "pytest" in tool:
            return "pyproject.toml: tool.pytest"
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        parser = configparser.RawConfigParser(strict=False)
        with contextlib.suppress(configparser.Error):
            parser.read_string(_text(top, name))
            if parser.has_section(section):
                return f"{name}: [{section}]"
    test = _test_file(top / "tests")
    return f"tests/{test}" if test else ""


def _test_file(folder: Path) -> str:
    """A file below `folder` that pytest collects by default, or ""; symbolic links are not followed."""
    seen = 0
    if folder.is_symlink():
        return ""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(files):
            if re.fullmatch(r"test_.*\.py|.*_test\.py", name, re.DOTALL):
                return Path(os.path.relpath(os.path.join(where, name), folder)).as_posix()
        seen += len(folders) + len(files)
        if seen > SCAN_LIMIT:
            break
    return ""


def _npm(top: Path) -> Found | None:
    try:
        package = json.loads(_text(top, "package.json") or "null")
    except (ValueError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    test = scripts.get("test") if isinstance(scripts, dict) else None
    if not isinstance(test, str) or not test.strip() or PLACEHOLDER in test:
        return None
    return ("npm", "test"), "package.json: scripts.test"


DETECTORS: tuple[Callable[[Path], Found | None], ...] = (_powershell, _make, _pytest, _npm)


def _is_file(top: Path, name: str) -> bool:
    """Whether it is a regular file of the tree: a link may lead anywhere, and a FIFO never ends."""
    path = os.path.realpath(top / name)
    try:
        return stat.S_ISREG(os.lstat(path).st_mode) and Path(path).is_relative_to(os.path.realpath(top))
    except OSError:
        return False


def _text(top: Path, name: str) -> str:
    """The text of a file of the tree, or "" where there is none, it is huge or can't be read."""
    if not _is_file(top, name):
        return ""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(os.path.realpath(top / name), flags), "rb") as file:
            data = file.read(READ_LIMIT + 1)
    except OSError:
        return ""
    return data.decode("utf-8", "replace") if len(data) <= READ_LIMIT else ""
