"""Agents in worktrees that share a database, as they live it: plain alembic beside raccord's verbs."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import pgkit
from tests.gitkit import Repo
from tests.verbs.team import Team, asking

SERVED = pytest.param("postgresql", marks=pytest.mark.long)


@pytest.fixture
def team(request, tmp_path) -> Iterator[Team]:
    """With the database that the test names as the fixture's parameter; SQLite by default."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        yield Team.make(tmp_path, {"alembic": f"sqlite:///{tmp_path}/app.db"})
        return
    server = pgkit.server()
    with server.lent() as name:
        url = server.url(name, scheme="postgresql+psycopg")
        yield Team.make(tmp_path, {"alembic": url}, lambda statement: server.run(statement, name))


def commit_all(repo: Repo, message: str) -> None:
    repo.git("add", "-A")
    repo.commit(message=message)


@pytest.mark.parametrize("team", ["sqlite", SERVED], indirect=True)
def test_two_agents_and_one_database(team):
    one, other = team.tree("one"), team.tree("other")
    basket = team.add(one, "add basket")
    assert "Can't locate revision" in team.alembic(other, "current", fails=True)
    assert basket in team.raccord(other, "migrations", "status")
    said = team.raccord(other, "migrations", "heal")
    assert basket in said and "one" in said
    assert f"{basket} (head)" in team.fine(other)
    assert team.raccord(other, "migrations", "heal").strip()


def one_head(team: Team, repo: Repo, message: str) -> str:
    """Heads are joined, committed and applied."""
    team.raccord(repo, "migrations", "merge", "-m", message)
    commit_all(repo, message)
    team.raccord(repo, "migrations", "upgrade", "--yes")
    (head,) = team.heads()
    return head


@pytest.mark.long
@pytest.mark.parametrize("team", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.timeout(600)
def test_ten_agents_part_and_meet_again(team):
    trees = [team.tree(f"agent{n}") for n in range(10)]
    made = []
    for number, tree in enumerate(trees):
        body = f'op.execute("insert into visits values ({number})")'
        made.append(team.revise(tree, f"feature {number}", body=body))
        commit_all(tree, f"feature {number}")
        # What the others have applied is put back first; then its own goes on top.
        team.raccord(tree, "migrations", "upgrade", "--yes")
        assert team.heads() == {*made}
    team.raccord(trees[0], "migrations", "heal", "--all")
    for tree in trees[::3]:
        team.fine(tree)
    for tree in trees:
        team.main.git("merge", "-q", "--no-edit", tree.git("branch", "--show-current"))
    assert "Multiple head" in team.alembic(team.main, "upgrade", "head", fails=True)
    joined = one_head(team, team.main, "join all features")
    for tree in trees[::3]:
        tree.git("rebase", "-q", "main")
        team.raccord(tree, "migrations", "heal")
        assert f"{joined} (head)" in team.fine(tree)
    assert {row[0] for row in team.ask("select agent from visits")} == {*range(10)}


@pytest.mark.long
@pytest.mark.parametrize("team", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.timeout(600)
def test_twenty_heals_and_upgrades_at_once(team):
    trees = [team.tree(f"agent{n}") for n in range(10)]
    made = {team.revise(tree, f"feature {n}") for n, tree in enumerate(trees)}
    for tree in trees:
        commit_all(tree, "feature")
    verbs = itertools.cycle((("upgrade", "--yes"), ("heal",)))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "raccord", "-C", str(tree.path), "migrations", *verb],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for tree, verb in zip([*trees, *trees[1:], trees[0]], verbs, strict=False)
    ]
    said = [one.communicate(timeout=200)[0] for one in started]
    assert [one.returncode for one in started] == [0] * 20, "\n".join(said)
    for tree in trees:
        team.raccord(tree, "migrations", "upgrade", "--yes")
    assert team.heads() == made
    team.raccord(team.main, "migrations", "heal", "--all")
    for tree in trees[::5]:
        team.fine(tree)


def dangling(team: Team, repo: Repo) -> None:
    team.main.git("worktree", "remove", "--force", str(repo.path))
    team.main.git("branch", "-qD", "gone")


def staged_only(team: Team, repo: Repo) -> None:
    """Never committed; the blob is all that is left."""
    repo.git("reset", "-q", "--soft", "main")
    dangling(team, repo)
    team.main.git("reflog", "expire", "--expire=now", "--all")


def stashed(team: Team, repo: Repo) -> None:
    repo.git("reset", "-q", "--soft", "main")
    repo.git("stash", "-q")
    dangling(team, repo)
    team.main.git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "HEAD")


