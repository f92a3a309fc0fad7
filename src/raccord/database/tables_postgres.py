"""Reads tables from PostgreSQL's catalogs (release 14 and newer), with all that hangs on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raccord.database import postgres
from raccord.database.held_postgres import held
from raccord.database.tables import Column, Listed, Name, Reference, Table, Trigger, Unique
from raccord.database.types_postgres import types, ways
from raccord.model.language import sentence

_KINDS = {
    "r": "table", "p": "partitioned", "v": sentence("view"), "m": sentence("materialized view"),
    "f": sentence("foreign table"),
}  # fmt: skip
_ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}

_LISTED = """
select c.oid::bigint, n.nspname, c.relname, c.relkind,
  c.relispartition or exists (select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'),
  n.nspname = any(current_schemas(false))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by 2, 3
"""
_TABLES = """
select c.oid::bigint, n.nspname, c.relname, c.relkind, c.relpersistence = 'u',
  case when c.relkind = 'p' then (
    select case when bool_or(p.reltuples < 0) then -1 else coalesce(sum(p.reltuples), 0) end
    from pg_partition_tree(c.oid) x join pg_class p on p.oid = x.relid where x.isleaf)
  else c.reltuples end::bigint,
  case when c.relkind = 'p' then (select coalesce(sum(pg_total_relation_size(x.relid)), 0)
    from pg_partition_tree(c.oid) x where x.isleaf) else pg_total_relation_size(c.oid) end::bigint,
  row_security_active(c.oid), c.relreplident = 'f'
    or c.relreplident = 'd' and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
    or exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident),
  (select coalesce(array_agg(w order by w), '{}')
   from unnest(array['select', 'insert', 'update', 'delete']) w
   where not has_table_privilege(c.oid, w)),
  (select coalesce(array_agg(r.rulename::text order by 1), '{}') from pg_rewrite r
   where r.ev_class = c.oid and r.ev_type in ('2', '3', '4') and r.ev_enabled in ('O', 'A')),
  (select coalesce(array_agg(p.pubname::text order by 1), '{}') from pg_publication_tables p
   where p.schemaname = n.nspname and p.tablename = c.relname),
  exists (select from pg_publication_tables t join pg_publication p using (pubname)
   where t.schemaname = n.nspname and t.tablename = c.relname and (p.pubupdate or p.pubdelete)),
  (select coalesce(array_agg(distinct vn.nspname || '.' || v.relname), '{}')
   from pg_depend d join pg_rewrite w on w.oid = d.objid
   join pg_class v on v.oid = w.ev_class and v.relkind = 'm' join pg_namespace vn on vn.oid = v.relnamespace
   where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.classid = 'pg_rewrite'::regclass),
  pg_has_role(c.relowner, 'usage'),
  (select coalesce(array_agg(x.relid::regclass::text order by 1), '{}') from pg_partition_tree(c.oid) x
   join pg_class p on p.oid = x.relid and p.relkind = 'f')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = any(%s::bigint[]::oid[]) order by 2, 3
"""
_COLUMNS = """
select a.attrelid::bigint, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::bigint,
  not a.attnotnull, d.oid is not null or a.attidentity <> '', a.attgenerated <> '', a.attidentity,
  case when a.attcollation not in (0, t.typcollation) then a.attcollation::regcollation::text end,
  coalesce(l.collisdeterministic, true), sn.nspname, s.relname,
  has_sequence_privilege(s.oid, 'select') and has_sequence_privilege(s.oid, 'update'),
  has_column_privilege(a.attrelid, a.attnum, 'select')
from pg_attribute a join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation l on l.oid = a.attcollation
left join lateral (
  select q.refobjid as seq from pg_depend q join pg_class o on o.oid = q.refobjid and o.relkind = 'S'
  where q.classid = 'pg_attrdef'::regclass and q.objid = d.oid and q.refclassid = 'pg_class'::regclass
  union all
  select q.objid from pg_depend q join pg_class o on o.oid = q.objid and o.relkind = 'S'
  where q.classid = 'pg_class'::regclass and q.refclassid = 'pg_class'::regclass
    and q.refobjid = a.attrelid and q.refobjsubid = a.attnum and q.deptype in ('a', 'i')
  limit 1) w on true
left join pg_class s on s.oid = w.seq left join pg_namespace sn on sn.oid = s.relnamespace
where a.attrelid = any(%s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped order by 1, a.attnum
"""
_INDEXES = """
select i.indrelid::bigint, x.relname, i.indisprimary, i.indimmediate,
  i.indpred is null and i.indexprs is null and not i.indisexclusion,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
  (select array_agg(a.attname::text order by o.n) from unnest(i.indkey::int2[]) with ordinality o(k, n)
   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = o.k where o.n <= i.indnkeyatts)
from pg_index i join pg_class x on x.oid = i.indexrelid
where (i.indisunique or i.indisexclusion) and i.indisvalid and i.indrelid = any(%s::bigint[]::oid[])
order by 1, not i.indisprimary, x.relname
"""
_METHODS = """
select i.indrelid::bigint, array_agg(distinct m.amname::text) from pg_index i
join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
where i.indrelid = any(%s::bigint[]::oid[]) group by 1
"""
_REFERENCES = """
select k.conname, n.nspname, c.relname, fn.nspname, f.relname, k.confdeltype, k.confupdtype,
  k.condeferrable, k.conrelid::bigint, k.confrelid::bigint,
  (select array_agg(a.attname::text order by o.n) from unnest(k.conkey) with ordinality o(k, n)
   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = o.k),
  (select array_agg(a.attname::text order by o.n) from unnest(k.confkey) with ordinality o(k, n)
   join pg_attribute a on a.attrelid = k.confrelid and a.attnum = o.k),
  exists (select from pg_index i where i.indexrelid = k.conindid and i.indisprimary)
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
where k.contype = 'f' and coalesce((to_jsonb(k) ->> 'conenforced')::bool, true)
  and (k.conrelid = any(%(of)s::bigint[]::oid[]) and (k.conparentid = 0 or c.relispartition)
    or k.confrelid = any(%(of)s::bigint[]::oid[]) and (k.conparentid = 0 or f.relispartition))
order by 2, 3, 1
"""
_TRIGGERS = """
select o.oid::bigint, g.tgname, g.tgtype::int, g.tgenabled = 'A', n.nspname, c.relname
from unnest(%s::bigint[]::oid[]) o(oid)
cross join lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) p
join pg_trigger g on g.tgrelid = p.relid
join pg_class c on c.oid = p.relid join pg_namespace n on n.oid = c.relnamespace
-- Of a partition that is itself asked for, also those that it has of its table; not the server's own.
where g.tgenabled in ('O', 'A') and (not g.tgisinternal and g.tgparentid = 0
  or p.relid = o.oid and g.tgparentid <> 0 and not exists (select from pg_proc f where f.oid = g.tgfoid
    and f.pronamespace = 'pg_catalog'::regnamespace and f.proname ~ '^(RI_FKey_|unique_key_recheck)'))
