"""Database URLs as SQLAlchemy and libpq spell them, read into a `Target`. No error repeats a URL.

The grammar is SQLAlchemy's (`sqlalchemy.engine.url`), with libpq's lists of hosts. A password that holds a
bare `@`
is taken as it was meant: SQLAlchemy before 1.4 did.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote

from raccord.errors import DatabaseError
from raccord.model.text import shown

POSTGRESQL, SQLITE, OTHER = "postgresql", "sqlite", "other"
PORT = "5432"

_URL = re.compile(r"\s*(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>.*?)\s*", re.DOTALL)
_REST = re.compile(
    r"(?:(?P<user>[^:/?]*)(?::(?P<password>[^@]*))?@)?(?P<hosts>[^/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d*))?")
_SECRET = re.compile(r"pass(?!file)|pwd|secret|token|credential", re.IGNORECASE)
# Parameters whose values anybody may see; what another holds nobody knows.
_OPEN = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "gssencmode",
        "gsslib",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "mode",
        "passfile",
        "port",
        "require_auth",
        "requiressl",
        "service",
        "ssl",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "timeout",
        "uri",
    }
)
_PARAMETER = re.compile(r"[A-Za-z_]\w*")
_SETTING = re.compile(r"=\s*(\S+)")
SHORTEST = 6  # characters of what is taken out of messages because it might be secret
# What the drivers of SQLAlchemy take from the query instead of the place that the URL has for it.
_PLACES = {"user": "user", "password": "password", "dbname": "name", "database": "name"}
_DRIVERS = {POSTGRESQL: POSTGRESQL, "postgres": POSTGRESQL, "pgsql": POSTGRESQL}
_SQLITE_DRIVERS = ("", "aiosqlite", "pysqlite", "pysqlite_numeric")


class Route(Protocol):
    """How a server is reached that is not reached from here: through another host, or in a container.

    Attributes:
        key: tells routes apart, and is the same tomorrow.
        shown: how a person knows where it leads.
    """

    @property
    def key(self) -> str: ...

    @property
    def shown(self) -> str: ...

    def forwarded(self, host: str, port: int, *, name: str = "s") -> AbstractContextManager[Path]:
        """A socket here, whose file has that name, that leads to a server as seen from there."""

    def listening(self, host: str, port: int) -> AbstractContextManager[int]:
        """A port on loopback, for this process alone, that leads to a server as seen from there."""

    def said(self) -> str:
        """Why it last led nowhere; "" where that isn't known."""


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A database, as a URL names it.

    Attributes:
        kind: "postgresql", "sqlite" or "other".
        scheme: as written, such as "postgresql+asyncpg".
        host, port: of PostgreSQL; several are joined by commas, "" is libpq's default. A host that begins
            with a slash is the directory of a socket.
        name: of the database; "" is libpq's default.
        password: None where the URL has none.
        query: the options behind the `?`, in their order.
        path: of the SQLite file, absolute; "" for a database in memory.
        route: from where `host` is meant; None for here.
    """

    kind: str
    scheme: str
    host: str = ""
    port: str = ""
    name: str = ""
    user: str = ""
    password: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    path: str = ""
    route: Route | None = None

    @property
    def shown(self) -> str:
        """The URL for a person, in one line, without its secrets."""
        if self.kind == SQLITE:
            return f"{self.scheme}:///{shown(self.path or ':memory:')}"
        login = quote(self.user) + (":***" if self.password is not None else "")
        hosts = ",".join(_spelled(host, port) for host, port in self.hosts)
        options = [_said(key, value) for key, value in self.query]
        # A socket's directory has slashes: it goes where SQLAlchemy has it.
        if "/" in self.host:
            hosts, options = (
                "",
                [f"host={self.host}", *([f"port={self.port}"] if self.port else []), *options],
            )
        text = f"{self.scheme}://{login}{'@' if login else ''}{hosts}/{self.name}"
        text += "?" + "&".join(options) if options else ""
        return shown(text) + (f" through {self.route.shown}" if self.route else "")

    def __repr__(self) -> str:
        return f"Target({self.shown})"

    @property
    def key(self) -> str:
        """The same for every spelling of one database.

        It is cautious: a socket and a port may be two servers, and `search_path` may lead to two version
            tables. Of `options` it has a fingerprint: settings with secrets may stand there.
        """
        if self.kind == SQLITE:
            return f"sqlite:{os.path.realpath(self.path) if self.path else ':memory:'}"
        options = dict(self.query)
        also = [f"options={_fingerprint(options['options'])}"] if "options" in options else []
        also += [f"service={options['service']}"] if "service" in options else []
        return f"{self.server}{self.name or self.user}{'?' if also else ''}{'&'.join(also)}"

    @property
    def server(self) -> str:
        """What the keys of all databases of its server begin with."""
        scheme = self.kind if self.kind == POSTGRESQL else self.scheme.partition("+")[0].lower()
        default = PORT if self.kind == POSTGRESQL else ""
        address = dict(self.query).get("hostaddr", "")
        hosts = sorted({f"{_plain(host or address)}:{port or default}" for host, port in self.hosts})
        return f"{self.route.key + '|' if self.route else ''}{scheme}://{','.join(hosts)}/"

    def local(self, defaults: Mapping[str, str]) -> bool:
        """Whether it is on this machine, as far as its address tells: a tunnel to another looks local.

        Args:
            defaults: "host", "hostaddr" and "service", where libpq finds them besides.
        """
        if self.kind == SQLITE:
            return True
        options = dict(self.query)
        address = options.get("hostaddr") or defaults.get("hostaddr", "")
        if self.kind == OTHER or ("service" in {*options, *defaults} and not (self.host or address)):
            return False
        found = (
            address.split(",") if address else [host or defaults.get("host", "") for host, _ in self.hosts]
        )
        return all(host.startswith(("/", "@")) or _plain(host) in ("", "localhost") for host in found)

    @property
    def hosts(self) -> tuple[tuple[str, str], ...]:
        """Each host with its port; libpq takes one port for all, or one for each."""
        hosts, ports = self.host.split(","), self.port.split(",")
        if len(ports) != len(hosts):
            ports = ports[:1] * len(hosts)
        return tuple(zip(hosts, ports, strict=True))

    @property
    def secrets(self) -> frozenset[str]:
        """What no message may hold."""
        found = {value for key, value in self.query if _SECRET.search(key)} | {self.password or ""}
        unknown = {value for key, value in self.query if key not in _OPEN}
        settings = {one for key, value in self.query if key == "options" for one in _SETTING.findall(value)}
        return frozenset(found - {""} | {one for one in unknown | settings if len(one) >= SHORTEST})


def parse(text: str, base: str | os.PathLike[str]) -> Target:
    """Reads a URL.

    Args:
        text: the URL, with ConfigParser's `%%` already undone.
        base: the directory that a relative SQLite path starts from: where the project's own environment runs.

    Raises:
        DatabaseError: it is no URL.
    """
    outer = _URL.fullmatch(text)
    if "\0" in unquote(text):
        raise DatabaseError("this database URL holds a NUL byte", hint="correct it in the configuration")
    if outer is None:
        raise DatabaseError(
            "this is no database URL: it does not begin with a dialect and ://",
            hint="write it as postgresql://USER@HOST/NAME or sqlite:///FILE",
        )
    scheme, rest = outer["scheme"], outer["rest"]
    dialect, _, driver = scheme.lower().partition("+")
    if dialect == SQLITE and driver in _SQLITE_DRIVERS:
        return _sqlite(scheme, rest, base)
    inner = _REST.fullmatch(rest)
    assert inner is not None  # every part of it is optional
    user, password, hosts = inner["user"], inner["password"], inner["hosts"]
    if "@" in hosts and password is not None:
        more, _, hosts = hosts.rpartition("@")
        password = f"{password}@{more}"
    query = parse_qsl(inner["query"] or "", keep_blank_values=True)
    rest = [text for pair in query if pair[0] not in _PLACES for text in pair]
    if password is not None and any("@" in text for text in (inner["name"] or "", *rest)):
        # Rather the end of a password than a name: to go on would show it, as a host or a name.
        raise _bad_port(scheme)
    return _server(
        _DRIVERS.get(dialect, OTHER),
        scheme,
        {"user": unquote(user or ""), "name": unquote(inner["name"] or "")},
        None if password is None else unquote(password),
        [_host(part, scheme) for part in hosts.split(",")],
        query,
    )


def _server(
    kind: str,
    scheme: str,
    fields: dict[str, str],
    password: str | None,
    hosts: list[tuple[str, str]],
    query: list[tuple[str, str]],
) -> Target:
    """The target of a URL that names a server; the query has the last word, as with SQLAlchemy's drivers."""
    asked_hosts: list[tuple[str, str]] = []
    asked_ports: list[str] = []
    rest: list[tuple[str, str]] = []
    for key, value in query:
        place = _PLACES.get(key) if kind == POSTGRESQL else None
        if kind == POSTGRESQL and key == "host":
            asked_hosts += [_asked_host(part) for part in value.split(",")]
        elif kind == POSTGRESQL and key == "port":
            asked_ports += value.split(",")
        elif place == "password":
            password = value
        elif place is not None:
            fields = {**fields, place: value}
        else:
            rest.append((key, value))
    if asked_hosts:
        hosts = [(host, port or hosts[0][1]) for host, port in asked_hosts]
    if asked_ports:
        if len(asked_ports) not in (1, len(hosts)) or not all(
            port.isdigit() or not port for port in asked_ports
        ):
            raise _bad_port(scheme)
        if len(asked_ports) == 1:
            asked_ports *= len(hosts)
        hosts = [(host, port) for (host, _), port in zip(hosts, asked_ports, strict=True)]
    ports = [port for _, port in hosts]
    return Target(
        kind=kind,
        scheme=scheme,
        host=",".join(host for host, _ in hosts),
        port=",".join(ports) if any(ports) else "",
        name=fields["name"],
        user=fields["user"],
        password=password,
        query=tuple(rest),
    )


