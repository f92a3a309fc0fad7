"""The one transaction of a push: opened with its limits, its locks and its number; asked about after a kill.

The number is written down before the commit. From then on the server alone says whether it took place:
`pg_xact_status` knows a transaction as committed, aborted or in progress, whoever died meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raccord.data import places
from raccord.data.spec import Spec
from raccord.data.stage import one_row, run
from raccord.database import patience, postgres
from raccord.database.tables import Name, Table, identifier
from raccord.database.url import Target
from raccord.errors import DatabaseBusy, DatabaseError, HeldBack, RaccordError
from raccord.model.plan import Json
from raccord.model.text import shown

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
ASK_SECONDS = 0.5  # for which others may wait for one lock while we wait for another
CANCEL_SECONDS = 0.2  # between looks whether a person interrupted
_CONSTRAINTS = (
    "select from pg_constraint where conname = %s union all select from pg_class where relname = %s"
)
# A policy is to refuse, not to hide rows; names are spelled as the plan has them, whatever is set there.
_PLAIN = {"quote_all_identifiers": "off", "row_security": "off"}
# Readers stand in the way of tables that are exchanged; prepared transactions have no session.
_HOLDERS = """
select coalesce(coalesce(nullif(a.application_name, ''), a.backend_type, 'a session')
    || coalesce(' of ' || a.usename, '') || ', pid ' || l.pid, 'the prepared transaction ' || p.gid),
  string_agg(distinct c.relname, ', ' order by c.relname)
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_activity a on a.pid = l.pid
left join pg_locks x on l.pid is null and x.pid is null and x.virtualtransaction = l.virtualtransaction
  and x.locktype = 'transactionid' and x.granted
