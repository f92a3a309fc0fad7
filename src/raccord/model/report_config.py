"""What the `config` verbs answer with; see `report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raccord.model.plan import Json


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration, as it is in force.

    Attributes:
        key: its dotted name.
        value: as TOML has it; null where it has none, or is hidden.
        origin: where it comes from.
        where: the file and its line, or the variable; "" for a default.
        hidden: whether its value may be secret, and isn't shown.
        expected: what it takes, in words.
        doc: what it is for.
    """

    key: str
    value: Json
    origin: Literal["file", "default", "environment"]
    where: str
    hidden: bool
    expected: str
    doc: str
