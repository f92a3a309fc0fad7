"""Answers kept as they were sent, for as long as they are true: many ask the same between two changes.

An answer is made by one thread at a time; who asks meanwhile gets that one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from fastapi.responses import Response

from raccord.coordination.ledger import Ledger
from raccord.errors import RaccordError
from raccord.model.coordination import Change

MOST = 32  # different questions
JSON = "application/json"


class Kept:
    """Answers that are true until somebody writes to what they are made of.

    Args:
        generation: equal for as long as nobody wrote.
    """

    def __init__(self, generation: Callable[[], Hashable]) -> None:
        self._generation = generation
        self._mutex = threading.Lock()
        self._kept: OrderedDict[Hashable, _Answer] = OrderedDict()

    def body(self, question: Hashable, make: Callable[[], bytes], *, more: Hashable = ()) -> bytes:
        """The answer to a question, made where there is none that is true still.

        Args:
            more: what it depends on besides.
        """
        with self._mutex:
            one = self._kept.setdefault(question, _Answer())
            self._kept.move_to_end(question)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        with one.mutex:
            # Asked first: what is written while the answer is made makes that an old one.
            now = (self._generation(), more)
            if one.made_of != now:
                one.body, one.made_of = make(), now
            return one.body

    def json(self, question: Hashable, make: Callable[[], Any], *, more: Hashable = ()) -> Response:
        """The same as JSON."""
        return Response(self.body(question, lambda: encoded(make()), more=more), media_type=JSON)


class _Answer:
    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.made_of: Hashable = None
        self.body = b""


def encoded(said: Any) -> bytes:
    """A document as JSON in UTF-8."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


class Pending:
    """The pending changes as JSON: what was pending before is not described again.

    Args:
        everywhere: whether those of other machines are among them.
    """

    def __init__(self, describe: Callable[[Change, Mapping[str, str]], Any], *, everywhere: bool) -> None:
        self._describe, self._everywhere = describe, everywhere
        self._ledger: Ledger | None = None
        self._texts: dict[int, str] = {}

    def body(self, ledger: Ledger) -> bytes:
        """All of them; for one thread at a time."""
        if self._ledger is not ledger:
            self._ledger, self._texts = ledger, {}
        last, names = max(self._texts, default=0), ledger.exchange.names()
        for one in ledger.changes(pending=True, everywhere=self._everywhere, after=last):
            self._texts[one.id] = encoded(self._describe(one, names)).decode()
        # One that was told of since, or comes while this looks, is not in both.
        self._texts = {
            key: self._texts[key] for key in ledger.pending(self._everywhere) if key in self._texts
        }
        return f'{{"count":{len(self._texts)},"changes":[{",".join(self._texts.values())}]}}'.encode()


class Recent:
    """An answer that is looked for in the background, where to look takes longer than anybody should wait.

    Args:
        look: makes it.
        news: another value means that there is something else to see.
    """

    FRESH_SECONDS = 2.0  # for which an answer counts as it is
    OLD_SECONDS = 15.0  # after which who asks waits for another
    REST = 9.0  # times what a look took, until the next may begin: it takes a tenth of the time

    def __init__(self, look: Callable[[], dict[str, Any]], news: Callable[[], Hashable]) -> None:
        self._look, self._news = look, news
        self._looking = threading.Lock()
        self._seen: _Seen | None = None

    def answer(self) -> dict[str, Any]:
        """What was seen, when ("seen", in Unix seconds), and whether there may be more ("refreshing").

        Raises:
            RaccordError: it can't be looked at.
        """
        seen = self._seen
        if seen is None or seen.age > self.OLD_SECONDS:
            with self._looking:
                if self._seen is seen or self._seen is None:
                    self._again()
                seen = self._seen
            assert seen is not None
            return {**seen.said, "refreshing": False}
        more = seen.age > self.FRESH_SECONDS or seen.news != self._news()
        if more and time.monotonic() > seen.then and self._looking.acquire(blocking=False):
            threading.Thread(target=self._behind, name="raccord-look", daemon=True).start()
        return {**seen.said, "refreshing": more}

    def end(self) -> None:
        """Waits for a look that is under way."""
        with self._looking:
            self._seen = None

    def _behind(self) -> None:
        before = self._seen
        try:
            with contextlib.suppress(RaccordError):
                self._again()
        finally:
            if self._seen is before:
                self._seen = None  # who asks next looks, and is told why it fails
            self._looking.release()

    def _again(self) -> None:
        news, at, began = self._news(), time.time(), time.monotonic()
        said = {**self._look(), "seen": at}
        now = time.monotonic()
        self._seen = _Seen(said, news, began, now + self.REST * (now - began))


class _Seen:
    def __init__(self, said: dict[str, Any], news: Hashable, began: float, then: float) -> None:
        self.said, self.news, self.began, self.then = said, news, began, then

    @property
    def age(self) -> float:
        return time.monotonic() - self.began
