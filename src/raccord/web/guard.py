"""Lets a request in, or refuses it: on every route, streams included, before anything else looks at it.

A page of somebody else's may reach a port of this machine: it can post forms to it, frame it, and point a
name of its own at it. So a request must name this server as its host, come from this server's own pages where
it says whence it comes, and know a secret.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

from raccord.web import refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, Sequence[str]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "raccord"
BYPASS = b"x-dev-bypass"
OPEN = ("/health", "/health/live", "/health/ready", "/health/startup")
SCRAPED = ("/metrics", "/api/metrics")
LOGIN = "/login"
SAFE = frozenset({"GET", "HEAD"})

LINK_SECONDS = 600.0
SESSION_SECONDS = 12 * 3600.0
PER_SECOND, BURST = 400.0, 800.0
REFUSED_PER_SECOND, REFUSED_BURST = 5.0, 50.0

HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            b" connect-src 'self';"
            b" font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none';"
            b" frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass
class Bucket:
    """So many requests a second, and a burst of more."""

    rate: float
    burst: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.burst, time.monotonic()

    def has(self) -> bool:
        """Whether there is one left."""
        now = time.monotonic()
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        return self.left >= 1

    def take(self) -> bool:
        """Takes one; whether there was one left."""
        if not self.has():
            return False
        self.left -= 1
        return True


@dataclass
class Doors:
    """Who is let in.

    Attributes:
        hosts: what the Host header may be, with the port.
        token: that lets a program in.
        scrape: that lets a program read the metrics, and nothing else.
        dev: whether `x-dev-bypass: 1` lets anybody in.
    """

    hosts: frozenset[str]
    token: str
    scrape: str
    dev: bool = False
    _links: dict[str, float] = field(default_factory=dict, repr=False)
    _sessions: dict[str, float] = field(default_factory=dict, repr=False)

    def link(self) -> str:
        """A secret that opens one session, once."""
        made = secrets.token_urlsafe(32)
        self._links[made] = time.monotonic() + LINK_SECONDS
        return made

    def redeem(self, said: str) -> str | None:
        """A session for a link that was not used yet."""
        until = self._links.pop(said, None)
        if until is None or until < time.monotonic():
            return None
        made = secrets.token_urlsafe(32)
        self._sessions = {one: end for one, end in self._sessions.items() if end > time.monotonic()}
        self._sessions[made] = time.monotonic() + SESSION_SECONDS
        return made

    def session(self, said: str) -> bool:
        """Whether a cookie opens something still."""
        return self._sessions.get(said, 0.0) > time.monotonic()

    def is_token(self, said: str, path: str) -> bool:
        """Whether a bearer token lets in."""
        given = said.encode()
        known = hmac.compare_digest(given, self.token.encode())
        scraping = hmac.compare_digest(given, self.scrape.encode()) and path in SCRAPED
        return known or scraping


class Guard:
    """An application behind the doors.

    Args:
        trusted: whether the requests come through a socket that is this user's alone.
    """

    def __init__(self, app: Application, doors: Doors, *, trusted: bool = False) -> None:
        self._app, self._doors, self._trusted = app, doors, trusted
        self._all = Bucket(PER_SECOND, BURST)
        self._refused = Bucket(REFUSED_PER_SECOND, REFUSED_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        refused = None if self._trusted else self._why_not(scope, headers)
        if refused is not None:
            await _refuse(send, *refused, scope, headers)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["path"] == LOGIN and message["status"] == 401:
                    self._refused.take()
                message["headers"] = _with(message.get("headers", ()))
            await send(message)

        await self._app(scope, receive, guarded)

    def _why_not(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if not self._all.take():
            return 429, "too many requests"
        host = headers.get(b"host", [])
        if len(host) != 1 or host[0].lower() not in self._doors.hosts:
            return 421, "this server has another name"
        origins = headers.get(b"origin", [])
        if any(one.lower() != f"http://{host[0].lower()}" for one in origins):
            return 403, "the request comes from another site"
        site = headers.get(b"sec-fetch-site", ["none"])[0]
        path, method = scope["path"], scope["method"]
        if site not in ("none", "same-origin") and not (path == LOGIN and method in SAFE):
            return 403, "the request comes from another site"
        if path in OPEN and method in SAFE:
            return None
        if path == LOGIN and method in SAFE:
            # Guessing is as slow as for any other secret.
            return None if self._refused.has() else (429, "too many refused requests")
        why = self._unknown(headers, path, method, bool(origins))
        if why is None:
            return None
        return why if self._refused.take() else (429, "too many refused requests")

    def _unknown(self, headers: Headers, path: str, method: str, named: bool) -> tuple[int, str] | None:
        if self._doors.dev and list(headers.get(BYPASS, ())) == ["1"]:
            return None
        bearer = headers.get(b"authorization", ())
        if len(bearer) == 1 and bearer[0][:7].lower() == "bearer ":
            known = self._doors.is_token(bearer[0][7:].strip(), path)
            return None if known else (401, "the token is not this server's")
        if self._doors.session(cookie(headers.get(b"cookie", ()))):
            # A cookie comes by itself: what changes something must also say whence.
            return None if method in SAFE or named else (403, "the request does not say where it comes from")
        if self._doors.dev and method in SAFE and not path.startswith(("/api/", "/metrics")):
            return None  # the pages themselves, which say that all is open
        return 401, "open the link that raccord serve --link prints"


def cookie(said: Sequence[str]) -> str:
    """The session that a request carries; "" where there is none."""
    for one in said:
        try:
            found = SimpleCookie(one).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""


def _with(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}
    kept = [(name, value) for name, value in headers if name.lower() != b"server"]
    return [*kept, *((name, value) for name, value in HEADERS if name not in own)]


def _headers(scope: Scope) -> Headers:
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))
    return found


async def _refuse(send: Send, status: int, why: str, scope: Scope, headers: Headers) -> None:
    said: list[tuple[bytes, bytes]] = []
    if status == 401 and refusal.wanted(scope["method"], scope["path"], headers):
        body = refusal.page(headers)
        said += [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", refusal.POLICY)]
    else:
        body = json.dumps({"detail": why}).encode()
        said.append((b"content-type", b"application/json"))
    said.append((b"content-length", str(len(body)).encode()))
    if status == 401:
        said.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": _with(said)})
    await send({"type": "http.response.body", "body": body})
