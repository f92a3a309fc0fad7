"""How the rows of a set differ, as a page to send to somebody."""

from __future__ import annotations

from collections.abc import Sequence

from raccord.cli import html_charts as charts
from raccord.cli import html_page as page
from raccord.cli.html import Html, foreign, joined, tag
from raccord.cli.html_words import number, share
from raccord.model.language import counted, message
from raccord.model.plan import Finding
from raccord.model.report_data import DataCell, DataDiff, DataRow, DataTable

CHARTED = 15  # tables; the others are in the table below
FIRST = ("data.drift", "data.missing")  # what differs in the schema comes before everything else


def data_page(report: DataDiff, language: str, now: float) -> str:
    """The page.

    Args:
        now: seconds since the epoch, for its foot.
    """
    body = [_verdict(report, language)]
    if report.refused:
        title = message("What stands in the way").said(language)
        body.append(page.section(title, page.told(_drift_first(report.refused), language)))
    if report.tables:
        body += [_tiles(report, language), *_chart(report, language), _tables(report, language)]
    body += _values(report, language)
    if report.notes:
        body.append(page.section(message("Good to know").said(language), page.told(report.notes, language)))
    body.append(page.next_step(report.next_command, language))
    brow = message("Rows compared, table by table").said(language)
    ends = ((report.origin, report.source), (report.goal, report.target))
    return page.document(language, report.name, brow, ends, body, now)


def _drift_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: one.name not in FIRST)


def _equal(table: DataTable) -> int:
    return max(table.source - table.added - table.changed, 0)


def _differing(table: DataTable) -> int:
    return table.added + table.changed + table.removed


def _verdict(report: DataDiff, language: str) -> Html:
    if report.equal is None:
        said = message("These rows can't be compared as things are.").said(language)
        return page.verdict("wrong", said)
    if report.equal:
        said = message("Nothing differs.").said(language)
        compared = sum(map(_equal, report.tables))
        more = counted("{said} row is the same on both sides.", "{said} rows are the same on both sides.",
                       number=compared, said=number(compared, language)).said(language)  # fmt: skip
        return page.verdict("fine", said, more)
    rows = sum(map(_differing, report.tables))
    tables = sum(1 for one in report.tables if _differing(one))
    said = counted("{said} row differs.", "{said} rows differ.",
                   number=rows, said=number(rows, language)).said(language)  # fmt: skip
    more = counted(
        "They are in {number} table of {all}.", "They are in {number} tables of {all}.",
        number=tables, all=len(report.tables),
    ).said(language)  # fmt: skip
    return page.verdict("differs", said, more)


def _tiles(report: DataDiff, language: str) -> Html:
    counts = {kind: sum(getattr(one, kind) for one in report.tables) for kind in page.KINDS}
    equal = sum(map(_equal, report.tables))
    said = message(
        "{equal} of {all} on either side",
        equal=number(equal, language), all=number(equal + sum(counts.values()), language),
    ).said(language)  # fmt: skip
    words = message("equal rows").said(language), message("Share of equal rows:").said(language), said
    return page.tiles(report.origin, report.goal, counts, equal, words, language)


def _chart(report: DataDiff, language: str) -> list[Html]:
    found = sorted((one for one in report.tables if _differing(one)), key=_differing, reverse=True)
    if not found:
        return []
    largest, names, bars = _differing(found[0]), page.names(language), []
    for at, one in enumerate(found[:CHARTED]):
        parts = [(kind, getattr(one, kind)) for kind in page.KINDS]
        said = ", ".join(f"{names[kind]} {number(count, language)}" for kind, count in parts)
        total = number(_differing(one), language)
        desc = message("{count} rows differ, of the {largest} of the longest bar.",
                       count=total, largest=number(largest, language)).said(language)  # fmt: skip
        chart = charts.bar(parts, largest, f"{one.table}: {said}", desc, f"bar-{at}")
        numbers = [page.signed(kind, count, language) for kind, count in parts]
        bars.append(
            tag("div", foreign(one.table, "dt"), tag("dd", chart), tag("dd", *numbers, class_="said"))
        )
    legend = [tag("li", charts.dot(kind), names[kind]) for kind in page.KINDS]
    inside = [tag("ul", *legend, class_="legend"), tag("dl", *bars, class_="bars")]
    if len(found) > CHARTED:
        more = counted("and {number} more table", "and {number} more tables", number=len(found) - CHARTED)
        inside.append(tag("p", more.said(language), class_="what"))
    return [page.section(message("Where rows differ").said(language), tag("figure", *inside))]


