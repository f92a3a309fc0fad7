"""What keeps a PostgreSQL table from being exchanged for another one: asked of the catalogs, told by name.

Whatever depends on a table, its columns, its row type or what belongs to it is followed through pg_depend, in
both directions. What isn't known to be put back exactly is named, and so is an unknown kind of thing. Only
reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from raccord.database import postgres

# What belongs to a table: found by its dependencies, which are automatic or internal.
_OWN = """
with recursive own(root, classid, objid) as (
  select o, 'pg_class'::regclass::oid, o from unnest(%(of)s::bigint[]::oid[]) o
  union
  select w.root, d.classid, d.objid from own w
  join pg_depend d on d.refclassid = w.classid and d.refobjid = w.objid and d.deptype in ('a', 'i')
)
"""
_KNOWN = """
  (w.classid = 'pg_class'::regclass
   and exists (select from pg_class x where x.oid = w.objid and x.relkind in ('r', 'i', 'S', 't')))
  or w.classid in ('pg_type'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
    'pg_trigger'::regclass, 'pg_statistic_ext'::regclass)
"""
_QUERIES = (
    # Parts of a table that nobody here knows how to make again.
    """select w.root::bigint, pg_describe_object(w.classid, w.objid, 0) from own w
where not (<known>)""",
    # Others that depend on it or on its parts; foreign keys are judged by whoever knows the tables.
    """select distinct w.root::bigint, pg_describe_object(d.classid, d.objid, d.objsubid) from own w
join pg_depend d on d.refclassid = w.classid and d.refobjid = w.objid
where not exists (select from own o where o.root = w.root and o.classid = d.classid and o.objid = d.objid)
  and not (d.classid = 'pg_constraint'::regclass
    and exists (select from pg_constraint k where k.oid = d.objid and k.contype = 'f'))
  and not (d.classid = 'pg_trigger'::regclass
    and exists (select from pg_trigger g where g.oid = d.objid and g.tgisinternal))
  and not (d.classid = 'pg_attrdef'::regclass and exists (select from pg_attrdef a
    where a.oid = d.objid and a.adrelid = any(%(besides)s::bigint[]::oid[])))""",
    # An extension's, or that of a partition or a parent.
    """select w.root::bigint, pg_describe_object(d.refclassid, d.refobjid, 0) from own w
join pg_depend d on d.classid = w.classid and d.objid = w.objid
where d.deptype not in ('n', 'a', 'i')""",
    """select w.root::bigint, 'a security label' from own w
join pg_seclabel l on l.classoid = w.classid and l.objoid = w.objid""",
    """select c.oid::bigint, y.why from pg_class c join pg_namespace n on n.oid = c.relnamespace
cross join lateral (values
  ('what it is', c.relkind <> 'r' or c.relispartition or c.reloftype <> 0),
  ('inheritance', exists (select from pg_inherits h where c.oid in (h.inhrelid, h.inhparent))),
  ('row security', c.relrowsecurity or c.relforcerowsecurity),
  ('its access method', not exists (select from pg_am m where m.oid = c.relam and m.amname = 'heap')),
  ('its owner, who alone may do that', not exists (select from pg_roles r
     where r.rolname = current_user and (r.rolsuper or r.oid = c.relowner))),
  ('the schema, where the role may not create tables', not has_schema_privilege(n.oid, 'create')),
  ('the schema, where its owner may not create tables',
     not has_schema_privilege(c.relowner, n.oid, 'create')),
  ('rights that others than its owner gave', exists (select from aclexplode(c.relacl) e
     where e.grantor <> c.relowner) or exists (select from pg_attribute a, aclexplode(a.attacl) e
     where a.attrelid = c.oid and e.grantor <> c.relowner)
     or exists (select from pg_init_privs p where p.classoid = 'pg_class'::regclass and p.objoid = c.oid)),
  ('a logical replication slot', exists (select from pg_replication_slots s
     where s.slot_type = 'logical' and s.database = current_database())),
  ('a subscription', exists (select from pg_subscription_rel s where s.srrelid = c.oid)),
  ('a publication', exists (select from pg_publication_tables p
     where p.schemaname = n.nspname and p.tablename = c.relname)),
  ('triggers of foreign keys that are switched off', exists (select from pg_trigger g
     where g.tgrelid = c.oid and g.tgisinternal and g.tgenabled <> 'O')),
  ('statistics of another owner', exists (select from pg_statistic_ext s
     where s.stxrelid = c.oid and not exists (select from pg_roles r
       where r.rolname = current_user and (r.rolsuper or r.oid = s.stxowner))))
) y(why, holds) where y.holds and c.oid = any(%(of)s::bigint[]::oid[])""",
    """select o, 'the event trigger ' || e.evtname from unnest(%(of)s::bigint[]) o, pg_event_trigger e
where e.evtenabled in ('O', 'A')""",
    """select i.indrelid::bigint, 'the index ' || x.relname || ', which is not valid' from pg_index i
join pg_class x on x.oid = i.indexrelid
where not (i.indisvalid and i.indisready and i.indislive) and i.indrelid = any(%(of)s::bigint[]::oid[])""",
    """select k.conrelid::bigint, 'the constraint ' || k.conname || ', which is not proved'
from pg_constraint k
where not k.convalidated and k.conrelid = any(%(of)s::bigint[]::oid[])""",
    # One that nobody checks keeps no row from going, and yet refers to the table.
    """select k.confrelid::bigint, 'the constraint ' || k.conname || ', which is not enforced'
from pg_constraint k
where not coalesce((to_jsonb(k) ->> 'conenforced')::bool, true)
  and k.contype = 'f' and k.confrelid = any(%(of)s::bigint[]::oid[])""",
    # Dropping a foreign key takes a lock on what it refers to, which is asked for beforehand.
    """select k.conrelid::bigint, 'the rights on ' || k.confrelid::regclass || ', to which it refers'
from pg_constraint k where k.contype = 'f' and k.conrelid = any(%(of)s::bigint[]::oid[])
  and not (has_table_privilege(k.confrelid, 'references') and has_table_privilege(k.confrelid, 'select')
    and (has_table_privilege(k.confrelid, 'update') or has_table_privilege(k.confrelid, 'delete')))""",
)


def held(
    db: postgres.Connection, oids: Iterable[int], besides: Iterable[int] = ()
) -> dict[int, tuple[str, ...]]:
    """What keeps each table where it is, within a transaction whose search path is pg_catalog alone.

    Args:
        besides: tables of one's own, which draw from the same sequences.
    """
    asked = {"of": list(oids), "besides": list(besides)}
    found: dict[int, set[str]] = {}
    # One statement: what belongs to the tables is found once.
    query = _OWN + " union ".join(f"({one})" for one in _QUERIES).replace("<known>", _KNOWN)
    for oid, why in db.execute(query.encode(), asked):
        found.setdefault(oid, set()).add(why)
    return {oid: tuple(sorted(each)) for oid, each in found.items()}
