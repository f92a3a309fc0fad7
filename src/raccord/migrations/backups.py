"""The steps that back a database up and bring it back: `database.backup` and `database.restore`.

Beside each backup lies a document of what it is, so that whoever needs it finds it by its id alone.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
)
from dataclasses import dataclass
from pathlib import Path

from raccord.database import backup as copies
from raccord.database import catalog, contents
from raccord.database.keeping import CLONE, Backup, new_id
from raccord.database.sqlite import BESIDE
from raccord.database.url import POSTGRESQL, Target
from raccord.errors import RaccordError, RestoreFailed, WorldMoved
from raccord.kernel import fs
from raccord.migrations.archive import Archive
from raccord.migrations.standing import BACKUPS, Named, Standing, locked
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Finding, Step
from raccord.model.text import shown

BACKUP = "database.backup"
RESTORE = "database.restore"


def backup_step(named: Named, state: Path, heads: Iterable[str], id_: str = "") -> Step:
    """The step that backs a database up, as long as it is at these revisions.

    Args:
        state: raccord's own folder.
        id_: the backup's, "" for a new one.
    """
    id_ = id_ or new_id()
    payload = {"database": named.payload(), "state": str(state), "id": id_, "heads": sorted(heads)}
    title = f"back up {named.engine or 'the database'} as {id_}"
    return Step(BACKUP, 1, title, payload, resources=(named.resource,), backs_up=True)


def restore_step(
    named: Named,
    state: Path,
    id_: str,
    rescue: str,
    left: Iterable[str],
    back: Iterable[str],
    gone: Iterable[str],
    again: Mapping[str, str] | None = None,
) -> Step:
    """The step that brings a database back to a backup, as long as it is where a run left it.

    Args:
        rescue: the id of the backup of what is there now.
        left, back: the ids in the version table before and after.
        gone: the revisions that are no longer applied then.
        again: those that are applied again then, with the SHA-256 of their files.
    """
    payload = {
        "database": named.payload(),
        "state": str(state),
        "id": id_,
        "rescue": rescue,
        "left": sorted(left),
        "back": sorted(back),
        "gone": list(gone),
        **({"again": dict(again)} if again else {}),
    }
    title = f"bring {named.engine or 'the database'} back to its backup {id_}, with all its rows"
    return Step(RESTORE, 1, title, payload, resources=(named.resource,), destroys=True)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The backups of a repository.

    Attributes:
        folder: where they are.
    """

    folder: Path

    @classmethod
    def below(cls, state: str | Path) -> Shelf:
        """The one in raccord's own folder."""
        return cls(Path(state) / BACKUPS)

    def has(self, id_: str) -> bool:
        """Whether a backup was made, or found to be impossible since there was no database."""
        return self._document(id_).is_file()

    def make(self, standing: Standing, id_: str) -> Backup | None:
        """Backs a database up under an id, once; None where there is no database yet.

        Raises:
            CannotRun: it can't be read, or the folder can't be written.
        """
        if self.has(id_):
            return self.kept(id_)
        made = None if standing.absent else copies.backup(standing.target, self.folder, name=id_)
        fs.make_dirs(self.folder)
        said = {"database": standing.named.payload(), "backup": made.document() if made else None}
        fs.write_atomic(self._document(id_), json.dumps(said, indent=1).encode("ascii"), mode=0o600)
        return made

    def rescue(self, standing: Standing, id_: str, why: str) -> tuple[str, Backup | None]:
        """Backs up what is there before another backup is brought back; it goes when that one goes.

        Args:
            id_: the other backup's.
            why: a word for its id.

        Raises:
            CannotRun: as for `make`.
        """
        name = f"{id_}-{why}-{secrets.token_hex(2)}"
        return name, self.make(standing, name)

    def holds(self, standing: Standing, id_: str) -> bool:
        """Whether a backup has all that is in a database.

        Raises:
            RestoreFailed, DatabaseError: one of them can't be read.
        """
        kept = self.kept(id_)
        if kept is None or standing.absent:
            return standing.absent
        now = contents.contents(standing.target).digest, catalog.catalog(standing.target).names
        return now == (kept.digest, kept.names)

    def rescued(self, id_: str) -> list[str]:
        """The backups that were made before this one was brought back."""
        return [one for one in self.ids() if one.startswith(f"{id_}-")]

    def ids(self) -> list[str]:
        """Every backup."""
        return sorted(name.removesuffix(".json") for name in fs.names(self.folder) if name.endswith(".json"))

    def forget(self, id_: str, servers: Callable[[], Iterable[Target]] = lambda: ()) -> Finding | None:
        """Removes a backup, or says why it stays: one that is a database of a server may be out of reach.

        Args:
            servers: the databases that lead to servers, where the backup's own worktree is gone.
        """
        if not self.has(id_):
            return None
        try:
            named, kept = self._read(id_)
            if kept is not None and kept.kind == CLONE:
                copies.forget(_leading(named, servers), kept)
            elif kept is not None:
                fs.unlink(kept.place)
        except RaccordError as error:
            return Finding("backup.kept", "unknown", f"the backup {id_} stays: {error.message}", error.hint)
        fs.unlink(self._document(id_))
        return None

    def kept(self, id_: str) -> Backup | None:
        """What is known of a backup; None where there was no database then.

        Raises:
            RestoreFailed: there is none of this id, or its document can't be read.
        """
        return self._read(id_)[1]

    def _read(self, id_: str) -> tuple[Named, Backup | None]:
        said = fs.read_or_none(self._document(id_))
        try:
            document = json.loads(said or b"")
            found = document["backup"]
            return Named(**document["database"]), None if found is None else Backup.parse(found)
        except (ValueError, KeyError, TypeError) as error:
            raise RestoreFailed(
                f"the backup {id_} is gone, or what is known of it can't be read",
                hint=f"ls -l {shown(str(self.folder))}",
            ) from error

    def bring_back(self, standing: Standing, id_: str) -> tuple[str, ...]:
        """Brings a database back to a backup; what is in it must have been backed up before.

        Returns:
            What a person should know.

        Raises:
            DatabaseBusy, RestoreFailed, DatabaseError: see `backup.restore`; nothing was changed.
        """
        kept = self.kept(id_)
        if kept is not None:
            return copies.restore(standing.target, kept).notes
        path = os.path.realpath(standing.target.path)
        notes = []
        for end in (*BESIDE, ""):
            if fs.signature(f"{path}{end}") is not None:
                aside = fs.set_aside(f"{path}{end}", Path(path).parent, f"{Path(path).name}{end}.undone")
                notes.append(f"there was no database before: what was there is {shown(str(aside))}")
        return tuple(notes)

    def _document(self, id_: str) -> Path:
        return self.folder / f"{id_}.json"


