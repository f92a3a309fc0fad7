"""Whether two objects are the same, without reading them; and a manifest that makes no sense."""

from __future__ import annotations

import pytest

from raccord.files import carry, manifest
from raccord.files.compare import Known, Verdict, verdict
from raccord.objects.model import Entry
from tests.fileskit import Two, store

ONE, TWO = "a" * 32, "b" * 32
KNOWN = Known(1, "sha", "here", "there")


@pytest.mark.parametrize(
    ("source", "target", "known", "same_source", "expected"),
    [
        (Entry("k", 1, ONE), Entry("k", 2, ONE), None, True, Verdict.DIFFERENT),
        (Entry("k", 1, ONE), Entry("k", 1, ONE), None, True, Verdict.SAME),
        (Entry("k", 1, ONE), Entry("k", 1, TWO), None, True, Verdict.DIFFERENT),
        (Entry("k", 1, f"{ONE}-2"), Entry("k", 1, f"{ONE}-2"), None, True, Verdict.UNREAD),
        (Entry("k", 1, "here"), Entry("k", 1, "there"), KNOWN, True, Verdict.SAME),
        (Entry("k", 1, "here"), Entry("k", 1, "there"), KNOWN, False, Verdict.UNREAD),
        (Entry("k", 1, "here"), Entry("k", 1, "moved"), KNOWN, True, Verdict.UNREAD),
        (Entry("k", 1, "moved"), Entry("k", 1, "there"), KNOWN, True, Verdict.UNREAD),
    ],
)
def test_verdicts(source, target, known, same_source, expected):
    assert verdict(source, target, known, same_source) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 9}',
        '{"version": 1, "source": "x", "objects": {"a": [1]}}',
        "[" * 100_000,
        "\\udcff",
    ],
)
def test_a_manifest_that_makes_no_sense_is_told_and_not_used(tmp_path, text):
    two = Two(tmp_path)
    two.put("dev", {"a": b"1", "b": b"2"})
    two.put("prod", {"a": b"1", ".raccord-manifest/all.json": text.encode()})
    found = two.diff()
    assert (found.added, found.same) == (1, 1)
    assert [note.name for note in found.notes] == ["files.manifest"]
    assert two.push().state == "done"
    assert manifest.load(store(two.keys["prod"]), "all").known.keys() == {"a", "b"}


def test_what_was_read_once_is_not_read_again(tmp_path, monkeypatch):
    two = Two(tmp_path)
    two.put("dev", {"a": b"1", "b": b"2"})
    two.put("prod", {"a": b"1", "b": b"x"})
    assert two.push().state == "done"  # only what was found out is noted
    assert two.objects("prod") == {"a": b"1", "b": b"x"}
    read = []
    monkeypatch.setattr(carry, "drained", lambda found, key, etag, take: read.append(key))
    two.diff()
    assert "a" not in read
    two.put("dev", {"a": b"3"})
    two.diff()
    assert "a" in read


def test_memory_is_given_out_in_turns():
    budget = carry.Budget(100)
    assert budget.take(60) == 60
    assert budget.take(40) == 40
    budget.give(100)
    assert budget.take(1000) == 100
