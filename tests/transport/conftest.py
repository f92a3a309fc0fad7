"""A real ssh server for each test that asks for one."""

from __future__ import annotations

import pytest

from tests import sshkit


@pytest.fixture
def far(tmp_path):
    try:
        with sshkit.host(tmp_path / "far") as found:
            yield found
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")
