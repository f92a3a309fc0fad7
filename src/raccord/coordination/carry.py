"""The steps that take raccord's own reports out of the way of a move, and put them back after it.

Where a worktree holds nothing uncommitted but reports that raccord wrote, they stand in nobody's way: each
is in the store, so the document goes back to what was committed, and gets them again wherever it lies then.
A document in which somebody else wrote is never touched.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.coordination import consolidate, document
from raccord.coordination.ledger import Ledger
from raccord.coordination.own import Papers, added
from raccord.coordination.papers import put, read, remove
from raccord.coordination.spec import Spec
from raccord.errors import RaccordError, WorldMoved
from raccord.git.repo import Repository
from raccord.git.run import Git, strings
from raccord.git.status import COMMAND, parse
from raccord.model.coordination import Root
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

KIND = "report.carry"
TRIES = 20
PLAIN = "100644"


@dataclass(frozen=True, slots=True)
class Carried:
    """What a worktree holds of raccord's own.

    Attributes:
        paths: that are not as the head has them; only raccord wrote there.
        keys: the consolidations whose reports the head lacks.
    """

    paths: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A document in a worktree: in the head (None for absent), and as it is with its version."""

    path: str
    head: bytes | None
    now: bytes
    version: str


def carried(git: Git, ledger: Ledger, spec: Spec) -> Carried | None:
    """What of a worktree's changes is raccord's own; None where somebody else wrote in its papers.

    Args:
        git: at the top of the worktree.
    """
    try:
        found = _look(git, ledger, spec)
    except RaccordError:
        return None  # unknown is not clean
    return None if found is None else Carried(tuple(one.path for one in found[0]), found[1])


def _look(git: Git, ledger: Ledger, spec: Spec) -> tuple[list[_Seen], tuple[str, ...]] | None:
    wanted = (spec.report, spec.archive)
    state = parse(git.run(*COMMAND, "--", *(f":(literal){path}" for path in wanted)).check().stdout)
    changed = {*state.unstaged, *state.untracked}
    if state.staged or state.unmerged or state.submodules or not changed <= set(wanted):
        return None
    if not changed:
        return [], ()
    papers = [_paper(git, path) for path in wanted]
    if None in papers:
        return None
    seen = [one for one in papers if one is not None]
    before, now = (
        Papers(*(one.head or b"" for one in seen)),
        Papers(*(one.now for one in seen)),
    )
    keys = added(before, now, ledger.report)
    return None if keys is None else ([one for one in seen if one.path in changed], keys)


def _paper(git: Git, path: str) -> _Seen | None:
    """None where it is none: a program, a link, or a document that somebody removed."""
    listed = strings(git.out("ls-tree", "-z", "HEAD", "--", path))
    meta = listed[0].split() if listed else []
    if meta and meta[0] != PLAIN:
        return None
    head = git.out("cat-file", "blob", meta[2].partition("\t")[0]) if meta else None
    place = git.cwd / path
    if place.is_symlink() or (place.exists() and place.stat().st_mode & 0o111):
        return None
    now, version = read(str(git.cwd), path)
    return None if head is not None and not version else _Seen(path, head, now, version)


def carry_steps(worktree: str, keys: Sequence[str], paths: Sequence[str]) -> tuple[Step, Step]:
    """The steps before and after a move that changes raccord's own papers."""
    names = ", ".join(map(shown, paths))
    away = _step(worktree, keys, f"set raccord's own reports aside: {names}", away=True)
    return away, _step(worktree, keys, "put raccord's own reports back", away=False)


def _step(worktree: str, keys: Sequence[str], title: str, *, away: bool) -> Step:
    payload = {"worktree": worktree, "keys": list(keys), "away": away}
    return Step(KIND, 1, title, payload, resources=(checkout(worktree),))


class CarryHandler:
    """Takes reports away, and puts them back.

    Args:
        see: records what became of files of a worktree.
    """

    kind, version = KIND, 1

    def __init__(
        self, repo: Repository, ledger: Ledger, spec: Spec, see: Callable[[str, Sequence[str]], object]
    ) -> None:
        self._repo, self._ledger, self._spec, self._see = repo, ledger, spec, see

    def probe(self, step: Step, context: Context) -> Position:
        """Looks at the papers."""
        top = Path(step.payload["worktree"])
        if not top.is_dir():
            return Position.NEITHER
        try:
            if not step.payload["away"]:
                return Position.BEFORE if self._lacking(step) else Position.AFTER
            found = carried(self._repo.git.at(top), self._ledger, self._spec)
        except RaccordError:
            return Position.UNKNOWN
        if found is None:
            return Position.NEITHER
        return Position.BEFORE if found.paths else Position.AFTER

    def _lacking(self, step: Step) -> list[str]:
        top = step.payload["worktree"]
        held = [read(top, path)[0] for path in (self._spec.report, self._spec.archive)]
        return [key for key in step.payload["keys"] if not any(document.has(one, key) for one in held)]

    def apply(self, step: Step, context: Context) -> Outcome:
        """Does it; each document is exchanged whole, on the condition that it is what was looked at."""
        top = step.payload["worktree"]
        if not step.payload["away"]:
            self._place(step)
            return Outcome({"keys": step.payload["keys"]})
        keys: list[str] = [*step.payload["keys"]]
        for _ in range(TRIES):
            try:
                found = _look(self._repo.git.at(Path(top)), self._ledger, self._spec)
                if found is None:
                    break
                keys = list(dict.fromkeys((*keys, *found[1])))
                self._take(top, *found)
                return Outcome({"keys": keys})
            except WorldMoved:
                time.sleep(0.01)  # somebody writes to it just now
        said = f"somebody else wrote in {shown(self._spec.report)} since"
        raise WorldMoved(said, hint=f"git -C {shown(shlex.quote(top))} status")

    def _take(self, top: str, papers: Sequence[_Seen], keys: Sequence[str]) -> None:
        # Owed before they go, so that a kill leaves none in neither place, and again once they are gone:
        # whoever places reports meanwhile finds them still there.
        self._ledger.owed(keys)
        for one in papers:
            if one.head is None:
                remove(self._ledger, top, one.path, one.version)
            else:
                put(self._ledger, top, one.path, one.head, one.version)
        self._ledger.owed(keys)

    def revert(self, step: Step, context: Context) -> None:
        """A document is exchanged whole or not at all: what is half done is put back as a whole."""
        if step.payload["away"]:
            self._place(step)

    def _place(self, step: Step) -> None:
        top = step.payload["worktree"]
        root = Root(top, Path(top).name)
        keys = step.payload["keys"]
        consolidate.place(self._ledger, self._spec, root, lambda paths: self._see(top, paths), also=keys)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The other of the two."""
        away = not step.payload["away"]
        title = "set raccord's own reports aside" if away else "put raccord's own reports back"
        keys = outcome.record.get("keys", step.payload["keys"])
        return (_step(step.payload["worktree"], keys, title, away=away),)
