"""A workspace with two environments, each an object store, and a set of objects between them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raccord.model.options_data import FilesDiffOptions, FilesPushOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.model.report_files import FilesDiff
from raccord.objects import place
from raccord.objects.model import Store
from raccord.objects.opening import opened
from raccord.transport.ssh import Ssh
from raccord.transport.ssh_settings import Login
from raccord.workspace import Workspace
from tests import s3kit, sshkit
from tests.gitkit import Repo
from tests.pgkit import open_base
from tests.sshkit import Host


def bucket(kind: str, path: Path) -> dict[str, str]:
    """A fresh store, as the keys of an environment."""
    if kind in ("file", "sftp"):
        path.mkdir(parents=True)
        return {"objects": path.as_uri()} | (far() if kind == "sftp" else {})
    server = s3kit.server()
    return {"objects": f"s3://{server.place()}", "objects_endpoint": server.endpoint}


def store(keys: Mapping[str, str], *, secret: str = s3kit.SECRET) -> Store:
    """Opens it."""
    return opened(
        place.parse(
            keys["objects"],
            endpoint=keys.get("objects_endpoint", ""),
            region=s3kit.REGION,
            key_id=s3kit.KEY_ID,
            secret=secret,
            way=way(keys["ssh"], keys["ssh_config"]) if "ssh" in keys else None,
        )
    )


@functools.cache
def far() -> dict[str, str]:
    """The ssh server of this process, as the keys of an environment.

    Raises:
        NoSshd: none starts here.
    """
    folder = Path(tempfile.mkdtemp(prefix="ssh", dir=open_base()))
    life = contextlib.ExitStack()
    host = life.enter_context(sshkit.host(folder / "far"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(life.close)
    return {"ssh": host.alias, "ssh_config": host.config}


@functools.cache
def way(destination: str, config: str) -> Ssh:
    """One connection of this process to a host."""
    made = Ssh(Login(destination, config=config))
    atexit.register(made.close)
    return made


class Two:
    """A repository whose configuration names dev and prod."""

    def __init__(self, path: Path, dev: str = "file", prod: str = "file") -> None:
        self.repo = Repo.init(path / "main")
        self.repo.commit({"a.txt": "a"}, "start")
        self.keys = {"dev": bucket(dev, path / "dev"), "prod": bucket(prod, path / "prod")}
        self.path = path
        (path / "id").write_text(s3kit.KEY_ID + "\n")
        (path / "key").write_text(s3kit.SECRET + "\n")
        self.configure()

    def configure(self, protected: bool = False, **keys: object) -> None:
        """Writes the configuration; `from_` is `from`."""
        lines = []
        for name, found in self.keys.items():
            lines += [
                f"[environments.{name}]",
                *(f"{key} = {json.dumps(said)}" for key, said in found.items()),
            ]
            if "objects_endpoint" in found:
                lines += [f"objects_key_id = {json.dumps(f'file:{self.path}/id')}"]
                lines += [f"objects_key = {json.dumps(f'file:{self.path}/key')}"]
        lines += [f"protected = {str(protected).lower()}", "[files.all]"]
        lines += [f"{name.rstrip('_')} = {json.dumps(value)}" for name, value in keys.items()]
        (self.repo.path / "raccord.toml").write_text("\n".join(lines) + "\n")

    def behind(self, far: Host, *names: str) -> None:
        """Has environments reached through a host."""
        for name in names:
            self.keys[name] |= {"ssh": far.alias, "ssh_config": far.config}
        self.configure()

    def put(self, name: str, objects: Mapping[str, bytes], **attributes: str) -> None:
        """Writes objects, whatever is there."""
        at = store(self.keys[name])
        for key, data in objects.items():
            found = at.find(key)
            at.write(key, [data], len(data), attributes, found.etag if found else "")

    def take(self, name: str, *keys: str) -> None:
        """Removes objects."""
        at = store(self.keys[name])
        at.remove([(key, found.etag) for key in keys if (found := at.find(key))])

    def objects(self, name: str, *, own: bool = False) -> dict[str, bytes]:
        """Everything in a store, without what is raccord's."""
        at, found = store(self.keys[name]), {}
        for key, entry in at.listing().entries.items():
            if own or not key.startswith(".raccord-"):
                with at.read(key, entry.etag) as reading:
                    found[key] = b"".join(reading.chunks)
        return found

    @property
    def workspace(self) -> Workspace:
        return Workspace.open(self.repo.path)

    def push(self, **options: Any) -> RunReport:
        with self.workspace as workspace:
            report = workspace.files_push(FilesPushOptions("all", "prod", **options))
        assert isinstance(report, RunReport)
        return report

    def plan(self, **options: Any) -> Plan:
        with self.workspace as workspace:
            report = workspace.files_push(FilesPushOptions("all", "prod", dry_run=True, **options))
        assert isinstance(report, Plan)
        return report

    def diff(self, **options: Any) -> FilesDiff:
        with self.workspace as workspace:
            return workspace.files_diff(FilesDiffOptions("all", "prod", **options))

    def numbers(self) -> tuple[int, int, int, int]:
        """Added, changed, same, removed."""
        found = self.diff()
        return (found.added, found.changed, found.same, found.removed)

    def undo(self, run: str | None = None) -> RunReport:
        with self.workspace as workspace:
            report = workspace.undo(run)
        assert isinstance(report, RunReport)
        return report
