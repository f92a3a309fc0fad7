"""The archive file under damage and malice: cut, flipped, made up, unpacked to more than it says."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.data import archived, container, sealing
from raccord.data.container import END, TAIL, Writer
from raccord.data.sealing import Opener, Seal
from raccord.errors import CannotRun
from raccord.kernel import fs_part

ROWS = [b"row %d\n" % number for number in range(5000)]


def table(name: str, part: container.Part) -> dict[str, Any]:
    return {
        "schema": "public", "name": name, "kind": "table",
        "all": [
            ["id", "integer", "", False, False, False, "", "int4"],
            ["t", "text", "", True, False, False, "", ""],
        ],
        "uniques": [["pk", ["id"], True, True]], "columns": ["id", "t"], "kept": [], "key": ["id"],
        "where": "", "masked": {}, "binary": False, "rows": 5000, "digest": "5000:1:0",
        "part": container.document(part), "sequences": {},
    }  # fmt: skip


def manifest(*tables: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "x", "kind": "postgresql", "set": "all", "spec": {}, "environment": "dev", "server": "",
        "at": 1.0, "raccord": "", "commit": "", "by": "", "protected": False,
        "masked": False, "reason": "", "tables": list(tables),
    }  # fmt: skip


@contextlib.contextmanager
def writing(path: Path, seal: Seal) -> Iterator[Writer]:
    start = container.head("x", seal)
    with fs_part.continued(path, 0) as file:
        file.write(start)
        yield Writer(file, seal, start)


def make(path: Path, seal: Seal | None = None) -> Path:
    with writing(path, seal or Seal()) as writer:
        one, two = (table(name, writer.part(iter(ROWS))) for name in ("one", "two"))
        writer.finish(manifest(one, two))
    return path


def read(path: Path, opener: Opener | None = None) -> list[bytes]:
    """All that an import would use."""
    with archived.opened(path, opener or Opener()) as found:
        archived.verify(found)
        parts: list[list[bytes]] = [[] for _ in found.manifest.tables]
        for one, blocks in zip(found.manifest.tables, parts, strict=True):
            found.reader.read(one.part, blocks.append)
        return [b"".join(blocks) for blocks in parts]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """An archive in clear and one that is sealed, with what opens it."""
    folder = tmp_path_factory.mktemp("samples")
    own = sealing.age().x25519.Identity.generate()
    sealed = make(folder / "sealed", sealing.to_recipients([str(own.to_public())]))
    return folder, [
        (make(folder / "clear").read_bytes(), Opener()),
        (sealed.read_bytes(), Opener(keys=str(own))),
    ]


def test_what_was_written_is_read(samples):
    folder, both = samples
    for data, opener in both:
        (folder / "copy").write_bytes(data)
        assert read(folder / "copy", opener) == [b"".join(ROWS)] * 2


DAMAGE = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@DAMAGE
@given(data=st.data())
def test_no_cut_and_no_flip_gets_through(samples, data):
    folder, both = samples
    whole, opener = data.draw(st.sampled_from(both))
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "drop", "more", "swap"]))
    bad = {
        "cut": whole[:at],
        "flip": whole[:at] + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :],
        "insert": whole[:at] + os.urandom(1) + whole[at:],
        "drop": whole[:at] + whole[at + 1 :],
        "more": whole + whole[at:],
        "swap": whole[at:] + whole[:at],
    }[kind]
    if bad == whole:
        return
    path = folder / "bad"
    path.write_bytes(bad)
    with pytest.raises(CannotRun) as error:
        read(path, opener)
    assert str(path) in error.value.message


@DAMAGE
@given(noise=st.binary(max_size=300), valid=st.booleans())
def test_noise_is_one_clear_error(samples, noise, valid):
    path = samples[0] / "noise"
    path.write_bytes(container.head("x", Seal()) + noise if valid else noise)
    with pytest.raises(CannotRun):
        read(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@settings(DAMAGE, max_examples=100)
@given(data=st.data())
def test_a_manifest_that_was_made_up_is_one_clear_error_or_harmless(samples, data):
    path = samples[0] / "made"
    path.unlink(missing_ok=True)
    with writing(path, Seal()) as writer:
        one = table("one", writer.part(iter(ROWS)))
        said = manifest(one)
        where: Any = data.draw(st.sampled_from([said, one, one["part"]]))
        where[data.draw(st.sampled_from(sorted(where)))] = data.draw(JSON)
        writer.finish(json.loads(json.dumps(said)))
    with contextlib.suppress(CannotRun), archived.opened(path, Opener()) as found:
        for held in found.manifest.tables:
            assert {*held.columns, *held.key} <= {column.name for column in held.table.columns}
            found.reader.read(held.part, len)


def test_a_part_unpacks_to_no_more_than_the_manifest_says(tmp_path):
    path = tmp_path / "bomb"
    with writing(path, Seal()) as writer:
        part = writer.part(iter([b"\0" * (1 << 20)] * 256))
        assert part.stored < 1 << 16
        small = container.Part(part.offset, part.stored, 1000, part.sha256)
        writer.finish(manifest(table("one", small)))
    taken = 0

    def take(block: bytes) -> None:
        nonlocal taken
        taken += len(block)

    with archived.opened(path, Opener()) as found, pytest.raises(CannotRun, match="longer than its manifest"):
        found.reader.read(found.manifest.tables[0].part, take)
    assert taken <= 1000


def test_a_manifest_unpacks_to_no_more_than_any_has(tmp_path, monkeypatch):
    path = make(tmp_path / "big")
    monkeypatch.setattr(container, "MOST_MANIFEST", 500)
    with pytest.raises(CannotRun):
        read(path)


def test_a_newer_version_says_so(tmp_path):
    path = make(tmp_path / "new")
    path.write_bytes(path.read_bytes().replace(b"raccord archive 1\n", b"raccord archive 2\n", 1))
    with pytest.raises(CannotRun, match="has version 2 of the format, and this raccord reads 1"):
        read(path)


def test_parts_of_two_archives_don_t_mix(tmp_path):
    """Both are sealed to one key, and each part is what somebody wrote."""
    own = sealing.age().x25519.Identity.generate()
    seal = sealing.to_recipients([str(own.to_public())])
    with archived.opened(make(tmp_path / "one", seal), Opener(keys=str(own))) as found:
        part = found.manifest.tables[0].part
    other = None
    for number in range(1000):  # age makes heads of several lengths
        with archived.opened(make(tmp_path / f"{number}", seal), Opener(keys=str(own))) as found:
            other = found.manifest.tables[0].part
        if part.stored == other.stored:
            break
    assert other is not None
    one, two = (tmp_path / "one").read_bytes(), (tmp_path / f"{number}").read_bytes()
    mixed = one[: part.offset] + two[other.offset : other.offset + other.stored]
    (tmp_path / "mixed").write_bytes(mixed + one[part.offset + part.stored :])
    with pytest.raises(CannotRun, match="a part is not what was written"):
        read(tmp_path / "mixed", Opener(keys=str(own)))


@pytest.mark.parametrize("what", ["folder", "nothing", "pipe"])
def test_what_is_no_file(tmp_path, what):
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(CannotRun):
        read(path)


def test_an_end_that_names_too_much(tmp_path):
    path = make(tmp_path / "end")
    data = path.read_bytes()
    _, digest, _ = TAIL.unpack(data[-TAIL.size :])
    path.write_bytes(data[: -TAIL.size] + TAIL.pack((1 << 64) - 1, digest, END))
    with pytest.raises(CannotRun, match="never finished"):
        read(path)
