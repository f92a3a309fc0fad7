"""What is where, for a person: what fits is whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from raccord.cli.render import Page
from raccord.cli.render_data import status
from raccord.model.report_data import DataPush, DataStanding, DataStatus


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (140, "5 min ago, replace from development, 1,234 rows"),
        (80, "5 min ago, 1,234 rows"),
        (50, "5 min ago, 1,234 rows"),
    ],
)
def test_the_last_push_is_never_cut_in_its_middle(width, said):
    push = DataPush(
        "r", 700.0, "somebody-with-a-name", "0b3d6d6bdf01", "replace", "development", 1000, 200, 34
    )
    sets = [DataStanding("knowledge", "production", {"a": 50}, push)]
    page = Page(Console(file=io.StringIO(), width=width), width, ".", 1000.0)
    status(page, DataStatus(tuple(sets)))
    lines = page.text().splitlines()
    assert f"  {said}" in lines[1] and all(len(line) <= width for line in lines), lines
