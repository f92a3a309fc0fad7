"""The doctor finds each trouble that people are told to look for, made for real, and changes nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.coordination.exchange import Exchange
from raccord.coordination.served import FOLDER, RECORD, TOKEN, service
from raccord.kernel.owner import me
from raccord.kernel.store import Store
from raccord.model.report_doctor import DoctorFinding, DoctorReport
from raccord.workspace import Workspace
from tests.gitkit import Repo
from tests.verbs.team import Team
from tests.webkit import site

CONFIGURATION = '[coordination]\nwatch = ["notes.md"]\nthreshold = 2\n'


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A workspace in which all is well, and a change was reported."""
    made = Repo.init(tmp_path / "main")
    made.commit({"notes.md": "# Notes\n", "raccord.toml": CONFIGURATION, ".gitignore": "*.db\n"})
    looked(made)
    made.write("notes.md", "# Notes\n\nmore\n")
    looked(made)
    return made


def looked(repo: Repo) -> None:
    with Workspace.open(repo.path) as workspace:
        workspace.coordination.consolidate()


def doctor(repo: Repo, **options) -> DoctorReport:
    return Workspace.doctor(repo.path, **options)


def found(repo: Repo, name: str, **options) -> DoctorFinding:
    return next(one for one in doctor(repo, **options).findings if one.name == name)


def state(repo: Repo) -> Path:
    return repo.path / ".git/raccord"


def config(repo: Repo, text: str) -> None:
    repo.write("raccord.toml", text)


