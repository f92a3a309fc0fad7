"""Takes down everything that a sync could change, so that before and after can be compared.

Left out are git's remote-tracking refs (a fetch moves them, and they are nobody's work) and raccord's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import oracle
from demo.scenario import Scenario

Part = dict[str, str | tuple[str, str]]
"""One place: what is found there, by its name."""

HIDDEN = ("refs/remotes/", "refs/raccord/")


@dataclass(frozen=True)
class Fingerprint:
    """Each place (a worktree, the branches here, the branches there) and what it holds."""

    places: dict[str, Part]

    def differences(self, other: Fingerprint) -> Iterator[str]:
        """One line for each thing that differs."""
        for place, mine in self.places.items():
            theirs = other.places[place]
            for name in sorted(mine.keys() | theirs.keys()):
                if mine.get(name) != theirs.get(name):
                    yield f"{place}: {name}"

    @property
    def files(self) -> int:
        """How many files are compared."""
        return sum(name.startswith("file ") for place in self.places.values() for name in place)

    def changed(self, other: Fingerprint) -> list[str]:
        """The places that differ at all."""
        return [place for place, mine in self.places.items() if mine != other.places[place]]


def take(scenario: Scenario) -> Fingerprint:
    """Read all worktrees with their indexes, tracked, untracked and ignored files, and both sides' refs."""
    places: dict[str, Part] = {}
    for tree in scenario.trees:
        found: Part = {f"file {path}": entry for path, entry in oracle.files_of(tree).items()}
        found["index"] = scenario.git(tree, "ls-files", "--stage")
        found["status"] = scenario.git(tree, "status", "--porcelain=v2", "--ignored")
        found["HEAD"] = scenario.git(tree, "symbolic-ref", "HEAD")
        places[tree.name] = found
    for name, repository in (("local refs", scenario.main), ("remote refs", scenario.remote)):
        shown = scenario.git(repository, "for-each-ref", "--format=%(refname)\t%(objectname)")
        refs = (line.split("\t") for line in shown.splitlines())
        places[name] = {ref: oid for ref, oid in refs if not ref.startswith(HIDDEN)}
    return Fingerprint(places)
