"""The step that points a worktree at another database: one part of one value in an untracked env file.

Every other byte stays; the password is neither shown nor written down.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

from raccord.database.naming import other, place, spelled
from raccord.database.url import SQLITE, Target, parse
from raccord.errors import DatabaseError, HeldBack, RaccordError, UnsafePath, WorldMoved
from raccord.git.repo import Repository
from raccord.kernel import fs, proc
from raccord.migrations import dotenv
from raccord.migrations.forks import Spot
from raccord.migrations.observe import Site
from raccord.migrations.origin import LITERAL, VARIABLE, Origin
from raccord.migrations.standing import Named, Standing
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Finding, Json, Step, checkout
from raccord.model.text import shown

POINT = "worktree.point"
URL = "raccord migrations fork --url --with-password"
_SCHEME = "://"
_SAMPLES = (".dist", ".example", ".sample", ".template")
# POSTGRES_DB, DB_NAME, PGDATABASE, SQLITE_PATH: what a URL is put together of.
_CALLED = re.compile(r"(?i)(?:DB|DATABASE)(?:_?(?:NAME|FILE|PATH))?$|SQLITE_?(?:FILE|PATH)$")


def spots(site: Site, target: Target, name: str, repo: Repository) -> tuple[list[Spot], Finding | None]:
    """Where a worktree can be pointed at another database, and what a person has to do.

    Every variable of the env file that names the database is exchanged: the application may read another one
    than env.py.

    Args:
        target: the database that the worktree uses.
        name: the other one's, or its path.
    """
    origin = site.database.origin
    if origin is None:
        return _searched(site, target, name, repo)
    if origin.kind != VARIABLE:
        return [], _by_hand(site, origin, other(target, name))
    told = None if origin.file else _exported(origin.name)
    file = origin.file or origin.hides
    if not file:
        return [], told
    reason = _untouchable(Path(file), site.tree.path, repo)
    if not reason:
        try:
            return _all(Path(file), origin.name, site.project.backend, target, name), told
        except RaccordError as error:
            reason = error.message
    said = f"{_path(file, site.tree.path)} stays as it is: {reason}"
    return [], told or Finding("fork.file", "note", said, f'export {origin.name}="$({URL})"')


def _exported(variable: str) -> Finding:
    said = f"{shown(variable)} is set in your environment, which raccord can't change"
    return Finding("fork.environment", "note", said, f'export {variable}="$({URL})"')


def _searched(site: Site, target: Target, name: str, repo: Repository) -> tuple[list[Spot], Finding | None]:
    """Where only env.py knows the URL: the env files whose values name its database."""
    top, backend = site.tree.path, site.project.backend
    found: list[Spot] = []
    for folder in dict.fromkeys((backend, top)):
        for each in sorted(fs.names(folder)):
            path = folder / each
            if not each.startswith(".env") or each.endswith(_SAMPLES) or _untouchable(path, top, repo):
                continue
            with contextlib.suppress(RaccordError):
                found += _all(path, "", backend, target, name)
    for variable, text in proc.environment().items():
        if _names(text, variable, backend, target):
            return found, _exported(variable)
    if found:
        return found, None
    said = (
        f"only env.py knows where the URL comes from. To use the fork let it be {other(target, name).shown}"
    )
    return [], Finding("fork.by_hand", "note", said, "raccord migrations fork --url")


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


def _all(path: Path, variable: str, backend: Path, target: Target, name: str) -> list[Spot]:
    """Every part of a file that names the database.

    Args:
        variable: the one that has to; "" for none.

    Raises:
        DatabaseError: that one doesn't, or its change would not lead to the other database.
    """
    source = fs.read(path)
    found = [_found(path, source, variable, backend, target, name)] if variable else []
    for one in dict.fromkeys(each.name for each in dotenv.assignments(source)):
        if one != variable:
            with contextlib.suppress(DatabaseError):  # it names another one, or is put together
                found.append(_found(path, source, one, backend, target, name))
    return found


def _found(path: Path, source: bytes, variable: str, backend: Path, target: Target, name: str) -> Spot:
    """The part of a value that names the database, once it was proved that a change of it does it."""
    around = {key: text for key, text in proc.environment().items() if key != variable}
    text = dotenv.value(source, variable, around)
    if text is None or not _names(text, variable, backend, target):
        raise DatabaseError(f"its {shown(variable)} names another database")
    new = spelled(text, backend, name) if _SCHEME in text else name
    found = Spot(str(path), variable, _part(source, variable), new)
    after = dotenv.value(_changed(source, found), variable, around)
    wanted = other(parse(text, backend), name) if _SCHEME in text else name
    if after is None or (parse(after, backend) if _SCHEME in after else after) != wanted:
        raise DatabaseError(f"its {shown(variable)} is put together of other variables")
    return found


def _names(text: str, variable: str, backend: Path, target: Target) -> bool:
    """Whether a value is a URL of a database, or its name where the variable is called so."""
    if _SCHEME in text:
        try:
            return parse(text, backend).key == target.key
        except DatabaseError:
            return False
    if not text or _CALLED.search(variable) is None:
        return False
    return os.path.join(backend, text) == target.path if target.kind == SQLITE else text == target.name


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
    raw = source[one.begin : one.end].decode("latin-1")
    begin, end = place(raw) if _SCHEME in raw else (0, len(raw))
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


def point_step(worktree: Path, spot: Spot, title: str, proof: Named | None = None) -> Step:
    """The step that writes another database's name into an env file.

    Args:
        proof: the database that env.py has to say then, where only it knows.
    """
    payload: dict[str, Json] = {**asdict(spot), "worktree": str(worktree)}
    if proof is not None:
        payload["proof"] = replace(proof, beside="").payload()
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
        if "proof" in step.payload:
            try:
                Standing.find(Named(**step.payload["proof"]))
            except RaccordError as error:
                fs.write_atomic(
                    path, _changed(fs.read(path), spot.back()), mode=seen.mode & 0o7777, exact=True
                )
                raise HeldBack(
                    f"env.py goes by something else than {shown(spot.variable)} in {shown(spot.file)}",
                    hint=error.hint or "raccord migrations status",
                    finding="fork.elsewhere",
                ) from error
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
