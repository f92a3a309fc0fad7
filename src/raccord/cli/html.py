"""Elements of a page: what is no element is text, and text is escaped; so nothing foreign becomes markup."""

from __future__ import annotations

import html

from raccord.model.text import shown

LONGEST = 300  # characters of one text
_VOID = frozenset({"meta"})


class Html(str):
    """Markup that this program made."""

    __slots__ = ()


def text(said: str) -> Html:
    """Text as it can be shown: without control characters, cut where it is very long."""
    cut = said if len(said) <= LONGEST else said[:LONGEST] + "…"
    return Html(html.escape(shown(cut)))


def tag(name: str, /, *inside: str, **attributes: str | int | None) -> Html:
    """An element.

    Args:
        inside: elements, and text, which is escaped.
        attributes: escaped too; None leaves one out. `class_` is class, and `aria_label` aria-label.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(*inside)}</{name}>")


def joined(*inside: str) -> Html:
    """Elements and text one after the other."""
    return Html("".join(one if isinstance(one, Html) else text(one) for one in inside))


def foreign(said: str, name: str = "bdi", **attributes: str | int | None) -> Html:
    """A name or value of somebody else's; whichever way it is written, what is around it stays in order."""
    return tag(name, said, dir="auto" if name != "bdi" else None, **attributes)
