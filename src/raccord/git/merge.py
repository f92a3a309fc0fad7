"""Merges in memory, many in one `git merge-tree --stdin`: trees in, trees out, no index and no work tree.

A merge that failed for any reason but a conflict is *unknown*: it is never taken for clean, and it never
spoils the answers of the others. Works with git 2.39, where `--stdin` takes no explicit base yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raccord.errors import ProcessFailed
from raccord.git.run import Git

COMMAND = ("merge-tree", "--write-tree", "--stdin", "-z", "--name-only", "--allow-unrelated-histories")

# A thousand merges take 0.1 s; one that hangs is waited for again in each half that holds it.
LONGEST_S = 120.0
# Printed in the place of the empty field that ends a record, even with -z.
ADVICE = b"Recursive merging with submodules"


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of one merge.

    Attributes:
        state: "clean", "conflict" or "unknown".
        tree: the merged tree; of a conflict, with markers in it; "" when unknown.
        paths: where the conflicts are, sorted.
        kinds: git's words for them ("contents", "modify/delete", "rename/delete"), sorted.
        message: git's lines about them, or why it is unknown.
    """

    state: str
    tree: str = ""
    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    message: str = ""


class Garbled(Exception):
    """The output is not what git documents, or it was cut short."""


def merge(git: Git, pairs: Sequence[tuple[str, str]]) -> list[Merged]:
    """Merges each pair of commits (ours, theirs) on their own merge base.

    Returns:
        One answer for each pair, in order.

    Raises:
        ProgramMissing: there is no git.
    """
    if not pairs:
        return []
    stdin = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    why = ""
    try:
        result = git.run(*COMMAND, stdin=stdin, timeout=LONGEST_S).check()
        answers = list(parsed(result.stdout))
        if len(answers) == len(pairs):
            return answers
        why = f"git answered {len(answers)} of {len(pairs)} merges"
    except ProcessFailed as error:
        if error.returncode == 127:
            raise
        why = error.stderr.strip() or error.message
    except Garbled as error:
        why = str(error)
    # git dies at the first merge that it can't run, and keeps what it had not printed yet to itself:
    # halve until the guilty one stands alone.
    if len(pairs) == 1:
        return [Merged("unknown", message=why)]
    middle = len(pairs) // 2
    return merge(git, pairs[:middle]) + merge(git, pairs[middle:])


def parsed(data: bytes) -> Iterator[Merged]:
    """Reads the output of `merge-tree --stdin -z --name-only`.

    Raises:
        Garbled: it is not that.
    """
    *whole, rest = data.split(b"\0")
    if rest:
        raise Garbled("the output ends in the middle of a field")
    fields = iter(whole)
    for status in fields:
        tree = _next(fields).decode("ascii", "replace")
        if status == b"1":
            if _next(fields):
                raise Garbled(f"unexpected output after tree {tree}")
            yield Merged("clean", tree)
        elif status == b"0":
            paths = set(_until_empty(fields))
            yield _conflict(tree, paths, fields)
        else:
            raise Garbled(f"unexpected merge status {status[:40]!r}")


def _conflict(tree: str, paths: set[bytes], fields: Iterator[bytes]) -> Merged:
    kinds: set[str] = set()
    said: list[str] = []
    # Some conflicts leave no path in the index: a directory rename that has two targets.
    unnamed = not paths
    for count in _until_empty(fields):
        if count.startswith(ADVICE):
            break
        if not count.isdigit():
            raise Garbled(f"unexpected count of paths {count[:40]!r}")
        named = [_next(fields) for _ in range(int(count))]
        kind, text = _next(fields).decode("utf-8", "replace"), _next(fields)
        if kind == "Auto-merging":
            continue
        said.append(text.decode("utf-8", "surrogateescape").strip())
        if kind.startswith("CONFLICT"):
            # git 2.39 has one kind without the space and the closing parenthesis.
            kinds.add(kind.removeprefix("CONFLICT").strip(" ()"))
            if unnamed:
                paths.update(named)
    names = sorted(path.decode("utf-8", "surrogateescape") for path in paths)
    return Merged("conflict", tree, tuple(names), tuple(sorted(kinds)), "\n".join(said))


def _until_empty(fields: Iterator[bytes]) -> Iterator[bytes]:
    while field := _next(fields):
        yield field


def _next(fields: Iterator[bytes]) -> bytes:
    try:
        return next(fields)
    except StopIteration:
        raise Garbled("the output ends in the middle") from None
