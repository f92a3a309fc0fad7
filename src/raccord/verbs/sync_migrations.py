"""What a sync does about migrations, as far as it is known before the replay; the rest is looked at after it.

Loaded only where the base has a configuration of alembic.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from raccord.code.base import Base
from raccord.code.facts import BranchFacts, Decision
from raccord.config import libpq_defaults
from raccord.database.url import OTHER
from raccord.errors import RaccordError, UsageError
from raccord.git.files import files
from raccord.git.run import Git
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.migrations.objects import Objects
from raccord.migrations.observe import Known, Site, Unfound
from raccord.migrations.places import NoEnvironment
from raccord.migrations.revision import LARGEST, Revision, is_revision_name, read
from raccord.migrations.steps import blob_at, copies, files_step
from raccord.migrations.then import then_step
from raccord.model.options import HealOptions, SyncOptions
from raccord.model.plan import Finding, Lane, Step, checkout
from raccord.model.text import shown
from raccord.verbs.lanes import Migrations
from raccord.verbs.migration_desk import Desk
from raccord.verbs.migration_excluded import check_exclude
from raccord.verbs.migration_upgrade import Unit, sharing, units_of
from raccord.verbs.migrations import Healing, healing, problem
from raccord.verbs.room import Room

# Tests would fail over these anyway, and a person can settle them here. Nothing else holds code up.
HOLDING = ("migration.ambiguous", "migration.untrusted")
THEN_HEALED = "migrations healed, decided after the replay"
THEN_UPGRADED = "database upgraded, decided after the replay"
LOOK = "see which migrations are missing"
BEHIND = "migrations"  # the key of the lane of worktrees that databases went ahead of
NAMED = 4


@dataclass(frozen=True)
class Sight:
    """What a sync has read and decided so far.

    Attributes:
        trees: the chosen worktrees.
        facts: of their branches.
        decisions: by the key of the lane.
        git: it can read the new commits.
    """

    room: Room
    options: SyncOptions
    base: Base
    trees: Sequence[Worktree]
    facts: Sequence[BranchFacts]
    decisions: Mapping[str, Decision]
    git: Git

    @cached_property
    def moving(self) -> dict[str, BranchFacts]:
        """The branches that get other files, by hand or by themselves."""
        found = {one.key: (one, self.decisions[one.key]) for one in self.facts}
        return {key: one for key, (one, what) in found.items() if what.move_to or what.by_hand}

    @cached_property
    def by_hand(self) -> frozenset[str]:
        """Those that wait for a person."""
        return frozenset(key for key in self.moving if self.decisions[key].by_hand)

    @cached_property
    def still(self) -> frozenset[str]:
        """The branches that have the base already."""
        return frozenset(
            one.key
            for one in self.facts
            if one.outcome == "up-to-date" and not self.decisions[one.key].held and one.key not in self.moving
        )

    def tree(self, key: str) -> Worktree:
        """The worktree of a lane."""
        return next(tree for tree in self.trees if str(tree.path) == key)

    def coming(self, key: str) -> dict[str, str]:
        """The paths that a branch gets and did not have, each with its blob."""
        one = self.moving[key]
        deltas = self.room.shared.differences(self.git, one.tip, one.new or one.onto)
        return {delta.path: delta.new for delta in deltas if delta.new and not delta.old}


def plan(sight: Sight) -> Migrations:
    """Observes and decides; without `dry_run`, what will be put back is kept in raccord's own store."""
    room = sight.room
    try:
        check_exclude(room, to_write=True)
    except RaccordError as error:
        return Migrations(whole=(Finding("migration.exclude", "note", error.message, error.hint),))
    known: Known = {}
    desk = Desk(room, sight.trees, keep=not sight.options.dry_run, known=known)
    whole = _unreadable(desk)
    room.refused.clear()
    room.refused.update((asked, said) for asked, said in known.items() if isinstance(said, RaccordError))
    before, held = _in_the_way(sight)
    healed = healing(desk, HealOptions(all=True, dry_run=sight.options.dry_run), only=sight.still)
    after: dict[str, tuple[Step, ...]] = {}
    notes: dict[str, tuple[Finding, ...]] = {}
    for key in sight.still:
        after[key], notes[key], why = settled(healed, key)
        if why is not None:
            held[key] = why
    for key in sight.moving:
        after[key] = (then_step(LOOK, {"do": "heal", "worktrees": [key], "strict": True}, (checkout(key),)),)
    upgrades: list[Lane] = []
    if room.config.migrations.in_sync != "heal":
        upgrades, told = _upgrades(sight, desk, held)
        whole += told
    then = dict.fromkeys(sight.moving, (THEN_HEALED,))
    behind = _behind(sight, desk) if upgrades else ()
    return Migrations(before, after, held, notes, then, tuple(upgrades), behind, tuple(whole))


