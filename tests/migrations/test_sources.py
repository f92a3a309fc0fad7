"""The search for revisions: every source, in its order, and what may stand in the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from raccord.kernel.store import Store
from raccord.migrations import file_sources
from raccord.migrations.cache import Cache
from raccord.migrations.git_sources import MOST_FILES
from tests.gitkit import Repo
from tests.migrations.places import KINDS, VERSIONS, Desk, sources_of, written

# What the search is to say of each kind of place.
SAID = {
    "dangling_blob": "dangling",
    "elsewhere": "worktree",
    "elsewhere_history": "history",
    "ignored": "worktree",
    "removed_worktree": "dangling",
    "remote": "ref",
    "stash_staged": "stash",
    "stash_untracked": "stash",
    "tag": "history",
    "tip": "ref",
    "untracked": "worktree",
}


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_revision_is_found_in_every_kind_of_place(desk, kind):
    data = written("aaaa", "base")
    desk.put(kind, {"aaaa_x.py": data})
    found = desk.find("aaaa", known=["base"], outside=[desk.outside])
    assert sources_of(found) == {"aaaa": [data]}
    assert not found.nowhere
    (candidate,) = found.contents["aaaa"]
    first = candidate.origins[0]
    assert first.kind == SAID.get(kind, kind)
    assert first.digest == candidate.digest == hashlib.sha256(data).hexdigest()
    if kind in ("tip", "remote", "tag", "history", "reflog", "stash", "dangling", "elsewhere_history"):
        assert first.author == "Tester <tester@example.invalid>" and first.time and len(first.commit) == 40
    if kind not in ("dangling_blob", "removed_worktree", "ignored"):
        assert candidate.revision.name == "aaaa_x.py"
    elif kind == "dangling_blob":
        assert candidate.revision.name == "aaaa_step_aaaa.py"


@pytest.mark.long
def test_a_chain_is_found_in_one_search_wherever_its_parts_are(desk):
    chain = {f"r{number:02}": written(f"r{number:02}", f"r{number - 1:02}") for number in range(1, 37)}
    for number, (rev, data) in enumerate(chain.items()):
        desk.put(KINDS[number % len(KINDS)], {f"{rev}_x.py": data})
    found = desk.find("r36", known=["r00"], outside=[desk.outside])
    assert sources_of(found) == {rev: [data] for rev, data in chain.items()}
    assert not found.nowhere and not found.troubles


def test_what_is_nowhere_is_named_with_who_names_it_and_what_was_searched(desk):
    desk.put("tip", {"b.py": written("bbbb", ("gone", "base"))})
    found = desk.find("bbbb", "lost", known=["base"])
    assert found.nowhere == {"gone": ("bbbb",), "lost": ("",)}
    assert [one.kind for one in found.searched if one.everywhere][-1] == "dangling"
    assert {one.kind for one in found.searched} == {
        "archive", "worktree", "directory", "index", "ref", "history", "stash", "reflog", "dangling",
    }  # fmt: skip


def test_a_dependency_may_be_a_label(desk):
    base = written("aaaa", None).replace(b"branch_labels = None", b"branch_labels = ('auth',)")
    top = written("bbbb", None).replace(b"depends_on = None", b"depends_on = 'auth@head'")
    desk.put("untracked", {"a.py": base})
    desk.put("stash", {"b.py": top})
    assert set(desk.find("bbbb").contents) == {"aaaa", "bbbb"}
    assert desk.sources().matching("auth") == ["aaaa"]


def test_different_contents_are_all_there_in_the_order_of_the_sources(desk):
    one, two, three, old = (written("aaaa", None, f"x = {number}") for number in range(4))
    desk.put("tip", {"a.py": three})
    desk.put("index", {"a.py": two})
    desk.put("untracked", {"a.py": one})
    desk.put("history", {"a.py": old})
    found = desk.find("aaaa").contents["aaaa"]
    assert [each.source for each in found] == [one, two, three, old]
    assert [each.current for each in found] == [True, True, True, False]


def test_a_content_that_lies_only_in_the_past_is_looked_for_in_the_reflogs_too(desk):
    old, lost = written("aaaa", None, "x = 1"), written("aaaa", None, "x = 2")
    desk.put("history", {"a.py": old})
    desk.put("reflog", {"a.py": lost})
    assert sources_of(desk.find("aaaa")) == {"aaaa": [old, lost]}


def test_thorough_looks_at_everything(desk):
    old, lost = written("aaaa", None, "x = 1"), written("aaaa", None, "x = 2")
    desk.put("tip", {"a.py": old})
    desk.put("dangling_blob", {"a.py": lost})
    assert sources_of(desk.find("aaaa")) == {"aaaa": [old]}
    assert sources_of(desk.find("aaaa", thorough=True)) == {"aaaa": [old, lost]}


def test_a_revision_that_lives_elsewhere_today_counts_as_of_today(desk):
    data = written("aaaa", None)
    tree = desk.tree()
    tree.commit({"db/versions/a.py": data})
    (found,) = desk.find("aaaa").contents["aaaa"]
    assert {"worktree", "ref", "history"} <= {one.kind for one in found.origins}


def test_a_side_that_a_merge_gave_up_is_history_too(desk):
    """Without --full-history git leaves it out; and what only a merge itself has is in no plain diff."""
    side, other = desk.tree("side"), desk.tree("other")
    side.commit({f"{VERSIONS}/a.py": written("aaaa", None)})
    other.commit({"x": "x"})
    desk.repo.commit({f"{VERSIONS}/c.py": written("cccc", None)})
    desk.repo.git("merge", "--quiet", "--no-edit", "--strategy=ours", "side")
    desk.repo.git("merge", "--quiet", "--no-commit", "--strategy=ours", "other")
    desk.repo.commit({f"{VERSIONS}/b.py": written("bbbb", None)})
    desk.repo.commit({f"{VERSIONS}/b.py": None})
    desk.repo.git("worktree", "remove", "--force", side.path)
    desk.repo.git("branch", "-D", "side")
    shutil.rmtree(desk.repo.path / ".git/logs")
    found = desk.find("aaaa", "bbbb")
    assert {one: each.origins[0].kind for one, (each,) in found.contents.items()} == {
        "aaaa": "history",
        "bbbb": "history",
    }


def test_a_reflog_whose_beginning_expired(desk):
    lost, now = desk._lost({f"{VERSIONS}/a.py": written("aaaa", None)}), desk.repo.oid("main")
    line = f"{lost} {now} T <t@x> 1 +0000\treset\n"
    (desk.repo.path / ".git/logs/refs/heads/main").write_text(line)
    assert desk.find("aaaa").contents["aaaa"][0].origins[0].where == "refs/heads/main@{1}"


def test_a_file_that_changes_while_it_is_looked_at_is_not_mistaken(desk):
    path = desk.tree().write(f"{VERSIONS}/a.py", written("aaaa", None, "x = 1"))
    sources = desk.sources()
    sources.near()
    path.write_bytes(written("aaaa", None, "x = 2"))
    found = sources.find(["aaaa"])
    assert not found.contents and found.nowhere == {"aaaa": ("",)}
    assert "can't be read any more" in found.troubles[0].reason


def test_a_detached_head_is_a_place_of_today(desk):
    tree = desk.tree()
    tree.git("checkout", "--quiet", "--detach")
    tree.commit({f"{VERSIONS}/a.py": written("aaaa", None)})
    os.rename(tree.path, desk.top / "moved")
    (tree.path.parent / "main/.git/worktrees" / tree.path.name / "index").unlink()
    (found,) = desk.find("aaaa").contents["aaaa"]
    assert found.current and found.origins[0].where == f"HEAD of {tree.path}"


@pytest.mark.parametrize("name", ["FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD"])
def test_what_git_notes_beside_its_refs(desk, name):
    commit = desk._lost({f"{VERSIONS}/a.py": written("aaaa", None)})
    more = "\t\tbranch 'x' of /nowhere" if name == "FETCH_HEAD" else ""
    (desk.repo.path / ".git" / name).write_text(f"{commit}{more}\n")
    first = desk.find("aaaa").contents["aaaa"][0].origins[0]
    assert (first.kind, first.where, first.commit) == ("reflog", name, commit)


def test_a_stash_whose_log_is_lost(desk):
    desk.put("stash_untracked", {"a.py": written("aaaa", None)})
    (desk.repo.path / ".git/logs/refs/stash").unlink()
    assert desk.find("aaaa").contents["aaaa"][0].origins[0].where == "stash@{0}"


def test_several_stashes_keep_their_numbers(desk):
    for number in range(3):
        desk.put("stash", {f"{number}.py": written(f"aaa{number}", None)})
    found = desk.find("aaa0", "aaa1", "aaa2")
    assert [found.contents[f"aaa{number}"][0].origins[0].where for number in range(3)] == [
        "stash@{2}",
        "stash@{1}",
        "stash@{0}",
    ]


def test_an_unmerged_file_has_two_contents(desk):
    path = f"{VERSIONS}/a.py"
    one, two = written("aaaa", None, "x = 1"), written("aaaa", None, "x = 2")
    mine, theirs = desk.tree(), desk.tree()
    mine.commit({path: one})
    theirs.commit({path: two})
    mine.git("merge", "--quiet", theirs.path.name, check=False)
    desk.repo.git("branch", "--quiet", "-m", theirs.path.name, "other")
    found = desk.find("aaaa")
    assert {each.source for each in found.contents["aaaa"]} == {one, two}
    assert any("syntax error" in each.reason for each in found.troubles)  # the markers of the conflict


def test_the_index_of_a_worktree_whose_directory_is_gone(desk):
    tree = desk.tree("gone")
    tree.write(f"{VERSIONS}/a.py", written("aaaa", None))
    tree.git("add", "--all")
    os.rename(tree.path, desk.top / "moved")
    found = desk.find("aaaa")
    assert found.contents["aaaa"][0].origins[0].kind == "index"
    assert any(one.where == str(tree.path) and "gone" in one.reason for one in found.troubles)


def test_worktrees_and_directories_that_can_not_be_read_are_named(desk):
    (desk.top / "Project-empty").mkdir()
    desk.put("directory", {"a.py": written("aaaa", None)})
    link = desk.top / "Project-link"
    link.symlink_to(desk.top / "nowhere")
    (desk.tree("broken").path / ".git").write_text("gitdir: /nowhere\n")
    found = desk.find("aaaa", outside=[desk.outside, str(desk.top / "None-*")])
    assert "aaaa" in found.contents
    said = {(one.where, one.reason) for one in found.troubles}
    assert (str(desk.top / "None-*"), "there is no such directory") in said
    assert (str(desk.top / "broken"), "is no worktree of this repository any more") in said


def test_only_regular_files_of_the_tree_are_read(desk, tmp_path, monkeypatch):
    folder = desk.repo.path / VERSIONS
    folder.mkdir(parents=True)
    outside = tmp_path / "outside.py"
    outside.write_bytes(written("outs", None))
    (folder / "link.py").symlink_to(outside)
    (folder / "inner.py").symlink_to(folder / "real.py")
    (folder / "real.py").write_bytes(written("real", None))
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.py")
    monkeypatch.chdir(folder)  # a socket's path may have 108 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("sock.py")
    (folder / "device.py").symlink_to("/dev/zero")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "huge.py").write_bytes(written("huge", None) + b"#" * (2 << 20))
    (folder / "dir.py").mkdir()
    (folder / "only.pyc").write_bytes(written("comp", None))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "cach.py").write_bytes(written("cach", None))
    found = desk.find("outs", "huge", "comp", "cach", "real")
    assert set(found.contents) == {"real"}
    named = {os.path.basename(one.path): one.reason for one in found.troubles}
    assert named["link.py"] == named["device.py"] == "a symbolic link that leads out of its tree"
    assert named["pipe.py"] == named["sock.py"] == "not a regular file"
    assert "more than 2097152" in named["huge.py"]
    assert "not followed" in named["folder"]
    assert {one.path for one in found.contents["real"][0].origins} == {
        f"{VERSIONS}/real.py", f"{VERSIONS}/inner.py",
    }  # fmt: skip


def test_a_version_folder_that_is_a_link_out_of_the_tree_is_not_followed(desk, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    (away / "a.py").write_bytes(written("aaaa", None))
    (desk.repo.path / "backend/alembic").mkdir(parents=True)
    (desk.repo.path / VERSIONS).symlink_to(away)
    found = desk.find("aaaa")
    assert not found.contents and found.nowhere
    assert any(one.path == VERSIONS and "leads out" in one.reason for one in found.troubles)


def test_nothing_that_is_looked_at_is_executed(desk):
    mark = str(desk.top / "sprung")
    for number, kind in enumerate(KINDS):
        desk.put(kind, {f"r{number}.py": written(f"r{number:02}", None, trap=mark)})
    found = desk.find(
        *(f"r{number:02}" for number in range(len(KINDS))), outside=[desk.outside], thorough=True
    )
    assert len(found.contents) == len(KINDS)
    assert not os.path.exists(mark)


def test_a_broken_file_is_named_alone(desk):
    desk.put("untracked", {"a.py": written("aaaa", None), "bad.py": b"revision = 'x'\ndown_revision = (\n"})
    found = desk.find("aaaa")
    assert set(found.contents) == {"aaaa"}
    (trouble,) = found.troubles
    assert trouble.path == f"{VERSIONS}/bad.py" and "line 2: syntax error" in trouble.reason


def test_names_may_be_any_bytes(desk):
    desk.folder = os.fsdecode(b"ver\xff\nsions")
    name = os.fsdecode(b"-a\xfe .py")  # a newline in it alembic does not load
    data = {kind: written(kind, None) for kind in KINDS if kind not in ("archive", "dangling_blob")}
    for kind, source in data.items():
        desk.put(kind, {name: source})
    found = desk.find(*data, outside=[desk.outside])
    assert sources_of(found) == {kind: [source] for kind, source in data.items()}
    assert not found.troubles


@pytest.mark.long
@pytest.mark.parametrize("args", [["--object-format=sha256"], ["--ref-format=reftable"]])
def test_other_formats_of_repositories(tmp_path, args):
    try:
        desk = Desk(tmp_path, args=args)
    except AssertionError:
        pytest.skip("this git doesn't know it")
    for kind in KINDS:
        desk.put(kind, {f"{kind}.py": written(kind, None)})
    found = desk.find(*KINDS, outside=[desk.outside])
    assert sources_of(found) == {kind: [written(kind, None)] for kind in KINDS}


@pytest.mark.long
def test_packed_refs_and_packed_objects(desk):
    for kind in KINDS:
        desk.put(kind, {f"{kind}.py": written(kind, None)})
    desk.repo.git("pack-refs", "--all", "--prune")
    desk.repo.git("repack", "-adk", "--quiet")
    found = desk.find(*KINDS, outside=[desk.outside])
    assert sources_of(found) == {kind: [written(kind, None)] for kind in KINDS}


def test_a_bare_main_repository(tmp_path):
    desk = Desk(tmp_path)
    desk.put("tip", {"a.py": written("aaaa", "bbbb")})
    desk.put("history", {"b.py": written("bbbb", "cccc")})
    bare = tmp_path / "bare.git"
    desk.repo.git("clone", "--quiet", "--mirror", desk.repo.path, bare)
    there = Repo(bare)
    tree = there.worktree(tmp_path / "linked", "linked", "main")
    tree.write(f"{VERSIONS}/c.py", written("cccc", "dddd"))
    tree.write(f"{VERSIONS}/d.py", written("dddd", None))
    tree.git("add", f"{VERSIONS}/d.py")
    tree.write(f"{VERSIONS}/d.py", None)
    desk.repo = there
    found = desk.find("aaaa")
    assert [one.origins[0].kind for (one,) in found.contents.values()] == [
        "ref",
        "history",
        "worktree",
        "index",
    ]
    assert not found.troubles


@pytest.mark.long
def test_a_thousand_refs(desk):
    lines = []
    for number in range(1000):
        data = written(f"r{number:04}", f"r{number - 1:04}" if number else None)
        lines += [f"commit refs/heads/b{number:04}\ncommitter T <t@x> {number} +0000\ndata 1\nx".encode()]
        lines += [f"M 100644 inline {VERSIONS}/r{number:04}.py\ndata {len(data)}".encode(), data]
    desk.repo.git("fast-import", "--quiet", input=b"\n".join(lines) + b"\n")
    found = desk.find("r0999")
    assert len(found.contents) == 1000 and not found.nowhere
    assert found.contents["r0500"][0].origins[0].where == "refs/heads/b0500"


def test_lost_objects_cost_no_other_its_answer(desk):
    desk.put("tip", {"a.py": written("aaaa", "bbbb")})
    desk.put("tip", {"b.py": written("bbbb", None)})
    desk.put("tip", {"c.py": written("cccc", None)})
    blob = desk.repo.git("hash-object", "--stdin", input=written("cccc", None))
    (desk.repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    found = desk.find("aaaa", "cccc")
    assert set(found.contents) == {"aaaa", "bbbb"}
    assert "cccc" in found.nowhere
    assert any("missing" in one.reason for one in found.troubles)


def test_damaged_objects_and_refs_cost_no_other_its_answer(desk):
    for rev in ("aaaa", "cccc"):
        desk.put("tip", {f"{rev}.py": written(rev, None)})
    desk.put("history", {"h.py": written("hhhh", None)})
    objects = desk.repo.path / ".git/objects"
    blob = desk.repo.git("hash-object", "--stdin", input=written("cccc", None))
    broken = objects / blob[:2] / blob[2:]
    broken.chmod(0o644)
    broken.write_bytes(b"garbage")
    commit = desk.tree().commit({"x": "x"})
    tree = desk.repo.oid(f"{commit}^{{tree}}")
    (objects / tree[:2] / tree[2:]).unlink()
    (desk.repo.path / ".git/refs/heads/nonsense").write_text("1" * 40 + "\n")
    found = desk.find("aaaa", "cccc", "hhhh")
    assert set(found.contents) == {"aaaa", "hhhh"}
    assert any(one.where == "refs/heads/nonsense" for one in found.troubles)
    assert any("damaged" in one.reason or "missing" in one.reason for one in found.troubles)


def test_a_repository_without_commits(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.write(f"{VERSIONS}/a.py", written("aaaa", "bbbb"))
    desk = object.__new__(Desk)
    desk.repo, desk.folder, desk.top = repo, VERSIONS, tmp_path
    found = desk.find("aaaa")
    assert set(found.contents) == {"aaaa"} and found.nowhere == {"bbbb": ("aaaa",)}


def test_folders_without_end_stop_nothing(desk):
    """Eleven tree objects that spell ten thousand million files, and a thousand levels."""
    desk.put("untracked", {"a.py": written("aaaa", None)})
    blob = desk.repo.git("hash-object", "-w", "--stdin", input=written("bbbb", None))
    tree = desk.repo.git("mktree", input="".join(f"100644 blob {blob}\tf{each}.py\n" for each in range(10)))
    deep = tree
    for _ in range(9):
        tree = desk.repo.git("mktree", input="".join(f"040000 tree {tree}\td{each}\n" for each in range(10)))
    for _ in range(60):
        deep = desk.repo.git("mktree", input=f"040000 tree {deep}\td\n")
    git = desk.sources().git
    listed = git._trees({(tree, True), (deep, True)})
    assert len(listed[tree, True]) == MOST_FILES + 1 and not listed[deep, True]
    assert {one.reason for one in git.troubles} == {
        "a folder nested too deeply",
        f"a folder of more than {MOST_FILES} files",
    }


def pointer(data: bytes) -> bytes:
    oid = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()


def stored(desk: Desk, data: bytes, what: bytes) -> Path:
    oid = hashlib.sha256(data).hexdigest()
    path = desk.repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(what)
    return path


@pytest.mark.parametrize("kind", ["tip", "untracked", "dangling_blob", "stash", "elsewhere_history"])
def test_what_lfs_stores_is_found_through_its_pointer(desk, kind):
    data = written("aaaa", None)
    stored(desk, data, data)
    desk.put(kind, {"aaaa_x.py": pointer(data)})
    (found,) = desk.find("aaaa").contents["aaaa"]
    assert found.source == data and found.digest == hashlib.sha256(data).hexdigest()


def test_what_lfs_does_not_hold_is_named(desk):
    data, bad = written("aaaa", None), written("bbbb", None)
    desk.put("tip", {"a.py": pointer(data), "b.py": pointer(bad)})
    stored(desk, bad, bad.replace(b"pass", b"evil"))
    found = desk.find("aaaa", "bbbb")
    assert not found.contents
    said = {os.path.basename(one.path): one.reason for one in found.troubles if one.kind == "ref"}
    assert "is not in" in said["a.py"] and "damaged" in said["b.py"]


def test_a_partial_clone_fetches_nothing(desk, tmp_path):
    desk.put("tip", {"a.py": written("aaaa", None)})
    desk.repo.git("config", "uploadpack.allowFilter", "true")
    desk.repo.git("checkout", "--quiet", "main")
    clone = tmp_path / "partial"
    desk.repo.git("clone", "--quiet", "--filter=blob:none", f"file://{desk.repo.path}", clone)
    before = sorted(path.name for path in (clone / ".git/objects").rglob("*"))
    desk.repo = Repo(clone)
    found = desk.find("aaaa")
    assert "aaaa" in found.nowhere
    assert any("missing" in one.reason for one in found.troubles)
    assert sorted(path.name for path in (clone / ".git/objects").rglob("*")) == before


def test_a_shallow_clone_that_is_deepened(desk, tmp_path):
    desk.repo.commit({f"{VERSIONS}/a.py": written("aaaa", None)})
    desk.repo.commit({f"{VERSIONS}/a.py": None})
    desk.repo.commit({"x": "x"})
    clone = tmp_path / "shallow"
    desk.repo.git("clone", "--quiet", "--depth=1", f"file://{desk.repo.path}", clone)
    desk.repo = Repo(clone)
    with_cache = Cache(Store(tmp_path / "state.db"))
    assert not desk.find("aaaa", cache=with_cache).contents
    desk.repo.git("fetch", "--quiet", "--unshallow")
    assert desk.find("aaaa", cache=with_cache).contents


# The cache


def test_a_branch_that_moved_on_still_names_what_it_held(desk, cache):
    tree = desk.tree("moving")
    tree.commit({f"{VERSIONS}/a.py": written("aaaa", None)})
    tree.commit({f"{VERSIONS}/a.py": None})
    assert desk.find("aaaa", cache=cache).contents["aaaa"][0].origins[0].where == "refs/heads/moving"
    tree.commit({"x": "x"})
    assert desk.find("aaaa", cache=cache).contents["aaaa"][0].origins[0].where == "refs/heads/moving"
    tree.git("checkout", "--quiet", "--detach")
    desk.repo.git("update-ref", "refs/remotes/origin/there", "moving")
    desk.repo.git("branch", "-D", "moving")
    tree.commit({"y": "y"})
    where = desk.find("aaaa", cache=cache).contents["aaaa"][0].origins[0].where
    assert where == "refs/remotes/origin/there"


@pytest.fixture
def cache(tmp_path):
    return Cache(Store(tmp_path / "state.db"))


def test_what_was_read_is_not_read_again_and_every_change_is_seen(desk, cache, monkeypatch):
    monkeypatch.setattr(file_sources, "SETTLED_NS", 0)
    for kind in KINDS:
        desk.put(kind, {f"{kind}.py": written(kind, None)})
    wanted = {kind: [written(kind, None)] for kind in KINDS}
    assert sources_of(desk.find(*KINDS, cache=cache, outside=[desk.outside])) == wanted
    time.sleep(0.05)
    assert sources_of(desk.find(*KINDS, cache=cache, outside=[desk.outside])) == wanted
    tree = desk.tree()
    tree.write(f"{VERSIONS}/n.py", written("new1", None))
    assert "new1" in desk.find("new1", cache=cache).contents
    tree.write(f"{VERSIONS}/n.py", written("new2", None))
    found = desk.find("new1", "new2", cache=cache)
    assert set(found.contents) == {"new2"}
    tree.git("add", "--all")
    tree.write(f"{VERSIONS}/n.py", None)
    assert desk.find("new2", cache=cache).contents["new2"][0].origins[0].kind == "index"
    tree.git("commit", "--quiet", "--message", "x")
    assert "ref" in {one.kind for one in desk.find("new2", cache=cache).contents["new2"][0].origins}
    tree.git("rm", "--quiet", "--", f"{VERSIONS}/n.py")
    tree.git("commit", "--quiet", "--message", "y")
    assert desk.find("new2", cache=cache).contents["new2"][0].origins[0].kind == "history"
    tree.git("reset", "--quiet", "--hard", "HEAD~2")
    assert desk.find("new2", cache=cache).contents["new2"][0].origins[0].kind == "reflog"
    desk.repo.git("worktree", "remove", "--force", tree.path)
    desk.repo.git("branch", "-D", tree.path.name)
    assert desk.find("new2", cache=cache).contents["new2"][0].origins[0].kind == "dangling"
    desk.repo.git("prune", "--expire=now")
    found = desk.find("new2", cache=cache)
    assert not found.contents and "new2" in found.nowhere


def test_a_file_rewritten_at_the_same_size_at_once_is_seen(desk, cache):
    tree = desk.tree()
    for number in range(5):
        tree.write(f"{VERSIONS}/n.py", written(f"new{number}", None))
        found = desk.find(*(f"new{each}" for each in range(5)), cache=cache)
        assert set(found.contents) == {f"new{number}"}


def test_a_cache_that_lost_the_headers_changes_no_answer(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(file_sources, "SETTLED_NS", 0)
    desk.put("untracked", {"a.py": written("aaaa", None)})
    store = Store(tmp_path / "state.db")
    assert desk.find("aaaa", cache=Cache(store)).contents
    time.sleep(0.05)
    with store.transaction() as db:
        db.execute("delete from cache where space like 'migration.blob%'")
    assert desk.find("aaaa", cache=Cache(store)).contents


def test_looking_changes_nothing_but_the_cache(desk, tmp_path):
    for kind in KINDS:
        desk.put(kind, {f"{kind}.py": written(kind, None)})
    store = Store(tmp_path / "state.db")

    def state():
        return {
            path: path.lstat().st_mtime_ns
            for path in desk.top.rglob("*")
            if not path.name.startswith("state.db")
        }

    before = state()
    looking = Cache(Store(tmp_path / "state.db", readonly=True), look=True)
    desk.find(*KINDS, cache=looking, outside=[desk.outside], thorough=True)
    assert store.rows("select count(*) from cache")[0][0] > 0
    with store.transaction():
        looking.put("a", {"b": 1})
        looking.flush()  # somebody writes: a look does not wait
    assert looking.get("a", ["b"]) == {}
    after = state()
    after.pop(desk.top, None), before.pop(desk.top, None)
    assert after == before
