"""Servers in containers, near and far: found by name, reached by what the image has, and let go of."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from raccord.errors import ContainerMissing, TransportError
from raccord.transport.container import Container
from raccord.transport.local import Local
from raccord.transport.relays import PROBE, relay
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login

PROGRAMS = ["bash", "perl", "python3", "socat", "busybox", "nc.traditional", "nc.openbsd"]


class Server:
    """Says back what it hears, or says something and closes; tells when its connection has ended.

    Args:
        path: of its socket; "" to listen on a port.
    """

    def __init__(self, path: str = "", says: bytes | None = None) -> None:
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen()
        self.host = path or "127.0.0.1"
        self.port = 1 if path else self.listener.getsockname()[1]
        self.says = says
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                made, _ = self.listener.accept()
                with made:
                    if self.says is not None:
                        made.sendall(self.says)
                        continue
                    with contextlib.suppress(OSError):
                        while data := made.recv(1 << 18):
                            made.sendall(data)
                self.ended.set()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


@pytest.fixture
def here(tmp_path):
    return Local(tmp_path)


@pytest.fixture
def afar(far):
    place = Ssh(Login(far.alias, config=far.config))
    yield place
    place.close()


def sent(path: Path, data: bytes) -> bytes:
    """What comes back, as much as was sent."""
    heard = bytearray()
    with socket.socket(socket.AF_UNIX) as made, contextlib.suppress(ConnectionError):
        made.settimeout(20)
        made.connect(str(path))
        threading.Thread(target=_send, args=(made, data), daemon=True).start()
        while len(heard) < len(data) and (more := made.recv(1 << 18)):
            heard += more
    return bytes(heard)


def _send(made: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        made.sendall(data)


def heard(path: Path) -> bytes:
    """What comes until the other side closes, while this one stays open."""
    said = b""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(20)
        made.connect(str(path))
        while more := made.recv(1 << 18):
            said += more
    return said


@pytest.mark.long_but(5)
@pytest.mark.parametrize("local", [False, True], ids=["port", "socket"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_relay_passes_all_on_and_ends_with_either_side(docker, here, tmp_path, program, local):
    found = shutil.which(program)
    if found is None and program != "python3":
        pytest.skip(f"there is no program {program}")
    kind = {"busybox": "nc", "nc.traditional": "nc", "nc.openbsd": "nc"}.get(program)
    docker.add("db", **{kind: Path(found)}) if kind else docker.add("db", program)
    place = Container(here, "db")
    path = str(tmp_path / "s") if local else ""
    if (
        relay(here.run(["docker", "exec", "-i", "db", "sh", "-c", PROBE]).stdout.decode(), path or "h", 1)
        is None
    ):
        with pytest.raises(TransportError, match="no program"), place.forwarded(path or "127.0.0.1", 1):
            pass
        return
    data = os.urandom(3 << 20)
    with Server(path) as server, place.forwarded(server.host, server.port, name="x") as way:
        assert way.name == "x" and way.parent.stat().st_mode & 0o777 == 0o700
        assert sent(way, data) == data
        assert server.ended.wait(20)
    Path(path).unlink() if path else None
    with Server(path, says=data) as server, place.forwarded(server.host, server.port) as way:
        assert heard(way) == data
    assert not way.parent.exists()


def test_which_relays_the_image_has(docker, here):
    docker.add("bare", "bash", "perl")
    said = here.run(["docker", "exec", "-i", "bare", "sh", "-c", PROBE])
    assert said.stdout.decode().split() == ["bash", "perl"], said

    def words(said: str, host: str) -> list[str]:
        return relay(said, host, 5432) or []

    assert words("perl\nbash\n", "db")[0] == "bash"
    assert words("perl\nbash\n", "/run/s")[0] == "perl"
    assert words("socat\nperl\n", "a,exec:b")[0] == "perl"  # socat would take that apart
    assert words("socat\n", "::1")[-1] == "TCP:[::1]:5432,nodelay"
    assert words("nc openbsd\n", "db") == words("", "db") == []
    for one in ("perl", "python3", "bash", "socat"):
        assert not [word for word in (*words(one, "db"), PROBE) if set("\n!'") & set(word)]


def test_through_a_host(docker, far, afar):
    for program in ("bash", "perl", "python3"):
        docker.add(f"db-{program}", program)
    with Server() as server:
        for program in ("bash", "perl", "python3"):
            place = Container(afar, f"db-{program}")
            assert (
                place.shown == f"container db-{program} on far"
                and place.key == f"ssh:far|docker:db-{program}"
            )
            data = os.urandom(1 << 20)
            with place.forwarded("localhost", server.port) as way:
                assert sent(way, data) == data
                assert server.ended.wait(20)
                server.ended.clear()
        assert far.log.count("Accepted publickey") == 1


def test_what_is_no_container_or_several(docker, here):
    def refused(wanted: str, program=("docker",)) -> TransportError:
        with (
            pytest.raises(TransportError) as caught,
            Container(here, wanted, program).forwarded("localhost", 1),
        ):
            pass
        return caught.value

    assert "running: none" in refused("db").message
    docker.add("web-1", label="app=web")
    docker.add("web-2", label="app=web")
    docker.add("old", status="Exited (0) 3 days ago")
    error = refused("web")
    assert isinstance(error, ContainerMissing)
    assert "there is no container web; running: web-1 (Up 2 hours), web-2 (Up 2 hours)" in error.message
    assert error.data["found"] == ["web-1 (Up 2 hours)", "web-2 (Up 2 hours)"]
    error = refused("label=app=web")
    assert "several" in error.message and "web-1" in error.message and "web-2" in error.message
    assert "web-1" in refused("label=app=db").message
    error = refused("old")
    assert "doesn't run: old (Exited (0) 3 days ago)" in error.message and error.hint == "docker start old"
    docker.add("slim", shell=False)
    assert "nothing can be run in the container slim" in refused("slim").message
    docker.add("none")
    assert "no program that leads to localhost:1" in refused("none").message
    assert "there is no program nerdctl" in refused("db", ("nerdctl",)).message
    docker.broken("permission denied while trying to connect to the Docker daemon socket")
    assert "may not be asked by who logs in" in refused("db").message
    docker.broken("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?")
    assert "no daemon that answers" in refused("db").message


def test_a_host_without_the_program(afar):
    with pytest.raises(TransportError) as caught:
        Container(afar, "db", ("no-such-program",)).found()
    assert caught.value.message == "there is no program no-such-program on far"


def test_one_container_by_a_filter_and_another_that_took_its_place(docker, here):
    first = docker.add("app-db-1", "perl", label="app=db")
    docker.add("app-web-1", label="app=web")
    place = Container(here, "label=app=db")
    with Server() as server:
        with place.forwarded("localhost", server.port) as way:
            assert sent(way, b"one") == b"one"
        docker.remove(first)
        second = docker.add("app-db-2", "perl", label="app=db")
        with place.forwarded("localhost", server.port) as way:
            assert sent(way, b"two") == b""
        assert "No such container" in place.said()
        with place.forwarded("localhost", server.port) as way:
            assert sent(way, b"three") == b"three"
    assert place.found().id == second


def test_nobody_listens_there(docker, here):
    for program in ("bash", "perl", "python3"):
        docker.add(program, program)
        place = Container(here, program)
        with place.forwarded("localhost", 1) as way:
            assert heard(way) == b""
        assert "refused" in place.said(), (program, place.said())


HOLDS = """
import socket, sys, time
from pathlib import Path
from raccord.transport.container import Container
from raccord.transport.local import Local
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
place = Ssh(Login("far", config=sys.argv[1])) if sys.argv[1] else Local(Path("."))
with Container(place, "db").forwarded("localhost", int(sys.argv[2])) as path:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    made.sendall(b"x")
    print(made.recv(1), flush=True)
    time.sleep(60)
"""


@pytest.mark.long_but(2)
@pytest.mark.parametrize("program", ["bash", "perl", "python3"])
@pytest.mark.parametrize("remote", [False, True], ids=["here", "afar"])
def test_a_killed_process_leaves_no_session(request, docker, program, remote):
    docker.add("db", program)
    config = request.getfixturevalue("far").config if remote else ""
    with Server() as server:
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDS, config, str(server.port)], stdout=subprocess.PIPE, env=os.environ
        )
        assert child.stdout is not None and child.stdout.readline().strip() == b"b'x'"
        child.kill()
        child.wait()
        child.stdout.close()
        assert server.ended.wait(20)
