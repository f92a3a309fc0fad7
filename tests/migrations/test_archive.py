"""raccord's own store of migrations: kept through gc, shared by raccords at the same time."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading

import pytest

from raccord.errors import RaccordError
from raccord.git.repo import open_repository
from raccord.migrations.archive import REF, Archive, Content, Shelf
from raccord.migrations.contents import Origin
from tests.gitkit import Repo
from tests.migrations.places import Desk, digest, written


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def archive_of(desk: Desk) -> Archive:
    return Archive(open_repository(desk.repo.path))


def content(rev: str, body: str = "pass", origin: Origin | None = None) -> Content:
    return Content(rev, f"{rev}.py", written(rev, None, body), origin)


def test_contents_come_back_with_where_they_came_from(desk):
    origin = Origin(
        "ref", "refs/heads/x", "v/a\udcff.py", "1" * 40, "Ä <a@b>", 12.5, digest(written("aaaa", None))
    )
    archive = archive_of(desk)
    assert archive.read() == Shelf()
    assert archive.remember([content("aaaa", origin=origin), content("bbbb")], at=7.0) == 2
    assert archive.remember([content("aaaa")]) == 0
    kept = archive_of(desk).read().contents[origin.digest]
    assert (kept.revision, kept.name, kept.seen, kept.origin) == ("aaaa", "aaaa.py", 7.0, origin)
    names = desk.repo.git("ls-tree", "-r", "--name-only", REF).split("\n")
    assert names == sorted(
        [f"aaaa/{origin.digest}.py", f"bbbb/{digest(written('bbbb', None))}.py", "meta.json"]
    )


def test_nothing_new_writes_nothing(desk):
    archive = archive_of(desk)
    archive.remember([content("aaaa")], applied_to="db", at=1.0)
    before = desk.repo.oid(REF)
    archive.remember([content("aaaa")])
    archive.remember([])
    archive.taken_back("other", ["aaaa"])
    assert desk.repo.oid(REF) == before


def test_what_was_applied_where(desk):
    archive = archive_of(desk)
    first, second = content("aaaa", "x = 1"), content("aaaa", "x = 2")
    archive.remember([first], applied_to="db1", at=1.0)
    archive.remember([second], applied_to="db2", at=2.0)
    assert archive.applied("db1", "aaaa") == digest(first.source)
    assert archive.applied("db2", "aaaa") == digest(second.source)
    assert archive.applied("db3", "aaaa") is archive.applied("db1", "bbbb") is None
    archive.remember([second], applied_to="db1", at=3.0)
    assert archive.read().digests("db1") == {"aaaa": digest(second.source)}
    archive.taken_back("db1", ["aaaa", "never"])
    assert archive.applied("db1", "aaaa") is None
    assert archive.read().ever_applied(digest(second.source)) == "db2"
    assert len(archive.read().contents) == 2


@pytest.mark.parametrize(
    "rev", ["..", ".git", "a/b", "-x", "ümläut", "con", "git~1", "%2E", "a\nb", "x" * 300]
)
def test_any_id(desk, rev):
    archive = archive_of(desk)
    archive.remember([content(rev), content("aaaa")])
    assert {one.revision for one in archive.read().contents.values()} == {rev, "aaaa"}
    desk.repo.git("fsck", "--strict")


def test_it_survives_gc_and_everything_else_being_deleted(desk):
    archive_of(desk).remember([content("aaaa")])
    desk.repo.git("reflog", "expire", "--expire=now", "--all")
    desk.repo.git("gc", "--quiet", "--prune=now")
    found = desk.find("aaaa")
    assert found.contents["aaaa"][0].source == written("aaaa", None)
    assert found.contents["aaaa"][0].origins[0].kind == "archive"


def test_a_content_that_was_only_seen_is_one_of_the_past(desk):
    archive_of(desk).remember([content("aaaa", "x = 1")])
    desk.put("untracked", {"a.py": written("aaaa", None, "x = 2")})
    found = desk.find("aaaa").contents["aaaa"]
    assert [one.current for one in found] == [False, True]


def test_threads_at_the_same_time_lose_nothing(desk):
    def work(number: int) -> None:
        archive = archive_of(desk)
        for each in range(4):
            archive.remember([content(f"r{number}x{each}")], applied_to=f"db{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    shelf = archive_of(desk).read()
    assert len(shelf.contents) == 16
    assert {database: len(one) for database, one in shelf.applied.items()} == {f"db{n}": 4 for n in range(4)}


def writer(path, number):
    archive = Archive(open_repository(path))
    for each in range(8):
        archive.remember([content(f"p{number}x{each}")], applied_to="db")


@pytest.mark.long
def test_a_git_that_was_killed_leaves_no_lock_behind(desk, tmp_path, monkeypatch):
    lock, once = desk.repo.path / f".git/{REF}.lock", tmp_path / "once"
    shim = tmp_path / "bin/git"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *fast-import*) if [ ! -e {once} ]; then\n'
        f"mkdir -p {lock.parent}; : > {lock}; : > {once}; kill -9 $$\nfi;; esac\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    assert archive_of(desk).remember([content("aaaa")]) == 1
    assert once.exists() and not lock.exists()


@pytest.mark.long
def test_processes_at_the_same_time_lose_nothing(desk):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=writer, args=(desk.repo.path, number)) for number in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0] * 8
    assert len(archive_of(desk).read().digests("db")) == 64


@pytest.mark.parametrize(
    "meta", [b"", b"[]", b"{", b'{"format": 2}', b'{"format": 1, "contents": [], "applied": {}}']
)
def test_a_ref_that_is_not_ours_is_named_and_left_alone(desk, meta):
    blob = desk.repo.git("hash-object", "-w", "--stdin", input=meta)
    tree = desk.repo.git("mktree", input=f"100644 blob {blob}\tmeta.json\n")
    commit = desk.repo.git("commit-tree", "-m", "x", tree)
    desk.repo.git("update-ref", REF, commit)
    for ask in (archive_of(desk).read, lambda: archive_of(desk).remember([content("aaaa")])):
        with pytest.raises(RaccordError, match="no migrations that this raccord can read"):
            ask()
    assert desk.repo.oid(REF) == commit


def test_a_sha256_repository_and_a_bare_one(tmp_path):
    path = tmp_path / "bare.git"
    path.mkdir()
    Repo(path).git("init", "--quiet", "--bare", "--object-format=sha256")
    archive = Archive(open_repository(path))
    archive.remember([content("aaaa")], applied_to="db")
    assert archive.applied("db", "aaaa") == digest(written("aaaa", None))
    assert Repo(path).git("cat-file", "-t", f"{REF}:aaaa/{digest(written('aaaa', None))}.py") == "blob"
