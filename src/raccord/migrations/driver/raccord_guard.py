"""The driver's guard: leads every connection of the project's Python to a clone, and refuses all others.

Each way to connect is changed before any code of the project runs, and each connection of SQLAlchemy's is
asked where it leads, however it came about. A statement can still do what concerns a whole server, such as
CREATE ROLE; and other programs are only known by name.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import re
import sys
import urllib.parse
import weakref
from collections.abc import Callable
from typing import Any

CLIENTS = {"createdb", "dropdb", "mariadb", "mysql", "pg_dump", "pg_dumpall", "pg_restore", "psql", "sqlite3"}
READING = re.compile(
    r"\s*(select|show|pragma|set|explain|with|values|use|begin|rollback|commit|savepoint|release)\b",
    re.IGNORECASE,
)


ATTACH = 24  # the action of SQLite that opens one more file
# Whether the lock of this number is held in this very database.
LOCKED = (
    "select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 1"
    " and classid::bigint = {} and objid::bigint = {}"
    " and database = (select oid from pg_database where datname = current_database())"
)


class Refused(Exception):
    """A connection to a database that raccord made no clone of."""


class Guard:
    """Which connections are made, and where to.

    Args:
        known: see `run.py`.
        asking: whether connections stay what they are, and only read.
    """

    def __init__(self, known: list[dict[str, Any]], asking: bool) -> None:
        self.asking = asking
        self.servers = [one for one in known if one["kind"] == "postgresql"]
        self.files = {os.path.realpath(one["path"]): one["to"] for one in known if one["kind"] == "sqlite"}
        self.goals = {os.path.realpath(one) for one in self.files.values()}
        self.names = {one["to"]: one.get("lock", 0) for one in self.servers}
        self.drivers: set[str] = set()
        self.refused: list[str] = []
        self.pools: weakref.WeakSet[Any] = weakref.WeakSet()

    def refuse(self, what: str) -> Refused:
        """The error of what is not done."""
        self.refused.append(what)
        return Refused(f"raccord refuses {what}: it is not what was cloned")

    def server(self, name: str | None, hosts: list[tuple[str, str]], service: bool = False) -> str:
        """The database to connect to instead of one of PostgreSQL.

        The name of a clone is on its own server alone: a wrong guess about the server can only fail.
        """
        if name in self.names:
            return str(name)
        found = [one for one in self.servers if one["name"] == name or (name is None and service)]
        if len(found) > 1:
            wanted = {place(*one) for one in hosts}
            found = [one for one in found if wanted & {place(*there) for there in one["hosts"]}] or found
        if len(found) != 1:
            listed = ", ".join(":".join(filter(None, one)) for one in hosts)
            where = f" at {listed}" if listed else ""
            raise self.refuse(f"a connection to the database {name or '?'}{where}")
        return str(found[0]["to"])

    def file(self, given: Any, uri: bool) -> Any:
        """The SQLite file to open instead of another; a database in memory stays one."""
        text = os.fsdecode(given)
        if uri and text.startswith("file:"):
            split = urllib.parse.urlsplit(text)
            path = urllib.parse.unquote(split.path)
            if path in ("", ":memory:") or "mode=memory" in split.query.split("&"):
                return given
            query = f"?{split.query}" if split.query else ""
            return f"file:{urllib.parse.quote(self.goal(path))}{query}"
        return given if text in ("", ":memory:") else self.goal(text)

    def goal(self, path: str) -> str:
        """The file that a path leads to."""
        real = os.path.realpath(path)
        if real in self.goals:
            return real
        if real not in self.files:
            raise self.refuse(f"to open the database {path}")
        return str(self.files[real])

    def open_to(self, text: str) -> bool:
        """Whether a name of SQLite's is a clone's, or of a database in memory."""
        if text.startswith("file:"):
            split = urllib.parse.urlsplit(text)
            text = "" if "mode=memory" in split.query.split("&") else urllib.parse.unquote(split.path)
        return text in ("", ":memory:") or os.path.realpath(text) in self.goals

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """What passed by all else: it is refused, since nothing can be led elsewhere any more."""
        if event == "sqlite3.connect":
            text = os.fsdecode(args[0])
            if not self.open_to(text):
                raise self.refuse(f"to open the database {text}")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            given = args[1] if len(args) > 1 else args[0]
            words = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given or ())
            for word in " ".join(map(os.fsdecode, words)).split():
                if os.path.basename(word) in CLIENTS:
                    raise self.refuse(f"to start {word}")


def place(host: str, port: str) -> tuple[str, str]:
    """One spelling of a server."""
    local = host in ("", "localhost", "127.0.0.1", "::1") or host.startswith(("/", "@"))
    return ("localhost" if local else host.lower().rstrip("."), port or "5432")


def hosts_of(host: Any, port: Any) -> list[tuple[str, str]]:
    """Hosts with their ports, as a driver is given them."""
    hosts, ports = _several(host, "PGHOST"), _several(port, "PGPORT")
    return [(one, ports[at] if len(ports) == len(hosts) else ports[0]) for at, one in enumerate(hosts)]


def _several(given: Any, variable: str) -> list[str]:
    if isinstance(given, (list, tuple)):
        return [str(one or "") for one in given]
    return str(given or os.environ.get(variable, "")).split(",")


def default_name(user: Any) -> str | None:
    """The database that libpq takes where none is named."""
    return os.environ.get("PGDATABASE") or user or os.environ.get("PGUSER") or os.environ.get("USER")


def module(name: str) -> Any:
    """A module of the project's; only here is it known whether it is there."""
    return importlib.import_module(name)


