"""The step that changes keys of the configuration's file, and nothing else of it."""

from __future__ import annotations

import contextlib
import hashlib
import tomllib
from collections.abc import Callable, Sequence

from raccord.config.edit import Splice, Unchangeable, found, lonely, opened, put_back
from raccord.errors import HeldBack, RaccordError, WorldMoved
from raccord.kernel import fs_objects
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step
from raccord.model.text import shown
from raccord.settings.plan import KIND, Change, Place, Trace, edited, of, standing, step

TRIES = 20
# Says why a document is no configuration that raccord takes: raises a ConfigError.
Check = Callable[[str, Place], object]


class SetHandler:
    """Writes the file anew, whole.

    Args:
        check: refuses what raccord would not read.
    """

    kind, version = KIND, 1

    def __init__(self, check: Check) -> None:
        self._check = check

    def probe(self, step: Step, context: Context) -> Position:
        """Reads the file."""
        place, some, _ = of(step)
        try:
            data, _ = fs_objects.content(place.root, place.file)
            return _position(opened(data)[0], some)
        except (RaccordError, ValueError):
            return Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        """Writes it; what somebody else writes to it meanwhile stays, and is changed in turn."""
        place, some, trace = of(step)
        for _ in range(TRIES - 1):
            with contextlib.suppress(WorldMoved):
                return self._apply(place, some, trace)
        return self._apply(place, some, trace)

    def _apply(self, place: Place, some: tuple[Change, ...], trace: Trace | None) -> Outcome:
        data, version = fs_objects.content(place.root, place.file)
        try:
            text, closed = opened(data)
            position = _position(text, some)
        except ValueError as error:
            said = f"{shown(place.file)} can't be read as TOML, so it isn't changed: {error}"
            raise _held("broken", said, place) from error
        if position is Position.NEITHER:
            raise WorldMoved(f"{shown(place.file)} says something else by now", path=place.file)
        splices: Sequence[Splice]
        if trace is not None and trace.digest == _digest(data):
            after = put_back(text, trace.splices)
            splices = [Splice(one.at, one.into, one.out) for one in reversed(trace.splices)]
        else:
            try:
                after, splices = edited(text, some)
            except Unchangeable as error:
                raise _held("unchangeable", str(error), place) from error
        if not after and trace is not None and trace.made:
            fs_objects.exchange(place.root, place.file, None, version)
            return Outcome()
        try:
            self._check(after, place)
        except RaccordError as error:
            raise _held("invalid", error.message, place) from error
        made = closed(after)
        fs_objects.exchange(place.root, place.file, made, version)
        if not all(map(lonely, splices)):
            return Outcome()  # another key's value may be secret, and stays in the file alone
        return Outcome(Trace(_digest(made), tuple(splices), not version).document())

    def revert(self, step: Step, context: Context) -> None:
        """The file is written whole or not at all."""

    def moved(self, step: Step, context: Context) -> str:
        """Which key has another value."""
        place, some, _ = of(step)
        try:
            document = tomllib.loads(opened(fs_objects.content(place.root, place.file)[0])[0])
        except (RaccordError, ValueError):
            return f"{shown(place.file)} can't be read"
        others = [one for one in some if standing(found(document, one.path)) != standing(one.old)]
        return ", ".join(".".join(one.path) for one in others)

    def inverse(self, done: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The same keys, back."""
        place, some, _ = of(done)
        return (step(place, [one.back for one in reversed(some)], Trace.read(outcome.record)),)


def _held(finding: str, said: str, place: Place) -> HeldBack:
    return HeldBack(said, hint=f"edit {shown(place.file)}", finding=f"config.{finding}")


def _position(text: str, some: tuple[Change, ...]) -> Position:
    document = tomllib.loads(text)
    values = [standing(found(document, one.path)) for one in some]
    if values == [standing(one.new) for one in some]:
        return Position.AFTER
    return Position.BEFORE if values == [standing(one.old) for one in some] else Position.NEITHER


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
