"""Upgrades databases with real alembic: each line names a database and the sources to run, in their order.

A process of its own, since it executes them. It answers each line with the errors, one for each source.
"""

from __future__ import annotations

import json
import sys
import warnings

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, pool

warnings.simplefilter("ignore")


def run(url: str, sources: list[str]) -> list[str]:
    """Runs `upgrade()` of each; what fails is rolled back, and said."""
    said = []
    engine = create_engine(url, poolclass=pool.NullPool)
    for source in sources:
        names: dict[str, object] = {}
        try:
            with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
                exec(compile(source, "revision", "exec"), names)
                names["upgrade"]()  # type: ignore[operator]  # it is the function
            said.append("")
        except Exception as error:  # noqa: BLE001 (whatever a source may raise is the answer)
            said.append(f"{type(error).__name__}: {error}".splitlines()[0])
    return said


for line in sys.stdin:
    url, sources = json.loads(line)
    print(json.dumps(run(url, sources)), flush=True)
