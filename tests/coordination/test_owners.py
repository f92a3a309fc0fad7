"""Who made a change: named where all that is known agrees, unknown else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.coordination.owners import AGENTS, Credit, Evidence, agent, owner
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
        ("claude/x", Evidence(committed=[Credit(1, ["Ada <a@b>"])]), ("Ada", "commit")),
        ("topic", Evidence(committed=[Credit(1, [CLAUDE])]), ("claude-code", "commit")),
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


def commit(place: Path, who: str, text: str, *trailers: str, path: str = "AGENTS.md") -> None:
    """A commit of a content by somebody."""
    (place / path).write_text(text)
    name = ["-c", f"user.name={who}", "-c", f"user.email={who.lower()}@b"]
    said = "note\n\n" + "\n".join(f"Co-Authored-By: {one} <x@example.org>" for one in trailers)
    for words in (["add", path], ["commit", "-qm", said]):
        subprocess.run(["git", *name, *words], cwd=place, check=True)


def pulled(repo: Repo, work) -> dict[str, tuple[str, str]]:
    """Who is said to have changed what comes to a worktree by a merge of what others committed elsewhere."""
    mine, theirs = tree(repo, "codex-1", "mine"), tree(repo, "elsewhere", "theirs")
    work(theirs)

    def merge():
        subprocess.run(["git", "merge", "-q", "--ff-only", "theirs"], cwd=mine, check=True)

    return {path: who for (name, path), who in seen(repo, merge).items() if name == "codex-1"}


def test_a_pull_brings_the_lines_of_those_who_wrote_them(repo):
    def work(theirs: Path) -> None:
        commit(theirs, "Ada", "start\none\ntwo\nthree\n")
        commit(theirs, "Bob", "start\none\ntwo\nthree\nfour\n", "Gemini")
        commit(theirs, "Bob", "start\nx\n", path="ROADMAP.md")

    assert pulled(repo, work) == {
        "AGENTS.md": ("Ada", "commit; also gemini 1"),
        "ROADMAP.md": ("Bob", "commit"),
    }


def test_of_halves_nobody_is_named_and_a_trailer_of_a_person_is_not_the_author(repo):
    def work(theirs: Path) -> None:
        commit(theirs, "Ada", "start\none\n")
        commit(theirs, "Bob", "start\none\ntwo\n")
        commit(theirs, "Ada", "start\nx\n", "Bob", path="ROADMAP.md")

    assert pulled(repo, work) == {
        "AGENTS.md": ("unknown", "commits: Ada 1, Bob 1"),
        "ROADMAP.md": ("Ada", "commit"),
    }


def test_what_a_commit_takes_away_or_names_anew_is_its_authors(repo):
    def work(theirs: Path) -> None:
        commit(theirs, "Bob", "\n")
        (theirs / "docs").mkdir()
        (theirs / "ROADMAP.md").rename(theirs / "docs" / "passation.md")
        subprocess.run(["git", "add", "-A"], cwd=theirs, check=True)
        commit(theirs, "Claude", "start\n", path="docs/passation.md")

    assert pulled(repo, work) == {
        "AGENTS.md": ("Bob", "commit"),
        "docs/passation.md": ("claude-code", "commit"),
    }


def test_a_commit_that_came_while_nobody_watched_is_known_and_an_edit_is_none(repo):
    place = tree(repo, "codex-1", "mine")
    with Workspace.open(repo.path) as workspace:
        keeper = workspace.coordination.watching().keeper
        keeper.look()
        commit(place, "Ada", "of Ada\n")
        old = time.time() - 3600
        gitdir = Path(repo.git("-C", str(place), "rev-parse", "--absolute-git-dir").strip())
        for path in [*gitdir.glob("*"), *gitdir.glob("logs/*")]:
            os.utime(path, (old, old))
        with keeper.ledger._store.transaction() as db:
            db.execute("update watched set seen = ?", (old - 3600,))
        found = {(one.path, one.owner) for one in keeper.look() if one.root == str(place)}
        assert found == {("AGENTS.md", "Ada")}
        (place / "AGENTS.md").write_text("of codex\n")
        (place / "ROADMAP.md").unlink()
        assert {(one.path, one.owner) for one in keeper.look()} == {
            ("AGENTS.md", "codex-local"),
            ("ROADMAP.md", "codex-local"),
        }


def test_a_file_that_a_commit_deletes_went_by_its_author(repo):
    def work(theirs: Path) -> None:
        subprocess.run(["git", "rm", "-q", "ROADMAP.md"], cwd=theirs, check=True)
        commit(theirs, "Ada", "start\nmore\n")

    assert pulled(repo, work)["ROADMAP.md"] == ("Ada", "commit")
