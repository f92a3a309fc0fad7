"""Rewrites what a revision file stands on, and not a byte more. Bytes in, bytes out; never runs anything.

The value is found by the positions of the syntax tree, so quotes, parentheses, annotations and comments stay.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from raccord.errors import CannotRun
from raccord.migrations.literals import parse
from raccord.migrations.revision import Revision, read
from raccord.migrations.writing import scalar
from raccord.model.text import shown

NAME = "down_revision"
_NEWLINE = re.compile(r"\r\n|\r|\n")
_LITERAL = re.compile(r"""[uUrR]*("{3}|'{3}|["'])""")
# What a docstring holds as it stands, whatever its quotes and prefix.
_SAFE = re.compile(r"[\w.~/]+")


@dataclass(frozen=True, slots=True)
class _Text:
    """A source as Python reads it, and how to come back to its bytes.

    Attributes:
        lines: where each line begins, in characters.
    """

    text: str
    encoding: str
    bom: bytes
    lines: tuple[int, ...]

    @classmethod
    def of(cls, source: bytes) -> _Text:
        """Decodes a source.

        Raises:
            SyntaxError, LookupError, UnicodeDecodeError: it declares an encoding that it isn't in.
        """
        # Python ends a line at a lone "\r" too.
        lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        encoding, _ = tokenize.detect_encoding(io.BytesIO(lines).readline)
        bom = codecs.BOM_UTF8 if source.startswith(codecs.BOM_UTF8) else b""
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        text = source[len(bom) :].decode(encoding)
        return cls(text, encoding, bom, (0, *(found.end() for found in _NEWLINE.finditer(text))))

    def at(self, line: int, column: int) -> int:
        """The character at a position of the syntax tree: a line from 1, a column in bytes of UTF-8."""
        start = self.lines[line - 1]
        rest = self.text[start : self.lines[line] if line < len(self.lines) else None]
        return start + len(rest.encode("utf-8")[:column].decode("utf-8"))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Where a node begins and ends, in characters."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)


Edit = tuple[int, int, str]  # the characters that go, and what comes in their place


def repointed(source: bytes, name: str, down: Sequence[str]) -> bytes:
    """A revision file that stands on other revisions, and is the same otherwise.

    Args:
        source: the bytes of a file that `revision.read` can read.
        name: its base name.
        down: the new parents.

    Raises:
        CannotRun: no text can be exchanged for another there; the file has to be edited by hand.
    """
    before = read(source, name)
    if not isinstance(before, Revision):
        raise _unable(name, "it can't be read as a revision")
    if before.down == tuple(down):
        return source
    try:
        text = _Text.of(source)
        tree = parse(source)
        edits = [*_values(text, tree, name, before.down, tuple(down))]
        edits += _docstring(text, tree, before.down, tuple(down))
        made = _applied(source, text, edits)
    except (SyntaxError, LookupError, UnicodeError) as error:
        raise _unable(name, f"its encoding: {error}") from error
    after = read(made, name)
    wanted = replace(before, down=tuple(down))
    if not isinstance(after, Revision) or replace(after, digest=before.digest) != wanted:
        raise _unable(name, f"{NAME} is set in a way that can't be exchanged")
    return made


def _unable(name: str, why: str) -> CannotRun:
    return CannotRun(f"{shown(name)} can't be rewritten: {why}", hint=f"edit {NAME} in {shown(name)}")


def _values(
    text: _Text, tree: ast.Module, name: str, old: tuple[str, ...], new: tuple[str, ...]
) -> Iterator[Edit]:
    value = None
    for statement in tree.body:
        for found in _bound(statement, NAME):
            value = found
    if value is None:
        raise _unable(name, f"nothing sets {NAME}")
    quote = _quote(text, value) or next(
        (mark for one in tree.body for node in _bound(one, "revision") if (mark := _quote(text, node))), '"'
    )
    parts = value.elts if isinstance(value, ast.Tuple | ast.List | ast.Set) else []
    if len(parts) == len(old) == len(new):
        # Only those that are others.
        for part, was, is_ in zip(parts, old, new, strict=True):
            if was != is_:
                yield _exchanged(text, part, is_, quote)
        return
    if len(new) == 1 and isinstance(value, ast.Constant):
        yield _exchanged(text, value, new[0], quote)
        return
    begin, end = text.span(value)
    yield begin, end, scalar(new, quote)


def _bound(statement: ast.stmt, name: str) -> Iterator[ast.expr]:
    """The expressions that a statement binds a name to."""
    if isinstance(statement, ast.AnnAssign):
        if isinstance(statement.target, ast.Name) and statement.target.id == name and statement.value:
            yield statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield statement.value
            elif isinstance(target, ast.Tuple | ast.List) and isinstance(
                statement.value, ast.Tuple | ast.List
            ):
                pairs = zip(target.elts, statement.value.elts, strict=False)
                yield from (value for one, value in pairs if isinstance(one, ast.Name) and one.id == name)


def _quote(text: _Text, node: ast.expr) -> str:
    """The quotes of a literal, or of the first within it; "" where it has none."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return next((mark for one in node.elts if (mark := _quote(text, one))), "")
    found = _LITERAL.match(text.text, text.span(node)[0])
    return found[1][0] if found else ""


def _exchanged(text: _Text, node: ast.expr, new: str, quote: str) -> Edit:
    """One literal for another, in the quotes and with the prefix that it has."""
    begin, end = text.span(node)
    found = _LITERAL.match(text.text, begin)
    if found is not None and _SAFE.fullmatch(new) and isinstance(node, ast.Constant):
        return begin, end, f"{found[0]}{new}{found[1]}"
    return begin, end, scalar([new], quote)


def _docstring(text: _Text, tree: ast.Module, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Edit]:
    """The line that tells a person what the revision stands on, where it tells the old ones."""
    first = tree.body[0] if tree.body else None
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return
    if not isinstance(first.value.value, str) or not all(map(_SAFE.fullmatch, (*old, *new))):
        return
    begin, end = text.span(first.value)
    listed = r"[ \t]*,[ \t]*".join(map(re.escape, old))
    found = re.compile(rf"""[\r\n][ \t]*Revises:([ \t]*)({listed})(?=[ \t]*(?:["'\r\n]|$))""").search(
        text.text, begin, end
    )
    if found is not None:
        yield found.start(1), found.end(2), f"{found[1] or ' '}{', '.join(new)}"


def _applied(source: bytes, text: _Text, edits: Sequence[Edit]) -> bytes:
    """The source with the edits; all bytes around them are those that were there.

    Raises:
        UnicodeError: the encoding has no letter for what is new, or does not come back to its own bytes.
    """
    body = source[len(text.bom) :]
    out, done, char = [text.bom], 0, 0
    for begin, end, new in sorted(edits):
        kept, gone = text.text[char:begin].encode(text.encoding), text.text[begin:end].encode(text.encoding)
        if body[done : done + len(kept) + len(gone)] != kept + gone:
            raise UnicodeError(f"{text.encoding} has several spellings of the same text")
        out += [kept, new.encode(text.encoding)]
        done, char = done + len(kept) + len(gone), end
    return b"".join([*out, body[done:]])
