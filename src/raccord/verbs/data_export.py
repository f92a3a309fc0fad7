"""`raccord data export`: rows of a set in files. A run names these; no environment is changed."""

from __future__ import annotations

import contextlib
import errno
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from raccord import __version__
from raccord.data import csv_set, kinds, salts
from raccord.data import export as exporting
from raccord.data.export import Notes, Order
from raccord.data.export_steps import File, Naming, export_step
from raccord.data.leaving import Going, Leaving
from raccord.data.manifest import Made
from raccord.data.spec import Spec
from raccord.database.url import Target
from raccord.errors import CannotRun, UsageError
from raccord.kernel import fs
from raccord.model.event import Event
from raccord.model.options_data import DataExportOptions
from raccord.model.plan import Lane, Plan, Stage
from raccord.model.report_data import DataExport, DataExportTable
from raccord.model.text import shown
from raccord.verbs import data_keys, data_masking, data_sets
from raccord.verbs.again import opening
from raccord.verbs.data_import import FOLDER, SUFFIX
from raccord.verbs.protected import refuse_unnamed
from raccord.verbs.room import Room

VERB = "data export"
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # for which a message has its own next command
# What the system says of a path that no file can have, or not there.
ELSEWHERE = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EPERM,
}  # fmt: skip
CSV = "csv"
NOWHERE = ""  # a set that goes to no environment yet


def export(room: Room, options: DataExportOptions) -> DataExport:
    """Writes a set into files, read back before they get their names.

    Raises:
        UsageError: no such set or environment, a protected one whose rows would be unmasked and that was not
            named, secrets that would stand in clear, or a name that is taken.
        CannotRun: the database can't be read, or the disk not written.
    """
    if "\0" in options.out:
        raise UsageError("a path has no NUL", hint="raccord data export --help")
    spec = _spec(room, options)
    if spec.closure and options.form == CSV:
        raise UsageError(
            f"{options.name} has a closure, and CSV files don't say which rows came by it",
            hint=f"raccord data export {options.name}, without --format",
        )
    spec = replace(spec, secrets=options.secrets or spec.secrets)
    source = data_sets.environments(room).target(spec.origin)
    if salts.needed(spec) and not options.dry_run:
        salts.make(room.state)
    with kinds.of(source).leaving(source, spec) as rows:
        found = _going(room, rows, spec)
    if not options.dry_run:
        room.engine().recover()
    if options.form == CSV:
        return _csv(room, options, spec, source, found)
    return _archive(room, options, spec, source, found)


def _spec(room: Room, options: DataExportOptions) -> Spec:
    """The set as it is exported: what a pull would mask takes a word, either way."""
    home = data_sets.configured(room, options.name).from_
    origin = options.origin or home
    again = ["raccord", "data", "export", options.name, "--from", origin, *_words(options)]
    reason = data_masking.reason(options, [*again, "--unmasked"])
    if options.masked and options.unmasked:
        raise UsageError("--masked and --unmasked say the opposite", hint=shlex.join([*again, "--masked"]))
    protected = data_sets.environments(room).environment(origin).protected
    if (protected or origin != home) and not (options.masked or reason):
        raise UsageError(
            f"what leaves {shown(origin)} may be personal or secret: a pull of it would be masked",
            hint=f'{shlex.join([*again, "--masked"])}, or --unmasked --reason "…"',
        )
    asked = options.masked or bool(reason)
    spec = data_sets.spec(
        room, options.name, NOWHERE, origin=options.origin, pulls=asked, masking=options.masked
    )
    words = [*again, "--masked"] if options.masked else [*again, "--unmasked", "--reason", reason]
    if reason and not options.dry_run:
        refuse_unnamed(room, [origin], options.yes_to, shown(shlex.join(words)))
    return replace(spec, command=shown(shlex.join(words if asked else again)))


def _words(options: DataExportOptions) -> list[str]:
    """What was typed besides, to be typed again; all but where it goes."""
    words = ["--format", CSV] if options.form == CSV else []
    words += ["--secrets", options.secrets] if options.secrets else []
    words += ["--secrets-in-clear"] if options.in_clear else []
    words += opening(replace(options.key, recipients=()))
    return [*words, *(word for name in options.key.recipients for word in ("--to-key", name))]


@contextlib.contextmanager
def _written(spec: Spec, path: Path) -> Iterator[None]:
    """Says where else to write what the system refuses to take there."""
    hint = f"{spec.command} --out OTHER"
    try:
        yield
    except CannotRun as error:
        if not error.hint and error.data.get("errno") not in FULL:
            error.hint = hint
        raise
    except OSError as error:
        if error.errno not in ELSEWHERE:
            raise
        raise CannotRun(f"{shown(str(path))} can't be written: {error.strerror}", hint=hint) from None


def _made(room: Room, options: DataExportOptions, spec: Spec, found: Going) -> Made:
    return Made(
        spec.origin, found.server, time.time(), __version__, data_sets.commit(room), options.by,
        protected=data_sets.environments(room).environment(spec.origin).protected, masked=spec.masking,
        reason=options.reason.strip(),
    )  # fmt: skip


