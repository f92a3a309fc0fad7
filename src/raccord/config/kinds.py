"""The kinds of values that a configuration key may hold: what is valid, and how it is read. Pure."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from raccord.model import masks
from raccord.model.language import LANGUAGES

T = TypeVar("T")


class Invalid(Exception):
    """A value that a kind does not take; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        expected: what is valid, in words that end "expected …".
        read: turns a TOML value into the frozen Python value, or raises `Invalid`.
        value: the TOML spelling of an example, for documentation.
    """

    expected: str
    read: Callable[[object], object]
    value: str


def named(value: object) -> str:
    """What a TOML value is, in words: "a string"."""
    for python, words in (
        (bool, "a boolean"),
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, python):
            return words
    return "a date or time"


def string(value: object) -> str:
    """Reads a string without control characters: a newline in a branch or a variable is a mistake."""
    if not isinstance(value, str):
        raise Invalid(f"is {named(value)}")
    if not value.isprintable():
        raise Invalid("holds a control character")
    return value


def whole(least: int, unit: str) -> Kind:
    """A whole number of `unit`, at least `least`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(f"is {named(value)}")
        if not least <= value <= 2**31:
            raise Invalid(f"is {value}")
        return value

    return Kind(f"a whole number of {unit}, {least} or more", read, str(least))


def items(value: object, read: Callable[[object], T], least: int = 0) -> tuple[T, ...]:
    """Reads a list whose items `read` takes."""
    if not isinstance(value, list):
        raise Invalid(f"is {named(value)}")
    if len(value) < least:
        raise Invalid("is empty")
    found = []
    for number, item in enumerate(value, 1):
        try:
            found.append(read(item))
        except Invalid as problem:
            nested = "," if str(problem).startswith("item") else ""
            raise Invalid(f"item {number}{nested} {problem}") from None
    return tuple(found)


def _place(value: object) -> str:
    text = _filled(value)
    if not (os.path.isabs(text) or text.startswith("~")):
        raise Invalid(f"is {text!r}, neither absolute nor below ~")
    return text


def _filled(value: object) -> str:
    text = string(value)
    if not text.strip():
        raise Invalid("is empty")
    return text


