"""Prints every page at a few widths, for a person to look at: python tests/cli/look.py 40 80 200."""

from __future__ import annotations

import io
import sys

from rich.console import Console

from raccord.cli import render_lists, render_run, render_status
from raccord.cli.render import Page
from tests.cli import samples


def page(width: int, *, color: bool = False, unicode: bool = True) -> Page:
    """An empty page of this width, at the samples' time and place."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None
    )
    return Page(console, width, samples.TOP, samples.NOW, unicode)


RENDERERS = {
    "status": lambda page: render_status.status(page, samples.STATUS),
    "plan": lambda page: render_run.plan(page, samples.PLAN),
    "run": lambda page: render_run.run(page, samples.RUN),
    "show": lambda page: render_run.run(page, samples.RUN, full=True),
    "log": lambda page: render_lists.log(page, samples.LOG),
    "snapshots": lambda page: render_lists.snapshots(page, samples.SNAPSHOTS),
    "removal": lambda page: render_lists.removal(page, samples.REMOVAL),
}


def main() -> None:
    """Prints them."""
    for width in map(int, sys.argv[1:] or ["40", "80", "200"]):
        for name, render in RENDERERS.items():
            one = page(width, color=sys.stdout.isatty())
            render(one)
            print(f"{f' {name} ':-^{width}}\n{one.text()}")


if __name__ == "__main__":
    main()
