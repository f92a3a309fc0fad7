"""The steps of a push: `data.keep` makes room for what goes, `data.push` does it, `data.return` undoes it.

What is overwritten is kept within the transaction that overwrites it, so that it is exactly that. A step's
payload has no URL: the environment's name leads to it again.
"""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.data import kinds
from raccord.data.job import Job
from raccord.data.keeping import Shelf
from raccord.data.plan import Expected
from raccord.data.spec import Spec, conditioned
from raccord.database.keeping import new_id
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.errors import (
    CannotRun,
    DatabaseError,
    RaccordError,
    TransportError,
    Unanswered,
    UsageError,
    WorldMoved,
)
from raccord.kernel import fs
from raccord.model.counts import CHANGES, promoted
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step
from raccord.model.text import grouped, several, shown

KEEP = "data.keep"
PUSH = "data.push"
RETURN = "data.return"
# A tenth of a table's rows: from there on the server would gather statistics by itself.
ANALYZED = 10

Resolve = Callable[[str], Target]
Sql = Callable[[str], tuple[Mapping[str, str], Mapping[str, str]]]


def resource(target: Target) -> str:
    """What a step locks of a database."""
    return f"database:{target.key}"


def keep_step(state: Path, id_: str, about: int) -> Step:
    """The step that makes room for what is overwritten.

    Args:
        about: how many bytes that may be.
    """
    payload = {"state": str(state), "id": id_, "bytes": about}
    return Step(KEEP, 1, f"keep the rows that change or go as {id_}", payload, backs_up=True)


def push_step(
    spec: Spec,
    state: Path,
    id_: str,
    source: Target,
    target: Target,
    expected: Mapping[Name, Expected],
    commit: str,
) -> Step:
    """The step that pushes.

    Args:
        expected: what it must find in each table.
        commit: where the worktree stands, for those who ask later.
    """
    return written_step(PUSH, spec, state, id_, {"source": source.key}, target, expected, commit)


def written_step(
    kind: str,
    spec: Spec,
    state: Path,
    id_: str,
    origin: Mapping[str, Json],
    target: Target,
    expected: Mapping[Name, Expected],
    commit: str,
) -> Step:
    """A step that writes a set in one transaction, wherever its rows come from. See `push_step`.

    Args:
        origin: what the payload says of where they come from.
    """
    tables = [{"table": list(name), **one.document()} for name, one in sorted(expected.items())]
    total = [sum(one.counts[at] for one in expected.values()) for at in range(3)]
    payload: dict[str, Json] = {
        "spec": spec.document(),
        "state": str(state),
        "id": id_,
        **origin,
        "target": target.key,
        "expected": tables,
        "commit": commit,
    }
    from_ = "" if kind == PUSH else f" from {spec.origin}"
    added, changed, removed = total
    said = f"in one transaction: {several(added, 'row')} added, {grouped(changed)} changed,"
    said += f" {grouped(removed)} removed"
    title = f"{spec.mode} {spec.name} in {spec.goal}{from_}, {said}"
    return Step(kind, 1, title, payload, resources=(resource(target),), destroys=True)


class KeepHandler:
    """Makes room for rows that are kept."""

    kind, version = KEEP, 1

    def probe(self, step: Step, context: Context) -> Position:
        """A folder is there or isn't."""
        place = Shelf.below(step.payload["state"]).place(step.payload["id"])
        return Position.AFTER if place.is_dir() else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Makes it, where the disk has room."""
        shelf, id_ = Shelf.below(step.payload["state"]), step.payload["id"]
        if not shelf.place(id_).is_dir():
            shelf.begin(id_)
        free, needed = fs.free(shelf.folder), step.payload["bytes"]
        if free < needed:
            raise CannotRun(
                f"{shown(str(shelf.folder))} has room for {free} bytes, and what goes may be {needed}",
                hint="raccord gc",
            )
        return Outcome({"id": id_})

    def revert(self, step: Step, context: Context) -> None:
        """It takes nothing away."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing: what is kept stays until it is old."""
        return ()


