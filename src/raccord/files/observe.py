"""Lists both stores and finds out what differs. Nothing is written; what only reading tells is read."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from raccord.errors import CannotRun, WorldMoved
from raccord.files import carry, manifest
from raccord.files.compare import Comparison, Known, Verdict, compared, verdict
from raccord.files.manifest import Manifest
from raccord.files.spec import Spec
from raccord.model.language import Sentence, counted, sentence
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.objects.model import Entry, Readable, Store, Unreadable
from raccord.objects.place import Place

NAMED = 5  # objects that a message names
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides of a set.

    Attributes:
        source, target: the objects of the set, by key.
        comparison: how they differ.
        notes: what a person should know.
        left: names that are left out, and why.
    """

    source: Mapping[str, Entry]
    target: Mapping[str, Entry]
    comparison: Comparison
    notes: tuple[Finding, ...]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Both:
    """Two objects that have to be read."""

    source: Entry
    target: Entry
    size: int


def listed(store: Store, spec: Spec) -> tuple[dict[str, Entry], dict[str, str]]:
    """The objects of a set in a store, and what is left out of it.

    Raises:
        ObjectsError: it can't be listed to its end.
    """
    found = store.listing(spec.prefix)
    return (
        {key: one for key, one in found.entries.items() if spec.belongs(key)},
        {key: why for key, why in found.left.items() if spec.belongs(key)},
    )


def check_places(source: Place, target: Place) -> None:
    """Refuses two places of which one lies in the other.

    Raises:
        CannotRun: they do.
    """
    if source.meets(target):
        raise CannotRun(
            f"{source.shown} and {target.shown} are one place, or one lies in the other",
            hint="give each environment a bucket or a prefix of its own",
        )


def observe(
    source: Store, target: Store, place: Place, spec: Spec, cancelled: Callable[[], bool] = lambda: False
) -> Seen:
    """Looks at both sides.

    Args:
        place: of the source.

    Raises:
        ObjectsError: one of them can't be listed or read.
    """
    with ThreadPoolExecutor(3) as pool:
        asked = pool.submit(listed, source, spec), pool.submit(listed, target, spec)
        loading = pool.submit(manifest.load, target, spec.name)
        (ours, left), (theirs, there) = asked[0].result(), asked[1].result()
        known = loading.result()
    left |= {
        key: sentence("in {place}: {why}", place=spec.goal, why=why)
        for key, why in there.items()
        if key in ours
    }
    for key in [key for key in ours if key in there or unnameable(key, target)]:
        left.setdefault(key, sentence("its name can't be one there"))
        del ours[key]
    removing = spec.mode == "mirror" and spec.delete
    marks = _marks(source, ours, theirs, True, cancelled), _marks(target, theirs, ours, removing, cancelled)
    ours = {key: one for key, one in ours.items() if key not in marks[0]}
    theirs = {key: one for key, one in theirs.items() if key not in marks[1]}
    if not target.keeps_attributes:
        for key, other in _in_the_way(ours, theirs).items():
            left[key] = sentence("a file and a directory can't have one name: {name}", name=shown(other))
            del ours[key]
    # What can't be looked at here is not taken for something that is gone.
    theirs = {key: one for key, one in theirs.items() if not _below(key, left)}
    left |= dict.fromkeys(marks[0] | marks[1], sentence("a mark of a folder, and no object"))
    notes = []
    if known.unreadable:
        said = sentence(
            "the manifest of {set} in {place} is not used: {why}",
            set=spec.name,
            place=spec.goal,
            why=known.unreadable,
        )
        notes.append(Finding("files.manifest", "note", said))
    if left:
        notes.append(left_out(left))
    comparison = _compared(source, target, ours, theirs, known, known.source == place.key, cancelled)
    return Seen(ours, theirs, comparison, tuple(notes), left)


