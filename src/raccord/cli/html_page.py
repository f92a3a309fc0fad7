"""One page by itself: what all pages share. It asks nothing of any server, and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from raccord import __version__
from raccord.cli.html import Html, foreign, joined, tag
from raccord.cli.html_charts import dot, ring
from raccord.cli.html_words import number, share
from raccord.model.language import ENGLISH, Sentence, message, say
from raccord.model.plan import Finding

KINDS = ("added", "changed", "removed")


def document(
    language: str, title: str, brow: str, ends: Sequence[tuple[str, str]], body: Sequence[Html], now: float
) -> str:
    """The whole page.

    Args:
        brow: what it is, above its title.
        ends: where from and where to, each with the address.
        now: seconds since the epoch.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=f"raccord {__version__}"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · raccord"),
        tag("style", Html(style())),
    )
    top = tag("header", tag("p", brow, class_="brow"), foreign(title, "h1"), _route(ends))
    page = tag("div", top, tag("main", *body), _footer(language, now), class_="wide")
    return "<!doctype html>\n" + tag("html", head, tag("body", page), lang=language) + "\n"


@cache
def style() -> str:
    """How it looks."""
    return resources.files("raccord.cli").joinpath("page.css").read_text("utf-8")


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _route(ends: Sequence[tuple[str, str]]) -> Html:
    said = [tag("div", foreign(name, "dt"), foreign(where, "dd"), class_="end") for name, where in ends]
    way = tag("div", "→", class_="way", aria_hidden="true")
    return tag("div", tag("dl", said[0]), way, tag("dl", said[1]), class_="route")


def _footer(language: str, now: float) -> Html:
    at = time.gmtime(now)
    when = tag("time", time.strftime("%Y-%m-%d %H:%M UTC", at), datetime=time.strftime("%Y-%m-%dT%H:%MZ", at))
    made = message("Made by raccord {version}", version=__version__).said(language)
    return tag("footer", tag("p", made, ", ", when))


def verdict(kind: str, said: str, more: str = "") -> Html:
    """What a hurried reader takes along.

    Args:
        kind: "fine", "differs" or "wrong".
    """
    return tag("p", said, *([tag("small", more)] if more else []), class_=f"verdict {kind}")


def tiles(
    origin: str, goal: str, counts: Mapping[str, int], equal: int, words: tuple[str, str, str], language: str
) -> Html:
    """The numbers of a comparison, beside the share of what is equal.

    Args:
        origin, goal: the environments.
        counts: how many of each kind.
        equal: how many of none.
        words: what is equal; the title of its share; what that is of.
    """
    whole = equal + sum(counts.values())
    said = share(equal, whole, language) if whole else number(0, language)
    chart = ring(equal, whole, f"{words[1]} {said}", words[2], "share")
    name = tag("p", dot("equal"), tag("span", words[0]), class_="name")
    text = tag("div", name, tag("p", said, class_="figure equal"), tag("p", words[2], class_="what"))
    what = {
        "added": message("only in {place}", place=origin).said(language),
        "changed": message("in both, and different").said(language),
        "removed": message("only in {place}", place=goal).said(language),
    }
    called = names(language)
    four = [_tile(kind, called[kind], number(counts[kind], language), what[kind]) for kind in KINDS]
    return tag("div", tag("div", chart, text, class_="tile share"), *four, class_="tiles")


def _tile(kind: str, name: str, count: str, what: str) -> Html:
    figure = f"figure {kind}" if count != "0" else "figure none"
    title = tag("p", dot(kind), tag("span", name), class_="name")
    return tag("div", title, tag("p", count, class_=figure), tag("p", what, class_="what"), class_="tile")


def names(language: str) -> dict[str, str]:
    """What the kinds of difference are called."""
    return {
        "added": message("added").said(language),
        "changed": message("changed").said(language),
        "removed": message("removed").said(language),
    }


def signed(kind: str, count: int, language: str) -> Html:
    """How many of a kind, with its sign."""
    sign = {"added": "+", "changed": "~", "removed": "\u2212"}[kind]
    said = f"{sign}{number(count, language)}" if count else "0"
    return tag("span", said, class_=kind if count else "none")


def section(title: str, *inside: Html, long: bool = False) -> Html:
    """A part of the page."""
    return tag("section", tag("h2", title), *inside, class_="sheet long" if long else "sheet")


def told(findings: Sequence[Finding], language: str) -> Html:
    """What raccord says, and what to do about it."""
    lines = [
        tag(
            "li",
            foreign(say(one.message, language), lang=_lang(one.message, language)),
            *([tag("code", say(one.hint, language))] if one.hint else []),
        )
        for one in findings
    ]
    return tag("ul", *lines, class_="told")


def _lang(text: str, language: str) -> str | None:
    """The language of a text that is in another one than its page."""
    return None if isinstance(text, Sentence) or language == ENGLISH else ENGLISH


def next_step(command: str, language: str) -> Html:
    """The command to type next."""
    title = message("What to do next").said(language)
    return section(title, tag("p", tag("code", command), class_="next")) if command else joined()
