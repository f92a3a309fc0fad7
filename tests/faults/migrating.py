"""Workspaces whose migrations are missing, not applied, or fork: for faults in `raccord migrations`."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys

from tests.faults.place import Place, must
from tests.faults.state import FILE
from tests.gitkit import Repo

HEAL = ("migrations", "heal")
MERGE = ("migrations", "merge", "--message", "join both")
REBASE = ("migrations", "rebase")
ROLLBACK = ("migrations", "rollback-phantoms", "--trust", "--yes")
UPGRADE = ("migrations", "upgrade", "--yes")
INI = "[alembic]\nscript_location = migrations\nsqlalchemy.url = {url}\n"
ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
BODIES = {
    "r1": "create table basket (id integer primary key, name text)",
    "r2": "insert into basket values (1, 'apples'), (2, 'pears'), (3, 'plums')",
    "r3": "create table item (basket integer, name text)",
    "m4": "create table price (basket integer, cents integer);"
    " insert into price select id, 100 * id from basket; alter table basket add column total integer",
    "m5": "update basket set total = 100 * id; create index price_of on price (basket)",
    "p5": "create table t_p5 (name text); insert into t_p5 values ('lost')",
    "p6": "create table t_p6 (name text)",
    "n4": "create table shelf (name text); insert into shelf values ('fruit')",
}


def file(id_: str) -> str:
    """Where a revision is."""
    return f"migrations/versions/{id_}_x.py"


def closed(id_: str, below: str | None) -> str:
    """A revision file whose import would fail."""
    return f"revision = {id_!r}\ndown_revision = {below!r}\nraise SystemExit('imported')\n"


def opened(id_: str, below: str | None) -> str:
    """A revision file that does something."""
    lines = "".join(f"    op.execute({one.strip()!r})\n" for one in BODIES[id_].split(";"))
    return (
        f"from alembic import op\nrevision = {id_!r}\ndown_revision = {below!r}\n"
        f"def upgrade():\n{lines}def downgrade():\n    pass\n"
    )


def unhealed(place: Place) -> None:
    """A database at a revision of which one worktree has the files, committed and not, and main none."""
    url = f"sqlite:///{place.workspace / FILE}"
    files = {"alembic.ini": INI.format(url=url), "migrations/env.py": "raise SystemExit('not run')\n" + ENV}
    ids = ("r1", "r2", "r3", "r4", "r5")
    texts = {file(id_): closed(id_, below) for id_, below in zip(ids, (None, *ids), strict=False)}
    main, a = Repo(place.top("main")), Repo(place.top("a"))
    for repo, many in ((main, 1), (a, 3)):
        repo.commit(files | dict(list(texts.items())[:many]), "migrations")
    for id_ in ids[3:]:
        a.write(file(id_), texts[file(id_)])
    with contextlib.closing(sqlite3.connect(place.workspace / FILE)) as db, db:
        db.execute("create table alembic_version (version_num text)")
        db.execute("insert into alembic_version values ('r5')")


def unupgraded(place: Place) -> None:
    """A database that worktree a upgraded; main lacks two of those revisions, and has newer ones.

    On a server these are two heads, so that alembic is run twice.
    """
    url = place.server.url.replace("%", "%%") if place.server else f"sqlite:///{place.workspace / FILE}"
    files = {
        "alembic.ini": INI.format(url=url),
        "migrations/env.py": ENV,
        # The tools of the tests are no environment of the project's.
        "raccord.toml": f"[migrations]\ncommand = [{sys.executable!r}, '-m', 'alembic']\n",
    }
    old = {file(id_): opened(id_, below) for id_, below in (("r1", None), ("r2", "r1"), ("r3", "r2"))}
    new = {"m4": "r3", "n4": "r3"} if place.server else {"m4": "r3", "m5": "m4"}
    main, a = Repo(place.top("main")), Repo(place.top("a"))
    a.commit(files | old, "migrations")
    first = {file("r1"): old[file("r1")]}
    main.commit(files | first | {file(id_): opened(id_, below) for id_, below in new.items()}, "migrations")
    words = [sys.executable, "-m", "alembic", "upgrade", "r3"]
    subprocess.run(words, cwd=a.path, env=place.env, check=True, capture_output=True)


def upgraded(place: Place) -> None:
    """The same, upgraded from main."""
    unupgraded(place)
    must(place.raccord(*UPGRADE))


def haunted(place: Place) -> None:
    """A database with two revisions of a branch that is gone; raccord's own store has them yet."""
    unupgraded(place)
    must(place.raccord(*UPGRADE))
    main = Repo(place.top("main"))
    gone = main.worktree("gone", "gone")
    for id_, below in (("p5", "m4"), ("p6", "p5")):
        text = opened(id_, below).partition("def downgrade")[0]
        gone.commit({file(id_): f"{text}def downgrade():\n    op.execute('drop table t_{id_}')\n"}, id_)
    must(place.raccord(*UPGRADE, cwd="gone"))
    main.git("worktree", "remove", "--force", str(gone.path))
    main.git("branch", "-D", "gone")


def forked(place: Place) -> None:
    """A history with two heads; nothing of it is ever run."""
    main = Repo(place.top("main"))
    lines = "file_template = %%(slug)s\n"
    chain = {"r1": None, "a2": "r1", "b2": "r1"}
    files = {"alembic.ini": INI.format(url="sqlite:///none.db") + lines, "migrations/env.py": ""}
    main.commit(files | {file(id_): closed(id_, below) for id_, below in chain.items()}, "migrations")


def unbased(place: Place) -> None:
    """A base that went on, and own revisions on what it was: committed, and not; nothing is ever run."""
    main = Repo(place.top("main"))
    files = {"alembic.ini": INI.format(url="sqlite:///none.db"), "migrations/env.py": ENV}
    base = {file(id_): closed(id_, below) for id_, below in (("r1", None), ("r2", "r1"), ("r3", "r2"))}
    main.commit(files | base, "migrations")
    main.git("push", "--quiet", "--force", "origin", "main")
    main.commit({file("o1"): closed("o1", "r1")}, "own")
    for id_, below in (("o2", "o1"), ("p1", "r2")):
        main.write(file(id_), closed(id_, below))
