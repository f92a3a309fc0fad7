"""Writes the pages that come from the code: docs/cli.md, docs/configuration.md, docs/json.md.

With --check writes nothing, and fails where a page differs from its source.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from pathlib import Path

import typer

from raccord.cli import app, exits, output
from raccord.config import FILE, commented
from raccord.config.text import reference
from raccord.model import (
    lint,
    migration_report,
    plan,
    proof,
    report,
    report_config,
    report_coordination,
    report_data,
    report_doctor,
    report_env,
    report_files,
    report_promote,
)

DOCS = Path(__file__).resolve().parent
# Where the text of a page has no other source.
SEED = """
## The PowerShell script's spellings

`raccord sync` also takes the parameters of the script that it replaces, in any case: `-BaseBranch NAME`,
`-SkipTests`, `-NoPush`, `-AllowDirty`, `-Reason TEXT` and
`-TestCommands '@(@("pwsh","-File","x.ps1"),@("pytest","tests"))'`. The list may be one quoted word or
several, a JSON list of lists, or what PowerShell itself hands over: one word for each command.
"""
CONFIGURATION = f"""\
# Configuration

raccord needs none. What you want otherwise stands in `{FILE}` at the top of the worktree, or below
`[tool.raccord]` of its `pyproject.toml`; having both is an error. `raccord init` writes a commented
file from what it finds. A key that raccord does not know, or a value that it can't take, is refused
with its file and line.

`raccord config list` says what is in force and where each value comes from; `raccord config set` changes one
key and leaves every other byte of the file as it is. What runs takes it up.

"""
CONTRACT = f"""\
# The `--json` contract

