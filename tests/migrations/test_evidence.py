"""What a schema tells of the contents of a revision: against real alembic, which applied one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from raccord.database.catalog import catalog
from raccord.database.url import parse
from raccord.migrations.effects import Thing, sql_words
from raccord.migrations.effects_ops import PARAMETERS
from raccord.migrations.effects_read import effects
from raccord.migrations.evidence import Book, Facts, Proof, prove
from tests import pgkit
from tests.migrations.schemas import Made, candidate, history, text

Upgrade = Callable[[str, list[str]], list[str]]
USER = (
    "op.create_table('user', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('name', sa.Text()))"
)
NAME, TITLE = (
    "op.add_column('item', sa.Column('name', sa.Text()))",
    ("op.add_column('item', sa.Column('title', sa.Text()))"),
)
ITEM = "op.create_table('item', sa.Column('id', sa.Integer(), primary_key=True))"


@pytest.fixture(scope="module")
def upgrade() -> Iterator[Upgrade]:
    """Real alembic, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("upgrade_child.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        stdin, stdout = child.stdin, child.stdout
        assert stdin is not None and stdout is not None

        def run(url: str, sources: list[str]) -> list[str]:
            stdin.write(json.dumps([url, sources]) + "\n")
            stdin.flush()
            said: list[str] = json.loads(stdout.readline())
            return said

        yield run
        stdin.close()


def judged(made: Made, upgrade: Upgrade, url: str) -> Proof:
    """What is proved once a history has run."""
    assert upgrade(url, made.run) == [""] * len(made.run), made.run
    facts = Facts(catalog(parse(url.replace("+psycopg", ""), "/")))
    return prove("x", made.pool, [], Book(made.texts, made.heads), facts)


def told(upgrade: Upgrade, url: str, base: list[str], contents: list[list[str]], *later: list[str]) -> Proof:
    """The same for a base, the contents of "x" with the true one first, and what was applied after it."""
    made = Made({"base": [text("base", None, *base)], "x": [text("x", "base", *one) for one in contents]})
    down = "x"
    for number, lines in enumerate(later):
        made.texts[f"later{number}"] = [text(f"later{number}", down, *lines)]
        down = f"later{number}"
    made.heads = {down}
    made.run = [some[0].source.decode() for some in made.texts.values()]
    proof = judged(made, upgrade, url)
    assert proof.pick in (None, made.pool[0])
    return proof


def rounds(seeds: range, upgrade: Upgrade, folder: Path) -> int:
    """How often the right content was proved; nothing else ever is."""
    right = 0
    for seed in seeds:
        made = history(Random(seed))
        proof = judged(made, upgrade, f"sqlite:///{folder}/{seed}.db")
        assert proof.pick in (None, made.pool[0]), (seed, proof.said)
        right += proof.pick is not None
    return right


def test_no_content_is_taken_that_was_not_applied(upgrade, tmp_path):
    assert rounds(range(40), upgrade, tmp_path) > 0


@pytest.mark.long
@pytest.mark.parametrize("start", range(1000, 3000, 250))
@pytest.mark.timeout(600)
def test_no_content_is_ever_taken_that_was_not_applied(upgrade, tmp_path, start):
    assert rounds(range(start, start + 250), upgrade, tmp_path) > 5


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/a.db"


def test_the_schema_names_what_it_knows_it_by(upgrade, url):
    proof = told(upgrade, url, [ITEM], [[NAME], [TITLE]])
    assert (
        proof.pick is not None and proof.said == "column item.name is there; column item.title is not there"
    )


@pytest.mark.parametrize(
    "later",
    [
        ["op.drop_column('item', 'name')"],
        ["op.add_column('item', sa.Column('title', sa.Text()))", "op.drop_column('item', 'name')"],
        ["with op.batch_alter_table('item') as b:", "    b.alter_column('name', new_column_name='title')"],
        ["op.execute('ALTER TABLE item RENAME COLUMN name TO title')"],
        ["op.rename_table('item', 'thing')"],
        ["op.drop_table('item')"],
        ["for table in ['log']:", "    op.execute(f'drop table if exists {table}')"],
        ["helper()"],
        ["op.execute('select 1')"],
        ["op.get_bind().exec_driver_sql('alter table item rename to thing')"],
    ],
)
def test_what_a_later_revision_may_have_changed_is_no_evidence(upgrade, url, later):
    assert told(upgrade, url, [ITEM], [[NAME], [TITLE]], later).pick is None


@pytest.mark.parametrize(
    "later",
    [
        [USER],
        ["op.add_column('item', sa.Column('size', sa.Text()))"],
        ["op.execute('update item set id = id + 1')"],
        ["op.execute(sa.text('create index ix_other on log (x)'))"],
        ["items = sa.table('item', sa.column('id'))", "op.get_bind().execute(items.update().values(id=1))"],
        ["with op.batch_alter_table('item', schema=None) as b:", "    b.drop_column('size')"],
    ],
)
def test_what_later_revisions_did_elsewhere_hinders_nothing(upgrade, url, later):
    base = ["op.create_table('log', sa.Column('x', sa.Integer()))", ITEM]
    if "b.drop_column" in later[-1]:
        base += ["op.add_column('item', sa.Column('size', sa.Text()))"]
    assert told(upgrade, url, base, [[NAME], [TITLE]], later).pick is not None


@pytest.mark.parametrize(
    ("true", "other"),
    [
        # One sign is none: what is more, or less, may have been made or dropped by hand.
        ([NAME], [NAME, TITLE]),
        ([NAME, TITLE], [NAME]),
        ([NAME], ["if helper:", f"    {TITLE}"]),
        ([NAME], ["helper()", TITLE]),
        ([NAME], [TITLE, "op.drop_column('item', 'title')"]),
        ([NAME], ["op.add_column('item', sa.Column(f'title', sa.Text()))"]),
        ([NAME], ["return", TITLE]),
        (["pass"], ["op.drop_column('item', 'gone')"]),
    ],
)
def test_what_is_not_certain_is_no_evidence(upgrade, url, true, other):
    assert told(upgrade, url, [ITEM], [true, other]).pick is None


def test_the_others_are_all_spoken_against_or_none_is_taken(upgrade, url):
    size = "op.add_column('item', sa.Column('size', sa.Text()))"
    assert told(upgrade, url, [ITEM], [[NAME], [TITLE], [size]]).pick is not None
    made = [[NAME], [TITLE], [NAME, "op.execute('select 1')"]]
    assert told(upgrade, url.replace("a.db", "b.db"), [ITEM], made).pick is None


def test_indexes_constraints_renames_and_what_is_taken_away(upgrade, url):
    more = [f"op.add_column('item', sa.Column('{one}', sa.Text()))" for one in "ab"]
    base = [ITEM, *more, USER]
    check = "op.create_table('c', sa.Column('x', sa.Integer()), sa.CheckConstraint('x > 0', name='{}'))"
    index = "op.create_index(op.f('ix_item_{}'), 'item', ['{}'])"
    unique = "with op.batch_alter_table('item') as b: b.create_unique_constraint('uq_{0}', ['{0}'])"
    for number, (true, other) in enumerate(
        [
            ([index.format("a", "a")], [index.format("b", "b")]),
            ([unique.format("a")], [unique.format("b")]),
            (["op.rename_table('user', 'person')"], ["op.rename_table('user', 'people')"]),
            (["op.drop_table('user')"], ["op.drop_column('item', 'a')"]),
            (["op.drop_column('item', 'a')"], ["op.drop_column('item', 'b')"]),
            ([check.format("positive")], [check.format("above")]),
        ]
    ):
        here = url.replace("a.db", f"{number}.db")
        assert told(upgrade, here, base, [true, other]).pick is not None, (true, other)


def test_a_revision_that_may_not_be_applied_is_not_judged(upgrade, url):
    base, x = text("base", None, ITEM), text("x", "base", NAME)
    other = text("x", "base", TITLE)
    made = Made({"base": [base], "x": [x, other]}, [base.source.decode(), x.source.decode()], {"base"})
    assert judged(made, upgrade, url).pick is None
    facts = Facts(catalog(parse(url, "/")))
    # A revision that is applied and that nobody has may have done anything.
    assert prove("x", made.pool, [], Book(made.texts, {"x", "lost"}), facts).pick is None
    # What stands on it in one content alone may not be.
    tops = [text("top", "x", "pass"), text("top", "base", "pass")]
    assert prove("x", made.pool, [], Book({**made.texts, "top": tops}, {"top"}), facts).pick is None
    assert prove("x", made.pool, [], Book({**made.texts, "top": tops[:1]}, {"top"}), facts).pick is not None


def test_other_contents_of_a_later_revision_may_have_been_applied(upgrade, url):
    later = [text("y", "x", "pass"), text("y", "x", "op.drop_column('item', 'title')")]
    base, x = text("base", None, ITEM), [text("x", "base", NAME), text("x", "base", TITLE)]
    made = Made({"base": [base], "x": x, "y": later}, [base.source.decode(), x[0].source.decode()], {"y"})
    assert judged(made, upgrade, url).pick is None


def test_an_older_content_that_fits_better_leaves_it_open(upgrade, url):
    base, x = text("base", None, ITEM), [text("x", "base", NAME), text("x", "base", TITLE)]
    made = Made({"base": [base], "x": x}, [base.source.decode(), x[0].source.decode()], {"x"})
    assert judged(made, upgrade, url).pick is not None
    size = "op.add_column('item', sa.Column('size', sa.Text()))"
    assert upgrade(url, [text("byhand", None, size).source.decode()]) == [""]
    facts = Facts(catalog(parse(url, "/")))
    for past, fits in ((text("x", "base", NAME, size), False), (text("x", "base", NAME), True)):
        proof = prove("x", made.pool, [candidate(past, "history")], Book(made.texts, made.heads), facts)
        assert (proof.pick is not None) is fits


# PostgreSQL


@pytest.fixture
def database() -> Iterator[str]:
    try:
        server = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(str(error))
    with server.lent() as name:
        yield server.url(name, scheme="postgresql+psycopg")


MOOD = "op.create_table('{}', sa.Column('x', sa.Enum({}, name='{}')))"


@pytest.mark.parametrize(
    ("true", "other", "sure"),
    [
        ([NAME], [TITLE], True),
        (["op.add_column('item', sa.Column('Näme', sa.Text()))"], [TITLE], True),
        ([MOOD.format("t", "'a', 'b'", "mood")], [MOOD.format("t", "'a', 'c'", "mood")], True),
        ([MOOD.format("t", "'a'", "mood")], [MOOD.format("t", "'a'", "temper")], True),
        (
            ["kind = sa.Enum('a', name='mood')", "kind.create(op.get_bind())"],
            ["kind = sa.Enum('a', name='temper')", "kind.create(op.get_bind(), checkfirst=True)"],
            True,
        ),
        (["op.create_unique_constraint('uq_a', 'item', ['id'])"], [NAME], True),
        (
            ["op.create_table('t', sa.Column('x', sa.Text()), schema='aside')"],
            ["op.create_table('t', sa.Column('y', sa.Text()), schema='aside')"],
            True,
        ),
        # A schema is not looked at: the search path, or a map of schemas, may have led elsewhere.
        (
            ["op.create_table('t', sa.Column('x', sa.Text()), schema='aside')"],
            ["op.create_table('t', sa.Column('x', sa.Text()))"],
            False,
        ),
    ],
)
def test_what_postgresql_tells(upgrade, database, true, other, sure):
    base = ['op.execute("create schema aside")', ITEM]
    assert (told(upgrade, database, base, [true, other]).pick is not None) is sure


# Reading


def test_a_file_as_alembic_writes_it():
    source = b'''"""Add books

Revision ID: x
"""
from typing import Sequence, Union
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from app.types import GUID

revision: str = "x"
down_revision: Union[str, Sequence[str], None] = "base"
TABLE = "Author"


def upgrade() -> None:
    """Upgrade schema."""
    # ### commands auto generated by Alembic - please adjust! ###
    op.create_table("book",
    sa.Column("id", GUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
    sa.Column("state", postgresql.ENUM("new", "old", name="state", create_type=False), nullable=False),
    sa.ForeignKeyConstraint(["id"], ["author.id"], name=op.f("fk_book"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id")
    )
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_author"), ["id"], unique=False)
        batch_op.drop_column("age")
    op.alter_column("book", "id", existing_type=sa.UUID(), nullable=True)
    # ### end Alembic commands ###


def downgrade() -> None:
    whatever()
'''
    found = effects(source)
    assert found.unclear == ""
    assert found.leaves == {
        Thing("table", "", "book"): True,
        Thing("column", "book", "id"): True,
        Thing("column", "book", "state"): True,
        Thing("column", "author", "age"): False,
    }, "an index and a constraint may go with what was changed after them; the type is made elsewhere"
    assert {Thing("enum", "", "state"), Thing("constraint", "book", "fk_book")} <= found.named
    assert found.loose == {"author", "book"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("helper()", "calls helper"),
        ("op.create_view('x')", "op.create_view"),
        ("op.drop_table(name())", "computes a name"),
        ("op.drop_table(f'x')", "computes a name"),
        ("op.create_table('x', *columns)", "computes a part"),
        ("op.create_table('x', sa.Column('a', sa.Text()), **options)", "computes its arguments"),
        ("op.create_table('x', prefixes=['TEMPORARY'])", "another way"),
        ("op.add_column('x', column)", "computes a column"),
        ("op.execute('drop table a cascade')", "SQL"),
        ("op.execute('do $$ begin drop table a; end $$')", "SQL"),
        ("op.execute(statement)", "SQL"),
        ("with op.batch_alter_table('x', copy_from=t) as b: b.drop_column('y')", "a block"),
        ("with other(): pass", "a block"),
        ("while True: pass", "a statement"),
        ("(op.drop_table)('x') or 1", "a statement"),
        ("x = [op.drop_table(t) for t in ('a', 'b')]", "calls op.drop_table"),
        ("op = other", "several things"),
        ("sa.MetaData().create_all(op.get_bind())", "calls sa.MetaData"),
        ("drop = op.drop_table; drop('x')", "calls drop"),
        ("getattr(op, 'drop_table')('x')", "calls getattr"),
        ("globals()['op'].drop_table('x')", "calls"),
        ("yield 1", "a statement"),
    ],
)
def test_what_can_not_be_read_as_data_is_named(body, says):
    head = "revision = 'x'\nimport sqlalchemy as sa\nfrom alembic import op\ndef upgrade():\n"
    found = effects(f"{head}    {body}\n".encode())
    assert says in found.unclear and not found.leaves


