"""The rules of lint: what each finds, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.migrations.lint.examine import NAMES, examine
from raccord.migrations.lint.ignores import ignores
from raccord.migrations.lint.rules import RULES
from raccord.migrations.revision import Revision, read

DOCS = Path(__file__).resolve().parents[2] / "docs" / "migrations.md"
HEAD = '''\
"""say what"""
import sqlalchemy as sa
from alembic import op
revision = "r2"
down_revision = "r1"
items = sa.table("items")
'''
MOVED_BY_PYTHON = """\
c = op.get_bind()
for row in c.execute('SELECT c FROM t'):
    c.execute(items.insert().values(row))
"""
REFERRING = "op.create_table('invoice', sa.Column('c', sa.Integer, sa.ForeignKey('customer.id')))\n"
TENANT = "op.add_column('invoice', sa.Column('tenant', sa.Integer))\n"
BACK = "def downgrade():\n    op.execute('SELECT take_back()'); op.drop_index('i')\n"


def found(body: str, *, back: str = BACK, head: str = HEAD, postgres: bool = True) -> list[str]:
    """What is found in a revision with that upgrade: "rule:line in the body"."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"{head}def upgrade():\n{lines}{back}".encode()
    revision = read(source, "x.py")
    assert isinstance(revision, Revision)
    one = examine(source, revision, "x.py", postgres=postgres)
    first = head.count("\n") + 1
    return [f"{remark.rule}:{remark.line - first}" for remark in one.remarks if not one.reason(remark)]


def rules(*args, **more) -> set[str]:
    return {one.partition(":")[0] for one in found(*args, **more)}


@pytest.mark.parametrize(
    "back",
    ["", "def downgrade():\n    pass\n", "def downgrade():\n    '''why'''\n    return\n",
     "def downgrade():\n    raise NotImplementedError('no')\n", "def downgrade():\n    print('no')\n",
     "def downgrade():\n    '''why'''\n    x = 1\n    raise Exception\n"],
)  # fmt: skip
def test_a_revision_that_can_not_be_taken_back(back):
    assert rules("op.create_table('t')", back=back) == {"no-downgrade"}


@pytest.mark.parametrize(
    ("body", "back"),
    [
        ("pass", ""),  # a merge
        ("pass", "def downgrade():\n    pass\n"),
        ("op.create_table('t')", "def downgrade():\n    op.drop_table('t')\n"),
        ("op.create_table('t')", "def downgrade():\n    from app import helper\n    helper()\n"),
        ("op.create_table('t')", "from app import downgrade\n"),
        ("op.create_table('t')", "def downgrade():\n    if x: raise Exception\n    op.drop_table('t')\n"),
    ],
)
def test_a_revision_that_can_be_taken_back_or_does_nothing(body, back):
    assert rules(body, back=back) == set()


@pytest.mark.parametrize(
    "body",
    [
        "op.drop_table('t')",
        "op.drop_column('t', 'c')",
        "op.execute('DROP TABLE t')",
        "op.execute('TRUNCATE t')",
        "op.execute('DELETE FROM t')",
        "op.execute('DROP SCHEMA s CASCADE')",
        "op.execute('ALTER TABLE t DROP COLUMN c')",
        "op.execute(items.delete())",
        "op.alter_column('t', 'c', type_=sa.String(5), existing_type=sa.String(9))",
        "op.alter_column('t', 'c', type_=sa.SmallInteger(), existing_type=sa.Integer())",
        "op.alter_column('t', 'c', type_=sa.Enum('a'), existing_type=sa.Enum('a', 'b'))",
        # A copy of something else keeps nothing, and a later one comes too late.
        "op.execute('CREATE TABLE u AS SELECT * FROM v')\nop.drop_table('t')",
        "op.drop_table('t')\nop.execute('CREATE TABLE u AS SELECT * FROM t')",
        "op.execute('UPDATE u SET x = 1')\nop.drop_column('t', 'c')",
    ],
)
def test_what_throws_rows_away(body):
    assert "destructive" in rules(body)


@pytest.mark.parametrize(
    "body",
    [
        "op.execute('CREATE TABLE old AS SELECT * FROM t')\nop.drop_table('t')",
        "op.execute('SELECT * INTO old FROM t')\nop.execute('DELETE FROM t')",
        "op.execute('INSERT INTO u SELECT * FROM t')\nop.drop_table('t')",
        "op.execute('UPDATE t SET d = c')\nop.drop_column('t', 'c')",
        "op.create_table('tmp')\nop.drop_table('tmp')",
        "op.execute('DROP TABLE IF EXISTS _alembic_tmp_t')",
        "op.rename_table('t', 'old_t')",
        "op.execute('DELETE FROM t WHERE a')",
        "op.execute(f'DELETE FROM t {where}')",
        "op.execute(items.delete().where(items.c.x == 1))",
        "op.drop_index('i')\nop.drop_constraint('k', 't')",
        "op.alter_column('t', 'c', type_=sa.Text(), existing_type=sa.String(9))",
        "op.alter_column('t', 'c', type_=sa.String(5))",
        # Python may have put it elsewhere.
        f"{MOVED_BY_PYTHON}op.drop_column('t', 'c')",
        "from app import move\nmove(op.get_bind())\nop.drop_column('t', 'c')",
    ],
)
def test_what_throws_nothing_away(body):
    assert "destructive" not in rules(body)


