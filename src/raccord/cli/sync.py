"""`raccord sync`: brings worktrees in step with their base."""

from __future__ import annotations

import json
import shlex
from typing import Annotated

import typer

from raccord.cli.face import DryRun, Face, Json, person
from raccord.errors import UsageError
from raccord.model.options import SyncOptions

EXAMPLE = "raccord sync --all --test-command 'pytest -q'"
REASONED = {"skip_tests": "--skip-tests", "no_push": "--no-push", "allow_dirty": "--allow-dirty"}


Every = Annotated[bool, typer.Option("--all", "-a", help="Every worktree, not only this one.")]
Base = Annotated[
    str, typer.Option("--base", metavar="BRANCH", help="The branch to replay on.", show_default=False)
]
Tests = Annotated[
    list[str] | None,
    typer.Option(
        "--test-command",
        metavar="COMMAND",
        help="Run this test instead of the configured ones; repeatable, and may be a JSON list of words.",
    ),
]
SkipTests = Annotated[bool, typer.Option("--skip-tests", help="Run no test; needs --reason.")]
NoPush = Annotated[bool, typer.Option("--no-push", help="Push nothing; needs --reason.")]
AllowDirty = Annotated[
    bool, typer.Option("--allow-dirty", help="Sync around uncommitted edits, which stay; needs --reason.")
]
Reason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help="Why a guard is skipped; the journal keeps it.", show_default=False
    ),
]
ByHand = Annotated[bool, typer.Option("--resolve-by-hand", help="Leave conflicts open for a person.")]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", "-j", metavar="N", min=0, help="Work on so many worktrees at once.", show_default=False
    ),
]
# Scripts may say it to every verb alike: what sync overwrites is always backed up, so it never asks.
Unasked = Annotated[bool, typer.Option("--yes", "-y", hidden=True)]


def command(
    context: typer.Context,
    every: Every = False,
    base: Base = "",
    test_command: Tests = None,
    skip_tests: SkipTests = False,
    no_push: NoPush = False,
    allow_dirty: AllowDirty = False,
    reason: Reason = "",
    resolve_by_hand: ByHand = False,
    dry_run: DryRun = False,
    jobs: Jobs = 0,
    as_json: Json = False,
    _yes: Unasked = False,
) -> int:
    """Bring worktrees in step: fetch, replay, test, push."""
    face = Face.of(context, as_json)
    options = SyncOptions(
        all=every,
        base=base,
        test_commands=tuple(argv(text) for text in test_command or ()),
        skip_tests=skip_tests,
        no_push=no_push,
        allow_dirty=allow_dirty,
        reason=reason.strip(),
        resolve_by_hand=resolve_by_hand,
        dry_run=dry_run,
        jobs=jobs,
        by=person(),
    )
    if options.unexplained:
        names = " ".join(REASONED[name] for name in options.waived)
        raise UsageError(
            f"{names} needs --reason TEXT: the journal keeps why a guard was skipped",
            hint=f'raccord sync {names} --reason "…"',
        )
    with face.workspace() as workspace:
        answer = workspace.sync(options)
    return face.answer(answer)


def argv(text: str) -> tuple[str, ...]:
    """A command as typed: a JSON list of words, or a line that is split as a shell would, without a shell.

    Raises:
        UsageError: it can't be split, or names no program.
    """
    hint = "raccord sync --test-command 'pytest -q'"
    words: object
    try:
        words = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--test-command {text}: {error}", hint=hint) from error
    if not isinstance(words, list) or not words or not words[0] or not all(isinstance(w, str) for w in words):
        raise UsageError(f"--test-command {text or repr(text)}: names no program", hint=hint)
    return tuple(words)
