"""Backups of PostgreSQL: a dump, compared with the snapshot it was made of, or a clone, with its source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from raccord.database import catalog, contents, owned, postgres, tools
from raccord.database.keeping import CLONE, DUMP, Backup, recorded
from raccord.database.url import Target
from raccord.errors import DatabaseBusy, DatabaseError
from raccord.kernel import fs, proc
from raccord.model.text import shown


def backup(target: Target, folder: Path, id_: str, *, folders: Iterable[Path], wait: float) -> Backup:
    """See `backup.backup`."""
    programs, why = _programs(target, folders)
    if programs is None:
        return _clone(target, id_, why, wait=wait)
    return _dump(target, folder, id_, programs, wait=wait)


def _programs(target: Target, folders: Iterable[Path]) -> tuple[tools.Tools | None, str]:
    with postgres.connected(target) as db:
        found, why = tools.find(db.info.server_version // 10000, folders)
    try:
        postgres.child(target)
    except DatabaseError as error:
        return None, error.message
    return found, why


def _dump(target: Target, folder: Path, id_: str, programs: tools.Tools, *, wait: float) -> Backup:
    final = folder / f"{id_}.dump"
    partial = folder / f"{id_}.dump.partial"
    fs.unlink(partial)
    # pg_dump keeps the permissions of a file that is there.
    fs.write_new(partial, b"", mode=0o600, exact=True)
    try:
        with postgres.connected(target) as db, postgres.looking(db):
            row = db.execute("select pg_export_snapshot()").fetchone()
            assert row is not None
            # pg_dump leaves the form of bytea to the server's settings.
            words, env = postgres.child(target, more=_settings(db, target))
            done = proc.run(
                [
                    programs.dump,
                    "--format=custom",
                    "--no-password",
                    f"--snapshot={row[0]}",
                    f"--lock-wait-timeout={max(1, int(wait * 1000))}",
                    f"--file={partial}",
                    f"--dbname={words}",
                ],
                env=env,
                timeout=tools.HOURS,
            )
            if done.returncode:
                raise _failed(target, "pg_dump", done.stderr)
            before = contents.of_postgres(db)
            names = catalog.of_postgres(db).names
            encoding = db.info.encoding
        tools.listed(programs, str(partial))
        dumped = tools.contents(programs, str(partial), encoding)
        # A dump has some rows of extensions besides, which are not the project's.
        own = {table: dumped.tables[table] for table in before.tables if table in dumped.tables}
        differing = before.differences(contents.Contents(own))
        if differing:
            raise DatabaseError(
                f"the dump of {target.shown} is not what the database holds: {differing[0]}",
                differing=differing,
            )
        fs.sync_file(partial)
        fs.rename(partial, final)
        fs.sync_dir(folder)
    finally:
        fs.unlink(partial)
    return recorded(id_, DUMP, str(final), os.stat(final).st_size, before, names)


def _settings(db: postgres.Connection, target: Target) -> dict[str, str]:
    row = db.execute("select current_setting('bytea_output')").fetchone()
    if row is None or row[0] == "hex":
        return {}
    return {"options": f"{dict(target.query).get('options', '')} -c bytea_output=hex".strip()}


def _failed(target: Target, program: str, said: str) -> DatabaseError:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    last = next(
        (line for line in reversed(lines) if "error:" in line), lines[-1] if lines else "no reason given"
    )
    kind = DatabaseBusy if "lock timeout" in said or "canceling statement" in said else DatabaseError
    return kind(f"{program} can't read {target.shown}: {shown(postgres.masked(last, target.secrets))}")


def _clone(target: Target, id_: str, why: str, *, wait: float) -> Backup:
    name = f"raccord_backup_{id_.lower()}"
    with postgres.administering(target) as db:
        row = db.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if row is not None:
            owned.drop(db, name)
        source = _name(target)
        before = contents.contents(target)
        new = owned.template(db, target, source, wait=wait)
        with owned.unfinished(db, new):
            copied = _read(target, new)
            if before.digest != copied[0].digest:
                # Somebody wrote between the reading and the copying, or the copy is none.
                before = contents.contents(target)
            differing = before.differences(copied[0])
            if differing:
                raise DatabaseBusy(
                    f"the copy of {target.shown} is not what the database holds: {differing[0]}",
                    hint="end what writes to it, then run it again",
                    differing=differing,
                )
            size = db.execute("select pg_database_size(%s)", [new]).fetchone()
            owned.name(db, new, name, f"backup {id_} of {source}")
    assert size is not None
    said = f"backed up as another database of the same server, since {why}"
    return recorded(id_, CLONE, name, size[0], copied[0], copied[1], said)


def _name(target: Target) -> str:
    with postgres.connected(target) as db:
        return db.info.dbname


def _read(target: Target, database: str) -> tuple[contents.Contents, str]:
    """The rows of another database of the same server, and the digest of its objects' names."""
    with postgres.connected(target, database) as db, postgres.looking(db):
        return contents.of_postgres(db), catalog.of_postgres(db).names
