"""Replays of real branches: every outcome, side by side, and what each says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from raccord.code.replay import Lane, Result, merge_message, replay
from raccord.git import config
from raccord.git.commits import Signature
from raccord.git.quarantine import quarantine
from raccord.git.run import Git
from tests.code.rebases import COMMITTER, lane_of, replayed
from tests.gitkit import Files, Repo

LINES = "".join(f"{number}\n" for number in range(20))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """`main` is one commit ahead of `start`, where branches begin."""
    repo = Repo.init(tmp_path / "repo")
    repo.commit({"f": LINES, "g": LINES}, "start")
    repo.git("branch", "start")
    repo.commit({"f": LINES.replace("3\n", "three\n", 1)}, "main moves")
    return repo


def branch(repo: Repo, name: str, *changes: Files | None, start: str = "start") -> str:
    """A branch with a commit for each change, None for an empty one."""
    repo.git("checkout", "--quiet", "-b", name, start)
    for number, files in enumerate(changes):
        repo.commit(files, f"{name} {number}")
    tip = repo.oid()
    repo.git("checkout", "--quiet", "main")
    return tip


def merge_in(repo: Repo, name: str, other: str, files: Files | None = None) -> None:
    """Merges `other` into the branch `name`, as it is or with `files` as the resolution."""
    repo.git("checkout", "--quiet", name)
    repo.git("merge", "--quiet", "--no-ff", "--no-commit", other, check=False)
    repo.commit(files, f"Merge {other}")
    repo.git("checkout", "--quiet", "main")


def lane(repo: Repo, name: str, onto: str = "main") -> Lane:
    return lane_of(repo, name, repo.oid(onto), repo.oid(name))


def one(repo: Repo, name: str, onto: str = "main") -> Result:
    return replayed(repo, [lane(repo, name, onto)])[name]


def subjects(repo: Repo, result: Result) -> list[str]:
    assert result.new is not None
    return repo.git("log", "--reverse", "--format=%s", f"main..{result.new}").splitlines()


def dropped(result: Result) -> list[str]:
    return [why for _, why in result.dropped]


def test_replayed(repo: Repo):
    tip = branch(repo, "topic", {"new": "1"}, {"f": LINES + "end\n"})
    result = one(repo, "topic")
    assert result.outcome == "replayed"
    assert subjects(repo, result) == ["topic 0", "topic 1"]
    assert repo.oid(f"{result.new}~2") == repo.oid("main")
    assert repo.git("show", f"{result.new}:f") == LINES.replace("3\n", "three\n", 1) + "end"
    assert result.rewritten == ((repo.oid(f"{tip}~1"), repo.oid(f"{result.new}~1")), (tip, result.new))
    assert repo.oid(f"{result.new}^{{tree}}") == result.tree


def test_author_and_message_stay_and_the_committer_is_given(repo: Repo):
    repo.git("checkout", "--quiet", "-b", "topic", "start")
    repo.write("new", "1")
    repo.git("add", "new")
    env = {"GIT_AUTHOR_NAME": "J\udce9", "GIT_AUTHOR_EMAIL": "j@x", "GIT_AUTHOR_DATE": "@1600000000 -0330"}
    message = b"\n\nsubject \xe9\r\n\n\n# no comment\n\ntrailing  \n\n"
    args = ("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "--quiet", "--cleanup=verbatim", "-F", "-")
    repo.git(*args, input=message, env=env)
    result = one(repo, "topic")
    assert result.new is not None
    old, new = (repo.git("cat-file", "commit", oid).split("\n") for oid in (repo.oid("topic"), result.new))
    assert less_place(old) == less_place(new)
    assert "encoding ISO-8859-1" in new
    assert f"committer New <new@example.invalid> {COMMITTER.when} +0000" in new


def less_place(body: list[str]) -> list[str]:
    """A commit's lines without those that a replay is to change."""
    return [line for line in body if not line.startswith(("tree ", "parent ", "committer "))]


def test_nothing_moved(repo: Repo):
    tip = branch(repo, "topic", {"new": "1"}, start="main")
    result = one(repo, "topic")
    assert (result.outcome, result.new, result.rewritten) == ("up-to-date", tip, ())


def test_behind(repo: Repo):
    branch(repo, "topic")
    result = one(repo, "topic")
    assert (result.outcome, result.new) == ("fast-forward", repo.oid("main"))


