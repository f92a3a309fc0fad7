"""Revision files whose parents are exchanged: read back they stand on what was asked; all else stays."""

from __future__ import annotations

import ast
import codecs
import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.errors import CannotRun
from raccord.migrations.repoint import repointed
from raccord.migrations.revision import Revision, read

SAFE = re.compile(r"[\w.~/]+").fullmatch
IDS = st.from_regex(r"\A[0-9a-z][0-9a-z_]{1,11}\Z")
ODD = st.sampled_from(["été", "a.b", "it's", 'q"q', "back\\slash", "ü1"])


@st.composite
def literals(draw, text: str) -> str:
    """One id as somebody may write it."""
    plain = re.fullmatch(r"[\w.]+", text) is not None
    if not plain:
        return repr(text)
    quote = draw(st.sampled_from(["'", '"', "'''", '"""']))
    one = f"{draw(st.sampled_from(['', 'r', 'u', 'R']))}{quote}{text}{quote}"
    kind = draw(st.sampled_from(["plain", "plain", "paren", "joined", "lines"]))
    if kind == "paren":
        return f"( {one} )"
    if kind == "joined":
        return f"'{text[:1]}' \"{text[1:]}\""
    return f"(\n    '{text[:1]}'  # begin\n    '{text[1:]}'\n)" if kind == "lines" else one


@st.composite
def values(draw, ids: tuple[str, ...]) -> str:
    """What a file sets `down_revision` to."""
    if not ids:
        return draw(st.sampled_from(["None", "()", "(None)", "( # none\n  None)"]))
    if len(ids) == 1 and draw(st.booleans()):
        return draw(literals(ids[0]))
    parts = [draw(literals(one)) for one in ids]
    gap = draw(st.sampled_from([", ", ",", ",\n    "]))
    kind = draw(st.sampled_from(["tuple", "list", "bare"]))
    last = "," if len(ids) == 1 else draw(st.sampled_from(["", ","]))
    listed = gap.join(parts)
    if kind == "list":
        return f"[{listed}{last}]"
    return f"{listed.replace(gap, ', ')}{last}" if kind == "bare" else f"({listed}{last})"


@dataclass(frozen=True)
class Sample:
    """A revision file in parts: what stands in the docstring as parents, and what `down_revision` is."""

    parts: tuple[str, str, str, str, str]
    down: tuple[str, ...]
    encoding: str
    bom: bytes

    def encoded(self, *parts: str) -> bytes:
        return "".join(parts).encode(self.encoding)

    @property
    def source(self) -> bytes:
        return self.bom + self.encoded(*self.parts)


