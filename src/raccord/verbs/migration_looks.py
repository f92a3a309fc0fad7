"""`raccord migrations status`, `list`, `find`, `current`, `history` and `heads`: looks that tolerate holes.

Nothing is changed, and no migration is run to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.migrations import drawing
from raccord.migrations.choose import difference
from raccord.migrations.contents import WORDS, Candidate, Found, Searched
from raccord.migrations.faults import findings
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.plan import ours, where
from raccord.migrations.revision import Revision
from raccord.migrations.settings import MAIN
from raccord.migrations.sightings import stands_on
from raccord.model.counts import told
from raccord.model.migration_report import (
    MigrationContent,
    MigrationFind,
    MigrationFork,
    MigrationList,
    MigrationOrigin,
    MigrationRow,
    MigrationSite,
    MigrationStatus,
)
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.verbs.fork_looks import forks, lost, said
from raccord.verbs.migration_branch import own_part
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migrations import problem
from raccord.verbs.room import Room


def status(room: Room, backend: str = "") -> MigrationStatus:
    """Every worktree's migrations against its database.

    Raises:
        RaccordError: no worktree has an alembic environment that can be read.
    """
    desk = Desk(room, chosen(room, every=True), backend, ask_env=True)
    forked = forks(room, desk.sites)
    found = [_site(desk, one, forked.get(one.key)) for one in desk.sites]
    if not found:
        raise _none(desk)
    journal = room.journal()
    counts = told(journal.counts()) if journal is not None else {}
    return MigrationStatus(tuple(found), _next(room, found), (*_unfound(desk), *lost(room)), counts)


def _next(room: Room, found: Sequence[MigrationSite]) -> str:
    """What to type: first what puts files back, then what the rest needs."""
    lacking = {one.worktree for one in found if one.missing}
    if lacking:
        here = {str(room.here.path)} if room.here is not None else set()
        return "raccord migrations heal" if lacking == here else "raccord migrations heal --all"
    ill = (each.hint for one in found for each in one.findings if each.status == "fail")
    if hint := next(filter(None, ill), ""):
        return hint
    mine = [one for one in found if room.here is not None and one.worktree == str(room.here.path)]
    return "raccord migrations upgrade" if any(one.pending for one in mine) else ""


def _none(desk: Desk) -> RaccordError:
    first = next((one.error for one in desk.found if isinstance(one, Unfound)), None)
    return first or CannotRun("no worktree has an alembic environment", hint="alembic init")


def _unfound(desk: Desk) -> Iterable[Finding]:
    """The worktrees whose migrations can't be read."""
    for one in desk.found:
        if isinstance(one, Unfound):
            yield problem(one)


def _copies(desk: Desk, site: Site) -> frozenset[str]:
    """Revisions of which a worktree only has files of others, kept out of its commits."""
    own = _own(desk, site)
    if isinstance(own, CannotRun) or not len(own):
        return frozenset()
    return frozenset(one for one in site.graph if one not in own)


def _own(desk: Desk, site: Site) -> Graph | CannotRun:
    """The branch's own part of a history, or why git can't tell it from copies."""
    try:
        return own_part(desk, [site]).graph
    except CannotRun as error:
        return error


def _site(desk: Desk, site: Site, forked: MigrationFork | None) -> MigrationSite:
    heads = site.graph.heads
    pending = None
    if site.heads is not None and not site.missing and site.graph.healthy:
        pending = len(site.graph.between(site.heads, site.graph.effective_heads))
    return MigrationSite(
        worktree=str(site.tree.path),
        branch=site.tree.branch or "",
        database=site.database.name,
        url=site.target.shown if site.target else "",
        revisions=len(site.graph),
        # Its own first.
        heads=tuple(sorted(heads, key=_copies(desk, site).__contains__)) if len(heads) > 1 else heads,
        applied=None if site.heads is None else tuple(sorted(site.heads)),
        missing=site.missing,
        pending=pending,
        findings=(*_wrong(desk, site), *(said(forked, site) if forked else ())),
        fork=forked,
    )


