"""Lint on the histories inside published packages: nothing is imported, and nothing fails."""

from __future__ import annotations

import os

import pytest

from raccord.kernel import fs
from raccord.migrations.lint.examine import Examined, examine
from raccord.migrations.loading import load, uncollected
from tests.migrations.test_oracle import PUBLISHED, needs_downloads, versions

# Read by a person: the file (its beginning), and the rules that it breaks on PostgreSQL.
READ = {
    "apache-airflow-core": {
        "0059_3_0_0_remove_external_trigger_field": {"destructive"},
        "0093_3_2_0_restructure_callback_table": {"destructive", "data-and-schema"},
    },
    "apache-superset": {
        "2016-09-22_10-21_3b626e2a6783": {"destructive", "several-changes"},
        "2018-03-20_19-47_f231d82b9b26": {"destructive", "lock-type"},
        "2018-12-15_12-34_3e1b21cd94a4": {"data-and-schema"},  # its rows are moved by Python before the drop
        "2024-02-14_14-43_17fcea065655": set(),  # for MySQL alone
    },
    "langflow-base": {
        "27727fccba3e_add_audit_events_timeline_index": {"lock-index"},
        "79e675cb6752_change_datetime_type": {"lock-type"},
    },
    "open-webui": {
        "1af9b942657b_migrate_tags": {"destructive", "data-and-schema"},
        "f1e2d3c4b5a6_add_access_grant_table": set(),  # it fills the table that it makes, then drops
    },
}


def examined(folder) -> list[Examined]:
    with uncollected():
        return [
            examine(fs.read(os.path.realpath(one.path)), one.revision, one.path, postgres=True)
            for one in load([folder], recursive=True).files
        ]


@pytest.mark.long
@pytest.mark.timeout(400)
@needs_downloads
@pytest.mark.parametrize(("package", "folder"), [each[:2] for each in PUBLISHED], ids=str)
def test_published_histories_can_be_judged(package, folder):
    found = examined(versions(package, folder))
    assert found
    for one in found:
        lines = fs.read(os.path.realpath(one.path)).count(b"\n") + 1
        for remark in one.remarks:
            assert 1 <= remark.line <= remark.end <= lines
            assert remark.message.said("en") and remark.message.said("fr") and remark.fix.said("fr")
        assert "bad-ignore" not in {remark.rule for remark in one.remarks}


@pytest.mark.long
@pytest.mark.timeout(400)
@needs_downloads
@pytest.mark.parametrize("package", READ)
def test_it_finds_in_them_what_a_person_does(package):
    folder = next(each[1] for each in PUBLISHED if each[0] == package)
    found = examined(versions(package, folder))
    for beginning, wanted in READ[package].items():
        (one,) = [one for one in found if one.revision.name.startswith(beginning)]
        assert wanted <= {remark.rule for remark in one.remarks}, beginning
        heavy = {"destructive", "several-changes", "lock-type"} - wanted
        assert not heavy & {remark.rule for remark in one.remarks}, beginning