@st.composite
def samples(draw) -> Sample:
    down = tuple(draw(st.lists(IDS | ODD, max_size=3, unique=True)))
    id_ = draw(IDS)
    value = draw(values(down))
    kind = draw(st.sampled_from(["plain", "typed", "both", "constant"]))
    before, after = "down_revision = ", f"\nrevision = '{id_}'\n"
    if kind == "typed":
        before, after = f"revision: str = '{id_}'\ndown_revision: Union[str, None] = ", "\n"
    elif kind == "both" and down:
        before, value, after = f"revision, down_revision = '{id_}', ", f"({value})", "\n"
    elif kind == "constant":
        before, value = f"BASE = {value}\nrevision = '{id_}'\nif True:\n    pass\ndown_revision = ", "BASE"
        after = "\n"
    after = draw(st.sampled_from(["", "  # was: ünlike", "; x = 1"])) + after
    listed = draw(st.sampled_from([", ".join(down), ",".join(down), "something else"]))
    listed = listed if all(map(SAFE, down)) else "odd"
    begin = f'"""was größer\n\nRevision ID: {id_}\nRevises: '
    doc = draw(st.sampled_from([(begin, listed, '\nCreate Date: 2020\n"""\n'), ("", "", "")]))
    if not doc[0]:
        doc = (draw(st.sampled_from(["", f"'{id_} Revises: '\n"])), "", "")
    head = draw(st.sampled_from(["", "\n", "#!/usr/bin/python\n", "\f\n"]))
    body = "def upgrade():\n    x = 'Revises: 1'\ndef downgrade(): pass\n"
    encoding, bom = draw(
        st.sampled_from([("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("latin-1", b""), ("cp1252", b"")])
    )
    if encoding != "utf-8":
        head = f"# -*- coding: {encoding} -*-\n{head}"
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    parts = (
        head + doc[0],
        doc[1],
        doc[2] + before,
        value,
        after + body + draw(st.sampled_from(["", "# end"])),
    )
    lines = tuple(part.replace("\n", newline) for part in parts)
    return Sample(lines, down, encoding, bom)


@given(samples(), st.lists(IDS | ODD, max_size=3, unique=True))
def test_it_stands_on_what_was_asked_and_nothing_else_changed(sample, new):
    before = read(sample.source, "x.py")
    assert isinstance(before, Revision), before
    assert before.down == sample.down
    after = repointed(sample.source, "x.py", new)
    back = read(after, "x.py")
    assert isinstance(back, Revision)
    assert replace(back, digest="") == replace(before, digest="", down=tuple(new))
    head, listed, middle, _, tail = sample.parts
    told = re.split(" ?, ?", listed) if listed else []
    if head.endswith("Revises: ") and told == [*sample.down] and all(map(SAFE, new)) and new != told:
        listed = ", ".join(new)
    start = sample.bom + sample.encoded(head, listed, middle)
    assert after.startswith(start)
    assert after.endswith(sample.encoded(tail))
    if new != [*sample.down]:
        ast.parse(after[len(start) : len(after) - len(sample.encoded(tail))].decode(sample.encoding))


@given(samples())
def test_the_same_again_is_the_same(sample):
    assert repointed(sample.source, "x.py", sample.down) == sample.source


PLAIN = '''\
"""add a basket

Revision ID: o1
Revises: {doc}
Create Date: 2026-01-01
"""
revision = 'o1'
down_revision{sets}

def upgrade(): pass
def downgrade(): pass
'''


@pytest.mark.parametrize(
    ("doc", "sets", "new", "doc_after", "sets_after"),
    [
        ("r1", " = 'r1'", ["r3"], "r3", " = 'r3'"),
        ("r1", ' = "r1"  # why', ["r3"], "r3", ' = "r3"  # why'),
        ("r1", ": Union[str, None] = (\n    u'r1'\n)", ["r3"], "r3", ": Union[str, None] = (\n    u'r3'\n)"),
        ("r1", " = ('r' 'long')", ["r3"], "r1", " = ('r3')"),
        ("", " = None", ["r3"], "r3", " = 'r3'"),
        ("o1, r3", " = ('o1', \"r3\")", ["o1", "r4"], "o1, r4", " = ('o1', \"r4\")"),
        ("o1, r3", " = ('o1', 'r3')", ["o1"], "o1", " = 'o1'"),
        ("a, b", " = ['a', 'b', ]", ["c", "b"], "c, b", " = ['c', 'b', ]"),
        ("a", " = ('a',)", ["it's"], "a", ' = ("it\'s",)'),
        ("r1", " = 'r1'", [], "", " = None"),
        ("r1", " = 'r1'", ["a", "b"], "a, b", " = ('a', 'b')"),
    ],
)
def test_by_example(doc, sets, new, doc_after, sets_after):
    after = repointed(PLAIN.format(doc=doc, sets=sets).encode(), "o1_x.py", new).decode()
    assert after == PLAIN.format(doc=doc_after, sets=sets_after)


def test_what_can_not_be_exchanged_is_named():
    for source in (
        b"revision = 'a'\ndown_revision = str('b')\n",
        b"revision = 'a'\nif x: down_revision = 'b'\n",
        b"revision = 'a'\ndown_revision = \n",
        "# coding: iso-2022-jp\n# \u65e5\u672c\nrevision = 'a'\ndown_revision = b'b'\n".encode("iso-2022-jp"),
    ):
        with pytest.raises(CannotRun, match=r"o1_x\.py can't be rewritten"):
            repointed(source, "o1_x.py", ["c"])
    latin = "# coding: latin-1\nrevision = 'a'\ndown_revision = 'b'\n".encode("latin-1")
    with pytest.raises(CannotRun, match="its encoding"):
        repointed(latin, "o1_x.py", ["\u65e5"])
    # Shared by name: nothing but what the revision stands on may change.
    with pytest.raises(CannotRun, match="is set in a way"):
        repointed(b"revision = down_revision = 'a'\n", "o1_x.py", ["c"])
