"""`raccord migrations merge`: joins the heads of a worktree's history by a revision that changes nothing."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from raccord.errors import CannotRun, UsageError
from raccord.git.run import strings
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.migrations.faults import findings
from raccord.migrations.graph import Graph
from raccord.migrations.loading import File
from raccord.migrations.merge import Style, file_name, moment, source
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.steps import files_step
from raccord.model.options import MergeOptions
from raccord.model.plan import Finding, Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs.migrations import Desk, carried_out, chosen
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
    sites: dict[tuple[Path, ...], Site] = {}
    for one in desk.found:
        if isinstance(one, Unfound):
            raise one.error
        sites.setdefault(one.database.versions, one)  # several databases may follow one history
    histories = [(site, _own(desk, site)) for site in sites.values()]
    several = [(site, files, graph) for site, (files, graph) in histories if len(graph.heads) > 1]
    if not several:
        raise _nothing(histories)
    lanes = [_lane(desk, site, files, graph, options) for site, files, graph in several]
    return Plan("migrations merge", (Stage("merge", tuple(lanes)),), by=options.by)


def _own(desk: Desk, site: Site) -> tuple[list[File], Graph]:
    """The branch's own part of a history: what is kept out of commits belongs to others."""
    top = os.path.realpath(site.tree.path)
    paths = {os.path.relpath(os.path.realpath(one.path), top): one for one in site.loaded.files}
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths if not path.startswith(".."))
    git = desk.room.repo.git.at(site.tree.path)
    ended = git.run("check-ignore", "-z", "--stdin", stdin=asked)
    if ended.returncode not in (0, 1):  # 1: none is ignored
        ended.check()
    ignored = set(strings(ended.stdout))
    files = [one for path, one in paths.items() if path not in ignored]
    return files, Graph(file.revision for file in files)


def _nothing(histories: Sequence[tuple[Site, tuple[list[File], Graph]]]) -> UsageError:
    others = [head for site, (_, own) in histories for head in site.graph.heads if head not in own]
    if others:
        named = ", ".join(map(shown, others[:4]))
        return UsageError(
            f"this branch has one head; {named} is another branch's, and kept out of this one's commits",
            hint="raccord migrations list",
        )
    heads = ", ".join(map(shown, (head for _, (_, own) in histories for head in own.heads))) or "no revision"
    return UsageError(
        f"there is nothing to merge: the history ends in {heads}", hint="raccord migrations heads"
    )


def _lane(desk: Desk, site: Site, files: Sequence[File], graph: Graph, options: MergeOptions) -> Lane:
    tree, database = site.tree, site.database
    wrong = findings(graph, site.loaded)
    if wrong:
        raise CannotRun(f"the history is not whole: {wrong[0].message}", hint=wrong[0].hint)
    folder = _folder(site, files, graph.heads[0])
    heads = graph.heads
    created = moment(time.time(), database.timezone)
    id_ = _id(desk)
    name = file_name(database, id_, options.message, created)
    template = fs.read_or_none(database.script / "script.py.mako") or b""
    text = source(id_, heads, options.message, created, Style.of(template.decode("utf-8", "replace")))
    path = f"{folder}/{name}" if folder else name
    git = desk.room.repo.git
    # Written where an undo of the undo finds it; a plan alone leaves no object behind.
    store = () if options.dry_run else ("-w",)
    blob = git.line("hash-object", *store, "--stdin", stdin=text)
    listed = ", ".join(map(shown, heads))
    note = Finding(
        "migration.merge", "note", f"{shown(path)}: {id_} joins {listed}", "", {"id": id_, "path": path}
    )
    title = f"{shown(tree.path.name)} ({shown(tree.branch)})" if tree.branch else shown(tree.path.name)
    step = files_step(tree, [(path, "", blob)], f"write {shown(path)}: join {listed}")
    return Lane(site.key, title, (step,), notes=(note,))


def _folder(site: Site, files: Sequence[File], head: str) -> str:
    """The version folder of a head, relative to the worktree."""
    top = os.path.realpath(site.tree.path)
    place = next(os.path.realpath(one.path) for one in files if one.revision.id == head)
    homes = [
        one
        for one in site.folders
        if os.path.commonpath([place, os.path.join(top, one)]) == os.path.join(top, one).rstrip("/")
    ]
    if not homes:
        raise CannotRun(
            f"the version folder of {shown(head)} lies outside of this worktree",
            hint="raccord migrations find HEAD",
        )
    return max(homes, key=len)


def _id(desk: Desk) -> str:
    """An id as alembic makes them, and that nobody has anywhere."""
    while desk.sources.matching(made := secrets.token_hex(6)):
        pass
    return made
