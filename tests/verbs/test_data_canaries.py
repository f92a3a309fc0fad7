"""A row of secrets: canaries in rows, URLs, sources and SQL, and none in what raccord says or writes."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from raccord.data import change
from tests import pgkit
from tests.canaries import Cage
from tests.datakit import Two, two

# One for each type, as a value of it; the text is what would be seen.
TYPES = {
    "text": "cnry-text-01",
    "varchar(40)": "cnry-varchar-02",
    "char(20)": "cnry-char-03",
    "name": "cnry-name-04",
    "json": "cnry-json-05",
    "jsonb": "cnry-jsonb-06",
    "varchar[]": "cnry-varchars-07",
    "text[]": "cnry-array-08",
    "jsonb[]": "cnry-jsonbs-09",
    "bytea": "cnry-bytea-10",
    "uuid": "c4a4e511-0000-4000-8000-00000000cafe",
    "int": "907000012",
    "bigint": "907000000000013",
    "numeric": "907000000000014.5",
    "float8": "907000000015.5",
    "inet": "198.51.100.216",
    "macaddr": "c4:a4:e5:00:00:17",
    "date": "1907-03-18",
    "timestamptz": "1907-03-19 01:02:03+00",
    "interval": "907020 days",
    "tsrange": '["1907-03-21 00:00:00","1907-03-22 00:00:00")',
    "tsvector": "'cnry-lexeme-22'",
    "bit(32)": "10010000011100000000000000010111",
    "point": "(907024,1)",
    "own": "cnry-domain-25",
    "duo": "(907026,cnry-row-26)",
}
WRAPS = {
    "json": '{"a": "%s"}',
    "jsonb": '{"a": "%s"}',
    "varchar[]": '{"%s"}',
    "text[]": '{"%s",x}',
    "jsonb[]": '{"{\\"a\\": \\"%s\\"}"}',
}
EXCLUDES = f"alter table t add constraint x exclude using gist (c{[*TYPES].index('inet')} inet_ops with &&)"
KEYS = {"key of text": "cnry-token-27", "key of numbers": "907000000000028"}
SETUP = """
create domain own as text check (value <> '');
create type duo as (a int, b text);
create table k (token text primary key, ssn bigint not null unique, note text);
create table s (ssn bigint primary key, note text);
"""


def planted(kind: str) -> str:
    return WRAPS.get(kind, "%s") % TYPES[kind]


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(TYPES))
            found.both(SETUP + f"create table t (id int primary key, {columns}, n int default 0);")
            found.configure(("t", "k", "s"))
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def cage(pair):
    values = {f"{kind} value": text for kind, text in TYPES.items()}
    return Cage(pair.repo.path, values | KEYS | {"password": pgkit.PASSWORD})


def fill(pair: Two, name: str) -> None:
    values = ", ".join("'" + planted(kind).replace("'", "''") + f"'::{kind}" for kind in TYPES)
    pair.run(
        name,
        f"insert into t select g, {values} from generate_series(1, 30) g;"
        "insert into k values ('cnry-token-27', 907000000000028, 'a'), ('x', 907000000000099, 'b');"
        "insert into s values (907000000000028, 'a'), (907000000000030, 'b')",
    )


def test_rows_of_every_type_that_come_change_and_go_back(pair, cage):
    fill(pair, "dev")
    assert cage.watched("data", "push", "all", "--to", "prod", "--yes")[0] == 0, cage.said
    assert cage.run("undo", "--yes")[0] == 0, cage.said
    assert cage.run("--json", "data", "push", "all", "--to", "prod", "--yes")[0] == 0, cage.said
    pair.run(
        "dev",
        "update t set n = 1; update k set note = 'z'; update s set note = 'z'; delete from t where id = 9",
    )
    for words in (
        ("data", "diff", "all", "--to", "prod", "--rows", "0"),
        ("--json", "data", "push", "all", "--to", "prod", "--dry-run"),
        ("data", "push", "all", "--to", "prod", "--yes"),
        ("data", "status"), ("--json", "log"),
    ):  # fmt: skip
        assert cage.run(*words)[0] == 0, cage.said
    pair.run("prod", "update t set n = 7; update k set note = 'y'; update s set note = 'y'")
    assert cage.run("undo", "--yes")[0] == 5 and cage.run("--json", "undo", "--yes")[0] == 5
    assert cage.sing() == {}


def test_values_of_secret_columns_that_differ(pair, cage):
    """A diff shows what differs; of what is secret it shows that."""
    pair.both('alter table k add password_hash text, add api_key text, add "motDePasse" text')
    fill(pair, "dev")
    fill(pair, "prod")
    cage.canaries = {"old": "cnry-old-29", "new": "cnry-new-30", "token": "cnry-token-27"}
    for name, word in (("dev", "cnry-new-30"), ("prod", "cnry-old-29")):
        set_ = ", ".join(f"{column} = '{word}'" for column in ("password_hash", "api_key", '"motDePasse"'))
        pair.run(name, f"update k set {set_}")
    pair.configure(("k",))
    for words in (("data", "diff"), ("--json", "data", "diff")):
        code, said = cage.run(*words, "all", "--to", "prod", "--rows", "9")
        assert code == 0 and "***" in said
    assert cage.sing() == {}


# What is done to prod, and what is then told of it.
ERRORS = {
    "a rule": ("alter table t add constraint c check (c0 <> 'cnry-text-01')", "check", "constraint c"),
    "a unique index": ("create unique index u on t (c0)", "", "constraint u"),
    "an expression": ("create unique index u on t (lower(c0))", "", "constraint u"),
    "an exclusion": (EXCLUDES, "exclusion", "constraint x"),
    "raise": ("raise exception 'row %', new", "raise exception", ""),
    "a disguise": (
        "raise exception using message = new.c0, errcode = '23505', detail = new.c0, hint = new.c0,"
        + ", ".join(f"{what} = new.c0" for what in ("column", "table", "constraint", "schema", "datatype")),
        "unique violation", "",
    ),
    "another code": ("raise exception using message = new.c0, errcode = 'CNRY1'", "refused", ""),
    "a type": ("perform new.c0::int", "invalid text representation (22P02)", ""),
    "dynamic SQL": ("execute 'select ' || new.c0", "", ""),
    "a name": ("execute format('select * from %I', new.c0)", "undefined table", ""),
    "notices": ("raise notice '%', new; raise warning '%', new; raise info '%', new", None, ""),
}  # fmt: skip


@pytest.mark.long_but(3)
@pytest.mark.parametrize("what", ERRORS)
@pytest.mark.parametrize("way", ["fill", "delta"])
def test_errors_of_the_server(pair, cage, what, way):
    change, words, name = ERRORS[what]
    cage.canaries["code"] = "CNRY1"
    pair.configure(("t",), triggers="fire")
    fill(pair, "dev")
    if way == "delta":
        pair.run("prod", "insert into t (id, n) values (1, 5), (2, 6)")
    if not change.startswith(("alter", "create")):
        change = (
            f"create function f() returns trigger language plpgsql as $$ begin {change}; return new; end $$;"
            "create trigger f before insert or update on t for each row execute function f()"
        )
    pair.run("prod", change)
    code, said = cage.run("data", "push", "all", "--to", "prod", "--yes")
    assert code == (0 if words is None else 5), said
    said = " ".join(said.split())
    assert (words or "") in said and name in said, said
    assert cage.sing() == {}


SQL = {
    "good": ({"where": {"t": "c0 <> 'cnry-where-31'"}, "mask": {"t.c0": "'cnry-mask-32'"}}, 0),
    "fixed": ({"mask": {"t.c1": "mask:fixed=cnry-fixed-33"}}, 0),
    "a name": ({"where": {"t": 'c0 = "cnry-where-31"'}}, 5),
    "an operator": ({"where": {"t": "c0 === 'a' 'cnry-where-31'"}}, 5),
    "no truth": ({"where": {"t": "c0 = 'x' or 'cnry-where-31'"}}, 5),
    "no number": ({"where": {"t": "n = 'cnry-where-31'"}}, 5),
    "no number in a row": ({"where": {"t": "n = ('cnry-where-31' || c0)::int"}}, 5),
    "a table": ({"where": {"t": 'exists (select from "cnry-where-31")'}}, 5),
    "a mask's name": ({"mask": {"t.c0": '"cnry-mask-32"'}}, 5),
    "a mask's type": ({"mask": {"t.c0": "('cnry-mask-32' || id)::int::text"}}, 5),
    "a mask that is too long": ({"mask": {"t.c1": "mask:fixed=" + "cnry-fixed-33" * 9}}, 5),
    "a mask of another type": ({"mask": {"t.n": "mask:fixed=cnry-fixed-33"}}, 5),
    "no mask": ({"mask": {"t.c1": "mask:cnry-mask-32"}}, 6),
}


@pytest.mark.long_but(4)
@pytest.mark.parametrize("what", SQL)
def test_sql_of_the_set(pair, cage, what):
    keys, code = SQL[what]
    fill(pair, "dev")
    cage.canaries = {"where": "cnry-where-31", "mask": "cnry-mask-32", "fixed": "cnry-fixed-33"}
    pair.configure(("t",), **keys)
    cage.run("--json", "data", "diff", "all", "--to", "prod", "--rows", "0")
    cage.run("--json", "data", "status")
    found, said = cage.run("data", "push", "all", "--to", "prod", "--yes")
    assert found == code if not code else found in (1, 5, 6), said
    assert cage.sing() == {}


URLS = {
    "special characters": "cn/ry@:34#? %€",
    "query": "cnry-query-35",
    "option": "cnry-option-36",
    "unknown parameter": "cnry-parameter-37",
}


def urls(server: pgkit.Server, database: str) -> list[str]:
    """URLs that work, and that don't, each with a secret."""
    secret, query, option, other = URLS.values()
    plain, at = quote(secret, safe=""), f"127.0.0.1:{server.port}/{database}"
    return [
        f"postgresql://postgres:{plain}@{at}",
        f"postgresql://postgres@{at}?password={query}",
        f"{server.url(database)}?options=-c%20app.token%3D{option}&x={other}",
        f"{server.url(database)}?options=-c%20statement_timeout%3D{option}",
        f"postgresql://postgres:{plain}@127.0.0.1:1/{database}",
        f"postgresql://postgres:{plain}@/{database}?host=/none&api_key={other}",
        f"postgresql://postgres:{plain}@{at}?x={other}&sslpassword={query}",
        f"postgresql://postgres:{secret}@{at}",
        f"mysql://root:{plain}@{at}?x={other}",
        secret,
        f"postgresql://postgres:x@{at}\n{secret}",
    ]


