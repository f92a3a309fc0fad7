"""Hostile git directories: refs, links between repositories, broken or foreign files of git's own."""

from __future__ import annotations

import os
import shutil

from tests.git.traps import alternate, hook, plain, touch
from tests.gitkit import Repo, git
from tests.hostile.house import House, case

STATUS = ["status", "--porcelain"]
ESCAPE = b"\x1b[31mred\x07"


def foreign(house: House) -> Repo:
    """Somebody else's repository, armed."""
    repo = plain(Repo.init(house.outside / "other"))
    repo.git("config", "core.fsmonitor", str(house.trap))
    repo.git("config", "filter.evil.clean", str(house.trap))
    repo.write(".gitattributes", "* filter=evil\n")
    for name in ("reference-transaction", "post-index-change"):
        hook(repo, name, house.trap)
    touch(repo.path / "f")
    return repo


def bare(house: House) -> Repo:
    """A bare repository that came with the files of a clone."""
    inner = Repo.init(house.repo.path / "inner", bare=True)
    inner.git("config", "core.fsmonitor", str(house.trap))
    return inner


@case("status", "sync", "snapshot", "log", "init", every=6, says="bare repository inside the worktree")
def inside_an_embedded_bare_repository(house: House) -> None:
    house.at = bare(house).path


@case("status", "sync", every=6, says="bare repository inside the worktree", long=True)
def below_an_embedded_bare_repository(house: House) -> None:
    house.at = bare(house).path / "refs"


@case("status", "sync", "snapshot", "log", every=6, says="does not lead back")
def inside_an_embedded_repository_that_has_a_worktree(house: House) -> list[str]:
    inner = bare(house)
    inner.git("config", "core.bare", "false")
    inner.git("config", "core.worktree", "..")
    house.at = inner.path
    return ["-C", "inner", *STATUS]


@case()
def beside_an_embedded_bare_repository(house: House) -> None:
    inner = bare(house)
    inner.git("config", "core.bare", "false")
    inner.git("config", "core.worktree", str(house.outside))


@case("status", "sync", "init")
def inside_a_folder_that_is_no_repository(house: House) -> None:
    folder = house.repo.path / "sub"
    folder.mkdir()
    for name in ("objects", "refs", "hooks"):
        (folder / name).mkdir()
    (folder / "config").write_text(f"[core]\n\tfsmonitor = {house.trap}\n")
    house.at = folder


@case("status", "sync", "snapshot")
def a_git_folder_that_is_a_link(house: House) -> None:
    (house.git).rename(house.folder / "real.git")
    house.git.symlink_to(house.folder / "real.git")


@case("status", "sync", every=6)
def a_git_file_that_leads_nowhere(house: House) -> None:
    (house.agent.path / ".git").write_text("gitdir: /nonexistent/\x1b[31mred\n")
    house.at = house.agent.path


@case("status", "sync", every=6, long=True)
def a_git_file_that_is_garbage(house: House) -> None:
    (house.agent.path / ".git").write_bytes(b"\0\xff" + ESCAPE * 1000)
    house.at = house.agent.path


@case("status", "sync", "snapshot")
def a_git_file_that_leads_to_another_repository(house: House) -> None:
    """As git takes it, and a submodule has it: that repository is looked at, and stays unarmed."""
    other = foreign(house)
    (house.agent.path / ".git").write_text(f"gitdir: {other.path}/.git\n")
    house.at = house.agent.path


@case("status", "sync", "snapshot", "move", sync=0, snapshot=5, move=5)
def a_worktree_that_is_other_peoples(house: House) -> list[str]:
    other = foreign(house)
    (house.git / "worktrees/agent/gitdir").write_text(f"{other.path}/.git\n")
    return ["-C", str(other.path), *STATUS]


@case("status", "sync", "snapshot", "move", sync=0, snapshot=5, move=5)
def a_worktree_of_other_peoples_settings(house: House) -> None:
    other = foreign(house)
    (house.git / "worktrees/agent/commondir").write_text(f"{other.path}/.git\n")


@case("status", "sync", "snapshot", snapshot=5)
def a_worktree_in_the_system(house: House) -> None:
    (house.git / "worktrees/agent/gitdir").write_text("/etc/.git\n")


@case("status", "sync", "snapshot", "log", snapshot=5)
def worktrees_that_are_garbage(house: House) -> None:
    root = house.git / "worktrees"
    (root / "file").write_text("x")
    (root / "empty").mkdir()
    (root / "link").symlink_to(house.outside)
    for number, text in enumerate(
        (b"", b"\0", b"\n\n", ESCAPE, b"-rf/.git\n", b"../../../../outside/.git\n", b"x" * 9000)
    ):
        folder = root / f"bad{number}"
        folder.mkdir()
        (folder / "gitdir").write_bytes(text)
        (folder / "HEAD").write_bytes(text)
        (folder / "commondir").write_bytes(b"../..\n")
        (folder / "locked").write_bytes(ESCAPE)


