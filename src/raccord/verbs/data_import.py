"""`raccord data import`: rows of files into an environment: a push whose source is no server."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.data import archived, kinds
from raccord.data.archived import Archive
from raccord.data.container import ANOTHER
from raccord.data.csv_set import CsvSet
from raccord.data.difference import Difference
from raccord.data.exposure import exposed, overwrites
from raccord.data.import_steps import import_step
from raccord.data.loads import Source
from raccord.data.manifest import Made
from raccord.data.plan import Decision, staying
from raccord.data.sealing import Damaged, Opener
from raccord.database.url import POSTGRESQL, SQLITE, Target
from raccord.errors import CannotRun, UsageError, WorldMoved
from raccord.kernel import fs, fs_part
from raccord.kernel.record import RunRecord
from raccord.model.event import Event
from raccord.model.options_data import DataImportOptions, KeyOptions
from raccord.model.plan import Finding, Json, Lane, Plan, Stage, Waiver
from raccord.model.text import grouped, several, shown
from raccord.verbs import data_keys, data_masking, data_push, data_sets
from raccord.verbs.again import again
from raccord.verbs.room import Room

VERB = "data import"
# Where rows are from, in messages.
ARCHIVE, FILES = "the archive", "the CSV files"
CSV = "csv"
NAMES = {POSTGRESQL: "a PostgreSQL database", SQLITE: "a SQLite file"}
FOLDER, SUFFIX = "exports", ".raccord"  # where archives are by default, and how their names end


@dataclass(frozen=True, slots=True)
class Files:
    """Files with rows, as one command takes them.

    Attributes:
        name: of the set.
        origin: what they are, in words.
        title: for a person.
        what: leads to them again, once they were looked at.
        notes: what a person should know, then.
        made: by whom they were made, and of what, then; None where nothing says so.
        kind: of the database that they are from, where no other takes them; else "".
    """

    source: Source
    name: str
    origin: str
    title: str
    what: Callable[[], Mapping[str, Json]]
    notes: Callable[[], tuple[Finding, ...]]
    made: Callable[[], Made | None] = lambda: None
    kind: str = ""


def bring(room: Room, options: DataImportOptions) -> tuple[Plan, RunRecord | None]:
    """Imports.

    Raises:
        UsageError: no such set or environment, or a protected one that was not named.
        CannotRun: the files or the database can't be used; nothing was changed.
    """
    return data_sets.promoted(room, options, again(VERB, options), lambda: plan(room, options))


def plan(room: Room, options: DataImportOptions, verb: str = VERB) -> Plan:
    """Verifies, observes and decides."""
    with _files(room, options) as files:
        return planned(room, options, files, verb)


def planned(room: Room, options: DataImportOptions, files: Files, verb: str) -> Plan:
    """The plan for files that were opened."""
    spec = data_sets.spec(
        room,
        files.name,
        options.goal,
        origin=files.origin,
        mode=options.mode,
        allow_empty=options.allow_empty,
    )
    # What is in files was masked before.
    spec = replace(spec, mask={}, secrets=options.secrets or spec.secrets, command=again(VERB, options))
    target = data_sets.environments(room).target(options.goal)
    knows = kinds.of(target)
    if files.kind and files.kind != target.kind:
        raise _of_another_kind(room, options, files, target)
    key, title = f"data:{spec.goal}:{spec.name}", f"{spec.name} from {files.title} to {spec.goal}"

    home = data_sets.configured(room, files.name).from_
    reason = data_masking.reason(options, [*shlex.split(again(VERB, options)), "--unmasked"])
    waivers: tuple[Waiver, ...] = ()

    def made(lane: Lane) -> Plan:
        return Plan(verb, (Stage("import", (lane,)),), waivers, by=options.by)

    def say(text: str) -> None:
        room.listen(Event("", key, "said", text))

    with knows.arriving(target, spec, files.source, say) as look:
        came = files.made()
        bare = came and exposed(came, spec.goal, home, _protected(room), spec.command)
        waivers = data_masking.waived(reason if bare else "", options.by)
        if held := (came and overwrites(came, spec.goal)) or (None if reason else bare):
            return made(Lane(key, title, held=held, notes=files.notes()))
        seen = look.seen
        if against := [*seen.refused, *seen.hindered]:
            notes = (*against[1:], *files.notes(), *seen.notes)
            return made(Lane(key, title, held=against[0], notes=notes))
        found, decisions = look.decided()
        referring = look.referred(found)
    notes = (
        *files.notes(), *seen.notes, *map(data_push.noted, decisions), *staying(spec, decisions),
        *map(_counted, found, decisions),
    )  # fmt: skip
    lane = data_push.lane(
        room, spec, key, title, (found, decisions, referring), notes,
        lambda id_, expected: import_step(
            spec, room.state, id_, files.what(), target, expected, data_sets.commit(room)
        ),
    )  # fmt: skip
    if lane.held is not None and lane.held.name == "data.empty":
        lane = replace(lane, held=replace(lane.held, hint=f"{again(VERB, options)} --allow-empty"))
    return made(lane)


def _of_another_kind(room: Room, options: DataImportOptions, files: Files, target: Target) -> CannotRun:
    origin = data_sets.configured(room, files.name).from_
    words = ["raccord", "data", "export", files.name, "--from", origin, "--format", CSV]
    return CannotRun(
        f"{files.title} holds rows of {NAMES[files.kind]}, and {options.goal} is {NAMES[target.kind]}:"
        " values of one are none of the other's",
        hint=f"{shown(shlex.join(words))} writes files that either takes, as far as its columns do",
    )


def _counted(one: Difference, made: Decision) -> Finding:
    """How many rows a table has, and will have."""
    before, after = one.target.rows, one.target.rows + made.added - made.removed
    said = f"{one.pair.shown}: {several(before, 'row')} before, {grouped(after)} after"
    return Finding("data.count", "note", said, data={"before": before, "after": after})


@contextlib.contextmanager
def _files(room: Room, options: DataImportOptions) -> Iterator[Files]:
    path = _place(room, options)
    if options.form == CSV:
        yield _csv_files(room, options, path)
        return
    with contextlib.ExitStack() as stack:
        try:
            opener = _opener(room, path, options.key, again(VERB, _bare(options)))
            found = stack.enter_context(archived.opened(path, opener))
            room.listen(Event("", path.name, "said", "verifying the archive"))
            archived.verify(found)
        except Damaged as error:
            if error.hint == ANOTHER:
                error.hint = f"use another copy of it, or {_exported(room, options, path)}"
            raise
        yield archive_files(room, options, path, found)


def _bare(options: DataImportOptions) -> DataImportOptions:
    """Without what opens an archive."""
    return replace(options, key=KeyOptions())


def _place(room: Room, options: DataImportOptions) -> Path:
    """Where the files are.

    Raises:
        UsageError: something of another kind is there.
        CannotRun: nothing is.
    """
    if "\0" in options.name:
        raise UsageError("a path has no NUL", hint=f"raccord {VERB} --help")
    path = Path(room.path / options.name).absolute()
    name, csv = shown(str(path)), options.form == CSV
    folder = os.path.isdir(path)
    if folder and not csv:
        raise UsageError(
            f"{name} is a folder, and no archive", hint=again(VERB, replace(_bare(options), form=CSV))
        )
    if csv and os.path.lexists(path) and not folder:
        archive = path.suffix == SUFFIX
        other = replace(options, form="archive") if archive else replace(options, name=str(path.parent))
        raise UsageError(f"{name} is no folder of CSV files", hint=again(VERB, other))
    if not os.path.lexists(path):
        raise CannotRun(f"{name} is not there", hint=_instead(room, options, path))
    return path


def _instead(room: Room, options: DataImportOptions, missing: Path) -> str:
    """What to type where files are missing: the newest there are, or what writes them."""
    name = _set(room, options, missing)
    if options.form != CSV:
        folder = (room.repo.top or room.path) / FOLDER
        there = [one for one in fs.names(folder) if one.endswith(SUFFIX) and one.startswith(name)]
        if there:
            newest = max(there, key=lambda one: (fs_part.modified(folder / one), one))
            return again(VERB, replace(options, name=os.path.relpath(folder / newest, room.path)))
    return _exported(room, options, missing)


def _exported(room: Room, options: DataImportOptions, path: Path) -> str:
    """What writes such files."""
    form = f" --format {CSV}" if options.form == CSV else ""
    name = _set(room, options, path)
    return f"raccord data export {shown(shlex.quote(name))}{form}" if name else "raccord data status"


def _set(room: Room, options: DataImportOptions, path: Path) -> str:
    """The set that files are of, as far as their name tells; "" where it doesn't."""
    known = sorted(room.config.data)
    name = options.set or next((one for one in known if path.name.startswith(f"{one}_")), "")
    return name or (known[0] if len(known) == 1 else "")


