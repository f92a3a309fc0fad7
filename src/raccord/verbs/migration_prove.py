"""`raccord migrations prove`: tries revisions on clones, up, down and up again. Nothing shared is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from raccord.database.url import OTHER
from raccord.errors import CannotRun, UsageError
from raccord.migrations.asking import told
from raccord.migrations.clones import sweep
from raccord.migrations.driving import interpreter
from raccord.migrations.faults import blocking
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.proving import Proving, Unit
from raccord.migrations.resolve import resolve
from raccord.migrations.runner import runner
from raccord.migrations.standing import absent
from raccord.migrations.upgrade import decide
from raccord.model.event import Event
from raccord.model.options import ProveOptions
from raccord.model.plan import Finding
from raccord.model.proof import MigrationProof, ProofReport
from raccord.model.text import shown
from raccord.verbs.migration_branch import below, branches
from raccord.verbs.migration_desk import Desk, chosen, split
from raccord.verbs.room import Room


def prove(room: Room, options: ProveOptions) -> ProofReport:
    """Tries revisions on clones.

    Raises:
        UsageError: a word stands for nothing.
        CannotRun: no alembic environment here, its history is not whole, or a database can't be cloned.
    """
    trees = chosen(room, every=False)
    backend, words = split(trees[0].path, options.words)
    if words and options.to:
        raise UsageError("revisions and --to can't be given together")
    desk = Desk(room, trees, backend)
    sections: dict[str, list[Site]] = {}
    for one in desk.found:
        if isinstance(one, Unfound):
            raise one.error
        sections.setdefault(one.database.section, []).append(one)
    proofs: list[MigrationProof] = []
    databases: dict[str, None] = {}
    notes: dict[str, None] = {}
    fresh, lacking = True, False
    for sites in sections.values():
        unit = _unit(room, sites, options)
        wanted = _wanted(desk, unit, words, options)
        fresh = fresh and (options.fresh or all(map(absent, unit.targets)))
        databases |= dict.fromkeys(target.shown for target in unit.targets)
        if dropped := sweep(unit.targets, room.state):
            notes[f"dropped what an earlier one left when it was killed: {', '.join(dropped)}"] = None
        heads = frozenset().union(*(site.heads or () for site in unit.sites))
        lacking = lacking or not unit.graph.ancestors(heads & set(unit.graph)).issuperset(wanted)
        if wanted:
            proving = Proving(unit, wanted, lambda text: room.listen(Event("", "", "said", text)))
            proofs += proving.run()
            notes |= proving.notes
    return ProofReport(
        tuple(databases),
        fresh,
        tuple(proofs),
        tuple(Finding("migration.clone", "note", note) for note in notes),
        _next(proofs, options, lacking),
    )


def _unit(room: Room, sites: Sequence[Site], options: ProveOptions) -> Unit:
    start = runner(sites[0].project, room.config.migrations.command)
    how = interpreter(start)
    sites = told(sites, start)
    graph = sites[0].graph
    if (wrong := blocking(graph, sites[0].loaded)) is not None:
        raise CannotRun(f"the history is not whole: {wrong.message}", hint=wrong.hint)
    for site in sites:
        if site.target is None or site.target.kind == OTHER:
            raise CannotRun(f"the database can't be cloned: {site.unread}", hint=site.unread_hint)
        if site.heads is None and not (options.fresh or absent(site.target)):
            raise CannotRun(
                f"the database was not read: {site.unread}", hint="raccord migrations prove --fresh"
            )
    if options.fresh:
        sites = [replace(site, heads=frozenset()) for site in sites]
    return Unit(sites, how, graph, room.state, options.fresh)


def _wanted(desk: Desk, unit: Unit, words: Sequence[str], options: ProveOptions) -> tuple[str, ...]:
    graph = unit.graph
    if words:
        return tuple(dict.fromkeys(id_ for word in words for id_ in resolve(graph, word)))
    heads = frozenset().union(*(site.heads or () for site in unit.sites))
    if missing := [one for one in heads if one not in graph]:
        raise CannotRun(
            f"the database is at {shown(missing[0])}, and there is no file of it here",
            hint="raccord migrations heal",
        )
    pending = decide(graph, heads, options.to).pending
    if (pending and not options.fresh) or options.to:
        return pending
    return _own(desk, unit.sites[0]) or pending


def _own(desk: Desk, site: Site) -> tuple[str, ...]:
    """This branch's own revisions: those that the base's branch lacks, copies of others' aside."""
    branch = next(one for one in branches(desk) if one.site.database.versions == site.database.versions)
    try:
        base = below(desk, branch)
    except UsageError:
        return ()
    there = {one.id for one in base.revisions} if base else set()
    return tuple(id_ for id_ in reversed(branch.graph.order()) if id_ not in there)


def _next(proofs: Sequence[MigrationProof], options: ProveOptions, lacking: bool) -> str:
    states: Mapping[str, MigrationProof] = {one.state: one for one in reversed(proofs)}
    wrong = states.get("failed") or states.get("irreversible")
    if wrong is not None:
        return f"raccord migrations find {shown(wrong.revision)}"
    if "unreached" in states and not options.fresh:
        return "raccord migrations prove --fresh"
    return "raccord migrations upgrade" if lacking and not options.fresh else ""
