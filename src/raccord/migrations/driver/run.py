"""A program for the project's own Python: runs alembic with every connection led to a clone, or refused.

raccord starts it and never imports it; it imports nothing of raccord's and works with Python 3.8, alembic 1.7
and SQLAlchemy 1.3 or newer. env.py runs as it is. `migrations/driving.py` is the other side.

It reads lines of JSON from its standard input. The first is the order:

    nonce        begins each line of its answers; "" where nobody reads them
    argv         the words that a person gives alembic before the command, such as ["-x", "tenant=a"]
    cwd_first    whether the working directory comes first on `sys.path`, as with `python -m alembic`
    ask          whether connections stay what they are, and nothing is changed: for commands with `asks`
    databases    what may be connected to, and where that leads:
                 {"kind": "postgresql", "name": …, "hosts": [[host, port], …], "to": the clone's name} or
                 {"kind": "sqlite", "path": …, "to": the clone's path}; both may be the same, and then
                 "lock" is the number of an advisory lock that somebody holds in that database
    versions     folders with more revision files

Each further line is one command, until the input ends:

    argv         the command with its words, such as ["upgrade", "a1b2"]
    steps        [["up", id], …]: exactly these revisions instead, in this order, where a database lacks
                 (down: has) them
    asks         whether env.py runs and no migration does

Each is answered by a line on the standard output, `NONCE {…}`:

    ok           whether it ended well
    kind, error, trace    what was raised: class, message, the last lines
    steps        those that took place: [direction, id] each
    output       what alembic printed, with `--sql` the statements
    refused      what was refused, also where the project's code went on all the same
    asked        what env.py connects to, once for each time that it runs migrations: engine, dialect, driver,
                 url (with its password), version_table, version_schema, heads, database (PostgreSQL's name)

What env.py and migrations print goes to the standard error. The status is 1 where a command failed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

LINES = 30  # of a traceback


class Runner:
    """Runs alembic's command line.

    Args:
        order: the first line.
        guard: told to stand before.
    """

    def __init__(self, order: dict[str, Any], guard: Any) -> None:
        self.words = [str(one) for one in order.get("argv", ())]
        self.guard = guard
        self.line = importlib.import_module("alembic.config").CommandLine
        self.environment = importlib.import_module("alembic.runtime.environment").EnvironmentContext
        self.make = importlib.import_module("alembic.runtime.migration").MigrationStep
        self.directory = importlib.import_module("alembic.script").ScriptDirectory
        self.command: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}
        self.engine = ""
        self._cut_in([str(one) for one in order.get("versions", ())])

    def _cut_in(self, folders: list[str]) -> None:
        """Adds the version folders, and takes alembic's place where a command goes."""
        from_config = self.directory.from_config.__func__
        run_cmd = self.line.run_cmd
        run_migrations = self.environment.run_migrations

        def with_folders(cls: Any, config: Any) -> Any:
            made = from_config(cls, config)
            there = made.version_locations or [os.path.join(str(made.dir), "versions")]
            made.version_locations = [*map(str, there), *folders]
            return made

        def command(this: Any, config: Any, options: Any) -> None:
            config.stdout = config.output_buffer = self.answer["output"]
            if self.command.get("asks"):
                self._run_env(config, self._asked, dont_mutate=True)
            elif steps := self.command.get("steps"):
                self._run_env(config, self._steps, destination_rev=steps[-1][1])
            else:
                run_cmd(this, config, options)

        def named(this: Any, **given: Any) -> Any:
            self.engine = str(given.get("engine_name", ""))
            return run_migrations(this, **given)

        if folders:
            self.directory.from_config = classmethod(with_folders)
        self.line.run_cmd = command
        self.environment.run_migrations = named

    def run(self, command: dict[str, Any]) -> dict[str, Any]:
        """Runs one command."""
        printed = io.StringIO()
        self.command = command
        self.answer = {"ok": False, "kind": "", "error": "", "trace": [], "steps": [], "asked": []}
        self.answer["output"] = printed
        self.guard.refused.clear()
        words = [*self.words, *command["argv"]]
        sys.argv = ["alembic", *words]
        try:
            self.line(prog="alembic").main(["--raiseerr", *words])
            self.answer["ok"] = True
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is the project's code, and may exit
            traceback.print_exc()
            trace = traceback.format_exc().splitlines()[-LINES:]
            self.answer.update(kind=type(error).__name__, error=" ".join(str(error).split()), trace=trace)
        self.answer.update(output=printed.getvalue(), refused=list(self.guard.refused))
        self._let_go()
        return self.answer

    def _let_go(self) -> None:
        """Closes what env.py left open: the next command would wait for its locks."""
        gc.collect()
        for pool in list(self.guard.pools):
            if not type(pool).__name__.startswith("Async"):
                pool.dispose()

    def _run_env(self, config: Any, decide: Callable[..., Any], **options: Any) -> None:
        script = self.directory.from_config(config)
        with self.environment(config, script, fn=lambda *given: decide(script, *given), **options):
            script.run_env()

    def _asked(self, _script: Any, heads: Any, context: Any) -> list[Any]:
        """Notes where env.py is connected."""
        connection = context.connection
        url = connection.engine.url
        render = getattr(url, "render_as_string", None) or url.__to_string__
        name = ""
        if context.dialect.name == "postgresql":
            run = getattr(connection, "exec_driver_sql", None) or connection.execute
            name = run("select current_database()").scalar()
        self.answer["asked"].append(
            {
                "engine": self.engine,
                "dialect": context.dialect.name,
                "driver": context.dialect.driver,
                "url": render(hide_password=False),
                "version_table": context.version_table,
                "version_schema": context.version_table_schema,
                "heads": sorted(heads or ()),
                "database": name,
            }
        )
        return []

    def _steps(self, script: Any, heads: Any, _context: Any) -> Iterator[Any]:
        """Exactly the wanted revisions."""
        applied: set[str] = set()
        todo = list(heads or ())
        while todo:
            id_ = todo.pop()
            if id_ not in applied:
                applied.add(id_)
                todo += script.get_revision(id_)._all_down_revisions
        for direction, id_ in self.command["steps"]:
            if (id_ in applied) == (direction == "up"):
                continue
            up = direction == "up"
            step = self.make.upgrade_from_script if up else self.make.downgrade_from_script
            yield step(script.revision_map, script.get_revision(id_))
            # The next one is asked for once this one is done.
            self.answer["steps"].append([direction, id_])
            applied ^= {id_}


