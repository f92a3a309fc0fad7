"""The step `data.export`: files that were written and read back get their names.

All that the journal knows of an export stands in it: of what, by whom it was asked for, whether masked, and
where it went. It holds no row. Nothing of an environment is changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.data.manifest import Made
from raccord.errors import CannotRun, HeldBack, WorldMoved
from raccord.kernel import fs, fs_part
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step
from raccord.model.text import shown

EXPORT = "data.export"
SEALED = {"none": "in clear", "passphrase": "sealed to a passphrase", "age": "sealed to keys"}
END = 1 << 16  # bytes at the end of a file that tell whether it is the one


@dataclass(frozen=True, slots=True)
class File:
    """A file that waits for its name.

    Attributes:
        part: what it is called till then, in the same folder.
        size: in bytes.
        end: hash of its last bytes.
    """

    path: Path
    part: Path
    size: int
    end: str

    @classmethod
    def of(cls, path: Path, part: Path) -> File:
        """One that was written."""
        return cls(path, part, fs_part.size_of(part), _end(part))

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {"path": str(self.path), "part": str(self.part), "size": self.size, "end": self.end}

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> File:
        """Reads `document` back."""
        return cls(Path(said["path"]), Path(said["part"]), said["size"], said["end"])


# Gives files their names, in order: they are whole by now. Told how many rows each table has.
Naming = Callable[[Sequence[File], Mapping[str, int]], None]


def export_step(
    name: str, form: str, sealed: str, made: Made, place: Path, files: Sequence[File], rows: Mapping[str, int]
) -> Step:
    """The step that ends an export.

    Args:
        name: of the set.
        form: "archive" or "csv".
        sealed: "none", "passphrase" or "age".
        place: the archive, or the folder of the files.
        rows: how many each table has, by its name for a person.
    """
    words = [f"{sum(rows.values())} rows of {', '.join(rows)}", SEALED[sealed]]
    words += ["masked"] if made.masked else [f"unmasked: {made.reason}"] if made.reason else []
    payload: dict[str, Json] = {
        "set": name, "form": form, "sealed": sealed, "place": str(place), "made": made.document(),
        "files": [one.document() for one in files], "rows": dict(rows),
    }  # fmt: skip
    title = f"write {name} of {made.environment} into {place.name}: {', '.join(words)}"
    return Step(EXPORT, 1, shown(title), payload)


class ExportHandler:
    """Gives files their names; those that have them by now are let be."""

    kind, version = EXPORT, 1

    def probe(self, step: Step, context: Context) -> Position:
        """Which of them are there, and as they were written."""
        files = [File.parse(one) for one in step.payload["files"]]
        named, waits = [_is(one.path, one) for one in files], [_is(one.part, one) for one in files]
        if all(named):
            return Position.AFTER
        if not all(one or other for one, other in zip(named, waits, strict=True)):
            return Position.NEITHER
        return Position.BETWEEN if any(named) else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Names them.

        Raises:
            HeldBack: another file has one of the names.
            WorldMoved: one is no longer there.
        """
        for one in (File.parse(said) for said in step.payload["files"]):
            if fs.signature(one.part) is None:
                if _is(one.path, one):
                    continue
                raise WorldMoved(f"{shown(str(one.part))} is gone", hint="raccord data export")
            try:
                fs_part.publish(one.part, one.path)
            except FileExistsError:
                raise HeldBack(
                    f"{shown(str(one.path))} is there by now",
                    hint="raccord data export, with another --out",
                    finding="data.taken",
                ) from None
        return Outcome({"place": step.payload["place"]})

    def revert(self, step: Step, context: Context) -> None:
        """Has them wait again."""
        for one in (File.parse(said) for said in step.payload["files"]):
            if fs.signature(one.part) is None and _is(one.path, one):
                fs_part.publish(one.path, one.part)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing: no environment was changed, and the files are a person's own."""
        return ()


def _is(path: Path, one: File) -> bool:
    """Whether a file is the one that was written."""
    return fs_part.size_of(path) == one.size and _end(path) == one.end


def _end(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - END))
            return hashlib.sha256(file.read(END)).hexdigest()
    except OSError as error:
        raise CannotRun(f"{shown(str(path))} can't be read: {error.strerror}") from None