def test_unrelated(repo: Repo):
    repo.git("checkout", "--quiet", "--orphan", "topic")
    repo.commit({"f": "else"})
    repo.git("checkout", "--quiet", "main")
    assert one(repo, "topic").outcome == "unrelated"


def test_cherry_picked_commits_are_left_out(repo: Repo):
    branch(repo, "topic", {"a": "1"}, {"b": "1"}, {"c": "1"})
    repo.git("cherry-pick", "topic~1")
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 0", "topic 2"])
    assert result.dropped == ((repo.oid("topic~1"), "duplicate"),)


def test_all_cherry_picked(repo: Repo):
    branch(repo, "topic", {"a": "1"}, {"b": "1"})
    repo.git("cherry-pick", "topic~1", "topic")
    result = one(repo, "topic")
    assert (result.outcome, result.new) == ("already-merged", repo.oid("main"))
    assert dropped(result) == ["duplicate", "duplicate"]


def test_what_becomes_empty_goes_and_what_was_empty_stays(repo: Repo):
    branch(repo, "topic", {"a": "1"}, None, {"b": "1"})
    repo.commit({"a": "1", "z": "1"})
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 1", "topic 2"])
    assert result.dropped == ((repo.oid("topic~2"), "became empty"),)


def test_a_branch_of_empty_commits_only(repo: Repo):
    branch(repo, "topic", None)
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 0"])


def test_a_change_and_its_revert_are_work_too(repo: Repo):
    branch(repo, "topic", {"a": "1"}, {"a": None})
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 0", "topic 1"])


@pytest.mark.parametrize("later", [{}, {"other": "1"}, {"f": LINES}])
def test_merged_by_squash_though_no_single_commit_applies(repo: Repo, later: Files):
    branch(repo, "topic", {"g": LINES.replace("5", "five")}, {"g": LINES.replace("5", "FIVE")})
    repo.commit({"g": LINES.replace("5", "FIVE")}, "topic (#1)")
    if later:
        repo.commit(later)
    result = one(repo, "topic")
    assert (result.outcome, result.new) == ("already-merged", repo.oid("main"))
    assert "merged" in dropped(result)


def test_merged_by_squash_as_a_patch_id_tells(repo: Repo):
    branch(repo, "topic", {"g": LINES.replace("5", "five")}, {"g": LINES.replace("5", "FIVE")})
    squash = repo.commit({"g": LINES.replace("5", "FIVE")}, "topic (#1)")
    repo.commit({"g": LINES.replace("5", "and on")})
    told = replace(lane(repo, "topic"), squashed=squash)
    assert replayed(repo, [lane(repo, "topic")])["topic"].outcome == "conflict"
    result = replayed(repo, [told])["topic"]
    assert (result.outcome, result.merged_as) == ("already-merged", squash)


def test_a_conflict_says_where(repo: Repo):
    branch(repo, "topic", {"new": "1"}, {"f": LINES.replace("3\n", "drei\n", 1), "g": None}, {"more": "1"})
    repo.commit({"g": LINES + "more\n"})
    result = one(repo, "topic")
    assert (result.outcome, result.new) == ("conflict", None)
    assert result.conflict is not None
    assert result.conflict.commit == repo.oid("topic~1")
    assert result.conflict.paths == ("f", "g")
    assert result.conflict.kinds == ("contents", "modify/delete")
    assert "HEAD" in result.conflict.message


def test_a_file_in_the_way_of_a_directory_is_named_after_head(repo: Repo):
    branch(repo, "topic", {"way/in": "1"})
    repo.commit({"way": "2"})
    result = one(repo, "topic")
    assert result.conflict is not None
    assert result.conflict.paths == ("way~HEAD",)


def test_one_bad_branch_spoils_no_other(repo: Repo):
    for number in range(4):
        branch(repo, f"good-{number}", {f"new-{number}": "1"}, {f"more-{number}": "1"})
    branch(repo, "bad", {"f": LINES.replace("3\n", "drei\n", 1)})
    branch(repo, "lost", {"z": "1"})
    lanes = [lane(repo, name) for name in ("good-0", "bad", "good-1", "lost", "good-2", "good-3")]
    lanes[3] = replace(lanes[3], picks=("1" * 40, *lanes[3].picks))
    results = replayed(repo, lanes)
    assert {key: result.outcome for key, result in results.items()} == {
        **{f"good-{number}": "replayed" for number in range(4)},
        "bad": "conflict",
        "lost": "unknown",
    }
    assert "1" * 40 in results["lost"].message


