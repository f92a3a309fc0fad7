"""Hostile and broken migrations: ways to plant them, and what raccord must say of each.

The workspace has two worktrees on one SQLite database. It is at "r2", which the agent's worktree has and main
lacks, so that a heal has something to do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.git.traps import Trap
from tests.gitkit import Repo
from tests.hostile.house import House

BACKEND = "backend"
SCRIPT = f"{BACKEND}/migrations"
VERSIONS = f"{SCRIPT}/versions"
INI = f"{BACKEND}/alembic.ini"
ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
URL = "sqlite:///../../app.db"
# Of each verb the short name, its words, and whether it may change something.
VERBS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "list": ("list",),
    "find": ("find", "r2"),
    "current": ("current",),
    "history": ("history",),
    "heads": ("heads",),
    "heal": ("heal",),
    "upgrade": ("upgrade", "--yes"),
    "merge": ("merge", "-m", "x"),
}
LOOKS = ("status", "list", "find", "current", "history", "heads")
HERE = ("current", "history", "heads", "heal", "upgrade", "merge")


def revision(id_: str, down: str | None) -> str:
    """A revision file."""
    return (
        f'"""create {id_[:9]!r}"""\nrevision = {id_!r}\ndown_revision = {down!r}\nfrom alembic import op\n'
        f'def upgrade():\n    op.execute("create table t (x int)")\n'
        f'def downgrade():\n    op.execute("drop table t")\n'
    )


def ini(url: str = URL, more: str = "") -> str:
    """An alembic.ini."""
    return f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url}\n{more}"


def build(folder: Path) -> Path:
    """Builds what all cases start from."""
    repo = Repo.init(folder / "clone")
    files = {INI: ini(), f"{SCRIPT}/env.py": ENV, ".gitignore": "__pycache__/\n"}
    repo.commit({**files, f"{VERSIONS}/r1_x.py": revision("r1", None)}, "start")
    agent = repo.worktree("agent", "agent")
    agent.commit({f"{VERSIONS}/r2_x.py": revision("r2", "r1")})
    rows(folder, "r2")
    return folder


def copied(template: Path, folder: Path) -> House:
    """A copy of the workspace, as the tests' desk takes it."""
    shutil.copytree(template, folder, symlinks=True)
    for name in ("clone/.git/worktrees/agent/gitdir", "agent/.git"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(str(template), str(folder)))
    repo = Repo(folder / "clone")
    return House(folder, repo, Repo(folder / "agent"), Trap.made(folder / "trap"), at=repo.path)


def rows(folder: Path, *heads: object, table: str = "alembic_version (version_num)") -> None:
    """Puts a version table into the database."""
    with contextlib.closing(sqlite3.connect(folder / "app.db")) as db, db:
        db.execute("drop table if exists alembic_version")
        db.execute(f"create table {table}")
        db.executemany("insert into alembic_version values (?)", [(one,) for one in heads])


@dataclass(frozen=True)
class Case:
    """One way to be broken.

    Attributes:
        plant: makes the workspace so.
        codes: the exit code of each verb; those that aren't named are to work.
        says: a pattern that what these verbs say must match.
        also: a pattern for `status`, whatever it ends with.
        long: whether it is left out by default.
    """

    plant: Callable[[House], object]
    codes: dict[str, int]
    says: str
    also: str = ""
    long: bool = False


CASES: dict[str, Case] = {}


def case(
    says: str, also: str = "", *, verbs: tuple[str, ...] = (), code: int = 0, long: bool = False, **codes: int
) -> Callable[[Callable[[House], object]], Callable[[House], object]]:
    """Registers a case.

    Args:
        code: the exit code of `verbs`.
        codes: those of other verbs.
    """

    def register(plant: Callable[[House], object]) -> Callable[[House], object]:
        assert plant.__name__ not in CASES
        CASES[plant.__name__] = Case(plant, {**dict.fromkeys(verbs, code), **codes}, says, also, long)
        return plant

    return register


