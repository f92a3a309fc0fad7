"""Numbers as each language writes them."""

from __future__ import annotations

from math import floor

SEPARATORS = {"en": (",", "."), "fr": ("\u202f", ",")}  # of thousands, of decimals
SIZES = {"en": ("B", "kB", "MB", "GB", "TB"), "fr": ("o", "ko", "Mo", "Go", "To")}


def number(value: float, language: str, decimals: int = 0) -> str:
    """A number with its thousands apart."""
    thousands, point = SEPARATORS[language]
    return f"{value:,.{decimals}f}".replace(",", "\0").replace(".", point).replace("\0", thousands)


def share(part: int, whole: int, language: str) -> str:
    """A share in percent, never rounded to all or to nothing where it isn't."""
    if part == whole:
        return f"{number(100, language)}{_percent(language)}"
    tenths = floor(1000 * part / whole)
    if tenths == 999 or (tenths == 0 and part):
        exact = floor(100_000 * part / whole)
        shown = min(max(exact, 1), 99_999)
        return f"{number(shown / 1000, language, 3)}{_percent(language)}"
    return f"{number(tenths / 10, language, 1)}{_percent(language)}"


def _percent(language: str) -> str:
    return "\u202f%" if language == "fr" else "%"


def size(count: int, language: str) -> str:
    """Bytes in the unit that suits them."""
    value, units = float(count), SIZES[language]
    for unit in units:
        if value < 1000 or unit == units[-1]:
            break
        value /= 1000
    return f"{number(value, language, 1 if unit != units[0] else 0)}\u00a0{unit}"
