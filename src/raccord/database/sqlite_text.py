"""SQL as SQLite keeps it, in one spelling; and what its pragmas don't tell of a table, read from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# https://www.sqlite.org/lang_keywords.html and https://www.sqlite.org/lang_comment.html
_TOKEN = re.compile(
    r"(?P<gap>\s+|--[^\n]*|/\*.*?(?:\*/|$))"
    r"|(?P<string>[xX]?'(?:[^']|'')*')"
    r'|(?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])'
    r"|(?P<word>[\w$]+(?:\.\d+)?)"
    r"|(?P<other>\|\||<<|>>|<=|>=|<>|!=|==|->>?|.)",
    re.DOTALL,
)
_SIMPLE = re.compile(r"[^\W\d][\w$]*")
_TABLE_CONSTRAINTS = frozenset({"check", "constraint", "foreign", "primary", "unique"})


def tokens(sql: str) -> list[str]:
    """The words of a statement, without comments and gaps; names and keywords in lower case."""
    found = []
    for match in _TOKEN.finditer(sql):
        text = match[0]
        if match["name"]:
            inner = text[1:-1].replace(text[-1] * 2, text[-1])
            doubled = inner.replace('"', '""')
            found.append(inner.lower() if _SIMPLE.fullmatch(inner) else f'"{doubled}"')
        elif not match["gap"]:
            found.append(text if match["string"] else text.lower())
    return found


def spelled(sql: str) -> str:
    """A statement in its one spelling."""
    return " ".join(tokens(sql))


@dataclass(slots=True)
class Extras:
    """What only the text of CREATE TABLE tells.

    Attributes:
        checks: the expressions, with the names where they have one.
        names: the kind of each named constraint.
        columns: for a column, its collation and what generates it.
        marks: `autoincrement`, and how often a key is deferrable.
    """

    checks: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)


def extras(sql: str) -> Extras:
    """Reads the text of a CREATE TABLE."""
    found = Extras()
    words = tokens(sql)
    if "(" not in words:
        return found
    start = words.index("(")
    for part in _parts(words[start + 1 :]):
        _note_constraints(part, found)
        if part and part[0] not in _TABLE_CONSTRAINTS:
            said = _column(part)
            if said:
                found.columns[part[0].strip('"').replace('""', '"').lower()] = said
    found.marks += ["autoincrement"] * ("autoincrement" in words) + ["deferrable"] * words.count("deferrable")
    return found


def _parts(words: list[str]) -> list[list[str]]:
    """What commas of the outermost level divide, up to the parenthesis that ends it."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            break
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _group(words: list[str], start: int) -> list[str]:
    """The parenthesised words that begin at an index, the parentheses included."""
    depth = 0
    for index in range(start, len(words)):
        depth += (words[index] == "(") - (words[index] == ")")
        if depth == 0:
            return words[start : index + 1]
    return words[start:]


def _note_constraints(part: list[str], found: Extras) -> None:
    name = ""
    depth = 0
    for index, word in enumerate(part[:-1]):
        depth += (word == "(") - (word == ")")
        if depth:
            continue
        if word == "constraint" and index + 2 < len(part):
            name = part[index + 1]
            found.names[name] = part[index + 2]
        elif word == "check" and part[index + 1] == "(":
            found.checks.append(" ".join([*([name] if name else []), *_group(part, index + 1)]))
            name = ""


def _column(part: list[str]) -> str:
    said = []
    depth = 0
    for index, word in enumerate(part[:-1]):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "collate" and part[index + 1] != "binary":
            said.append(f"collate {part[index + 1]}")
        if depth == 0 and word == "as" and part[index + 1] == "(":
            said.append("as " + " ".join(_group(part, index + 1)))
    return " ".join(said)
