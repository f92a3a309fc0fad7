"""Objects in a directory on another host, through a real ssh server: pushed, taken back, refused, cut off."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.errors import (
    HostKeyChanged,
    ObjectsError,
    TransportError,
    UnsafePath,
    WorldMoved,
)
from raccord.objects import place
from raccord.objects.far import Far
from raccord.objects.model import Store
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
from tests import sshkit
from tests.fileskit import Two

DEV = {"a/1": b"one", "a/é ü 2": b"two" * 100_000, "b": b""}
PROD = {"a/1": b"old", "own/deep/x": b"own"}


@contextlib.contextmanager
def served(path: Path, subsystem: str = "sftp internal-sftp") -> Iterator[tuple[Two, sshkit.Host]]:
    """Prod is a directory on a host."""
    try:
        with sshkit.host(path / "far", Subsystem=subsystem) as host:
            two = Two(path)
            two.keys["prod"] |= {"ssh": host.alias, "ssh_config": host.config}
            two.configure()
            two.keys["prod"] = {"objects": two.keys["prod"]["objects"]}  # the tests look at it from here
            yield two, host
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")


@contextlib.contextmanager
def opened(path: Path, subsystem: str = "sftp internal-sftp") -> Iterator[tuple[Store, Path]]:
    """A directory behind a server."""
    (path / "there").mkdir()
    try:
        with sshkit.host(path / "far", Subsystem=subsystem) as host:
            way = Ssh(Login(host.alias, config=host.config))
            try:
                yield Far(place.parse((path / "there").as_uri(), way=way)), path / "there"
            finally:
                way.close()
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")


def test_there_and_back(tmp_path):
    with served(tmp_path) as (two, host):
        two.put("dev", DEV)
        two.put("prod", PROD)
        report = two.push(mode="mirror", delete=True)
        assert report.state == "done" and "looked at just before" in str(report), report
        assert two.objects("prod") == DEV and not (tmp_path / "prod" / "own").exists()
        # One connection for each command, whatever goes through it.
        assert host.log.count("Accepted publickey") == 1
        assert two.push(mode="mirror", delete=True).state == "nothing"
        assert "sftp://far/" in two.diff().target
        assert two.undo().state == "done" and two.objects("prod") == PROD
        written = list((tmp_path / "prod/.raccord-trash/.writing").iterdir())
        assert not written, written


def test_the_host_can_stand_in_the_url(tmp_path):
    with served(tmp_path) as (two, host):
        two.put("dev", DEV)
        at = two.keys["prod"]["objects"].replace("file://", "sftp://far")
        two.keys["prod"] = {"objects": at, "ssh_config": host.config}
        two.configure()
        assert two.push(mode="upsert").state == "done"
        assert two.diff().target == at
        config = tmp_path / "config"
        config.write_text(host.alias_lines().replace("Host far", "Host 127.0.0.1"))
        at = at.replace("sftp://far", f"sftp://127.0.0.1:{host.port}")
        two.keys["prod"] = {"objects": at, "ssh_config": str(config)}
        two.configure()
        found = two.diff()
        assert found.target == at and found.same == len(DEV)
        two.keys["prod"] = {"objects": (tmp_path / "prod").as_uri()}
        assert two.objects("prod") == DEV


def test_a_changed_host_key_is_a_hard_stop(tmp_path):
    with served(tmp_path) as (two, host):
        two.put("dev", DEV)
        host.known_hosts.unlink()
        key = (host.folder / "id.pub").read_text().split()
        host.known_hosts.write_text(f"[127.0.0.1]:{host.port} {key[0]} {key[1]}\n")
        with pytest.raises(HostKeyChanged):
            two.push()
        assert not two.objects("prod", own=True)


def test_a_host_without_sftp(tmp_path):
    with served(tmp_path, subsystem="other internal-sftp") as (two, _):
        two.put("dev", DEV)
        with pytest.raises(TransportError, match="SFTP of far") as caught:
            two.push()
        assert "sshd_config" in caught.value.hint and not two.objects("prod", own=True)


def test_a_server_that_cannot_replace_in_one_step(tmp_path):
    with served(tmp_path, subsystem="sftp internal-sftp -P posix-rename") as (two, _):
        two.put("dev", DEV)
        two.put("prod", {"x": b"x"})
        report = two.push(mode="upsert")
        assert report.state != "done" and "in one step" in str(report), report
        assert two.objects("prod") == {"x": b"x"}


def test_a_server_that_knows_little(tmp_path):
    with served(tmp_path, subsystem="sftp internal-sftp -P copy-data,limits,fsync") as (two, _):
        two.put("dev", DEV)
        two.put("prod", PROD)
        assert two.push(mode="mirror", delete=True).state == "done"
        assert two.objects("prod") == DEV
        assert two.undo().state == "done" and two.objects("prod") == PROD


def test_links_are_not_followed(tmp_path):
    with opened(tmp_path) as (found, root):
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/secret").write_bytes(b"s")
        (root / "link").symlink_to(tmp_path / "outside")
        (root / "leaf").symlink_to(tmp_path / "outside/secret")
        os.mkfifo(root / "pipe")
        listing = found.listing()
        assert not listing.entries and listing.left.keys() == {"link", "leaf", "pipe"}
        assert found.find("leaf") is None and found.find("pipe") is None
        with pytest.raises(UnsafePath):
            found.listing("link")
        with pytest.raises(UnsafePath):
            found.write("link/new", [b"x"], 1, {}, "")
        with pytest.raises(WorldMoved):
            found.write("leaf", [b"x"], 1, {}, "")
        assert sorted(one.name for one in (tmp_path / "outside").iterdir()) == ["secret"]


def test_a_replacement_can_be_told_from_what_it_replaces(tmp_path):
    with opened(tmp_path) as (found, root):
        etags = [found.write("a", [b"0"], 1, {}, "").etag]
        for number in range(1, 4):
            etags.append(found.write("a", [str(number).encode()], 1, {}, etags[-1]).etag)
            assert etags[-1] != etags[-2]
        assert (root / "a").read_bytes() == b"3"
        os.chmod(root / "a", 0o640)
        found.write("a", [b"4"], 1, {}, etags[-1])
        assert (root / "a").stat().st_mode & 0o777 == 0o640


def test_another_version_is_not_removed(tmp_path):
    with opened(tmp_path) as (found, root):
        first = found.write("a/b/c", [b"1"], 1, {}, "").etag
        (root / "a/b/c").write_bytes(b"other")
        assert found.remove([("a/b/c", first)]) == ["a/b/c"]
        assert (root / "a/b/c").read_bytes() == b"other"
        seen = found.find("a/b/c")
        assert seen is not None and found.remove([("a/b/c", seen.etag)]) == []
        assert not (root / "a").exists()
        found.write("a/b/c", [b"1"], 1, {}, "")  # what was known of directories is known no more


def test_a_directory_that_is_missing(tmp_path):
    with opened(tmp_path) as (found, root):
        root.rmdir()
        with pytest.raises(ObjectsError, match="is no directory"):
            found.listing()


def test_a_push_that_is_cut_off_goes_on(tmp_path, monkeypatch):
    with served(tmp_path) as (two, host):
        objects = {f"{number}": b"new %d" % number for number in range(80)}
        two.put("dev", objects)
        two.put("prod", {"1": b"old", "own": b"own"})
        left, write = [40], Far.write

        def cut(self: Far, *words):
            left[0] -= 1
            if not left[0]:
                for pid in reversed(sshkit.family(host.process.pid)[1:]):
                    with contextlib.suppress(ProcessLookupError):  # gone with the one it served
                        os.kill(pid, signal.SIGKILL)
            return write(self, *words)

        monkeypatch.setattr(Far, "write", cut)
        report = two.push(mode="upsert")
        assert report.state == "stopped", report
        finding = report.lanes[0].finding
        assert finding is not None and "raccord continue" in finding.hint, finding
        there = two.objects("prod")
        assert all(data in (objects.get(key), b"old", b"own") for key, data in there.items())
        with two.workspace as workspace:
            assert workspace.continue_().state == "done"
        assert two.objects("prod") == objects | {"own": b"own"}
        assert two.undo().state == "done"
        assert two.objects("prod") == {"1": b"old", "own": b"own"}
