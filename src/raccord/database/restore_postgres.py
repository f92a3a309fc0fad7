"""Restores PostgreSQL: into a new database that is compared with the record, then takes the other's name.

Both names change in one transaction. A role that may not make databases has the other one emptied and filled
in one transaction instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from raccord.database import catalog, contents, owned, postgres, restore_inside, tools
from raccord.database.keeping import CLONE, Backup, Restored
from raccord.database.url import Target
from raccord.errors import DatabaseError, RestoreFailed
from raccord.kernel import proc
from raccord.model.text import shown

WAIT_SECONDS = 5.0


def restore(target: Target, kept: Backup, *, folders: Iterable[Path], wait: float, evict: bool) -> Restored:
    """See `backup.restore`."""
    with postgres.connected(target) as db:
        name = db.info.dbname
        release = db.info.server_version // 10000
        may = _may_swap(db)
    programs = None if kept.kind == CLONE else _programs(kept, release, folders)
    if programs is not None:
        _read_through(programs, kept)
    if not may and programs is not None:
        return restore_inside.restore(target, kept, programs, wait=wait)
    with postgres.administering(target) as db:
        new = _template(db, target, kept, wait) if programs is None else empty(db, name)
        with owned.unfinished(db, new):
            if programs is not None:
                _fill(target, new, kept, programs)
            _verify(target, new, kept)
            dress(db, name, new)
            old = _swap(db, target, name, new, wait=wait, evict=evict)
        owned.drop(db, old)
    return Restored("swap")


def made(db: postgres.Connection, target: Target, kept: Backup, like: str, *, id_: str = "") -> str:
    """Makes a database of what a backup holds, under a temporary name.

    Args:
        db: as `postgres.administering` gives it.
        like: the database whose owner, grants, settings and locale it gets.
        id_: see `owned.fresh`.

    Raises:
        RestoreFailed: the backup can't be read, or isn't what was recorded.
    """
    programs = None if kept.kind == CLONE else _programs(kept, db.info.server_version // 10000, ())
    new = _template(db, target, kept, WAIT_SECONDS, id_) if programs is None else empty(db, like, id_)
    with owned.unfinished(db, new):
        if programs is not None:
            _fill(target, new, kept, programs)
        _verify(target, new, kept)
        dress(db, like, new)
    return new


def _may_swap(db: postgres.Connection) -> bool:
    row = db.execute(
        "select r.rolsuper or r.rolcreatedb and pg_has_role(d.datdba, 'usage') from pg_database d, pg_roles r"
        " where d.datname = current_database() and r.rolname = current_user"
    ).fetchone()
    return row is not None and bool(row[0])


def _programs(kept: Backup, release: int, folders: Iterable[Path]) -> tools.Tools:
    found, why = tools.find(release, folders)
    if found is None:
        raise RestoreFailed(
            f"the backup {shown(kept.place)} needs pg_restore: {why}",
            hint=f"install the programs of PostgreSQL {release}, then run it again",
        )
    return found


def _read_through(programs: tools.Tools, kept: Backup) -> None:
    """Finds out that an archive is damaged before anything is begun."""
    try:
        tools.contents(programs, kept.place, "utf-8")
    except DatabaseError as error:
        hint = "the database is as it was; look for another backup"
        raise RestoreFailed(error.message, hint=hint) from error


def _template(db: postgres.Connection, target: Target, kept: Backup, wait: float, id_: str = "") -> str:
    if db.execute("select 1 from pg_database where datname = %s", [kept.place]).fetchone() is None:
        raise RestoreFailed(f"the database {kept.place}, which is the backup {kept.id}, is not there")
    return owned.template(db, target, kept.place, wait=wait, id_=id_)


def _row(db: postgres.Connection, name: str) -> dict[str, Any]:
    found = db.execute(
        "select to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(datdba), 'encoding_name',"
        " pg_encoding_to_char(encoding), 'space',"
        " (select spcname from pg_tablespace t where t.oid = dattablespace),"
        " 'comment', shobj_description(d.oid, 'pg_database')) from pg_database d where datname = %s",
        [name],
    ).fetchone()
    if found is None:
        raise DatabaseError(f"the database {name} is gone")
    row: dict[str, Any] = found[0]
    return row


def empty(db: postgres.Connection, name: str, id_: str = "") -> str:
    """A new, empty database with the encoding and the locale of another one; see `owned.fresh`."""
    from psycopg import sql

    row = _row(db, name)
    new = owned.fresh(id_)
    given = {
        "template": "template0",
        "encoding": row["encoding_name"],
        "lc_collate": row["datcollate"],
        "lc_ctype": row["datctype"],
    }
    if row["space"] != _row(db, "template0")["space"]:
        given["tablespace"] = row["space"]  # to name even the usual one takes a grant
    provider = {"b": "builtin", "c": "libc", "i": "icu"}.get(row.get("datlocprovider", ""))
    # The names of the locale changed with releases 15 and 17.
    locale = row.get("datlocale") or row.get("daticulocale")
    if provider:
        given["locale_provider"] = provider
    if locale:
        given["builtin_locale" if provider == "builtin" else "icu_locale"] = locale
    if row.get("daticurules"):
        given["icu_rules"] = row["daticurules"]
    options = [sql.SQL(key) + sql.SQL(" = ") + sql.Literal(value) for key, value in given.items()]
    words = sql.SQL(" ").join(options)
    db.execute(sql.SQL("create database {} ").format(sql.Identifier(new)) + words)
    return new


def _fill(target: Target, new: str, kept: Backup, programs: tools.Tools) -> None:
    words, env = postgres.child(target, new)
    done = proc.run(
        [
            programs.restore,
            "--exit-on-error",
            "--no-password",
            "--single-transaction",
            f"--dbname={words}",
            kept.place,
        ],
        env=env,
        timeout=tools.HOURS,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line] or ["no reason given"]
        raise RestoreFailed(
            f"pg_restore can't read {shown(kept.place)}: {shown(postgres.masked(lines[0], target.secrets))}",
            hint=f"the database is as it was; the backup is {shown(kept.place)}",
        )


def _verify(target: Target, new: str, kept: Backup) -> None:
    with postgres.connected(target, new) as db, postgres.looking(db):
        verify(db, kept)


def verify(db: postgres.Connection, kept: Backup) -> None:
    """Compares what a connection sees with the record of a backup.

    Raises:
        RestoreFailed: it is something else.
    """
    rows = contents.of_postgres(db)
    wrong = ""
    if rows.digest != kept.digest:
        wrong = f"{rows.rows} rows in {len(rows.tables)} tables, recorded were {kept.rows} in {kept.tables}"
    elif catalog.of_postgres(db).names != kept.names:
        wrong = "the same rows, in other tables, indexes or other objects"
    if wrong:
        raise RestoreFailed(
            f"what the backup {kept.id} holds is not what was recorded of it: {wrong}",
            hint="the database is as it was; look for another backup",
        )


def dress(db: postgres.Connection, name: str, new: str) -> tuple[str, ...]:
    """Gives the new database what belongs to the other as a database: owner, grants, settings, limits.

    Returns:
        What the role that connects may not give it.
    """
    from psycopg import sql

    row = _row(db, name)
    fresh = sql.Identifier(new)
    grants = db.execute(
        "select privilege_type, is_grantable, nullif(grantee, 0)::regrole::text"
        " from pg_database, aclexplode(datacl) where datname = %s and grantee <> datdba",
        [name],
    ).fetchall()
    settings = db.execute(
        "select nullif(s.setrole, 0)::regrole::text, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)"
        " from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c"
        " where d.datname = %s",
        [name],
    ).fetchall()
    # Who is no member of the owner's role keeps what it makes.
    mine = db.execute(
        "select rolsuper or pg_has_role(%s, 'usage') from pg_roles where rolname = current_user",
        [row["owner"]],
    ).fetchone()
    denied = postgres.driver().errors.InsufficientPrivilege
    lost: list[str] = []
    with db.transaction():
        if row["datacl"] is not None:
            db.execute(sql.SQL("revoke all on database {} from public").format(fresh))
        for privilege, grantable, who in grants:
            db.execute(
                sql.SQL("grant {} on database {} to {}{}").format(
                    sql.SQL(privilege),
                    fresh,
                    sql.SQL(who or "public"),
                    sql.SQL(" with grant option" if grantable else ""),
                )
            )
        for role, key, value in settings:
            whose = sql.SQL("alter role {} in database {}").format(sql.SQL(role), fresh) if role else None
            try:
                with db.transaction():
                    # What is stored is what set_config takes; ALTER DATABASE would read it as a list.
                    db.execute("select set_config(%s, %s, true)", [key, value])
                    db.execute(
                        sql.SQL("{} set {} from current").format(
                            whose or sql.SQL("alter database {}").format(fresh),
                            sql.SQL(".").join(map(sql.Identifier, key.split("."))),
                        )
                    )
            except denied:
                lost.append(f"the setting {key} of {role or 'the database'} is a superuser's to make")
        db.execute(
            sql.SQL("alter database {} connection limit {}").format(fresh, sql.Literal(row["datconnlimit"]))
        )
        if mine == (True,):
            db.execute(sql.SQL("alter database {} owner to {}").format(fresh, sql.Identifier(row["owner"])))
    return tuple(lost)


def _swap(db: postgres.Connection, target: Target, name: str, new: str, *, wait: float, evict: bool) -> str:
    """Gives each database the other's place; returns the new name of the old one."""
    from psycopg import sql

    old = owned.fresh()
    row = _row(db, name)

    def rename() -> None:
        with db.transaction():
            for before, after in ((name, old), (new, name)):
                db.execute(
                    sql.SQL("alter database {} rename to {}").format(
                        sql.Identifier(before), sql.Identifier(after)
                    )
                )
            owned.mark(db, name, row["comment"])
            if row["datistemplate"]:  # which can't be dropped
                for database, word in ((old, "false"), (name, "true")):
                    db.execute(
                        sql.SQL("alter database {} is_template {}").format(
                            sql.Identifier(database), sql.SQL(word)
                        )
                    )

    postgres.alone(db, target, name, rename, wait=wait, evict=evict)
    return old
