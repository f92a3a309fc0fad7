"""`raccord lease`: in a clone alone, through a hub, and where the hub is away."""

from __future__ import annotations

import json

import pytest

from tests import pgkit
from tests.data.wire import Wire
from tests.gitkit import Repo
from tests.hubkit import Clone, clones


def test_worktrees_of_a_clone_keep_out_of_each_others_way(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({"a": "1"}, "start")
    other = repo.worktree("other", "other")
    one, two = Clone(repo.path, ""), Clone(other.path, "")
    assert one.run("lease", "list").stdout == "Nothing is leased.\n"
    (lease,) = json.loads(one.run("lease", "claim", "src/api/", "--as", "ada", "--json").stdout)["leases"]
    assert (lease["pattern"], lease["owner"], lease["machine"]) == ("src/api", "ada", "")
    refused = two.run("lease", "claim", "src/**/x.py", "--as", "bob")
    assert refused.returncode == 1
    assert refused.stderr == "raccord: src/**/x.py is leased: src/api by ada\nnext: raccord lease list\n"
    assert two.run("lease", "claim", "docs", "--as", "bob").returncode == 0
    token = str(lease["token"])
    assert one.run("lease", "claim", "src/api", "--as", "ada", "--token", token).returncode == 0
    assert two.run("lease", "release", "src/api", "--as", "bob").returncode == 2
    assert one.run("lease", "release", "src/api", "--as", "ada").stdout == "Released.\n"
    lost = one.run("lease", "claim", "src/api", "--as", "ada", "--token", token)
    assert (lost.returncode, f"the lease with token {token} ended" in lost.stderr) == (1, True)
    assert two.run("lease", "claim", "src", "--as", "bob").returncode == 0
    assert one.run("lease", "claim", "../x").returncode == 2


@pytest.mark.long
def test_machines_of_a_hub_do_so_too_and_nothing_is_granted_without_it(tmp_path):
    server = pgkit.server()
    wire = Wire(server.port)
    with server.lent() as name:
        url = server.url(name)
        with clones(tmp_path, url, url.replace(f":{server.port}/", f":{wire.port}/")) as (one, two):
            assert one.run("lease", "claim", "src", "--as", "ada").returncode == 0
            refused = two.run("lease", "claim", "src/api", "--as", "bob")
            assert (refused.returncode, "src by ada" in refused.stderr) == (1, True)
            (lease,) = json.loads(two.run("lease", "list", "--json").stdout)["leases"]
            assert (lease["machine"], lease["owner"]) == ("m1", "ada")
            wire.part(True)
            away = two.run("lease", "claim", "docs", "--as", "bob")
            assert away.returncode == 6
            assert pgkit.PASSWORD not in away.stderr
            assert len(json.loads(one.run("lease", "list", "--json").stdout)["leases"]) == 1
    wire.close()


def test_another_lease_is_not_said_to_have_ended_and_paths_of_the_machine_are_none_of_the_project(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({"a": "1"}, "start")
    one = Clone(repo.path, "")
    made = one.run("lease", "claim", str(repo.path / "src" / "api"), "--as", "ada", "--json")
    (lease,) = json.loads(made.stdout)["leases"]
    assert lease["pattern"] == "src/api"
    other = one.run("lease", "claim", "docs", "--as", "bob", "--token", str(lease["token"]))
    assert other.returncode == 1
    assert f"the lease with token {lease['token']} is another: src/api by ada" in other.stderr
    for pattern, said in {"/etc": "/etc", "": "an empty pattern"}.items():
        refused = one.run("lease", "claim", pattern)
        assert refused.returncode == 2
        assert f"{said} names no paths of this project" in refused.stderr
