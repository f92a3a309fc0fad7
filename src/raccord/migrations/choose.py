"""Decides which content of a revision to take where several claim its id. Pure; the newest never wins.

The table is `choose`; `settle` applies it along a whole chain and turns away what would make it circular.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from raccord.errors import UsageError
from raccord.migrations import circles, walk
from raccord.migrations.contents import Candidate
from raccord.migrations.evidence import Proof
from raccord.migrations.literals import parse
from raccord.migrations.sightings import stands_on
from raccord.model.text import shown

Why = Literal["chosen", "applied", "only", "same-code", "schema", "ambiguous", "circular", "lost", "nowhere"]
# What the database's schema says of contents that all differ: those to choose from, and those of the past.
Schema = Callable[[str, Sequence[Candidate], Sequence[Candidate]], Proof]
SHORT = 12  # characters of a digest that a person reads


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided for one revision.

    Attributes:
        why: the row of the table that decided.
        pick: the content to take; None where a person has to choose, or nobody can.
        candidates: what it was chosen from, in the order of the sources.
        passed_by: contents that lie in the past alone, while others are in use today.
        circular: contents that would make the history go in circles.
        said: what the database's schema says of them, "" where it was not asked.
    """

    revision: str
    why: Why
    pick: Candidate | None
    candidates: tuple[Candidate, ...] = ()
    passed_by: tuple[Candidate, ...] = ()
    circular: tuple[Candidate, ...] = ()
    said: str = ""

    @property
    def hints(self) -> tuple[str, ...]:
        """The commands that choose, one for each candidate, where a person has to."""
        if self.pick is not None:
            return ()
        every = (*self.candidates, *self.passed_by)
        return tuple(
            f"raccord migrations heal --choose {self.revision}={one.digest[:SHORT]}" for one in every
        )


def _silent(*_: object) -> Proof:
    return Proof(None, "")


def choose(
    revision: str,
    contents: Sequence[Candidate],
    *,
    chosen: str = "",
    applied: str = "",
    schema: Schema = _silent,
    circular: Sequence[Candidate] = (),
) -> Choice:
    """The first row that holds decides.

    Args:
        contents: in the order of the sources.
        chosen: the digest that a person named, or the beginning of it.
        applied: the digest that was recorded when the revision was applied to this database.
        schema: what the database's schema says; asked only where nothing else decides.
        circular: those of the contents that can't be taken.

    Raises:
        UsageError: `chosen` names none of the contents, or more than one.
    """
    able = [one for one in contents if one not in circular]
    pool = tuple([one for one in able if one.current] or able)
    past = tuple(one for one in able if one not in pool)

    def decided(why: Why, pick: Candidate | None, said: str = "") -> Choice:
        return Choice(revision, why, pick, pool, past, tuple(circular), said)

    if chosen:
        return decided("chosen", _named(revision, able, chosen))
    if applied:
        recorded = [one for one in contents if one.digest == applied]
        return decided("applied", recorded[0]) if recorded else decided("lost", None)
    if not pool:
        return decided("circular" if circular else "nowhere", None)
    if len(pool) == 1:
        return decided("only", pool[0])
    firsts = list({code(one.source): one for one in reversed(pool)}.values())[::-1]
    if len(firsts) == 1:
        return decided("same-code", firsts[0])
    told = schema(revision, firsts, past)
    return decided("ambiguous" if told.pick is None else "schema", told.pick, told.said)


