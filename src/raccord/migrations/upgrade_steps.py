"""The step that upgrades databases: alembic, run as a child in the project's own Python, under their locks.

raccord itself imports neither alembic nor a migration. The child holds the locks open too: killed raccord, it
goes on, and whoever recovers waits for its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raccord.database import catalog, contents
from raccord.database.keeping import new_id
from raccord.database.lock import Held
from raccord.database.url import SQLITE
from raccord.errors import (
    HeldBack,
    LockTimeout,
    ProgramMissing,
    RaccordError,
    RestoreFailed,
    Stop,
    StoreError,
    WorldMoved,
)
from raccord.kernel import fs, proc
from raccord.migrations.archive import Archive, Content
from raccord.migrations.backups import Shelf, backup_step, restore_step
from raccord.migrations.graph import Graph
from raccord.migrations.leftovers import take_away
from raccord.migrations.runner import reason, variables, words
from raccord.migrations.standing import Named, Standing, locked
from raccord.migrations.upgrade import position
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step, checkout
from raccord.model.text import shown

UPGRADE = "migration.upgrade"
LISTS = ("before", "after", "pending")


@dataclass(frozen=True, slots=True)
class Part:
    """What an upgrade does to one database.

    Attributes:
        before, after: the ids in its version table.
        pending: the revisions that it gets, or loses, in order.
        backup: the id of the backup that an earlier step makes.
    """

    named: Named
    before: tuple[str, ...]
    after: tuple[str, ...]
    pending: tuple[str, ...]
    backup: str

    def document(self) -> dict[str, Json]:
        """As JSON."""
        lists = {name: list(getattr(self, name)) for name in LISTS}
        return {"named": self.named.payload(), "backup": self.backup, **lists}

    @classmethod
    def parse(cls, document: Mapping[str, Json]) -> Part:
        """Reads itself back from JSON."""
        lists = {name: tuple(document[name]) for name in LISTS}
        return cls(Named(**document["named"]), backup=document["backup"], **lists)


@dataclass(frozen=True, slots=True)
class Order:
    """A step's payload, read.

    Attributes:
        parts: the databases that one run of env.py upgrades.
        start: the words that start alembic.
        targets: the revisions that it is told, one after the other.
        digests: the SHA-256 of the file of each revision that is applied.
        lent: those of them whose files alembic gets from raccord's own store.
    """

    parts: tuple[Part, ...]
    state: Path
    start: tuple[str, ...]
    targets: tuple[str, ...]
    digests: Mapping[str, str]
    lent: tuple[str, ...] = ()

    @classmethod
    def of(cls, step: Step) -> Order:
        """Reads a step."""
        got = step.payload
        parts = tuple(Part.parse(one) for one in got["parts"])
        return cls(
            parts,
            Path(got["state"]),
            tuple(got["start"]),
            tuple(got["targets"]),
            got["digests"],
            tuple(got.get("lent", ())),
        )

    def step(self, kind: str, title: str) -> Step:
        """The step; each of its databases has been backed up by an earlier one."""
        payload: dict[str, Json] = {
            "parts": [part.document() for part in self.parts],
            "state": str(self.state),
            "start": list(self.start),
            "targets": list(self.targets),
            "digests": dict(self.digests),
            **({"lent": list(self.lent)} if self.lent else {}),
        }
        resources = (
            checkout(self.parts[0].named.worktree),
            *dict.fromkeys(part.named.resource for part in self.parts),
        )
        return Step(kind, 1, title, payload, resources=resources, destroys=True)

    @property
    def standings(self) -> list[Standing]:
        """Its databases, found again."""
        return [Standing.find(part.named) for part in self.parts]


class UpgradeHandler:
    """Runs alembic, and says where it left the databases.

    Args:
        archive: told what was applied where.
        wait: seconds to wait for whoever changes a database.
    """

    kind, version, verb = UPGRADE, 1, "upgrade"

    def __init__(self, archive: Archive, wait: float) -> None:
        self._archive = archive
        self._wait = wait

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the version tables, once no alembic of a killed raccord is at work any more."""
        order = Order.of(step)
        try:
            standings = order.standings
            with locked(standings, order.state, self._wait, context.say):
                found = {*self._positions(order, standings)}
        except LockTimeout:
            return Position.UNKNOWN
        if len(found) == 1 and found != {Position.BEFORE}:
            return found.pop()
        if Position.NEITHER in found:
            return Position.NEITHER
        # A migration that failed or was cut off may have left something, where the database has no
        # transactions for it.
        touched = found != {Position.BEFORE} or _touched(order, standings)
        return Position.BETWEEN if touched else Position.BEFORE

    def _positions(self, order: Order, standings: Sequence[Standing]) -> list[Position]:
        found = []
        for part, standing in zip(order.parts, standings, strict=True):
            now, before, after = standing.heads(), frozenset(part.before), frozenset(part.after)
            graph = Graph() if now in (before, after) else standing.graph()
            found.append(position(now, before, after, part.pending, graph))
        return found

    def apply(self, step: Step, context: Context) -> Outcome:
        """Upgrades, or finds that it was done; what was applied is remembered."""
        order = Order.of(step)
        standings = order.standings
        with locked(standings, order.state, self._wait, context.say) as held:
            found = self._positions(order, standings)
            self._refuse(order, standings, found)
            sources = self._sources(order, standings[0], found)
            # Where somebody else went on from there, an undo finds the database elsewhere, and leaves it.
            left, log = [sorted(part.after) for part in order.parts], ""
            notes: list[str] = []
            if set(found) != {Position.AFTER}:
                if fs.names(_logs(order, context)):
                    notes = self._clear(order, standings, found, context)
                log = self._run(order, standings, held, context)
                left = [sorted(one.heads()) for one in standings]
        try:
            for part, standing in zip(order.parts, standings, strict=True):
                self._record(standing.target.key, part, sources)
        except StoreError:
            raise
        except RaccordError as error:
            # What was done is not taken back for this.
            said = f"the {self.verb} is done, and what is applied now can't be recorded: {error.message}"
            raise Stop(said, hint=error.hint) from error
        counts = self._counted(order) if log else {}
        return Outcome({"left": left, "log": log}, note="; ".join(notes), counts=counts)

    def _counted(self, order: Order) -> dict[str, Json]:
        """What is told of it, see `Outcome`."""
        return {"upgrades": len(order.parts), "revisions_applied": len(order.digests)}

    def _record(self, key: str, part: Part, sources: Mapping[str, Content]) -> None:
        """Remembers what is applied now."""
        applied = [sources[one] for one in part.pending if one in sources]
        self._archive.remember(applied, applied_to=key)

    def _sources(self, order: Order, standing: Standing, found: Sequence[Position]) -> dict[str, Content]:
        """The files of what is done.

        Raises:
            WorldMoved: one is not what was planned, and is still needed.
        """
        sources: dict[str, Content] = {}
        for file in standing.loaded().files:
            one = file.revision
            if order.digests.get(one.id) == one.digest:
                with contextlib.suppress(OSError):
                    source = fs.read(file.path)
                    if hashlib.sha256(source).hexdigest() == one.digest:
                        sources[one.id] = Content(one.id, one.name, source)
        for part, at in zip(order.parts, found, strict=True):
            changed = [one for one in part.pending if one not in sources and one not in order.lent]
            if changed and at is not Position.AFTER:
                said = f"the file of {_listed(changed[:3])} is not what it was"
                raise WorldMoved(said, hint=f"raccord migrations {self.verb}")
        return sources

    def _clear(
        self, order: Order, standings: Sequence[Standing], found: Sequence[Position], context: Context
    ) -> list[str]:
        """Takes away what an earlier alembic of this run left, where that can be done without a loss."""
        notes = []
        for part, standing, at in zip(order.parts, standings, found, strict=True):
            if at is Position.BETWEEN or (at is Position.BEFORE and _changed(part, standing, order.state)):
                notes.append(take_away(Shelf.below(order.state), standing, part.backup))
        notes = [note for note in notes if note]
        for note in notes:
            context.say(note)
        return notes

    def _refuse(self, order: Order, standings: Sequence[Standing], found: Sequence[Position]) -> None:
        for part, standing, at in zip(order.parts, standings, found, strict=True):
            if at is Position.NEITHER:
                now = ", ".join(map(shown, sorted(standing.heads()))) or "no revision"
                raise WorldMoved(
                    f"{standing.target.shown} is at {now} by now, and was at {_listed(part.before)}",
                    hint=f"raccord migrations {self.verb}",
                )

    def _run(
        self, order: Order, standings: Sequence[Standing], held: Mapping[str, Held], context: Context
    ) -> str:
        """Runs alembic.

        Returns:
            Where what it said is.

        Raises:
            HeldBack: it failed, and the databases are as they were.
            Stop: it failed half-way, or upgraded another database.
        """
        folder = _logs(order, context)
        fs.make_dirs(folder)
        path = folder / f"{len(fs.names(folder)) + 1}.log"
        status, interrupted = 0, None
        with fs.opened_new(path, mode=0o600) as log:
            fs.sync_dir(folder)
            try:
                status = self._alembic(order, standings, log, held, context)
            except ProgramMissing as error:
                log.write(f"{error.stderr}\n".encode("utf-8", "replace"))
                status = 127
            except KeyboardInterrupt as error:
                interrupted = error
        # Only now: the log stays, and tells the next start that an alembic was cut off.
        if interrupted is not None:
            raise interrupted
        found = self._positions(order, standings)
        if set(found) == {Position.AFTER}:
            return str(path)
        raise self._failed(order, standings, found, status, path)

    def _alembic(
        self,
        order: Order,
        standings: Sequence[Standing],
        log: IO[bytes],
        held: Mapping[str, Held],
        context: Context,
    ) -> int:
        """Upgrades to each target; returns the status of the first that failed, or 0."""
        project = standings[0].project
        for target in order.targets:
            argv = words(order.start, standings[0].database, target)
            context.say(shown(shlex.join(argv)))
            status = proc.logged(
                argv,
                cwd=project.backend,
                log=log,
                keep=[one.handle for one in held.values()],
                env=variables(project),
                cancelled=context.cancelled,
            )
            if status:
                return status
        return 0

    def _failed(
        self, order: Order, standings: Sequence[Standing], found: Sequence[Position], status: int, path: Path
    ) -> RaccordError:
        output = (fs.read_or_none(path) or b"").decode("utf-8", "replace")
        last, tail = reason(output, (one.target for one in standings))
        how = f"failed ({status})" if status > 0 else f"was ended by signal {-status}" if status else "ended"
        data: dict[str, Json] = {"tail": tail, "log": str(path), "status": status}
        less = f"less {shlex.quote(str(path))}"
        clean = set(found) == {Position.BEFORE} and not _touched(order, standings)
        if clean and not status:
            return HeldBack(
                f"alembic ended well, and {standings[0].target.shown} is as it was:"
                " env.py connects to another database",
                hint=less,
                finding="migration.elsewhere",
                **data,
            )
        if clean:
            said = f"alembic {how}: {last}" if last else f"alembic {how}"
            return HeldBack(
                f"{said}; the database is as it was", hint=less, finding="migration.failed", **data
            )
        where = "; ".join(
            f"{one.target.shown} is at {_listed(sorted(one.heads()))}, its backup is {part.backup}"
            for part, one in zip(order.parts, standings, strict=True)
        )
        return Stop(
            f"alembic {how}{f': {last}' if last else ''}; {where}",
            hint=f"{less}, then: raccord continue, or raccord abort to bring the backup back",
            finding="migration.half",
            **data,
        )

    def revert(self, step: Step, context: Context) -> None:
        """Brings back the backups of what was half upgraded, each after a backup of what is there now."""
        order = Order.of(step)
        standings = order.standings
        with locked(standings, order.state, self._wait, context.say):
            self._refuse(order, standings, self._positions(order, standings))
        shelf = Shelf.below(order.state)
        for part, standing in zip(order.parts, standings, strict=True):
            if standing.heads() != frozenset(part.before) or _changed(part, standing, order.state):
                shelf.rescue(standing, part.backup, "aborted")
                shelf.bring_back(standing, part.backup)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Brings the backups back, as long as the databases are where the run left them."""
        order = Order.of(step)
        left = outcome.record.get("left") or [list(part.after) for part in order.parts]
        steps: list[Step] = []
        for part, heads in zip(order.parts, left, strict=True):
            rescue = new_id()
            steps += [
                backup_step(part.named, order.state, heads, rescue),
                restore_step(part.named, order.state, part.backup, rescue, heads, part.before, part.pending),
            ]
        return tuple(steps)


def _logs(order: Order, context: Context) -> Path:
    """Where what alembic says goes: a folder for each lane of a run, so that a log in it tells of a start."""
    lane = hashlib.sha256(context.lane.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return order.state / "logs" / context.run / f"upgrade-{lane}"


def _listed(heads: Sequence[str]) -> str:
    return ", ".join(map(shown, heads)) or "no revision"


def _touched(order: Order, standings: Sequence[Standing]) -> bool:
    return any(_changed(part, one, order.state) for part, one in zip(order.parts, standings, strict=True))


def _changed(part: Part, standing: Standing, state: Path) -> bool:
    """Whether a database that is at its old revisions is not what its backup holds.

    With PostgreSQL only its objects are looked at: others may write rows, and a failed migration leaves none.
    """
    try:
        kept = Shelf.below(state).kept(part.backup)
    except RestoreFailed:
        return False  # it never came to the upgrade
    if kept is None:
        return not standing.absent
    if catalog.catalog(standing.target).names != kept.names:
        return True
    return standing.target.kind == SQLITE and contents.contents(standing.target).digest != kept.digest


def digests(graph: Graph, pending: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each revision's file."""
    return {one: graph[one].digest for one in pending}
