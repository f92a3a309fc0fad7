"""Made-up histories of a schema, with several contents of one revision of which one was applied.

The names are few, so that revisions get in each other's way: they drop, rename and make anew what others
made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from raccord.migrations.contents import Candidate, Origin
from raccord.migrations.evidence import Text
from raccord.migrations.revision import Revision, read
from tests.migrations.places import digest

TABLES = ("cart", "item", "note", "user")
COLUMNS = ("color", "name", "size", "sku")
HEAD = """\
import sqlalchemy as sa
from alembic import op
def helper():
    op.execute("select 1")
"""
Schema = dict[str, dict[str, set[str]]]  # tables with their columns, and the indexed ones


@dataclass
class Made:
    """A history.

    Attributes:
        texts: every content by revision; of "x" the first is the true one.
        run: the sources that ran, in their order, with whether each counts as applied.
        heads: of the version table.
    """

    texts: dict[str, list[Text]] = field(default_factory=dict)
    run: list[str] = field(default_factory=list)
    heads: set[str] = field(default_factory=set)

    @property
    def pool(self) -> list[Candidate]:
        """The contents of "x"."""
        return [candidate(one) for one in self.texts["x"]]


def candidate(text: Text, kind: str = "worktree") -> Candidate:
    """A content as a search finds it."""
    where = Origin(kind, "/w", "v/x.py", "", "", 0.0, text.revision.digest)  # type: ignore[arg-type]  # any kind
    return Candidate(text.revision, "0" * 40, text.source, (where,))


def text(revision: str, down: str | Sequence[str] | None, *lines: str) -> Text:
    """A content whose `upgrade()` has these lines."""
    body = "".join(f"    {line}\n" for line in lines or ["pass"])
    source = f"revision = {revision!r}\ndown_revision = {down!r}\n{HEAD}def upgrade():\n{body}"
    header = read(source.encode(), "x.py")
    assert isinstance(header, Revision) and header.digest == digest(source.encode())
    return Text(header, source.encode())


def history(random: Random) -> Made:
    """A base, maybe a branch beside "x", "x" itself, and what came after."""
    made = Made()
    schema: Schema = {}
    _apply(made, random, schema, "base", None, rich=True)
    beside = random.random() < 0.4
    first = random.random() < 0.5
    if beside and first:
        _apply(made, random, schema, "beside", "base")
    before = {name: {kind: set(some) for kind, some in table.items()} for name, table in schema.items()}
    _apply(made, random, schema, "x", "base")
    for _ in range(random.choice((1, 1, 2))):
        copy = {name: {kind: set(some) for kind, some in table.items()} for name, table in before.items()}
        made.texts["x"].append(text("x", "base", *_lines(random, copy)))
    if beside and not first:
        _apply(made, random, schema, "beside", "base")
    heads = {"x", *(["beside"] if beside else [])}
    above = "x"
    for number in range(random.choice((0, 0, 1, 2))):
        _apply(made, random, schema, f"later{number}", above)
        heads = heads - {above} | {f"later{number}"}
        above = f"later{number}"
    if random.random() < 0.3:
        # Applied and taken back by a downgrade that does nothing: the version table knows nothing of it.
        _apply(made, random, schema, "gone", above)
    made.heads = heads
    return made


def _apply(
    made: Made, random: Random, schema: Schema, id_: str, down: str | None, *, rich: bool = False
) -> None:
    first = ["op.create_table('log', sa.Column('x', sa.Integer()))"] if rich else []
    one = text(id_, down, *first, *_lines(random, schema, 4 if rich else 0))
    made.texts[id_] = [one]
    made.run.append(one.source.decode())


def _lines(random: Random, schema: Schema, least: int = 0) -> list[str]:
    number = max(least, random.choice((1, 1, 2, 3)))
    return [line for _ in range(number) for line in next(_ways(random, schema), [])]


def _ways(random: Random, schema: Schema) -> Iterator[list[str]]:
    """Lines that do one thing to a schema, which is changed; what can't be done to it is passed by."""
    for _ in range(40):
        made = random.choice(_WAYS)(random, schema)
        if made:
            yield _clothed(random, made)


