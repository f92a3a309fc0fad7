"""Where objects are: a URL taken apart, with what identifies the place and what opens it. Reads nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Place:
    """An object store, or part of one.

    Attributes:
        kind: "s3" or "file".
        bucket: its name; "" for a directory.
        prefix: where it begins within the bucket, without slashes at its ends; the directory's path.
        endpoint: URL of the server, "" for that of AWS.
        region: of the bucket.
        key_id, secret: who asks; both "" for a stranger. No message has them.
    """

    kind: str
    bucket: str
    prefix: str
    endpoint: str = ""
    region: str = ""
    key_id: str = ""
    secret: str = ""

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
        return f"s3:{self.url.rstrip('/')}/{self.bucket}/{self.prefix}"

    @property
    def shown(self) -> str:
        """How a person knows it."""
        if self.kind == "file":
            return shown(f"file://{self.prefix}")
        at = f" at {self.endpoint}" if self.endpoint else ""
        return shown(f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "") + at)

    def meets(self, other: Place) -> bool:
        """Whether one lies in the other, or both are one."""
        mine, theirs = f"{self.key.rstrip('/')}/", f"{other.key.rstrip('/')}/"
        return mine.startswith(theirs) or theirs.startswith(mine)


def parse(url: str, *, endpoint: str = "", region: str = "", key_id: str = "", secret: str = "") -> Place:
    """Takes apart a URL that the configuration found valid. A directory's links are resolved."""
    kind, _, rest = url.partition("://")
    where, _, below = rest.partition("/")
    if kind == "file":
        return Place(kind, "", str(Path(os.path.realpath("/" + unquote(below)))))
    return Place(kind, where, below.strip("/"), endpoint.rstrip("/"), region, key_id, secret)
