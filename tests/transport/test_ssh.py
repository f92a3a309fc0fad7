"""A host through a real ssh server: commands, sockets, host keys, and an end in every case."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from raccord.errors import HostKeyChanged, HostKeyUnknown, ProcessTimeout, TransportError
from raccord.kernel.fs_private import private_folder
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login, valid_destination
from tests import sshkit


@pytest.fixture
def place(far):
    found = reached(far)
    yield found
    found.close()


def reached(far: sshkit.Host, **more) -> Ssh:
    return Ssh(Login(far.alias, config=far.config), **more)


@pytest.fixture
def echo():
    """A server that says back what it hears; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            with made:
                while data := made.recv(65536):
                    made.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def say(path: Path, data: bytes) -> bytes:
    heard = b""
    with socket.socket(socket.AF_UNIX) as made, contextlib.suppress(ConnectionError):
        made.connect(str(path))
        threading.Thread(target=send, args=(made, data), daemon=True).start()
        while more := made.recv(65536):
            heard += more
    return heard


def send(made: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)


def test_words_arrive_as_they_are(place, far):
    hostile = ["a b", "$HOME", "it's", 'q"', "", "*", "new\nline", "-n", "é"]
    done = place.run(["printf", "%s|", *hostile])
    assert (done.returncode, done.stdout.decode()) == (0, "|".join([*hostile, ""]))
    line = place.run("echo $((1 + 1)); echo err >&2; exit 7")
    assert (line.returncode, line.stdout, line.stderr) == (7, b"2\n", "err\n")
    assert place.run(["cat"], stdin=b"\0\xff\n").stdout == b"\0\xff\n"
    assert place.run(["no-such-program"]).returncode == 127
    assert far.log.count("Accepted publickey") == 1
    with pytest.raises(ProcessTimeout):
        place.run(["sleep", "60"], timeout=0.3)
    assert place.run("true").returncode == 0


def test_a_socket_leads_to_a_server_as_seen_from_there(place, echo, tmp_path):
    with place.forwarded("localhost", echo, name=".s.PGSQL.5432") as path:
        assert path.name == ".s.PGSQL.5432" and len(os.fsencode(path)) < 90
        folder = path.parent.parent
        assert folder.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o077 == 0
        data = os.urandom(1 << 20)
        assert say(path, data) == data
    with place.forwarded("127.0.0.1", 1) as path:
        assert say(path, b"") == b""
    place.close()
    assert not folder.exists()


def test_a_key_that_nobody_knows(tmp_path):
    with sshkit.host(tmp_path / "far", known=False) as far:
        with pytest.raises(HostKeyUnknown) as caught:
            reached(far).run("true")
        assert far.fingerprint() in caught.value.message
        with pytest.raises(HostKeyUnknown):
            reached(far, trusted="SHA256:" + "A" * 43).run("true")
        with pytest.raises(HostKeyUnknown):
            reached(far, person=lambda question, seen: "no").run("true")
        assert not far.known_hosts.exists() and "Accepted" not in far.log
        asked = []

        def person(question, seen):
            asked.append((question, seen))
            return "yes"

        place = reached(far, person=person)
        assert place.run("true").returncode == 0
        place.close()
        assert len(asked) == 1 and far.fingerprint() in asked[0][0] and asked[0][1]
        far.known_hosts.unlink()
        for trusted in (far.fingerprint(), ""):
            place = reached(far, trusted=trusted)
            assert place.run("true").returncode == 0
            place.close()


@pytest.mark.parametrize("weak", ["no", "accept-new", "off"])
def test_what_the_person_configured_weaker_is_overruled(tmp_path, weak):
    with sshkit.host(tmp_path / "far", known=False) as far:
        far.configure(
            StrictHostKeyChecking=weak, VerifyHostKeyDNS="yes", NoHostAuthenticationForLocalhost="yes"
        )
        with pytest.raises(HostKeyUnknown):
            reached(far).run("true")
        assert "Accepted" not in far.log