def settle(
    wanted: Iterable[str],
    contents: Mapping[str, Sequence[Candidate]],
    known: walk.Links,
    *,
    chosen: Mapping[str, str] | None = None,
    applied: Mapping[str, str] | None = None,
    schema: Schema = _silent,
) -> dict[str, Choice]:
    """Decides for the wanted revisions and for all that the picked contents stand on.

    Args:
        contents: what a search found.
        known: the ids and labels that need no content, with what each stands on.
        chosen, applied: digests by revision, see `choose`.
        schema: see `choose`.

    Raises:
        UsageError: as `choose`.
    """
    labels = _labels(contents)
    # What is there can only be part of a circle where it has a hole itself.
    whole = all(name in known for links in known.values() for name in links)
    ways = {} if whole else {one: [links] for one, links in known.items()}
    for one, found in contents.items():
        ways[one] = [circles.named(stands_on(each.revision), labels) for each in found]
    well = circles.grounded(ways)
    choices: dict[str, Choice] = {}
    todo = list(wanted)
    while todo:
        for one in circles.named([todo.pop()], labels):
            if one in choices or one in known:
                continue
            found = contents.get(one, ())
            if len(found) == 1 and one in well and not (_of(chosen, one) or _of(applied, one)):
                # As `choose` would, and nearly all are so.
                choices[one] = Choice(one, "only", found[0], tuple(found))
                todo += stands_on(found[0].revision)
                continue
            turns = circles.circular(one, ways) if len(found) > 1 else [one not in well] * len(found)
            choices[one] = choose(
                one,
                found,
                chosen=_of(chosen, one),
                applied=_of(applied, one),
                schema=schema,
                circular=[each for each, bad in zip(found, turns, strict=True) if bad],
            )
            if (pick := choices[one].pick) is not None:
                todo += stands_on(pick.revision)
    alone = all(len(contents.get(one, ())) < 2 for one in choices)
    return choices if alone else _without_circles(choices, known, labels)


def _of(digests: Mapping[str, str] | None, revision: str) -> str:
    return digests.get(revision, "") if digests else ""


def code(source: bytes) -> str:
    """What a content does, whatever its comments, docstrings and layout; its digest where it is no Python."""
    try:
        tree = parse(source)
        # Somebody may run what stands in a docstring.
        if b"__doc__" not in source:
            for node in ast.walk(tree):
                _strip(node)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return hashlib.sha256(source).hexdigest()


def difference(one: Candidate, other: Candidate) -> str:
    """What differs between two contents, as a unified diff that is safe to show."""
    return "".join(difflib.unified_diff(_lines(one), _lines(other), _title(one), _title(other)))


def _named(revision: str, able: Sequence[Candidate], chosen: str) -> Candidate:
    found = [one for one in able if one.digest.startswith(chosen)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(one.digest[:SHORT] for one in able) or "none"
    problem = f"{len(found)} contents of {shown(revision)} begin with {shown(chosen)}; there are: {there}"
    raise UsageError(problem, hint=f"raccord migrations find {shown(revision)}", revision=revision)


def _strip(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            # A function with nothing but a docstring does what `pass` does.
            node.body = node.body[1:] or [ast.Pass()]


def _labels(contents: Mapping[str, Sequence[Candidate]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for one, candidates in contents.items():
        for label in (label for each in candidates for label in each.revision.labels):
            if label not in contents:
                found.setdefault(label, {})[one] = None
    return {label: tuple(ids) for label, ids in found.items()}


def _without_circles(
    choices: dict[str, Choice], known: walk.Links, labels: Mapping[str, tuple[str, ...]]
) -> dict[str, Choice]:
    """Two picks that are well on their own may still lead to each other: neither is taken then."""
    links = dict(known)
    for one, choice in choices.items():
        links[one] = () if choice.pick is None else circles.named(stands_on(choice.pick.revision), labels)
    ended = {one: tuple(name for name in names if name in links) for one, names in links.items()}
    for group in walk.cycles(ended):
        for one in group:
            if one in choices and (pick := choices[one].pick) is not None:
                left = tuple(each for each in choices[one].candidates if each != pick)
                found = replace(choices[one], why="circular", pick=None, candidates=left)
                choices[one] = replace(found, circular=(*found.circular, pick))
    return choices


def _lines(one: Candidate) -> list[str]:
    text = one.source.decode("utf-8", "backslashreplace")
    return [shown(line) + "\n" for line in text.split("\n")]


def _title(one: Candidate) -> str:
    first = one.origins[0]
    place = "/".join(part for part in (first.where, first.path) if part)
    return f"{one.digest[:SHORT]} {shown(place)}"
