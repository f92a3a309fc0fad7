"""Revision files are read as data: what literals tell is told, the rest is named, and nothing runs."""

from __future__ import annotations

import ast
import codecs
import hashlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.migrations.revision import LARGEST, Revision, Unread, read
from tests.migrations.histories import Spec, specs, text

PLAIN = (
    b'"""Add users\n\nRevision ID: a1\nCreate Date: 2024-05-06 07:08:09.1\n"""\n'
    b'revision = "a1"\ndown_revision = None\n'
)


def ids(source: str | bytes, name: str = "x.py") -> tuple[str, tuple[str, ...]]:
    found = read(source.encode() if isinstance(source, str) else source, name)
    assert isinstance(found, Revision), found
    return found.id, found.down


def unread(source: str | bytes, name: str = "x.py") -> Unread:
    found = read(source.encode() if isinstance(source, str) else source, name)
    assert isinstance(found, Unread), found
    assert found.name == name
    return found


def test_all_that_a_file_says():
    assert read(PLAIN, "a1_add_users.py") == Revision(
        "a1",
        (),
        (),
        (),
        "a1_add_users.py",
        hashlib.sha256(PLAIN).hexdigest(),
        "Add users",
        "2024-05-06 07:08:09.1",
    )


@pytest.mark.parametrize(
    "source",
    [
        "revision = 'b'\ndown_revision = 'a'",
        "revision: str = 'b'\ndown_revision: Union[str, Sequence[str], None] = 'a'",
        "revision: Final = 'b'\ndown_revision = ('a',)",
        "revision, down_revision = 'b', 'a'",
        "[revision, down_revision] = ['b', ['a']]",
        "REV = 'b'\nUP: str = 'a'\nrevision = REV\ndown_revision = UP",
        "UP = 'a'\nrevision = 'b'\ndown_revision = [UP]",
        "revision = x = 'b'\ndown_revision = {'a'}",
        "revision = ('b')\ndown_revision = \\\n  'a'",
        "revision = 'first'\nrevision = 'b'\ndown_revision = 'a'",
        "from somewhere import *\nrevision = 'b'\ndown_revision = 'a'",
        "revision = 'b'\ndown_revision = 'a'\nfrom sqlalchemy import *",
        "try:\n  import x\nexcept ImportError:\n  x = None\nrevision = 'b'\ndown_revision = 'a'",
        "revision = 'b'\ndown_revision = 'a'\ndef upgrade():\n  revision = 1\n  down_revision.append(2)",
        "revision = 'b'\ndown_revision = 'a'\ndef f():\n  if (revision := 1): globals()['revision'] = 2",
        "revision = 'b'\ndown_revision = 'a'\nclass A:\n  revision = 'z'",
        "revision = 'b'\ndown_revision = 'a'\ndef f():\n  global other",
        "\uff52evision = 'b'\ndown_revision = 'a'",
    ],
)
def test_ways_to_write_the_same(source):
    assert ids(source) == ("b", ("a",))


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("revision = f'b'\ndown_revision = None", 1, "revision is an f-string"),
        ("revision = 'b'\ndown_revision = f'{x}'", 2, "down_revision is an f-string"),
        ("revision = 'b'\n\ndown_revision = 'a' + 'c'", 3, "down_revision is computed"),
        ("revision = make()\ndown_revision = None", 1, "revision is computed"),
        ("revision = 'b'\ndown_revision = UP", 2, "UP, which this file does not set"),
        ("from x import UP\nrevision = 'b'\ndown_revision = UP", 3, "UP, which is imported"),
        ("from x import revision\ndown_revision = None", 1, "revision is imported"),
        ("revision = 'b'\ndown_revision = None if X else 'a'", 2, "computed"),
        ("if X:\n  revision = 'b'\ndown_revision = None", 1, "statement that has to be run"),
        ("revision = 'b'\nfor down_revision in 'ab': pass", 2, "statement that has to be run"),
        ("revision = 'b'\ndown_revision = None\ndel revision", 3, "statement that has to be run"),
        ("revision = 'b'\ndown_revision = 'a'\ndown_revision += 'c'", 3, "statement that has to be run"),
        ("revision = 'b'\ndown_revision = ['a']\ndown_revision.append('c')", 3, "may change"),
        ("revision = 'b'\nx = ['a']\ndown_revision = x\nx[0] = 'c'", 4, "may change"),
        ("revision = 'b'\ndown_revision = None\nfrom x import *", 3, "from x import *"),
        ("revision = 'b'\ndown_revision = None\nif X:\n  from x import *", 4, "from x import *"),
        ("revision = 'b'\ndown_revision = None\nx = (revision := 'c')", 3, "within an expression"),
        ("revision = 'b'\ndown_revision = None\ndef f():\n  global revision", 4, "set by a function"),
        ("revision = 'b'\ndown_revision = None\nglobals()['revision'] = 'c'", 3, "globals()"),
        ("revision = 'b'\ndown_revision = None\nexec('revision = 1')", 3, "exec()"),
        ("def revision(): pass\ndown_revision = None", 1, "a function or a class"),
        ("revision = 1\ndown_revision = None", 1, "revision is 1, not text"),
        ("revision = b'b'\ndown_revision = None", 1, "not text"),
        ("revision = None\ndown_revision = None", 1, "not text"),
        ("revision = ''\ndown_revision = None", 1, "empty"),
        ("revision = 'b'\ndown_revision = ''", 2, "empty"),
        ("revision = 'b'\ndown_revision = (('a',),)", 2, "nested"),
        ("revision = 'b'\ndown_revision = ('a', None)", 2, "not text"),
        ("revision = 'b'\ndown_revision = ...", 2, "ellipsis"),
        ("revision = 'b'\ndown_revision = None\ndepends_on = x()", 3, "depends_on is computed"),
        ("revision = 'b'", 0, "no down_revision"),
        ("down_revision = 'b'", 0, "no revision"),
        ("revision = 'b-c'\ndown_revision = None", 1, "alembic refuses the id"),
        ("revision = 'b\\0'\ndown_revision = None", 1, "no database can hold"),
        ("revision = '\\ud800'\ndown_revision = None", 1, "no database can hold"),
        ("revision = 'b'\ndown_revision = (\n", 2, "syntax error"),
        ("revision = 'b'\n  down_revision = 1\n", 2, "syntax error"),
        ("# coding: nonsense\nrevision = 'b'\ndown_revision = None", 0, "syntax error"),
        (b"revision = 'b'\ndown_revision = '\xff'", 0, "syntax error"),
        ("revision = 'b'\ndown_revision = None\n\0", 0, ""),
        ("revision = " + "(" * 300 + ")" * 300, 1, ""),
        ("revision = " + "-" * 200_000 + "1", 0, ""),
        ("<<<<<<< HEAD\nrevision = 'b'\n=======\nrevision = 'c'\n>>>>>>> x", 1, "syntax error"),
    ],
)  # fmt: skip
def test_what_literals_do_not_tell_is_named_with_its_line(source, line, words):
    found = unread(source)
    assert words in found.reason
    assert found.line == line or not line


