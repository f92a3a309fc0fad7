"""What is known of a table whose rows are compared or moved: frozen data. Reads and writes nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Name = tuple[str, str]  # the schema, "main" in SQLite, and the name
# A table or view: its number, name, kind, whether it is a partition, whether it is found without its schema.
Listed = tuple[int, Name, str, bool, bool]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how its values are spelled for every server alike.

    Attributes:
        type: as the server spells it, with its schema and length.
        detail: what else makes two columns alike: the labels of an enum, the rules of a domain, a collation.
        nullable: whether it takes null.
        default: whether a row that doesn't name it gets a value.
        generated: whether the server computes it.
        identity: "always", "by default" or "".
        bytes: SQL for the bytes that a row's hash is made of, with {} for the column.
        key: SQL for the one text of equal values, with {} for the column; "" where it has none.
        plain: whether equal values have equal bytes.
        binary: what must be the same on both servers for PostgreSQL's binary form; "" where it has none.
        texts: whether it holds text, in which a secret may be.
        sequence: schema and name of the sequence that it draws from; None where there is none.
        settable: whether the role may read and set that sequence.
        readable: whether the role may read the column.
    """

    name: str
    type: str
    detail: str = ""
    nullable: bool = True
    default: bool = False
    generated: bool = False
    identity: str = ""
    bytes: str = "{}"
    key: str = ""
    plain: bool = True
    binary: str = ""
    texts: bool = False
    sequence: Name | None = None
    settable: bool = True
    readable: bool = True

    @property
    def counted(self) -> bool:
        """Whether its sequence gives its values as they are: whole numbers, and not a text around them."""
        return self.sequence is not None and self.binary in ("int2", "int4", "int8", "numeric")


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index over whole columns, of every row.

    Attributes:
        primary: whether it is the primary key.
        nulls: whether nulls are equal to it.
    """

    name: str
    columns: tuple[str, ...]
    primary: bool = False
    nulls: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key.

    Attributes:
        table, columns: what refers.
        target, refs: what is referred to.
        on_delete, on_update: "no action", "restrict", "cascade", "set null" or "set default".
        deferrable: whether it can wait for the commit.
        keyed: whether what it refers to is the primary key.
    """

    name: str
    table: Name
    columns: tuple[str, ...]
    target: Name
    refs: tuple[str, ...]
    on_delete: str = "no action"
    on_update: str = "no action"
    deferrable: bool = False
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that would fire.

    Attributes:
        events: on what, such as "insert" and "update".
        always: whether it fires on replicas too.
        table: of the table, or of its partition, that it hangs on.
    """

    name: str
    events: tuple[str, ...]
    always: bool = False
    table: Name = ("", "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and what hangs on it.

    Attributes:
        kind: "table", "partitioned", or what can't be handled: "view", "foreign table".
        uniques: the primary key first.
        refers: its own foreign keys.
        referred: foreign keys of any table that lead here.
        triggers: those that are switched on.
        rules: names of rules that change what a statement does.
        policies: whether row security applies to who asks.
        unlogged: whether a crash empties it.
        published: names of publications that send it on.
        unidentified: whether those publications can't tell its rows apart.
        views: materialized views that read it.
        rows: about how many; -1 where nobody counted.
        bytes: its size with all that belongs to it.
        lacks: what the role may not do with it.
        others: unique or exclusion indexes over expressions, or over some rows only.
        methods: the access methods of its indexes.
        place: in SQLite, the name by which a row's number is asked for; "" where rows have none.
        held: what keeps it from being exchanged for another table; see `held_postgres`.
        deferred: unique or exclusion indexes that are not checked row by row.
        owned: whether the role is its owner, or a member of that.
        foreign: partitions whose rows another server has.
    """

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...] = ()
    uniques: tuple[Unique, ...] = ()
    refers: tuple[Reference, ...] = ()
    referred: tuple[Reference, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[str, ...] = ()
    policies: bool = False
    unlogged: bool = False
    published: tuple[str, ...] = ()
    unidentified: bool = False
    views: tuple[str, ...] = ()
    rows: int = -1
    bytes: int = 0
    lacks: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    owned: bool = True
    foreign: tuple[str, ...] = ()
    place: str = ""
    _named: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {one.name: one for one in self.columns})

    @property
    def id(self) -> Name:
        """Its schema and name."""
        return self.schema, self.name

    @property
    def shown(self) -> str:
        """Its name for a person; the schema only where it isn't the usual one."""
        return self.name if self.schema in ("public", "main") else f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of a name."""
        return self._named.get(name)


def label(name: Name) -> str:
    """A table's name for a person."""
    return name[1] if name[0] in ("public", "main") else ".".join(name)


def identifier(*names: str) -> str:
    """Names as SQL, joined by dots; both servers take them so."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def matching(found: Iterable[Listed], patterns: Sequence[str]) -> dict[str, list[tuple[int, Name, str]]]:
    """What each pattern stands for: a name, or a schema and a name, with * and ?. Partitions go with their
    table; views, and tables that an extension made, only where they are named."""
    known = list(found)
    answer: dict[str, list[tuple[int, Name, str]]] = {}
    for pattern in patterns:
        hits = answer.setdefault(pattern, [])
        for oid, name, kind, part, near in known:
            exact = pattern in (name[1] if near else None, ".".join(name))
            glob = fnmatch.fnmatchcase(".".join(name) if "." in pattern else name[1], pattern)
            reached = near or "." in pattern
            if exact or (glob and reached and not part and kind in ("table", "partitioned")):
                hits.append((oid, name, kind))
    return answer
