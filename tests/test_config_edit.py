"""Single keys of a document are changed, and every other byte stays as it is."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.config import commented
from raccord.config.edit import Unchangeable, changed, found, lonely, opened, put_back

THRESHOLD = ("coordination", "threshold")
WATCH = ("coordination", "watch")
LISTED = """\
[coordination]
watch = [
  "a.md",  # the first
  # and these
  "b.md",
]  # so far
"""


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("", THRESHOLD, 3, "[coordination]\nthreshold = 3\n"),
        ("", ("language",), "fr", 'language = "fr"\n'),
        ("# ours\n\n[sync]\njobs = 1", ("language",), "fr", '# ours\nlanguage = "fr"\n\n[sync]\njobs = 1'),
        ("[coordination]\nthreshold=5 # few\n", THRESHOLD, 3, "[coordination]\nthreshold=3 # few\n"),
        ("coordination.threshold = 5\n", THRESHOLD, 3, "coordination.threshold = 3\n"),
        ("# ours\n[sync]\n", ("language",), "fr", '# ours\nlanguage = "fr"\n\n[sync]\n'),
        ("coordination = { threshold = 5 } # x\n", THRESHOLD, 3, "coordination = { threshold = 3 } # x\n"),
        (
            "coordination.report = 'r'\n",
            THRESHOLD,
            3,
            "coordination.report = 'r'\ncoordination.threshold = 3\n",
        ),
        (
            "[coordination]\n# how few\n# threshold = 5\n\n# next\n[sync]\n",
            THRESHOLD,
            3,
            "[coordination]\n# how few\n# threshold = 5\nthreshold = 3\n\n# next\n[sync]\n",
        ),
        (
            "[coordination]\n  # why\n  report = 'r'\n\n[sync]\n",
            THRESHOLD,
            3,
            "[coordination]\n  # why\n  report = 'r'\n  threshold = 3\n\n[sync]\n",
        ),
        (LISTED, WATCH, ["a.md", "c.md"], LISTED.replace("b.md", "c.md")),
        (LISTED, WATCH, ["b.md"], LISTED.replace('  "a.md",  # the first\n', "")),
        ("[coordination]\nthreshold = 5\n[sync]\n", THRESHOLD, None, "[coordination]\n[sync]\n"),
        ("x.y = 1\ncoordination.threshold = 5\n", THRESHOLD, None, "x.y = 1\n"),
        (
            '[coordination.owners]\n"a-*" = "b" # b\n',
            ("coordination", "owners"),
            {"a-*": "c", "d": "e"},
            '[coordination.owners]\n"a-*" = "c" # b\nd = "e"\n',
        ),
    ],
)
def test_one_key_is_another_then(before, path, value, after):
    assert changed(before, path, value)[0] == after


def test_every_key_of_a_commented_file_can_be_set_beside_its_example():
    text = commented({})
    after, splices = changed(text, THRESHOLD, 3)
    assert "# threshold = 5\nthreshold = 3\n" in after
    assert put_back(after, splices) == text


@pytest.mark.parametrize("before", ["coordination = 1\n", "[[coordination]]\n"])
def test_what_can_be_written_nowhere_is_refused(before):
    with pytest.raises(Unchangeable, match="threshold"):
        changed(before, THRESHOLD, 3)


def test_what_toml_can_not_hold_is_refused():
    with pytest.raises(Unchangeable):
        changed("", ("language",), "\ud800")


def test_a_change_of_a_line_with_other_keys_is_not_to_be_kept():
    _, alone = changed("[channels.a]\nurl = 'env:A'\n", ("channels", "a", "events"), ["*"])
    assert all(map(lonely, alone))
    _, beside = changed("channels.a = { url = 'https://secret' }\n", ("channels", "a", "events"), ["*"])
    assert not all(map(lonely, beside))


@pytest.mark.parametrize("data", [b"a = 1\n", b"\xef\xbb\xbfa = 1\r\nb = 2\r\n", b"a = 1\r\nb = 2\n", b""])
def test_line_ends_and_marks_stay(data):
    text, closed = opened(data)
    assert closed(text) == data


NAMES = st.sampled_from(["a", "b", "c d", "é", "threshold"])
LEAVES = (
    st.integers(-5, 5) | st.booleans() | st.text("ab\"'\\# \n=[]", max_size=4) | st.lists(st.integers(0, 3))
)
TABLES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=3),
    lambda inner: st.dictionaries(NAMES, LEAVES | inner, max_size=3),
)


@st.composite
def documents(draw) -> str:
    """Documents as people write them: headers, dots, inline tables, comments, empty lines."""
    import tomlkit

    out: list[str] = []
    for name, value in draw(TABLES).items():
        style = draw(st.sampled_from(["header", "dotted", "inline"]))
        out += draw(st.lists(st.sampled_from(["", "# threshold = 5", "# [a]"]), max_size=2))
        key = tomlkit.key(name).as_string()
        if not isinstance(value, dict) or style == "inline":
            inline = tomlkit.inline_table()
            made = inline | value if isinstance(value, dict) else value
            out.insert(0, f"{key} = {tomlkit.item(made).as_string()}  # so")
        elif style == "header":
            out += [f"[{key}]", tomlkit.dumps(value)]
        else:
            leaves = [(inner, one) for inner, one in value.items() if not isinstance(one, dict)]
            out[:0] = [
                f"{key}.{tomlkit.key(i).as_string()} = {tomlkit.item(one).as_string()}" for i, one in leaves
            ]
    return "\n".join(out) + draw(st.sampled_from(["", "\n"]))


@given(documents(), st.lists(NAMES, min_size=1, max_size=3), LEAVES | st.none())
def test_exactly_that_key_is_another_and_the_way_back_is_exact(text, path, value):
    try:
        before = tomllib.loads(text)
    except ValueError:
        return
    try:
        after, splices = changed(text, path, value)
    except Unchangeable:
        return
    assert put_back(after, splices) == text
    assert found(tomllib.loads(after), path) == (value if value is not None else None) or value is None
    assert {name: one for name, one in tomllib.loads(after).items() if name != path[0]} == {
        name: one for name, one in before.items() if name != path[0]
    }
    lines = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line in lines] == lines
