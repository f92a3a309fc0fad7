"""Small random histories, many in one `git fast-import`: a branch, and a base that moved on since.

The moves are what people do to files: edit, add, delete, rename, move a directory, make executable, link,
turn binary. The base may take over some of the branch's changes (cherry-picked, squashed, reverted), either
side may hold empty commits, and the branch may hold merges. The same seed makes the same history.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.gitkit import Repo

Tree = dict[str, tuple[str, bytes]]  # path to mode and content
Change = Callable[[Tree], bool]  # changes the tree in place; False where it does not apply

FILE, PROGRAM, LINK, MODULE = "100644", "100755", "120000", "160000"


@dataclass(frozen=True)
class Case:
    """One history; the refs are `refs/heads/main-<name>` and `refs/heads/topic-<name>`."""

    name: str
    main: str
    topic: str


def text(rng: random.Random, lines: int) -> bytes:
    return b"".join(
        b"%s %d\n" % (rng.choice([b"alpha", b"beta", b"gamma", b"delta"]), n) for n in range(lines)
    )


def edit(rng: random.Random) -> Change:
    pick, line, new = rng.random(), rng.random(), b"edit %d\n" % rng.randrange(10**6)
    how = rng.choice(["replace", "insert", "delete", "append"])

    def change(tree: Tree) -> bool:
        path = chosen(tree, pick)
        if path is None or tree[path][0] in (LINK, MODULE):
            return False
        lines = tree[path][1].splitlines(keepends=True)
        at = int(line * len(lines))
        if how == "replace" and lines:
            lines[at] = new
        elif how == "delete" and lines:
            del lines[at]
        elif how == "append":
            lines.append(new)
        else:
            lines.insert(at, new)
        tree[path] = tree[path][0], b"".join(lines)
        return True

    return change


def add(rng: random.Random) -> Change:
    path = rng.choice(["", "d/", "d/e/", "new/"]) + f"f{rng.randrange(30)}"
    entry = (rng.choice([FILE, FILE, FILE, PROGRAM]), text(rng, rng.randrange(1, 20)))
    if not rng.randrange(12):
        entry = LINK, b"target%d" % rng.randrange(9)
    elif not rng.randrange(12):
        entry = FILE, bytes([0, rng.randrange(256)]) * 20

    def change(tree: Tree) -> bool:
        if path in tree or any(blocks(path, other) for other in tree):
            return False
        tree[path] = entry
        return True

    return change


def delete(rng: random.Random) -> Change:
    pick = rng.random()

    def change(tree: Tree) -> bool:
        path = chosen(tree, pick)
        if path is None or len(tree) < 3:
            return False
        del tree[path]
        return True

    return change


def rename(rng: random.Random) -> Change:
    pick, target = rng.random(), rng.choice(["", "d/", "moved/"]) + f"r{rng.randrange(20)}"
    also = edit(rng) if rng.randrange(2) else None

    def change(tree: Tree) -> bool:
        path = chosen(tree, pick)
        if path is None or any(target == other or blocks(target, other) for other in tree):
            return False
        tree[target] = tree.pop(path)
        if also:
            also(tree)
        return True

    return change


def move_directory(rng: random.Random) -> Change:
    old, new = rng.choice(["d/", "d/e/", "new/"]), rng.choice(["z/", "d/y/", "moved/"])

    def change(tree: Tree) -> bool:
        found = [path for path in tree if path.startswith(old)]
        targets = {path: new + path.removeprefix(old) for path in found}
        rest = tree.keys() - targets.keys()
        if not found or any(one == two or blocks(one, two) for one in targets.values() for two in rest):
            return False
        for path, target in targets.items():
            tree[target] = tree.pop(path)
        return True

    return change


def chmod(rng: random.Random) -> Change:
    pick = rng.random()

    def change(tree: Tree) -> bool:
        path = chosen(tree, pick)
        if path is None or tree[path][0] in (LINK, MODULE):
            return False
        tree[path] = (FILE if tree[path][0] == PROGRAM else PROGRAM), tree[path][1]
        return True

    return change


def union(rng: random.Random) -> Change:
    """Attributes count where they lie: at the top or in a directory."""
    line = rng.choice(
        [b"* merge=union\n", b"* -merge\n", b"f* merge=union\nr* -text\n", b"* text eol=crlf\n"]
    )
    path = rng.choice(["", "d/", "d/e/"]) + ".gitattributes"

    def change(tree: Tree) -> bool:
        if any(blocks(path, other) for other in tree):
            return False
        tree[path] = FILE, line
        return True

    return change


def module(rng: random.Random) -> Change:
    """A submodule comes, or moves on."""
    path, oid = f"m{rng.randrange(3)}", b"%040x" % rng.randrange(1, 6)

    def change(tree: Tree) -> bool:
        if any(blocks(path, other) for other in tree):
            return False
        tree[path] = MODULE, oid
        return True

    return change


def turn(rng: random.Random) -> Change:
    """A file becomes a link, a directory or a binary."""
    pick, kind = rng.random(), rng.randrange(3)

    def change(tree: Tree) -> bool:
        path = chosen(tree, pick)
        if path is None or tree[path][0] == MODULE:
            return False
        _, data = tree.pop(path)
        if kind == 0:
            tree[path] = LINK, b"elsewhere"
        elif kind == 1:
            tree[path + "/inside"] = FILE, data
        else:
            tree[path] = FILE, data + b"\0"
        return True

    return change


MOVES = (
    [edit] * 12
    + [add] * 4
    + [delete] * 2
    + [rename] * 3
    + [move_directory, chmod, chmod, turn, union, module]
)


def chosen(tree: Tree, pick: float) -> str | None:
    paths = sorted(path for path in tree if not path.endswith(".gitattributes"))
    return paths[int(pick * len(paths))] if paths else None


def blocks(one: str, other: str) -> bool:
    return other.startswith(one + "/") or one.startswith(other + "/")


class Writer:
    """Collects histories, then hands them to git at once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.mark = 0
        self.trees: dict[int, Tree] = {}

    def commit(self, ref: str, tree: Tree, parents: list[int], message: bytes, author: int) -> int:
        self.mark += 1
        when = 1_600_000_000 + self.mark * 60
        latin = author == 3
        name = "Jos\u00e9".encode("latin-1" if latin else "utf-8") + b" %d" % author
        self.parts.append(b"commit %s\nmark :%d\n" % (ref.encode(), self.mark))
        self.parts.append(b"author %s <a%d@example.invalid> %d +0130\n" % (name, author, when - 1000))
        self.parts.append(b"committer Old <old@example.invalid> %d +0000\n" % when)
        if latin:
            self.parts.append(b"encoding ISO-8859-1\n")
            message += "\u00e9\n".encode("latin-1")
        self.parts.append(b"data %d\n%s\n" % (len(message), message))
        for word, parent in zip(["from", *["merge"] * len(parents)], parents, strict=False):
            self.parts.append(b"%s :%d\n" % (word.encode(), parent))
        self.parts.append(b"deleteall\n")
        for path, (mode, data) in tree.items():
            inline = mode != MODULE
            what = b"inline" if inline else data
            self.parts.append(b"M %s %s %s\n" % (mode.encode(), what, path.encode()))
            if inline:
                self.parts.append(b"data %d\n%s\n" % (len(data), data))
        self.trees[self.mark] = dict(tree)
        return self.mark

    def write(self, repo: Repo) -> None:
        repo.git("fast-import", "--quiet", "--force", input=b"".join(self.parts))


