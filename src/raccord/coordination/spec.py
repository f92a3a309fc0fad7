"""What is watched and when it is consolidated, as one running service takes it: frozen data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.config import WATCHES, Coordination
from raccord.coordination.watched import anchored
from raccord.model.coordination import FileState, Root, Trigger
from raccord.model.language import ENGLISH
from raccord.model.plan import Json

REPORT = "SYNC_STATUS.md"
ARCHIVE = "SYNC_STATUS_ARCHIVE.md"

Roots = Callable[[], Sequence[Root]]


@dataclass(frozen=True, slots=True)
class Past:
    """What was known of the files of a root before.

    Attributes:
        files: by path.
        content: leads from a checksum to what had it; None where that was not kept.
    """

    files: Mapping[str, FileState] = field(default_factory=dict)
    content: Callable[[str], bytes | None] = lambda checksum: None

    def of(self, path: str) -> bytes | None:
        """The content of a path: nothing of one that was not there, None where it was not kept."""
        known = self.files.get(path)
        return b"" if known is None else self.content(known.checksum)

    def since(self, paths: Iterable[str]) -> float:
        """When the one of them was seen that was last seen longest ago, in Unix seconds."""
        return min((self.files[path].seen for path in paths if path in self.files), default=0.0)


# For the paths of a root, what was found (None: no file) and what was before: who made that, and by what
# it is known.
Owners = Callable[[Root, Mapping[str, bytes | None], Past], Mapping[str, tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Spec:
    """How to watch and consolidate.

    Attributes:
        watches: patterns below each root, see `watched.anchored`.
        check_seconds: between two full looks.
        trigger_seconds: between two looks at the triggers.
        threshold: pending changes from which on they are consolidated.
        interval_minutes: since the last consolidation, after which pending changes are consolidated.
        report, archive: where the reports go, and the older ones of them, below the reporting root.
        kept: reports that stay in the document.
        language: of the reports.
    """

    watches: tuple[str, ...] = WATCHES
    check_seconds: float = 30.0
    trigger_seconds: float = 60.0
    threshold: int = 5
    interval_minutes: float = 60.0
    report: str = REPORT
    archive: str = ARCHIVE
    kept: int = 20
    language: str = ENGLISH

    @classmethod
    def configured(cls, said: Coordination, language: str) -> Spec:
        """What the configuration asks for."""
        return cls(
            watches=said.watch,
            check_seconds=float(said.check_interval_seconds),
            trigger_seconds=float(said.trigger_check_seconds),
            threshold=said.threshold,
            interval_minutes=float(said.interval_minutes),
            report=said.report,
            archive=said.archive,
            kept=said.reports_kept,
            language=language,
        )

    @property
    def patterns(self) -> tuple[str, ...]:
        """The watches as they are matched."""
        return anchored(self.watches)


def due(spec: Spec, pending: int, last: float, now: float) -> tuple[Trigger, dict[str, Json]] | None:
    """Which trigger fires, and on what conditions; None where none does.

    Args:
        pending: how many changes are pending.
        last: when the last consolidation was, else since when changes are gathered, in Unix seconds.
        now: in Unix seconds. A clock that went back delays nothing for longer than the interval.
    """
    if pending >= spec.threshold > 0:
        return "threshold", {"pending_changes": pending, "threshold": spec.threshold}
    minutes = (now - last) / 60
    if pending and (minutes >= spec.interval_minutes or minutes < -1):
        return "time_based", {
            "pending_changes": pending,
            "interval_minutes": spec.interval_minutes,
            "elapsed_minutes": round(max(0.0, minutes), 1),
        }
    return None


def reporting(roots: Sequence[Root], name: str = "") -> Root | None:
    """The root whose document takes the reports: the one of that name, else the main one."""
    if name:
        wanted = [one for one in roots if name in (one.name, one.path) or Path(one.path) == Path(name)]
    else:
        wanted = [one for one in roots if one.main] or list(roots[:1])
    return wanted[0] if wanted else None


def named(roots: Sequence[Root], home: Root) -> Mapping[str, str]:
    """What to call each root in a report that stands in `home`."""
    return {one.path: "" if one.path == home.path else one.name for one in roots}
