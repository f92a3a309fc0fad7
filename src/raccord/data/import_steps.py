"""The step `data.import`: brings rows of files into a set, in one transaction as a push; see `steps.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from raccord.data import kinds
from raccord.data.job import Job
from raccord.data.loads import Source
from raccord.data.plan import Expected
from raccord.data.spec import Spec
from raccord.data.steps import Resolve, Sql, Transaction, written_step
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.model.plan import Json, Step

IMPORT = "data.import"

# Leads from what a step says of its files to what is in them.
Open = Callable[[Mapping[str, Json]], contextlib.AbstractContextManager[Source]]


def import_step(
    spec: Spec,
    state: Path,
    id_: str,
    what: Mapping[str, Json],
    target: Target,
    expected: Mapping[Name, Expected],
    commit: str,
) -> Step:
    """The step that imports. See `push_step`.

    Args:
        what: leads to the files again, and says of what they must be.
    """
    return written_step(IMPORT, spec, state, id_, {"from": dict(what)}, target, expected, commit)


class ImportHandler(Transaction):
    """Imports into a set in one transaction. What is in files was masked before, so masks have no say.

    Args:
        opens: leads to the files.
    """

    kind, version = IMPORT, 1

    def __init__(self, resolve: Resolve, wait: float, sql: Sql, opens: Open) -> None:
        super().__init__(resolve, wait, sql)
        self._opens = opens

    def act(self, step: Step, job: Job, target: Target) -> None:
        """Imports."""
        where, _ = self._sql(job.spec.name)
        spec = job.spec.filled(where, {})
        with self._opens(step.payload["from"]) as source:
            kinds.of(target).bring(replace(job, spec=spec), source, target)
