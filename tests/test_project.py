"""What holds for the repository as a whole: its files, its locks, its version, and the tests' isolation."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import raccord
from tests import conftest
from tests.conftest import OutsideNetworkReached, RealHomeReached
from tests.gitkit import GitFailed, Repo, git, remote_with_clone

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# A letter of each name is in brackets, so that this file does not name them itself.
MACHINE = re.compile(
    r"(?<![\w.~$}/-])/(roo[t]|wor[k]|opt/(pyp[i]|wheel[s]))(?![\w.-])"
    r"|\b(files\.pythonhoste[d]|(test\.)?pyp[i])\.org|\bregistry\.(npmj[s]|yarnpk[g])\.\w+"
    r"|\bindex\.crate[s]\.io|\bproxy\.golan[g]\.org|\bdeb\.debia[n]\.org"
)
PIN = re.compile(r"^([\w.-]+)==(\S+)([^\n]*)\n((?:    .*\n)*)", re.MULTILINE)


def committed() -> list[Path]:
    """The files that are committed, or would be by `git add --all`."""
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [path for name in sorted(set(names)) if name and (path := ROOT / name).is_file()]


def wrong_lines(text: str) -> list[str]:
    """The lines that name a package registry's host or a path of one machine."""
    return [line for line in text.splitlines() if MACHINE.search(line)]


