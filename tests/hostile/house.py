"""A workspace to make hostile, what there is before and after, and the judge of what raccord did there."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.git.traps import Trap
from tests.gitkit import Repo
from tests.verbs.flock import Flock

# A verb's name -> its words, and whether it answers in JSON.
VERBS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "status-json": ("status", "--json"),
    "sync": ("sync", "--all", "--dry-run", "--json"),
    "sync-text": ("sync", "--all", "--dry-run"),
    "snapshot": ("snapshot", "--all"),
    "restore": ("restore", "--dry-run", "--json"),
    "log": ("log",),
    "init": ("init", "--dry-run"),
    # Not a look, but what must not leave the worktree either.
    "move": ("sync", "--all", "--skip-tests", "--no-push", "--reason", "a test", "--json"),
}
LOOKS = ("status", "sync", "snapshot")
CODES = {0, 1, 2, 4, 5, 6}
# What looking may write: raccord's state, its refs, objects, and what a fetch moves.
OURS = re.compile(
    r"(?:^|/)(?:raccord(?:/|$)|objects/|refs/(?:raccord|remotes)(?:/|$)|logs/refs/(?:raccord|remotes)(?:/|$))"
)
STRACE = shutil.which("strace")
TRACED = (
    "strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=execve,execveat", "-e", "signal=none", "-s", "4096",
)  # fmt: skip
# Git is found at the first try: each try is a stop of the trace.
PATH = os.pathsep.join(
    dict.fromkeys([os.path.dirname(shutil.which("git") or "/usr/bin/git"), "/usr/bin", "/bin"])
)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Outcome:
    """How one command line ended: its exit code, what it said, and the programs that it left running."""

    code: int
    out: bytes
    err: bytes
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return (self.out + self.err).decode("utf-8", "surrogateescape")


class Driver:
    """The process that runs command lines, under strace where that is there."""

    def __init__(self, folder: Path, *, traced: bool = True) -> None:
        self.folder = folder
        self.log = folder / "execs"
        program = [sys.executable, str(Path(__file__).with_name("driver.py"))]
        self._traced = traced and STRACE is not None
        root = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [*TRACED, "-o", str(self.log), *program] if self._traced else program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), root])},
        )
        self._seen = 0
        self._said()
        self.execs()

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def run(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], *, uid: int = 0, seconds: float = 150.0
    ) -> Outcome:
        """Runs a command line to its end, as another user where `uid` says so."""
        out, err = self.folder / "out", self.folder / "err"
        order = {
            "words": list(words), "cwd": str(cwd), "env": {"PATH": PATH, **env}, "seconds": seconds,
            "out": str(out), "err": str(err), "uid": uid,
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        code, left = self._said()
        return Outcome(code, out.read_bytes(), err.read_bytes(), tuple(left))

    def execs(self) -> list[tuple[str, list[str]]]:
        """Every program that was executed, or tried, since this was last asked, with its arguments."""
        if not self._traced:
            return []
        with self.log.open("rb") as file:
            file.seek(self._seen)
            new = file.read()
        self._seen += len(new)
        return list(_execs(new.decode("utf-8", "surrogateescape")))

    def _said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def _execs(log: str) -> Iterator[tuple[str, list[str]]]:
    for line in log.splitlines():
        found = re.search(r'\bexecve(?:at\([^"]*|\()("(?:[^"\\]|\\.)*")(?:, \[(.*?)\](?:, 0x|, NULL))?', line)
        if found:
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', found[2] or "")
            yield _unescaped(found[1][1:-1]), [_unescaped(word) for word in words]
        else:
            assert "execve" not in line or "resumed>" in line, line


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{1,3}|.)", lambda m: ESCAPES.get(m[1]) or chr(int(m[1], 8)), text)


@dataclass
class House:
    """A workspace in a folder of its own: everything that raccord must not touch lies in there, too.

    Attributes:
        folder: holds all of it.
        repo: the clone, on main, with untracked and edited files.
        agent: a worktree with a commit of its own; main moved meanwhile.
        trap: the program that must not run.
        env: variables for raccord, on top of the test's own.
        at: where raccord is started.
    """

    folder: Path
    repo: Repo
    agent: Repo
    trap: Trap
    env: dict[str, str] = field(default_factory=dict)
    at: Path = Path()

    @classmethod
    def template(cls, folder: Path) -> Path:
        """Builds what all cases start from."""
        flock = Flock.make(folder)
        lines = [f"{number}\n" for number in range(9)]
        flock.main.commit({"f": "".join(lines), "g": "g\n"}, "f")
        flock.main.git("push", "-q", "origin", "main")
        agent = flock.tree("agent", {"work.txt": "work\n", "f": "".join(["agent\n", *lines[1:]])})
        flock.advance({"f": "".join([*lines[:-1], "base\n"]), "new.txt": "new\n"})
        shutil.rmtree(flock.other.path)
        flock.main.write("untracked.txt", "untracked\n")
        flock.main.write("lib.py", "edited\n")
        agent.write("agent.log", "ignored\n")
        outside = folder / "outside"
        outside.mkdir()
        (outside / "letter.txt").write_text("private\n")
        for hooks in folder.glob("*/.git/hooks"):
            shutil.rmtree(hooks)
        shutil.rmtree(flock.remote.path / "hooks")
        return folder

    @classmethod
    def copied(cls, template: Path, folder: Path) -> House:
        """A copy of the template, whose links between its parts lead into the copy."""
        shutil.copytree(template, folder, symlinks=True)
        for name in ("clone/.git/config", "clone/.git/worktrees/agent/gitdir", "agent/.git"):
            text = (folder / name).read_text()
            (folder / name).write_text(text.replace(str(template), str(folder)))
        repo, agent = Repo(folder / "clone"), Repo(folder / "agent")
        trap = Trap.made(folder / "trap")
        return cls(folder, repo, agent, trap, at=repo.path)

    @property
    def outside(self) -> Path:
        """A folder of somebody else's."""
        return self.folder / "outside"

    @property
    def git(self) -> Path:
        """The repository's git directory."""
        return self.repo.path / ".git"

    def config(self, *pairs: tuple[str, str]) -> None:
        """Adds settings to the repository's own configuration."""
        for key, value in pairs:
            self.repo.git("config", "--add", key, value)

    def said_of(self) -> dict[str, object]:
        """What there is, by path: enough to notice every write, whoever took it back."""
        found: dict[str, object] = {}
        # By directory handles: some paths are longer than a system call takes.
        for where, names, files, fd in os.fwalk(self.folder):
            inside = where.removeprefix(str(self.folder)).lstrip("/")
            for name in (*names, *files):
                key = os.path.join(inside, name)
                info = os.lstat(name, dir_fd=fd)
                if stat.S_ISDIR(info.st_mode):
                    found[key] = info.st_mode
                else:
                    found[key] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        return {key: value for key, value in found.items() if not OURS.search(key)}


