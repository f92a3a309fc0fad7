"""What revisions do, read from their text: wrappers, branches, loops, helpers, SQL. None of it is run."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from raccord.migrations.lint import sql_text
from raccord.migrations.lint.column_types import known, narrows, rewrites
from raccord.migrations.lint.interpret import Reader, script
from raccord.migrations.lint.operations import Operation
from raccord.migrations.lint.values import Scope
from raccord.migrations.literals import parse

HEAD = """\
import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import text
from sqlalchemy.orm import Session
revision = "a"
down_revision = "b"
TABLE = "orders"
TABLES = ["one", "two"]
class User(Base):
    __tablename__ = "users"
users = sa.table("users", sa.column("id"))
"""


def done(body: str, head: str = HEAD) -> list[Operation]:
    """What an upgrade with that body does."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return list(script(parse(f"{head}def upgrade():\n{lines}".encode())).upgrade.operations)


def brief(body: str, head: str = HEAD) -> list[str]:
    """The same, each as "kind table column"."""
    return [
        " ".join(filter(None, (one.kind, one.table, *(column.name for column in one.columns))))
        for one in done(body, head)
    ]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("op.drop_table('t')", ["drop_table t"]),
        ("op.drop_table(table_name=TABLE, schema='s')", ["drop_table orders"]),
        ("op.drop_column('Sales.T', column_name='C')", ["drop_column t c"]),
        ("with op.batch_alter_table(TABLE) as batch:\n    batch.drop_column('c')", ["drop_column orders c"]),
        ("with op.batch_alter_table('t') as b:\n    b.add_column(sa.Column('c', T))", ["add_column t c"]),
        ("op.execute(text('DROP TABLE t'))", ["drop_table t"]),
        ("op.execute('drop ' + 'table t')", ["drop_table t"]),
        ("op.execute(f'DROP TABLE {TABLE}')", ["drop_table orders"]),
        ("op.execute(f'DROP TABLE {unknown}')", ["drop_table"]),
        ("op.execute('DROP TABLE %s' % TABLE)", ["drop_table orders"]),
        ("op.execute('DROP TABLE {}'.format(TABLE))", ["drop_table orders"]),
        ("op.execute(f'{verb} TABLE t')", ["unclear"]),
        ("op.execute(computed())", ["unclear"]),
        ("for t in TABLES:\n    op.drop_table(t)", ["drop_table one", "drop_table two"]),
        ("for t in anything():\n    op.drop_table(t)", ["drop_table"]),
        ("for t, c in {'a': 'x', 'b': 'y'}.items():\n    op.drop_column(t, c)",
         ["drop_column a x", "drop_column b y"]),
        ("t = []\nt.append('a')\nfor one in t:\n    op.drop_table(one)", ["drop_table a"]),
        ("t = {}\nfor x in y:\n    t[x] = 1\nfor one in t:\n    op.drop_table(one)", ["drop_table"]),
        ("t = ['a']\nt.extend(more)\nfor one in t:\n    op.drop_table(one)", ["drop_table"]),
        ("t = []\ndef f():\n    t.append('a')\nf()\nfor one in t:\n    op.drop_table(one)", ["drop_table"]),
        ("[op.drop_table(t) for t in TABLES]", ["drop_table one", "drop_table two"]),
        ("if x:\n    op.drop_table('a')\nelse:\n    op.drop_table('b')", ["drop_table a", "drop_table b"]),
        ("if False:\n    op.drop_table('a')", []),
        ("try:\n    op.drop_table('a')\nexcept E:\n    op.drop_table('b')", ["drop_table a", "drop_table b"]),
        ("return\nop.drop_table('a')", []),
        ("def helper(t, *, c='x'):\n    op.drop_column(t, c)\nhelper('t')\nhelper('u', c='y')",
         ["drop_column t x", "drop_column u y"]),
        ("def name():\n    return 'orders'\nop.drop_table(name())", ["drop_table orders"]),
        ("go = lambda t: op.drop_table(t)\ngo('t')", ["drop_table t"]),
        ("def again(n):\n    op.drop_table('t')\n    again(n)\nagain(1)", ["drop_table t"]),
        ("conn = op.get_bind()\nconn.execute(text('DELETE FROM t'))", ["delete t"]),
        ("rows = op.get_bind().execute('SELECT 1').fetchall()", []),
        ("op.get_bind().execute(users.delete())", ["delete users"]),
        ("op.execute(users.update().values(id=1))", ["update users"]),
        ("op.execute(sa.insert(User).values(id=1))", ["insert users"]),
        ("s = Session(bind=op.get_bind())\ns.query(User).delete()", ["delete users"]),
        ("s = Session(op.get_bind())\nfor u in s.query(User).all():\n    u.x = 1\ns.commit()", ["change"]),
        ("op.bulk_insert(users, [{}])", ["insert users"]),
        ("op.create_table('t', sa.Column('id', sa.Integer))\nop.rename_table('t', 'u')",
         ["create_table t id", "rename_table t"]),
        ("sa.Enum('a', name='e').create(op.get_bind(), checkfirst=True)", ["other"]),
        ("sa.inspect(op.get_bind()).get_columns('t')", []),
        ("print('x')\nlog.info('y')\nx = 1", []),
        ("from app import helper\nhelper(op.get_bind())", ["unclear"]),
        ("op.sync_enum_values('x')", ["unclear"]),
        ("globals()['upgrade_%s' % engine]()", []),
    ],
)  # fmt: skip
def test_what_an_upgrade_does(body, found):
    assert brief(body) == found