class Transaction(ABC):
    """What the steps have in common whose archive tells whether they took place.

    Args:
        resolve: leads from an environment's name to its database.
        wait: seconds to wait for another push.
        sql: leads from a set's name to its conditions and masks.
    """

    def __init__(self, resolve: Resolve, wait: float, sql: Sql) -> None:
        self._resolve = resolve
        self._wait = wait
        self._sql = sql

    @abstractmethod
    def act(self, step: Step, job: Job, target: Target) -> None:
        """Does it, in one transaction."""

    def probe(self, step: Step, context: Context) -> Position:
        """The server knows."""
        job = self.job(step, context)
        return self.position(job, self.found(job.spec.goal, step.payload["target"]))

    def apply(self, step: Step, context: Context) -> Outcome:
        """Does it, or finds that it was done."""
        job = self.job(step, context)
        target = self.found(job.spec.goal, step.payload["target"])
        self.settled(job, target, lambda: self.act(step, job, target))
        return self.outcome(job, target, context)

    def revert(self, step: Step, context: Context) -> None:  # noqa: B027
        """It happened whole or not at all."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Brings back what was overwritten, where it is as the step left it."""
        got = step.payload
        return return_steps(got["spec"], Path(got["state"]), got["id"], got["target"])

    def position(self, job: Job, target: Target) -> Position:
        """Asks the database about what the archive names."""
        known = job.shelf.document(job.id)
        if known is None:
            return Position.BEFORE
        return kinds.of(target).position(job, target, known)

    def settled(self, job: Job, target: Target, act: Callable[[], None]) -> None:
        """Does it, unless it was done; where the connection was lost, asks what became of it.

        Raises:
            Unanswered: nobody says.
        """
        at = self.position(job, target)
        if at is Position.UNKNOWN:
            raise Unanswered(f"{target.shown} doesn't say what became of the transaction of {job.id}")
        if at is Position.NEITHER:
            raise WorldMoved(
                f"the rows of {job.spec.name} in {job.spec.goal} are neither as before {job.id} nor as"
                " after it",
                hint=f"raccord data diff {job.spec.name} --to {job.spec.goal}",
            )
        if at is Position.AFTER:
            return
        job.shelf.begin(job.id)
        try:
            act()
        except RaccordError:  # whatever it was: from the document on only the server knows
            if job.shelf.document(job.id) is None:
                raise
            try:
                at = self.position(job, target)
            except (DatabaseError, TransportError) as error:
                raise Unanswered(f"the commit was not answered: {error.message}", hint=error.hint) from None
            if at is Position.UNKNOWN:
                raise Unanswered(
                    f"{target.shown} doesn't say what became of the transaction of {job.id}"
                ) from None
            if at is not Position.AFTER:
                raise

    def found(self, name: str, key: str) -> Target:
        """The database of an environment, if it still is the one that was planned for.

        Raises:
            WorldMoved: it is another.
        """
        target = self._resolve(name)
        if target.key != key:
            raise WorldMoved(f"the environment {name} leads to another database by now: {target.shown}")
        return target

    def job(self, step: Step, context: Context) -> Job:
        """What a step says; without the SQL of the set, of which it says fingerprints."""
        got = step.payload
        expected = {
            (one["table"][0], one["table"][1]): Expected.parse(one) for one in got.get("expected", ())
        }
        spec = Spec.parse(got["spec"])
        return Job(
            spec, Path(got["state"]), got["id"], expected, self._wait, context.say, context.cancelled,
            conditions(self._sql, spec.name),
        )  # fmt: skip

    def outcome(self, job: Job, target: Target, context: Context) -> Outcome:
        """What the archive says of what was done, and the rows as they are now."""
        document = job.shelf.needed(job.id)
        counts = [sum(said["counts"][at] for said in document["tables"]) for at in range(3)]
        notes = [f"{grouped(counts[0])} added, {grouped(counts[1])} changed, {grouped(counts[2])} removed"]
        for said in document["tables"]:
            notes += [
                f"{several(number, 'row')} of {said['table'][1]} left out: {why}"
                for why, number in said["skipped"].items()
            ]
            notes += said.get("told", ())
        notes += [
            f"triggers wrote into {name}, which is not in the set: an undo leaves that"
            for name in document.get("besides", ())
        ]
        try:
            notes += _afterwards(job, target, document)
        except RaccordError as error:  # it took place: what is found out later can't hold it back
            notes.append(f"not verified afterwards: {error.message}")
        record = {"id": job.id, "counts": counts, "notes": notes}
        return Outcome(record, note="; ".join(notes), counts=self.counted(job, counts))

    def counted(self, job: Job, numbers: Sequence[int]) -> dict[str, Json]:
        """What came into the environment: rows added, changed and removed."""
        return promoted("rows", job.spec.name, job.spec.goal, dict(zip(CHANGES, numbers, strict=True)))


