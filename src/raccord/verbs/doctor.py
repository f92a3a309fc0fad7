"""`raccord doctor`: what is wrong, why, and the next command. Looks only; one trouble hides no other."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from raccord import __version__
from raccord.config import WATCHES, spoken
from raccord.coordination import health, served
from raccord.coordination.exchange import Exchange
from raccord.coordination.ledger import Ledger
from raccord.coordination.outbox import Outbox
from raccord.coordination.spec import Spec, reporting
from raccord.errors import RaccordError, StoreError
from raccord.git import health as git
from raccord.kernel import health as kernel
from raccord.kernel.store import Store
from raccord.model.advice import Advice
from raccord.model.coordination import Root
from raccord.model.language import ENGLISH, message
from raccord.model.report_doctor import DoctorFinding, DoctorReport
from raccord.verbs import doctor_project as project
from raccord.verbs.coordination import roots
from raccord.verbs.room import DATABASE, Room


@dataclass
class Ground:
    """What the checks look at; each part is read when a check first asks for it.

    Attributes:
        online: whether environments and databases on other machines may be asked.
        enabled: the value of AUTOSYNC_ENABLED; "" where it is not set.
        now: in Unix seconds.
    """

    room: Room
    online: bool = False
    enabled: str = ""
    now: float = field(default_factory=time.time)

    @cached_property
    def spec(self) -> Spec:
        """What is watched and reported."""
        return Spec.configured(self.room.config.coordination, self.room.language)

    @cached_property
    def roots(self) -> Sequence[Root]:
        """The worktrees that are there."""
        return roots(self.room)

    @cached_property
    def store(self) -> Store | None:
        """The state database; None where there is none, or it can't be read, which its own check tells."""
        try:
            return self.room.reading
        except StoreError:
            return None

    @property
    def ledgers(self) -> Iterator[Ledger]:
        """What coordination remembers, where it does."""
        if self.store is not None:
            yield Ledger(self.store)


Check = Callable[[Ground], Iterable[Advice]]


def _programs(ground: Ground) -> Iterator[Advice]:
    python = message(
        "raccord {raccord}, Python {python}", raccord=__version__, python=platform.python_version()
    )
    yield Advice("python.version", "ok", python)
    yield git.version(ground.room.repo)


def _state(ground: Ground) -> Iterator[Advice]:
    yield kernel.room_left(ground.room.state)
    try:
        store = ground.room.reading
    except StoreError as error:
        yield kernel.broken(error)
        return
    if store is not None:
        yield kernel.database(store)
        yield from kernel.locks(store)


def _configuration(ground: Ground) -> Iterator[Advice]:
    try:
        ground.room.config  # noqa: B018 (it is read when it is first asked for)
    except RaccordError as error:
        what = message("the configuration is wrong: {said}", said=error.message)
        yield Advice("config", "problem", what, message("every other command refuses it"), error.hint)
    else:
        yield Advice("config", "ok", message("the configuration is valid"))


def _service(ground: Ground) -> Iterator[Advice]:
    urls = [one.url for one in ground.room.config.channels.values() if one.url is not None]
    yield from health.packages([one.words[0] if one.kind == "text" else "" for one in urls])
    yield from health.disabled(ground.enabled)
    yield from served.service(ground.room.state)
    yield from served.secrets(ground.room.state)


def _watching(ground: Ground) -> Iterator[Advice]:
    spec = ground.spec
    yield from health.files(spec, ground.roots, default=spec.watches == WATCHES)
    yield from health.interval(spec, ground.roots)
    for ledger in ground.ledgers:
        yield from health.seen(ledger, ground.roots)


def _reports(ground: Ground) -> Iterator[Advice]:
    wanted = ground.room.config.coordination.worktree
    running = bool(served.server(ground.room.state))
    yield from health.document(ground.spec, reporting(ground.roots, wanted), wanted)
    for ledger in ground.ledgers:
        yield from health.triggers(ground.spec, ledger, ground.now, running=running)
        yield from health.unplaced(ledger)
        yield from health.clock(ledger, ground.now)


def _channels(ground: Ground) -> Iterator[Advice]:
    if ground.store is not None:
        yield from health.letters(Outbox(ground.store))


def _hub(ground: Ground) -> Iterator[Advice]:
    if ground.store is not None and ground.room.config.coordination.hub is not None:
        yield from health.hub(Exchange(ground.store).standing())


# In the order in which they are worth reading: what is below does not work where what is above does not.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("programs", _programs),
    ("state", _state),
    ("config", _configuration),
    ("worktrees", lambda ground: git.there(ground.room.trees)),
    ("worktrees.access", lambda ground: git.entered(ground.room.trees)),
    ("worktrees.locks", lambda ground: git.left(ground.room.trees, ground.now)),
    ("runs", lambda ground: project.runs(ground.room)),
    ("service", _service),
    ("watching", _watching),
    ("reports", _reports),
    ("channels", _channels),
    ("hub", _hub),
    ("migrations", lambda ground: project.migrations(ground.room, online=ground.online)),
    ("environments", lambda ground: project.environments(ground.room) if ground.online else ()),
)


def doctor(path: Path, *, online: bool = False, enabled: str = "") -> DoctorReport:
    """Looks at everything.

    Args:
        path: a directory of the repository.
        online: ask environments and databases on other machines too.
        enabled: the value of AUTOSYNC_ENABLED; "" where it is not set.
    """
    try:
        room = Room.open(path)
    except RaccordError as error:
        what = message("no repository can be opened here: {said}", said=error.message)
        return _report([Advice("repository", "problem", what, None, error.hint)], spoken() or ENGLISH)
    try:
        if not (room.state / DATABASE).exists():
            room.__dict__["reading"] = None  # another verb would make it anew from its second copy
        ground = Ground(room, online, enabled)
        found: list[Advice] = []
        broken = False
        for name, check in CHECKS:
            try:
                found += check(ground)
            except (RaccordError, OSError) as error:
                # A configuration that can't be read stops what depends on it, and is told once.
                if not (broken := broken or _told(found, "config")):
                    found.append(_failed(name, error))
        return _report(found, _language(room))
    finally:
        room.close()


def _told(found: Sequence[Advice], name: str) -> bool:
    return any(one.name == name and one.state == "problem" for one in found)


def _failed(name: str, error: RaccordError | OSError) -> Advice:
    said = error.message if isinstance(error, RaccordError) else str(error)
    what = message("{name} could not be looked at: {said}", name=name, said=said)
    return Advice(name, "problem", what, None, error.hint if isinstance(error, RaccordError) else "")


def _language(room: Room) -> str:
    try:
        return room.language
    except RaccordError:
        return spoken() or ENGLISH


def _report(found: Sequence[Advice], language: str) -> DoctorReport:
    said = tuple(
        DoctorFinding(
            one.name,
            one.state,
            one.what.said(language),
            one.why.said(language) if one.why is not None else "",
            one.next,
        )
        for one in found
    )
    states = [one.state for one in said]
    return DoctorReport(said, states.count("problem"), states.count("warning"))
