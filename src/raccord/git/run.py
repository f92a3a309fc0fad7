"""How raccord calls git: which settings every call carries, and what is switched off while it looks.

Nothing of the repository is executed to be looked at: `core.fsmonitor`, hooks, external diffs, `ext::`
remotes and filters or merge drivers that the repository's own configuration names are off in every
call that does not say `trusted=True` (a push or a fetch on the user's order, a commit's hooks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.errors import ProcessTimeout
from raccord.kernel import proc

# Holds for every call: no program of the tree, no automatic gc behind our back, no optional
# locks, no translated messages, durable objects and refs.
ALWAYS = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "core.fsync=objects,reference,index",
    "-c",
    "core.fsyncMethod=batch",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "advice.detachedHead=false",
    # Someone else's short lock is waited for (ms; git's own 100 and 1000 are less than a busy disk takes).
    "-c",
    "core.filesRefLockTimeout=2000",
    "-c",
    "core.packedRefsTimeout=5000",
)
# An embedded bare repository may come with a clone; a user's own hooks must not meet this setting, so
# a trusted call leaves it out.
LOOKING = (
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.pager=cat",
)
ENVIRONMENT = {
    "GIT_ADVICE": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LANGUAGE": "",  # older C libraries heed it even where the locale is C.UTF-8
    "LC_ALL": "C.UTF-8",
    # Values for `--config-env`, which alone can name a key with "=" in it (`git/config.py`).
    "RACCORD_EMPTY": "",
    "RACCORD_FALSE": "false",
    "RACCORD_NONE": "none",
}


@dataclass(frozen=True, slots=True)
class Git:
    """Git at one place.

    Attributes:
        cwd: a worktree's top directory, or the directory of a bare repository.
        settings: further `-c` settings of this repository, such as filters switched off.
        env: further variables, such as a private index or object directory.
    """

    cwd: Path
    settings: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def at(self, cwd: Path) -> Git:
        """The same settings at another place."""
        return replace(self, cwd=cwd)

    def using(self, **env: str) -> Git:
        """The same place with more variables set."""
        return replace(self, env={**self.env, **env})

    def ordered(self) -> Git:
        """The same place for a change that the user ordered: the repository's own filters run."""
        return replace(self, settings=())

    def argv(self, *args: str, trusted: bool = False) -> list[str]:
        """The full command line of a call."""
        looking = () if trusted else (*LOOKING, *self.settings)
        return ["git", *ALWAYS, *looking, *args]

    def environment(self) -> dict[str, str]:
        """The variables that a call sets on top of the scrubbed environment."""
        return {**ENVIRONMENT, **self.env}

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        trusted: bool = False,
        timeout: float | None = 600.0,
        limit: int = proc.OUTPUT_LIMIT,
    ) -> proc.Result:
        """Runs git and returns how it ended, failed or not.

        Args:
            limit: bytes of output above which it is ended.

        Raises:
            ProcessFailed: it said more than `limit` bytes.
            ProcessTimeout: it ran longer than `timeout` seconds.
            CannotRun: `cwd` is not there.
        """
        words = list(args)
        while words[:1] == ["-c"]:
            del words[:2]
        brief = ("git", *words)  # the settings of a call say nothing to a reader
        try:
            result = proc.run(
                self.argv(*args, trusted=trusted),
                cwd=self.cwd,
                stdin=stdin,
                env=self.environment(),
                timeout=timeout,
                limit=limit,
            )
        except ProcessTimeout as error:
            raise ProcessTimeout(brief, error.returncode, error.stderr, hint=error.hint) from None
        return replace(result, argv=brief)

    def out(self, *args: str, stdin: bytes = b"", trusted: bool = False) -> bytes:
        """Runs git and returns its standard output.

        Raises:
            ProcessFailed: git failed.
        """
        return self.run(*args, stdin=stdin, trusted=trusted).check().stdout

    def line(self, *args: str, stdin: bytes = b"") -> str:
        """Runs git and returns its output as one stripped line of text."""
        return self.out(*args, stdin=stdin).decode("utf-8", "surrogateescape").strip()

    def ok(self, *args: str, stdin: bytes = b"") -> bool:
        """Whether git ended with 0."""
        return self.run(*args, stdin=stdin).returncode == 0


def strings(data: bytes) -> Sequence[str]:
    """Splits NUL-separated output into paths or fields, undecodable bytes escaped as surrogates."""
    parts = data.split(b"\0")
    if parts and parts[-1] == b"":
        parts.pop()
    return [part.decode("utf-8", "surrogateescape") for part in parts]
