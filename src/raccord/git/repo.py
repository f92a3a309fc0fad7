"""Finds the repository that a directory belongs to, in three spawns, and executes nothing of it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import CannotRun, GitMissing, GitTooOld, NotARepository, ProcessTimeout, ProgramMissing
from raccord.git import config, listing
from raccord.git.config import Settings
from raccord.git.gitdir import common_of, gitdir_at, text
from raccord.git.run import ENVIRONMENT, Git
from raccord.kernel import proc
from raccord.model.text import shown

OLDEST = (2, 39, 0)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as it was found.

    Attributes:
        git: git at the worktree's top, or at the directory of a bare repository; programs that the
            repository's own configuration names are off.
        common: the git directory that all worktrees share, absolute.
        gitdir: the git directory of this worktree; `common` in the main one.
        top: the top directory of the worktree it was opened in, None for a bare repository.
        bare: whether the main place has no worktree (linked worktrees may still exist).
        object_format: "sha1" or "sha256".
        version: of the git program, such as (2, 39, 5).
        settings: git's configuration as read here.
        shallow: whether its history is cut.
    """

    git: Git
    common: Path
    gitdir: Path
    top: Path | None
    bare: bool
    object_format: str
    version: tuple[int, int, int]
    settings: Settings
    shallow: bool

    @property
    def zero(self) -> str:
        """The object id that means "no object"."""
        return "0" * (64 if self.object_format == "sha256" else 40)


def git_version() -> tuple[int, int, int]:
    """The version of the git program.

    Raises:
        GitMissing: there is none on the PATH.
        GitTooOld: it is older than raccord supports.
    """
    try:
        result = proc.run(["git", "version"], env=ENVIRONMENT, timeout=listing.OPENING_S).check()
    except ProgramMissing:
        raise GitMissing("there is no git on the PATH", hint="install git 2.39 or newer") from None
    said = result.stdout.decode("utf-8", "replace")
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    if not found:
        raise GitMissing(f"the git on the PATH is none: it says {shown(said.strip())}")
    version = (int(found[1]), int(found[2]), int(found[3] or 0))
    if version < OLDEST:
        raise GitTooOld(
            f"git {found[0]} is too old; raccord needs 2.39", hint="install a newer git", version=found[0]
        )
    return version


def open_repository(path: Path) -> Repository:
    """Opens the repository that `path` lies in: a worktree, a directory below, a git directory, a bare one.

    Raises:
        NotARepository: it lies in none.
        GitMissing: no git on the PATH.
        GitTooOld: git is older than 2.39.
        CannotRun: git refuses the directory (another owner), its configuration is broken, or what it says
            leads elsewhere: a bare repository inside a worktree, where a clone may have planted it.
    """
    version = git_version()
    here = os.path.realpath(path)
    if not os.path.isdir(here):
        raise NotARepository(f"{shown(here)} is no directory")
    asked = _ask(here, "rev-parse", "--is-bare-repository", "--show-object-format", "--absolute-git-dir")
    # The directory comes last, since its name may hold newlines.
    bare, object_format, gitdir = os.fsdecode(asked).removesuffix("\n").split("\n", 2)
    gitdir = os.path.realpath(gitdir)
    common = common_of(gitdir)
    settings = listing.read_settings(here, common)
    if bare == "true":
        _refuse_planted(gitdir)
        top, place = None, gitdir
        # The first directory that was looked at is known now, so that git may use it.
        known: tuple[str, ...] = ("-c", "safe.bareRepository=all")
    else:
        top = place = _top(here, gitdir, common, settings)
        known = ()
    return Repository(
        git=Git(Path(place), (*config.looking(settings), *known)),
        common=Path(common),
        gitdir=Path(gitdir),
        top=Path(top) if top is not None else None,
        bare=bare == "true" or (gitdir != common and settings.flag("core.bare")),
        object_format=object_format,
        version=version,
        settings=settings,
        shallow=os.path.exists(os.path.join(common, "shallow")),
    )


def _ask(here: str, *args: str) -> bytes:
    """Runs git in a directory that nobody has looked at yet, and says what is wrong with it."""
    try:
        result = Git(Path(here)).run(*args, trusted=True, timeout=listing.OPENING_S)
    except ProcessTimeout:
        raise listing.stuck(here) from None
    if not result.returncode:
        return result.stdout
    where, said = shown(here), result.stderr
    if "dubious ownership" in said:
        raise CannotRun(
            f"git refuses {where}: it belongs to someone else",
            hint=f"git config --global --add safe.directory {shlex.quote(where)}",
        )
    if "cannot use bare repository" in said:
        raise CannotRun(
            f"your git configuration refuses the bare repository {where}",
            hint="run raccord in one of its worktrees",
        )
    if "not a git repository: " in said:
        raise NotARepository(f"the .git of {where} leads nowhere", hint="git worktree repair")
    if "not a git repository" in said:
        raise NotARepository(
            f"{where} is in no git repository",
            hint="raccord -C DIR status, or for a new repository: git init",
        )
    last = shown(said.strip().rpartition("\n")[2].removeprefix("fatal: "))
    raise CannotRun(f"git can't read the repository at {where}: {last}", hint="git fsck")


def _top(here: str, gitdir: str, common: str, settings: Settings) -> str:
    """The top of the worktree that `here` lies in, or whose git directory it lies in."""
    linked = gitdir != common
    tree = "" if linked else settings.get("core.worktree")
    above = next((each for each in (here, *map(str, Path(here).parents)) if gitdir_at(each) == gitdir), None)
    if tree:
        top = os.path.realpath(os.path.join(gitdir, tree))
    elif above is not None:
        return above
    elif linked:
        back = text(os.path.join(gitdir, "gitdir")) or ""
        top = os.path.dirname(os.path.join(gitdir, back))
    else:
        top = os.path.dirname(gitdir)
    # A hostile core.worktree points at other people's files; an honest one's `.git` leads back here.
    if gitdir_at(top) != gitdir:
        raise CannotRun(
            f"the worktree of {shown(gitdir)} is said to be {shown(top)}, which does not lead back",
            hint="run raccord at the top of the worktree",
        )
    return os.path.realpath(top)


def _refuse_planted(gitdir: str) -> None:
    if os.path.basename(gitdir) == ".git":
        return  # git never checks out a path of this name
    for above in map(str, Path(gitdir).parents):
        found = gitdir_at(above)
        if found == gitdir:
            return
        if found is not None and os.path.exists(os.path.join(found, "HEAD")):
            raise CannotRun(
                f"{shown(gitdir)} is a bare repository inside the worktree {shown(above)}; it may have come"
                " with a clone, so raccord doesn't use it",
                hint="run raccord in one of its worktrees, or move it",
            )
