"""The files of a commit, without reading them."""

from __future__ import annotations

from collections.abc import Sequence

from raccord.git.run import Git, strings


def files(git: Git, commit: str, folders: Sequence[str]) -> dict[str, str]:
    """The regular files below folders, each with its blob.

    Args:
        folders: relative to the top, "" for all of it; one that is not there has no files.

    Raises:
        ProcessFailed: git can't read the commit.
    """
    below = [] if "" in folders else [f"{folder}/" for folder in folders]
    if not folders:
        return {}
    out = git.out("ls-tree", "-r", "-z", "--full-tree", commit, "--", *below)
    found = {}
    for line in strings(out):
        said, _, path = line.partition("\t")
        mode, kind, blob = said.split(" ")
        if kind == "blob" and mode.startswith("100"):
            found[path] = blob
    return found