order by 1, 5, 6, 2
"""


def listed(db: postgres.Connection) -> list[Listed]:
    """Every table and view: its number, name, kind, whether it is a partition or an extension's own, and
    whether it is found without its schema. Asked before `postgres.looking` narrows the search path."""
    rows = db.execute(_LISTED).fetchall()
    return [(row[0], (row[1], row[2]), _KINDS[row[3]], row[4], row[5]) for row in rows]


def tables(db: postgres.Connection, oids: Iterable[int], *, fixed: bool = True) -> dict[Name, Table]:
    """Reads tables, within a transaction of `postgres.looking`: names are spelled with their schemas.

    Args:
        fixed: whether it is asked too what keeps each where it is (`Table.held`).

    Raises:
        DatabaseError: they can't be read.
    """
    asked = [list(oids)]
    known = types(db, *asked)
    columns: dict[int, list[Column]] = {}
    for row in db.execute(_COLUMNS, asked):
        columns.setdefault(row[0], []).append(_column(known, row))
    uniques: dict[int, list[Unique]] = {}
    others: dict[int, list[str]] = {}
    deferred: dict[int, list[str]] = {}
    for oid, name, primary, immediate, plain, nulls, names in db.execute(_INDEXES, asked):
        if plain:
            uniques.setdefault(oid, []).append(Unique(name, tuple(names), primary, nulls))
        else:
            others.setdefault(oid, []).append(name)
        if not immediate:
            deferred.setdefault(oid, []).append(name)
    triggers: dict[int, list[Trigger]] = {}
    for oid, name, bits, always, *of in db.execute(_TRIGGERS, asked):
        triggers.setdefault(oid, []).append(Trigger(name, _events(bits), always, (of[0], of[1])))
    refers: dict[int, list[Reference]] = {}
    referred: dict[int, list[Reference]] = {}
    for row in db.execute(_REFERENCES, {"of": asked[0]}):
        one = Reference(
            row[0], (row[1], row[2]), tuple(row[10]), (row[3], row[4]), tuple(row[11]),
            _ACTIONS[row[5]], _ACTIONS[row[6]], row[7], row[12],
        )  # fmt: skip
        refers.setdefault(row[8], []).append(one)
        referred.setdefault(row[9], []).append(one)
    methods = {oid: tuple(names) for oid, names in db.execute(_METHODS, asked)}
    holds = held(db, asked[0]) if fixed else {}
    found = {}
    for row in db.execute(_TABLES, asked).fetchall():
        oid = row[0]
        table = Table(
            schema=row[1],
            name=row[2],
            kind=_KINDS[row[3]],
            columns=tuple(columns.get(oid, ())),
            uniques=tuple(uniques.get(oid, ())),
            refers=tuple(refers.get(oid, ())),
            referred=tuple(referred.get(oid, ())),
            triggers=tuple(triggers.get(oid, ())),
            rules=tuple(row[10]),
            policies=row[7],
            unlogged=row[4],
            published=tuple(row[11]),
            unidentified=row[12] and not row[8],
            views=tuple(sorted(row[13])),
            rows=row[5],
            bytes=row[6] or 0,
            lacks=tuple(row[9]),
            others=tuple(others.get(oid, ())),
            methods=methods.get(oid, ()),
            held=holds.get(oid, ()),
            deferred=tuple(deferred.get(oid, ())),
            owned=row[14],
            foreign=tuple(row[15]),
        )
        found[table.id] = table
    return found


def _column(known: dict[int, Any], row: tuple[Any, ...]) -> Column:
    how = ways(known, row[3], deterministic=row[9])
    detail = " ".join(filter(None, (how.detail, f"collate {row[8]}" if row[8] else "")))
    return Column(
        name=row[1],
        type=row[2],
        detail=detail,
        nullable=row[4],
        default=row[5],
        generated=row[6],
        identity={"a": "always", "d": "by default"}.get(row[7], ""),
        bytes=how.bytes,
        key=how.key,
        plain=how.plain,
        binary=how.binary,
        texts=how.texts,
        sequence=(row[10], row[11]) if row[11] else None,
        settable=bool(row[12]),
        readable=row[13],
    )


def _events(bits: int) -> tuple[str, ...]:
    # https://www.postgresql.org/docs/current/catalog-pg-trigger.html; the bits are of pg_trigger.h.
    known = {"insert": 4, "delete": 8, "update": 16, "truncate": 32}
    return tuple(name for name, bit in known.items() if bits & bit)
