"""A real ssh server for each test that asks for one, and a stand-in for docker, there and here."""

from __future__ import annotations

import os

import pytest

from tests import sshkit
from tests.containerkit import Docker


@pytest.fixture
def docker(tmp_path, monkeypatch):
    made = Docker.at(tmp_path / "docker")
    monkeypatch.setenv("PATH", f"{made.path}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
def far(tmp_path, docker):
    try:
        with sshkit.host(tmp_path / "far", path=str(docker.path)) as found:
            yield found
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")