def test_a_merge_that_git_can_not_run_is_unknown_alone(repo: Repo):
    branch(repo, "damaged", {"g": LINES + "end\n"})
    branch(repo, "good", {"new": "1"})
    repo.commit({"g": "top\n" + LINES})
    lanes = [lane(repo, "damaged"), lane(repo, "good")]
    blob = repo.oid("damaged:g")
    file = repo.path / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"damage")
    results = replayed(repo, lanes)
    assert (results["damaged"].outcome, results["damaged"].new) == ("unknown", None)
    assert results["damaged"].message
    assert results["good"].outcome == "replayed"


def test_a_damaged_tree_is_unknown_alone(repo: Repo):
    branch(repo, "damaged", {"d/e": "1"}, {"d/e": "2"})
    branch(repo, "good", {"new": "1"}, {"d/.gitattributes": "x -text\n"})
    lanes = [lane(repo, "damaged"), lane(repo, "good")]
    tree = repo.oid("damaged~1:d")
    file = repo.path / ".git/objects" / tree[:2] / tree[2:]
    file.chmod(0o644)
    file.write_bytes(b"damage")
    results = replayed(repo, lanes)
    assert [results[key].outcome for key in ("damaged", "good")] == ["unknown", "replayed"]


def test_attributes_that_can_not_be_written_out_spoil_one_branch(repo: Repo):
    branch(repo, "good", {"new": "1"})
    # A tree that no checkout takes: it holds a second `.git`.
    blob = repo.git("hash-object", "-w", "--stdin", input="* -text\n")
    inner = repo.git("mktree", input=f"100644 blob {blob}\t.gitattributes\n")
    repo.git("checkout", "--quiet", "-b", "hostile", "start")
    listed = repo.git("ls-tree", "HEAD") + f"\n040000 tree {inner}\t.GIT\n"
    first = repo.git("commit-tree", "-p", "start", "-m", "hostile", repo.git("mktree", input=listed))
    changed = listed.replace(repo.oid("HEAD:g"), blob)
    repo.git("update-ref", "refs/heads/hostile", repo.git(
        "commit-tree", "-p", first, "-m", "later", repo.git("mktree", input=changed)))  # fmt: skip
    repo.git("checkout", "--quiet", "--force", "main")
    lanes = [lane(repo, "hostile"), lane(repo, "good"), replace(lane(repo, "hostile"), key="again")]
    results = replayed(repo, lanes)
    assert [results[each.key].outcome for each in lanes] == ["unknown", "replayed", "unknown"]
    assert "path" in results["again"].message


def test_at_the_edge_of_a_shallow_clone(repo: Repo, tmp_path: Path):
    repo.commit({"x": "1"})
    repo.git("branch", "--force", "start")
    branch(repo, "topic", {"new": "1"})
    repo.commit({"y": "1"})
    repo.git(
        "clone", "--quiet", "--depth=2", "--no-single-branch", f"file://{repo.path}", tmp_path / "shallow"
    )
    shallow = Repo(tmp_path / "shallow", repo.clock)
    wanted = lane_of(shallow, "topic", repo.oid("main"), repo.oid("topic"))
    assert replayed(shallow, [wanted])["topic"].outcome == "replayed"


def test_a_parent_beyond_the_edge_is_unknown_and_never_a_root(repo: Repo, tmp_path: Path):
    branch(repo, "topic", {"new": "1"})
    repo.git("branch", "-D", "start")
    shallow = Repo(tmp_path / "shallow", repo.clock)
    repo.git("clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{repo.path}", shallow.path)
    wanted = lane_of(shallow, "topic", repo.oid("main"), repo.oid("topic"))
    assert (wanted.base, wanted.picks) == ("", (wanted.tip,))
    based = replace(wanted, base=wanted.tip, key="based")
    results = replayed(shallow, [wanted, based])
    assert {result.outcome for result in results.values()} == {"unknown"}


