"""What a hook calls, what an answer to it says, and whether to ask again. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from urllib.parse import quote, urlsplit

from raccord.config import Hook, Secret
from raccord.errors import UsageError
from raccord.model.plan import Json
from raccord.model.text import shown

# Methods that do no more when they are sent twice (RFC 9110, 9.2.2), of those that a hook may have.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# Answers that say: later. Others below 500 would come again (RFC 9110, 15.5; RFC 6585; RFC 8470).
LATER = frozenset({408, 425, 429})
LONGEST_PAUSE = 60.0  # seconds
SHOWN = 160  # characters of an answer that a message repeats
SHORTEST = 6  # characters of a word in a header that is a secret by itself


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: of a request its status, of a command its exit status; and what it says."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A hook as it is called. Of secrets it knows where they come from.

    Attributes:
        name: of the hook.
        url: what is requested, or "".
        method: of the request.
        headers: of the request: where each value comes from.
        words: a command, or ().
        line: a line for the shell, or "".
        body: what is sent or read.
        status: answers that are expected; () for those of success.
        answer: what the answer must contain.
        json: values that it must have, by dotted path.
        timeout: seconds that an attempt may take.
        retries: how often it is tried again.
        pause: seconds before the second attempt.
        repeatable: whether it may be sent again where it may have been heard.
    """

    name: str
    url: str = ""
    method: str = "GET"
    headers: Mapping[str, Secret] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    line: str = ""
    body: str = ""
    status: tuple[int, ...] = ()
    answer: str = ""
    json: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 60
    retries: int = 3
    pause: int = 2
    repeatable: bool = True

    @property
    def fingerprint(self) -> str:
        """Tells it from another. Plans and the journal have this in place of what may be secret in it."""
        said = json.dumps(asdict(self), sort_keys=True, default=list)
        return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def said(self) -> str:
        """What is called, for a person; of a URL what can't be a key."""
        if self.url:
            parts = urlsplit(self.url)
            return f"{self.method} {parts.scheme}://{parts.netloc}{parts.path}" + (
                "?…" if parts.query else ""
            )
        return self.line or shlex.join(self.words)


def call(name: str, hook: Hook) -> Call:
    """A hook of the configuration.

    Raises:
        UsageError: it says nothing, or too much.
    """
    given = [key for key in ("url", "command", "shell") if getattr(hook, key)]
    at = f"[hooks.{name}]"
    if len(given) != 1:
        said = " and ".join(given) or "none of url, command and shell"
        raise UsageError(f"the hook {name} has {said}: it is to have one", hint=f"correct {at}")
    asked = [key for key in ("headers", "status") if getattr(hook, key)]
    if not hook.url and asked:
        raise UsageError(f"the hook {name} has {asked[0]}, and no url", hint=f"correct {at}")
    if hook.shell and not hook.shell.strip():
        raise UsageError(f"the hook {name} has an empty shell line", hint=f"correct {at}")
    safe = bool(hook.url) and hook.method in IDEMPOTENT
    return Call(
        name=name,
        url=hook.url,
        method=hook.method,
        headers=dict(hook.headers),
        words=hook.command or (),
        line=hook.shell,
        body=hook.body,
        status=hook.status,
        answer=hook.answer,
        json=dict(hook.json),
        timeout=hook.timeout_seconds,
        retries=hook.retries,
        pause=hook.retry_seconds,
        repeatable=safe if hook.repeatable is None else hook.repeatable,
    )


def wrong(what: Call, answer: Answer, secrets: tuple[str, ...] = ()) -> str:
    """What is wrong with an answer, or "".

    Args:
        secrets: values that no message may repeat.
    """
    good = answer.status == 0 if not what.url else answer.status in (what.status or range(200, 300))
    if not good:
        did = f"answered {answer.status}" if what.url else f"failed ({answer.status})"
        return f"{did}{_quoted(answer.text, secrets)}"
    if what.answer and what.answer not in answer.text:
        return f"the answer has no {shown(what.answer)}{_quoted(answer.text, secrets)}"
    return _wrong_values(what, answer, secrets) if what.json else ""


def _wrong_values(what: Call, answer: Answer, secrets: tuple[str, ...]) -> str:
    try:
        document = json.loads(answer.text)
    except (ValueError, RecursionError):
        return f"the answer is no JSON{_quoted(answer.text, secrets)}"
    for path, wanted in what.json.items():
        found = _at(document, path)
        if found is None:
            return f"the answer has nothing at {shown(path)}"
        if found != wanted:
            return f"the answer has another {shown(path)} than {shown(wanted)}{_quoted(found, secrets)}"
    return ""


def _at(document: Json, path: str) -> str | None:
    """The value at a dotted path, as a person writes it; numbers count in lists."""
    for part in path.split("."):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document if isinstance(document, str) else json.dumps(document)


def _quoted(text: str, secrets: tuple[str, ...]) -> str:
    for secret in sorted({one for each in secrets for one in _spelled(each)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"(://[^/\s:@]*:).*@", r"\1***@", line)  # a password in a URL, whoever's it is
    return f": {shown(line[:SHOWN])}" if line else ""


def _spelled(secret: str) -> Iterator[str]:
    """How an answer may repeat a header: whole, without its scheme, as JSON has it, as a URL has it."""
    token = secret.rpartition(" ")[2]
    for one in (secret, token if len(token) >= SHORTEST else ""):
        yield from filter(None, (one, json.dumps(one)[1:-1], quote(one, safe=""), quote(one)))


def again(what: Call, *, heard: bool, status: int | None) -> bool:
    """Whether to try once more, as far as attempts are left.

    | heard there | answer | again |
    |---|---|---|
    | no | | yes |
    | maybe | none | if it is repeatable |
    | yes | a server's error, "later", a wrong text, a command's failure | if it is repeatable |
    | yes | another error of ours | no: it would come again |
    """
    if not heard:
        return True
    if what.url and status is not None and 300 <= status < 500 and status not in LATER:
        return False
    return what.repeatable


def pauses(what: Call) -> list[float]:
    """Seconds before each further attempt."""
    return [min(LONGEST_PAUSE, float(what.pause * 2**number)) for number in range(what.retries)]
