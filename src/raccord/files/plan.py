"""Decides what a push does, from how two sides differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raccord.files.compare import Comparison
from raccord.files.spec import Spec
from raccord.model.plan import Finding, Json
from raccord.model.text import grouped, several, shown
from raccord.objects.model import Entry

NAMED = 5  # objects that a message names


@dataclass(frozen=True, slots=True)
class Item:
    """One object that changes.

    Attributes:
        key: its name in the target.
        source: what it is filled from: a key of the source; "" where it is removed.
        size: bytes that travel.
        etag: the version to fill it from, "" for whatever is there.
        before: the version that the target has; "" for none.
    """

    key: str
    source: str
    size: int
    etag: str
    before: str

    def document(self) -> list[Json]:
        """Itself for JSON."""
        return [self.key, self.source, self.size, self.etag, self.before]


def items(documents: Sequence[Sequence[Json]]) -> list[Item]:
    """Reads `document`s back."""
    return [Item(*one) for one in documents]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done.

    Attributes:
        items: objects that change, those that are removed last.
        counts: how many are added, changed, removed.
        notes: what is told.
        held: why nothing is done, or None.
    """

    items: tuple[Item, ...]
    counts: tuple[int, int, int]
    notes: tuple[Finding, ...]
    held: Finding | None = None

    @property
    def size(self) -> int:
        """Bytes that travel."""
        return sum(one.size for one in self.items)


def decide(spec: Spec, source: Mapping[str, Entry], found: Comparison) -> Decision:
    """Decides.

    | mode | only the source has it | both, different | only the target has it |
    |---|---|---|---|
    | insert | added | stays, told | stays |
    | upsert | added | overwritten | stays |
    | mirror | added | overwritten | stays, told |
    | mirror, delete | added | overwritten | removed; refused where the source has nothing |
    """
    removing = spec.mode == "mirror" and spec.delete
    if removing and found.removed and not source:
        lost = len(found.removed)
        said = (
            f"{spec.origin} has nothing of {spec.name}, and {spec.goal} would lose {several(lost, 'object')}"
        )
        hint = f"raccord files diff {spec.ends}"
        return Decision((), (0, 0, 0), (), Finding("files.empty", "fail", said, hint))
    changed = found.changed if spec.mode != "insert" else ()
    made = [Item(one.key, one.key, one.size, one.etag, "") for one in found.added]
    made += [Item(one.key, one.key, one.size, one.etag, there.etag) for one, there in changed]
    removed = found.removed if removing else ()
    made += [Item(one.key, "", 0, "", one.etag) for one in removed]
    notes = [_table(found)]
    if spec.mode == "insert" and found.changed:
        notes.append(
            _told("files.differs", "differ and stay as they are", [one.key for one, _ in found.changed],
                  f"raccord {spec.verb} {spec.ends} --mode upsert --dry-run")
        )  # fmt: skip
    if spec.mode == "mirror" and not spec.delete and found.removed:
        notes.append(
            _told("files.stays", f"only in {spec.goal}, and stay", [one.key for one in found.removed],
                  f"raccord {spec.verb} {spec.ends} --mode mirror --delete --dry-run")
        )  # fmt: skip
    for what, keys in (
        ("added", [one.key for one in found.added]),
        ("overwritten", [one.key for one, _ in changed]),
        ("removed", [one.key for one in removed]),
    ):
        if keys:
            notes.append(_told("files.named", what, keys, ""))
    counts = (len(found.added), len(changed), len(removed))
    return Decision(tuple(made), counts, tuple(notes))


def _table(found: Comparison) -> Finding:
    data = {
        "added": len(found.added),
        "changed": len(found.changed),
        "same": found.same,
        "removed": len(found.removed),
    }
    said = (
        f"{grouped(data['added'])} only in the source, {grouped(data['changed'])}"
        f" differ{'s' if data['changed'] == 1 else ''}, {grouped(data['same'])} the same,"
        f" {grouped(data['removed'])} only in the target"
    )
    return Finding("files.compared", "note", said, data=data)


def _told(name: str, what: str, keys: Sequence[str], hint: str) -> Finding:
    some = ", ".join(shown(key) for key in keys[:NAMED])
    more = f" and {grouped(len(keys) - NAMED)} more" if len(keys) > NAMED else ""
    return Finding(name, "note", f"{what} ({grouped(len(keys))}): {some}{more}", hint)