def lock(name: str) -> dict[str, tuple[str, str]]:
    """The version of each package in a lock, and the lines behind it: hashes and where it comes from."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {canonicalize_name(pin[1]): (pin[2], pin[4]) for pin in PIN.finditer(text)}


def asked_for(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def test_no_file_names_a_registry_or_a_machine():
    found = {}
    for path in committed():
        if wrong := wrong_lines(path.read_text("utf-8", "replace")):
            found[str(path.relative_to(ROOT))] = wrong
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://py" + "pi.org/simple",
        "see /ro" + "ot/.config",
        "cd '/wo" + "rk'\n",
        "find-links = /opt/wh" + "eels",
        "https://files.python" + "hosted.org/packages/ab/cd",
    ],
)
def test_a_registry_or_a_machine_is_noticed(text):
    assert wrong_lines(text)


@pytest.mark.parametrize("text", ["a/work/b", "~/work/x", "$HOME/work/", "--work-tree=/opt/x", "/workshop"])
def test_other_paths_are_left_alone(text):
    assert wrong_lines(text) == []


def test_the_locks_are_the_requirements_files():
    assert {path.name for path in committed()} & {"Pipfile.lock", "poetry.lock", "uv.lock"} == set()


@pytest.mark.parametrize("name", ["base", "dev"])
def test_a_lock_is_in_step_with_pyproject(name):
    wanted = asked_for(PYPROJECT["project"]["dependencies"])
    if name == "dev":
        wanted |= asked_for(PYPROJECT["dependency-groups"]["dev"])
    locked = lock(name)
    direct = {package for package, (_, lines) in locked.items() if "raccord (pyproject.toml" in lines}
    assert direct == set(wanted)
    assert [str(wish) for package, wish in wanted.items() if locked[package][0] not in wish.specifier] == []
    assert [package for package, (_, lines) in locked.items() if "--hash=sha256:" not in lines] == []


def test_the_dev_lock_holds_the_base_lock():
    dev = lock("dev")
    assert {package: pin for package, (pin, _) in lock("base").items()} == {
        package: dev[package][0] for package in lock("base")
    }


def test_the_build_backend_is_locked():
    assert PYPROJECT["build-system"]["requires"] == [
        line for line in PYPROJECT["dependency-groups"]["dev"] if line.startswith("flit-core")
    ]


def test_the_version_is_in_one_place():
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert version("raccord") == raccord.__version__


def test_a_changelog_fragment_is_named_for_its_kind():
    names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    kinds = "added|changed|fixed|removed|security"
    assert [name for name in names if not re.fullmatch(rf"[a-z0-9-]+\.({kinds})\.md", name)] == []


def test_the_environment_is_the_tests_own(shared_home):
    assert Path.home() == shared_home == Path("~").expanduser()
    inherited = {key for key in os.environ if key.startswith("GIT_")}
    assert inherited == {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"}
    assert os.environ["XDG_STATE_HOME"].startswith(str(shared_home))


def test_writing_into_the_real_home_raises(monkeypatch, tmp_path):
    monkeypatch.setattr(conftest, "REAL_HOMES", {str(tmp_path / "person")})
    monkeypatch.setattr(conftest, "OURS", (str(tmp_path / "person/src/raccord"),))
    ours = tmp_path / "person/src/raccord"
    with pytest.raises(RealHomeReached):
        ours.mkdir(parents=True)
    conftest.REACHED.clear()
    monkeypatch.setattr(conftest, "REAL_HOMES", set())
    ours.mkdir(parents=True)
    (tmp_path / "file").touch()
    monkeypatch.setattr(conftest, "REAL_HOMES", {str(tmp_path / "person")})

    (ours / "file").write_text("ours")
    (tmp_path / "person-2").write_text("somebody else's")
    for act in (
        lambda: (tmp_path / "person/.bashrc").write_text("x"),
        lambda: os.open(tmp_path / "person/.bashrc", os.O_RDWR | os.O_CREAT),
        lambda: (tmp_path / "file").rename(tmp_path / "person/file"),
        lambda: sqlite3.connect(tmp_path / "person/state.db"),
    ):
        with pytest.raises(RealHomeReached):
            act()
    assert len(conftest.REACHED) == 4
    conftest.REACHED.clear()


def test_an_outside_network_raises(tmp_path):
    with socket.socket() as tcp, pytest.raises(OutsideNetworkReached):
        tcp.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(OutsideNetworkReached):
        udp.sendto(b"x", ("192.0.2.1", 53))
    with pytest.raises(OutsideNetworkReached):
        socket.getaddrinfo("example.org", 443)
    assert len(conftest.REACHED) == 3
    conftest.REACHED.clear()

    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(str(tmp_path / "s"))
        one.listen()
        two.connect(str(tmp_path / "s"))


def test_a_swallowed_reach_still_fails_its_test(shared_home):
    check = conftest.after_each(shared_home)
    next(check)
    with contextlib.suppress(AssertionError):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(OutsideNetworkReached):
        next(check)

    check = conftest.after_each(shared_home)
    next(check)
    subprocess.run(["sh", "-c", "echo x > ~/.trace"], check=True)
    with pytest.raises(AssertionError, match=r"~/\.trace was written"):
        next(check)
    assert not (shared_home / ".trace").exists()


def test_a_home_to_write_into(home, shared_home):
    (home / ".cache").mkdir()
    assert Path.home() == home != shared_home
    assert git(home, "config", "user.name") == "Tester"


def test_repositories_in_few_lines(tmp_path):
    remote, clone = remote_with_clone(tmp_path)
    assert clone.git("symbolic-ref", "refs/remotes/origin/HEAD") == "refs/remotes/origin/main"
    first = clone.oid("origin/main")
    second = clone.commit({"a/b.txt": "text\n", b"caf\xe9": b"\0", "README.md": None}, "two files for one")
    assert clone.git("ls-tree", "-rz", "--name-only", second).split("\0") == ["a/b.txt", "caf\udce9", ""]
    feature = clone.worktree("feature", "feature/x", "origin/main")
    assert feature.path == tmp_path / "feature"
    assert feature.oid() == first == remote.oid("main")
    assert feature.commit() != clone.commit()
    with pytest.raises(GitFailed, match="exit 128"):
        clone.oid("nothing")
    assert clone.git("rev-parse", "nothing", check=False) == "nothing"


def test_the_same_commits_have_the_same_ids(tmp_path):
    one, two = (Repo.init(tmp_path / name) for name in ("one", "two"))
    assert one.commit({"a": "x"}) == two.commit({"a": "x"})


def test_a_share_of_the_long_tests_is_always_the_same():
    names = {f"tests/test_a.py::test[{i}]" for i in range(20)}
    share = conftest.one_in(8, names)
    assert share == conftest.one_in(8, names) < names
    assert len(share) == 3
    assert conftest.one_in(1, names) == names
    assert conftest.one_in(8, set()) == set()


def test_a_share_strikes_some_functions_and_every_file():
    names = [f"tests/test_{file}.py::{name}" for file in "ab" for name in ("many", "few", "some", "more")]
    share = conftest.one_in(8, {f"{name}[{i}]" for name in names for i in range(20)})
    struck = {conftest.function_of(name) for name in share}
    assert [sum(f"test_{file}.py" in name for name in struck) for file in "ab"] == [2, 2]
    assert len(share) == 3 * len(struck)
    # What has a short case is struck by it; of the others' files one is.
    many, few = ({f"tests/test_a.py::{name}[{i}]" for i in range(20)} for name in ("many", "few"))
    share = conftest.one_in(1000, many | few, {"tests/test_a.py::many[x]"})
    assert (len(share & many), len(share & few)) == (1, 1)
    share = conftest.one_in(1000, many | few, {"tests/test_a.py::many[x]", "tests/test_a.py::few[x]"})
    assert len(share) == 1


class Case:
    """Of a test, what `mark_but` looks at."""

    def __init__(self, *marks: pytest.Mark) -> None:
        self.marks = {mark.name: mark for mark in marks}

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.marks.get(name)

    def add_marker(self, name: str) -> None:
        self.marks[name] = getattr(pytest.mark, name).mark


def test_all_but_a_few_cases_are_long():
    cases: list[Any] = [Case(pytest.mark.long_but(3).mark) for _ in range(10)]
    conftest.mark_but(cases)
    assert [number for number, case in enumerate(cases) if "long" not in case.marks] == [0, 3, 6]
    few: list[Any] = [Case(pytest.mark.long_but(3).mark) for _ in range(2)]
    conftest.mark_but(few)
    assert not any("long" in case.marks for case in few)


def test_the_page_of_benchmarks_has_each_that_make_runs():
    run = re.findall(r"\$\(PY\) benchmarks/(\w+\.py)", (ROOT / "Makefile").read_text())
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert re.findall(r"^`python benchmarks/(\w+\.py)`", page, re.MULTILINE) == run
    number = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")[len(run)]
    assert f"runs all {number} programs" in page
    modules = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"`(\w+\.py)`", page[page.index("## Modules") :]))