def wrapped(original: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls another with changed arguments."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = change(args, kwargs)
        return original(*args, **kwargs)

    return call


def libpq(guard: Guard, parse: Callable[[str], dict[str, Any]], argument: str) -> Callable[..., Any]:
    """Changes the arguments of a driver that stands on libpq: keywords win over its string."""

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = dict(parse((args[0] if args else kwargs.get(argument)) or ""))
        given.update({key: value for key, value in kwargs.items() if value is not None})
        name = given.get("dbname") or given.get("database")
        service = bool(given.get("service") or os.environ.get("PGSERVICE"))
        if not name and not service:
            name = default_name(given.get("user"))
        goal = guard.server(name, hosts_of(given.get("host"), given.get("port")), service)
        return args, dict({key: kwargs[key] for key in kwargs if key != "database"}, dbname=goal)

    return change


def guard_psycopg2(guard: Guard) -> None:
    """psycopg2."""
    driver, parse = module("psycopg2"), module("psycopg2.extensions").parse_dsn
    driver.connect = wrapped(driver.connect, libpq(guard, lambda dsn: parse(dsn) if dsn else {}, "dsn"))


def guard_psycopg(guard: Guard) -> None:
    """psycopg 3, which SQLAlchemy also uses asynchronously."""
    driver = module("psycopg")
    change = libpq(guard, module("psycopg.conninfo").conninfo_to_dict, "conninfo")

    def with_class(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rest, kwargs = change(args[1:], kwargs)
        return (args[0], *rest), kwargs

    for cls in (driver.Connection, driver.AsyncConnection):
        cls.connect = classmethod(wrapped(cls.__dict__["connect"].__func__, with_class))
    driver.connect = driver.Connection.connect


def guard_asyncpg(guard: Guard) -> None:
    """asyncpg; its pools use the same function."""
    driver = module("asyncpg")

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        split = urllib.parse.urlsplit((args[0] if args else kwargs.get("dsn")) or "")
        query = dict(urllib.parse.parse_qsl(split.query))
        login, _, address = split.netloc.rpartition("@")
        host, _, port = address.partition(":")
        user = kwargs.get("user") or query.get("user") or urllib.parse.unquote(login.partition(":")[0])
        name = kwargs.get("database") or query.get("database") or query.get("dbname")
        name = name or urllib.parse.unquote(split.path.lstrip("/")) or default_name(user)
        hosts = hosts_of(
            kwargs.get("host") or query.get("host") or host, kwargs.get("port") or query.get("port") or port
        )
        return args, dict(kwargs, database=guard.server(name, hosts))

    driver.connect = module("asyncpg.connection").connect = wrapped(driver.connect, change)


def guard_pg8000(guard: Guard) -> None:
    """pg8000: all its ways to connect end in one class."""
    core = module("pg8000.core").CoreConnection
    signature = inspect.signature(core.__init__)

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        name = os.fsdecode(given.get("database") or given["user"])
        given["database"] = guard.server(name, hosts_of(given.get("host"), given.get("port")))
        return bound.args, bound.kwargs

    core.__init__ = wrapped(core.__init__, change)


def guard_sqlite3(guard: Guard) -> None:
    """sqlite3, which aiosqlite uses too."""

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        uri = bool(args[7] if len(args) > 7 else kwargs.get("uri"))
        rest = {key: kwargs[key] for key in kwargs if key != "database"}
        given = args[0] if args else kwargs["database"]
        if not guard.asking:
            return (guard.file(given, uri), *args[1:]), rest
        # Asked for, a file is neither made nor written, and no log beside it.
        path = os.fsdecode(given)
        if uri and path.startswith("file:"):
            split = urllib.parse.urlsplit(path)
            path = "" if "mode=memory" in split.query.split("&") else urllib.parse.unquote(split.path)
        if path in ("", ":memory:"):
            return (given, *args[1:]), rest
        if not os.path.exists(path):
            return (":memory:", *args[1:]), rest
        logged = any(os.path.exists(path + end) for end in ("-wal", "-journal"))
        query = "mode=ro" if logged else "mode=ro&immutable=1"
        address = f"file:{urllib.parse.quote(os.path.abspath(path))}?{query}"
        if len(args) > 7:
            return (address, *args[1:7], True, *args[8:]), rest
        return (address, *args[1:]), dict(rest, uri=True)

    for name in ("sqlite3", "sqlite3.dbapi2"):
        driver = module(name)
        connect = wrapped(driver.connect, change)
        driver.connect = connect if guard.asking else shut(guard, connect)


def shut(guard: Guard, connect: Callable[..., Any]) -> Callable[..., Any]:
    """Connections to SQLite that attach no other file: it would be written to as it is."""

    @functools.wraps(connect)
    def call(*args: Any, **kwargs: Any) -> Any:
        made = connect(*args, **kwargs)
        made.set_authorizer(functools.partial(attaching, guard))
        return made

    return call


def attaching(guard: Guard, action: int, name: str | None, *_: Any) -> int:
    """Lets every statement pass but ATTACH; of one with a parameter nobody knows the file."""
    if action != ATTACH or (name is not None and guard.open_to(name)):
        return 0
    guard.refuse(f"to attach the database {'?' if name is None else name}")
    return 1


SERVERS = {
    "asyncpg": guard_asyncpg,
    "pg8000": guard_pg8000,
    "psycopg": guard_psycopg,
    "psycopg2": guard_psycopg2,
}


def stand(guard: Guard) -> None:
    """Puts the guard before every way to connect."""
    guard_sqlite3(guard)
    event = module("sqlalchemy.event")
    engine = module("sqlalchemy.engine").Engine
    if guard.asking:
        event.listen(engine, "begin", read_only)
        event.listen(engine, "before_cursor_execute", only_reading, retval=True)
        return
    guard.drivers |= {"aiosqlite", "pysqlite", "pysqlite_numeric"}
    for name, put in SERVERS.items():
        # A driver that can't be imported can't connect; one that is not as expected will be refused.
        with contextlib.suppress(Exception):
            put(guard)
            guard.drivers |= {name, f"{name}_async"}
    sys.addaudithook(guard.audit)
    event.listen(engine, "do_connect", functools.partial(known, guard))
    event.listen(module("sqlalchemy.pool").Pool, "connect", functools.partial(verified, guard))


def known(guard: Guard, dialect: Any, *_: Any) -> None:
    """Refuses the databases and drivers that nothing is known of."""
    if dialect.driver not in guard.drivers:
        raise guard.refuse(f"a connection through {dialect.name}+{dialect.driver}")


def verified(guard: Guard, connection: Any, record: Any) -> None:
    """Asks a new connection where it leads."""
    guard.pools.add(record._ConnectionRecord__pool)
    cursor = connection.cursor()
    try:
        if "sqlite" in type(connection).__module__:
            cursor.execute("pragma database_list")
            found = os.fsdecode(cursor.fetchone()[2] or "")
            right = not found or os.path.realpath(found) in guard.goals
        else:
            cursor.execute("select current_database()")
            found = str(cursor.fetchone()[0])
            right = found in guard.names
            if right and (key := guard.names[found]):
                cursor.execute(LOCKED.format((key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF))
                right = bool(cursor.fetchone()[0])
    finally:
        cursor.close()
    connection.rollback()
    if not right:
        raise guard.refuse(f"a connection that leads to the database {found}")


def read_only(connection: Any) -> None:
    """Each transaction by itself: behind a pooler the session is somebody else's next."""
    if connection.dialect.name in ("postgresql", "mysql", "mariadb"):
        run = getattr(connection, "exec_driver_sql", None) or connection.execute
        run("SET TRANSACTION READ ONLY")


def only_reading(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> Any:
    """Lets env.py pass that makes its schema first: what would write does nothing."""
    return (statement, parameters) if READING.match(statement) else ("select 1 where 1 = 0", ())
