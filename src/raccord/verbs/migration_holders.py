"""Who else may have a revision: other branches and remotes, other worktrees, databases. Changes nothing.

A revision that others have is not re-pointed: their databases would pass its new ancestor by without a word.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.code.base import Base, choose_remote, far_side
from raccord.git.refs import HEADS, REMOTES
from raccord.migrations.git_history import pathspecs
from raccord.migrations.git_sources import OURS, STASH
from raccord.migrations.graph import Graph
from raccord.migrations.observe import Site
from raccord.migrations.revision import Revision
from raccord.migrations.runner import command, runner
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.verbs.migration_branch import Branch, heads_of, some, title_of
from raccord.verbs.migration_desk import Desk

MERGE = "raccord migrations merge -m MESSAGE"
UNREAD = "raccord migrations rebase --unread --reason TEXT"
WHY = "databases that have it would pass its new ancestors by"


@dataclass(frozen=True, slots=True)
class Waived:
    """What a person vouches for.

    Attributes:
        pushed: that nobody applied what the branch's own remote branch has.
        unread: that databases which can't be asked have none of it.
    """

    pushed: bool
    unread: bool


def holder(
    desk: Desk, branch: Branch, affected: Sequence[str], base: Base, waived: Waived
) -> tuple[Finding | None, list[Finding]]:
    """Why revisions can't be re-pointed, or None, and what could not be found out.

    Args:
        desk: of all worktrees.
        affected: the ids of those that move, and of those after them.
    """
    wanted = frozenset(affected)
    held = _in_git(desk, branch, wanted, base, waived) or _in_trees(desk, branch, wanted)
    if held is not None:
        return held, []
    return _in_databases(desk, branch, affected, waived)


def _in_git(desk: Desk, branch: Branch, wanted: frozenset[str], base: Base, waived: Waived) -> Finding | None:
    """Refs other than the branch's own whose commits have, or had, one of the revisions."""
    room, tree = desk.room, branch.site.tree
    refs = desk.sources.git.refs
    far = ""
    if tree.branch:
        remote = choose_remote(room.repo.settings, room.config.sync.remote)
        side = far_side(room.repo.settings, refs, remote, tree.branch, base.branch)
        if side.known is not None:
            far = f"{REMOTES}{side.remote}/{side.dest.removeprefix(HEADS)}"
    own = {f"{HEADS}{tree.branch}", far}
    tips: dict[str, str] = {}
    for name, ref in refs.by_name.items():
        if name not in own and name != STASH and not name.startswith(OURS) and name not in refs.broken:
            tips.setdefault(ref.peeled, name)
    for other in room.trees:
        if other.head is not None and other.path != tree.path:
            tips.setdefault(other.head, f"HEAD of {title_of(other)}")
    if far == base.ref:
        own.discard(far)
        tips.setdefault(base.oid, far)
    found, broken = _had(desk, tips, wanted, f"others of {tree.path}")
    for id_, where in found:
        said = f"{_ref(where)} has {shown(id_)}: {WHY}"
        return Finding("migration.shared", "fail", said, MERGE, {"revision": id_, "where": where})
    if far in own and far and not waived.pushed:
        oid = refs.get(far) or ""
        found, more = _had(desk, {oid: far}, wanted, f"own of {tree.path}")
        broken |= more
        for id_, where in found:
            said = f"{_ref(where)} has {shown(id_)}: whoever fetched it may have applied it, and {WHY}"
            hint = f"{MERGE}, or where nobody did: raccord migrations rebase --pushed --reason TEXT"
            return Finding("migration.pushed", "fail", said, hint, {"revision": id_, "where": where})
    for where, why in broken.items():
        said = f"the history of {_ref(where)} can't be read, so nobody knows who has them: {why}"
        return Finding("migration.history", "unknown", said, "git fsck")
    return None


