"""`raccord migrations rebase`: puts this branch's own revisions on top of the base's, while nobody has them.

Only files of this worktree are rewritten, and in them only what they stand on.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence

from raccord.errors import CannotRun, UsageError, WorldMoved
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations.archive import Content
from raccord.migrations.body import changes_nothing
from raccord.migrations.graph import Graph
from raccord.migrations.rebase import Rebase, decide
from raccord.migrations.repoint import repointed
from raccord.migrations.steps import blob_of, files_step
from raccord.model.options import RebaseOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Waiver
from raccord.model.text import shown
from raccord.verbs.migration_branch import Branch, below, branches, some, template_of, title_of
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migration_holders import MERGE, Waived, holder
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room

GUARDS = {"pushed": "migration.pushed", "unread": "migration.unread"}


def rebase(room: Room, options: RebaseOptions) -> tuple[Plan, RunRecord | None]:
    """Puts the own revisions of this worktree's branch on top of the base's.

    Raises:
        UsageError: a guard is skipped without a reason, or there are several heads to choose from.
        CannotRun: no alembic environment here, or a history is not whole.
    """
    waivers = _waivers(options)
    return carried_out(room, lambda: plan(room, options, waivers), options.dry_run, every=False)


def _waivers(options: RebaseOptions) -> tuple[Waiver, ...]:
    skipped = [name for name in GUARDS if getattr(options, name)]
    if skipped and not options.reason.strip():
        said = f"--{skipped[0]} skips a guard: say why"
        raise UsageError(said, hint=f"raccord migrations rebase --{skipped[0]} --reason '…'")
    return tuple(Waiver(GUARDS[name], options.by, options.reason) for name in skipped)


def plan(room: Room, options: RebaseOptions, waivers: tuple[Waiver, ...] = ()) -> Plan:
    """Observes and decides; without `dry_run` old and new files are kept in raccord's own store."""
    desk = Desk(room, chosen(room, every=False), options.backend)
    everywhere = Desk(room, chosen(room, every=True), options.backend)
    lanes = [_lane(desk, everywhere, branch, options) for branch in branches(desk)]
    return Plan("migrations rebase", (Stage("rebase", tuple(lanes)),), waivers, by=options.by)


def _lane(desk: Desk, everywhere: Desk, branch: Branch, options: RebaseOptions) -> Lane:
    tree, key = branch.site.tree, branch.site.key
    title = title_of(tree)
    if tree.operation:
        said = f"a {tree.operation} is in progress here"
        return Lane(key, title, held=Finding("migration.operation", "fail", said, "git status"))
    branch.whole()
    found = below(desk, branch)
    if found is None:
        return Lane(key, title, notes=(_note("there is no commit to stand on yet"),))
    if found.unread:
        raise CannotRun(f"{shown(found.base.name)} can't be read whole: {shown(found.unread[0])}")
    if found.lacking is not None:
        return Lane(key, title, held=found.lacking)
    base = Graph(found.revisions)
    what = decide(branch.graph, base, _idle(branch, base), drop=options.drop_merges)
    if not what.affected:
        return Lane(key, title, notes=(_nothing(what, found.base.name), *_after(what, options)))
    waived = Waived(options.pushed, options.unread)
    held, notes = holder(everywhere, branch, what.affected, found.base, waived)
    if held is not None:
        return Lane(key, title, held=held)
    changes, modes, contents = _changes(desk, branch, what)
    if not options.dry_run:
        # The bytes that an undo brings back, and those that an undo of that does.
        everywhere.sources.archive.remember(contents)
    count = f"{len(what.moved)} revisions" if len(what.moved) != 1 else "1 revision"
    does = f"put {count} on top of {shown(found.base.name)}" if what.moved else "remove what joins nothing"
    step = files_step(tree, changes, f"{does}: {some([*what.moved, *what.dropped])}", modes)
    return Lane(key, title, (step,), notes=(*notes, *_told(branch, what), *_after(what, options)))


def _idle(branch: Branch, base: Graph) -> set[str]:
    """Own merges that change nothing."""
    template = template_of(branch.site)
    own = {path: one.revision for path, one in branch.paths.items() if one.revision.id not in base}
    return {
        one.id
        for path, one in own.items()
        if len(one.down) > 1
        and changes_nothing(fs.read_or_none(branch.site.tree.path / path) or b"", template)
    }


def _changes(
    desk: Desk, branch: Branch, what: Rebase
) -> tuple[list[tuple[str, str, str]], dict[str, int], list[Content]]:
    """The files with their old and new blobs, their modes, and all contents.

    Raises:
        CannotRun: a file lies elsewhere, or can't be rewritten.
        WorldMoved: one was edited a moment ago.
    """
    paths = {one.revision.id: (path, one.revision) for path, one in branch.paths.items()}
    changes: list[tuple[str, str, str]] = []
    modes: dict[str, int] = {}
    contents: list[Content] = []
    for id_ in (*what.moved, *what.dropped):
        path, revision = paths[id_]
        if path.startswith(".."):
            raise CannotRun(f"{shown(id_)} lies outside of this worktree", hint="raccord migrations find ID")
        full = branch.site.tree.path / path
        seen = fs.signature(full)
        old = fs.read_or_none(full) or b""
        if seen is None or hashlib.sha256(old).hexdigest() != revision.digest:
            raise WorldMoved(f"{shown(path)} was edited a moment ago", hint="try again")
        new = b""
        if id_ in what.moved:
            new = repointed(old, revision.name, what.moved[id_])
            contents.append(Content(id_, revision.name, new))
        contents.append(Content(id_, revision.name, old))
        modes[path] = stat.S_IFREG | stat.S_IMODE(seen.mode)
        repo = desk.room.repo
        changes.append((path, blob_of(old, repo), blob_of(new, repo) if new else ""))
    return changes, modes, contents


def _note(said: str, hint: str = "", name: str = "migration.rebase", **data: object) -> Finding:
    return Finding(name, "note", said, hint, data)


def _nothing(what: Rebase, base: str) -> Finding:
    if not what.own:
        return _note(f"this branch has no revision that {shown(base)} lacks")
    return _note(
        f"{some(what.own)} {'stand' if len(what.own) > 1 else 'stands'} on top of {shown(base)} already"
    )


def _told(branch: Branch, what: Rebase) -> list[Finding]:
    told = []
    for id_, new in what.moved.items():
        old = branch.graph.parents(id_)
        said = f"{shown(id_)}: from {_listed(old)} to {_listed(new)}"
        told.append(_note(said, id=id_, before=list(old), after=list(new)))
    for id_, instead in what.dropped.items():
        said = f"{shown(id_)} joins nothing any more and is removed: {shown(instead)} takes its place"
        told.append(_note(said, id=id_, before=list(branch.graph.parents(id_)), after=[]))
    return told


def _listed(ids: Sequence[str]) -> str:
    return some(ids) or "nothing"


def _after(what: Rebase, options: RebaseOptions) -> list[Finding]:
    """What is left to do."""
    left = [one for one in what.spare if one not in what.dropped]
    told = []
    if left:
        said = f"{some(left)} joins nothing any more, and changes nothing"
        first = "" if options.dry_run else "raccord undo, then: "
        told.append(_note(said, f"{first}raccord migrations rebase --drop-merges", "migration.spare"))
    if len(what.heads) > 1:
        told.append(_note(f"there are {len(what.heads)} heads: {some(what.heads)}", MERGE, "migration.heads"))
    return told
