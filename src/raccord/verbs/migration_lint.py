"""`raccord migrations lint`: what is wrong with revisions, read from their text.

No migration is imported or run, but where squawk is installed the project's alembic prints its SQL.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.config import Lint, refused
from raccord.errors import RaccordError, UsageError
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations.lint import baseline
from raccord.migrations.lint.baseline import Entry
from raccord.migrations.lint.examine import NAMES, examine
from raccord.migrations.lint.squawk import LOCKS, PREFIX
from raccord.migrations.loading import uncollected
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.resolve import resolve
from raccord.migrations.steps import blob_of, files_step
from raccord.model.language import Message, counted, message
from raccord.model.lint import LintFinding, LintReport
from raccord.model.options import LintOptions
from raccord.model.plan import Lane, Plan, Stage, Step
from raccord.model.text import shown
from raccord.verbs.migration_branch import blob, title_of
from raccord.verbs.migration_desk import Desk, chosen, split
from raccord.verbs.migration_lint_look import Look, matches, may_be_postgres
from raccord.verbs.migration_lint_squawk import squawked
from raccord.verbs.migration_own import Own, own
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room

UNREADABLE = "unreadable"
BASELINE_LANE = "baseline"


def lint(room: Room, options: LintOptions) -> LintReport:
    """What is wrong with this branch's own revisions, with the named ones, or with all.

    Raises:
        CannotRun: no alembic environment here, or the baseline can't be read.
        UsageError: there are several, a word stands for nothing, or nothing says what the base is.
        ConfigError: the configuration names a rule that there isn't.
    """
    look = _look(room, options)
    known = baseline.parse(fs.read_or_none(look.baseline_path), str(look.baseline_path))
    return _report(look, known)


def write_baseline(room: Room, options: LintOptions) -> tuple[Plan, RunRecord | None]:
    """Writes what is found into the baseline; entries about revisions that were not looked at stay.

    Raises:
        As `lint`.
    """
    return carried_out(room, lambda: _plan(room, options), options.dry_run, every=False)


def _look(room: Room, options: LintOptions) -> Look:
    (tree,) = chosen(room, every=False)
    look = Look(room, tree, options)
    _refuse_unknown_rules(room, look.config)
    backend, words = split(tree.path, options.words)
    desk = Desk(room, [tree], backend, ask=False)
    for one in desk.found:
        if isinstance(one, Unfound):
            raise one.error
    histories: dict[tuple[Path, ...], Site] = {}
    # Several databases may follow one history; what is true of PostgreSQL's is true of it.
    for site in sorted(desk.sites, key=lambda one: not may_be_postgres(one)):
        histories.setdefault(site.database.versions, site)
    look.sites = tuple(histories.values())
    named = _named(look.sites, words)
    mine = None if options.all or words else own(room, tree, look.sites, options.base)
    with uncollected():
        for site in look.sites:
            _examine(look, site, named, mine)
    if mine is not None and not look.examined and not look.faults:
        look.note(
            "nothing",
            message("no revision here is this branch's own: {base} has them all", base=mine.base),
            "raccord migrations lint --all",
        )
    if unclear := [one for one in look.examined if one.unclear]:
        look.note(
            "unclear",
            counted(
                "what {number} revision does is not all plain from its text: {names}",
                "what {number} revisions do is not all plain from their text: {names}",
                number=len(unclear),
                names=_some(shown(one.revision.id) for one in unclear),
            ),
        )
    look.more = squawked(look)
    return look


def _refuse_unknown_rules(room: Room, config: Lint) -> None:
    known = (*NAMES, UNREADABLE, *(f"{PREFIX}{one}" for one in LOCKS))
    for key, patterns in (("off", config.off), ("notes", config.notes)):
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(rule, pattern) for rule in known):
                problem = f"no rule is called {pattern!r}"
                raise refused(room.config, ("lint", key), problem, f"one of {', '.join(sorted(known))}")


def _named(found: Sequence[Site], words: Sequence[str]) -> frozenset[str]:
    """The revisions that words stand for, in whichever history."""
    ids: set[str] = set()
    for word in words:
        here: set[str] = set()
        failed: UsageError | None = None
        for site in found:
            try:
                here |= {*resolve(site.graph, word)} & site.graph.revisions.keys()
            except UsageError as error:
                failed = error
        if not here:
            raise failed or UsageError(
                f"{shown(word)} stands for no revision", hint="raccord migrations history"
            )
        ids |= here
    return frozenset(ids)


def _examine(look: Look, site: Site, named: frozenset[str], mine: Own | None) -> None:
    postgres = may_be_postgres(site)
    for file in site.loaded.files:
        if (named and file.revision.id not in named) or not (mine is None or mine.has(file.path)):
            continue
        try:
            source = fs.read(os.path.realpath(file.path))
            look.examined.append(examine(source, file.revision, file.path, postgres=postgres))
        except (OSError, RaccordError) as error:
            look.faults.append((file.path, 0, str(error)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            look.faults.append((file.path, 0, str(error)))
    for fault in site.loaded.faults:
        if not named and (mine is None or mine.has(fault.path)):
            look.faults.append((fault.path, fault.line, fault.reason))


def _entries(look: Look) -> dict[Entry, None]:
    """What would stand in the baseline for what was found: all but what a comment ignores."""
    return dict.fromkeys(
        Entry(one.revision.id, remark.rule, one.revision.digest)
        for one, remark in look.remarks()
        if not one.reason(remark)
    )


def _report(look: Look, known: frozenset[Entry]) -> LintReport:
    findings: list[LintFinding] = []
    for one, remark in look.remarks():
        reason = one.reason(remark)
        entry = Entry(one.revision.id, remark.rule, one.revision.digest)
        findings.append(
            LintFinding(
                rule=remark.rule,
                state="ignored" if reason else "old" if entry in known else "new",
                status="note" if matches(remark.rule, look.config.notes) else "fail",
                revision=one.revision.id,
                file=one.path,
                line=remark.line,
                message=look.said(remark.message),
                fix=look.said(remark.fix),
                reason=reason,
            )
        )
    for path, line, reason in look.faults:
        if not look.off(UNREADABLE):
            said = look.said(message("the file can't be read: {reason}", reason=reason))
            status = "note" if matches(UNREADABLE, look.config.notes) else "fail"
            fix = look.said(message("correct the file: alembic can't load it either"))
            findings.append(LintFinding(UNREADABLE, "new", status, "", path, line, said, fix))
    findings.sort(key=lambda one: (one.file, one.line, one.rule))
    stale = _stale(look, known)
    report = LintReport(
        look.room.language,
        len(look.examined),
        tuple(findings),
        tuple(look.said(_gone(one, look)) for one in stale),
        tuple(look.notes),
    )
    # Written while something new is wrong, it would hide that too.
    tidy = stale and not report.failed
    return replace(report, next_command="raccord migrations lint --write-baseline" if tidy else "")


def _stale(look: Look, known: frozenset[Entry]) -> list[Entry]:
    """The entries that hold for nothing any more, as far as was looked."""
    found = _entries(look)
    looked = {one.revision.id for one in look.examined}
    there = {rev for site in look.sites for rev in site.graph}
    digests = {file.revision.digest for site in look.sites for file in site.loaded.files}
    return sorted(
        one
        for one in known
        if one.revision not in there
        or one.digest not in digests
        or (one.revision in looked and one not in found and not _unasked(look, one))
    )


def _unasked(look: Look, entry: Entry) -> bool:
    """Whether it is about a rule that did not look this time: turned off, or squawk's without squawk."""
    return look.off(entry.rule) or (entry.rule.startswith(PREFIX) and not look.more)