def conditions(sql: Sql, name: str) -> dict[str, str]:
    """The conditions of a set as it is configured now, if it still is: see `Job`."""
    try:
        return {conditioned(text): text for text in sql(name)[0].values()}
    except UsageError:
        return {}


def _afterwards(job: Job, target: Target, document: Mapping[str, Json]) -> list[str]:
    """Compares again, from a transaction that sees what was committed, and has statistics gathered."""
    knows = kinds.of(target)
    if job.spec.triggers == "fire":
        notes = ["not verified: triggers fired"]
    else:
        notes = [
            f"{several(one.rows, 'row')} of {one.table} {'was' if one.rows == 1 else 'were'} changed since"
            for one in knows.moved(job, target, job.id)
        ]
        notes = notes or ["verified"]
    big = [
        said
        for said in document["tables"]
        # What was exchanged was analyzed before.
        if sum(said["counts"]) * ANALYZED >= said["rows"] and not said.get("exchanged")
    ]
    if big:
        knows.analyze(target, [(said["table"][0], said["table"][1]) for said in big])
    return notes


class PushHandler(Transaction):
    """Pushes a set in one transaction."""

    kind, version = PUSH, 1

    def act(self, step: Step, job: Job, target: Target) -> None:
        """Pushes."""
        source = self.found(job.spec.origin, step.payload["source"])
        spec = job.spec.filled(*self._sql(job.spec.name))
        kinds.kind(source, target).carry_out(replace(job, spec=spec), source, target)


class ReturnHandler(Transaction):
    """Takes a push back, or puts back what that took."""

    kind, version = RETURN, 1

    def counted(self, job: Job, numbers: Sequence[int]) -> dict[str, Json]:
        """Nothing: what goes back was there before."""
        return {}

    def probe(self, step: Step, context: Context) -> Position:
        """The server knows; before it is begun, the rows do. Then they are asked under their locks."""
        job = self.job(step, context)
        target = self.found(job.spec.goal, step.payload["target"])
        at = self.position(job, target)
        if at is not Position.BEFORE or job.shelf.place(job.id).is_dir():
            return at
        moved = kinds.of(target).moved(job, target, step.payload["archive"])
        return Position.NEITHER if moved else at

    def moved(self, step: Step, context: Context) -> str:
        """Which rows are not as they were left."""
        job = self.job(step, context)
        target = self.found(job.spec.goal, step.payload["target"])
        return "; ".join(one.said for one in kinds.of(target).moved(job, target, step.payload["archive"]))

    def instead(self, step: Step, run: str) -> str:
        """The restore that puts back what was kept over what came since."""
        spec = step.payload["spec"]
        words = ["raccord", "data", "restore", run, "--to", spec["goal"], "--set", spec["name"], "--dry-run"]
        return shown(shlex.join(words))

    def act(self, step: Step, job: Job, target: Target) -> None:
        """Takes it back."""
        kinds.of(target).take_back(job, target, step.payload["archive"])


def return_steps(spec: Mapping[str, Json], state: Path, archive: str, target: str) -> tuple[Step, ...]:
    """The steps that bring back what an archive holds."""
    id_ = new_id()
    payload = {"spec": dict(spec), "state": str(state), "id": id_, "archive": archive, "target": target}
    title = f"bring the rows back that {archive} keeps, into {spec['goal']}"
    return (
        keep_step(state, id_, 0),
        Step(RETURN, 1, title, payload, resources=(f"database:{target}",), destroys=True),
    )
