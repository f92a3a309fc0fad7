"""Builds a workspace whose worktrees share one SQLite database and each hold one revision of a chain.

    chain = Chain.lay(directory, links=50, history=100, files=200, seed=1)
    chain.copy(elsewhere).faults(chain.late)     # what a heal would have to put right

Every worktree has the base's revisions. Worktree n added revision n of the chain: two of three committed and
pushed it, the third did not commit it. The database has applied them all, by alembic itself. The last
worktree, `late`, added none, and is where alembic is lost. Serves the benchmark and its test.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import content, hermetic
from benchmarks.fastimport import Stream
from benchmarks.workspaces import START, Workspace

BACKEND = "backend"
VERSIONS = f"{BACKEND}/migrations/versions"
DATABASE = "app.db"
INI = f"[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///../../{DATABASE}\n"
ENV = """\
from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''\
"""Create {table}

Revision ID: {id}
Revises: {parents}
Create Date: 2026-01-15 10:00:{second:02}

"""
from typing import Sequence, Union

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "{id}"
down_revision: Union[str, None] = {down!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table(
        "{table}",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length={length}), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_{table}_name", "{table}", ["name"])


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_index("ix_{table}_name", table_name="{table}")
    op.drop_table("{table}")
'''


@dataclass(frozen=True)
class Migration:
    """One revision file; `path` is relative to a worktree."""

    id: str
    path: str
    source: bytes


@dataclass(frozen=True)
class Chain(Workspace):
    """The workspace; `chain` holds what is missing in `late`, the oldest first."""

    chain: tuple[Migration, ...] = ()

    @classmethod
    def lay(
        cls, root: Path, *, links: int = 50, history: int = 100, files: int = 200, seed: int = 1
    ) -> Chain:
        """Make the workspace in `root`, a directory that is new or empty."""
        rng = random.Random(seed)
        known = _revisions(rng, history + links)
        made = cls(root.resolve(), links + 1, files, seed=seed, chain=tuple(known[history:]))
        hermetic.make_home(made.root / "home")
        made.git(made.root, "init", "--quiet", "--bare", "origin.git")
        made.git(made.root, "init", "--quiet", "main")
        base = content.tree(rng, files) | {
            ".gitignore": b"__pycache__/\n",
            f"{BACKEND}/alembic.ini": INI.encode(),
            f"{BACKEND}/migrations/env.py": ENV.encode(),
            **{one.path: one.source for one in known[:history]},
        }
        made._commit(base)
        made.git(made.main, "remote", "add", "origin", str(made.remote))
        made.git(made.main, "push", "--quiet", "--set-upstream", "origin", "--all")
        made._add_worktrees()
        for number, (tree, one) in enumerate(zip(made.trees, made.chain, strict=False)):
            if not made._pushed(number):
                (tree / one.path).write_bytes(one.source)
        made._apply(known)
        return made

    @property
    def late(self) -> Path:
        """The worktree that has no revision of the chain."""
        return self.trees[-1]

    def lost(self, tree: Path) -> tuple[Migration, ...]:
        """What was missing in a worktree."""
        own = self.trees.index(tree) if tree in self.trees else -1
        return tuple(one for number, one in enumerate(self.chain) if number != own)

    def remove(self, number: int) -> None:
        """Remove a worktree that has committed its revision; its branch stays."""
        if not self._pushed(number):
            raise ValueError(f"worktree {number} has not committed its revision")
        self.git(self.main, "worktree", "remove", "--force", str(self.trees[number]))

    def committed(self, number: int) -> int:
        """The number of the next worktree, from this one on, that has committed its revision."""
        return next(one for one in range(number, number + 3) if self._pushed(one))

    def faults(self, tree: Path) -> list[str]:
        """What is not as a heal must leave it in a worktree."""
        found = []
        for one in self.lost(tree):
            # The name may differ: another worktree's file of that name must not be hidden from git.
            there = list((tree / VERSIONS).glob(f"*{one.id}*.py"))
            if [path.read_bytes() for path in there] != [one.source]:
                found.append(f"{one.id} is not there once, byte for byte")
        said = self.alembic(tree / BACKEND, "current")
        if not said.startswith(f"{self.chain[-1].id} (head)"):
            found.append(f"alembic current says {said[-200:]!r}")
        return found

    def alembic(self, where: Path, *words: str) -> str:
        """What alembic says, errors included."""
        command = [sys.executable, "-m", "alembic", *words]
        environ = self.environment | {"PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip()

    @staticmethod
    def _pushed(number: int) -> bool:
        return number % 3 != 2

    def _commit(self, base: dict[str, bytes]) -> None:
        stream = Stream()
        first = stream.commit("refs/heads/main", "Start the project", base, parent=None, when=START)
        late = self.branches[-1]
        for number, (branch, one) in enumerate(zip(self.branches, self.chain, strict=False)):
            added = {one.path: one.source} if self._pushed(number) else {f"src/{one.id}.py": b"import os\n"}
            when = START + 60 * (number + 1)
            stream.commit(f"refs/heads/{branch}", f"{branch}: a table", added, parent=first, when=when)
        stream.commit(
            f"refs/heads/{late}", f"{late}: work", {"src/late.py": b"import os\n"}, parent=first, when=START
        )
        stream.write(self.main, self.environment)

    def _apply(self, revisions: Iterable[Migration]) -> None:
        """Let alembic bring the database to the newest revision, from a directory that is removed again."""
        whole = self.root / "whole"
        shutil.copytree(self.late / BACKEND, whole / BACKEND)
        for one in revisions:
            (whole / one.path).write_bytes(one.source)
        said = self.alembic(whole / BACKEND, "upgrade", "head")
        now = self.alembic(whole / BACKEND, "current")
        if not now.startswith(self.chain[-1].id):
            raise RuntimeError(f"alembic could not apply the chain: {said[-500:]}")
        shutil.rmtree(whole)


def _revisions(rng: random.Random, count: int) -> list[Migration]:
    found: list[Migration] = []
    for number in range(count):
        table = "_".join([*rng.sample(content.WORDS, 2), str(number)])
        identity = f"{rng.getrandbits(48):012x}"
        down = found[-1].id if found else None
        source = REVISION.format(
            id=identity,
            down=down,
            parents=down or "",
            table=table,
            second=number % 60,
            length=rng.randrange(20, 200),
        )
        found.append(Migration(identity, f"{VERSIONS}/{identity}_create_{table}.py", source.encode()))
    return found
