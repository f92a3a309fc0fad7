"""What revisions did on a clone: a row for each, and below what is wrong with it."""

from __future__ import annotations

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import notes
from raccord.model.proof import MigrationProof, ProofReport
from raccord.model.text import shown

STATES = {
    "pass": ("yes", "green", "passed"),
    "irreversible": ("no", "red", "not reversible"),
    "failed": ("no", "red", "failed"),
    "unreached": ("wait", "yellow", "not reached"),
}
OBJECTS = 8
TRACE = 6


def proof(page: Page, report: ProofReport) -> None:
    """Adds a table of the revisions, and the details of those that did not pass."""
    proofs = report.proofs
    if proofs:
        page.table(
            [
                Column("revision", [Text(shown(one.revision), "bold") for one in proofs]),
                Column("state", [_state(page, one) for one in proofs]),
                Column("message", [Text(shown(one.message)) for one in proofs], rank=1, least=10),
            ]
        )
        page.gap()
    for one in proofs:
        if one.reason:
            _details(page, one)
    passed = sum(one.state == "pass" for one in proofs)
    where = ", ".join(map(shown, report.databases))
    what = "empty databases beside" if report.fresh else "clones of"
    if proofs:
        page.line(
            f"{passed} of {count(len(proofs), 'revision')} passed, on {what} {where}; they are dropped."
        )
    else:
        page.line("There is nothing to prove.")
    notes(page, report.notes)
    page.command("next", report.next_command)


def _state(page: Page, one: MigrationProof) -> Text:
    sign, style, words = STATES[one.state]
    return Text(f"{page.sign(sign)} {words}", style)


def _details(page: Page, one: MigrationProof) -> None:
    page.line(Text(shown(one.revision), "bold"), f": {shown(one.reason)}")
    for line in one.left[:OBJECTS]:
        page.line(f"{page.sign('dot')} {shown(line)}", indent=2)
    if len(one.left) > OBJECTS:
        page.line(f"and {len(one.left) - OBJECTS} more", indent=2)
    for line in one.trace[-TRACE:]:
        page.line(Text(shown(line), "dim"), indent=4)
