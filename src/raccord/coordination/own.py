"""Tells a document that only raccord changed from one that somebody else wrote in too. Pure.

What raccord wrote is known by its reports, byte for byte: whatever is beside them has to be what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from raccord.coordination import document
from raccord.coordination.report import heading
from raccord.model.language import LANGUAGES

_ANY = "\0"  # stands for a report that is put in


@dataclass(frozen=True, slots=True)
class Papers:
    """The document and its archive; empty where there is none."""

    report: bytes = b""
    archive: bytes = b""


def added(before: Papers, now: Papers, text: Callable[[str], str | None]) -> tuple[str, ...] | None:
    """Which reports came into the papers; None where anything else changed in them.

    Args:
        text: the report of a consolidation as raccord keeps it, None where it knows none of that id.
    """
    before, now = _plain(before), _plain(now)
    blocks = {**document.reports(before.report), **document.reports(before.archive)}
    there = dict.fromkeys((*document.reports(now.report), *document.reports(now.archive)))
    if not blocks.keys() <= there.keys():
        return None  # somebody took one out
    new = tuple(key for key in there if key not in blocks)
    for key in new:
        said = text(key)
        if said is None:
            return None
        blocks[key] = f"{said}\n".encode("utf-8", "surrogateescape")
    titles, any_ = [heading(one) for one in LANGUAGES], _ANY.encode() + b"\n"
    most = len(blocks) + 1
    reports = [document.added(before.report, [_ANY], title, most).document for title in titles]
    archives = [document.archived(before.archive, [any_], title) for title in titles]
    both = ((now.report, before.report, reports), (now.archive, before.archive, archives))
    for text_now, text_before, made in both:
        allowed = {_rest(one.replace(any_, b""), blocks) for one in (text_before, *made)}
        if _rest(text_now, blocks) not in allowed:
            return None
    return new


def _plain(papers: Papers) -> Papers:
    """With plain ends of lines: git may write them otherwise than it keeps them."""
    return Papers(*(one.replace(b"\r\n", b"\n") for one in (papers.report, papers.archive)))


def _rest(text: bytes, blocks: Mapping[str, bytes]) -> bytes:
    """What is left of a document without reports."""
    for block in blocks.values():
        text = text.replace(block, b"", 1)
    return text
