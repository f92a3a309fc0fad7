"""`raccord hub`, and what joins a workspace to the other machines of its project."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Mapping

from raccord.code.base import choose_remote, find_base
from raccord.config import Secret, variable
from raccord.coordination.exchange import Exchange
from raccord.coordination.link import Link, Self
from raccord.coordination.running import Running
from raccord.database import hub, url
from raccord.errors import CannotRun, NoCommits, RaccordError, UsageError
from raccord.git.refs import read
from raccord.kernel import secret
from raccord.model.plan import Json
from raccord.model.report_coordination import FarRun, HubReport, MachineReport
from raccord.model.text import shown
from raccord.verbs.environments import described
from raccord.verbs.report import summary
from raccord.verbs.room import Room

log = logging.getLogger("raccord.coordination")

NAME_IT = 'give the project a name: coordination.project = "…" in raccord.toml, the same on each machine'


def link(room: Room, running: Running) -> Link:
    """What keeps this machine in step with the hub that is configured, if one is; not started yet."""

    def told(why: str) -> None:
        if why:
            running.failed("hub", why)
        elif running.errors.get("hub"):
            running.recovered("hub")
            log.warning("the hub is there again")

    return Link(
        Exchange(room.store),
        lambda: introduced(room),
        lambda run: _summarised(room, run),
        told,
        running.keeper.configured,
    )


def introduced(room: Room) -> Self | None:
    """Who this machine is, as it is configured; None where no hub is.

    Raises:
        RaccordError: a secret can't be read, or nothing says which project this is.
    """
    said = room.config.coordination
    if said.hub is None:
        return None
    top = room.home
    target = url.parse(_read(room, said.hub, "the URL of the hub", "postgresql://…"), top)
    project = said.project or _first_commit(room)
    main = next((tree.path for tree in room.trees if tree.main), top)
    name = (
        f"{socket.gethostname()}:{main.name}"
        if said.machine is None
        else _read(room, said.machine, "the name of this machine", "laptop")
    )
    return Self(project, shown(name), shown(str(main)), lambda: hub.opened(target, project))


def report(room: Room, runs: int) -> HubReport:
    """How this machine stands to its hub, as its state has it; asks nobody."""
    source = room.config.coordination.hub
    if source is None:
        return HubReport("", False, None, "", 0)
    top = room.home
    place = described(source, lambda text: url.parse(text, top).shown)
    if room.reading is None:
        return HubReport(place, False, None, "", 0)
    exchange = Exchange(room.reading)
    standing, names = exchange.standing(), exchange.names()
    machines = tuple(
        MachineReport(one.id, one.name, one.place, one.release, one.seen, one.id == standing.machine)
        for one in exchange.machines()
    )
    found = tuple(FarRun(machine=names.get(machine, machine), **one) for machine, one in exchange.runs(runs))
    since = standing.since or None
    return HubReport(place, standing.connected, since, standing.why, standing.waiting, machines, found)


def _read(room: Room, source: Secret, what: str, example: str) -> str:
    return secret.read(source, what, room.home, variable, example)


def _first_commit(room: Room) -> str:
    """The first commit of the base branch: the same in every clone, and for as long as history stays."""
    if room.repo.shallow:
        raise CannotRun("this clone is shallow, so nothing says which project it is of", hint=NAME_IT)
    try:
        remote = choose_remote(room.repo.settings, room.config.sync.remote)
        base = find_base(room.repo, read(room.repo.git), remote, room.config.sync.base, room.trees)
    except (NoCommits, UsageError) as error:
        raise CannotRun(
            f"nothing says which project this is a clone of: {error.message}", hint=NAME_IT
        ) from error
    first = ("rev-list", "--first-parent", "--max-parents=0", base.oid, "--")
    return room.repo.git.line("-c", "core.useReplaceRefs=false", *first)


def _summarised(room: Room, run: str) -> Mapping[str, Json] | None:
    journal = room.journal()
    try:
        return None if journal is None else dataclasses.asdict(summary(journal, run))
    except RaccordError:
        return None  # it was dropped meanwhile, or is none that this release can read
