"""A set of tables as one push takes it: frozen data that goes into a plan and comes back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from raccord.model.plan import Json

REPLACE, INSERT, UPSERT, MIRROR = "replace", "insert", "upsert", "mirror"
# What each mode does with rows that only the source has, that differ, and that only the target has.
ADDS = frozenset({REPLACE, INSERT, UPSERT, MIRROR})
CHANGES = frozenset({REPLACE, UPSERT, MIRROR})
REMOVES = frozenset({REPLACE, MIRROR})


@dataclass(frozen=True, slots=True)
class Spec:
    """A set, its two ends, and how.

    Attributes:
        name: of the set.
        origin, goal: names of environments.
        tables, mode, where, exclude, mask, secrets, triggers, lock_seconds, statement_seconds: see
            `config.DataSet`.
        allow_empty: whether an empty source may empty the target.
    """

    name: str
    origin: str
    goal: str
    tables: tuple[str, ...]
    mode: str = REPLACE
    where: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    mask: Mapping[str, str] = field(default_factory=dict)
    secrets: str = "exclude"
    triggers: str = "refuse"
    lock_seconds: int = 10
    statement_seconds: int = 3600
    allow_empty: bool = False

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        said = asdict(self)
        return {**said, "tables": list(self.tables), "exclude": list(self.exclude)}

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Spec:
        """Reads `document` back."""
        known = {one.name: said[one.name] for one in fields(cls)}
        return cls(**{**known, "tables": tuple(said["tables"]), "exclude": tuple(said["exclude"])})
