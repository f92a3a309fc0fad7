"""The questions to PostgreSQL's catalogs (release 13 and newer), each answered with keys and definitions.

They are asked with `pg_catalog` alone on the search path, so that the server qualifies every name that it
spells. What an extension brought is its own and left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from raccord.database import postgres

# Each query may use: {in} whether the schema n is asked for, {mine:oid:catalog} that no extension brought it,
# {kept} whether the relation c is not one of those left out.
_QUERIES: tuple[str, ...] = (
    """
select 'schema ' || quote_ident(n.nspname), ''
from pg_namespace n where {in} and {mine:n.oid:pg_namespace}
""",
    """
select 'extension ' || quote_ident(e.extname), 'version ' || e.extversion || ' in ' || quote_ident(n.nspname)
from pg_extension e join pg_namespace n on n.oid = e.extnamespace where {in} or n.nspname = 'pg_catalog'
""",
    """
select 'enum ' || {n.t}, (
  select coalesce(string_agg(quote_literal(l.enumlabel), ', ' order by l.enumsortorder), '')
  from pg_enum l where l.enumtypid = t.oid)
from pg_type t join pg_namespace n on n.oid = t.typnamespace
where t.typtype = 'e' and {in} and {mine:t.oid:pg_type}
""",
    """
select 'domain ' || {n.t}, concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
  case when t.typcollation <> b.typcollation then 'collate ' || t.typcollation::regcollation end,
  case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
  (select string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), ' ' order by k.conname)
   from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_type b on b.oid = t.typbasetype
where t.typtype = 'd' and {in} and {mine:t.oid:pg_type}
""",
    """
select 'range ' || {n.t}, format_type(r.rngsubtype, null)
from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_range r on r.rngtypid = t.oid
where {in} and {mine:t.oid:pg_type}
""",
    """
select case c.relkind when 'c' then 'type ' when 'f' then 'foreign table ' else 'table ' end || {n.c},
  concat_ws(', ', case c.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' end,
  case when c.relkind = 'p' then 'partitioned by ' || pg_get_partkeydef(c.oid) end,
  (select string_agg(case when c.relispartition then 'partition of ' else 'inherits ' end
     || i.inhparent::regclass, ', ' order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid),
  pg_get_expr(c.relpartbound, c.oid),
  case when c.relrowsecurity then 'row level security' end, case when c.relforcerowsecurity then 'forced' end,
  case when c.relkind in ('r', 'p') then
    'replica identity ' || case c.relreplident when 'f' then 'full' when 'n' then 'nothing' end end,
  (select 'of ' || quote_ident(s.srvname) || ' ' || array_to_string(f.ftoptions, ' ')
   from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid),
  'with ' || array_to_string(c.reloptions, ' '))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'c') and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select 'column ' || {n.c} || '.' || quote_ident(a.attname),
  concat_ws(' ', format_type(a.atttypid, a.atttypmod),
  case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation end,
  case when a.attnotnull then 'not null' end,
  case a.attgenerated when 's' then 'stored as ' when 'v' then 'generated as ' else 'default ' end
    || pg_get_expr(d.adbin, d.adrelid),
  'generated ' || case a.attidentity when 'a' then 'always' when 'd' then 'by default' end || ' as identity',
  case when not a.attislocal then 'inherited' end)
from pg_attribute a
join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'c') and {in} and {kept}
  and {mine:c.oid:pg_class}
""",
    """
select 'constraint ' || {n.c} || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid)
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where k.contype in ('c', 'f', 'p', 'u', 'x') and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select 'index ' || quote_ident(n.nspname) || '.' || quote_ident(i.relname),
  concat_ws(' ', pg_get_indexdef(i.oid), case when not x.indisvalid then '(invalid)' end,
  case when x.indisclustered then '(clustered)' end, case when x.indisreplident then '(replica identity)' end)
from pg_index x join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class i on i.oid = x.indexrelid
where not exists (select from pg_constraint k where k.conindid = i.oid and k.contype in ('p', 'u', 'x'))
  and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select 'sequence ' || {n.c}, concat_ws(' ', format_type(s.seqtypid, null), 'start', s.seqstart,
  'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax, 'cache', s.seqcache,
  case when s.seqcycle then 'cycle' end,
  (select 'owned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname)
   from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
   where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
     and d.deptype in ('a', 'i') limit 1))
from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
where {in} and {mine:c.oid:pg_class}
""",
    """
