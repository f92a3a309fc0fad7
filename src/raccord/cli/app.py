"""Finds the verb, imports its file and no other, runs it, and answers for whatever it raises."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from raccord import __version__
from raccord.cli import exits, output, seed
from raccord.cli.face import Face
from raccord.errors import CannotRun, UsageError

LOOK, ACT, RUN, SET_UP = "Look", "Act", "Run", "Set up"

# In the order of the help page; each verb is the function `command` of its own file, or a `group` of verbs.
VERBS = {
    "status": LOOK,
    "log": LOOK,
    "show": LOOK,
    "changes": LOOK,
    "consolidations": LOOK,
    "doctor": LOOK,
    "hub": LOOK,
    "sync": ACT,
    "snapshot": ACT,
    "restore": ACT,
    "undo": ACT,
    "migrations": ACT,
    "data": ACT,
    "files": ACT,
    "env": ACT,
    "watch": ACT,
    "serve": ACT,
    "consolidate": ACT,
    "lease": ACT,
    "promote": ACT,
    "continue": RUN,
    "skip": RUN,
    "abort": RUN,
    "init": SET_UP,
    "config": SET_UP,
    "gc": SET_UP,
    "eject": SET_UP,
}
COMPLETE = "_RACCORD_COMPLETE"  # set by the shell's completion
ROOT_HELP = "Keeps the worktrees of a git repository in step, and never loses a byte."
ROOT_EXAMPLE = "Example: raccord sync --all --dry-run"


def run(argv: Sequence[str]) -> int:
    """Runs a command line to its exit code; whatever goes wrong is said in one line."""
    output.prepare()
    words = list(argv)
    try:
        if sys.getfilesystemencoding() != "utf-8":
            # Git's names are bytes, UTF-8 by custom; in another encoding they would become other names.
            raise CannotRun(
                f"Python takes file names for {sys.getfilesystemencoding()} here, not for UTF-8",
                hint="export PYTHONUTF8=1",
            )
        at = verb_at(words)
        if at is not None and words[at] == "sync":
            words = seed.normalised(words, at)
        return _invoke(words, words[at] if at is not None else None)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        return exits.tell(exits.misuse(error), as_json="--json" in words)
    except typer.Abort:  # Ctrl-C, or the end of input, at a question
        return exits.tell(exits.problem(KeyboardInterrupt(), argv), as_json="--json" in words)
    except (Exception, KeyboardInterrupt, MemoryError) as error:  # noqa: BLE001 (the last place to answer)
        return exits.tell(exits.problem(error, argv), as_json="--json" in words)
    finally:
        output.finish()


def verb_at(words: Sequence[str]) -> int | None:
    """Where the verb stands: the first word that is neither an option nor the directory of -C."""
    skip = False
    for at, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-C":
            skip = True
        elif not word.startswith("-"):
            return at
    return None


def application(verb: str | None = None) -> typer.Typer:
    """The Typer application with one verb, or with all of them where `verb` is None or none of them."""
    app = typer.Typer(
        name="raccord",
        add_completion=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=ROOT_HELP, epilog=ROOT_EXAMPLE)(root)
    for name in [verb] if verb in VERBS else VERBS:
        module = import_module(f"raccord.cli.{module_name(name)}")
        if hasattr(module, "group"):
            app.add_typer(module.group(), name=name, rich_help_panel=VERBS[name])
            continue
        app.command(name, epilog=f"Example: {module.EXAMPLE}", rich_help_panel=VERBS[name])(module.command)
    return app


def module_name(verb: str) -> str:
    """The file of a verb: `continue` is a word of Python's."""
    return "continue_" if verb == "continue" else verb


def root(
    context: typer.Context,
    directory: Annotated[
        str, typer.Option("-C", metavar="DIR", help="Run as if started in this directory.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Print without colours.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> int:
    """Bare `raccord`: the status and the one next command."""
    if version:
        output.write(f"raccord {__version__}\n")
        raise typer.Exit
    if directory and not os.path.isdir(directory):
        raise UsageError(f"-C {directory}: there is no such directory")
    try:
        here = Path(os.path.abspath(directory or "."))
    except FileNotFoundError as error:
        raise CannotRun("the working directory is gone", hint="cd to one that exists") from error
    face = Face(here, as_json=as_json, color=not no_color)
    context.obj = face
    if context.invoked_subcommand is not None:
        return exits.DONE
    with face.workspace() as workspace:
        return face.status(workspace.status())


def _invoke(words: list[str], verb: str | None) -> int:
    if COMPLETE in os.environ:
        typer.main.get_command(application()).main(args=words, prog_name="raccord", complete_var=COMPLETE)
        return exits.DONE
    help_wanted = verb is None and not {"-h", "--help"}.isdisjoint(words)
    command = typer.main.get_command(application(None if help_wanted else verb or "status"))
    with command.make_context("raccord", words) as context:
        return int(command.invoke(context))
