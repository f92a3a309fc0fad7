"""Live events for as many pages as are open: read from the ledger, woken by who writes to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from raccord.coordination.keeper import Keeper
from raccord.web.sync import ConsolidationOut, described

BEAT_SECONDS = 15.0
LOOK_SECONDS = 0.25  # for what other processes record
AT_ONCE = 500


class Feed:
    """What happens, as server-sent events (WHATWG HTML, section 9.2)."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._ended = False
        keeper.checked.append(lambda one: self._wake() if one.changes else None)
        keeper.consolidated.append(lambda one: self._wake())
        self._configured = 0  # how often another configuration came into force, or was refused
        keeper.configured.append(self._reconfigured)

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._news.set)

    def _reconfigured(self) -> None:
        self._configured += 1
        self._wake()

    def end(self) -> None:
        """Ends every stream."""
        self._ended = True
        self._wake()

    async def stream(self, after: int | None) -> AsyncIterator[str]:
        """Events from now on, or all after a change's id: nothing is lost while a page reconnects."""
        self._loop = asyncio.get_running_loop()
        ledger = self._keeper.ledger
        last = await asyncio.to_thread(ledger.last) if after is None else after
        told = await asyncio.to_thread(self._newest)
        configured = self._configured
        yield f"retry: 1000\nevent: hello\nid: {last}\ndata: {{}}\n\n"
        quiet = 0.0
        seen: tuple[int, ...] = ()  # as which the ledger had nothing more to tell
        while not self._ended:
            self._news.clear()
            sent = False
            now = await asyncio.to_thread(ledger.generation)
            same = now == seen
            found = [] if same else await asyncio.to_thread(ledger.changes, after=last, oldest=AT_ONCE)
            names = await asyncio.to_thread(ledger.exchange.names) if found else {}
            for one in found:
                last, sent = one.id, True
                yield f"event: change\nid: {last}\ndata: {json.dumps(described(one, names))}\n\n"
            newest = told if same else await asyncio.to_thread(self._newest)
            if newest is not None and newest != told:
                told, sent = newest, True
                yield f"event: consolidation\nid: {last}\ndata: {newest}\n\n"
            if configured != self._configured:
                configured, sent = self._configured, True
                yield f"event: configuration\nid: {last}\ndata: {{}}\n\n"
            if sent:
                quiet = 0.0
                continue
            seen = now
            try:
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)
            except TimeoutError:
                quiet += LOOK_SECONDS
                if quiet >= BEAT_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"

    def _newest(self) -> str | None:
        ledger = self._keeper.ledger
        found = ledger.consolidations(limit=1)
        if not found:
            return None
        said = ConsolidationOut.of(found[0], ledger.exchange.names()).model_dump(exclude={"report"})
        return json.dumps(said)
