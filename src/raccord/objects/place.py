"""Where objects are: a URL taken apart, with what identifies the place and what opens it. Reads nothing."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from raccord.model.text import shown
from raccord.objects.reach import Way

PORTS = {"http": 80, "https": 443}
OWN_NAMES = (".internal", ".local", ".localhost")


class Route(Protocol):
    """How a server is reached that is not reached from here.

    Attributes:
        key: tells routes apart, and is the same tomorrow.
        shown: how a person knows where it leads.
    """

    @property
    def key(self) -> str: ...

    @property
    def shown(self) -> str: ...

    def proxy(self, host: str, port: int) -> str:
        """The URL, with its password, of an HTTP proxy here that leads to a server as seen from there."""

    def said(self) -> str:
        """Why it last led nowhere; "" where that isn't known."""


@dataclass(frozen=True, slots=True)
class Place:
    """An object store, or part of one.

    Attributes:
        kind: "s3", "file", or "sftp" for a directory on another host.
        bucket: its name; "" for a directory.
        prefix: where it begins within the bucket, without slashes at its ends; the directory's path.
        endpoint: URL of the server, "" for that of AWS.
        region: of the bucket.
        key_id, secret: who asks; both "" for a stranger. No message has them.
        token: of the session, where the key is a temporary one. No message has it.
        route: from where the server is seen; None for here.
        way: to the other host.
    """

    kind: str
    bucket: str
    prefix: str
    endpoint: str = ""
    region: str = ""
    key_id: str = ""
    secret: str = ""
    route: Route | None = None
    way: Way | None = field(default=None, compare=False)
    token: str = ""

    def __repr__(self) -> str:
        return f"Place({self.key})"

    @property
    def url(self) -> str:
        """The server's URL."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"

    @property
    def key(self) -> str:
        """Tells places apart; without secrets."""
        if self.kind == "file":
            return f"file:{self.prefix}"
        if self.way is not None:
            return f"sftp:{self.way.key}:{self.prefix}"
        way = f"{self.route.key}|" if self.route else ""
        return f"{way}s3:{self.url.rstrip('/')}/{self.bucket}/{self.prefix}"

    @property
    def shown(self) -> str:
        """How a person knows it."""
        if self.kind == "file":
            return shown(f"file://{self.prefix}")
        if self.way is not None:
            return shown(f"sftp://{self.way.shown.removeprefix('ssh://')}{self.prefix}")
        at = f" at {self.endpoint}" if self.endpoint else ""
        way = f" through {self.route.shown}" if self.route else ""
        return shown(f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "") + at) + way

    @property
    def proxy(self) -> str:
        """The proxy that leads to the server, "" where none is needed. It holds a password.

        Raises:
            TransportError: what lies between can't be reached.
        """
        if self.route is None:
            return ""
        found = urlsplit(self.url)
        return self.route.proxy(found.hostname or "", found.port or PORTS[found.scheme])

    @property
    def sheltered(self) -> bool:
        """Whether nobody on the way to the server can change what is sent: TLS, or nothing but one host."""
        found = urlsplit(self.url)
        return found.scheme == "https" or is_loopback(found.hostname or "")

    def meets(self, other: Place) -> bool:
        """Whether one lies in the other, or both are one."""
        mine, theirs = f"{self.key.rstrip('/')}/", f"{other.key.rstrip('/')}/"
        return mine.startswith(theirs) or theirs.startswith(mine)


def is_loopback(host: str) -> bool:
    """Whether a host is the one that says its name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own(endpoint: str) -> bool:
    """Whether the address of a server says nothing outside of where it is, such as that of localhost."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(OWN_NAMES))


def parse(
    url: str,
    *,
    endpoint: str = "",
    region: str = "",
    key_id: str = "",
    secret: str = "",
    token: str = "",
    route: Route | None = None,
    way: Way | None = None,
) -> Place:
    """Takes apart a URL that the configuration found valid. Links of a directory that is here are resolved.

    Args:
        way: to the host that a directory is on; None for here.
    """
    kind, _, rest = url.partition("://")
    where, _, below = rest.partition("/")
    if kind in ("file", "sftp") and way is not None:
        return Place("sftp", "", "/" + unquote(below).strip("/"), way=way)
    if kind == "file":
        return Place(kind, "", str(Path(os.path.realpath("/" + unquote(below)))))
    return Place(
        kind, where, below.strip("/"), endpoint.rstrip("/"), region, key_id, secret, route, token=token
    )
