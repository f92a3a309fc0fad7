"""A push, import, restore or undo that is struck, what a person does then, what must hold: see `Bench.run`.

Source and target are servers of their own, behind wires that count. Nothing is judged by time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from raccord.errors import RaccordError
from raccord.model.options_data import (
    DataExportOptions,
    DataImportOptions,
    DataPushOptions,
    DataRestoreOptions,
)
from raccord.workspace import Workspace
from tests import pgkit
from tests.data.disk import Disk
from tests.data.strikes import BY_NAME, Case, Result, Scenario
from tests.data.wire import DOWN, UP, Moment, Wire
from tests.datakit import Two

NUMBERS = itertools.count()
MANY = 100_000  # runs that a place has at most
LIMIT = 120.0  # seconds; what takes longer hangs
SETTINGS = {"synchronous_commit": "on", "autovacuum": "off"}


@dataclass
class Clean:
    """What a push that nothing strikes comes to."""

    old: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    packets: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, dict[str, int]] = field(default_factory=dict)
    room: int = 0


class Reached(pgkit.Server):
    """A server that the configuration names by its wire's port."""

    wire: Wire

    def url(self, name: str, **more: Any) -> str:
        """The URL."""
        return super().url(name, **more).replace(f":{self.port}/", f":{self.wire.port}/")


def reached(server: pgkit.Server) -> Reached:
    """The same server, behind a wire."""
    found = Reached(server.bin, server.folder, server.port, server.settings, [], server._processes)
    object.__setattr__(found, "wire", Wire(server.port))
    return found


Order = tuple[str, str, str]  # verb, mode, and the archive or the run


def act(path: str, order: Order, *, dry_run: bool = False) -> Any:
    """What is struck."""
    verb, mode, what = order
    with Workspace.open(path) as workspace:
        if verb == "import":
            return workspace.archives.bring(DataImportOptions(what, "prod", mode=mode, dry_run=dry_run))
        if verb == "undo":
            stands = next(one for one in workspace.log(MANY) if one.id == what and not one.undo_of)
            return SimpleNamespace(state="nothing") if stands.undone_by else workspace.undo(what)
        if verb == "restore":
            return workspace.archives.restore(DataRestoreOptions(what, "prod", dry_run=dry_run))
        return workspace.data_push(DataPushOptions("all", "prod", mode=mode, dry_run=dry_run))


def child(path: str, order: Order, said: str) -> None:
    """The same, in a process and a group of its own."""
    os.setsid()
    try:
        report = act(path, order)
        found = {"state": getattr(report, "state", "plan")}
    except RaccordError as error:
        found = {"error": f"{type(error).__name__}: {error.message}"}
    except BaseException:  # noqa: BLE001 - told to who started it
        found = {"bug": traceback.format_exc()[-2000:]}
    Path(said).write_text(json.dumps(found))


class Reader:
    """Looks at all tables in one statement, again and again; what it saw besides old and new is a loss."""

    def __init__(self, place: Place) -> None:
        self.place, self.seen, self.polls = place, set[str](), 0
        self.room = 2**62
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        server, name = self.place.two.ends["prod"]
        while not self._over.is_set():
            # The server ends everybody's session when it starts again.
            with contextlib.suppress(psycopg.OperationalError), server.connect(name) as db:
                while not self._over.wait(0.01):
                    self.seen.add(db.execute(self.place.digest).fetchone()[0])
                    self.polls += 1
                    self.room = min(self.room, self.place.disk.free)


