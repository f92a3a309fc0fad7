"""Keys of object stores, and none of them in what raccord says or writes."""

from __future__ import annotations

import json

import pytest

from tests import fileskit, s3kit
from tests.canaries import Cage

KEYS = {"key id": "CNRYKEYID38", "key": "cnry/secret+key 39", "right key": s3kit.SECRET}


@pytest.fixture
def pair(tmp_path):
    try:
        return fileskit.Two(tmp_path, "file", "s3")
    except s3kit.NoServer as error:
        pytest.skip(str(error))


@pytest.mark.long_but(1)
@pytest.mark.parametrize("source", ["file", "command", "env"])
def test_keys(pair, source, monkeypatch):
    cage = Cage(pair.repo.path, KEYS)
    pair.put("dev", {"a/b.txt": b"cnry-object-40", "c": b"x" * 100})
    cage.canaries["bytes"] = "cnry-object-40"
    config = pair.repo.path / "raccord.toml"
    text = config.read_text()
    for name in ("id", "key"):
        other = {"command": f"command:cat {pair.path}/{name}", "env": f"env:S3_{name.upper()}"}
        place = f"file:{pair.path}/{name}"
        text = text.replace(json.dumps(place), json.dumps(other.get(source, place)))
    config.write_text(text)
    for id_, key, code in (
        (s3kit.KEY_ID, KEYS["key"], 6),
        (KEYS["key id"], KEYS["key"], 6),
        (KEYS["key id"], s3kit.SECRET, 6),
        (s3kit.KEY_ID, s3kit.SECRET, 0),
    ):
        (pair.path / "id").write_text(id_ + "\n")
        (pair.path / "key").write_text(key + "\n")
        monkeypatch.setenv("S3_ID", id_)
        monkeypatch.setenv("S3_KEY", key)
        for words in (("files", "push", "all", "--to", "prod", "--yes"), ("--json", "files", "status")):
            found, said = cage.run(*words)
            assert found == (code if words[0] == "files" else min(code, 1)), said
    assert cage.sing() == {}


def test_processes_and_undo(pair):
    """What starts other processes, of which every user sees the arguments."""
    cage = Cage(pair.repo.path, KEYS | {"bytes": "cnry-object-40"})
    pair.put("dev", {"a/b.txt": b"cnry-object-40"})
    assert cage.watched("files", "push", "all", "--to", "prod", "--yes")[0] == 0, cage.said
    assert cage.run("--json", "files", "diff", "all", "--to", "prod")[0] == 0
    assert cage.run("undo", "--yes")[0] == 0, cage.said
    assert cage.sing() == {}


def test_urls_that_hold_a_secret(pair):
    """A key that stands in a URL, where it doesn't belong, is refused unseen."""
    cage = Cage(pair.repo.path, KEYS)
    config = pair.repo.path / "raccord.toml"
    text = config.read_text()
    endpoint, objects = pair.keys["prod"]["objects_endpoint"], pair.keys["prod"]["objects"]
    for bad in (
        text.replace(endpoint, endpoint.replace("://", f"://x:{KEYS['key id']}@")),
        text.replace(endpoint, f"{endpoint}/?secret={KEYS['key id']}"),
        text.replace(objects, objects.replace("://", f"://x:{KEYS['key id']}@")),
        text.replace(objects, f"{objects}?key={KEYS['key id']}"),
        text.replace(json.dumps(f"file:{pair.path}/key"), json.dumps(KEYS["key"])),
    ):
        assert bad != text
        config.write_text(bad)
        code, said = cage.run("files", "push", "all", "--to", "prod", "--yes")
        assert code == 6, said
    assert cage.sing() == {}
