"""What is to be told and has not arrived yet: kept in the state database until it has, or is too old."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raccord.kernel.store import Store, dumps
from raccord.model.plan import Json

TOLD = "told"  # the cache of how far letters tell
FIRST_SECONDS, MOST_SECONDS = 2.0, 3600.0
OLDEST_SECONDS = 3 * 86400.0  # after which nobody wants to know any more


@dataclass(frozen=True, slots=True)
class Letter:
    """Something that is to be told to one channel.

    Attributes:
        id: rises by time.
        key: what it tells; one channel is told each once.
        tries: how often it was sent already.
        made: when, in Unix seconds.
    """

    id: int
    channel: str
    key: str
    document: Mapping[str, Json]
    tries: int
    made: float


def wait(tries: int) -> float:
    """Seconds until the next try: doubled each time, up to an hour."""
    return float(min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(tries, 20)))


class Outbox:
    """Letters, and the state that each alert was last told in."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, channels: Sequence[str], key: str, document: Mapping[str, Json], now: float) -> None:
        """Addresses a letter to channels; one that was put before under this key is not put again."""
        with self._store.transaction() as db:
            db.executemany(
                "insert or ignore into letters (channel, key, document, tries, made, next, state)"
                " values (?, ?, ?, 0, ?, ?, 'waiting')",
                [(one, key, dumps(dict(document)), now, now) for one in channels],
            )

    def together(self) -> contextlib.AbstractContextManager[object]:
        """What is done while it is open is kept whole or not at all."""
        return self._store.transaction()

    def reached(self) -> tuple[int, int] | None:
        """The last change and the last consolidation that letters tell of; None where none ever was to."""
        found = self._store.cache_get(TOLD, "")
        return None if found is None else (found[0], found[1])

    def reach(self, change: int, consolidation: int) -> None:
        """Keeps how far letters tell."""
        self._store.cache_put(TOLD, "", [change, consolidation])

    def forget(self) -> None:
        """Nobody is to be told: what happens until somebody is stays untold."""
        if self.reached() is not None:
            self._store.cache_put(TOLD, "", None)

    def due(self, now: float, most: int = 50) -> list[Letter]:
        """Letters to send now, the oldest first."""
        rows = self._store.rows(
            "select id, channel, key, document, tries, made from letters"
            " where state = 'waiting' and next <= ? order by id limit ?",
            (now, most),
        )
        return [Letter(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5]) for row in rows]

    def arrived(self, letter: Letter) -> None:
        """It is told."""
        self._state(letter, "arrived", 0.0)

    def failed(self, letter: Letter, now: float, why: str) -> bool:
        """It is to be sent again later, unless it is too old; whether it is."""
        if now - letter.made > OLDEST_SECONDS:
            self._state(letter, f"given up: {why}", 0.0)
            return False
        self._state(letter, "waiting", now + wait(letter.tries), why)
        return True

    def _state(self, letter: Letter, state: str, then: float, why: str = "") -> None:
        with self._store.transaction() as db:
            db.execute(
                "update letters set state = ?, next = ?, tries = tries + 1, why = ? where id = ?",
                (state, then, why, letter.id),
            )

    def turned(self, alert: str, state: str) -> bool:
        """Keeps the state of an alert; whether it is another than before. "" is well, as at the start."""
        with self._store.transaction() as db:
            found = db.execute("select state from alerts where name = ?", (alert,)).fetchone()
            if (found[0] if found else "") == state:
                return False
            db.execute("insert or replace into alerts values (?, ?)", (alert, state))
            return True

    def waiting(self) -> list[tuple[str, int, str]]:
        """Channels with letters that wait: how many, and why the last one did not arrive."""
        return [
            (row[0], row[1], row[2])
            for row in self._store.rows(
                "select channel, count(*), max(why) from letters where state = 'waiting' and tries > 0"
                " group by channel order by channel"
            )
        ]
