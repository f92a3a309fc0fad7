"""The tables of a hub, as the scripts that make them, and the one statement that applies what is missing."""

from __future__ import annotations

# Of the advisory lock under which they are applied: several machines may start at once.
LOCK = 0x7261_6363_6875_6231  # "racchub1"

# The script at index N brings a hub of version N to version N + 1.
SCRIPTS = (
    """
if not exists (select from pg_catalog.pg_namespace where nspname = 'raccord') then
  create schema raccord;
end if;
create table raccord.hub (
  one boolean primary key default true check (one),
  id text not null,
  version integer not null
);
insert into raccord.hub (id, version) values (gen_random_uuid()::text, 0);
create table raccord.projects (project text primary key, last bigint not null default 0);
create table raccord.machines (
  project text not null references raccord.projects,
  id text not null,
  name text not null,
  place text not null,
  release text not null,
  seen timestamptz not null,
  primary key (project, id)
);
create table raccord.entries (
  project text not null references raccord.projects,
  seq bigint not null,
  uid text not null,
  machine text not null,
  kind text not null,
  at timestamptz not null default clock_timestamp(),
  document json not null,
  primary key (project, seq),
  unique (project, uid)
);
""",
    """
create table raccord.leases (
  token bigint generated always as identity primary key,
  project text not null references raccord.projects,
  pattern text not null,
  owner text not null,
  machine text not null,
  place text not null,
  ends timestamptz not null
);
""",
)
VERSION = len(SCRIPTS)

_APPLIED = """do $raccord$
declare known integer := 0;
begin
  perform pg_advisory_xact_lock({lock});
  -- Asked of the tables: what names stand for is remembered from before the lock.
  if exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'raccord' and c.relname = 'hub'
  ) then
    select version into known from raccord.hub;
  end if;
  {parts}
end $raccord$"""
READ = "select version, id from raccord.hub"


def statement() -> str:
    """Brings a hub up to date, as one statement: a machine that vanishes on the way leaves no lock behind.

    One that is newer stays as it is.
    """
    parts = [
        f"if known < {version} then {script} update raccord.hub set version = {version}; end if;"  # noqa: S608
        for version, script in enumerate(SCRIPTS, 1)
    ]
    return _APPLIED.format(lock=LOCK, parts="\n".join(parts))
