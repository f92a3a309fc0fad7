"""Keeps what a push overwrites or removes: copied within the target, by the target, and looked at again.

The copies lie below `.raccord-trash/ID/` and are never content of a set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from raccord.errors import HeldBack, WorldMoved
from raccord.files import carry
from raccord.files.spec import TRASH, kept_key
from raccord.model.text import shown
from raccord.objects.model import Entry, Store


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
    after, copies = _unmoved(store, below, wanted), kept(store, id_)
    for key in wanted:
        was, copied = after[key], copies.get(kept_key(id_, key))
        if copied is None or copied.size != was.size or (was.md5 and copied.md5 and was.md5 != copied.md5):
            raise HeldBack(f"the copy of {shown(key)} in {store.shown} is not what it is of")


def kept(store: Store, id_: str) -> Mapping[str, Entry]:
    """What is kept under an id."""
    return store.listing(f"{TRASH}/{id_}").entries


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
    """Removes what was kept; returns how many objects that were.

    Raises:
        ObjectsError: the store can't be read or written.
    """
    found = kept(store, id_)
    store.remove([(key, one.etag) for key, one in found.items()])
    return len(found)
