"""`raccord env`: what environments there are, whether they can be reached, and commands that run there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace

from raccord.config import Environment, Secret
from raccord.data.environments import Environments
from raccord.database import postgres, url
from raccord.database.url import POSTGRESQL, SQLITE
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.model.options_env import EnvExecOptions
from raccord.model.plan import Finding
from raccord.model.report_env import EnvironmentCheck, EnvironmentEntry, EnvironmentRun
from raccord.model.text import shown
from raccord.objects.opening import opened
from raccord.verbs.data_sets import environments
from raccord.verbs.files_sets import place_of
from raccord.verbs.protected import refuse_unnamed
from raccord.verbs.room import Room

NOBODYS = ".raccord-check"  # where no object is: asked for, so that the answer is short
Streams = tuple[int, int, int]


class EnvironmentVerbs:
    """What can be asked of the environments of a workspace, and done there."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def listing(self) -> tuple[EnvironmentEntry, ...]:
        """The environments of the configuration, by name. Nothing is read or asked, no command is run."""
        known = environments(self._room)
        return tuple(_entry(known, name, one) for name, one in sorted(known.config.environments.items()))

    def check(self, name: str = "") -> tuple[EnvironmentCheck, ...]:
        """Asks every part of one environment, or of all. What depends on a part that failed is not asked.

        Raises:
            UsageError: there is no such environment.
        """
        known = environments(self._room)
        if name:
            known.environment(name)
        names = [name] if name else sorted(known.config.environments)
        found = ((one, tuple(_parts(self._room, known, one))) for one in names)
        return tuple(
            EnvironmentCheck(one, all(each.status == "pass" for each in parts), parts) for one, parts in found
        )

    def run(self, options: EnvExecOptions, streams: Streams | None = None) -> EnvironmentRun:
        """Runs a command on the host of an environment: beside its container, not in it.

        It is the command's own doing: it is not in the journal, and raccord can't undo it.

        Args:
            streams: the open files that are its input, output and errors; without them it reads nothing, and
                what it says is in the report.

        Raises:
            UsageError: there is no such environment, or it is protected and was not named.
            TransportError: its host can't be reached, or was lost.
            ProgramMissing: there is no such program here.
        """
        known = environments(self._room)
        known.environment(options.name)
        if not any(options.words):
            raise UsageError("there is no command", hint=f"raccord env exec {options.name} -- uptime")
        place = known.host(options.name)
        words = options.words[0] if len(options.words) == 1 else options.words
        report = EnvironmentRun(
            options.name, place.shown, words if isinstance(words, str) else shlex.join(words)
        )
        if options.dry_run:
            return report
        command = f"raccord env exec {options.name}"
        refuse_unnamed(self._room, [options.name], options.yes_to, command, f" -- {report.command}")
        if streams is None:
            done = place.run(words, timeout=None)
            said = done.stdout.decode("utf-8", "replace")
            return replace(report, status=done.returncode, stdout=said, stderr=done.stderr)
        stdin, stdout, stderr = streams
        with place.started(words, stdin=stdin, stdout=stdout, stderr=stderr) as child:
            status = child.wait()
        place.check(status)
        return replace(report, status=status if status >= 0 else 128 - status)


def _entry(known: Environments, name: str, one: Environment) -> EnvironmentEntry:
    host = described(one.ssh, lambda text: text)
    if one.ssh_user and host:
        host = f"{described(one.ssh_user, lambda text: text)}@{host}"
    return EnvironmentEntry(
        name,
        one.protected,
        host,
        one.container,
        described(one.database, lambda text: url.parse(text, known.top).shown),
        one.objects,
    )


def described(source: Secret | None, show: Callable[[str], str]) -> str:
    """A value without its secrets where it stands there, else where it comes from."""
    if source is None:
        return ""
    if source.kind != "text":
        return source.kind if source.kind == "command" else shown(f"{source.kind}:{'/'.join(source.words)}")
    try:
        return show(source.words[0])
    except RaccordError as error:
        return error.message


def _parts(room: Room, known: Environments, name: str) -> list[Finding]:
    asked = known.environment(name)
    found: list[Finding] = []
    if asked.ssh is not None:
        found.append(_asked("host", lambda: _host(known, name)))
    reached = not found or found[0].status == "pass"
    if asked.container:
        found.append(_asked("container", lambda: _container(known, name), reached))
    inside = reached and all(one.status == "pass" for one in found)
    if asked.database is not None:
        found.append(_asked("database", lambda: _database(known, name), inside))
    if asked.objects:
        found.append(_asked("objects", lambda: _objects(room, name)))
    return found


def _asked(part: str, ask: Callable[[], str], reached: bool = True) -> Finding:
    if not reached:
        return Finding(f"env.{part}", "unknown", "not asked: what leads there can't be reached")
    try:
        return Finding(f"env.{part}", "pass", ask())
    except RaccordError as error:
        return Finding(f"env.{part}", "fail", error.message, error.hint)


def _host(known: Environments, name: str) -> str:
    place = known.host(name)
    place.run("true")
    return f"{place.shown}: its key is the known one, and it lets us in"


def _container(known: Environments, name: str) -> str:
    place = known.container(name)
    assert place is not None
    return place.found().shown


def _database(known: Environments, name: str) -> str:
    target = known.target(name)
    if target.kind == SQLITE:
        if target.path and not os.path.isfile(target.path):
            raise CannotRun(f"{target.shown} is not there", hint=f"set database in [environments.{name}]")
        return target.shown
    if target.kind != POSTGRESQL:
        raise CannotRun(f"{target.shown} is neither PostgreSQL nor SQLite")
    with postgres.connected(target) as db:
        row = db.execute("select current_setting('server_version'), current_user").fetchone()
    assert row is not None
    return shown(f"{target.shown}: PostgreSQL {row[0]}, as {row[1]}")


def _objects(room: Room, name: str) -> str:
    place = place_of(room, name)
    store = opened(place)
    if place.kind == "file":
        if not os.path.isdir(place.prefix):
            raise CannotRun(f"{place.shown} is no directory", hint=f"set objects in [environments.{name}]")
    else:
        store.listing(NOBODYS)
    return place.shown
