"""The configuration: each key, its value, and where that comes from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from raccord.cli.render import Column, Page
from raccord.config.text import toml
from raccord.model.report_config import Setting
from raccord.model.text import shown


def settings(page: Page, found: Sequence[Setting]) -> None:
    """Adds a row for each key, which is never cut: it is what is typed next."""
    page.table(
        [
            Column("key", [Text(one.key, "bold") for one in found]),
            Column("value", [_value(one) for one in found], least=12),
            Column("from", [Text(shown(one.where) or one.origin, _style(one)) for one in found], rank=1),
        ]
    )


def _value(one: Setting) -> Text:
    if one.hidden:
        return Text("(hidden)", "yellow")
    return Text("" if one.value is None else shown(toml(one.value)))


def _style(one: Setting) -> str:
    return "dim" if one.origin == "default" else ""
