"""Objects that travel to a store behind a real ssh server, and what is said where the way to it is shut."""

from __future__ import annotations

import base64
import os
import signal
import socket

import pytest

from raccord.errors import ObjectsError, TransportError
from raccord.objects import place
from raccord.transport import proxy
from raccord.transport.local import Local
from tests import s3kit, sshkit
from tests.fileskit import Two

DEV = {
    "same.txt": b"same",
    "changed.txt": b"after",
    "empty": b"",
    "sp ace/a%20b+c#é.bin": bytes(range(256)) * 100,
    "large.bin": os.urandom(18 << 20),  # goes up in parts
}
PROD = {"same.txt": b"same", "changed.txt": b"befor", "own.txt": b"prod's own"}


def behind(tmp_path, far, *names: str, dev: str = "file") -> Two:
    try:
        made = Two(tmp_path / "two", dev, "s3")
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")
    made.put("dev", DEV)
    made.put("prod", PROD)
    made.behind(far, *names)
    return made


@pytest.mark.parametrize("dev", ["file", pytest.param("s3", marks=pytest.mark.long)])
def test_objects_go_through_and_back(tmp_path, far, monkeypatch, dev):
    two = behind(tmp_path, far, *({"prod"} | ({"dev"} if dev == "s3" else set())), dev=dev)
    before = two.objects("prod")
    # What others go through is not where raccord's own way leads.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    found = two.diff()
    assert (found.added, found.changed, found.same, found.removed) == (3, 1, 1, 1)
    assert found.target.endswith(" through far") and "raccord:" not in str(found)
    plan = two.plan(mode="upsert")
    assert "raccord:" not in str(plan)
    report = two.push(mode="upsert")
    assert report.state == "done", report
    # One connection for each command, however many requests go through it.
    assert far.log.count("Accepted publickey") == 3
    with two.workspace as workspace:
        standing = [one for one in workspace.files_status().sets if one.environment == "prod"]
    assert [one.objects for one in standing] == [6], standing
    assert two.undo().state == "done"
    monkeypatch.delenv("HTTP_PROXY")
    assert two.objects("prod") == before


def test_nobody_else_gets_through(tmp_path, far, monkeypatch):
    made: list[str] = []
    real = proxy.Proxied.proxy

    def noted(*words) -> str:
        made.append(real(*words))
        return made[-1]

    monkeypatch.setattr(proxy.Proxied, "proxy", noted)
    two = behind(tmp_path, far, "prod")
    address = s3kit.server().endpoint.removeprefix("http://")
    with two.workspace as workspace:
        assert workspace.environments.check("prod")[0].passed
        url = made[0]
        port = int(url.rpartition(":")[2])
        for asked in (f"GET http://{address}/ HTTP/1.1\r\n", f"CONNECT {address} HTTP/1.1\r\n"):
            for login in ("", "Proxy-Authorization: Basic cmFjY29yZDp3cm9uZw==\r\n"):
                with socket.create_connection(("127.0.0.1", port), 10) as other:
                    other.sendall(f"{asked}Host: x\r\n{login}\r\n".encode())
                    assert other.recv(999).startswith(b"HTTP/1.1 407 ")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)
    assert not sshkit.mentioning(url.partition("@")[0].rpartition(":")[2])


def test_a_connection_that_is_cut_in_the_middle(tmp_path, far, monkeypatch):
    two = behind(tmp_path, far, "prod")
    passed, left = proxy._pass_on, [3]

    def cut(*words) -> None:
        left[0] -= 1
        if left[0] == 0:
            for pid in reversed(sshkit.family(far.process.pid)[1:]):
                os.kill(pid, signal.SIGKILL)
        passed(*words)

    monkeypatch.setattr(proxy, "_pass_on", cut)
    report = two.push(mode="upsert")
    assert left[0] < 0 and report.state == "done", report
    assert two.objects("prod") == PROD | DEV
    assert far.log.count("Accepted publickey") == 2


def test_ways_that_are_shut(tmp_path, docker, far):
    two = behind(tmp_path, far, "prod")
    whole = two.objects("prod", own=True)
    server = s3kit.server()
    two.keys["prod"]["objects_endpoint"] = "http://localhost:1"
    two.configure()
    with pytest.raises(ObjectsError, match="refused") as caught:
        two.push()
    assert "through far" in caught.value.message and caught.value.hint == "raccord env check"
    two.keys["prod"]["objects_endpoint"] = server.endpoint
    with sshkit.host(tmp_path / "shut", path=str(docker.path), AllowTcpForwarding="no") as shut:
        two.behind(shut, "prod")
        with pytest.raises(ObjectsError, match="administratively prohibited") as refused:
            two.diff()
        assert refused.value.hint == "raccord env check"
        two.behind(far, "prod")
        far.kill()
        with pytest.raises(TransportError, match="nobody listens there"):
            two.diff()
    two.keys["prod"].pop("ssh")
    assert two.objects("prod", own=True) == whole


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("", False),
        ("https://s3.example.org", False),
        ("http://8.8.8.8:9000", False),
        ("http://localhost:9000", True),
        ("http://LOCALHOST", True),
        ("https://127.0.0.2/x", True),
        ("http://[::1]:9000", True),
        ("http://[2606:4700::1111]", False),
        ("http://172.17.0.2:9000", True),
        ("http://minio:9000", True),
        ("https://minio.corp.internal", True),
        ("https://nas.local.", True),
        ("https://localhost.example.org", False),
    ],
)
def test_which_servers_are_seen_from_there(endpoint, own):
    assert place.is_own(endpoint) is own


def test_a_tunnel_for_tls_is_between_the_two(tmp_path):
    """What a client of https asks a proxy for: a way, through which nobody reads."""
    said = bytes(range(256)) * 1000
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        way = proxy.Proxied(Local(tmp_path))
        login, _, address = way.proxy("localhost", port).removeprefix("http://").partition("@")
        secret = base64.b64encode(login.encode()).decode()
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 10) as client:
            head = f"CONNECT {{}}:{port} HTTP/1.1\r\nProxy-Authorization: Basic {secret}\r\n\r\n"
            client.sendall(head.format("localhost").encode())
            there, _ = server.accept()
            with there:
                assert client.recv(99) == b"HTTP/1.1 200 OK\r\n\r\n"
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                with there.makefile("rb") as came:
                    assert came.read() == said
                there.sendall(said)
            with client.makefile("rb") as came:
                assert came.read() == said
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 10) as client:
            client.sendall(head.format("example.org").encode())
            assert client.recv(99).startswith(b"HTTP/1.1 421 ")
        way.close()
