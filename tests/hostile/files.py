"""Hostile files: links out of the tree, pipes, names with control characters, sizes, project files."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.gitkit import Repo, git
from tests.hostile.house import House, case

ESCAPE = "\x1b[31mred\x1b]0;title\x07\x9b2J"
NAMES = (
    b"\n", b"a\nb", b"\nraccord: all is well", b"\x1b[2J\x1b[31mred", b"\xff\xfe\x80", b"-rf", b"--help",
    b"$(touch x)", b"`touch x`", b";touch x", b"|x", b"*", b"?", b"[a]", b"\\", b'"', b"'", b" ",
    b"a\tb", b"\r", b"\x7f", b"\xe2\x80\xaetxt.exe", b"\xe2\x80\x8b", b"e\xcc\x81", b"\xc3\xa9", b"con",
    b"nul.txt", b"x" * 255, b"a.lock",
)  # fmt: skip
GIT_LIKE = (
    b".GIT",
    b".Git ",
    b"git~1",
    b".git.",
    b".git::$INDEX_ALLOCATION",
    b".g\xe2\x80\x8cit",
    b".git\\x",
    b"HEAD",
)


@case("status-json", "status", "sync-text", "snapshot", "restore")
def names_of_untracked_files(house: House) -> None:
    for name in NAMES:
        Path(os.fsdecode(os.path.join(os.fsencode(house.repo.path), name))).write_text("1")
    for name in GIT_LIKE:
        (house.agent.path / os.fsdecode(name)).mkdir()
        (house.agent.path / os.fsdecode(name) / "config").write_text(f"[core]\n\tfsmonitor = {house.trap}\n")


@case("status", "sync-text", "snapshot", "move", move=5)
def names_of_tracked_files(house: House) -> None:
    house.agent.commit({os.fsdecode(name): "1" for name in NAMES})
    on_main(house, {os.fsdecode(name) + "x" if len(name) < 255 else "x": "1" for name in NAMES})


@case("sync", "sync-text", long=True)
def names_of_conflicting_files(house: House) -> None:
    names = [os.fsdecode(name) for name in NAMES]
    on_main(house, dict.fromkeys(names, "theirs\n"))
    house.agent.commit(dict.fromkeys(names, "ours\n"))


def on_main(house: House, files: dict[str, str]) -> None:
    """Somebody else pushes files to main."""
    work = house.folder / "work"
    git(house.folder, "clone", "-q", house.folder / "remote.git", work)
    Repo(work).commit(files, "theirs")
    git(work, "push", "-q", "origin", "main")


def tree_on_main(house: House, entries: Sequence[tuple[str, str, bytes]]) -> None:
    """Somebody else pushes a tree to main that no git would make: (mode, name, content) at its top."""
    remote = house.folder / "remote.git"
    data = b""
    for mode, name, content in sorted(
        entries, key=lambda entry: entry[1] + ("/" if entry[0] == "40000" else "")
    ):
        if mode == "40000":
            blob = git(remote, "hash-object", "-w", "--stdin", input=content)
            inner = b"100755 pre-rebase\0" + bytes.fromhex(blob) + b""
            oid = git(remote, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", input=inner)
        else:
            oid = git(remote, "hash-object", "-w", "--stdin", input=content)
        data += f"{mode} {name}\0".encode() + bytes.fromhex(oid)
    tree = git(remote, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", input=data)
    commit = git(remote, "commit-tree", "-p", "main", "-m", ESCAPE, tree)
    git(remote, "update-ref", "refs/heads/main", commit)


@case("status", "sync", "move", sync=0, move=5)
def a_base_that_writes_into_git(house: House) -> None:
    house.repo.git("checkout", "-q", "--", ".")
    tree_on_main(house, [("40000", ".git", b"#!/bin/sh\n"), ("100644", "x", b"x")])


@case("status", "sync", "move", move=5)
def a_base_that_writes_into_git_by_other_names(house: House) -> None:
    house.repo.git("checkout", "-q", "--", ".")
    tree_on_main(
        house, [("40000", ".GIT", b"#!/bin/sh\n"), ("40000", "git~1", b"#!/bin/sh\n"), ("100644", "x", b"x")]
    )


@case("status", "sync", "move", move=5)
def a_base_that_writes_above(house: House) -> None:
    house.repo.git("checkout", "-q", "--", ".")
    tree_on_main(house, [("40000", "..", b"x"), ("100644", "x", b"x")])


@case("status", "sync", "move", move=5, long=True)
def a_base_with_a_slash_in_a_name(house: House) -> None:
    house.repo.git("checkout", "-q", "--", ".")
    tree_on_main(house, [("100644", "../outside/letter.txt", b"x"), ("100644", "/tmp/x", b"x")])


@case("status", "sync", "move", move=5, long=True)
def a_base_with_names_twice(house: House) -> None:
    house.repo.git("checkout", "-q", "--", ".")
    tree_on_main(
        house, [("120000", "d", str(house.outside).encode()), ("40000", "d", b"x"), ("100644", "x", b"x")]
    )


@case("status", "sync", "move", move=5)
def a_link_where_the_base_has_a_folder(house: House) -> None:
    """An untracked link leads out of the tree; the base would write through it."""
    on_main(house, {"d/letter.txt": "theirs\n"})
    (house.agent.path / "d").symlink_to(house.outside)
    house.repo.git("checkout", "-q", "--", ".")
    (house.repo.path / "d").symlink_to(house.outside)


@case("status", "sync", "move", move=5)
def a_hidden_link_where_the_base_has_a_folder(house: House) -> None:
    """The same, where the link is ignored, so that every worktree is clean."""
    on_main(house, {"d/letter.txt": "theirs\n"})
    info = house.git / "info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("d\nuntracked.txt\n")
    house.repo.git("checkout", "-q", "--", ".")
    for tree in (house.repo, house.agent):
        (tree.path / "d").symlink_to(house.outside)


@case("status", "sync", "snapshot", "restore", "move", move=5)
def links_out_of_the_tree(house: House) -> None:
    for name, target in (
        ("etc", "/etc"), ("up", ".."), ("self", "."), ("loop", "loop"), ("zero", "/dev/zero"),
        ("letter", str(house.outside / "letter.txt")), ("escape", ESCAPE), ("long", "x" * 4000),
    ):  # fmt: skip
        (house.agent.path / name).symlink_to(target)
    house.agent.git("add", ".")
    house.agent.commit(message="links")
    (house.repo.path / "f").unlink()
    (house.repo.path / "f").symlink_to(house.outside / "letter.txt")


@case()
def a_folder_that_became_a_link(house: House) -> None:
    house.agent.commit({"d/a": "1", "d/letter.txt": "1"})
    for name in ("a", "letter.txt"):
        (house.agent.path / "d" / name).unlink()
    (house.agent.path / "d").rmdir()
    (house.agent.path / "d").symlink_to(house.outside)


@case()
def pipes_and_sockets(house: House) -> None:
    for name in ("pipe", "d/pipe"):
        (house.repo.path / name).parent.mkdir(exist_ok=True)
        os.mkfifo(house.repo.path / name)
    (house.repo.path / "g").unlink()
    os.mkfifo(house.repo.path / "g")
    folder = os.open(house.repo.path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{folder}/socket")  # a socket's own name is short
    os.close(folder)


@case("status", "sync", "snapshot", "move", sync=0, every=5, status=0, says="is no file but a pipe")
def pipes_that_git_itself_would_open(house: House) -> None:
    os.mkfifo(house.agent.path / ".gitattributes")
    (house.repo.path / ".gitignore").unlink()
    os.mkfifo(house.repo.path / ".gitignore")


@case("status", "sync")
def a_large_file_of_nothing(house: House) -> None:
    with (house.repo.path / "large").open("wb") as file:
        file.truncate(100 * 1024 * 1024)


@case("status", "sync", "snapshot", "restore", long=True)
def a_large_file_that_is_kept(house: House) -> None:
    a_large_file_of_nothing(house)


@case("status", "sync", "snapshot", snapshot=5)
def very_long_names_and_deep_folders(house: House) -> None:
    where = os.open(house.repo.path, os.O_RDONLY)
    # By the name alone, no system call reaches it.
    for _ in range(24):
        os.mkdir("d" * 200, dir_fd=where)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=where)
        os.close(where)
        where = below
    os.close(os.open("n" * 255, os.O_CREAT | os.O_WRONLY, dir_fd=where))
    os.close(where)


@case("status", "sync", "snapshot", long=True)
def a_path_as_long_as_git_takes(house: House) -> None:
    length = 4000 - len(str(house.agent.path))
    folder = house.agent.path / "/".join(["d" * 250] * (length // 251))
    folder.mkdir(parents=True)
    (folder / "n").write_text("1")
    house.agent.git("add", ".")
    house.agent.commit(message="deep")


@case("status", "status-json", "sync", "snapshot", "restore", long=True)
def very_many_files(house: House) -> None:
    folder = house.repo.path / "many"
    folder.mkdir()
    for number in range(20_000):
        name = f"{number}{ESCAPE if not number % 1000 else ''}"
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


@case("status", "sync", "sync-text", "snapshot")
def an_embedded_repository_that_nobody_added(house: House) -> None:
    inner = house.repo.path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "config", "core.fsmonitor", str(house.trap))
    git(inner, "config", "core.worktree", str(house.outside))
    (inner / "f").write_text("1")


@case("status", "sync", "sync-text", "init")
def project_files_that_run(house: House) -> None:
    """Which tests there are is read, and not asked of make, npm or Python."""
    house.agent.commit(
        {
            "Makefile": f"X := $(shell {house.trap})\n-include {house.trap}\n{ESCAPE}:\n\n"
            f"test: $(shell {house.trap})\n\t{house.trap}\n",
            "conftest.py": f"import os; os.system('{house.trap}')\n",
            "setup.py": f"import os; os.system('{house.trap}')\n",
        }
    )
    house.at = house.agent.path


@case("status", "sync", "sync-text", "init")
def a_package_that_runs(house: House) -> None:
    scripts = {"preinstall": str(house.trap), "test": f"{house.trap} {ESCAPE}", "pretest": str(house.trap)}
    house.agent.commit(
        {
            "package.json": json.dumps({"name": ESCAPE, "scripts": scripts}),
            ".npmrc": f"node-options=--require={house.trap}\nscript-shell={house.trap}\n",
        }
    )
    house.at = house.agent.path


@case("status", "sync", "sync-text", "init", long=True)
def test_runners_of_the_tree(house: House) -> None:
    """Programs that lie in the tree are named in the plan, and not run."""
    venv = house.agent.path / ".venv/bin"
    venv.mkdir(parents=True)
    for name in ("python", "pytest", "git", "raccord"):
        (venv / name).symlink_to(house.trap.program)
        (house.agent.path / name).symlink_to(house.trap.program)
    house.agent.commit(
        {"pytest.ini": "[pytest]\naddopts = -p evil\n", "tests/test_x.py": "x\n", ".gitignore": "*\n"}
    )
    house.at = house.agent.path


@case("status", "sync", "init", long=True)
def project_files_that_are_huge_or_wild(house: House) -> None:
    house.agent.commit(
        {
            "package.json": "[" * 500_000,
            "tox.ini": "[pytest\n\x00\xff" + "[a]\n" * 10_000,
            "setup.cfg": "%(x)s = \n" * 1000,
        }
    )
    house.at = house.agent.path


@case("status", "sync", every=6, says="pyproject.toml: is too large")
def a_project_file_that_is_huge(house: House) -> None:
    """It may hold raccord's configuration."""
    house.repo.write("pyproject.toml", "[tool.x]\ny = '" + "v" * 10_000_000 + "'\n")
    (house.repo.path / "raccord.toml").unlink()