def _leading(named: Named, servers: Callable[[], Iterable[Target]]) -> Target:
    """A database of the server that a named one is of; no env.py is asked for it but by `servers`.

    Raises:
        WorldMoved: nothing leads there.
        ConfigError, CannotRun, DatabaseError: as `Standing.find`.
    """
    said = f"no worktree's configuration leads to {named.title}"
    moved = WorldMoved(said, hint="raccord migrations status")
    try:
        if not named.start:
            return Standing.find(named).target
    except WorldMoved as error:
        moved = error
    for one in servers():
        if one.kind == POSTGRESQL and named.key.startswith(one.server):
            return one
    raise moved


class BackupHandler:
    """Backs a database up, and reads the backup back."""

    kind, version = BACKUP, 1

    def probe(self, step: Step, context: Context) -> Position:
        """After, once it was read back; a backup that was cut off is made anew."""
        if Shelf.below(step.payload["state"]).has(step.payload["id"]):
            return Position.AFTER
        now = Standing.find(Named(**step.payload["database"])).heads()
        return Position.BEFORE if sorted(now) == step.payload["heads"] else Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        """Makes it, or finds it."""
        shelf, id_ = Shelf.below(step.payload["state"]), step.payload["id"]
        if not shelf.has(id_):
            standing = Standing.find(Named(**step.payload["database"]))
            _demand(standing, step.payload["heads"])
            context.say(f"backing up {standing.target.shown}")
            shelf.make(standing, id_)
        kept = shelf.kept(id_)
        if kept is None:
            return Outcome({"id": id_, "backup": None}, note="there is no database yet")
        return Outcome({"id": id_, "backup": kept.document()}, note=kept.note)

    def revert(self, step: Step, context: Context) -> None:
        """A backup takes nothing away."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing: it stays until it is old."""
        return ()


class RestoreHandler:
    """Brings a database back to a backup.

    Args:
        archive: told what is no longer applied.
        wait: seconds to wait for whoever upgrades it.
    """

    kind, version = RESTORE, 1

    def __init__(self, archive: Archive, wait: float) -> None:
        self._archive = archive
        self._wait = wait

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the version table. A restore happens whole or not at all."""
        Shelf.below(step.payload["state"]).kept(step.payload["id"])
        now = sorted(Standing.find(Named(**step.payload["database"])).heads())
        known = {"left": Position.BEFORE, "back": Position.AFTER}
        return next((known[name] for name in known if step.payload[name] == now), Position.NEITHER)

    def apply(self, step: Step, context: Context) -> Outcome:
        """Restores it, or finds that it is restored."""
        standing = Standing.find(Named(**step.payload["database"]))
        state = Path(step.payload["state"])
        notes: tuple[str, ...] = ()
        if sorted(standing.heads()) != step.payload["back"]:
            # The lock's own connection would keep PostgreSQL from exchanging the database: it is taken only
            # to wait for whoever upgrades it.
            with locked([standing], state, self._wait, context.say):
                _demand(standing, step.payload["left"])
            shelf, id_ = Shelf.below(state), step.payload["id"]
            if not shelf.holds(standing, step.payload["rescue"]):
                # Between the two steps, or while a killed run waited.
                late, _ = shelf.rescue(standing, id_, "late")
                notes = (f"it was written to since its backup was made: {late} has that",)
            notes += shelf.bring_back(standing, id_)
        gone = step.payload["gone"]
        if gone:
            self._archive.taken_back(standing.target.key, gone)
        if again := step.payload.get("again"):
            self._archive.applied_again(standing.target.key, again)
        return Outcome({"notes": list(notes)}, note="; ".join(notes))

    def revert(self, step: Step, context: Context) -> None:
        """It happened whole or not at all."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Brings it back to what was there just before."""
        got = step.payload
        named, state = Named(**got["database"]), Path(got["state"])
        rescue = new_id()
        return (
            backup_step(named, state, got["back"], rescue),
            restore_step(named, state, got["rescue"], rescue, got["back"], got["left"], ()),
        )


def _demand(standing: Standing, heads: list[str]) -> None:
    """Makes sure that a database is at these revisions.

    Raises:
        WorldMoved: it isn't.
    """
    now = sorted(standing.heads())
    if now != heads:
        said = ", ".join(map(shown, now)) or "no revision"
        wanted = ", ".join(map(shown, heads)) or "none"
        raise WorldMoved(
            f"{standing.target.shown} is at {said} by now, not at {wanted}", hint="raccord migrations status"
        )
