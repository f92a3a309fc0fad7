"""What a search read once, kept in raccord's state database: many keys at a time, written in one transaction.

Everything in here can be read anew; nothing is known only here.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from raccord.errors import StoreError
from raccord.kernel.store import Store, dumps
from raccord.model.plan import Json

MANY = 5000  # keys in one question


class Cache:
    """A shelf of the state database, or of nothing at all.

    Args:
        store: None where there is no state database.
        look: whether what can't be written is forgotten: a look has to work on a full disk too.
    """

    def __init__(self, store: Store | None = None, *, look: bool = False) -> None:
        self._store, self._look = store, look
        self._keep = store is not None and not store.newer
        self._new: dict[tuple[str, str], Json] = {}

    def get(self, space: str, keys: Iterable[str]) -> dict[str, Json]:
        """The values of those keys that are there."""
        found: dict[str, Json] = {}
        unknown: dict[str, str] = {}
        for key in keys:
            if (space, key) in self._new:
                found[key] = self._new[space, key]
            else:
                unknown[dumps(key)] = key
        if self._store is not None:
            for some in _chunks(unknown):
                rows = self._store.rows(
                    "select key, value from cache"
                    " where space = ? and key in (select value from json_each(?))",
                    (space, json.dumps(some)),
                )
                found.update((unknown[key], json.loads(value)) for key, value in rows)
        return found

    def put(self, space: str, values: Mapping[str, Json]) -> None:
        """Keeps values, for the time being in memory."""
        if self._keep:
            self._new.update(((space, key), value) for key, value in values.items())

    def flush(self) -> None:
        """Writes what was put.

        Raises:
            StoreError: the database can't be written, and this is no look.
        """
        if not self._new or self._store is None:
            return
        now = time.time()
        rows = [(space, dumps(key), dumps(value), now) for (space, key), value in self._new.items()]
        with contextlib.suppress(*([StoreError] if self._look else [])):
            self._store.cache_fill(rows)
        self._new.clear()


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    source = iter(keys)
    while some := list(islice(source, MANY)):
        yield some
