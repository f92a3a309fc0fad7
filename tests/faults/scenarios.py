"""The workspaces that faults are put into, and the commands that run in them. What must hold: `judge.py`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import inject
from tests.faults.inject import Fault, Ran
from tests.faults.state import World, look
from tests.gitkit import Repo, git

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
[user]
	name = Tester
	email = tester@example.invalid
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
"""


def environment(home: Path) -> dict[str, str]:
    """The whole environment of a command under test; writes the configuration that it names."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(CONFIG)
    return {
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT / "src"),
        "TZ": "UTC",
    }


@dataclass(frozen=True)
class Place:
    """Where a workspace lies: `root/ws` with its worktrees, `root/remote.git`, `root/home`."""

    root: Path

    @property
    def workspace(self) -> Path:
        """The directory of the worktrees."""
        return self.root / "ws"

    @property
    def remote(self) -> Path:
        """The far side: another machine, which no fault touches."""
        return self.root / "remote.git"

    @property
    def env(self) -> dict[str, str]:
        """The environment of commands here."""
        return environment(self.root / "home")

    def top(self, name: str) -> Path:
        """A worktree."""
        return self.workspace / name

    def look(self) -> World:
        """The fingerprint of it all."""
        return look(self.workspace, self.remote)

    def raccord(self, *argv: str, cwd: str = "main") -> tuple[int, str]:
        """Runs raccord without a fault; returns its exit status and what it said."""
        return inject.ended([sys.executable, "-m", "raccord", *argv], self.top(cwd), self.env)

    def struck(
        self, argv: Sequence[str], cwd: str, fault: Fault, image: tuple[Path, Path] | None = None
    ) -> Ran:
        """Runs raccord with a fault."""
        command = [sys.executable, "-m", "raccord", *argv]
        return inject.run(command, cwd=self.top(cwd), env=self.env, fault=fault, image=image)

    def save(self, template: Path) -> None:
        """Keeps a copy of everything."""
        subprocess.run(["cp", "-a", self.root, template], check=True)

    def reset(self, template: Path) -> None:
        """Brings the copy back to the same paths, which worktrees name absolutely."""
        for name in ("ws", "remote.git"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            subprocess.run(["cp", "-a", template / name, self.root / name], check=True)
        self.refresh()

    def refresh(self) -> None:
        """Lets the indexes know the copies of the files, whose inodes are others."""
        for path in self.workspace.glob("*/.git"):
            git(path.parent, "update-index", "-q", "--refresh", check=False)


def build(place: Place) -> None:
    """A base that moved, two branches that did too, one of them dirty in every way that leaves no overlap."""
    place.workspace.mkdir(parents=True, exist_ok=True)
    seed = Repo.init(place.root / "seed")
    seed.commit(
        {
            ".gitignore": ".env\ncache/\n*.pyc\n",
            "Makefile": "test:\n\t@test -s README.md\n",
            "README.md": "one\n",
            "bin/run": "#!/bin/sh\n",
            "gone.txt": "to be deleted\n",
            "lib/deep/er/file.txt": "deep\n",
            "notes.txt": "notes\n",
            "shape": "a file, to become a directory\n",
            "staged.txt": "staged\n",
            "text.txt": "".join(f"line {n}\n" for n in range(40)),
            b"umlaut-\xe4\n.txt": "a name that is no UTF-8 and holds a newline\n",
        },
        "start",
    )
    (seed.path / "link").symlink_to("README.md")
    seed.git("add", "link")
    seed.commit(message="a link")
    git(place.root, "clone", "--quiet", "--bare", seed.path, place.remote)
    git(place.root, "clone", "--quiet", place.remote, place.top("main"))
    clone = Repo(place.top("main"), seed.clock)
    a, b = clone.worktree("a", "a"), clone.worktree("b", "feature/b")
    a.commit(
        {"text.txt": "".join(f"line {n}{'!' * (n == 3)}\n" for n in range(40)), "a/new.txt": "of a\n"},
        "a: one",
    )
    a.commit({"a/more.txt": "more\n", "lib/deep/er/file.txt": "deeper\n"}, "a: two")
    b.commit({"b.txt": "of b\n", "a name with spaces.txt": "x\n"}, "b: one")
    b.git("push", "--quiet", "origin", "feature/b")
    b.write("staged.txt", "staged, edited and staged\n")
    b.git("add", "staged.txt")
    b.write("staged.txt", "staged, edited, staged and edited again\n")
    b.write("notes.txt", "notes, edited\n")
    b.write("added.txt", "added to the index\n")
    b.git("add", "added.txt")
    for repo in (a, b, clone):
        repo.write(".env", f"SECRET={repo.path.name}\n")
        repo.write("cache/data.bin", bytes(range(256)) * 20)
        repo.write("scratch/untracked.txt", "nobody else has this\n")
    (b.path / "scratch/run.sh").write_text("#!/bin/sh\n")
    (b.path / "scratch/run.sh").chmod(0o700)
    # Somebody else moves the base.
    (seed.path / "shape").unlink()
    (seed.path / "link").unlink()
    (seed.path / "link").symlink_to("text.txt")
    (seed.path / "bin/run").chmod(0o755)
    seed.git("add", "link", "bin/run")
    seed.commit(
        {
            "README.md": "two\n",
            "gone.txt": None,
            "lib/new/x.txt": "x\n",
            "shape/is/now.txt": "a directory\n",
            "text.txt": "".join(f"line {n}{'?' * (n == 30)}\n" for n in range(40)),
        },
        "the base moves",
    )
    seed.commit({b"second-\xff.txt": "bytes\n"}, "and moves again")
    seed.git("push", "--quiet", place.remote, "main")
    shutil.rmtree(seed.path)


@dataclass(frozen=True)
class Scenario:
    """A command that faults are put into.

    Attributes:
        name: what the figures call it.
        argv: the command.
        cwd: the worktree that it is started in.
        prepare: what comes before it, once.
        finish: the command that brings every outcome to one final state.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str = "main"
    prepare: Callable[[Place], None] = lambda place: None
    finish: tuple[str, ...] = ()


