"""`sync` on real repositories: what moves, what is held back, what is pushed, and that undo takes it back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.errors import CannotRun, NoCommits, UsageError
from raccord.model.options import SyncOptions
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.gitkit import Repo, git
from tests.verbs.flock import Flock, contents, names


@pytest.fixture
def flock(tmp_path: Path) -> Flock:
    return Flock.make(tmp_path)


def test_every_worktree_stands_on_the_new_base_and_is_pushed(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.tree("b", {"b.py": "b\n"})
    flock.advance({"lib.py": "new\n"})
    report = flock.sync()
    assert report.state == "done"
    for name in ("a", "b"):
        flock.in_step(name)
    assert flock.main.oid() == flock.on_remote("main")
    assert (flock.trees["a"].path / "lib.py").read_text() == "new\n"


def test_a_dry_run_changes_nothing_a_person_sees_and_shows_the_plan_that_then_runs(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    before = flock.main.git("for-each-ref", "refs/heads"), contents(flock.trees["a"].path)
    plan = flock.planned()
    assert before == (flock.main.git("for-each-ref", "refs/heads"), contents(flock.trees["a"].path))
    assert flock.main.git("for-each-ref", "refs/raccord") == ""
    report = flock.sync()
    planned = [step.title for step in plan.steps()]
    assert planned == [
        step.title for lane in report.lanes for step in lane.steps if "push" not in step.title
    ] + [step.title for lane in report.lanes for step in lane.steps if "push" in step.title]


def test_in_step_already_there_is_nothing_to_do(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    flock.sync()
    again = flock.sync()
    assert again.state == "nothing" and again.id == ""


def test_undo_takes_back_files_branches_and_pushes(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.tree("fresh", {"f.py": "f\n"}, push=False)
    flock.advance({"lib.py": "new\n"})
    tree.write(".env", "SECRET=1\n")
    old = {name: (repo.oid(), contents(repo.path)) for name, repo in flock.trees.items()}
    main = flock.main.oid()
    flock.sync()
    assert flock.on_remote("fresh")
    report = flock.undo()
    assert report.state == "done", report
    assert {name: (repo.oid(), contents(repo.path)) for name, repo in flock.trees.items()} == old
    assert flock.on_remote("a") == old["a"][0] and flock.on_remote("fresh") == ""
    assert flock.main.oid() == main
    assert tree.git("status", "--porcelain") == ""


def test_undo_is_refused_where_somebody_committed_since_and_only_there(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.tree("b", {"b.py": "b\n"})
    flock.advance({"lib.py": "new\n"})
    old = flock.trees["b"].oid()
    flock.sync()
    mine = flock.trees["a"].commit({"more.py": "more\n"})
    report = flock.undo()
    assert report.state == "partial"
    assert flock.trees["a"].oid() == mine and flock.trees["b"].oid() == old


def test_a_conflict_is_named_held_back_alone_and_moves_nothing(flock: Flock) -> None:
    flock.tree("clash", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.tree("fine", {"f.py": "f\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    before = flock.trees["clash"].oid(), contents(flock.trees["clash"].path)
    report = flock.sync()
    assert report.state == "partial" and names(report) == {"clone": "done", "clash": "held", "fine": "done"}
    finding = flock.lane(report, "clash").finding
    assert finding is not None and finding.data["paths"] == ["app.py"] and "--resolve-by-hand" in finding.hint
    assert (flock.trees["clash"].oid(), contents(flock.trees["clash"].path)) == before
    flock.in_step("fine")


def test_a_conflict_by_hand_is_left_open_continued_and_pushed(flock: Flock) -> None:
    tree = flock.tree("clash", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    report = flock.sync("clash", resolve_by_hand=True)
    assert report.state == "stopped"
    assert tree.git("status", "--porcelain") == "UU app.py"
    stopped = flock.at("clash").continue_()
    assert stopped.state == "stopped", "nothing was resolved yet"
    tree.write("app.py", "both\ntwo\nthree\nfour\nfive\n")
    tree.git("add", "app.py")
    done = flock.at("clash").continue_()
    assert done.state == "done", done
    flock.in_step("clash")
    assert (tree.path / "app.py").read_text().startswith("both")


def test_a_conflict_by_hand_can_be_aborted(flock: Flock) -> None:
    tree = flock.tree("clash", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    before = tree.oid(), contents(tree.path), flock.on_remote("clash")
    flock.sync("clash", resolve_by_hand=True)
    report = flock.at("clash").abort()
    assert report.state == "aborted"
    assert (tree.oid(), contents(tree.path), flock.on_remote("clash")) == before
    assert tree.git("status", "--porcelain") == "" and tree.git("symbolic-ref", "HEAD") == "refs/heads/clash"


def test_a_dirty_worktree_is_held_back_and_every_byte_stays(flock: Flock) -> None:
    tree = flock.tree("dirty", {"d.py": "d\n"})
    flock.advance({"lib.py": "new\n"})
    tree.write("d.py", "edited\n")
    tree.write("new.txt", "untracked\n")
    before = tree.oid(), contents(tree.path)
    report = flock.sync()
    assert flock.lane(report, "dirty").state == "held"
    assert (tree.oid(), contents(tree.path)) == before


def test_with_a_reason_edits_that_do_not_overlap_stay_as_they_were(flock: Flock) -> None:
    tree = flock.tree("dirty", {"d.py": "d\n", "e.py": "e\n"})
    flock.advance({"lib.py": "new\n"})
    tree.write("d.py", "staged\n")
    tree.git("add", "d.py")
    tree.write("d.py", "staged and edited\n")
    tree.write("e.py", "unstaged\n")
    tree.write("new.txt", "untracked\n")
    status = tree.git("status", "--porcelain")
    staged = tree.git("diff", "--cached")
    report = flock.sync("dirty", allow_dirty=True)
    assert report.state == "done", report
    assert tree.git("status", "--porcelain") == status and tree.git("diff", "--cached") == staged
    assert (tree.path / "lib.py").read_text() == "new\n" and (
        tree.path / "d.py"
    ).read_text() == "staged and edited\n"
    assert flock.main.git("stash", "list") == ""
    assert report.waivers and {waiver.reason for waiver in report.waivers} == {"a test"}


@pytest.mark.parametrize("staged", [True, False])
def test_with_a_reason_an_edit_that_overlaps_is_held_back(flock: Flock, staged: bool) -> None:
    tree = flock.tree("dirty", {"d.py": "d\n"})
    flock.advance({"lib.py": "new\n"})
    tree.write("lib.py", "mine\n")
    if staged:
        tree.git("add", "lib.py")
    before = tree.oid(), contents(tree.path)
    report = flock.sync("dirty", allow_dirty=True)
    assert flock.lane(report, "dirty").state == "held"
    assert (tree.oid(), contents(tree.path)) == before


def test_an_ignored_file_in_the_way_is_never_overwritten(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    tree.write(".env", "SECRET=1\n")
    flock.advance({".env": "from upstream\n"})
    report = flock.sync()
    assert flock.lane(report, "a").state == "held"
    finding = flock.lane(report, "a").finding
    assert finding is not None and ".env" in finding.message
    assert (tree.path / ".env").read_text() == "SECRET=1\n"
    assert flock.planned("a").stages[0].lanes[0].held is not None


def test_what_others_pushed_to_the_branch_is_taken_in_never_pushed_over(flock: Flock) -> None:
    tree = flock.tree("shared", {"s.py": "s\n"})
    flock.other.git("fetch", "-q")
    flock.other.git("checkout", "-q", "shared")
    theirs = flock.other.commit({"cloud.py": "cloud\n"}, "from elsewhere")
    flock.other.git("push", "-q", "origin", "shared")
    flock.other.git("checkout", "-q", "main")
    tree.commit({"local.py": "local\n"}, "mine")
    flock.advance({"lib.py": "new\n"})
    report = flock.sync("shared")
    assert report.state == "done", report
    flock.in_step("shared")
    assert {"s.py", "cloud.py", "local.py"} <= set(contents(tree.path))
    subjects = tree.git("log", "--format=%s", "origin/main..").splitlines()
    assert sorted(subjects) == ["from elsewhere", "mine", "shared: work"] and theirs


def test_a_branch_that_is_only_behind_its_remote_branch_follows_it(flock: Flock) -> None:
    tree = flock.tree("shared", {"s.py": "s\n"})
    flock.other.git("fetch", "-q")
    flock.other.git("checkout", "-q", "shared")
    theirs = flock.other.commit({"cloud.py": "cloud\n"}, "from elsewhere")
    flock.other.git("push", "-q", "origin", "shared")
    flock.sync("shared")
    assert tree.oid() == theirs


def test_a_branch_rewritten_by_hand_is_pushed_with_a_lease(flock: Flock) -> None:
    tree = flock.tree("amended", {"x.py": "x\n"})
    tree.git("commit", "-q", "--amend", "-m", "better words")
    flock.sync("amended")
    flock.in_step("amended")
    assert flock.remote.git("log", "-1", "--format=%s", "amended") == "better words"


def test_a_protected_branch_is_never_rewritten(flock: Flock) -> None:
    tree = flock.tree("develop", {"x.py": "x\n"})
    published = tree.oid()
    flock.advance({"lib.py": "new\n"})
    flock.sync()
    assert tree.oid() == published == flock.on_remote("develop")
    tree.git("commit", "-q", "--amend", "-m", "rewritten")
    report = flock.sync("develop")
    assert flock.on_remote("develop") == published
    assert flock.lane(report, "develop").state in ("held", "done")


def test_commits_on_the_base_itself_are_replayed_and_pushed_without_force(flock: Flock) -> None:
    flock.main.commit({"m.py": "m\n"}, "on main")
    flock.advance({"lib.py": "new\n"})
    report = flock.sync()
    assert report.state == "done", report
    assert flock.main.oid() == flock.on_remote("main")
    assert flock.main.git("log", "--format=%s", "-2").splitlines() == ["on main", "base moves"]


def test_a_stale_lease_holds_back_one_branch_and_the_others_land(flock: Flock) -> None:
    flock.tree("a", {"a.py": "a\n"})
    flock.tree("b", {"b.py": "b\n"})
    flock.advance({"lib.py": "new\n"})
    hook = flock.main.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    # Somebody pushes to "a" at the very moment between our fetch and our push.
    moved = flock.other.path
    hook.write_text(
        f"#!/bin/sh\ncd {moved} && unset GIT_DIR && git fetch -q && git checkout -q -B a origin/a &&"
        " echo x > race && git add race && git commit -q -m race && git push -q origin a\n"
    )
    hook.chmod(0o755)
    report = flock.sync()
    assert names(report)["a"] == "held" and names(report)["b"] == "done", report
    assert flock.remote.git("log", "-1", "--format=%s", "a") == "race"
    assert flock.on_remote("b") == flock.trees["b"].oid()


def test_stacked_branches_follow_each_other(flock: Flock) -> None:
    low = flock.tree("low", {"low.py": "1\n"})
    high = flock.tree("high", {"high.py": "1\n"}, start="low")
    top = flock.tree("top", {"top.py": "1\n"}, start="high")
    flock.advance({"lib.py": "new\n"})
    report = flock.sync()
    assert report.state == "done", report
    assert high.oid("HEAD~1") == low.oid() and top.oid("HEAD~1") == high.oid()
    for name in ("low", "high", "top"):
        flock.in_step(name)
    low.commit({"low2.py": "2\n"}, "low again")
    report = flock.sync()
    assert high.oid("HEAD~1") == low.oid(), report


def test_a_stack_is_held_back_above_the_branch_that_is(flock: Flock) -> None:
    low = flock.tree("low", {"low.py": "1\n"})
    high = flock.tree("high", {"high.py": "1\n"}, start="low")
    before = low.oid(), high.oid()
    flock.advance({"low.py": "clash\n"})
    report = flock.sync()
    assert names(report)["low"] == "held" and names(report)["high"] == "held"
    assert (low.oid(), high.oid()) == before


def test_a_branch_rewritten_below_its_stack_is_still_found(flock: Flock) -> None:
    low = flock.tree("low", {"low.py": "1\n"})
    high = flock.tree("high", {"high.py": "1\n"}, start="low")
    low.write("low.py", "2\n")
    low.git("commit", "-q", "--amend", "-a", "-m", "low amended")
    report = flock.sync()
    assert report.state == "done", report
    assert high.oid("HEAD~1") == low.oid()
    assert (high.path / "low.py").read_text() == "2\n"


@pytest.mark.parametrize("how", ["merge", "squash", "cherry-pick"])
def test_a_branch_that_is_merged_is_said_to_be_and_left_alone(flock: Flock, how: str) -> None:
    tree = flock.tree("done", {"d1.py": "1\n"})
    tree.commit({"app.py": "one\ntwo\nthree\nfour\nmine\n"}, "second")
    tree.git("push", "-q", "origin", "done")
    other = flock.other
    other.git("fetch", "-q")
    if how == "merge":
        other.git("merge", "-q", "--no-ff", "-m", "merge done", "origin/done")
    elif how == "squash":
        other.git("merge", "-q", "--squash", "origin/done")
        other.git("commit", "-q", "-m", "done (squashed)")
    else:
        other.git("cherry-pick", "origin/done~1", "origin/done")
    other.git("push", "-q", "origin", "main")
    flock.advance({"app.py": "one\ntwo\nthree\nfour\nlater\n"})
    before = tree.oid()
    report = flock.sync()
    lane = flock.lane(report, "done")
    assert lane.state == "nothing" and tree.oid() == before == flock.on_remote("done")
    assert any("merged" in note.message and "worktree remove" in note.hint for note in lane.notes), lane


def test_a_branch_with_a_resolution_in_a_merge_keeps_it(flock: Flock) -> None:
    tree = flock.tree("merged", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    tree.git("fetch", "-q")
    tree.git("merge", "-q", "origin/main", check=False)
    tree.write("app.py", "resolved\ntwo\nthree\nfour\nfive\n")
    tree.git("commit", "-q", "-a", "-m", "merge main")
    flock.advance({"lib.py": "new\n"})
    report = flock.sync("merged")
    assert report.state == "done", report
    assert (tree.path / "app.py").read_text().startswith("resolved")
    assert (tree.path / "lib.py").read_text() == "new\n"
    flock.in_step("merged")


def test_a_remote_branch_that_was_deleted_is_not_made_again(flock: Flock) -> None:
    tree = flock.tree("gone", {"g.py": "g\n"})
    tree.git("branch", "-q", "--set-upstream-to=origin/gone")
    flock.remote.git("branch", "-D", "gone")
    flock.advance({"lib.py": "new\n"})
    report = flock.sync("gone")
    assert flock.on_remote("gone") == ""
    assert any("deleted" in note.message for note in flock.lane(report, "gone").notes)


def test_a_detached_worktree_and_one_in_a_rebase_are_left_alone(flock: Flock) -> None:
    loose = flock.tree("loose", {"l.py": "l\n"})
    loose.git("checkout", "-q", "--detach")
    busy = flock.tree("busy", {"app.py": "mine\ntwo\nthree\nfour\nfive\n"})
    flock.tree("fine", {"f.py": "f\n"})
    flock.advance({"app.py": "theirs\ntwo\nthree\nfour\nfive\n"})
    busy.git("fetch", "-q")
    busy.git("rebase", "origin/main", check=False)
    before = busy.git("status", "--porcelain"), contents(busy.path), loose.oid()
    report = flock.sync()
    assert names(report) == {"clone": "done", "loose": "nothing", "busy": "held", "fine": "done"}
    assert (busy.git("status", "--porcelain"), contents(busy.path), loose.oid()) == before
    finding = flock.lane(report, "busy").finding
    assert finding is not None and "rebase" in finding.message


def test_a_missing_and_a_locked_worktree_do_not_stop_the_others(flock: Flock) -> None:
    flock.tree("away", {"x.py": "x\n"})
    flock.tree("usb", {"y.py": "y\n"})
    flock.tree("here", {"z.py": "z\n"})
    flock.main.git("worktree", "lock", "--reason", "on a stick", flock.trees["usb"].path)
    flock.main.git("worktree", "lock", flock.trees["here"].path)
    for name in ("away", "usb"):
        flock.trees[name].path.rename(flock.trees[name].path.with_suffix(".moved"))
    flock.advance({"lib.py": "new\n"})
    report = flock.sync()
    assert names(report) == {"clone": "done", "away": "held", "usb": "held", "here": "done"}
    finding = flock.lane(report, "usb").finding
    assert finding is not None and "on a stick" in finding.message


def test_a_bare_main_with_linked_worktrees(tmp_path: Path) -> None:
    flock = Flock.make(tmp_path)
    git(tmp_path, "clone", "-q", "--bare", flock.remote.path, "hub.git")
    hub = Repo(tmp_path / "hub.git", flock.main.clock)
    hub.git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    hub.git("fetch", "-q")
    tree = hub.worktree("work", "work", "main")
    tree.commit({"w.py": "w\n"}, "work")
    flock.advance({"lib.py": "new\n"})
    report = Workspace.open(hub.path).sync(SyncOptions(all=True, skip_tests=True, reason="a test"))
    assert report.state == "done", report  # type: ignore[union-attr]
    assert tree.oid("HEAD~1") == flock.on_remote("main") and flock.on_remote("work") == tree.oid()
    with pytest.raises(CannotRun, match="bare"):
        Workspace.open(hub.path).sync(SyncOptions(skip_tests=True, reason="a test"))


def test_without_a_remote_branches_stand_on_the_local_base(tmp_path: Path) -> None:
    main = Repo.init(tmp_path / "repo")
    main.commit({"a": "1\n"})
    tree = main.worktree("work", "work")
    tree.commit({"b": "1\n"})
    main.commit({"c": "1\n"})
    report = Workspace.open(tree.path).sync(SyncOptions(all=True, skip_tests=True, reason="a test"))
    assert report.state == "done"  # type: ignore[union-attr]
    assert tree.oid("HEAD~1") == main.oid()


def test_offline_is_one_error_and_nothing_changes(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.remote.path.rename(flock.remote.path.with_suffix(".away"))
    before = flock.main.git("for-each-ref"), contents(tree.path)
    with pytest.raises(CannotRun) as caught:
        flock.sync()
    assert caught.value.hint
    assert (flock.main.git("for-each-ref"), contents(tree.path)) == before


@pytest.mark.long
def test_a_shallow_clone_is_synced_or_said_to_be_unknown(flock: Flock, tmp_path: Path) -> None:
    for number in range(4):
        flock.advance({f"n{number}": "n\n"})
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{flock.remote.path}", "shallow")
    clone = Repo(tmp_path / "shallow", flock.main.clock)
    tree = clone.worktree("sw", "sw", "origin/main")
    tree.commit({"s.py": "s\n"})
    flock.advance({"lib.py": "new\n"})
    report = Workspace.open(tree.path).sync(SyncOptions(skip_tests=True, reason="a test"))
    assert isinstance(report, RunReport) and report.state == "done", report
    assert tree.oid("HEAD~1") == flock.on_remote("main")


@pytest.mark.long
def test_a_submodule_stays_where_it_is(flock: Flock, tmp_path: Path) -> None:
    module = Repo.init(tmp_path / "module")
    first = module.commit({"m": "1\n"})
    second = module.commit({"m": "2\n"})
    flock.other.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", module.path, "sub")
    flock.other.git("-C", "sub", "checkout", "-q", first)
    flock.advance({}, "add a submodule")
    flock.other.git("commit", "-q", "--amend", "-a", "--no-edit")
    flock.other.git("push", "-q", "-f", "origin", "main")
    tree = flock.tree("a", {"a.py": "a\n"})
    assert flock.sync().state == "done"
    tree.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    flock.other.git("-C", "sub", "checkout", "-q", second)
    flock.other.git("add", "sub")
    flock.advance({}, "move the submodule")
    report = flock.sync("a")
    assert report.state == "done", report
    assert tree.git("rev-parse", "HEAD:sub") == second
    assert Repo(tree.path / "sub").oid() == first


def test_the_hooks_of_a_rebase_run_and_the_first_may_refuse(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    hooks = flock.main.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name, body in (
        ("pre-rebase", "exit ${REFUSE:-0}"),
        ("post-rewrite", 'cat > "$(git rev-parse --git-dir)/rewritten"'),
        ("pre-push", "true"),
        ("reference-transaction", "exit 1"),
    ):
        (hooks / name).write_text(f"#!/bin/sh\n{body}\n")
        (hooks / name).chmod(0o755)
    flock.advance({"lib.py": "new\n"})
    old = tree.oid()
    (hooks / "reference-transaction").unlink()
    assert flock.sync("a").state == "done"
    rewritten = Path(tree.git("rev-parse", "--absolute-git-dir")) / "rewritten"
    assert rewritten.read_text() == f"{old} {tree.oid()}\n"
    (hooks / "pre-rebase").write_text("#!/bin/sh\necho not today\nexit 1\n")
    flock.advance({"lib.py": "newer\n"})
    before = tree.oid()
    report = flock.sync("a")
    finding = flock.lane(report, "a").finding
    assert tree.oid() == before and finding is not None and "not today" in finding.message


def test_names_of_any_bytes_travel(flock: Flock) -> None:
    odd = {b"caf\xe9.txt": "latin\n", "new\nline": "n\n", "-dash": "d\n", 'quo"te': "q\n", "tab\there": "t\n"}
    tree = flock.tree("odd", odd)
    flock.advance({b"base-\xff\xfe": "b\n", "other\nline": "o\n"})
    report = flock.sync("odd")
    assert report.state == "done", report
    flock.in_step("odd")
    assert len(contents(tree.path)) == len(odd) + 7


@pytest.mark.parametrize("option", ["skip_tests", "no_push", "allow_dirty"])
def test_a_skipped_guard_needs_a_reason(flock: Flock, option: str) -> None:
    with pytest.raises(UsageError, match="say why"):
        flock.at().sync(replace(SyncOptions(reason="  "), **{option: True}))  # type: ignore[arg-type]


def test_an_unknown_base_names_what_is_near(flock: Flock) -> None:
    with pytest.raises(UsageError, match="did you mean main"):
        flock.sync(base="mian")


def test_another_base_replays_on_it(flock: Flock) -> None:
    flock.other.git("checkout", "-q", "-b", "next")
    flock.other.commit({"next.py": "n\n"})
    flock.other.git("push", "-q", "origin", "next")
    tree = flock.tree("a", {"a.py": "a\n"})
    assert flock.sync("a", base="next").state == "done"
    assert tree.oid("HEAD~1") == flock.on_remote("next")


def test_a_repository_without_commits(tmp_path: Path) -> None:
    repo = Repo.init(tmp_path / "empty")
    with pytest.raises(NoCommits):
        Workspace.open(repo.path).sync(SyncOptions())
    assert Workspace.open(repo.path).status().worktrees[0].head == ""


def test_no_push_leaves_the_remote_alone(flock: Flock) -> None:
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.advance({"lib.py": "new\n"})
    published = tree.oid()
    assert flock.sync("a", no_push=True).state == "done"
    assert tree.oid("HEAD~1") == flock.on_remote("main") and flock.on_remote("a") == published
    assert flock.sync("a").state == "done"
    flock.in_step("a")


def test_a_filter_of_the_repository_is_applied_and_an_undo_at_once_is_not_refused(flock: Flock) -> None:
    for repo in (flock.other, flock.main):
        repo.git("config", "filter.up.clean", "tr A-Z a-z")
        repo.git("config", "filter.up.smudge", "tr a-z A-Z")
    flock.advance({".gitattributes": "*.up filter=up\n", "word.up": "one\n"})
    tree = flock.tree("a", {"a.py": "a\n"})
    assert flock.sync("a").state == "done"
    flock.advance({"word.up": "two\n"})
    before = contents(tree.path)
    assert (tree.path / "word.up").read_text() == "ONE\n"
    assert flock.sync("a").state == "done"
    assert (tree.path / "word.up").read_text() == "TWO\n" and tree.git("status", "--porcelain") == ""
    assert flock.undo().state == "done"
    assert contents(tree.path) == before and tree.git("status", "--porcelain") == ""


@pytest.mark.long
def test_a_pipe_that_git_would_wait_for_holds_back_its_worktree_alone(tmp_path):
    flock = Flock.make(tmp_path)
    for name in "ab":
        flock.tree(name, {f"{name}.py": "x\n"})
    flock.advance({"lib.py": "new\n"})
    pipe = flock.trees["a"].path / ".gitattributes"
    os.mkfifo(pipe)
    report = flock.sync()
    assert names(report) == {"clone": "done", "a": "held", "b": "done"}, report
    finding = flock.lane(report, "a").finding
    assert finding is not None and finding.name == "worktree.unread"
    assert "a pipe or device" in finding.message and finding.hint == f"rm {pipe}"
    row = next(tree for tree in flock.at().status().worktrees if tree.name == "a")
    assert row.clean is None and "a pipe or device" in row.note
    pipe.unlink()
    assert names(flock.sync())["a"] == "done"


def reusing(tmp_path: Path) -> Flock:
    """A workspace whose fetches are good for an hour, with a worktree that was synced."""
    flock = Flock.make(tmp_path)
    flock.tree("a", {"a.py": "a\n"})
    flock.advance({"raccord.toml": "[sync]\nfetch_reuse_seconds = 3600\n"})
    assert names(flock.sync())["a"] == "done"
    flock.advance({"lib.py": "new\n"})
    flock.at("a").status()
    flock.main.git("fetch", "-q")
    assert names(flock.sync())["a"] == "done"
    return flock


def test_a_stale_lease_makes_the_next_sync_fetch_again(tmp_path):
    flock = reusing(tmp_path)
    flock.other.git("fetch", "-q")
    flock.other.git("switch", "-q", "a")
    flock.other.commit({"theirs.py": "t\n"}, "theirs")
    flock.other.git("push", "-q", "origin", "a")
    flock.trees["a"].commit({"mine.py": "m\n"}, "mine")
    finding = flock.lane(flock.sync(), "a").finding
    assert finding is not None and (finding.name, finding.hint) == ("push.stale", "raccord sync")
    assert names(flock.sync())["a"] == "done"
    assert flock.trees["a"].git("ls-files", "theirs.py", "mine.py").split() == ["mine.py", "theirs.py"]
    flock.in_step("a")


@pytest.mark.parametrize("moved", [False, True])
def test_what_others_pushed_to_a_branch_is_taken_in_wherever_the_base_is(tmp_path, moved):
    flock = Flock.make(tmp_path)
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.other.git("fetch", "-q")
    flock.other.git("switch", "-q", "a")
    flock.other.commit({"theirs.py": "t\n"}, "theirs")
    flock.other.git("push", "-q", "origin", "a")
    tree.commit({"mine.py": "m\n"}, "mine")
    if moved:
        flock.other.git("switch", "-q", "main")
        flock.advance({"lib.py": "new\n"})
    assert names(flock.sync())["a"] == "done"
    assert tree.git("log", "--format=%s", "origin/main..").split("\n") == ["mine", "theirs", "a: work"]
    flock.in_step("a")


def test_merges_on_a_branch_that_others_pushed_to_wait_for_a_person(tmp_path):
    flock = Flock.make(tmp_path)
    tree = flock.tree("a", {"a.py": "a\n"})
    flock.other.git("fetch", "-q")
    flock.other.git("switch", "-q", "a")
    theirs = flock.other.commit({"theirs.py": "t\n"}, "theirs")
    flock.other.git("push", "-q", "origin", "a")
    tree.git("switch", "-q", "-c", "side", "HEAD~1")
    tree.commit({"side.py": "s\n"}, "side")
    tree.git("switch", "-q", "a")
    tree.git("merge", "-q", "--no-edit", "side")
    finding = flock.lane(flock.sync(), "a").finding
    assert finding is not None and finding.name == "replay.diverged"
    assert finding.hint == f"git -C {tree.path} merge origin/a" and flock.on_remote("a") == theirs
    tree.git("merge", "-q", "--no-edit", "origin/a")
    assert names(flock.sync())["a"] == "done"
    flock.in_step("a")


def test_a_push_after_which_the_tracking_ref_is_locked(tmp_path):
    flock = reusing(tmp_path)
    lock = flock.main.path / ".git/refs/remotes/origin/a.lock"
    lock.write_text("")
    old = flock.trees["a"].oid()
    flock.trees["a"].commit({"more.py": "m\n"}, "more")
    assert names(flock.sync())["a"] == "done" and flock.main.oid("origin/a") == old
    lock.unlink()
    flock.trees["a"].git("commit", "-q", "--amend", "-m", "less")
    assert names(flock.sync())["a"] == "done"
    flock.in_step("a")


def test_a_push_that_dies_before_it_tells_the_tracking_refs(tmp_path):
    flock = reusing(tmp_path)
    # Git's last deed in a push: it dies as it moves the tracking ref.
    hook = flock.main.path / ".git/hooks/reference-transaction"
    dies = 'test "$1" = prepared && grep -q refs/remotes/origin/a && rm ../dies && kill -9 $PPID\nexit 0\n'
    hook.write_text(f"#!/bin/sh\ncd {tmp_path}/clone && test -e ../dies && {dies}")
    hook.chmod(0o755)
    (tmp_path / "dies").touch()
    undone = flock.undo()
    assert undone.state == "done" and not (tmp_path / "dies").exists(), undone
    assert flock.on_remote("a") == flock.trees["a"].oid() != flock.main.oid("origin/a")
    assert names(flock.sync())["a"] == "done"
    flock.in_step("a")


def test_an_undo_that_is_refused_half_way_says_what_each_side_has(tmp_path):
    flock = Flock.make(tmp_path)
    tree = flock.tree("a", {"a.py": "a\n"})
    old = tree.oid()
    flock.advance({"lib.py": "new\n"})
    flock.sync()
    hook = flock.main.path / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\necho mine >{tree.path}/lib.py\n")
    hook.chmod(0o755)
    report = flock.undo()
    hook.unlink()
    lane = flock.lane(report, "a")
    assert lane.state == "held" and flock.on_remote("a") == old != tree.oid()
    (note,) = [note for note in lane.notes if note.name == "undo.half"]
    assert note.message == "a was put back on origin, and stays as it is here: a sync pushes it again"
    assert note.hint == f"raccord -C {tree.path} sync" and flock.lane(flock.at().show(report.id), "a") == lane
    assert flock.at().status().next_command == "raccord sync --all"
    tree.git("checkout", "-q", "lib.py")
    assert names(flock.sync())["a"] == "done"
    flock.in_step("a")
