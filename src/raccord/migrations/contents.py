"""What a search for revisions finds: contents, and for each of them every place that holds it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from raccord.migrations.revision import Revision

Kind = Literal["archive", "worktree", "directory", "index", "ref", "history", "stash", "reflog", "dangling"]
# The order of the sources: of two places that hold the same bytes, the first is named first.
ORDER: tuple[Kind, ...] = (
    "archive", "worktree", "directory", "index", "ref", "history", "stash", "reflog", "dangling",
)  # fmt: skip
# Places where somebody works with a content today. In the others lies what was edited, amended or given up
# since: it counts where none of these holds the revision.
CURRENT: frozenset[Kind] = frozenset({"worktree", "directory", "index", "ref", "stash"})

WORDS: Mapping[Kind, str] = {
    "archive": "raccord's own store",
    "worktree": "worktrees",
    "directory": "other directories",
    "index": "the index of worktrees",
    "ref": "branches, here and as fetched",
    "history": "the history of all refs, and tags",
    "stash": "stashes",
    "reflog": "reflogs",
    "dangling": "objects that no ref leads to",
}


# One place; what follows is its name.
PLACES: Mapping[Kind, str] = {
    "archive": "raccord's own store",
    "worktree": "worktree",
    "directory": "",
    "index": "the index of",
    "ref": "",
    "history": "the history of",
    "stash": "",
    "reflog": "",
    "dangling": "an object that no ref leads to",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that holds a content.

    Attributes:
        where: a worktree's or directory's top, a full ref name, "stash@{1}", a reflog entry, a database's
            key; "" for a dangling object.
        path: of the file below that place; "" where only the bytes are known.
        commit: that brought the content, or "" where none did, or none is known.
        author: of that commit, "name <address>"; "" without one.
        time: Unix seconds when it was written: the author's date, or the file's; 0 where nobody knows.
        digest: the SHA-256 of the content, in hex.
    """

    kind: Kind
    where: str
    path: str
    commit: str
    author: str
    time: float
    digest: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One content of a revision.

    Attributes:
        revision: what it says of itself, under the file name of its first origin.
        blob: the object id that these bytes have in the repository, whether it holds them or not; of what
            Git LFS stores, the pointer's.
        source: the bytes.
        origins: every place that holds it, in the order of the sources.
    """

    revision: Revision
    blob: str
    source: bytes
    origins: tuple[Origin, ...]

    def __hash__(self) -> int:
        """By the content alone: to go through every origin takes longer than what is looked up."""
        return hash(self.revision.digest)

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hex."""
        return self.revision.digest

    @property
    def current(self) -> bool:
        """Whether somebody works with it today, see `CURRENT`."""
        return any(origin.kind in CURRENT for origin in self.origins)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that could not be looked at, or is not what it should be; the search went on without it.

    Attributes:
        where: as in `Origin`.
        path: below that place, or "".
        reason: in words.
        hint: what to type, or "".
    """

    kind: Kind
    where: str
    path: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """What was looked at in one source.

    Attributes:
        everywhere: whether every `.py` was looked at, and not only the version folders.
        places: how many worktrees, refs, commits …
        files: how many files or contents.
    """

    kind: Kind
    everywhere: bool
    places: int
    files: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of a search.

    Attributes:
        contents: revision id to its contents, in the order of the sources; every id that was asked for or
            that a content names as parent or dependency, and that is somewhere.
        nowhere: id or label to who names it ("" for who asked): what no source holds.
        searched: what was looked at, in the order of the sources.
        troubles: what could not be looked at.
    """

    contents: Mapping[str, tuple[Candidate, ...]]
    nowhere: Mapping[str, tuple[str, ...]]
    searched: tuple[Searched, ...]
    troubles: tuple[Trouble, ...]


class Sighting(NamedTuple):
    """A file name with a blob somewhere, before anybody asked what is in it.

    Attributes:
        where, path, commit, author, time: as in `Origin`.
    """

    kind: Kind
    where: str
    path: str
    blob: str
    commit: str = ""
    author: str = ""
    time: float = 0.0

    @property
    def name(self) -> str:
        """The file's base name."""
        return self.path.rpartition("/")[2]
