"""The step `data.restore`: puts rows that a push kept back, in one transaction as a push; see `steps.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raccord.data import kinds
from raccord.data.job import Job
from raccord.data.plan import Expected
from raccord.data.spec import Spec
from raccord.data.steps import Transaction, written_step
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.model.plan import Step

RESTORE = "data.restore"


def restore_step(
    spec: Spec,
    state: Path,
    id_: str,
    archive: str,
    target: Target,
    expected: Mapping[Name, Expected],
    commit: str,
) -> Step:
    """The step that puts rows back. See `push_step`.

    Args:
        archive: the one that keeps them.
    """
    return written_step(RESTORE, spec, state, id_, {"archive": archive}, target, expected, commit)


class RestoreHandler(Transaction):
    """Puts rows back that a push kept, whatever became of them since."""

    kind, version = RESTORE, 1

    def act(self, step: Step, job: Job, target: Target) -> None:
        """Puts them back."""
        kinds.of(target).put_back(job, target, step.payload["archive"])
