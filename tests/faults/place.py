"""The workspace that faults are put into: where it lies, how it is made, saved and looked at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import inject
from tests.faults.databases import Server
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
    """Where a workspace lies: `root/ws` with its worktrees, `root/remote.git`, `root/home`.

    Attributes:
        server: where it has a database on a server.
    """

    root: Path
    server: Server | None = None

    @classmethod
    def make(cls, root: Path, served: str = "") -> Place:
        """An empty one, with an empty database on this process's server if it is to be served."""
        root.mkdir(parents=True)
        name = re.sub(r"\W", "_", f"faults_{root.parent.name}_{root.name}")
        server = Server(name, served == "dump") if served else None
        if server:
            server.make()
        return cls(root, server)

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
        env = environment(self.root / "home")
        return env | {"PATH": self.server.path(env["PATH"])} if self.server else env

    def top(self, name: str) -> Path:
        """A worktree."""
        return self.workspace / name

    def look(self) -> World:
        """The fingerprint of it all."""
        return look(self.workspace, self.remote, self.server)

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
        if self.server:
            self.server.save()

    def reset(self, template: Path) -> None:
        """Brings the copy back to the same paths, which worktrees name absolutely."""
        for name in ("ws", "remote.git"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            subprocess.run(["cp", "-a", template / name, self.root / name], check=True)
        if self.server:
            self.server.reset()
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


def must(ended: tuple[int, str]) -> str:
    """What a command said, which must have gone well."""
    code, said = ended
    if code:
        raise AssertionError(f"exit {code}:\n{said}")
    return said
