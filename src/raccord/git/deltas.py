"""The paths that differ between two commits, asked of git for many pairs in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raccord.errors import ProcessFailed
from raccord.git.run import Git, strings

_RAW = ("-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
TOGETHER = 32 * 1024 * 1024  # bytes of git's answer above which pairs are asked for one by one


@dataclass(frozen=True, slots=True)
class Delta:
    """One path that differs between two trees; mode 0 and "" where it isn't in one."""

    path: str
    old_mode: int
    new_mode: int
    old: str
    new: str


Pair = tuple[str, str]


def differences(git: Git, old: str, new: str) -> list[Delta]:
    """The paths that differ between two commits or trees.

    Raises:
        ProcessFailed: git can't read one of them.
    """
    if old == new:
        return []
    fields = strings(git.out("diff-tree", *_RAW, old, new))
    return [_delta(head, path) for head, path in zip(fields[0::2], fields[1::2], strict=True)]


def together(git: Git, pairs: Iterable[Pair]) -> dict[Pair, list[Delta]]:
    """The same for many pairs of commits in one call; nothing where git can't read one, or says too much."""
    asked = list(dict.fromkeys(pairs))
    # A commit followed by a "parent" is compared with that one; `--always` heads also what is equal.
    lines = "".join(f"{new} {old}\n" for old, new in asked).encode()
    try:
        fields = strings(
            git.run("diff-tree", "--stdin", "--always", *_RAW, stdin=lines, limit=TOGETHER).check().stdout
        )
    except ProcessFailed:
        return {}
    found: dict[Pair, list[Delta]] = {}
    at = 0
    for old, new in asked:
        # A commit that isn't there is passed over without a word.
        if at >= len(fields) or fields[at] != new:
            return {}
        deltas = found[old, new] = []
        at += 1
        while at < len(fields) and fields[at].startswith(":"):
            deltas.append(_delta(fields[at], fields[at + 1]))
            at += 2
    return found if at == len(fields) else {}


def _delta(head: str, path: str) -> Delta:
    old_mode, new_mode, old, new, _ = head[1:].split(" ")
    before, after = int(old_mode, 8), int(new_mode, 8)
    return Delta(path, before, after, old if before else "", new if after else "")