class Place:
    """A workspace with a pair of databases."""

    def __init__(self, bench: Bench, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.disk = scenario, bench.disk
        self.source, self.target = bench.source, bench.target
        name = f"s{next(NUMBERS)}_{os.getpid()}"
        self.source.create(name=name)
        self.target.run(f"create database {name}" + (" tablespace small" if self.disk.there else ""))
        folder.mkdir()
        self.two = Two(folder, (self.source, name), (self.target, name))
        self.two.configure(scenario.tables)
        self.two.both(scenario.setup)
        self.two.run("prod", scenario.prod)
        each = (
            f"(select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t)"
            for table in scenario.tables
        )
        self.digest = f"select {' || '.join(each)}"
        self.path, self.said = str(self.two.repo.path), folder / "said"
        self.order = (scenario.verb, scenario.mode, self._ready())
        self.clean = self._measure()

    def _ready(self) -> str:
        """What the rows come from, where that is no server."""
        if self.scenario.verb == "import":
            return self.two.workspace.archives.export(DataExportOptions("all")).path
        if self.scenario.verb == "undo":
            self._goes(("push", self.scenario.mode, ""))
        if self.scenario.verb in ("restore", "undo"):
            run = self.two.push(mode=self.scenario.mode)
            assert run.state == "done", run
            if self.scenario.later:
                self.two.run("prod", self.scenario.later)
            return run.id
        return ""

    def act(self) -> Any:
        """Does what is struck, whole."""
        return act(self.path, self.order)

    def landed(self) -> list[str]:
        """What stands of what was struck, by the journal."""
        undo = self.scenario.verb == "undo"
        verb, of = ("undo", self.order[2]) if undo else (f"data {self.scenario.verb}", "")
        return [
            one.id
            for one in self.two.workspace.log(MANY)
            if (one.verb, one.undo_of, one.state) == (verb, of, "done") and not one.undone_by
        ]

    def back(self) -> Any:
        """Takes that back."""
        return self.two.undo(self.landed()[0])

    def state(self) -> str:
        """The fingerprint of all rows of the target."""
        return str(self.two.run("prod", self.digest)[0][0])

    def start(self) -> Any:
        """The push's process."""
        self.said.unlink(missing_ok=True)
        process = CONTEXT.Process(target=child, args=(self.path, self.order, str(self.said)))
        process.start()
        return process

    def _measure(self) -> Clean:
        clean = Clean(old={"prod": self.state()})
        for wire in (self.source.wire, self.target.wire):
            wire.arm(None)
        free = self.disk.free
        with Reader(self) as reader:
            process = self.start()
            process.join(LIMIT)
        clean.room = max(65536, free - reader.room)
        for name, wire in (("source", self.source.wire), ("target", self.target.wire)):
            clean.packets[name], clean.bytes[name] = wire.packets, dict(wire.bytes)
        clean.new = {"prod": self.state()}
        said = json.loads(self.said.read_text())
        assert said == {"state": "done"} and clean.old != clean.new, said
        assert self.back().state == "done" and self.state() == clean.old["prod"]
        if self.scenario.verb != "undo":
            self._goes(self.order)
        return clean

    def _goes(self, order: Order) -> None:
        """Makes sure that rows go the way that is to be struck."""
        plan = str(act(self.path, order, dry_run=True))
        assert f"'way': '{self.scenario.way}'" in plan, plan


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "raccord.workspace",
        "raccord.verbs.data_push",
        "raccord.verbs.data_archives",
        "psycopg",
        "tests.data.struck",
    ]
)
OURS = """select string_agg(format('%s %s %s', pid, application_name, query), '; ') from pg_stat_activity
where application_name like 'raccord%' and pid <> pg_backend_pid()
"""
LOCKS = """select count(*) from pg_locks l where l.pid <> pg_backend_pid()
and (l.locktype = 'advisory'
  or l.pid in (select pid from pg_stat_activity where application_name like 'raccord%'))
"""
LEFT = "select string_agg(relname, ', ') from pg_class where relname ~ 'raccord' or relpersistence = 't'"


