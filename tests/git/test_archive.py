"""The documents of runs: kept, replaced only by who saw the last, and what they pin stays."""

from __future__ import annotations

import pytest

from raccord.errors import HeldBack, RaccordError, UsageError, WorldMoved
from raccord.git import archive
from raccord.git.archive import GitArchive
from tests.git.snapshotkit import collect, opened
from tests.gitkit import Repo


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"a": "one\n"})
    return made


def archive_of(repo):
    found, _ = opened(repo)
    return GitArchive(found.git, found.common, len(found.zero) // 2)


def test_documents_come_back_and_the_last_one_counts(repo):
    kept = archive_of(repo)
    kept.save("20260101-1", b'{"n": 1}', [])
    kept.save("20260101-1", b"\x00\xff\n", [repo.oid()])
    archive_of(repo).save("20260101-1", b"third", [])
    kept.save("20260102-2", b"other", [])
    assert kept.load_all() == {"20260101-1": b"third", "20260102-2": b"other"}
    assert archive.load(opened(repo)[0].git, "20260101-1") == b"third"
    assert GitArchive(opened(repo)[0].git, opened(repo)[0].common).load_all() == kept.load_all()


def test_who_did_not_see_the_last_document_is_refused(repo):
    mine, theirs = archive_of(repo), archive_of(repo)
    mine.save("r", b"1", [])
    theirs.save("r", b"2", [])
    with pytest.raises(WorldMoved, match="r was saved"):
        mine.save("r", b"3", [])
    assert mine.load_all() == {"r": b"2"}


def test_what_it_pins_survives_gc_until_it_is_dropped(repo):
    repo.git("checkout", "-q", "--detach")
    lost = repo.commit({"a": "lost\n"})
    other = repo.commit({"a": "other\n"})
    repo.git("checkout", "-q", "main")
    kept = archive_of(repo)
    kept.save("r", b"1", [lost])
    kept.save("r", b"2", [other, other])
    collect(repo)
    repo.git("cat-file", "-e", lost)
    repo.git("cat-file", "-e", other)
    archive.drop(opened(repo)[0].git, ["r", "never"])
    assert kept.load_all() == {}
    collect(repo)
    assert repo.git("rev-list", "--all") == repo.oid()


def test_a_pin_that_is_missing_is_an_error_that_leaves_nothing(repo):
    with pytest.raises(HeldBack, match="1" * 40):
        archive_of(repo).save("r", b"1", ["1" * 40])
    assert archive_of(repo).load_all() == {}
    assert not list((repo.path / ".git").glob("fast_import*"))


def test_what_is_not_there_or_not_ours_is_named(repo):
    found = opened(repo)[0].git
    with pytest.raises(UsageError):
        archive.load(found, "none")
    repo.git("update-ref", "refs/raccord/runs/foreign", "HEAD")
    (none,) = archive.load_all(found).values()
    assert isinstance(none, RaccordError) and none.message == "refs/raccord/runs/foreign holds no run"
    assert none.hint == "git update-ref -d refs/raccord/runs/foreign"


def test_it_runs_no_hook(repo, tmp_path):
    trap = tmp_path / "trap"
    repo.write(".git/hooks/reference-transaction", f"#!/bin/sh\ntouch {trap}\n").chmod(0o755)
    archive_of(repo).save("r", b"1", [repo.oid()])
    assert not trap.exists()
