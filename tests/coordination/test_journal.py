"""Journals are cut at dated headings, and what is old moves; no byte is ever in none of the two."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.coordination.journal import entries, moved
from raccord.coordination.rolling import archive_of

NOW = datetime.fromisoformat("2025-10-12T12:00")
JOURNAL = """\
# Passation

Règles : rien ne change ici.

## 2025-10-12 — Claude
### 14:30
neuf

## 10 octobre 2025
encore là

## 09/10/2025 18h30 : Codex
vieux

```
## 2020-01-01 is no heading
```

## 2025-10-01
plus vieux
"""


def test_what_is_older_moves_and_the_rest_stays() -> None:
    done = moved(JOURNAL.encode(), b"", NOW, 48)
    assert done is not None and done.number == 2
    assert done.journal.decode() == JOURNAL[: JOURNAL.index("## 09/10")]
    assert done.archive.decode() == JOURNAL[JOURNAL.index("## 09/10") :]
    assert moved(done.journal, done.archive, NOW, 48) is None


def test_again_after_a_kill_in_between_nothing_is_twice() -> None:
    done = moved(JOURNAL.encode(), b"# Archive\n", NOW, 48)
    assert done is not None and moved(JOURNAL.encode(), done.archive, NOW, 48) == done


def test_the_archive_keeps_the_order_of_the_journal() -> None:
    old = "# Archive\n\n## 2025-09-01\nfirst\n"
    newest = moved(JOURNAL.encode(), old.encode(), NOW, 48)
    assert newest is not None
    text = newest.archive.decode()
    assert text.startswith("# Archive") and text.index("09/10/2025") < text.index("2025-10-01") < text.index(
        "first"
    )
    oldest = moved(b"## 2025-09-03\na\n## 2025-09-04\nb\n", old.encode(), NOW, 48)
    assert oldest is not None and oldest.archive.endswith(b"first\n## 2025-09-03\na\n## 2025-09-04\nb\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Notes\nno dates\n",
        "# Notes of 2020-01-01\n\nstays: a title is no entry\n",
        "text of 2020-01-01, no heading\n",
        "## 2025-10-11\nyesterday\n",
        "## 2999-01-01\nto come\n",
        "## 2025-13-45\nno date\n",
        "## 12/10/2025\nthe twelfth of October, or the tenth of December\n",
        "## Version 1.2.2020.3\n",
        "## 2020-01-01\n### 2025-10-12\nnew, below an old heading\n",
        "```\n## 2020-01-01\n",
    ],
)
def test_what_is_not_clearly_old_stays(text: str) -> None:
    assert moved(text.encode(), b"", NOW, 48) is None


LINES = st.lists(
    st.sampled_from(
        [
            "# t",
            "## 2025-10-01",
            "### 1er octobre 2025",
            "## 2025-10-12 09:00",
            "text",
            "",
            "```",
            "# 2024-01-01",
        ]
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.binary(max_size=20))
def test_every_line_is_in_one_of_them(lines: list[str], end: str, archive: bytes) -> None:
    journal = end.join(lines).encode()
    assert b"".join(one.text for one in entries(journal)) == journal
    done = moved(journal, archive, NOW, 48)
    if done is None:
        return
    for one in entries(journal):
        assert one.text in done.journal or one.text in done.archive
    for part in entries(archive):
        assert part.text in done.archive


def test_archives_lie_beside_their_journals() -> None:
    names = ["docs/passation.md", "J", ".notes", "a.b/c.tar.md"]
    assert [archive_of(one) for one in names] == [
        "docs/passation_archive.md", "J_archive", ".notes_archive", "a.b/c.tar_archive.md",
    ]  # fmt: skip


@pytest.mark.parametrize("archive", [b"", b"\xef\xbb\xbf## 2020-01-01\nolder\n"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_byte_order_mark_stays_and_hides_no_heading(archive, swapped):
    old, new = b"## 2020-01-02\nold\n", b"## 2030-01-01\nnew\n"
    done = moved(b"\xef\xbb\xbf" + (new + old if swapped else old + new), archive, NOW, 48)
    assert done is not None
    assert done.journal == b"\xef\xbb\xbf" + new
    older = archive.removeprefix(b"\xef\xbb\xbf")
    mark = archive[: len(archive) - len(older)]
    assert done.archive == mark + (old + older if swapped else older + old)
