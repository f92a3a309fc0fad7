"""A hostile repository is looked at, and nothing of it runs: every exec is traced where strace is there.

Each case tells what it plants and what must come of the look.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raccord.git import listing
from tests.git.look import told
from tests.git.plants import PLANTS
from tests.git.traps import Trap, hook, plain, touch
from tests.gitkit import Repo, git

CASES: dict[str, tuple[Callable[[Repo, Trap], Path | None], str]] = {}
ALLOWED = re.compile(r"/(?:git|git-[a-z-]+|python[0-9.]*)$")


def case(outcome: str):
    """Registers a case: the function plants it and may return another place to look from."""

    def register(plant: Callable[[Repo, Trap], Path | None]) -> Callable[[Repo, Trap], Path | None]:
        CASES[plant.__name__] = (plant, outcome)
        return plant

    return register


def of_config(plant: Callable[[Repo, Trap], list[str]]) -> Callable[[Repo, Trap], None]:
    """A case of the tests of settings, without the command that would spring it."""

    def planted(repo: Repo, trap: Trap) -> None:
        plant(repo, trap)

    return planted


for each in PLANTS:
    CASES[f"config_{each.__name__}"] = (of_config(each), "ok 1 of 1")


@case("CannotRun: .* is a bare repository inside the worktree")
def embedded_bare_repository(repo: Repo, trap: Trap) -> Path:
    inner = Repo.init(repo.path / "inner", bare=True)
    inner.git("config", "core.fsmonitor", str(trap))
    inner.git("config", "core.bare", "true")
    return inner.path


@case("ok 1 of 1")
def embedded_bare_repository_with_a_worktree(repo: Repo, trap: Trap) -> None:
    inner = Repo.init(repo.path / "inner", bare=True)
    for key, value in (("core.bare", "false"), ("core.worktree", ".."), ("core.fsmonitor", str(trap))):
        inner.git("config", key, value)


@case("CannotRun: .* does not lead back")
def embedded_bare_repository_that_says_it_has_a_worktree(repo: Repo, trap: Trap) -> Path:
    embedded_bare_repository_with_a_worktree(repo, trap)
    return repo.path / "inner"


@case("CannotRun: .* does not lead back")
def a_worktree_that_is_other_peoples(repo: Repo, trap: Trap) -> None:
    victim = repo.path.parent / "victim"
    victim.mkdir()
    repo.git("config", "core.worktree", str(victim))


@case("ok 1 of 1")
def all_hooks(repo: Repo, trap: Trap) -> None:
    names = "fsmonitor-watchman post-checkout post-index-change post-update pre-auto-gc reference-transaction"
    for name in f"{names} pre-push pre-rebase post-rewrite update".split():
        hook(repo, name, trap)
    touch(repo.path / "f")


@case("ok 2 of 2")
def hooks_of_a_linked_worktree(repo: Repo, trap: Trap) -> None:
    linked = repo.worktree(repo.path.parent / "linked", "topic")
    hook(repo, "reference-transaction", trap)
    hook(repo, "post-index-change", trap)
    touch(linked.path / "f")


@case("ok 2 of 2")
def fsmonitor_of_one_worktree(repo: Repo, trap: Trap) -> None:
    linked = repo.worktree(repo.path.parent / "linked", "topic")
    repo.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "core.fsmonitor", str(trap))
    linked.git("config", "--worktree", "filter.evil.clean", str(trap))
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* filter=evil\n")
    touch(linked.path / "f")


@case("ok 1 of 1")
def attributes_outside_of_the_tree(repo: Repo, trap: Trap) -> None:
    (repo.path / ".git/attributes").write_text("* filter=evil diff=evil merge=evil\n")
    repo.git("config", "core.attributesFile", str(repo.path / ".git/attributes"))
    for key in ("filter.evil.clean", "filter.evil.process", "diff.evil.command", "merge.evil.driver"):
        repo.git("config", key, str(trap))
    touch(repo.path / "f")


@case("ok 1 of 2")
def a_worktree_of_another_repositorys_settings(repo: Repo, trap: Trap) -> None:
    linked = repo.worktree(repo.path.parent / "linked", "topic")
    other = plain(Repo.init(repo.path.parent / "other"))
    other.git("config", "filter.evil.clean", str(trap))
    linked.write(".gitattributes", "* filter=evil\n")
    touch(linked.path / "f")
    (repo.path / ".git/worktrees/linked/commondir").write_text(f"{other.path}/.git\n")


@case("ok 1 of 2")
def a_worktree_that_lies_in_another_repository(repo: Repo, trap: Trap) -> None:
    linked = repo.worktree(repo.path.parent / "linked", "topic")
    other = plain(Repo.init(repo.path.parent / "other"))
    other.git("config", "core.fsmonitor", str(trap))
    other.git("config", "filter.evil.clean", str(trap))
    other.write(".gitattributes", "* filter=evil\n")
    touch(other.path / "f")
    assert linked.path.exists()
    (repo.path / ".git/worktrees/linked/gitdir").write_text(f"{other.path}/.git\n")


@case("ok 1 of 2")
def a_worktree_in_the_system(repo: Repo, trap: Trap) -> None:
    repo.worktree(repo.path.parent / "linked", "topic")
    (repo.path / ".git/worktrees/linked/gitdir").write_text("/etc/.git\n")


def submodule(repo: Repo) -> Repo:
    lib = plain(Repo.init(repo.path.parent / "lib"))
    git(repo.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
    repo.commit(message="sub")
    return Repo(repo.path / "sub", repo.clock)


@case("ok 1 of 1")
def fsmonitor_of_a_submodule(repo: Repo, trap: Trap) -> None:
    submodule(repo).git("config", "core.fsmonitor", str(trap))


@case("ok 1 of 1")
def filter_of_a_submodule(repo: Repo, trap: Trap) -> None:
    sub = submodule(repo)
    sub.git("config", "filter.evil.clean", str(trap))
    (repo.path / ".git/modules/sub/info").mkdir(exist_ok=True)
    (repo.path / ".git/modules/sub/info/attributes").write_text("* filter=evil\n")
    touch(sub.path / "f")


@case("ok 1 of 1")
def hook_and_summary_of_a_submodule(repo: Repo, trap: Trap) -> None:
    sub = submodule(repo)
    link = repo.path / ".git/modules/sub/hooks/post-index-change"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(trap.program)
    repo.git("config", "status.submoduleSummary", "true")
    repo.git("config", "diff.submodule", "log")
    sub.git("switch", "--quiet", "--detach", "HEAD~1")


@case("ok 1 of 1")
def a_file_of_submodules_that_names_programs(repo: Repo, trap: Trap) -> None:
    submodule(repo)
    text = f'[submodule "sub"]\n\tpath = sub\n\turl = ext::{trap}\n\tupdate = !{trap}\n\tignore = all\n'
    repo.write(".gitmodules", text + f'[submodule "../../x"]\n\tpath = ../../x\n\turl = -u{trap}\n')


@case("ok 1 of 1")
def an_embedded_repository(repo: Repo, trap: Trap) -> None:
    inner = plain(Repo.init(repo.path / "inner"))
    inner.git("config", "core.fsmonitor", str(trap))
    hook(inner, "post-index-change", trap)


@case("ok 1 of 1")
def an_embedded_repository_in_the_index(repo: Repo, trap: Trap) -> None:
    inner = plain(Repo.init(repo.path / "inner"))
    repo.git("add", "inner")
    inner.git("config", "core.fsmonitor", str(trap))
    inner.git("config", "filter.evil.clean", str(trap))
    inner.write(".gitattributes", "* filter=evil\n")
    touch(inner.path / "f")


@case("ok 1 of 1")
def remotes_that_run(repo: Repo, trap: Trap) -> None:
    repo.git("config", "remote.origin.url", f"ext::{trap}")
    repo.git("config", "protocol.ext.allow", "always")
    repo.git("config", f"remote.--upload-pack={trap}.url", f"--upload-pack={trap}")
    repo.git("config", "remote.vcs.vcs", "ext")
    repo.git("config", "remote.vcs.url", f"ext::{trap}")


@case("ok 1 of 1")
def a_partial_clone_that_lacks_objects(repo: Repo, trap: Trap) -> None:
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", "extensions.partialClone", "origin")
    repo.git("config", "remote.origin.promisor", "true")
    repo.git("config", "remote.origin.url", str(repo.path))
    repo.git("config", "remote.origin.uploadpack", str(trap))
    (repo.path / ".git/refs/heads/lost").write_text("1" * 40 + "\n")


@case("ok 1 of 1")
def names_that_a_shell_would_run(repo: Repo, trap: Trap) -> None:
    for name in (f"$({trap.program.name})", "`x`", ";x", "-c core.pager=x", "|x", "\n", "a\nb", "--help"):
        repo.write(f"{name}", "1")
    for name in ("$(x)", "`x`", ";x", "-x", "|x"):
        repo.git("update-ref", f"refs/heads/{name}", "HEAD")
    repo.worktree(repo.path.parent / "$(x)\n;y", "topic").git("worktree", "lock", "--reason", "$(x)", ".")
    shutil.rmtree(repo.path.parent / "$(x)\n;y")
    repo.git("worktree", "unlock", str(repo.path.parent / "$(x)\n;y"))
    repo.git("worktree", "prune")


@case("ok 1 of 1")
def pagers_and_editors(repo: Repo, trap: Trap) -> None:
    for key in ("core.pager", "pager.status", "core.editor", "sequence.editor", "interactive.diffFilter"):
        repo.git("config", key, str(trap))
    for key in (
        "diff.tool",
        "merge.tool",
        "guitool.x.cmd",
        "difftool.x.cmd",
        "trailer.x.command",
        "tar.x.command",
    ):
        repo.git("config", key, str(trap))


@case("ok 1 of 1")
def aliases_of_what_raccord_calls(repo: Repo, trap: Trap) -> None:
    for name in (
        "status",
        "for-each-ref",
        "worktree",
        "rev-list",
        "merge-base",
        "diff-tree",
        "patch-id",
        "replay",
    ):
        repo.git("config", f"alias.{name}", f"!{trap}")


@case("ok 1 of 1")
def links_out_of_the_tree(repo: Repo, trap: Trap) -> None:
    for name, target in (
        ("etc", "/etc"),
        ("up", ".."),
        ("self", "."),
        ("loop", "loop"),
        ("dev", "/dev/zero"),
    ):
        (repo.path / name).symlink_to(target)
    repo.git("add", "etc", "up")
    (repo.path / "f").unlink()
    (repo.path / "f").symlink_to("/dev/zero")


@case("ok 1 of 1")
def pipes_and_sockets_in_the_tree(repo: Repo, trap: Trap) -> None:
    os.mkfifo(repo.path / "pipe")
    (repo.path / "g").unlink()
    os.mkfifo(repo.path / "g")


@case("CannotRun: git gave no answer within 1 s")
def settings_that_include_a_pipe(repo: Repo, trap: Trap) -> None:
    os.mkfifo(repo.path / ".git/pipe")
    repo.git("config", "user.name", "x")
    with (repo.path / ".git/config").open("a") as file:
        file.write("[include]\n\tpath = pipe\n")


@case("ok 1 of 2")
def pipes_where_git_keeps_files(repo: Repo, trap: Trap) -> None:
    linked = repo.worktree(repo.path.parent / "linked", "topic")
    (linked.path / ".git").unlink()
    os.mkfifo(linked.path / ".git")
    for name in ("BISECT_START", "sequencer"):
        os.mkfifo(repo.path / ".git" / name)


@case("ok 1 of 1")
def large_names_and_files(repo: Repo, trap: Trap) -> None:
    with (repo.path / "large").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    deep = repo.path / "/".join(["d" * 200] * 15)
    deep.mkdir(parents=True)
    (deep / ("n" * 255)).write_text("1")


@case("CannotRun: can't start git: Argument list too long")
def more_programs_than_a_command_line_holds(repo: Repo, trap: Trap) -> None:
    with (repo.path / ".git/config").open("a") as file:
        file.writelines(f'[filter "evil{n}"]\n\tclean = {trap}\n' for n in range(30_000))


@case("(NotARepository|CannotRun): .*")
def a_git_file_that_leads_in_a_circle(repo: Repo, trap: Trap) -> Path:
    circle = repo.path / "circle"
    circle.mkdir()
    (circle / ".git").write_text("gitdir: .git\n")
    return circle


@case("(NotARepository|CannotRun): .*")
def a_git_file_without_end(repo: Repo, trap: Trap) -> Path:
    endless = repo.path / "endless"
    endless.mkdir()
    with (endless / ".git").open("wb") as file:
        file.write(b"gitdir: ")
        file.truncate(100 * 1024 * 1024)
    return endless


@case("ok 1 of 1")
def refs_that_lead_out(repo: Repo, trap: Trap) -> None:
    heads = repo.path / ".git/refs/heads"
    (heads / "out").symlink_to("/etc/passwd")
    (heads / "etc").symlink_to("/etc")
    (heads / "ref").write_text("ref: ../../../../etc/passwd\n")
    (heads / "loop").write_text("ref: refs/heads/loop\n")


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Repo:
    """What every hostile repository was before."""
    return plain(Repo.init(tmp_path_factory.mktemp("template") / "repo"))


def planted(name: str, folder: Path, template: Repo) -> tuple[str, Trap]:
    """Plants a case; the place to look from, and the trap."""
    trap = Trap.made(folder / "trap")
    shutil.copytree(template.path, folder / "repo", symlinks=True)
    repo = Repo(folder / "repo", template.clock)
    place = CASES[name][0](repo, trap) or repo.path
    trap.sprung()  # planting may spring it
    return str(place), trap


@pytest.mark.parametrize("name", CASES)
def test_a_look_runs_nothing_of_it(name, tmp_path, template, monkeypatch):
    place, trap = planted(name, tmp_path, template)
    monkeypatch.setattr(listing, "OPENING_S", 1.0)
    outcome = told(place)
    assert not trap.mark.exists(), trap.mark.read_text()
    assert re.match(CASES[name][1], outcome), outcome


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
@pytest.mark.long_but(1)
@pytest.mark.parametrize("part", range(3))
def test_only_git_is_executed(part, tmp_path, template):
    """The same looks in one process, of which every exec is traced."""
    cases = list(CASES)[part::3]
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda name: planted(name, tmp_path / name, template), cases)
        places = {name: place for name, (place, _) in zip(cases, made, strict=True)}
    log = tmp_path / "execs"
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=execve", "-e", "signal=none", "-s", "4096"]
    subprocess.run(
        [*strace, "-o", str(log), sys.executable, str(Path(__file__).with_name("look.py"))],
        input=json.dumps(places).encode(),
        stdout=subprocess.DEVNULL,
        timeout=150,
        check=True,
    )
    programs = re.findall(r'execve\("([^"]+)", .*\) = 0$', log.read_text(), re.MULTILINE)
    assert len(programs) > 5 * len(cases)
    assert [program for program in programs if not ALLOWED.search(program)] == []


def test_there_are_enough():
    assert len(CASES) >= 50


def test_a_very_large_listing_is_read(tmp_path):
    """Many files with odd names at once: nothing overflows."""
    from raccord.git.repo import open_repository
    from raccord.git.status import status

    repo = plain(Repo.init(tmp_path / "repo"))
    for number in range(1000):
        repo.write(f"dir{number % 30}/\n{number}" + "x" * 150, "")
    assert len(status(open_repository(repo.path).git).untracked) == 1000