def test_a_merged_side_branch_is_flattened(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    branch(repo, "side", {"b": "1"})
    merge_in(repo, "topic", "side")
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 0", "side 0"])
    assert result.dropped == ((repo.oid("topic"), "flattened"),)


def test_a_branch_that_merged_the_base_is_flattened(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    merge_in(repo, "topic", "main")
    repo.commit({"z": "1"}, "main again")
    result = one(repo, "topic")
    assert (result.outcome, subjects(repo, result)) == ("replayed", ["topic 0"])


def test_a_resolution_made_in_a_merge_is_not_lost(repo: Repo):
    branch(repo, "topic", {"f": LINES.replace("3\n", "drei\n", 1)})
    resolved = LINES.replace("3\n", "three, drei\n", 1)
    merge_in(repo, "topic", "main", {"f": resolved})
    repo.commit({"z": "1"}, "main again")
    result = one(repo, "topic")
    assert result.outcome == "merged-base"
    assert result.new is not None
    assert repo.git("show", f"{result.new}:f") + "\n" == resolved
    assert repo.git("log", "-1", "--format=%P|%s|%an|%cn", result.new) == (
        f"{repo.oid('topic')} {repo.oid('main')}|Merge branch 'main' into topic|New|New"
    )
    assert (result.rewritten, result.dropped) == ((), ())


def test_a_change_smuggled_into_a_merge_is_not_lost(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    branch(repo, "side", {"b": "1"})
    merge_in(repo, "topic", "side", {"only-here": "1"})
    result = one(repo, "topic")
    assert result.outcome == "merged-base"
    assert repo.git("show", f"{result.new}:only-here") == "1"


def test_a_branch_with_merges_in_conflict(repo: Repo):
    branch(repo, "topic", {"f": LINES.replace("3\n", "drei\n", 1)})
    branch(repo, "side", {"b": "1"})
    merge_in(repo, "topic", "side")
    result = one(repo, "topic")
    assert result.outcome == "conflict"
    assert result.conflict is not None
    assert (result.conflict.commit, result.conflict.paths) == (repo.oid("topic"), ("f",))


def test_a_merged_root_is_no_obstacle(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    repo.git("checkout", "--quiet", "--orphan", "other")
    repo.git("rm", "--quiet", "-rf", ".")
    repo.commit({"vendored": "1"})
    repo.git("checkout", "--quiet", "topic")
    repo.git("merge", "--quiet", "--allow-unrelated-histories", "-m", "vendor", "other")
    repo.git("checkout", "--quiet", "main")
    result = one(repo, "topic")
    assert (result.outcome, sorted(subjects(repo, result))) == ("replayed", ["change", "topic 0"])
    assert repo.git("show", f"{result.new}:vendored") == "1"


def stack(repo: Repo, *names: str) -> list[Lane]:
    """Lanes on top of each other, the first on main; each branch began where the one before it ends."""
    lanes = [lane(repo, names[0])]
    for below, name in pairwise(names):
        span = f"{repo.oid(below)}..{repo.oid(name)}"
        picks = tuple(repo.git("rev-list", "--topo-order", "--reverse", span).split())
        lanes.append(Lane(name, repo.oid(name), repo.oid(below), picks, onto_lane=below, branch=name))
    return lanes


def test_a_stack_moves_as_one(repo: Repo):
    branch(repo, "one", {"a": "1"})
    branch(repo, "two", {"b": "1"}, {"c": "1"}, start="one")
    branch(repo, "three", {"d": "1"}, start="two")
    results = replayed(repo, list(reversed(stack(repo, "one", "two", "three"))))
    assert {result.outcome for result in results.values()} == {"replayed"}
    assert subjects(repo, results["three"]) == ["one 0", "two 0", "two 1", "three 0"]
    assert repo.oid(f"{results['three'].new}~1") == results["two"].new
    assert repo.oid(f"{results['two'].new}~2") == results["one"].new


def test_a_stack_waits_for_the_branch_below(repo: Repo):
    branch(repo, "one", {"f": LINES.replace("3\n", "drei\n", 1)})
    branch(repo, "two", {"b": "1"}, start="one")
    branch(repo, "three", {"c": "1"}, start="two")
    branch(repo, "beside", {"d": "1"})
    results = replayed(repo, [*stack(repo, "one", "two", "three"), lane(repo, "beside")])
    assert [results[key].outcome for key in ("one", "two", "three", "beside")] == [
        "conflict", "parent-held", "parent-held", "replayed",
    ]  # fmt: skip


def test_a_stack_on_a_branch_that_stays(repo: Repo):
    branch(repo, "one", {"a": "1"}, start="main")
    branch(repo, "two", {"b": "1"}, start="one")
    results = replayed(repo, stack(repo, "one", "two"))
    assert [results[key].outcome for key in ("one", "two")] == ["up-to-date", "up-to-date"]
    assert results["two"].new == repo.oid("two")


def test_a_stack_on_a_branch_that_was_squashed(repo: Repo):
    branch(repo, "one", {"a": "1"}, {"a": "2"})
    branch(repo, "two", {"b": "1"}, start="one")
    repo.commit({"a": "2"}, "one (#1)")
    results = replayed(repo, stack(repo, "one", "two"))
    assert results["one"].outcome == "already-merged"
    assert (results["two"].outcome, subjects(repo, results["two"])) == ("replayed", ["two 0"])
    assert repo.oid(f"{results['two'].new}~1") == repo.oid("main")


def test_a_stacked_branch_that_is_squashed_into_the_one_below(repo: Repo):
    branch(repo, "one", {"a": "1"})
    branch(repo, "two", {"b": "1"}, {"b": "2"}, start="one")
    repo.git("checkout", "--quiet", "one")
    below = repo.commit({"b": "2"}, "two (#2)")
    repo.git("checkout", "--quiet", "main")
    lanes = [lane(repo, "one"), Lane("two", repo.oid("two"), repo.oid("one~1"), (
        repo.oid("two~1"), repo.oid("two")), onto_lane="one")]  # fmt: skip
    results = replayed(repo, lanes)
    assert below in [old for old, _ in results["one"].rewritten]
    assert (results["two"].outcome, results["two"].new) == ("already-merged", results["one"].new)


def test_stacked_on_nothing_or_in_a_ring_is_refused(repo: Repo):
    branch(repo, "one", {"a": "1"})
    ring = [replace(lane(repo, "one"), key=key, onto="", onto_lane=below) for key, below in ("ab", "ba")]
    for lanes in ([replace(ring[0], onto_lane="absent")], ring):
        with pytest.raises(ValueError, match="stacked"):
            replayed(repo, lanes)


def test_no_lanes(repo: Repo):
    assert replayed(repo, []) == {}


def test_a_dry_run_leaves_the_repository_as_it_was(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    before = {file: file.read_bytes() for file in repo.path.rglob("*") if file.is_file()}
    wanted = lane(repo, "topic")
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        assert replay(place, [wanted], committer=COMMITTER)["topic"].outcome == "replayed"
    assert {file: file.read_bytes() for file in repo.path.rglob("*") if file.is_file()} == before


def test_the_same_replay_gives_the_same_names(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    assert one(repo, "topic") == one(repo, "topic")


def test_attributes_are_those_of_the_base_and_not_of_the_worktree_at_hand(repo: Repo):
    repo.commit({"po/.gitattributes": "*.po merge=union\n", "po/x.po": "1\n"}, "union")
    repo.git("branch", "--force", "start")
    branch(repo, "topic", {"po/x.po": "1\ntopic\n"})
    repo.commit({"po/x.po": "1\nmain\n"})
    wanted = lane(repo, "topic")
    repo.git("checkout", "--quiet", "--detach", "start~2")
    result = replayed(repo, [wanted])["topic"]
    assert result.outcome == "replayed"
    assert repo.git("show", f"{result.new}:po/x.po") == "1\nmain\ntopic"


def test_attributes_that_the_branch_brings_hold_for_its_later_commits(repo: Repo):
    repo.commit({"po/x.po": "1\n", "po/y": "1\n"}, "both")
    repo.git("branch", "--force", "start")
    branch(repo, "brings", {"po/.gitattributes": "*.po merge=union\n"}, {"po/x.po": "1\ntopic\n"})
    branch(repo, "lacks", {"po/y": "2\n"}, {"po/x.po": "1\ntopic\n"})
    repo.commit({"po/x.po": "1\nmain\n"})
    results = replayed(repo, [lane(repo, "brings"), lane(repo, "lacks")])
    assert [results[key].outcome for key in ("brings", "lacks")] == ["replayed", "conflict"]


def test_merge_drivers_of_the_repository_do_not_run(repo: Repo):
    repo.commit({".gitattributes": "* merge=evil\n"})
    repo.git("branch", "--force", "start")
    branch(repo, "topic", {"g": "top\n" + LINES})
    repo.commit({"g": LINES + "end\n"})
    ran = repo.path / "ran"
    repo.git("config", "merge.evil.driver", f"touch {ran}; cat %B > %A")
    listed = config.parse(repo.git(*config.LISTING).encode())
    off = config.looking(config.Settings(listed))
    wanted = lane(repo, "topic")
    with quarantine(Git(repo.path, off), repo.path / ".git") as place:
        result = replay(place, [wanted], committer=COMMITTER)["topic"]
    assert result.outcome == "conflict"
    assert not ran.exists()


@pytest.fixture
def signer(repo: Repo) -> Path:
    """A stand-in for gpg that signs with a line."""
    program = repo.path / ".git/signer"
    program.write_text(
        "#!/bin/sh\ncat >/dev/null\nprintf '%s\\n' "
        "'-----BEGIN PGP SIGNATURE-----' '' signed '-----END PGP SIGNATURE-----'\n"
        "echo '[GNUPG:] SIG_CREATED ' >&2\n"
    )
    program.chmod(0o755)
    repo.git("config", "gpg.program", program)
    return program


def test_signed(repo: Repo, signer: Path):
    branch(repo, "topic", {"a": "1"}, {"b": "1"})
    branch(repo, "merges", {"f": LINES.replace("3\n", "drei\n", 1)})
    merge_in(repo, "merges", "main", {"f": "resolved\n"})
    repo.commit({"z": "1"})
    lanes = [lane(repo, "topic"), lane(repo, "merges")]
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        results = replay(place, lanes, committer=COMMITTER, sign=True)
        tips = [result.new for result in results.values() if result.new]
        place.keep(tips, [repo.oid("main")])
    assert [results[each.key].outcome for each in lanes] == ["replayed", "merged-base"]
    for oid in (tips[0], f"{tips[0]}~1", tips[1]):
        assert "gpgsig -----BEGIN" in repo.git("cat-file", "commit", oid)
    dates = "--format=%an %ae %ad %s %cn %cd"
    new = repo.git("log", "-1", "--date=raw", dates, tips[0])
    assert (
        new
        == repo.git("log", "-1", "--date=raw", "--format=%an %ae %ad %s", "topic") + " New 1800000000 +0000"
    )
    assert [old for old, _ in results["topic"].rewritten] == [repo.oid("topic~1"), repo.oid("topic")]


def test_a_signer_that_refuses_leaves_the_lane_unknown_and_those_above_it_held(repo: Repo, signer: Path):
    signer.write_text("#!/bin/sh\necho 'no pinentry' >&2\nexit 2\n")
    branch(repo, "one", {"a": "1"})
    branch(repo, "two", {"b": "1"}, start="one")
    branch(repo, "calm", {"c": "1"}, start="main")
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        lanes = [*stack(repo, "one", "two"), lane(repo, "calm")]
        results = replay(place, lanes, committer=COMMITTER, sign=True)
    assert [results[key].outcome for key in ("one", "two", "calm")] == [
        "unknown",
        "parent-held",
        "up-to-date",
    ]
    assert results["one"].message


def test_in_a_sha256_repository(tmp_path: Path):
    path = tmp_path / "repo"
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "--quiet", "--object-format=sha256")
    repo.commit({"f": LINES, "d/.gitattributes": "x -text\n"})
    repo.git("branch", "start")
    repo.commit({"g": "1"})
    branch(repo, "topic", {"a": "1"}, {"f": LINES + "end\n"})
    result = one(repo, "topic")
    assert result.outcome == "replayed"
    assert result.new is not None
    assert len(result.new) == 64
    assert subjects(repo, result) == ["topic 0", "topic 1"]
    assert repo.git("fsck", "--strict") is not None


def test_odd_paths(repo: Repo):
    odd = {b"-n\xff": "1", "new\nline": "1", 'quo"te': "1", " tab\there ": "1"}
    repo.commit(odd)
    repo.git("branch", "--force", "start")
    branch(repo, "topic", dict.fromkeys(odd, "topic"))
    repo.commit(dict.fromkeys(odd, "main"))
    result = one(repo, "topic")
    assert result.conflict is not None
    assert set(result.conflict.paths) == {"-n\udcff", "new\nline", 'quo"te', " tab\there "}


@pytest.mark.parametrize(
    ("ref", "into", "said"),
    [
        ("refs/heads/main", "topic", "Merge branch 'main' into topic\n"),
        ("refs/remotes/origin/main", "topic", "Merge remote-tracking branch 'origin/main' into topic\n"),
        ("1" * 40, "", f"Merge commit '{'1' * 40}'\n"),
    ],
)
def test_merge_messages_are_git_s(ref: str, into: str, said: str):
    assert merge_message(ref, into) == said


def test_a_committer_with_a_strange_name(repo: Repo):
    branch(repo, "topic", {"a": "1"})
    wanted = lane(repo, "topic")
    who = Signature("Evil <e>\nparent " + "1" * 40, "a\0b@x", 1, "+0000")
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        result = replay(place, [wanted], committer=who)["topic"]
        assert result.new is not None
        assert place.git.ok("fsck", "--strict", result.new)
