"""What counts as a change, and which kind of one."""

from __future__ import annotations

import os
import time

import pytest

from raccord.coordination.changes import Known, changed
from raccord.coordination.watched import anchored, find, hashed, look
from raccord.model.coordination import FileState, file_type
from raccord.model.globs import leads

ALL = ("/**",)


def state(path, text, error=""):
    return FileState(path, hashed(text.encode()) if not error else "", len(text), 1.0, "s", error)


def kinds(known, found):
    changes, _, _ = changed("/r", known, found, 2.0)
    return [(one.kind, one.path, one.before) for one in changes]


def known(*states, patterns=ALL, own=None):
    return Known(patterns, {one.path: one for one in states}, own or set())


def test_each_kind_is_told():
    before = known(state("a", "1"), state("b", "2"), state("c", "3"))
    found = {"a": state("a", "9"), "b": None, "c": state("c", "3"), "d": state("d", "4")}
    assert kinds(before, found) == [("modified", "a", ""), ("deleted", "b", ""), ("created", "d", "")]


def test_a_file_that_went_and_came_elsewhere_was_renamed_once():
    before = known(state("a", "same"), state("b", "same"))
    found = {"a": None, "b": None, "x": state("x", "same"), "y": state("y", "same"), "z": state("z", "same")}
    assert kinds(before, found) == [("renamed", "x", "a"), ("renamed", "y", "b"), ("created", "z", "")]


def test_empty_files_are_not_taken_for_each_other():
    assert kinds(known(state("a", "")), {"a": None, "b": state("b", "")}) == [
        ("deleted", "a", ""),
        ("created", "b", ""),
    ]


def test_what_was_there_before_anybody_watched_was_not_created():
    assert kinds(known(patterns=None), {"a": state("a", "1")}) == []
    assert kinds(known(patterns=("/b",)), {"a": state("a", "1"), "b": state("b", "1")}) == [
        ("created", "b", "")
    ]


def test_what_is_no_longer_watched_was_not_deleted():
    before = Known(ALL, {"a": state("a", "1"), "b": state("b", "2")}, set(), ("/b", "/c"))
    changes, _, gone = changed("/r", before, {"a": None, "b": None, "c": state("c", "1")}, 2.0)
    assert [(one.kind, one.path) for one in changes] == [("deleted", "b"), ("created", "c")]
    assert gone == ["a", "b"]


def test_what_raccord_wrote_is_no_change_but_a_change_of_it_is():
    before = known(state("a", "1"), own={("a", hashed(b"2")), ("a", hashed(b"5")), ("n", hashed(b"3"))})
    assert kinds(before, {"a": state("a", "2"), "n": state("n", "3")}) == []
    assert kinds(before, {"a": state("a", "5")}) == []
    assert kinds(before, {"a": state("a", "3"), "n": state("n", "4")}) == [
        ("modified", "a", ""),
        ("created", "n", ""),
    ]


def test_an_unreadable_file_has_not_changed_and_its_next_content_is_compared_with_its_last():
    before = known(state("a", "1"))
    changes, keep, gone = changed("/r", before, {"a": state("a", "", "denied")}, 2.0)
    assert (changes, gone) == ([], [])
    assert [(one.checksum, one.error) for one in keep] == [(hashed(b"1"), "denied")]
    assert kinds(known(*keep), {"a": state("a", "2")}) == [("modified", "a", "")]
    assert kinds(known(*keep), {"a": state("a", "1")}) == []


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("/docs/architecture/*.md", "docs", True),
        ("/docs/architecture/*.md", "docs/architecture", True),
        ("/docs/architecture/*.md", "docs/architecture/deep", False),
        ("/docs/architecture/*.md", "src", False),
        ("/AGENTS.md", "docs", False),
        ("/**/AGENTS.md", "a/b/c", True),
        ("!/docs/**", "docs", False),
    ],
)
def test_a_walk_goes_where_patterns_lead(pattern, folder, expected):
    assert leads((pattern,), folder) is expected


def test_only_named_files_are_found_and_only_folders_that_may_hold_them(tmp_path):
    for path in (
        "AGENTS.md",
        "docs/architecture/a.md",
        "docs/architecture/x/a.md",
        "src/AGENTS.md",
        ".git/AGENTS.md",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / ".git").write_text("gitdir: elsewhere")
    (tmp_path / "nested" / "AGENTS.md").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find(str(tmp_path), anchored(["AGENTS.md", "docs/architecture/*.md"]))
    assert found.files == ("AGENTS.md", "docs/architecture/a.md")
    assert [os.path.relpath(one, tmp_path) for one in found.folders] == [".", "docs", "docs/architecture"]
    assert find(str(tmp_path), anchored(["**/AGENTS.md", "!src/**"])).files == ("AGENTS.md",)


def test_a_file_that_nothing_was_written_to_is_not_read_again(tmp_path):
    (tmp_path / "a").write_text("1")
    os.utime(tmp_path / "a", (1, 1))
    read: list[str] = []
    one = look(str(tmp_path), "a", keep=lambda checksum, data: read.append(checksum))
    assert one is not None
    assert look(str(tmp_path), "a", one, keep=lambda checksum, data: read.append(checksum)) == one
    assert len(read) == 1


def test_a_file_written_to_just_now_is_read_again_even_where_its_times_agree(tmp_path):
    place = tmp_path / "a"
    place.write_text("1")
    one = look(str(tmp_path), "a")
    seen = place.stat()
    place.write_text("2")
    os.utime(place, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    two = look(str(tmp_path), "a", one)
    assert one is not None
    assert two is not None
    assert one.checksum != two.checksum


def test_links_pipes_and_foreign_folders_neither_hang_nor_lead_away(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(secret)
    os.mkfifo(root / "pipe")
    began = time.monotonic()
    link = look(str(root), "link")
    assert link is not None
    assert link.checksum == hashed(os.fsencode(secret))
    assert look(str(root), "pipe") is None
    assert look(str(root), "link/below") is None
    assert time.monotonic() - began < 60


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_rights_is_an_error_and_no_deletion(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "a").chmod(0)
    one = look(str(tmp_path), "a")
    assert one is not None
    assert one.error


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("AGENT_SYNC.md", "sync"),
        ("SYNC_STATUS.md", "sync"),
        ("docs/passation_claude.md", "passation"),
        ("docs/architecture/10-Memoire.md", "architecture"),
        ("docs/guide.md", "docs"),
        ("AGENTS.md", "docs"),
        ("src/main.py", "other"),
    ],
)
def test_file_types(path, expected):
    assert file_type(path) == expected