class Bench:
    """Two servers and a workspace for each scenario, made when a case first asks for it.

    Args:
        root: an empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stack = contextlib.ExitStack()
        self.disk = Disk(Path(pgkit.open_base(), f"raccord-disk-{os.getpid()}"), "256m")
        self._stack.callback(self.disk.close)
        self.source = reached(self._stack.enter_context(pgkit.own(16, **SETTINGS)))
        self.target = reached(self._stack.enter_context(pgkit.own(18, **SETTINGS)))
        if self.disk.there:
            self.target.run(f"create tablespace small location '{self.disk.folder}'")
        self.places: dict[str, Place] = {}
        self._losses: list[str] = []
        self._said = ""

    def close(self) -> None:
        """Stops the servers."""
        self.source.wire.close()
        self.target.wire.close()
        self._stack.close()

    def place(self, name: str) -> Place:
        """The scenario's."""
        if name not in self.places:
            folder = self.root / f"{name}-{next(NUMBERS)}"
            self.places[name] = Place(self, BY_NAME[name], folder)
        return self.places[name]

    def run(self, case: Case) -> Result:
        """Runs a case; after a loss the next one of its scenario begins with a new workspace."""
        self._losses, self._said = [], ""
        try:
            result = self._run(case, self.place(case.scenario))
        except Exception as error:  # noqa: BLE001 - told with its case, and the other cases go on
            where = "".join(traceback.format_exception(error)[-4:]).rstrip()
            losses = (*self._losses, f"{type(error).__name__}: {error}\n{where}")
            result = Result(case, self._said, losses=losses)
        finally:
            self.disk.ballast.unlink(missing_ok=True)
            self._disarm()
        if result.losses:
            self.places.pop(case.scenario, None)
        return result

    def _disarm(self) -> None:
        for wire in (self.source.wire, self.target.wire):
            wire.arm(None)

    def _run(self, case: Case, place: Place) -> Result:
        losses = self._losses
        old, new = place.clean.old["prod"], place.clean.new["prod"]
        with Reader(place) as reader:
            self._strike(case, place, losses)
            said = self._said = self._ended(case, place, losses)
            self._disarm()  # what it never came to must not strike what a person does next
            self.settle(place, losses)
        if strange := reader.seen - {old, new}:
            losses.append(f"a reader saw {len(strange)} states that are neither old nor new")
        at = place.state()
        if at not in (old, new):
            losses.append("the target is neither old nor new")
        if said == "done" and at != new:
            losses.append("it said done, and the target is old")
        for loss in self._recovered(case, place):
            losses.append(loss)
        return Result(case, said.split(":")[0] or "killed", at == new, tuple(losses), reader.polls)

    def _strike(self, case: Case, place: Place, losses: list[str]) -> None:
        clean, fault = place.clean, case.fault
        end = "source" if fault in ("source", "cut-source") else "target"
        server = self.source if end == "source" else self.target
        packets = 1 + int(case.at * clean.packets[end])
        self._process: Any = None
        started = threading.Event()

        def kill_server(port: int) -> None:
            with contextlib.suppress(psycopg.OperationalError):
                for (pid,) in server.run(f"select pid from pg_stat_activity where client_port = {port}"):
                    os.kill(pid, signal.SIGKILL)

        def kill_client(port: int) -> None:
            started.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

        if fault == "full":
            self.disk.fill(int(case.at * clean.room))
        elif fault in ("source", "target"):
            server.wire.arm(Moment(packets=packets, act=kill_server))
        elif fault == "client":
            server.wire.arm(Moment(packets=packets, act=kill_client))
        elif fault.startswith("cut-"):
            toward = DOWN if fault == "cut-down" or (fault == "cut-source" and case.at < 0.5) else UP
            count = 1 + int(case.at * clean.bytes[end][toward])
            server.wire.arm(Moment(bytes=count, toward=toward, cuts=True))
        elif fault == "commit":
            # Nothing of it, a part, or all of it with its answer cut off.
            server.wire.arm(Moment(commit=(0, 3, 4096)[int(case.at * 3)], cuts=True))
        else:
            who = kill_client if case.at < 0.3 else kill_server
            server.wire.arm(Moment(commit=0, act=who, before=case.at < 0.6))
        self._process = place.start()
        started.set()

    def _ended(self, case: Case, place: Place, losses: list[str]) -> str:
        process = self._process
        process.join(LIMIT)
        if process.exitcode is None:
            losses.append(f"no end after {LIMIT:.0f} s")
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        if not place.said.exists():
            if process.exitcode != -signal.SIGKILL:
                losses.append(f"it ended with {process.exitcode} and said nothing")
            return ""
        said = json.loads(place.said.read_text())
        if "bug" in said:
            losses.append(said["bug"])
        return str(said.get("state") or said.get("error") or "bug")

    def settle(self, place: Place, losses: list[str]) -> None:
        """Waits until the servers are up and have noticed, and the disk has room again."""
        self.disk.ballast.unlink(missing_ok=True)
        until = time.monotonic() + 60
        while True:
            try:
                left = [server.run(OURS, "postgres")[0][0] for server in (self.source, self.target)]
                if not any(left):
                    break
            except psycopg.OperationalError as error:
                left = [str(error)]
            if time.monotonic() > until:
                losses.append(f"sessions left: {left}")
                return
            time.sleep(0.03)
        losses += self._left(place)

    def _left(self, place: Place) -> Iterator[str]:
        for end in ("dev", "prod"):
            if place.two.run(end, LOCKS) != [(0,)]:
                yield f"locks left in {end}"
            if (tables := place.two.run(end, LEFT)[0][0]) is not None:
                yield f"tables left in {end}: {tables}"

    def _recovered(self, case: Case, place: Place) -> Iterator[str]:
        old, new = place.clean.old["prod"], place.clean.new["prod"]
        stopped = bool(place.two.workspace.status().stopped)
        was = place.state()
        try:
            if case.recovery == "again" or not stopped:
                report = place.act()
            elif case.recovery == "continue":
                report = place.two.workspace.continue_()
            else:
                report = place.two.workspace.abort()
            if report.state == "partial" and place.two.workspace.status().stopped:
                # It left alone what the cut-off run holds, and said so: the person does what it said.
                report = place.two.workspace.continue_()
            said = str(report.state)
        except RaccordError as error:
            report, said = None, f"{type(error).__name__}: {error.message}"
        now = place.state()
        if now not in (old, new):
            yield f"after {case.recovery} the target is neither old nor new"
        wanted = {"done": new, "nothing": new, "aborted": old}.get(said)
        if wanted is None:
            yield f"{case.recovery} after {'new' if was == new else 'old'}: {said}: {report}"
        elif now != wanted:
            yield f"{case.recovery} said {said}, and the target is {'new' if now == new else 'old'}"
        report = place.act()
        if report.state not in ("done", "nothing") or place.state() != new:
            yield f"the next {place.scenario.verb}: {report}"
        if waiting := place.two.workspace.status().stopped:
            yield f"still waiting: {waiting}"
        # The journal: what it calls done and not undone is what is there, once.
        if len(landed := place.landed()) != 1:
            yield f"the journal has {len(landed)} {place.scenario.verb}s that stand: {landed}"
        undone = place.back()
        if undone.state != "done" or place.state() != old:
            yield f"undo: {undone}"
        yield from self._left(place)
