"""What a PostgreSQL table is, apart from its rows: all that another one must have to stand in its place.

Only reads. `facts` are what the catalogs say of it, without the numbers that are its own: two tables with the
same facts are alike even in what nobody here thought of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from raccord.database import postgres
from raccord.database.tables import Name

Fact = tuple[str, str, str]

# <c> stands for the row of a catalog without these: they change with the table, and of what refers to columns
# by their numbers the definitions are compared. How many dimensions an array was declared with is kept by
# neither LIKE nor pg_dump, and means nothing: it may have any number.
_OWN = {
    "c": "oid relfilenode reltype relpages reltuples relallvisible relallfrozen reltoastrelid relfrozenxid"
    " relminmxid relnatts relacl relhasindex relhastriggers relhasrules relhassubclass relrewrite",
    "a": "attrelid attnum attacl attcacheoff attmissingval atthasmissing attndims",
    "k": "oid conrelid conindid conparentid conkey confrelid confkey conbin confdelsetcols",
    "i": "indexrelid indrelid indkey indexprs indpred indcheckxmin",
    "x": "oid relfilenode reltype relpages reltuples relallvisible relallfrozen reltoastrelid relfrozenxid"
    " relminmxid relacl relrewrite",
    "s": "oid stxrelid stxkeys stxexprs",
    "q": "seqrelid",
}
_RIGHTS = """coalesce((select string_agg(
  concat_ws(' ', e.grantor, e.grantee, e.privilege_type, e.is_grantable), ',' order by 1)
  from aclexplode(\\1) e), '')"""


def _filled(query: str) -> str:
    for alias, own in _OWN.items():
        query = query.replace(
            f"<{alias}>", f"(to_jsonb({alias}) - '{{{own.replace(' ', ',')}}}'::text[])::text"
        )
    return re.sub(r"<rights of ([^>]+)>", _RIGHTS, query)


_FACTS = """
select 'table', '', concat_ws(' / ', <c>, <rights of coalesce(c.relacl, acldefault('r', c.relowner))>,
  coalesce(t.reloptions::text, ''), coalesce(obj_description(c.oid, 'pg_class'), ''))
from pg_class c left join pg_class t on t.oid = c.reltoastrelid where c.oid = %(of)s
union all
select 'column', a.attname, concat_ws(' / ', row_number() over (order by a.attnum), <a>,
  <rights of a.attacl>, coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
  coalesce(col_description(a.attrelid, a.attnum), ''))
from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = %(of)s and a.attnum > 0 and not a.attisdropped
union all
select 'constraint', k.conname, concat_ws(' / ', <k>, pg_get_constraintdef(k.oid),
  coalesce(obj_description(k.oid, 'pg_constraint'), ''))
from pg_constraint k where k.conrelid = %(of)s and k.conparentid = 0
union all
select 'foreign key that comes in', k.conname,
  concat_ws(' / ', k.conrelid::regclass, pg_get_constraintdef(k.oid))
from pg_constraint k where k.confrelid = %(of)s and k.contype = 'f'
union all
select 'index', x.relname, concat_ws(' / ', <i>, <x>, pg_get_indexdef(x.oid),
  coalesce(obj_description(x.oid, 'pg_class'), ''),
  (select string_agg(concat_ws(':', a.attnum, a.attstattarget, a.attoptions), ',' order by a.attnum)
   from pg_attribute a where a.attrelid = x.oid))
from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = %(of)s
union all
select 'trigger', g.tgname, concat_ws(' / ', g.tgenabled, pg_get_triggerdef(g.oid),
  coalesce(obj_description(g.oid, 'pg_trigger'), ''))
from pg_trigger g where g.tgrelid = %(of)s and not g.tgisinternal
union all
select 'statistics', s.stxname, concat_ws(' / ', <s>, pg_get_statisticsobjdef(s.oid),
  coalesce(obj_description(s.oid, 'pg_statistic_ext'), ''))
from pg_statistic_ext s where s.stxrelid = %(of)s
union all
select 'sequence', x.relname, concat_ws(' / ', <q>, <x>, d.deptype, d.refobjsubid is null,
  <rights of coalesce(x.relacl, acldefault('s', x.relowner))>,
  coalesce(obj_description(x.oid, 'pg_class'), ''),
  (select a.attname from pg_attribute a where a.attrelid = d.refobjid and a.attnum = d.refobjsubid))
