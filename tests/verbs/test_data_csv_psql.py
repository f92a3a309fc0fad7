"""CSV files as the first seed's script writes and reads them: by psql's copy, with ugly values."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from raccord.errors import CannotRun
from raccord.model.options_data import DataExportOptions
from tests import pgkit
from tests.datakit import Two, two, why
from tests.verbs.test_data_archive import CSV, bring, plan

SETUP = """
create extension vector;
create type mood as enum ('good', 'it''s "so"');
create table ugly (
  id bigint generated always as identity primary key, "a ""b"", c" text, empty text, nothing text,
  bytes bytea, words text[], moods mood[], doc jsonb, plain json, embedding vector(3), mood mood,
  span tstzrange, at timestamptz, day date, wait interval, f real,
  d double precision, n numeric, flag boolean,
  twice text generated always as (empty || 'x') stored);
create table keyless (a int, b text);
"""
ROWS = """
insert into ugly ("a ""b"", c", empty, nothing, bytes, words, moods, doc, plain, embedding, mood, span, at,
  day, wait, f, d, n, flag) values
  (E'x\\ny\\t"z"\\\\N,', '', null, '\\x00ff0a2c22', array['a,b', null, '', '{"x"}', 'NULL', E'\\n'],
   array['good', 'it''s "so"']::mood[], '{"a": null, "b": "\\u00e9 \\\\."}', '{"b":  1, "a": [1,2]}',
   '[1,-0.5,3e-8]', 'it''s "so"', '[2020-01-01,)', 'infinity', 'infinity', '1 mon -2 days 03:00', 'nan',
   '-infinity', 'NaN', true),
  (E'\\\\.', ' ', '\\N', '', '{}', '{}', 'null', '""', null, null, 'empty', '-infinity', '-infinity', null,
   '1e-38', '2.2250738585072014e-308', '0.00000000000000000001', false),
  (E'x\\n\\\\.\\ny', E'\\r\\n', 'NULL', null, null, null, '[]', 'null', '[0,0,0]', 'good', null,
   '2020-02-29 23:59:59.999999+05', '0044-03-15 BC', '00:00', 0.1, 0.1, 123456789012345678901234567890, null),
  (E'\\r', '"', '""', '\\x', array[array['a'],array['b']], array[null::mood], '"\\u2028"', '1', null, null,
   null, null, null, null, null, null, null, null);
insert into keyless values (1, ''), (1, ''), (null, null), (2, '\\N');
"""
TABLES = ("ugly", "keyless")
STAMP = "20251010_143000"


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", ROWS)
            found.configure(TABLES)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def psql(pair: Two, name: str, *commands: str) -> None:
    server, database = pair.ends[name]
    words = [str(server.bin / "psql"), "-Xqd", server.url(database), "-v", "ON_ERROR_STOP=1"]
    said = "\n".join((*commands, ""))
    done = subprocess.run(words, input=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def written(pair: Two, columns: str = "") -> dict[str, Path]:
    """The seed's export."""
    folder = pair.repo.path / "exports"
    folder.mkdir()
    files = {table: folder / f"{table}_{STAMP}.csv" for table in TABLES}
    psql(
        pair, "dev", f"\\copy ugly{columns} to '{files['ugly']}' with csv header",
        f"\\copy keyless to '{files['keyless']}' with csv header",
    )  # fmt: skip
    return files


def test_what_psql_wrote_is_read(pair):
    pair.run("prod", "insert into ugly (empty) values ('old'); insert into keyless values (7, 'own')")
    before = pair.rows("prod", *TABLES)
    written(pair)
    report = bring(pair, "exports", **CSV)
    assert (report.state, why(report)) == ("done", ""), report
    assert pair.rows("prod", *TABLES) == pair.rows("dev", *TABLES) and pair.diff().equal
    pair.run("prod", "insert into ugly (empty) values ('new')")
    assert pair.run("prod", "select max(id) from ugly where empty = 'new'") == [(5,)]
    pair.run("prod", "delete from ugly where empty = 'new'")
    assert bring(pair, "exports", **CSV).state == "nothing"
    assert pair.undo().state == "done" and pair.rows("prod", *TABLES) == before


def test_what_raccord_wrote_is_read_by_psql(pair):
    with pair.workspace as workspace:
        made = workspace.archives.export(DataExportOptions("all", form="csv", in_clear=True))
    psql(
        pair, "prod", "set session_replication_role = replica;",
        *(line for one in made.tables for line in (
            f"delete from {one.table};", f"\\copy {one.table} from '{one.file}' with csv header")),
    )  # fmt: skip
    assert pair.rows("prod", *TABLES) == pair.rows("dev", *TABLES)


def test_columns_in_another_order(pair):
    files = written(
        pair,
        '(empty, id, "a ""b"", c", d, n, nothing, bytes, words, moods, doc, plain, embedding, mood, flag,'
        " span, at, day, wait, f)",
    )
    assert files["ugly"].read_text().startswith('empty,id,"a ""b"", c",d,')
    report = bring(pair, "exports", **CSV)
    assert (report.state, why(report)) == ("done", ""), report
    assert pair.rows("prod", *TABLES) == pair.rows("dev", *TABLES)


def test_columns_that_are_too_many_or_missing(pair):
    files = written(pair)
    keyless = files["keyless"]
    good = keyless.read_bytes()
    keyless.write_bytes(good.replace(b"a,b\n", b"a,b,more\n", 1).replace(b"1,", b"1,2,"))
    with pytest.raises(CannotRun, match="has the column more, which keyless has not"):
        plan(pair, "exports", **CSV)
    keyless.write_bytes(b"a\n1\n2\n")
    held = plan(pair, "exports", **CSV).stages[0].lanes[0].held
    assert held and held.message == "keyless.b is missing in the CSV files"
    # A column that the server alone computes is none that it takes.
    keyless.write_bytes(good)
    files["ugly"].write_text("id,twice\n1,x\n")
    try:
        held = plan(pair, "exports", **CSV).stages[0].lanes[0].held
        said = held.message if held else ""
    except CannotRun as error:
        said = error.message
    assert "ugly" in said
    assert pair.rows("prod", "keyless") == {"keyless": []}