def archive_files(room: Room, options: DataImportOptions, path: Path, found: Archive) -> Files:
    """An archive as one command takes it."""
    said = found.manifest
    if options.set and options.set != said.name:
        raise UsageError(
            f"{shown(str(path))} holds the set {shown(said.name)}, and not {shown(options.set)}",
            hint=again(VERB, replace(options, set="")),
        )
    key = options.key
    what = {
        "kind": "archive",
        "path": str(path),
        "sha256": found.sha256,
        # Where a passphrase comes from is no secret; what a person typed is gone with this process.
        "passphrase": key.passphrase,
        "key_file": str(room.path / key.key_file) if key.key_file else "",
        "again": again(VERB, options),
    }
    return Files(
        found, said.name, ARCHIVE, shown(path.name), lambda: what, lambda: (_provenance(said.made),),
        lambda: said.made, said.kind,
    )  # fmt: skip


def _csv_files(room: Room, options: DataImportOptions, folder: Path) -> Files:
    known = sorted(room.config.data)
    if not options.set and len(known) != 1:
        raise UsageError(
            f"CSV files don't say of which set they are; known: {', '.join(known) or 'none'}",
            hint=again(VERB, replace(options, set=known[0] if known else "SET")),
        )
    found = CsvSet(folder, again=again(VERB, options))

    def what() -> Mapping[str, Json]:
        return {
            "kind": CSV,
            "path": str(folder),
            "stamp": found.stamp,
            "sha256": dict(found.sha256),
            "again": again(VERB, options),
        }

    def notes() -> tuple[Finding, ...]:
        said = () if found.made is None else (_provenance(found.made),)
        return (*said, *found.notes, Finding("data.files", "note", f"files of {found.stamp}"))

    return Files(
        found, options.set or known[0], FILES, f"CSV files in {shown(folder.name)}", what, notes,
        lambda: found.made,
    )  # fmt: skip


