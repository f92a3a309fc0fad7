"""What a database is made of, its rows aside: canonical, so that two can be compared object by object.

Left out: owners, privileges, gathered statistics, positions of columns and values of sequences. No migration
puts a column back where it was, and a value is no structure.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from raccord.database import catalog_postgres, catalog_sqlite, postgres, sqlite
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseBusy, DatabaseError

TRIES = 3


@dataclass(frozen=True, slots=True)
class Catalog:
    """The objects of a database.

    Attributes:
        kind: "postgresql" or "sqlite".
        objects: the definition of each by its kind and name, such as "column public.users.name".
    """

    kind: str
    objects: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same for the same objects."""
        text = json.dumps([self.kind, sorted(self.objects.items())])
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def names(self) -> str:
        """A digest of what there is, the definitions aside: PostgreSQL spells some anew after a dump."""
        return hashlib.sha256(json.dumps(sorted(self.objects)).encode("ascii")).hexdigest()


def catalog(
    target: Target, schemas: Collection[str] | None = None, *, without: Collection[str] = ()
) -> Catalog:
    """Reads the catalog of a database, as of one moment.

    Args:
        schemas: PostgreSQL's schemas to look at; None for all but the system's.
        without: tables to leave out with all that is theirs, such as Alembic's version table.

    Raises:
        DatabaseError: it can't be read.
        DatabaseBusy: somebody keeps changing it.
    """
    if target.kind == SQLITE:
        return Catalog(target.kind, sqlite.read(target, lambda db: catalog_sqlite.objects(db, without)))
    errors = postgres.driver().errors
    for _ in range(TRIES):
        with postgres.connected(target) as db:
            try:
                with postgres.looking(db):
                    return of_postgres(db, schemas, without)
            except (errors.InternalError, errors.UndefinedObject, errors.UndefinedTable):
                # The functions that spell definitions look at the present, not at the transaction's snapshot:
                # what was dropped since is gone for them.
                time.sleep(0.1)
    raise DatabaseBusy(
        f"others keep changing the tables of {target.shown}", hint="run it again once they are done"
    )


def of_postgres(
    db: postgres.Connection, schemas: Collection[str] | None = None, without: Collection[str] = ()
) -> Catalog:
    """The same over a connection, within a transaction of `postgres.looking`."""
    return Catalog("postgresql", catalog_postgres.objects(db, schemas, without))


def differences(first: Catalog, second: Catalog) -> tuple[str, ...]:
    """What differs from one to the other, a line for each object."""
    if first.kind != second.kind:
        raise DatabaseError(f"a catalog of {first.kind} and one of {second.kind} can't be compared")
    lines = []
    for key in sorted(first.objects.keys() | second.objects.keys()):
        before, after = first.objects.get(key), second.objects.get(key)
        if after is None:
            lines.append(f"{key} is missing" + (f": {before}" if before else ""))
        elif before is None:
            lines.append(f"{key} is new" + (f": {after}" if after else ""))
        elif before != after:
            lines.append(f"{key} was {before or 'plain'}, is {after or 'plain'}")
    return tuple(lines)
