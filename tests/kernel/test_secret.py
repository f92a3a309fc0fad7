"""Values that may be secret, read from where the configuration says: above all from a keyring."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as Nothing
from keyring.errors import KeyringLocked

from raccord.config.kinds import SECRET, Invalid, Secret
from raccord.errors import CannotRun
from raccord.kernel import secret
from raccord.workspace import Workspace
from tests.gitkit import Repo

CANARY = "postgresql://app:c4nary@127.0.0.1:1/app"


class Filed(KeyringBackend):
    """A keyring in a file; a real one to the library."""

    priority: Any = 0.1

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked(f"locked: {CANARY}")
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found.get(f"{service}\n{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.path.write_text(json.dumps(found | {f"{service}\n{username}": password}))


@pytest.fixture
def filed(tmp_path):
    before = keyring.get_keyring()
    made = Filed(tmp_path / "keyring")
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def read(text: str, top: Path) -> str:
    source = SECRET.read(text)
    assert isinstance(source, Secret)
    return secret.read(source, "the database of prod", top, lambda name: None)


def test_what_a_keyring_has(filed, tmp_path):
    keyring.set_password("https://shop.example.org/db", "app", CANARY)
    keyring.set_password("shop", "spaces", "  as it is ")
    assert read("keyring:https://shop.example.org/db/app", tmp_path) == CANARY
    assert read("keyring:shop/spaces", tmp_path) == "  as it is "


@pytest.mark.parametrize("text", ["keyring:", "keyring:shop", "keyring:/app", "keyring:shop/"])
def test_words_that_name_nothing(text):
    with pytest.raises(Invalid, match="names no service and user"):
        SECRET.read(text)


def test_what_a_keyring_has_not(filed, tmp_path, monkeypatch):
    with pytest.raises(CannotRun, match="has no app of my shop, which is to be the database") as caught:
        read("keyring:my shop/app", tmp_path)
    assert caught.value.hint == "python -m keyring set 'my shop' app"
    keyring.set_password("shop", "lines", "one\ntwo-canary")
    with pytest.raises(CannotRun, match="one line") as caught:
        read("keyring:shop/lines", tmp_path)
    assert "canary" not in str(caught.value)
    filed.locked = True
    with pytest.raises(CannotRun, match="KeyringLocked") as caught:
        read("keyring:shop/app", tmp_path)
    assert "c4nary" not in str(caught.value) and "unlock" in caught.value.hint
    keyring.set_keyring(Nothing())
    with pytest.raises(CannotRun, match="no keyring here"):
        read("keyring:shop/app", tmp_path)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(CannotRun, match="package keyring") as caught:
        read("keyring:shop/app", tmp_path)
    assert "raccord[keyring]" in caught.value.hint


def test_an_environment_whose_database_is_in_one(filed, tmp_path):
    keyring.set_password("shop", "app", CANARY)
    shop = Repo.init(tmp_path / "shop")
    shop.commit({"a.txt": "a"}, "start")
    (shop.path / "raccord.toml").write_text('[environments.prod]\ndatabase = "keyring:shop/app"\n')
    with Workspace.open(shop.path) as workspace:
        assert workspace.environments.listing()[0].database == "keyring:shop/app"
        finding = workspace.environments.check("prod")[0].findings[0]
    assert "127.0.0.1:1/app can't be reached" in finding.message and "c4nary" not in str(finding)