def _protected(room: Room) -> set[str]:
    return {name for name, one in room.config.environments.items() if one.protected}


def _provenance(made: Made) -> Finding:
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(made.at)) if 0 <= made.at < 1 << 40 else "unknown"
    parts = [f"exported {at} from {made.environment} ({made.server})", f"raccord {made.raccord}"]
    parts += [f"by {made.by}"] if made.by else []
    parts += [f"commit {made.commit[:10]}"] if made.commit else []
    parts += ["masked"] if made.masked else []
    parts += [f"unmasked: {made.reason}"] if made.reason else []
    return Finding("data.archive", "note", shown(", ".join(parts)))


def _opener(room: Room, path: Path, key: KeyOptions, command: str) -> Opener:
    if str(path) not in room.openers:
        room.openers[str(path)] = data_keys.opener(room, key, command)
    return room.openers[str(path)]


@contextlib.contextmanager
def opened(room: Room, what: Mapping[str, Json]) -> Iterator[Source]:
    """What a step says of its files, opened again.

    Raises:
        WorldMoved: they are others by now.
        CannotRun: they can't be read, or a person has to type what opens them.
    """
    path, command = Path(what["path"]), what.get("again", "raccord data status")
    if what["kind"] == CSV:
        yield CsvSet(path, what["stamp"], what["sha256"], again=command)
        return
    key = KeyOptions(passphrase=what["passphrase"], key_file=what["key_file"])
    with archived.opened(path, _opener(room, path, key, command)) as found:
        if found.sha256 != what["sha256"]:
            raise WorldMoved(f"{shown(str(path))} is another archive by now", hint=command)
        yield found
