"""A report that raccord wrote and nobody committed holds no sync back, and is carried over the move."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verbs.flock import Flock, contents, names

REPORT, ARCHIVE = "SYNC_STATUS.md", "SYNC_STATUS_ARCHIVE.md"
PLAIN = "# Status\n\nby hand\n"


@pytest.fixture
def flock(tmp_path: Path) -> Flock:
    made = Flock.make(tmp_path)
    made.main.commit({REPORT: PLAIN, "raccord.toml": CONFIGURATION}, "what agents share")
    made.main.git("push", "-q", "origin", "main")
    return made


# What is watched is ignored by git: it makes no worktree dirty.
CONFIGURATION = """\
[sync]
fetch_reuse_seconds = 0
[coordination]
watch = ["notes.log"]
reports_kept = 2
"""


def reported(flock: Flock, text: str = "x") -> str:
    """Has a change reported in the main worktree; the consolidation's id."""
    known = flock.at().coordination
    if not (flock.main.path / "notes.log").exists():
        flock.main.write("notes.log", "")
        known.consolidate()
    flock.main.write("notes.log", text)
    report = known.consolidate()
    assert report.consolidation and not report.error
    return report.consolidation.id


def document(flock: Flock, name: str = REPORT) -> str:
    return (flock.main.path / name).read_text()


def mark(key: str) -> str:
    return f"<!-- raccord:consolidation:{key} -->"


def test_a_report_alone_holds_no_sync_back(flock: Flock) -> None:
    key = reported(flock)
    before = document(flock)
    flock.advance({"lib.py": "new\n"})
    report = flock.sync()
    assert names(report) == {"clone": "done"}, report
    assert (flock.main.path / "lib.py").read_text() == "new\n"
    assert document(flock) == before and mark(key) in before


def test_it_is_carried_over_a_base_that_changed_the_document(flock: Flock) -> None:
    key = reported(flock)
    flock.advance({REPORT: f"{PLAIN}\nfrom afar\n"})
    plan = flock.planned()
    assert [step.kind for step in plan.steps()].count("report.carry") == 2
    assert names(flock.sync()) == {"clone": "done"}
    assert "from afar" in document(flock) and document(flock).count(mark(key)) == 1
    assert flock.main.git("show", f"HEAD:{REPORT}") + "\n" == f"{PLAIN}\nfrom afar\n"
    assert flock.at().coordination.changes(pending=True) == ()


def test_an_undo_brings_the_report_back_too(flock: Flock) -> None:
    reported(flock)
    old = contents(flock.main.path), flock.main.oid()
    flock.advance({REPORT: f"{PLAIN}\nfrom afar\n", "lib.py": "new\n"})
    flock.sync()
    later = reported(flock, "later")
    assert flock.undo().state == "done"
    assert flock.main.oid() == old[1]
    assert mark(later) in document(flock)
    changed = dict.fromkeys((REPORT, "notes.log"))
    assert {**contents(flock.main.path), **changed} == {**old[0], **changed}


@pytest.mark.long
def test_a_new_document_that_comes_from_afar_too(flock: Flock) -> None:
    flock.main.commit({REPORT: None})
    flock.main.git("push", "-q", "origin", "main")
    key = reported(flock)
    assert flock.main.git("status", "--porcelain") == f"?? {REPORT}"
    flock.advance({REPORT: "# Another\n"})
    assert names(flock.sync()) == {"clone": "done"}
    assert document(flock).startswith("# Another\n") and mark(key) in document(flock)


@pytest.mark.long
def test_older_reports_that_rolled_into_the_archive_go_along(flock: Flock) -> None:
    keys = [reported(flock, str(number)) for number in range(4)]
    assert mark(keys[0]) in document(flock, ARCHIVE)
    flock.advance({REPORT: f"{PLAIN}\nfrom afar\n", ARCHIVE: "# Old ones\n"})
    assert names(flock.sync()) == {"clone": "done"}
    both = document(flock) + document(flock, ARCHIVE)
    assert [both.count(mark(key)) for key in keys] == [1, 1, 1, 1]
    assert "from afar" in both and "# Old ones" in both


@pytest.mark.parametrize("base", ["lib.py", REPORT])
def test_where_a_person_wrote_too_it_is_held_as_before(flock: Flock, base: str) -> None:
    reported(flock)
    flock.main.write(REPORT, document(flock).replace("by hand", "by my own hand"))
    before = contents(flock.main.path)
    flock.advance({base: "other\n"})
    report = flock.sync()
    assert names(report) == {"clone": "held"}
    finding = flock.lane(report, "clone").finding
    assert finding is not None and finding.name == "clean"
    assert contents(flock.main.path) == before


@pytest.mark.long_but(2)
@pytest.mark.parametrize(
    "deed",
    [
        lambda text: text.replace("**Trigger**", "**trigger**"),
        lambda text: text.replace("\n---\n", "\n---\nand a line below\n"),
        lambda text: text.replace("raccord:consolidation:c-", "raccord:consolidation:c-0"),
        lambda text: text + "\n",
        lambda text: "",
    ],
)
def test_an_edit_within_a_report_is_a_persons(flock: Flock, deed) -> None:
    reported(flock)
    flock.main.write(REPORT, deed(document(flock)))
    flock.advance({"lib.py": "new\n"})
    assert names(flock.sync()) == {"clone": "held"}


def test_what_is_staged_or_beside_it_is_dirty(flock: Flock) -> None:
    reported(flock)
    flock.advance({"lib.py": "new\n"})
    flock.main.write("more.txt", "mine\n")
    assert names(flock.sync()) == {"clone": "held"}
    flock.main.write("more.txt", None)
    flock.main.git("add", REPORT)
    assert names(flock.sync()) == {"clone": "held"}


def test_status_says_whose_change_it_is(flock: Flock) -> None:
    reported(flock)
    assert [(one.unstaged, one.reports) for one in flock.at().status().worktrees] == [(1, 1)]
    flock.main.write(REPORT, "mine\n")
    assert [(one.unstaged, one.reports) for one in flock.at().status().worktrees] == [(1, 0)]


def test_a_rebase_by_hand_needs_it_committed(flock: Flock) -> None:
    flock.main.commit({"raccord.toml": CONFIGURATION + 'worktree = "a"\n'})
    flock.main.git("push", "-q", "origin", "main")
    tree = flock.tree("a", {"app.py": "mine\n"})
    tree.write("notes.log", "")
    flock.at().coordination.consolidate()
    tree.write("notes.log", "x")
    assert flock.at().coordination.consolidate().document == str(tree.path / REPORT)
    flock.advance({"app.py": "theirs\n"})
    finding = flock.lane(flock.sync("a", resolve_by_hand=True), "a").finding
    assert finding is not None and finding.name == "clean" and "not committed" in finding.message
