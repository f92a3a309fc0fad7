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
    # What goes to a hub is marked in the transaction of its effect, whoever makes that: by triggers. They end
    # on the line of their statement, since a semicolon at a line's end ends a statement of the script.
    """
alter table changes add column machine text not null default '';
alter table changes add column uid text not null default '';
update changes set uid = lower(hex(randomblob(16)));
create unique index change_uids on changes (uid);
alter table consolidations add column machine text not null default '';
create table hub (
  one integer primary key check (one = 1),
  machine text not null,
  inode integer not null,
  joined integer not null,
  project text not null default '',
  hub text not null default '',
  cursor integer not null default 0,
  cursor_uid text not null default '',
  connected integer not null default 0,
  since real not null default 0,
  beat real not null default 0,
  why text not null default ''
) strict;
create table outgoing (
  id integer primary key autoincrement,
  kind text not null,
  key text not null,
  uid text not null
) strict;
create table machines (
  id text primary key,
  name text not null,
  place text not null,
  release text not null,
  seen real not null
) strict;
create table far_runs (
  machine text not null,
  run text not null,
  document text not null,
  primary key (machine, run)
) strict;
create table leases (
  token integer primary key autoincrement,
  pattern text not null,
  owner text not null,
  machine text not null,
  place text not null,
  ends real not null
) strict;
create trigger outgoing_changes after insert on changes
when new.machine = '' and exists (select 1 from hub where joined) begin
  insert into outgoing (kind, key, uid) values ('change', new.id, new.uid); end;
create trigger outgoing_consolidations after insert on consolidations
when new.machine = '' and exists (select 1 from hub where joined) begin
  insert into outgoing (kind, key, uid) values ('consolidation', new.id, new.id || ':' || new.placed); end;
create trigger placed_consolidations after update of placed on consolidations
when new.machine = '' and new.placed <> old.placed and exists (select 1 from hub where joined) begin
  insert into outgoing (kind, key, uid) values ('consolidation', new.id, new.id || ':' || new.placed); end;
create trigger outgoing_runs after insert on runs
when exists (select 1 from hub where joined) begin
  insert into outgoing (kind, key, uid) values ('run', new.id, lower(hex(randomblob(16)))); end;
create trigger outgoing_states after update of state on runs
when new.state <> old.state and exists (select 1 from hub where joined) begin
  insert into outgoing (kind, key, uid) values ('run', new.id, lower(hex(randomblob(16)))); end;
""",
)