def test_several_databases_are_all_looked_at():
    text = "from alembic import op\ndef upgrade(engine):\n    globals()['upgrade_%s' % engine]()\n"
    text += "def upgrade_a():\n    op.drop_table('x')\ndef upgrade_b():\n    op.drop_table('y')\n"
    text += "def downgrade_a():\n    op.drop_table('z')\n"
    read = script(parse(text.encode()))
    assert [one.table for one in read.upgrade.operations] == ["x", "y"]
    assert not read.downgrade.there


def test_alembic_is_known_by_any_name():
    for head, call in (
        ("from alembic import op as o\n", "o.drop_table('t')"),
        ("import alembic.op as o\n", "o.drop_table('t')"),
        ("import alembic\n", "alembic.op.drop_table('t')"),
        ("from alembic.op import drop_table\n", "drop_table('t')"),
    ):
        assert brief(call, head) == ["drop_table t"]


@pytest.mark.parametrize(
    ("test", "inside", "behind"),
    [
        ("op.get_bind().dialect.name == 'postgresql'", True, False),
        ("op.get_bind().dialect.name != 'postgresql'", False, True),
        ("context.get_bind().dialect.name in ('sqlite', 'mysql')", False, True),
        ("not op.get_context().dialect.name == 'sqlite'", True, True),
        ("op.get_bind().engine.name.startswith('postgres')", True, False),
        ("something and op.get_bind().dialect.name == 'sqlite'", False, True),
        ("something", True, True),
        ("sqlite()", False, True),
    ],
)
def test_branches_for_a_dialect_are_told_apart(test, inside, behind):
    head = f"{HEAD}def sqlite():\n    return op.get_bind().dialect.name == 'sqlite'\n"
    first, second = done(f"if {test}:\n    op.drop_table('a')\n    return\nop.drop_table('b')", head)
    if test.startswith("not"):
        behind = False
    assert (first.postgres, second.postgres) == (inside, behind)


def test_details_of_columns_and_constraints():
    (one,) = done(
        "op.add_column('t', sa.Column('c', sa.String(length=5), sa.ForeignKey('s.u.id'), nullable=False, "
        "unique=True, index=True, server_default='x'))"
    )
    (column,) = one.columns
    assert (column.required, column.filled, column.unique, column.indexed) == (True, True, True, True)
    assert one.others == ("u",) and column.type and column.type.size == 5
    (two,) = done("op.create_foreign_key('f', 'a', 'b', ['x'], ['y'], postgresql_not_valid=True)")
    assert (two.kind, two.table, two.others, two.word, two.gentle) == (
        "create_constraint", "a", ("b",), "foreign key", True,
    )  # fmt: skip
    (three,) = done("with op.batch_alter_table('a') as b:\n    b.create_foreign_key('f', 'c', ['x'], ['y'])")
    assert (three.table, three.others) == ("a", ("c",))
    (four,) = done("op.create_index('i', 't', ['c'], postgresql_concurrently=True)")
    assert four.gentle
    (five,) = done("op.execute(\n    'drop table t'\n)")
    assert (five.line, five.end) == (13, 15)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ('DROP TABLE IF EXISTS a, "B", s.c CASCADE', ["drop_table a", "drop_table b", "drop_table c"]),
        ("drop schema s cascade; drop database d", ["drop_schema s", "drop_schema d"]),
        ("DROP INDEX CONCURRENTLY i", ["drop_index"]),
        ("-- DROP TABLE a\n/* DROP TABLE b */ SELECT 'DROP TABLE c; x', $$DROP TABLE d$$", []),
        ("TRUNCATE TABLE a, b", ["truncate a", "truncate b"]),
        ("DELETE FROM ONLY t", ["delete t"]),
        ("ALTER TABLE IF EXISTS t DROP COLUMN IF EXISTS c, ADD d int", ["drop_column t c", "add_column t d"]),
        ("ALTER TABLE t ALTER c TYPE varchar(5) USING c::varchar", ["alter_column t c"]),
        ("ALTER TABLE t ALTER COLUMN c SET NOT NULL", ["alter_column t c"]),
        ("ALTER TABLE t ALTER COLUMN c DROP NOT NULL", ["alter_column t c"]),
        ("ALTER TABLE t DROP CONSTRAINT k", ["drop_constraint t"]),
        ("ALTER TABLE t RENAME TO u", ["rename_table t"]),
        ("ALTER TABLE t OWNER TO me", ["other t"]),
        (
            "ALTER TYPE e ADD VALUE 'x'; CREATE EXTENSION x; GRANT SELECT ON t TO y",
            ["other", "other", "other"],
        ),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY t (a)", ["create_index t"]),
        ("CREATE INDEX ON t (a)", ["create_index t"]),
        ("CREATE TEMP TABLE a AS SELECT * FROM b", ["create_table a"]),
        ("INSERT INTO a SELECT * FROM b JOIN c ON true", ["insert a"]),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", ["update t"]),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", ["delete t"]),
        ("DO $$ BEGIN IF true THEN DROP TABLE t; END IF; END $$", ["drop_table t"]),
        ("SELECT 1; SET x = 1; BEGIN; COMMIT; VACUUM", []),
        ("COPY t TO '/x'; COPY t FROM '/y'", ["insert t"]),
    ],
)
def test_what_sql_does(sql, found):
    said = [
        " ".join(filter(None, (one.kind, one.table, *(column.name for column in one.columns))))
        for one in sql_text.operations(sql, 1, 1)
    ]
    assert said == found


