"""The steps that make a fork, drop it, and make it again of a backup. Each can be killed anywhere.

A fork's name, and the one that it has while it is made, are in the plan: whoever recovers finds what there
is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from raccord.database import catalog, clone, contents
from raccord.database.keeping import Backup, new_id
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseBusy, NotOurs, RaccordError, RestoreFailed, WorldMoved
from raccord.migrations.archive import Archive
from raccord.migrations.backups import Shelf, backup_step
from raccord.migrations.forks import Fork, Forks
from raccord.migrations.standing import Standing
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step, checkout

FORK, DROP, REMAKE = "database.fork", "database.unfork", "database.refork"
SESSIONS_SECONDS = 1.0  # how long others have to go before their database is dumped instead
END = "--end-sessions"


def fork_step(fork: Fork, state: Path, title: str, *, evict: bool = False) -> Step:
    """The step that clones a database, as long as it is at the fork's heads."""
    return _step(FORK, fork, state, title, (fork.source.resource,), evict=evict)


def drop_step(
    fork: Fork, state: Path, heads: Iterable[str], backup: str, title: str, *, evict: bool = False
) -> Step:
    """The step that drops a fork.

    Args:
        heads: the ids in its version table now.
        backup: the id of the backup that an earlier step makes; "" where nothing was written to the fork.
    """
    step = _step(DROP, fork, state, title, (), evict=evict, backup=backup, heads=sorted(heads))
    return replace(step, destroys=bool(backup))


def remake_step(fork: Fork, state: Path, heads: Iterable[str], backup: str, title: str) -> Step:
    """The step that makes a dropped fork again of its backup."""
    return _step(REMAKE, fork, state, title, (), backup=backup, heads=sorted(heads))


def _step(kind: str, fork: Fork, state: Path, title: str, also: tuple[str, ...], **more: Json) -> Step:
    payload: dict[str, Json] = {"fork": fork.document(), "state": str(state), **more}
    resources = (checkout(fork.named.worktree), fork.named.resource, *also)
    return Step(kind, 1, title, payload, resources=resources)


class _Forking:
    """What the three have in common."""

    version = 1

    def __init__(self, archive: Archive, wait: float) -> None:
        self._archive = archive
        self._wait = wait

    def _there(self, fork: Fork, target: Target) -> bool:
        """Whether the fork's database is there, whole.

        Raises:
            NotOurs: something else has its name.
        """
        mark = clone.purpose(target)
        return mark is not None and fork.owns(mark)

    def _cut_off(self, fork: Fork, target: Target) -> bool:
        """Whether part of it is there, once the server has ended what a killed raccord asked for."""
        return target.kind != SQLITE and clone.cut_off(target, fork.id, self._wait)

    def _take_back(self, step: Step) -> None:
        """Removes what was made of a fork, in part or whole.

        Raises:
            NotOurs: something else has its name.
        """
        fork = _fork(step)
        target = Standing.find(fork.named).target
        clone.clear(target, fork.id, self._wait)
        if self._there(fork, target) or target.kind == SQLITE:
            clone.drop(target)
        _forks(step).forget(fork)
        self._archive.gone(fork.named.key)


class ForkHandler(_Forking):
    """Clones a database for a worktree.

    Args:
        archive: told what is applied to the clone.
        wait: seconds to wait for others who copy the same database.
    """

    kind = FORK

    def probe(self, step: Step, context: Context) -> Position:
        """Asks for the database, under its name and under the one that it has meanwhile."""
        fork = _fork(step)
        target = Standing.find(fork.named).target
        known = _forks(step).get(fork.id)
        try:
            there = self._there(fork, target)
        except NotOurs:
            return Position.NEITHER
        if there or known is not None:
            return Position.AFTER if there and known is not None and known.rows else Position.BETWEEN
        if self._cut_off(fork, target):
            return Position.BETWEEN
        now = sorted(Standing.find(fork.source).heads())
        return Position.BEFORE if now == list(fork.heads) else Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        """Clones it, or finishes it; the clone is read back."""
        fork, forks = _fork(step), _forks(step)
        source, target = Standing.find(fork.source), Standing.find(fork.named).target
        # First: after a kill it is known whose the database is.
        forks.keep(fork)
        made = None
        try:
            if not self._there(fork, target):
                clone.clear(target, fork.id, self._wait)
                context.say(f"cloning {source.target.shown}")
                made = clone.clone(
                    source.target,
                    fork.name,
                    what=fork.mark,
                    wait=SESSIONS_SECONDS,
                    evict=step.payload["evict"],
                    id_=fork.id,
                    queue=self._wait,
                )
        except RaccordError as error:
            forks.forget(fork)
            if isinstance(error, DatabaseBusy) and error.data.get("sessions"):
                error.hint = f"end them, install pg_dump, or: raccord migrations fork {END}"
            raise
        heads = sorted(Standing.find(fork.named).heads())
        rows, objects = _measured(target)
        found = replace(fork, heads=tuple(heads), made=time.time(), rows=rows, objects=objects)
        forks.keep(found)
        self._archive.copied(fork.source.key, fork.named.key)
        how = {"dump": "through pg_dump", "template": "by the server"}.get(made.how if made else "", "")
        said = f"{fork.title}{f', copied {how}' if how else ''}"
        return Outcome(
            {"fork": found.document()}, note=f"{said}: {made.note}" if made and made.note else said
        )

    def revert(self, step: Step, context: Context) -> None:
        """Removes what there is of it."""
        self._take_back(step)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Drops it, with a backup: what was written since can't be known beforehand."""
        fork = Fork.parse(outcome.record.get("fork") or step.payload["fork"])
        return _dropping(fork, Path(step.payload["state"]), fork.heads)


