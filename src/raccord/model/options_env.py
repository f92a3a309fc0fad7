"""What the `env` verbs may be asked to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnvExecOptions:
    """What is run where an environment is.

    Attributes:
        name: of the environment.
        words: the command: one is a line for the shell there, several are passed on as they are.
        yes_to: the name of the protected environment where it may run.
        dry_run: only say what would run, and where.
    """

    name: str
    words: tuple[str, ...]
    yes_to: str = ""
    dry_run: bool = False
