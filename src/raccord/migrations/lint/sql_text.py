"""What raw SQL does, read from its text: statements of PostgreSQL, SQLite and their kin as operations.

No parser of any dialect: it knows the beginnings of statements that change a schema or rows, and says nothing
of the others. A piece of text that isn't known is a `HOLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from raccord.migrations.lint.column_types import known
from raccord.migrations.lint.operations import UNCLEAR, Column, Operation

HOLE = "\0"
LARGEST = 256 * 1024  # characters that are looked at; a dump of rows tells nothing more after that

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<quoted>\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[A-Za-z_][^\]\n]*\])"
    r"|(?P<text>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)|[bBxXnN]?'(?:[^']|'')*(?:'|\Z))"
    r"|(?P<dollar>\$(?P<tag>\w*)\$(?P<inner>.*?)(?:\$(?P=tag)\$|\Z))"
    rf"|(?P<word>[\w{HOLE}][\w${HOLE}]*)"
    r"|(?P<sign>.)",
    re.DOTALL,
)
# What may come before a statement within a block of PL/pgSQL.
_BLOCK = frozenset({"BEGIN", "THEN", "ELSE", "LOOP", "DECLARE"})
_VERBS = frozenset({"ALTER", "CREATE", "DELETE", "DROP", "INSERT", "TRUNCATE", "UPDATE"})
_CONSTRAINTS = {"FOREIGN": "foreign key", "CHECK": "check", "UNIQUE": "unique", "PRIMARY": "primary key",
    "EXCLUDE": "exclude"}  # fmt: skip
_SILENT = frozenset({
    "ANALYZE", "BEGIN", "COMMIT", "EXPLAIN", "LOCK", "PRAGMA", "REFRESH", "RELEASE", "RESET",
    "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW", "START", "USE", "VACUUM", "VALUES"
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    """A word in capitals, a name as it is, or a sign."""

    word: str
    name: str = ""
    inner: str = ""


def operations(text: str, line: int, end: int, *, nested: bool = False) -> Iterator[Operation]:
    """What a text of SQL would do.

    Args:
        text: statements; what isn't known of it are `HOLE`s.
        line, end: where it is written.
        nested: whether it is the inside of a block.
    """
    base = Operation("", line, end, raw=True)
    for tokens in _statements(text[:LARGEST]):
        yield from _Statement(tokens, base).read(nested=nested)


def _statements(text: str) -> Iterator[list[_Token]]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "space":
            continue
        if kind == "sign" and match[0] == ";":
            if found:
                yield found
            found = []
        elif kind == "quoted":
            name = match[0][1:-1]
            found.append(_Token("", "" if HOLE in name else name.lower()))
        elif kind == "word":
            found.append(_Token(match[0].upper(), "" if HOLE in match[0] else match[0].lower()))
        elif match["dollar"] is not None:
            found.append(_Token("$$", "", match["inner"]))
        else:
            found.append(_Token("'" if kind == "text" else match[0]))
    if found:
        yield found


class _Statement:
    """One statement, read from its beginning."""

    def __init__(self, tokens: Sequence[_Token], base: Operation) -> None:
        self.tokens = tokens
        self.words = [token.word for token in tokens]
        self.base = base
        self.at = 0

    def read(self, *, nested: bool) -> Iterator[Operation]:
        """What it does."""
        if nested:
            self._skip_block()
        verb = self._next()
        if verb == "WITH":
            verb = self._main_verb()
        if HOLE in verb:
            yield replace(self.base, kind=UNCLEAR)
        elif verb == "CREATE":
            yield from self._create()
        elif verb == "DROP":
            yield from self._drop()
        elif verb == "ALTER" and self._take("TABLE"):
            yield from self._alter()
        elif verb == "TRUNCATE":
            self._take("TABLE", "ONLY")
            yield from (self._made("truncate", name, whole=True) for name in self._names())
        elif verb == "COPY" and "FROM" not in self.words:
            return  # out of the database
        elif verb in ("INSERT", "REPLACE", "MERGE", "COPY"):
            self._take("IGNORE", "OR", "REPLACE", "INTO")
            yield self._made("insert", self._name(), others=(*self._sources(), *self._given()))
        elif verb == "UPDATE":
            self._take("ONLY")
            yield self._made("update", self._name(), others=(*self._sources(), *self._given()))
        elif verb == "DELETE":
            self._take("FROM", "ONLY")
            yield self._made("delete", self._name(), whole=self._unfiltered())
        elif verb == "SELECT" and "INTO" in self.words:
            self.at = self.words.index("INTO") + 1
            self._take("TEMP", "TEMPORARY", "UNLOGGED", "TABLE")
            yield self._made("create_table", self._name(), others=self._sources(), word="copy")
        elif verb == "DO":
            for token in self.tokens:
                if token.inner:
                    yield from operations(token.inner, self.base.line, self.base.end, nested=True)
        elif verb and verb not in _SILENT and not nested:
            yield replace(self.base, kind="other")

    def _skip_block(self) -> None:
        """To the statement behind `BEGIN`, `IF … THEN` and the like."""
        for at, word in enumerate(self.words):
            if word in _VERBS and (at == 0 or self.words[at - 1] in _BLOCK):
                self.at = at
                return
        self.at = len(self.words)

    def _create(self) -> Iterator[Operation]:
        self._take("OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED")
        if self._take("TABLE"):
            self._take("IF", "NOT", "EXISTS")
            name = self._name()
            read = self._after("FROM", "JOIN", "TABLE") if "AS" in self.words[self.at :] else ()
            copied = tuple(one for one in read if one != name)
            others = copied or self._after("REFERENCES")
            yield self._made("create_table", name, others=others, word="copy" if copied else "")
        elif self._take("UNIQUE", "INDEX"):
            gentle = self._take("CONCURRENTLY")
            self._take("IF", "NOT", "EXISTS")
            word = "" if self._peek() == "ON" else self._name()
            self._take("ON", "ONLY")
            yield self._made("create_index", self._name(), word=word, gentle=gentle)
        else:
            yield replace(self.base, kind="other")

    def _drop(self) -> Iterator[Operation]:
        what = self._next()
        self._take("IF", "EXISTS", "CONCURRENTLY")
        if what == "TABLE":
            yield from (self._made("drop_table", name) for name in self._names())
        elif what in ("SCHEMA", "DATABASE"):
            yield self._made("drop_schema", self._name(), word=what.lower())
        elif what == "INDEX":
            yield self._made("drop_index", "", word=self._name())
        else:
            yield replace(self.base, kind="other")

    def _alter(self) -> Iterator[Operation]:
        self._take("IF", "EXISTS", "ONLY")
        table = self._name()
        for action in self._actions():
            yield from action.action(table)

    def _actions(self) -> Iterator[_Statement]:
        """The parts between commas outside of brackets."""
        deep, start = 0, self.at
        for at in range(self.at, len(self.words) + 1):
            word = self.words[at] if at < len(self.words) else ","
            deep += (word == "(") - (word == ")")
            if word == "," and (deep <= 0 or at == len(self.words)):
                if at > start:
                    yield _Statement(self.tokens[start:at], self.base)
                start = at + 1

    def action(self, table: str) -> Iterator[Operation]:
        """What one part of an ALTER TABLE does."""
        verb = self._next()
        if verb == "ADD" and self._peek() in ("CONSTRAINT", *_CONSTRAINTS):
            if self._take("CONSTRAINT"):
                self._name()
            what = _CONSTRAINTS.get(self._peek(), "")
            gentle = self._has("NOT", "VALID") or self._has("USING", "INDEX")
            referred = self._after("REFERENCES")
            yield self._made("create_constraint", table, word=what, gentle=gentle, others=referred)
        elif verb == "ADD":
            self._take("COLUMN", "IF", "NOT", "EXISTS")
            column = self._column()
            yield self._made("add_column", table, columns=(column,), others=self._after("REFERENCES"))
        elif verb == "DROP" and self._peek() == "CONSTRAINT":
            yield self._made("drop_constraint", table)
        elif verb == "DROP" and self._peek() not in ("DEFAULT", "NOT", "IDENTITY", "EXPRESSION"):
            self._take("COLUMN", "IF", "EXISTS")
            yield self._made("drop_column", table, columns=(Column(self._name()),))
        elif verb in ("ALTER", "MODIFY", "CHANGE"):
            self._take("COLUMN")
            yield from self._altered(table)
        elif verb == "RENAME" and self._take("TO"):
            yield self._made("rename_table", table, others=(self._name(),))
        elif verb == "RENAME":
            yield self._made("alter_column", table)
        else:
            yield replace(self.base, kind=UNCLEAR if HOLE in verb else "other", table=table)

    def _altered(self, table: str) -> Iterator[Operation]:
        name = self._name()
        if "TYPE" in self.words[self.at : self.at + 3]:
            self.at = self.words.index("TYPE", self.at) + 1
            yield self._made("alter_column", table, columns=(replace(self._typed(), name=name),), word="type")
        elif self._has("SET", "NOT", "NULL"):
            yield self._made("alter_column", table, columns=(Column(name, required=True),))
        else:
            yield self._made("alter_column", table, columns=(Column(name),))

    def _column(self) -> Column:
        column = replace(self._typed(name := self._name()), name=name)
        rest = set(self.words[self.at :])
        return replace(
            column,
            required=self._has("NOT", "NULL") or self._has("PRIMARY", "KEY"),
            filled=bool(rest & {"DEFAULT", "GENERATED", "SERIAL", "BIGSERIAL"})
            or self._has("PRIMARY", "KEY"),
            unique="UNIQUE" in rest or self._has("PRIMARY", "KEY"),
        )

    def _typed(self, name: str = "") -> Column:
        words = self.words[self.at :]
        if "[" in words[:4]:
            return Column(name)  # an array
        zone = "ZONE" in words and "WITHOUT" not in words
        if "(" in words[:4]:
            opens = words.index("(")
            numbers = [
                int(word) for word in words[opens + 1 : opens + 4] if word.isdecimal() and len(word) < 10
            ]
            if found := known(" ".join(words[:opens]), numbers, zone=zone):
                return Column(name, found)
        found = known(" ".join(words[:2]), zone=zone) or known("".join(words[:1]), zone=zone)
        return Column(name, found)

    def _main_verb(self) -> str:
        """The verb behind `WITH … AS (…)`, or the one inside that changes rows."""
        deep = 0
        for at in range(self.at, len(self.words)):
            word = self.words[at]
            deep += (word == "(") - (word == ")")
            if word in ("INSERT", "UPDATE", "DELETE", "MERGE") or (word == "SELECT" and deep <= 0):
                self.at = at + 1
                return word
        return ""

    def _unfiltered(self) -> bool | None:
        """Whether every row is meant: what comes behind the table may hold the condition."""
        rest = self.words[self.at :]
        if "WHERE" in rest or "USING" in rest:
            return False
        return None if any(HOLE in word for word in rest) else True

    def _sources(self) -> tuple[str, ...]:
        return self._after("FROM", "JOIN")

    def _given(self) -> tuple[str, ...]:
        """What Python puts into a statement may come from anywhere."""
        given = any(word in ("?", "%") or HOLE in word for word in self.words)
        bound = any(self.words[at] == ":" and self.words[at - 1] != ":" and self.words[at + 1] != ":"
                    for at in range(1, len(self.words) - 1))  # fmt: skip
        return ("",) if given or bound else ()

    def _after(self, *words: str) -> tuple[str, ...]:
        """The names of tables behind each of the words."""
        found, before = [], self.at
        for at in range(len(self.words) - 1):
            if self.words[at] in words:
                self.at = at + 1
                self._take("ONLY", "LATERAL")
                if self._peek() not in ("(", "SELECT", "'", "UNNEST"):
                    found.append(self._name())
        self.at = before
        return tuple(dict.fromkeys(filter(None, found)))

    def _names(self) -> Iterator[str]:
        yield self._name()
        while self._take(","):
            yield self._name()

    def _name(self) -> str:
        """A name, without what stands before its points."""
        name = ""
        while self.at < len(self.tokens):
            name = self.tokens[self.at].name
            self.at += 1
            if self._peek() != ".":
                break
            self.at += 1
        return name

    def _made(self, kind: str, table: str, **more: object) -> Operation:
        return replace(self.base, kind=kind, table=table, **more)  # type: ignore[arg-type]  # its fields

    def _has(self, *words: str) -> bool:
        size = len(words)
        return any(tuple(self.words[at : at + size]) == words for at in range(self.at, len(self.words)))

    def _next(self) -> str:
        word = self._peek()
        self.at += 1
        return word

    def _peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def _take(self, *words: str) -> bool:
        """Passes by any of the words; whether the last of them, or the only one, was there."""
        taken = ""
        while self._peek() in words and self._peek():
            taken = self._next()
        return taken == words[-1]
