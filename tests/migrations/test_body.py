"""What functions of a revision do, told from their text."""

from __future__ import annotations

import pytest

from raccord.migrations.body import changes_nothing, operations

TEMPLATE = "def upgrade():\n    op.execute('set lock_timeout = 1')\n    ${upgrades if upgrades else 'pass'}\n"


@pytest.mark.parametrize(
    ("body", "nothing"),
    [
        ("def upgrade(): pass\ndef downgrade(): pass\n", True),
        ('def upgrade():\n    """Up."""\n    ...\nasync def downgrade():\n    # none\n    pass\n', True),
        ("def upgrade(name):\n    globals()['upgrade_%s' % name]()\ndef upgrade_a():\n    pass\n", True),
        ("def upgrade(name):\n    globals()['upgrade_%s' % name]()\ndef upgrade_a():\n    op.x()\n", False),
        ('def upgrade():\n    op.execute("set lock_timeout = 1")\n    pass\n', True),
        ("def upgrade(): pass\ndef downgrade():\n    raise NotImplementedError\n", False),
        ("def upgrade(): return None\n", False),
        ("x = 1\n", False),
        ("def upgrade(:\n", False),
        ("def upgrade():\n    x = " + "+".join("1" * 20_000) + "\n", False),
    ],
)
def test_whether_it_changes_anything(body, nothing):
    assert changes_nothing(body.encode(), TEMPLATE) is nothing


def test_what_the_upgrade_calls():
    source = b"""
def upgrade():
    op.create_table('basket', sa.Column('id', sa.Integer()), sa.Column('x', sa.Text()))
    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.add_column(sa.Column('name', sa.Text()))
        batch_op.create_index(batch_op.f('ix_user_name'), ['name'])
    if x:
        op.execute(f'insert {y}')
    other.create_table('no')
def downgrade():
    op.drop_table('basket')
"""
    assert operations(source) == (
        "create_table basket",
        "add_column name of user",
        "create_index ix_user_name of user",
        "execute",
    )
    assert operations(b"def upgrade(:") == ()
