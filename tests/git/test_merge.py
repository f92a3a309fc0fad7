"""Many merges in one process: each answers for itself, and nothing that failed is taken for clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.errors import ProgramMissing
from raccord.git import merge as merging
from raccord.git.merge import Garbled, Merged, merge, parsed
from raccord.git.run import Git
from tests.gitkit import Files, Repo

TREE = "a" * 40


def clean(tree: str = TREE) -> bytes:
    return b"1\0%s\0\0" % tree.encode()


def conflict(paths: list[bytes], *messages: bytes) -> bytes:
    return b"0\0%s\0%s\0%s\0" % (TREE.encode(), b"".join(path + b"\0" for path in paths), b"".join(messages))


def test_reads_what_git_documents():
    said = b"2\0x y\0z\nz\0CONFLICT (rename/delete)\0CONFLICT (rename/delete): x y renamed\n\0"
    auto = b"1\0x\0Auto-merging\0Auto-merging x\n\0"
    answers = list(parsed(clean() + conflict([b"x y", b"\xff\nz"], auto, said) + clean("b" * 40)))
    assert [answer.state for answer in answers] == ["clean", "conflict", "clean"]
    assert answers[1].paths == ("x y", "\udcff\nz")
    assert answers[1].kinds == ("rename/delete",)
    assert answers[1].message == "CONFLICT (rename/delete): x y renamed"
    assert answers[2].tree == "b" * 40


def test_reads_the_advice_that_git_prints_in_place_of_the_end_of_a_record():
    said = b"1\0m\0CONFLICT (submodule not initialized)\0Failed to merge submodule m\n\0"
    record = conflict([b"m"], said)[:-1] + b"Recursive merging with submodules currently only...\n\0"
    assert [answer.state for answer in parsed(record + clean())] == ["conflict", "clean"]


def test_a_conflict_without_unmerged_paths_names_those_of_the_message():
    said = b"1\0d\0CONFLICT(directory rename unclear split\0CONFLICT (directory rename split): d\n\0"
    (answer,) = parsed(conflict([], said))
    assert (answer.paths, answer.kinds) == (("d",), ("directory rename unclear split",))


def test_output_that_is_cut_short_is_never_read():
    whole = conflict([b"p"], b"1\0p\0CONFLICT (contents)\0text\n\0")
    for end in range(1, len(whole)):
        with pytest.raises(Garbled):
            list(parsed(whole[:end]))


@pytest.mark.parametrize(
    "data", [b"-1\0%s\0\0" % TREE.encode(), b"2\0x\0\0", b"1\0%s\0more\0" % TREE.encode(), b"junk"]
)
def test_anything_else_is_never_read(data: bytes):
    with pytest.raises(Garbled):
        list(parsed(data))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo.init(tmp_path / "repo")
    repo.commit({"f": "1\n2\n3\n", "gone": "x\n" * 20})
    branches: dict[str, Files] = {
        "apart": {"new": "n"},
        "same": {"f": "1\n2\nthree\n"},
        "deletes": {"gone": None},
        "edits": {"gone": "x\n" * 20 + "y\n"},
    }
    for name, files in branches.items():
        repo.git("checkout", "--quiet", "-b", name, "main")
        repo.commit(files, name)
    repo.git("checkout", "--quiet", "main")
    repo.commit({"f": "1\n2\nTHREE\n"})
    return repo


def test_answers_come_in_order_and_alone(repo: Repo):
    oid = repo.oid
    pairs = [("main", "apart"), ("main", "same"), ("deletes", "edits"), ("apart", "apart")]
    answers = merge(Git(repo.path), [(oid(one), oid(two)) for one, two in pairs])
    assert [answer.state for answer in answers] == ["clean", "conflict", "conflict", "clean"]
    assert answers[1].paths == ("f",)
    assert answers[1].kinds == ("contents",)
    assert answers[2].kinds == ("modify/delete",)
    assert answers[3].tree == oid("apart^{tree}")
    assert repo.git("ls-tree", "--name-only", answers[0].tree).split() == ["f", "gone", "new"]


def test_a_merge_that_can_not_run_is_unknown_alone(repo: Repo):
    good = (repo.oid("main"), repo.oid("apart"))
    absent = (repo.oid("main"), "1" * 40)
    a_tree = (repo.oid("main"), repo.oid("main^{tree}"))
    answers = merge(Git(repo.path), [good, absent, good, good, a_tree, good, absent])
    assert [answer.state for answer in answers] == [
        "clean", "unknown", "clean", "clean", "unknown", "clean", "unknown",
    ]  # fmt: skip
    assert "1" * 40 in answers[1].message


def test_a_damaged_object_spoils_its_own_merge_only(repo: Repo):
    blob = repo.oid("edits:gone")
    file = repo.path / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"damage")
    # Both sides change the file, so that its content is read.
    repo.git("checkout", "--quiet", "-b", "edits-too", "main~1")
    repo.commit({"gone": "w\n" + "x\n" * 20})
    oid = repo.oid
    answers = merge(Git(repo.path), [(oid("main"), oid("apart")), (oid("edits-too"), oid("edits"))])
    assert [answer.state for answer in answers] == ["clean", "unknown"]


def test_fewer_answers_than_questions_are_unknown(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    real = merging.parsed
    monkeypatch.setattr(merging, "parsed", lambda data: list(real(data))[:-1])
    pair = (repo.oid("main"), repo.oid("apart"))
    assert [answer.state for answer in merge(Git(repo.path), [pair, pair])] == ["unknown", "unknown"]


def test_unrelated_histories_merge_with_an_empty_base(repo: Repo):
    repo.git("checkout", "--quiet", "--orphan", "other")
    repo.git("rm", "--quiet", "-rf", ".")
    other = repo.commit({"elsewhere": "e"})
    (answer,) = merge(Git(repo.path), [(repo.oid("main"), other)])
    assert repo.git("ls-tree", "--name-only", answer.tree).split() == ["elsewhere", "f", "gone"]


def test_no_questions_no_process(tmp_path: Path):
    assert merge(Git(tmp_path / "nowhere"), []) == []


def test_no_git_is_no_unknown(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProgramMissing):
        merge(Git(repo.path), [("1" * 40, "2" * 40)])


def test_answers_compare_by_value():
    assert list(parsed(clean())) == [Merged("clean", TREE)]
