"""Files that raccord writes itself from their blobs are what a checkout by git would write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from raccord.errors import ProcessFailed
from raccord.git import follow, follow_shared
from raccord.git.config import Entry, Settings
from raccord.git.follow import Move
from raccord.git.follow_index import parse
from raccord.git.follow_shared import Shared
from raccord.git.refs import Change
from raccord.git.run import Git
from tests.git import followkit
from tests.gitkit import Repo

OLD = {"a.txt": "old\n", "d/b.txt": "old\n", "same.txt": "same\r\n"}
NEW = {"a.txt": "one\ntwo\n", "d/b.txt": "crlf\r\n$Id$\n", "d/new.txt": "né\n", "run.sh": "#!/bin/sh\n"}


def laid(tmp_path: Path, attributes: dict[str, str], config: dict[str, str]) -> tuple[Repo, Repo, Move]:
    main = Repo.init(tmp_path / "repo")
    for key, value in config.items():
        main.git("config", key, value.replace("HERE", str(tmp_path)))
    for path, text in attributes.items():
        if path.startswith("/"):
            (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path[1:]).write_text(text)
    main.git("config", "core.autocrlf", "false")  # while the history is made
    inside = {path: text for path, text in attributes.items() if not path.startswith("/")}
    old = main.commit({**OLD, **inside})
    (main.path / "run.sh").write_text("")
    (main.path / "run.sh").chmod(0o755)
    main.commit(
        {
            path: text.encode("utf-16-le") if "UTF-16" in str(inside) and path == "d/new.txt" else text
            for path, text in NEW.items()
        }
    )
    os.symlink("a.txt", main.path / "link")
    main.git("add", "link")
    new = main.commit()
    if "core.autocrlf" in config:
        main.git("config", "core.autocrlf", config["core.autocrlf"])
    else:
        main.git("config", "--unset", "core.autocrlf")
    tree = main.worktree("tree", "feature", old)
    gitdir = tree.git("rev-parse", "--absolute-git-dir")
    return main, tree, Move(str(tree.path), gitdir, old, new, (Change("refs/heads/feature", new, old),))


CASES: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "none": ({}, {}, True),
    "auto": ({".gitattributes": "* text=auto\n"}, {}, True),
    "binary": ({".gitattributes": "*.txt -text diff=x\n"}, {}, True),
    "eol": ({".gitattributes": "*.txt text eol=crlf\n"}, {}, False),
    "below": ({"d/.gitattributes": "*.txt text eol=crlf\n"}, {}, False),
    "elsewhere": ({"e/.gitattributes": "*.txt text eol=crlf\n"}, {}, True),
    "ident": ({".gitattributes": "*.txt ident\n"}, {}, False),
    "filter": (
        {".gitattributes": "*.txt filter=up\n"},
        {"filter.up.smudge": "tr a-z A-Z", "filter.up.clean": "tr A-Z a-z"},
        False,
    ),
    "encoding": ({".gitattributes": "d/new.txt text working-tree-encoding=UTF-16LE\n"}, {}, False),
    "info": ({"/repo/.git/info/attributes": "*.txt text eol=crlf\n"}, {}, False),
    "user": ({"/mine": "*.txt text eol=crlf\n"}, {"core.attributesFile": "HERE/mine"}, False),
    "autocrlf": ({}, {"core.autocrlf": "true"}, False),
    "input": ({}, {"core.autocrlf": "input"}, True),
    "core.eol": ({".gitattributes": "* text=auto\n"}, {"core.eol": "crlf"}, False),
    "links": ({}, {"core.symlinks": "false"}, False),
}


@pytest.mark.parametrize("name", CASES)
def test_files_are_those_of_a_checkout_by_git(tmp_path, monkeypatch, name):
    attributes, config, literal = CASES[name]
    main, tree, move = laid(tmp_path, attributes, config)
    shared = followkit.shared(Git(tree.path))
    asked: list[bool] = []
    real = Shared.literal

    def told(*args) -> bool:
        asked.append(real(*args))
        return asked[-1]

    monkeypatch.setattr(Shared, "literal", told)
    follow.apply(Git(tree.path), move, "run", "lane", shared, trusted=True)
    assert asked == [literal], "whether it wrote the files itself"
    twin = main.worktree("twin", "twin", move.new)
    assert followkit.files(tree.path) == followkit.files(twin.path)
    assert tree.git("status", "--porcelain") == ""


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_are_those_of_a_checkout_by_git(tmp_path, umask):
    main, tree, move = laid(tmp_path, {}, {})
    before = os.umask(umask)
    try:
        follow.apply(Git(tree.path), move, "run", "lane", Shared(Settings()))
        twin = main.worktree("twin", "twin", move.new)
    finally:
        os.umask(before)
    for name in NEW:
        modes = [stat.S_IMODE((repo.path / name).lstat().st_mode) for repo in (tree, twin)]
        assert modes[0] == modes[1], name


def test_what_is_too_large_to_keep_is_written_by_git(tmp_path, monkeypatch):
    main, tree, move = laid(tmp_path, {}, {})
    monkeypatch.setattr(follow_shared, "KEPT_EACH", 10)
    follow.apply(Git(tree.path), move, "run", "lane", Shared(Settings()))
    twin = main.worktree("twin", "twin", move.new)
    assert followkit.files(tree.path) == followkit.files(twin.path)


def test_contents_are_read_once_and_only_so_many_are_kept(tmp_path, monkeypatch):
    repo = Repo.init(tmp_path / "repo")
    blobs = [repo.git("hash-object", "-w", "--stdin", input="x" * n) for n in (0, 1, 30, 31)]
    git = Git(repo.path)
    monkeypatch.setattr(follow_shared, "KEPT_BYTES", 35)
    shared = Shared(Settings())
    found = shared.contents(git, blobs)
    assert 3 <= len(found) <= 4 and all(data == b"x" * len(data) for data in found.values())
    assert sum(map(len, found.values())) <= 35
    nowhere = git.at(tmp_path)  # no repository: what is answered was kept
    assert shared.contents(nowhere, list(found)) == found
    with pytest.raises(ProcessFailed):
        shared.contents(nowhere, [*blobs, "1" * 40])
    assert shared.contents(git, ["1" * 40, repo.git("write-tree")]) == {}


def test_differences_that_are_expected_are_read_together(tmp_path):
    repo = Repo.init(tmp_path / "repo")
    ids = [repo.commit({"file": str(n)}) for n in range(4)]
    git, shared = Git(repo.path), Shared(Settings())
    shared.expect([(ids[0], new) for new in ids])
    first = shared.differences(git, ids[0], ids[1])
    assert [delta.path for delta in first] == ["file"]
    nowhere = git.at(tmp_path)
    assert shared.differences(nowhere, ids[0], ids[0]) == []
    assert [delta.new for delta in shared.differences(nowhere, ids[0], ids[3])] == [repo.oid("HEAD:file")]
    with pytest.raises(ProcessFailed):
        shared.differences(nowhere, ids[1], ids[2])


def test_one_that_is_damaged_spoils_no_other(tmp_path):
    repo = Repo.init(tmp_path / "repo")
    ids = [repo.commit({"file": str(n)}) for n in range(3)]
    git, shared = Git(repo.path), Shared(Settings())
    shared.expect([(ids[0], "1" * 40), (ids[0], ids[1])])
    assert len(shared.differences(git, ids[0], ids[1])) == 1
    with pytest.raises(ProcessFailed):
        shared.differences(git, ids[0], "1" * 40)


@pytest.mark.parametrize(
    ("key", "value", "literal"),
    [
        ("core.autocrlf", "TRUE", False),
        ("core.autocrlf", "False", True),
        ("core.sparsecheckout", "true", False),
        ("includeif.onbranch:x.path", "y", False),
        ("includeif.gitdir:/home/me/work/.path", "y", True),
        ("includeif.gitdir:**/worktrees/x.path", "y", False),
        ("user.name", "true", True),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_settings_decide_for_all_worktrees(tmp_path, key, value, literal, elsewhere):
    repo = Repo.init(tmp_path / "repo")
    repo.commit({"file": "x"})
    entries = (Entry("local", "file:x", key, value),)
    known = Settings((), entries) if elsewhere else Settings(entries)
    index = parse((repo.path / ".git/index").read_bytes(), 20)
    assert Shared(known).literal(Git(repo.path), index, ["file"]) is literal