select case c.relkind when 'v' then 'view ' else 'materialized view ' end || {n.c}, concat_ws(' ',
  'with ' || array_to_string(c.reloptions, ' '), case when not c.relispopulated then '(unpopulated)' end,
  pg_get_viewdef(c.oid))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm') and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' else 'function ' end
  || quote_ident(n.nspname) || '.' || quote_ident(p.proname)
  || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  case when p.prokind <> 'a' then pg_get_functiondef(p.oid) else (
    select concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, format_type(a.aggtranstype, null),
      a.agginitval)
    from pg_aggregate a where a.aggfnoid = p.oid) end
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {in}
  and not exists (select from pg_depend z
    where z.classid = 'pg_proc'::regclass and z.objid = p.oid and z.deptype in ('e', 'i'))
""",
    """
select 'trigger ' || {n.c} || '.' || quote_ident(g.tgname), concat_ws(' ', pg_get_triggerdef(g.oid),
  case g.tgenabled when 'D' then '(disabled)' when 'R' then '(on replicas)' when 'A' then '(always)' end)
from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
where not g.tgisinternal and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select 'event trigger ' || quote_ident(e.evtname),
  concat_ws(' ', e.evtevent, array_to_string(e.evttags, ', '), e.evtfoid::regprocedure, e.evtenabled)
from pg_event_trigger e where %(schemas)s::text[] is null and {mine:e.oid:pg_event_trigger}
""",
    """
select 'rule ' || {n.c} || '.' || quote_ident(r.rulename), pg_get_ruledef(r.oid)
from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
where r.rulename <> '_RETURN' and {in} and {kept} and {mine:c.oid:pg_class}
""",
    """
select 'policy ' || {n.c} || '.' || quote_ident(p.policyname), concat_ws(' ', p.permissive, p.cmd, 'to',
  array_to_string(p.roles, ', '), 'using ' || p.qual, 'check ' || p.with_check)
from pg_policies p join pg_namespace n on n.nspname = p.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename where {in} and {kept}
""",
    """
select 'statistics ' || quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
  pg_get_statisticsobjdef(s.oid)
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace join pg_class c on c.oid = s.stxrelid
where {in} and {kept} and {mine:s.oid:pg_statistic_ext}
""",
    """
select 'comment on ' || o.type || ' ' || o.identity, d.description
from pg_description d
cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) o
left join pg_constraint k on d.classoid = 'pg_constraint'::regclass and k.oid = d.objoid
left join pg_policy p on d.classoid = 'pg_policy'::regclass and p.oid = d.objoid
left join pg_rewrite r on d.classoid = 'pg_rewrite'::regclass and r.oid = d.objoid
left join pg_trigger g on d.classoid = 'pg_trigger'::regclass and g.oid = d.objoid
left join pg_class c on c.oid = coalesce(nullif(k.conrelid, 0), p.polrelid, r.ev_class, g.tgrelid,
  case when d.classoid = 'pg_class'::regclass then d.objoid end)
join pg_namespace n on n.oid = c.relnamespace
  or c.oid is null and quote_ident(n.nspname) = case o.type when 'schema' then o.identity else o.schema end
where (d.objoid >= 16384 or o.type = 'schema') and d.description <> 'standard public schema'
  and {in} and (c.oid is null or {kept})
  and not exists (
    select from pg_depend z where z.classid = d.classoid and z.objid = d.objoid and z.deptype = 'e')
""",
)
_ASKED = """
case when %(schemas)s::text[] is null then n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  else n.nspname = any(%(schemas)s) end"""
_PARTS: tuple[tuple[str, str], ...] = (
    (r"\{in\}", _ASKED),
    (r"\{kept\}", "not c.relname = any(%(without)s)"),
    (r"\{n\.c\}", "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"),
    (r"\{n\.t\}", "quote_ident(n.nspname) || '.' || quote_ident(t.typname)"),
    (
        r"\{mine:([\w.]+):(\w+)\}",
        r"""not exists (
  select from pg_depend z where z.classid = '\2'::regclass and z.objid = \1 and z.deptype = 'e')""",
    ),
)


def objects(
    db: postgres.Connection, schemas: Collection[str] | None, without: Collection[str]
) -> dict[str, str]:
    """All objects, by key; see `catalog.Catalog`."""
    given = {"schemas": None if schemas is None else list(schemas), "without": list(without)}
    found: dict[str, str] = {}
    for query in _QUERIES:
        for part, text in _PARTS:
            query = re.sub(part, text, query)
        found.update((key, value or "") for key, value in db.execute(query.encode(), given))
    return dict(sorted(found.items()))