def _clothed(random: Random, line: str) -> list[str]:
    """The same in words that may be harder to read."""
    how = random.random()
    if how < 0.75:
        return [line]
    if how < 0.83:
        return ["if op.get_bind().dialect.name == 'sqlite':", f"    {line}", f"else:\n        {line}"]
    if how < 0.88:
        return [f"for _ in range(1):\n        {line}"]
    if how < 0.92:
        return [line, "helper()"]
    return [line, 'op.execute("update log set x = 1")']


def _table(random: Random, schema: Schema) -> str:
    return random.choice(sorted(schema)) if schema else ""


def _create(random: Random, schema: Schema) -> str:
    name = random.choice(TABLES)
    if name in schema:
        return ""
    columns = set(random.sample(COLUMNS, random.choice((1, 2))))
    schema[name] = {"columns": {"id", *columns}, "indexes": set()}
    given = "".join(f", sa.Column({one!r}, sa.Text())" for one in sorted(columns))
    return f"op.create_table({name!r}, sa.Column('id', sa.Integer(), primary_key=True){given})"


def _drop(random: Random, schema: Schema) -> str:
    if not (name := _table(random, schema)):
        return ""
    del schema[name]
    return random.choice(
        [f"op.drop_table({name!r})", f'op.execute("DROP TABLE {name}")', f"op.drop_table(f'{name}')"]
    )


def _rename(random: Random, schema: Schema) -> str:
    old, new = _table(random, schema), random.choice(TABLES)
    if not old or new in schema:
        return ""
    schema[new] = schema.pop(old)
    return random.choice(
        [f"op.rename_table({old!r}, {new!r})", f'op.execute(sa.text("ALTER TABLE {old} RENAME TO {new}"))']
    )


def _add(random: Random, schema: Schema) -> str:
    table, name = _table(random, schema), random.choice(COLUMNS)
    if not table or name in schema[table]["columns"]:
        return ""
    schema[table]["columns"].add(name)
    return random.choice(
        [
            f"op.add_column({table!r}, sa.Column({name!r}, sa.Text()))",
            f'op.execute("ALTER TABLE {table} ADD COLUMN {name} text")',
            f"with op.batch_alter_table({table!r}) as b: b.add_column(sa.Column({name!r}, sa.Text()))",
        ]
    )


def _remove(random: Random, schema: Schema) -> str:
    table = _table(random, schema)
    free = sorted(schema[table]["columns"] - schema[table]["indexes"] - {"id"}) if table else []
    if not free:
        return ""
    name = random.choice(free)
    schema[table]["columns"].discard(name)
    return random.choice(
        [
            f"op.drop_column({table!r}, {name!r})",
            f'op.execute("ALTER TABLE {table} DROP COLUMN {name}")',
            f"with op.batch_alter_table({table!r}) as b: b.drop_column({name!r})",
        ]
    )


def _respell(random: Random, schema: Schema) -> str:
    table, new = _table(random, schema), random.choice(COLUMNS)
    free = sorted(schema[table]["columns"] - schema[table]["indexes"] - {"id"}) if table else []
    if not free or new in schema[table]["columns"]:
        return ""
    old = random.choice(free)
    schema[table]["columns"] -= {old}
    schema[table]["columns"] |= {new}
    return random.choice(
        [
            f"with op.batch_alter_table({table!r}) as b: b.alter_column({old!r}, new_column_name={new!r})",
            f'op.execute("ALTER TABLE {table} RENAME COLUMN {old} TO {new}")',
        ]
    )


def _index(random: Random, schema: Schema) -> str:
    table = _table(random, schema)
    # One index for each name in the whole database.
    taken = {one for each in schema.values() for one in each["indexes"]}
    free = sorted(schema[table]["columns"] - taken - {"id"}) if table else []
    if not free:
        return ""
    name = random.choice(free)
    schema[table]["indexes"].add(name)
    return f"op.create_index('ix_{name}', {table!r}, [{name!r}])"


def _unindex(random: Random, schema: Schema) -> str:
    table = _table(random, schema)
    if not table or not schema[table]["indexes"]:
        return ""
    name = random.choice(sorted(schema[table]["indexes"]))
    schema[table]["indexes"].discard(name)
    return random.choice([f"op.drop_index('ix_{name}', {table!r})", f"op.drop_index('ix_{name}')"])


_WAYS = (_create, _create, _drop, _rename, _add, _add, _add, _remove, _respell, _index, _unindex)
