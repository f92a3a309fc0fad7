"""Keeps tests away from the person who runs them: they get a home, an environment and a git of their own.

What would reach the real home directory or an outside network raises, and fails the test even where the code
under test swallows the exception. Only this process is watched; its children get the environment.
"""

from __future__ import annotations

import gc
import hashlib
import ipaddress
import os
import pwd
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A deadline and "too slow" measure the machine; in CI the examples are the same on every run. What needs more
# examples says so itself.
settings.register_profile(
    "raccord",
    max_examples=50,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("raccord")


class OutsideNetworkReached(AssertionError):
    """A test asked for a host other than this one."""


class RealHomeReached(AssertionError):
    """A test would have written into the home directory of the person who runs it."""


ROOT = Path(__file__).resolve().parent.parent
# Whatever else the person's shell exports is dropped: a hook's GIT_DIR, PGPASSWORD, AWS_PROFILE, PAGER …
KEPT = frozenset({"CI", "LD_LIBRARY_PATH", "TMPDIR"})
KEPT_PREFIXES = ("COVERAGE_", "HYPOTHESIS_", "PYTEST_", "PYTHON")
# Without bytecode on disk each worker, and each of the many children, would compile what it imports anew.
DROPPED = "PYTHONDONTWRITEBYTECODE"
sys.dont_write_bytecode = False
# All tests are kept to the end: to look for garbage as often as by default makes collecting a fifth slower.
gc.set_threshold(20_000, 20, 20)
GIT_CONFIG = """\
[user]
	name = Tester
	email = tester@example.invalid
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[core]
	fsync = none
"""

REAL_HOMES = {
    path
    for home in (os.environ.get("HOME"), pwd.getpwuid(os.getuid()).pw_dir)
    if home
    for path in (os.path.abspath(home), os.path.realpath(home))
    if path != "/"
}
# Ours to write, wherever they lie: the checkout, its interpreter, temporary files.
TEMPORARY = tempfile.gettempdir()
OURS = (str(ROOT), sys.prefix, sys.base_prefix, TEMPORARY, os.path.realpath(TEMPORARY))
# Which arguments of an audit event are paths that it changes.
CHANGED_PATHS: dict[str, tuple[int, ...]] = {
    "os.chmod": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "sqlite3.connect": (0,),
}
LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"})
CALLS = frozenset({"socket.connect", "socket.sendmsg", "socket.sendto"})
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
REACHED: list[AssertionError] = []
# A share of the long tests strikes one in so many functions that have no short case.
FUNCTIONS = 3


def below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_in_real_home(path: object) -> bool:
    """Whether a path, as an audit event gives it, is the person's and not ours."""
    if not isinstance(path, str | bytes | os.PathLike):
        return False  # a file descriptor: its opening was looked at
    full = os.path.abspath(os.fsdecode(path))
    return any(below(full, home) for home in REAL_HOMES) and not any(below(full, ours) for ours in OURS)


def is_outside(host: str | bytes | None) -> bool:
    """Whether a host name or address is another machine's."""
    name = os.fsdecode(host or "")
    try:
        ip = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name not in ("", "localhost", socket.gethostname()) and not name.endswith(".localhost")
    return not (ip.is_loopback or ip.is_unspecified)


def host_called(event: str, args: tuple[Any, ...]) -> str | bytes | None:
    """The host of a network event, or None where there is none: a UNIX socket, a socket connected before."""
    if event in LOOKUPS:
        return args[0]
    address = args[1] if args[0].family in (socket.AF_INET, socket.AF_INET6) else None
    return address[0] if address else None


def watch(event: str, args: tuple[Any, ...]) -> None:
    """The audit hook; Python calls it for every event, so the first lines turn most away."""
    error: AssertionError | None = None
    if event == "open":
        if args[2] & WRITES and is_in_real_home(args[0]):
            error = RealHomeReached(f"open for writing: {args[0]!r}")
    elif event in CHANGED_PATHS:
        if any(is_in_real_home(args[i]) for i in CHANGED_PATHS[event]):
            error = RealHomeReached(f"{event}: {args!r}")
    elif (event in LOOKUPS or event in CALLS) and is_outside(host := host_called(event, args)):
        error = OutsideNetworkReached(f"{event}: {host!r}")
    if error is not None:
        REACHED.append(error)
        raise error


sys.addaudithook(watch)


def environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Writes git's configuration into `home`; returns the whole environment of somebody who lives there."""
    (home / ".gitconfig").write_text(GIT_CONFIG)
    kept = {key: value for key, value in inherited.items() if key in KEPT or key.startswith(KEPT_PREFIXES)}
    kept.pop(DROPPED, None)
    return kept | {
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # First the interpreter's own folder: a child's `python` and `raccord` are those under test.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
        "TZ": "UTC",
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_RUNTIME_DIR": str(home / ".run"),
        "XDG_STATE_HOME": str(home / ".local/state"),
    }


@pytest.fixture(scope="session", autouse=True)
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of all tests that leave it as it is; `home` is for the others."""
    home = tmp_path_factory.mktemp("home")
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(home, before))
    time.tzset()
    yield home
    os.environ.clear()
    os.environ.update(before)


def after_each(home: Path) -> Iterator[None]:
    """Waits for a test to end, then raises what it reached, also where its code swallowed the exception."""
    REACHED.clear()
    yield
    for name in set(os.listdir(home)) - {".gitconfig"}:
        shutil.rmtree(home / name, ignore_errors=True)
        (home / name).unlink(missing_ok=True)
        REACHED.append(AssertionError(f"~/{name} was written: such a test asks for the fixture `home`"))
    if REACHED:
        first = REACHED[0]
        REACHED.clear()
        raise first


@pytest.fixture(autouse=True)
def isolated(shared_home: Path) -> Iterator[None]:
    """Fails the test that reached out, and no later one."""
    yield from after_each(shared_home)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, to write into."""
    path = tmp_path / "home"
    path.mkdir()
    for key, value in environment(path, os.environ).items():
        monkeypatch.setenv(key, value)
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --long-share."""
    help_ = f"run one in N of the tests marked long, always the same ones of one function in {FUNCTIONS}"
    parser.addoption("--long-share", type=int, default=1, metavar="N", help=help_)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what `long_but` leaves; leaves out what --long-share leaves out."""
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        functions.setdefault(function_of(item.nodeid), []).append(item)
    for cases in functions.values():
        mark_but(cases)
    share = config.getoption("--long-share")
    long = {item.nodeid for item in items if item.get_closest_marker("long")}
    # What may take minutes would be most of a share's time: it runs where all of them do.
    whole = {item.nodeid for item in items if share > 1 and item.get_closest_marker("timeout")} & long
    left_out = long - one_in(share, long - whole, {item.nodeid for item in items} - long)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def function_of(name: str) -> str:
    """The test function of a test's name, without the case."""
    return name.partition("[")[0]


def mark_but(cases: list[pytest.Item]) -> None:
    """Marks the cases of a function long, but as many as `long_but` says, from all over their list."""
    but = cases[0].get_closest_marker("long_but")
    if but is None:
        return
    short = [item for item in cases if not item.get_closest_marker("long")]
    kept = {len(short) * i // but.args[0] for i in range(but.args[0])}
    for number, item in enumerate(short):
        if number not in kept:
            item.add_marker("long")


def one_in(share: int, long: set[str], short: Collection[str] = ()) -> set[str]:
    """One in `share` of the long tests of each file, and of some functions without a short one.

    Those are one in `FUNCTIONS` of a file, and one at least; all of them where `share` is 1. All are the
    first in the order of a hash: the same on every run, nearly the same when cases are added.
    """
    struck = {function_of(name) for name in short}
    groups: dict[str, list[str]] = {}
    # No checksum: names that differ in a digit would be neighbours, and drawn together.
    for name in sorted(long, key=_hashed):
        function = function_of(name)
        groups.setdefault(function if function not in struck else name.partition("::")[0], []).append(name)
    if share > 1:
        files: dict[str, list[str]] = {}
        for function in sorted(groups, key=_hashed):
            if "::" in function:
                files.setdefault(function.partition("::")[0], []).append(function)
        for functions in files.values():
            for function in functions[-(-len(functions) // FUNCTIONS) :]:
                del groups[function]
    return {name for names in groups.values() for name in names[: -(-len(names) // share)]}


def _hashed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
