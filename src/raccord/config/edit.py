"""Changes single keys of a TOML document, and leaves every other byte as it is. Pure.

A guess at where the key belongs is tried on the text, and taken only where the parser says that exactly that
key is another then: whatever a document looks like, no change touches something else.
"""

from __future__ import annotations

import codecs
import copy
import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raccord.config.lines import line_of
from raccord.config.text import spelled, toml
from raccord.model.plan import Json

Path = Sequence[str]


class Unchangeable(Exception):
    """Nowhere can the key be written without touching something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{'.'.join(path)} can't be changed without touching something else of the file")


@dataclass(frozen=True, slots=True)
class Splice:
    """A part of a document that became another.

    Attributes:
        at: how many lines stand before it.
        out, into: whole lines; "" for none.
    """

    at: int
    out: str
    into: str


def changed(text: str, path: Path, value: Json) -> tuple[str, tuple[Splice, ...]]:
    """The document with one key set to a value, and what of it became another.

    Args:
        text: a TOML document.
        path: the parts of the key.
        value: what TOML has, without times; None for a key that is to go.

    Raises:
        Unchangeable: see there.
    """
    before = tomllib.loads(text)
    old = found(before, path)
    if old == value and type(old) is type(value):
        return text, ()
    if not (isinstance(value, Mapping) and isinstance(old, Mapping)):
        allowed = _allowed(_with(before, path, value), path)
        for candidate in _candidates(text, path, value, there=old is not None):
            if _parsed(candidate) in allowed:
                return candidate, (_splice(text, candidate),)
    if not isinstance(old, Mapping) or not isinstance(value, Mapping | None):
        raise Unchangeable(path)
    splices: tuple[Splice, ...] = ()
    for name in dict.fromkeys((*old, *(value or {}))):
        text, more = changed(text, (*path, name), (value or {}).get(name))
        splices += more
    return text, splices


def put_back(text: str, splices: Sequence[Splice]) -> str:
    """The document as it was before changes; nothing else may have changed it since."""
    lines = text.splitlines(keepends=True)
    for one in reversed(splices):
        lines[one.at : one.at + len(one.into.splitlines())] = one.out.splitlines(keepends=True)
    return "".join(lines)


def opened(data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """The text of a document, and what makes such bytes of a text again: line ends and mark as they were.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = data[len(mark) :].decode()
    ends = text.count("\r\n")
    if not ends or ends != text.count("\n"):
        return text, lambda made: mark + made.encode()
    return text.replace("\r\n", "\n"), lambda made: mark + made.replace("\n", "\r\n").encode()


def lonely(splice: Splice) -> bool:
    """Whether it is about one key alone, so that keeping it keeps no other key's value."""
    documents = [_parsed(part) for part in (splice.out, splice.into)]
    return all(one is None or not one or _single(one) for one in documents)


def found(document: Mapping[str, Any], path: Path) -> Any:
    """What a document has at a path; None where it has nothing."""
    at: Any = document
    for part in path:
        if not isinstance(at, dict) or part not in at:
            return None
        at = at[part]
    return at


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _with(document: Mapping[str, Any], path: Path, value: Json) -> dict[str, Any]:
    made: Any = copy.deepcopy(document)
    at = made
    for part in path[:-1]:
        at = at.setdefault(part, {})
        if not isinstance(at, dict):
            raise Unchangeable(path)
    if value is None:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = copy.deepcopy(value)
    return dict(made)


