"""Finds the repository that a directory belongs to, in three spawns, and executes nothing of it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.errors import CannotRun, GitMissing, GitTooOld, NotARepository, ProcessTimeout, ProgramMissing
from raccord.git import config
from raccord.git.config import Settings
from raccord.git.run import ENVIRONMENT, Git
from raccord.kernel import proc
from raccord.model.text import shown

OLDEST = (2, 39, 0)
OPENING_S = 30.0  # a configuration that includes a pipe makes git wait for ever
INCLUDES_DEEP = 8


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
        said = proc.run(["git", "version"], env=ENVIRONMENT, timeout=OPENING_S).check().stdout.decode()
    except ProgramMissing:
        raise GitMissing("there is no git on the PATH", hint="install git 2.39 or newer") from None
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
    settings = _settings(here, common)
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


def gitdir_at(top: str) -> str | None:
    """The real path of the git directory that `<top>/.git` is or leads to; None where it leads nowhere."""
    link = os.path.join(top, ".git")
    try:
        with open(link, "rb") as file:
            said = file.read(1 << 16)
    except IsADirectoryError:
        return os.path.realpath(link)
    except OSError:
        return None
    if not said.startswith(b"gitdir: "):
        return None
    target = os.path.realpath(os.path.join(top, os.fsdecode(said[8:].rstrip(b"\r\n"))))
    return target if os.path.isdir(target) else None


def common_of(gitdir: str) -> str:
    """The git directory that all worktrees share, of one worktree's."""
    said = first_line(os.path.join(gitdir, "commondir"))
    return os.path.realpath(os.path.join(gitdir, said)) if said else gitdir


def first_line(path: str) -> str | None:
    """A small file's content without its line end, None where it can't be read."""
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(1 << 16)).rstrip("\r\n")
    except OSError:
        return None


def _ask(here: str, *args: str) -> bytes:
    """Runs git in a directory that nobody has looked at yet, and says what is wrong with it."""
    try:
        result = Git(Path(here)).run(*args, trusted=True, timeout=OPENING_S)
    except ProcessTimeout:
        raise _stuck(here) from None
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
        raise NotARepository(f"{where} is in no git repository", hint="git init")
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
        back = first_line(os.path.join(gitdir, "gitdir")) or ""
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


def _settings(here: str, common: str) -> Settings:
    """The configuration as read at `here`, and what only other worktrees would read of it."""
    entries = config.parse(_listed(here, *config.LISTING))
    own = [entry for entry in entries if entry.own]
    more: set[str] = set()
    if any(entry.key == "extensions.worktreeconfig" for entry in own):
        more.update(_worktree_files(common))
    elsewhere: tuple[config.Entry, ...] = ()
    # A condition may hold in another worktree: what it includes counts, and what that includes.
    for _ in range(INCLUDES_DEEP):
        for entry in (*own, *elsewhere):
            if entry.kind == ("includeif", "path"):
                base = os.path.dirname(os.path.join(here, entry.origin.removeprefix("file:")))
                home = entry.value.startswith("~")
                more.add(entry.value if home else os.path.join(base, entry.value))
        found = _included(here, more) if more else ()
        if found == elsewhere:
            break
        elsewhere = found
    return Settings(entries, elsewhere)


def _worktree_files(common: str) -> list[str]:
    files = [os.path.join(common, "config.worktree")]
    try:
        with os.scandir(os.path.join(common, "worktrees")) as found:
            files += [os.path.join(each.path, "config.worktree") for each in found]
    except OSError:
        pass
    return [file for file in files if os.path.exists(file)]


def _included(here: str, files: set[str]) -> tuple[config.Entry, ...]:
    """What `files` say, read in one spawn; those that git can't parse stop git itself wherever they count."""
    listing = ("config", "--list", "-z", "--show-scope", "--show-origin", "--includes", "--file", "-")
    try:
        said = _listed(here, *listing, stdin=b"".join(map(_include, sorted(files))))
    except CannotRun:
        said = b"".join(_listed(here, *listing, stdin=_include(file), ok=True) for file in sorted(files))
    # `--file` hides the scope; these are all the repository's own.
    return tuple(replace(entry, scope="local") for entry in config.parse(said))


def _include(file: str) -> bytes:
    quoted = os.fsencode(file).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'[include]\npath = "' + quoted + b'"\n'


def _listed(here: str, *args: str, stdin: bytes = b"", ok: bool = False) -> bytes:
    """Lists configuration without the settings that raccord's calls carry."""
    try:
        result = proc.run(["git", *args], cwd=Path(here), stdin=stdin, env=ENVIRONMENT, timeout=OPENING_S)
    except ProcessTimeout:
        raise _stuck(here) from None
    if result.returncode and not ok:
        last = shown(result.stderr.strip().rpartition("\n")[2].removeprefix("fatal: "))
        raise CannotRun(
            f"git can't read its configuration at {shown(here)}: {last}", hint="git config --list"
        )
    return result.stdout if not result.returncode else b""


def _stuck(here: str) -> CannotRun:
    return CannotRun(f"git gave no answer within {OPENING_S:g} s at {shown(here)}", hint="git config --list")
