"""Writes the report of a consolidation in the form that its readers know. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from raccord.coordination.summary import Summary
from raccord.model.coordination import Change, Trigger, local
from raccord.model.language import counted, message
from raccord.model.plan import Json
from raccord.model.text import shown

HEADING = message("## 🤖 Automatic synchronisation")
ENTRY = "### Consolidation - "
END = "---"

_MARKS = re.compile(r"([*`<\[\\])")


def heading(language: str) -> str:
    """The heading of the section that holds the reports."""
    return HEADING.said(language)


def mark(key: str) -> str:
    """What tells a report in the document from any other; Markdown shows none of it."""
    return f"<!-- raccord:consolidation:{key} -->"


def report(
    key: str,
    trigger: Trigger,
    conditions: Mapping[str, Json],
    at: float,
    changes: Sequence[Change],
    language: str,
    *,
    place: Callable[[str], str] = lambda root: "",
    summaries: Mapping[str, Summary] = {},
) -> str:
    """One report, with a line end behind its last line.

    Args:
        at: when, in Unix seconds.
        place: the name of a root, where a reader needs it: "" for that in which the document is.
        summaries: by path, what lies between its first and its last content.
    """
    by_path: dict[str, list[Change]] = {}
    for one in changes:
        by_path.setdefault(one.path, []).append(one)
    events = counted("{number} event", "{number} events", number=len(changes)).said(language)
    files = counted("{number} file", "{number} files", number=len(by_path)).said(language)
    said = json.dumps(dict(conditions), ensure_ascii=False)
    lines = [
        f"{ENTRY}{local(at)}",
        mark(key),
        "",
        message("**Trigger**: `{trigger}`", trigger=trigger).said(language),
        message("**Conditions**: {conditions}", conditions=said).said(language),
        message("**Consolidated changes**: {events} in {files}", events=events, files=files).said(language),
        "",
        message("**Changed files**:").said(language),
    ]
    for path, ones in by_path.items():
        lines.append(
            counted(
                "- **{path}**: {number} event",
                "- **{path}**: {number} event(s)",
                path=plain(path),
                number=len(ones),
            ).said(language)
        )
        lines += [_line(one, place(one.root), language) for one in ones]
        if path in summaries:
            lines.append(_summed(summaries[path], language))
    # Whoever searches a document types plain spaces.
    return "\n".join([*lines, "", END, ""]).replace("\u00a0", " ")


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKS.sub(r"\\\1", shown(text))


def _line(one: Change, place: str, language: str) -> str:
    who = f"agent: {plain(one.owner)}"
    if place:
        who += message(", worktree: {name}", name=plain(place)).said(language)
    if one.before:
        who += message(", before: {path}", path=plain(one.before)).said(language)
    return message("  - `{kind}` at {at} ({who})", kind=one.kind, at=local(one.at), who=who).said(language)


def _summed(one: Summary, language: str) -> str:
    lines = f"+{one.added} -{one.removed}"
    if not one.sections:
        return message("  - lines: {lines}", lines=lines).said(language)
    names = ", ".join(map(plain, one.sections))
    return message("  - lines: {lines}, in: {names}", lines=lines, names=names).said(language)
