"""Finds the database of a named environment. What was read on the way is in no message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raccord.config import Config, Environment
from raccord.database.url import Target, parse
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.kernel import secret
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments of a configuration.

    Attributes:
        top: where relative paths start, and where commands run.
        variable: reads a variable of the environment, None where it isn't set.
    """

    config: Config
    top: Path
    variable: Callable[[str], str | None]

    def environment(self, name: str) -> Environment:
        """An environment by its name.

        Raises:
            UsageError: there is none.
        """
        found = self.config.environments.get(name)
        if found is None:
            known = ", ".join(sorted(self.config.environments)) or "none"
            raise UsageError(
                f"there is no environment {shown(name)}; known: {known}",
                hint=f"add [environments.{shown(name)}] to raccord.toml",
            )
        return found

    def target(self, name: str) -> Target:
        """The database of an environment.

        Raises:
            UsageError: there is no such environment.
            CannotRun: where its URL comes from says nothing, or what it says is none.
        """
        source = self.environment(name).database
        if source is None:
            raise CannotRun(
                f"the environment {name} has no database", hint=f"set database in [environments.{name}]"
            )
        said = secret.read(source, f"the database of {name}", self.top, self.variable, "postgresql://…")
        try:
            return parse(said, self.top)
        except RaccordError as error:
            raise CannotRun(f"the database of {name}: {error.message}", hint=error.hint) from None