def _in_the_way(ours: Mapping[str, Entry], theirs: Mapping[str, Entry]) -> dict[str, str]:
    """Keys that a directory has no place for, because of another: one is a file where the other needs a
    directory."""
    found: dict[str, str] = {}
    for key in (*ours, *theirs):
        at = key
        while at := at.rpartition("/")[0]:
            if key in ours and (at in ours or (at in theirs and key not in theirs)):
                found[key] = at
            elif at in ours and at not in theirs:
                found[at] = key
    return found


def _marks(
    store: Store,
    mine: Mapping[str, Entry],
    other: Mapping[str, Entry],
    alone: bool,
    cancelled: Callable[[], bool],
) -> set[str]:
    """Names that end with a slash in a bucket, which consoles make for folders; a listing has them without.

    Only what is empty, and not so on the other side, is asked for by itself.

    Args:
        alone: whether something is done with what the other side doesn't have.
    """
    if not store.keeps_attributes:
        return set()
    found: set[str] = set()

    def look(one: Entry) -> None:
        with contextlib.suppress(Unreadable):
            if store.find(one.key) is None:
                found.add(one.key)

    empty = [
        one for key, one in mine.items() if not one.size and (other[key].size if key in other else alone)
    ]
    if empty:
        carry.each(empty, look, cancelled)
    return found


def _below(key: str, names: Mapping[str, str]) -> bool:
    parts = key.split("/")
    return bool(names) and any("/".join(parts[:end]) in names for end in range(1, len(parts) + 1))


def unnameable(key: str, target: Store) -> bool:
    """Whether a key can't be one in a store: it is no text, no path, or too long."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        return target.keeps_attributes
    if len(raw) > target.longest or (target.keeps_attributes and CONTROL.search(raw)):
        return True
    return any(part in (b"", b".", b"..") or len(part) > 255 for part in raw.split(b"/"))


def left_out(left: Mapping[str, str], name: str = "files.left", what: str = "") -> Finding:
    """The finding that names what is left out.

    Args:
        what: is said of it in place of that.
    """
    of = what or sentence("left out")
    some = [sentence("{name} ({why})", name=shown(key), why=why) for key, why in sorted(left.items())[:NAMED]]
    said = sentence("{what}: {names}", what=of, names=some)
    if (more := len(left) - NAMED) > 0:
        said = Sentence(
            counted(
                "{what}: {names}, and {number} more",
                "{what}: {names}, and {number} more",
                what=of,
                names=some,
                number=more,
            )
        )
    return Finding(name, "fail", said, data={"objects": dict(left)})


def _compared(
    source: Store,
    target: Store,
    ours: Mapping[str, Entry],
    theirs: Mapping[str, Entry],
    known: Manifest,
    same_source: bool,
    cancelled: Callable[[], bool],
) -> Comparison:
    equal: dict[str, bool] = {}
    learnt: dict[str, Known] = {}
    unread = []
    for key in ours.keys() & theirs.keys():
        found = verdict(ours[key], theirs[key], known.known.get(key), same_source)
        if found is Verdict.UNREAD:
            unread.append(_Both(ours[key], theirs[key], ours[key].size))
        else:
            equal[key] = found is Verdict.SAME

    def read(both: _Both) -> None:
        key = both.source.key
        sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        try:
            carry.drained(source, key, both.source.etag, (sha.update, md5.update))
            if both.target.md5:
                equal[key] = md5.hexdigest() == both.target.md5
            else:
                equal[key] = sha.hexdigest() == digest(target, both.target, known.known.get(key))
        except (Unreadable, WorldMoved):
            equal[key] = False  # a push looks again at what it overwrites
        if equal[key]:
            learnt[key] = Known(both.size, sha.hexdigest(), both.source.etag, both.target.etag)

    carry.each(unread, read, cancelled)
    return compared(ours, theirs, equal, learnt)


def digest(store: Readable, entry: Entry, known: Known | None = None) -> str:
    """The SHA-256 of an object, read where nobody knows it.

    Raises:
        WorldMoved: another version is there.
    """
    if known is not None and known.target == entry.etag and known.size == entry.size:
        return known.sha256
    sha = hashlib.sha256()
    carry.drained(store, entry.key, entry.etag, (sha.update,))
    return sha.hexdigest()
