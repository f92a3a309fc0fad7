"""What git's configuration says, from one listing, and what of it must not run while raccord looks.

Nothing here writes a configuration. Settings of the scopes "local" and "worktree" are the repository's
own and may be hostile; "global", "system" and "command" are the user's and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

OWN_SCOPES = frozenset({"local", "worktree"})

LISTING = ("config", "--list", "-z", "--show-scope", "--show-origin", "--includes")

# The value under which a program that a key names isn't run, by section and name; tested one by one.
# A merge driver can't be unnamed, and an empty one kills the whole merge: `false` makes each file that
# both sides changed a conflict. A filter without a command is no filter.
_NEUTRAL = {
    ("core", "alternaterefscommand"): "false",
    ("core", "askpass"): "false",
    ("core", "sshcommand"): "false",
    ("credential", "helper"): "",
    ("diff", "command"): "false",
    ("diff", "external"): "false",
    ("diff", "textconv"): "false",
    ("filter", "clean"): "",
    ("filter", "process"): "",
    ("filter", "required"): "false",
    ("filter", "smudge"): "",
    ("gpg", "defaultkeycommand"): "false",
    ("gpg", "program"): "false",
    ("log", "showsignature"): "false",
    ("merge", "driver"): "false",
    ("submodule", "update"): "none",
}
_FILTERS = frozenset({"clean", "process", "smudge"})
# Where the repository says what a connection runs (a missing object of a partial clone opens one),
# looking opens none: some of these, such as core.gitProxy, heed the first value and not ours.
_NETWORK = frozenset(
    {
        ("core", "askpass"),
        ("core", "gitproxy"),
        ("core", "sshcommand"),
        ("credential", "helper"),
        ("remote", "receivepack"),
        ("remote", "uploadpack"),
        ("remote", "vcs"),
    }
)
_PROTOCOLS = ("file", "ftp", "ftps", "git", "http", "https", "ssh")
# Harmless programs of the user's PATH: `merge.ours.driver = true` is a common recipe.
_HARMLESS_DRIVERS = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of git's configuration.

    Attributes:
        scope: "system", "global", "local", "worktree" or "command".
        origin: where it stands, such as "file:.git/config".
        key: with section and name in lower case, the subsection as written.
        value: "true" where the key stands alone.
    """

    scope: str
    origin: str
    key: str
    value: str

    @property
    def own(self) -> bool:
        """Whether the repository itself brings it."""
        return self.scope in OWN_SCOPES

    @property
    def kind(self) -> tuple[str, str]:
        """Section and name, without the subsection."""
        return self.key.partition(".")[0], self.key.rpartition(".")[2]


@dataclass(frozen=True)
class Settings:
    """Every setting that git reads at one place, in git's order (the last one wins).

    Attributes:
        entries: what holds here.
        elsewhere: what only other worktrees of the repository read.
    """

    entries: tuple[Entry, ...] = ()
    elsewhere: tuple[Entry, ...] = field(default=(), repr=False)

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for entry in self.entries:
            values.setdefault(entry.key, []).append(entry.value)
        return values

    def get(self, key: str, default: str = "") -> str:
        """The value that holds (the last one), or `default`."""
        values = self._values.get(_folded(key))
        return values[-1] if values else default

    def all(self, key: str) -> tuple[str, ...]:
        """Every value of a key, in git's order."""
        return tuple(self._values.get(_folded(key), ()))

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean as git reads it; what git would not accept counts as `default`."""
        value = self.get(key, "").lower()
        if value in ("true", "yes", "on"):
            return True
        if value in ("false", "no", "off"):
            return False
        return value.lstrip("-").strip("0") != "" if value.lstrip("-").isdigit() else default

    def under(self, section: str, name: str) -> dict[str, tuple[str, ...]]:
        """The values of `<section>.<subsection>.<name>`, by subsection."""
        head, tail = section.lower() + ".", "." + name.lower()
        return {
            key[len(head) : -len(tail)]: tuple(values)
            for key, values in self._values.items()
            if key.startswith(head) and key.endswith(tail) and len(key) > len(head) + len(tail) - 1
        }

    def remotes(self) -> tuple[str, ...]:
        """The names of the remotes that have a URL, sorted."""
        return tuple(sorted(self.under("remote", "url")))

    def urls(self, remote: str) -> tuple[str, ...]:
        """Where a remote is fetched from (`insteadOf` not applied)."""
        return self.all(f"remote.{remote}.url")

    def pushurls(self, remote: str) -> tuple[str, ...]:
        """Where a remote is pushed to (`insteadOf` not applied)."""
        return self.all(f"remote.{remote}.pushurl") or self.urls(remote)

    def upstream(self, branch: str) -> tuple[str, str] | None:
        """What a branch (short name) follows: the remote ("." for this repository) and the full ref there."""
        remote = self.get(f"branch.{branch}.remote")
        merge = self.get(f"branch.{branch}.merge")
        return (remote, merge) if remote and merge else None


def parse(output: bytes) -> tuple[Entry, ...]:
    """Reads what `git config` prints for `LISTING`."""
    fields = output.split(b"\0")
    texts = [text.decode("utf-8", "surrogateescape") for text in fields[: len(fields) // 3 * 3]]
    entries = []
    for scope, origin, line in zip(texts[0::3], texts[1::3], texts[2::3], strict=True):
        key, alone, value = line.partition("\n")
        entries.append(Entry(scope, origin, key, value if alone else "true"))
    return tuple(entries)


def looking(settings: Settings) -> tuple[str, ...]:
    """The options that switch off every program which the repository's own configuration names.

    Covered: filters, merge drivers, diff drivers and textconv, gpg programs, credential helpers, askpass,
    aliases, the commands of submodules, of alternates and of connections. Hooks, `core.fsmonitor` and the
    pager are off in every call anyway (`git/run.py`).
    """
    off: dict[str, str] = {}
    network = False
    for entry in (*settings.entries, *settings.elsewhere):
        if not entry.own:
            continue
        section, name = kind = entry.kind
        network = network or kind in _NETWORK
        if section == "alias":
            off[entry.key] = ""  # an old git without some command of ours would run its alias
        elif kind == ("merge", "driver") and entry.value in _HARMLESS_DRIVERS:
            continue
        elif kind in _NEUTRAL:
            off[entry.key] = _NEUTRAL[kind]
            if section == "filter" and name in _FILTERS:
                off[entry.key.removesuffix(name) + "required"] = "false"
    if network:
        off["protocol.allow"] = "never"
        off.update((f"protocol.{name}.allow", "never") for name in _PROTOCOLS)
    return tuple(_options(off.items()))


def _options(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for key, value in pairs:
        if "=" in key:
            # `-c` ends the key at the first "=", `--config-env` at the last one.
            yield f"--config-env={key}={_VARIABLE[value]}"
        else:
            yield "-c"
            yield f"{key}={value}"


# Variables that every call of git sets (`git/run.py`), since `--config-env` takes values from there.
_VARIABLE = {"": "RACCORD_EMPTY", "false": "RACCORD_FALSE", "none": "RACCORD_NONE"}


def _folded(key: str) -> str:
    """A key as git lists it: section and name in lower case."""
    section, dot, rest = key.partition(".")
    middle, second, name = rest.rpartition(".")
    return f"{section.lower()}{dot}{middle}{second}{name.lower()}"
