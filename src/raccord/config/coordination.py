"""The keys of coordination: declared as those of `config.keys` are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raccord.config.kinds import (
    FILE,
    GLOBS,
    HIDDEN,
    NAME,
    PATTERNS,
    SECRET,
    TEXT,
    TEXTS,
    TRUTH,
    Secret,
    key,
    whole,
)

WATCHES = (
    "SYNC_STATUS.md",
    "AGENT_SYNC.md",
    "AGENT_SYNC_CLAUDE.md",
    "AGENT_SYNC_CODEX.md",
    "AGENT_SYNC_GEMINI.md",
    "docs/passation.md",
    "docs/passation_claude.md",
    "docs/passation_codex.md",
    "AGENTS.md",
    "CODEV_PROTOCOL.md",
    "docs/architecture/*.md",
    "ROADMAP.md",
)


@dataclass(frozen=True, slots=True)
class Coordination:
    """Which files are watched in every worktree, and when their changes become a report."""

    watch: tuple[str, ...] = key(
        WATCHES,
        GLOBS,
        "The files to watch, from the top of each worktree: `AGENTS.md` is the one at the top, "
        "`**/AGENTS.md` is any, and `!vendor/**` leaves out again.",
    )
    check_interval_seconds: int = key(
        30,
        whole(1, "seconds"),
        "Between two looks at every file; changes are seen as they happen all the same.",
    )
    trigger_check_seconds: int = key(
        60, whole(1, "seconds"), "How often it is seen whether changes are to be consolidated."
    )
    threshold: int = key(
        5, whole(0, "changes"), "Pending changes from which on they are consolidated; 0 for never."
    )
    interval_minutes: int = key(
        60, whole(1, "minutes"), "After which pending changes are consolidated, however few."
    )
    worktree: str = key(
        "",
        TEXT,
        "The worktree whose document takes the reports, by its name or path; the main one where empty.",
    )
    report: str = key("SYNC_STATUS.md", FILE, "The document that the reports go into.")
    archive: str = key("SYNC_STATUS_ARCHIVE.md", FILE, "Where older reports go.")
    reports_kept: int = key(20, whole(1, "reports"), "How many reports stay in the document.")
    commit: bool = key(
        False,
        TRUTH,
        "Commit the report after each consolidation, that file alone, where nobody else wrote in it.",
    )
    push: bool = key(
        False, TRUTH, "Push such commits, where the branch has no other commits that its remote branch lacks."
    )
    commit_protected: bool = key(
        False, TRUTH, "Commit on a branch that `sync.protected` names, and push it, too."
    )
    commit_message: str = key(
        "docs(sync): {summary}",
        TEXT,
        "The first line of the commit. {summary}, {changes} and {id} are replaced.",
    )
    journals: tuple[str, ...] = key(
        (),
        GLOBS,
        "Journals in the worktree that takes the reports whose old entries are moved into an archive beside "
        "each after a consolidation; an entry begins with a heading that holds a date.",
        '["docs/passation_*.md"]',
    )
    journal_hours: int = key(48, whole(1, "hours"), "How old an entry of a journal is when it moves.")
    owners: Mapping[str, str] = key(
        {},
        TEXTS,
        "Who works in a worktree: its name, its path or its branch, as a pattern, and the owner's name.",
        '{ "claude-*" = "claude-code", "codex/*" = "codex-local" }',
    )
    agents: Mapping[str, str] = key(
        {},
        TEXTS,
        "More words in the names of branches, worktrees, programs and authors of commits, and the agent that "
        "each names; the longest that fits counts. claude, codex, codex cloud and gemini are known.",
        '{ "aider" = "aider" }',
    )
    hub: Secret | None = key(
        None,
        SECRET,
        "A PostgreSQL database through which several machines tell each other what they see; best from env: "
        "or file:, since its URL has a password. TLS is as libpq has it: `?sslmode=verify-full`.",
        '"env:RACCORD_HUB"',
    )
    project: str = key(
        "",
        TEXT,
        "What the machines work on together, by a name that is the same on all of them; where it is empty, "
        "the first commit of the base branch.",
        '"shop"',
    )
    machine: Secret | None = key(
        None,
        NAME,
        "What others call this machine; where this is left out, the host's name and that of the main "
        "worktree's directory.",
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """Somebody who is told of what `raccord watch` and `raccord serve` see."""

    url: Secret | None = key(
        None,
        SECRET,
        "Where to: a webhook (https://…), or any service that apprise knows, such as slack://…, discord://…, "
        "mailto://…; best from env: or file:, since such URLs are secrets.",
        '"env:TEAM_WEBHOOK"',
    )
    secret: Secret | None = key(
        None, HIDDEN, "What a webhook's body is signed with, so that its receiver knows who sent it."
    )
    events: tuple[str, ...] = key(
        ("consolidation", "trouble", "recovered"),
        PATTERNS,
        "What is told: change, consolidation, trouble, recovered; `*` for all.",
        '["*"]',
    )
