"""Names that another store can't have, or that are no objects: left out and named, and the others go."""

from __future__ import annotations

import errno
import os

import pytest

from raccord.kernel.fs_tree import Folder
from raccord.objects.s3 import KEY, METADATA
from tests import s3kit
from tests.fileskit import Two, store


def two_of(tmp_path, *kinds: str) -> Two:
    try:
        return Two(tmp_path, *kinds)
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")


def said(report) -> list[str]:
    """What was left out while it was planned."""
    return [note.message for lane in report.lanes for note in lane.notes if note.name == "files.left"]


def mark(two: Two, name: str, key: str) -> None:
    """What a console makes for a folder: an empty object with a slash at its end."""
    s3kit.server().raw("PUT", f"/{two.keys[name]['objects'].removeprefix('s3://')}/{key}/")


@pytest.mark.long
def test_control_characters_and_what_is_too_long_for_a_bucket(tmp_path):
    two = two_of(tmp_path, "file", "s3")
    long = "/".join(["d" * 250] * 4 + ["e" * 30])
    for key in (b"ok", b"a\nb", b"a\x01b", b"tab\t", b"bad\xff", os.fsencode(long)):
        path = os.fsencode(tmp_path / "dev") + b"/" + key
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"1")
    report = two.push(mode="mirror", delete=True)
    assert report.state == "done" and two.objects("prod") == {"ok": b"1"}, report
    assert len(long) > KEY and "a\\nb" in said(report)[0] and "and 1 more" not in said(report)[0]


def test_a_long_key_is_kept_too(tmp_path):
    two = two_of(tmp_path, "file", "s3")
    key = "/".join(["k" * 250] * 3 + ["e" * 240])
    two.put("dev", {key: b"one"})
    assert two.push().state == "done"
    two.put("dev", {key: b"two"})
    assert two.push(mode="upsert").state == "done" and two.objects("prod") == {key: b"two"}
    assert two.undo().state == "done" and two.objects("prod") == {key: b"one"}
    assert two.undo().state == "done" and two.objects("prod") == {}


def test_marks_of_folders_are_no_objects(tmp_path):
    two = two_of(tmp_path, "s3", "file")
    two.put("dev", {"pre/x": b"x", "empty": b""})
    mark(two, "dev", "pre")
    report = two.push()
    assert report.state == "done" and "pre (a mark of a folder" in said(report)[0], report
    assert two.objects("prod") == {"pre/x": b"x", "empty": b""}


def test_a_mirror_removes_no_marks_of_folders(tmp_path):
    two = two_of(tmp_path, "file", "s3")
    two.put("dev", {"a": b"a"})
    two.put("prod", {"old/x": b"x"})
    mark(two, "prod", "old")
    report = two.push(mode="mirror", delete=True)
    assert report.state == "done" and set(store(two.keys["prod"]).listing("old").entries) == {"old"}, report
    assert two.undo().state == "done" and store(two.keys["prod"]).find("old/x")


def test_a_name_that_is_a_file_and_a_directory(tmp_path):
    two = two_of(tmp_path, "s3", "file")
    two.put("dev", {"pre": b"1", "pre/deep/x": b"2", "ok": b"3", "file": b"4", "folder/x": b"5"})
    two.put("prod", {"file/x": b"prod", "folder": b"prod"})
    before = two.objects("prod")
    report = two.push(mode="upsert")
    assert report.state == "done", report
    assert all(
        f"{one} (a file and a directory" in said(report)[0] for one in ("file", "folder/x", "pre/deep/x")
    )
    assert two.objects("prod") == before | {"pre": b"1", "ok": b"3"}
    assert two.undo().state == "done" and two.objects("prod") == before


def test_metadata_that_cannot_be_read_hold_back_one_object(tmp_path):
    two = two_of(tmp_path, "s3", "file")
    at = store(two.keys["dev"])
    at.write("odd", [b"x"], 1, {"mine": "café"}, "")
    two.put("dev", {"ok": b"1"})
    report = two.push()
    assert report.state == "partial" and two.objects("prod") == {"ok": b"1"}
    assert METADATA in "".join(lane.finding.message for lane in report.lanes if lane.finding)


def test_a_file_that_gives_no_right_to_read_it_holds_back_itself(tmp_path, monkeypatch):
    two = two_of(tmp_path, "file", "file")
    two.put("dev", {"shut": b"x", "ok": b"1"})
    real = Folder.descriptor

    def descriptor(self: Folder, name: str) -> int:
        if name == "shut":  # whoever runs the tests may be root, who reads everything
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, name)

    monkeypatch.setattr(Folder, "descriptor", descriptor)
    report = two.push()
    assert report.state == "partial" and two.objects("prod") == {"ok": b"1"}
    assert "permission denied" in "".join(lane.finding.message for lane in report.lanes if lane.finding)
