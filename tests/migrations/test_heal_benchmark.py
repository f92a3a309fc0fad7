"""The benchmark of heal at a tiny size: what it builds is what it says, and it tells right from wrong."""

from __future__ import annotations

import argparse
import json

import pytest

from benchmarks import heal
from benchmarks.chain import BACKEND, VERSIONS, Chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return Chain.lay(tmp_path_factory.mktemp("chain") / "workspace", links=3, history=2, files=40)


@pytest.mark.long
def test_alembic_is_lost_in_the_late_worktree(chain):
    assert "Can't locate revision" in chain.alembic(chain.late / BACKEND, "current")
    assert len(chain.faults(chain.late)) == 4


@pytest.mark.long
def test_a_wrong_byte_is_a_fault(chain, tmp_path):
    fresh = chain.copy(tmp_path / "copy")
    for one in fresh.chain:
        (fresh.late / one.path).write_bytes(one.source)
    assert fresh.faults(fresh.late) == []
    first = fresh.late / fresh.chain[0].path
    first.write_bytes(first.read_bytes() + b"\n")
    (fresh.late / VERSIONS / f"again_{fresh.chain[1].id}.py").write_bytes(fresh.chain[1].source)
    assert [fault.partition(" ")[0] for fault in fresh.faults(fresh.late)[:2]] == [
        one.id for one in fresh.chain[:2]
    ]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_it_runs(tmp_path, capsys):
    options = argparse.Namespace(rounds=1, links=5, history=2, files=40, seed=1, json=True)
    heal.run(options, tmp_path)
    said = json.loads(capsys.readouterr().out)
    assert said["in_process"]["faults"] == []
    outcome = {(one["setting"], one["contender"]): one["healed"] for one in said["samples"]}
    assert outcome[heal.ALL, "raccord"] == outcome[heal.REMOVED, "raccord"] == 5
    assert outcome[heal.ALL, heal.LOOP] == 5
    assert outcome[heal.ALL, "seed's loop"] == 1
    assert outcome[heal.ALL, "seed's loop, repaired"] == 3
    assert outcome[heal.REMOVED, heal.LOOP] < 5
