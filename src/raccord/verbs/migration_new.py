"""`raccord migrations new`: writes a revision on this branch's head, once nothing below it is missing.

Where the project's alembic is found it writes the text, in a scratch folder; else raccord does. What is there
is put into the worktree by the engine.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from raccord.errors import CannotRun, UsageError
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations.body import changes_nothing, operations
from raccord.migrations.claims import PLACES, claims
from raccord.migrations.observe import Site
from raccord.migrations.render import Made, Wanted, render
from raccord.migrations.resolve import resolve
from raccord.migrations.revision import Revision, read
from raccord.migrations.runner import absence, command, misread, runner
from raccord.migrations.steps import files_step
from raccord.migrations.writing import file_name, moment, source
from raccord.model.options import NewOptions
from raccord.model.plan import Finding, Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs.migration_branch import (
    Branch,
    below,
    blob,
    branches,
    fresh_id,
    heads_of,
    some,
    style_of,
    template_of,
    title_of,
    within,
)
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room

PLACED = 4  # places of one revision
TOLD = 12  # operations, and revisions of others


def new(room: Room, options: NewOptions) -> tuple[Plan, RunRecord | None]:
    """Writes a new revision.

    Raises:
        UsageError: no message, or a word stands for nothing.
        CannotRun: no alembic environment here, its history is not whole, or alembic failed.
    """
    if not options.message.strip() or "\0" in options.message:
        raise UsageError("a revision needs a message", hint="raccord migrations new -m 'add a basket'")
    return carried_out(room, lambda: plan(room, options), options.dry_run, every=False)


def plan(room: Room, options: NewOptions) -> Plan:
    """Observes, decides, lets alembic write; without `dry_run` the text is kept among git's objects."""
    desk = Desk(room, chosen(room, every=False), options.backend, ask_env=True)
    branch = _picked(branches(desk), options.name)
    branch.whole()
    lane = _lane(desk, branch, options)
    return Plan("migrations new", (Stage("new", (lane,)),), by=options.by)


def _picked(found: Sequence[Branch], name: str) -> Branch:
    names = [one.site.database.section for one in found]
    wanted = [one for one in found if name in ("", one.site.database.section)]
    if len(wanted) == 1:
        return wanted[0]
    listed = ", ".join(map(shown, names))
    if not wanted:
        raise UsageError(f"no section {shown(name)} has migrations; there are: {listed}")
    hint = f"raccord migrations new -m MESSAGE --name {shlex.quote(shown(names[0]))}"
    raise UsageError(f"there are several histories: {listed}", hint=hint)


def _lane(desk: Desk, branch: Branch, options: NewOptions) -> Lane:
    site = branch.site
    title = title_of(site.tree)
    base = below(desk, branch)
    held = base.lacking if base is not None else None
    held = held or _of_databases(branch, autogenerate=options.autogenerate)
    if held is not None:
        return Lane(site.key, title, held=held)
    heads = branch.graph.heads
    if not options.head and len(heads) > 1:
        said = f"this branch has {len(heads)} heads: {some(heads)}"
        hint = "raccord migrations merge -m MESSAGE, or say which: --head REV"
        return Lane(site.key, title, held=Finding("migration.heads", "fail", said, hint))
    wanted, home = _wanted(desk, branch, options)
    notes = [*_unread(branch), *_others(desk, branch, wanted.parent)]
    made, how = _made(desk, branch, wanted, home)
    notes += how
    if options.autogenerate and all(changes_nothing(one.source, template_of(site)) for one in made):
        said = "no change was detected: the database is as the models are, and nothing is written"
        return Lane(site.key, title, notes=(*notes, Finding("migration.unchanged", "note", said)))
    if not made:
        raise CannotRun("alembic wrote nothing: a hook in env.py keeps it from it", hint="edit env.py")
    for one in made:
        notes += _told(desk, branch, one, wanted)
    keep = not options.dry_run
    changes = [(one.path, "", blob(desk.room, one.source, keep=keep)) for one in made]
    step = files_step(site.tree, changes, f"write {', '.join(shown(one.path) for one in made)}")
    return Lane(site.key, title, (step,), notes=tuple(notes))


