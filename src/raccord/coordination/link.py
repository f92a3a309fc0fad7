"""Keeps this machine in step with a hub, in a thread of its own: sends what waits, takes in what others said.

The hub may be away at any time, from the start on: what is seen here is recorded all the same, and goes out
later.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from raccord import __version__
from raccord.coordination.exchange import BEAT_SECONDS, Exchange, Summarise
from raccord.errors import RaccordError, StoreError
from raccord.model.hub import Hub, Machine, Opened

log = logging.getLogger("raccord.coordination")

LOOK_SECONDS = 0.25  # for what this machine recorded meanwhile
AT_ONCE = 200
FIRST_SECONDS, MOST_SECONDS = 1.0, 15.0  # between two tries to connect
END_SECONDS = 3.0  # that an end waits for an answer


@dataclass(frozen=True, slots=True)
class Self:
    """Who this machine is to others: see `Machine`.

    Attributes:
        project: the key of what is worked on, the same on all its machines.
        open: connects to the hub, for that project.
    """

    project: str
    name: str
    place: str
    open: Opened

    def machine(self, key: str) -> Machine:
        """Itself as others know it, by its id."""
        return Machine(key, self.name, self.place, __version__)


@dataclass
class Link:
    """See the module.

    Args:
        introduce: says who this machine is, as it is configured now; None where no hub is.
        told: called with why the hub is away, and with "" once it is there.
        configured: whose entries are called once another configuration is in force.
    """

    exchange: Exchange
    introduce: Callable[[], Self | None]
    summarise: Summarise
    told: Callable[[str], object]
    configured: list[Callable[[], object]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _again: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Begins, and waits for nothing."""
        self.configured.append(self.again)
        self._thread = threading.Thread(target=self._work, name="raccord-hub", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what was not sent is sent by the next one."""
        self._ended.set()
        self._again.set()
        if self._thread is not None:
            self.configured.remove(self.again)
            # A hub that does not answer is not waited for: this thread then touches nothing any more.
            self._thread.join(END_SECONDS)

    def again(self) -> None:
        """Takes up another configuration: begins anew, soon."""
        self._again.set()

    def _work(self) -> None:
        wait = FIRST_SECONDS
        while not self._ended.is_set():
            self._again.clear()
            if self._ended.is_set():
                return  # the end was told just before
            try:
                this = self.introduce()
                if this is None:
                    self.exchange.leave()
                    self.told("")
                    self._again.wait()
                    continue
                machine = this.machine(self.exchange.join(this.project))
                with this.open() as hub:
                    if self._ended.is_set():
                        return
                    self.exchange.meet(hub.id, hub.uid)
                    wait = FIRST_SECONDS
                    self._exchange(hub, machine)
            except RaccordError as error:
                self._away(error)
            # Those that one outage cut off don't all come back at one moment.
            self._again.wait(wait * random.uniform(0.7, 1.3))  # noqa: S311 (not a secret)
            wait = min(MOST_SECONDS, wait * 2)

    def _away(self, error: RaccordError) -> None:
        if self._ended.is_set():
            return
        self.told(error.message)
        try:
            self.exchange.lost(error.message)
        except StoreError as another:
            self.told(another.message)

    def _exchange(self, hub: Hub, machine: Machine) -> None:
        """Until the end, until another configuration is in force, or until the hub is lost."""
        beat, behind = -BEAT_SECONDS, False
        while not self._again.is_set():
            if time.monotonic() - beat >= BEAT_SECONDS:
                # Where nothing is told, such as behind a pooler, it is looked for all the same.
                beat, behind = time.monotonic(), True
                self.exchange.beat(hub.greet(machine))
                self.told("")
            more = self._send(hub, machine.id)
            heard = hub.wait(0 if more or behind else LOOK_SECONDS)
            behind = (heard or behind) and self._take(hub, machine)
        self.exchange.lost("")

    def _send(self, hub: Hub, machine: str) -> bool:
        """Sends the oldest of what waits; whether more may."""
        found = self.exchange.outgoing(AT_ONCE, self.summarise)
        entries = [entry for _, entry in found if entry is not None]
        if entries:
            hub.add(machine, entries)
        if found:
            self.exchange.sent([mark for mark, _ in found])
        return bool(found)

    def _take(self, hub: Hub, machine: Machine) -> bool:
        """Takes in what is next; whether more may be."""
        found = hub.after(self.exchange.cursor(), AT_ONCE)
        if {one.machine for one in found} - self.exchange.names().keys():
            self.exchange.beat(hub.greet(machine))  # nobody is shown before it has a name
        for problem in self.exchange.take(found) if found else ():
            log.warning("left out what a machine said through the hub: %s", problem)
        return len(found) == AT_ONCE
