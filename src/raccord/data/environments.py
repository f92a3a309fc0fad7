"""Finds the database of a named environment. What was read on the way is in no message."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.config import Config, Environment, absent, expanded
from raccord.database.url import Route, Target, parse
from raccord.errors import CannotRun, RaccordError
from raccord.kernel import secret
from raccord.transport.container import Container
from raccord.transport.links import Links
from raccord.transport.local import Local
from raccord.transport.model import Transport
from raccord.transport.proxy import Proxied
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login, valid_destination


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments of a configuration.

    Attributes:
        top: where relative paths start, and where commands run.
        variable: reads a variable of the environment, None where it isn't set.
        links: connections to other hosts, which outlive one question.
    """

    config: Config
    top: Path
    variable: Callable[[str], str | None]
    links: Links = field(default_factory=Links)

    def environment(self, name: str) -> Environment:
        """An environment by its name.

        Raises:
            UsageError: there is none.
        """
        found = self.config.environments.get(name)
        if found is None:
            raise absent("environment", name, self.config.environments, "environments")
        return found

    def target(self, name: str) -> Target:
        """The database of an environment.

        Raises:
            UsageError: there is no such environment.
            CannotRun: where its URL comes from says nothing, or what it says is none.
        """
        source = self.environment(name).database
        if source is None:
            raise CannotRun(
                f"the environment {name} has no database", hint=f"set database in [environments.{name}]"
            )
        said = secret.read(source, f"the database of {name}", self.top, self.variable, "postgresql://…")
        try:
            found = parse(said, self.top)
        except RaccordError as error:
            raise CannotRun(f"the database of {name}: {error.message}", hint=error.hint) from None
        return replace(found, route=self.route(name))

    def route(self, name: str) -> Route | None:
        """The way to where the address of an environment's database is meant; None for here.

        Raises:
            UsageError: there is no such environment.
            CannotRun: where its host comes from says nothing, or what it says is none.
        """
        return self.container(name) or self.far(name)

    def container(self, name: str) -> Container | None:
        """The container that an environment's database is in; None where it is in none.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        found = self.environment(name)
        if not found.container:
            return None
        return self.links.container(self.host(name), found.container, found.container_program)

    def host(self, name: str) -> Transport:
        """Where an environment's commands run, such as its hooks: beside its container, not in it.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        return self.far(name) or Local(self.top)

    def far(self, name: str) -> Ssh | None:
        """The host that an environment is reached through; None where it is here.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        login = self.login(name)
        return None if login is None else self.links.host(login)

    def proxied(self, name: str) -> Proxied | None:
        """The way to servers that an environment's host sees, for clients of HTTP; None where it is here.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        far = self.far(name)
        return None if far is None else self.links.proxied(far)

    def files_host(self, name: str) -> Ssh | None:
        """The host that an environment's directory of objects is on; None where that is here, or a bucket.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        found = self.environment(name)
        kind, _, rest = found.objects.partition("://")
        if kind == "file":
            return self.far(name)
        if kind != "sftp":
            return None
        config = str(self.top / expanded(found.ssh_config)) if found.ssh_config else ""
        where = rest.partition("/")[0]
        # As `ssh` would name it, so that one host is one; a port or an IPv6 address needs a URL.
        destination = where if re.fullmatch(r"[^:\[\]]+", where) else f"ssh://{where}"
        # A password is for the host that `ssh` names, and for this one where it names none.
        password = self._password(name) if found.ssh is None else None
        return self.links.host(Login(destination, "", config, password))

    def login(self, name: str) -> Login | None:
        """The host of an environment, and who logs in there; None where it has none.

        Raises:
            UsageError, CannotRun: as `route`.
        """
        found = self.environment(name)
        if found.ssh is None:
            return None
        destination = secret.read(found.ssh, f"the host of {name}", self.top, self.variable, "USER@HOST")
        user = found.ssh_user
        login = secret.read(user, f"the user of the host of {name}", self.top, self.variable) if user else ""
        if not valid_destination(destination) or (login and not valid_destination(login)):
            raise CannotRun(
                f"the host of {name}, or its user, is none that ssh takes",
                hint=f"correct what ssh and ssh_user of [environments.{name}] lead to",
            )
        config = str(self.top / expanded(found.ssh_config)) if found.ssh_config else ""
        return Login(destination, login, config, self._password(name))

    def _password(self, name: str) -> Callable[[], str] | None:
        password = self.environment(name).ssh_password
        if password is None:
            return None
        return lambda: secret.read(password, f"the password of the host of {name}", self.top, self.variable)