@pytest.mark.long_but(1)
@pytest.mark.parametrize("source", ["text", "file", "command", "env"])
def test_urls(pair, cage, source, tmp_path, monkeypatch):
    server, database = pair.ends["prod"]
    cage.canaries = dict(URLS)
    config = pair.repo.path / "raccord.toml"
    text, old = config.read_text(), json.dumps(server.url(database))
    for url in urls(server, database):
        (tmp_path / "url").write_text(url)
        monkeypatch.setenv("PROD_URL", url.replace("\n", " "))
        said = {"text": url, "file": f"file:{tmp_path}/url", "command": f"command:cat {tmp_path}/url"}
        config.write_text(text.replace(old, json.dumps(said.get(source, "env:PROD_URL"))))
        for words in (("data", "push", "all", "--to", "prod", "--yes"), ("--json", "data", "status")):
            assert cage.run(*words)[0] in (0, 1, 6), cage.said[-1]
    assert cage.sing() == {}


def test_urls_of_processes(pair, cage, tmp_path):
    """What starts other processes, of which every user sees the arguments."""
    server, database = pair.ends["prod"]
    cage.canaries = dict(URLS) | {"password": pgkit.PASSWORD}
    config = pair.repo.path / "raccord.toml"
    text = config.read_text()
    (tmp_path / "url").write_text(urls(server, database)[2])
    command = json.dumps(f"command:cat {tmp_path}/url")
    config.write_text(text.replace(json.dumps(server.url(database)), command))
    fill(pair, "dev")
    assert cage.watched("data", "push", "all", "--to", "prod", "--yes")[0] == 0, cage.said
    assert len(cage.seen) > 3 and cage.sing() == {}


def test_an_unforeseen_error(pair, cage, monkeypatch):
    """A bug's words may hold a row; the report and the journal have its kind and its place."""

    def broken(*words: object) -> None:
        try:
            raise KeyError(TYPES["text"], pgkit.PASSWORD)
        except KeyError as error:
            raise ValueError(f"no number: {TYPES}") from error

    fill(pair, "dev")
    monkeypatch.setattr(change, "carry_out", broken)
    for words in ((), ("--json",)):
        code, said = cage.run(*words, "data", "push", "all", "--to", "prod", "--yes")
        assert code == 3 and "ValueError" in said and "test_data_canaries.py" in said
        assert cage.run("abort")[0] == 0, cage.said
    cage.run("log"), cage.run("--json", "log")
    assert cage.sing() == {}
