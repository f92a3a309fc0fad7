"""What a person may choose when calling a verb, as frozen data that every face fills in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How to sync.

    Attributes:
        all: every worktree, not only the one that the command was started in.
        base: the branch to replay on; "" for the configured or the remote's default one.
        test_commands: argv lists that replace the configured gates; () keeps those.
        skip_tests: run no gate; needs a `reason`.
        no_push: leave the branches unpushed; needs a `reason`.
        allow_dirty: sync worktrees that hold uncommitted edits; needs a `reason`.
        reason: why guards are skipped; the journal keeps it.
        resolve_by_hand: leave a conflicting rebase open for a person instead of holding the lane back.
        dry_run: plan only.
        jobs: how many worktrees are worked on at once; 0 for the configured number.
        by: who asked, for the journal.
    """

    all: bool = False
    base: str = ""
    test_commands: tuple[tuple[str, ...], ...] = ()
    skip_tests: bool = False
    no_push: bool = False
    allow_dirty: bool = False
    reason: str = ""
    resolve_by_hand: bool = False
    dry_run: bool = False
    jobs: int = 0
    by: str = ""

    @property
    def waived(self) -> tuple[str, ...]:
        """The guards that these options skip, by the option's name."""
        names = ("skip_tests", "no_push", "allow_dirty")
        return tuple(name for name in names if getattr(self, name))

    @property
    def unexplained(self) -> bool:
        """Whether a guard is skipped without a reason: nothing is silent."""
        return bool(self.waived) and not self.reason.strip()


@dataclass(frozen=True, slots=True)
class HealOptions:
    """How missing revisions are put back.

    Attributes:
        all: every worktree, not only this one.
        backend: the folder that alembic is run in, relative to a worktree; "" for the configured one.
        choose: revision to digest, or the beginning of one, where several contents claim an id.
        trust: whether revisions are put back that no trusted remote has and that were never applied here.
        dry_run: only plan.
        by: who asked.
        fetch_lfs: whether git-lfs downloads what it has not fetched, where a revision is nowhere else.
    """

    all: bool = False
    backend: str = ""
    choose: Mapping[str, str] = field(default_factory=dict)
    trust: bool = False
    dry_run: bool = False
    by: str = ""
    fetch_lfs: bool = False


@dataclass(frozen=True, slots=True)
class UpgradeOptions(HealOptions):
    """How databases are upgraded, and how what they need is put back first.

    Attributes:
        all: every database of all worktrees, each to what the base's branch has.
        to: a revision, a label or another word that alembic's upgrade takes; "" for all heads.
    """

    to: str = ""


@dataclass(frozen=True, slots=True)
class ForkOptions:
    """How a worktree gets a database of its own.

    Attributes:
        backend: as in `HealOptions`.
        drop: drop this worktree's forks instead.
        end_sessions: end the sessions of others that are in the way.
        dry_run: only plan.
        by: who asked.
    """

    backend: str = ""
    drop: bool = False
    end_sessions: bool = False
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class LintOptions:
    """Which revisions are looked at, and what becomes of what is found.

    Attributes:
        words: the folder that alembic is run in, if such a one is there, then revisions.
        all: every revision, not only this branch's own.
        base: the branch whose revisions are not this branch's own; "" for the configured one.
        dry_run: only plan what would be written.
        by: who asked.
    """

    words: tuple[str, ...] = ()
    all: bool = False
    base: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How the heads of a worktree's history are joined.

    Attributes:
        message: what the new revision is for.
        backend: as in `HealOptions`.
        dry_run: only plan.
        by: who asked.
    """

    message: str = ""
    backend: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """How revisions are taken down that nobody has any more.

    Attributes:
        backend, choose, trust, dry_run, by: as in `HealOptions`.
    """

    backend: str = ""
    choose: Mapping[str, str] = field(default_factory=dict)
    trust: bool = False
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class ProveOptions:
    """Which revisions are proven, and on what.

    Attributes:
        words: the folder that alembic is run in, if the first names one, then revisions.
        to: a revision, a label or another word up to which pending ones are proven; "" for all heads.
        fresh: on empty databases instead of clones.
    """

    words: tuple[str, ...] = ()
    to: str = ""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class NewOptions:
    """How a new revision is written.

    Attributes:
        message: what it is for.
        backend: as in `HealOptions`.
        autogenerate: whether alembic compares the models with the database.
        head: the revision to stand on, in alembic's words; "" for the branch's only head.
        splice: whether others may stand on that one already.
        label: of the branch that begins with it, or "".
        depends_on: revisions or labels that have to be applied before it.
        name: the section of alembic's configuration, where it has several; "" for the only one.
        dry_run: only plan.
        by: who asked.
    """

    message: str = ""
    backend: str = ""
    autogenerate: bool = False
    head: str = ""
    splice: bool = False
    label: str = ""
    depends_on: tuple[str, ...] = ()
    name: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class RebaseOptions:
    """How a branch's own revisions come to stand on those of the base.

    Attributes:
        backend: as in `HealOptions`.
        drop_merges: whether own merges that change nothing and join nothing any more are removed.
        pushed: whether revisions move that the branch's own remote branch has; needs a `reason`.
        unread: whether they move although a database can't be asked for them; needs a `reason`.
        reason: why guards are skipped; the journal keeps it.
        dry_run: only plan.
        by: who asked.
    """

    backend: str = ""
    drop_merges: bool = False
    pushed: bool = False
    unread: bool = False
    reason: str = ""
    dry_run: bool = False
    by: str = ""
