"""The block in `info/exclude`: everything around it stays as it is, byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raccord.migrations.excluded import BEGIN, END, changed, patterns

LINES = st.lists(
    st.binary(max_size=6).filter(lambda line: b"\n" not in line and b"\r" not in line), max_size=5
)


@given(around=st.tuples(LINES, LINES), add=st.sets(st.sampled_from([b"/a", b"/b", b"/c\\ "]), min_size=1))
def test_what_is_added_is_there_and_goes_again(around, add):
    before, after = (b"".join(line + b"\n" for line in lines) for lines in around)
    with_block = changed(before, sorted(add)) + after
    assert patterns(with_block) == tuple(sorted(add))
    assert changed(with_block, sorted(add)) == with_block, "twice is once"
    assert changed(with_block, remove=sorted(add)) == before + after
    one, *rest = sorted(add)
    assert patterns(changed(with_block, remove=[one])) == tuple(rest)


def test_a_file_without_a_newline_at_its_end_and_a_block_without_one():
    assert changed(b"mine", [b"/a"]) == b"mine\n" + BEGIN + b"\n/a\n" + END + b"\n"
    assert patterns(BEGIN + b"\n/a\n") == (), "no end: nobody knows whose lines these are"
    assert patterns(b"") == () and changed(b"") == b""