def execs_of(house: House, execs: Sequence[tuple[str, list[str]]]) -> list[str]:
    """The execs that are none of git's own, nor the shell line by which git reaches a local remote."""
    wrong = []
    inside = str(house.folder)
    for program, words in execs:
        name = os.path.basename(program)
        # `false` is what stands in for a program that is switched off.
        own = (
            re.fullmatch(r"git(?:-[a-z-]+)?|false", name)
            and program.startswith("/")
            and not program.startswith(inside)
        )
        line = words[2] if len(words) > 2 else ""
        local = program == "/bin/sh" and re.fullmatch(
            rf"git-upload-pack '{re.escape(inside)}/remote\.git'", line
        )
        if not (own or local):
            wrong.append(f"{program} {words}")
    return wrong


def wrong_output(words: Sequence[str], outcome: Outcome) -> list[str]:
    """What is wrong with what a command line said and how it ended, whatever the case is."""
    found = []
    text = outcome.text
    if outcome.code not in CODES:
        found.append(f"exit {outcome.code}")
    if outcome.left:
        found.append(f"left running: {outcome.left}")
    if "Traceback" in text or "report -----" in text:
        found.append("a traceback")
    odd = {char for char in text if char != "\n" and _dangerous(char)}
    if odd:
        found.append(f"control characters {odd!r}")
    lines = outcome.err.decode("utf-8", "surrogateescape").splitlines()
    if "--json" in words and outcome.out:
        document = json.loads(outcome.out)
        if lines:
            found.append(f"beside the JSON: {lines}")
        if (document["kind"] == "error") != (outcome.code in (1, 2, 6)):
            found.append(f"kind {document['kind']} with exit {outcome.code}")
        if document["kind"] == "error":
            error = document["error"]
            if not error["message"] or not error["hint"] or error["exit"] != outcome.code:
                found.append(f"error {error}")
    elif outcome.code in (1, 2, 6):
        one_line = len(lines) == 2 and lines[0].startswith("raccord: ") and lines[1].startswith("next: ")
        if not one_line or outcome.out:
            found.append(f"not one line and the next command: {lines} {outcome.out!r}")
    elif lines:
        found.append(f"standard error: {lines}")
    return found


def _dangerous(char: str) -> bool:
    """Whether a character moves the cursor, hides or turns around what stands beside it."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


CASES: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """One way to be hostile.

    Attributes:
        plant: makes a workspace so; returns a git command that would spring the trap, or None.
        verbs: what is run there, each with the exit code that it must end with.
        says: a pattern that the refusals must match.
    """

    plant: Callable[[House], Sequence[str] | None]
    verbs: dict[str, int]
    says: str = ""
    long: bool = False


def case(
    *verbs: str, says: str = "", long: bool = False, every: int = 0, **codes: int
) -> Callable[[Callable[[House], Sequence[str] | None]], Callable[[House], Sequence[str] | None]]:
    """Registers a case.

    Args:
        verbs: what is run, of `VERBS`; every look by default.
        every: the exit code of all verbs but those in `codes`.
    """

    def register(
        plant: Callable[[House], Sequence[str] | None],
    ) -> Callable[[House], Sequence[str] | None]:
        wanted = {verb: codes.get(verb.replace("-", "_"), every) for verb in verbs or LOOKS}
        assert plant.__name__ not in CASES
        CASES[plant.__name__] = Case(plant, wanted, says, long)
        return plant

    return register
