"""Work trees that hold nothing but the `.gitattributes` files of a tree, for merges that have no work tree.

merge-tree takes attributes (`merge=union`, `-text`) from the work tree that it runs in, whatever it merges: a
nested one counts only there. `--attr-source` is too young (2.41).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raccord.errors import CannotRun
from raccord.git.run import Git
from raccord.kernel import fs, proc
from raccord.kernel.fs_tree import Tree
from raccord.model.text import shown

ATTRIBUTES = ":(glob)**/.gitattributes"
EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """The work trees made so far; for one thread.

    Attributes:
        git: in a work tree without any file of the repository.
        scratch: an existing directory of raccord's own to make them in.
    """

    git: Git
    scratch: Path
    _holding: dict[str, bool] = field(default_factory=dict)
    _places: dict[str, tuple[Git, proc.Result]] = field(default_factory=dict)

    def changing(self, trees: Iterable[str], picks: Iterable[str]) -> set[str]:
        """The commits among `picks` that change a `.gitattributes` file; looks into `trees` too, for `at`.

        A commit or tree that can't be read counts as having one, so that it fails where it is used, alone.
        """
        new = [tree for tree in dict.fromkeys(trees) if tree and tree not in self._holding]
        commits = list(dict.fromkeys(picks))
        if not new and not commits:
            return set()
        empty = EMPTY_TREE[len((new or commits)[0])]
        asked = {f"{empty} {tree}": tree for tree in new} | {oid: oid for oid in commits}
        found = self._listing(asked)
        self._holding.update({tree: tree in found for tree in new})
        return found.intersection(commits)

    def _listing(self, asked: Mapping[str, str]) -> set[str]:
        """Which of `asked`, lines for `git diff-tree --stdin` and what they name, list a `.gitattributes`."""
        # -m: a merge is compared with each of its parents.
        result = self.git.run(
            "diff-tree", "--stdin", "-r", "-m", "--root", "-z", "--name-only", "--no-renames",
            "--no-ext-diff", "--", ATTRIBUTES,
            stdin="".join(f"{line}\n" for line in asked).encode(),
        )  # fmt: skip
        if result.returncode == 0:
            return set(_headed(result.stdout, asked))
        if len(asked) == 1:
            return set(asked.values())
        lines, middle = list(asked.items()), len(asked) // 2
        return self._listing(dict(lines[:middle])) | self._listing(dict(lines[middle:]))

    def at(self, tree: str) -> Git:
        """Git in a work tree of its own that holds the `.gitattributes` files of `tree` and nothing else.

        Raises:
            ProcessFailed: git can't check them out; it is not asked twice.
        """
        self.changing([tree], [])
        if not self._holding.get(tree):
            return self.git
        if tree not in self._places:
            where = self.scratch / tree
            private(where)
            here = self.git.at(where).using(GIT_WORK_TREE=str(where), GIT_INDEX_FILE=f"{where}.index")
            self._places[tree] = here, here.run("checkout", "-q", tree, "--", ATTRIBUTES)
        here, ended = self._places[tree]
        ended.check()
        return here


def private(path: Path) -> None:
    """Makes a directory that only this user can look into.

    Raises:
        CannotRun: disk full or read-only, or the name is taken.
    """
    with fs.foreseen(f"can't make {shown(str(path))}"), Tree(path.parent) as tree:
        if not tree.make(path.name, 0o700):
            raise CannotRun(f"{shown(str(path))} is in the way")


def _headed(output: bytes, asked: Mapping[str, str]) -> Iterator[str]:
    """What of `asked` has a path below its heading in the output of `diff-tree --stdin -z`.

    A commit's heading ends with NUL like a path, and is left out where nothing is listed; a pair's ends with
    a newline even with -z, and is always there.
    """
    current = ""
    for part in output.decode("utf-8", "surrogateescape").split("\0"):
        rest = part
        while (end := rest.find("\n") + 1) and rest[: end - 1] in asked:
            current, rest = asked[rest[: end - 1]], rest[end:]
        if rest in asked:
            current = asked[rest]
        elif rest:
            yield current