def on_branch(house: House, name: str) -> None:
    """Puts the other worktree on a branch of this name, however git would call it."""
    house.repo.git("update-ref", f"refs/heads/{name}", house.agent.oid())
    house.agent.git("symbolic-ref", "HEAD", f"refs/heads/{name}")


@case("status", "sync-text", "snapshot", "move", move=5)
def a_branch_named_like_options(house: House) -> None:
    on_branch(house, "-rf")


@case("status", "sync-text", "move", move=5, long=True)
def a_branch_named_head(house: House) -> None:
    on_branch(house, "HEAD")


@case("status", "sync-text", "move", move=5)
def a_branch_named_like_an_object(house: House) -> None:
    on_branch(house, house.repo.oid())
    house.repo.git("update-ref", "refs/heads/refs/heads/main", "HEAD")
    house.repo.git("update-ref", "refs/heads/origin/main", house.agent.oid())
    house.repo.git("update-ref", "refs/tags/main", house.agent.oid())
    house.repo.git("update-ref", "refs/tags/origin/main", house.agent.oid())


@case("status", "sync-text", "move", move=5)
def a_branch_that_turns_around(house: House) -> None:
    on_branch(house, "\u202egro.\u2066evil\u200b/\x9b31m\u2028x")


@case("status", "sync-text", "move", move=5, long=True)
def a_branch_of_a_shell(house: House) -> None:
    on_branch(house, f"$({house.trap.program.name})`x`;'\"|&<>#%s{{}}!/=x,y@x")


@case("status", "sync-text", "move", move=5, long=True)
def a_branch_of_bytes(house: House) -> None:
    on_branch(house, os.fsdecode(b"\xff\xfe\x80"))


@case("status", "sync-text", "move", move=5, long=True)
def a_branch_with_a_long_name(house: House) -> None:
    on_branch(house, "/".join(["n" * 200] * 8))


@case("status", "sync", "sync-text", "snapshot", sync=6, sync_text=6, says="damaged repository")
def refs_that_no_git_makes(house: House) -> None:
    heads = house.git / "refs/heads"
    for name in (
        b"a\nb",
        b"\x1b[31m",
        b"a b",
        b"a..b",
        b"a@{1}",
        b"a.lock",
        b"@",
        b".a",
        b"a~1",
        b"a^",
        b"a:b",
        b"a?",
        b"\\",
    ):
        with open(os.path.join(os.fsencode(heads), name), "wb") as file:
            file.write(house.repo.oid().encode() + b"\n")
    (heads / "empty").write_bytes(b"")
    (heads / "garbage").write_bytes(b"\0\xff" + ESCAPE)
    (heads / "null").write_text("0" * 40 + "\n")


@case("status", "sync", "snapshot", sync=6, says="damaged repository")
def refs_that_lead_out(house: House) -> None:
    heads = house.git / "refs/heads"
    (heads / "out").symlink_to(house.outside / "letter.txt")
    (heads / "folder").symlink_to(house.outside)
    (heads / "ref").write_text("ref: ../../../../outside/letter.txt\n")
    (heads / "loop").write_text("ref: refs/heads/loop\n")


@case("status", "sync", every=1, says="unexpected line")
def packed_refs_that_are_garbage(house: House) -> None:
    (house.git / "packed-refs").write_bytes(
        b"# pack-refs with: \x1b[31m\n\0\xff\nnot an oid refs/heads/" + ESCAPE + b"\n"
    )


@case("status", "sync", "snapshot", "log", every=6)
def a_broken_head(house: House) -> None:
    (house.git / "HEAD").write_bytes(b"\0\xff" + ESCAPE)


@case("status", "sync", "snapshot")
def a_head_of_no_branch(house: House) -> None:
    (house.git / "HEAD").write_text("ref: refs/heads/nothing\n")


@case("status", "sync", every=6, long=True)
def a_head_that_leads_out(house: House) -> None:
    (house.git / "HEAD").write_text("ref: ../../../outside/letter.txt\n")


@case("status", "sync", "snapshot", snapshot=5)
def a_head_of_a_worktree_that_is_broken(house: House) -> None:
    (house.git / "worktrees/agent/HEAD").write_bytes(b"\0\xff" + ESCAPE)


@case("status", "sync", "sync-text")
def a_remote_head_that_dangles(house: House) -> None:
    (house.git / "refs/remotes/origin/HEAD").write_text("ref: refs/remotes/origin/gone\n")


@case("status", "sync", "sync-text", long=True)
def a_remote_head_that_is_a_local_branch(house: House) -> None:
    (house.git / "refs/remotes/origin/HEAD").write_text("ref: refs/heads/agent\n")


@case("status", "sync", "snapshot", snapshot=5)
def a_broken_index(house: House) -> None:
    index = house.git / "worktrees/agent/index"
    data = bytearray(index.read_bytes())
    data[30:60] = os.urandom(30)
    index.write_bytes(data)


@case("status", "sync", "snapshot", snapshot=5)
def an_index_that_is_garbage(house: House) -> None:
    (house.git / "index").write_bytes(ESCAPE * 100)