def outside(team: Team, repo: Repo) -> None:
    """A copy that git knows nothing of, the file untracked in it."""
    shutil.copytree(repo.path / "backend", team.path / "shop-copy/backend")
    team.main.write(
        "raccord.toml", f"{(team.main.path / 'raccord.toml').read_text()}outside = ['{team.path}/shop-*']\n"
    )
    commit_all(team.main, "look outside")
    for tree in team.trees.values():
        if tree is not repo:
            tree.git("rebase", "-q", "main")
    dangling(team, repo)
    team.main.git("reflog", "expire", "--expire=now", "--all")
    team.main.git("gc", "-q", "--prune=now")


def ignored(team: Team, repo: Repo) -> None:
    repo.git("reset", "-q", "--soft", "main")
    repo.git("reset", "-q")
    exclude = team.main.path / ".git/info/exclude"
    exclude.write_text(exclude.read_text() + "*add_basket.py\n")


@pytest.mark.long
@pytest.mark.parametrize("lose", [dangling, staged_only, stashed, outside, ignored])
def test_a_revision_that_is_hardly_anywhere_any_more(team, lose: Callable[[Team, Repo], None]):
    other, gone = team.tree("other"), team.tree("gone")
    basket = team.add(gone, "add basket")
    lose(team, gone)
    # Only the database says that it ran here; nobody works with it any more.
    team.raccord(other, "migrations", "heal", "--trust")
    assert f"{basket} (head)" in team.fine(other)


@pytest.mark.long
def test_a_branch_is_switched_in_between(team):
    one = team.tree("one")
    basket = team.add(one, "add basket")
    one.git("switch", "-q", "-c", "hotfix", "main")
    assert "Can't locate revision" in team.alembic(one, "upgrade", "head", fails=True)
    team.raccord(one, "migrations", "heal")
    assert f"{basket} (head)" in team.fine(one)
    one.git("switch", "-q", "one")
    team.raccord(one, "migrations", "heal")
    assert f"{basket} (head)" in team.fine(one)
    assert len([*(one.path / "backend/migrations/versions").glob(f"*{basket}*")]) == 1


@pytest.mark.long
def test_copies_in_a_folder_of_their_own(tmp_path):
    def listed(ini: str) -> str:
        line = "version_locations = %(here)s/migrations/versions:%(here)s/migrations/healed"
        return ini.replace("path_separator = os", f"{line}\npath_separator = os")

    team = Team.make(tmp_path, {"alembic": f"sqlite:///{tmp_path}/app.db"}, ini=listed)
    team.main.write(".gitignore", "__pycache__/\nbackend/migrations/healed/\n")
    commit_all(team.main, "ignore copies")
    one, other = team.tree("one"), team.tree("other")
    basket = team.add(one, "add basket")
    team.raccord(other, "migrations", "heal")
    assert f"{basket} (head)" in team.fine(other)
    (copy,) = (other.path / "backend/migrations/healed").iterdir()
    assert basket in copy.name and "/backend" not in (team.main.path / ".git/info/exclude").read_text()


@pytest.mark.long
def test_an_asynchronous_environment(tmp_path):
    pytest.importorskip("greenlet")
    server = pgkit.server()
    with server.lent() as name:
        url = server.url(name, scheme="postgresql+psycopg")
        team = Team.make(
            tmp_path, {"alembic": url}, lambda statement: server.run(statement, name), kind="async"
        )
        one, other = team.tree("one"), team.tree("other")
        basket = team.add(one, "add basket")
        mine = team.revise(other, "add shelf")
        commit_all(other, "add shelf")
        team.raccord(other, "migrations", "upgrade", "--yes")
        assert team.heads() == {basket, mine}
        team.fine(other)


@pytest.mark.long
def test_two_databases_of_one_environment(tmp_path):
    urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("engine1", "engine2")}
    team = Team.make(tmp_path, urls, kind="multidb")
    one, other = team.tree("one"), team.tree("other")
    basket = team.add(one, "add basket")
    mine = team.revise(other, "add shelf")
    commit_all(other, "add shelf")
    team.raccord(other, "migrations", "upgrade", "--yes")
    assert team.heads() == {basket, mine}
    assert "(head)" in team.alembic(other, "current")
    team.raccord(other, "undo", "--yes")
    assert team.heads() == {basket}


@pytest.mark.long
def test_a_version_table_of_another_name_in_another_schema(tmp_path):
    given = 'version_table="applied", version_table_schema="ops", connection=connection'
    server = pgkit.server()
    with server.lent() as name:
        server.run("create schema ops", name)
        team = Team.make(
            tmp_path,
            {"alembic": server.url(name, scheme="postgresql+psycopg")},
            lambda statement: server.run(statement, name),
            env=lambda text: text.replace("connection=connection", given),
        )
        one, other = team.tree("one"), team.tree("other")
        basket = team.add(one, "add basket")
        mine = team.revise(other, "add shelf")
        commit_all(other, "add shelf")
        team.raccord(other, "migrations", "upgrade", "--yes")
        assert team.heads("ops.applied") == {basket, mine}
        team.fine(other)


