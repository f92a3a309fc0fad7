"""What the tests of this room share: the process that runs command lines, and workspaces to make hostile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.desk import Desk
from tests.hostile.house import Driver, House


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Iterator[Driver]:
    one = Driver(tmp_path_factory.mktemp("driver"))
    yield one
    one.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    return House.template(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def house(template, tmp_path) -> House:
    return House.copied(template, tmp_path / "house")


@pytest.fixture(scope="session")
def plain_driver(tmp_path_factory) -> Iterator[Driver]:
    """The same without a trace."""
    one = Driver(tmp_path_factory.mktemp("driver"), traced=False)
    yield one
    one.close()


@pytest.fixture
def desk(plain_driver, house) -> Desk:
    return Desk(plain_driver, house, {})


@pytest.fixture
def nowhere(desk) -> Path:
    """A directory that is in no repository."""
    path = desk.house.folder / "nowhere"
    path.mkdir()
    return path
