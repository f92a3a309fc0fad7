"""How often a push lists its target: each listing of a large bucket takes long."""

from __future__ import annotations

from raccord.objects.local import Local
from tests.fileskit import Two


def test_the_target_is_listed_four_times(tmp_path, monkeypatch):
    two = Two(tmp_path)
    two.put("dev", {f"{number}": b"new" for number in range(5)})
    two.put("prod", {"0": b"old"})
    assert two.push(mode="upsert").state == "done"
    listed, listing = [], Local.listing

    def counted(self: Local, below: str = ""):
        listed.append((self.place.prefix, below))
        return listing(self, below)

    two.put("dev", {"0": b"newer", "1": b"newer"})
    two.take("prod", "4")
    monkeypatch.setattr(Local, "listing", counted)
    report = two.push(mode="upsert")
    assert report.state == "done", report
    # For the plan, once what goes is kept, before the first write, and after the last.
    assert listed.count((str(tmp_path / "prod"), "")) == 4, listed
    monkeypatch.undo()
    assert two.objects("prod") == two.objects("dev")
    assert two.push(mode="upsert").state == "nothing"


def test_what_is_gone_leaves_the_manifest(tmp_path):
    two = Two(tmp_path)
    two.put("dev", {"a": b"1", "b": b"1"})
    assert two.push(mode="upsert").state == "done"
    two.take("prod", "a")
    two.take("dev", "a")
    two.put("dev", {"c": b"1"})
    assert two.push(mode="upsert").state == "done"
    noted = two.objects("prod", own=True)[".raccord-manifest/all.json"]
    assert b'"a"' not in noted and b'"b"' in noted and b'"c"' in noted


def test_what_changes_between_plan_and_copy_stops_the_push(tmp_path, monkeypatch):
    two = Two(tmp_path)
    two.put("dev", {"a": b"new", "b": b"new"})
    two.put("prod", {"a": b"old", "b": b"old"})
    copy = Local.copy

    def meddled(self: Local, entry, to):
        copy(self, entry, to)
        (tmp_path / "prod" / entry.key).write_bytes(b"somebody else's")

    monkeypatch.setattr(Local, "copy", meddled)
    report = two.push(mode="upsert")
    assert report.state != "done", report
    assert two.objects("prod") == {"a": b"somebody else's", "b": b"somebody else's"}
