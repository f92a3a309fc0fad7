"""What every object store owes, tried on each: a directory, one behind a real ssh server, a real bucket."""

from __future__ import annotations

import contextlib
import hashlib
import os

import pytest

from raccord.errors import ObjectsError, RaccordError, UnsafePath, WorldMoved
from raccord.objects import place
from raccord.objects.far import Far
from raccord.objects.model import Store
from raccord.objects.opening import KINDS
from tests import s3kit, sshkit
from tests.fileskit import bucket, store

ODD = (
    "é à ü.txt",
    "e\u0301",
    "a b",
    "a%20b",
    "a+b&c=d",
    "q?x",
    "h#x",
    "~",
    "[x]*{}|^`",
    "<&>'\"",
    "A",
    "😀/深い/x",
)


@pytest.fixture(params=sorted(KINDS))
def found(tmp_path, request) -> Store:
    try:
        return store(bucket(request.param, tmp_path / "store"))
    except (s3kit.NoServer, sshkit.NoSshd) as error:
        pytest.skip(f"no server: {error}")


def write(found: Store, key: str, data: bytes, expected: str = "") -> str:
    return found.write(key, [data], len(data), {}, expected).etag


def content(found: Store, key: str, etag: str) -> bytes:
    with found.read(key, etag) as reading:
        return b"".join(reading.chunks)


def test_what_is_written_is_listed_found_and_read(found):
    wanted = {key: hashlib.sha256(key.encode()).digest() for key in ODD} | {"empty": b""}
    etags = {key: write(found, key, data) for key, data in wanted.items()}
    listing = found.listing().entries
    own = {key for key in listing if key.startswith(".raccord-")}
    assert listing.keys() - own == wanted.keys()
    for key, data in wanted.items():
        assert (listing[key].etag, listing[key].size) == (etags[key], len(data))
        assert found.find(key) == listing[key] and content(found, key, etags[key]) == data
    assert found.find("nothing") is None


def test_a_listing_below_is_by_segments(found):
    for key in ("web/a", "web/b/c", "website", "x"):
        write(found, key, b"")
    assert found.listing("web").entries.keys() == {"web/a", "web/b/c"}
    assert not found.listing("nothing/here").entries


def test_writes_are_conditional(found):
    # By SFTP a new file is conditional, and one that replaces another is not.
    assert found.conditional(".raccord-trash/x/probe") is not isinstance(found, Far)
    first = write(found, "a", b"1")
    with pytest.raises(WorldMoved):
        write(found, "a", b"2")
    second = write(found, "a", b"22", first)
    with pytest.raises(WorldMoved):
        write(found, "a", b"333", first)
    with pytest.raises(WorldMoved):
        write(found, "gone", b"3", first)
    assert content(found, "a", second) == b"22" and found.find("gone") is None
    with pytest.raises(WorldMoved):
        content(found, "a", first)
    with pytest.raises(WorldMoved):
        content(found, "gone", first)


@pytest.mark.parametrize("size", [1000, 20 << 20])
def test_what_fails_half_way_leaves_nothing(found, size):
    def broken():
        yield b"x" * (size // 2)
        raise WorldMoved("it changed")

    etag = write(found, "a", b"old")
    for key, expected in (("a", etag), ("b", "")):
        with pytest.raises(WorldMoved):
            found.write(key, broken(), size, {}, expected)
    assert content(found, "a", etag) == b"old" and found.find("b") is None
    assert found.listing().entries.keys() - {".raccord-trash/.gitignore"} == {"a"}


def test_a_large_one_goes_in_parts(found):
    data = os.urandom((17 << 20) + 5)
    chunks = [data[at : at + 999_983] for at in range(0, len(data), 999_983)]
    written = found.write("large", chunks, len(data), {}, "")
    assert content(found, "large", written.etag) == data
    with pytest.raises(WorldMoved):
        found.write("large", chunks, len(data), {}, "")
    if found.keeps_attributes:
        assert written.proven and "-" in written.etag and not found.listing().entries["large"].md5


def test_copies_and_removals(found):
    first = write(found, "a", b"1")
    entry = found.find("a")
    assert entry is not None
    for _ in range(2):
        found.copy(entry, ".raccord-trash/x/a")
    copied = found.find(".raccord-trash/x/a")
    assert copied is not None and content(found, copied.key, copied.etag) == b"1"
    assert found.remove([("a", first)]) == []
    assert found.find("a") is None


def test_names_that_lead_out_are_refused(found):
    for key in ("../x", "a/../../x", "/etc/x", "a//b"):
        with contextlib.suppress(UnsafePath, ObjectsError):
            write(found, key, b"x")
            assert key == "/etc/x"  # a bucket has no root to lead out of: it is below, as every other


def test_another_version_is_not_removed(tmp_path):
    found = store(bucket("file", tmp_path / "store"))
    first = write(found, "a/b", b"1")
    second = write(found, "a/b", b"2", first)
    assert found.remove([("a/b", first)]) == ["a/b"] and content(found, "a/b", second) == b"2"
    assert found.remove([("a/b", second)]) == []
    assert not (tmp_path / "store" / "a").exists()


def test_a_file_that_is_written_to_while_it_is_read(tmp_path):
    found = store(bucket("file", tmp_path / "store"))
    etag = write(found, "a", b"x" * (3 << 20))
    with found.read("a", etag) as reading:
        next(reading.chunks)
        (tmp_path / "store" / "a").write_bytes(b"y" * (3 << 20))
        with pytest.raises(WorldMoved):
            list(reading.chunks)


def server() -> s3kit.Server:
    try:
        return s3kit.server()
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("s3://nosuchbucket", {}, "no such bucket"),
        (f"s3://{s3kit.BUCKET}", {"secret": "wr0ng-canary"}, "refuses the key"),
        (f"s3://{s3kit.BUCKET}", {"key_id": "nobody"}, "refuses the key"),
        (f"s3://{s3kit.BUCKET}", {"key_id": "", "secret": ""}, "refuses the key"),
        (f"s3://{s3kit.BUCKET}", {"endpoint": "http://127.0.0.1:9"}, "can't be reached"),
    ],
)
def test_bad_buckets(url, more, said):
    given = {"endpoint": server().endpoint, "key_id": s3kit.KEY_ID, "secret": s3kit.SECRET} | more
    at = place.parse(url, region=s3kit.REGION, **given)
    found = KINDS["s3"](at)
    with pytest.raises(RaccordError, match=said) as caught:
        found.listing()
    whole = f"{caught.value.message} {caught.value.hint} {caught.value.data} {at!r}"
    assert "canary" not in whole and s3kit.SECRET not in whole


def test_the_environment_does_not_say_where_or_as_whom(tmp_path, monkeypatch):
    server()
    keys = bucket("s3", tmp_path)
    for name in ("ENDPOINT_URL", "ENDPOINT_URL_S3", "ENDPOINT"):
        monkeypatch.setenv(f"AWS_{name}", "http://127.0.0.1:9")
    for name in (
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "BUCKET",
        "DEFAULT_REGION",
        "PROFILE",
    ):
        monkeypatch.setenv(f"AWS_{name}", "wrong")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    found = store(keys)
    assert content(found, "a", write(found, "a", b"1")) == b"1"