One document on standard output: `"version": {output.VERSION}`, its `kind`, and the fields of that kind.
Within a version fields may be added; none is renamed, removed or given another meaning. Times are seconds
since the epoch. Paths and messages are raw: a byte that is not UTF-8 is a lone surrogate (`\\udcff` for
0xff, as Python's `os.fsencode` takes it). The exit code says how it ended; progress and prompts never
reach standard output.
"""
MARK = "<!-- Written by docs/generate.py; edit what it reads, then run `make docs`. -->\n\n"


def cli() -> str:
    """Every verb with its options, from the parser itself."""
    group: typing.Any = typer.main.get_command(app.application())
    out = [
        MARK,
        "# The command line\n\n",
        f"{app.ROOT_HELP} Bare `raccord` shows the status and the one next command.\n\n",
        "Every verb takes `--json` and `--help`, and asks nothing where there is no terminal. ",
        "`raccord --install-completion` sets up completion for your shell.\n\n",
        _table(group),
    ]
    panel = ""
    for name, where in app.VERBS.items():
        if where != panel:
            out.append(f"\n## {where}\n")
            panel = where
        out += _verb(name, group.commands[name])
    out.append("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
    out += [f"| {code} | {meaning} |\n" for code, meaning in exits.MEANING.items()]
    out.append(SEED)
    return "".join(out)


def _verb(name: str, command: typing.Any) -> list[str]:
    arguments = "".join(f" {p.metavar}" for p in command.params if p.param_type_name == "argument")
    out = [f"\n### `raccord {name}{arguments}`\n\n{command.help}\n\n{_table(command)}\n"]
    out.append(f"{_example(command.epilog)}\n")
    for below, verb in getattr(command, "commands", {}).items():
        out += _verb(f"{name} {below}", verb)
    return out


def _example(epilog: str) -> str:
    what = epilog.removeprefix("Example: ")
    return f"Example: `{what}`"


def _table(command: typing.Any) -> str:
    rows = []
    for param in command.params:
        if getattr(param, "hidden", False) or "--help" in param.opts:
            continue
        named = [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [param.metavar]
        value = f" {param.metavar}" if param.param_type_name == "option" and param.metavar else ""
        default = f" Default: {param.default}." if param.default and param.show_default is True else ""
        rows.append(f"| {', '.join(f'`{name}{value}`' for name in named)} | {param.help}{default} |\n")
    return "| | |\n|---|---|\n" + "".join(rows) if rows else ""


def configuration() -> str:
    """Every key of the configuration."""
    return f"{MARK}{CONFIGURATION}{reference()}\n## A commented file\n\n```toml\n{commented({})}```\n"


# What --json prints, by its `kind`: the class, or the field that holds a list of it.
KINDS: dict[str, tuple[str, tuple[type, ...], str]] = {
    "status": ("`raccord`, `raccord status`", (report.StatusReport,), ""),
    "plan": ("any verb with `--dry-run`", (plan.Plan,), ""),
    "run": ("verbs that change something, and `raccord show`", (report.RunReport,), ""),
    "log": ("`raccord log`", (report.RunSummary,), "runs"),
    "snapshots": ("`raccord restore --list`", (report.SnapshotReport,), "snapshots"),
    "migrations": ("`raccord migrations status`", (migration_report.MigrationStatus,), ""),
    "migration": ("`raccord migrations find`", (migration_report.MigrationFind,), ""),
    "fork_urls": ("`raccord migrations fork --url`", (migration_report.ForkUrls,), ""),
    "histories": (
        "`raccord migrations list`, `current`, `history` and `heads`",
        (migration_report.MigrationList,),
        "histories",
    ),
    "notice": ("the command of `[notify]`, on its standard input", (migration_report.Notice,), ""),
    "proof": ("`raccord migrations prove`", (proof.ProofReport,), ""),
    "data-diff": ("`raccord data diff`", (report_data.DataDiff,), ""),
    "data-backups": ("`raccord data restore --list`", (report_data.DataBackups,), ""),
    "data-export": ("`raccord data export`", (report_data.DataExport,), ""),
    "data-status": ("`raccord data status`", (report_data.DataStatus,), ""),
    "files-diff": ("`raccord files diff`", (report_files.FilesDiff,), ""),
    "files-status": ("`raccord files status`", (report_files.FilesStatus,), ""),
    "changes": ("`raccord changes`", (report_coordination.ChangeReport,), "changes"),
    "change": ("`raccord watch --json`, a line for each", (report_coordination.ChangeReport,), ""),
    "serve": ("`raccord serve`, once it listens", (), ""),
    "consolidate": ("`raccord consolidate`", (report_coordination.ConsolidateReport,), ""),
    "consolidations": (
        "`raccord consolidations`",
        (report_coordination.ConsolidationReport,),
        "consolidations",
    ),
    "config": ("`raccord config list`, `raccord config get`", (report_config.Setting,), "settings"),
    "doctor": ("`raccord doctor`", (report_doctor.DoctorReport, report_doctor.DoctorFinding), ""),
    "hub": ("`raccord hub`", (report_coordination.HubReport,), ""),
    "leases": (
        "`raccord lease list`, and `claim` with the one that it granted",
        (report_coordination.LeaseReport,),
        "leases",
    ),
    "environments": ("`raccord env list`", (report_env.EnvironmentEntry,), "environments"),
    "environment-checks": ("`raccord env check`", (report_env.EnvironmentCheck,), "environments"),
    "environment-run": ("`raccord env exec`", (report_env.EnvironmentRun,), ""),
    "profile-diff": ("`raccord promote --diff`", (report_promote.ProfileDiff,), ""),
    "profile-status": ("`raccord promote --status`", (report_promote.ProfileStatus,), ""),
    "lint": ("`raccord migrations lint`", (lint.LintReport,), ""),
    "removal": ("`raccord gc`, `raccord eject`", (report.RemovalReport,), ""),
    "init": ("`raccord init`", (), ""),
    "error": ("any verb that failed", (exits.Problem,), "error"),
}
PARTS = (
    report.WorktreeReport,
    report.LastRun,
    report.RunSummary,
    report.LaneReport,
    report.StepReport,
    migration_report.MigrationFork,
    migration_report.ForkUrl,
    report_data.DataTable,
    report_data.DataRow,
    report_data.DataCell,
    report_data.DataStanding,
    report_data.DataPush,
    report_data.DataWithout,
    report_data.PendingHook,
    report_coordination.FarRun,
    report_coordination.MachineReport,
    report_files.FilesObject,
    report_files.FilesStanding,
    lint.LintFinding,
    plan.Stage,
    plan.Lane,
    plan.Step,
    plan.Finding,
    plan.Waiver,
    proof.MigrationProof,
)


def json_page() -> str:
    """The contract of --json, from the dataclasses that are printed."""
    out = [MARK, CONTRACT]
    for kind, (where, classes, field) in KINDS.items():
        out.append(f"\n## kind `{kind}`\n\nFrom {where}.\n\n")
        if kind == "init":
            out.append(
                "| field | type | |\n|---|---|---|\n| `written` | bool | false with `--dry-run` |\n"
                f"| `text` | str | the text of `{FILE}` |\n"
            )
        for cls in classes:
            if field:
                many = "a list of" if field != "error" else "one"
                out.append(f"`{field}` is {many} `{cls.__name__}`:\n\n")
            out.append(_fields(cls))
    out.append("\n# Their parts\n")
    out += [f"\n## {cls.__name__}\n\n{_first(cls)}\n\n{_fields(cls)}" for cls in PARTS]
    return "".join(out)


def _first(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n")[0]


def _fields(cls: type) -> str:
    described = _attributes(cls)
    rows = []
    for spec in dataclasses.fields(cls):
        kind = _type(str(spec.type))
        rows.append(f"| `{spec.name}` | {kind} | {described.get(spec.name, '').replace('None', 'null')} |\n")
    return "| field | type | |\n|---|---|---|\n" + "".join(rows)


def _type(name: str) -> str:
    """A type as JSON has it: "tuple[X, ...]" is a list."""
    if name in ("RunState", "LaneState"):
        return " or ".join(f"`{value}`" for value in typing.get_args(getattr(report, name)))
    name = re.sub(
        r"Literal\[(.*)\]",
        lambda one: " or ".join(f"`{each}`" for each in re.findall(r"[\"'](\w+)[\"']", one[1])),
        name,
    )
    name = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", name)
    name = re.sub(r"Mapping\[.*\]", "object", name)
    return name.replace(" | None", " or null").replace("Json", "any")


def _attributes(cls: type) -> dict[str, str]:
    """The sentences of a docstring's "Attributes:"."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        if match := re.match(r"    (\w+): (.*)", line):
            name = match[1]
            found[name] = match[2]
        elif name and line.startswith("        "):
            found[name] += " " + line.strip()
        else:
            name = ""
    return found


PAGES = {"cli.md": cli, "configuration.md": configuration, "json.md": json_page}


def main() -> int:
    """Writes the pages, or compares them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        print(f"docs/{name} {'differs from its source: run make docs' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
