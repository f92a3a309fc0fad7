"""Reads gettext's catalogues (`.po`) as text. Pure; of the format it knows what a catalogue of ours needs.

Format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# A message and its plural ("" for none) to the forms in the language.
Catalogue = Mapping[tuple[str, str], tuple[str, ...]]

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr(?:\[\d+\])?)[ \t]+)?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
HEADER = ("", "")


def parse(text: str) -> Catalogue:
    """The messages of a catalogue; the header is the one whose message is empty.

    Left out are those that are fuzzy, untranslated or commented out: gettext doesn't use them either.

    Raises:
        ValueError: a line is none of gettext's, or nothing of what raccord's catalogues have.
    """
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    entry: dict[str, str] = {}
    last = ""
    fuzzy = flagged = False

    def end() -> None:
        if "msgid" in entry:
            forms = tuple(value for name, value in entry.items() if name.startswith("msgstr"))
            key = (entry["msgid"], entry.get("msgid_plural", ""))
            if key in found:
                raise ValueError(f"{key[0]!r} is there twice")
            if forms and all(forms) and not fuzzy:
                found[key] = forms
        entry.clear()

    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            flagged = flagged or (line.startswith("#,") and "fuzzy" in line)
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or (not match[1] and not last):
            raise ValueError(f"line {number}: {line!r} is nothing that a catalogue of raccord's has")
        if match[1] == "msgid":
            end()
            fuzzy, flagged = flagged, False
        last = match[1] or last
        entry[last] = entry.get(last, "") + _ESCAPE.sub(_unescaped, match[2])
    end()
    return found


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1] not in _ESCAPED:
        raise ValueError(f"{escape[0]} is no escape of gettext's that raccord knows")
    return _ESCAPED[escape[1]]
