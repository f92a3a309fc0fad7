"""Why changes would not be seen, or not reported. Looks only; nothing is recorded."""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from raccord.coordination.exchange import Standing
from raccord.coordination.ledger import Ledger
from raccord.coordination.outbox import Outbox
from raccord.coordination.spec import Spec, due
from raccord.coordination.watch import LIMIT, limit
from raccord.coordination.watched import anchored, find
from raccord.kernel.extras import install
from raccord.model.advice import Advice
from raccord.model.coordination import Root, local
from raccord.model.language import counted, message
from raccord.model.text import shown

SERVICE = ("fastapi", "prometheus_client", "uvicorn", "watchfiles")
SLOW_SECONDS = 300.0
AHEAD_SECONDS = 120.0  # a clock may be set right by so much unnoticed
INSTALL = install("serve")


def packages(channels: Sequence[str]) -> Iterator[Advice]:
    """Packages that watching and serving need.

    Args:
        channels: the URLs of the configured channels.
    """
    wanted = [*SERVICE, *(["apprise"] if any(not one.startswith("http") for one in channels) else [])]
    lacking = [name for name in wanted if importlib.util.find_spec(name) is None]
    if lacking:
        what = message("{names} can't be imported", names=", ".join(lacking))
        yield Advice(
            "service.packages", "warning", what, message("the service does not start without it"), INSTALL
        )
    else:
        yield Advice("service.packages", "ok", message("all that the service needs is installed"))


def disabled(value: str) -> Iterator[Advice]:
    """Whether the service was switched off: the value of AUTOSYNC_ENABLED."""
    if value == "0":
        what = message("AUTOSYNC_ENABLED=0: the service does not start")
        yield Advice("service.disabled", "warning", what, None, "unset AUTOSYNC_ENABLED")


def files(spec: Spec, roots: Sequence[Root], *, default: bool) -> Iterator[Advice]:
    """Patterns that name no file in any worktree.

    Args:
        default: whether nobody chose the patterns: then nobody expects each to name one.
    """
    lacking = [
        one
        for one in spec.watches
        if not one.startswith("!") and not any(find(root.path, anchored([one])).files for root in roots)
    ]
    some = sum(not one.startswith("!") for one in spec.watches) - len(lacking)
    if not some:
        what = message("no watched file is there: {names}", names=", ".join(map(shown, lacking[:5])))
        why = message("only files that coordination.watch names are watched")
        yield Advice("watch.files", "warning" if default else "problem", what, why, "raccord init")
    elif lacking and not default:
        what = message("nothing is named so: {names}", names=", ".join(map(shown, lacking[:5])))
        why = message("only files that coordination.watch names are watched")
        yield Advice("watch.files", "warning", what, why, "git ls-files")
    else:
        what = counted("{number} pattern names files", "{number} patterns name files", number=some)
        yield Advice("watch.files", "ok", what)


def interval(spec: Spec, roots: Sequence[Root]) -> Iterator[Advice]:
    """How soon a change is seen: at once, or only by the clock."""
    seconds = round(spec.check_seconds)
    folders, most = sum(len(find(one.path, spec.patterns).folders) for one in roots), limit()
    if most is not None and folders > most:
        what = message(
            "{folders} directories are to be watched, and {most} may be", folders=folders, most=most
        )
        why = message("files are looked at each second instead, which costs more")
        yield Advice(
            "watch.limit", "warning", what, why, f"sudo sysctl {'.'.join(LIMIT.parts[3:])}={folders * 2}"
        )
    elif spec.check_seconds > SLOW_SECONDS:
        what = message("every file is looked at each {seconds} s only", seconds=seconds)
        why = message("where the system tells of no change, it is seen that late")
        yield Advice("watch.interval", "warning", what, why, "set coordination.check_interval_seconds")
    else:
        what = message(
            "{folders} directories are watched, and every file is looked at each {seconds} s",
            folders=folders,
            seconds=seconds,
        )
        yield Advice("watch.interval", "ok", what)


def seen(ledger: Ledger, roots: Sequence[Root]) -> Iterator[Advice]:
    """Whether anybody has looked, and what can't be read."""
    known = set(ledger.roots())
    fresh = [one for one in roots if one.path not in known]
    if fresh:
        what = counted(
            "{number} worktree was never looked at",
            "{number} worktrees were never looked at",
            number=len(fresh),
        )
        why = message("changes are seen from the first look on")
        yield Advice("watch.seen", "warning", what, why, "raccord watch")
    else:
        last = ledger.changes(newest=1)
        at = local(last[0].at) if last else "-"
        yield Advice("watch.seen", "ok", message("the last change was seen at {at}", at=at))
    for root in roots:
        for path, state in sorted(ledger.known(root.path).items()):
            if state.error:
                place = str(Path(root.path) / path)
                what = message("{place} can't be read: {error}", place=place, error=state.error)
                why = message("its changes are not seen")
                yield Advice("watch.unreadable", "problem", what, why, f"ls -la {shlex.quote(place)}")


