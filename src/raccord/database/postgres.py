"""Connections to PostgreSQL; errors become raccord's own: what, where, the next command, no password.

psycopg is imported here only, and only when a connection is made. What a session sets, it sets by statements:
a pooler such as pgbouncer refuses start-up options that it does not know.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raccord.database import reuse_postgres
from raccord.database.errors_postgres import OF
from raccord.database.errors_postgres import at_fault as at_fault
from raccord.database.errors_postgres import condition as condition
from raccord.database.errors_postgres import known_state as known_state
from raccord.database.errors_postgres import said as said
from raccord.database.errors_postgres import translated as translated
from raccord.database.url import PORT, POSTGRESQL, Route, Target
from raccord.database.url import masked as masked
from raccord.errors import DatabaseBusy, DatabaseError, DriverMissing
from raccord.kernel.extras import install

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 10
POLL_SECONDS = 0.1
# A machine that vanished without a word is noticed in a minute, by whoever waits for it to answer.
ALIVE = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
OURS = "raccord"  # what the server calls sessions that only look
OURS_SECONDS = 60.0  # how long these may take
ROWS = "raccord data"  # and those that compare and move rows

_LOOKING = {
    "idle_in_transaction_session_timeout": "0",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "search_path": "pg_catalog",
}
_SPELLING = {
    "array_nulls": "on",
    "bytea_output": "hex",
    "datestyle": "ISO",
    "extra_float_digits": "3",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "standard_conforming_strings": "on",
    "synchronize_seqscans": "off",
    "timezone": "UTC",
    "xmloption": "content",
}

# asyncpg's `ssl` is libpq's `sslmode`, and takes truth as well.
_SSL = {
    "true": "require",
    "1": "require",
    "yes": "require",
    "false": "disable",
    "0": "disable",
    "no": "disable",
}
LOOPBACK = "127.0.0.1"
_DEMANDS = ("require", "verify-ca", "verify-full")


def driver() -> Any:
    """The module psycopg.

    Raises:
        DriverMissing: it is not installed, or finds no libpq.
    """
    try:
        import psycopg
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise DriverMissing(
            f"PostgreSQL needs the package psycopg, and it can't be imported here: {reason}",
            hint=install("postgresql"),
        ) from error
    log = logging.getLogger("psycopg")
    if not log.handlers:
        # What it says of a rollback on a lost connection would go to standard error, with the server's own
        # words. The error that led there is raised, and told once.
        log.addHandler(logging.NullHandler())
    return psycopg


def keywords(target: Target, database: str = "") -> dict[str, str]:
    """A target as libpq's connection keywords, the password among them; what libpq doesn't know is left out.

    Args:
        database: another database of the same server.

    Raises:
        DatabaseError: the target is no PostgreSQL database.
    """
    if target.kind != POSTGRESQL:
        raise DatabaseError(
            f"{target.shown} is no PostgreSQL database", hint="raccord reads PostgreSQL and SQLite by itself"
        )
    known = {entry.keyword.decode() for entry in driver().pq.Conninfo.get_defaults()}
    found = {key: value for key, value in target.query if key in known}
    options = dict(target.query)
    if "ssl" in options and "sslmode" not in found:
        found["sslmode"] = _SSL.get(options["ssl"].lower(), options["ssl"])
    places = {
        "host": target.host,
        "port": target.port,
        "user": target.user,
        "dbname": database or target.name,
    }
    found |= {key: value for key, value in places.items() if value}
    if target.password is not None:
        found["password"] = target.password
    return found | {"client_encoding": "utf8"}


@contextlib.contextmanager
def connected(target: Target, database: str = "", *, name: str = OURS) -> Iterator[Connection]:
    """A connection in autocommit mode, closed afterwards or kept (`reuse_postgres`); errors become raccord's.

    Args:
        database: another database of the same server.
        name: how the server's lists of sessions show it.

    Raises:
        DatabaseError: no connection, or a statement failed.
    """
    given = keywords(target, database)
    asked = given.pop("connect_timeout", "")
    limit = min(int(asked), CONNECT_SECONDS) if asked.isdigit() and int(asked) else CONNECT_SECONDS
    with contextlib.ExitStack() as stack:
        with failures(target, database):
            given = ALIVE | stack.enter_context(routed(target, given)) | {"application_name": name[:63]}
            # A pooler may give each transaction another session, which knows no prepared statement.
            more = {"connect_timeout": limit, "autocommit": True, "prepare_threshold": None}
            lent = reuse_postgres.lent(
                # What lies between ends with this use; who holds a lock has a name of its own.
                given, lambda: _kind().connect(**given, **more), keeps=name == ROWS and target.route is None
            )  # fmt: skip
            db = stack.enter_context(lent)
        with failures(target, database, db):
            yield db


@functools.cache
def _kind() -> Any:
    """psycopg's connection, on whose errors stands whose they are."""
    import psycopg

    class Connection(psycopg.Connection[tuple[Any, ...]]):
        def wait(self, *words: Any, **more: Any) -> Any:
            try:
                return super().wait(*words, **more)
            except psycopg.Error as error:
                setattr(error, OF, getattr(error, OF, self))
                raise

    return Connection


