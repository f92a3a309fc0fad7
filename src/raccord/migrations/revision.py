"""Reads one revision file as data: its id, parents, dependencies and labels, from literals alone.

Never imports or executes the file: it may come from somebody else's worktree. What only running it could tell
is named as `Unread`, never guessed.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass

from raccord.migrations.literals import Unclear, Value, bindings, bound_within, parse
from raccord.migrations.regular import too_large

# A syntax tree takes 100 to 500 times the memory of its source, and 2 seconds for each 2 MiB.
LARGEST = 2 * 1024 * 1024  # bytes

NAMES = ("revision", "down_revision", "depends_on", "branch_labels")

# As alembic's own (script/base.py): an editor's lock files and packages' __init__ are no revisions.
_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
_COMPILED = re.compile(r"(?!\.\#|__init__)(.*\.py)[co]$")
# Before alembic 0.2 a file had no `revision`: its name was the id.
_LEGACY = re.compile(r"([a-f0-9]+)\.py$")
# alembic refuses an id with one of these: they are the operators of its revision expressions.
_ILLEGAL = frozenset("@-+:")
_CREATED = re.compile(r"^[ \t]*Create Date:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_COOKIE = re.compile(rb"(?:[^\r\n]*\r?\n)?[^\r\n]*coding")  # in one of the first two lines


@dataclass(frozen=True, slots=True)
class Revision:
    """What one revision file says about itself.

    Attributes:
        id: its `revision`.
        down: its parents as written; empty for a base.
        depends_on: ids or labels as written.
        labels: its `branch_labels` as written.
        name: the file's base name.
        digest: the SHA-256 of the file's bytes, in hex.
        message: the first line of its docstring.
        created: its "Create Date" as written, or "".
        unclear: which of its values are not literal and were left empty; only ever "branch_labels", which
            orders nothing.
    """

    id: str
    down: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    name: str
    digest: str
    message: str = ""
    created: str = ""
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A revision file whose id or parents can't be known without running it.

    Attributes:
        name: the file's base name.
        line: 1-based; 0 where no line is to blame.
        reason: what is wrong, without the file's name.
    """

    name: str
    line: int
    reason: str


class _Wrong(Exception):
    """A value that no revision may have."""

    def __init__(self, what: str, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.what = what
        self.reason = reason
        self.line = line


def is_revision_name(name: str) -> bool:
    """Whether alembic would load a source file of this base name from a versions folder."""
    return _FILE.match(name) is not None


def is_compiled_name(name: str) -> bool:
    """Whether alembic would load it as bytecode, where `sourceless` is set."""
    return _COMPILED.match(name) is not None


def read(source: bytes, name: str) -> Revision | Unread | None:
    """What a file says about itself; None where it is no revision file at all.

    Args:
        source: the bytes of the file, in whatever encoding its first lines or its BOM declare.
        name: its base name; alembic passes some names by, and old files have no id but their name.
    """
    if not is_revision_name(name):
        return None
    # A declared encoding such as UTF-7, or a letter that Python normalizes, can spell `revision` otherwise.
    if b"revision" not in source and source.isascii() and not _COOKIE.match(source):
        return None
    if len(source) > LARGEST:
        return Unread(name, 0, too_large(len(source), LARGEST))
    try:
        tree = parse(source)
    except SyntaxError as error:
        return Unread(name, error.lineno or 0, f"syntax error: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Unread(name, 0, f"not readable as Python: {str(error) or 'nested too deeply'}")
    bound = bindings(tree, source, NAMES)
    if not bound.keys() & {"revision", "down_revision"}:
        return None
    try:
        return _revision(bound, tree, source, name)
    except _Wrong as wrong:
        return Unread(name, wrong.line or _line_of(wrong.what, tree), wrong.reason)


def _revision(bound: dict[str, Value], tree: ast.Module, source: bytes, name: str) -> Revision:
    if "revision" in bound:
        ids = _texts("revision", bound["revision"], many=False)
    else:
        legacy = _LEGACY.match(name)
        ids = (legacy[1],) if legacy else ()
    if len(ids) != 1:
        raise _Wrong("", "no revision is set: alembic can't tell its id")
    if "down_revision" not in bound:
        raise _Wrong("", "no down_revision is set: alembic can't load it")
    if illegal := _ILLEGAL.intersection(ids[0]):
        held = " ".join(sorted(illegal))
        raise _Wrong("revision", f"alembic refuses the id {ids[0]!r}: it holds {held}")
    labels: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    try:
        labels = _texts("branch_labels", bound.get("branch_labels"))
    except _Wrong:
        unclear = ("branch_labels",)
    doc = (ast.get_docstring(tree, clean=False) or "").strip()
    doc = doc.encode("utf-8", "replace").decode("utf-8")  # an escape can name half a character
    created = _CREATED.search(doc)
    return Revision(
        id=ids[0],
        down=_texts("down_revision", bound["down_revision"]),
        depends_on=_texts("depends_on", bound.get("depends_on")),
        labels=labels,
        name=name,
        digest=hashlib.sha256(source).hexdigest(),
        message=doc.splitlines()[0].strip() if doc else "",
        created=created[1] if created else "",
        unclear=unclear,
    )


def _texts(what: str, value: Value, *, many: bool = True) -> tuple[str, ...]:
    """The ids in a value as alembic takes it: None, one text, or several."""
    if isinstance(value, Unclear):
        raise _Wrong(what, f"{what} {value.reason}", value.line)
    if many and (value is None or value == (None,)):
        return ()
    found = []
    for one in value if many and isinstance(value, tuple) else (value,):
        if not isinstance(one, str):
            raise _Wrong(what, f"{what} is {one!r}, not text")
        if not one:
            raise _Wrong(what, f"{what} is an empty text")
        if "\0" in one or (not one.isascii() and any("\ud800" <= char <= "\udfff" for char in one)):
            raise _Wrong(what, f"{what} is {one!r}, which no database can hold")
        found.append(one)
    return tuple(found)


def _line_of(what: str, tree: ast.Module) -> int:
    """The line of the last statement that sets a name; 0 where none does."""
    lines = [statement.lineno for statement in tree.body if what in set(bound_within(statement))]
    return lines[-1] if lines else 0
