"""Tries revisions on clones: up, down and up again, with the catalog read after each.

Works on clones alone; the databases themselves are only copied.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.database import catalog
from raccord.database.heads import heads
from raccord.database.url import Target
from raccord.errors import CannotRun
from raccord.kernel import fs
from raccord.migrations.archive import Content
from raccord.migrations.clones import lent
from raccord.migrations.driving import Driver, Interpreter, Lead, driven
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site
from raccord.migrations.prove import Catalogs, Failure, Trial, changes, order, verdict
from raccord.model.proof import MigrationProof
from raccord.model.text import shown

UNMOVED = "alembic ended well and the version table is as it was: does env.py commit?"


def lay_out(folder: Path, contents: Iterable[Content]) -> None:
    """Writes revision files into an empty folder, under names that no name of theirs can harm."""
    for number, one in enumerate(contents):
        fs.write_new(folder / f"{number}_{hashlib.sha256(one.source).hexdigest()[:12]}.py", one.source)


@dataclass(frozen=True)
class Unit:
    """The databases that one run of env.py migrates, as one worktree has them.

    Attributes:
        sites: with a target each.
        how: the project's own Python.
        state: raccord's own folder.
        fresh: whether empty databases take the place of clones.
        contents: more revision files.
    """

    sites: Sequence[Site]
    how: Interpreter
    graph: Graph
    state: Path
    fresh: bool = False
    contents: Sequence[Content] = ()

    @property
    def targets(self) -> list[Target]:
        """Its databases."""
        return [target for site in self.sites if (target := site.target) is not None]


@dataclass(frozen=True)
class Bench:
    """Clones of a unit's databases, and a driver on them.

    Attributes:
        notes: how the clones were made, where that isn't plain.
        refused: what was refused, and the project's code went on all the same.
    """

    unit: Unit
    clones: Sequence[Target]
    driver: Driver
    notes: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def set_up(cls, unit: Unit, what: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Bench]:
        """Clones the databases for as long as the block lasts.

        Raises:
            DatabaseError: they can't be cloned.
        """
        site = unit.sites[0]
        with lent(unit.targets, unit.state, what, fresh=unit.fresh) as loan:
            clones = [loan.of[target.key] for target in unit.targets]
            lay_out(loan.folder, unit.contents)
            leads = [Lead(real, goal) for real, goal in zip(unit.targets, clones, strict=True)]
            with driven(
                unit.how,
                site.project,
                site.database,
                leads,
                versions=[loan.folder] if unit.contents else [],
                keep=[loan.handle],
                cancelled=cancelled,
            ) as driver:
                yield cls(unit, clones, driver, loan.notes)

    def catalogs(self) -> Catalogs:
        """What the clones are made of, the version tables aside."""
        return {
            site.database.name: catalog.catalog(clone, without=[site.database.version_table])
            for site, clone in zip(self.unit.sites, self.clones, strict=True)
        }

    def heads(self) -> list[frozenset[str]]:
        """The ids in the clones' version tables."""
        return [
            heads(clone, site.database.version_table, site.database.version_schema) or frozenset()
            for site, clone in zip(self.unit.sites, self.clones, strict=True)
        ]

    def has(self, id_: str) -> bool:
        """Whether each clone has a revision."""
        return all(id_ in self.unit.graph.ancestors(one) for one in self.heads())

    def go(self, direction: str, ids: Sequence[str]) -> Failure | None:
        """Applies revisions or takes them down; how that failed, or None.

        Raises:
            CannotRun: a connection was refused, or the driver ended.
        """
        if not ids:
            return None
        before = self.heads()
        answer = self.driver.steps([(direction, id_) for id_ in ids])
        if answer.refused and not answer.ok:
            raise CannotRun(
                f"env.py or a migration goes elsewhere, and that was not allowed: {answer.refused[0]}",
                hint="see that sqlalchemy.url, or what env.py reads, names the database that it connects to",
                refused=list(answer.refused),
            )
        self.refused.extend(answer.refused)
        if not answer.ok:
            return Failure(shown(answer.error), tuple(map(shown, answer.trace)))
        return Failure(UNMOVED) if self.heads() == before and answer.steps else None

    def tried(self, id_: str, before: Catalogs, *, applied: bool, idle: bool) -> Trial:
        """Tries one revision, of which all parents are applied."""
        seen: list[Catalogs | Failure | None] = []
        for direction in ("up", "down", "up"):
            failed = self.go(direction, [id_])
            seen.append(failed or self.catalogs())
            if failed is not None:
                break
        up, down, again = (*seen, None, None)[:3]
        assert up is not None
        return Trial(before, up, down, again, applied, idle)