def write(house: House, path: str, data: str | bytes | None) -> Path:
    """Writes a file of main's worktree."""
    return house.repo.write(path, data)


def instead(house: House, path: str) -> Path:
    """The place of a file or folder of main's, once that is gone."""
    found = house.repo.path / path
    if found.is_dir() and not found.is_symlink():
        shutil.rmtree(found)
    else:
        found.unlink(missing_ok=True)
    return found


def urls(house: House, url: str) -> None:
    """Names another database in both worktrees."""
    for tree in (house.repo, house.agent):
        tree.write(INI, ini(url))


# The configuration


@case("no alembic.ini.*in .*clone or below", verbs=(*HERE, "list", "status"), code=6)
def no_configuration_anywhere(house: House) -> None:
    for tree in (house.repo, house.agent):
        tree.write(INI, None)


@case("no alembic.ini", "clone: no alembic.ini", verbs=HERE, code=6)
def no_configuration_here(house: House) -> None:
    write(house, INI, None)


@case("2 alembic configurations: backend/alembic.ini, second/alembic.ini", "2 alembic", verbs=HERE, code=2)
def two_configurations(house: House) -> None:
    write(house, "second/alembic.ini", ini())


@case(r"script_location: refers to %\(nope\)s", "script_location", verbs=HERE, code=6, long=True)
def an_option_that_refers_to_nothing(house: House) -> None:
    write(house, INI, "[alembic]\nscript_location = %(nope)s/x\n")


@case("sqlalchemy.url: has a bare %", "sqlalchemy.url: has a bare %", current=6, upgrade=5, merge=2)
def a_password_with_a_bare_percent_sign(house: House) -> None:
    urls(house, "postgresql://u:my%secret@127.0.0.1:1/x")


@case("alembic.ini:1: stands before the first", "alembic.ini:1", verbs=HERE, code=6, long=True)
def a_configuration_that_is_garbage(house: House) -> None:
    write(house, INI, b"\0\xff[[[\x1b[31m")


@case(r"alembic.ini:4: \[alembic\]: is there twice", "is there twice", verbs=HERE, code=6, long=True)
def a_section_that_is_there_twice(house: House) -> None:
    write(house, INI, ini(more="[alembic]\n"))


@case("script_location: is not set", "script_location", verbs=HERE, code=6, long=True)
def a_configuration_that_is_empty(house: House) -> None:
    write(house, INI, "")


@case("no alembic.ini", "no alembic.ini", verbs=HERE, code=6, long=True)
def a_configuration_that_is_a_pipe(house: House) -> None:
    os.mkfifo(instead(house, INI))


@case("no alembic.ini", "no alembic.ini", verbs=HERE, code=6, long=True)
def a_configuration_that_leads_to_itself(house: House) -> None:
    instead(house, INI).symlink_to("alembic.ini")


@case("alembic.ini: 3221225472 bytes", "3221225472 bytes", verbs=HERE, code=6, long=True)
def a_configuration_that_is_huge(house: House) -> None:
    os.truncate(house.repo.path / INI, 3 << 30)


@case("version_locations: holds a NUL byte", "NUL", verbs=HERE, code=6)
def a_folder_with_a_nul(house: House) -> None:
    write(house, INI, ini(more="version_locations = a\0b\n"))


@case("pyproject.toml: .*version_locations: holds a NUL", "NUL", verbs=HERE, code=6, long=True)
def a_folder_with_a_nul_in_toml(house: House) -> None:
    write(house, INI, None)
    text = '[tool.alembic]\nscript_location = "migrations"\nversion_locations = ["a\\u0000b"]\n'
    write(house, f"{BACKEND}/pyproject.toml", text)


@case("pyproject.toml: .*at line 1", "pyproject.toml", verbs=HERE, code=6, long=True)
def a_pyproject_that_is_no_toml(house: House) -> None:
    write(house, INI, None)
    write(house, f"{BACKEND}/pyproject.toml", "[tool.alembic\n")