def _variable(value: object) -> str:
    text = string(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise Invalid(f"is {text!r}")
    return text


def _argument(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"is {named(value)}")
    if "\0" in value:
        raise Invalid("holds a NUL")
    return value


def command(value: object) -> tuple[str, ...]:
    """Reads a command: an argv list, or a string that is split as a shell would, without a shell."""
    if isinstance(value, str):
        try:
            words = tuple(shlex.split(_argument(value)))
        except ValueError as error:
            raise Invalid(f"can't be split: {error}".lower()) from None
    else:
        words = items(value, _argument)
    if not words or not words[0]:
        raise Invalid("names no program")
    return words


def _glob(value: object) -> str:
    text = _filled(value)
    if text.startswith("/") or ".." in text.split("/"):
        raise Invalid(f"is {text!r}, which leads out of the worktree")
    return text


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Where a value comes from that may be secret; it never shows itself.

    Attributes:
        kind: "env", "file", "keyring", "command", or "text" where the value itself stands there.
        words: the variable, the path, the service and the user, the command's words, or the value.
    """

    kind: str
    words: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Secret({self.kind})"


SOURCES = ("command", "env", "file", "keyring")


def secret(value: object) -> Secret:
    """Reads where a secret comes from. No message repeats it."""
    text = _argument(value).strip()
    if not text:
        raise Invalid("is empty")
    kind, _, rest = text.partition(":")
    if kind == "env":
        try:
            return Secret(kind, (_variable(rest),))
        except Invalid:
            raise Invalid("names no variable") from None
    if kind == "file":
        if not rest:
            raise Invalid("names no file")
        return Secret(kind, (rest,))
    if kind == "keyring":
        service, _, user = rest.rpartition("/")
        if not (service and user):
            raise Invalid("names no service and user, with a slash between them")
        return Secret(kind, (service, user))
    if kind == "command":
        return Secret(kind, command(rest))
    if "://" not in text:
        raise Invalid("is neither a URL nor env:, file:, keyring: or command:")
    return Secret("text", (text,))


def _hidden(value: object) -> Secret:
    found = secret(value)
    if found.kind == "text":
        raise Invalid("would stand here for everybody to read")
    return found


def _host(value: object) -> Secret:
    """Reads a destination of ssh's, or where it comes from."""
    text = string(value).strip()
    kind, _, rest = text.partition(":")
    if kind in SOURCES and not rest.startswith("//"):
        return _hidden(text)
    if not re.fullmatch(r"(?!-)[\w.@:/%+\[\]~-]+", text):
        raise Invalid(f"is {text!r}")
    return Secret("text", (text,))


def _login(value: object) -> Secret:
    """Reads a user's name, or where it comes from."""
    text = string(value).strip()
    if text.partition(":")[0] in SOURCES:
        return _hidden(text)
    if not re.fullmatch(r"(?!-)[\w.@+~\\-]+", text):
        raise Invalid(f"is {text!r}")
    return Secret("text", (text,))


def _container(value: object) -> str:
    """Reads a container's name, or a filter."""
    text = string(value).strip()
    if text and not re.fullmatch(r"[A-Za-z0-9][\w.-]*|(name|label|ancestor|id|volume|network)=\S+", text):
        raise Invalid(f"is {text!r}")
    return text


def _store(value: object) -> str:
    """Reads the URL of an object store or of a directory."""
    text = string(value)
    if not text:
        return text
    kind, mark, rest = text.partition("://")
    where, _, below = rest.partition("/")
    known = mark and kind in ("s3", "file", "sftp")
    if kind == "sftp" and mark:
        if not re.fullmatch(r"(?!-)(?:(?!-)[\w.+~-]+@)?(?!-)(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?", where):
            # Not repeated: there may be a password in it.
            raise Invalid("names no host, or has a password in it, which belongs in ssh_password")
    elif "@" in (where if known else text) or (kind != "file" and "?" in text):
        raise Invalid("has a user or a key in it, which belong in objects_key_id and objects_key")
    if not known:
        raise Invalid(f"is {text!r}")
    if (kind == "file" and where not in ("", "localhost")) or (kind != "s3" and not below.strip("/")):
        raise Invalid(f"is {text!r}, which names no directory")
    if kind == "s3" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", where):
        raise Invalid(f"is {text!r}, which names no bucket")
    if not {".", ".."}.isdisjoint(rest.split("/")) or "//" in below:
        raise Invalid(f"is {text!r}, which has empty, . or .. parts")
    return text


def _endpoint(value: object) -> str:
    text = string(value)
    if text and not re.fullmatch(r"https?://[^/@?#]+(/[^@?#]*)?", text):
        raise Invalid("is no URL such as https://s3.example.org, without a user in it")
    try:
        urlsplit(text).port  # noqa: B018 - it is read as it is asked for
    except ValueError:
        raise Invalid("has no host, or no port, that can be read") from None
    return text


def _prefix(value: object) -> str:
    text = string(value)
    if text and not {"", ".", "..", ".raccord-trash", ".raccord-manifest"}.isdisjoint(
        text.rstrip("/").split("/")
    ):
        raise Invalid(f"is {text!r}")
    return text


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"is {named(value)}")
    return value


def _closure(value: object) -> bool | str:
    if not isinstance(value, bool) and value != "all":
        raise Invalid(f"is {value!r}" if isinstance(value, str) else f"is {named(value)}")
    return value


