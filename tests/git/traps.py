"""Booby traps: programs that leave a mark when they run, and the ways to plant them in a repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raccord.kernel import proc
from tests.gitkit import Repo


@dataclass(frozen=True)
class Trap:
    """A program that appends a line to `mark` when it is run."""

    program: Path
    mark: Path

    @classmethod
    def made(cls, folder: Path) -> Trap:
        folder.mkdir(parents=True, exist_ok=True)
        trap = cls(folder / "trap.sh", folder / "mark")
        trap.program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{trap.mark}"\n')
        trap.program.chmod(0o755)
        return trap

    def sprung(self) -> bool:
        """Whether it ran since it was last asked."""
        found = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return found

    def __str__(self) -> str:
        return str(self.program)


def touch(path: Path) -> None:
    """Gives a file another time, so that git must read it again."""
    os.utime(path, (1_500_000_000, 1_500_000_000))


def plain(repo: Repo) -> Repo:
    """A repository of two commits, where `f` can get attributes."""
    repo.commit({"f": "one\n", "g": "g\n"})
    repo.commit({"f": "two\n"})
    return repo


def attribute(repo: Repo, line: str) -> None:
    """Sets attributes in a commit, as a clone would bring them."""
    repo.commit({".gitattributes": line + "\n"})


def both_sides(repo: Repo, attributes: str) -> None:
    """Branches `ours` and `theirs` that both change `f`."""
    attribute(repo, attributes)
    base = repo.oid()
    repo.git("switch", "--quiet", "-c", "ours")
    repo.commit({"f": "ours\n"})
    repo.git("switch", "--quiet", "-c", "theirs", base)
    repo.commit({"f": "theirs\n"})


def alternate(repo: Repo, other: Repo) -> None:
    """Makes `other` an alternate of `repo`."""
    (repo.path / ".git/objects/info/alternates").write_text(f"{other.path}/.git/objects\n")


def hook(repo: Repo, name: str, trap: Trap) -> None:
    """Plants a hook."""
    link = repo.path / ".git/hooks" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(trap.program)


def spawns(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The command lines of all programs that are started from now on, as they come."""
    calls: list[Sequence[str]] = []
    real = proc.started

    def started(argv: Sequence[str], **more: Any) -> Any:
        calls.append(argv)
        return real(argv, **more)

    monkeypatch.setattr(proc, "started", started)
    return calls
