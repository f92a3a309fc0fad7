"""Text that is safe to show: paths and messages of a repository may hold any byte.

Inside raccord a path is a `str` decoded with `surrogateescape`, so that it round-trips through JSON
(`ensure_ascii`) and through `os.fsencode`.
"""

from __future__ import annotations

# The spaces that French has before `: ; ! ?`, and that break no line. Python prints neither.
FRENCH_SPACES = "\u00a0\u202f"


def shown(text: str) -> str:
    """Returns `text` with control characters, newlines and undecodable bytes escaped."""
    if text.isprintable():
        return text
    out = []
    for char in text:
        if char.isprintable() or char in FRENCH_SPACES:
            out.append(char)
        elif "\udc80" <= char <= "\udcff":
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        else:
            out.append(char.encode("unicode_escape", "backslashreplace").decode("ascii"))
    return "".join(out)


def grouped(number: int) -> str:
    """A number with its thousands apart: "12,345"."""
    return f"{number:,}"


def several(number: int, one: str, of: str = "", does: tuple[str, str] = ("", "")) -> str:
    """A number with its noun: "1 row", "12,345 rows of shop refer".

    Args:
        of: what they are of.
        does: what one does, and what many do.
    """
    said = f"{grouped(number)} {one if number == 1 else one + 's'}"
    return " ".join(filter(None, (said, of and f"of {of}", does[number != 1])))


def size(number: float) -> str:
    """A number of bytes for a person: "3.4 MB"."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
