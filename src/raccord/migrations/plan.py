"""Decides what a heal puts back into one worktree, and what holds it back. Pure: no I/O, no clock.

The whole missing chain or nothing: half of one leaves alembic as lost as before.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from raccord.migrations.choose import SHORT, Choice
from raccord.migrations.contents import PLACES, WORDS, Candidate, Found, Origin
from raccord.migrations.lfs import ABSENT
from raccord.migrations.sightings import stands_on
from raccord.migrations.walk import Links
from raccord.model.plan import Finding
from raccord.model.text import shown

# The beginning of the name of a copy, where another worktree has a file of that name yet to be committed.
SPARE = "raccord_"
NAMED = 8  # revisions in a sentence


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a heal writes.

    Attributes:
        path: relative to the worktree.
        exclude: whether git is told to pass it by.
    """

    path: str
    pick: Candidate
    exclude: bool


@dataclass(frozen=True, slots=True)
class Heal:
    """What a heal does to one worktree.

    Attributes:
        places: in the order in which the revisions stand on each other, as far as that is known.
        held: why nothing is put back; None where it can be.
        notes: where each revision comes from.
    """

    places: tuple[Place, ...] = ()
    held: Finding | None = None
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """Where files may be put in one worktree.

    Attributes:
        folders: the version folders, relative to the worktree; none where all lie elsewhere.
        overlay: the one of them that git ignores, or None.
        taken: the paths in them that are there already.
    """

    folders: tuple[str, ...]
    overlay: str | None
    taken: Set[str]


def heal(
    missing: Sequence[str],
    found: Found,
    choices: Mapping[str, Choice],
    trust: Mapping[str, str],
    ground: Ground,
    *,
    trusting: bool,
) -> Heal:
    """The first row that holds decides.

    Args:
        missing: ids that the database or a file names and that no file of the worktree has.
        found: what the search came to.
        choices: one for each missing revision that was found, and for what those stand on.
        trust: digest to why it may be run.
        trusting: whether the person takes what nobody vouches for.
    """
    if not missing:
        return Heal()
    lost = [one for one in found.nowhere if one in missing or set(found.nowhere[one]) & choices.keys()]
    if lost:
        return Heal(held=_nowhere(lost, found))
    unclear = [one for one in choices.values() if one.pick is None]
    if unclear:
        return Heal(held=_unclear(unclear))
    if not ground.folders:
        said = "every version folder lies outside of this worktree"
        return Heal(held=Finding("migration.folder", "fail", said, "raccord migrations find REV"))
    # The search went from the newest down.
    picks = [one.pick for one in reversed(list(choices.values())) if one.pick is not None]
    notes = tuple(_told(one, choices[one.revision.id].why, trust.get(one.digest, "")) for one in picks)
    notes += tuple(_shown_by_schema(one) for one in choices.values() if one.why == "schema")
    foreign = [one for one in picks if one.digest not in trust]
    if foreign and not trusting:
        return Heal(held=_untrusted(foreign), notes=notes)
    return Heal(_placed(picks, ground), None, notes)


def vouched(heads: Iterable[str], choices: Mapping[str, Choice], known: Links) -> dict[str, str]:
    """Digest to why it may be run: the database has applied the revision, and a worktree or local branch of
    this repository works with this content today. Its code ran here before.

    Args:
        heads: the revisions in the version table.
        choices: of the missing revisions.
        known: what each revision of the worktree stands on.
    """
    found: dict[str, str] = {}
    done: set[str] = set()
    todo = list(heads)
    while todo:
        one = todo.pop()
        if one in done:
            continue
        done.add(one)
        pick = choices[one].pick if one in choices else None
        todo += stands_on(pick.revision) if pick is not None else known.get(one, ())
        if pick is not None and any(map(ours, pick.origins)):
            found[pick.digest] = "applied here"
    return found


def ours(origin: Origin) -> bool:
    """Whether somebody here works with what a place holds: their code runs here."""
    local = origin.kind == "ref" and origin.where.startswith("refs/heads/")
    return local or origin.kind in ("worktree", "index")


def _placed(picks: Sequence[Candidate], ground: Ground) -> tuple[Place, ...]:
    taken = set(ground.taken)
    places = []
    for one in picks:
        folder = ground.overlay
        if folder is None:
            # Where others have it, if that is a version folder here too.
            homes = (origin.path.rpartition("/")[0] for origin in one.origins)
            folder = next((home for home in homes if home in ground.folders), ground.folders[0])
        path = f"{folder}/{one.revision.name}" if folder else one.revision.name
        if ground.overlay is None and any(_uncommitted(origin, path) for origin in one.origins):
            # The line that keeps ours out of commits counts in all worktrees: theirs is to be committed.
            path = f"{folder}/{SPARE}{one.revision.name}" if folder else SPARE + one.revision.name
        if path in taken:
            path = f"{path.removesuffix('.py')}_{one.digest[:SHORT]}.py"
        taken.add(path)
        places.append(Place(path, one, ground.overlay is None))
    return tuple(places)


def _uncommitted(origin: Origin, path: str) -> bool:
    return origin.kind == "worktree" and origin.path == path and not origin.commit


