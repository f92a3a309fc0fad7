"""A fixed share of what `prove.py` does, and that the harness itself notices what it is there for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import inject, power
from tests.faults.inject import Fault
from tests.faults.place import Place, build, environment
from tests.faults.prove import Bench, Case, spread
from tests.faults.scenarios import SCENARIOS
from tests.faults.tracer import copy_sparse
from tests.gitkit import git

WHY_NOT = inject.why_not()
NO_POWER = WHY_NOT or power.why_not()
KILLS = ("kill-all", "kill-one")
NAMES = [scenario.name for scenario in SCENARIOS]
SHORT = "sync"

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_power = pytest.mark.skipif(bool(NO_POWER), reason=NO_POWER)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Workspaces, each built when a test first asks for it."""
    before = dict(os.environ)
    yield Bench(tmp_path_factory.mktemp("faults"))
    os.environ.clear()
    os.environ.update(before)


def prove(bench: Bench, cases: list[Case]) -> None:
    lost = [result for result in map(bench.run, cases) if result.losses]
    # No comparison, whose explanation pytest would print before it: CI cuts what is long.
    if lost:
        pytest.fail("\n".join(str(one) for one in lost), pytrace=False)


def some(bench: Bench, name: str, faults: tuple[str, ...], count: int, seed: int) -> list[Case]:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    return list(spread(name, bench.reference(scenario).calls, count, faults, random.Random(seed)))


# One test for each scenario, not one for each case: each worker that takes one builds its workspace anew.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name", [name if name == SHORT else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_nothing_is_lost(bench: Bench, name: str) -> None:
    errors = inject.faults_known()[2:]
    prove(bench, some(bench, name, KILLS, 1, seed=1) + some(bench, name, errors or KILLS, 1, seed=1))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_more_often(bench: Bench, name: str, seed: int) -> None:
    prove(bench, some(bench, name, inject.faults_known(), 4, seed))


@pytest.mark.long
@pytest.mark.timeout(900)
@needs_power
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_when_the_power_is_cut(bench: Bench, name: str) -> None:
    prove(bench, some(bench, name, ("cut",), 4, seed=1))


def test_a_call_is_struck_before_it_happens(tmp_path: Path) -> None:
    argv = [sys.executable, "-S", "-c", "import os; [os.mkdir(str(n)) for n in range(5)]"]
    whole = inject.run(argv, cwd=tmp_path, env=os.environ)
    assert (whole.exit, whole.calls.count("raccord: mkdir")) == (0, 5)
    for path in tmp_path.iterdir():
        path.rmdir()
    ran = inject.run(argv, cwd=tmp_path, env=os.environ, fault=Fault("kill-all", len(whole.calls) - 2))
    assert (ran.exit, ran.hit) == (None, "raccord: mkdir")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_all_processes_die_but_the_far_side(tmp_path: Path) -> None:
    # The child outlives its parent, unless the strike takes it along.
    (tmp_path / "child.sh").write_text("sleep 0.5; mkdir late\n")
    argv = ["sh", "-c", "sh child.sh & mkdir first; mkdir second; wait"]
    ran = inject.run(argv, cwd=tmp_path, env=os.environ, fault=Fault("kill-all", 2))
    assert ran.exit is None
    assert not (tmp_path / "late").exists()
    assert not (tmp_path / "second").exists()
    (tmp_path / "receive-pack").write_text("sleep 0.3; mkdir far\n")
    argv = ["sh", "-c", "sh receive-pack & sleep 0.1; mkdir second; mkdir third; wait"]
    inject.run(argv, cwd=tmp_path, env=os.environ, fault=Fault("kill-all", 2))
    assert (tmp_path / "far").exists()
    assert not (tmp_path / "third").exists()


def test_a_process_alone_dies(tmp_path: Path) -> None:
    argv = ["sh", "-c", "sh -c 'mkdir one; mkdir two'; echo $?; mkdir three"]
    # mkdir is a process of its own: the shell around it goes on.
    ran = inject.run(argv, cwd=tmp_path, env=os.environ, fault=Fault("kill-one", 2))
    assert ran.output.split()[-1] == "137"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three"]


# What only happens by chance, made certain: a tracer whose `stopped` is another first.
PATCHED = """\
import os, signal, sys
sys.path.insert(0, {folder!r})
import tracer
plain = tracer.Tracer.stopped
{patch}
tracer.Tracer.stopped = stopped
tracer.main()
"""
LATE_CLOCK = """
def stopped(self, tid, status):
    if self.tracees.get(tid, tracer.Tracee()).server and not self.hit:
        os.kill(os.getpid(), signal.SIGALRM)
    plain(self, tid, status)
"""
LOST_FORK = """
def stopped(self, tid, status):
    if status >> 16 in (tracer.FORK, tracer.VFORK, tracer.CLONE) and not self.hit:
        self.hit = "fork"
        self.kill(tid)
    else:
        plain(self, tid, status)
"""


def patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: str) -> None:
    program = tmp_path / "patched.py"
    program.write_text(PATCHED.format(folder=str(inject.TRACER.parent), patch=patch))
    monkeypatch.setattr(inject, "TRACER", program)
    monkeypatch.setattr(inject, "LIMIT", 20)


def test_the_clock_may_strike_while_a_stop_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(tmp_path, monkeypatch, LATE_CLOCK)
    (tmp_path / "receive-pack").write_text("mkdir far\n")
    argv = ["sh", "-c", "sh receive-pack & sleep 20"]
    ran = inject.run(argv, cwd=tmp_path, env=os.environ, fault=Fault("kill-all", after=100.0))
    assert (ran.exit, ran.hit) == (None, "time")
    assert (tmp_path / "far").exists()


