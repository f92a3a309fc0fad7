"""Pages that a person reads: nothing is cut where there is room, and what matters always stays."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from raccord.cli import render_config, render_lists, render_run, render_status
from raccord.cli.render import Column, cut, fitting
from raccord.model.plan import Finding, Plan
from raccord.model.report import LaneReport, RunReport, StatusReport, StepReport
from raccord.model.report_config import Setting
from raccord.model.text import size
from tests.cli import look, samples


def text(name: str, width: int, **options) -> str:
    """A rendered page."""
    page = look.page(width, **options)
    look.RENDERERS[name](page)
    return page.text()


@pytest.mark.parametrize("name", look.RENDERERS)
@pytest.mark.parametrize("width", [36, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_but_a_command(name, width):
    for line in text(name, width).splitlines():
        assert cell_len(line) <= width or line.lstrip().startswith("next: ")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_status_of_any_width_keeps_what_matters(width):
    said = text("status", width)
    for words in (
        "basket",
        "↑3 ↓5",
        "missing",
        "unknown",
        "rebase in progress",
        "locked",
        "squash",
        "bad index",
    ):
        assert words in said
    assert said.splitlines()[-1] == "next: raccord continue"


def test_a_wide_status_says_it_all():
    said = text("status", 200)
    for words in (
        "../trees/basket",
        "checkout-redesign-with-a-rather-long-name",
        "feature/checkout-redesign-of-the-whole-shop",
        "2 staged, 1 edited, 14 new",
        "2 conflicts",
        "detached at c0ffee12",
        "sync waits for you 3 d ago",
        "12 snapshots, 3.4 MB",
    ):
        assert words in said
    assert "…" not in said


def test_columns_go_in_the_order_of_their_rank():
    def heads(width: int) -> str:
        return text("status", width).splitlines()[0]

    assert "last run" in heads(200)
    assert "last run" not in heads(80)
    assert "base" in heads(80)
    assert "base" not in heads(50)
    assert "worktree" in heads(40)
    assert "changes" in heads(40)


def test_unknown_counts_are_not_shown_as_clean():
    report = StatusReport("/", (samples.tree("x", untracked=None),))
    page = look.page(100)
    render_status.status(page, report)
    assert "unknown" in page.text()
    assert "clean" not in page.text()


def test_a_run_says_what_is_held_back_and_what_to_type():
    said = text("run", 120)
    assert said.startswith("sync r8: partly done (1 done, 1 held back, 1 failed, 1 waits for you,")
    assert "✗ payments (payments): held back" in said
    assert "next: raccord -C ../trees/payments sync --resolve-by-hand" in said
    assert "✓ basket (basket): keep the worktree's state, 3 commits replayed, tests passed" in said
    # What a person must look at stands last.
    assert said.index("basket") < said.index("payments") < said.index("search (") < said.index("hand (hand)")


def test_show_has_every_step():
    said = text("show", 100)
    for step in samples.RUN.lanes[0].steps:
        assert step.title in said


def test_a_plan_marks_what_overwrites_and_joins_the_stages_of_a_lane():
    said = text("plan", 100)
    assert said.count("basket (basket)") == 1
    assert "! replay 3 commits" in said
    assert "· push basket" in said
    assert "then: push, once the tests are green" in said
    assert "they need a database that is down" in said
    assert said.endswith("Nothing was changed.\n")


def test_an_empty_plan_and_empty_lists():
    page = look.page(80)
    render_run.plan(page, Plan("sync", ()))
    assert "There is nothing to do." in page.text()
    for render in (render_lists.log, render_lists.snapshots):
        page = look.page(80)
        render(page, ())
        assert "next: raccord" in page.text()


HOSTILE_RUN = RunReport(
    id=samples.HOSTILE,
    verb=samples.HOSTILE,
    state="partial",
    lanes=(
        LaneReport(
            samples.HOSTILE,
            samples.HOSTILE,
            "held",
            finding=Finding("x", "fail", samples.HOSTILE, samples.HOSTILE),
            steps=(StepReport("x", samples.HOSTILE, samples.HOSTILE, samples.HOSTILE),),
            notes=(Finding("x", samples.HOSTILE, samples.HOSTILE),),
        ),
    ),
    by=samples.HOSTILE,
    undo_of=samples.HOSTILE,
    next_command=samples.HOSTILE,
)


@pytest.mark.parametrize("color", [False, True])
def test_names_of_a_repository_stay_text(color):
    page = look.page(100, color=color)
    tree = samples.tree(
        samples.HOSTILE, base=samples.HOSTILE, note=samples.HOSTILE, operation=samples.HOSTILE
    )
    render_status.status(page, StatusReport("/", (tree,), next_command=samples.HOSTILE))
    render_run.run(page, HOSTILE_RUN, full=True)
    render_lists.log(page, [dataclasses.replace(samples.LOG[0], verb=samples.HOSTILE, by=samples.HOSTILE)])
    render_lists.snapshots(page, [dataclasses.replace(samples.SNAPSHOTS[0], message=samples.HOSTILE)])
    render_lists.removal(page, dataclasses.replace(samples.REMOVAL, removed=(samples.HOSTILE,)))
    said = page.text()
    said.encode("utf-8")  # no lone surrogate
    without_styles = re.sub(r"\x1b\[[\d;]*m", "", said)
    assert all(char.isprintable() or char == "\n" for char in without_styles)
    assert "\x1b]8" not in said  # no link
    assert "[bold]b[/bold]" in without_styles
    assert ":smile:" in without_styles
    assert color == ("\x1b[" in said)


def test_a_stream_that_can_show_little_gets_plain_signs():
    for name in look.RENDERERS:
        text(name, 80, unicode=False).encode("ascii")


def test_the_reports_survive_json():
    for report in (samples.STATUS, samples.RUN, samples.PLAN, HOSTILE_RUN, samples.REMOVAL):
        fields = dataclasses.asdict(report)
        assert json.loads(json.dumps(fields)) == json.loads(json.dumps(json.loads(json.dumps(fields))))
    assert json.loads(json.dumps(dataclasses.asdict(HOSTILE_RUN)))["id"] == samples.HOSTILE


COLUMNS = st.lists(
    st.builds(
        Column,
        title=st.text("ab", max_size=4),
        cells=st.lists(st.text("xyé漢", max_size=30).map(Text), min_size=2, max_size=2),
        rank=st.integers(0, 3),
        least=st.integers(0, 6),
    ),
    min_size=1,
    max_size=6,
)


@given(COLUMNS, st.integers(10, 120))
def test_a_table_fits_or_has_only_what_must_stay(columns, width):
    chosen = fitting(columns, width)
    taken = sum(size for _, size in chosen) + 2 * (len(chosen) - 1)
    if taken > width:
        assert all(column.rank == 0 and size <= max(column.width, 1) for column, size in chosen)
    if sum(column.width for column in columns) + 2 * (len(columns) - 1) <= width:
        assert [column for column, _ in chosen] == columns
    kept = {id(column) for column, _ in chosen}
    assert kept >= {id(column) for column in columns if column.rank == 0}


@given(st.text("xyé漢", max_size=40), st.integers(1, 30))
def test_a_cut_text_fits_and_keeps_its_end(word, width):
    short = cut(Text(word), width, "…")
    assert short.cell_len <= max(width, 1)
    if cell_len(word) > width >= 4 and cell_len(word[-1]) == 1:
        assert short.plain[-1] == word[-1]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (3_412_000, "3.4 MB"),
        (5e12, "5000.0 GB"),
    ],
)
def test_sizes(number, said):
    assert size(number) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (0, "now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (86_400 * 3, "3 d ago"),
    ],
)
def test_ages(seconds, said):
    page = look.page(80)
    assert page.ago(page.now - seconds) == said


@given(st.text(" ab漢é", max_size=60), st.integers(20, 40), st.integers(0, 6))
def test_a_paragraph_keeps_its_words(words, width, indent):
    page = look.page(width)
    page.line(Text(words), indent=indent)
    assert "".join(page.text().split()) == "".join(words.split())
    assert all(cell_len(line) <= width for line in page.text().splitlines())


def test_commands_that_follow_each_other_are_copied_one_by_one():
    one = look.page(40)
    one.command("next", "raccord migrations find r3 --diff, then: raccord migrations heal --choose r3=aa")
    assert one.text().splitlines() == [
        "next: raccord migrations find r3 --diff",
        "then: raccord migrations heal --choose r3=aa",
    ]


def test_no_key_of_the_configuration_is_cut():
    page = look.page(50)
    name = "coordination.check_interval_seconds"
    render_config.settings(page, [Setting(name, "x" * 90, "file", "raccord.toml:3", False, "", "")])
    assert name in page.text()
    assert max(map(len, page.text().splitlines())) <= 50
