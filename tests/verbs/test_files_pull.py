"""Objects pulled: prod to dev, by the modes and with the undo of a push, and without what is private."""

from __future__ import annotations

import pytest

from raccord.errors import UsageError
from raccord.model.options_data import FilesDiffOptions, FilesPushOptions
from tests.fileskit import Two

DEV = {"a.txt": b"old", "own.txt": b"dev's", "keys/dev.key": b"dev's key"}
PROD = {"a.txt": b"new", "b.txt": b"b", "keys/prod.key": b"cnry-key", "keys/dev.key": b"cnry-other"}


@pytest.fixture
def two(tmp_path):
    made = Two(tmp_path)
    made.put("dev", DEV)
    made.put("prod", PROD)
    made.configure(private=["*.key"])
    return made


def pulled(two, **options):
    with two.workspace as workspace:
        return workspace.files_pull(FilesPushOptions("all", "", "prod", **options))


def test_it_comes_without_what_is_private_and_goes_back(two):
    report = pulled(two, mode="mirror", delete=True)
    assert (report.state, report.verb) == ("done", "files pull"), report
    assert two.objects("dev") == {"a.txt": b"new", "b.txt": b"b", "keys/dev.key": b"dev's key"}
    assert two.objects("prod") == PROD
    assert two.undo().state == "done" and two.objects("dev") == DEV


def test_no_push_goes_round_it(two):
    with two.workspace as workspace:
        workspace.files_push(FilesPushOptions("all", "dev", "prod", mode="upsert"))
        diff = workspace.files_diff(FilesDiffOptions("all", "dev", "prod"))
    assert two.objects("dev") == DEV | {"a.txt": b"new", "b.txt": b"b"}
    assert (diff.added, diff.changed, diff.removed) == (0, 0, 1)


def test_hints_are_about_the_same_ends(two):
    plan = pulled(two, dry_run=True)
    hints = [note.hint for stage in plan.stages for lane in stage.lanes for note in lane.notes if note.hint]
    assert hints == ["raccord files pull all --from prod --to dev --mode upsert --dry-run"]
    with two.workspace as workspace:
        diff = workspace.files_diff(FilesDiffOptions("all", "dev", "prod"))
    assert diff.next_command == "raccord files pull all --from prod --to dev --dry-run"


def test_protected_is_what_would_be_written_to(two):
    two.configure(protected=True)  # prod
    assert pulled(two).state == "done"
    path = two.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace("[environments.prod]", "protected = true\n[environments.prod]"))
    with pytest.raises(UsageError) as caught:
        pulled(two, mode="upsert")
    assert caught.value.hint == "raccord files pull all --from prod --to dev --mode upsert --yes-to dev"
    assert pulled(two, mode="upsert", yes_to="dev").state == "done"


def test_an_empty_prod_removes_nothing(two):
    two.take("prod", *PROD)
    report = pulled(two, mode="mirror", delete=True)
    assert report.state == "partial" and two.objects("dev") == DEV
    assert report.lanes[0].finding.hint == "raccord files diff all --from prod --to dev"


def test_environments_that_there_are_not(two):
    for origin, goal in (("dev", ""), ("nope", ""), ("prod", "nope")):
        with two.workspace as workspace, pytest.raises(UsageError):
            workspace.files_pull(FilesPushOptions("all", goal, origin))
