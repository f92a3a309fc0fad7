"""Which commits make the same change: patch ids, computed only where the touched paths agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raccord.errors import ProcessFailed, ProcessTimeout, ProgramMissing
from raccord.git.run import Git, strings
from raccord.kernel import proc

# `--full-index` and git 2.39 give binary changes and changes of mode an id of their own. Whitespace counts
# (`--verbatim`): in Python a change of indentation is no repetition of the change before it.
DIFF = (
    "diff-tree",
    "--stdin",
    "--root",
    "-r",
    "-p",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--diff-algorithm=myers",
    "--unified=3",
    "--ignore-submodules=none",  # else a configuration hides the change of a submodule
)
PATHS = (
    "diff-tree",
    "--stdin",
    "--root",
    "-r",
    "-z",
    "--raw",
    "--no-renames",
    "--no-abbrev",
    "--ignore-submodules=none",
)


def patch_ids(git: Git, oids: Iterable[str]) -> dict[str, str]:
    """Commit to the id of its change; merges and empty commits have none. One pipe of two spawns.

    One whose objects can't be read has none either: it fails where it is used, alone.
    """
    wanted = list(oids)
    if not wanted:
        return {}
    try:
        said = proc.pipe(
            git.argv(*DIFF),
            git.argv("patch-id", "--verbatim"),
            cwd=git.cwd,
            stdin=_lines(wanted),
            env=git.environment(),
        ).check()
    except (ProgramMissing, ProcessTimeout):
        raise
    except ProcessFailed:
        middle = len(wanted) // 2  # a damaged object ends git: halve until it stands alone
        return patch_ids(git, wanted[:middle]) | patch_ids(git, wanted[middle:]) if middle else {}
    pairs = (line.split() for line in said.stdout.decode().splitlines())
    return {oid: patch for patch, oid in pairs}


def touched(git: Git, oids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Commit to the paths that it changes; a merge has none, nor has one that can't be read. One spawn."""
    wanted = list(oids)
    if not wanted:
        return {}
    result = git.run(*PATHS, stdin=_lines(wanted))
    if result.returncode:
        middle = len(wanted) // 2
        return touched(git, wanted[:middle]) | touched(git, wanted[middle:]) if middle else {}
    paths: dict[str, list[str]] = {}
    words = iter(strings(result.stdout))
    current: list[str] = []
    for word in words:
        if word.startswith(":"):
            current.append(next(words))
        else:
            current = paths.setdefault(word, [])
    return {oid: frozenset(each) for oid, each in paths.items()}


def same_changes(git: Git, ours: Sequence[str], theirs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Which of `ours` make the very change that some of `theirs` make: our commit to theirs."""
    if not ours or not theirs:
        return {}
    paths = touched(git, dict.fromkeys((*ours, *theirs)))
    both = {paths.get(oid) for oid in ours} & {paths.get(oid) for oid in theirs} - {None, frozenset()}
    alike = [oid for oid in dict.fromkeys((*ours, *theirs)) if paths.get(oid) in both]
    ids = patch_ids(git, alike)
    by_id: dict[str, list[str]] = {}
    for oid in dict.fromkeys(theirs):
        if oid in ids:
            by_id.setdefault(ids[oid], []).append(oid)
    return {oid: tuple(by_id[ids[oid]]) for oid in ours if oid in ids and ids[oid] in by_id}


def _lines(oids: Iterable[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode()
