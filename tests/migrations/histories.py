"""Histories of revisions made up by hypothesis, and their files as people and tools write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from raccord.migrations.revision import Revision

# One begins with the other, and one is a label's beginning: partial ids are about that.
IDS = [
    "a1b2c3d4e5f6",
    "a1b2ffffffff",
    "0001",
    "0002_users",
    "expand_0001",
    "Zoë",
    "head1",
    "beef",
    "beefcafe",
    *"123456789",
]
LABELS = ["expand", "contract", "beefy", "app"]


@dataclass(frozen=True)
class Spec:
    """One revision to write: its id, parents, dependencies, labels, file name and style."""

    id: str
    down: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    stem: str = ""
    style: int = 0

    @property
    def name(self) -> str:
        return f"{self.stem or self.id}.py"


def text(one: Spec) -> str:
    """The file's source, in one of the styles that real projects use."""

    def value(ids: Sequence[str]) -> str:
        if not ids:
            return "None"
        return repr(ids[0]) if len(ids) == 1 and one.style % 2 else repr(tuple(ids))

    doc = f'"""Change {one.id}\n\nRevision ID: {one.id}\nCreate Date: 2024-05-06 07:08:09\n"""\n'
    if one.style == 2:
        return doc + (
            "from typing import Sequence, Union\n"
            f"revision: str = {one.id!r}\n"
            f"down_revision: Union[str, Sequence[str], None] = {value(one.down)}\n"
            f"branch_labels: Union[str, Sequence[str], None] = {value(one.labels)}\n"
            f"depends_on: Union[str, Sequence[str], None] = {value(one.depends_on)}\n"
            "def upgrade() -> None:\n    revision = 'local'\n"
        )
    if one.style == 3:
        return doc + (
            f"REV = {one.id!r}\nUP = {value(one.down)}\nrevision, down_revision = REV, UP\n"
            f"branch_labels = {list(one.labels)!r}\ndepends_on = {list(one.depends_on) or None!r}\n"
            "def upgrade(): ...\n"
        )
    more = f"branch_labels = {value(one.labels)}\n" if one.labels else ""
    more += f"depends_on = {value(one.depends_on)}\n" if one.depends_on else ""
    return f"{doc}revision = {one.id!r}\ndown_revision = {value(one.down)}\n{more}def upgrade():\n    pass\n"


def write(folder: Path, specs: Iterable[Spec]) -> Path:
    """Writes the files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in specs:
        (folder / one.name).write_text(text(one), "utf-8")
    return folder


def revision(one: Spec) -> Revision:
    """What reading its file gives, but for the digest."""
    return Revision(one.id, one.down, one.depends_on, one.labels, one.name, "", f"Change {one.id}")


@st.composite
def specs(draw: st.DrawFn, most: int = 14) -> list[Spec]:
    """A history without a fault: branches, merges, several bases, dependencies, labels, any file names."""
    ids = draw(st.lists(st.sampled_from(IDS), max_size=most, unique=True))
    stems = draw(st.permutations([f"f{number:02}" for number in range(len(ids))]))
    labels = draw(st.lists(st.sampled_from(LABELS), unique=True, max_size=3))
    carriers = {draw(st.integers(0, max(len(ids) - 1, 0))): label for label in labels}
    found: list[Spec] = []
    for at, one in enumerate(ids):
        earlier = ids[:at]
        near = earlier[-3:]  # long lines are likelier than stars
        down = draw(st.lists(st.sampled_from(near), max_size=2, unique=True)) if near else []
        others = [*earlier, *(label for number, label in carriers.items() if number < at)]
        # One at most: several are walked in the order of a set, which differs from run to run of alembic.
        deps = draw(st.lists(st.sampled_from(others), max_size=1)) if others else []
        own = (carriers[at],) if at in carriers else ()
        found.append(Spec(one, tuple(down), tuple(deps), own, stems[at], draw(st.integers(0, 3))))
    return found


@st.composite
def broken(draw: st.DrawFn) -> list[Spec]:
    """A history with any fault there is: holes, cycles, ids and labels twice."""
    some = st.sampled_from([*IDS[:5], "gone", "lost"])
    links = st.lists(some, max_size=2).map(tuple)
    deps = st.just(()) | links
    rows = draw(st.lists(st.tuples(st.sampled_from(IDS[:5]), links, deps), max_size=7))
    label = st.lists(st.sampled_from([*LABELS[:2], IDS[0]]), max_size=1).map(tuple)
    return [Spec(one, down, needs, draw(label), f"f{at:02}") for at, (one, down, needs) in enumerate(rows)]
