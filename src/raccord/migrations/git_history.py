"""Which commits brought which file contents, read with one `git log`, and only once for commits seen before.

The answer has every regular `.py` below the paths that any commit ever had: `--full-history` follows all
parents of a merge, and the combined diff shows what only the merge itself has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from raccord.git.gitdir import content
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.migrations.cache import Cache
from raccord.migrations.revision import is_revision_name
from raccord.model.text import shown

SPACE = "migration.history/1"
EVERYWHERE = (":(top,glob)**/*.py",)
# Where the log breaks off at a damaged object, its tips are halved so often at most.
HALVINGS = 200
# Nothing that a person may have configured for reading logs changes the answer.
LOG = (
    "-c", "log.showRoot=true", "-c", "log.follow=false",
    "log", "--stdin", "--ignore-missing", "--no-show-signature", "--no-color", "--no-ext-diff",
    "--no-textconv", "--no-renames", "--no-relative", "--no-abbrev", "--full-history", "-c", "--raw", "-z",
    "--format=%H %at %S %P%x00%an <%ae>",
)  # fmt: skip
_COMMIT = re.compile(rb"[0-9a-f]{40,64} ")


class Row(NamedTuple):
    """A content that a commit brought.

    Attributes:
        tip: the id, as it was asked for, through which the commit was reached.
        time: the author's date in Unix seconds.
    """

    blob: str
    path: str
    commit: str
    tip: str
    time: int
    author: str


@dataclass(slots=True)
class Walk:
    """What a log said.

    Attributes:
        broken: tips whose history is damaged, with what git says.
    """

    rows: list[Row]
    broken: dict[str, str]


def pathspecs(folders: Iterable[str]) -> tuple[str, ...]:
    """Version folders as git takes them; "" is the top of the tree alone."""
    return tuple(f":(top,literal){folder}" if folder else ":(top,glob)*.py" for folder in folders)


def walk(
    git: Git, tips: Sequence[str], paths: Sequence[str], *, without: Sequence[str] = (), alone: bool = False
) -> Walk:
    """The rows of all commits that `tips` lead to and `without` don't.

    Args:
        paths: pathspecs.
        alone: the tips themselves, not what leads to them.
    """
    found = Walk([], {})
    todo = [list(dict.fromkeys(tips))] if tips else []
    halved = 0
    while todo:
        some = todo.pop()
        asked = "".join([*(f"{tip}\n" for tip in some), *(f"^{tip}\n" for tip in without)]).encode("ascii")
        how = ["--no-walk=unsorted"] if alone else []
        result = git.run(*LOG, *how, "--", *paths, stdin=asked)
        if result.returncode and len(some) > 1 and halved < HALVINGS:
            halved += 1
            middle = len(some) // 2
            todo += [some[:middle], some[middle:]]
            continue
        found.rows += rows(result.stdout)
        if result.returncode:
            said = shown(result.stderr.strip().rpartition("\n")[2])
            found.broken.update(dict.fromkeys(some, said))
    return found


def rows(output: bytes) -> Iterator[Row]:
    """Reads what `git log` printed, as far as it got."""
    tokens = iter(output.split(b"\0"))
    commit = tip = author = ""
    time = 0
    for token in tokens:
        token = token.lstrip(b"\n")
        if token.startswith(b":"):
            path = next(tokens, b"").decode("utf-8", "surrogateescape")
            # ":mode… mode oid… oid status": a mode and an oid for each parent, and the result's.
            bare = token.lstrip(b":")
            parents, words = len(token) - len(bare), bare.split(b" ")
            if words[parents].startswith(b"100") and is_revision_name(path.rpartition("/")[2]):
                yield Row(words[2 * parents + 1].decode("ascii"), path, commit, tip, time, author)
        elif _COMMIT.match(token):
            words = token.split(b" ")
            commit, tip = words[0].decode("ascii"), words[2].decode("ascii", "replace")
            time = int(words[1]) if words[1].isdigit() else 0
            author = next(tokens, b"").decode("utf-8", "surrogateescape")


def named(git: Git, commits: Iterable[str]) -> dict[str, str]:
    """The full name of a ref that leads to each commit."""
    asked = "".join(f"{commit}\n" for commit in commits)
    if not asked:
        return {}
    said = git.out("name-rev", "--annotate-stdin", "--refs=refs/heads/*", "--refs=refs/remotes/*",
                   "--refs=refs/tags/*", stdin=asked.encode("ascii"))  # fmt: skip
    found: dict[str, str] = {}
    for line in said.decode("utf-8", "surrogateescape").splitlines():
        commit, _, name = line.removesuffix(")").partition(" (")
        # "main~3^2", "remotes/origin/main", "tags/v1^0"
        short = re.split(r"[~^]", name, maxsplit=1)[0]
        if short:
            found[commit] = (
                f"refs/{short}" if short.startswith(("remotes/", "tags/")) else f"refs/heads/{short}"
            )
    return found


class History:
    """The rows of all commits below a set of tips, kept in the cache from one search to the next."""

    def __init__(self, repo: Repository, git: Git, cache: Cache) -> None:
        self.git, self.cache = git, cache
        # `git fetch --unshallow` brings commits below tips that were seen.
        self._cut = hashlib.sha256(content(str(repo.common / "shallow")) or b"").hexdigest()

    def read(
        self,
        tips: Sequence[str],
        paths: Sequence[str],
        *,
        of: str = "",
        worth: Callable[[list[Row]], list[Row]] = list,
    ) -> Walk:
        """Every row of the commits that lead to `tips`, those of newer commits first.

        Args:
            of: names the set of tips, for which the answer is kept.
            worth: which of the rows are worth keeping.
        """
        key = hashlib.sha256(
            "\0".join([self._cut, of, *sorted(paths)]).encode("utf-8", "surrogateescape")
        ).hexdigest()
        value = self.cache.get(SPACE, [key]).get(key) or {"tips": [], "rows": []}
        seen, old = set(value["tips"]), [Row(*row) for row in value["rows"]]
        gone = sorted(seen.difference(tips))
        if gone and not self._forgotten(gone, tips, old):
            seen, old = set(), []
        new = [tip for tip in tips if tip not in seen]
        found = walk(self.git, new, paths, without=sorted(seen))
        found.rows = [*worth(found.rows), *old]
        if (new or gone) and not found.broken:
            rows = [list(row) for row in found.rows]
            self.cache.put(SPACE, {key: {"tips": sorted(set(tips)), "rows": rows}})
        return found

    def _forgotten(self, gone: Sequence[str], tips: Sequence[str], old: list[Row]) -> bool:
        """Takes out the rows of commits that no tip leads to any more; False where nobody can tell."""
        asked = "".join([*(f"{tip}\n" for tip in gone), *(f"^{tip}\n" for tip in tips)]).encode("ascii")
        result = self.git.run("rev-list", "--stdin", stdin=asked)
        if result.returncode:
            return False  # one of them was collected
        lost = frozenset(result.stdout.decode("ascii").split())
        if lost:
            old[:] = [row for row in old if row.commit not in lost]
        return True
