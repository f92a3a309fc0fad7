"""Keeps what a push overwrites or removes: copied within the target, by the target, and looked at again.

The copies lie below `.raccord-trash/ID/` and are never content of a set. Where a bucket keeps versions, these
are noted instead, in `.raccord-trash/ID.versions`, and nothing is copied.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.errors import HeldBack, RestoreFailed, WorldMoved
from raccord.files import carry
from raccord.files.spec import TRASH, kept_key, versions_key
from raccord.model.text import shown
from raccord.objects.model import Entry, Reading, Store


def keep(
    store: Store,
    id_: str,
    below: str,
    wanted: Mapping[str, str],
    sizes: Mapping[str, int],
    say: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> None:
    """Copies objects into the trash, and sees that the copies are of the versions that are wanted.

    Args:
        below: the segments that their keys begin with.
        wanted: etags by key.
        sizes: bytes by key, as the plan saw them; {} where it didn't: then the target is listed before, too.

    Raises:
        WorldMoved: an object is another version by now.
        HeldBack: a copy is not what it should be.
        ObjectsError: the store can't be read or written.
    """
    if wanted.keys() <= sizes.keys():
        before: Mapping[str, Entry] = {key: Entry(key, sizes[key], etag) for key, etag in wanted.items()}
    else:
        before = _unmoved(store, below, wanted)
    progress = carry.Progress(say, len(wanted), 0, "kept")

    def copy(one: Entry) -> None:
        store.copy(one, kept_key(id_, one.key))
        progress.ended()

    carry.each([before[key] for key in wanted], copy, cancelled)
    # An object that has its version in the plan and after had it while it was copied.
    after, copies = _unmoved(store, below, wanted), _copies(store, id_)
    for key in wanted:
        was, copied = after[key], copies.get(kept_key(id_, key))
        if copied is None or copied.size != was.size or (was.md5 and copied.md5 and was.md5 != copied.md5):
            raise HeldBack(f"the copy of {shown(key)} in {store.shown} is not what it is of")


def note(
    store: Store,
    id_: str,
    name: str,
    below: str,
    wanted: Mapping[str, str],
    say: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> None:
    """Notes which versions of a bucket objects are; one of a time before it kept any is copied.

    Args:
        name: of the set.
        below: see `keep`.
        wanted: etags by key.

    Raises:
        WorldMoved: an object is another version by now.
        HeldBack: the bucket keeps no versions.
        ObjectsError: the store can't be read or written.
    """
    progress = carry.Progress(say, len(wanted), 0, "looked at")
    found: dict[str, Entry | None] = {}

    def look(one: Entry) -> None:
        found[one.key] = store.find(one.key)
        progress.ended()

    carry.each([Entry(key, 0, etag) for key, etag in wanted.items()], look, cancelled)
    there = {key: one for key, one in found.items() if one is not None and one.etag == wanted[key]}
    if moved := [key for key in wanted if key not in there]:
        raise moved_error(store, moved)
    known = {key: [one.version, one.size, one.etag] for key, one in there.items() if one.version}
    body = json.dumps(known).encode("ascii")
    before = store.find(versions_key(id_))
    written = store.write(versions_key(id_), [body], len(body), {}, before.etag if before else "")
    if not written.version:
        store.remove([(versions_key(id_), written.etag)])
        raise HeldBack(
            f"{store.shown} keeps no versions; nothing was changed",
            hint=f'switch its versioning on, or keep = "trash" in [files.{name}]',
            finding="files.versions",
        )
    if old := {key: wanted[key] for key in wanted if key not in known}:
        keep(store, id_, below, old, {key: there[key].size for key in old}, say, cancelled)


def kept(store: Store, id_: str) -> Mapping[str, Entry]:
    """What is kept under an id, by the key of its copy, whether or not there is one: where there is none, the
    version that stands for it, with the key of the object itself.

    Raises:
        RestoreFailed: what was noted of versions can't be read.
    """
    return {**_copies(store, id_), **_noted(store, id_)}


def _copies(store: Store, id_: str) -> Mapping[str, Entry]:
    return store.listing(f"{TRASH}/{id_}").entries


def _noted(store: Store, id_: str) -> dict[str, Entry]:
    found = store.find(versions_key(id_))
    if found is None:
        return {}
    with store.read(found.key, found.etag) as reading:
        said = b"".join(reading.chunks)
    try:
        known = json.loads(said)
        return {
            kept_key(id_, key): Entry(key, int(size), str(etag), str(version))
            for key, (version, size, etag) in known.items()
        }
    except (ValueError, TypeError, AttributeError):
        raise RestoreFailed(f"{found.key} in {store.shown} is not what raccord wrote there") from None


@dataclass(frozen=True, slots=True)
class Past:
    """What a store keeps of a push, to be read.

    Attributes:
        kept: by the key of its copy.
    """

    store: Store
    kept: Mapping[str, Entry]

    def find(self, key: str) -> Entry | None:
        """What is kept, if it still is."""
        one = self.kept.get(key)
        if one is None or not one.version:
            return self.store.find(key)
        try:
            with self.read(key, one.etag):
                return replace(one, key=key)
        except WorldMoved:
            return None

    @contextlib.contextmanager
    def read(self, key: str, etag: str, /) -> Iterator[Reading]:
        """Opens a copy, or the version of the bucket that stands for it."""
        one = self.kept.get(key)
        if one is None or not one.version:
            with self.store.read(key, etag) as reading:
                yield reading
            return
        with self.store.read(one.key, etag, one.version) as reading:
            yield reading


def _unmoved(store: Store, below: str, wanted: Mapping[str, str]) -> Mapping[str, Entry]:
    now = store.listing(below).entries
    moved = [key for key, etag in wanted.items() if key not in now or now[key].etag != etag]
    if moved:
        raise moved_error(store, moved)
    return now


def moved_error(store: Store, keys: Sequence[str]) -> WorldMoved:
    """The error that names what somebody else changed."""
    some = ", ".join(shown(key) for key in keys[:5])
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return WorldMoved(f"changed meanwhile in {store.shown}: {some}{more}", objects=list(keys))


def forget(store: Store, id_: str) -> int:
    """Removes what was kept, or noted; returns how many objects that were. Versions are their bucket's.

    Raises:
        ObjectsError: the store can't be read or written.
    """
    found = dict(_copies(store, id_))
    if (noted := store.find(versions_key(id_))) is not None:
        found[noted.key] = noted
    store.remove([(key, one.etag) for key, one in found.items()])
    return len(found)
