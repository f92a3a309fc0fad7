"""A promotion that can't go through, or is killed: prod stays as it was, or the next command finishes it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.errors import ConfigError, RaccordError, UsageError
from raccord.files import push as files_push
from raccord.model.options_data import PromoteOptions
from tests.datakit import why
from tests.examples.cabinet import KNOWLEDGE, Cabinet, NoServer, cabinet, killed

BOTH = "web-sources-files"
UPSERT = {"modes": {"files.web-files": "upsert"}}
# A table of the set that refuses what comes.
BROKEN = """
create function refuse() returns trigger language plpgsql as
$$ begin raise exception 'not on Fridays'; end $$;
create trigger refuse after insert on web_files for each row execute function refuse();
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Cabinet]:
    try:
        with cabinet(tmp_path) as found:
            found.fill("dev", 20)
            found.put("prod", {"web-files/3/loi n° 10.pdf": b"old"})
            yield found
    except NoServer as error:
        pytest.skip(f"no server: {error}")


def profiles(office: Cabinet, **more: object) -> None:
    """Adds keys to the profile of both."""
    office.configure()
    path, lines = office.repo.path / "raccord.toml", ""
    for name, value in more.items():
        said = json.dumps(value)
        if isinstance(value, dict):
            said = "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + " }"
        lines += f"{name} = {said}\n"
    path.write_text(path.read_text().replace(f"[profiles.{BOTH}]\n", f"[profiles.{BOTH}]\n{lines}"))


def fires(office: Cabinet) -> None:
    """Lets prod refuse the rows, once they are there."""
    office.run("prod", BROKEN)
    path = office.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace('triggers = "skip"\n', 'triggers = "fire"\n'))


def test_what_holds_a_set_back_holds_all(office: Cabinet) -> None:
    office.run("prod", "alter table web_pages drop column title")
    before = office.state("prod")
    plan = office.planned(BOTH)
    assert "title" in why(plan) and why(plan).startswith("data.web-sources:") and plan.empty
    report = office.promote(BOTH)
    assert report.state == "partial" and office.state("prod") == before


def test_objects_that_were_added_stay_where_rows_fail(office: Cabinet) -> None:
    fires(office)
    rows, objects = office.state("prod")
    report = office.promote(BOTH)
    assert report.state == "partial" and "raise exception (P0001)" in why(report), report
    assert office.rows("prod") == rows
    assert office.objects("prod") == office.objects("dev") | objects
    assert (
        "3 objects added" in report.lanes[0].notes[-1].message
        and "stays" in report.lanes[0].notes[-1].message
    )
    assert report.next_command == "raccord data diff web-sources --to prod"
    # The next one needs to send rows only, and its undo takes back nothing of the first.
    office.run("prod", "drop trigger refuse on web_files")
    assert [step.kind for step in office.planned(BOTH).steps() if step.kind[:5] == "files"] == []
    assert office.promote(BOTH).state == "done"
    assert office.undo().state == "done" and office.rows("prod", "web_files") == {"web_files": []}


def test_objects_that_were_overwritten_come_back_where_rows_fail(office: Cabinet) -> None:
    profiles(office, **UPSERT)
    fires(office)
    before = office.state("prod")
    report = office.promote(BOTH)
    assert report.state == "partial" and "raise exception (P0001)" in why(report), report
    assert office.state("prod") == before


@pytest.mark.long_but(1)
@pytest.mark.parametrize("overwriting", [False, True])
def test_rows_stay_where_they_are_when_objects_could_not_all_come(office, monkeypatch, overwriting) -> None:
    if overwriting:
        profiles(office, **UPSERT)
    rows, objects = office.state("prod")
    fill = files_push.Push._fill
    late = "web-files/6/loi n° 20.pdf"

    def meanwhile(self, one, *more):
        if one.key == late:
            office.put("prod", {late: b"somebody else's"})
        fill(self, one, *more)

    monkeypatch.setattr(files_push.Push, "_fill", meanwhile)
    report = office.promote(BOTH)
    assert report.state == "partial" and late in why(report), report
    assert office.rows("prod") == rows
    there = objects if overwriting else office.objects("dev") | objects
    assert office.objects("prod") == there | {late: b"somebody else's"}


def test_an_undo_that_meets_later_work_leaves_both(office: Cabinet) -> None:
    assert office.promote(BOTH).state == "done"
    office.run("prod", "update web_pages set title = 'later'")
    before = office.state("prod")
    report = office.undo()
    assert report.state == "partial" and "changed" in why(report), report
    assert office.state("prod") == before


