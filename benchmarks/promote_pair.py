"""The pair of servers of `promote.py`, tables of several kinds on both, and a workspace that names them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import pgkit

SEED, DUMP, COPYDB, LIMIT = "seed's CSV way", "pg_dump -Z0 | pg_restore", "pgcopydb", "bare COPY"
# Nothing is switched off that a server needs: what a commit says is on the disk.
SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "max_wal_senders": "4", "max_wal_size": "8GB",
    "shared_buffers": "256MB", "synchronous_commit": "on", "wal_level": "replica",
}  # fmt: skip
FULL = {"chunks": 200_000, "narrow": 5_000_000, "vectors": 40_000, "mixed": 1_000_000}
DIMENSIONS = 384
EMBEDDING = (
    f"(select array_agg(sin(g * 0.1 + i * (g % 97))::real) from generate_series(1, {DIMENSIONS}) i)::vector"
)


@dataclass(frozen=True)
class Load:
    """A table: its columns, how row `g` is made, and what its hash is made of.

    Attributes:
        changed: what makes a row another.
        least: how many times faster than each contender a replace shall be.
        index: besides that of the key.
    """

    name: str
    rows: int
    columns: str
    row: str
    changed: str
    hashed: str
    least: dict[str, float] = field(default_factory=dict)
    index: str = ""

    @property
    def create(self) -> str:
        return f"create table e (id bigint primary key, {self.columns})"

    def fill(self, table: str = "e") -> str:
        return f"insert into {table} select g, {self.row} from generate_series(1, {self.rows}) g"


def loads(options: argparse.Namespace) -> list[Load]:
    """Wide rows with embeddings, narrow ones, those with an index over vectors, and those of many types."""
    rows = {
        name: full if options.full and getattr(options, name) else getattr(options, name)
        for name, full in FULL.items()
    }
    return [
        Load(
            "chunks",
            rows["chunks"],
            f"body text, meta jsonb, embedding vector({DIMENSIONS})",
            f"repeat(md5(g::text), 30), jsonb_build_object('n', g, 'of', md5(g::text)), {EMBEDDING}",
            "body = body || '.'",
            "e.id, textsend(e.body), jsonb_send(e.meta), vector_send(e.embedding)",
            {SEED: 4, DUMP: 2, COPYDB: 1.8, LIMIT: 1.25},
        ),
        Load(
            "narrow",
            rows["narrow"],
            "a int, b int, at timestamptz, v float8",
            "g % 1000, g % 7, timestamptz '2020-01-01' + g * interval '1 second', g * 0.5",
            "v = v + 1",
            "e.id, e.a, e.b, e.at, float8send(e.v)",
            {SEED: 3, DUMP: 1.3, COPYDB: 1.4, LIMIT: 1.25},
        ),
        Load(
            "vectors",
            rows["vectors"],
            f"body text, embedding vector({DIMENSIONS})",
            f"md5(g::text), {EMBEDDING}",
            "body = body || '.'",
            "e.id, textsend(e.body), vector_send(e.embedding)",
            {SEED: 3},
            "create index on e using hnsw (embedding vector_l2_ops)",
        ),
        Load(
            "mixed",
            rows["mixed"],
            "a int, t text, at timestamptz, d date, v float8, n numeric(12,3), u uuid, f boolean",
            "g % 1000, 'row ' || md5(g::text), timestamptz '2020-01-01' + g * interval '1 second',"
            " date '2020-01-01' + g % 4000, g * 0.5, g * 0.125, md5(g::text)::uuid, g % 2 = 0",
            "t = t || '.'",
            "e.id, e.a, textsend(e.t), e.at, e.d, float8send(e.v), numeric_send(e.n), e.u, e.f",
        ),
    ]


class Pair:
    """The servers with one load."""

    def __init__(self, load: Load, scratch: Path, dev: pgkit.Server, prod: pgkit.Server) -> None:
        self.load = load
        self.scratch = scratch
        self.dev, self.prod = dev, prod
        vectors = "create extension vector; " if "vector" in load.columns else ""
        setup = f"{vectors}{load.create}; {load.fill()}; {load.index}; analyze e"
        self.names = {server.port: server.create(setup) for server in (self.dev, self.prod)}
        self.run(self.prod, f"create table old as table e; update old set {load.changed}")
        self.files = Path(tempfile.mkdtemp(prefix="copied", dir=self.dev.folder))
        for folder in (self.dev.folder, self.files):
            folder.chmod(0o777)
        self.workspace = self._workspace(load.name, {})

    def _workspace(self, name: str, ports: dict[int, int]) -> Path:
        made = self.scratch / name
        made.mkdir()
        subprocess.run(["git", "init", "-q", str(made)], check=True)
        urls = {
            name: server.url(self.names[server.port]).replace(
                f":{server.port}/", f":{ports.get(server.port, server.port)}/"
            )
            for name, server in (("dev", self.dev), ("prod", self.prod))
        }
        said = "".join(f"[environments.{one}]\ndatabase = {json.dumps(url)}\n" for one, url in urls.items())
        (made / "raccord.toml").write_text(
            f'{said}[data.all]\ntables = ["e"]\n[data.few]\ntables = ["e"]\nmode = "mirror"\n'
        )
        return made

    def drop(self) -> None:
        """Gives the disk its room back."""
        for server in (self.dev, self.prod):
            server.run(f"drop database {pgkit.quoted(self.names[server.port])} with (force)")

    def run(self, server: pgkit.Server, statements: str) -> list[tuple]:
        return server.run(statements, self.names[server.port])

    def reset(self, share: str = "") -> None:
        """Gives prod what it had: all rows older, or those that a condition names."""
        rows = "old"
        if share:
            fresh = self.load.fill("fresh")
            self.run(
                self.prod,
                f"drop table if exists fresh; create table fresh (like old); {fresh};"
                f" delete from fresh where {share}",
            )
            rows = f"(select * from old where {share} union all select * from fresh) o"
        index = self.run(
            self.prod, "select indexrelid::regclass::text from pg_index where not indisprimary and"
            " indrelid = 'e'::regclass",
        )  # fmt: skip
        dropped = "".join(f"drop index {name};" for (name,) in index)
        self.run(
            self.prod,
            f"truncate e; {dropped} insert into e select * from {rows}; {self.load.index}; analyze e",
        )
        self.run(self.prod, "vacuum e")
        for server in (self.dev, self.prod):
            self.run(server, "checkpoint")

    def hash(self, server: pgkit.Server) -> list[tuple]:
        return self.run(
            server,
            f"select count(*), bit_xor(h) from (select hash_record_extended(row({self.load.hashed}), 0) as h"
            " from e) x",
        )

    def wrong(self) -> dict[str, str]:
        one, two = self.hash(self.dev), self.hash(self.prod)
        return {} if one == two else {"e": f"{two} is not {one}"}

    def url(self, server: pgkit.Server) -> str:
        return server.url(self.names[server.port])

    def words(self, server: pgkit.Server, program: str) -> list[str]:
        return [str(self.prod.bin / program), "-d" if program != "psql" else "-Xqd", self.url(server)]

    def probe(self, verb: str, workspace: Path | None = None) -> dict[str, Any]:
        where = str(workspace or self.workspace)
        probe = [sys.executable, str(Path(__file__).with_name("promote_probe.py")), where, verb]
        # What is installed is compiled once.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ |= {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(self.scratch),
            "PYTHONPYCACHEPREFIX": str(self.scratch / "compiled"),
        }  # fmt: skip
        done = subprocess.run(probe, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def wire(self, verb: str) -> int:
        """How many bytes cross the wire, both ways and to both servers."""
        with contextlib.ExitStack() as stack:
            lines = {server.port: stack.enter_context(Relay(server.port)) for server in (self.dev, self.prod)}
            made = self._workspace("wire", {port: line.port for port, line in lines.items()})
            self.probe(verb, made)
            return sum(line.bytes for line in lines.values())


class Relay:
    """Passes connections on to a port of this machine, and counts the bytes."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self._goal = port
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listens.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._listens.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listens.accept()
                two = socket.create_connection(("127.0.0.1", self._goal))
                for ends in ((one, two), (two, one)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, one: socket.socket, two: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                self.bytes += len(data)
                two.sendall(data)
        with contextlib.suppress(OSError):
            two.shutdown(socket.SHUT_WR)


def reladiff() -> str | None:
    """The program, where it is installed."""
    return shutil.which("reladiff")


def schedule(names: list[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each name in each round; the order changes with the round."""
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            yield number, name
