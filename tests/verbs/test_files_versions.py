"""A push whose undo goes by the versions that its bucket keeps: nothing is copied, and all comes back."""

from __future__ import annotations

import pytest

from raccord.errors import CannotRun, ObjectsError
from raccord.files import keeping
from tests import s3kit
from tests.fileskit import Two, store
from tests.verbs.test_files_push import DEV, PROD, found_attributes, why

LARGE = bytes(range(256)) * (66 << 10)  # goes in parts


@pytest.fixture
def two(tmp_path):
    """Prod is in a bucket with versioning."""
    try:
        made = Two(tmp_path, "file", "s3")
        made.keys["prod"]["objects"] = f"s3://{s3kit.server().versioned('versioned')}"
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")
    made.configure(keep="versions")
    made.put("dev", DEV)
    made.put("prod", PROD, **{"Content-Type": "text/x-own", "owner": "prod"})
    return made


def own(two: Two) -> list[str]:
    return [key for key in two.objects("prod", own=True) if key.startswith(".raccord-trash")]


def test_overwritten_removed_and_back_and_there_again(two):
    two.put("dev", {"large": LARGE})
    two.put("prod", {"large": LARGE[::-1]}, owner="large")
    before = two.objects("prod")
    report = two.push(mode="mirror", delete=True)
    assert (report.state, why(report)) == ("done", ""), report
    after = two.objects("prod")
    assert after == DEV | {"large": LARGE}
    # What was overwritten is noted, and not copied.
    (noted,) = own(two)
    assert noted.endswith(".versions")
    undone = two.undo()
    assert undone.state == "done" and two.objects("prod") == before, undone
    assert found_attributes(two, "changed.txt")["Content-Type"] == "text/x-own"
    assert found_attributes(two, "own.txt")["owner"] == "prod"
    assert found_attributes(two, "large")["owner"] == "large"
    assert two.undo(undone.id).state == "done" and two.objects("prod") == after


def test_put_back_where_a_push_is_aborted(two, monkeypatch):
    """Taken back halfway: some objects are done, others not."""
    from raccord.files.push import Push

    remove = Push._remove

    def broken(self, items, done):
        if items and not self.again and self.log.path.suffix != ".back":
            raise ObjectsError("the line is cut")
        remove(self, items, done)

    before = two.objects("prod")
    monkeypatch.setattr(Push, "_remove", broken)
    assert two.push(mode="mirror", delete=True).state == "stopped"
    assert two.objects("prod") != before
    assert two.workspace.abort().state == "aborted"
    assert two.objects("prod") == before


def test_a_bucket_that_keeps_none_is_refused(two, tmp_path):
    two.keys["prod"]["objects"] = f"s3://{s3kit.server().place()}"
    two.configure(keep="versions")
    two.put("prod", PROD)
    before = two.objects("prod", own=True)
    report = two.push(mode="upsert")
    assert "keeps no versions; nothing was changed" in why(report), report
    assert two.objects("prod", own=True) == before
    two.keys["prod"] = {"objects": (tmp_path / "prod").as_uri()}
    (tmp_path / "prod").mkdir()
    two.configure(keep="versions")
    with pytest.raises(CannotRun, match="only a bucket may"):
        two.push(mode="upsert")


def test_objects_of_a_time_before_versioning_are_copied(two):
    bucket = f"unversioned{id(two)}"
    two.keys["prod"]["objects"] = f"s3://{bucket}/a"
    two.configure(keep="versions")
    two.put("prod", PROD)
    s3kit.server().versioned(bucket)
    two.put("prod", {"own.txt": b"with a version"})
    before = two.objects("prod")
    assert two.push(mode="mirror", delete=True).state == "done"
    # "changed.txt" has no version of its own.
    assert sorted(key.rpartition("/")[2].rpartition(".")[2] for key in own(two)) == ["txt", "versions"]
    assert two.undo().state == "done" and two.objects("prod") == before


def test_versions_that_the_bucket_dropped_are_told(two, monkeypatch):
    assert two.push(mode="upsert").state == "done"
    noted = keeping._noted
    monkeypatch.setattr(
        keeping, "_noted", lambda at, id_: {
            key: type(one)(one.key, one.size, one.etag, "0" * 32) for key, one in noted(at, id_).items()
        },
    )  # fmt: skip
    undone = two.undo()
    assert undone.state != "done" and "changed.txt (it is gone from where it comes from)" in why(undone)


def test_what_is_noted_goes_with_its_run(two):
    assert two.push(mode="upsert").state == "done"
    (key,) = own(two)
    at = store(two.keys["prod"])
    id_ = key.rpartition("/")[2].removesuffix(".versions")
    assert keeping.kept(at, id_)
    assert keeping.forget(at, id_) == 1 and own(two) == [] and keeping.kept(at, id_) == {}