@case("status", "sync", "init")
def project_files_that_are_something_else(house: House) -> None:
    os.mkfifo(house.agent.path / "Makefile")
    (house.agent.path / "package.json").symlink_to("/dev/zero")
    (house.agent.path / "setup.cfg").mkdir()
    (house.agent.path / "tox.ini").symlink_to(house.outside / "letter.txt")
    (house.agent.path / "tests").symlink_to("/")
    (house.agent.path / "pytest.ini").symlink_to("pytest.ini")
    house.agent.write(".gitignore", "*\n")
    house.at = house.agent.path


@case("status", "sync", "sync-text")
def a_configuration_that_runs(house: House) -> None:
    text = json.dumps([[str(house.trap)], ["sh", "-c", str(house.trap)], [ESCAPE]])
    house.agent.commit({"raccord.toml": f"[gates]\ncommands = {text}\nsetup = {text}\n"})
    house.repo.write("raccord.toml", f"[gates]\ncommands = {text}\n")


@case("status", "sync", every=6, says="raccord.toml.*expected")
def a_configuration_of_control_characters(house: House) -> None:
    quoted = "".join(f"\\u{ord(char):04x}" for char in ESCAPE)
    house.repo.write("raccord.toml", f'[sync]\nbase = 1\n"{quoted}" = "{quoted}"\n')


