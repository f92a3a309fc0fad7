"""`raccord migrations merge`: joins the heads of a worktree's history by a revision that changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from raccord.errors import UsageError
from raccord.kernel.record import RunRecord
from raccord.migrations.steps import files_step
from raccord.migrations.writing import file_name, moment, source
from raccord.model.options import MergeOptions
from raccord.model.plan import Finding, Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs.migration_branch import Branch, blob, branches, fresh_id, style_of, title_of
from raccord.verbs.migration_desk import Desk, chosen
from raccord.verbs.migrations import carried_out
from raccord.verbs.room import Room


def merge(room: Room, options: MergeOptions) -> tuple[Plan, RunRecord | None]:
    """Joins the heads of each history of this worktree.

    Raises:
        UsageError: no message, or nothing to join.
        CannotRun: no alembic environment here, or its history is not whole.
    """
    if not options.message.strip():
        raise UsageError(
            "a merge needs a message", hint="raccord migrations merge -m 'join basket and search'"
        )
    return carried_out(room, lambda: plan(room, options), options.dry_run, every=False)


def plan(room: Room, options: MergeOptions) -> Plan:
    """Observes and decides; without `dry_run` the text of a new revision is kept among git's objects."""
    desk = Desk(room, chosen(room, every=False), options.backend)
    found = branches(desk)
    several = [one for one in found if len(one.graph.heads) > 1]
    if not several:
        raise _nothing(found)
    lanes = [_lane(desk, one, options) for one in several]
    return Plan("migrations merge", (Stage("merge", tuple(lanes)),), by=options.by)


def _nothing(found: Sequence[Branch]) -> UsageError:
    others = [head for one in found for head in one.site.graph.heads if head not in one.graph]
    if others:
        named = ", ".join(map(shown, others[:4]))
        return UsageError(
            f"this branch has one head; {named}: of other branches, and kept out of this one's commits",
            hint="raccord migrations list",
        )
    heads = ", ".join(map(shown, (head for one in found for head in one.graph.heads))) or "no revision"
    return UsageError(
        f"there is nothing to merge: the history ends in {heads}", hint="raccord migrations heads"
    )


def _lane(desk: Desk, branch: Branch, options: MergeOptions) -> Lane:
    site = branch.site
    branch.whole()
    heads = branch.graph.heads
    folder = branch.folder(heads[0])
    created = moment(time.time(), site.database.timezone)
    id_ = fresh_id(desk)
    name = file_name(site.database, id_, options.message, created)
    text = source(id_, heads, options.message, created, style_of(site))
    path = f"{folder}/{name}" if folder else name
    listed = ", ".join(map(shown, heads))
    note = Finding(
        "migration.merge", "note", f"{shown(path)}: {id_} joins {listed}", "", {"id": id_, "path": path}
    )
    # Kept where an undo of the undo finds it.
    change = (path, "", blob(desk.room, text, keep=not options.dry_run))
    step = files_step(site.tree, [change], f"write {shown(path)}: join {listed}")
    return Lane(site.key, title_of(site.tree), (step,), notes=(note,))