@case("status", "sync", "snapshot", snapshot=5, long=True)
def an_index_of_the_future(house: House) -> None:
    (house.git / "index").write_bytes(b"DIRC\0\0\0\x63\0\0\0\x01" + b"\0" * 100)


@case()
def objects_of_other_people(house: House) -> list[str]:
    other = foreign(house)
    alternate(house.repo, other)
    with (house.git / "objects/info/alternates").open("a") as file:
        file.write("/nonexistent\n\x1b[31m\n../../../outside\n")
    return ["-C", str(other.path), *STATUS]


@case("status", "sync", "snapshot", "move", move=5)
def objects_that_are_missing(house: House) -> None:
    house.config(
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", f"ext::{house.trap}"),
        ("protocol.ext.allow", "always"),
        ("remote.evil.uploadpack", str(house.trap)),
    )
    oid = house.agent.oid("HEAD:work.txt")
    (house.git / "objects" / oid[:2] / oid[2:]).unlink()
    (house.agent.path / "work.txt").write_text("edited\n")


@case("status", "sync", "snapshot", "move", sync=6, snapshot=5, move=6, says="damaged repository", long=True)
def commits_that_are_missing(house: House) -> None:
    oid = house.agent.oid("HEAD")
    (house.git / "objects" / oid[:2] / oid[2:]).unlink()


@case("status", "sync", "snapshot", "move", snapshot=5, move=5)
def objects_that_are_broken(house: House) -> None:
    oid = house.agent.oid("HEAD^{tree}")
    path = house.git / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"\x1b[31m garbage")


@case("status", "sync", "snapshot")
def grafts_and_replaced_objects(house: House) -> None:
    (house.git / "info").mkdir(exist_ok=True)
    (house.git / "info/grafts").write_text(f"{house.agent.oid()} {house.repo.oid()}\ngarbage\x1b[31m\n")
    house.repo.git("update-ref", f"refs/replace/{house.agent.oid()}", house.repo.oid("HEAD~1"))
    house.repo.git("update-ref", "refs/replace/not-an-object", house.repo.oid())


@case("status", "sync", status=1, sync=6, says="bad shallow line")
def a_shallow_file_that_is_garbage(house: House) -> None:
    (house.git / "shallow").write_bytes(ESCAPE + b"\n")


@case("status", "sync", "snapshot")
def a_shallow_file_that_hides_the_history(house: House) -> None:
    (house.git / "shallow").write_text(f"{house.repo.oid()}\n{'1' * 40}\n")


@case("status", "sync", "snapshot", "log", every=6)
def an_extension_that_is_unknown(house: House) -> None:
    house.config(("core.repositoryFormatVersion", "1"), ("extensions.evil", "\x1b[31m"))


@case("status", "sync", every=6, long=True)
def refs_in_a_table(house: House) -> None:
    """Git before 2.45 refuses it; a newer one finds no table."""
    house.config(("core.repositoryFormatVersion", "1"), ("extensions.refStorage", "reftable"))


@case("status", "sync", every=6, long=True)
def a_version_of_the_future(house: House) -> None:
    house.config(("core.repositoryFormatVersion", "99"))


@case("status", "sync", sync=6)
def another_kind_of_hash(house: House) -> None:
    house.config(("core.repositoryFormatVersion", "1"), ("extensions.objectFormat", "sha256"))


@case("status", "sync", "snapshot", "restore", sync=0)
def a_repository_of_sha256(house: House) -> None:
    house.at = house.folder / "new"
    git(house.folder, "init", "-q", "--object-format=sha256", house.at)
    repo = plain(Repo(house.at))
    repo.git("config", "core.fsmonitor", str(house.trap))


@case("status", "sync", "snapshot", long=True)
def operations_that_are_garbage(house: House) -> None:
    for name in ("rebase-merge", "rebase-apply", "sequencer"):
        (house.git / name).mkdir()
        for inner in ("head-name", "todo", "onto", "orig-head"):
            (house.git / name / inner).write_bytes(ESCAPE + b"\0\n../../outside")
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "BISECT_LOG", "BISECT_START", "MERGE_MSG"):
        (house.git / "worktrees/agent" / name).write_bytes(ESCAPE)


@case("status", "sync", "snapshot")
def pipes_where_git_keeps_files(house: House) -> None:
    for name in ("BISECT_START", "sequencer", "description", "COMMIT_EDITMSG", "FETCH_HEAD"):
        (house.git / name).unlink(missing_ok=True)
        os.mkfifo(house.git / name)


@case("status", "sync", "snapshot", "log")
def locks_that_somebody_left(house: House) -> None:
    for name in ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock"):
        (house.git / name).write_bytes(ESCAPE)


@case("status", "sync", "snapshot", "log", every=6, says="belongs to someone else")
def a_repository_of_another_user(house: House) -> None:
    for path in (house.repo.path, house.git):
        os.chown(path, 12345, 12345)


@case("status", "sync", long=True)
def worktrees_that_are_gone(house: House) -> None:
    shutil.rmtree(house.agent.path)
    house.agent.path.write_text("a file")
