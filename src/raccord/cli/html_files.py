"""How the objects of a set differ, as a page to send to somebody."""

from __future__ import annotations

from raccord.cli import html_page as page
from raccord.cli.html import Html, foreign, tag
from raccord.cli.html_words import number, size
from raccord.model.language import counted, message
from raccord.model.report_files import FilesDiff, FilesObject

NOWHERE = "\u2013"


def files_page(report: FilesDiff, language: str, now: float) -> str:
    """The page.

    Args:
        now: seconds since the epoch, for its foot.
    """
    body = [_verdict(report, language), _tiles(report, language)]
    if report.objects:
        body.append(_objects(report, language))
    if report.notes:
        body.append(page.section(message("Good to know").said(language), page.told(report.notes, language)))
    body.append(page.next_step(report.next_command, language))
    brow = message("Files compared, one by one").said(language)
    ends = ((report.origin, report.source), (report.goal, report.target))
    return page.document(language, report.name, brow, ends, body, now)


def _differing(report: FilesDiff) -> int:
    return report.added + report.changed + report.removed


def _verdict(report: FilesDiff, language: str) -> Html:
    count = _differing(report)
    if not count:
        same = counted("{said} file is the same on both sides.", "{said} files are the same on both sides.",
                       number=report.same, said=number(report.same, language))  # fmt: skip
        return page.verdict("fine", message("Nothing differs.").said(language), same.said(language))
    said = counted("{said} file differs.", "{said} files differ.", number=count, said=number(count, language))
    more = message("{size} would travel.", size=size(report.bytes, language)).said(language)
    return page.verdict("differs", said.said(language), more if report.bytes else "")


def _tiles(report: FilesDiff, language: str) -> Html:
    counts = {kind: getattr(report, kind) for kind in page.KINDS}
    said = message(
        "{equal} of {all} on either side",
        equal=number(report.same, language), all=number(report.same + sum(counts.values()), language),
    ).said(language)  # fmt: skip
    words = message("equal files").said(language), message("Share of equal files:").said(language), said
    return page.tiles(report.origin, report.goal, counts, report.same, words, language)


def _objects(report: FilesDiff, language: str) -> Html:
    names = {
        "added": message("only in {place}", place=report.origin).said(language),
        "changed": message("differs").said(language),
        "removed": message("only in {place}", place=report.goal).said(language),
    }
    heads = [message("difference").said(language), report.goal, report.origin]
    first = tag("th", message("file").said(language), scope="col", role="columnheader")
    row = [first, tag("th", heads[0], scope="col", role="columnheader")]
    row += [tag("th", foreign(one), scope="col", class_="number", role="columnheader") for one in heads[1:]]
    rows = [_object(one, heads, names, language) for one in report.objects]
    differing = _differing(report)
    said = counted(
        "{shown} of {count} file that differs, with its sizes",
        "{shown} of {count} files that differ, with their sizes",
        number=differing, shown=number(len(rows), language), count=number(differing, language),
    )  # fmt: skip
    table = tag(
        "table", tag("caption", said.said(language)),
        tag("thead", tag("tr", *row, role="row"), role="rowgroup"), tag("tbody", *rows, role="rowgroup"),
        class_="stacked", role="table",
    )  # fmt: skip
    return page.section(message("Which files").said(language), table, long=True)


def _object(one: FilesObject, heads: list[str], names: dict[str, str], language: str) -> Html:
    sizes = [NOWHERE if count is None else size(count, language) for count in (one.target, one.source)]
    return tag(
        "tr",
        tag("th", foreign(one.key), scope="row", role="rowheader"),
        tag("td", tag("span", names[one.what], class_=one.what), data_label=heads[0], role="cell"),
        *(
            tag("td", said, class_="number", data_label=head, role="cell")
            for head, said in zip(heads[1:], sizes, strict=True)
        ),
        role="row",
    )
