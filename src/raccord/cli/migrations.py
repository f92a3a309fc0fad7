"""`raccord migrations`: finds Alembic revisions wherever they are, and puts the missing ones back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli import (
    migration_fork,
    migration_lint,
    migration_new,
    migration_prove,
    migration_rebase,
    migration_rollback,
    output,
)
from raccord.cli.face import Backend, DryRun, Face, Json, Yes, person
from raccord.cli.migration_choices import Choose, chosen
from raccord.model.options import HealOptions, MergeOptions, UpgradeOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord migrations heal --dry-run"
HELP = "Find, put back and apply Alembic revisions."

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Put back revisions that no trusted remote has and nobody applied here."),
]
# What scripts that source the seed's file call; `command raccord` passes functions of that name by.
SHELL = """\
# raccord migrations shell-init: put this into a script with  eval "$(raccord migrations shell-init)"
auto_copy_missing_migrations() { command raccord migrations heal "$@"; }
list_all_migrations() { command raccord migrations list "$@"; }
find_migration_in_worktrees() { command raccord migrations find "$@"; }
"""


def group() -> typer.Typer:
    """The verbs below `migrations`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "status": (status, "raccord migrations status"),
        "list": (list_, "raccord migrations list backend"),
        "find": (find, "raccord migrations find a1b2c3d4 --diff"),
        "current": (current, "raccord migrations current"),
        "history": (history, "raccord migrations history backend"),
        "heads": (heads, "raccord migrations heads"),
        "heal": (heal, EXAMPLE),
        "upgrade": (upgrade, "raccord migrations upgrade backend --dry-run"),
        "fork": (migration_fork.command, migration_fork.EXAMPLE),
        "lint": (migration_lint.command, migration_lint.EXAMPLE),
        "merge": (merge, "raccord migrations merge -m 'join basket and search'"),
        "prove": (migration_prove.command, migration_prove.EXAMPLE),
        "new": (migration_new.command, migration_new.EXAMPLE),
        "rebase": (migration_rebase.command, migration_rebase.EXAMPLE),
        "rollback-phantoms": (migration_rollback.command, migration_rollback.EXAMPLE),
        "shell-init": (shell_init, 'eval "$(raccord migrations shell-init)"'),
    }
    for name, (verb, example) in verbs.items():
        app.command(name, epilog=f"Example: {example}")(verb)
    return app


def root(context: typer.Context, as_json: Json = False) -> None:
    """What the verbs share."""
    context.obj = Face.of(context, as_json)


def status(context: typer.Context, backend: Backend = "", as_json: Json = False) -> int:
    """Show every worktree's migrations against its database."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.migration_status(backend)
    return face.migration_status(report)


def list_(context: typer.Context, backend: Backend = "", as_json: Json = False) -> int:
    """Draw the revisions of every worktree, branch and commit."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.migration_list(backend)
    return face.migration_lists([report])


def find(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="Its id, the beginning of one, or a label.")
    ],
    backend: Backend = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show what differs between its contents.")] = False,
    as_json: Json = False,
) -> int:
    """Find every content of a revision, and every place that holds it."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.migration_find(revision, backend, diff=diff)
    return face.migration_find(report)


def current(context: typer.Context, backend: Backend = "", as_json: Json = False) -> int:
    """List what this worktree's database is at, with or without files of it."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        reports = workspace.migration_current(backend)
    return face.migration_lists(reports)


def history(context: typer.Context, backend: Backend = "", as_json: Json = False) -> int:
    """Draw this worktree's history, and what is missing in it."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        reports = workspace.migration_history(backend)
    return face.migration_lists(reports)


def heads(context: typer.Context, backend: Backend = "", as_json: Json = False) -> int:
    """List the heads of this worktree's files."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        reports = workspace.migration_heads(backend)
    return face.migration_lists(reports)


def heal(
    context: typer.Context,
    backend: Backend = "",
    every: Annotated[bool, typer.Option("--all", "-a", help="Every worktree, not only this one.")] = False,
    choose: Choose = None,
    trust: Trust = False,
    fetch_lfs: Annotated[
        bool,
        typer.Option("--fetch-lfs", help="Let git-lfs download what is nowhere else."),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Put back every revision that the database or a file names and that is missing here."""
    face = Face.of(context, as_json)
    picks = chosen(choose)

    def options(*, trusting: bool, dry: bool) -> HealOptions:
        return HealOptions(every, backend, picks, trusting, dry, person(), fetch_lfs)

    if not trust and not dry_run and face.asks:
        with face.workspace() as workspace:
            planned = workspace.migration_heal(options(trusting=False, dry=True))
        if face.untrusted(planned):
            face.answer(planned)
            trust = typer.confirm("Put them back all the same?", err=True)
    with face.workspace() as workspace:
        answer = workspace.migration_heal(options(trusting=trust, dry=dry_run))
    return face.answer(answer)


def upgrade(
    context: typer.Context,
    backend: Backend = "",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="A revision, a label or +N; all heads by default.",
            show_default=False,
        ),
    ] = "",
    every: Annotated[
        bool,
        typer.Option("--all", "-a", help="Every database, to what the base's worktree has."),
    ] = False,
    choose: Choose = None,
    trust: Trust = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Put back what is missing, back the database up, and run the project's alembic."""
    face = Face.of(context, as_json)
    picks = chosen(choose)

    def call(workspace: Workspace, dry: bool) -> Answer:
        return workspace.migration_upgrade(UpgradeOptions(every, backend, picks, trust, dry, person(), to=to))

    return face.careful(call, face.answer, dry_run=dry_run, yes=yes)


def merge(
    context: typer.Context,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="MESSAGE", help="What is joined.", show_default=False)
    ],
    backend: Backend = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Join the heads of this worktree's history by a new revision."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        answer = workspace.migration_merge(MergeOptions(message, backend, dry_run, person()))
    return face.answer(answer)


def shell_init() -> int:
    """Print the shell functions of scripts that used to copy migrations."""
    output.write(SHELL)
    return 0
