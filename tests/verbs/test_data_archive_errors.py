"""Exports, imports and restores that can't be: one clear error each, nothing changed, what to type works."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raccord.cli import exits
from raccord.errors import RaccordError
from raccord.model.options_data import DataExportOptions, DataImportOptions, DataRestoreOptions, KeyOptions
from raccord.model.plan import Plan
from tests import pgkit
from tests.datakit import Two, two
from tests.verbs.test_data_archive import run

PASSPHRASE = KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE")
SETUP = "create table notes (id int primary key, t text); create table other (id int primary key, n int)"
ROWS = "insert into notes select g, 'n' || g from generate_series(1, 300) g; insert into other values (1, 1)"
GOOD = "good.raccord"


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "correct horse")
    monkeypatch.setenv("ANOTHER", "battery staple")
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", ROWS)
            found.configure(("notes", "other"))
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def export(pair: Two, **options) -> Path:
    return Path(pair.workspace.archives.export(DataExportOptions("all", **options)).path)


def bring(pair: Two, name: str, **options) -> Plan:
    options = {"dry_run": True} | options
    found = pair.workspace.archives.bring(DataImportOptions(name, "prod", **options))
    assert isinstance(found, Plan)
    return found


def restore(pair: Two, name: str, **options) -> Plan:
    found = pair.workspace.archives.restore(DataRestoreOptions(name, "prod", dry_run=True, **options))
    assert isinstance(found, Plan)
    return found


@contextlib.contextmanager
def refused(pair: Two, said: str, hint: str, code: int = exits.CANNOT_RUN) -> Iterator[None]:
    """One error, with what and where and what to type; nothing is changed."""
    before = pair.rows("prod", "notes", "other"), sorted(os.listdir(pair.repo.path))
    with pytest.raises(RaccordError) as caught:
        yield
    told = exits.problem(caught.value, [])
    assert said in told.message and "\n" not in told.message and hint in told.hint, told
    assert told.exit == code, told
    assert (pair.rows("prod", "notes", "other"), sorted(os.listdir(pair.repo.path))) == before


@pytest.mark.parametrize("verb", [bring, restore])
def test_archives_that_can_t_be_read(pair, verb: Callable[..., Plan]):
    top = pair.repo.path
    again = "raccord data import"
    with refused(pair, "gone.raccord is not there", "raccord data export all"):
        verb(pair, "exports/gone.raccord")
    data = export(pair, out=GOOD).read_bytes()
    there = export(pair)
    with refused(pair, "gone.raccord is not there", f"{again} exports/{there.name} --to prod"):
        verb(pair, "gone.raccord")
    for broken in (b"", data[: len(data) // 2], data[:-1], data[:99] + b"?" + data[100:]):
        (top / "broken.raccord").write_bytes(broken)
        with refused(pair, "nothing was changed", "use another copy of it, or raccord data export all"):
            verb(pair, "broken.raccord")
    (top / "newer.raccord").write_bytes(data.replace(b"raccord archive 1\n", b"raccord archive 9\n", 1))
    with refused(pair, "newer.raccord has version 9 of the format", "pip install -U raccord"):
        verb(pair, "newer.raccord")
    (top / "dead.raccord").symlink_to("nothing")
    with refused(pair, "dead.raccord can't be read: No such file", "ls -l "):
        verb(pair, "dead.raccord")
    (top / "linked.raccord").symlink_to(GOOD)
    assert not [lane.held for lane in verb(pair, "linked.raccord").stages[0].lanes if lane.held]
    os.mkfifo(top / "pipe.raccord")
    with refused(pair, "pipe.raccord is no file", "ls -ld "):
        verb(pair, "pipe.raccord")
    (top / "folder.raccord").mkdir()
    with refused(pair, "folder", "--format csv", exits.USAGE):
        verb(pair, "folder.raccord")


@pytest.mark.long_but(1)
@pytest.mark.parametrize("verb", [bring, restore])
def test_archives_that_don_t_open(pair, verb: Callable[..., Plan]):
    pyrage = pytest.importorskip("pyrage")
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (pair.repo.path / "mine.key").write_text(f"# a comment\n{mine}\n")
    (pair.repo.path / "other.key").write_text(str(other))
    export(pair, out="word.raccord", key=PASSPHRASE)
    export(pair, out="keys.raccord", key=KeyOptions(recipients=(str(mine.to_public()),)))
    prompt, mode = "raccord data import word.raccord --to prod", " --mode replace" if verb is restore else ""
    for key in (KeyOptions(), KeyOptions(passphrase="env:ANOTHER")):
        with refused(pair, "passphrase", f"{prompt}{mode} --passphrase prompt"):
            verb(pair, "word.raccord", key=key)
    with refused(pair, "UNSET_HERE", "export UNSET_HERE="):
        verb(pair, "word.raccord", key=KeyOptions(passphrase="env:UNSET_HERE"))
    for name, said in {"": "takes the secret one", "other.key": "another key", "gone": "can't be read",
                       ".": "can't be read", "raccord.toml": "no secret key"}.items():  # fmt: skip
        with refused(pair, said, "--key-file FILE"):
            verb(pair, "keys.raccord", key=KeyOptions(key_file=name))
    assert verb(pair, "keys.raccord", key=KeyOptions(key_file="mine.key")).stages


@pytest.mark.long
def test_the_next_command_has_what_opens_the_archive(pair):
    export(pair, out="word.raccord", key=PASSPHRASE)
    pair.configure(("notes", "other"), protected=True)
    for verb in ("import", "restore"):
        said = run(pair, verb, "word.raccord", "--to", "prod", "--passphrase", "env:ARCHIVE_PASSPHRASE")
        assert said.returncode == exits.USAGE
        (command,) = [line for line in said.stderr.splitlines() if line.startswith("next: ")]
        words = shlex.split(command.removeprefix("next: "))
        assert words[:3] == ["raccord", "data", verb] and words[-2:] == ["--yes-to", "prod"], command
        done = run(pair, *words[2:])
        assert done.returncode == exits.DONE, done.stderr
        assert pair.rows("prod", "notes") == pair.rows("dev", "notes")
        pair.run("prod", "truncate notes")
    wrong = run(pair, "import", "word.raccord", "--to", "prod", "--passphrase", "c4n4ry-itself")
    assert wrong.returncode == exits.USAGE and "c4n4ry" not in wrong.stdout + wrong.stderr


def test_schemas_and_sets_that_are_others(pair):
    export(pair, out=GOOD)

    def held(found: Plan) -> str:
        finding = found.stages[0].lanes[0].held
        return finding.message if finding else ""

    pair.run("prod", "alter table notes add column extra int not null")
    assert "notes.extra is missing in the archive" in held(bring(pair, GOOD))
    pair.run("prod", "alter table notes drop column extra")
    pair.configure(("notes",))
    assert "holds other, which the set all doesn't name" in held(restore(pair, GOOD))
    with refused(pair, "holds the set all, and not x", f"raccord data import {GOOD} --to prod", exits.USAGE):
        bring(pair, GOOD, set="x")


def test_files_that_can_t_be_written(pair, monkeypatch):
    (pair.repo.path / "there").write_text("mine")
    begins = "raccord data export all --from dev"
    again = f"{begins} --secrets exclude --passphrase env:ARCHIVE_PASSPHRASE --out OTHER"
    options = {"secrets": "exclude", "key": PASSPHRASE}
    with refused(pair, "there is there already", again, exits.USAGE):
        export(pair, out="there", **options)
    for name, said in {"there/x": "a file is in the way", "x" * 300: "too long"}.items():
        with refused(pair, f"{said}", again):
            export(pair, out=name, **options)
    for name in ("there", "there/x"):
        with refused(pair, "a file is in the way", f"{begins} --format csv --out OTHER"):
            export(pair, form="csv", out=name)
    with refused(pair, "a path has no NUL", "raccord data export --help", exits.USAGE):
        export(pair, out="x\0y")
    if os.geteuid():
        (pair.repo.path / "shut").mkdir(mode=0o500)
        with refused(pair, "not permitted", again):
            export(pair, out="shut/x", **options)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("raccord.kernel.fs_part.os.fsync", full)
    for form in ("archive", "csv"):
        with pytest.raises(RaccordError) as caught:
            export(pair, form=form, out="full")
        told = exits.problem(caught.value, [])
        assert told.exit == exits.CANNOT_RUN and "full" in told.message and told.hint == "df -h .", told
    monkeypatch.undo()
    # What was begun is no archive, and the same command goes on.
    assert not (pair.repo.path / "full").is_file()


def test_csv_files_that_are_broken(pair):
    folder = export(pair, form="csv", out="csv")
    (notes,) = folder.glob("notes_*.csv")
    (other,) = folder.glob("other_*.csv")
    good = notes.read_bytes()

    def csv() -> Plan:
        return bring(pair, "csv", form="csv", set="all")

    broken = {
        "line 101: a value is none of its column's type": good.replace(b"\n100,", b"\nx100,"),
        "line 101: the row has more": good.replace(b"\n100,", b"\n100,a,b,"),
        "line 101: the row has more or fewer": good.replace(b"\n100,n100", b"\n100"),
        "a quote that is not closed": good.replace(b"n100\n", b'"n100\n'),
        "line 101: it is not in UTF-8": good.replace(b"n100\n", b"caf\xe9\n"),
        "or holds a NUL": good.replace(b"n100\n", b"a\0b\n"),
        "two rows have the same key (id)": good + b"100,c4n4ry\n",
        "has no header": b"",
        "has the column tt": good.replace(b"id,t", b"id,tt", 1),
        "is not in UTF-8": good.decode().encode("utf-16"),
    }
    for said, data in broken.items():
        notes.write_bytes(data)
        with refused(pair, said, str(notes)):
            csv()
    for data in (b"\xef\xbb\xbf" + good, good.replace(b"\n", b"\r\n"), good):
        notes.write_bytes(data)
        assert csv().stages[0].lanes[0].steps
    notes.unlink()
    for make in (lambda: notes.symlink_to("/etc/passwd"), lambda: os.mkfifo(notes)):
        make()
        with refused(pair, "is no file", "ls -ld "):
            csv()
        notes.unlink()
    notes.write_bytes(good)
    other.unlink()
    with refused(pair, "not complete: other missing", "raccord data export all --format csv --out "):
        csv()
    with refused(pair, "nowhere is not there", "raccord data export all --format csv"):
        bring(pair, "nowhere", form="csv")
    with refused(pair, "is no folder of CSV files", "raccord data import", exits.USAGE):
        bring(pair, str(notes), form="csv")
    export(pair, out=GOOD)
    with refused(pair, "is no folder of CSV files", f"raccord data import {GOOD} --to prod", exits.USAGE):
        bring(pair, GOOD, form="csv")