def _tables(report: DataDiff, language: str) -> Html:
    names = page.names(language)
    heads = [
        report.origin,
        report.goal,
        *(names[kind] for kind in page.KINDS),
        message("equal").said(language),
    ]
    first = tag("th", message("table").said(language), scope="col", role="columnheader")
    row = [tag("th", foreign(one), scope="col", class_="number", role="columnheader") for one in heads]
    rows = []
    for one in report.tables:
        left = message("not compared: {columns}", columns=", ".join(one.kept)).said(language)
        under = [tag("span", left, class_="under")] if one.kept else []
        whole = _equal(one) + _differing(one)
        said = [
            number(one.source, language),
            number(one.target, language),
            *(page.signed(kind, getattr(one, kind), language) for kind in page.KINDS),
            share(_equal(one), whole, language) if whole else "",
        ]
        cells = [
            tag("td", value, class_="number", data_label=head, role="cell")
            for head, value in zip(heads, said, strict=True)
        ]
        name = tag("th", foreign(one.table), *under, scope="row", role="rowheader")
        rows.append(tag("tr", name, *cells, role="row"))
    caption = tag("caption", message("In the order in which the tables are filled.").said(language))
    head = tag("thead", tag("tr", first, *row, role="row"), role="rowgroup")
    table = tag("table", caption, head, tag("tbody", *rows, role="rowgroup"), class_="stacked", role="table")
    return page.section(message("Every table").said(language), table, long=True)


def _values(report: DataDiff, language: str) -> list[Html]:
    """The values that differ, of the rows that the report has."""
    inside: list[Html] = []
    for one in (each for each in report.tables if each.rows):
        said = counted(
            "{shown} of {count} changed row",
            "{shown} of {count} changed rows",
            number=one.changed,
            shown=number(len(one.rows), language),
            count=number(one.changed, language),
        )
        heads = [
            message("column").said(language),
            message("now in {place}", place=report.goal).said(language),
            message("then, as in {place}", place=report.origin).said(language),
        ]
        row = tag("tr", *(tag("th", head, scope="col", role="columnheader") for head in heads), role="row")
        table = tag(
            "table", tag("caption", said.said(language)), tag("thead", row, role="rowgroup"),
            *(_row(one, each, heads, language) for each in one.rows), class_="stacked cells", role="table",
        )  # fmt: skip
        inside += [tag("h3", foreign(one.table)), table]
    if not inside:
        return []
    kept = message("Long values are cut, and those of secret columns are never shown.").said(language)
    title = message("What changes in them").said(language)
    return [page.section(title, tag("p", kept, class_="what"), *inside, long=True)]


def _row(table: DataTable, row: DataRow, heads: Sequence[str], language: str) -> Html:
    key = ", ".join(f"{name} {value}" for name, value in zip(table.key, row.key, strict=True))
    name = tag("th", foreign(key), colspan=3, scope="rowgroup", role="rowheader")
    cells = (_cell(one, heads, language) for one in row.cells)
    return tag("tbody", tag("tr", name, class_="key", role="row"), *cells, role="rowgroup")


def _cell(cell: DataCell, heads: Sequence[str], language: str) -> Html:
    was, becomes = (
        _value(cell.target, "del", "was", language), _value(cell.source, "ins", "becomes", language)
    )  # fmt: skip
    return tag(
        "tr",
        tag("th", foreign(cell.column), scope="row", role="rowheader"),
        tag("td", was, data_label=heads[1], role="cell"),
        tag("td", becomes, data_label=heads[2], role="cell"),
        role="row",
    )


def _value(value: str | None, name: str, style: str, language: str) -> Html:
    if value is None:
        return tag("span", "null", class_="value null")
    if not value:
        return tag("span", message("empty").said(language), class_="value null")
    return joined(foreign(value, name, class_=f"value {style}"))
