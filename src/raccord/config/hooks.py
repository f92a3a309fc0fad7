"""The keys of hooks: declared as those of `config.keys` are, with the kinds that only they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from raccord.config.kinds import (
    COMMAND,
    TEXTS,
    TRUTH,
    Invalid,
    Kind,
    Secret,
    choice,
    items,
    key,
    named,
    secret,
    string,
    whole,
)


def _url(value: object) -> str:
    text = string(value)
    if text and not re.fullmatch(r"https?://[^/@?#\s]+([/?][^#\s]*)?", text):
        raise Invalid("is no URL such as http://localhost:3000/api, without a user in it")
    return text


# Of a header that has such a word in its name, the value is taken for a secret.
SECRETIVE = re.compile(r"auth|cookie|token|key|secret|password|session|signature|bypass", re.IGNORECASE)


def _headers(value: object) -> Mapping[str, Secret]:
    """Reads headers. What may be secret comes from elsewhere, and no message repeats a value."""
    if not isinstance(value, dict):
        raise Invalid(f"is {named(value)}")
    found = {}
    for name, one in value.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise Invalid(f"has {name!r}, which is no name of a header")
        if name.lower() in ("connection", "content-length", "host", "transfer-encoding"):
            raise Invalid(f"has {name!r}, which raccord sets itself")
        try:
            text = string(one)
            if text.partition(":")[0] in ("env", "file", "command"):
                found[name] = secret(text)
            elif SECRETIVE.search(name):
                raise Invalid("would stand here for everybody to read: it comes from env:, file: or command:")
            else:
                found[name] = Secret("text", (text,))
        except Invalid as problem:
            raise Invalid(f"at {name!r} {problem}") from None
    return found


def _line(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"is {named(value)}")
    if "\0" in value:
        raise Invalid("holds a NUL")
    return value


def _status(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"is {named(value)}")
    if not 200 <= value <= 599:
        raise Invalid(f"is {value}")
    return value


URL = Kind("the URL of an HTTP server's answer", _url, '"http://localhost:3000/api/cron"')
HEADERS = Kind(
    "a table of strings, each the value, or env:VARIABLE, file:PATH or command:WORDS that print it",
    _headers,
    '{ Authorization = "env:CRON_AUTHORIZATION" }',
)
STATUSES = Kind("a list of numbers from 200 to 599", lambda value: items(value, _status), "[200, 202]")
LINE = Kind("a string", _line, '"true"')


@dataclass(frozen=True, slots=True)
class Hook:
    """A call in the target of a push, as seen from there: a request, or a command."""

    url: str = key(
        "", URL, "What is requested; `localhost` is the target's own. Either this, `command` or `shell`."
    )
    command: tuple[str, ...] | None = key(
        None, COMMAND, "A command, without a shell.", '["systemctl", "reload", "site"]'
    )
    shell: str = key("", LINE, "A line for the shell there.", '"cd /opt/site && ./index.sh"')
    method: str = key("GET", choice("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), "Of the request.")
    headers: Mapping[str, Secret] = key({}, HEADERS, "Of the request.")
    body: str = key("", LINE, "What a request sends, or a command reads.", '"{}"')
    status: tuple[int, ...] = key((), STATUSES, "The answers that are expected; 200 to 299 by default.")
    answer: str = key("", LINE, "What the answer, or what a command says, must contain.", '"\\"ok\\":true"')
    json: Mapping[str, str] = key(
        {}, TEXTS, "Values that the answer must have, each by its dotted path.", '{ "result.queued" = "0" }'
    )
    timeout_seconds: int = key(60, whole(1, "seconds"), "How long one attempt may take.")
    retries: int = key(3, whole(0, "times"), "How often it is tried again.")
    retry_seconds: int = key(
        2, whole(0, "seconds"), "How long to wait before the second attempt; twice as long before the next."
    )
    repeatable: bool | None = key(
        None,
        TRUTH,
        "Whether it may be sent again where it may have been heard: no answer came, or a wrong one. By "
        "default GET, HEAD, PUT and DELETE may.",
    )
