"""Decides who made a change from what is known of its worktree. Pure: no I/O, no clock.

A name is given only where all that is known points to one and the same; else it stays unknown.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.model.coordination import UNKNOWN, Root

# Words that name agents, and what these are called.
AGENTS = {
    "claude": "claude-code",
    "codex": "codex-local",
    "codex cloud": "codex-cloud",
    "gemini": "gemini",
}
# Programs in which a person writes.
EDITORS = frozenset(
    {"vi", "vim", "nvim", "nano", "emacs", "micro", "hx", "helix", "kak", "code", "subl", "zed"}
)

_LETTERS = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Credit:
    """What one commit brought.

    Attributes:
        lines: how many of those that are new.
        people: its author, then whom its trailers name, as git writes people.
    """

    lines: int
    people: Sequence[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about who may have written in a worktree.

    Attributes:
        committed: the commits that brought what is new; none where it is uncommitted.
        programs: names of the programs that work in it, with the scripts that they run.
        commits: whom the branch's own commits name, as git writes people: "Claude <noreply@…>".
        person: whose editor it would be; "" where that isn't known.
    """

    committed: Sequence[Credit] = ()
    programs: Collection[str] = ()
    commits: Collection[str] = ()
    person: str = ""


def owner(
    root: Root, evidence: Evidence, configured: Mapping[str, str], agents: Mapping[str, str]
) -> tuple[str, str]:
    """Who made a change, and by what that is known.

    The commits that brought a content come first, then what the configuration says. Of the rest, what works
    in the worktree, its name and branch, and the branch's commits, all that say something must agree.

    Args:
        configured: owners by patterns for a worktree's name, its path or its branch.
        agents: owners by words that name them: see `agent`.
    """
    if evidence.committed:
        return _author(evidence.committed, agents)
    for pattern, name in configured.items():
        if any(fnmatch.fnmatchcase(text, pattern) for text in (root.name, root.path, root.branch) if text):
            return name, "configured"
    working = {found for one in evidence.programs if (found := agent(one, agents))}
    if evidence.person and any(one in EDITORS for one in evidence.programs):
        working.add(evidence.person)
    named = {found for text in (root.branch, root.name) if (found := agent(text, agents))}
    wrote = {found for one in evidence.commits if (found := agent(one, agents))}
    possible = working | named
    if not possible and len(wrote) == 1 and len(wrote) == len(set(evidence.commits)):
        return wrote.pop(), "commits"
    if len(possible) != 1:
        return UNKNOWN, "several" if possible else ""
    return possible.pop(), "process" if working else "name"


def _author(commits: Sequence[Credit], agents: Mapping[str, str]) -> tuple[str, str]:
    """Whose commits brought more than half of the new lines; the others are named as what else is known."""
    lines: Counter[str] = Counter()
    for one in commits:
        # An agent that made a commit for somebody is named beside him.
        named = {found for trailer in one.people[1:] if (found := agent(trailer, agents))}
        author = agent(one.people[0], agents) or person(one.people[0])
        lines[named.pop() if len(named) == 1 else author] += one.lines
    said = [f"{name} {number}" for name, number in lines.most_common()]
    first, most = lines.most_common(1)[0]
    if 2 * most <= lines.total():
        return UNKNOWN, f"commits: {', '.join(said)}"
    return first, "commit" if len(said) == 1 else f"commit; also {', '.join(said[1:])}"


def agent(text: str, agents: Mapping[str, str]) -> str:
    """The agent that a name names, by the longest of its words; "" where there is none, or are several."""
    words = _LETTERS.findall(text.lower())
    joined = f" {' '.join(words)} "
    found: dict[str, str] = {}
    for word, name in sorted(agents.items(), key=lambda item: -len(item[0])):
        wanted = f" {' '.join(_LETTERS.findall(word.lower()))} "
        if len(wanted) > 2 and wanted in joined:
            found[word] = name
            joined = joined.replace(wanted, "  ")
    return next(iter(found.values())) if len(set(found.values())) == 1 else ""


def person(said: str) -> str:
    """The name of a person that git wrote with an address."""
    return said.partition(" <")[0].strip() or said.strip()


def people(trailers: Iterable[str]) -> list[str]:
    """Those whom trailers name, each once."""
    return list(dict.fromkeys(one.strip() for one in trailers if one.strip()))