from pg_depend d join pg_class x on x.oid = d.objid and x.relkind = 'S'
join pg_sequence q on q.seqrelid = x.oid
where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = %(of)s
  and d.deptype in ('a', 'i')
order by 1, 2, 3
"""

_TABLE = """
select c.oid::bigint, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relpersistence = 'u', am.amname,
  coalesce(s.spcname, ''), coalesce(c.reloptions, '{}'), coalesce(t.reloptions, '{}'),
  obj_description(c.oid, 'pg_class'), c.relreplident, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am am on am.oid = c.relam
left join pg_tablespace s on s.oid = c.reltablespace left join pg_class t on t.oid = c.reltoastrelid
where c.oid = %(of)s
"""
_COLUMNS = """
select a.attname, coalesce(a.attstattarget, -1), coalesce(a.attoptions, '{}'),
  col_description(a.attrelid, a.attnum)
from pg_attribute a where a.attrelid = %(of)s and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_INDEXES = """
select x.relname, pg_get_indexdef(x.oid),
  'CREATE ' || case when i.indisunique then 'UNIQUE ' else '' end || 'INDEX ',
  quote_ident(x.relname), coalesce(s.spcname, ''), i.indisclustered,
  i.indisreplident, obj_description(x.oid, 'pg_class'), k.contype, pg_get_constraintdef(k.oid),
  k.condeferrable, k.condeferred, obj_description(k.oid, 'pg_constraint'),
  (select coalesce(array_agg(a.attnum || '=' || a.attstattarget order by a.attnum), '{}') from pg_attribute a
   where a.attrelid = x.oid and coalesce(a.attstattarget, -1) >= 0),
  pg_get_constraintdef(k.oid) like '%%WITHOUT OVERLAPS%%'
from pg_index i join pg_class x on x.oid = i.indexrelid left join pg_tablespace s on s.oid = x.reltablespace
left join pg_constraint k on k.conindid = x.oid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
where i.indrelid = %(of)s order by k.contype = 'p' desc nulls last, i.indisunique desc, x.relname
"""
_KEYS = """
select k.conname, n.nspname, f.relname, pg_get_constraintdef(k.oid),
  'FOREIGN KEY (' || (select string_agg(quote_ident(a.attname), ', ' order by o.n)
    from unnest(k.conkey) with ordinality o(k, n)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = o.k) || ') REFERENCES ',
  quote_ident(n.nspname) || '.' || quote_ident(f.relname), obj_description(k.oid, 'pg_constraint')
from pg_constraint k join pg_class f on f.oid = k.confrelid join pg_namespace n on n.oid = f.relnamespace
where k.conrelid = %(of)s and k.contype = 'f' and k.conparentid = 0 order by 1
"""
_REMARKS = """
select k.conname, obj_description(k.oid, 'pg_constraint') from pg_constraint k
where k.conrelid = %(of)s and k.contype not in ('p', 'u', 'x', 'f', 't')
  and obj_description(k.oid, 'pg_constraint') is not null order by 1
"""
_TRIGGERS = """
select g.tgname, pg_get_triggerdef(g.oid), g.tgenabled, obj_description(g.oid, 'pg_trigger')
from pg_trigger g where g.tgrelid = %(of)s and not g.tgisinternal order by 1
"""
_STATISTICS = """
select n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid),
  'CREATE STATISTICS ' || quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
  coalesce(s.stxstattarget, -1), obj_description(s.oid, 'pg_statistic_ext'), pg_get_userbyid(s.stxowner)
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where s.stxrelid = %(of)s order by 1, 2
"""
_SEQUENCES = """
select n.nspname, x.relname, a.attname, d.deptype = 'i', a.attidentity, format_type(q.seqtypid, null),
  q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
  obj_description(x.oid, 'pg_class'), x.oid::bigint
from pg_depend d join pg_class x on x.oid = d.objid and x.relkind = 'S'
join pg_namespace n on n.oid = x.relnamespace
join pg_sequence q on q.seqrelid = x.oid
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = %(of)s
  and d.deptype in ('a', 'i') order by 1, 2
"""
_GRANTS = """
select null, case e.grantee when 0 then null else pg_get_userbyid(e.grantee) end, e.privilege_type,
  e.is_grantable
from pg_class c, aclexplode(coalesce(c.relacl,
  acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) e where c.oid = %(of)s
union all
select a.attname, case e.grantee when 0 then null else pg_get_userbyid(e.grantee) end, e.privilege_type,
  e.is_grantable
from pg_attribute a, aclexplode(a.attacl) e where a.attrelid = %(of)s and not a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """A right: of whom (None for everybody), to what, on which column (None for the whole)."""

    column: str | None
    role: str | None
    right: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Column:
    """What a column has that CREATE TABLE … LIKE does not copy."""

    name: str
    target: int
    options: tuple[str, ...]
    comment: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index. Its definition begins with `head` and `quoted`; `kind` is that of its constraint, or None."""

    name: str
    definition: str
    head: str
    quoted: str
    space: str
    clustered: bool
    replica: bool
    comment: str | None
    kind: str | None
    rule: str | None
    deferrable: bool
    deferred: bool
    rule_comment: str | None
    targets: tuple[str, ...]
    periods: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A foreign key; its definition is `head`, `place` and the rest."""

    name: str
    target: Name
    definition: str
    head: str
    place: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A sequence that belongs to a column; `inner` where it is that of an identity."""

    schema: str
    name: str
    column: str
    inner: bool
    identity: str
    type: str
    start: int
    step: int
    least: int
    most: int
    cache: int
    cycle: bool
    comment: str | None
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """An object of extended statistics; its definition begins with `head`."""

    schema: str
    name: str
    definition: str
    head: str
    target: int
    comment: str | None
    owner: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A table without its rows.

    Attributes:
        replica: its replica identity, as pg_class has it.
        place: its schema and name, as the server spells them.
        remarks: comments of checks and the like, by constraint.
        triggers: name, definition, state and comment.
        facts: all that the catalogs say of it, to compare.
    """

    id: Name
    owner: str
    unlogged: bool
    method: str
    space: str
    options: tuple[str, ...]
    toast: tuple[str, ...]
    comment: str | None
    replica: str
    place: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    keys: tuple[Key, ...]
    remarks: tuple[tuple[str, str], ...]
    triggers: tuple[tuple[str, str, str, str | None], ...]
    statistics: tuple[Statistics, ...]
    sequences: tuple[Numbers, ...]
    grants: tuple[Grant, ...]
    facts: frozenset[Fact]


def shape(db: postgres.Connection, oid: int) -> Shape:
    """Reads a table, within a transaction whose search path is pg_catalog alone."""

    def rows(query: str, of: int = oid) -> list[tuple[Any, ...]]:
        return db.execute(query.encode(), {"of": of}).fetchall()

    one = rows(_TABLE)[0]
    return Shape(
        id=(one[1], one[2]), owner=one[3], unlogged=one[4], method=one[5], space=one[6],
        options=tuple(one[7]), toast=tuple(one[8]), comment=one[9], replica=one[10], place=one[11],
        columns=tuple(Column(row[0], row[1], tuple(row[2]), row[3]) for row in rows(_COLUMNS)),
        indexes=tuple(Index(*(*row[:13], tuple(row[13]), bool(row[14]))) for row in rows(_INDEXES)),
        keys=tuple(Key(row[0], (row[1], row[2]), *row[3:]) for row in rows(_KEYS)),
        remarks=tuple((row[0], row[1]) for row in rows(_REMARKS)),
        triggers=tuple((row[0], row[1], row[2], row[3]) for row in rows(_TRIGGERS)),
        statistics=tuple(Statistics(*row) for row in rows(_STATISTICS)),
        sequences=tuple(Numbers(*(*row[:13], _grants(rows(_GRANTS, row[13])))) for row in rows(_SEQUENCES)),
        grants=_grants(rows(_GRANTS)),
        facts=facts(db, oid),
    )  # fmt: skip


def facts(db: postgres.Connection, oid: int) -> frozenset[Fact]:
    """What the catalogs say of a table; see `Shape`."""
    return frozenset((row[0], row[1], row[2]) for row in db.execute(_filled(_FACTS).encode(), {"of": oid}))


def number(db: postgres.Connection, name: Name) -> int:
    """The number of a table."""
    found = db.execute(
        "select c.oid::bigint from pg_catalog.pg_class c"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s",
        list(name),
    ).fetchone()
    assert found is not None
    return int(found[0])


def _grants(rows: Iterable[Sequence[Any]]) -> tuple[Grant, ...]:
    return tuple(Grant(*row) for row in rows)
