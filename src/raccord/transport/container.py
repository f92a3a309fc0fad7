"""A container, on this machine or on another host: found by its name, and a relay in it for each connection.

No port of it is published. A command of an environment runs beside the container, never in it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import ContainerMissing, ProgramMissing, RaccordError, TransportError
from raccord.kernel import proc
from raccord.kernel.fs_private import private_folder
from raccord.kernel.proc import Child, Result
from raccord.model.text import shown
from raccord.transport.door import Door
from raccord.transport.loopback import listening
from raccord.transport.model import Transport
from raccord.transport.relays import PROBE, PROGRAMS, relay

SECONDS = 30.0  # that a question about containers may take
SAID = 4096  # bytes of what a relay says that are kept
MOST = 12  # containers that a message names
FORMAT = "{{.ID}}|{{.Names}}|{{.Status}}"
# What docker and podman say, and what it means for a person.
SAYS: tuple[tuple[str, str, str], ...] = (
    (
        "permission denied",
        "may not be asked by who logs in",
        'let that user in its group, or set container_program = ["sudo", "-n", "docker"]',
    ),
    ("Cannot connect to the", "has no daemon that answers", "start it there"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A container that was found.

    Attributes:
        id: whole.
        names: mostly one.
        status: in the program's words, such as "Up 2 hours".
    """

    id: str
    names: tuple[str, ...]
    status: str

    @property
    def runs(self) -> bool:
        """Whether something can be run in it."""
        return self.status.startswith("Up") and "Paused" not in self.status

    @property
    def called(self) -> str:
        """Its name, or what of its id tells it apart."""
        return shown(self.names[0] if self.names else self.id[:12])

    @property
    def shown(self) -> str:
        """For a person."""
        return f"{self.called} ({shown(self.status)})"