class DropHandler(_Forking):
    """Drops a fork; what was written to it is in a backup then.

    Args:
        archive: told that nothing is applied to it any more.
        wait: as for `ForkHandler`.
    """

    kind = DROP

    def probe(self, step: Step, context: Context) -> Position:
        """Asks for the database."""
        fork = _fork(step)
        try:
            there = self._there(fork, Standing.find(fork.named).target)
        except NotOurs:
            return Position.NEITHER
        if not there:
            return Position.AFTER
        return Position.BEFORE if _forks(step).get(fork.id) is not None else Position.BETWEEN

    def apply(self, step: Step, context: Context) -> Outcome:
        """Makes sure that nothing is lost, and drops it."""
        fork = _fork(step)
        standing = Standing.find(fork.named)
        target, evict = standing.target, bool(step.payload["evict"])
        if self._there(fork, target):
            self._refuse(step, standing)
        _forks(step).forget(fork)
        clone.drop(target, force=evict)
        self._archive.gone(fork.named.key)
        return Outcome({"name": fork.name}, note=f"dropped {fork.title}")

    def _refuse(self, step: Step, standing: Standing) -> None:
        fork, backup = _fork(step), step.payload["backup"]
        if backup:
            kept = Shelf.below(step.payload["state"]).kept(backup)
            if kept is None:
                raise RestoreFailed(f"the backup {backup} is none of {fork.title}")
            wanted = kept.digest, kept.names
        else:
            wanted = fork.rows, fork.objects
        if sorted(standing.heads()) != step.payload["heads"] or _measured(standing.target) != wanted:
            since = "its backup" if backup else "the plan"
            raise WorldMoved(
                f"{fork.title} was written to since {since} was made", hint="raccord migrations fork --drop"
            )

    def revert(self, step: Step, context: Context) -> None:
        """It is there still: it becomes known again."""
        _forks(step).keep(_fork(step))

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Makes it again: of its backup; of what it was a copy of, where it was no more than that."""
        fork, state, backup = _fork(step), Path(step.payload["state"]), step.payload["backup"]
        if not backup:
            return (fork_step(fork, state, f"clone {fork.source.title} as {fork.title} again"),)
        title = f"make {fork.title} again of its backup {backup}"
        return (remake_step(fork, state, step.payload["heads"], backup, title),)


class RemakeHandler(_Forking):
    """Makes a dropped fork again of its backup.

    Args:
        archive, wait: as for `ForkHandler`.
    """

    kind = REMAKE

    def probe(self, step: Step, context: Context) -> Position:
        """Asks for the database."""
        fork = _fork(step)
        target = Standing.find(fork.named).target
        try:
            there, known = self._there(fork, target), _forks(step).get(fork.id) is not None
        except NotOurs:
            return Position.NEITHER
        if there and known:
            return Position.AFTER
        return Position.BETWEEN if there or known or self._cut_off(fork, target) else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Makes it, or finishes it."""
        fork = _fork(step)
        target = Standing.find(fork.named).target
        if not self._there(fork, target):
            clone.clear(target, fork.id, self._wait)
            backup = step.payload["backup"]
            kept = Shelf.below(step.payload["state"]).kept(backup)
            if not isinstance(kept, Backup):
                raise RestoreFailed(f"the backup {backup} is none of {fork.title}")
            like = Standing.find(fork.source).target
            clone.remade(target, kept, like, what=fork.mark, id_=fork.id)
        _forks(step).keep(fork)
        return Outcome({"name": fork.name}, note=f"{fork.title} is back")

    def revert(self, step: Step, context: Context) -> None:
        """Removes what there is of it: all of it is in the backup."""
        self._take_back(step)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Drops it, with a backup."""
        return _dropping(_fork(step), Path(step.payload["state"]), step.payload["heads"])


def _fork(step: Step) -> Fork:
    return Fork.parse(step.payload["fork"])


def _forks(step: Step) -> Forks:
    return Forks(step.payload["state"])


def _dropping(fork: Fork, state: Path, heads: Iterable[str]) -> tuple[Step, ...]:
    id_ = new_id()
    heads = sorted(heads)
    return (
        backup_step(fork.named, state, heads, id_),
        drop_step(fork, state, heads, id_, f"drop {fork.title}"),
    )


def _measured(target: Target) -> tuple[str, str]:
    """What is in a database, as digests of its rows and of its objects' names."""
    return contents.contents(target).digest, catalog.catalog(target).names


def written(fork: Fork, standing: Standing) -> bool:
    """Whether a fork is no longer what it was made as.

    Raises:
        DatabaseError: it can't be read.
    """
    made = fork.rows, fork.objects
    return sorted(standing.heads()) != sorted(fork.heads) or _measured(standing.target) != made


def missing(fork: Fork, standing: Standing) -> bool:
    """Whether a fork's database is gone, dropped by somebody else."""
    mark = clone.purpose(standing.target)
    return mark is None or not fork.owns(mark)
