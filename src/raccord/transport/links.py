"""The ways to hosts and containers of one workspace: each is made once, used by all, and ended with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from raccord.transport.container import Container
from raccord.transport.model import Ask, Transport
from raccord.transport.proxy import Proxied
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
        self._proxied: dict[int, Proxied] = {}
        self._containers: dict[str, Container] = {}
        self._mutex = threading.Lock()

    def host(self, login: Login) -> Ssh:
        """The connection to a host; it is made when it is first used."""
        with self._mutex:
            key = (login.key, login.config)
            if key not in self._hosts:
                self._hosts[key] = Ssh(login, person=self._person)
            return self._hosts[key]

    def proxied(self, host: Ssh) -> Proxied:
        """The proxies that lead to servers as seen from a host; they are made when they are first used."""
        with self._mutex:
            return self._proxied.setdefault(id(host), Proxied(host))

    def container(self, place: Transport, wanted: str, program: Sequence[str]) -> Container:
        """A container on a host; it is looked for when it is first used."""
        made = Container(place, wanted, program)
        with self._mutex:
            return self._containers.setdefault(made.key, made)

    def close(self) -> None:
        """Ends them all."""
        with self._mutex:
            for each in self._proxied.values():
                each.close()
            for one in self._hosts.values():
                one.close()