@pytest.mark.long_but(3)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profiles.x]", "names no set"),
        ("[profiles.x]\ndata = ['nope']", "there is no data set nope"),
        ("[profiles.x]\nfiles = ['nope']", "there is no file set nope"),
        ("[profiles.x]\ndata = ['knowledge', 'knowledge']", "names data.knowledge twice"),
        ("[profiles.x]\ndata = ['knowledge']\nmodes = { knowledge = 'mirror' }", "none of data.knowledge"),
        (
            "[profiles.x]\nfiles = ['web-files']\nmodes = { 'files.web-files' = 'replace' }",
            "the mode replace",
        ),
        ("[profiles.y]\ndata = ['knowledge']", "known: files, full,"),
        ("[profiles.x]\nfile = ['web-files']", "did you mean files"),
        ("[profiles.x]\nfiles = 'web-files'", "is a string"),
    ],
)
def test_a_profile_that_says_nothing_sensible(office: Cabinet, text: str, said: str) -> None:
    path = office.repo.path / "raccord.toml"
    path.write_text(f"{path.read_text()}\n{text}\n")
    before = office.state("prod")
    with pytest.raises((ConfigError, UsageError)) as found:
        office.promote("x")
    assert said in str(found.value) and office.state("prod") == before


@pytest.mark.long
def test_a_table_in_two_sets(office: Cabinet) -> None:
    profiles(office)
    path = office.repo.path / "raccord.toml"
    path.write_text(path.read_text() + "\n[profiles.x]\ndata = ['knowledge', 'web-sources']\n")
    before = office.state("prod")
    report = office.promote("x")
    assert "knowledge_base is in both data.knowledge and data.web-sources" in why(report)
    assert office.state("prod") == before


def test_protected(office: Cabinet) -> None:
    office.configure(protected=True)
    before = office.state("prod")
    for named in ("", "dev"):
        with pytest.raises(UsageError) as found:
            office.promote(BOTH, yes_to=named)
        assert found.value.hint == f"raccord promote {BOTH} --to prod --yes-to prod"
    assert office.state("prod") == before and not office.planned(BOTH).empty
    assert office.promote(BOTH, yes_to="prod").state == "done"


@pytest.mark.long
def test_delete_is_for_mirrors(office: Cabinet) -> None:
    with pytest.raises(UsageError, match="has none"):
        office.promote(BOTH, delete=True)
    profiles(office, modes={"files.web-files": "mirror"})
    office.put("prod", {"web-files/own.pdf": b"x"})
    before = office.state("prod")
    assert office.promote(BOTH, delete=True).state == "done"
    assert office.objects("prod") == office.objects("dev")
    assert office.undo().state == "done" and office.state("prod") == before


def test_a_profile_goes_round_no_mask(office: Cabinet) -> None:
    with pytest.raises(UsageError, match="pulled, with masks on"):
        office.workspace.promote(PromoteOptions("full", "dev", origin="prod"))


def test_another_place_of_the_same_name(office: Cabinet) -> None:
    with pytest.raises(RaccordError, match="staging"):
        office.promote(BOTH, origin="staging")


def settled(office: Cabinet, profile: str, before: object) -> None:
    """The next command finishes it, whatever was killed; and an undo takes all of it back."""
    until = time.monotonic() + 20
    asked = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    while office.run("prod", asked) != [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.02)
    report = office.promote(profile)
    assert report.state in ("done", "nothing"), report
    assert office.equal(profile)
    while office.state("prod") != before:
        assert office.undo().state == "done"


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    ("kind", "where"),
    [("files", "9"), ("files", "14"), ("data", "120"), ("data", "commit"), ("data", "committed")],
)
def test_killed(office: Cabinet, kind: str, where: str) -> None:
    profiles(office, **UPSERT)
    before = office.state("prod")
    assert killed(office, BOTH, kind, where)
    settled(office, BOTH, before)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "where"), [*(("files", n) for n in range(30)), *(("data", n) for n in range(0, 300, 7))]
)
def test_killed_anywhere(office: Cabinet, kind: str, where: int) -> None:
    profiles(office, **UPSERT)
    before = office.state("prod")
    killed(office, BOTH, kind, str(where))
    settled(office, BOTH, before)


@pytest.mark.long
def test_the_default_mode_killed_after_its_commit(office: Cabinet) -> None:
    before = office.state("prod")
    assert killed(office, "full", "data", "committed")
    assert office.rows("prod", *KNOWLEDGE) == office.rows("dev", *KNOWLEDGE)
    settled(office, "full", before)
