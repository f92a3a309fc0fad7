"""The connections to hosts of one workspace: each is made once, used by all, and ended with it."""

from __future__ import annotations

import threading

from raccord.transport.model import Ask
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login


class Links:
    """Connections by what they lead to.

    Args:
        person: asks what only a person knows; None where there is nobody.
    """

    def __init__(self, person: Ask | None = None) -> None:
        self._person = person
        self._hosts: dict[tuple[str, str], Ssh] = {}
        self._mutex = threading.Lock()

    def host(self, login: Login) -> Ssh:
        """The connection to a host; it is made when it is first used."""
        with self._mutex:
            key = (login.key, login.config)
            if key not in self._hosts:
                self._hosts[key] = Ssh(login, person=self._person)
            return self._hosts[key]

    def close(self) -> None:
        """Ends them all."""
        with self._mutex:
            for one in self._hosts.values():
                one.close()
