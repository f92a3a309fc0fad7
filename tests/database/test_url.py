"""URLs: read as SQLAlchemy reads them, one key for one database, and never a secret shown."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.database.url import parse
from raccord.errors import DatabaseError

SECRET = "hünter2"


@pytest.mark.parametrize(
    ("url", "kind", "host", "port", "name", "user", "password"),
    [
        ("postgresql://u:p@h:5/n", "postgresql", "h", "5", "n", "u", "p"),
        ("postgres://h/n", "postgresql", "h", "", "n", "", None),
        ("postgresql+psycopg2://u@h/n", "postgresql", "h", "", "n", "u", None),
        ("postgresql+asyncpg://u:@h/n", "postgresql", "h", "", "n", "u", ""),
        ("  postgresql+psycopg:///n\n", "postgresql", "", "", "n", "", None),
        ("postgresql://u%40x:p%2F%40%3A%25@h/n%20m", "postgresql", "h", "", "n m", "u@x", "p/@:%"),
        ("postgresql://u@srv:p@h/n", "postgresql", "h", "", "n", "u@srv", "p"),
        ("postgresql://u:a@b@h/n", "postgresql", "h", "", "n", "u", "a@b"),
        ("postgresql://u:a/b?c@h/n", "postgresql", "h", "", "n", "u", "a/b?c"),
        ("postgresql://[::1]:5433/n", "postgresql", "::1", "5433", "n", "", None),
        ("postgresql://a:1,b:2/n", "postgresql", "a,b", "1,2", "n", "", None),
        ("postgresql://u:p@/n?host=a:1&host=b:2", "postgresql", "a,b", "1,2", "n", "u", "p"),
        ("postgresql:///n?host=a,b&port=1,2", "postgresql", "a,b", "1,2", "n", "", None),
        ("postgresql:///n?host=a,b&port=7", "postgresql", "a,b", "7,7", "n", "", None),
        ("postgresql://u@/n?host=/var/run/x", "postgresql", "/var/run/x", "", "n", "u", None),
        ("postgresql://u@%2Fvar%2Frun:6/n", "postgresql", "/var/run", "6", "n", "u", None),
        ("postgresql://h?user=u&password=p&dbname=n", "postgresql", "h", "", "n", "u", "p"),
        ("postgresql://h", "postgresql", "h", "", "", "", None),
        ("mysql+pymysql://u:p@h:3306/n", "other", "h", "3306", "n", "u", "p"),
        ("driver://user:pass@localhost/dbname", "other", "localhost", "", "dbname", "user", "pass"),
    ],
)
def test_a_server(url, kind, host, port, name, user, password):
    target = parse(url, "/")
    found = (target.kind, target.host, target.port, target.name, target.user, target.password)
    assert found == (kind, host, port, name, user, password)


def test_options_are_kept_in_their_order():
    target = parse("postgresql://h/n?sslmode=require&options=-csearch_path%3Dx&connect_timeout=3", "/")
    assert target.query == (("sslmode", "require"), ("options", "-csearch_path=x"), ("connect_timeout", "3"))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///app.db", "/base/app.db"),
        ("sqlite+aiosqlite:///../app.db", "/app.db"),
        ("sqlite:////abs/ä b.db", "/abs/ä b.db"),
        ("sqlite:///a%20b.db", "/base/a b.db"),
        ("sqlite:///app.db?timeout=3", "/base/app.db"),
        ("sqlite:///file:app.db?mode=ro&uri=true", "/base/app.db"),
        ("sqlite:///file:///abs/app.db?uri=true", "/abs/app.db"),
        ("sqlite:///file:x?mode=memory&uri=true", ""),
        ("sqlite://", ""),
        ("sqlite:///:memory:", ""),
    ],
)
def test_a_file(url, path):
    target = parse(url, "/base")
    assert (target.kind, target.path) == ("sqlite", path)


def test_a_percent_sign_is_one_where_only_such_a_file_is_there(tmp_path):
    (tmp_path / "a%20b.db").touch()
    assert parse("sqlite:///a%20b.db", tmp_path).path == str(tmp_path / "a%20b.db")
    (tmp_path / "a b.db").touch()
    assert parse("sqlite:///a%20b.db", tmp_path).path == str(tmp_path / "a b.db")


def test_a_path_that_is_no_text(tmp_path):
    name = os.fsdecode(b"\xff\n.db")
    target = parse(f"sqlite:///{tmp_path}/{name}", "/")
    assert target.path == f"{tmp_path}/{name}"
    assert target.shown == f"sqlite:///{tmp_path}/\\xff\\n.db"


@pytest.mark.parametrize(
    "same",
    [
        (
            "postgresql://u:p@localhost/n",
            "postgres://other@127.0.0.1:5432/n?sslmode=require",
            "postgresql://[::1]/n",
        ),
        ("postgresql+asyncpg://H.example./n", "postgresql+psycopg2://h.example:5432/n"),
        ("postgresql:///n?host=/link", "postgresql://u@/n?host=/real&port=5432"),
        (
            "sqlite:///real/app.db",
            "sqlite+aiosqlite:///link/../real/app.db",
            "sqlite:///link/app.db?timeout=1",
        ),
    ],
)
def test_spellings_of_one_database_have_one_key(same, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    urls = [url.replace("=/", f"={tmp_path}/") for url in same]
    assert len({parse(url, tmp_path).key for url in urls}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://h/a", "postgresql://h/b"),
        ("postgresql://h:1/a", "postgresql://h:2/a"),
        ("postgresql://h/a", "postgresql://h/a?options=-csearch_path%3Dtenant"),
        ("postgresql:///a", "postgresql://localhost/a"),
        ("sqlite:///a.db", "sqlite:///b.db"),
        ("mysql://h/a", "mariadb://h/a"),
    ],
)
def test_two_databases_have_two_keys(one, other):
    assert parse(one, "/").key != parse(other, "/").key


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.db",
        "%(DATABASE_URL)s",
        "${DATABASE_URL}",
        f"postgresql://u:{SECRET}@h:port/n",
        f"postgresql://u:x@y/{SECRET}@h/n",
        f"postgresql://u:x@y?{SECRET}@h/n",
        f"postgresql://u:x/{SECRET}",
        f"postgresql://h/n?password={SECRET}&port=a",
        f"postgresql://h/n?password={SECRET}&port=1,2",
        f"sqlite://{SECRET}/a.db",
    ],
)
def test_what_is_no_url_is_refused_without_repeating_it(url):
    with pytest.raises(DatabaseError) as caught:
        parse(url, "/")
    assert SECRET not in f"{caught.value}{caught.value.hint}{caught.value.data}"
    assert caught.value.hint


PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*"), min_size=1)


@given(
    password=PRINTABLE.map(lambda text: f"<<{text}>>"),
    place=st.sampled_from(["login", "query", "sslpassword"]),
)
def test_no_secret_is_shown(password, place):
    from urllib.parse import quote

    secret = quote(password, safe="")
    url = {
        "login": f"postgresql://u:{secret}@h/n",
        "query": f"postgresql://u@h/n?password={secret}",
        "sslpassword": f"postgresql://u@h/n?sslpassword={secret}",
    }[place]
    target = parse(url, "/")
    assert password in target.secrets
    for text in (target.shown, repr(target), str(target), target.key):
        assert password not in text and secret not in text


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8)


@given(user=WORD, password=st.none() | WORD, host=st.sampled_from(["", "h", "10.0.0.1", "::1"]), name=WORD)
def test_sqlalchemy_reads_the_same(user, password, host, name):
    from sqlalchemy.engine import URL, make_url

    text = URL.create("postgresql+psycopg", user, password, host or None, 5433 if host else None, name)
    written = text.render_as_string(hide_password=False)
    theirs = make_url(written)
    ours = parse(written, "/")
    assert (ours.user, ours.password, ours.name) == (theirs.username, theirs.password, theirs.database)
    assert (ours.host, ours.port) == (theirs.host or "", str(theirs.port or ""))
