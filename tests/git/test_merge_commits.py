"""Commits as bytes: what moves changes tree, parents and committer, and loses nothing else but signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.git import commits
from raccord.git.commits import Signature
from raccord.git.run import Git
from tests.gitkit import Repo

WHO = Signature("New Name", "new@example.invalid", 1_800_000_000, "+0200")
SIGNED = b"""tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
parent 1111111111111111111111111111111111111111
author Jos\xe9 <j@example.invalid> 1600000000 -0130
committer Old <old@example.invalid> 1600000001 +0000
gpgsig -----BEGIN PGP SIGNATURE-----
 \n abc
 -----END PGP SIGNATURE-----
encoding ISO-8859-1
mergetag object 2222222222222222222222222222222222222222
 type commit
 \n gpgsig not this one
change-id kkkkkkkk

subject \xe9

tree of lines
parent that are no headers
\r\n\ttrailing  """


def test_moved_keeps_every_byte_but_what_went_stale():
    commit = commits.parsed("0" * 40, SIGNED)
    assert commit.parents == ("1" * 40,)
    assert commit.header(b"encoding") == b"ISO-8859-1"
    assert commit.message.endswith(b"\r\n\ttrailing  ")
    moved = commit.moved("3" * 40, ["4" * 40, "5" * 40], WHO)
    assert moved == b"\n".join(
        [
            b"tree " + b"3" * 40,
            b"parent " + b"4" * 40,
            b"parent " + b"5" * 40,
            b"author Jos\xe9 <j@example.invalid> 1600000000 -0130",
            b"committer New Name <new@example.invalid> 1800000000 +0200",
            b"encoding ISO-8859-1",
            b"change-id kkkkkkkk",
            b"",
            commit.message,
        ]
    )


def test_a_name_can_not_end_its_field():
    line = Signature("a<b>\nparent x\0", " e>\n", 5, "-0100").line()
    assert line == b"abparent x <e> 5 -0100"


def test_a_commit_without_a_message_or_author():
    commit = commits.parsed("0" * 40, b"tree " + b"1" * 40 + b"\n\n")
    assert (commit.headers, commit.message) == ((), b"")


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_git_reads_what_is_packed_and_the_names_agree(tmp_path: Path, object_format: str):
    repo = tmp_path / "repo"
    repo.mkdir()
    git = Git(repo)
    git.out("init", "--quiet", f"--object-format={object_format}", trusted=True)
    tree = git.line("mktree")
    # Sizes around those at which the size in a pack takes another byte.
    bodies = [commits.signed(tree, [], WHO, b"m" * size + b"\n") for size in (0, 1, 1800, 2048, 300_000)]
    git.out("index-pack", "--stdin", stdin=commits.pack(bodies))
    oids = [commits.oid_of(body) for body in bodies]
    found = commits.read(git, oids)
    assert [found[oid].message for oid in oids] == [commits.parsed("", body).message for body in bodies]
    assert git.ok("fsck", "--strict")


def test_reading_leaves_out_what_is_no_commit(tmp_path: Path):
    repo = Repo.init(tmp_path / "repo")
    good = repo.commit({"f": "x"})
    tree, absent = repo.oid("HEAD^{tree}"), "1" * 40
    assert set(commits.read(Git(repo.path), [absent, tree, good, absent, good])) == {good}
    assert commits.read(Git(repo.path), []) == {}


def test_a_damaged_commit_does_not_hide_the_others(tmp_path: Path):
    repo = Repo.init(tmp_path / "repo")
    oids = [repo.commit({"f": str(number)}) for number in range(5)]
    file = repo.path / ".git/objects" / oids[2][:2] / oids[2][2:]
    file.chmod(0o644)
    file.write_bytes(b"damage")
    assert set(commits.read(Git(repo.path), oids)) == {*oids} - {oids[2]}
