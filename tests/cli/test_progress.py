"""What goes on is shown on a terminal, after a second, and leaves nothing there."""

from __future__ import annotations

import io
import threading
import time

from raccord.cli.progress import Progress
from raccord.model.event import Event
from tests.cli import samples


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_there_is_no_terminal():
    stream = io.StringIO()
    with Progress(stream, patience=0.0) as progress:
        progress.listen(Event("r1", "/w/basket", "started", "sync"))
        time.sleep(0.05)
    assert stream.getvalue() == ""


def test_what_is_quick_is_not_shown():
    stream = Terminal()
    before = threading.active_count()
    with Progress(stream, patience=5.0) as progress:
        progress.listen(Event("r1", "/w/basket", "started", "sync"))
    assert stream.getvalue() == ""
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_lasts_is_shown(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(stream, patience=0.0) as progress:
        progress.listen(Event("r1", "/w/basket", "step", "replay 3 commits"))
        deadline = time.monotonic() + 60
        while "basket: replay 3 commits" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "basket: replay 3 commits" in stream.getvalue()
    assert stream.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))  # erased, and the cursor is back


def test_pauses_within_pauses(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(stream, patience=0.0) as progress:
        with progress.paused():
            with progress.paused():
                time.sleep(0.05)  # it is due by now
            before = stream.getvalue()
            time.sleep(0.05)
            assert stream.getvalue() == before
        assert len(stream.getvalue()) > len(before)
    quiet = Terminal()
    with Progress(quiet, patience=0.0, quiet=True) as progress, progress.paused():
        time.sleep(0.05)
    assert quiet.getvalue() == ""


def test_the_lines_and_the_count():
    progress = Progress(io.StringIO())
    for number in range(30):
        progress.listen(Event("r1", f"/w/t{number}", "started", "sync"))
    progress.listen(Event("r1", "/w/t0", "done", ""))
    progress.listen(Event("r1", "/w/t1", "held", "conflict"))
    progress.listen(Event("r1", "/w/t2", "stopped", "conflict"))
    progress.listen(Event("r1", "/w/t3", "said", samples.HOSTILE))
    progress.listen(Event("", "", "waiting", "waiting for run r0"))
    lines = progress.text(height=10, now=time.monotonic() + 7).plain.splitlines()
    assert "waiting for run r0 27 running, 1 done, 1 held back, 1 waiting for you" in lines[0]
    assert lines[1].startswith("  t3: \\x1b[31mred")
    assert lines[1].endswith("(7 s)")
    assert lines[-1] == "  and 20 more"
    assert len(lines) <= 10


def test_events_from_many_threads_are_all_counted():
    progress = Progress(io.StringIO())

    def work(lane: str) -> None:
        progress.listen(Event("r", lane, "started", ""))
        progress.listen(Event("r", lane, "done", ""))

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "0 running, 50 done" in progress.text(height=10, now=0.0).plain