@case("status", "sync", every=6, says="raccord.toml")
def a_configuration_that_is_other_peoples(house: House) -> None:
    (house.repo.path / "raccord.toml").unlink()
    (house.repo.path / "raccord.toml").symlink_to(house.outside / "letter.txt")


@case("status", "sync", every=6, says="not a regular file")
def a_configuration_that_is_a_pipe(house: House) -> None:
    (house.repo.path / "raccord.toml").unlink()
    os.mkfifo(house.repo.path / "raccord.toml")


@case("status", "sync", every=6, says="not a regular file|can't be read", long=True)
def a_configuration_that_is_a_folder(house: House) -> None:
    (house.repo.path / "raccord.toml").unlink()
    (house.repo.path / "raccord.toml").mkdir()


@case("status", "sync", every=6, says="not a regular file")
def a_configuration_without_end(house: House) -> None:
    (house.repo.path / "raccord.toml").unlink()
    (house.repo.path / "raccord.toml").symlink_to("/dev/zero")


@case("status", "sync", every=6, says="is too large", long=True)
def a_configuration_that_is_huge(house: House) -> None:
    with (house.repo.path / "raccord.toml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)


@case("status", "sync", every=6, says="nested too deeply|raccord.toml", long=True)
def a_configuration_that_is_deep(house: House) -> None:
    house.repo.write("raccord.toml", "x = " + "[" * 100_000 + "\n")