def _sqlite(scheme: str, rest: str, base: str | os.PathLike[str]) -> Target:
    file, _, options = rest.partition("?")
    query = tuple(parse_qsl(options, keep_blank_values=True))
    if file and not file.startswith("/"):
        raise DatabaseError(
            f"{scheme}:// is followed by a host, and SQLite has none",
            hint="three slashes begin a relative path, four an absolute one",
        )
    # SQLAlchemy decodes it from 2.1 on; before, a percent sign was one.
    path = next(
        (name for name in (unquote(file[1:]), file[1:]) if os.path.exists(os.path.join(base, name))), None
    )
    path = unquote(file[1:]) if path is None else path
    asked = dict(query)
    if asked.get("uri", "").lower() in ("true", "1", "yes", "on") and path.startswith("file:"):
        path = unquote(path.removeprefix("file:"))
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
        if asked.get("mode") == "memory":
            path = ""
    if path in ("", ":memory:"):
        return Target(SQLITE, scheme, query=query)
    return Target(SQLITE, scheme, query=query, path=os.path.abspath(os.path.join(base, path)))


def _host(text: str, scheme: str) -> tuple[str, str]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise _bad_port(scheme)
    return unquote(found["v6"] or found["host"] or ""), found["port"] or ""


def _asked_host(text: str) -> tuple[str, str]:
    """A host of the query may bring its port, unless it is a directory or a bare IPv6 address."""
    found = _HOST.fullmatch(text)
    if text.startswith("/") or found is None:
        return text, ""
    return found["v6"] or found["host"] or "", found["port"] or ""


def _bad_port(scheme: str) -> DatabaseError:
    return DatabaseError(
        f"the host or the port in a URL of {scheme}:// can't be read",
        hint="percent-encode what stands in the password: / is %2F, @ is %40, : is %3A",
    )


def _said(key: str, value: str) -> str:
    """A parameter for a person: one that raccord doesn't know may hold anything."""
    name = key if _PARAMETER.fullmatch(key) else "***"
    return f"{name}={value if key in _OPEN else '***'}"


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _spelled(host: str, port: str) -> str:
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def _plain(host: str) -> str:
    """One spelling of a host: the loopback addresses are one, a socket's directory is resolved."""
    if host.startswith("/"):
        return os.path.realpath(host)
    name = host.lower().rstrip(".")
    try:
        return "localhost" if ipaddress.ip_address(name).is_loopback else name
    except ValueError:
        return name


def masked(text: str, secrets: Iterable[str], known: Iterable[str] = ()) -> str:
    """The text without these secrets. One that is also a known name, such as the user's, tells nothing."""
    for secret in sorted(set(secrets) - set(known), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
