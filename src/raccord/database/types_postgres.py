"""How values of PostgreSQL's types are spelled so that two servers agree: in a hash, as a key, in a COPY.

A hash is made of what the type's own send function gives: 1.0 and 1.00, or a day and 24 hours, are equal to
the server and not the same; of 64 bits its own hash keeps 32, so that -1 and 4294967295 have one. What holds
numbers of one server's own objects goes as text: arrays and rows name the types of their parts, regclass
names a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raccord.database import postgres
from raccord.database.tables import identifier

# Their own hash is the same on every server, of all their bits, and quicker than that of their bytes.
_NATIVE = frozenset({"bool", "bytea", "date", "int2", "int4", "uuid"})
# Equal values of these have one text.
_EXACT = _NATIVE | {
    "bpchar", "char", "cidr", "inet", "int8", "macaddr", "macaddr8", "name", "oid", "pg_lsn", "text",
    "time", "timestamp", "timestamptz", "varchar",
}  # fmt: skip
# Those of which equal values have several, and the one that stands for all.
_SPELLED = {"numeric": "trim_scale({})::text", "float4": "({} + 0)::text", "float8": "({} + 0)::text"}
_TEXTS = frozenset({"bpchar", "char", "json", "jsonb", "name", "text", "varchar", "xml", "hstore", "citext"})
# What their own receive functions refuse of it: an empty query.
_ONE_WAY = frozenset({"tsquery"})
_FIRST_OWN = 16384  # numbers of types from here on are this server's own
_TEXT = "textsend(({})::text)"
_OWN_ARRAY = "array of "

# The types of columns, and what each is made of: there may be thousands of others.
_QUERY = """
with recursive used(oid) as (
  select a.atttypid from pg_attribute a
  where a.attrelid = any(%s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
  union select x.oid from used u join pg_type t on t.oid = u.oid
  left join pg_range r on r.rngtypid = t.oid left join pg_range m on m.rngmultitypid = t.oid
  cross join lateral (
    values (t.typelem), (t.typbasetype), (r.rngsubtype), (m.rngsubtype) union all
    select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0) x(oid)
  where x.oid <> 0)
select t.oid::bigint, n.nspname, t.typname, t.typtype, t.typelem::bigint, t.typbasetype::bigint,
  format_type(t.typbasetype, t.typtypmod), sn.nspname, sp.proname,
  t.typcategory = 'A' and t.typlen = -1, coalesce(r.rngsubtype, m.rngsubtype)::bigint,
  (select string_agg(quote_literal(l.enumlabel), ', ' order by l.enumsortorder)
   from pg_enum l where l.enumtypid = t.oid),
  (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname)
   from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), t.typnotnull,
  (select jsonb_agg(jsonb_build_array(
     quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), a.atttypid::bigint)
     order by a.attnum)
   from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
from used join pg_type t using (oid) join pg_namespace n on n.oid = t.typnamespace
left join pg_proc sp on sp.oid = t.typsend left join pg_namespace sn on sn.oid = sp.pronamespace
left join pg_range r on r.rngtypid = t.oid left join pg_range m on m.rngmultitypid = t.oid
where t.typtype <> 'p' and (t.typrelid = 0 or t.typtype = 'c')
"""


@dataclass(frozen=True, slots=True)
class Type:
    """A row of the catalog of types."""

    oid: int
    schema: str
    name: str
    kind: str
    element: int
    base: int
    base_name: str
    send: str
    array: bool
    subtype: int
    labels: str
    rules: str
    not_null: bool
    parts: Sequence[tuple[str, int]]  # of a composite type: name and type as SQL, and the type's number

    @property
    def own(self) -> bool:
        """Whether its number is this server's own."""
        return self.oid >= _FIRST_OWN

    @property
    def builtin(self) -> str:
        """Its name where it is one of the server's, else ""."""
        return self.name if self.schema == "pg_catalog" else ""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a type's values are spelled; see `tables.Column`."""

    bytes: str
    key: str = ""
    plain: bool = True
    binary: str = ""
    detail: str = ""
    texts: bool = False