def _unreadable(desk: Desk) -> list[Finding]:
    found = []
    for one in desk.found:
        if not isinstance(one, Unfound) or isinstance(one.error, NoEnvironment):
            continue
        # Said once, whichever worktrees it is true of.
        told = replace(problem(one), status="note", message=one.error.message)
        if isinstance(one.error, UsageError):
            told = replace(told, hint='backend = "…" below [migrations] of raccord.toml')
        found.append(told)
    return list({one.message: one for one in found}.values())


def settled(healed: Healing, key: str) -> tuple[tuple[Step, ...], tuple[Finding, ...], Finding | None]:
    """What a heal does to a worktree: its steps, what a person should know, why the branch is held back."""
    steps: list[Step] = []
    notes: list[Finding] = []
    for site in healed.desk.sites:
        if str(site.tree.path) != key:
            continue
        held = healed.decisions[site.key].held
        if held is not None:
            held = replace(held, hint=here(held.hint, key))
            if held.name in HOLDING:
                return (), (*notes, *healed.decisions[site.key].notes), held
            notes.append(replace(held, status="note"))
        elif steps_here := healed.steps(site.key):
            steps += steps_here
            notes += healed.decisions[site.key].notes
    return tuple(steps), tuple(notes), None


def here(hint: str, worktree: str) -> str:
    """The next command, to be typed anywhere."""
    return hint.replace("raccord migrations", f"raccord -C {shown(shlex.quote(worktree))} migrations")


def _in_the_way(sight: Sight) -> tuple[dict[str, tuple[Step, ...]], dict[str, Finding]]:
    """Copies of a heal where the branch gets the file itself: the same makes room, another holds it back."""
    before: dict[str, tuple[Step, ...]] = {}
    held: dict[str, Finding] = {}
    hidden = copies(sight.room.repo.common)
    for key in sight.moving if hidden else ():
        tree, spare = sight.tree(key), []
        for path, blob in sight.coming(key).items():
            there = blob_at(tree.path, path, sight.room.repo) if path in hidden else ""
            if not there:
                continue
            if blob not in (there, _converted(sight, tree, path)):
                held[key] = _differs(sight, tree, path, blob)
                break
            spare.append((path, there, ""))
        else:
            if spare:
                count = f"{len(spare)} migrations" if len(spare) != 1 else "1 migration"
                title = f"make room for {count} that the branch gets itself"
                before[key] = (files_step(tree, spare, title),)
    return before, held


def _converted(sight: Sight, tree: Worktree, path: str) -> str:
    """The blob that git would make of a file: its end of lines may differ."""
    said = sight.room.repo.git.at(tree.path).run("hash-object", "--", path)
    return said.stdout.decode("ascii", "replace").strip()


def _differs(sight: Sight, tree: Worktree, path: str, blob: str) -> Finding:
    mine = fs.read(tree.path / path)
    theirs = sight.git.out("cat-file", "blob", blob)
    found = [read(source, os.path.basename(path)) for source in (mine, theirs)]
    ids = [shown(one.id) if isinstance(one, Revision) else "no revision" for one in found]
    brings = sight.moving[str(tree.path)].onto_name
    digests = [one.digest[:10] if isinstance(one, Revision) else "?" for one in found]
    said = (
        f"{shown(path)}: the copy that was put back here is {ids[0]} ({digests[0]}),"
        f" and {shown(brings)} brings {ids[1]} ({digests[1]})"
    )
    file = shown(shlex.quote(str(tree.path / path)))
    look = here(f"raccord migrations find {ids[0]} --diff", str(tree.path))
    data = {"path": path, "revisions": ids, "digests": digests}
    return Finding("migration.differs", "fail", said, f"{look}, and rm {file} if theirs is right", data)