left join pg_prepared_xacts p on p.transaction = x.transactionid
where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(l.pid::text, p.gid) is not null
group by 1, coalesce(a.xact_start, p.prepared) order by coalesce(a.xact_start, p.prepared) nulls last limit 3
"""
NEVER, COMMITTED, ABORTED, RUNNING = "", "committed", "aborted", "in progress"


@dataclass(frozen=True, slots=True)
class Number:
    """What a server knows a transaction by.

    Attributes:
        xid: its number.
        server: which server gave it; "" where the role may not know.
        timeline: in which of the server's histories; a standby that takes over, or a copy that is put back,
            begins another. "" where nobody knows.
    """

    xid: str
    server: str
    timeline: str = ""

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {"xid": self.xid, "server": self.server, "timeline": self.timeline}

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Number:
        """Reads `document` back."""
        return cls(said["xid"], said["server"], said.get("timeline", ""))


def _never() -> bool:
    return False


@contextlib.contextmanager
def transaction(
    target: Target, spec: Spec, names: Iterable[Name], cancelled: Callable[[], bool] = _never
) -> Iterator[postgres.Connection]:
    """A transaction in the target that holds the tables against other writers; readers go on.

    Args:
        cancelled: whether a person interrupted; then it is taken back at once.

    Raises:
        KeyboardInterrupt: a person did.
        DatabaseBusy: others kept a table for longer than the set allows.
        HeldBack: the server refused a statement; nothing was changed.
        DatabaseError: the connection failed; whether a commit took place is another question.
    """
    from psycopg import IsolationLevel

    with postgres.connected(target, name=postgres.ROWS) as db:
        db.isolation_level, db.read_only = IsolationLevel.READ_COMMITTED, False
        with telling(db, target, spec, changes=True), db.transaction(), interruptible(cancelled, db):
            limit(db, spec)
            _last(db)
            postgres.settle(db, _PLAIN)
            patience.take(
                db,
                [f"lock table {identifier(*name)} in share row exclusive mode" for name in sorted(names)],
                seconds=spec.lock_seconds, ask=ASK_SECONDS, pause=POLL_SECONDS, patient=True,
            )  # fmt: skip
            yield db


@contextlib.contextmanager
def looking(db: postgres.Connection, target: Target, spec: Spec) -> Iterator[None]:
    """A transaction that sees one state of one end of a set and writes nothing that others see.

    Raises:
        DatabaseBusy: others kept a table for longer than the set allows.
        DatabaseError: the server refused a statement, or the connection failed.
    """
    with telling(db, target, spec), postgres.looking(db, temporary=bool(spec.closure)):
        limit(db, spec)
        yield


@contextlib.contextmanager
def trying(target: Target, spec: Spec) -> Iterator[postgres.Connection]:
    """A transaction that sees one state of the target and leaves nothing behind, whatever was loaded in it.

    Raises:
        HeldBack: the server refused a statement.
        DatabaseBusy: others kept a table for longer than the set allows.
    """
    from psycopg import IsolationLevel

    with postgres.connected(target, name=postgres.ROWS) as db:
        db.isolation_level = IsolationLevel.REPEATABLE_READ
        with telling(db, target, spec, changes=True), db.transaction(force_rollback=True):
            limit(db, spec)
            postgres.settle(db, _PLAIN)
            yield db


@contextlib.contextmanager
def telling(db: postgres.Connection, target: Target, spec: Spec, *, changes: bool = False) -> Iterator[None]:
    """Turns errors of a connection into raccord's, without the values of rows.

    Args:
        changes: whether it was to change something.
    """
    errors = postgres.driver().errors
    try:
        yield
    except errors.Error as error:
        state = getattr(error, "sqlstate", None) or ""
        if postgres.at_fault(error) is not db:
            raise
        if state == "55P03":
            raise DatabaseBusy(
                f"others kept {target.shown} busy for longer than {spec.lock_seconds} s{_holders(db)}",
                hint=f"run it again once they are done, or set lock_seconds in [data.{spec.name}]",
            ) from None
        if state == "57014":
            raise DatabaseBusy(
                f"a statement took longer than {spec.statement_seconds} s in {target.shown}, or somebody"
                " cancelled it",
                hint=f"run it again, or set statement_seconds in [data.{spec.name}]",
            ) from None
        if state == "53200":
            raise DatabaseError(
                f"{target.shown} has no room for so many locks: {shown(postgres.said(error))}",
                hint="raise max_locks_per_transaction there, or push fewer tables at once",
            ) from None
        if isinstance(error, errors.OperationalError | errors.InterfaceError):
            raise
        raise told(error, target, spec, db, changes=changes) from None


def _holders(db: postgres.Connection) -> str:
    """Who holds tables of a database by now, as far as the role may know: " (psql of alice, pid 12: t)"."""
    with contextlib.suppress(postgres.driver().Error):
        found = [f"{shown(who)}: {shown(tables)}" for who, tables in db.execute(_HOLDERS)]
        return f" ({'; '.join(found)})" if found else ""
    return ""


@contextlib.contextmanager
def interruptible(cancelled: Callable[[], bool], *connections: postgres.Connection) -> Iterator[None]:
    """Ends at once what servers do for the block when a person interrupts.

    Steps run in threads of their own, which no Ctrl-C reaches.

    Args:
        cancelled: whether a person did.

    Raises:
        KeyboardInterrupt: a person did, before the block had ended.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(CANCEL_SECONDS):
            if cancelled():
                postgres.cancel(*connections)

    watcher = threading.Thread(target=watch, name="interrupt", daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if cancelled():
            raise KeyboardInterrupt from None
        raise
    else:
        if cancelled():
            raise KeyboardInterrupt
    finally:
        over.set()
        watcher.join()


def told(
    error: Exception, target: Target, spec: Spec, db: postgres.Connection, *, changes: bool
) -> RaccordError:
    """An error of the server without values of rows: what its detail and its context would repeat.

    Args:
        db: a connection to it, in no transaction.
    """
    diag = getattr(error, "diag", None)
    if diag is None or not getattr(error, "sqlstate", None):
        return postgres.translated(error, target)
    state = postgres.known_state(error)
    about = ", ".join(_about(db, diag))
    said = shown(postgres.said(error)) + (f" ({about})" if about else "")
    refused = f"{target.shown} refused: {said}"
    hint = f"let the role {target.user or 'that connects'} do this" if state == "42501" else ""
    if not changes:
        written = "where or mask" if spec.where or spec.mask else "tables"
        return DatabaseError(refused, hint=hint or f"correct {written} in [data.{spec.name}]", sqlstate=state)
    return HeldBack(
        f"{refused}; nothing was changed",
        hint=hint or f"raccord data diff {spec.name} --to {spec.goal}",
        finding="data.refused",
        sqlstate=state,
    )


def _about(db: postgres.Connection, diag: Any) -> Iterator[str]:
    """What an error names, as far as there is such a thing: a function may say any name."""
    errors = postgres.driver().errors
    for what, name, query in (
        ("table", diag.table_name, "select from pg_class where relname = %s"),
        ("column", diag.column_name, "select from pg_attribute where attname = %s"),
        ("constraint", diag.constraint_name, _CONSTRAINTS),
    ):
        with contextlib.suppress(errors.Error):
            if name and db.execute(query.encode(), [name] * query.count("%s")).rowcount:
                yield f"{what} {shown(name)}"


_LIMITS = {
    # The one end waits while the other is at work, as long as it takes.
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    # Who was cut off keeps nobody waiting.
    "client_connection_check_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
}


def limit(db: postgres.Connection, spec: Spec) -> None:
    """Sets, for a transaction, how long it may wait, and that it ends with whoever asked for it."""
    limits = {
        **_LIMITS,
        "lock_timeout": str(spec.lock_seconds * 1000),
        "statement_timeout": str(spec.statement_seconds * 1000),
    }
    # Not every release and system has each of them.
    db.execute(
        "select set_config(name, (%s::jsonb) ->> name, true) from pg_catalog.pg_settings where name = any(%s)"
        " and (name <> 'client_connection_check_interval' or version() like '%%linux%%')",
        [json.dumps(limits), list(limits)],
    )


def number(db: postgres.Connection, target: Target) -> Number:
    """The transaction's own number, which no other transaction will ever have.

    A server that crashes gives numbers away again that it had not written down: whoever asked then about
    one of them would be told of somebody else's commit. So a later transaction is committed: once that is on
    disk, all numbers up to its own are taken.
    """
    xid = str(one_row(db, "select pg_current_xact_id()::text")[0])
    with postgres.connected(target, name=postgres.ROWS) as later:
        later.read_only = False
        with later.transaction():
            _last(later)
            run(later, "create temp table raccord_number (n int) on commit drop")
    return Number(xid, _server(db), places.timeline(db))


def _last(db: postgres.Connection) -> None:
    """Has a transaction on disk before its commit is answered, whatever the server's default is."""
    run(
        db,
        "select pg_catalog.set_config('synchronous_commit', 'local', true)"
        " where pg_catalog.current_setting('synchronous_commit') = 'off'",
    )


def _server(db: postgres.Connection) -> str:
    errors = postgres.driver().errors
    try:
        with db.transaction():
            return str(one_row(db, "select system_identifier::text from pg_control_system()")[0])
    except errors.InsufficientPrivilege:
        return ""


def status(target: Target, known: Number, *, wait: float = WAIT_SECONDS) -> str:
    """What became of a transaction.

    Returns:
        COMMITTED, ABORTED, RUNNING after all that waiting, or NEVER where the server doesn't know it, or may
        have given it to another transaction.

    Raises:
        DatabaseError: the server can't be asked.
    """
    until = time.monotonic() + wait
    while True:
        with postgres.connected(target) as db:
            found = _asked(db, known)
        if found != RUNNING or time.monotonic() >= until:
            return found
        time.sleep(POLL_SECONDS)


def _asked(db: postgres.Connection, known: Number) -> str:
    if one_row(db, "select pg_is_in_recovery()")[0]:
        return RUNNING  # a standby may hear of it later
    now = Number(known.xid, _server(db), places.timeline(db))
    if known.server and now.server and known.server != now.server:
        return NEVER
    errors = postgres.driver().errors
    try:
        found = str(one_row(db, f"select pg_xact_status('{int(known.xid)}'::xid8)")[0] or NEVER)
    except errors.InvalidParameterValue:
        return NEVER  # a number of the future: another server, or one that was set back
    # What came behind the push, and made sure of its number, may be in the other history alone.
    other = known.timeline and now.timeline and known.timeline != now.timeline
    return NEVER if other and found == COMMITTED else found


@contextlib.contextmanager
def quiet(db: postgres.Connection, spec: Spec, tables: Iterable[Table]) -> Iterator[None]:
    """Switches triggers off for the block, where the set asks for that. Others never see it: it is within the
    transaction."""
    switched = [one for table in tables for one in table.triggers] if spec.triggers == "skip" else []
    for one in switched:
        run(db, f"alter table {identifier(*one.table)} disable trigger {identifier(one.name)}")
    yield
    for one in switched:
        how = "enable always" if one.always else "enable"
        run(db, f"alter table {identifier(*one.table)} {how} trigger {identifier(one.name)}")


def analyze(target: Target, names: Iterable[Name]) -> None:
    """Has the server gather statistics anew."""
    with postgres.connected(target, name=postgres.ROWS) as db:
        for name in names:
            run(db, f"analyze {identifier(*name)}")
