"""Who made a change: named where all that is known agrees, unknown else."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.coordination.owners import AGENTS, Evidence, agent, owner
from raccord.model.coordination import Root
from raccord.workspace import Workspace
from tests.gitkit import Repo

CLAUDE = "Claude <noreply@example.org>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("claude", "claude-code"),
        ("feature/claude-login", "claude-code"),
        ("codex-cloud-7", "codex-cloud"),
        ("codex_2", "codex-local"),
        ("Gemini", "gemini"),
        ("claudette", ""),
        ("main", ""),
        ("claude-vs-codex", ""),
        (CLAUDE, "claude-code"),
        ("", ""),
    ],
)
def test_a_name_names_one_agent_or_none(text, expected):
    assert agent(text, AGENTS) == expected


@pytest.mark.parametrize(
    ("branch", "evidence", "expected"),
    [
        ("claude/x", Evidence(), ("claude-code", "name")),
        ("topic", Evidence(programs=["node", "claude"]), ("claude-code", "process")),
        ("claude/x", Evidence(programs=["claude", "bash"]), ("claude-code", "process")),
        ("claude/x", Evidence(programs=["gemini"]), ("unknown", "several")),
        ("topic", Evidence(programs=["claude", "codex"]), ("unknown", "several")),
        ("claude/x", Evidence(programs=["vim"], person="Ada"), ("unknown", "several")),
        ("topic", Evidence(programs=["vim"], person="Ada"), ("Ada", "process")),
        ("topic", Evidence(commits=[CLAUDE]), ("claude-code", "commits")),
        ("topic", Evidence(commits=[CLAUDE, "Ada <a@b>"]), ("unknown", "")),
        ("topic", Evidence(programs=["bash"]), ("unknown", "")),
        ("claude/x", Evidence(committed="Ada <a@b>"), ("Ada", "commit")),
        ("topic", Evidence(committed=CLAUDE), ("claude-code", "commit")),
    ],
)
def test_a_name_is_given_where_all_agrees(branch, evidence, expected):
    assert owner(Root("/w/tree", "tree", branch), evidence, {}, AGENTS) == expected


def test_the_configuration_decides_over_names():
    root = Root("/w/claude-1", "claude-1", "claude/x")
    for pattern in ("claude-*", "/w/*", "claude/*"):
        assert owner(root, Evidence(), {pattern: "Ada"}, AGENTS) == ("Ada", "configured")


@contextlib.contextmanager
def at_work(name: str, place: Path) -> Iterator[None]:
    """A program of that name in a worktree."""
    words = ["bash", "-c", f"exec -a {name} sleep 60"]
    child = subprocess.Popen(words, cwd=place)
    try:
        yield
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "main")
    made.commit({"AGENTS.md": "start\n", "ROADMAP.md": "start\n"}, "start")
    return made


def tree(repo: Repo, name: str, branch: str) -> Path:
    place = repo.path.parent / name
    repo.git("worktree", "add", "-q", "-b", branch, str(place))
    return place


def seen(repo: Repo, work) -> dict[tuple[str, str], tuple[str, str]]:
    """Who is said to have done what a piece of work does."""
    with Workspace.open(repo.path) as workspace:
        keeper = workspace.coordination.watching().keeper
        keeper.look()
        work()
        return {(Path(one.root).name, one.path): (one.owner, one.how) for one in keeper.look()}


def test_uncommitted_changes_are_their_worktrees_agents(repo):
    trees = [
        tree(repo, "claude-1", "a"),
        tree(repo, "w2", "codex/b"),
        tree(repo, "w3", "c"),
        tree(repo, "w4", "d"),
    ]

    def work():
        for one in trees:
            (one / "AGENTS.md").write_text(f"of {one.name}")

    with at_work("gemini", trees[2]), at_work("claude", trees[3]), at_work("codex", trees[3]):
        found = seen(repo, work)
    assert found == {
        ("claude-1", "AGENTS.md"): ("claude-code", "name"),
        ("w2", "AGENTS.md"): ("codex-local", "name"),
        ("w3", "AGENTS.md"): ("gemini", "process"),
        ("w4", "AGENTS.md"): ("unknown", "several"),
    }


def test_a_content_that_comes_with_a_commit_is_its_authors(repo):
    place = tree(repo, "claude-1", "claude/a")

    def work():
        (place / "AGENTS.md").write_text("of Ada\n")
        body = "note\n\nCo-Authored-By: Codex <codex@example.org>"
        environment = ["-c", "user.name=Ada", "-c", "user.email=a@b"]
        subprocess.run(["git", *environment, "commit", "-qam", "plain"], cwd=place, check=True)
        (place / "ROADMAP.md").write_text("of Codex\n")
        subprocess.run(["git", *environment, "commit", "-qam", body], cwd=place, check=True)

    assert seen(repo, work) == {
        ("claude-1", "AGENTS.md"): ("Ada", "commit"),
        ("claude-1", "ROADMAP.md"): ("codex-local", "commit"),
    }


def test_a_branch_whose_commits_name_one_agent_is_its(repo):
    place = tree(repo, "w1", "topic")
    environment = ["-c", "user.name=Claude", "-c", "user.email=noreply@example.org"]
    subprocess.run(["git", *environment, "commit", "-q", "--allow-empty", "-m", "x"], cwd=place, check=True)
    assert seen(repo, lambda: (place / "AGENTS.md").write_text("mine")) == {
        ("w1", "AGENTS.md"): ("claude-code", "commits")
    }


def test_of_many_worktrees_nearly_all_are_named_and_none_wrongly(repo):
    """Agents alone, two in one worktree, and people, in 40 worktrees."""
    possible: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        trees = []
        for number in range(40):
            word, name = [("claude", "claude-code"), ("codex", "codex-local"), ("gemini", "gemini")][
                number % 3
            ]
            way = number % 5
            place = tree(
                repo,
                f"{word}-{number}" if way == 0 else f"w{number}",
                f"{word}/t{number}" if way == 1 else f"t{number}",
            )
            trees.append(place)
            if way == 2:
                stack.enter_context(at_work(word, place))
            if way == 3 and number % 2:
                stack.enter_context(at_work("claude", place))
                stack.enter_context(at_work("gemini", place))
            elif way == 3:
                stack.enter_context(at_work("vim", place))
                repo.git("config", "user.name", "Ada")
                possible[place.name] = "Ada"
            if way in (0, 1, 2):
                possible[place.name] = name

        def work():
            for place in trees:
                (place / "AGENTS.md").write_text(place.name)

        found = {name: who for (name, _), (who, _) in seen(repo, work).items()}
    assert len(found) == 40
    named = {name: who for name, who in found.items() if who != "unknown"}
    assert sum(named.get(name) == who for name, who in possible.items()) >= 0.95 * len(possible)
    assert all(possible.get(name) == who for name, who in named.items())