def _of_databases(branch: Branch, *, autogenerate: bool) -> Finding | None:
    """What a database has that this worktree lacks and, where models are compared with it, what it lacks."""
    for site in branch.sites:
        heads = heads_of(site)
        if heads is None:
            continue
        where = site.target.shown if site.target else "the database"
        lost = sorted(one for one in heads if one not in site.graph)
        if lost:
            said = f"{where} is at {some(lost)}, and this worktree has no file of it"
            return Finding("migration.ahead", "fail", said, "raccord migrations heal", {"revisions": lost})
        if not autogenerate:
            continue
        applied = site.graph.ancestors(heads)
        theirs = [one for one in site.graph.order(applied) if one not in branch.graph]
        if theirs:
            said = f"{where} has {some(theirs)} of other branches: what they made would be dropped again;"
            said += " in a database of its own this worktree can do without them"
            hint = "raccord migrations fork"
            return Finding("migration.theirs", "fail", said, hint, {"revisions": theirs})
        pending = [one for one in reversed(branch.graph.order()) if one not in applied]
        if pending:
            said = f"{where} lacks {some(pending)}: their changes would come out again"
            hint = "raccord migrations upgrade"
            return Finding("migration.behind", "fail", said, hint, {"revisions": pending})
    return None


def _unread(branch: Branch) -> list[Finding]:
    return [
        Finding("migration.unread", "unknown", f"the database was not read: {one.unread}", one.unread_hint)
        for one in branch.sites
        if heads_of(one) is None
    ]


def _wanted(desk: Desk, branch: Branch, options: NewOptions) -> tuple[Wanted, str]:
    """The revision to be, and the version folder that it goes to."""
    graph, site = branch.graph, branch.site
    parents = resolve(graph, options.head) if options.head else graph.heads
    if len(parents) > 1:
        raise UsageError(
            f"{shown(options.head)} is several revisions: {some(parents)}",
            hint="raccord migrations merge -m MESSAGE",
        )
    parent = parents[0] if parents else ""
    if parent and graph.children(parent) and not options.splice:
        raise UsageError(
            f"{shown(parent)} is no head: {some(graph.children(parent))} stands on it",
            hint=f"raccord migrations new -m MESSAGE --head {shlex.quote(shown(parent))} --splice",
        )
    needs = []
    for word in options.depends_on:
        named = resolve(graph, word)
        if len(named) != 1:
            raise UsageError(f"--depends-on {shown(word)} is not one revision")
        needs.append(word if word in graph.labels else named[0])
    if options.label and options.label in {*site.graph, *site.graph.labels}:
        raise UsageError(f"the branch label {shown(options.label)} is taken")
    if parent and misread(parent):
        raise UsageError(f"alembic's command line would not take {shown(parent)} for a revision")
    wanted = Wanted(
        fresh_id(desk),
        options.message,
        parent,
        # Copies of other branches' revisions may stand on it: alembic knows them too.
        options.splice or bool(parent and site.graph.children(parent)),
        options.label,
        tuple(needs),
        options.autogenerate,
    )
    return wanted, branch.folder(parent) if parent else _first(desk, site)


def _first(desk: Desk, site: Site) -> str:
    """The version folder for what stands on nothing: the first whose files git does not ignore."""
    git = desk.room.repo.git.at(site.tree.path)
    for folder in site.folders:
        if not git.ok("check-ignore", "-q", "--", f"{folder}/revision.py" if folder else "revision.py"):
            return folder
    raise CannotRun("no version folder of this worktree is one that git would commit")


