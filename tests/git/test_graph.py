"""What the graph answers in memory is what git answers, on generated histories with merges."""

import itertools
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.git.graph import Graph, graph
from raccord.git.repo import open_repository
from raccord.git.run import Git
from tests.git.traps import spawns
from tests.gitkit import Repo, git


def history(repo: Repo, parents: list[tuple[int, ...]], dates: list[int] | None = None) -> list[str]:
    """Makes commits from the numbers of their parents, in one process; their ids."""
    script = []
    for number, above in enumerate(parents):
        date = 1_700_000_000 + 60 * (dates[number] if dates else number)
        script += [
            f"commit refs/made/{number}",
            f"mark :{number + 1}",
            f"committer T <t@example.invalid> {date} +0000",
            f"data {len(str(number))}",
            str(number),
            # fast-import would go on from the ref: each commit says its parents
            *(f"{'merge' if place else 'from'} :{parent + 1}" for place, parent in enumerate(above)),
            f"M 100644 inline f{number}",
            f"data {len(str(number))}",
            str(number),
            "",
        ]
    repo.git("fast-import", "--quiet", "--export-marks=marks", input="\n".join(script) + "\n")
    marks = dict(line.split() for line in (repo.path / "marks").read_text().splitlines())
    return [marks[f":{number + 1}"] for number in range(len(parents))]


def agrees(repo: Repo, found: Graph) -> None:
    """Compares every answer about every pair of tips with git's own."""
    for one, other in itertools.product(found.tips, repeat=2):
        listed = repo.git("rev-list", "--topo-order", "--reverse", other, f"^{one}").split()
        assert found.picks(one, other) == tuple(listed)
        assert found.ahead(one, other) == len(listed)
        assert found.behind(other, one) == len(listed)
        assert found.is_ancestor(other, one) == (not listed)
        assert set(found.merge_bases(one, other) or ()) == set(
            repo.git("merge-base", "--all", one, other, check=False).split()
        )


@pytest.fixture
def repo(tmp_path):
    return Repo.init(tmp_path / "repo")


def opened(repo: Repo) -> Git:
    return open_repository(repo.path).git


def test_branches_of_different_age(repo):
    #       0 - 1 - 2 - 3 - 4      main
    #        \       \- 5 - 6
    #         \- 7
    oids = history(repo, [(), (0,), (1,), (2,), (3,), (2,), (5,), (0,)])
    main, young, old = oids[4], oids[6], oids[7]
    found = graph(opened(repo), [main, young, old, oids[1]])
    assert found.picks(main, young) == (oids[5], oids[6])
    assert (found.ahead(main, old), found.behind(main, old)) == (1, 4)
    assert found.merge_bases(main, young) == (oids[2],)
    assert found.is_ancestor(oids[1], young)
    agrees(repo, found)


def test_criss_cross(repo):
    oids = history(repo, [(), (0,), (0,), (1, 2), (2, 1)])
    found = graph(opened(repo), oids[3:])
    assert set(found.merge_bases(*oids[3:]) or ()) == {oids[1], oids[2]}
    agrees(repo, found)


def test_unrelated_histories(repo):
    oids = history(repo, [(), (0,), (), (2,)])
    found = graph(opened(repo), [oids[1], oids[3]])
    assert found.merge_bases(oids[1], oids[3]) == ()
    assert found.ahead(oids[1], oids[3]) == 2
    assert found.is_ancestor(oids[1], oids[3]) is False
    agrees(repo, found)


def test_one_tip_none_and_the_same_twice(repo):
    oids = history(repo, [(), (0,)])
    assert graph(opened(repo), []).tips == ()
    found = graph(opened(repo), [oids[1], oids[1]])
    assert found.picks(oids[1], oids[1]) == ()
    assert found.merge_bases(oids[1], oids[1]) == (oids[1],)
    assert found.is_ancestor(oids[1], oids[1])
    with pytest.raises(KeyError):
        found.ahead(oids[1], oids[0])


SHAPES = st.integers(0, 2**32).map(random.Random)


