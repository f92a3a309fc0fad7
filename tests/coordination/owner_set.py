"""A set of worktrees in which it is known who works: agents alone, two in one, people, and their commits."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from raccord.workspace import Workspace
from tests.gitkit import Repo

AGENTS = {"claude": "claude-code", "codex": "codex-local", "codex-cloud": "codex-cloud", "gemini": "gemini"}
PERSON = "Ada"
EDITORS = ("vim", "nano", "emacs", "code")
NEUTRAL = ("fix-login", "w", "topic", "review", "next", "spike")


@dataclass
class Case:
    """One worktree.

    Attributes:
        worker: who changes a file in it.
        possible: whether what can be seen leaves one owner only.
        programs: that work in it.
        author: whose commits its branch has; "" for none.
        committed: who commits what comes to it; "" where its change stays uncommitted.
    """

    name: str
    branch: str
    worker: str
    possible: bool = True
    programs: tuple[str, ...] = ()
    author: str = ""
    committed: str = ""
    configured: str = ""
    place: Path = field(default_factory=Path)


def cases(chance: random.Random, number: int) -> list[Case]:
    """Worktrees as teams have them."""
    return [_case(chance, one) for one in range(number)]


def _case(chance: random.Random, number: int) -> Case:
    word, other = chance.sample(sorted(AGENTS), 2)
    who, plain = AGENTS[word], f"{chance.choice(NEUTRAL)}-{number}"
    match chance.choices(range(10), (4, 4, 4, 2, 2, 3, 2, 3, 2, 2))[0]:
        case 0:
            return Case(f"{word}-{number}", plain, who)
        case 1:
            return Case(plain, f"{word}/{plain}", who)
        case 2:
            return Case(plain, plain, who, programs=(word,))
        case 3:
            return Case(f"{word}-{number}", f"{word}/x{number}", who, programs=(word, "bash"))
        case 4:
            return Case(plain, plain, who, author=word.replace("-", " ").title())
        case 5:  # two agents in one worktree: either may have written
            worker = AGENTS[chance.choice([word, other])]
            return Case(plain, plain, worker, False, programs=(word, other))
        case 6:  # one agent in a worktree that is named after another
            return Case(f"{other}-{number}", plain, who, False, programs=(word,))
        case 7:
            return Case(plain, plain, PERSON, programs=(chance.choice(EDITORS),))
        case 8:  # a person in an agent's worktree
            return Case(f"{word}-{number}", plain, PERSON, False, programs=(chance.choice(EDITORS),))
        case _:
            if chance.random() < 0.5:
                return Case(f"{word}-{number}", plain, "Bob", committed="Bob")
            return Case(plain, plain, "Bob", configured="Bob")


@dataclass
class Found:
    """What is said of a set.

    Attributes:
        possible, named: uncommitted changes with one possible owner, and how many of these were named right.
        said, right: changes of which an owner was said, and how many of these rightly.
    """

    possible: int = 0
    named: int = 0
    said: int = 0
    right: int = 0
    wrong: list[tuple[Case, str, str]] = field(default_factory=list)


def judged(folder: Path, ones: list[Case]) -> Found:
    """Has each worktree's worker change a file, and compares what raccord says of it."""
    repo = Repo.init(folder / "main")
    owners = "".join(f'"{one.name}" = "{one.configured}"\n' for one in ones if one.configured)
    repo.commit({"AGENTS.md": "start\n", "raccord.toml": f"[coordination.owners]\n{owners}"}, "start")
    repo.git("config", "user.name", PERSON)
    with contextlib.ExitStack() as stack:
        for one in ones:
            one.place = folder / one.name
            repo.git("worktree", "add", "-q", "-b", one.branch, str(one.place))
            for program in one.programs:
                stack.enter_context(at_work(program, one.place))
            if one.author:
                _commit(one, one.author, "--allow-empty")
        with Workspace.open(repo.path) as workspace:
            keeper = workspace.coordination.watching().keeper
            keeper.look()
            for one in ones:
                (one.place / "AGENTS.md").write_text(f"of {one.worker} in {one.name}\n")
                if one.committed:
                    _commit(one, one.committed, "-a")
            said = {change.root: change.owner for change in keeper.look()}
    found = Found()
    for one in ones:
        who = said[str(one.place)]
        if one.possible and not one.committed:
            found.possible += 1
            found.named += who == one.worker
        if who != "unknown":
            found.said += 1
            found.right += who == one.worker
        if who not in ("unknown", one.worker):
            found.wrong.append((one, who, one.worker))
    return found


def _commit(one: Case, who: str, *how: str) -> None:
    name = ["-c", f"user.name={who}", "-c", f"user.email={who.lower().replace(' ', '')}@example.org"]
    subprocess.run(["git", *name, "commit", "-q", "-m", "x", *how], cwd=one.place, check=True)


@contextlib.contextmanager
def at_work(name: str, place: Path) -> Iterator[None]:
    """A program of that name in a worktree."""
    child = subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 600"], cwd=place)
    try:
        yield
    finally:
        child.kill()
        child.wait()
