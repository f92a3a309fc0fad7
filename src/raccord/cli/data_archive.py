"""`raccord data export` and `import`: rows in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli.data_options import MODES, AllowEmpty, From, Mode, Name, Reason, To, Unmasked, one_of
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person
from raccord.errors import UsageError
from raccord.model.options_data import DataExportOptions, DataImportOptions, KeyOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXPORT = "raccord data export knowledge --from prod --masked"
IMPORT = "raccord data import exports/knowledge_20260101_120000.raccord --to prod --dry-run"
FORMS = ("archive", "csv")
PROMPT = "prompt"
SECRETS = ("include", "exclude")

Passphrase = Annotated[
    str,
    typer.Option(
        "--passphrase",
        metavar="SOURCE",
        help="Where the archive's passphrase comes from: env:VARIABLE, file:PATH, command:WORDS or prompt.",
        show_default=False,
    ),
]
Secrets = Annotated[
    str,
    typer.Option(
        "--secrets",
        metavar="WHAT",
        help="Whether columns that may hold secrets travel: include or exclude; as the set says by default.",
        show_default=False,
    ),
]


KeyFile = Annotated[
    str,
    typer.Option(
        "--key-file", metavar="FILE", help="The file with the secret key of age.", show_default=False
    ),
]
Format = Annotated[
    str,
    typer.Option("--format", metavar="FORMAT", help="archive, or csv: a file TABLE_TIME.csv for each table."),
]


def export(
    context: typer.Context,
    name: Name,
    origin: From = "",
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="PATH",
            help="The file, or the folder of CSV files; in exports/ by default.",
            show_default=False,
        ),
    ] = "",
    form: Format = "archive",
    secrets: Secrets = "",
    in_clear: Annotated[
        bool, typer.Option("--secrets-in-clear", help="Let secrets stand in CSV files.")
    ] = False,
    passphrase: Passphrase = "",
    to_key: Annotated[
        list[str] | None,
        typer.Option(
            "--to-key", metavar="age1…", help="Seal it to this public key of age; may be given several times."
        ),
    ] = None,
    masked: Annotated[
        bool,
        typer.Option("--masked", help="Mask what may be secret or personal, as a pull does."),
    ] = False,
    unmasked: Unmasked = False,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Why nothing is masked; the archive keeps it.",
            show_default=False,
        ),
    ] = "",
    yes_to: Annotated[
        str,
        typer.Option(
            "--yes-to",
            metavar="ENV",
            help="The protected environment whose rows are written unmasked.",
            show_default=False,
        ),
    ] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Write the rows of a set into an archive, or into CSV files."""
    face = Face.of(context, as_json)
    one_of("--format", form, FORMS, "export")
    one_of("--secrets", secrets, SECRETS, "export")
    word = typed(face, passphrase, again=True) if not dry_run else ""
    key = KeyOptions(passphrase, word, tuple(to_key or ()))
    with face.workspace() as workspace:
        report = workspace.archives.export(
            DataExportOptions(
                name,
                origin,
                out,
                form,
                secrets,
                in_clear,
                key,
                dry_run,
                person(),
                masked,
                unmasked,
                reason,
                yes_to,
            )
        )
    return face.data_export(report)


def bring(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PATH", help="The archive, or the folder of CSV files.")],
    to: To,
    set_: Annotated[
        str,
        typer.Option("--set", metavar="SET", help="The set that the rows are of.", show_default=False),
    ] = "",
    form: Format = "archive",
    mode: Mode = "",
    secrets: Secrets = "",
    passphrase: Passphrase = "",
    key_file: KeyFile = "",
    unmasked: Annotated[
        bool,
        typer.Option("--unmasked", help="Let rows come that a pull would have masked; needs --reason."),
    ] = False,
    reason: Reason = "",
    allow_empty: AllowEmpty = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Make the rows of a set in an environment what they are in files, in one transaction."""
    face = Face.of(context, as_json)
    one_of("--format", form, FORMS, "import")
    one_of("--mode", mode, MODES, "import")
    one_of("--secrets", secrets, SECRETS, "import")
    key = KeyOptions(passphrase, typed(face, passphrase), key_file=key_file)

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.archives.bring(
            DataImportOptions(
                name, to, set_, form, mode, secrets, key, allow_empty, yes_to=named,
                dry_run=dry, by=person(), unmasked=unmasked, reason=reason,
            )
        )  # fmt: skip

    return face.promoted(call, (to,), yes_to=yes_to, dry_run=dry_run, yes=yes)


def typed(face: Face, passphrase: str, *, again: bool = False) -> str:
    """What a person types, where that was asked for; twice where nothing else would tell a slip."""
    if passphrase != PROMPT:
        return ""
    if not face.asks:
        raise UsageError(
            "there is no terminal to type the passphrase on", hint="--passphrase env:VARIABLE or file:PATH"
        )
    typed: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=again, err=True)
    return typed
