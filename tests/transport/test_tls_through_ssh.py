"""Databases that want TLS, on a real server with a certificate, through a real ssh server and a container."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from raccord.database import postgres
from raccord.database.url import Route, Target, parse
from raccord.errors import DatabaseError
from raccord.transport.container import Container
from raccord.transport.local import Local
from raccord.transport.loopback import is_own
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
from tests import pgkit
from tests.datakit import ROWS, SEED, SENT, Two

NAME = "db.shop.example"


@dataclass
class Safe:
    """A server that lets in nobody without TLS, unless by its own socket.

    Attributes:
        root: the file of the certificate that vouches for it, which is made out to `NAME`.
    """

    server: pgkit.Server
    root: Path

    def url(self, database: str = "postgres", *, mode: str = "verify-full", **options: str) -> str:
        said = {"sslmode": mode, "sslrootcert": str(self.root), "hostaddr": "127.0.0.1"} | options
        query = "&".join(f"{key}={value}" for key, value in said.items() if value)
        return self.server.url(database).replace("127.0.0.1", said.get("host", NAME)) + f"?{query}"

    def target(self, route: Route, **options: str) -> Target:
        found = parse(self.url(**options), "/")
        return Target(**{name: getattr(found, name) for name in found.__slots__} | {"route": route})


def certificate(folder: Path, name: str) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(folder / "key"), "-out", str(folder / "certificate"), "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "certificate"


def refused(target: Target) -> DatabaseError:
    """Why there is no connection."""
    with pytest.raises(DatabaseError) as caught, postgres.connected(target):
        pass
    return caught.value


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    """The system's own server: that of the other tests is made without OpenSSL."""
    found = sorted(int(path.name) for path in pgkit.SYSTEM.glob("[0-9][0-9]"))
    if not found or shutil.which("openssl") is None:
        pytest.skip("the system has no PostgreSQL with OpenSSL, or no program openssl")
    try:
        server = pgkit.server(found[-1])
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    root = certificate(tmp_path_factory.mktemp("tls"), NAME)
    data = server.folder / "data"
    for name in ("certificate", "key"):
        goal = data / f"tls-{name}"
        shutil.copy(root.parent / name, goal)
        owner = data.stat()
        shutil.chown(goal, owner.st_uid, owner.st_gid)
        goal.chmod(0o600)
    (data / "pg_hba.conf").write_text("local all all scram-sha-256\nhostssl all all all scram-sha-256\n")
    for name, value in {"ssl_cert_file": "certificate", "ssl_key_file": "key"}.items():
        server.run(f"alter system set {name} = 'tls-{value}'")
    server.run("alter system set ssl to on")
    server.run("select pg_reload_conf()")
    return Safe(server, root)


@pytest.fixture(params=["host", "container"])
def route(request, tmp_path, docker):
    """A way to where the server is."""
    if request.param == "container":
        docker.add("shop-db-1", "perl")
        yield Container(Local(tmp_path), "shop-db-1")
        return
    far = request.getfixturevalue("far")
    place = Ssh(Login(far.alias, config=far.config))
    yield place
    place.close()


@pytest.mark.long_but(1)
def test_tls_reaches_as_far_as_the_server(safe, route, monkeypatch):
    asked = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    for mode in ("require", "verify-ca", "verify-full"):
        with postgres.connected(safe.target(route, mode=mode)) as db:
            assert db.execute(asked).fetchone() == (True,)
            # A second connection, of the same kind, asks the server to stop.
            db.cancel_safe(timeout=10)
    # libpq takes it from there as well.
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    with postgres.connected(safe.target(route, mode="")) as db:
        assert db.execute(asked).fetchone() == (True,)


def test_a_server_that_is_another(safe, route, tmp_path):
    said = refused(safe.target(route, host="other.shop.example"))
    assert "certificate" in said.message and NAME in said.message and "other.shop.example" in said.message
    (tmp_path / "other").mkdir()
    other = str(certificate(tmp_path / "other", NAME))
    for mode in ("verify-ca", "verify-full"):
        said = refused(safe.target(route, mode=mode, sslrootcert=other))
        assert "certificate verify failed" in said.message
    said = refused(safe.target(route, mode=""))
    assert "no encryption" in said.message and "sslmode=require" in said.hint
    assert pgkit.PASSWORD not in said.message


def test_nobody_else_gets_through(safe, route):
    knock = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10); "
        "s.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47])); print(s.recv(9))"
    )
    with postgres.connected(safe.target(route)) as db:
        port = db.info.port
        done = subprocess.run(
            [sys.executable, "-c", knock, str(port)], capture_output=True, text=True, timeout=60
        )
        # Asked for TLS, a server would say S.
        assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr, done
        assert db.execute("select 1").fetchone() == (1,)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)


def test_whose_a_socket_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            address = client.getsockname()
            assert is_own(address)
        assert not is_own(address)


def test_rows_go_through_tls_and_back(safe, tmp_path, far):
    try:
        dev = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    plain = SEED.replace(
        "create extension if not exists vector;", "create domain vector as float8[];"
    ).replace("vector(3)", "vector")
    rows = ROWS.replace("::vector", "::float8[]")
    with dev.lent() as one, safe.server.lent() as other:
        both = Two(tmp_path, (dev, one), (safe.server, other))
        both.both(plain)
        both.run("dev", rows)
        both.behind(far, "prod")
        path = both.repo.path / "raccord.toml"
        path.write_text(path.read_text().replace(safe.server.url(other), safe.url(other)))
        before = both.rows("prod")
        report = both.push()
        assert report.state == "done", report
        assert both.rows("prod", *SENT) == both.rows("dev", *SENT)
        assert both.diff().equal
        assert both.undo().state == "done" and both.rows("prod") == before
