"""What follows a consolidation, where it is asked for: journals are rolled, the report is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from raccord.coordination.keeper import Consolidated
from raccord.coordination.running import Running
from raccord.errors import RaccordError
from raccord.verbs.journals import roll
from raccord.verbs.report_commit import settle
from raccord.verbs.room import Room

log = logging.getLogger("raccord.coordination")


def afterwards(room: Room) -> tuple[str, dict[str, str]]:
    """Does both.

    Returns:
        The commit, "" where none was made; and for "commit" and "journals" why not, "" where all is well.
    """
    rolled = roll(room)
    made, why = settle(room)
    return made, {"commit": why, "journals": rolled}


@dataclass
class Afterwards:
    """Does both after each consolidation of a running service.

    Attributes:
        opened: opens the workspace anew, for one time.
    """

    running: Running
    opened: Callable[[], Room]

    def start(self) -> None:
        """Listens."""
        self.running.keeper.consolidated.append(self._consolidated)

    def stop(self) -> None:
        """Ends it; what is left to do is done after the next consolidation."""
        self.running.keeper.consolidated.remove(self._consolidated)

    def _consolidated(self, one: Consolidated) -> None:
        try:
            room = self.opened()
            try:
                troubles = afterwards(room)[1]
            finally:
                room.close()
        except RaccordError as error:
            troubles = {"commit": error.message}
        for what, why in troubles.items():
            if why and self.running.errors.get(what) != why:
                log.error("Error in %s: %s", what, why)
            if why:
                self.running.errors[what] = why
            else:
                self.running.errors.pop(what, None)
