"""The step that points a worktree at another database: one part of one value in an untracked env file.

Every other byte stays; the password is neither shown nor written down.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from raccord.database.naming import other, place, spelled
from raccord.database.url import Target, parse
from raccord.errors import DatabaseError, RaccordError, UnsafePath, WorldMoved
from raccord.git.repo import Repository
from raccord.kernel import fs, proc
from raccord.migrations import dotenv
from raccord.migrations.forks import Spot
from raccord.migrations.observe import Site
from raccord.migrations.origin import LITERAL, VARIABLE, Origin
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Finding, Step, checkout
from raccord.model.text import shown

POINT = "worktree.point"
URL = "raccord migrations fork --url --with-password"


def spot(site: Site, target: Target, name: str, repo: Repository) -> tuple[Spot | None, Finding | None]:
    """Where a worktree can be pointed at another database, and what a person has to do.

    Args:
        target: the database that the worktree uses.
        name: the other one's, or its path.
    """
    origin = site.database.origin
    assert origin is not None  # the URL is known
    top = site.tree.path
    if origin.kind != VARIABLE:
        return None, _by_hand(site, origin, other(target, name))
    file = origin.file or origin.hides
    told = None
    if not origin.file:
        said = f"{shown(origin.name)} is set in your environment, which raccord can't change"
        told = Finding("fork.environment", "note", said, f'export {origin.name}="$({URL})"')
    if not file:
        return None, told
    reason = _untouchable(Path(file), top, repo)
    if not reason:
        try:
            found = _found(Path(file), origin.name, site.project.backend, target, name)
        except RaccordError as error:
            reason = error.message
        else:
            return found, told
    said = f"{_path(file, top)} stays as it is: {reason}"
    return None, told or Finding("fork.file", "note", said, f'export {origin.name}="$({URL})"')


def _untouchable(path: Path, top: Path, repo: Repository) -> str:
    """Why a file is not to be changed."""
    if not path.is_relative_to(top) or not Path(os.path.realpath(path.parent)).is_relative_to(
        os.path.realpath(top)
    ):
        return "it lies outside of this worktree, and others may read it"
    seen = fs.signature(path)
    if seen is None or not seen.is_file:
        return "it is a link, and other worktrees may read what it leads to"
    if repo.git.at(top).out("ls-files", "-z", "--", f":(literal,top){path.relative_to(top)}"):
        return "git tracks it"
    return ""


def _found(path: Path, variable: str, backend: Path, target: Target, name: str) -> Spot:
    """The part of a file that names the database, once it was proved that a change of it does it."""
    source = fs.read(path)
    around = {key: text for key, text in proc.environment().items() if key != variable}
    url = dotenv.value(source, variable, around)
    if url is None or parse(url, backend).key != target.key:
        raise DatabaseError(f"its {shown(variable)} names another database")
    new = spelled(url, backend, name)
    found = Spot(str(path), variable, _part(source, variable), new)
    after = dotenv.value(_changed(source, found), variable, around)
    if after is None or parse(after, backend) != other(parse(url, backend), name):
        raise DatabaseError(f"its {shown(variable)} is put together of other variables")
    return found


def _part(source: bytes, variable: str) -> str:
    begin, end = _span(source, variable)
    return source[begin:end].decode("utf-8", "surrogateescape")


def _span(source: bytes, variable: str) -> tuple[int, int]:
    """Where in a file the database's name stands.

    Raises:
        DatabaseError: it doesn't.
    """
    one = dotenv.last(source, variable)
    if one is None:
        raise DatabaseError(f"{shown(variable)} is not set there")
    # One character a byte: what is found is a place in the file.
    begin, end = place(source[one.begin : one.end].decode("latin-1"))
    return one.begin + begin, one.begin + end


def _changed(source: bytes, spot: Spot) -> bytes:
    begin, end = _span(source, spot.variable)
    return source[:begin] + spot.new.encode("utf-8", "surrogateescape") + source[end:]


def _by_hand(site: Site, origin: Origin, goal: Target) -> Finding:
    file = _path(origin.file, site.tree.path)
    if origin.kind == LITERAL:
        said = f"{file} names the database itself: let it read a variable, or write there {goal.shown}"
    else:
        said = f"{file} stays as it is. To use the fork write there: {origin.name} = {goal.shown}"
    return Finding("fork.by_hand", "note", said, "raccord migrations fork --url")


def _path(file: str, top: Path) -> str:
    return shown(os.path.relpath(file, top))


def point_step(worktree: Path, spot: Spot, title: str) -> Step:
    """The step that writes another database's name into an env file."""
    payload = {**asdict(spot), "worktree": str(worktree)}
    return Step(POINT, 1, title, payload, resources=(checkout(worktree),))


class PointHandler:
    """Writes it, and what was there before."""

    kind, version = POINT, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Reads the file."""
        spot = _spot(step)
        try:
            part = _part(fs.read(spot.file), spot.variable)
        except (DatabaseError, UnsafePath, OSError):
            return Position.NEITHER
        known = {spot.old: Position.BEFORE, spot.new: Position.AFTER}
        return known.get(part, Position.NEITHER)

    def apply(self, step: Step, context: Context) -> Outcome:
        """Writes the file anew, whole."""
        spot = _spot(step)
        path = Path(spot.file)
        try:
            source = fs.read(path)
            part = _part(source, spot.variable)
        except (DatabaseError, UnsafePath, OSError):
            source, part = b"", None
        seen = fs.signature(path)
        if part not in (spot.old, spot.new) or seen is None:
            raise WorldMoved(f"{shown(spot.file)} no longer names the database that was planned")
        if reason := _untouchable(path, Path(step.payload["worktree"]), self._repo):
            raise WorldMoved(f"{shown(spot.file)}: {reason}")
        if part == spot.old:
            fs.write_atomic(path, _changed(source, spot), mode=seen.mode & 0o7777, exact=True)
        return Outcome({"file": spot.file})

    def revert(self, step: Step, context: Context) -> None:
        """The file is written whole or not at all."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The same, back."""
        spot = _spot(step)
        worktree = Path(step.payload["worktree"])
        title = f"{shown(spot.variable)} in {_path(spot.file, worktree)}: {shown(spot.old)} again"
        return (point_step(worktree, spot.back(), title),)


def _spot(step: Step) -> Spot:
    return Spot(**{name: step.payload[name] for name in ("file", "variable", "old", "new")})
