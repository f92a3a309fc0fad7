"""Globs against git itself: what `git check-ignore` says of a `.gitignore` with the same lines."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raccord.model.globs import compiled, named

NAMES = st.text("aab-]^!.[\\", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
TOKENS = [
    "a",
    "b",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "[^b]",
    "[a-b]",
    "[b-a]",
    "[]a]",
    "[]-b]",
    "[a-]",
    "\\a",
    "\\*",
    "\\",
]
TOKENS += [
    "[[:alpha:]]",
    "[[:x:]]",
    "[[:a]",
    "[",
    "[\\]a]",
    "[a\\-b]",
    "-",
    "[[:alpha:]-b]",
    "[[:punct:]]",
    "[a/b]",
]
SEGMENTS = st.one_of(st.just("**"), st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4).map("".join))
PATTERNS = st.builds(
    lambda bang, root, body, end: bang + root + "/".join(body) + end,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    # git reads two stars within a name by chance of what precedes them; nobody writes that.
    st.lists(SEGMENTS.filter(lambda s: s == "**" or "**" not in s), min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
).filter(lambda pattern: "\\/" not in pattern)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("globs")
    subprocess.run(["git", "init", "-q", path], check=True)
    return path


def ignored(repo: Path, patterns: list[str], paths: list[str]) -> set[str]:
    """What git says."""
    (repo / ".gitignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=repo,
        input=os.fsencode("\0".join(paths)),
        capture_output=True,
    )
    assert asked.returncode in (0, 1), asked.stderr
    return set(os.fsdecode(asked.stdout).split("\0")) - {""}


@settings(max_examples=60)
@given(
    patterns=st.lists(PATTERNS, min_size=1, max_size=3),
    paths=st.lists(PATHS, min_size=20, max_size=40, unique=True),
)
def test_the_same_paths_as_git(repo: Path, patterns: list[str], paths: list[str]) -> None:
    assert {path for path in paths if named(patterns, path)} == ignored(repo, patterns, paths)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.lock", ["uv.lock", "a/b/uv.lock", "x\n.lock", "\udcff.lock"], ["uv.locks", "uv.lock2/a"]),
        ("/uv.lock", ["uv.lock"], ["a/uv.lock"]),
        ("requirements/*.txt", ["requirements/a.txt"], ["requirements/a/b.txt", "x/requirements/a.txt"]),
        ("**/out/*.xml", ["out/a.xml", "a/b/out/c.xml"], ["out/a/b.xml"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["az", "b/a/z"]),
        ("build/", ["build/x", "a/build/x/y"], ["build"]),
        ("out", ["out", "a/out", "out/deep/down"], ["outer"]),
        ("?.md", ["é.md"], [".md", "ab.md", "/.md"]),
        ("release/**", ["release/1", "release/1/2"], ["release"]),
        ("", [], ["", "a"]),
        ("[", [], ["[", "a"]),
    ],
)
def test_what_a_person_writes(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes + no if named([pattern], path)] == yes


def test_the_last_pattern_decides_but_not_below_a_named_directory() -> None:
    assert named(["*.log", "!keep.log"], "a.log")
    assert not named(["*.log", "!keep.log"], "keep.log")
    assert named(["out/", "!out/keep.log"], "out/keep.log")


def test_a_hostile_pattern_does_not_explode() -> None:
    since = time.perf_counter()
    assert not named(["*a" * 200 + "b"], "a" * 4000)
    assert not named(["**/a/" * 100 + "b"], "/".join("a" * 500))
    assert compiled("*" * 10_000) is not None
    assert time.perf_counter() - since < 1
