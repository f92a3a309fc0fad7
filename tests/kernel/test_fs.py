"""Single files: atomic, contained, never through a link, foreseen failures in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import threading

import pytest

from raccord.errors import CannotRun, LockTimeout, UnsafePath
from raccord.kernel import fs, fs_alive, fs_rename
from raccord.kernel.fs_tree import Tree

ROOT = os.name == "posix" and os.geteuid() == 0


@contextlib.contextmanager
def tiny_disk(path, size="64k"):
    """A file system of its own that is soon full; the test is skipped where none can be mounted."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    path = tmp_path / "file"
    fs.write_atomic(path, b"one", mode=0o600, exact=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    fs.write_atomic(path, b"two" * 100_000)
    assert path.read_bytes() == b"two" * 100_000
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff" * 255)
    fs.write_atomic(os.fsdecode(path), b"x")
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff" * 255]


def test_a_full_disk_leaves_the_old_file_and_says_so_in_a_line(tmp_path):
    with tiny_disk(tmp_path / "disk") as disk:
        fs.write_atomic(disk / "file", b"old")
        with pytest.raises(CannotRun, match="the disk is full"):
            fs.write_atomic(disk / "file", b"x" * 1_000_000)
        assert fs.read(disk / "file") == b"old"
        assert os.listdir(disk) == ["file"]


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b", "a/.."])
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    with pytest.raises(UnsafePath):
        fs.contained(tmp_path, path)
    with Tree(tmp_path) as tree, pytest.raises(UnsafePath):
        tree.parent(path)


@pytest.mark.parametrize("path", ["a", "-rf", "a\nb", "a/b", "a/b/c", "..a/...", "\udcff/x"])
def test_a_strange_path_inside_is_not(tmp_path, path):
    assert fs.contained(tmp_path, path) == tmp_path / path


def test_a_parent_that_is_a_link_is_refused_and_the_last_part_may_be_one(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to("../out")
    for path in ("link/file", "link/deep/file"):
        with pytest.raises(UnsafePath, match="symbolic link"):
            fs.contained(tmp_path / "in", path)
    assert fs.contained(tmp_path / "in", "link") == tmp_path / "in/link"
    with Tree(tmp_path / "in") as tree:
        with pytest.raises(UnsafePath, match="symbolic link"):
            tree.parent("link/file")
        found = tree.signature("link")
        assert found is not None and found.is_link
    with pytest.raises(UnsafePath):
        fs.read(tmp_path / "in/link")


def test_a_parent_replaced_by_a_link_meanwhile_is_not_followed(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    with Tree(tmp_path / "in") as tree, Tree(tmp_path) as other:
        folder, _ = tree.parent("sub/file")
        os.rename(tmp_path / "in/sub", tmp_path / "in/away")
        (tmp_path / "in/sub").symlink_to("../out")
        (tmp_path / "file").write_text("x")
        other.top.place("file", folder, "file")
        tree.forget()
        with pytest.raises(UnsafePath):
            tree.parent("sub/file")
    assert os.listdir(tmp_path / "out") == []
    assert os.listdir(tmp_path / "in/away") == ["file"]


def test_the_trash_never_overwrites_and_keeps_the_relative_path(tmp_path):
    places = []
    for text in ("one", "two"):
        fs.make_dirs(tmp_path / "root/a")
        (tmp_path / "root/a/file").write_text(text)
        places.append(fs.trash(tmp_path / "root", "a/file", tmp_path / "trash"))
    assert [place.relative_to(tmp_path / "trash").as_posix() for place in places] == ["a/file", "a/file.1"]
    assert [place.read_text() for place in places] == ["one", "two"]
    with pytest.raises(FileNotFoundError):
        fs.trash(tmp_path / "root", "a/file", tmp_path / "trash")


def test_the_trash_takes_a_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "precious").write_text("x")
    (tmp_path / "root/link").symlink_to("../precious")
    fs.trash(tmp_path / "root", "link", tmp_path / "trash")
    assert (tmp_path / "precious").read_text() == "x"
    assert os.readlink(tmp_path / "trash/link") == "../precious"


def test_trash_on_another_file_system_stays_with_the_files_and_hides_itself(tmp_path):
    with tiny_disk(tmp_path / "disk") as disk:
        (disk / "file").write_text("x")
        there = fs.trash(disk, "file", tmp_path / "trash")
        assert there == disk / ".raccord-trash/file"
        assert (disk / ".raccord-trash/.gitignore").read_text() == "*\n"


def test_a_temporary_tree_goes_with_its_links_unfollowed_and_closed_folders_opened(tmp_path):
    (tmp_path / "tree/closed").mkdir(parents=True)
    (tmp_path / "tree/closed/file").write_text("x")
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree/link").symlink_to("../kept")
    (tmp_path / "tree/closed").chmod(0)
    fs.remove_tree(tmp_path / "tree")
    assert os.listdir(tmp_path) == ["kept"]
    fs.remove_tree(tmp_path / "tree")


@pytest.mark.parametrize("native", [True, False])
def test_placing_never_overwrites(tmp_path, monkeypatch, native):
    if not native:
        monkeypatch.setattr(fs_rename, "_RENAME", None)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("b", "link"):
        with pytest.raises(FileExistsError):
            fs_rename.place(str(tmp_path / "a"), str(tmp_path / taken))
    assert (tmp_path / "b").read_text() == "b"
    fs_rename.place(str(tmp_path / "link"), str(tmp_path / "moved"))
    assert os.readlink(tmp_path / "moved") == "nowhere"
    fs_rename.place(str(tmp_path / "a"), str(tmp_path / "c"))
    assert sorted(os.listdir(tmp_path)) == ["b", "c", "moved"]


def test_placing_by_links_goes_on_where_a_kill_left_both_names(tmp_path, monkeypatch):
    monkeypatch.setattr(fs_rename, "_RENAME", None)
    (tmp_path / "a").write_text("a")
    os.link(tmp_path / "a", tmp_path / "b")
    fs_rename.place(str(tmp_path / "a"), str(tmp_path / "b"))
    assert os.listdir(tmp_path) == ["b"]


def test_exchanging_needs_both(tmp_path):
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileNotFoundError):
        fs_rename.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    (tmp_path / "b").symlink_to("x")
    fs_rename.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert os.readlink(tmp_path / "a") == "x"
    assert (tmp_path / "b").read_text() == "a"


def test_another_mount_of_the_same_file_system_is_noticed_without_touching_it(tmp_path):
    for name in ("real", "bound"):
        (tmp_path / name).mkdir()
    done = subprocess.run(["mount", "--bind", tmp_path / "real", tmp_path / "bound"], capture_output=True)
    if done.returncode:
        pytest.skip(f"no bind mount here: {done.stderr.decode().strip()}")
    try:
        assert fs_rename.same_mount(str(tmp_path), str(tmp_path / "real"))
        assert not fs_rename.same_mount(str(tmp_path), str(tmp_path / "bound"))
    finally:
        subprocess.run(["umount", tmp_path / "bound"], check=True)


def test_a_signature_tells_a_write_of_the_same_size(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    before = fs.signature(path)
    assert before is not None and before.same(fs.signature(path))
    os.utime(path, ns=(1, before.mtime_ns))
    now = fs.signature(path)
    assert not before.same(now) and before.same(now, moved=True)
    path.write_text("two")
    os.utime(path, ns=(1, before.mtime_ns + 1))
    assert not before.same(fs.signature(path), moved=True)
    assert fs.signature(tmp_path / "no") is None and fs.signature(path / "below") is None


def test_only_foreseen_failures_become_a_line(tmp_path):
    with pytest.raises(CannotRun, match="can't do it: permission denied"), fs.foreseen("can't do it"):
        raise OSError(errno.EACCES, "x")
    with pytest.raises(OSError, match="x"), fs.foreseen("can't do it"):
        raise OSError(errno.EBADF, "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        fs.make_dirs(tmp_path / "file/below")


def test_a_child_holds_the_lock_of_its_dead_parent(tmp_path):
    path = tmp_path / "alive"
    with fs_alive.alive(path, 0) as file:
        child = subprocess.Popen(["sleep", "100"], stderr=file)
    try:
        with pytest.raises(LockTimeout), fs_alive.alive(path, 0.05):
            pass
    finally:
        child.kill()
        child.wait()
    with fs_alive.alive(path, 60):
        pass


def test_the_lock_of_a_removed_file_is_no_lock(tmp_path):
    path = tmp_path / "alive"
    took = threading.Event()

    def second() -> None:
        with fs_alive.alive(path, 60):
            took.set()

    with fs_alive.alive(path, 0):
        thread = threading.Thread(target=second)
        thread.start()
        path.unlink()
        path.write_text("")
    thread.join()
    assert took.is_set()