@case("", "1 missing", merge=2)
def a_pyproject_that_is_a_pipe(house: House) -> None:
    os.mkfifo(house.repo.path / BACKEND / "pyproject.toml")


@case("path_separator: 'comma' is not valid", "comma", verbs=HERE, code=6, long=True)
def a_separator_that_is_none(house: House) -> None:
    write(house, INI, ini(more="version_locations = a:b\npath_separator = comma\n"))


@case("no folder of .*backend", "no folder of", verbs=HERE, code=6, long=True)
def no_scripts(house: House) -> None:
    instead(house, SCRIPT)


# env.py


@case("env.py, which has a syntax error", "env.py, which has a syntax error", current=6, upgrade=5, merge=2)
def an_env_that_is_no_python(house: House) -> None:
    write(house, f"{SCRIPT}/env.py", "def (\n")


@case("env.py, which can't be read: not a regular", "not read", current=6, upgrade=5, merge=2, long=True)
def an_env_that_is_a_pipe(house: House) -> None:
    os.mkfifo(instead(house, f"{SCRIPT}/env.py"))


@case("env.py, which can't be read: No such", "not read", current=6, upgrade=5, merge=2, long=True)
def no_env(house: House) -> None:
    write(house, f"{SCRIPT}/env.py", None)


@case("env.py, which can't be read: 3221225472", "not read", current=6, upgrade=5, merge=2, long=True)
def an_env_that_is_huge(house: House) -> None:
    os.truncate(house.repo.path / SCRIPT / "env.py", 3 << 30)


@case("the schema aside is attached", "not read", current=6, upgrade=5, merge=2, long=True)
def a_schema_that_sqlite_has_not(house: House) -> None:
    given = "connection=connection, version_table_schema='aside'"
    write(house, f"{SCRIPT}/env.py", ENV.replace("connection=connection", given))


# Folders and files


@case("", "1 missing", merge=2)
def an_empty_version_folder(house: House) -> None:
    write(house, f"{VERSIONS}/r1_x.py", None)


@case("", "1 missing", merge=2, long=True)
def no_version_folder(house: House) -> None:
    instead(house, VERSIONS)


@case("versions is no folder", "1 missing", heal=5, upgrade=5, merge=2, long=True)
def a_version_folder_that_is_a_file(house: House) -> None:
    instead(house, VERSIONS).write_text("x")


@case("versions is no folder", "1 missing", heal=5, upgrade=5, merge=2, long=True)
def a_version_folder_that_is_a_pipe(house: House) -> None:
    os.mkfifo(instead(house, VERSIONS))


@case("versions is no folder", "1 missing", heal=5, upgrade=5, merge=2)
def a_version_folder_that_leads_to_itself(house: House) -> None:
    instead(house, VERSIONS).symlink_to("versions")


@case("version folder lies outside", "1 missing", heal=5, upgrade=5, merge=2)
def a_version_folder_outside(house: House) -> None:
    (house.outside).mkdir()
    (house.outside / "r1_x.py").write_text(revision("r1", None))
    write(house, INI, ini(more="version_locations = ../../outside\n"))


@case("version folder lies outside", "1 missing", heal=5, upgrade=5, merge=2, long=True)
def a_version_folder_that_leads_out(house: House) -> None:
    shutil.move(house.repo.path / VERSIONS, house.outside)
    (house.repo.path / VERSIONS).symlink_to(house.outside)


@case("bad.py:2: syntax error", "bad.py:2: syntax error", upgrade=5, merge=2)
def a_file_with_a_syntax_error(house: House) -> None:
    write(house, f"{VERSIONS}/bad.py", "revision = 'bad'\ndown_revision = (\n")


@case("", "bad.py:2: syntax error", merge=2, long=True)
def a_file_with_a_syntax_error_elsewhere(house: House) -> None:
    house.agent.write(f"{VERSIONS}/bad.py", "revision = 'bad'\ndown_revision = (\n")