def _others(desk: Desk, branch: Branch, parent: str) -> list[Finding]:
    """Revisions that others have on the same parent and that the base does not have yet."""
    here = str(branch.site.tree.path)
    own = f"refs/heads/{branch.site.tree.branch}"
    names = {str(tree.path): title_of(tree) for tree in desk.room.trees}
    seen = [
        (one, revision)
        for one, revision in desk.sources.near().held(*PLACES)
        if one.where not in (here, own) and within(one.path, branch.site.folders)
    ]
    found = claims(seen, {*branch.graph}, [parent] if parent else [], names)
    under = shown(parent) or "nothing"
    told = [
        Finding(
            "migration.claim",
            "note",
            f"{shown(one.id)} of {', '.join(map(shown, one.places[:PLACED]))} stands on {under} too",
            "",
            {"id": one.id, "parent": parent, "places": list(one.places)},
        )
        for one in found[:TOLD]
    ]
    if found:
        more = f" and of {len(found) - TOLD} more" if len(found) > TOLD else ""
        said = f"whoever comes to the base after them{more} puts theirs on top: raccord migrations rebase"
        told.append(Finding("migration.claims", "note", said, "raccord migrations list"))
    return told


def _made(desk: Desk, branch: Branch, wanted: Wanted, home: str) -> tuple[list[Made], list[Finding]]:
    """What is to be written, and how it came about."""
    room, site = desk.room, branch.site
    start = runner(site.project, room.config.migrations.command)
    if start:
        made = render(site, start, wanted, home, room.state)
        said = shown(shlex.join(command(start, site.database, *wanted.words())))
        told = f"in {shown(str(site.project.backend))}: {said}"
        return made, [Finding("migration.command", "note", told)]
    if wanted.autogenerate:
        said, hint = absence(site.project)
        raise CannotRun(said, hint=hint)
    created = moment(time.time(), site.database.timezone)
    name = file_name(site.database, wanted.id, wanted.message, created)
    text = source(
        wanted.id,
        [wanted.parent] if wanted.parent else [],
        wanted.message,
        created,
        style_of(site),
        labels=[wanted.label] if wanted.label else [],
        depends_on=wanted.depends_on,
        blank=True,
    )
    back = read(text, "new.py")
    assert isinstance(back, Revision)
    said = f"{absence(site.project)[0]}: written without the project's template"
    path = f"{home}/{name}" if home else name
    return [Made(path, text, back)], [Finding("migration.runner", "note", said)]


def _told(desk: Desk, branch: Branch, made: Made, wanted: Wanted) -> list[Finding]:
    """What a person should know of a file.

    Raises:
        CannotRun: it can't be put there.
    """
    one, tree = made.revision, branch.site.tree
    if made.path.startswith(".."):
        raise CannotRun(f"{shown(made.path)} lies outside of this worktree")
    if fs.signature(tree.path / made.path) is not None:
        raise CannotRun(
            f"{shown(made.path)} is there already: file_template names it as it did another",
            hint="raccord migrations new -m ANOTHER",
        )
    if one.id != wanted.id and desk.sources.near().of(one.id):
        raise CannotRun(
            f"env.py calls it {shown(one.id)}, and so is another already",
            hint=f"raccord migrations find {shlex.quote(shown(one.id))}",
        )
    under = ", ".join(map(shown, one.down)) or "nothing"
    data = {"id": one.id, "path": made.path, "parents": list(one.down)}
    notes = [Finding("migration.new", "note", f"{shown(made.path)}: {shown(one.id)} on {under}", "", data)]
    if wanted.autogenerate:
        does = operations(made.source)
        more = f" and {len(does) - TOLD} more" if len(does) > TOLD else ""
        said = f"it does: {', '.join(map(shown, does[:TOLD]))}{more}" if does else "read what it does"
        notes.append(Finding("migration.operations", "note", said, "", {"operations": list(does)}))
    if desk.room.repo.git.at(tree.path).ok("check-ignore", "-q", "--", made.path):
        said = f"git ignores {shown(made.path)}: it is in no commit until it is added with --force"
        notes.append(Finding("migration.ignored", "note", said, f"git add -f {shlex.quote(made.path)}"))
    return notes
