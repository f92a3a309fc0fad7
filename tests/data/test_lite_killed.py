"""A push between SQLite files killed at any write: old rows or new ones, and the next command knows."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.faults import inject
from tests.faults.inject import Fault
from tests.litekit import Lite, lite

ROOT = Path(__file__).resolve().parent.parent.parent
WHY_NOT = inject.why_not()
SETUP = """
create table a (id integer primary key, v text);
create table b (id integer primary key autoincrement, a integer references a, v text);
create table k (v);
with recursive n (x) as (select 1 union all select x + 1 from n where x < 400)
insert into a select x, hex(randomblob(20)) from n;
insert into b (a, v) select id, 'x' from a;
insert into k select id % 9 from a;
"""
OTHER = """
update a set v = 'prod' where id % 3 = 1; delete from b where id > 40; insert into b (id, a) values (900, 1);
delete from k where v = 3; insert into k values (1), (77);
"""

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


CALLS: dict[str, int] = {}
NONE = Fault()


def ready(found: Lite) -> None:
    found.run("dev", SETUP)
    shutil.copyfile(found.path("dev"), found.path("prod"))
    found.run("prod", OTHER)
    found.configure(mode="mirror")


@pytest.fixture
def pair(tmp_path):
    with lite(tmp_path) as found:
        ready(found)
        yield found


def reference(path: Path, journal: str) -> list[str]:
    """The writing system calls of a push that nothing stops."""
    with lite(path) as found:
        ready(found)
        return prepared(found, journal).calls


def pushed(pair: Lite, fault: Fault) -> inject.Ran:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "raccord", "data", "push", "all", "--to", "prod"]
    return inject.run(argv, cwd=pair.repo.path, env=env, fault=fault)


def prepared(pair: Lite, journal: str, fault: Fault = NONE) -> inject.Ran:
    for name in ("dev", "prod"):
        pair.run(name, f"pragma journal_mode = {journal}")
    return pushed(pair, fault)


def tried(pair: Lite, journal: str, where: int) -> None:
    old, new = pair.rows("prod"), pair.rows("dev")
    ran = prepared(pair, journal, Fault("kill-all", where))
    assert ran.hit or ran.exit == 0, ran.output
    # Asked before anything is done about it.
    assert pair.rows("prod") in (old, new)
    report = pair.push()
    assert report.state in ("done", "nothing"), report
    assert pair.rows("prod") == new
    undone = pair.undo()
    assert undone.state == "done", undone
    assert pair.rows("prod") == old
    assert sorted(one.name for one in pair.path("prod").parent.glob("*.db*")) == ["dev.db", "prod.db"]


# Shares of all writes: around the archive, the journal, the commit and what comes after it.
@pytest.mark.long_but(1)
@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_killed_at_a_write(tmp_path, pair, journal, share):
    count = CALLS[journal] = CALLS.get(journal) or len(reference(tmp_path / "reference", journal))
    tried(pair, journal, max(1, int(count * share)))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("part", range(60))
def test_killed_at_every_write(tmp_path, journal, part):
    calls = reference(tmp_path / "reference", journal)
    for where in range(1 + part, len(calls) + 1, 60):
        with lite(tmp_path / str(where)) as found:
            ready(found)
            tried(found, journal, where)
        shutil.rmtree(tmp_path / str(where))