def choice(*words: str) -> Kind:
    """One of some words."""

    def read(value: object) -> str:
        text = string(value)
        if text not in words:
            raise Invalid(f"is {text!r}")
        return text

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), read, f'"{words[0]}"')


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise Invalid(f"is {named(value)}")
    found = {}
    for name, one in value.items():
        if isinstance(one, dict):
            # A dotted key that is not in quotes is a table of tables to TOML.
            raise Invalid(f"has a table at {name!r}: a name with a dot needs quotes")
        try:
            found[name] = _argument(one)
        except Invalid as problem:
            raise Invalid(f"at {name!r} {problem}") from None
        if not found[name].strip():
            raise Invalid(f"at {name!r} is empty")
    return found


def _masks(value: object) -> Mapping[str, str]:
    found = _texts(value)
    for name, text in found.items():
        try:
            masks.parse(text)
        except ValueError as problem:
            raise Invalid(f"at {name!r} {problem}") from None
    return found


def _language(value: object) -> str:
    text = string(value)
    if text not in ("", *LANGUAGES):
        raise Invalid(f"is {text!r}")
    return text


LANGUAGE = Kind(" or ".join(f'"{one}"' for one in LANGUAGES), _language, '"fr"')
FILE = Kind("a path inside the worktree", _glob, '"raccord-lint.json"')
TEXT = Kind("a string", string, '"main"')
CLOSURE = Kind('true, false or "all"', _closure, "true")
TRUTH = Kind("true or false", _truth, "true")
_FROM = "env:VARIABLE, file:PATH, keyring:SERVICE/USER or command:WORDS that print"
SECRET = Kind(f"a URL, {_FROM} one", secret, '"env:DATABASE_URL"')
HIDDEN = Kind(f"{_FROM} it", _hidden, '"env:S3_KEY"')
HOST = Kind(
    "HOST, USER@HOST, an alias of ~/.ssh/config, ssh://USER@HOST:PORT or env:VARIABLE",
    _host,
    '"deploy@example.org"',
)
NAME = Kind("a name without spaces, or env:VARIABLE", _login, '"env:RACCORD_MACHINE"')
LOGIN = Kind("the name of a user, or env:VARIABLE", _login, '"env:VPS_USER"')
CONTAINER = Kind(
    "the name of a container, or a filter such as label=KEY=VALUE", _container, '"moncabinet-postgres"'
)
STORE = Kind(
    "s3://BUCKET, s3://BUCKET/PREFIX, file:///DIRECTORY or sftp://USER@HOST/DIRECTORY",
    _store,
    '"s3://web-files"',
)
ENDPOINT = Kind("the URL of a server", _endpoint, '"https://s3.example.org"')
PREFIX = Kind("names with a slash between them", _prefix, '"uploads"')
TEXTS = Kind("a table of strings", _texts, '{ documents = "published" }')
MASKS = Kind("a table of masks: mask:NAME, or SQL", _masks, '{ "users.email" = "mask:email" }')
NAMES = Kind("a list of names", lambda value: items(value, _filled), '["knowledge"]')
PATTERNS = Kind("a list of patterns", lambda value: items(value, _filled), '["release/*"]')
GLOBS = Kind("a list of patterns inside the worktree", lambda value: items(value, _glob), '["*.pyc"]')
PLACES = Kind(
    "a list of patterns, each absolute or below ~", lambda value: items(value, _place), '["~/Project-*"]'
)
VARIABLES = Kind("a list of names of variables", lambda value: items(value, _variable), '["NODE_ENV"]')
COMMAND = Kind(
    'a command, a list such as ["uv", "run", "alembic"] or a string', command, '["uv", "run", "alembic"]'
)
COMMANDS = Kind(
    'a list of commands, each a list such as ["pytest", "-q"] or a string',
    lambda value: items(value, command),
    '[["pytest", "-q"]]',
)


def key(default: T, kind: Kind, doc: str, example: str = "") -> T:
    """Declares a key: its default, what it takes, and the sentence of its documentation."""
    made = {"kind": kind, "doc": doc, "example": example or kind.value, "default": default}
    if isinstance(default, dict):
        return cast(T, field(default_factory=dict, metadata=made))
    return cast(T, field(default=cast(Any, default), metadata=made))
