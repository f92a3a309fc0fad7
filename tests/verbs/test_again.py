"""What an error tells to type asks for what was asked."""

from __future__ import annotations

import importlib.util
import shlex
import sys

import pytest

from raccord.errors import UsageError
from raccord.kernel import extras
from raccord.model.options_data import (
    DataImportOptions,
    DataPullOptions,
    DataPushOptions,
    DataRestoreOptions,
    FilesPushOptions,
    KeyOptions,
    PromoteOptions,
)
from raccord.verbs.again import again
from tests import datakit

KEY = KeyOptions(passphrase="env:PHRASE")


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("data push", DataPushOptions("all", "prod"), "raccord data push all --to prod"),
        (
            "data push",
            DataPushOptions("all", "prod", "stage", "insert", allow_empty=True),
            "raccord data push all --to prod --from stage --mode insert --allow-empty",
        ),
        (
            "data pull",
            DataPullOptions("all", "prod", "dev", unmasked=True, reason="it's asked for"),
            "raccord data pull all --from prod --to dev --unmasked --reason 'it'\"'\"'s asked for'",
        ),
        (
            "data import",
            DataImportOptions("a b", "prod", mode="upsert", secrets="include", key=KEY),
            "raccord data import 'a b' --to prod --mode upsert --secrets include --passphrase env:PHRASE",
        ),
        (
            "data import",
            DataImportOptions("x", "prod", "all", "csv", key=KeyOptions("command:pass show canary")),
            "raccord data import x --to prod --format csv --set all --passphrase prompt",
        ),
        (
            "data restore",
            DataRestoreOptions("", "prod", "all", KeyOptions(key_file="k")),
            "raccord data restore --to prod --set all --key-file k",
        ),
        (
            "files push",
            FilesPushOptions("pdf", "prod", mode="mirror", delete=True),
            "raccord files push pdf --to prod --mode mirror --delete",
        ),
        (
            "promote",
            PromoteOptions("full", "prod", "stage", delete=True),
            "raccord promote full --to prod --from stage --delete",
        ),
    ],
)
def test_all_that_was_said(verb, options, said):
    assert again(verb, options) == said


def test_a_protected_environment_is_named_behind_all_that_was_said(tmp_path):
    """Without its mode the command would replace what was only to be added to."""
    with datakit.two(tmp_path) as two:
        two.configure(protected=True)
        with two.workspace as workspace, pytest.raises(UsageError) as found:
            workspace.data_push(DataPushOptions("all", "prod", "dev", "insert", allow_empty=True))
        words = "raccord data push all --to prod --from dev --mode insert --allow-empty --yes-to prod"
        assert found.value.hint == words


def test_an_extra_is_added_to_the_installation_that_runs(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my tools/bin/python3")
    words = shlex.split(extras.install("files"))
    assert words == ["/opt/my tools/bin/python3", "-m", "pip", "install", "raccord[files]"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = shlex.split(extras.install("files"))
    assert words == ["uv", "pip", "install", "--python", "/opt/my tools/bin/python3", "raccord[files]"]
