"""Profiles: how their sets differ between two environments, and what is where."""

from __future__ import annotations

from raccord.cli import render_data, render_files
from raccord.cli.render import Page
from raccord.model.report_data import DataStatus
from raccord.model.report_files import FilesStatus
from raccord.model.report_promote import ProfileDiff, ProfileStatus


def kind(report: ProfileDiff | ProfileStatus) -> str:
    """What it is called in JSON."""
    return "profile-diff" if isinstance(report, ProfileDiff) else "profile-status"


def profile(page: Page, report: ProfileDiff | ProfileStatus) -> None:
    """Adds either."""
    if isinstance(report, ProfileDiff):
        diff(page, report)
    else:
        status(page, report)


def diff(page: Page, report: ProfileDiff) -> None:
    """Adds the difference of each set."""
    for files in report.files:
        render_files.diff(page, files)
        page.gap()
    for data in report.data:
        render_data.diff(page, data)
    page.command("next", report.next_command)


def status(page: Page, report: ProfileStatus) -> None:
    """Adds a row for each set in each environment."""
    if report.files:
        render_files.status(page, FilesStatus(report.files))
        page.gap()
    if report.data or not report.files:
        render_data.status(page, DataStatus(report.data))
    render_data.waiting(page, report.pending)