@pytest.mark.parametrize(
    "head",
    [
        "from other import *",
        "from other import op",
        "import other as op",
        "def op(): pass",
        "op = other",
        "other()",
        "op.f = other",
        "for x in (): pass",
        "@decorator",
    ],
)
def test_a_module_that_may_do_something_of_its_own_is_unclear(head):
    source = f"from alembic import op\n{head}\ndef upgrade():\n    op.drop_table('x')\n"
    assert effects(source.encode()).unclear
    assert not effects(source.replace(head, "").encode()).unclear


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("update a set b = 'drop table c'; insert into a values (1) on conflict do nothing", set()),
        ('ALTER TABLE "My Table" DROP b', {"alter", "table", "my", "drop", "b"}),
        ("select f()", None),
        ("drop schema a", None),
        ("drop table a cascade", None),
        ("-- x\ndrop table a", None),
        ("with a as (select 1) select 1", None),
    ],
)
def test_words_of_sql(sql, words):
    assert sql_words(sql) == words


def test_the_parameters_are_those_of_alembic():
    script = (
        "import inspect, json; from alembic.operations import Operations, BatchOperations\n"
        "print(json.dumps([{name: list(inspect.signature(value).parameters)[1:] for name, value in"
        " vars(one).items() if inspect.isfunction(value)} for one in (Operations, BatchOperations)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    plain, batch = json.loads(done.stdout)
    for name, parameters in PARAMETERS.items():
        assert plain[name][: len(parameters)] == list(parameters), name
        if name in batch:
            left = [one for one in parameters if one not in ("table_name", "source_table")]
            assert batch[name][: len(left)] == left, name


def test_reading_runs_nothing(tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    for head in (trap, f"x = {trap}", ""):
        source = f"from alembic import op\n{head}\ndef upgrade():\n    {trap}\n    op.drop_table('a')\n"
        assert effects(source.encode()).unclear
    assert not (tmp_path / "ran").exists()
    for broken in (b"\0", b"(" * 9999, b""):
        assert effects(broken).unclear