def disabled(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AUTOSYNC_ENABLED", "0")


def without(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    real = __import__("importlib.util").util.find_spec
    patch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else real(name))


def killed(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    folder = state(repo) / FOLDER
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps({"url": "http://127.0.0.1:1/", "socket": "/nobody", "pid": 1}))


def unwatched(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, '[coordination]\nwatch = ["nothing.md"]\n')


def partly(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, '[coordination]\nwatch = ["notes.md", "nothing.md"]\n')


def slow(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, f"{CONFIGURATION}check_interval_seconds = 3600\n")


def limited(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("raccord.coordination.health.limit", lambda: 0)


def another(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    repo.git("worktree", "add", "-q", "../other", "-b", "other")


def threshold(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, '[coordination]\nwatch = ["notes.md"]\nthreshold = 0\n')


def pending(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, '[coordination]\nwatch = ["*.md"]\nthreshold = 2\nreport = "S.txt"\n')
    from raccord.verbs.coordination import keeper
    from raccord.verbs.room import Room

    room = Room.open(repo.path)
    for text in ("one", "two", "three"):
        keeper(room).look()
        repo.write("notes.md", text)
    keeper(room).look()
    room.close()


def unwritable(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    repo.write("SYNC_STATUS.md", None)
    (repo.path / "SYNC_STATUS.md").mkdir()


def unplaced(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    unwritable(repo, patch)
    repo.write("notes.md", "again\n")
    looked(repo)


def homeless(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, f'{CONFIGURATION}worktree = "nowhere"\n')


def wrong(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, "[coordination]\nthreshhold = 2\n")


def open_token(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    folder = state(repo) / FOLDER
    folder.mkdir()
    (folder / TOKEN).write_text("x" * 40)
    (folder / TOKEN).chmod(0o644)


def damaged(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    for path in state(repo).glob("state.db-*"):
        path.unlink()
    data = (state(repo) / "state.db").read_bytes()
    (state(repo) / "state.db").write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def no_database(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    (state(repo) / "state.db").write_bytes(b"not a database at all, whatever it is called" * 100)


def newer(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(state(repo) / "state.db")) as db:
        db.execute("pragma user_version = 9999")


def dead_lock(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with closing(Store(state(repo) / "state.db")) as store, store.transaction() as db:
        owner = str(dataclasses.replace(me(state(repo)), pid=child.pid))
        columns = [row[1] for row in db.execute("pragma table_info(locks)")]
        values = {"resource": '"checkout:/x"', "run": "r-gone", "owner": owner, "token": 1}
        db.execute(
            f"insert into locks ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
            [values.get(one, 0) for one in columns],
        )


def index_lock(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    lock = repo.path / ".git/index.lock"
    lock.write_bytes(b"")
    os.utime(lock, (time.time() - 600,) * 2)


def gone(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    another(repo, patch)
    (repo.path.parent / "other").rename(repo.path.parent / "moved")


def future(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    with closing(Store(state(repo) / "state.db")) as store, store.transaction() as db:
        db.execute("update changes set at = at + 86400")


def undelivered(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    from raccord.coordination.outbox import Outbox

    with closing(Store(state(repo) / "state.db")) as store:
        outbox = Outbox(store)
        outbox.put(["team"], "consolidation c-1", {}, time.time())
        (letter,) = outbox.due(time.time())
        outbox.failed(letter, time.time(), "connection refused")


def apart(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    config(repo, f'{CONFIGURATION}hub = "env:RACCORD_HUB"\n')
    with closing(Store(repo.path / ".git" / "raccord" / "state.db")) as store:
        Exchange(store).join("shop")
        Exchange(store).lost("connection refused")


def full(repo: Repo, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("raccord.kernel.fs.free", lambda path: 1000)


# What people are told to look for, line by line, and what else goes wrong; the finding that tells it.
TROUBLES: dict[str, tuple[Callable[[Repo, pytest.MonkeyPatch], None], str, str]] = {
    # The service does not start: look at the logs.
    "switched off": (disabled, "service.disabled", "warning"),
    "a package is not installed": (without, "service.packages", "warning"),
    "a server was killed": (killed, "service.running", "warning"),
    # Changes are not detected: is the file watched, how often is it looked at, was any seen?
    "nothing that is watched is there": (unwatched, "watch.files", "problem"),
    "a file is not in the list": (partly, "watch.files", "warning"),
    "files are looked at seldom": (slow, "watch.interval", "warning"),
    "too many directories": (limited, "watch.limit", "warning"),
    "a worktree nobody looked at": (another, "watch.seen", "warning"),
    # Consolidations do not happen: the threshold, the number of changes, the interval.
    "no threshold": (threshold, "consolidation.threshold", "warning"),
    "enough changes and nobody watches": (pending, "consolidation.due", "warning"),
    # Errors in consolidations: the rights of the document, and the log.
    "the document can't be written": (unwritable, "report.writable", "problem"),
    "a report waits": (unplaced, "report.unplaced", "problem"),
    "no such worktree": (homeless, "report.worktree", "problem"),
    # What raccord finds out besides.
    "a wrong configuration": (wrong, "config", "problem"),
    "a token that others can read": (open_token, "service.token", "problem"),
    "a damaged database": (damaged, "state.database", "problem"),
    "no database": (no_database, "state.database", "problem"),
    "a newer database": (newer, "state.database", "warning"),
    "a run that was killed": (dead_lock, "state.locks", "warning"),
    "git was killed": (index_lock, "git.lock", "problem"),
    "a worktree is gone": (gone, "worktree.missing", "warning"),
    "the clock went back": (future, "clock.jumped", "warning"),
    "a channel is not told": (undelivered, "channel.waiting", "warning"),
    "the hub is away": (apart, "hub.connection", "warning"),
    "the disk is full": (full, "disk.space", "problem"),
}


def test_where_all_is_well_it_says_so(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    report = doctor(repo)
    ill = [one for one in report.findings if one.state != "ok" and one.name != "service.port"]
    assert ill == [] and report.problems == 0
    assert main(["-C", str(repo.path), "doctor"]) == 0
    assert "0 problems" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_has_its_finding_and_nothing_is_changed(
    repo: Repo, trouble: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, name, expected = TROUBLES[trouble]
    make(repo, monkeypatch)
    before = {path: path.lstat() for path in repo.path.parent.rglob("*")}
    code = main(["-C", str(repo.path), "doctor", "--json"])
    said = json.loads(capsys.readouterr().out)
    one = next(one for one in said["findings"] if one["name"] == name)
    assert one["state"] == expected and one["what"], said
    assert one["next"] or name == "config"
    assert code == (1 if said["problems"] else 0)
    after = {path: path.lstat() for path in repo.path.parent.rglob("*")}
    ours = [path for path in after if path.name.startswith("state.db-")]  # SQLite's own, for readers
    assert {
        path: seen.st_mtime_ns for path, seen in before.items() if path not in ours and path.is_file()
    } == {path: seen.st_mtime_ns for path, seen in after.items() if path not in ours and path.is_file()}


def test_in_french(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    config(repo, f'language = "fr"\n{CONFIGURATION}worktree = "nowhere"\n')
    assert main(["-C", str(repo.path), "doctor"]) == 1
    assert "aucun arbre de travail nowhere" in capsys.readouterr().out


def test_a_server_that_runs_and_a_port_that_is_taken(tmp_path: Path, repo: Repo) -> None:
    with site(tmp_path / "site") as running:
        (one,) = service(running.server.state)
        assert one.state == "ok" and one.what.data["url"] == running.server.url
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert [one.state for one in service(state(repo), taken.getsockname()[1])] == ["ok", "warning"]


def test_outside_a_repository_it_still_answers(tmp_path: Path) -> None:
    (one,) = Workspace.doctor(tmp_path).findings
    assert (one.name, one.state) == ("repository", "problem") and one.next


def test_a_lost_database_is_not_made_anew(repo: Repo) -> None:
    for path in state(repo).glob("state.db*"):
        path.unlink()
    doctor(repo)
    assert not (state(repo) / "state.db").exists()


def test_environments_are_asked_only_online(repo: Repo) -> None:
    config(repo, f'{CONFIGURATION}[environments.prod]\ndatabase = "postgresql://nobody@127.0.0.1:1/x"\n')
    assert not any(one.name.startswith("env.") for one in doctor(repo).findings)
    assert found(repo, "env.database", online=True).state == "problem"


@pytest.fixture
def team(tmp_path: Path) -> Team:
    """A database that has four revisions in a row which no worktree has any more."""
    made = Team.make(tmp_path, {"alembic": f"sqlite:///{tmp_path}/app.db"})
    other = made.tree("gone")
    ids = [made.add(other, f"change {number}") for number in range(4)]
    made.main.git("worktree", "remove", "--force", str(other.path))
    made.main.git("branch", "-q", "-D", "gone")
    assert made.heads() == {ids[-1]}
    return made


def test_migrations_that_nobody_has_and_a_chain_of_them(team: Team) -> None:
    one = found(team.main, "migration.missing")
    assert one.state == "problem" and "raccord migrations heal" in one.next
    assert one.why and next(iter(team.heads())) in one.what


def test_migrations_that_are_not_put_back_unasked(team: Team) -> None:
    path = team.main.path / "raccord.toml"
    path.write_text(path.read_text() + 'in_sync = "off"\n')
    assert found(team.main, "migration.sync").state == "warning"


def test_a_worktree_that_this_user_may_not_enter(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    another(repo, monkeypatch)
    real, other = os.access, repo.path.parent / "other"
    if os.getuid():
        other.chmod(0)
    else:  # to whom nothing is forbidden
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != other and real(path, mode))
    try:
        assert found(repo, "worktree.access").state == "problem"
    finally:
        other.chmod(0o755)
    shutil.rmtree(other)
    assert not any(one.name == "worktree.access" for one in doctor(repo).findings)


def test_a_bare_repository_without_worktrees_is_told_to_add_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare.git")], check=True)
    with Workspace.open(tmp_path / "bare.git") as workspace:
        assert workspace.coordination.consolidate().consolidation is None  # makes raccord's state
    report = Workspace.doctor(tmp_path / "bare.git")
    (found,) = [one for one in report.findings if one.name == "report.worktree"]
    assert (found.what, found.next) == (
        "no worktree is there to take the reports",
        "git worktree add PATH BRANCH",
    )