@pytest.mark.long
@pytest.mark.parametrize("team", ["sqlite", "postgresql"], indirect=True)
def test_a_feature_from_its_first_revision_to_the_day_it_is_given_up(team):
    basket = team.tree("basket")
    team.raccord(basket, "migrations", "new", "-m", "add basket")
    (file,) = (basket.path / "backend/migrations/versions").glob("*_add_basket.py")
    up, down = "create table basket (id integer)", "drop table basket"
    text = file.read_text()
    for statement in (up, down):
        text = text.replace("    pass", f"    op.execute({statement!r})", 1)
    file.write_text(text)
    team.raccord(basket, "migrations", "prove")
    commit_all(basket, "add basket")
    # Meanwhile the base goes on.
    team.raccord(team.main, "migrations", "new", "-m", "add shelf")
    commit_all(team.main, "add shelf")
    (shelf,) = {path.name[:12] for path in (team.main.path / "backend").rglob("*_add_shelf.py")}
    assert "lacks" in team.raccord(basket, "migrations", "rebase", code=5)
    basket.git("rebase", "-q", "main")
    assert "Multiple head" in team.alembic(basket, "upgrade", "head", fails=True)
    team.raccord(basket, "migrations", "rebase")
    commit_all(basket, "on top of the shelf")
    team.raccord(basket, "migrations", "upgrade", "--yes")
    (head,) = team.heads()
    assert f"down_revision: Union[str, Sequence[str], None] = {shelf!r}" in next(
        iter((basket.path / "backend/migrations/versions").glob(f"{head}_*.py"))
    ).read_text().replace('"', "'")
    assert team.ask("select * from basket") == []
    # It is given up; the database still has it.
    team.main.git("worktree", "remove", "--force", str(basket.path))
    team.main.git("branch", "-qD", "basket")
    assert "Can't locate revision" in team.alembic(team.main, "current", fails=True)
    team.raccord(team.main, "migrations", "rollback-phantoms", "--yes")
    assert team.heads() == {shelf}
    assert f"{shelf} (head)" in team.fine(team.main)
    team.raccord(team.main, "undo", "--yes")
    assert team.heads() == {head}


DOTENV = """\
import os
def load_dotenv():
    with open(os.path.join(os.path.dirname(__file__), ".env")) as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            os.environ.setdefault(key, value)
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_of_its_own_named_by_an_env_file(tmp_path, kind):
    def env(text: str) -> str:
        start, end = text.index("    connectable = engine_from_config("), text.index("    with connectable")
        engine = "    connectable = create_engine(os.environ['DATABASE_URL'])\n\n"
        lines = (
            "import os\nfrom dotenv import load_dotenv\nfrom sqlalchemy import create_engine\nload_dotenv()\n"
        )
        return lines + text[:start] + engine + text[end:]

    def prepare(backend: Path) -> None:
        (backend / "dotenv.py").write_text(DOTENV)
        (backend / ".env").write_text(f"DATABASE_URL={url}\n")

    with contextlib.ExitStack() as stack:
        server = pgkit.server() if kind == "postgresql" else None
        name = stack.enter_context(server.lent()) if server else ""
        url = server.url(name, scheme="postgresql+psycopg") if server else f"sqlite:///{tmp_path}/app.db"
        ask = (lambda statement: server.run(statement, name)) if server else asking(url)
        team = Team.make(tmp_path, {}, ask, env=env, prepare=prepare)
        (start,) = team.heads()
        basket, other = team.tree("basket"), team.tree("other")
        for tree in (basket, other):
            prepare(tree.path / "backend")
        team.raccord(basket, "migrations", "fork")
        team.raccord(basket, "migrations", "new", "-m", "add basket")
        commit_all(basket, "add basket")
        team.raccord(basket, "migrations", "upgrade", "--yes")
        assert "(head)" in team.fine(basket)
        # Nobody else's database knows of it.
        assert team.heads() == {start} and f"{start} (head)" in team.fine(other)
        team.raccord(basket, "migrations", "fork", "--drop", "--yes")
        assert f"{start}\n" in team.alembic(basket, "current") + "\n"
        team.raccord(basket, "migrations", "upgrade", "--yes")
        team.raccord(other, "migrations", "heal")
        assert team.heads() != {start} and "(head)" in team.fine(other)