def spares(files: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The paths of copies that a heal made and that are no longer needed: the branch has the file itself.

    Args:
        files: path and revision id of every file.
    """
    files = list(files)
    owned = {one for path, one in files if not path.rpartition("/")[2].startswith(SPARE)}
    return tuple(path for path, one in files if path.rpartition("/")[2].startswith(SPARE) and one in owned)


def _nowhere(lost: Sequence[str], found: Found) -> Finding:
    names = []
    for one in lost[:NAMED]:
        by = [shown(who) for who in found.nowhere[one] if who]
        names.append(shown(one) + (f" (parent of {', '.join(by[:3])})" if by else ""))
    if len(lost) > NAMED:
        names.append(f"and {len(lost) - NAMED} more")
    looked = "; ".join(
        f"{WORDS[one.kind]}: {one.files} files in {one.places}" + (" (everywhere)" if one.everywhere else "")
        for one in found.searched
    )
    said = f"nowhere to be found: {', '.join(names)}. Looked into {looked}"
    hint = "git fetch --all, or ask who applied it"
    if unread := [one for one in found.troubles if one.path]:
        said += f". {len(unread)} could not be read, such as {shown(unread[0].path)}: {unread[0].reason}"
    if absent := [one for one in unread if one.reason.startswith(ABSENT)]:
        hint = absent[0].hint
    data = {
        "revisions": list(lost),
        "searched": [[one.kind, one.places, one.files] for one in found.searched],
        "unread": [[one.kind, one.where, one.path, one.reason] for one in unread],
    }
    return Finding("migration.nowhere", "fail", said, hint, data)


def _unclear(unclear: Sequence[Choice]) -> Finding:
    first = unclear[0]
    contents = {
        "ambiguous": f"has {len(first.candidates)} contents, and nothing tells which was applied"
        + (f" ({first.said})" if first.said else ""),
        "circular": "would make the history go in circles",
        "lost": "was applied with a content that is nowhere any more",
        "nowhere": "is nowhere to be found",
    }
    more = f" (and {len(unclear) - 1} more)" if len(unclear) > 1 else ""
    said = f"{shown(first.revision)} {contents.get(first.why, first.why)}{more}"
    named = shlex.quote(first.revision)
    hint = f"raccord migrations find {named} --diff, then: " + (
        first.hints[0] if first.hints else f"raccord migrations heal --choose {named}=DIGEST"
    )
    data = {"revisions": [one.revision for one in unclear], "choices": [list(one.hints) for one in unclear]}
    return Finding("migration.ambiguous", "fail", said, hint, data)


def _untrusted(foreign: Sequence[Candidate]) -> Finding:
    names = ", ".join(f"{shown(one.revision.id)} ({one.digest[:SHORT]})" for one in foreign[:5])
    more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
    said = f"read these first: no trusted remote has them, and they were never applied here: {names}{more}"
    data = {"revisions": {one.revision.id: one.digest for one in foreign}}
    return Finding("migration.untrusted", "fail", said, "raccord migrations heal --trust", data)


def first(origins: Sequence[Origin]) -> Origin:
    """Where a content comes from: that raccord kept it says less than where it lies or lay."""
    return next((one for one in origins if one.kind != "archive"), origins[0])


# The same for every worktree that lacks it.
@functools.lru_cache(maxsize=1024)
def _told(pick: Candidate, chosen: str, trusted: str) -> Finding:
    title = f" {shown(pick.revision.message)}" if pick.revision.message else ""
    why = trusted or "not vouched for"
    place = where(first(pick.origins))
    said = f"{shown(pick.revision.id)}{title}: {place}; content {pick.digest[:SHORT]}, {why}"
    data = {
        "revision": pick.revision.id,
        "digest": pick.digest,
        "why": chosen,
        "trusted": trusted,
        "origins": [origin_data(one) for one in pick.origins[:20]],
    }
    return Finding("migration.found", "note", said, "", data)


def _shown_by_schema(choice: Choice) -> Finding:
    pick = choice.pick
    digest = "" if pick is None else pick.digest
    said = f"{shown(choice.revision)} has {len(choice.candidates)} contents; the database was upgraded with "
    said += f"{digest[:SHORT]}: {choice.said}"
    data = {"revision": choice.revision, "digest": digest}
    return Finding(
        "migration.schema",
        "note",
        said,
        f"raccord migrations find {shlex.quote(choice.revision)} --diff",
        data,
    )


def origin_data(origin: Origin) -> dict[str, str | float]:
    """An origin for programs."""
    return {
        "kind": origin.kind,
        "where": origin.where,
        "path": origin.path,
        "commit": origin.commit,
        "author": origin.author,
        "time": origin.time,
    }


def where(origin: Origin) -> str:
    """An origin in words, in one line."""
    place = "" if origin.kind == "archive" else shown(origin.where)
    said = " ".join(filter(None, ("from", PLACES[origin.kind], place)))
    if origin.commit:
        said += f", commit {origin.commit[:10]}"
    elif origin.kind in ("worktree", "index"):
        said += ", not committed"
    if origin.author:
        said += f" by {shown(origin.author)}"
    if origin.time:
        said += f", {datetime.fromtimestamp(origin.time, UTC):%Y-%m-%d %H:%M} UTC"
    return said
