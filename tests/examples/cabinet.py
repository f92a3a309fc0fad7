"""The example of examples/moncabinet between two servers, with its own sets, profiles and rows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.moncabinet import make_data
from raccord.model.options_data import ProfileDiffOptions, PromoteOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests import fileskit, pgkit, s3kit
from tests.sitekit import Web, web
from tests.sshkit import Host

CRON = "cron-canary-51c2"
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "moncabinet"
KNOWLEDGE = (
    "knowledge_base",
    "knowledge_base_chunks",
    "knowledge_categories",
    "platform_config",
    "templates",
)
WEB = ("knowledge_base", "knowledge_categories", "web_files", "web_pages", "web_sources")
TABLES = (*KNOWLEDGE, "outbox", "web_files", "web_pages", "web_sources")
# What a reader of the site sees, in one statement.
SIGHT = """
select (select coalesce(md5(string_agg(k::text, '' order by id)), '') from knowledge_base k),
  (select count(*) from knowledge_base_chunks), (select coalesce(md5(string_agg(w::text, '' order by id)), '')
  from web_pages w)
"""


class Cabinet(fileskit.Two):
    """Dev on PostgreSQL 16, prod on 18.

    Attributes:
        databases: each environment's server and database.
        site: what prod's hooks call.
        far: the host that prod is behind.
        life: what ends with it: every workspace that was opened, and its connections.
    """

    def __init__(
        self,
        path: Path,
        databases: dict[str, tuple[pgkit.Server, str]],
        files: tuple[str, str],
        site: Web,
        far: Host | None = None,
    ) -> None:
        self.far = far
        self.life = contextlib.ExitStack()
        self.databases = databases
        self.site = site
        (path / "cron").write_text(f"Bearer {CRON}\n")
        super().__init__(path, *files)

    def configure(self, protected: bool = False) -> None:  # type: ignore[override]
        """The example's configuration, with these environments for its own."""
        lines = []
        for name, (server, database) in self.databases.items():
            found = {"database": server.url(database)} | self.keys[name]
            if "objects_endpoint" in found:
                found |= {"objects_key_id": f"file:{self.path}/id", "objects_key": f"file:{self.path}/key"}
            if name == "prod" and self.far is not None:
                found |= {"ssh": self.far.alias, "ssh_config": self.far.config}
            lines += [f"[environments.{name}]", *(f"{k} = {json.dumps(v)}" for k, v in found.items())]
        lines += [f"protected = {str(protected).lower()}", ""]
        own = (EXAMPLE / "raccord.toml").read_text().replace("http://localhost:3000", self.site.url)
        own = own.replace("env:CRON_AUTHORIZATION", f"file:{self.path}/cron")
        own += "retry_seconds = 0\n"
        text = "\n".join(lines) + own[own.index("[data.knowledge]") :]
        (self.repo.path / "raccord.toml").write_text(text)

    @property
    def workspace(self) -> Workspace:
        return self.life.enter_context(super().workspace)

    def fill(self, name: str, documents: int) -> None:
        """Makes the example's rows, and the files that they name."""
        server, database = self.databases[name]
        url = server.url(database)
        make_data.rows(url, documents)
        folder = self.path / f"made-{name}"
        make_data.files(url, folder)
        made = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.put(name, made)

    def run(self, name: str, statements: str) -> list[tuple]:
        server, database = self.databases[name]
        return server.run(statements, database)

    def rows(self, name: str, *tables: str) -> dict[str, list[tuple]]:
        """All rows, as text, in one order."""
        return {
            table: self.run(name, f"select (t.*)::text from {table} t order by 1")
            for table in tables or TABLES
        }

    def state(self, name: str) -> tuple[dict[str, list[tuple]], dict[str, bytes]]:
        """Everything that an environment has."""
        return self.rows(name), self.objects(name)

    def promote(self, profile: str, **options: Any) -> RunReport:
        report = self.workspace.promote(PromoteOptions(profile, "prod", **options))
        assert isinstance(report, RunReport)
        return report

    def planned(self, profile: str, **options: Any) -> Plan:
        report = self.workspace.promote(PromoteOptions(profile, "prod", dry_run=True, **options))
        assert isinstance(report, Plan)
        return report

    def equal(self, profile: str) -> bool | None:
        return self.workspace.profile_diff(ProfileDiffOptions(profile, "prod")).equal

    @contextlib.contextmanager
    def readers(self) -> Iterator[set[tuple]]:
        """What those see who look at prod just before the block, while it lasts, and just after."""
        seen: set[tuple] = set()
        began, over = threading.Event(), threading.Event()
        server, database = self.databases["prod"]

        def look() -> None:
            with server.connect(database) as db:
                last = False
                while not last:
                    last = over.is_set()
                    seen.update(db.execute(SIGHT).fetchall())
                    began.set()

        one = threading.Thread(target=look)
        one.start()
        began.wait(30)
        try:
            yield seen
        finally:
            over.set()
            one.join()


@contextlib.contextmanager
def cabinet(
    path: Path, files: tuple[str, str] = ("file", "file"), far: Host | None = None
) -> Iterator[Cabinet]:
    """Two databases with the example's schema, and two stores; prod may be behind a host."""
    with contextlib.ExitStack() as stack:
        databases = {}
        for name, release in (("dev", 16), ("prod", 18)):
            server = pgkit.server(release)
            databases[name] = (server, stack.enter_context(server.lent()))
            server.run((EXAMPLE / "schema.sql").read_text(), databases[name][1])
        found = Cabinet(path, databases, files, stack.enter_context(web()), far)
        with found.life:
            yield found


def killed(office: Cabinet, profile: str, kind: str, where: str) -> bool:
    """Whether a promotion was killed there; it may have ended before."""
    words = [sys.executable, "-m", "tests.examples.killed", str(office.repo.path), profile, kind, where]
    done = subprocess.run(words, cwd=ROOT, capture_output=True)
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode == -9


NoServer = (pgkit.NoServer, s3kit.NoServer)
