"""The step that takes down revisions whose files nobody has any more; recovery asks the version table.

alembic gets their files from raccord's own store, in a folder of raccord's: none comes into a worktree. The
driver takes down exactly these revisions, and connects to nothing but the databases that are meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from raccord.database.keeping import new_id
from raccord.database.lock import Held
from raccord.errors import WorldMoved
from raccord.kernel import fs, proc
from raccord.migrations.archive import Content
from raccord.migrations.backups import backup_step, restore_step
from raccord.migrations.driving import PROGRAM, UNBUFFERED, Lead, downs, interpreter, order_line
from raccord.migrations.graph import Graph
from raccord.migrations.proving import lay_out
from raccord.migrations.revision import Revision, read
from raccord.migrations.rollback import position
from raccord.migrations.runner import variables
from raccord.migrations.standing import Standing
from raccord.migrations.upgrade_steps import Order, Part, UpgradeHandler
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step
from raccord.model.text import shown

ROLLBACK = "migration.rollback"
FOLDER = "versions"  # below raccord's own state


def _folder(order: Order, context: Context) -> Path:
    """Where the files are for a lane of a run."""
    lane = hashlib.sha256(context.lane.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return order.state / FOLDER / f"{context.run}-{lane}"


class RollbackHandler(UpgradeHandler):
    """Takes revisions down, and says where that left the databases. All else is as with an upgrade."""

    kind, version, verb = ROLLBACK, 1, "rollback-phantoms"

    def apply(self, step: Step, context: Context) -> Outcome:
        """Takes them down, or finds that it was done."""
        try:
            return super().apply(step, context)
        finally:
            fs.remove_tree(_folder(Order.of(step), context))  # a killed one's too

    def _lent(self, order: Order) -> list[Content]:
        """The files that alembic gets from raccord's store.

        Raises:
            WorldMoved: the store has lost one.
        """
        found = self._archive.contents([order.digests[one] for one in order.lent])
        if len(found) != len(order.lent):
            raise WorldMoved(
                "raccord's own store no longer has the files of this plan",
                hint=f"raccord migrations {self.verb}",
            )
        return found

    def _positions(self, order: Order, standings: Sequence[Standing]) -> list[Position]:
        found = []
        lent: list[Revision] | None = None
        for part, standing in zip(order.parts, standings, strict=True):
            now, before, after = standing.heads(), frozenset(part.before), frozenset(part.after)
            graph = Graph()
            if now not in (before, after):
                if lent is None:
                    files = (read(one.source, one.name) for one in self._lent(order))
                    lent = [one for one in files if isinstance(one, Revision)]
                graph = standing.graph().added(lent)
            found.append(position(now, before, after, part.pending, graph))
        return found

    def _alembic(
        self,
        order: Order,
        standings: Sequence[Standing],
        log: IO[bytes],
        held: Mapping[str, Held],
        context: Context,
    ) -> int:
        """Takes down exactly the revisions of the plan; returns the driver's status."""
        how = interpreter(order.start)
        site = standings[0]
        gone = list(dict.fromkeys(one for part in order.parts for one in part.pending))
        leads = [Lead(one.target, one.target, held[one.target.key].key) for one in standings]
        folder = _folder(order, context)
        fs.remove_tree(folder)
        fs.make_dirs(folder)
        lay_out(folder, self._lent(order))
        context.say(f"taking down {', '.join(map(shown, gone))}")
        lines = [
            order_line(how, site.database, leads, nonce="", versions=[folder]),
            json.dumps(downs(gone)).encode(),
            b"",
        ]
        return proc.logged(
            [*how.words, str(PROGRAM)],
            cwd=site.project.backend,
            log=log,
            stdin=b"\n".join(lines),
            keep=[one.handle for one in held.values()],
            env={**variables(site.project), **UNBUFFERED},
            cancelled=context.cancelled,
        )

    def _counted(self, order: Order) -> dict[str, Json]:
        """Nothing: nobody is told that it was applied."""
        return {}

    def _record(self, key: str, part: Part, sources: Mapping[str, Content]) -> None:
        """Remembers what is no longer applied."""
        self._archive.taken_back(key, part.pending)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Brings the backups back, as long as the databases are where the run left them."""
        order = Order.of(step)
        left = outcome.record.get("left") or [list(part.after) for part in order.parts]
        steps: list[Step] = []
        for part, heads in zip(order.parts, left, strict=True):
            rescue = new_id()
            again = {one: order.digests[one] for one in part.pending if one in order.digests}
            steps += [
                backup_step(part.named, order.state, heads, rescue),
                restore_step(part.named, order.state, part.backup, rescue, heads, part.before, (), again),
            ]
        return tuple(steps)
