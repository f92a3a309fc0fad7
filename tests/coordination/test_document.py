"""Reports in a document that others write too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.coordination.document import added, archived, has
from raccord.coordination.report import heading, report
from raccord.coordination.summary import Summary, summary, unified
from raccord.model.coordination import Change

AT = 1_760_099_400.0


def change(path, kind="modified", owner="claude-code", root="/r", before=""):
    return Change(1, root, path, kind, AT, "a", "b", before, owner)


def made(key, language="fr", **more):
    changes = [change("A.md"), change("A.md", owner="codex-local"), change("b.md", "created")]
    return report(key, "threshold", {"pending_changes": 3, "threshold": 3}, AT, changes, language, **more)


def test_the_report_has_the_form_that_its_readers_know():
    lines = made("c-1").splitlines()
    assert lines[0].startswith("### Consolidation - 2025-10-")
    at = lines[0].removeprefix("### Consolidation - ")
    assert lines[2:] == [
        "",
        "**Type de déclenchement** : `threshold`",
        '**Conditions** : {"pending_changes": 3, "threshold": 3}',
        "**Changements consolidés** : 3 événements sur 2 fichiers",
        "",
        "**Fichiers modifiés** :",
        "- **A.md** : 2 événement(s)",
        f"  - `modified` à {at} (agent: claude-code)",
        f"  - `modified` à {at} (agent: codex-local)",
        "- **b.md** : 1 événement",
        f"  - `created` à {at} (agent: claude-code)",
        "",
        "---",
    ]
    assert heading("fr") == "## 🤖 Synchronisation automatique"


def test_hostile_names_stay_on_their_line():
    text = report("c-1", "manual", {}, AT, [change("a\n## x", owner="<b>*me*")], "en")
    assert "\n## x" not in text
    assert "\\<b>\\*me\\*" in text


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_reports_go_below_the_heading_the_newest_first_and_the_rest_stays(end):
    old = end.join(
        [
            b"# T",
            b"",
            b"## \xf0\x9f\xa4\x96 Synchronisation automatique",
            b"",
            b"by hand",
            b"",
            b"## Next",
            b"\xff",
            b"",
        ]
    )
    one = added(old, [made("c-1")], "unused", 20).document
    two = added(one, [made("c-2"), made("c-3")], "unused", 20).document
    assert [two.index(part) for part in (b"by hand", b"c-3", b"c-2", b"c-1", b"## Next", b"\xff")] == sorted(
        two.index(part) for part in (b"by hand", b"c-3", b"c-2", b"c-1", b"## Next", b"\xff")
    )
    assert two.count(b"## \xf0\x9f\xa4\x96") == 1
    assert (b"\r\n" in two) == (end == b"\r\n")
    assert b"\n" not in two.replace(end, b"")
    assert has(two, "c-2")
    assert not has(two, "c-9")


def test_older_reports_are_rolled_out_but_never_what_people_wrote():
    document = b""
    archive = b""
    for number in range(6):
        rolled = added(document, [made(f"c-{number}")], heading("fr"), 3)
        document, archive = rolled.document, archived(archive, rolled.older, "# Old")
        if number == 1:
            document = document.replace(b"---\n", b"---\n\nmine, below a report\n", 1)
    assert [has(document, f"c-{n}") for n in range(6)] == [False, False, False, True, True, True]
    assert [has(archive, f"c-{n}") for n in range(6)] == [True, True, True, False, False, False]
    assert b"mine, below a report" in document
    assert archived(archive, [made("c-0").encode()], "# Old") == archive


@given(st.binary(max_size=300), st.integers(1, 3))
def test_no_byte_of_others_is_lost_whatever_the_document_is(old, most):
    new = added(old, [made("c-1")], heading("fr"), most).document
    assert has(new, "c-1")
    left = new.replace(made("c-1").encode(), b"").replace(made("c-1").replace("\n", "\r\n").encode(), b"")
    for line in old.splitlines():
        assert line in left


def test_a_summary_counts_lines_and_names_sections():
    old = b"# A\nx\n## B\ny\n```\n# no heading\n```\nz\n"
    new = b"# A\nx\n## B\ny2\n```\n# no heading\n```\nz\nmore\n"
    assert summary(old, new) == Summary(2, 1, ("B",))
    assert summary(b"", b"a\n") == Summary(1, 0, ())
    many = b"".join(b"%d\n" % n for n in range(9000))
    assert summary(many, b"0\n" + many) == Summary(1, 0, ())
    swapped = b"".join(b"%d\n" % n for n in range(8999, -1, -1))
    assert summary(many, b"new\n" + swapped).added == 1


def test_a_diff_is_none_where_it_would_take_long():
    assert "+b" in unified(b"a\n", b"b\n", "f")
    assert unified(b"a\n" * 30_000, b"b\n", "f") == []
