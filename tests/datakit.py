"""A workspace with two environments, each a database of the test server, and a data set between them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg

from raccord.model.options_data import DataDiffOptions, DataPushOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.model.report_data import DataDiff
from raccord.workspace import Workspace
from tests import pgkit
from tests.gitkit import Repo
from tests.sshkit import Host

# The seed's tables, as far as a push sees them, and an outbox that must not travel.
SEED = """
create extension if not exists vector;
create type lang as enum ('fr', 'ar', 'it''s');
create table platform_config (
  key text primary key, value text not null, updated_at timestamptz default now());
create table knowledge_categories (
  id int generated always as identity primary key, slug text not null unique,
  parent_id int references knowledge_categories);
create table knowledge_base (
  id bigserial primary key, category_id int references knowledge_categories, title text not null, lang lang,
  meta jsonb, tags text[], price numeric, body bytea, wait interval, words int generated always as
  (length(title)) stored);
create table knowledge_base_chunks (
  id uuid primary key default gen_random_uuid(), document bigint not null references knowledge_base
  on delete cascade, n int, embedding vector(3), unique (document, n));
create table templates (name text primary key, body text);
create table outbox (id serial primary key, message text);
"""
ROWS = """
insert into platform_config values
('groq_api_key', 'gsk_canary', '2020-01-01'), ('theme', 'dark', '2020-01-01');
insert into knowledge_categories (slug) values ('law'), ('tax'), ('work');
update knowledge_categories set parent_id = 1 where id > 1;
insert into knowledge_base (category_id, title, lang, meta, tags, price, body, wait)
select 1 + g % 3, E'doc \\t"' || g, 'it''s', jsonb_build_object('n', g / 10.0), array['a', null, '{"x"}'],
  g * 1.10, '\\x00ff', '1 day' from generate_series(1, 300) g;
insert into knowledge_base_chunks (id, document, n, embedding)
select ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid, g, 1, array[g, 0.5, -1]::vector
from generate_series(1, 300) g;
insert into templates values ('letter', E'Dear\\n\\\\N'), ('empty', ''), ('nothing', null);
insert into outbox (message) values ('to everybody');
"""
SENT = (
    "knowledge_base",
    "knowledge_base_chunks",
    "knowledge_categories",
    "platform_config",
    "templates",
)
TABLES = (*SENT, "outbox")


class Two:
    """A repository whose configuration names dev and prod."""

    def __init__(self, path: Path, dev: tuple[pgkit.Server, str], prod: tuple[pgkit.Server, str]) -> None:
        self.repo = Repo.init(path / "main")
        self.repo.commit({"a.txt": "a"}, "start")
        self.ends = {"dev": dev, "prod": prod}
        self.more: dict[str, list[str]] = {"dev": [], "prod": []}
        self.users = {"dev": "postgres", "prod": "postgres"}
        self.configure()

    def configure(self, tables: tuple[str, ...] = ("*",), protected: bool = False, **keys: object) -> None:
        """Writes the configuration; `from_` is `from`."""
        lines = []
        for name in self.ends:
            lines += [f"[environments.{name}]", f"database = {json.dumps(self.url(name))}"]
            lines += self.more[name]
        lines += [
            f"protected = {str(protected).lower()}",
            "[data.all]",
            f"tables = {json.dumps(list(tables))}",
        ]
        for name, value in ({"secrets": "include"} | keys).items():
            said = json.dumps(value)
            if isinstance(value, dict):
                said = "{" + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + "}"
            lines.append(f"{name.rstrip('_')} = {said}")
        (self.repo.path / "raccord.toml").write_text("\n".join(lines) + "\n")

    def url(self, name: str) -> str:
        """The URL of an environment, for the role that `users` says."""
        (server, database), user = self.ends[name], self.users[name]
        return server.url(database) if user == "postgres" else server.url(database, user=user, password="x")

    @contextlib.contextmanager
    def roles(self, *names: str) -> Iterator[None]:
        """Roles that are no superusers, on both servers; the first may do what it likes in the databases."""
        for name, (_, database) in self.ends.items():
            for one in names:
                with contextlib.suppress(psycopg.errors.DuplicateObject):  # both may be on one server
                    self.run(name, f"create role {one} login password 'x'")
            self.run(name, f"grant all on database {database} to {names[0]}")
            self.run(name, f"grant all on schema public to {names[0]}")
        try:
            yield
        finally:
            self.both(f"drop owned by {', '.join(names)} cascade")
            self.both(f"drop role if exists {', '.join(names)}")

    def behind(self, far: Host | None, *names: str, **keys: str) -> None:
        """Has environments reached through a host, or in a container of it or of this machine."""
        for name in names:
            said = ({"ssh": far.alias, "ssh_config": far.config} if far else {}) | keys
            self.more[name] = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
        self.configure()

    def run(self, name: str, statements: str) -> list[tuple]:
        server, database = self.ends[name]
        return server.run(statements, database)

    def both(self, statements: str) -> None:
        for name in self.ends:
            self.run(name, statements)

    def rows(self, name: str, *tables: str) -> dict[str, list[tuple]]:
        """All rows, as text, in one order."""
        return {
            table: self.run(name, f"select (t.*)::text from {table} t order by 1")
            for table in tables or TABLES
        }

    @property
    def workspace(self) -> Workspace:
        return Workspace.open(self.repo.path)

    def push(self, **options) -> RunReport:
        with self.workspace as workspace:
            report = workspace.data_push(DataPushOptions("all", "prod", **options))
        assert isinstance(report, RunReport)
        return report

    def plan(self, **options) -> Plan:
        with self.workspace as workspace:
            report = workspace.data_push(DataPushOptions("all", "prod", dry_run=True, **options))
        assert isinstance(report, Plan)
        return report

    def diff(self, **options) -> DataDiff:
        with self.workspace as workspace:
            return workspace.data_diff(DataDiffOptions("all", "prod", **options))

    def undo(self, run: str | None = None) -> RunReport:
        with self.workspace as workspace:
            report = workspace.undo(run)
        assert isinstance(report, RunReport)
        return report


@contextlib.contextmanager
def two(path: Path, dev: int = pgkit.NEWEST, prod: int = pgkit.NEWEST) -> Iterator[Two]:
    """Two databases, on servers of these releases."""
    first, second = pgkit.server(dev), pgkit.server(prod)
    with first.lent() as one, second.lent() as other:
        yield Two(path, (first, one), (second, other))


def why(report: RunReport | Plan) -> str:
    """What held a push back."""
    if isinstance(report, Plan):
        return next((lane.held.message for stage in report.stages for lane in stage.lanes if lane.held), "")
    return next((lane.finding.message for lane in report.lanes if lane.finding), "")