def _allowed(document: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The document, and what it is without the tables above a key that are empty now: they may go with it."""
    made = [document]
    for end in range(len(path) - 1, 0, -1):
        if found(document, path[:end]) == {}:
            document = _with(document, path[:end], None)
            made.append(document)
    return made


def _splice(before: str, after: str) -> Splice:
    """The lines between what both begin and end with."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Splice(head, "".join(old[head : len(old) - tail]), "".join(new[head : len(new) - tail]))


def _candidates(text: str, path: Path, value: Json, *, there: bool) -> Iterator[str]:
    lines = text.split("\n")
    if there:
        place = _statement(lines, text, path)
        if place is not None:
            yield from _replaced(lines, place, path, value)
        return
    if value is None:
        return
    inside = path[:-1]
    written = f"{_name(path[-1])} = {spelled(path[-1], value)}"
    for at, indent in _anchors(lines, text, inside, path[-1]):
        alone = not inside and at < len(lines) and lines[at].startswith("[")
        yield _inserted(lines, at, indent + written + ("\n" if alone else ""))
    for end in range(len(inside), 0, -1):
        # The section is an inline table, or its keys have dots.
        place = _statement(lines, text, path[:end])
        if place is not None:
            yield from _replaced(lines, place, path, value)
            dotted = ".".join(map(_name, path[end - 1 :]))
            yield _inserted(lines, place[1], f"{dotted} = {toml(value)}")
    head = text if not text or text.endswith("\n") else f"{text}\n"
    gap = "\n" if head else ""
    yield f"{head}{gap}[{'.'.join(map(_name, inside))}]\n{written}\n" if inside else f"{written}\n{text}"


def _inserted(lines: Sequence[str], at: int, line: str) -> str:
    tail = lines[at:] if at < len(lines) else [""]
    return "\n".join([*lines[:at], line, *tail])


def _statement(lines: Sequence[str], text: str, path: Path) -> tuple[int, int] | None:
    """The lines of the statement in which a key begins: from, and up to but not including."""
    line = line_of(text, path)
    if not line:
        return None
    for end in range(line, len(lines) + 1):
        if found(_parsed("\n".join(lines[:end]) + "\n") or {}, path) is not None:
            return line - 1, end
    return None


def _replaced(lines: Sequence[str], place: tuple[int, int], path: Path, value: Json) -> Iterator[str]:
    """The document with a value exchanged inside one statement."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    begin, end = place
    statement = "\n".join(lines[begin:end]) + "\n"
    alone = _parsed(statement) or {}
    for start in range(len(path)):
        part = path[start:]
        if found(alone, part[: max(1, len(part) - 1)]) is None:
            continue
        if value is None and _only(alone, part):
            yield "\n".join([*lines[:begin], *lines[end:]])
        try:
            document: Any = tomlkit.parse(statement)
            holder = document
            for name in part[:-1]:
                holder = holder[name]
            if value is None:
                del holder[part[-1]]
            elif not _in_list(holder, part[-1], value):
                holder[part[-1]] = tomlkit.value(spelled(part[-1], value))
            made = tomlkit.dumps(document).removesuffix("\n")
        except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
            continue
        yield "\n".join([*lines[:begin], made, *lines[end:]])


def _single(document: Mapping[str, Any]) -> bool:
    """Whether a statement sets one key alone."""
    at: Any = document
    while isinstance(at, dict):
        if len(at) != 1:
            return False
        at = next(iter(at.values()))
    return True


def _only(document: dict[str, Any], path: Path) -> bool:
    """Whether a statement sets this key, or what is in it, and no other."""
    return found(document, path) is not None and all(
        len(found(document, path[:end])) == 1 for end in range(len(path))
    )


def _in_list(holder: Any, name: str, value: Json) -> bool:
    """Changes the items of a list that has several lines, so that its comments stay; whether it could."""
    from tomlkit.items import Array

    there: Any = holder.get(name)
    if not isinstance(value, list) or not isinstance(there, Array) or "\n" not in there.as_string():
        return False
    old = there.unwrap()
    steps = difflib.SequenceMatcher(None, list(map(toml, old)), list(map(toml, value)), autojunk=False)
    for kind, first, last, begin, end in reversed(steps.get_opcodes()):
        if kind == "equal":
            continue
        both = min(last - first, end - begin)
        for at in range(both):
            there[first + at] = value[begin + at]
        for at in reversed(range(first + both, last)):
            del there[at]
        for at in range(both, end - begin):
            there.insert(first + at, value[begin + at])
    return bool(there.unwrap() == value)


def _anchors(lines: Sequence[str], text: str, inside: Path, name: str) -> Iterator[tuple[int, str]]:
    """Where a key may go into a section, the nicest place first: the number of lines before, the indent."""
    section = found(tomllib.loads(text), inside) if inside else tomllib.loads(text)
    if not isinstance(section, dict):
        return
    header = line_of(text, inside) if inside else 0
    if header and not lines[header - 1].lstrip().startswith("["):
        header = 0
    elif inside and not header:
        return
    if header or not inside:
        until = next(
            (at for at in range(header, len(lines)) if lines[at].lstrip().startswith("[")), len(lines)
        )
        for at in range(header, until):
            if re.match(rf"#\s?{re.escape(name)}\s*=", lines[at]):
                yield _commented_end(lines, at), ""
    ends = []
    for key in section:
        place = _statement(lines, text, (*inside, key))
        if place is not None and not lines[place[0]].lstrip().startswith("["):
            ends.append((place[1], re.match(r"[ \t]*", lines[place[0]])[0]))  # type: ignore[index]
    if ends:
        yield max(ends)
    if header:
        yield header, ""
    elif not inside and not ends:
        at = 0
        while at < len(lines) and lines[at].startswith("#"):
            at += 1
        yield at, ""


def _commented_end(lines: Sequence[str], at: int) -> int:
    """Behind an example that is commented out."""
    if lines[at].rstrip().endswith("["):
        for end in range(at + 1, len(lines)):
            if not lines[end].startswith("#"):
                break
            if lines[end].lstrip("# ").rstrip() == "]":
                return end + 1
    return at + 1


def _name(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else toml(part)