@pytest.mark.parametrize(
    "body",
    [
        "op.create_table('invoice')\nop.add_column('customer', sa.Column('age', sa.Integer))",
        "op.drop_column('invoice', 'x')\nop.create_index('i', 'customer', ['y'])",
    ],
)
def test_several_changes_in_one(body):
    assert "several-changes" in rules(body)


@pytest.mark.parametrize(
    "body",
    [
        "op.create_table('invoice')",
        # One refers to the other, one column for both, one line, words in common, one kind of repair.
        f"{REFERRING}op.add_column('customer', sa.Column('age', sa.Integer))",
        f"{TENANT}op.add_column('customer', sa.Column('tenant', sa.Integer))",
        "for t in ('invoice', 'customer'):\n    op.drop_constraint('k', t)\n    op.drop_column(t, 'x')",
        "op.create_table('invoice')\nop.add_column('invoice_lines', sa.Column('age', sa.Integer))",
        "op.create_table('queries')\nop.add_column('chart', sa.Column('query_id', sa.Integer))",
        "op.create_index('i', 'invoice', ['x'])\nop.create_index('j', 'customer', ['y'])",
        "op.drop_table('invoice')\nop.drop_table('customer')",
        "op.create_table('invoice')\nop.create_table(name)",
    ],
)
def test_what_is_one_change(body):
    assert "several-changes" not in rules(body)


def test_the_first_revision_makes_everything():
    body = "op.create_table('invoice')\nop.create_table('customer')"
    assert "several-changes" in rules(body)
    assert rules(body, head=HEAD.replace('"r1"', "None")) == set()


@pytest.mark.parametrize(
    "body",
    [
        "op.add_column('t', sa.Column('c', sa.Integer))\nop.execute('UPDATE t SET c = 1')",
        "op.create_table('u')\nop.execute('INSERT INTO t VALUES (1)')",
        "op.create_index('i', 't', ['c'], postgresql_concurrently=True)\nop.bulk_insert(items, [])",
    ],
)
def test_rows_and_schema_mixed(body):
    assert found(body) == ["data-and-schema:2"]


@pytest.mark.parametrize(
    "body",
    [
        "op.execute('UPDATE t SET c = 1')",
        "op.create_table('u')\nop.execute('INSERT INTO u SELECT * FROM t')",
        "op.create_table('items')\nop.bulk_insert(items, [])",
        "op.add_column('t', sa.Column('c', sa.Integer))\nop.get_bind().execute('SELECT 1')",
        "op.add_column('t', sa.Column('c', sa.Integer))\nop.execute(\"UPDATE alembic_version SET x = 'a'\")",
    ],
)
def test_rows_or_schema_alone(body):
    assert rules(body) == set()


