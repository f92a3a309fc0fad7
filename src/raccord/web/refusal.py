"""What a person's browser gets that may not come in: a page with the command that prints a link."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from raccord.model.language import ENGLISH, LANGUAGES, message

TITLE = message("This page needs a link")
HOW = message("It opens with a link that works once. This command prints one, in the repository:")
COMMAND = "raccord serve --link"
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem}"
    "pre{font-size:1.1rem;padding:.8rem 1rem;border:1px solid #8886;border-radius:10px;overflow-x:auto}"
)
# It has nothing but its own style, and loads nothing.
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'".encode()


def wanted(method: str, path: str, headers: Mapping[bytes, Sequence[str]]) -> bool:
    """Whether a person looks at the answer."""
    program = path.startswith(("/api/", "/assets/", "/metrics", "/openapi"))
    return method == "GET" and not program and any("text/html" in one for one in headers.get(b"accept", ()))


def page(headers: Mapping[bytes, Sequence[str]]) -> bytes:
    """The page, in the language that the browser asks for."""
    language = _language(headers.get(b"accept-language", ()))
    title, how = TITLE.said(language), HOW.said(language)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>raccord: {title}</title><style>{STYLE}</style></head>"
        f'<body><main><h1>{title}</h1><p>{how}</p><pre tabindex="0">{COMMAND}</pre></main></body></html>'
    ).encode()


def _language(said: Sequence[str]) -> str:
    """The first that raccord speaks: browsers name the best one first."""
    for one in ",".join(said).split(","):
        name = one.partition(";")[0].strip().partition("-")[0].lower()
        if name in LANGUAGES:
            return name
    return ENGLISH
