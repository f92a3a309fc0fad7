"""The errors of psycopg as raccord's own: what, where, the next command, no password. Connects to nothing."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from raccord.database.url import Target, masked
from raccord.errors import DatabaseBusy, DatabaseError, DatabaseMissing

if TYPE_CHECKING:
    import psycopg

OF = "raccord_connection"  # on an error: whose it is
# What tells which part of a way to a server is broken.
ASK_THE_WAY = "raccord env check"
# How libpq names the socket, or the port, that stands for a server elsewhere.
_TUNNEL = re.compile(r'connection to server (?:on socket "[^"]*"|at "[^"]*"(?: \([^)]*\))?, port \d+)')
# Errors whose words name what is in a schema, a role, a setting. Others quote values, or the SQL of a set.
_PLAIN = frozenset(("08", "23", "25", "28", "3D", "3F", "40", "53", "54", "55", "57", "58", "42501"))
_BUSY = ("40001", "40P01", "53300", "55006", "55P03", "57014", "57P03")
_MISSING = ("3D000",)
# What a server that lets nobody in says once it knows who asks; no code comes with that.
_FULL = ("too many connections", "too many clients", "remaining connection slots")
_BARRED = "permission denied for database"


def at_fault(error: Exception) -> psycopg.Connection[tuple[Any, ...]] | None:
    """Whose an error is: rows pass between connections, and what fails on one is heard of by the other."""
    found: psycopg.Connection[tuple[Any, ...]] | None = getattr(error, OF, None)
    return found


def translated(error: Exception, target: Target, database: str = "") -> DatabaseError:
    """The error of psycopg as raccord's."""
    from psycopg.errors import ConnectionTimeout

    state = getattr(error, "sqlstate", None) or ""
    pg = getattr(error, "pgconn", None)
    text = said(error) if state else " ".join(str(error).split())
    known = (target.name, target.user, target.host, target.scheme)
    text = masked(text, target.secrets, known)
    if target.route is not None:
        text = _TUNNEL.sub("connection to it", text)
        why = "" if state else target.route.said()
        text = f"{text} ({why})" if why else text
    where = target.shown if not database else f"the database {database} beside {target.shown}"
    kind: type[DatabaseError] = DatabaseError
    hint = ""
    if state in _BUSY:
        kind, hint = DatabaseBusy, "run it again once the others are done"
    elif state in _MISSING or (pg is not None and "does not exist" in text and "database" in text):
        kind, hint = DatabaseMissing, f"createdb {shlex.quote(database or target.name)}"
        if target.route is not None:  # what is typed here would make one on another server
            hint = "correct the database's name in the URL, or make it there"
    elif not state or state[:2] in ("08", "57"):
        hint = _reach(target) if target.route is None else ASK_THE_WAY
        if target.route is not None and "no encryption" in text:
            hint = "add ?sslmode=require to the URL: that server wants TLS, even from its own host"
        if any(words in text for words in _FULL):
            hint = "make room there for three connections more: the role and the server have a limit"
        elif _BARRED in text:
            hint = f"grant connect on database {shlex.quote(database or target.name)} to it"
        elif getattr(pg, "needs_password", False):
            hint = "give a password in the URL, or in the file that PGPASSFILE names"
        elif getattr(pg, "used_password", False):
            hint = "check the user and the password in the URL"
    elif state[:2] == "53":
        hint = "make room there, then run it again"
    elif state == "42501":
        hint = f"let the role {target.user or 'that connects'} do this, or use its owner's URL"
    reached = state or (pg is None and "failed to resolve host" not in text)
    what = "can't be used" if reached else "can't be reached"
    # Whoever has more databases there need not wait for each.
    silent = isinstance(error, ConnectionTimeout)
    return kind(f"{where} {what}: {text}", hint=hint, sqlstate=known_state(error), silent=silent)


def condition(error: Exception) -> str:
    """What went wrong, without the server's words, which may repeat values: "unique violation (23505)"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    state = known_state(error)
    return f"{words} ({state})" if state else words


def said(error: Exception) -> str:
    """What the server says of a statement; only its kind, where the words may hold values.

    What comes out of a function, such as a trigger's, has a context: its words may be anything, whatever its
    code.
    """
    state, diag = known_state(error), getattr(error, "diag", None)
    if diag is not None and not diag.context and _PLAIN & {state, state[:2]}:
        return " ".join((diag.message_primary or "").split())
    return f"{condition(error)}; the log of the server says more"


def known_state(error: Exception) -> str:
    """An error's code; "" for one that somebody made up: a function may put there what it likes."""
    from psycopg import errors

    state = getattr(error, "sqlstate", None) or ""
    try:
        errors.lookup(state)
    except KeyError:
        return ""
    return state


def _reach(target: Target) -> str:
    host, port = target.hosts[0]
    words = ["pg_isready", *(["-h", host] if host else []), *(["-p", port] if port else [])]
    return shlex.join(words)