def _had(
    desk: Desk, tips: Mapping[str, str], wanted: frozenset[str], of: str
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Which of the revisions commits below some tips have, or had, with the ref; and which can't be read."""
    sources = desk.sources
    walked = sources.history.read(list(tips), pathspecs(sources.folders), of=of)
    files = {(row.blob, row.path.rpartition("/")[2]): row.tip for row in walked.rows}
    sources.headers.look(files)
    found = []
    for (blob, name), tip in files.items():
        header = sources.headers.get(blob, name)
        if isinstance(header, Revision) and header.id in wanted:
            found.append((header.id, tips.get(tip, "")))
    return sorted(found), {tips.get(tip, tip): why for tip, why in walked.broken.items()}


def _ref(name: str) -> str:
    return shown(name.removeprefix(HEADS).removeprefix(REMOTES)) or "another branch"


def _in_trees(desk: Desk, branch: Branch, wanted: frozenset[str]) -> Finding | None:
    """Other worktrees, their indexes, and directories that git does not list."""
    here = str(branch.site.tree.path)
    names = {str(tree.path): title_of(tree) for tree in desk.room.trees}
    for one, revision in desk.sources.near().held("worktree", "directory", "index"):
        if revision.id in wanted and one.where != here:
            where = names.get(one.where) or shown(one.where)
            said = f"{where} has {shown(revision.id)}: it would stand on something else there"
            data = {"revision": revision.id, "where": one.where}
            return Finding("migration.shared", "fail", said, MERGE, data)
    return None


def _in_databases(
    desk: Desk, branch: Branch, affected: Sequence[str], waived: Waived
) -> tuple[Finding | None, list[Finding]]:
    """Databases of all worktrees, and those that raccord itself applied one of the revisions to."""
    own = {site.key for site in branch.sites}
    graph = Graph(one for site in [*desk.sites, *branch.sites] for one in site.loaded.revisions)
    asked: set[str] = set()
    unread: list[Finding] = []
    sites = sorted(desk.sites, key=lambda site: site.key not in own)  # this worktree's come first
    for site in sites:
        heads = heads_of(site)
        where = site.target.shown if site.target else "the database"
        finding = _unknown(site, where, heads, graph)
        if finding is not None:
            if site.key in own and not waived.unread:
                return finding, []
            unread.append(finding)
        if heads is None:
            continue
        applied = graph.ancestors(heads)
        if site.target is not None and finding is None:
            asked.add(site.target.key)
        have = [one for one in affected if one in applied]
        if have:
            sharing = [
                title_of(other.tree)
                for other in desk.sites
                if other.target
                and site.target
                and other.target.key == site.target.key
                and other.tree.path != branch.site.tree.path
            ]
            return _applied(desk, branch, site, have, heads, sharing), []
    for database, revisions in desk.sources.shelf.applied.items():
        have = [one for one in affected if one in revisions]
        if have and database not in asked and not waived.unread:
            said = f"raccord applied {some(have)} to {shown(database)}, which no worktree names now: {WHY}"
            hint = f"where it is gone: {UNREAD}"
            return Finding("migration.applied", "fail", said, hint, {"revisions": have}), []
    return None, unread


def _unknown(site: Site, where: str, heads: frozenset[str] | None, graph: Graph) -> Finding | None:
    """Why nobody can tell all that a database has."""
    if heads is None:
        said = f"{where} was not read, so nobody knows whether it has them: {site.unread}"
        hint = f"{site.unread_hint}, or: {UNREAD}" if site.unread_hint else UNREAD
        return Finding("migration.unread", "unknown", said, hint)
    lost = sorted(one for one in heads if one not in graph)
    if not lost:
        return None
    said = f"{where} is at {some(lost)}, of which no worktree has a file: nobody knows what it stands on"
    return Finding("migration.ahead", "unknown", said, "raccord migrations heal", {"revisions": lost})


def _applied(
    desk: Desk, branch: Branch, site: Site, have: Sequence[str], heads: Iterable[str], sharing: Sequence[str]
) -> Finding:
    where = site.target.shown if site.target else "the database"
    data = {"revisions": list(have), "sharing": list(sharing)}
    said = f"{where} has applied {some(have)}: it would pass the new ancestors by"
    if sharing:
        shared = f"{said}; {', '.join(sharing[:3])}{' …' if len(sharing) > 3 else ''} use it too"
        return Finding("migration.applied", "fail", shared, MERGE, data)
    start = runner(site.project, desk.room.config.migrations.command) or ("alembic",)
    graph = branch.graph
    lowest = [one for one in have if not {*graph.parents(one)} & {*have}]
    others = [one for one in heads if not graph.ancestors([one]) & {*lowest}] if lowest else []
    calls = []
    for one in lowest:
        parent = next(iter(graph.parents(one)), "base")
        # Only the branch of that revision, where the database has others beside it.
        target = f"{one}@{parent}" if others or len(lowest) > 1 else parent
        calls.append(shlex.join(command(start, site.database, "downgrade", target)))
    hint = " && ".join([f"cd {shlex.quote(str(site.project.backend))}", *calls])
    return Finding("migration.applied", "fail", f"{said}: take it back first", shown(hint), data)
