"""The tables of the state database, as the scripts that make them. Some text is JSON: see `store.dumps`."""

from __future__ import annotations

# The script at index N brings a database of schema N to schema N + 1.
MIGRATIONS = (
    """
create table runs (
  seq integer primary key,
  id text not null unique,
  verb text not null,
  state text not null,
  plan text not null,
  owner text not null,
  release text not null,
  undo_of text not null,
  recoveries integer not null default 0,
  started real not null,
  ended real
) strict;
create table lanes (
  run text not null references runs (id) on delete cascade,
  key text not null,
  title text not null,
  state text not null,
  finding text not null,
  retreat text not null,
  primary key (run, key)
) strict;
create table steps (
  run text not null references runs (id) on delete cascade,
  seq integer not null,
  stage integer not null,
  lane text not null,
  back integer not null,
  step text not null,
  state text not null,
  outcome text not null,
  primary key (run, seq)
) strict;
create table locks (
  resource text primary key,
  run text not null,
  owner text not null,
  token integer not null,
  since real not null
) strict;
create table tokens (resource text primary key, token integer not null) strict;
create table cache (
  space text not null,
  key text not null,
  value text not null,
  at real not null,
  primary key (space, key)
) strict;
""",
    """
create table roots (root text primary key, patterns text not null, since real not null) strict;
create table watched (
  root text not null,
  path text not null,
  checksum text not null,
  size integer not null,
  seen real not null,
  stamp text not null,
  error text not null,
  primary key (root, path)
) strict, without rowid;
create table own_writes (
  root text not null,
  path text not null,
  checksum text not null,
  primary key (root, path)
) strict, without rowid;
create table contents (checksum text primary key, body blob not null) strict;
create table consolidations (
  seq integer primary key,
  id text not null unique,
  trigger_type text not null,
  conditions text not null,
  at real not null,
  changes integer not null,
  files integer not null,
  report text not null,
  language text not null,
  took real not null,
  placed integer not null
) strict;
create table changes (
  id integer primary key autoincrement,
  root text not null,
  path text not null,
  kind text not null,
  at real not null,
  old text not null,
  new text not null,
  before text not null,
  owner text not null,
  how text not null,
  consolidation text not null
) strict;
create index pending_changes on changes (id) where consolidation = '';
create table letters (
  id integer primary key,
  channel text not null,
  key text not null,
  document text not null,
  tries integer not null,
  made real not null,
  next real not null,
  state text not null,
  why text not null default '',
  unique (channel, key)
) strict;
create table alerts (name text primary key, state text not null) strict;
create index told_changes on changes (consolidation) where consolidation <> '';
""",
    # Several contents of one file: what was about to be written when a kill came may lie over what was.
    """
alter table own_writes rename to own_writes_2;
create table own_writes (
  seq integer primary key autoincrement,
  root text not null,
  path text not null,
  checksum text not null,
  unique (root, path, checksum)
) strict;
insert into own_writes (root, path, checksum) select root, path, checksum from own_writes_2;
drop table own_writes_2;
""",
)
