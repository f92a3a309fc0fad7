"""What stands in the way of copying a PostgreSQL database: rights, sessions, programs. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from raccord.database import postgres
from raccord.database import tools as programs
from raccord.database.url import Target
from raccord.errors import DatabaseError


@dataclass(frozen=True, slots=True)
class Way:
    """What stands in the way of copying a PostgreSQL database.

    Attributes:
        role: who connects.
        creates: whether it may make databases.
        copies: whether the server copies this one for it.
        owner: whose the database is.
        sessions: who else is connected to it.
        programs: why pg_dump can't copy it instead, "" where it can.
    """

    role: str
    creates: bool
    copies: bool
    owner: str
    sessions: tuple[str, ...]
    programs: str

    def check(self, source: str) -> None:
        """Makes sure that it can be copied, by whatever way.

        Raises:
            DatabaseError: it can't; the hint says what has to be granted.
        """
        if not self.creates:
            raise DatabaseError(
                f"the role {self.role} may not make databases",
                hint=f"psql -c 'ALTER ROLE {_identifier(self.role)} CREATEDB', as a superuser",
            )
        if not self.copies and self.programs:
            raise DatabaseError(
                f"the role {self.role} may not copy the database {source}, which is {self.owner}'s; "
                f"{self.programs}",
                hint=f"psql -c 'GRANT {_identifier(self.owner)} TO {_identifier(self.role)}', as a superuser",
            )


def way(target: Target, tools: Iterable[Path] = ()) -> Way:
    """Asks it.

    Args:
        tools: folders in which pg_dump is looked for first.

    Raises:
        DatabaseError: the database can't be reached.
    """
    with postgres.connected(target) as own:
        return of(own, own.info.dbname, tools)


def of(db: postgres.Connection, source: str, tools: Iterable[Path]) -> Way:
    """The same over a connection to that server."""
    row = db.execute(
        "select current_user, r.rolsuper or r.rolcreatedb,"
        " r.rolsuper or d.datistemplate or pg_has_role(d.datdba, 'usage'), pg_get_userbyid(d.datdba)"
        " from pg_roles r, pg_database d where r.rolname = current_user and d.datname = %s",
        [source],
    ).fetchone()
    assert row is not None  # we are, or were just, connected to it
    role, creates, copies, owner = row
    found, why = programs.find(db.info.server_version // 10000, tools)
    return Way(role, creates, copies, owner, tuple(postgres.sessions(db, source)), "" if found else why)


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
