"""Plans and runs: a block for each lane, what held it back, and the next command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from raccord.cli.render import Page, count
from raccord.model.plan import Finding, Lane, Plan, Step, Waiver
from raccord.model.report import LaneReport, RunReport
from raccord.model.text import shown

# The style and the words of every state of a run, a lane or a step.
STATES = {
    "aborted": ("yellow", "aborted"),
    "done": ("green", "done"),
    "failed": ("red", "failed"),
    "held": ("red", "held back"),
    "interrupted": ("yellow", "was interrupted"),
    "nothing": ("dim", "nothing to do"),
    "partial": ("yellow", "partly done"),
    "pending": ("dim", "not started"),
    "running": ("cyan", "running"),
    "skipped": ("yellow", "skipped"),
    "stopped": ("yellow", "waits for you"),
    "undone": ("yellow", "taken back"),
}
MARKS = {
    "aborted": "dot",
    "done": "yes",
    "nothing": "dot",
    "pending": "wait",
    "running": "wait",
    "skipped": "dot",
    "stopped": "stop",
    "undone": "dot",
}
# What a person must look at comes last, nearest to the prompt.
ORDER = ("nothing", "skipped", "aborted", "done", "pending", "running", "held", "failed", "stopped")
FINDINGS = {"pass": "green", "fail": "red", "unknown": "yellow", "note": ""}


def plan(page: Page, what: Plan) -> None:
    """Adds a plan, lane by lane, whatever the stages."""
    of = f" of {shown(what.undo_of)}" if what.undo_of else ""
    lanes = what.lanes()
    page.line(Text(f"plan: {shown(what.verb)}{of}", "bold"), f", {count(len(lanes), 'lane')}")
    _waivers(page, what.waivers)
    notes(page, what.notes)
    for parts in lanes.values():
        _planned(page, parts)
    if what.empty and not any(part.held for parts in lanes.values() for part in parts):
        page.line("There is nothing to do.")
    page.line(Text("Nothing was changed.", "dim"))


def run(page: Page, report: RunReport, *, full: bool = False) -> None:
    """Adds how a run went; with `full`, every step of it."""
    style, words = STATES[report.state]
    if report.state == "partial" and not any(lane.state == "done" for lane in report.lanes):
        style, words = STATES["held"]
    head = [Text(" ".join(filter(None, (shown(report.verb), shown(report.id)))), "bold")]
    head += [Text(": "), Text(words, style)]
    tally = _tally(report.lanes)
    page.line(*head, Text(f" ({tally})" if tally and len(report.lanes) > 1 else "", "dim"))
    if full:
        page.line(Text(_when(page, report), "dim"), indent=2)
    _waivers(page, report.waivers)
    notes(page, report.notes)
    for lane in sorted(report.lanes, key=lambda lane: ORDER.index(lane.state)):
        _lane(page, lane, full=full)
    page.command("next", report.next_command)


def notes(page: Page, findings: Iterable[Finding], indent: int = 0) -> None:
    """Adds findings, each with its next command."""
    for finding in findings:
        page.line(Text(shown(finding.message), FINDINGS.get(finding.status, "")), indent=indent)
        page.command("next", finding.hint, indent=indent + 2)


def _planned(page: Page, parts: Sequence[Lane]) -> None:
    held = next((part.held for part in parts if part.held), None)
    title = Text(shown(parts[0].title), "bold")
    if held is not None:
        page.line(Text(f"{page.sign('no')} ", "red"), title, ": held back", indent=2)
        notes(page, [held], indent=4)
    else:
        page.line(title, indent=2)
    seen: list[Finding] = []
    for part in parts:
        seen += [note for note in part.notes if note not in seen]
    notes(page, seen, indent=4)
    for part in parts:
        for step in part.steps:
            page.line(*_step(page, step), indent=4)
    for words in dict.fromkeys(words for part in parts for words in part.then):
        page.line(Text("then: ", "dim"), shown(words), indent=4)


def _step(page: Page, step: Step) -> tuple[Text, Text]:
    if step.destroys:
        return Text("! ", "red"), Text(shown(step.title))
    return Text(f"{page.sign('dot')} ", "dim"), Text(shown(step.title))


def _lane(page: Page, lane: LaneReport, *, full: bool) -> None:
    style, words = STATES[lane.state]
    # A step that only looks what follows has done nothing yet.
    done = [step for step in lane.steps if step.state == "done" and (step.note or step.kind[-5:] != ".then")]
    did = [step.note or step.title for step in done]
    said = ", ".join(dict.fromkeys(did)) if lane.state == "done" and did and not full else words
    mark = page.sign(MARKS.get(lane.state, "no"))
    page.line(
        Text(f"{mark} ", style), Text(shown(lane.title), "bold"), ": ", Text(shown(said), style), indent=2
    )
    if lane.finding is not None:
        notes(page, [lane.finding], indent=6)
    notes(page, lane.notes, indent=6)
    if full:
        for step in lane.steps:
            step_style, step_words = STATES.get(step.state, ("", shown(step.state)))
            note = f" ({shown(step.note)})" if step.note else ""
            page.line(
                Text(f"{page.sign(MARKS.get(step.state, 'no'))} ", step_style),
                shown(step.title) + note,
                Text("" if step.state == "done" else f": {step_words}", step_style),
                indent=6,
            )


def _tally(lanes: Sequence[LaneReport]) -> str:
    states = [lane.state for lane in lanes]
    found = sorted(set(states), key=lambda state: (ORDER.index(state) < 3, ORDER.index(state)))
    return ", ".join(f"{states.count(state)} {STATES[state][1]}" for state in found)


def _waivers(page: Page, waivers: Iterable[Waiver]) -> None:
    for waiver in waivers:
        by = f" by {shown(waiver.by)}" if waiver.by else ""
        said = f"guard skipped{by}: {shown(waiver.guard)}: {shown(waiver.reason)}"
        page.line(Text(said, "yellow"), indent=2)


def _when(page: Page, report: RunReport) -> str:
    took = f", took {report.ended - report.started:.1f} s" if report.ended is not None else ""
    by = f", by {shown(report.by)}" if report.by else ""
    of = f", takes back {shown(report.undo_of)}" if report.undo_of else ""
    return f"started {page.ago(report.started)}{took}{by}{of}"
