"""`snapshot`, `restore`, `gc`, `eject`, `init`, a lost database: nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raccord.errors import CannotRun, UsageError
from raccord.model.event import Event
from raccord.model.options import SyncOptions
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.gitkit import Repo, git
from tests.verbs.flock import Flock, contents, names


@pytest.fixture
def flock(tmp_path: Path) -> Flock:
    return Flock.make(tmp_path)


def mess(tree: Repo) -> tuple[dict[str, tuple[int, bytes]], str, str]:
    """Puts a bit of everything into a worktree; returns what it then holds."""
    tree.write("app.py", "staged\n")
    tree.git("add", "app.py")
    tree.write("app.py", "staged, then edited\n")
    tree.write("lib.py", None)
    tree.write("new.txt", "untracked\n")
    tree.write("secret.txt", "kept private\n").chmod(0o600)
    os.symlink("new.txt", tree.path / "link")
    return state(tree)


def state(tree: Repo) -> tuple[dict[str, tuple[int, bytes]], str, str]:
    return contents(tree.path), tree.git("status", "--porcelain=v2"), tree.git("diff", "--cached")


def test_a_snapshot_is_restored_exactly_and_the_restore_undone(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    kept = mess(tree)
    head = tree.oid()
    flock.at("a").snapshot(message="before lunch")
    assert state(tree) == kept, "taking it changes nothing"
    tree.git("reset", "-q", "--hard")
    tree.git("clean", "-q", "-fd")
    tree.commit({"b.py": "b\n"}, "later")
    tree.write("later.txt", "later\n")
    later = state(tree), tree.oid()
    report = flock.at("a").restore()
    assert isinstance(report, RunReport) and report.state == "done", report
    assert state(tree) == kept and tree.oid() == head
    undone = flock.at("a").undo(report.id)
    assert isinstance(undone, RunReport) and undone.state == "done", undone
    assert (state(tree), tree.oid()) == later


def test_a_dry_run_of_restore_changes_nothing(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.at("a").snapshot()
    mess(tree)
    before, refs = state(tree), tree.git("for-each-ref")
    flock.at("a").restore(dry_run=True)
    assert state(tree) == before and tree.git("for-each-ref") == refs


def test_ignored_files_are_in_it_when_asked(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    tree.write(".env", "SECRET=1\n")
    flock.at("a").snapshot(ignored=True)
    tree.write(".env", "SECRET=2\n")
    tree.write("more.log", "log\n")
    assert flock.at("a").restore().state == "done"  # type: ignore[union-attr]
    assert (tree.path / ".env").read_text() == "SECRET=1\n"


def test_all_worktrees_are_kept_and_a_missing_one_blocks_none(flock: Flock) -> None:
    for name in ("a", "b", "gone"):
        flock.tree(name, {f"{name}.py": "x\n"})
    flock.trees["gone"].path.rename(flock.trees["gone"].path.with_suffix(".away"))
    report = flock.at().snapshot(all=True)
    assert isinstance(report, RunReport) and report.state == "partial"
    assert {Path(one.worktree).name for one in flock.at().snapshots()} == {"clone", "a", "b"}


def test_a_snapshot_that_is_not_there(flock: Flock) -> None:
    with pytest.raises(UsageError, match="no snapshot"):
        flock.at().restore("nothing")
    with pytest.raises(UsageError, match="no snapshot of this worktree"):
        flock.at().restore()


def test_eject_leaves_no_trace(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    flock.sync()
    flock.at("a").snapshot()
    promised = flock.at().eject(dry_run=True)
    assert tree.git("for-each-ref", "refs/raccord") != ""
    done = flock.at().eject()
    assert done.removed == promised.removed
    assert tree.git("for-each-ref", "refs/raccord") == ""
    common = flock.main.path / ".git"
    assert not list(common.rglob("*raccord*"))
    flock.in_step("a")


def test_eject_refuses_while_a_run_waits(flock: Flock) -> None:
    flock.tree("clash", {"app.py": "mine\n"})
    flock.advance({"app.py": "theirs\n"})
    flock.sync("clash", resolve_by_hand=True)
    with pytest.raises(CannotRun, match="not finished"):
        flock.at().eject()
    flock.at("clash").abort()
    flock.at().eject()


def test_gc_keeps_the_young_and_drops_the_old(flock: Flock) -> None:
    flock.main.write("raccord.toml", "[snapshots]\nkeep_days = 0\nkeep_last = 1\n")
    for _ in range(3):
        flock.at().snapshot()
    newest = flock.at().snapshots()[0].id
    promised = flock.at().gc(dry_run=True)
    assert len(flock.at().snapshots()) == 3
    done = flock.at().gc()
    assert done.removed == promised.removed
    assert [one.id for one in flock.at().snapshots()] == [newest]
    flock.main.write("raccord.toml", "[snapshots]\nkeep_days = 1\nkeep_last = 0\n")
    assert flock.at().gc().removed == ()


def test_undo_works_after_the_database_was_lost(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    before = tree.oid(), contents(tree.path)
    flock.sync("a")
    for path in (flock.main.path / ".git" / "raccord").glob("state.db*"):
        path.unlink()
    report = flock.at("a").undo()
    assert isinstance(report, RunReport) and report.state == "done"
    assert (tree.oid(), contents(tree.path)) == before and flock.on_remote("a") == before[0]


def test_undo_works_after_git_pruned_everything(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    before = tree.oid(), contents(tree.path)
    flock.sync("a")
    tree.git("reflog", "expire", "--expire=now", "--all")
    tree.git("gc", "-q", "--prune=now")
    assert flock.at("a").undo().state == "done"  # type: ignore[union-attr]
    assert (tree.oid(), contents(tree.path)) == before


def test_log_and_show_tell_what_was_done(flock: Flock) -> None:
    assert flock.at().log() == ()
    with pytest.raises(UsageError):
        flock.at().show("x")
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    run = flock.sync("a")
    flock.at().undo()
    newest, first = flock.at().log()
    assert (newest.verb, newest.undo_of) == ("undo", run.id) and first.undone_by == newest.id
    shown = flock.at().show(run.id[-6:])
    assert shown.id == run.id and [step.state for lane in shown.lanes for step in lane.steps] == [
        "done",
        "done",
    ]
    assert flock.at().show(run.id).waivers[0].reason == "a test"


def test_undo_takes_the_newest_run_that_is_not_taken_back(flock: Flock) -> None:
    with pytest.raises(UsageError, match="no run to take back"):
        flock.at().undo()
    tree = flock.tree("a", {"a.py": "a\n"})
    first = tree.oid()
    flock.advance({"lib.py": "1\n"})
    flock.sync("a")
    second = tree.oid()
    flock.advance({"lib.py": "2\n"})
    flock.sync("a")
    flock.at().undo()
    assert tree.oid() == second
    flock.at().undo()
    assert tree.oid() == first == flock.on_remote("a")


def test_skip_leaves_one_lane_out_and_the_run_goes_on(flock: Flock) -> None:
    for name in ("one", "two"):
        flock.tree(name, {"app.py": f"{name}\n"})
    flock.advance({"app.py": "theirs\n"})
    report = flock.sync(resolve_by_hand=True)
    assert report.state == "stopped"
    assert flock.at().skip("one").state == "stopped"
    two = flock.trees["two"]
    two.write("app.py", "both\n")
    two.git("add", "app.py")
    done = flock.at().continue_()
    assert {Path(lane.key).name: lane.state for lane in done.lanes} == {
        "clone": "done",
        "one": "skipped",
        "two": "done",
    }
    assert flock.trees["one"].git("status", "--porcelain") == ""
    flock.in_step("two")


def test_a_stopped_run_marks_its_worktree_only(flock: Flock) -> None:
    flock.tree("clash", {"app.py": "mine\n"})
    flock.tree("fine", {"f.py": "f\n"})
    flock.advance({"app.py": "theirs\n"})
    stopped = flock.sync("clash", resolve_by_hand=True)
    report = flock.sync()
    finding = flock.lane(report, "clash").finding
    assert finding is not None and flock.lane(report, "fine").state == "done"
    status = flock.at().status()
    assert [run.id for run in status.stopped] == [stopped.id]
    assert stopped.id in status.next_command


def test_init_writes_what_it_finds_and_nothing_else(flock: Flock) -> None:
    (flock.main.path / "raccord.toml").unlink()
    flock.main.write("Makefile", "test:\n\ttrue\n")
    before = contents(flock.main.path)
    text = flock.at().init()
    assert contents(flock.main.path) == before
    flock.at().init(write=True)
    after = contents(flock.main.path)
    assert after.pop("raccord.toml")[1].decode() == text and after == before
    assert '["make", "test"]' in text and 'base = "main"' in text
    assert flock.at().status().worktrees
    with pytest.raises(UsageError, match="already"):
        flock.at().init(write=True)


def test_status_says_what_is_unknown_instead_of_clean(flock: Flock) -> None:
    tree = flock.tree("broken", {"b.py": "b\n"})
    index = Path(tree.git("rev-parse", "--absolute-git-dir")) / "index"
    index.write_bytes(b"DIRC no index")
    report = next(one for one in flock.at().status().worktrees if one.name == "broken")
    assert report.staged is None and report.clean is None and report.note
    held = flock.sync()
    finding = flock.lane(held, "broken").finding
    assert finding is not None and finding.status == "unknown"


def test_looking_writes_nothing(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    before = contents(flock.main.path / ".git"), flock.main.git("for-each-ref")
    flock.at().status()
    flock.at().log()
    flock.at().snapshots()
    assert (contents(flock.main.path / ".git"), flock.main.git("for-each-ref")) == before


def test_a_push_that_lost_its_connection_is_settled_with_the_remote(flock: Flock, tmp_path: Path) -> None:
    """The remote took the push and the answer was lost: asked again, it says so."""
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    shim = tmp_path / "shim"
    cut = 'sh -c "$*" | dd bs=1 count=600 2>/dev/null; exit 1'
    shim.write_text(f'#!/bin/sh\nshift\ncase "$*" in *receive-pack*) {cut};; esac\nexec sh -c "$*"\n')
    shim.chmod(0o755)
    flock.main.git("config", "core.sshCommand", str(shim))
    flock.main.git("config", "ssh.variant", "simple")
    flock.main.git("remote", "set-url", "origin", f"ssh://localhost{flock.remote.path}")
    old = flock.on_remote("a")
    report = flock.sync("a")
    landed = flock.on_remote("a") != old
    assert flock.lane(report, "a").state == ("done" if landed else "held"), report
    assert flock.on_remote("a") == (tree.oid() if landed else old)


def test_a_fetch_that_somebody_just_made_is_reused(tmp_path: Path) -> None:
    flock = Flock.make(tmp_path)
    flock.main.git("rm", "-q", "raccord.toml")
    flock.main.commit({}, "defaults")
    flock.main.git("push", "-q", "origin", "main")
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.sync("a")
    flock.advance({"lib.py": "new\n"})
    before = tree.oid()
    assert flock.sync("a").state == "nothing" and tree.oid() == before


def test_the_library_is_what_the_command_line_uses(flock: Flock) -> None:
    import raccord

    workspace = raccord.Workspace.open(flock.main.path)
    assert isinstance(workspace, Workspace)
    events: list[Event] = []
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    listening = Workspace.open(flock.trees["a"].path, listen=events.append)
    listening.sync(SyncOptions(skip_tests=True, reason="a test"))
    assert events[0].what == "started" and events[-1].what == "ended"
    assert git(flock.main.path, "status", "--porcelain") == ""


@pytest.mark.parametrize("lost", [False, True])
def test_a_ref_that_is_no_run_is_named_and_stops_nobody(flock: Flock, lost: bool) -> None:
    """Where the database is made anew from the refs."""
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    ref = "refs/raccord/runs/garbage"
    flock.main.git("update-ref", ref, "HEAD")
    if lost:
        (flock.main.path / ".git" / ref).write_text("1" * 40 + "\n")
    if not lost:  # git itself fetches nothing beside a lost object, and says which ref it is
        assert names(flock.sync())["a"] == "done"
    status = flock.at().status()
    (note,) = [note for note in status.notes if note.name == "run.none"]
    assert (note.message, note.hint) == (f"{ref} holds no run", f"git update-ref -d {ref}")
    assert flock.at().show("garbage").state == "failed" and not status.stopped
    assert lost or flock.undo().state == "done"
    flock.main.git("update-ref", "-d", ref)
    assert not flock.at().status().notes