def test_a_child_whose_parent_died_before_its_birth_was_told_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(tmp_path, monkeypatch, LOST_FORK)
    ran = inject.run(["sh", "-c", "mkdir one & wait"], cwd=tmp_path, env=os.environ)
    assert ran.exit is None
    assert (tmp_path / "one").exists()


@pytest.mark.long
def test_a_command_that_hangs_is_a_loss_that_tells_where(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inject, "LIMIT", 3)
    monkeypatch.setattr(inject, "LAST_WORDS_S", 2)
    argv = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '77'])", "python -m raccord"]
    with pytest.raises(inject.Hung) as caught:
        inject.run(argv, cwd=bench.root, env=os.environ)
    first, _, rest = str(caught.value).partition("\n")
    assert first.startswith("no end after 3 s: ") and ") sleep 77" in first
    assert "in communicate" in rest or "in wait" in rest

    def hang(case: Case) -> None:
        raise caught.value

    monkeypatch.setattr(bench, "_run", hang)
    case = Case("sync", Fault("kill-all", 3), "again")
    assert bench.run(case).losses == (str(caught.value),)
    with pytest.raises(pytest.fail.Exception, match=r"LOST sync kill-all@3 again.*\n  no end after"):
        prove(bench, [case])


@pytest.mark.skipif("enospc" not in inject.faults_known(), reason="errors can be injected on x86-64 only")
def test_a_disk_is_full_from_a_call_on(tmp_path: Path) -> None:
    code = "import os\nfor n in range(4):\n  try: os.mkdir(str(n))\n  except OSError as e: print(n, e.errno)"
    ran = inject.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=os.environ, fault=Fault("enospc", 3)
    )
    assert (ran.exit, ran.output) == (0, "2 28\n3 28\n")


def test_the_fingerprint_notices_every_kind_of_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(key, value)
    place = Place(tmp_path)
    build(place)
    top = place.top("b")

    def append(name: str) -> None:
        with open(top / name, "a") as file:
            file.write("x")

    (top / "to").symlink_to("README.mb")
    deeds: dict[str, Callable[[], object]] = {
        "a tracked file": lambda: append("README.md"),
        "an ignored file": lambda: append(".env"),
        "an untracked file": lambda: append("scratch/untracked.txt"),
        "a mode": lambda: (top / "scratch/run.sh").chmod(0o755),
        "a link": lambda: os.replace(top / "to", top / "link"),
        "an empty directory": lambda: (top / "empty").mkdir(),
        "what is staged": lambda: git(top, "reset", "-q", "staged.txt"),
        "a flag": lambda: git(top, "update-index", "--skip-worktree", "README.md"),
        "a commit": lambda: git(top, "commit", "-q", "--allow-empty", "-m", "x"),
        "a branch": lambda: git(top, "checkout", "-q", "-b", "other"),
    }
    old = place.look()
    assert old == place.look()
    for name, deed in deeds.items():
        deed()
        seen = place.look()
        assert seen.trees["b"].differences(old.trees["b"]), name
        assert seen.trees["a"] == old.trees["a"], name
        old = seen
    (place.top("main") / ".git/index.lock").touch()
    assert place.look().leftovers == ("main/.git/index.lock",)


def test_a_tool_that_is_careless_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's own pull, killed: the very thing that the harness is there to tell from raccord."""
    for key, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(key, value)
    place = Place(tmp_path)
    build(place)
    place.refresh()
    old = place.look()
    argv = ["git", "pull", "-q", "--ff-only"]
    template = tmp_path.parent / f"{tmp_path.name}-template"
    place.save(template)
    whole = inject.run(argv, cwd=place.top("main"), env=place.env)
    new = place.look()
    assert whole.exit == 0
    assert new.trees["main"] != old.trees["main"]
    caught = 0
    for at in range(len(whole.calls) // 2, len(whole.calls), 12):
        place.reset(template)
        inject.run(argv, cwd=place.top("main"), env=place.env, fault=Fault("kill-all", at))
        seen = place.look()
        caught += bool(seen.leftovers) or seen.trees["main"] not in (old.trees["main"], new.trees["main"])
    assert caught


@needs_power
def test_what_is_not_flushed_is_gone_after_a_cut(tmp_path: Path) -> None:
    disk, cut, at = tmp_path / "disk", tmp_path / "cut", tmp_path / "at"
    power.make(disk)
    power.mount(disk, at)
    code = (
        "import os\nfor name in ('flushed', 'not'):\n  f = os.open(name, os.O_CREAT | os.O_WRONLY)\n"
        "  os.write(f, b'data')\n  if name == 'flushed': os.fsync(f); os.fsync(os.open('.', os.O_RDONLY))\n"
        "os.mkdir('end')"
    )
    try:
        argv = [sys.executable, "-S", "-c", code]
        ran = inject.run(argv, cwd=at, env=os.environ, fault=Fault("cut", 7), image=(disk, cut))
    finally:
        power.unmount(at)
    assert ran.hit == "raccord: mkdir"
    copy_sparse(str(cut), str(disk))
    power.mount(disk, at)
    try:
        assert (at / "flushed").read_bytes() == b"data"
        assert not (at / "not").exists() or not (at / "not").read_bytes()
    finally:
        power.unmount(at)
    assert subprocess.run(["losetup", "-j", disk], capture_output=True, check=True).stdout == b""