def triggers(spec: Spec, ledger: Ledger, now: float, *, running: bool) -> Iterator[Advice]:
    """Whether pending changes become a report, and when.

    Args:
        now: in Unix seconds.
        running: whether a service is known to run.
    """
    pending, told = ledger.changes(pending=True), ledger.consolidations(limit=1, own=True)
    since = told[0].at if told else pending[0].at if pending else now
    number, threshold = len(pending), spec.threshold
    fired = due(spec, number, since, now)
    if fired and not running:
        what = counted(
            "{number} change waits for a report", "{number} changes wait for a report", number=number
        )
        why = message("nobody watches: no trigger is looked at")
        yield Advice("consolidation.due", "warning", what, why, "raccord consolidate")
    elif not threshold:
        why = message(
            "a report comes after {minutes} minutes only, or by hand", minutes=round(spec.interval_minutes)
        )
        what = message("coordination.threshold is 0: no number of changes makes a report")
        yield Advice("consolidation.threshold", "warning", what, why, "raccord consolidate")
    else:
        what = message(
            "{number} of {threshold} changes for a report; after {minutes} minutes any number is enough",
            number=number,
            threshold=threshold,
            minutes=round(spec.interval_minutes),
        )
        yield Advice("consolidation.due", "ok", what)


def document(spec: Spec, home: Root | None, wanted: str) -> Iterator[Advice]:
    """Whether the report can be written.

    Args:
        wanted: the configured name of the worktree that takes it.
    """
    if home is None:
        if wanted:
            what = message("there is no worktree {name} to take the reports", name=wanted)
            yield Advice("report.worktree", "problem", what, None, "git worktree list")
        else:
            what = message("no worktree is there to take the reports")
            yield Advice("report.worktree", "problem", what, None, "git worktree add PATH BRANCH")
        return
    place = Path(home.path) / spec.report
    look = f"ls -la {shlex.quote(str(place))}"
    odd = os.path.lexists(place) and (place.is_symlink() or not place.is_file())
    if odd:
        what = message("{place} is no regular file", place=str(place))
        yield Advice("report.writable", "problem", what, message("no report goes into it"), look)
    elif not _writable(place):
        what = message("{place} can't be written", place=str(place))
        why = message("reports wait in raccord's own state until it can")
        yield Advice("report.writable", "problem", what, why, look)
    else:
        yield Advice("report.writable", "ok", message("{place} takes the reports", place=str(place)))


def _writable(place: Path) -> bool:
    # The document is exchanged as a whole, so that only its folder counts.
    folder = place.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def unplaced(ledger: Ledger) -> Iterator[Advice]:
    """Reports that are not in the document yet."""
    waiting = ledger.consolidations(unplaced=True)
    if waiting:
        number = len(waiting)
        what = counted(
            "{number} report is not written yet", "{number} reports are not written yet", number=number
        )
        why = message("the log says why, after: Error in consolidation")
        yield Advice("report.unplaced", "problem", what, why, "raccord consolidate")
    else:
        yield Advice("report.unplaced", "ok", message("every report is written"))


def letters(outbox: Outbox) -> Iterator[Advice]:
    """Channels that could not be told."""
    for channel, number, said in outbox.waiting():
        what = counted(
            "{number} message for {channel} waits: {said}",
            "{number} messages for {channel} wait: {said}",
            number=number,
            channel=channel,
            said=said,
        )
        why = message("they are sent again while the service runs, for three days")
        yield Advice("channel.waiting", "warning", what, why, "raccord watch")


def hub(standing: Standing) -> Iterator[Advice]:
    """How this machine stands to the hub, where one is configured."""
    if standing.connected:
        yield Advice("hub.connection", "ok", message("connected to the hub"))
    elif standing.joined:
        what = message("not connected to the hub, and waiting to be sent: {number}", number=standing.waiting)
        why = message("others see it later: {said}", said=standing.why or "-")
        yield Advice("hub.connection", "warning", what, why, "raccord hub")


def clock(ledger: Ledger, now: float) -> Iterator[Advice]:
    """Whether something was seen in what is the future by now.

    Args:
        now: in Unix seconds.
    """
    times = [one.at for one in ledger.changes(newest=1) if not one.machine]
    times += [one.at for one in ledger.consolidations(limit=1, own=True)]
    ahead = max((at - now for at in times), default=0.0)
    if ahead > AHEAD_SECONDS:
        what = message("the last change was seen at {at}, which is yet to come", at=local(now + ahead))
        why = message("the clock went back; times of reports are out of order")
        yield Advice("clock.jumped", "warning", what, why, "timedatectl status")
