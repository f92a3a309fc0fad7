"""A place for objects that nobody has decided to keep yet: a dry run leaves nothing in the repository.

Git reads the repository through it and writes only into it; `keep` moves what is wanted into the repository
as one durable pack. Never touches a ref, the index or a work tree.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.errors import LockTimeout
from raccord.git import commits
from raccord.git.attributes import Attributes, private
from raccord.git.run import Git
from raccord.kernel import fs
from raccord.kernel.fs_alive import alive

# The objects of a quarantine die with it: only the pack that leaves it has to be durable.
FLEETING = ("-c", "core.fsync=none")
# `objects` does not include a pack's .idx, without which the pack is not read.
DURABLE = ("-c", "core.fsync=objects,pack-metadata")
# Files are made 25 times as fast there as on ext4, and a wave makes hundreds: 0.13 s instead of 0.52 s for 50
# branches. Containers often give it 64 MiB.
MEMORY = Path("/dev/shm")  # noqa: S108 (the directory made in it is new, private and has a random name)
ROOM = 256 * 1024 * 1024
PREFIX = "raccord-replay-"
ALIVE = "alive"
# Younger ones may not have their lock yet; Windows has no such lock, and nobody replays for a day.
STALE_S = 60.0 if os.name == "posix" else 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Objects beside a repository.

    Attributes:
        git: reads the repository and the quarantine, writes into the quarantine alone.
        real: the repository itself.
        common: its common git directory.
        scratch: the quarantine's own directory.
        attributes: where to merge, so that the right `.gitattributes` hold.
    """

    git: Git
    real: Git
    common: Path
    scratch: Path
    attributes: Attributes

    def write(self, bodies: Sequence[bytes]) -> list[str]:
        """Writes commits, each given as the bytes of its object, and returns their names.

        Raises:
            ProcessFailed: git failed, on a full disk for one.
        """
        if bodies:
            self.git.out("index-pack", "--stdin", stdin=commits.pack(bodies))
        return [commits.oid_of(data) for data in bodies]

    def sign(self, commit: commits.Commit, parents: Sequence[str], committer: commits.Signature) -> str:
        """Writes a commit that the user's key signs: `commit` with other parents, and the new name of it.

        Only git knows how to call the user's signer, so headers that `git commit-tree` can't be told of are
        left out, as `git rebase` leaves them out.

        Raises:
            ProcessFailed: git or the signer failed.
        """
        author = commit.header(b"author").decode("utf-8", "surrogateescape")
        who, _, when = author.rpartition("> ")
        name, _, email = who.partition("<")
        git = self.git.using(
            GIT_AUTHOR_NAME=name.strip(),
            GIT_AUTHOR_EMAIL=email,
            GIT_AUTHOR_DATE=f"@{when}",
            GIT_COMMITTER_NAME=committer.name,
            GIT_COMMITTER_EMAIL=committer.email,
            GIT_COMMITTER_DATE=f"@{committer.when} {committer.zone}",
        )
        encoding = (commit.header(b"encoding") or b"UTF-8").decode("ascii", "replace")
        links = [word for parent in parents for word in ("-p", parent)]
        # Trusted: the signer is a program of the user's choice, called on the user's order.
        made = git.out(
            "-c", f"i18n.commitEncoding={encoding}", "commit-tree", "-S", *links, commit.tree,
            stdin=commit.message, trusted=True,
        )  # fmt: skip
        return made.decode().strip()

    def keep(self, tips: Iterable[str], known: Iterable[str]) -> str:
        """Moves what the tips reach and the repository lacks into the repository, durably.

        Args:
            tips: names of commits, here or in the repository.
            known: commits of the repository that bound the walk: the new bases. Not the old tips: each costs
                a look at its tree, and what they hold is left out all the same.

        Returns:
            The name of the pack, or "" when there was nothing to move.

        Raises:
            ProcessFailed: git failed; nothing in the repository refers to what may have been written.
        """
        wanted = [*tips, *(f"^{oid}" for oid in known)]
        # --local leaves out what the repository has: from inside the quarantine that is "borrowed".
        packed = self.git.out(
            "pack-objects", "--revs", "--local", "--stdout", "-q", "--delta-base-offset",
            stdin="".join(f"{each}\n" for each in wanted).encode(),
        )  # fmt: skip
        if packed[8:12] == b"\0\0\0\0":
            return ""
        real = replace(self.real, settings=(*self.real.settings, *DURABLE)).using(GIT_DIR=str(self.common))
        name = real.line("index-pack", "--stdin", stdin=packed).split()[-1]
        # git syncs the files and not the names that it then gave them.
        fs.sync_dir(self.common / "objects" / "pack")
        return name


@contextlib.contextmanager
def quarantine(git: Git, common: Path, scratch: Path | None = None) -> Iterator[Quarantine]:
    """A quarantine beside a repository, gone with all that is in it when the block is left.

    Args:
        git: the repository.
        common: its common git directory.
        scratch: the directory to make it in; memory by default, where there is enough, else `common`/raccord.

    Raises:
        CannotRun: disk full or read-only.
    """
    if scratch is None:
        scratch = MEMORY if _roomy(MEMORY) else common / "raccord"
        fs.make_dirs(scratch)
    # A link's target, since git compares the work tree with the directory that it runs in.
    place = Path(os.path.realpath(scratch)) / (PREFIX + secrets.token_hex(8))
    holding = contextlib.ExitStack()
    try:
        private(place)
        private(place / "objects")
        holding.enter_context(alive(place / ALIVE, 0))
        _sweep(place)
        # Later settings win; the private object directory has the repository's as its alternate, and with
        # it the repository's own alternates.
        inside = replace(git, cwd=place, settings=(*git.settings, *FLEETING)).using(
            GIT_DIR=str(common.absolute()),
            GIT_WORK_TREE=str(place),
            GIT_INDEX_FILE=str(place / "index"),
            GIT_OBJECT_DIRECTORY=str(place / "objects"),
            GIT_ALTERNATE_OBJECT_DIRECTORIES=listed(common.absolute() / "objects"),
        )
        yield Quarantine(inside, git, common.absolute(), place, Attributes(inside, place))
    finally:
        holding.close()
        fs.remove_tree(place)


def _roomy(place: Path) -> bool:
    try:
        found = os.statvfs(place)
    except (AttributeError, OSError):  # no such call on Windows
        return False
    return found.f_bavail * found.f_frsize >= ROOM and os.access(place, os.W_OK | os.X_OK)


def _sweep(place: Path) -> None:
    """Removes what killed processes of this user left behind beside a new quarantine."""
    own = place.stat()
    with os.scandir(place.parent) as entries:
        for entry in entries:
            if not entry.name.startswith(PREFIX):
                continue
            # Another raccord may be done with its own at this moment.
            with contextlib.suppress(FileNotFoundError):
                seen = entry.stat(follow_symlinks=False)
                stale = own.st_mtime - seen.st_mtime > STALE_S
                if entry.is_dir(follow_symlinks=False) and seen.st_uid == own.st_uid and stale:
                    with contextlib.suppress(LockTimeout), alive(Path(entry.path, ALIVE), 0):
                        fs.remove_tree(entry.path)


def listed(path: Path) -> str:
    """A path as GIT_ALTERNATE_OBJECT_DIRECTORIES holds it: quoted where a colon or quote would mislead."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