@case("null bytes|NUL", "nul.py", upgrade=5, merge=2)
def a_file_with_a_nul(house: House) -> None:
    write(house, f"{VERSIONS}/nul.py", "revision = 'nul'\0\ndown_revision = None\n")


@case("which no database can hold", "nul.py", upgrade=5, merge=2, long=True)
def an_id_with_a_nul(house: House) -> None:
    write(house, f"{VERSIONS}/nul.py", r"revision = 'a\0b'; down_revision = None")


@case("huge.py: can't be read: 5368709120 bytes", "huge.py", upgrade=5, merge=2)
def a_file_that_is_huge(house: House) -> None:
    write(house, f"{VERSIONS}/huge.py", b"")
    os.truncate(house.repo.path / VERSIONS / "huge.py", 5 << 30)


@case("Too many levels of symbolic links", "loop.py", upgrade=5, merge=2, long=True)
def a_file_that_leads_to_itself(house: House) -> None:
    (house.repo.path / VERSIONS / "loop.py").symlink_to("loop.py")


@case("pipe.py: can't be read: not a regular file", "pipe.py", upgrade=5, merge=2)
def a_file_that_is_a_pipe(house: House) -> None:
    os.mkfifo(house.repo.path / VERSIONS / "pipe.py")


@case("zero.py: can't be read: not a regular file", "zero.py", upgrade=5, merge=2, long=True)
def a_file_that_is_endless(house: House) -> None:
    os.mknod(house.repo.path / VERSIONS / "zero.py", 0o020644, os.makedev(1, 5))


@case("", "1 missing", merge=2, long=True)
def a_folder_that_is_called_as_a_file_and_one_that_leads_to_itself(house: House) -> None:
    (house.repo.path / VERSIONS / "dir.py").mkdir()
    (house.repo.path / VERSIONS / "round").symlink_to(".")


@case(
    "these revisions come before each other: r8, r9|go in a circle: r8, r9",
    "r8, r9",
    heal=5,
    upgrade=5,
    merge=6,
)
def a_circle(house: House) -> None:
    write(house, f"{VERSIONS}/r8.py", revision("r8", "r9"))
    write(house, f"{VERSIONS}/r9.py", revision("r9", "r8"))
    write(house, f"{VERSIONS}/r3.py", revision("r3", "r1"))
    write(house, f"{VERSIONS}/r4.py", revision("r4", "r1"))


@case(
    "r1 is in several files, with different contents: r1_x.py, r1_y.py", "several files", upgrade=5, merge=2
)
def an_id_that_is_there_twice(house: House) -> None:
    write(house, f"{VERSIONS}/r1_y.py", revision("r1", None) + "x = 1\n")


@case("", "1 missing", merge=2)
def names_that_are_no_text(house: House) -> None:
    for name in (b"r\xff\xfe_x.py", b"-rf_x.py", b"a b\n'$(x)'.py"):
        path = os.fsencode(house.repo.path / VERSIONS) + b"/" + name
        with open(path, "w") as file:
            file.write(revision(f"r{len(name)}", "r1"))
    house.repo.git("add", "-A")


@case("script.py.mako", "2 heads", long=True)
def a_template_that_is_a_pipe(house: House) -> None:
    write(house, f"{VERSIONS}/r3_x.py", revision("r3", None))
    os.mkfifo(house.repo.path / SCRIPT / "script.py.mako")


@case("exclude is no plain file", "1 missing", heal=6, upgrade=6, merge=6, long=True)
def an_ignore_file_that_is_a_folder(house: House) -> None:
    path = house.git / "info/exclude"
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


@case("exclude is no plain file", "1 missing", heal=6, upgrade=6, merge=6)
def an_ignore_file_that_is_a_pipe(house: House) -> None:
    path = house.git / "info/exclude"
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@case("exclude is no plain file", "1 missing", heal=6, upgrade=6, merge=2, long=True)
def an_ignore_file_that_leads_out(house: House) -> None:
    path = house.git / "info/exclude"
    path.unlink(missing_ok=True)
    path.symlink_to(house.outside)


