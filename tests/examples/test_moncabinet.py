"""Every mode of the example, from PostgreSQL 16 to 18 and from store to store, and back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.model.report import RunReport
from tests.examples.cabinet import CRON, EXAMPLE, KNOWLEDGE, WEB, Cabinet, NoServer, cabinet

DOCUMENTS = 40


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Cabinet]:
    try:
        with cabinet(tmp_path) as found:
            found.fill("dev", DOCUMENTS)
            yield found
    except NoServer as error:
        pytest.skip(f"no server: {error}")


def own(office: Cabinet) -> None:
    """Prod has most of dev's rows and files, changed some, and has some of its own."""
    office.fill("prod", DOCUMENTS - 4)
    office.run(
        "prod",
        "update platform_config set value = 'prod''s own' where key = 'groq_api_key';"
        "update knowledge_base set title = 'corrected in prod' where title like '%5';"
        "insert into web_sources (name, base_url) values ('prod', 'https://prod.example.org/');"
        "insert into templates (name) values ('prod');"
        "update outbox set body = 'prod'",
    )
    office.put("prod", {"web-files/own.pdf": b"prod", "web-files/1/loi n° 50.pdf": b"stamped in prod"})


def done(report: RunReport) -> RunReport:
    assert report.state == "done", report
    return report


@pytest.mark.long
def test_the_default_mode(office: Cabinet) -> None:
    own(office)
    before = office.state("prod")
    with office.readers() as seen:
        done(office.promote("full"))
    after = office.state("prod")
    assert office.rows("prod", *KNOWLEDGE) == office.rows("dev", *KNOWLEDGE)
    assert len(seen) == 2, "a reader saw something between"
    # Nothing else moved, and no letter was written.
    assert {t: r for t, r in after[0].items() if t not in KNOWLEDGE} == {
        t: r for t, r in before[0].items() if t not in KNOWLEDGE
    }
    assert after[1] == before[1] and office.equal("full")
    done(office.undo())
    assert office.state("prod") == before


@pytest.mark.long
def test_web_sources_overwrite_nothing(office: Cabinet) -> None:
    own(office)
    before = office.state("prod")
    with office.readers() as seen:
        done(office.promote("web-sources"))
    assert len(seen) == 2
    # Afterwards the site was told to index what is new.
    (call,) = office.site.got
    assert (call.method, call.path) == ("GET", "/api/cron/web-crawler")
    assert call.headers["Authorization"] == f"Bearer {CRON}"
    after = office.rows("prod")
    for table in WEB:
        assert {*before[0][table]} < {*after[table]} or before[0][table] == after[table]
    titles = office.run("prod", "select count(*) from knowledge_base where title = 'corrected in prod'")
    assert titles != [(0,)]
    assert after["knowledge_base_chunks"] == before[0]["knowledge_base_chunks"]
    assert after["outbox"] == before[0]["outbox"]
    assert office.run("prod", "select count(*) from knowledge_base") == [(DOCUMENTS,)]
    done(office.undo())
    assert office.state("prod") == before


def test_files_alone(office: Cabinet) -> None:
    own(office)
    rows, objects = office.state("prod")
    done(office.promote("files"))
    assert office.rows("prod") == rows
    assert office.objects("prod") == office.objects("dev") | {
        "web-files/own.pdf": b"prod",
        "web-files/1/loi n° 50.pdf": b"stamped in prod",
    }
    done(office.undo())
    assert office.objects("prod") == objects


