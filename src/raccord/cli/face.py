"""What every verb's file shares: the place, how to print, one way to open the workspace and to answer."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from raccord.cli import exits, output
from raccord.model.plan import Plan
from raccord.model.report import (
    Answer,
    RemovalReport,
    RunSummary,
    SnapshotReport,
    StatusReport,
)

if TYPE_CHECKING:
    from raccord.cli.render import Page
    from raccord.model.lint import LintReport
    from raccord.model.migration_report import (
        ForkUrls,
        MigrationFind,
        MigrationList,
        MigrationStatus,
    )
    from raccord.model.proof import ProofReport
    from raccord.model.report_data import DataDiff, DataExport, DataStatus
    from raccord.model.report_files import FilesDiff, FilesStatus
    from raccord.model.report_promote import ProfileDiff, ProfileStatus
    from raccord.workspace import Workspace

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask, even on a terminal.")]
Backend = Annotated[
    str,
    typer.Argument(
        metavar="[BACKEND]",
        help="The folder that alembic is run in, relative to the worktree.",
        show_default=False,
    ),
]

YesTo = Annotated[
    str,
    typer.Option("--yes-to", metavar="ENV", help="The protected environment to change.", show_default=False),
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Face:
    """How one call of the program talks.

    Attributes:
        directory: where it was started, or -C; absolute.
        as_json: whether a program reads the answer.
        color: whether colours may be used where the terminal has them.
    """

    directory: Path
    as_json: bool = False
    color: bool = True

    @classmethod
    def of(cls, context: typer.Context, as_json: bool) -> Face:
        """The face of a verb, whose own --json is as good as the one before it."""
        face: Face = context.obj
        return dataclasses.replace(face, as_json=face.as_json or as_json)

    @contextlib.contextmanager
    def workspace(self, *, quiet: bool = False) -> Iterator[Workspace]:
        """The workspace; while the block lasts, a terminal shows what goes on there.

        Args:
            quiet: whether the terminal is left to somebody else.
        """
        from raccord.cli.asking import Asking
        from raccord.cli.progress import Progress
        from raccord.kernel.owner import age
        from raccord.workspace import Workspace

        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(Progress(sys.stderr, color=self.color, quiet=quiet))
            person = stack.enter_context(Asking(progress.paused)) if self.asks else None
            # The person asked when the process started, not once it had loaded.
            began = time.time() - age()
            opened = Workspace.open(
                self.directory, listen=progress.listen, asked=began, person=person.ask if person else None
            )
            yield stack.enter_context(opened)

    def status(self, report: StatusReport) -> int:
        """Answers with the workspace at a glance."""
        if self.as_json:
            output.document("status", dataclasses.asdict(report))
        else:
            from raccord.cli.render_status import status

            self._print(lambda page: status(page, report))
        return exits.DONE

    def answer(self, answer: Answer, *, full: bool = False) -> int:
        """Answers with a plan or with how a run ended, and its exit code."""
        if self.as_json:
            output.document("plan" if isinstance(answer, Plan) else "run", dataclasses.asdict(answer))
        else:
            from raccord.cli.render_run import plan, run

            if isinstance(answer, Plan):
                shown = answer
                self._print(lambda page: plan(page, shown))
            else:
                report = answer
                self._print(lambda page: run(page, report, full=full))
        return exits.DONE if isinstance(answer, Plan) else exits.of_run(answer)

    def log(self, runs: Sequence[RunSummary]) -> int:
        """Answers with lines of the journal."""
        if self.as_json:
            output.document("log", {"runs": [dataclasses.asdict(run) for run in runs]})
        else:
            from raccord.cli.render_lists import log

            self._print(lambda page: log(page, runs))
        return exits.DONE

    def snapshots(self, snapshots: Sequence[SnapshotReport]) -> int:
        """Answers with a list of snapshots."""
        if self.as_json:
            output.document("snapshots", {"snapshots": [dataclasses.asdict(one) for one in snapshots]})
        else:
            from raccord.cli.render_lists import snapshots as render

            self._print(lambda page: render(page, snapshots))
        return exits.DONE

    def migration_status(self, report: MigrationStatus) -> int:
        """Answers with every worktree's migrations."""
        if self.as_json:
            output.document("migrations", dataclasses.asdict(report))
        else:
            from raccord.cli.render_migrations import status

            self._print(lambda page: status(page, report))
        return exits.DONE

    def migration_lists(self, reports: Sequence[MigrationList]) -> int:
        """Answers with drawn histories."""
        if self.as_json:
            output.document("histories", {"histories": [dataclasses.asdict(one) for one in reports]})
        else:
            from raccord.cli.render_migrations import lists

            self._print(lambda page: lists(page, reports))
        return exits.DONE

    def fork_urls(self, report: ForkUrls) -> int:
        """Answers with URLs, as a shell takes them."""
        if self.as_json:
            output.document("fork_urls", dataclasses.asdict(report))
            return exits.DONE
        several = len(report.urls) > 1
        output.write("".join(f"{f'{one.database}=' if several else ''}{one.url}\n" for one in report.urls))
        if any(one.masked for one in report.urls):
            output.say("the password is left out; --with-password prints it")
        return exits.DONE

    def migration_find(self, report: MigrationFind) -> int:
        """Answers with where a revision is."""
        if self.as_json:
            output.document("migration", dataclasses.asdict(report))
        else:
            from raccord.cli.render_migrations import find

            self._print(lambda page: find(page, report))
        return exits.DONE

    def proof(self, report: ProofReport) -> int:
        """Answers with what revisions did on a clone."""
        if self.as_json:
            output.document("proof", dataclasses.asdict(report))
        else:
            from raccord.cli.render_proof import proof

            self._print(lambda page: proof(page, report))
        return exits.DONE if report.passed else exits.FAILED

    def data_diff(self, report: DataDiff) -> int:
        """Answers with how a data set differs."""
        if self.as_json:
            output.document("data-diff", dataclasses.asdict(report))
        else:
            from raccord.cli.render_data import diff

            self._print(lambda page: diff(page, report))
        return exits.FAILED if report.equal is None else exits.DONE

    def data_status(self, report: DataStatus) -> int:
        """Answers with what is where."""
        if self.as_json:
            output.document("data-status", dataclasses.asdict(report))
        else:
            from raccord.cli.render_data import status

            self._print(lambda page: status(page, report))
        return exits.of_standings(report.sets)

    def data_export(self, report: DataExport) -> int:
        """Answers with what was written into files."""
        if self.as_json:
            output.document("data-export", dataclasses.asdict(report))
        else:
            from raccord.cli.render_data import export

            self._print(lambda page: export(page, report))
        return exits.DONE

    def files_diff(self, report: FilesDiff) -> int:
        """Answers with how a file set differs."""
        if self.as_json:
            output.document("files-diff", dataclasses.asdict(report))
        else:
            from raccord.cli.render_files import diff

            self._print(lambda page: diff(page, report))
        return exits.DONE

    def files_status(self, report: FilesStatus) -> int:
        """Answers with which objects are where."""
        if self.as_json:
            output.document("files-status", dataclasses.asdict(report))
        else:
            from raccord.cli.render_files import status

            self._print(lambda page: status(page, report))
        return exits.of_standings(report.sets)

    def profile(self, report: ProfileDiff | ProfileStatus) -> int:
        """Answers with how the sets of a profile differ, or with where they stand."""
        from raccord.cli.render_promote import kind, profile
        from raccord.model.report_promote import ProfileStatus

        if self.as_json:
            output.document(kind(report), dataclasses.asdict(report))
        else:
            self._print(lambda page: profile(page, report))
        if isinstance(report, ProfileStatus):
            return exits.of_standings([*report.files, *report.data])
        return exits.FAILED if report.equal is None else exits.DONE

    def migration_lint(self, report: LintReport) -> int:
        """Answers with what is wrong with revisions."""
        if self.as_json:
            output.document("lint", dataclasses.asdict(report))
        else:
            from raccord.cli.render_lint import lint

            self._print(lambda page: lint(page, report))
        return exits.FAILED if report.failed else exits.DONE

    @staticmethod
    def untrusted(answer: Answer) -> bool:
        """Whether a plan waits for a person's word on what it would put back."""
        lanes = [lane for stage in answer.stages for lane in stage.lanes] if isinstance(answer, Plan) else []
        return any(lane.held is not None and lane.held.name == "migration.untrusted" for lane in lanes)

    def removal(self, report: RemovalReport) -> int:
        """Answers with what was or would be removed."""
        if self.as_json:
            output.document("removal", dataclasses.asdict(report))
        else:
            from raccord.cli.render_lists import removal

            self._print(lambda page: removal(page, report))
        return exits.DONE

    @property
    def asks(self) -> bool:
        """Whether there is a person to ask: never without a terminal, and never where a program reads."""
        return not self.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    def careful(
        self, call: Callable[[Workspace, bool], T], answer: Callable[[T], int], *, dry_run: bool, yes: bool
    ) -> int:
        """Runs a verb that may destroy something; on a terminal it is shown first, and a person asked.

        Args:
            call: the verb, with whether it is only to plan.
            answer: prints what `call` returned.
            dry_run: whether to stop at the plan.
            yes: whether the person agreed beforehand.
        """
        if dry_run or (self.asks and not yes):
            with self.workspace() as workspace:
                planned = call(workspace, True)
            if dry_run or destroys(planned):
                code = answer(planned)
                if dry_run:
                    return code
                if not typer.confirm("Go on?", err=True):
                    output.say("Nothing was changed.")
                    return exits.DONE
        with self.workspace() as workspace:
            done = call(workspace, False)
        return answer(done)

    def promoted(
        self,
        call: Callable[[Workspace, bool, str], Answer],
        changes: Sequence[str],
        *,
        yes_to: str,
        dry_run: bool,
        yes: bool,
    ) -> int:
        """Runs a verb that changes environments: the name of a protected one has to be typed or given.

        Args:
            call: the verb, with whether it is only to plan, and the environments that were named.
            changes: the environments.
            yes_to: those that were named beforehand, with commas between them, or "".
            dry_run, yes: as in `careful`.
        """
        asked = not (dry_run or yes_to) and self.asks  # else nothing is opened to find out
        protected = self._protected(changes) if asked else []
        if not protected:
            agreed = yes or bool(yes_to)
            return self.careful(
                lambda workspace, dry: call(workspace, dry, yes_to), self.answer, dry_run=dry_run, yes=agreed
            )
        with self.workspace() as workspace:
            planned = call(workspace, True, "")
        code = self.answer(planned)
        if not destroys(planned):
            return code
        if not all(self.named(name) for name in protected):
            return exits.DONE
        with self.workspace() as workspace:
            return self.answer(call(workspace, False, ",".join(protected)))

    @staticmethod
    def named(to: str) -> bool:
        """Whether a person types the name of a protected environment."""
        typed = typer.prompt(
            f"{to} is protected: type its name to go on", err=True, default="", show_default=False
        )
        if typed.strip() != to:
            output.say("Nothing was changed.")
        return bool(typed.strip() == to)

    def show(self, kind: str, fields: Mapping[str, object], render: Callable[[Page], None]) -> None:
        """Answers with one document of a kind, or with what `render` adds to a page."""
        if self.as_json:
            output.document(kind, fields)
        else:
            self._print(render)

    def _protected(self, names: Sequence[str]) -> list[str]:
        with self.workspace() as workspace:
            return [name for name in names if workspace.environment_is_protected(name)]

    def _print(self, render: Callable[[Page], None]) -> None:
        from raccord.cli.render import Page

        page = Page.on(sys.stdout, self.directory, color=self.color)
        render(page)
        output.write(page.text())


def destroys(planned: object) -> bool:
    """Whether doing this would overwrite or remove something."""
    if isinstance(planned, RemovalReport):
        return bool(planned.removed)
    return isinstance(planned, Plan) and any(step.destroys for step in planned.steps())


def person() -> str:
    """Who runs this, for the journal; "" where the system does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
