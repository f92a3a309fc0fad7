"""What a check of the surroundings found: frozen data in no language yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raccord.model.language import Message

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding.

    Attributes:
        name: which check, as a dotted name ("watch.files").
        state: "problem" where something does not work, "warning" where it soon may not, or not as expected.
        what: what was found.
        why: what follows from it, or what it may come from; None where nothing does.
        next: the command to type, or "".
    """

    name: str
    state: State
    what: Message
    why: Message | None = None
    next: str = ""