def types(db: postgres.Connection, tables: Sequence[int]) -> dict[int, Type]:
    """The types of some tables' columns, and what they are made of, by their numbers; within a transaction of
    `postgres.looking`."""
    found = {}
    for row in db.execute(_QUERY, [list(tables)]):
        send = "" if row[8] is None else (row[8] if row[7] == "pg_catalog" else identifier(row[7], row[8]))
        found[row[0]] = Type(
            row[0], row[1], row[2], row[3], row[4], row[5], row[6] or "", send, row[9], row[10] or 0,
            row[11] or "", row[12] or "", row[13], row[14] or (),
        )  # fmt: skip
    return found


def ways(known: Mapping[int, Type], oid: int, *, deterministic: bool = True) -> Ways:
    """How values of a type are spelled.

    Args:
        deterministic: whether texts that are equal under the column's collation are the same.
    """
    one = known.get(oid)
    if one is None:
        return Ways(_TEXT)
    if one.kind == "d":
        return _domain(known, one, deterministic)
    if one.kind == "e":
        return Ways("enum_send({})", "({})::text", True, "enum", one.labels)
    if one.array:
        return _array(known, one)
    if one.kind in ("r", "m"):
        part = ways(known, one.subtype)
        if part.bytes == _TEXT or not part.binary or one.own or known[one.subtype].own:
            return Ways(_TEXT, detail=part.detail)
        return Ways(f"{one.send}({{}})", binary=one.name)
    # A composite type, or an alias of numbers: those of one server's objects.
    if one.kind == "c" or not one.send or one.builtin.startswith("reg") or one.builtin == "xml":
        return Ways(_TEXT, detail=_parts(known, one), texts=one.builtin in _TEXTS)
    return _base(one, deterministic)


def portable(binary: str) -> bool:
    """Whether a binary form is the same on every server, and not only on those that number types alike."""
    return bool(binary) and not binary.startswith(_OWN_ARRAY)


def _base(one: Type, deterministic: bool) -> Ways:
    exact = one.builtin in _EXACT and deterministic
    return Ways(
        "{}" if one.builtin in _NATIVE else f"{one.send}({{}})",
        "({})::text" if exact else _SPELLED.get(one.builtin, ""),
        exact,
        "" if one.builtin in _ONE_WAY else one.name,
        texts=one.name in _TEXTS,
    )


def _parts(known: Mapping[int, Type], one: Type) -> str:
    """What a composite type is made of, all the way down: its text says values alone, in their order."""
    said = []
    for part, oid in one.parts:
        inner = ways(known, oid).detail
        said.append(f"{part} ({inner})" if inner else part)
    return ", ".join(said)


def _domain(known: Mapping[int, Type], one: Type, deterministic: bool) -> Ways:
    base = ways(known, one.base, deterministic=deterministic)
    cast = f"({{}})::{one.base_name}"
    rules = " ".join(
        filter(None, (one.base_name, "not null" if one.not_null else "", one.rules, base.detail))
    )
    return Ways(
        base.bytes.replace("{}", cast),
        base.key.replace("{}", cast),
        base.plain,
        base.binary,
        rules,
        base.texts,
    )


def _array(known: Mapping[int, Type], one: Type) -> Ways:
    element = known.get(one.element)
    if element is None:
        return Ways(_TEXT)
    part = ways(known, one.element)
    texts = part.texts
    if part.bytes == _TEXT or not part.binary or element.kind == "d":
        return Ways(_TEXT, detail=part.detail, texts=texts)
    if element.own:
        # The array names its element's type by its number.
        binary = f"{_OWN_ARRAY}{element.name} {element.oid}"
        return Ways(_TEXT, binary=binary, detail=part.detail, texts=texts)
    return Ways("array_send({})", binary=one.name, texts=texts)
