"""What `raccord doctor` says of runs, migrations and environments: what other verbs find, told its way."""

from __future__ import annotations

from collections.abc import Iterator

from raccord.errors import RaccordError
from raccord.model.advice import Advice, State
from raccord.model.language import counted, message
from raccord.model.migration_report import MigrationSite
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.verbs.report import summary
from raccord.verbs.room import Room

NAMED = 5
STATES: dict[str, State] = {"fail": "problem", "unknown": "warning", "note": "warning", "pass": "ok"}


def runs(room: Room) -> Iterator[Advice]:
    """Runs that wait for a person, or were cut off."""
    try:
        journal = room.journal()
    except RaccordError:
        return  # the state database can't be read, and its own check says so
    waiting = [summary(journal, run) for run in journal.unfinished()] if journal is not None else []
    for one in waiting:
        if one.state != "running":
            what = message("run {run} ({verb}) is not over", run=one.id, verb=one.verb)
            why = message("its worktrees are held back until it is")
            yield Advice("run.stopped", "warning", what, why, f"raccord continue --run {one.id}")


def migrations(room: Room, *, online: bool) -> Iterator[Advice]:
    """Revisions that databases have and nobody else, and whether anything is put back unasked."""
    known = room.config.migrations
    if not known.backend and not any(_has_alembic(room)):
        return
    if known.in_sync == "off":
        what = message("migrations.in_sync is off: a sync puts no missing migration back")
        yield Advice("migration.sync", "warning", what, None, "raccord migrations heal --all")
    from raccord.verbs import migration_looks

    for site in migration_looks.status(room).sites:
        yield from _site(site, online)


def _has_alembic(room: Room) -> Iterator[bool]:
    for tree in room.trees:
        if not tree.bare and not tree.missing:
            yield any((tree.path / name).exists() for name in ("alembic.ini", "backend/alembic.ini"))


def _site(site: MigrationSite, online: bool) -> Iterator[Advice]:
    if site.missing:
        names = ", ".join(map(shown, site.missing[:NAMED])) + (" …" if site.missing[NAMED:] else "")
        what = counted(
            "{url} has {number} revision that is no file in {worktree}: {names}",
            "{url} has {number} revisions that are no file in {worktree}: {names}",
            number=len(site.missing),
            url=site.url,
            worktree=site.worktree,
            names=names,
        )
        why = message(
            "alembic can't locate them; a heal puts all of a chain back at once, from wherever they are"
        )
        yield Advice("migration.missing", "problem", what, why, "raccord migrations heal --all")
    for one in site.findings:
        if one.name != "migration.missing" and (online or one.status != "unknown"):
            yield _told(one, site.worktree)
    if not site.missing and not site.findings:
        what = message("{worktree}: every revision of {url} is there", worktree=site.worktree, url=site.url)
        yield Advice("migration.missing", "ok", what)


def environments(room: Room) -> Iterator[Advice]:
    """Environments that can't be reached; asks them."""
    from raccord.verbs.environments import EnvironmentVerbs

    for one in EnvironmentVerbs(room).check():
        for found in one.findings:
            yield _told(found, one.name)


def _told(one: Finding, place: str) -> Advice:
    said = message("{place}: {said}", place=place, said=one.message)
    return Advice(one.name, STATES[one.status], said, None, one.hint)
