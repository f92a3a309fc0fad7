"""Whether two objects are the same, from what listings and the manifest say of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from raccord.objects.model import Entry


@dataclass(frozen=True, slots=True)
class Known:
    """What the manifest knows of an object: that these two versions had this content.

    Attributes:
        size: in bytes.
        sha256: of its bytes.
        source: the etag that it had where it came from.
        target: the etag that it got.
    """

    size: int
    sha256: str
    source: str
    target: str


class Verdict(Enum):
    """What is known about two objects of one key."""

    SAME = "same"
    DIFFERENT = "different"
    UNREAD = "unread"  # only reading them tells


def verdict(source: Entry, target: Entry, known: Known | None, same_source: bool) -> Verdict:
    """Compares two objects of one key.

    Args:
        known: what the manifest says of the key.
        same_source: whether the manifest's source is this one.

    | sizes | manifest has both versions | both etags are MD5s | |
    |---|---|---|---|
    | differ | | | different |
    | equal | yes | | same |
    | equal | no | equal | same |
    | equal | no | different | different |
    | equal | no | one is none | unread |
    """
    if source.size != target.size:
        return Verdict.DIFFERENT
    if known and same_source and (known.source, known.target) == (source.etag, target.etag):
        return Verdict.SAME
    if source.md5 and target.md5:
        return Verdict.SAME if source.md5 == target.md5 else Verdict.DIFFERENT
    return Verdict.UNREAD


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sides differ.

    Attributes:
        added: what the source alone has.
        changed: what differs, as both sides have it.
        same: how many are equal.
        removed: what the target alone has.
        learnt: what was found out by reading.
    """

    added: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    same: int
    removed: tuple[Entry, ...]
    learnt: Mapping[str, Known]


def compared(
    source: Mapping[str, Entry],
    target: Mapping[str, Entry],
    equal: Mapping[str, bool],
    learnt: Mapping[str, Known],
) -> Comparison:
    """Puts it together.

    Args:
        equal: for each key that both have, whether the objects are the same.
        learnt: what was found out by reading.
    """
    return Comparison(
        added=tuple(source[key] for key in sorted(source.keys() - target.keys())),
        changed=tuple((source[key], target[key]) for key in sorted(equal) if not equal[key]),
        same=sum(equal.values()),
        removed=tuple(target[key] for key in sorted(target.keys() - source.keys())),
        learnt=learnt,
    )