class Container:
    """A container that is found when it is first used, and anew once it was lost.

    Args:
        place: where its program is run.
        wanted: its name, or a filter such as label=KEY=VALUE.
        program: docker, or what is called as docker is.
    """

    def __init__(self, place: Transport, wanted: str, program: Sequence[str] = ("docker",)) -> None:
        self._place = place
        self._wanted = wanted
        self._program = list(program)
        self._mutex = threading.Lock()
        self._found: tuple[Listed, str] | None = None
        self._said = ""

    @property
    def key(self) -> str:
        """Tells containers apart by where they are and what they are called, not by their ids."""
        return "|".join(filter(None, [self._place.key, f"{self._program[-1]}:{self._wanted}"]))

    @property
    def shown(self) -> str:
        """How a person knows it."""
        at = f" on {self._place.shown}" if self._place.key else ""
        return shown(f"container {self._wanted}{at}")

    @contextlib.contextmanager
    def forwarded(self, host: str, port: int, *, name: str = "s") -> Iterator[Path]:
        """A socket here, for this user alone, that leads to a server as seen from within; see `Transport`.

        Raises:
            ContainerMissing: there is none of that name, or several, or it doesn't run.
            TransportError: its host can't be reached, or it has no program that reaches the server.
        """
        words = self._relay(host, port)
        running: set[Child] = set()

        def serve(made: socket.socket) -> None:
            try:
                both = made.fileno()
                with self._place.started(words, stdin=both, stdout=both, stderr=proc.PIPE) as child:
                    running.add(child)
                    self._listen(child)
                    running.discard(child)
            except RaccordError as error:
                self._keep(error.message)

        with private_folder() as folder:
            door = Door.at(folder / name, serve)
            try:
                yield folder / name
            finally:
                door.close()
                for child in tuple(running):
                    proc.finish(child)

    def listening(self, host: str, port: int) -> AbstractContextManager[int]:
        """A port on loopback, for this process alone, that leads to a server as seen from there.

        Raises:
            TransportError: as `forwarded`.
        """
        return listening(self.forwarded(host, port))

    def said(self) -> str:
        """Why a server in it could not be reached, as the last relay told it; "" where none did."""
        return self._said

    def found(self) -> Listed:
        """The container.

        Raises:
            ContainerMissing, TransportError: as `forwarded`.
        """
        return self._entered()[0]

    def _listen(self, child: Child) -> None:
        """Waits for a relay's end, and keeps what it says."""
        assert child.stderr is not None
        said = b""
        with contextlib.suppress(OSError, ValueError):
            while more := os.read(child.stderr.fileno(), SAID):
                said = (said + more)[-SAID:]
        child.wait()
        if said.strip():
            self._keep(_last(said.decode("utf-8", "replace")))

    def _keep(self, said: str) -> None:
        with self._mutex:
            self._said = said
            self._found = None  # it may be another one by now

    def _relay(self, host: str, port: int) -> list[str]:
        listed, has = self._entered()
        words = None if host.startswith("-") else relay(has, host, port)
        if words is None:
            kind = "the socket" if host.startswith("/") else ""
            goal = " ".join(filter(None, [kind, host if kind else f"{host}:{port}"]))
            raise TransportError(
                f"the {self.shown} has no program that leads to {shown(goal)}: {PROGRAMS}",
                hint="install one in its image, or publish the port on its host, and leave container out",
            )
        return [*self._program, "exec", "-i", listed.id, *words]

    def _entered(self) -> tuple[Listed, str]:
        """The container, and what the probe says in it."""
        with self._mutex:
            if self._found is None:
                listed = self._look()
                done = self._ask(["exec", "-i", listed.id, "sh", "-c", PROBE])
                if done.returncode:
                    raise TransportError(
                        f"nothing can be run in the {self.shown}: {_last(done.stderr)}",
                        hint=f"it needs a shell, and {PROGRAMS}",
                    )
                self._found = listed, done.stdout.decode("utf-8", "replace")
            return self._found

    def _look(self) -> Listed:
        filtered = "=" in self._wanted
        every = self._list(self._wanted if filtered else "")
        found = every if filtered else [one for one in every if self._wanted in one.names]
        running = [one for one in found if one.runs]
        if len(running) == 1:
            return running[0]
        program = " ".join(self._program)
        if running:
            raise ContainerMissing(
                f"several containers are the {self.shown}: {_named(running)}",
                hint="set container to the name of one",
                found=[one.shown for one in running],
            )
        if found:
            raise ContainerMissing(
                f"the {self.shown} doesn't run: {_named(found)}",
                hint=f"{program} start {found[0].called}",
                found=[one.shown for one in found],
            )
        others = [one for one in (self._list("") if filtered else every) if one.runs]
        raise ContainerMissing(
            f"there is no {self.shown}; running: {_named(others) or 'none'}",
            hint=f"correct container in raccord.toml; {program} ps shows what runs",
            found=[one.shown for one in others],
        )

    def _list(self, wanted: str) -> list[Listed]:
        narrowed = ["--filter", wanted] if wanted else []
        done = self._ask(["ps", "--all", "--no-trunc", *narrowed, "--format", FORMAT])
        if done.returncode:
            raise self._refused(done.stderr)
        found = []
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            id_, _, rest = line.partition("|")
            names, _, status = rest.partition("|")
            # A link of old gives a container further names, with a slash in them.
            own = tuple(name for name in names.split(",") if name and "/" not in name)
            found.append(Listed(id_, own, status))
        return found

    def _ask(self, words: Sequence[str]) -> Result:
        try:
            done = self._place.run([*self._program, *words], timeout=SECONDS)
        except ProgramMissing:
            raise self._absent() from None
        if done.returncode == 127 and words[0] == "ps":
            raise self._absent()
        return done

    def _absent(self) -> TransportError:
        return TransportError(
            f"there is no program {shown(self._program[0])} on {self._place.shown}",
            hint="set container_program, or install it there",
        )

    def _refused(self, stderr: str) -> TransportError:
        program = shown(" ".join(self._program))
        for mark, what, hint in SAYS:
            if mark in stderr:
                return TransportError(f"{program} on {self._place.shown} {what}", hint=hint)
        return TransportError(
            f"{program} on {self._place.shown} doesn't say what runs: {_last(stderr)}", hint=f"{program} ps"
        )


def _named(many: Sequence[Listed]) -> str:
    more = f" and {len(many) - MOST} more" if len(many) > MOST else ""
    return ", ".join(one.shown for one in many[:MOST]) + more


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return shown(lines[-1].strip()) if lines else "it says nothing"