def any_history(folder: Path, chance: random.Random, size: int) -> None:
    """Compares with git on a made-up history of merges, roots and clocks that go wrong."""
    repo = Repo.init(folder)
    parents: list[tuple[int, ...]] = []
    for number in range(size):
        count = chance.choice([0, 1, 1, 1, 1, 2, 2, 3]) if number else 0
        parents.append(tuple(chance.sample(range(number), min(count, number))))
    dates = [chance.randrange(size) for _ in range(size)]  # clocks of other machines
    oids = history(repo, parents, dates)
    agrees(repo, graph(opened(repo), chance.sample(oids, min(size, chance.randint(1, 4)))))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=SHAPES, size=st.integers(2, 14))
def test_any_history(tmp_path_factory, chance, size):
    any_history(tmp_path_factory.mktemp("any"), chance, size)


@pytest.mark.long
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=SHAPES, size=st.integers(2, 30))
def test_any_longer_history(tmp_path_factory, chance, size):
    any_history(tmp_path_factory.mktemp("any"), chance, size)


def test_two_spawns_for_many_branches(repo, monkeypatch):
    oids = history(repo, [(), *[(number // 2,) for number in range(60)]])
    git_here = opened(repo)
    calls = spawns(monkeypatch)
    found = graph(git_here, oids)
    assert all(found.ahead(oids[0], tip) is not None for tip in oids)
    assert len(calls) == 2


def test_a_lost_tip_leaves_the_others_known(repo):
    oids = history(repo, [(), (0,), (0,)])
    lost, blob = "1" * 40, repo.git("hash-object", "-w", "--stdin", input="x")
    found = graph(opened(repo), [oids[1], lost, oids[2], blob])
    assert found.missing == {lost, blob}
    assert found.ahead(oids[1], oids[2]) == 1
    assert found.ahead(oids[1], lost) is None
    assert found.picks(blob, oids[1]) is None
    assert found.merge_bases(lost, lost) is None
    assert found.is_ancestor(lost, oids[1]) is None
    assert graph(opened(repo), [lost]).ahead(lost, lost) is None


@pytest.fixture
def shallow(repo, tmp_path):
    #   0 - 1 - 2 - 3 - 4    main
    #            \- 5 - 6    topic
    #    \- 7                old
    oids = history(repo, [(), (0,), (1,), (2,), (3,), (2,), (5,), (0,)])
    for name, number in (("main", 4), ("topic", 6), ("old", 7)):
        repo.git("update-ref", f"refs/heads/{name}", oids[number])
    git(tmp_path, "clone", "--quiet", "--no-single-branch", "--depth=3", f"file://{repo.path}", "shallow")
    return oids, Repo(tmp_path / "shallow")


def test_where_history_is_cut_nobody_knows(shallow):
    oids, clone = shallow
    main, topic, old = oids[4], oids[6], oids[7]
    found = graph(opened(clone), [main, topic, old])
    assert found.cut
    # The fork of main and topic is within what was cloned.
    assert found.ahead(main, topic) == 2
    assert found.merge_bases(main, topic) == (oids[2],)
    assert found.picks(main, topic) == (oids[5], oids[6])
    # That of main and old is not.
    assert found.ahead(main, old) is None
    assert found.picks(main, old) is None
    assert found.merge_bases(main, old) is None
    assert found.is_ancestor(old, main) is None


def test_a_new_branch_in_a_shallow_clone_is_known(shallow):
    oids, clone = shallow
    clone.git("switch", "--quiet", "main")
    new = clone.commit({"new": "1"})
    found = graph(opened(clone), [oids[4], new])
    assert not found.cut
    assert found.picks(oids[4], new) == (new,)
    assert found.behind(oids[4], new) == 0


def test_in_a_linked_worktree_and_a_bare_repository(shallow, tmp_path):
    oids, clone = shallow
    linked = clone.worktree(tmp_path / "linked", "mine")
    assert graph(opened(linked), [oids[4], oids[7]]).cut
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=1", f"file://{clone.path}", "bare.git")
    bare = Repo(tmp_path / "bare.git")
    assert os.path.exists(bare.path / "shallow")
    tip, other = bare.oid("HEAD"), bare.git("commit-tree", "-m", "x", "HEAD^{tree}")
    assert graph(opened(bare), [tip, other]).ahead(other, tip) is None
