"""Starts `driver/run.py` in the project's own Python: alembic on a clone, or a question to env.py.

    how = interpreter(runner(project, configured))          # or a refusal that names the configuration key
    with driven(how, project, database, leads) as driver:   # leads: which database leads to which clone
        driver.run("upgrade", "a1b2").check()
        driver.steps([("down", "a1b2")])                     # exactly these revisions
    asked(how, project, database)                            # what env.py connects to, by its own words

Connections to what no lead names are refused. No password is in an argument or a log: none is needed to lead
a connection elsewhere, and an answer comes over a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.database.url import SQLITE, Target, masked
from raccord.errors import CannotRun
from raccord.kernel import fs, proc
from raccord.kernel.dialogue import Dialogue
from raccord.migrations.project import Database, Project
from raccord.migrations.runner import variables
from raccord.migrations.settings import MAIN
from raccord.model.plan import Json
from raccord.model.text import shown

PROGRAM = Path(__file__).parent / "driver" / "run.py"
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
KEY = 'in raccord.toml: [migrations] command = ["uv", "run", "alembic"], or what runs alembic here'
_PYTHON = re.compile(r"(python|pypy|py)[\d.]*(\.exe)?")
_ALEMBIC = re.compile(r"alembic(\.exe)?")
# The first lines of a console script; a path that is too long for a kernel goes through sh.
_SHEBANG = re.compile(
    rb"#!\s*(?:/bin/sh\s*\n'''exec' (?:\"([^\"\n]+)\"|(\S+)) .*|(/[^\n]*?/env\s+(?:-S\s+)?)?([^\s]+)[^\n]*)\n"
)
# Whoever quotes a URL that can't be read quotes its password, which nobody knows here.
_QUOTED = re.compile(r"[^\s'\"]*@[^\s'\"]*")
_PASSWORD = re.compile(
    r"""((?:password|passwd|pwd)["']?\s*[=:]\s*)(?:'[^']*'|"[^"]*"|[^\s,&)]+)""", re.IGNORECASE
)
TAIL = 20
ASK_SECONDS = 30.0  # that env.py may take to say what it connects to


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The project's own Python.

    Attributes:
        words: start it; a program follows.
        argv: what a person gives alembic before its command.
        cwd_first: whether alembic is run as a module, with the working directory first on its path.
    """

    words: tuple[str, ...]
    argv: tuple[str, ...] = ()
    cwd_first: bool = False


def interpreter(start: Sequence[str]) -> Interpreter:
    """The Python behind the words that start alembic.

    Raises:
        CannotRun: there is none, or it can't be told.
    """
    words = tuple(start)
    for at in range(1, len(words)):
        if words[at - 1 : at + 1] == ("-m", "alembic"):
            before = words[: at - 1]
            named = _PYTHON.fullmatch(os.path.basename(before[-1])) if before else None
            return Interpreter(before if named else (*before, "python"), words[at + 1 :], True)
    places = [at for at, word in enumerate(words) if _ALEMBIC.fullmatch(os.path.basename(word))]
    if not places:
        what = (
            f"{shown(' '.join(words))} runs no alembic that raccord knows" if words else "no alembic to run"
        )
        raise CannotRun(f"{what}, so the project's own Python isn't known", hint=KEY)
    at = places[0]
    before, program, argv = words[:at], words[at], words[at + 1 :]
    if os.path.dirname(program):
        return Interpreter((*before, _beside(program)), argv)
    if before:
        return Interpreter((*before, "python"), argv)
    raise CannotRun(f"{shown(program)} alone doesn't tell which Python runs it", hint=KEY)


def _beside(program: str) -> str:
    """The Python of a console script: the one that its first line names, or the one beside it."""
    real = os.path.realpath(program)
    found = _SHEBANG.match((fs.read_or_none(real) or b"")[:4096])
    if found:
        python = os.fsdecode(found[1] or found[2] or found[4])
        if _PYTHON.fullmatch(os.path.basename(python)):
            return python
    for folder in dict.fromkeys((os.path.dirname(program), os.path.dirname(real))):
        for name in ("python", "python3", "python.exe"):
            if os.path.isfile(path := os.path.join(folder, name)):
                return path
    raise CannotRun(
        f"{shown(program)} is no console script of Python, so the project's own Python isn't known", hint=KEY
    )


@dataclass(frozen=True, slots=True)
class Lead:
    """What connections to a database lead to.

    Attributes:
        real: what env.py connects to.
        goal: a clone on the same server, or another file; the real one where that is meant.
        lock: the number of the advisory lock that raccord holds in the goal on PostgreSQL: it tells the
            database from one of that name on another server, as a clone's name does by itself.
    """

    real: Target
    goal: Target
    lock: int = 0

    def document(self) -> dict[str, Json]:
        """As the driver reads it."""
        if self.real.kind == SQLITE:
            return {"kind": SQLITE, "path": self.real.path, "to": self.goal.path}
        hosts = [list(one) for one in self.real.hosts]
        name = self.real.name or self.real.user or None
        to = self.goal.name or name
        return {"kind": self.real.kind, "name": name, "hosts": hosts, "to": to, "lock": self.lock}


@dataclass(frozen=True, slots=True)
class Asked:
    """What env.py connects to, by its own words.

    Attributes:
        engine: as it names it among several; "" for one.
        dialect, driver: SQLAlchemy's names.
        url: with its password.
        version_table, version_schema: where Alembic's revisions are.
        heads: the ids there.
        database: as the server names it; "" where it isn't PostgreSQL.
    """

    engine: str
    dialect: str
    driver: str
    url: str = field(repr=False)
    version_table: str
    version_schema: str | None
    heads: tuple[str, ...]
    database: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended.

    Attributes:
        ok: whether it went well.
        error: what was raised, in one line; "" for nothing.
        trace: the last lines of its traceback.
        steps: the revisions that took place, with "up" or "down".
        output: what alembic printed.
        refused: what was refused, also where the project's code went on all the same.
        asked: see `Asked`.
    """

    ok: bool
    error: str = ""
    trace: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    output: str = ""
    refused: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()

    @classmethod
    def read(cls, line: bytes, hidden: Iterable[str]) -> Answer:
        """Reads what the driver said.

        Args:
            hidden: what no message may hold.

        Raises:
            ValueError, KeyError, TypeError: it is no answer.
        """
        said = json.loads(line)

        def clean(text: str) -> str:
            return _clean(text, hidden)

        error = clean(f"{said['kind']}: {said['error']}" if said["error"] else said["kind"])
        return cls(
            bool(said["ok"]),
            error,
            tuple(map(clean, said.get("trace", ()))),
            tuple((direction, id_) for direction, id_ in said.get("steps", ())),
            said.get("output", ""),
            tuple(map(clean, said.get("refused", ()))),
            tuple(Asked(**{**one, "heads": tuple(one["heads"])}) for one in said.get("asked", ())),
        )

    def check(self) -> Answer:
        """Returns itself.

        Raises:
            CannotRun: it failed.
        """
        if not self.ok:
            raise CannotRun(f"env.py or a migration failed: {self.error}", trace=list(self.trace))
        return self


class Driver:
    """A driver at work; see `driven`."""

    def __init__(
        self, dialogue: Dialogue, how: Interpreter, hidden: frozenset[str], cancelled: Callable[[], bool]
    ) -> None:
        self._dialogue = dialogue
        self._how = how
        self._hidden = hidden
        self._cancelled = cancelled

    def run(self, *words: str) -> Answer:
        """One of alembic's commands, such as ("upgrade", "a1b2"); see `steps` for ids that it might misread.

        Raises:
            CannotRun: the driver didn't answer.
        """
        return self._ask({"argv": list(words)})

    def steps(self, steps: Sequence[tuple[str, str]]) -> Answer:
        """Exactly these revisions, each "up" or "down", in this order; what is so already is left out."""
        return self._ask(_exactly(steps))

    def ask(self) -> Answer:
        """Runs env.py, and no migration; raises as `run`, and where it takes longer than `ASK_SECONDS`."""
        return self._ask({"argv": ["current"], "asks": True}, ASK_SECONDS)

    def _ask(self, command: dict[str, Json], seconds: float | None = None) -> Answer:
        try:
            line = self._dialogue.ask(json.dumps(command).encode(), self._cancelled, seconds=seconds)
        except TimeoutError:
            raise CannotRun(
                f"env.py said nothing for {seconds:g} s, and was ended", hint="alembic current, there"
            ) from None
        try:
            if line is not None:
                return Answer.read(line, self._hidden)
        except (ValueError, KeyError, TypeError):
            pass
        lines = [shown(_clean(one, self._hidden)) for one in self._dialogue.said.splitlines() if one.strip()]
        last = f": {lines[-1]}" if lines else ""
        raise CannotRun(
            f"{shown(' '.join(self._how.words))} ended without an answer{last}", hint=KEY, tail=lines[-TAIL:]
        )


def _clean(text: str, hidden: Iterable[str]) -> str:
    """The text without passwords, those too that only env.py knows, as far as they look like any."""
    return _PASSWORD.sub(r"\1***", _QUOTED.sub("…", masked(text, hidden)))


def downs(ids: Sequence[str]) -> dict[str, Json]:
    """The command that takes down exactly these revisions, see `driver/run.py`."""
    return _exactly([("down", one) for one in ids])


def _exactly(steps: Sequence[tuple[str, str]]) -> dict[str, Json]:
    # env.py may look at the command's name.
    command = "upgrade" if steps[0][0] == "up" else "downgrade"
    return {"argv": [command, "heads"], "steps": [list(one) for one in steps]}


def order_line(
    how: Interpreter,
    database: Database,
    leads: Sequence[Lead],
    *,
    nonce: str,
    ask: bool = False,
    versions: Sequence[Path] = (),
) -> bytes:
    """The driver's first line, see `driver/run.py`."""
    section = ["-n", database.section] if database.section != MAIN else []
    said: dict[str, Json] = {
        "nonce": nonce,
        "argv": [*how.argv, *section],
        "cwd_first": how.cwd_first,
        "ask": ask,
        "databases": [one.document() for one in leads],
        "versions": [str(one) for one in versions],
    }
    return json.dumps(said).encode()


@contextlib.contextmanager
def driven(
    how: Interpreter,
    project: Project,
    database: Database,
    leads: Sequence[Lead],
    *,
    ask: bool = False,
    versions: Sequence[Path] = (),
    keep: Sequence[int] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Driver]:
    """The project's own Python, ready for commands; ended when the block is left.

    Args:
        database: whose section of the configuration is meant.
        leads: what may be connected to; everything else is refused.
        ask: connections stay what they are, and only read: for `Driver.ask`.
        versions: folders with more revision files.
        keep: open files that it holds open too, and with them their locks.

    Raises:
        ProgramMissing, CannotRun: it can't be started.
    """
    nonce = f"raccord-{secrets.token_hex(8)}"
    hidden = frozenset().union(*(one.real.secrets | one.goal.secrets for one in leads))
    with proc.started(
        [*how.words, str(PROGRAM)],
        cwd=project.backend,
        env={**variables(project), **UNBUFFERED},
        keep=keep,
    ) as child:
        dialogue = Dialogue(child, nonce.encode())
        dialogue.tell(order_line(how, database, leads, nonce=nonce, ask=ask, versions=versions))
        yield Driver(dialogue, how, hidden, cancelled)


def asked(how: Interpreter, project: Project, database: Database) -> tuple[Asked, ...]:
    """What env.py connects to: it runs with no migration, and what it would write does nothing.

    Only for the person's own worktree: it is code.

    Raises:
        CannotRun: it can't be run, or connects to nothing.
    """
    with driven(how, project, database, (), ask=True) as driver:
        answer = driver.ask()
    if not answer.ok:
        raise CannotRun(f"env.py can't be asked: {answer.error}", trace=list(answer.trace))
    if not answer.asked:
        raise CannotRun(
            f"{shown(str(database.script / 'env.py'))} runs no migrations: it connects to nothing"
        )
    return answer.asked