@dataclass
class Proving:
    """Tries the wanted revisions of a unit, one after the other.

    Attributes:
        say: told what goes on.
        notes: what a person should know, once it is done.
    """

    unit: Unit
    wanted: Sequence[str]
    say: Callable[[str], None]
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.proofs: dict[str, MigrationProof] = {}
        self._idle: set[str] = set()
        self._broken: set[str] = set()
        self._up: list[str] = []  # what a new clone gets before it goes on

    def run(self) -> tuple[MigrationProof, ...]:
        """Tries them all.

        Raises:
            DatabaseError: a database can't be cloned or read.
            CannotRun: the project's Python can't be run, or goes elsewhere.
        """
        todo: list[str] | None = None
        while todo is None or todo:
            self.say("cloning " + ", ".join(one.shown for one in self.unit.targets))
            with Bench.set_up(self.unit, "prove") as bench:
                self.notes |= dict.fromkeys(bench.notes)
                todo = self._on(bench, todo)
                self.notes |= dict.fromkeys(f"refused: {one}" for one in bench.refused)
        return tuple(self.proofs[one] for one in self.unit.graph.order()[::-1] if one in self.proofs)

    def _on(self, bench: Bench, todo: list[str] | None) -> list[str]:
        """Goes on with a new clone as far as that leads; returns what is left to do."""
        graph = self.unit.graph
        applied = frozenset().union(*bench.heads())
        if missing := [one for one in applied if one not in graph]:
            raise CannotRun(f"no file of {shown(missing[0])} here", hint="raccord migrations heal")
        down, ups = order(graph, self.wanted, applied)
        if not self._taken_down(bench, down, first=todo is None):
            return []
        todo = list(ups) if todo is None else todo
        if (second := bench.go("up", self._up)) is not None:
            for one in todo:
                self._unreached(one, f"what comes before failed on a second clone: {second.error}")
            return []
        current = bench.catalogs()
        while todo:
            id_ = todo.pop(0)
            if graph.ancestors([id_]) & self._broken:
                self._broken.add(id_)
                self._unreached(id_, "what it stands on failed")
                continue
            self.say(f"{id_}: {graph[id_].message}")
            if id_ in self.wanted:
                trial = bench.tried(id_, current, applied=id_ in down, idle=id_ in self._idle)
            else:
                trial = Trial(current, bench.go("up", [id_]) or bench.catalogs())
            failed = isinstance(trial.up, Failure)
            if id_ in self.wanted or failed:
                self._prove(id_, trial)
            if failed:
                self._broken.add(id_)
            else:
                self._up.append(id_)
            expected = current if isinstance(trial.up, Failure) else trial.up
            current = bench.catalogs()
            if changes(expected, current) or (not failed and not bench.has(id_)):
                return todo  # something was left: what follows is tried on a new clone
        return todo

    def _taken_down(self, bench: Bench, down: Sequence[str], *, first: bool) -> bool:
        """Takes down what is applied already; whether that went well."""
        if not first:
            return bench.go("down", down) is None
        current = bench.catalogs()
        for id_ in down:
            self.say(f"{id_}: taking it down")
            if (failed := bench.go("down", [id_])) is not None:
                self._prove(id_, Trial(current, current, failed))
                for one in self.wanted:
                    self._unreached(one, f"the downgrade of {shown(id_)} failed, which stands above it")
                return False
            now = bench.catalogs()
            if not changes(current, now):
                self._idle.add(id_)
            current = now
        return True

    def _prove(self, id_: str, trial: Trial) -> None:
        self.proofs[id_] = verdict(id_, self.unit.graph[id_].message, trial)

    def _unreached(self, id_: str, reason: str) -> None:
        if id_ in self.wanted and id_ not in self.proofs:
            self.proofs[id_] = MigrationProof(id_, self.unit.graph[id_].message, "unreached", reason)
