"""Env files, read as python-dotenv reads them, and the one part of a value that names a database."""

from __future__ import annotations

import pytest

from raccord.database.naming import other, place, spelled
from raccord.database.url import parse
from raccord.errors import DatabaseError
from raccord.migrations.dotenv import assignments, last, value

FILE = b"""\
# A=0
A='x\\'y' # z
  export B = "a\\nb"
C=plain #comment
D=pla#in
E
F=
'G H'=quoted
"I=broken
J="two
lines"\r
K=${A}-${NO:-none}-${OUT}\rL=\xc3\xa9 \xff\t
A=again
no assignment = at all
"""


def test_an_env_file():
    found = {one.name: one.text for one in assignments(FILE)}
    assert found == {
        "A": "again",
        "B": "a\nb",
        "C": "plain",
        "D": "pla#in",
        "F": "",
        "G H": "quoted",
        '"I': "broken",
        "J": "two\nlines",
        "K": "${A}-${NO:-none}-${OUT}",
        "L": "é \udcff",
    }
    assert value(FILE, "K", {"OUT": "o"}) == "x'y-none-o"
    assert value(FILE, "K", {"A": "mine"}) == "mine-none-"
    assert value(FILE, "K", {"A": "mine"}, override=True) == "x'y-none-"
    assert value(FILE, "E", {}) is None
    for one in assignments(FILE):
        assert last(FILE, one.name) is not None and FILE[one.begin : one.end].count(b"=") == 0
    assert assignments(b"") == [] and assignments(b"\0") == [] and len(assignments(b"A=1")) == 1


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://u:p@h/app", "postgresql://u:p@h/FORK"),
        (" postgresql://h/app?a=b ", " postgresql://h/FORK?a=b "),
        ("postgresql://h", "postgresql://h/FORK"),
        ("postgresql://h/", "postgresql://h/FORK"),
        (
            "postgresql+asyncpg://u:p%2F%40@[::1]:5/a%20b?ssl=1",
            "postgresql+asyncpg://u:p%2F%40@[::1]:5/FORK?ssl=1",
        ),
        ("postgresql://u:p/q@h/app", "postgresql://u:p/q@h/FORK"),
        ("postgresql://u:p@q@h/app", "postgresql://u:p@q@h/FORK"),
        ("postgresql://h/x?dbname=app&a=b", "postgresql://h/x?dbname=FORK&a=b"),
        ("postgresql:///app?host=/run", "postgresql:///FORK?host=/run"),
    ],
)
def test_another_database_in_a_url(url, wanted):
    for name in ("fork_1", "Größe ?%41"):
        new = spelled(url, "/", name)
        begin, end = place(url)
        text = url[:begin] + new + url[end:]
        assert parse(text, "/") == other(parse(url, "/"), name)
        if name == "fork_1":
            assert text == wanted.replace("FORK", name)


@pytest.mark.parametrize(
    "url", ["sqlite:///./app.db", "sqlite:////a/b.db?timeout=3", "sqlite+aiosqlite:///x"]
)
def test_another_file_in_a_url(url):
    begin, end = place(url)
    text = url[:begin] + spelled(url, "/base", "/a b/é.db") + url[end:]
    assert parse(text, "/base").path == "/a b/é.db" and text.partition("?")[2] == url.partition("?")[2]


def test_what_is_no_url_of_ours():
    for url in ("nonsense", "mysql://u@h/app"):
        with pytest.raises(DatabaseError):
            spelled(url, "/", "fork")
