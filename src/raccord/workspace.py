"""The library's face: a repository with all its worktrees, and all that the command line can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from raccord.model.event import Listener, silent
from raccord.model.options import SyncOptions
from raccord.model.options_data import (
    DataDiffOptions,
    DataPullOptions,
    DataPushOptions,
    FilesDiffOptions,
    FilesPushOptions,
    ProfileDiffOptions,
    PromoteOptions,
)
from raccord.model.plan import Json
from raccord.model.report import (
    Answer,
    RemovalReport,
    RunReport,
    RunSummary,
    SnapshotReport,
    StatusReport,
)
from raccord.verbs.migration_face import Migrations
from raccord.verbs.report import answer as _answer
from raccord.verbs.report import run_report, summaries, unfinished
from raccord.verbs.room import Room

if TYPE_CHECKING:
    from raccord.model.plan import Plan
    from raccord.model.report_data import DataDiff, DataStatus
    from raccord.model.report_doctor import DoctorReport
    from raccord.model.report_files import FilesDiff, FilesStatus
    from raccord.model.report_promote import ProfileDiff, ProfileStatus
    from raccord.transport.model import Ask
    from raccord.verbs.coordination import Coordination
    from raccord.verbs.data_archives import ArchiveVerbs
    from raccord.verbs.environments import EnvironmentVerbs
    from raccord.verbs.settings import ConfigurationVerbs

# Verbs are imported where they are called: looking loads nothing of what changes the world.


class Workspace(Migrations):
    """A repository, its worktrees, its configuration and its state."""

    @classmethod
    def open(
        cls,
        path: Path | str = ".",
        *,
        listen: Listener | None = None,
        asked: float | None = None,
        person: Ask | None = None,
    ) -> Workspace:
        """Opens the workspace that a directory lies in; writes nothing.

        Args:
            listen: told what happens.
            asked: when the person asked, in seconds since the epoch: a fetch begun since then is not made
                again. Now, by default.
            person: asks what only a person knows, such as a password; by default there is nobody.

        Raises:
            NotARepository, GitMissing, GitTooOld, CannotRun: it can't be opened.
        """
        return cls(Room.open(Path(path), listen or silent, asked, person))

    def again(self) -> Workspace:
        """The same workspace as it is now, by the configuration that is in force in this one."""
        return Workspace(self._room.again())

    def close(self) -> None:
        """Ends the connections to other hosts; they end with the process as well."""
        self._room.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def doctor(path: Path | str = ".", *, online: bool = False, enabled: str = "") -> DoctorReport:
        """What is wrong at a directory, why, and the next command; needs no workspace that can be opened.

        Args:
            online: ask environments and databases on other machines too.
            enabled: the value of AUTOSYNC_ENABLED; "" where it is not set.
        """
        from raccord.verbs.doctor import doctor

        return doctor(Path(path), online=online, enabled=enabled)

    def status(self) -> StatusReport:
        """Every worktree at a glance."""
        from raccord.verbs import status

        return status.status(self._room)

    def sync(self, options: SyncOptions | None = None) -> Answer:
        """Brings worktrees in step; the plan where `dry_run` is set."""
        from raccord.verbs import sync

        chosen = options or SyncOptions()
        return _answer(*sync.sync(self._room, chosen), dry_run=chosen.dry_run)

    def undo(
        self, run: str | None = None, *, dry_run: bool = False, by: str = "", yes_to: str = ""
    ) -> Answer:
        """Takes a run back, whole: the named one or the newest. `yes_to` names protected environments."""
        from raccord.verbs import runs

        return _answer(*runs.undo(self._room, run, dry_run=dry_run, by=by, yes_to=yes_to), dry_run=dry_run)

    def undo_changes(self, run: str | None = None) -> tuple[str, ...]:
        """The environments that the undo of a run would change."""
        from raccord.verbs import runs

        return runs.environments(self._room, run)

    def continue_(self, lane: str | None = None, run: str | None = None) -> RunReport:
        """Goes on with a stopped or killed run."""
        from raccord.verbs import runs

        return run_report(runs.go_on(self._room, lane, run))

    def skip(self, lane: str | None = None, run: str | None = None) -> RunReport:
        """Puts unfinished lanes back, leaves them out, and goes on with the others."""
        from raccord.verbs import runs

        return run_report(runs.skip(self._room, lane, run))

    def abort(self, lane: str | None = None, run: str | None = None) -> RunReport:
        """Takes back what the unfinished lanes of a run did."""
        from raccord.verbs import runs

        return run_report(runs.back_out(self._room, lane, run, "aborted"))

    def snapshot(
        self,
        *,
        all: bool = False,  # noqa: A002 (named like the option)
        ignored: bool = False,
        message: str = "",
        by: str = "",
    ) -> Answer:
        """Keeps the whole state of this worktree, or of all."""
        from raccord.verbs import snapshots

        made = snapshots.snapshot(self._room, all_=all, ignored=ignored, message=message, by=by)
        return _answer(*made, dry_run=False)

    def snapshots(self) -> tuple[SnapshotReport, ...]:
        """Every snapshot, newest first."""
        from raccord.verbs import snapshots

        return snapshots.snapshots(self._room)

    def restore(self, snapshot: str | None = None, *, dry_run: bool = False, by: str = "") -> Answer:
        """Brings a worktree back to a snapshot, exactly."""
        from raccord.verbs import snapshots

        return _answer(*snapshots.restore(self._room, snapshot, dry_run=dry_run, by=by), dry_run=dry_run)

    def data_diff(self, options: DataDiffOptions) -> DataDiff:
        """How a data set differs between two environments."""
        from raccord.verbs import data_looks

        return data_looks.diff(self._room, options)

    def data_status(self, name: str = "") -> DataStatus:
        """What is where: the rows of data sets, and their last push."""
        from raccord.verbs import data_looks

        return data_looks.status(self._room, name)

    @property
    def environments(self) -> EnvironmentVerbs:
        """Which environments there are, whether they can be reached, and commands that run there."""
        from raccord.verbs.environments import EnvironmentVerbs

        return EnvironmentVerbs(self._room)

    @property
    def configuration(self) -> ConfigurationVerbs:
        """What is configured and where that comes from, and keys that are set."""
        from raccord.verbs.settings import ConfigurationVerbs

        return ConfigurationVerbs(self._room)

    @property
    def language(self) -> str:
        """The language of findings and reports."""
        return self._room.language

    def environment_is_protected(self, name: str) -> bool:
        """Whether an environment's name has to be given before it is changed."""
        from raccord.verbs import promoting

        return promoting.environments(self._room).environment(name).protected

    def data_push(self, options: DataPushOptions) -> Answer:
        """Pushes a data set to an environment; the plan where `dry_run` is set."""
        from raccord.verbs import data_push

        return _answer(*data_push.push(self._room, options), dry_run=options.dry_run)

    @property
    def archives(self) -> ArchiveVerbs:
        """Rows in files: written, and brought into an environment."""
        from raccord.verbs.data_archives import ArchiveVerbs

        return ArchiveVerbs(self._room)

    def data_pull(self, options: DataPullOptions) -> Answer:
        """Brings a set back to where it comes from, with what is personal masked."""
        from raccord.verbs import data_push

        return _answer(*data_push.pull(self._room, options), dry_run=options.dry_run)

    def data_home(self, name: str) -> str:
        """The environment that a set comes from."""
        from raccord.verbs import data_sets

        return data_sets.configured(self._room, name).from_

    def files_diff(self, options: FilesDiffOptions) -> FilesDiff:
        """How a set of objects differs between two environments."""
        from raccord.verbs import files_looks

        return files_looks.diff(self._room, options)

    @property
    def coordination(self) -> Coordination:
        """The watched files of every worktree: who changed what, and the reports of it."""
        from raccord.verbs.coordination import Coordination

        return Coordination(self._room)

    def files_status(self, name: str = "") -> FilesStatus:
        """What is where: the objects of file sets, and their last push."""
        from raccord.verbs import files_looks

        return files_looks.status(self._room, name)

    def files_pull(self, options: FilesPushOptions) -> Answer:
        """Brings the objects of a set back from another environment."""
        from raccord.verbs import files_push

        return _answer(*files_push.pull(self._room, options), dry_run=options.dry_run)

    def files_home(self, name: str) -> str:
        """The environment that a set of objects comes from."""
        from raccord.verbs import files_sets

        return files_sets.configured(self._room, name).from_

    def files_push(self, options: FilesPushOptions) -> Answer:
        """Pushes a set of objects to an environment; the plan where `dry_run` is set."""
        from raccord.verbs import files_push

        return _answer(*files_push.push(self._room, options), dry_run=options.dry_run)

    def promote(self, options: PromoteOptions) -> Answer:
        """Takes a profile to an environment, objects first; the plan where `dry_run` is set."""
        from raccord.verbs import promote

        return _answer(*promote.promote(self._room, options), dry_run=options.dry_run)

    def profile_diff(self, options: ProfileDiffOptions) -> ProfileDiff:
        """How the sets of a profile differ between two environments."""
        from raccord.verbs import promote_looks

        return promote_looks.diff(self._room, options)

    def profile_status(self, name: str, goal: str = "") -> ProfileStatus:
        """What is where of a profile, in one environment or in all."""
        from raccord.verbs import promote_looks

        return promote_looks.status(self._room, name, goal)

    def log(self, limit: int = 20) -> tuple[RunSummary, ...]:
        """The newest runs."""
        journal = self._room.journal()
        return summaries(journal, limit) if journal else ()

    def totals(self) -> Mapping[str, Json]:
        """What all runs came to, in numbers that never fall: see `Journal.totals`."""
        journal = self._room.journal()
        return journal.totals() if journal else {}

    def unfinished(self) -> Mapping[str, int]:
        """How many runs are not over, by their state."""
        journal = self._room.journal()
        return unfinished(journal) if journal else {}

    def show(self, run: str) -> RunReport:
        """One run with all that happened in it."""
        journal = self._room.journal_or_usage()
        return run_report(journal.load(journal.find(run)))

    def planned(self, run: str) -> Plan:
        """The plan that a run began with."""
        journal = self._room.journal_or_usage()
        return journal.load(journal.find(run)).plan

    def init(self, *, write: bool = False) -> str:
        """A commented configuration from what is found."""
        from raccord.verbs import care

        return care.init(self._room, write=write)

    def gc(self, *, dry_run: bool = False) -> RemovalReport:
        """Drops backups older than configured."""
        from raccord.verbs import care

        return care.gc(self._room, dry_run=dry_run)

    def eject(self, *, dry_run: bool = False) -> RemovalReport:
        """Removes every trace of raccord."""
        from raccord.verbs import care

        return care.eject(self._room, dry_run=dry_run)
