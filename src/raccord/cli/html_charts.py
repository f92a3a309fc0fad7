"""Charts of a page, as SVG that needs no script. Each says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence

from raccord.cli.html import Html, joined, tag

LEAST = 0.7  # percent of a bar's width: what is there is seen


def ring(part: int, whole: int, title: str, desc: str, name: str) -> Html:
    """A share, as a ring.

    Args:
        name: of the chart within its page.
    """
    done = 100 * part / whole if whole else 100
    if part < whole:
        done = min(max(done, LEAST if part else 0), 100 - LEAST)
    circle: dict[str, str | int] = {"cx": 50, "cy": 50, "r": 40, "stroke_width": 14}
    # SVG's names have capitals that a keyword keeps.
    arc = tag("circle", class_="arc", **circle, pathLength=100, stroke_dasharray=f"{done:.2f} 100",
              transform="rotate(-90 50 50)")  # fmt: skip
    return _chart(name, title, desc, "0 0 100 100", tag("circle", class_="ring", **circle), arc)


def bar(parts: Sequence[tuple[str, int]], largest: int, title: str, desc: str, name: str) -> Html:
    """Numbers side by side in one bar.

    Args:
        parts: for each the class of its colour, and the number.
        largest: the sum that fills the whole width.
    """
    rects, at = [tag("rect", class_="fill-track", x=0, y=0, width=100, height=10)], 0.0
    there = [(kind, number) for kind, number in parts if number]
    least = [max(100 * number / max(largest, 1), LEAST) for _, number in there]
    shrink = min(1.0, 100 / sum(least)) if least else 1.0
    for (kind, _), width in zip(there, least, strict=True):
        rects.append(tag("rect", class_=f"fill-{kind}", x=f"{at:.3f}", y=0, width=f"{width * shrink:.3f}",
                         height=10))  # fmt: skip
        at += width * shrink
    return _chart(name, title, desc, "0 0 100 10", *rects, stretch=True)


def dot(kind: str) -> Html:
    """The colour of a kind, beside its name; each has a form of its own, since colours alone don't tell."""
    forms = {
        "added": tag("path", class_="fill-added", d="M4 0h4v4h4v4H8v4H4V8H0V4h4z"),
        "changed": tag("path", class_="fill-changed", d="M6 0l6 6-6 6-6-6z"),
        "removed": tag("path", class_="fill-removed", d="M0 4h12v4H0z"),
        "equal": tag("circle", class_="fill-equal", cx=6, cy=6, r=6),
    }
    return tag("svg", forms[kind], class_="dot", viewBox="0 0 12 12", aria_hidden="true")


def _chart(name: str, title: str, desc: str, box: str, *inside: Html, stretch: bool = False) -> Html:
    words = joined(tag("title", title, id=f"{name}-title"), tag("desc", desc, id=f"{name}-desc"))
    return tag(
        "svg", words, *inside, role="img", viewBox=box, aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc", preserveAspectRatio="none" if stretch else None,
    )  # fmt: skip
