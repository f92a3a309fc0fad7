"""Answers what ssh asks: a password once, a host key where it was vouched for, else a person or nobody.

ssh starts a small program for each question (`SSH_ASKPASS`), which passes it on through a socket of ours in a
folder that nobody else can enter. No secret is in an argument, a variable or a file.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from raccord.errors import RaccordError
from raccord.kernel import fs
from raccord.transport.door import Door
from raccord.transport.model import Ask

MOST = 65536  # bytes of a question
_HOST_KEY = re.compile(r"The authenticity of (?:the )?host .* can't be established", re.DOTALL)
_FINGERPRINT = re.compile(r"^(\S+) key fingerprint is (\S+?)\.?$", re.MULTILINE)
_HOST = re.compile(r"authenticity of (?:the )?host '([^' ]*)[^']*'")  # without its address behind it
_PASSWORD = re.compile(r"password|passwort|passwd|mot de passe|contrase|parola|wachtwoord", re.IGNORECASE)

PROGRAM = """\
#!/bin/sh
exec {python} -IS -c '
import os, socket, sys
ask = socket.socket(socket.AF_UNIX)
ask.connect(sys.argv[1])
kind = os.environ.get("SSH_ASKPASS_PROMPT", "")
ask.sendall(os.fsencode(kind + "\\n" + " ".join(sys.argv[2:])))
ask.shutdown(socket.SHUT_WR)
said = b""
while data := ask.recv(4096):
    said += data
if not said:
    sys.exit(1)
sys.stdout.buffer.write(said)
' {path} "$@"
"""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key that a host shows and nobody knows.

    Attributes:
        host: as ssh names it.
        kind: such as ED25519.
        fingerprint: such as SHA256:….
    """

    host: str
    kind: str
    fingerprint: str


def host_key(question: str) -> HostKey | None:
    """The key that ssh asks about; None where it asks something else."""
    found = _FINGERPRINT.search(question)
    if not _HOST_KEY.match(question) or found is None:
        return None
    host = _HOST.search(question)
    return HostKey(host[1] if host else "", found[1], found[2])


def for_login(question: str, login: str) -> bool:
    """Whether a question is for the password of a login, as user@host, and of no other host on the way."""
    begun = re.match(re.escape(login) + r"'s |\(" + re.escape(login) + r"\) ", question)
    return begun is not None and _PASSWORD.search(question[begun.end() :]) is not None


@dataclass
class Answers:
    """Who answers, and what was asked.

    Attributes:
        login: user@host, whose password is known.
        password: gives it; None where nobody configured one.
        trusted: the fingerprint that somebody vouched for, or "".
        person: asks one; None where there is nobody.
        unknown: host keys that were not vouched for.
        refused: questions that nobody answered.
        failed: why the password can't be read.
    """

    login: str = ""
    password: Callable[[], str] | None = None
    trusted: str = ""
    person: Ask | None = None
    unknown: list[HostKey] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: RaccordError | None = None
    used: bool = False

    def answer(self, kind: str, question: str) -> str | None:
        """What to say to a question; None to say nothing.

        Args:
            kind: "confirm" and "none" are for a touch or a nod, of a person at the key.
        """
        if kind:
            return None
        if key := host_key(question):
            return self._vouch(key, question)
        if self.password is not None and for_login(question, self.login):
            # Asked again, it was wrong.
            if self.used:
                return None
            self.used = True
            try:
                return self.password()
            except RaccordError as error:
                self.failed = error
                return None
        said = self.person(question, False) if self.person else None
        if said is None:
            self.refused.append(question)
        return said

    def _vouch(self, key: HostKey, question: str) -> str | None:
        if self.trusted and self.trusted == key.fingerprint:
            return key.fingerprint  # ssh compares it once more
        said = self.person(question, True) if self.person and not self.trusted else None
        if said is not None and said.strip() in ("yes", key.fingerprint):
            return said.strip()
        self.unknown.append(key)
        return "no"


class Askpass:
    """The program that ssh starts, and the socket that it asks.

    Args:
        folder: that nobody else can enter.
    """

    def __init__(self, folder: Path, answers: Answers) -> None:
        self._answers = answers
        self._one = threading.Lock()  # a person is asked one thing at a time
        self._program = folder / "askpass"
        path = folder / "ask"
        text = PROGRAM.format(python=shlex.quote(sys.executable), path=shlex.quote(str(path)))
        fs.write_new(self._program, text.encode(), mode=0o700, exact=True, durable=False)
        self._door = Door.at(path, self._serve)

    @property
    def environment(self) -> dict[str, str]:
        """What ssh is started with."""
        return {"SSH_ASKPASS": str(self._program), "SSH_ASKPASS_REQUIRE": "force"}

    def close(self) -> None:
        """Answers nothing any more."""
        self._door.close()

    def _serve(self, made: socket.socket) -> None:
        question = b""
        with contextlib.suppress(OSError):
            while len(question) < MOST and (data := made.recv(4096)):
                question += data
            kind, _, text = question.decode("utf-8", "replace").partition("\n")
            with self._one:
                said = self._answers.answer(kind, text)
            if said is not None:
                made.sendall(said.encode("utf-8", "surrogateescape") + b"\n")
