"""Logins by password, on a real ssh server whose accounts are its own: configured, typed, wrong."""

from __future__ import annotations

from typing import Any

import pytest

from raccord.errors import CannotRun, TransportError
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
from tests import sshkit
from tests.webkit import until

# Each way to ask for a password that servers have.
WAYS: dict[str, dict[str, Any]] = {
    "password": {},
    "keyboard-interactive": {
        "KbdInteractiveAuthentication": "yes",
        "PasswordAuthentication": "no",
        "UsePAM": "yes",
    },
}


@pytest.fixture(params=WAYS)
def guarded(request, tmp_path, docker):
    """A host that takes a password and no key."""
    try:
        made = sshkit.host(
            tmp_path / "far", path=str(docker.path), password=True, PubkeyAuthentication="no",
            **WAYS[request.param],
        )  # fmt: skip
        with made as found:
            yield found
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")


def reached(far: sshkit.Host, password=None, **more) -> Ssh:
    return Ssh(Login(far.alias, config=far.config, password=password), **more)


def test_one_that_is_configured(guarded):
    asked = []

    def password() -> str:
        asked.append(1)
        return sshkit.PASSWORD

    place = reached(guarded, password)
    assert place.run(["echo", "in"]).stdout == b"in\n" and place.run("true").returncode == 0
    folder = place._folder
    assert asked == [1] and guarded.log.count("Accepted") == 1
    told = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert told and not any(sshkit.PASSWORD.encode() in one for one in told)
    assert not sshkit.mentioning(sshkit.PASSWORD)
    place.close()


def test_one_that_is_wrong_is_tried_once(guarded):
    with pytest.raises(TransportError) as caught:
        reached(guarded, lambda: "wrong").run("true")
    assert "it refuses the password" in caught.value.message
    assert "wrong" not in caught.value.message + caught.value.hint
    until(lambda: "Failed" in guarded.log)  # the server writes it when it likes
    assert guarded.log.count("Failed") == 1 and "Accepted" not in guarded.log


def test_one_that_cannot_be_read(guarded):
    def password() -> str:
        raise CannotRun("the variable VPS_PASSWORD is not set")

    with pytest.raises(CannotRun, match="VPS_PASSWORD"):
        reached(guarded, password).run("true")


def test_nobody_is_there_to_type_one(guarded):
    with pytest.raises(TransportError) as caught:
        reached(guarded).run("true")
    assert "nobody is there to answer" in caught.value.message and "ssh_password" in caught.value.hint


def test_one_that_is_typed(guarded):
    asked = []

    def person(question: str, seen: bool) -> str:
        asked.append((question, seen))
        return sshkit.PASSWORD

    place = reached(guarded, person=person)
    assert place.run("true").returncode == 0
    assert len(asked) == 1 and "assword" in asked[0][0] and not asked[0][1]
    place.close()
