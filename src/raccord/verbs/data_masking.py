"""The word, and the reason, with which rows go without the masks of a pull."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from raccord.data.exposure import MASKING
from raccord.errors import UsageError
from raccord.model.options_data import DataExportOptions, DataImportOptions, DataPullOptions
from raccord.model.plan import Waiver


def reason(options: DataPullOptions | DataExportOptions | DataImportOptions, again: Sequence[str]) -> str:
    """Why nothing is masked, "" where what is to be masked is.

    Args:
        again: the command to be typed, as far as `--reason`.

    Raises:
        UsageError: nothing is to be masked and no reason is given, or the other way round.
    """
    found = options.reason.strip()
    if options.unmasked != bool(found):
        said = (
            "--unmasked needs --reason TEXT, which is kept"
            if options.unmasked
            else "--reason is for --unmasked"
        )
        raise UsageError(said, hint=f'{shlex.join(again)} --reason "…"')
    return found


def waived(reason: str, by: str) -> tuple[Waiver, ...]:
    """What the journal keeps of it."""
    return (Waiver(MASKING, by, reason),) if reason else ()