def _wrong(desk: Desk, site: Site) -> Iterable[Finding]:
    if site.missing:
        some = ", ".join(map(shown, site.missing[:3])) + (" …" if len(site.missing) > 3 else "")
        said = f"no file of {some}"
        yield Finding("migration.missing", "fail", said, "raccord migrations heal")
    yield from (one for one in findings(site.graph, site.loaded) if not one.name.endswith(".missing"))
    own = _own(desk, site) if len(site.graph.heads) > 1 else Graph()
    if isinstance(own, CannotRun):
        yield Finding("migration.copies", "unknown", own.message, own.hint)
    elif len(own.heads) > 1:
        said = f"{len(own.heads)} heads: {', '.join(map(shown, own.heads[:4]))}"
        yield Finding("migration.heads", "note", said, "raccord migrations merge -m MESSAGE")
    if site.unread:
        yield Finding("migration.unread", "unknown", site.unread, site.unread_hint)


def find(room: Room, revision: str, backend: str = "", *, diff: bool = False) -> MigrationFind:
    """Every content of a revision and every place that holds it.

    Args:
        revision: its id, the beginning of one, or a label.

    Raises:
        UsageError: it is nowhere, or several begin so.
    """
    desk = Desk(room, chosen(room, every=True), backend)
    matching = desk.sources.matching(revision)
    exact = [one for one in matching if one == revision]
    if len(matching) > 1 and not exact:
        listed = ", ".join(map(shown, matching[:8]))
        raise UsageError(f"several revisions begin with {shown(revision)}: {listed}", hint="name one whole")
    name = (exact or matching or [revision])[0]
    found = desk.sources.find([name], thorough=True)
    contents = found.contents.get(name, ())
    if not contents:
        looked = (
            "; ".join(_words(one) for one in found.searched if one.files)
            or "every place, and no file is there"
        )
        raise UsageError(
            f"{shown(revision)} is nowhere to be found. Looked into {looked}",
            hint="git fetch --all, or: raccord migrations list",
            searched=[[one.kind, one.places, one.files] for one in found.searched],
        )
    trust = _ran_here(desk, name, contents) | desk.trust(contents)
    told = tuple(_content(one, contents[0] if diff else one, trust) for one in contents)
    notes = tuple(
        Finding("migration.source", "unknown", f"{shown(one.where)}: {one.reason}", one.hint)
        for one in found.troubles
    )
    return MigrationFind(name, told, _searched(found), notes)


def _ran_here(desk: Desk, name: str, contents: Sequence[Candidate]) -> dict[str, str]:
    """The one content that somebody here works with, where a database has applied it; see `plan.vouched`."""
    mine = [one for one in contents if any(map(ours, one.origins))]
    applied = any(
        name in site.heads or name in site.graph.ancestors(site.heads) for site in desk.sites if site.heads
    )
    return {mine[0].digest: "applied here"} if applied and len(mine) == 1 else {}


def _searched(found: Found) -> tuple[str, ...]:
    return tuple(map(_words, found.searched))


def _words(one: Searched) -> str:
    told = f"{WORDS[one.kind]}: {one.files} file{'' if one.files == 1 else 's'} in {one.places}"
    return told + (", everywhere" if one.everywhere else "")


def _content(one: Candidate, first: Candidate, trust: Mapping[str, str]) -> MigrationContent:
    origins = tuple(
        MigrationOrigin(each.kind, each.where, each.path, each.commit, each.author, each.time, where(each))
        for each in one.origins
    )
    return MigrationContent(
        digest=one.digest,
        name=one.revision.name,
        message=one.revision.message,
        parents=stands_on(one.revision),
        trusted=trust.get(one.digest, ""),
        origins=origins,
        diff="" if one is first else difference(first, one),
    )


def listing(room: Room, backend: str = "") -> MigrationList:
    """Every revision of every worktree, branch and commit, drawn as one history."""
    desk = Desk(room, chosen(room, every=True), backend)
    if not desk.sites:
        raise _none(desk)
    revisions: dict[str, Revision] = {}
    trees: dict[str, dict[str, None]] = {}
    refs: dict[str, dict[str, None]] = {}
    for site in desk.sites:
        for one in site.loaded.revisions:
            revisions[one.id] = one
            trees.setdefault(one.id, {})[site.tree.path.name] = None
    seen = desk.sources.near()
    for kind in ("ref", "history", "stash", "index", "archive", "directory"):
        for sighting, one in seen.held(kind):
            revisions.setdefault(one.id, one)
            if kind != "index" and sighting.where:
                refs.setdefault(one.id, {})[_brief(sighting.where)] = None
    graph = Graph(revisions.values())
    applied = {name for site in desk.sites for name in site.heads or ()}
    marks = {one: [*_marks(graph, one, applied)] for one in {*graph, *graph.missing}}
    rows = _drawn(graph, marks, trees, refs)
    return MigrationList(
        f"{len(graph)} revisions in {len(desk.sites)} worktrees", rows, tuple(_unfound(desk))
    )