def first_tree(rng: random.Random) -> Tree:
    tree: Tree = {}
    for n in range(rng.randrange(2, 8)):
        tree[rng.choice(["", "d/", "d/e/"]) + f"f{n}"] = FILE, text(rng, rng.randrange(4, 24))
    if not rng.randrange(8):
        union(rng)(tree)
    return tree


def history(writer: Writer, name: str, seed: int) -> None:
    """Adds one history."""
    rng = random.Random(seed)
    main, topic = f"refs/heads/main-{name}", f"refs/heads/topic-{name}"
    tree = first_tree(rng)
    base = writer.commit(main, tree, [], b"base\n", 0)
    ours: Tree = dict(tree)
    made: list[tuple[list[Change], bytes, int]] = []
    tip = base

    def step(where: Tree) -> list[Change]:
        changes = []
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            change = rng.choice(MOVES)(rng)
            if change(where):
                changes.append(change)
        return changes

    tips = [tip]
    side: int | None = None
    for number in range(rng.randrange(1, 5)):
        changes = [] if not rng.randrange(12) else step(ours)
        message, author = b"topic %d\n\nbody\n" % number, rng.randrange(4)
        if made and not rng.randrange(14):
            ours = dict(writer.trees[tips[-2]])  # a revert of the commit before
        parents = [tip]
        if len(tips) > 1 and not rng.randrange(10):
            # A branch of its own, merged back.
            other = dict(writer.trees[tips[-2]])
            step(other)
            side = writer.commit(topic, other, [tips[-2]], b"side\n", 1)
            ours.update({path: entry for path, entry in other.items() if path not in ours})
            parents, message = [tip, side], b"Merge side\n"
        tip = writer.commit(topic, ours, parents, message, author)
        tips.append(tip)
        made.append((changes, message, author))
    theirs, head = dict(tree), base
    todo = list(made)
    for number in range(rng.choice([0, 1, 2, 2, 3, 3, 4, 5])):
        kind = rng.randrange(10)
        before = dict(theirs)
        message, author = b"main %d\n" % number, 0
        if kind == 0 and todo:
            changes, message, author = todo.pop(0)  # cherry-picked
            for change in changes:
                change(theirs)
        elif kind == 1:
            for changes, _, _ in todo:  # squashed
                for change in changes:
                    change(theirs)
            todo = []
        elif kind == 2:
            theirs = dict(writer.trees[tip])  # the branch's own tree
        elif kind > 3:
            step(theirs)
        if before == theirs and rng.randrange(3):
            continue
        head = writer.commit(main, theirs, [head], message, author)
        if not rng.randrange(14) and number == 0:
            # The branch merged an older base; where both changed a file, the branch's version was taken.
            merged = {**theirs, **{path: entry for path, entry in ours.items() if tree.get(path) != entry}}
            clean = {
                path: entry for path, entry in merged.items() if not any(blocks(path, p) for p in merged)
            }
            ours = clean
            tip = writer.commit(topic, ours, [tip, head], b"Merge main\n", 2)
            if rng.randrange(2):
                step(ours)
                tip = writer.commit(topic, ours, [tip], b"after the merge\n", 1)


def write(repo: Repo, seeds: range) -> list[Case]:
    """Writes one history for each seed into the repository."""
    writer = Writer()
    for seed in seeds:
        history(writer, str(seed), seed)
    writer.write(repo)
    listed = repo.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
    oids = dict(line.split(" ") for line in listed.splitlines())
    return [Case(str(seed), oids[f"main-{seed}"], oids[f"topic-{seed}"]) for seed in seeds]


def scratch(tmp_path: Path) -> Repo:
    """A repository to write histories into."""
    return Repo.init(tmp_path / "repo")
