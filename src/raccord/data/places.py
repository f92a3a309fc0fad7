"""What is asked of two databases as wholes: whether they are one, and whether rows can be written there.

Writes nothing.
"""

from __future__ import annotations

from raccord.data.spec import Spec
from raccord.data.stage import one_row
from raccord.database import postgres
from raccord.database.url import Target
from raccord.errors import CannotRun
from raccord.model.plan import Finding

_WHICH = """
select pg_postmaster_start_time()::text, (select oid from pg_database where datname = current_database())
"""
_HOW = """
select pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool,
  current_setting('session_replication_role'), has_database_privilege(current_database(), 'temp')
"""


def same(one: postgres.Connection, two: postgres.Connection) -> bool:
    """Whether two connections lead to one and the same database, however their URLs spell it.

    A server's identifier does not tell: one that was restored from another's files has the same.
    """
    return one_row(one, _WHICH) == one_row(two, _WHICH)


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
        said = f"{spec.goal} is a standby, which takes no rows of its own"
        found.append(
            Finding("data.readonly", "fail", said, f"name its primary in [environments.{spec.goal}]")
        )
    elif read_only:
        said = f"{spec.goal} is read-only: default_transaction_read_only is on there"
        hint = "set it off there, or add ?options=-cdefault_transaction_read_only%3Doff to its URL"
        found.append(Finding("data.readonly", "fail", said, hint))
    if replication == "replica":
        said = f"session_replication_role is replica in {spec.goal}, so no foreign key holds there"
        found.append(Finding("data.replica", "fail", said, "alter role … reset session_replication_role"))
    if not temporary:
        said = f"the role may make no temporary tables in {spec.goal}"
        found.append(Finding("data.rights", "fail", said, "grant temporary on its database to it"))
    return found