def _gone(entry: Entry, look: Look) -> Message:
    if not any(entry.revision in site.graph for site in look.sites):
        return message("the baseline has {rule} of {revision}, and there is no such revision",
                       rule=entry.rule, revision=shown(entry.revision))  # fmt: skip
    if not any(file.revision.digest == entry.digest for site in look.sites for file in site.loaded.files):
        return message("the baseline has {rule} of {revision}, which was edited since",
                       rule=entry.rule, revision=shown(entry.revision))  # fmt: skip
    return message("the baseline has {rule} of {revision}, where it is no longer found",
                   rule=entry.rule, revision=shown(entry.revision))  # fmt: skip


def _plan(room: Room, options: LintOptions) -> Plan:
    look = _look(room, options)
    path = look.config.baseline
    old = fs.read_or_none(look.baseline_path)
    known = baseline.parse(old, str(look.baseline_path))
    entries = {*known} - {*_stale(look, known)} | {*_entries(look)}
    new = baseline.text(entries)
    added, gone = len(entries - known), len(known - entries)
    title = f"write {shown(path)}: {added} findings more, {gone} fewer"
    steps: tuple[Step, ...] = ()
    if (entries != known or old is None) and (entries or old is not None):
        before = "" if old is None else blob_of(old, room.repo)
        after = blob(room, new, keep=not options.dry_run)
        steps = (files_step(look.tree, [(path, before, after)], title),)
    lane = Lane(BASELINE_LANE, title_of(look.tree), steps, notes=tuple(look.notes))
    return Plan("migrations lint", (Stage("write", (lane,)),), by=options.by)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:4]) + (" …" if len(listed) > 4 else "")