@pytest.mark.parametrize(
    "source", ["", "x = 1", "# revision", "'revision'", "import revision_tools", "def f(revision): ..."]
)
def test_other_python_is_no_revision(source):
    assert read(source.encode(), "x.py") is None


@pytest.mark.parametrize("name", ["__init__.py", "__init__x.py", ".#x.py", "x.pyc", "x.txt", "x.py~", "x.PY"])
def test_names_that_alembic_passes_by(name):
    assert read(PLAIN, name) is None


def test_an_old_file_is_named_by_its_file():
    assert ids("down_revision = None", "ab12.py") == ("ab12", ())
    assert unread("down_revision = None", "xy12.py").line == 0


def test_labels_that_are_computed_hide_nothing_else():
    found = read(b"revision = 'b'\ndown_revision = None\nbranch_labels = (cli.EXPAND,)", "x.py")
    assert isinstance(found, Revision) and (found.id, found.labels, found.unclear) == (
        "b",
        (),
        ("branch_labels",),
    )


@pytest.mark.parametrize(
    "source",
    [
        codecs.BOM_UTF8 + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        b"# -*- coding: latin-1 -*-\n# \xe9\n" + PLAIN,
        b"#!/usr/bin/env python\n# vim: set fileencoding=koi8-r :\n# \xc1\xc2\n" + PLAIN,
        b"\f\n" + PLAIN,
    ],
)
def test_encodings_and_line_ends(source):
    assert ids(source) == ("a1", ())


def test_an_id_is_decoded_as_python_decodes_it():
    assert ids(b"# coding: latin-1\nrevision = '\xe9'\ndown_revision = None") == ("é", ())
    # No byte sequence of the file spells the name.
    assert ids(b"# coding: utf-7\n+AHI-evision = 'b'\ndown_+AHI-evision = None") == ("b", ())


def test_a_strange_escape_warns_nobody_and_breaks_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ids("revision = 'b'\ndown_revision = None\npattern = '\\d'") == ("b", ())


def test_huge_files():
    data = b"ROWS = [\n" + b"    (1, 'a', None),\n" * 20_000 + b"]\n"
    assert ids(PLAIN + data) == ("a1", ())
    assert str(LARGEST) in unread(PLAIN + b"#" * LARGEST).reason
    assert read(b"#" * (LARGEST + 1), "x.py") is None


def test_nothing_is_executed(tmp_path):
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()"
    ways = [
        trap,
        f"exec({trap!r})",
        f"class A:\n  {trap}",
        f"@(lambda f: {trap})\ndef f(): ...",
        f"def f(x={trap}): ...",
        f"revision: {trap} = 'b'",
        f"import os; os.system('touch {tmp_path}/sprung')",
        f"class M(type):\n  def __new__(*a): {trap}\nclass X(metaclass=M): ...",
        f"revision = [{trap} for _ in 'a'][0] or 'b'",
        f"f'{{{trap}}}'",
    ]
    for way in ways:
        for source in (
            f"revision = 'b'\ndown_revision = None\n{way}\n",
            f"{way}\nrevision = 'b'\ndown_revision = None\n",
        ):
            assert read(source.encode(), "b.py") is not None, way
    assert list(tmp_path.iterdir()) == []


@given(specs())
def test_every_style_says_the_same(history: list[Spec]):
    for one in history:
        found = read(text(one).encode(), one.name)
        assert isinstance(found, Revision)
        assert (found.id, found.down, found.depends_on, found.labels) == (
            one.id,
            one.down,
            one.depends_on,
            one.labels,
        )
        assert found.message == f"Change {one.id}" and found.created == "2024-05-06 07:08:09"


@given(
    st.binary(max_size=60),
    st.integers(0, len(PLAIN)),
    st.sampled_from([b"revision", b"down_revision = ", b"", b"'"]),
)
def test_damaged_files_raise_nothing(junk, at, word):
    source = PLAIN[:at] + junk + word + PLAIN[at:]
    found = read(source, "x.py")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError):
        assert isinstance(found, Unread)
