"""The index of a search: which revision was seen where, and what a revision stands on. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from raccord.migrations import lfs
from raccord.migrations.contents import CURRENT, Kind, Sighting, Trouble
from raccord.migrations.headers import Headers
from raccord.migrations.objects import DAMAGED, MISSING
from raccord.migrations.revision import Revision, Unread

Seen = tuple[Sighting, Revision]
# What a person can do about a content that can't be read, by the beginning of the reason.
HINTS = (
    (DAMAGED, "git fsck"),
    (MISSING, "git fsck"),
    (lfs.ABSENT, f"{lfs.FETCH}, or: git lfs fetch --all"),
)


class Sightings:
    """Every sighting of a revision so far, by its id."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self._seen: set[Sighting] = set()
        self._by_id: dict[str, list[Seen]] = {}
        self._by_label: dict[str, set[str]] = {}
        self._unread: dict[tuple[str, str], tuple[Sighting, Unread]] = {}

    def add(self, sightings: Iterable[Sighting]) -> int:
        """Takes in files whose contents were looked at; returns how many it was given."""
        number = 0
        for one in sightings:
            number += 1
            if one in self._seen:
                continue
            self._seen.add(one)
            header = self._headers.get(one.blob, one.name)
            if isinstance(header, Revision):
                self._by_id.setdefault(header.id, []).append((one, header))
                for label in header.labels:
                    self._by_label.setdefault(label, set()).add(header.id)
            elif header is not None:
                self._unread.setdefault((one.blob, header.reason), (one, header))
        return number

    def held(self, *kinds: Kind) -> Iterator[Seen]:
        """Every sighting in sources of these kinds, with what the file says of itself."""
        for sightings in self._by_id.values():
            yield from (seen for seen in sightings if seen[0].kind in kinds)

    def of(self, revision: str) -> list[Seen]:
        """Where a revision was seen, in the order of looking, and what the file there says of itself."""
        return self._by_id.get(revision, [])

    @property
    def ids(self) -> tuple[str, ...]:
        """Every revision that was seen."""
        return tuple(self._by_id)

    def current(self, revision: str) -> bool:
        """Whether somebody works with it today."""
        return any(one.kind in CURRENT for one, _ in self.of(revision))

    def matching(self, beginning: str) -> list[str]:
        """The ids that begin so, and those with such a label."""
        found = {one for one in self._by_id if one.startswith(beginning)}
        return sorted(found | self._by_label.get(beginning, set()))

    def closure(self, wanted: Iterable[str], known: Set[str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
        """The wanted ids and all that they stand on, as far as it was seen; what was not, with who names it.

        Args:
            known: ids and labels where it ends.
        """
        reached: dict[str, None] = {}
        nowhere: dict[str, dict[str, None]] = {}
        todo = [(name, "") for name in wanted]
        while todo:
            name, by = todo.pop()
            if name in known:
                continue
            ids = [name] if name in self._by_id else sorted(self._by_label.get(name, ()))
            if not ids:
                nowhere.setdefault(name, {})[by] = None
            for one in ids:
                if one not in reached and one not in known:
                    reached[one] = None
                    todo += [(below, one) for below in self._below(one)]
        return list(reached), {name: tuple(sorted(by)) for name, by in nowhere.items()}

    def _below(self, revision: str) -> set[str]:
        """What its contents name: those of today, where there are any."""
        seen = self.of(revision)
        pool = [header for one, header in seen if one.kind in CURRENT] or [header for _, header in seen]
        found: set[str] = set()
        for header in {id(header): header for header in pool}.values():
            found.update(stands_on(header))
        return found

    def absent(self) -> Iterator[Sighting]:
        """Pointers to what Git LFS has not fetched, each content once."""
        yield from (one for one, header in self._unread.values() if header.reason.startswith(lfs.ABSENT))

    def unread(self, *, today: bool) -> Iterator[Trouble]:
        """Revision files that can't be read, each content once.

        Args:
            today: only those that somebody works with.
        """
        for one, header in self._unread.values():
            if not today or one.kind in CURRENT:
                line = f"line {header.line}: " if header.line else ""
                hint = next((hint for start, hint in HINTS if header.reason.startswith(start)), "")
                yield Trouble(one.kind, one.where, one.path, line + header.reason, hint)


def stands_on(revision: Revision) -> tuple[str, ...]:
    """The ids and labels that a revision names as its parents and dependencies."""
    if len(revision.down) < 2 and not revision.depends_on:
        return revision.down
    return tuple(dict.fromkeys([*revision.down, *map(_plain, revision.depends_on)]))


def _plain(name: str) -> str:
    """ "label@revision" stands for the revision, "label@head" for the label."""
    label, at, word = name.rpartition("@")
    return label if at and word in ("head", "heads") else word
