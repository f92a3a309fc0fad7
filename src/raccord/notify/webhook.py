"""Posts a document to a URL of the user's, signed, and to nobody else: redirects are not followed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from raccord.model.plan import Json

SECONDS = 10.0
SIGNATURE, TIME, DELIVERY = "X-Raccord-Signature", "X-Raccord-Timestamp", "X-Raccord-Delivery"


def post(url: str, document: Mapping[str, Json], *, delivery: str, at: int, secret: str = "") -> str:
    """Posts it as JSON.

    Args:
        delivery: names this delivery; the same at each further try, so that a receiver can tell.
        at: when it is sent, in Unix seconds.
        secret: that the receiver knows; "" for no signature.

    Returns:
        Why it failed, "" where the receiver answered 2xx. The URL, which may be a secret, is not in it.
    """
    body = json.dumps(document, sort_keys=True).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "raccord", DELIVERY: delivery, TIME: str(at)}
    if secret:
        headers[SIGNATURE] = signature(secret, at, body)
    try:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"the receiver can't be reached ({type(error).__name__})"
    return "" if 200 <= status < 300 else f"the receiver answered {status}"


def signature(secret: str, at: int, body: bytes) -> str:
    """What a receiver computes too: HMAC-SHA256 (RFC 2104) over the time, a dot and the body, in hex."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=SECONDS)
