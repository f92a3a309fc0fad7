"""A stand-in for docker: a program of that name that lists what it is told of, and runs what is to run in a
container as a process of this machine that finds the container's programs and no others.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = """\
#!{python} -IS
import json, os, sys
from pathlib import Path

folder = Path(__file__).parent.parent
words = sys.argv[1:]
with open(folder / "log", "a") as log:
    print(json.dumps(words), file=log)
broken = folder / "broken"
if broken.exists():
    sys.exit(broken.read_text())
every = json.loads((folder / "containers").read_text())
if words[0] == "ps":
    shown = [one for one in every if one["status"].startswith("Up")]
    form = ""
    rest = iter(words[1:])
    for word in rest:
        if word == "--all":
            shown = every
        elif word == "--filter":
            kind, _, value = next(rest).partition("=")
            shown = [one for one in shown if value == one[kind]]
        elif word == "--format":
            form = next(rest)
        elif word != "--no-trunc":
            sys.exit("unknown flag: " + word)
    for one in shown:
        line = form.replace("{{{{.ID}}}}", one["id"]).replace("{{{{.Names}}}}", one["names"])
        print(line.replace("{{{{.Status}}}}", one["status"]))
elif words[:2] == ["exec", "-i"]:
    found = [one for one in every if words[2] in (one["id"], one["names"])]
    if not found:
        sys.exit("Error response from daemon: No such container: " + words[2])
    if not found[0]["status"].startswith("Up"):
        sys.exit("Error response from daemon: container " + words[2] + " is not running")
    os.environ["PATH"] = str(folder / found[0]["id"])
    try:
        os.execvp(words[3], words[3:])
    except OSError:
        print("OCI runtime exec failed: exec: " + words[3] + ": executable file not found", file=sys.stderr)
        sys.exit(127)
else:
    sys.exit("docker: unknown command: " + words[0])
"""


@dataclass
class Docker:
    """A docker that knows some containers.

    Attributes:
        path: the folder to find it in.
    """

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Docker:
        made = cls(folder)
        made.path.mkdir(parents=True)
        program = made.path / "docker"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        made.configure([])
        return made

    @property
    def path(self) -> Path:
        return self.folder / "bin"

    @property
    def calls(self) -> list[list[str]]:
        """The words of every call so far."""
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def broken(self, said: str) -> None:
        """Has it fail from now on."""
        (self.folder / "broken").write_text(said)

    def configure(self, containers: list[dict[str, object]]) -> None:
        (self.folder / "containers").write_text(json.dumps(containers))

    def add(
        self,
        name: str,
        *programs: str,
        status: str = "Up 2 hours",
        label: str = "",
        shell: bool = True,
        **others: Path,
    ) -> str:
        """A container with some programs of this machine, and others by their path; returns its id."""
        every = json.loads((self.folder / "containers").read_text())
        id_ = f"{len(list(self.folder.iterdir())):064x}"
        inside = self.folder / id_
        inside.mkdir()
        for program in (*(("sh", "cat") if shell else ()), *programs):
            # The interpreter of the tests: one that a version manager chose may not start everywhere.
            found = sys.executable if program == "python3" else shutil.which(program)
            assert found is not None, program
            os.symlink(found, inside / program)
        for called, path in others.items():
            os.symlink(path, inside / called)
        every.append({"id": id_, "names": name, "name": name, "status": status, "label": label})
        self.configure(every)
        return id_

    def remove(self, id_: str) -> None:
        every = json.loads((self.folder / "containers").read_text())
        self.configure([one for one in every if one["id"] != id_])