def test_a_key_that_changed_stops_everything(tmp_path, far):
    with sshkit.host(tmp_path / "other") as other:
        key = (other.folder / "host_ed25519.pub").read_text().split()[1]
        far.known_hosts.write_text(f"# mine\n[127.0.0.1]:{far.port} ssh-ed25519 {key}\n")
        for weak in ("no", "yes"):
            far.configure(StrictHostKeyChecking=weak)
            with pytest.raises(HostKeyChanged) as caught:
                reached(far, trusted=far.fingerprint(), person=lambda *_: "yes").run("true")
            assert (
                f"{far.known_hosts}:2" in caught.value.message and far.fingerprint() in caught.value.message
            )
        assert "Accepted" not in far.log


def test_through_a_jump_host(tmp_path, far):
    with sshkit.host(tmp_path / "jump", "jump", known=False) as jump:
        far.configure(jump, ProxyJump="jump")
        # The key of the host on the way counts as well.
        with pytest.raises(HostKeyUnknown) as caught:
            reached(far).run("true")
        assert jump.fingerprint() in caught.value.message
        jump.know()
        place = reached(far)
        assert place.run(["echo", "there"]).stdout == b"there\n"
        place.close()
        assert "Accepted publickey" in jump.log and "Accepted publickey" in far.log


def test_nobody_is_there(far):
    far.kill()
    with pytest.raises(TransportError) as caught:
        reached(far).run("true")
    assert "Connection refused" in caught.value.message
    with pytest.raises(TransportError) as caught:
        Ssh(Login("no.such.host.invalid", config=far.config)).run("true")
    assert "its name leads nowhere" in caught.value.message


def test_a_key_that_is_refused(far):
    (far.folder / "authorized_keys").write_text("")
    with pytest.raises(TransportError) as caught:
        reached(far).run("true")
    assert "lets nobody in" in caught.value.message and "Permission denied" not in caught.value.hint


def test_what_is_lost_is_made_anew(place, far, echo):
    with place.forwarded("localhost", echo) as first:
        place._master.kill()
        place._master.wait()
        assert say(first, b"x") == b""
    assert place.run("true").returncode == 0
    with place.forwarded("localhost", echo) as second:
        assert second != first and say(second, b"x") == b"x"


def test_a_host_that_forwards_nothing(tmp_path, echo):
    with sshkit.host(tmp_path / "far", AllowTcpForwarding="no") as far:
        place = reached(far)
        with place.forwarded("localhost", echo) as path:
            assert say(path, b"x") == b""
        assert "prohibited" in place.said()
        place.close()


HOLDS = """
import sys, time
from pathlib import Path
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
place = Ssh(Login("far", config=sys.argv[1]))
with place.forwarded("localhost", int(sys.argv[2])) as path:
    print(path.parent.parent, flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_no_connection(far, echo):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, far.config, str(echo)], stdout=subprocess.PIPE, env=os.environ
    )
    assert child.stdout is not None
    folder = Path(os.fsdecode(child.stdout.readline().strip()))
    assert sshkit.mentioning(str(folder)) and folder.is_dir()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    until = time.monotonic() + 20
    while sshkit.mentioning(str(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not sshkit.mentioning(str(folder))
    with private_folder():
        assert not folder.exists()


def test_what_is_no_destination():
    for good in ("far", "deploy@example.org", "ssh://me@[::1]:22", "a_b-c.d", "me%40x@h"):
        assert valid_destination(good), good
    for bad in ("", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a\nb", "a`b", "a'b"):
        assert not valid_destination(bad), bad


def test_what_to_type_is_what_a_person_can_type(tmp_path, docker, far):
    """An alias of another configuration, behind a jump host that nobody knows."""
    with sshkit.host(tmp_path / "jump", "jump", known=False) as jump:
        far.configure(jump, ProxyJump="jump")
        with pytest.raises(HostKeyUnknown) as caught:
            Ssh(Login(far.alias, config=far.config)).run("true")
        said = caught.value
        assert f"far can't be logged in to: the key of [127.0.0.1]:{jump.port} is not known" in said.message
        assert jump.fingerprint() in said.message
        assert said.hint.endswith(f": ssh -F {far.config} far true")
        command = said.hint.partition("there: ")[2]
        # A terminal would be asked there; here the key is known, to see that the words lead to the host.
        jump.know()
        assert subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, timeout=60).returncode == 0
    known = Login("example.org", user="deploy")
    assert known.command == "ssh -l deploy example.org"
