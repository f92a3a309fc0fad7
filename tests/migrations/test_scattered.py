"""Any revisions of a history are deleted and scattered over all places: found to the byte, never a wrong one.

A desk holds many histories at once, each a case of its own: what is deleted, where it goes, and which decoys
claim the same ids.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from raccord.kernel.store import Store
from raccord.migrations.cache import Cache
from raccord.migrations.choose import settle
from raccord.migrations.contents import Found
from raccord.migrations.revision import Revision, read
from raccord.migrations.sightings import stands_on
from raccord.migrations.sources import Sources
from tests.migrations.places import KINDS, VERSIONS, Desk, digest, header, written
from tests.migrations.test_oracle import PUBLISHED, needs_downloads, versions

CASES = 40  # of one desk
DESKS = 50
# Where a search looks that finds everything today; the others lie in the past.
TODAY = (
    "directory", "ignored", "index", "remote", "stash", "stash_staged", "stash_untracked", "tip", "untracked",
)  # fmt: skip
PAST = ("archive", "history", "reflog", "tag")
BODIES = (
    "op.execute('select 1')", "x = '\u00e9\u4e16'", "x = 1  # why", "if x:\n        y()", "x = '''\r\n'''",
    "raise SystemExit", "import os; os.abort()", "x = '\\\\d'",
)  # fmt: skip


@dataclass
class Case:
    """One history, of which some revisions are not in the main worktree.

    Attributes:
        files: the true bytes by id.
        links: parents and dependencies by id.
        names: of the files.
        lost: where each deleted revision went.
        decoys: other contents that claim a deleted id, and where they are.
        ambiguous: ids that nobody can decide by rules alone.
        applied: ids whose content is recorded as applied to this case's database.
    """

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    decoys: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    ambiguous: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)


def case(number: int, chance: random.Random, most: int = 120) -> Case:
    made = Case(f"c{number}")
    size = chance.randint(1, most)
    heads: list[str] = []
    for each in range(size):
        rev = f"{made.name}x{each:03}"
        if not heads or chance.random() < 0.02:
            down: tuple[str, ...] = ()
        elif len(heads) > 1 and chance.random() < 0.3:
            down = tuple(chance.sample(heads, 2))
        else:
            down = (chance.choice(heads),)
        if chance.random() < 0.85:
            heads = [one for one in heads if one not in down]
        heads.append(rev)
        text: str | tuple[str, ...] | None = down if len(down) > 1 else down[0] if down else None
        made.files[rev] = edited(written(rev, text, chance.choice(BODIES)), chance)
        made.links[rev] = down
        made.names[rev] = f"{rev}_x.py"
    for rev in chance.sample(sorted(made.files), chance.randint(1, min(50, size))):
        made.lost[rev] = chance.choice(KINDS)
        if chance.random() < 0.15:
            decoy(made, rev, chance)
    return made


def edited(data: bytes, chance: random.Random) -> bytes:
    way = chance.randrange(6)
    if way == 0:
        return b"\xef\xbb\xbf" + data
    if way == 1:
        return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if way == 2:
        return b"# coding: latin-1\n" + data.decode().encode("latin-1", "replace") + b"# \xe9\n"
    return data.rstrip(b"\n") if way == 3 else data


def decoy(made: Case, rev: str, chance: random.Random) -> None:
    """Another content for a deleted revision, in a place where the rules are sure what it means."""
    down = made.links[rev]
    text: str | tuple[str, ...] | None = down if len(down) > 1 else down[0] if down else None
    other = written(rev, text, f"x = {chance.random()}")
    if chance.random() < 0.5:
        made.lost[rev] = chance.choice(TODAY)
        place = chance.choice(TODAY + PAST)
        unsure = place in TODAY
    else:
        made.lost[rev] = chance.choice(PAST)
        place, unsure = chance.choice(PAST), True
    if place == made.lost[rev]:
        return  # they would be one file
    made.decoys[rev] = (other, place)
    if unsure:
        made.ambiguous.add(rev)
        if chance.random() < 0.3:
            made.applied.add(rev)


def scattered(desk: Desk, cases: list[Case]) -> None:
    """Puts every file where its case wants it, with one operation for each kind of place."""
    places: dict[str, dict[str, bytes]] = {}
    main: dict[str, bytes] = {}
    for one in cases:
        for rev, data in one.files.items():
            if rev in one.lost:
                places.setdefault(one.lost[rev], {})[one.names[rev]] = data
            else:
                main[f"{VERSIONS}/{one.names[rev]}"] = data
        for rev, (data, place) in one.decoys.items():
            places.setdefault(place, {})[f"{rev}_y.py"] = data
    desk.repo.git("branch", "empty")
    for kind in sorted(places):
        desk.put(kind, places[kind])
    desk.repo.commit(main or {"x": "x"})


def verify(one: Case, sources: Sources) -> tuple[int, int]:
    """Finds what a case lost; returns how many were right and how many ambiguous."""
    known = {rev: links for rev, links in one.links.items() if rev not in one.lost}
    labels = {label for rev in known for label in header(one.files[rev]).labels}
    known.update(dict.fromkeys(labels, ()))
    wanted = sorted(one.lost)
    found: Found = sources.find(wanted, frozenset(known))
    applied: Mapping[str, str] = {rev: digest(one.files[rev]) for rev in one.applied}
    choices = settle(wanted, found.contents, known, applied=applied)
    assert not found.nowhere and set(choices) == set(one.lost), one.name
    unsure = 0
    for rev, choice in choices.items():
        true = one.files[rev]
        if rev in one.ambiguous - one.applied:
            assert choice.why == "ambiguous", (one.name, rev, choice)
            assert {true, one.decoys[rev][0]} == {each.source for each in choice.candidates}
            unsure += 1
            continue
        assert choice.pick is not None, (one.name, rev, choice)
        assert choice.pick.source == true, (one.name, rev, one.lost[rev], one.decoys.get(rev))
        assert choice.pick.origins and all(each.digest == digest(true) for each in choice.pick.origins)
        if rev in one.decoys and rev not in one.applied:
            assert one.decoys[rev][0] in {each.source for each in choice.passed_by} | {true}
    return len(choices) - unsure, unsure


def published(folder: Path, chance: random.Random) -> Case:
    """The history in a published package, with up to fifty revisions gone."""
    made = Case("published")
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        found = read(data, path.name)
        if isinstance(found, Revision):
            made.files[found.id] = data
            made.links[found.id] = stands_on(found)
            made.names[found.id] = path.relative_to(folder).as_posix()
    for rev in chance.sample(sorted(made.files), chance.randint(1, min(50, len(made.files)))):
        made.lost[rev] = chance.choice(KINDS)
    return made


def proved(tmp_path, cases: list[Case]) -> tuple[int, int]:
    desk = Desk(tmp_path)
    scattered(desk, cases)
    right = unsure = 0
    store = Store(tmp_path / "state.db")
    for _ in range(2):  # cold, and from the cache
        sources = desk.sources(cache=Cache(store), outside=[desk.outside])
        for one in cases:
            more = verify(one, sources)
            right, unsure = right + more[0], unsure + more[1]
    store.close()
    return right, unsure


def test_scattered_revisions_are_found(tmp_path):
    chance = random.Random(0)
    right, unsure = proved(tmp_path, [case(number, chance, 20) for number in range(CASES)])
    assert right > 300 and unsure > 10


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(1, DESKS + 1))
def test_scattered_revisions_are_found_always(tmp_path, seed):
    chance = random.Random(seed)
    proved(tmp_path, [case(number, chance) for number in range(CASES)])


@pytest.mark.long
@pytest.mark.timeout(600)
@needs_downloads
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("package", "folder"), [each[:2] for each in PUBLISHED])
def test_revisions_of_published_histories_are_found(tmp_path, package, folder, seed):
    chance = random.Random(f"{package} {folder} {seed}")
    right, _ = proved(tmp_path, [published(versions(package, folder), chance)])
    assert right