def test_both_in_one_plan_one_run_one_undo(office: Cabinet) -> None:
    own(office)
    before = office.state("prod")
    plan = office.planned("web-sources-files")
    kinds = [step.kind for step in plan.steps()]
    assert kinds == ["files.put", "files.verify", "data.keep", "data.push", "hook.call"]
    assert office.state("prod") == before and len(plan.lanes()) == 2 and office.site.got == []
    report = done(office.promote("web-sources-files"))
    assert len(office.workspace.log()) == 1
    assert office.run("prod", "select count(*) from web_files") == [(DOCUMENTS // 5,)]
    assert office.objects("prod").keys() >= office.objects("dev").keys()
    undone = done(office.undo())
    assert undone.undo_of == report.id and office.state("prod") == before
    # And there again.
    done(office.undo(undone.id))
    assert office.run("prod", "select count(*) from knowledge_base") == [(DOCUMENTS,)]


@pytest.mark.long
def test_to_an_empty_place_and_nothing_more_to_do(office: Cabinet) -> None:
    done(office.promote("web-sources-files"))
    done(office.promote("full"))
    assert office.rows("prod", *KNOWLEDGE, *WEB) == office.rows("dev", *KNOWLEDGE, *WEB)
    assert office.run("prod", "select * from outbox") == []
    for profile in ("full", "web-sources", "files", "web-sources-files"):
        assert office.promote(profile).state == "nothing"
        assert office.equal(profile)


@pytest.mark.long
def test_documents_that_wait_to_be_indexed(office: Cabinet) -> None:
    def waiting() -> dict[str, int | None]:
        found = office.workspace.profile_status("web-sources").data
        return {one.environment: each.rows for one in found for each in one.without}

    assert waiting() == {"dev": DOCUMENTS // 7, "prod": 0}
    done(office.promote("web-sources"))
    assert waiting() == {"dev": DOCUMENTS // 7, "prod": DOCUMENTS}
    path = office.repo.path / "raccord.toml"
    for other, said in (("templates", "no foreign key"), ("nope", "no table nope")):
        path.write_text(path.read_text().replace('"knowledge_base_chunks" }', f'"{other}" }}'))
        (one,) = office.workspace.data_status("web-sources").sets[0].without
        assert one.rows is None and said in one.why
        path.write_text(path.read_text().replace(f'"{other}" }}', '"knowledge_base_chunks" }'))


def test_what_is_where(office: Cabinet) -> None:
    done(office.promote("web-sources-files", by="ada"))
    found = office.workspace.profile_status("web-sources-files", "prod")
    ((rows,), (objects,)) = found.data, found.files
    assert rows.rows["web_pages"] == 2 * DOCUMENTS and rows.push and rows.push.by == "ada"
    assert objects.objects == DOCUMENTS // 5 and objects.push and objects.push.run == rows.push.run


@pytest.mark.long
@pytest.mark.parametrize("stores", [("s3", "s3"), ("s3", "file"), ("file", "s3")])
@pytest.mark.timeout(600)
def test_every_mode_of_more_documents(tmp_path: Path, stores: tuple[str, str]) -> None:
    try:
        with cabinet(tmp_path, stores) as office:
            office.fill("dev", 800)
            office.fill("prod", 300)
            own_rows = "update knowledge_base set title = 'corrected' where title like '%9'"
            office.run("prod", own_rows)
            before = office.state("prod")
            for profile in ("web-sources", "files", "web-sources-files", "full"):
                with office.readers() as seen:
                    done(office.promote(profile))
                assert len(seen) == (1 if profile == "files" else 2), profile
                assert office.rows("prod", "outbox") == {"outbox": before[0]["outbox"]}
                done(office.undo())
                assert office.state("prod") == before, profile
    except NoServer as error:
        pytest.skip(f"no server: {error}")


@pytest.mark.long
def test_what_its_page_says_to_try(office: Cabinet) -> None:
    """Word by word, as in a script: nobody is there to type prod's name."""
    office.configure(protected=True)
    page = (EXAMPLE / "README.md").read_text()
    lines = page[page.rindex("```sh\n") :].splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("raccord ")]
    assert len(commands) == 4
    for words in commands:
        assert main(["-C", str(office.repo.path), *words]) == 0, words
    assert office.objects("prod") and not office.rows("prod", "templates")["templates"]
