"""Tells the configured channels of changes, reports and trouble: each once, again until it arrives."""

from __future__ import annotations

import fnmatch
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.config import Channel, Secret, variable
from raccord.coordination.outbox import OLDEST_SECONDS, Letter, Outbox
from raccord.coordination.running import Running
from raccord.errors import RaccordError
from raccord.kernel import secret
from raccord.model.coordination import Change, Consolidation, local
from raccord.model.language import counted, message
from raccord.model.plan import Json
from raccord.notify import services, webhook
from raccord.verbs.room import Room

log = logging.getLogger("raccord.coordination")

LOOK_SECONDS = 1.0
AT_ONCE = 500  # changes in one letter
WEB = ("http://", "https://")


@dataclass
class Courier:
    """What a running service tells, and to whom.

    Attributes:
        channels, language: may be replaced at any time.
        top: where relative paths of secrets start.
        place: the repository, as people call it.
    """

    outbox: Outbox
    channels: Mapping[str, Channel]
    running: Running
    top: Path
    place: str
    language: str
    _ended: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Tells and delivers, in a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="raccord-tell", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what has not arrived is sent by the next one."""
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()

    def gather(self) -> None:
        """Addresses what no letter tells of yet of this machine, whoever recorded or was killed since."""
        ledger = self.running.keeper.ledger
        if not self.channels:
            self.outbox.forget()
            return
        if self.outbox.reached() == (ledger.last(), ledger.last_consolidation()):
            return
        with self.outbox.together():
            reached = self.outbox.reached()
            newest = ledger.last(), ledger.last_consolidation()
            if reached is not None:
                recent = time.time() - OLDEST_SECONDS
                while changes := ledger.changes(after=reached[0], oldest=AT_ONCE):
                    self._tell_changes([one for one in changes if one.at > recent and not one.machine])
                    reached = changes[-1].id, reached[1]
                for _, one in ledger.consolidated(reached[1]):
                    if one.at > recent:
                        self._tell_consolidation(one)
            self.outbox.reach(*newest)

    def _tell_changes(self, changes: Sequence[Change]) -> None:
        if changes:
            said: dict[str, Json] = {"changes": _documents(changes)}
            self.tell("change", f"change {changes[0].id}", self._changed(changes), said)

    def _tell_consolidation(self, made: Consolidation) -> None:
        text = counted(
            "{place}: {number} change is in the report ({trigger})",
            "{place}: {number} changes are in the report ({trigger})",
            place=self.place,
            number=made.changes,
            trigger=made.trigger,
        ).said(self.language)
        said: dict[str, Json] = {
            "consolidation": made.id,
            "trigger_type": made.trigger,
            "conditions_met": dict(made.conditions),
            "changes_consolidated": made.changes,
            "report": made.report,
        }
        self.tell("consolidation", f"consolidation {made.id}", text, said)

    def _changed(self, changes: Sequence[Change]) -> str:
        names = ", ".join(dict.fromkeys(one.path for one in changes))
        owners = ", ".join(dict.fromkeys(one.owner for one in changes))
        return message(
            "{place}: {names} changed ({owners})", place=self.place, names=names, owners=owners
        ).said(self.language)

    def look(self) -> None:
        """Tells of trouble that began or ended since the last look: once for each state, not each look."""
        for what in ("watching", "checking", "consolidation", "configuration", "commit", "journals", "hub"):
            with self.outbox.together():
                why = self.running.errors.get(what, "")
                if self.outbox.turned(what, why):
                    self._turned(what, why)

    def _turned(self, what: str, why: str) -> None:
        at = time.time()
        if why:
            text = message("{place}: error in {what}: {why}", place=self.place, what=what, why=why)
            self.tell("trouble", f"trouble {what} {at}", text.said(self.language), {"what": what, "why": why})
        else:
            text = message("{place}: {what} works again", place=self.place, what=what)
            self.tell("recovered", f"recovered {what} {at}", text.said(self.language), {"what": what})

    def tell(self, event: str, key: str, text: str, said: Mapping[str, Json]) -> None:
        """Addresses one event to the channels that want it."""
        wanted = [
            name
            for name, one in self.channels.items()
            if any(fnmatch.fnmatchcase(event, pattern) for pattern in one.events)
        ]
        now = time.time()
        document = {"event": event, "repository": self.place, "at": now, "text": text, **said}
        self.outbox.put(wanted, key, document, now)

    def deliver(self) -> int:
        """Sends what is due; how many arrived."""
        arrived = 0
        for letter in self.outbox.due(time.time()):
            why = self._sent(letter)
            if not why:
                self.outbox.arrived(letter)
                arrived += 1
                continue
            again = self.outbox.failed(letter, time.time(), why)
            if not letter.tries or not again:
                log.error("Error in telling %s: %s", letter.channel, why if again else f"{why}; given up")
        return arrived

    def _sent(self, letter: Letter) -> str:
        channel = self.channels.get(letter.channel)
        if channel is None or channel.url is None:
            return "it is no longer configured, or has no URL"
        try:
            url = self._read(channel.url, f"the URL of the channel {letter.channel}")
            if not url.startswith(WEB):
                return services.tell(url, f"raccord: {self.place}", str(letter.document["text"]))
            signing = channel.secret
            key = "" if signing is None else self._read(signing, f"the secret of {letter.channel}")
        except RaccordError as error:
            return error.message
        delivery = f"{letter.id}-{int(letter.made)}"
        return webhook.post(url, letter.document, delivery=delivery, at=int(time.time()), secret=key)

    def _read(self, source: Secret, what: str) -> str:
        return secret.read(source, what, self.top, variable, "https://…")

    def _work(self) -> None:
        while True:
            ended = self._ended.wait(LOOK_SECONDS)
            try:
                self.gather()
                if self.channels:
                    self.look()
                    self.deliver()
            except RaccordError as error:
                log.error("Error in telling: %s", error.message)
            if ended:
                return


def courier(room: Room, running: Running) -> Courier:
    """Who tells the channels of a workspace, not started yet."""
    top = room.repo.top or room.repo.common
    return Courier(Outbox(room.store), room.config.channels, running, top, top.name, room.language)


def _documents(changes: Sequence[Change]) -> list[Json]:
    return [
        {
            "file_path": one.path,
            "event_type": one.kind,
            "timestamp": local(one.at),
            "old_checksum": one.old or None,
            "new_checksum": one.new or None,
            "agent_owner": one.owner,
            "worktree": one.root,
        }
        for one in changes
    ]
