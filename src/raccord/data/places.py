"""What is asked of two databases as wholes: whether they are one, and whether rows can be written there.

Writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from raccord.data.spec import Spec
from raccord.data.stage import one_row
from raccord.database import postgres
from raccord.database.url import Target
from raccord.errors import CannotRun
from raccord.model.language import sentence
from raccord.model.plan import Finding
from raccord.model.text import shown

_WHICH = """
select pg_postmaster_start_time()::text, (select oid from pg_database where datname = current_database())
"""
_WRITTEN = "select case when pg_is_in_recovery() then '' else pg_current_wal_insert_lsn()::text end"
_STATE = """
select case when pg_is_in_recovery() then ''
  when pg_current_wal_flush_lsn() < %s::pg_lsn then ''
  else concat_ws(' ', extract(epoch from pg_postmaster_start_time()),
    left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), pg_current_snapshot()) end
"""
_TIMELINE = "select left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
_HOW = """
select pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool,
  current_setting('session_replication_role'), has_database_privilege(current_database(), 'temp')
"""
_EVENTS = """
select evtname from pg_event_trigger where evtenabled in ('O', 'A')
  and evtevent in ('ddl_command_start', 'ddl_command_end')
  and coalesce(evttags && '{CREATE TABLE,CREATE TABLE AS}', true)
order by 1
"""


def same(one: postgres.Connection, two: postgres.Connection) -> bool:
    """Whether two connections lead to one and the same database, however their URLs spell it.

    A server's identifier does not tell: one that was restored from another's files has the same.
    """
    return one_row(one, _WHICH) == one_row(two, _WHICH)


def written(db: postgres.Connection) -> str:
    """How far a server's log was written, by when all that is seen was committed; "" where nobody knows."""
    return _told(db, _WRITTEN, [])


def state(db: postgres.Connection, log: str = "0/0") -> str:
    """What a server's rows are told by as of now: while it is the same, nobody committed anything there.

    Two snapshots that are equal see the same transactions, and so the same rows; of the same start of the
    server and the same timeline, so that no number of a transaction means another one.

    Args:
        log: how far the server's log must be on the disk: what a crash takes back leaves its numbers to
            others.

    Returns:
        "" where nothing is told by it.
    """
    return _told(db, _STATE, [log])


def timeline(db: postgres.Connection) -> str:
    """Which of a server's histories this is: one that was a standby, or was put back, is in another; "" where
    nobody knows."""
    return _told(db, _TIMELINE, [])


def _told(db: postgres.Connection, query: str, asked: Sequence[str]) -> str:
    errors = postgres.driver().errors
    try:
        with db.transaction():
            return str(db.execute(query.encode(), asked).fetchall()[0][0])
    except (errors.FeatureNotSupported, errors.InsufficientPrivilege, errors.UndefinedFunction):
        return ""  # not every server that calls itself PostgreSQL has a log that can be asked about


def told(db: postgres.Connection, spec: Spec) -> list[Finding]:
    """What a person should know of a database before rows are written there."""
    names = [str(name) for (name,) in db.execute(_EVENTS)]
    if not names:
        return []
    said = sentence(
        "event triggers of {place} fire when temporary tables are made: {names}",
        place=spec.goal,
        names=", ".join(map(shown, names)),
    )
    return [Finding("data.triggers", "note", said)]


def one_and_the_same(target: Target) -> CannotRun:
    """The error that says so."""
    return CannotRun(
        f"source and target are the same database: {target.shown}",
        hint="correct one of the two environments in raccord.toml",
    )


def hindered(db: postgres.Connection, spec: Spec) -> list[Finding]:
    """What speaks against writing into a database at all."""
    recovering, read_only, replication, temporary = one_row(db, _HOW)
    found = []
    if recovering:
        said = sentence("{place} is a standby, which takes no rows of its own", place=spec.goal)
        hint = sentence("name its primary in [environments.{place}]", place=spec.goal)
        found.append(Finding("data.readonly", "fail", said, hint))
    elif read_only:
        said = sentence("{place} is read-only: default_transaction_read_only is on there", place=spec.goal)
        hint = sentence("set it off there, or add ?options=-cdefault_transaction_read_only%3Doff to its URL")
        found.append(Finding("data.readonly", "fail", said, hint))
    if replication == "replica":
        said = sentence(
            "session_replication_role is replica in {place}, so no foreign key holds there", place=spec.goal
        )
        found.append(Finding("data.replica", "fail", said, "alter role … reset session_replication_role"))
    if not temporary:
        said = sentence("the role may make no temporary tables in {place}", place=spec.goal)
        hint = sentence("grant temporary on its database to it")
        found.append(Finding("data.rights", "fail", said, hint))
    return found