def _brief(ref: str) -> str:
    for beginning in ("refs/heads/", "refs/remotes/", "refs/tags/"):
        ref = ref.removeprefix(beginning)
    return ref


def _marks(graph: Graph, one: str, applied: set[str]) -> Iterable[str]:
    if one in applied:
        yield "applied"
    if one in graph and not graph.children(one):
        yield "head"


def _drawn(
    graph: Graph,
    marks: Mapping[str, Sequence[str]],
    trees: Mapping[str, Mapping[str, None]] | None = None,
    refs: Mapping[str, Mapping[str, None]] | None = None,
) -> tuple[MigrationRow, ...]:
    trees, refs = trees or {}, refs or {}
    rows = []
    for line in drawing.draw(drawing.rows(graph, marks)):
        if line.row is None:
            rows.append(MigrationRow(line.art))
            continue
        one = line.row
        rows.append(
            MigrationRow(
                line.art,
                one.id,
                one.message,
                one.parents,
                one.marks,
                tuple(trees.get(one.id, ())),
                tuple(refs.get(one.id, ())),
            )
        )
    return tuple(rows)


def _here(room: Room, backend: str, *, ask_env: bool = True) -> Desk:
    desk = Desk(room, chosen(room, every=False), backend, ask_env=ask_env)
    if not desk.sites:
        raise _none(desk)
    return desk


def history(room: Room, backend: str = "") -> tuple[MigrationList, ...]:
    """This worktree's history, one for each database, with what is missing in it."""
    found = []
    desk = _here(room, backend)
    for site in desk.sites:
        applied, copies = {*(site.heads or ())}, _copies(desk, site)
        marks = {
            one: [*_marks(site.graph, one, applied), *(["copy"] if one in copies else [])]
            for one in {*site.graph, *site.graph.missing}
        }
        title = f"{_of(site)}{len(site.graph)} revisions"
        found.append(MigrationList(title, _drawn(site.graph, marks), tuple(_wrong(desk, site))))
    return tuple(found)


def _of(site: Site) -> str:
    """Which database a title is about, where there are several."""
    return f"{shown(site.database.name)}: " if site.several or site.database.section != MAIN else ""


def heads(room: Room, backend: str = "") -> tuple[MigrationList, ...]:
    """The heads of this worktree's files."""
    desk = _here(room, backend, ask_env=False)
    return tuple(_picked(desk, site, site.graph.heads, "heads of the files") for site in desk.sites)


def current(room: Room, backend: str = "") -> tuple[MigrationList, ...]:
    """What this worktree's databases are at, whether there is a file of it or not."""
    found = []
    desk = _here(room, backend)
    for site in desk.sites:
        if site.heads is None:
            raise CannotRun(f"the database was not read: {site.unread}", hint=site.unread_hint)
        found.append(_picked(desk, site, tuple(sorted(site.heads)), "applied"))
    return tuple(found)


def _picked(desk: Desk, site: Site, ids: Sequence[str], what: str) -> MigrationList:
    rows = []
    copies = _copies(desk, site)
    for one in ids:
        known = site.graph.revisions.get(one)
        marks = [] if known else ["missing"]
        marks += ["head"] if known and not site.graph.children(one) else []
        marks += ["copy"] if one in copies else []
        parents = site.graph.needs(one) if known else ()
        rows.append(MigrationRow("", one, known.message if known else "", parents, tuple(marks)))
    place = f" ({site.target.shown})" if site.target and what == "applied" else ""
    wrong = tuple(one for one in _wrong(desk, site) if one.status == "fail")
    return MigrationList(f"{_of(site)}{what}{place}", tuple(rows), wrong)
