"""A set of tables as one push takes it: frozen data that goes into a plan and comes back. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from raccord.errors import WorldMoved
from raccord.model.masks import parse
from raccord.model.plan import Json
from raccord.model.text import shown

REPLACE, INSERT, UPSERT, MIRROR = "replace", "insert", "upsert", "mirror"
# What each mode does with rows that only the source has, that differ, and that only the target has.
ADDS = frozenset({REPLACE, INSERT, UPSERT, MIRROR})
ALL = "all"  # tables outside the set give rows to a closure as well
CHANGES = frozenset({REPLACE, UPSERT, MIRROR})
REMOVES = frozenset({REPLACE, MIRROR})


@dataclass(frozen=True, slots=True)
class Spec:
    """A set, its two ends, and how.

    Attributes:
        name: of the set.
        origin, goal: names of environments.
        tables, mode, where, closure, exclude, mask, secrets, triggers, lock_seconds, statement_seconds, swap:
            see `config.DataSet`.
        allow_empty: whether an empty source may empty the target.
        verb: "push" or "pull".
        command: plans it anew, where that is neither of them; else "".
        masking: whether columns are masked that may hold secrets or personal data by their names.
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
    swap: bool = True
    allow_empty: bool = False
    verb: str = "push"
    masking: bool = False
    command: str = ""
    closure: bool | str = False

    @property
    def again(self) -> str:
        """The command that plans it anew."""
        if self.command:
            return self.command
        ends = f"--from {self.origin} --to {self.goal}" if self.verb == "pull" else f"--to {self.goal}"
        return f"raccord data {self.verb} {shown(self.name)} {ends}"

    def document(self) -> dict[str, Json]:
        """Itself for JSON. Of what the set says in SQL only a fingerprint: values stand there."""
        return {
            **asdict(self),
            "tables": list(self.tables),
            "exclude": list(self.exclude),
            "where": {name: fingerprint(text) for name, text in self.where.items()},
            "mask": {name: fingerprint(text) for name, text in self.mask.items()},
        }

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Spec:
        """Reads `document` back; what the set says in SQL comes with `filled`."""
        known = {one.name: said[one.name] for one in fields(cls) if one.name in said}
        return cls(**{**known, "tables": tuple(said["tables"]), "exclude": tuple(said["exclude"])})

    def filled(self, where: Mapping[str, str], mask: Mapping[str, str]) -> Spec:
        """With the SQL of the configuration.

        Raises:
            WorldMoved: it is not what was planned with.
        """
        made = replace(self, where=where, mask=mask)
        if [made.document()[what] for what in ("where", "mask")] != [self.where, self.mask]:
            raise WorldMoved(f"[data.{shown(self.name)}] has another where or mask by now", hint=self.again)
        return made


def conditioned(text: str) -> str:
    """What tells the condition of a table's rows from another and doesn't show it; "" for all rows."""
    return fingerprint(text) if text else ""


def fingerprint(text: str) -> str:
    """What tells one text from another and doesn't show it; a mask that has a name is shown."""
    mask = parse(text)
    if mask is not None and not mask.text:
        return mask.shown
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
