"""A page of styled lines for a terminal of any width: paragraphs, tables, commands. Knows no report.

All text from a repository passes through `shown`, and never through markup: a branch name can't colour,
link or move the cursor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from raccord.model.text import grouped, shown

UNLIMITED = 10_000  # columns where no terminal limits them: what a program or a file reads is never cut
NARROWEST = 20
GAP = 2  # columns between two cells of a table

# What a stream that can't encode the first shows instead.
SIGNS = {
    "ahead": ("↑", "+"),
    "behind": ("↓", "-"),
    "cut": ("…", "~"),
    "dot": ("·", "-"),
    "here": ("●", "*"),
    "no": ("✗", "x"),
    "stop": ("■", "!"),
    "wait": ("○", "."),
    "yes": ("✓", "v"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        cells: one for each row.
        rank: the column with the highest rank is dropped first where the terminal is narrow; 0 never.
        least: how far its cells may be cut; 0 for not at all.
        brief: the same column in fewer words, taken where the terminal is narrow.
        right: whether its cells end below each other, as numbers that are compared do.
    """

    title: str
    cells: Sequence[Text]
    rank: int = 0
    least: int = 0
    brief: Column | None = None
    right: bool = False

    @property
    def width(self) -> int:
        """The columns that it takes uncut."""
        return max([cell_len(self.title), *(cell.cell_len for cell in self.cells)], default=0)

    @property
    def empty(self) -> bool:
        """Whether no row has anything in it."""
        return not any(cell.plain for cell in self.cells)


@dataclass
class Page:
    """Lines to be printed in one go.

    Attributes:
        console: decides on colours; nothing is printed through it.
        width: columns that a line may take.
        directory: what paths are shown relative to.
        now: seconds since the epoch, for "5 min ago".
    """

    console: Console
    width: int
    directory: str
    now: float
    unicode: bool = True
    lines: list[Text] = field(default_factory=list)

    @classmethod
    def on(cls, stream: IO[str], directory: Path, *, color: bool) -> Page:
        """A page for this stream: as wide as its terminal, else as wide as it needs to be."""
        console = Console(file=stream, no_color=True if not color else None, highlight=False, markup=False)
        limited = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
        unicode = (getattr(stream, "encoding", "") or "ascii").lower().startswith("utf")
        width = max(console.width, NARROWEST) if limited else UNLIMITED
        console.width = width
        return cls(console, width, os.path.abspath(directory), time.time(), unicode)

    def sign(self, name: str) -> str:
        """A sign that the stream can show."""
        return SIGNS[name][0 if self.unicode else 1]

    def line(self, *parts: str | Text, indent: int = 0, hang: int = 2) -> None:
        """Adds a paragraph; where it is too long it goes on below, `hang` columns further in."""
        text = Text.assemble(*parts)
        room = max(self.width - indent, NARROWEST // 2)
        if text.cell_len <= room:
            self.lines.append(Text(" " * indent) + text)
            return
        first, *_ = text.wrap(self.console, room)
        rest = text[len(first.plain.rstrip()) :]
        rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
        first.rstrip()
        self.lines.append(Text(" " * indent) + first)
        for more in rest.wrap(self.console, max(room - hang, NARROWEST // 2)):
            more.rstrip()
            self.lines.append(Text(" " * (indent + hang)) + more)

    def command(self, label: str, command: str, indent: int = 0) -> None:
        """Adds a command to type, and those that come after it. It is never wrapped: who copies it must get
        one line.
        """
        for part in command.split(", then: ") if command else ():
            self.lines.append(Text.assemble(" " * indent, (f"{label}: ", "dim"), (shown(part), "bold cyan")))
            label = "then"

    def gap(self) -> None:
        """Adds an empty line between two parts of the page."""
        if self.lines and self.lines[-1].plain:
            self.lines.append(Text())

    def table(
        self, columns: Sequence[Column], *, below: Sequence[Sequence[Text]] = (), indent: int = 0
    ) -> None:
        """Adds a table that fits.

        Args:
            columns: those that are empty in all rows are left out.
            below: for each row, lines that stand under it.
            indent: how far all of it is moved in.
        """
        chosen = fitting([column for column in columns if not column.empty], self.width - indent)
        if any(column.title for column, _ in chosen):
            titles = [Text(column.title, "dim") for column, _ in chosen]
            self.lines.append(self._row(titles, chosen, indent))
        for number in range(len(columns[0].cells) if columns else 0):
            self.lines.append(self._row([column.cells[number] for column, _ in chosen], chosen, indent))
            for extra in below[number] if below else ():
                self.line(extra, indent=indent + 4)

    def text(self) -> str:
        """The page as it is to be written, with the colours that the terminal has."""
        with self.console.capture() as capture:
            for line in self.lines:
                self.console.print(line, soft_wrap=True)
        return capture.get()

    def path(self, path: str) -> str:
        """A path relative to where the program was started, where that is shorter."""
        try:
            relative = os.path.relpath(path, self.directory)
        except ValueError:  # another drive
            return shown(path)
        return shown(min(relative, path, key=len))

    def ago(self, when: float) -> str:
        """How long ago, roughly: "5 min ago"."""
        seconds = max(0.0, self.now - when)
        for unit, size, limit in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 48), ("d", 86400, 10_000)):
            if seconds < size * limit:
                return f"{int(seconds // size)} {unit} ago" if seconds >= 1 else "now"
        return "long ago"

    def _row(self, cells: Sequence[Text], chosen: Sequence[tuple[Column, int]], indent: int) -> Text:
        row = Text(" " * indent)
        for number, (cell, (column, width)) in enumerate(zip(cells, chosen, strict=True)):
            fitted = cut(cell, width, self.sign("cut"))
            blank = Text(" " * (width - fitted.cell_len))
            row = row + (blank + fitted if column.right else fitted + blank)
            if number < len(chosen) - 1:
                row = row + Text(" " * GAP)
        row.rstrip()
        return row


def fitting(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Chooses columns and their widths: fewer words, then cuts, then drops what matters least. Pure."""
    chosen = list(columns)
    if sum(column.width for column in chosen) + GAP * (len(chosen) - 1) > width:
        chosen = [column.brief or column for column in chosen]
    while True:
        widths = [column.width for column in chosen]
        over = sum(widths) + GAP * (len(chosen) - 1) - width
        while over > 0:
            # The widest gives way first, so that short names stay whole.
            slack = [
                (size, at)
                for at, (column, size) in enumerate(zip(chosen, widths, strict=True))
                if column.least and size > column.least
            ]
            if not slack:
                break
            widths[max(slack)[1]] -= 1
            over -= 1
        least = max(chosen, key=lambda column: column.rank, default=None)
        if over <= 0 or least is None or least.rank == 0:
            return list(zip(chosen, widths, strict=True))
        chosen.remove(least)


def cut(text: Text, width: int, sign: str) -> Text:
    """Shortens a text in its middle: names of branches and paths tell apart at both ends. Pure."""
    if text.cell_len <= width:
        return text
    left = (width - 1) // 2
    head, tail = text.copy(), text.copy()
    head.truncate(left, overflow="crop")
    while tail.cell_len > width - 1 - head.cell_len:
        tail = tail[1:]
    return head + Text(sign) + tail


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 lane", "2 lanes"."""
    return f"{grouped(number)} {one if number == 1 else many or one + 's'}"