def cancel(*connections: Connection) -> None:
    """Asks the servers to end what they do for these connections. Whether they do shows there."""
    for db in connections:
        with contextlib.suppress(driver().Error):
            db.cancel_safe(timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def routed(target: Target, given: dict[str, str]) -> Iterator[dict[str, str]]:
    """Connection keywords that lead to the same server from here.

    Raises:
        TransportError: what lies between can't be reached.
    """
    if target.route is None:
        yield given
        return
    hosts, addresses = list(target.hosts), given.get("hostaddr", "").split(",")
    if not target.host:
        hosts *= len(addresses)
    elif addresses == [""]:
        addresses *= len(hosts)
    if len(hosts) != len(addresses):
        raise DatabaseError(f"{target.shown} needs as many addresses in hostaddr as it has hosts")
    tls = (given.get("sslmode") or _default("sslmode")) in _DEMANDS
    with contextlib.ExitStack() as stack:
        found = [
            stack.enter_context(_way(target.route, host, address, port or PORT, tls))
            for (host, port), address in zip(hosts, addresses, strict=True)
        ]
        hidden = {"hostaddr", "service", "requiressl"}
        kept = {key: value for key, value in given.items() if key not in hidden}
        places = dict(zip(("host", "hostaddr", "port"), map(",".join, zip(*found, strict=True)), strict=True))
        yield kept | {key: value for key, value in places.items() if value.strip(",")}


@contextlib.contextmanager
def _way(route: Route, host: str, address: str, port: str, tls: bool) -> Iterator[tuple[str, str, str]]:
    """The host, address and port for libpq that lead to a server as seen from elsewhere."""
    goal = address or host or "localhost"
    if tls and not goal.startswith("/"):
        # Over a socket's file libpq speaks no TLS. With an address it still verifies the host's name.
        with route.listening(goal, int(port)) as number:
            yield host or goal, LOOPBACK, str(number)
        return
    # A directory is that of a socket there.
    goal = f"{goal}/.s.PGSQL.{port}" if goal.startswith("/") else goal
    with route.forwarded(goal, int(port), name=f".s.PGSQL.{port}") as socket:
        yield str(socket.parent), "", port


def _default(keyword: str) -> str:
    """What libpq takes where nothing is said, such as from its environment."""
    found = (one.val for one in driver().pq.Conninfo.get_defaults() if one.keyword.decode() == keyword)
    return next(filter(None, found), b"").decode()


@contextlib.contextmanager
def looking(db: Connection, *, seconds: float = 0.0, temporary: bool = False) -> Iterator[None]:
    """A transaction that can't write and sees one state; the server qualifies every name that it spells.

    Args:
        seconds: that a statement may take, and wait for a lock; 0 for no limit.
        temporary: whether temporary tables are made, which a server takes for writing.
    """
    from psycopg import IsolationLevel

    db.isolation_level, db.read_only = IsolationLevel.REPEATABLE_READ, not temporary
    try:
        with db.transaction():
            bound(db, seconds)
            settle(db, _LOOKING)
            yield
    finally:
        db.isolation_level = db.read_only = None


def bound(db: Connection, seconds: float) -> None:
    """Limits the statements of a transaction, and their waiting for locks; 0 for no limit."""
    limit = str(max(1, int(seconds * 1000)) if seconds else 0)
    settle(db, {"lock_timeout": limit, "statement_timeout": limit})


def spell(db: Connection) -> None:
    """Makes the text of values independent of who asks, for this transaction: what pg_dump sets, and more."""
    settle(db, _SPELLING)


def settle(db: Connection, settings: Mapping[str, str]) -> None:
    """Sets what holds for a transaction alone: behind a pooler the session is somebody else's next."""
    db.execute(
        "select pg_catalog.set_config(key, value, true) from pg_catalog.jsonb_each_text(%s::jsonb)",
        [json.dumps(settings)],
    )


@contextlib.contextmanager
def failures(target: Target, database: str = "", db: Connection | None = None) -> Iterator[None]:
    """Turns psycopg's errors into raccord's. Their chain is cut: a cause may repeat what was passed to it.

    Args:
        db: the connection; the errors of others pass.
    """
    module = driver()
    try:
        yield
    except (module.Error, UnicodeError) as error:
        if db is not None and at_fault(error) not in (None, db):
            raise
        raise translated(error, target, database) from None


@contextlib.contextmanager
def administering(target: Target) -> Iterator[Connection]:
    """A connection to the same server, and not to the target itself: it is to be copied, renamed or dropped.

    Raises:
        DatabaseError: no other database of that server lets us in.
    """
    own = keywords(target).get("dbname", target.user)
    refused: DatabaseError | None = None
    with contextlib.ExitStack() as stack:
        for name in ("postgres", "template1"):
            if name == own:
                continue
            try:
                db = stack.enter_context(connected(target, name))
                # Copying a database is one statement, however long it takes.
                db.execute("set statement_timeout to 0")
                break
            except DatabaseError as error:
                refused = refused or error
        else:
            assert refused is not None
            raise refused
        yield db


def sessions(db: Connection, name: str, *, ours: bool = False) -> list[str]:
    """Who else is connected to a database, as "psql of alice (pid 12)".

    Args:
        ours: with those of other raccords, which look and are gone.
    """
    rows = db.execute(
        "select coalesce(nullif(application_name, ''), backend_type, 'a session'),"
        " usename, client_addr::text, pid"
        " from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
        # The server sends away by itself those that are nobody's, such as vacuum.
        " and usesysid is not null and (%s or application_name <> %s) order by pid",
        [name, ours, OURS],
    ).fetchall()
    return [
        f"{what}{f' of {user}' if user else ''}{f' at {host}' if host else ''} (pid {pid})"
        for what, user, host, pid in rows
    ]


def alone(db: Connection, target: Target, name: str, act: Any, *, wait: float, evict: bool = False) -> None:
    """Does what the server refuses while others are connected to a database, once they are gone.

    Args:
        act: what to do; called again until it gets through.
        wait: seconds.
        evict: end the others' sessions instead of only waiting.

    Raises:
        DatabaseBusy: they stayed; the message names them.
    """
    errors = driver().errors
    until = time.monotonic() + wait
    patient = until + OURS_SECONDS
    while True:
        # The server itself waits five seconds before it refuses: asking first is quicker.
        if evict:
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = %s and pid <> pg_backend_pid()",
                [name],
            )
        others = sessions(db, name)
        if not others:
            with contextlib.suppress(errors.ObjectInUse):
                act()
                return
        if time.monotonic() >= (until if others else patient):
            others = others or sessions(db, name, ours=True)
            who = ", ".join(others) or "somebody who is gone by now"
            raise DatabaseBusy(
                f"others are connected to the database {name} of {target.shown}: {who}",
                hint="end their sessions, then run it again",
                sessions=others,
            )
        time.sleep(POLL_SECONDS)


def quoted(db: Connection, *names: str) -> str:
    """Names as SQL, joined by dots."""
    from psycopg import sql

    return sql.SQL(".").join(map(sql.Identifier, names)).as_string(db)


def child(
    target: Target, database: str = "", more: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """How a PostgreSQL program connects: the words for its `--dbname`, without secrets, and its environment.

    Raises:
        DatabaseError: a secret for which libpq has no environment variable.
    """
    given = keywords(target, database)
    password = given.pop("password", None)
    if "sslpassword" in given:
        raise DatabaseError("sslpassword can only be passed as an argument, which every local user can read")
    given.pop("client_encoding")
    words = driver().conninfo.make_conninfo("", **{**given, **(more or {})})
    # PGTZ: times are dumped as the session has them, and are compared as text.
    env = {"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS), "PGTZ": "UTC", "PGAPPNAME": f"raccord {os.getpid()}"}
    return words, env if password is None else {**env, "PGPASSWORD": password}