LOCKS = {
    "lock-index": [
        "op.create_index('i', 't', ['c'])",
        "op.execute('CREATE UNIQUE INDEX i ON t (c)')",
        "op.create_index('i', 't', ['c'], **{'postgresql_where': 'x'})",
        "op.add_column('t', sa.Column('c', sa.Integer, index=True))",
        "with op.batch_alter_table('t') as b:\n    b.create_index('i', ['c'])",
    ],
    "lock-not-null": [
        "op.add_column('t', sa.Column('c', sa.Integer, nullable=False))",
        "op.execute('ALTER TABLE t ADD COLUMN c int NOT NULL')",
        "op.alter_column('t', 'c', nullable=False)",
        "op.alter_column('t', 'c', nullable=False, existing_nullable=True)",
        "op.execute('ALTER TABLE t ALTER c SET NOT NULL')",
    ],
    "lock-type": [
        "op.alter_column('t', 'c', type_=sa.BigInteger(), existing_type=sa.Integer())",
        "op.alter_column('t', 'c', type_=sa.BigInteger())",
        "op.execute('ALTER TABLE t ALTER COLUMN c TYPE my_enum USING c::my_enum')",
    ],
    "lock-constraint": [
        "op.create_foreign_key('f', 't', 'u', ['c'], ['id'])",
        "op.create_check_constraint('k', 't', 'c > 1')",
        "op.create_unique_constraint('k', 't', ['c'])",
        "op.create_primary_key('k', 't', ['c'])",
        "op.execute('ALTER TABLE t ADD CONSTRAINT k CHECK (c > 1)')",
        "op.add_column('t', sa.Column('c', sa.Integer, sa.ForeignKey('u.id')))",
        "op.add_column('t', sa.Column('c', sa.Integer, unique=True))",
    ],
}
GENTLE = {
    "lock-index": [
        "op.create_index('i', 't', ['c'], postgresql_concurrently=True)",
        "op.execute('CREATE INDEX CONCURRENTLY i ON t (c)')",
        "op.create_table('t')\nop.create_index('i', 't', ['c'])",
        "op.create_table('new')\nop.rename_table('new', 't')\nop.create_index('i', 't', ['c'])",
        "if op.get_bind().dialect.name == 'sqlite':\n    op.create_index('i', 't', ['c'])",
        "op.create_table(name)\nop.create_index('i', other, ['c'])",
        "op.create_index('i', 't', ['c'], **options)",
        "more = {'postgresql_concurrently': True}\nop.create_index('i', 't', ['c'], **more)",
    ],
    "lock-not-null": [
        "op.add_column('t', sa.Column('c', sa.Integer, nullable=False, server_default='0'))",
        "op.add_column('t', sa.Column('c', sa.Integer))",
        "op.execute('ALTER TABLE t ADD c int NOT NULL DEFAULT 0')",
        "op.alter_column('t', 'c', nullable=False, existing_nullable=False)",
        "op.alter_column('t', 'c', new_column_name='d', nullable=False, type_=sa.Integer())",
        "op.alter_column('t', 'c', nullable=True)",
        "op.execute('DELETE FROM t')\nop.add_column('t', sa.Column('c', sa.Integer, nullable=False))",
        "op.add_column('t', sa.Column('c', sa.Integer, **options))",
    ],
    "lock-type": [
        "op.alter_column('t', 'c', type_=sa.Text(), existing_type=sa.String(9))",
        "op.alter_column('t', 'c', type_=app.Money(), existing_type=sa.String(9))",
        "op.alter_column('t', 'c', new_column_name='d', type_=sa.Integer())",
        "op.alter_column('t', 'c', server_default='x', existing_type=sa.Integer())",
    ],
    "lock-constraint": [
        "op.create_foreign_key('f', 't', 'u', ['c'], ['id'], postgresql_not_valid=True)",
        "op.execute('ALTER TABLE t ADD CONSTRAINT k CHECK (c > 1) NOT VALID')",
        "op.execute('ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX i')",
        "op.execute('ALTER TABLE t VALIDATE CONSTRAINT k')",
        "op.create_table('t')\nop.create_unique_constraint('k', 't', ['c'])",
        "op.drop_constraint('k', 't')",
    ],
}


@pytest.mark.parametrize(("rule", "body"), [(rule, body) for rule, some in LOCKS.items() for body in some])
def test_what_locks_a_table_in_use(rule, body):
    assert rule in rules(body)
    assert rule not in rules(body, postgres=False)


@pytest.mark.parametrize(("rule", "body"), [(rule, body) for rule, some in GENTLE.items() for body in some])
def test_what_lets_others_work(rule, body):
    assert rule not in rules(body)


def test_what_is_unclear_is_held_against_nobody():
    assert rules("from app import helper\nhelper(op)\nop.execute(make())\nop.custom('x')") == set()


@pytest.mark.parametrize(
    "body",
    [
        "op.drop_table('t')  # raccord: ignore[destructive] nobody has used it since May",
        "# raccord: ignore[destructive] nobody has used it\nop.drop_table('t')",
        "# raccord: ignore[destructive] nobody has used it\n# (see the notes)\n\nop.drop_table('t')",
        "op.drop_table(\n    't',  # raccord:ignore[lock-index, destructive] nobody has used it\n)",
    ],
)
def test_a_comment_with_a_reason_lets_it_pass(body):
    assert rules(body) == set()


def test_a_comment_above_everything_holds_for_the_file():
    head = f"# raccord: ignore[destructive,no-downgrade] the feature never shipped\n{HEAD}"
    assert rules("op.drop_table('t')\nop.drop_table('u')", head=head, back="") == set()


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# raccord: ignore[destructive]", {"bad-ignore", "destructive"}),
        ("# raccord: ignore[destructive]  -- ", {"bad-ignore", "destructive"}),
        ("# raccord: ignore because I say so", {"bad-ignore", "destructive"}),
        ("# raccord: ignore[destructiv] a reason", {"bad-ignore", "destructive"}),
        ("# raccord: ignore[lock-index] another rule", {"destructive"}),
        ("# raccord: ignore[bad-ignore] no", {"destructive"}),
        ("# raccord: ignore[squawk:ban-drop-table] a reason", {"destructive"}),
        ("x = '# raccord: ignore[destructive] in a text'", {"destructive"}),
    ],
)
def test_a_comment_that_says_too_little_ignores_nothing(comment, left):
    assert (
        rules(f"op.drop_table('t'); {comment}" if comment[0] == "x" else f"op.drop_table('t')  {comment}")
        == left
    )


def test_a_comment_holds_for_its_statement_alone():
    body = "op.drop_table('t')  # raccord: ignore[destructive] old\nop.drop_table('u')"
    assert found(body) == ["destructive:2"]
    assert ignores(b"# raccord: ignore[x] y\n")[0].reason == "y"


def test_every_rule_is_documented():
    page = DOCS.read_text("utf-8")
    assert [rule for rule in {*NAMES, "unreadable"} if f"| `{rule}` |" not in page] == []
    assert list(RULES) == sorted(RULES)