@contextlib.contextmanager
def _streams() -> Iterator[tuple[Any, Any]]:
    """The commands and the answers; nobody else reads the ones or writes among the others."""
    with os.fdopen(os.dup(0), "rb") as commands, os.fdopen(os.dup(1), "wb") as answers:
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        yield commands, answers


def main() -> int:
    """Reads the order and the commands, and answers each."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.dont_write_bytecode = True
    sys.path.insert(0, own)
    guarding = importlib.import_module("raccord_guard")
    sys.path[:] = [one for one in sys.path if os.path.abspath(one or ".") != own]
    runner = None
    failed = False
    with _streams() as (commands, answers):
        order = json.loads(commands.readline())
        if order.get("cwd_first"):
            sys.path.insert(0, os.getcwd())
        for line in iter(commands.readline, b""):
            try:
                if runner is None:
                    guard = guarding.Guard(order.get("databases", []), bool(order.get("ask")))
                    guarding.stand(guard)
                    runner = Runner(order, guard)
            except ImportError as error:
                said = f"{error}, in {sys.executable}"
                answer: dict[str, Any] = {"ok": False, "kind": "ImportError", "error": said}
            else:
                answer = runner.run(json.loads(line))
            failed = failed or not answer["ok"]
            if order["nonce"]:
                answers.write(f"{order['nonce']} {json.dumps(answer, default=str)}\n".encode())
                answers.flush()
            elif failed:
                for said in answer.get("refused") or [f"{answer['kind']}: {answer['error']}"]:
                    sys.stderr.write(f"Error: {said}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
