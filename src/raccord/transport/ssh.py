"""A host that the system's OpenSSH reaches: one connection for all, which ends with this process, however it
ends.

The connection is held by a command there that reads until its input closes: a killed process closes it. All
else goes through that connection (`ControlMaster`), and never makes one of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from raccord.errors import ProgramMissing, TransportError
from raccord.kernel import fs, proc
from raccord.kernel.dialogue import Dialogue
from raccord.kernel.fs_private import private_folder
from raccord.kernel.proc import OUTPUT_LIMIT, Child, Result
from raccord.model.text import shown
from raccord.transport.askpass import Answers, Askpass
from raccord.transport.loopback import listening
from raccord.transport.model import SECONDS, Ask, Words
from raccord.transport.sftp import Sftp
from raccord.transport.ssh_errors import unreachable
from raccord.transport.ssh_settings import Login, config_file, settings

HERE = "raccord is here"
# Until somebody is logged in: ssh's own limit counts the network alone, and a person types.
LOGIN_SECONDS = 180.0
MUX_SECONDS = 30.0
HEARD_SECONDS = 0.2  # what ssh says before it closes something is read a moment later
# Of what ssh says: the rest is banners and advice.
WHY = re.compile(r"open failed|closed by|reset by|[Tt]ime(d )?out|not responding|[Bb]roken pipe|Disconnect")
# Where the connection is lost, a client of it would make its own, unasked.
RIDING = ("-F", "none", "-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR")


class Ssh:
    """A host.

    Args:
        person: asks what only a person knows; None where there is nobody.
        trusted: the fingerprint of a host key that somebody vouched for, or "".
    """

    def __init__(self, login: Login, *, person: Ask | None = None, trusted: str = "") -> None:
        self._login = login
        self._person = person
        self._trusted = trusted
        self._mutex = threading.RLock()
        self._numbers = itertools.count()
        self._life = contextlib.ExitStack()
        self._master: Child | None = None
        self._folder = Path()
        self._forwards: dict[tuple[str, int, str], Path] = {}
        self._talk: Dialogue | None = None
        self._files: Sftp | None = None

    @property
    def key(self) -> str:
        """See `Transport`."""
        return self._login.key

    @property
    def shown(self) -> str:
        """See `Transport`."""
        return shown(self._login.shown)

    def run(
        self, words: Words, *, stdin: bytes = b"", timeout: float | None = SECONDS, limit: int = OUTPUT_LIMIT
    ) -> Result:
        """See `Transport`."""
        done = proc.run(self._command(words), stdin=stdin, timeout=timeout, limit=limit)
        self.check(done.returncode)
        told = tuple([words] if isinstance(words, str) else words)
        return Result(told, done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def started(
        self, words: Words, *, stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> Iterator[Child]:
        """See `Transport`."""
        with proc.started(self._command(words), stdin=stdin, stdout=stdout, stderr=stderr) as child:
            yield child

    def check(self, status: int) -> None:
        """See `Transport`."""
        if status == LOST and not self._alive:
            raise self._lost()

    @contextlib.contextmanager
    def forwarded(self, host: str, port: int, *, name: str = "s") -> Iterator[Path]:
        """See `Transport`."""
        with self._mutex:
            self._connect()
            path = self._forwards.get((host, port, name))
            if path is None:
                path = self._forward(host, port, name)
        yield path

    def listening(self, host: str, port: int) -> AbstractContextManager[int]:
        """A port on loopback, for this process alone, that leads to a server as seen from there.

        Raises:
            TransportError: as `forwarded`.
        """
        return listening(self.forwarded(host, port))

    def riders(self) -> list[str]:
        """Options with which another program of OpenSSH, such as sftp, goes through the same connection.

        Raises:
            TransportError: the host can't be reached.
        """
        with self._mutex:
            self._connect()
            return [*RIDING, "-o", f"ControlPath={self._folder / CONTROL}"]

    def sftp(self) -> Sftp:
        """The host's files, through the same connection; one conversation for all who ask.

        Raises:
            TransportError: the host can't be reached, or has no SFTP.
        """
        with self._mutex:
            self._connect()
            if self._files is None or self._files.ended:
                words = ["ssh", *self.riders(), "-T", "-s", "--", OURS, "sftp"]
                child = self._life.enter_context(proc.started(words, stderr=proc.NOWHERE))
                self._files = Sftp(child, self._no_sftp)
            return self._files

    def _no_sftp(self, why: str) -> TransportError:
        if not self._alive:
            return self._lost()
        return TransportError(
            f"the SFTP of {self.shown} can't be used: {why or self.said() or 'it ended'}",
            hint="see Subsystem in its sshd_config",
        )

    def said(self) -> str:
        """The last that the connection said, such as why a server there could not be reached."""
        talk = self._talk
        until = time.monotonic() + HEARD_SECONDS
        while talk is not None:
            found = [line for line in talk.said.splitlines() if WHY.search(line)]
            if found or time.monotonic() > until:
                return shown(found[-1].strip()) if found else ""
            time.sleep(0.01)
        return ""

    def close(self) -> None:
        """See `Transport`."""
        with self._mutex:
            self._master = self._talk = self._files = None
            self._forwards.clear()
            self._life.close()

    def _command(self, words: Words) -> list[str]:
        line = words if isinstance(words, str) else shlex.join(words)
        return ["ssh", *self.riders(), "-T", "--", OURS, line]

    @property
    def _alive(self) -> bool:
        return self._master is not None and self._master.poll() is None

    def _lost(self) -> TransportError:
        return TransportError(
            f"the connection to {self.shown} was lost: {self.said() or 'it ended'}", hint="run it again"
        )

    def _forward(self, host: str, port: int, name: str) -> Path:
        below = self._folder / str(next(self._numbers))
        fs.make_dirs(below, durable=False)
        path = below / name
        goal = host if host.startswith("/") else f"{f'[{host}]' if ':' in host else host}:{port}"
        riders = [*self.riders(), "-O", "forward", "-L", f"{path}:{goal}"]
        done = proc.run(["ssh", *riders, "--", OURS], timeout=MUX_SECONDS)
        if done.returncode or not path.exists():
            if not self._alive:
                raise self._lost()
            raise TransportError(
                f"{self.shown} can't be asked for {shown(goal)}: {shown(done.stderr.strip())}",
                hint="see AllowTcpForwarding and AllowStreamLocalForwarding in its sshd_config",
            )
        self._forwards[host, port, name] = path
        return path

    def _connect(self) -> None:
        """Logs in, unless that was done and still holds."""
        if self._alive:
            return
        self.close()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(private_folder())
            config = folder / "config"
            fs.write_new(
                config, config_file(self._login.config).encode(), mode=0o600, exact=True, durable=False
            )
            asked = ["ssh", "-F", str(config)]
            found = settings(self._resolved(asked))
            host = found.get("hostkeyalias", "") or found.get("hostname", "")
            answers = Answers(
                f"{found.get('user', '')}@{host}", self._login.password, self._trusted, self._person
            )
            askpass = Askpass(folder, answers)
            stack.callback(askpass.close)
            mine = ["-o", "ControlMaster=yes", "-o", f"ControlPath={folder / CONTROL}", "-T"]
            line = f"echo {shlex.quote(HERE)}; exec cat >/dev/null"
            master = stack.enter_context(
                proc.started([*asked, *mine, *self._login.words, line], env=askpass.environment)
            )
            talk = Dialogue(master, HERE.encode())
            self._logged_in(master, talk, answers)
            self._folder, self._master, self._talk = folder, master, talk
            self._life = stack.pop_all()

    def _resolved(self, asked: list[str]) -> str:
        try:
            done = proc.run([*asked, "-G", *self._login.words], timeout=MUX_SECONDS)
        except ProgramMissing:
            raise TransportError(
                "there is no program ssh here", hint="install OpenSSH's client (openssh-client)"
            ) from None
        if done.returncode:
            raise unreachable(self.shown, self._login.command, done.stderr)
        return done.stdout.decode("utf-8", "replace")

    def _logged_in(self, master: Child, talk: Dialogue, answers: Answers) -> None:
        try:
            here = talk.ask(b"", seconds=LOGIN_SECONDS)
        except TimeoutError:
            raise TransportError(
                f"{self.shown} lets nobody in: no answer after {LOGIN_SECONDS:g} s", hint=self._login.command
            ) from None
        if here is not None:
            return
        proc.end(master)
        if answers.failed is not None:
            raise answers.failed
        raise unreachable(
            self.shown, self._login.command, talk.said,
            unknown=answers.unknown, asked=answers.used, refused=answers.refused,
        )  # fmt: skip


CONTROL = "c"
LOST = 255  # what ssh ends with when it fails itself, and commands may as well
OURS = "raccord"  # what clients of the connection call the host: they reach none by that name
