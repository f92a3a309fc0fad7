"""Where refs stood before: every entry of every reflog, the stashes, and what git notes beside its refs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from raccord.git.gitdir import content
from raccord.git.repo import Repository
from raccord.git.run import Git

STASH = "refs/stash"
OURS = "refs/raccord/"
LARGEST = 256 << 20  # bytes of one log
# Beside HEAD, what an operation keeps for its end. Sorted.
NOTES = (
    "CHERRY_PICK_HEAD", "FETCH_HEAD", "MERGE_AUTOSTASH", "MERGE_HEAD", "ORIG_HEAD",
    "REBASE_HEAD", "REVERT_HEAD", "rebase-apply/autostash", "rebase-apply/orig-head",
    "rebase-merge/autostash", "rebase-merge/onto", "rebase-merge/orig-head",
)  # fmt: skip
_OIDS = re.compile(rb"^([0-9a-f]{40}(?:[0-9a-f]{24})?)\b(?: ([0-9a-f]{40}(?:[0-9a-f]{24})?) )?", re.MULTILINE)


def stashed(repo: Repository, git: Git) -> dict[str, str]:
    """The commit of each stash to its name, "stash@{0}" first."""
    if _in_tables(repo):
        asked = git.run("rev-list", "--walk-reflogs", "--ignore-missing", STASH, "--")
        oids = asked.stdout.decode("ascii", "replace").split() if asked.returncode == 0 else []
    else:
        oids = [
            new for new, _ in reversed(list(_entries(str(repo.common / "logs" / STASH)))) if new.strip("0")
        ]
        if not oids and (said := content(str(repo.common / STASH), 128)):
            oids = [said.decode("ascii", "replace").strip()]  # its log is lost, the last one isn't
    found: dict[str, str] = {}
    for number, oid in enumerate(oids):
        found.setdefault(oid, f"stash@{{{number}}}")
    return found


def logged(repo: Repository, git: Git) -> dict[str, str]:
    """Each commit that a ref or a HEAD once stood on, to the newest entry that says so.

    Raises:
    """
    found: dict[str, str] = {}
    if _in_tables(repo):
        asked = git.out("rev-list", "--reflog", "--no-walk=unsorted").decode("ascii", "replace")
        found.update(dict.fromkeys(asked.split(), "a reflog"))
    for gitdir in (str(repo.common), *_linked(repo)):
        for name in _logs(gitdir):
            label = name if gitdir == str(repo.common) else f"{name} of {os.path.basename(gitdir)}"
            entries = list(_entries(os.path.join(gitdir, "logs", name)))
            for number, (new, old) in enumerate(reversed(entries)):
                for oid, before in ((new, number), (old, number + 1)):
                    if oid.strip("0"):
                        found.setdefault(oid, f"{label}@{{{before}}}")
        for name in NOTES:
            said = content(os.path.join(gitdir, name), LARGEST) or b""
            for match in _OIDS.finditer(said):
                found.setdefault(match[1].decode(), name)
    return found


def _in_tables(repo: Repository) -> bool:
    return repo.settings.get("extensions.refstorage", "files") != "files"


def _linked(repo: Repository) -> list[str]:
    try:
        return sorted(entry.path for entry in os.scandir(repo.common / "worktrees"))
    except OSError:
        return []


def _logs(gitdir: str) -> Iterator[str]:
    """The names of the refs of a git directory that have a log."""
    root = os.path.join(gitdir, "logs")
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            ref = os.path.relpath(os.path.join(folder, name), root)
            if not ref.startswith(OURS):
                yield ref


def _entries(path: str) -> Iterator[tuple[str, str]]:
    """New and old id of each entry of a log, the oldest first."""
    for match in _OIDS.finditer(content(path, LARGEST) or b""):
        if match[2]:
            yield match[2].decode(), match[1].decode()