SYNC = ("sync", "--all", "--allow-dirty", "--skip-tests", "--reason", "faults")


def synced(place: Place) -> None:
    """A sync that went well."""
    must(place.raccord(*SYNC))


def changed(place: Place) -> None:
    """A snapshot, and a worktree that has changed in every way since."""
    must(place.raccord("snapshot", "--ignored", cwd="b"))
    b = Repo(place.top("b"))
    b.commit({"b.txt": "of b, again\n", "later.txt": "later\n"}, "b: after the snapshot")
    b.write("staged.txt", "thrown over\n")
    b.write("README.md", "staged later\n")
    b.git("add", "README.md")
    b.write("notes.txt", None)
    b.write("scratch/untracked.txt", "edited too\n")
    b.write("scratch/another.txt", "new since\n")
    b.write(".env", "SECRET=lost?\n")
    shutil.rmtree(b.path / "cache")


INI = "[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///{place.root}/app.db\n"


def unhealed(place: Place) -> None:
    """A database at a revision of which one worktree has the files, committed and not, and main none."""
    files = {"alembic.ini": INI.format(place=place), "migrations/env.py": "raise SystemExit('not run')\n"}
    main, a = Repo(place.top("main")), Repo(place.top("a"))
    for repo, ids in ((main, "1"), (a, "123")):
        chain = {f"migrations/versions/r{n}.py": revision(n) for n in map(int, ids)}
        repo.commit(files | chain, "migrations")
    for n in (4, 5):
        a.write(f"migrations/versions/r{n}.py", revision(n))
    with contextlib.closing(sqlite3.connect(place.root / "app.db")) as db, db:
        db.execute("create table alembic_version (version_num text)")
        db.execute("insert into alembic_version values ('r5')")


def revision(number: int) -> str:
    """A revision file whose import would fail."""
    below = f"'r{number - 1}'" if number > 1 else None
    return f"revision = 'r{number}'\ndown_revision = {below}\nraise SystemExit('imported')\n"


HEAL = ("migrations", "heal")

SCENARIOS = (
    Scenario("gates", ("sync", "--all", "--allow-dirty", "--reason", "faults"), finish=SYNC),
    Scenario("heal", HEAL, prepare=unhealed, finish=HEAL),
    Scenario("restore", ("restore", "--yes"), "b", changed, ("restore", "--yes")),
    Scenario("snapshot", ("snapshot", "--all", "--ignored"), finish=("snapshot", "--all")),
    Scenario("sync", SYNC, finish=SYNC),
    Scenario("undo", ("undo", "--yes"), prepare=synced, finish=SYNC),
)


def must(ended: tuple[int, str]) -> str:
    """What a command said, which must have gone well."""
    code, said = ended
    if code:
        raise AssertionError(f"exit {code}:\n{said}")
    return said


@dataclass(frozen=True)
class Reference:
    """What a scenario's worlds look like where nothing goes wrong.

    Attributes:
        scenario: the scenario.
        template: where its workspace is kept.
        old, new, final: before the command, after it, and after the finishing command.
        seconds: how long the command runs under the tracer.
        calls: the writing system calls that it makes, each with its program, in order.
    """

    scenario: Scenario
    template: Path
    old: World
    new: World
    final: World
    seconds: float
    calls: list[str]


def refer(scenario: Scenario, place: Place, template: Path) -> Reference:
    """Builds a scenario's workspace and runs it through without a fault."""
    build(place)
    scenario.prepare(place)
    place.refresh()
    place.save(template)
    return measured(scenario, place, template)


def measured(scenario: Scenario, place: Place, template: Path) -> Reference:
    """Runs a scenario through without a fault, where its workspace stands ready."""
    old = place.look()
    since = time.monotonic()
    ran = place.struck(scenario.argv, scenario.cwd, Fault())
    seconds = time.monotonic() - since
    must((ran.exit if ran.exit is not None else -1, ran.output))
    new = place.look()
    must(place.raccord(*scenario.finish, cwd=scenario.cwd))
    return Reference(scenario, template, old, new, place.look(), seconds, ran.calls)
