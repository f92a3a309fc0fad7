"""A set of objects as one command takes it: frozen data. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from raccord.model.globs import named
from raccord.model.plan import Json

TRASH = ".raccord-trash"  # what was overwritten or removed, by the id of its push
LONG = 600  # bytes of a key: what is in front of it, in its store, may have as many as are left of 1,024
COPIES, VERSIONS = "trash", "versions"  # how it is kept
MANIFESTS = ".raccord-manifest"  # what is known of objects, by the name of their set


@dataclass(frozen=True, slots=True)
class Spec:
    """A set of objects.

    Attributes:
        name: of the set.
        origin: the environment that they come from.
        goal: the one that they go to.
        prefix: where they begin, without slashes at its ends; "" for everywhere.
        only: patterns of those that belong, relative to the prefix; () for all.
        mode: "insert", "upsert" or "mirror".
        delete: whether a mirror removes.
        private: patterns of those that stay where they are, relative to the prefix; () where none do.
        pulls: whether they go to where the set comes from.
        chosen: whether they come from another environment than the set's own.
        keep: how what is overwritten or removed is kept: as copies in the "trash", or by the bucket's own
            "versions".
    """

    name: str
    origin: str
    goal: str
    prefix: str = ""
    only: tuple[str, ...] = ()
    mode: str = "insert"
    delete: bool = False
    keep: str = COPIES
    private: tuple[str, ...] = ()
    pulls: bool = False
    chosen: bool = False

    @property
    def verb(self) -> str:
        """What is typed for it."""
        return "files pull" if self.pulls else "files push"

    @property
    def ends(self) -> str:
        """What is typed behind a verb, so that it is about the same set between the same environments."""
        return f"{self.name}{f' --from {self.origin}' if self.chosen else ''} --to {self.goal}"

    def belongs(self, key: str) -> bool:
        """Whether an object is in the set."""
        if key.split("/", 1)[0] in (TRASH, MANIFESTS):
            return False
        below = key.removeprefix(f"{self.prefix}/") if self.prefix else key
        return (
            (below != key or not self.prefix)
            and (not self.only or named(self.only, below))
            and not (self.private and named(self.private, below))
        )

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {**asdict(self), "only": list(self.only), "private": list(self.private)}

    @classmethod
    def parse(cls, document: Mapping[str, Json]) -> Spec:
        """Reads `document` back."""
        return cls(**{**document, **{one: tuple(document.get(one, ())) for one in ("only", "private")}})


def kept_key(id_: str, key: str) -> str:
    """Where an object is kept that a push overwrites or removes; a long name by its SHA-256, since no store
    takes one that is longer still."""
    raw = key.encode(errors="surrogateescape")
    return f"{TRASH}/{id_}/{key if len(raw) <= LONG else f'.long/{hashlib.sha256(raw).hexdigest()}'}"


def versions_key(id_: str) -> str:
    """Where it is noted which versions of a bucket a push overwrites or removes."""
    return f"{TRASH}/{id_}.versions"


def manifest_key(name: str) -> str:
    """Where a set's manifest is."""
    return f"{MANIFESTS}/{name}.json"