def _upgrades(sight: Sight, desk: Desk, held: Mapping[str, Finding]) -> tuple[list[Lane], list[Finding]]:
    """A lane for each set of databases that lacks something of the base, and what is left to a person."""
    lanes: list[Lane] = []
    told: list[Finding] = []
    able = {key for key in (*sight.moving, *sight.still) if key not in held}
    for some in sharing(units_of(desk.sites)):
        fit = [unit for unit in some if str(unit[0].tree.path) in able]
        ready = [unit for unit in fit if str(unit[0].tree.path) not in sight.by_hand]
        if not fit:
            continue
        unit = _best(sight, ready or fit)
        if silent := [site for site in unit if site.heads is None]:
            told += [_unread(silent[0])] if _matters(sight, silent[0]) else []
            continue
        due = _due(sight, unit)
        if not due:
            continue
        listed = ", ".join(map(shown, due[:NAMED])) + (f" and {len(due) - NAMED} more" if due[NAMED:] else "")
        where = ", ".join(site.target.shown if site.target else "" for site in unit)
        command = here("raccord migrations upgrade", str(unit[0].tree.path))
        local = all(site.target is not None and site.target.local(libpq_defaults()) for site in unit)
        if sight.room.config.migrations.in_sync == "local" and not local:
            said = f"{where} is on another machine, and lacks {listed} of {shown(sight.base.name)}"
            told.append(Finding("migration.away", "note", said, command))
        elif not ready:
            said = f"{where} lacks {listed} of {shown(sight.base.name)}: upgrade it once the rebase is over"
            told.append(Finding("migration.later", "note", said, command))
        else:
            lanes.append(_upgrade(sight, unit, where, listed))
    return lanes, told


def _best(sight: Sight, units: Sequence[Unit]) -> Unit:
    """The one of the base's branch, else of the worktree that the person is in, else the first."""
    here = sight.room.here

    def rank(unit: Unit) -> tuple[bool, bool]:
        tree = unit[0].tree
        return tree.branch != sight.base.branch, here is None or tree.path != here.path

    return min(units, key=rank)


def _unread(site: Site) -> Finding:
    said = f"the database was not read, so nothing is applied to it: {site.unread}"
    return Finding("migration.unread", "note", said, site.unread_hint)


def _matters(sight: Sight, site: Site) -> bool:
    """Whether a person has to know: it should have answered, or migrations come that it may need."""
    answers = site.target is not None and site.target.kind != OTHER and not site.database.unclear
    key = str(site.tree.path)
    coming = sight.coming(key) if key in sight.moving else ()
    return answers or any(path.startswith(f"{folder}/") for path in coming for folder in site.folders)


def _due(sight: Sight, unit: Unit) -> list[str]:
    """The revisions of the base that databases of a unit lack, as far as can be told before the replay.

    Of a database to which nothing was ever applied nobody knows what it is: it lacks nothing.
    """
    site = unit[0]
    there = files(sight.git, sight.base.oid, site.folders)
    top = os.path.realpath(site.tree.path)
    here = {os.path.relpath(os.path.realpath(one.path), top): one.revision.id for one in site.loaded.files}
    lacking = [path for path in there if path not in here and is_revision_name(os.path.basename(path))]
    read_ = dict(Objects(sight.room.repo).read((there[path] for path in lacking), LARGEST))
    coming: list[Revision] = []
    for path in lacking:
        source = read_.get(there[path])
        found = read(source, os.path.basename(path)) if isinstance(source, bytes) else None
        if isinstance(found, Revision):
            coming.append(found)
    graph = site.graph.added(coming)
    ids = {here[path] for path in there if path in here} | {one.id for one in coming}
    missing: set[str] = set()
    for one in unit:
        heads = one.heads or frozenset()
        # Below a revision that is missing here lies nobody knows what: then only what is new counts.
        asked = ids if all(rev in graph for rev in heads) else {found.id for found in coming}
        missing |= asked - graph.ancestors(rev for rev in heads if rev in graph) if heads else set()
    return list(reversed(graph.order(missing)))


def _upgrade(sight: Sight, unit: Unit, where: str, listed: str) -> Lane:
    tree, section = unit[0].tree, unit[0].database.section
    key = str(tree.path)
    payload = {
        "do": "upgrade",
        "worktree": key,
        "section": section,
        "base": sight.base.oid,
        "locked": False,
    }
    title = f"apply {listed} of {shown(sight.base.name)}, after a backup"
    step = then_step(title, payload, (checkout(key),))
    name = f"{where} from {shown(tree.path.name)}"
    return Lane(f"{key}@{section}", name, (step,), needs=(key,), then=(THEN_UPGRADED,))


def _behind(sight: Sight, desk: Desk) -> tuple[Lane, ...]:
    """The lane that heals whatever an upgrade leaves behind: what is held back, red, or merged already."""
    waiting = {key for key, what in sight.decisions.items() if what.held and what.held.name == "unfinished"}
    keys = [str(tree.path) for tree in desk.trees if not tree.operation and str(tree.path) not in waiting]
    # A rebase that is open for a person is healed once it is over.
    sites = {str(site.tree.path) for site in desk.sites} - sight.by_hand
    keys = [key for key in keys if key in sites]
    if not keys:
        return ()
    payload = {"do": "heal", "worktrees": keys, "strict": False}
    step = then_step(LOOK, payload, tuple(map(checkout, keys)))
    return (Lane(BEHIND, "worktrees that stay behind", (step,), then=(THEN_HEALED,)),)
