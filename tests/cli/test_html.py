"""Pages to send to somebody: alone, in two languages, readable by everybody, and safe whatever is in them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from raccord.cli import html_words as words
from raccord.cli.html_data import data_page
from raccord.cli.html_file import MARK
from raccord.cli.html_files import files_page
from raccord.cli.html_page import style
from raccord.cli.main import main
from raccord.model.language import LANGUAGES
from raccord.model.plan import Finding
from raccord.model.report_data import DataCell, DataDiff, DataRow, DataTable
from raccord.model.report_files import FilesDiff, FilesObject
from tests.cli.samples import HOSTILE
from tests.fileskit import Two

NASTY = f"<script>alert(1)</script>\"'><img src=x onerror=y>&amp;{HOSTILE}\u2066\u0000" + "x" * 5_000
TOLD = (
    Finding("data.rights", "fail", f"no right {NASTY}", NASTY),
    Finding("data.drift", "fail", "drifted"),
)
ROW = DataRow((NASTY,), (DataCell(NASTY, NASTY, None), DataCell("b", "", NASTY)))
DATA = DataDiff(
    NASTY, NASTY, "prod", NASTY, NASTY,
    (
        DataTable(NASTY, 999_999, 1_000_000, 0, 1, 1, (NASTY,), (NASTY,), (ROW,)),
        *(DataTable(f"t{number}", 5, 5, number, 0, 0) for number in range(20)),
    ),
    False, TOLD, (Finding("note", "note", NASTY),), NASTY,
)  # fmt: skip
FILES = FilesDiff(
    NASTY, NASTY, "prod", NASTY, NASTY, "mirror", 1, 1, 998, 1, 1_234_567,
    (
        FilesObject(NASTY, "added", 1, None),
        FilesObject("b", "changed", 2_000, 1),
        FilesObject("c", "removed", None, 0),
    ),
    (), NASTY,
)  # fmt: skip
SAME = DataDiff("all", "dev", "prod", "a", "b", (DataTable("t", 3, 3, 0, 0, 0),), True)
UNKNOWN = DataDiff("all", "dev", "prod", "a", "b", (), None, TOLD)
EMPTY = FilesDiff("all", "dev", "prod", "a", "b", "insert", 0, 0, 0, 0, 0)
PAGES = {
    f"{name}-{language}": make(language)
    for language in LANGUAGES
    for name, make in {
        "data": lambda language: data_page(DATA, language, 0),
        "same": lambda language: data_page(SAME, language, 0),
        "unknown": lambda language: data_page(UNKNOWN, language, 0),
        "files": lambda language: files_page(FILES, language, 0),
        "empty": lambda language: files_page(EMPTY, language, 0),
    }.items()
}


class Read(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.style = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.said.append(data)


@pytest.fixture(params=sorted(PAGES))
def page(request) -> str:
    return PAGES[request.param]


def test_nothing_foreign_becomes_markup_and_nothing_is_asked_for(page):
    read = Read(page)
    assert not read.open
    known = {
        "html", "head", "meta", "title", "style", "body", "div", "header", "main", "footer", "section", "p",
        "h1", "h2", "h3", "bdi", "dl", "dt", "dd", "ul", "li", "span", "small", "code", "time", "figure",
        "table", "caption", "thead", "tbody", "tr", "th", "td", "del", "ins", "svg", "desc", "rect", "circle",
        "path",
    }  # fmt: skip
    assert {name for name, _ in read.elements} <= known
    names = {name for _, attributes in read.elements for name in attributes}
    assert not {one for one in names if one.startswith("on")} and not names & {"src", "href", "style"}
    assert "url(" not in read.style and "@import" not in read.style
    text = "".join(read.said)
    assert all(char.isprintable() or char in "\n\u00a0\u202f" for char in text)
    assert len(page) < 200_000 and "x" * 400 not in page
    page.encode()  # no lone surrogates


def test_its_policy_allows_its_own_style_and_nothing_else(page):
    read = Read(page)
    (policy,) = [
        said["content"] or "" for name, said in read.elements
        if name == "meta" and said.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(read.style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"style-src 'sha256-{digest}';" in policy
    assert MARK in page


def test_everybody_can_read_it(page):
    read = Read(page)
    ids = Counter(said["id"] for _, said in read.elements if "id" in said)
    assert set(ids.values()) <= {1}
    heads = [int(name[1]) for name, _ in read.elements if re.fullmatch("h[1-6]", name)]
    assert heads[0] == 1 and heads.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(heads))
    for name, said in read.elements:
        if name == "svg":
            assert said.get("aria-hidden") == "true" or (
                said["role"] == "img" and said["aria-labelledby"] in ids and said["aria-describedby"] in ids
            )
        if name == "th":
            assert said["scope"] in ("col", "row", "rowgroup")
    assert read.elements[0][1]["lang"] in LANGUAGES
    tables = sum(name == "table" for name, _ in read.elements)
    assert tables == sum(name == "caption" for name, _ in read.elements)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(one * weight for one, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_enough_by_day_and_by_night():
    blocks = re.findall(r":root \{(.*?)\}", style(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for ground in ("paper", "sheet"):
            for ink in ("ink", "soft", "added-ink", "changed-ink", "removed-ink", "equal-ink"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for ground in ("warn", "fine", "track"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5
        for fill in ("added", "changed", "removed", "equal"):
            assert contrast(colours[fill], colours["sheet"]) >= 3, fill


def test_what_counts_is_said():
    page = PAGES["data-en"]
    assert page.index("drifted") < page.index("no right") < page.index("Every table")
    assert "99.999%" in page and "192 rows differ." in page and "and 5 more tables" in page
    assert "only in <" not in page and "In the order" in page
    french = PAGES["data-fr"]
    assert "192 lignes diffèrent." in french and "99,999\u202f%" in french and "999\u202f999" in french
    assert "Nothing differs." in PAGES["same-en"] and "Rien ne diffère." in PAGES["empty-fr"]
    assert "1,2\u00a0Mo" in PAGES["files-fr"] and "1.2\u00a0MB" in PAGES["files-en"]


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(1, 1, "100%"), (0, 7, "0.0%"), (1, 3, "33.3%"), (999_999_999, 10**9, "99.999%"), (1, 10**9, "0.001%")],
)
def test_a_share_is_never_all_or_nothing_where_it_is_not(part, whole, said):
    assert words.share(part, whole, "en") == said


def test_a_page_is_written_and_never_over_something_else(tmp_path, capsys):
    two = Two(tmp_path)
    two.put("dev", {"a": b"1", "b": b"2"})
    place = tmp_path / "diff.html"
    asked = ["-C", str(two.repo.path), "files", "diff", "all", "--to", "prod", "--html", str(place)]
    assert main([*asked, "--language", "fr"]) == 0
    assert "2 fichiers diffèrent." in place.read_text("utf-8")
    assert main(asked) == 0 and "2 files differ." in place.read_text("utf-8")
    place.write_text("my own")
    capsys.readouterr()
    assert main(asked) == 2 and "no page of raccord's" in capsys.readouterr().err
    assert place.read_text() == "my own"
    assert main([*asked[:-1], str(tmp_path / "no" / "where.html")]) == 2
    assert main([*asked[:-1], "other.html", "--language", "de"]) == 2
    assert not (two.repo.path / "other.html").exists()
