"""What `raccord migrations lint` answers with, in the language that was asked for; rules keep their names."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class LintFinding:
    """What a rule found in a revision.

    Attributes:
        rule: its name.
        state: "new"; "old" where the baseline has it; "ignored" where a comment ignores it.
        status: "fail", or "note" where the configuration says that it fails nothing.
        revision: the revision's id; "" for a file that can't be read.
        file: absolute path.
        line: 1-based; 0 where no line is to blame.
        message: what is wrong.
        fix: what to do instead.
        reason: why it is ignored, or "".
    """

    rule: str
    state: str
    status: str
    revision: str
    file: str
    line: int
    message: str
    fix: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LintReport:
    """What the rules say about revisions.

    Attributes:
        language: of messages.
        revisions: how many were looked at.
        findings: by file and line.
        stale: entries of the baseline that hold for nothing any more, one line each.
        notes: what a person should know.
        next_command: what to type next, or "".
    """

    language: str
    revisions: int
    findings: tuple[LintFinding, ...] = ()
    stale: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()
    next_command: str = ""

    @property
    def failed(self) -> bool:
        """Whether something new is wrong."""
        return any(one.state == "new" and one.status == "fail" for one in self.findings)