@pytest.mark.parametrize(
    ("sql", "whole"),
    [
        ("DELETE FROM t", True),
        ("DELETE FROM t WHERE a", False),
        ("DELETE FROM t USING u", False),
        (f"DELETE FROM t {sql_text.HOLE}", None),
        (f"DELETE FROM {sql_text.HOLE}", True),
    ],
)
def test_whether_all_rows_are_deleted(sql, whole):
    (one,) = sql_text.operations(sql, 1, 1)
    assert one.whole is whole


@pytest.mark.parametrize(
    ("old", "new", "narrow", "rewritten"),
    [
        (("String", [50]), ("String", [20]), True, True),
        (("String", [20]), ("VARCHAR", [50]), False, False),
        (("String", [20]), ("Text", []), False, False),
        (("Text", []), ("String", [20]), True, True),
        (("BigInteger", []), ("Integer", []), True, True),
        (("Integer", []), ("bigint", []), False, True),
        (("Numeric", [10, 2]), ("Numeric", [12, 2]), False, False),
        (("Numeric", [10, 2]), ("Numeric", [12, 4]), False, True),
        (("Numeric", [10, 4]), ("Numeric", [12, 2]), True, True),
        (("Numeric", [10, 2]), ("Numeric", []), False, False),
        (("Float", []), ("Integer", []), True, True),
        (("Integer", []), ("Float", []), False, True),
        (("DateTime", []), ("Date", []), True, True),
        (("Date", []), ("DateTime", []), False, True),
        (("Integer", []), ("Text", []), False, True),
    ],
)
def test_what_a_change_of_type_does(old, new, narrow, rewritten):
    before, after = known(*old), known(*new)
    assert before and after
    assert (narrows(before, after), rewrites(before, after)) == (narrow, rewritten)


def test_types_that_nobody_knows_are_not_guessed():
    assert known("GEOMETRY") is None
    some = "sa.dialects.postgresql.TSVECTOR()", "app.Money()", "sa.String(length=size)"
    for one in some:
        (found,) = done(f"op.alter_column('t', 'c', type_={one}, existing_type=sa.Text())")
        assert found.columns[0].type is None


# Each could take for ever, or more memory than there is, if it were followed to its end.
ENDLESS = {
    "a text that doubles": "s = 'x'\n" + "s = s + s\n" * 100 + "op.execute(s)",
    "a list that doubles": "t = (1, 2)\n" + "t = (*t, *t)\n" * 100,
    "lists in lists": "if x:\n" + "    a = (1,)\n" + "    a = (a, a)\n" * 60 + "else:\n    a = (1,)\n"
    + "    a = (a, a)\n" * 60 + "op.drop_table(a)",
    "loops in loops": "for a in R:\n    for b in R:\n        for c in R:\n            op.drop_table('t')",
    "functions of functions": "def a():\n    b(); b()\ndef b():\n    c(); c()\ndef c():\n    d(); d()\n"
    "def d():\n    op.drop_table('t')\n" + "a()\n" * 500,
    "filled again and again": "s = '%s' * 9\n" + "s = '%s%s%s%s' % (s, s, s, s)\n" * 50,
    "replaced": "s = 'a'\n" + "s = s.replace('a', 'aaaa')\n" * 50,
    "many names": "op.execute('insert into x select ' + '" + "from a " * 20_000 + "')",
    "no end of a text": "op.execute('''" + "\" ' $a$ /* " * 9_000 + "''')",
    "a long sum": "x = " + " + ".join(["'a'"] * 700) + "\nop.drop_table('t')",
}  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_a_file_without_end_is_given_up(body):
    assert len(done(body, f"{HEAD}R = {tuple(range(300))}\n")) <= Reader.MOST


@pytest.mark.timeout(120)
def test_any_python_can_be_read():
    folder = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py"))[::3]:
        reader = Reader()
        scope: Scope = {}
        reader.block(parse(path.read_bytes()).body, scope)
        for name in list(scope)[:40]:
            reader.body(scope, name)