def _csv(room: Room, options: DataExportOptions, spec: Spec, source: Target, found: Going) -> DataExport:
    if options.key.passphrase or options.key.recipients:
        raise UsageError("CSV files are not sealed", hint="leave --format csv out, for an archive")
    if found.secret and not options.in_clear:
        raise UsageError(
            f"{', '.join(map(shown, found.secret))} may hold secrets, which would stand in clear",
            hint=f"{spec.command} --passphrase prompt writes a sealed archive; or --secrets-in-clear",
        )
    folder = Path(room.path / options.out).absolute() if options.out else _folder(room)
    report = _report(options, spec, source, folder, found)
    if options.dry_run:
        return report
    made = _made(room, options, spec, found)
    with _written(spec, folder), kinds.of(source).leaving(source, spec) as rows:
        if not options.out:
            fs.self_ignoring(folder)
        tables = _going(room, rows, spec).tables
        runs: list[str] = []
        named = _named(room, spec, report, made, runs)
        done = csv_set.write(rows, source.kind, tables, folder, spec.name, made, named, _say(room, spec))
    written = tuple(
        DataExportTable(pair.shown, one.rows, one.size, str(one.path), pair.masked)
        for pair, one in zip(tables, done, strict=True)
    )
    return replace(
        report, tables=written, size=sum(one.size for one in done), dry_run=False, run=runs[0],
        next_command=_next(room, spec, folder, "--format", CSV, "--set", spec.name),
    )  # fmt: skip


def _report(options: DataExportOptions, spec: Spec, source: Target, path: Path, found: Going) -> DataExport:
    tables = tuple(DataExportTable(pair.shown, pair.source.rows, masked=pair.masked) for pair in found.tables)
    return DataExport(
        spec.name, spec.origin, source.shown, str(path), tables, options.form, data_keys.cipher(options.key),
        tuple(found.secret), masked=spec.masking, dry_run=True, notes=found.notes,
    )  # fmt: skip


def _going(room: Room, rows: Leaving, spec: Spec) -> Going:
    found = rows.going(spec, salts.read(room.state))
    if found.refused:
        raise CannotRun(found.refused[0].message, hint=found.refused[0].hint)
    return found


def _say(room: Room, spec: Spec) -> Callable[[str], None]:
    return lambda text: room.listen(Event("", spec.name, "said", text))


def _archive(room: Room, options: DataExportOptions, spec: Spec, source: Target, found: Going) -> DataExport:
    key = options.key
    sealed = data_keys.sealed_to(key)
    if found.secret and not sealed:
        raise UsageError(
            f"{', '.join(map(shown, found.secret))} may hold secrets, which no archive holds in clear",
            hint=f"{spec.command} --passphrase prompt; or --to-key age1…, or --secrets exclude",
        )
    notes = Notes.below(room.state)
    path = _path(room, options, spec, notes, sealed)
    report = _report(options, spec, source, path, found)
    if options.dry_run:
        return report
    made = _made(room, options, spec, found)
    runs: list[str] = []
    order = Order(
        spec, path, made, salts.read(room.state), sealed, lambda: data_keys.seal(room, key),
        data_keys.opener(room, key), _named(room, spec, report, made, runs), _say(room, spec),
    )  # fmt: skip
    with _written(spec, path):
        if path.parent == _folder(room):
            fs.self_ignoring(path.parent)
        done = exporting.export(order, notes, source)
    tables = tuple(
        DataExportTable(pair.shown, one["rows"], one["part"]["stored"], masked=pair.masked)
        for pair, one in zip(found.tables, done.tables, strict=True)
    )
    return replace(
        report, tables=tables, resumed=done.resumed, size=done.size, sha256=done.sha256, dry_run=False,
        run=runs[0],
        next_command=_next(room, spec, path, *opening(options.key)),
    )  # fmt: skip


def _next(room: Room, spec: Spec, path: Path, *more: str) -> str:
    """The import to plan: into the only other environment, where there are no more."""
    others = [name for name, one in room.config.environments.items() if one.database and name != spec.origin]
    goal = others[0] if len(others) == 1 else "ENV"
    words = ["raccord", "data", "import", str(path), *more, "--to", goal, "--dry-run"]
    return shown(shlex.join(words))


def _named(room: Room, spec: Spec, report: DataExport, made: Made, runs: list[str]) -> Naming:
    """Gives files their names as a run of its own, so that the journal knows of them.

    Args:
        runs: gets its id.
    """

    def name(files: Sequence[File], rows: Mapping[str, int]) -> None:
        place = Path(report.path)
        step = export_step(spec.name, report.form, report.sealed, made, place, files, rows)
        lane = Lane(f"export:{spec.origin}:{spec.name}", f"{spec.name} of {spec.origin} to {place}", (step,))
        stages, waivers = (Stage("export", (lane,)),), data_masking.waived(made.reason, made.by)
        _, record = room.engine().apply(lambda: Plan(VERB, stages, waivers, by=made.by))
        assert record is not None
        runs.append(record.id)
        if record.state != "done":
            ended = record.lanes[lane.key].finding
            raise CannotRun(
                ended.message if ended else f"run {record.id} is {record.state}",
                hint=(ended.hint if ended else "") or f"raccord show {record.id}",
            )

    return name


def _folder(room: Room) -> Path:
    return (room.repo.top or room.path) / FOLDER


def _path(room: Room, options: DataExportOptions, spec: Spec, notes: Notes, sealed: tuple[str, ...]) -> Path:
    """Where the archive goes: where it was begun, if it was."""
    if options.out:
        return Path(room.path / options.out).absolute()
    folder = _folder(room).absolute()
    earlier = exporting.begun(notes, spec, folder, sealed)
    if earlier is not None:
        return Path(earlier.path)
    stem = f"{spec.name}_{time.strftime('%Y%m%d_%H%M%S')}"
    names = chain([stem], (f"{stem}_{number}" for number in count(2)))
    return next(path for name in names if not (path := folder / f"{name}{SUFFIX}").exists())
