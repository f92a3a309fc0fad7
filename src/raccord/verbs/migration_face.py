"""The part of the library's face that is about migrations: one-line methods, as those of `Workspace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raccord.model.options import (
    ForkOptions,
    HealOptions,
    LintOptions,
    MergeOptions,
    NewOptions,
    ProveOptions,
    RebaseOptions,
    RollbackOptions,
    UpgradeOptions,
)
from raccord.model.report import Answer
from raccord.verbs.report import answer as _answer
from raccord.verbs.room import Room

if TYPE_CHECKING:
    from raccord.model.lint import LintReport
    from raccord.model.migration_report import (
        ForkUrls,
        MigrationFind,
        MigrationList,
        MigrationStatus,
    )
    from raccord.model.proof import ProofReport

# Verbs are imported where they are called: looking loads nothing of what changes the world.


class Migrations:
    """What can be asked and done about the migrations of a workspace."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def migration_status(self, backend: str = "") -> MigrationStatus:
        """Every worktree's migrations against its database."""
        from raccord.verbs import migration_looks

        return migration_looks.status(self._room, backend)

    def migration_list(self, backend: str = "") -> MigrationList:
        """The revisions of every worktree, branch and commit."""
        from raccord.verbs import migration_looks

        return migration_looks.listing(self._room, backend)

    def migration_find(self, revision: str, backend: str = "", *, diff: bool = False) -> MigrationFind:
        """Every content of a revision, and every place that holds it."""
        from raccord.verbs import migration_looks

        return migration_looks.find(self._room, revision, backend, diff=diff)

    def migration_current(self, backend: str = "") -> tuple[MigrationList, ...]:
        """What this worktree's databases are at."""
        from raccord.verbs import migration_looks

        return migration_looks.current(self._room, backend)

    def migration_history(self, backend: str = "") -> tuple[MigrationList, ...]:
        """This worktree's history, and what is missing in it."""
        from raccord.verbs import migration_looks

        return migration_looks.history(self._room, backend)

    def migration_heads(self, backend: str = "") -> tuple[MigrationList, ...]:
        """The heads of this worktree's files."""
        from raccord.verbs import migration_looks

        return migration_looks.heads(self._room, backend)

    def migration_heal(self, options: HealOptions | None = None) -> Answer:
        """Puts back what is missing; the plan where `dry_run` is set."""
        from raccord.verbs import migrations

        chosen = options or HealOptions()
        return _answer(*migrations.put_back(self._room, chosen), dry_run=chosen.dry_run)

    def migration_upgrade(self, options: UpgradeOptions | None = None) -> Answer:
        """Heals, backs up and upgrades databases; the plan where `dry_run` is set."""
        from raccord.verbs import migration_upgrade

        chosen = options or UpgradeOptions()
        return _answer(*migration_upgrade.upgrade(self._room, chosen), dry_run=chosen.dry_run)

    def migration_fork(self, options: ForkOptions | None = None) -> Answer:
        """Gives this worktree databases of its own, or takes them away; the plan where `dry_run` is set."""
        from raccord.verbs import migration_fork

        chosen = options or ForkOptions()
        return _answer(*migration_fork.fork(self._room, chosen), dry_run=chosen.dry_run)

    def migration_fork_urls(self, backend: str = "", *, password: bool = False) -> ForkUrls:
        """The URLs of this worktree's forks."""
        from raccord.verbs import migration_fork

        return migration_fork.urls(self._room, backend, password=password)

    def migration_merge(self, options: MergeOptions) -> Answer:
        """Joins the heads of this worktree's history; the plan where `dry_run` is set."""
        from raccord.verbs import migration_merge

        return _answer(*migration_merge.merge(self._room, options), dry_run=options.dry_run)

    def migration_rollback(self, options: RollbackOptions | None = None) -> Answer:
        """Takes down what nobody has any more; the plan where `dry_run` is set."""
        from raccord.verbs import migration_rollback

        chosen = options or RollbackOptions()
        return _answer(*migration_rollback.rollback(self._room, chosen), dry_run=chosen.dry_run)

    def migration_prove(self, options: ProveOptions | None = None) -> ProofReport:
        """Tries revisions on clones: up, down and up again."""
        from raccord.verbs import migration_prove

        return migration_prove.prove(self._room, options or ProveOptions())

    def migration_new(self, options: NewOptions) -> Answer:
        """Writes a new revision; the plan where `dry_run` is set."""
        from raccord.verbs import migration_new

        return _answer(*migration_new.new(self._room, options), dry_run=options.dry_run)

    def migration_rebase(self, options: RebaseOptions | None = None) -> Answer:
        """Puts this branch's own revisions on top of the base's; the plan where `dry_run` is set."""
        from raccord.verbs import migration_rebase

        chosen = options or RebaseOptions()
        return _answer(*migration_rebase.rebase(self._room, chosen), dry_run=chosen.dry_run)

    def migration_lint(self, options: LintOptions | None = None) -> LintReport:
        """What is wrong with revisions, read from their text."""
        from raccord.verbs import migration_lint

        return migration_lint.lint(self._room, options or LintOptions())

    def migration_baseline(self, options: LintOptions | None = None) -> Answer:
        """Writes what lint finds into the baseline, where it counts no more."""
        from raccord.verbs import migration_lint

        chosen = options or LintOptions()
        return _answer(*migration_lint.write_baseline(self._room, chosen), dry_run=chosen.dry_run)