# The database


@case("app.db is not there", "app.db is not there", current=6, merge=2, long=True)
def no_database(house: House) -> None:
    (house.folder / "app.db").unlink()


@case("file is not a database", "not a database", current=6, upgrade=5, merge=2)
def a_database_that_is_none(house: House) -> None:
    (house.folder / "app.db").write_bytes(b"no database\x1b[31m" * 1000)


@case("app.db is no file", "app.db is no file", current=6, upgrade=5, merge=2, long=True)
def a_database_that_is_a_folder(house: House) -> None:
    (house.folder / "app.db").unlink()
    (house.folder / "app.db").mkdir()


@case("app.db is no file", "app.db is no file", current=6, upgrade=5, merge=2, long=True)
def a_database_that_is_a_pipe(house: House) -> None:
    (house.folder / "app.db").unlink()
    os.mkfifo(house.folder / "app.db")


@case("Too many levels of symbolic links", "symbolic links", current=6, upgrade=5, merge=2, long=True)
def a_database_that_leads_to_itself(house: House) -> None:
    (house.folder / "app.db").unlink()
    (house.folder / "app.db").symlink_to("app.db")


@case("can't be used|no text column", "not read", current=6, upgrade=5, merge=2, long=True)
def a_database_that_was_cut_off(house: House) -> None:
    os.truncate(house.folder / "app.db", 5000)


@case("Connection refused", "Connection refused", current=6, upgrade=5, merge=2)
def a_server_that_is_not_there(house: House) -> None:
    urls(house, "postgresql://u:secret@127.0.0.1:1/x")


@case("raccord does not speak mysql", "does not speak mysql", current=6, upgrade=5, merge=2, long=True)
def a_database_of_another_kind(house: House) -> None:
    urls(house, "mysql://u:secret@h/x")


@case("is no URL", "is no URL", current=6, upgrade=5, merge=2, long=True)
def a_url_that_is_none(house: House) -> None:
    urls(house, "nonsense")


@case("port in a URL of postgresql:// can't be read", "can't be read", current=6, upgrade=5, merge=2)
def a_url_with_a_port_that_is_none(house: House) -> None:
    urls(house, "postgresql://u:my@secret@h:port/x")


@case("URL holds a NUL", "NUL", current=6, upgrade=5, merge=2, long=True)
def a_url_with_a_nul(house: House) -> None:
    urls(house, "sqlite:///a%%00b.db")


@case("in the memory of another process", "memory", current=6, upgrade=5, merge=2, long=True)
def a_database_in_memory(house: House) -> None:
    urls(house, "sqlite://")


@case("nowhere to be found: lost.*worktrees: 3 files in 2", "1 missing", heal=5, upgrade=5, merge=2)
def a_revision_that_is_nowhere(house: House) -> None:
    rows(house.folder, "lost")


@case("nowhere to be found: .* and 2992 more", "3000 missing", heal=5, upgrade=5, merge=2)
def three_thousand_revisions_that_are_nowhere(house: House) -> None:
    rows(house.folder, *(f"x{number}" for number in range(3000)))


@case("row without text", "row without text", current=6, upgrade=5, merge=2)
def a_row_that_is_null(house: House) -> None:
    rows(house.folder, "r2", None)


@case("row without text", "row without text", current=6, upgrade=5, merge=2, long=True)
def rows_that_are_bytes_and_empty(house: House) -> None:
    rows(house.folder, "r2", b"\xff\0", "")


@case(r"nowhere to be found: .*\\x1b\[31m", r"\\x1b\[31m", heal=5, upgrade=5, merge=2, long=True)
def rows_that_move_the_cursor(house: House) -> None:
    rows(house.folder, "r2", "r2", "\x1b[31m", "a\nb", "$(x)", 7)


@case("no text column version_num", "no text column", current=6, upgrade=5, merge=2, long=True)
def a_version_table_of_somebody_else(house: House) -> None:
    rows(house.folder, "x", table="alembic_version (other)")
