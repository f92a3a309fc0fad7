"""Finds the database of a named environment. What was read on the way is in no message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raccord.config import Config, Environment, Secret, expanded
from raccord.database.url import Target, parse
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.kernel import fs, proc
from raccord.model.text import shown

SECONDS = 60.0  # that a command may take to print a URL


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
        said = self._said(name, source)
        try:
            return parse(said, self.top)
        except RaccordError as error:
            raise CannotRun(f"the database of {name}: {error.message}", hint=error.hint) from None

    def _said(self, name: str, source: Secret) -> str:
        if source.kind == "text":
            return source.words[0]
        if source.kind == "env":
            value = self.variable(source.words[0])
            if not value:
                what = source.words[0]
                raise CannotRun(
                    f"the variable {what}, which has the database of {name}, is not set",
                    hint=f"export {what}=postgresql://…",
                )
            return value
        said = (
            self._file(name, source.words[0]) if source.kind == "file" else self._command(name, source.words)
        )
        lines = said.strip().splitlines()
        if len(lines) != 1:
            what = "one line" if not lines else "one line, and no more"
            raise CannotRun(f"the database of {name} is to be {what}: it comes from a {source.kind}")
        return lines[0]

    def _file(self, name: str, path: str) -> str:
        place = self.top / expanded(path)
        try:
            return fs.read(place).decode()
        except FileNotFoundError:
            raise CannotRun(f"{shown(str(place))}, which has the database of {name}, is not there") from None
        except UnicodeDecodeError:
            raise CannotRun(f"{shown(str(place))} is no text") from None

    def _command(self, name: str, words: tuple[str, ...]) -> str:
        done = proc.run(words, cwd=self.top, timeout=SECONDS)
        if done.returncode:
            raise CannotRun(
                f"{shown(words[0])}, which prints the database of {name}, failed ({done.returncode})",
                hint="run it by hand: what it says may be secret, and is not shown here",
            )
        return done.stdout.decode("utf-8", "surrogateescape")
