"""Gates that really run: green, red, missing, too slow, interrupted; what they leave; what is kept."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raccord.checks.cache import fingerprint
from raccord.checks.observe import Gate, Gates
from raccord.checks.plan import plan_gates
from raccord.checks.steps import GateRun, GateSetup
from raccord.config import keys
from raccord.errors import HeldBack, WorldMoved
from raccord.kernel.store import Store
from raccord.model.handler import Context, Position
from raccord.model.plan import Step
from tests.gitkit import Repo

RUN = "run-1"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo.init(tmp_path / "repo")
    repo.commit({"a.txt": "a\n", ".gitignore": ".venv\n*.pyc\n"})
    return repo


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[GateRun]:
    store = Store(tmp_path / "state.db")
    yield GateRun(store)
    store.close()


def context(lane: str = "feature/x", cancelled: Callable[[], bool] = lambda: False) -> Context:
    return Context(RUN, lane, lambda _: None, cancelled)


def step(repo: Repo, script: str, *, tree: str = "", **settings: object) -> Step:
    """A step whose command is a line of shell."""
    gates = Gates((Gate(("sh", "-c", script), "configured"),))
    plan = plan_gates(
        str(repo.path),
        tree or repo.oid("HEAD^{tree}"),
        gates,
        keys.Gates(**settings),  # type: ignore[arg-type]  # the test's own keywords
        common=str(repo.path / ".git"),
    )
    return plan.steps[0]


def log(repo: Repo) -> str:
    (path,) = (repo.path / ".git/raccord/logs" / RUN).iterdir()
    return path.read_text()


def test_green_is_kept_and_not_run_again(repo: Repo, gate: GateRun, tmp_path: Path) -> None:
    one = step(repo, f"echo ran >> {tmp_path}/count; echo fine")
    assert gate.probe(one, context()) is Position.BEFORE
    outcome = gate.apply(one, context())
    assert not outcome.note
    assert outcome.record["cached"] is False
    assert "fine\n" in log(repo)
    assert "exit 0" in log(repo)
    assert gate.probe(one, context()) is Position.AFTER
    again = gate.apply(one, context())
    assert again.record["cached"] is True
    assert again.record["log"] == outcome.record["log"]
    assert (tmp_path / "count").read_text() == "ran\n"
    assert gate.inverse(one, outcome) == ()


def test_red_is_held_back_with_its_last_lines_and_never_kept(repo: Repo, gate: GateRun) -> None:
    one = step(repo, "echo first; echo 'assert 1 == 2' >&2; exit 3")
    with pytest.raises(HeldBack, match=r"exit 3.*assert 1 == 2") as held:
        gate.apply(one, context())
    assert held.value.data["tail"] == ["first", "assert 1 == 2"]
    assert held.value.data["finding"] == "gate.red"
    assert held.value.hint == f"less {held.value.data['log']}"
    assert "assert 1 == 2" in log(repo)
    assert gate.probe(one, context()) is Position.BEFORE


def test_what_make_says_of_itself_tells_nothing(repo: Repo, gate: GateRun) -> None:
    ends = "echo 'make[1]: *** [Makefile:2: test] Error 1'; echo \"make[1]: Leaving directory '/x'\"; exit 2"
    with pytest.raises(HeldBack, match=r"exit 2\): 1 failed"):
        gate.apply(step(repo, f"echo '1 failed'; {ends}"), context())
    with pytest.raises(HeldBack, match="Leaving directory"):
        gate.apply(step(repo, ends), context())


def test_the_environment_is_scrubbed(repo: Repo, gate: GateRun, monkeypatch: pytest.MonkeyPatch) -> None:
    one = step(repo, 'test -z "$GIT_DIR$GIT_INDEX_FILE" && git rev-parse --git-dir')
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere/index")
    gate.apply(one, context())


def test_another_tree_is_refused(repo: Repo, gate: GateRun, tmp_path: Path) -> None:
    one = step(repo, f"touch {tmp_path}/ran", tree="0" * 40)
    with pytest.raises(WorldMoved):
        gate.apply(one, context())
    assert not (tmp_path / "ran").exists()


def test_a_missing_program(repo: Repo, gate: GateRun) -> None:
    plan = plan_gates(
        str(repo.path),
        repo.oid("HEAD^{tree}"),
        Gates((Gate(("no-such-program",), "configured", missing="no-such-program"),)),
        keys.Gates(),
        common=str(repo.path / ".git"),
    )
    assert plan.steps == ()
    assert plan.held is not None
    assert plan.held.status == "unknown"
    # It may also go between the plan and the run.
    gone = plan_gates(
        str(repo.path),
        repo.oid("HEAD^{tree}"),
        Gates((Gate(("no-such-program",), "configured"),)),
        keys.Gates(),
        common=str(repo.path / ".git"),
    ).steps[0]
    with pytest.raises(HeldBack, match="no-such-program is not there"):
        gate.apply(gone, context())


def test_a_time_limit_ends_all_that_the_gate_started(repo: Repo, gate: GateRun, tmp_path: Path) -> None:
    script = f"(sleep 2.5; touch {tmp_path}/late) & echo begun; sleep 60"
    with pytest.raises(HeldBack, match=r"no end after 1 s.*begun"):
        gate.apply(step(repo, script, timeout_seconds=1), context())
    time.sleep(2)
    assert not (tmp_path / "late").exists()


def test_an_interrupt_ends_it_and_keeps_its_output(repo: Repo, gate: GateRun, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt):
        gate.apply(step(repo, f"echo begun; touch {begun}; sleep 60"), context(cancelled=begun.exists))
    assert "begun" in log(repo)
    assert "cancelled" in log(repo)


def test_what_it_leaves_is_reported_and_artefacts_go_to_the_trash(repo: Repo, gate: GateRun) -> None:
    repo.write("mine.xml", "a person's")
    one = step(
        repo, "mkdir out; echo r > out/report.xml; echo n > notes; echo x > x.pyc", artefacts=("*.xml",)
    )
    outcome = gate.apply(one, context())
    assert outcome.record["removed"] == ["out/report.xml"]
    assert outcome.record["left"] == ["notes"]
    assert "it left notes" in outcome.note
    assert (repo.path / "mine.xml").read_text() == "a person's"
    assert not (repo.path / "out/report.xml").exists()
    (kept,) = (repo.path / ".git/raccord/trash").rglob("*.xml")
    assert kept.read_text() == "r\n"
    assert gate.probe(one, context()) is Position.BEFORE, "not clean before"


def test_artefacts_alone_do_not_keep_a_result_from_being_kept(repo: Repo, gate: GateRun) -> None:
    one = step(repo, "echo r > report.xml", artefacts=("*.xml",))
    gate.apply(one, context())
    assert gate.probe(one, context()) is Position.AFTER


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("echo more >> a.txt", "it modified a.txt"),
        ("printf 'b\\n' > a.txt", "it modified a.txt"),
        ("rm a.txt", "it modified a.txt"),
        ("git commit -q --allow-empty -m x", ""),
        ("echo b > a.txt; git commit -q -a -m x", "it moved HEAD"),
        ("touch new", "it left new"),
    ],
)
def test_what_changes_the_worktree_is_not_kept(repo: Repo, gate: GateRun, script: str, note: str) -> None:
    one = step(repo, script)
    assert note in gate.apply(one, context()).note
    assert gate.probe(one, context()) is (Position.BEFORE if note else Position.AFTER)


def test_a_dirty_worktree_is_tested_but_not_kept(repo: Repo, gate: GateRun) -> None:
    repo.write("a.txt", "edited\n")
    one = step(repo, "true")
    gate.apply(one, context())
    assert gate.probe(one, context()) is Position.BEFORE


def test_declared_variables_and_the_toolchain_are_part_of_the_key(
    repo: Repo, gate: GateRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "one")
    one = step(repo, "true", environment=("MODE",))
    gate.apply(one, context())
    assert gate.probe(one, context()) is Position.AFTER
    monkeypatch.setenv("MODE", "two")
    assert gate.probe(one, context()) is Position.BEFORE
    monkeypatch.setenv("MODE", "one")
    repo.write(".venv/pyvenv.cfg", "version = 3.12\n")
    assert gate.probe(one, context()) is Position.BEFORE


def test_the_fingerprint_notices_another_program(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!{sys.executable}\n")
    tool.chmod(0o755)
    first = fingerprint(tmp_path, "./tool")
    assert first == fingerprint(tmp_path, "./tool")
    os.utime(tool, (1, 1))
    assert fingerprint(tmp_path, "./tool") != first


def test_setup_runs_where_a_lock_file_changed(repo: Repo) -> None:
    settings = keys.Gates(setup=(("sh", "-c", "mkdir .venv && exit $((1 - 1))"),))
    gates = Gates((Gate(("true",), "configured"),))

    def kinds(*changed: str) -> list[str]:
        plan = plan_gates(
            str(repo.path), "t", gates, settings, changed=changed, common=str(repo.path / ".git")
        )
        return [one.kind for one in plan.steps]

    assert kinds("a.txt", "docs/lock") == ["gate.run"]
    assert kinds("web/package-lock.json") == ["gate.setup", "gate.run"]
    one = plan_gates(
        str(repo.path),
        repo.oid("HEAD^{tree}"),
        gates,
        settings,
        changed=["uv.lock"],
        common=str(repo.path / ".git"),
    ).steps[0]
    assert GateSetup().probe(one, context()) is Position.BEFORE
    GateSetup().apply(one, context())
    assert (repo.path / ".venv").is_dir()
    with pytest.raises(HeldBack):
        GateSetup().apply(one, context())


def test_output_is_bounded_and_keeps_both_ends(repo: Repo, gate: GateRun) -> None:
    gate.apply(step(repo, "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"), context())
    text = log(repo)
    assert len(text) < 1024 * 1024 + 1000
    assert "first\n" in text
    assert text.endswith("last\n")
    assert "bytes left out" in text


def test_lanes_with_hostile_names_have_logs_of_their_own(repo: Repo, gate: GateRun) -> None:
    for number, lane in enumerate(("feature/x", "feature-x", "../../x", "é\udcff", "")):
        gate.apply(step(repo, f"true # {number}, or the result would be known"), context(lane))
    names = [path.name for path in (repo.path / ".git/raccord/logs" / RUN).iterdir()]
    assert len(names) == 5
    assert "feature-x-1.log" in names
