"""The lines that raccord keeps in `info/exclude`, in a block of its own. Bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Sequence

BEGIN = b"# raccord: copies of migrations, kept out of commits"
END = b"# raccord: end"


def patterns(data: bytes) -> tuple[bytes, ...]:
    """The patterns in the block, none where there is no block."""
    return _parts(data)[1]


def changed(data: bytes, add: Sequence[bytes] = (), remove: Sequence[bytes] = ()) -> bytes:
    """The file with patterns added to the block and taken from it; a block of none goes whole."""
    before, there, after = _parts(data)
    kept = [line for line in dict.fromkeys([*there, *add]) if line not in remove]
    if not kept:
        return before + after
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    return before + gap + b"\n".join([BEGIN, *kept, END, b""]) + after


def _parts(data: bytes) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """What is before the block, the patterns in it, and what is behind it."""
    lines = data.splitlines(keepends=True)
    bare = [line.rstrip(b"\r\n") for line in lines]
    if BEGIN not in bare:
        return data, (), b""
    first = bare.index(BEGIN)
    last = bare.index(END, first) if END in bare[first:] else first
    inside = tuple(line for line in bare[first + 1 : last] if line)
    return b"".join(lines[:first]), inside, b"".join(lines[last + 1 :])
