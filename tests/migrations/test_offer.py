"""What `raccord init` offers to a project with alembic: added as it stands there, alembic takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.workspace import Workspace
from tests.alembickit import alembic
from tests.gitkit import Repo
from tests.verbs.test_migrations import ENV

INI = "[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = sqlite:////nowhere/at/all.db\n"
VERSIONS = "backend/migrations/versions"


def revision(id_: str, down: str) -> str:
    return f"revision = {id_!r}\ndown_revision = {down}\ndef upgrade(): pass\ndef downgrade(): pass\n"


def project(path: Path, ini: str) -> Repo:
    repo = Repo.init(path)
    files = {"backend/alembic.ini": ini, "backend/migrations/env.py": ENV}
    repo.commit({**files, f"{VERSIONS}/r1.py": revision("r1", "None")})
    return repo


def taken(repo: Repo, text: str) -> list[str]:
    """Adds the offered lines to the files that they name; returns them."""
    lines = [line[1:].removeprefix(" ") for line in text.splitlines() if line.startswith("#")]
    at = lines.index("backend/alembic.ini, below [alembic]:")
    end = lines.index(".gitignore:", at)
    options = [line.removeprefix("  ") for line in lines[at + 1 : end]]
    path = repo.path / "backend/alembic.ini"
    path.write_text(
        path.read_text().replace("[alembic]\n", "[alembic]\n" + "".join(f"{one}\n" for one in options), 1)
    )
    repo.write(".gitignore", lines[end + 1].strip() + "\n")
    return options


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("plain", ""),
        ("a folder", ""),
        ("os", "path_separator = os\n"),
        ("several", "prepend_sys_path = .:src\n"),
    ],
)
def test_the_offered_lines_do_what_they_say(tmp_path: Path, name: str, more: str) -> None:
    repo = project(tmp_path / name, INI + more)
    text = Workspace.open(repo.path).init()
    options = taken(repo, text)
    assert options[0].startswith("version_locations = %(here)s/migrations/versions"), text
    assert alembic(repo, "heads") == "r1 (head)"
    repo.write("backend/migrations/overlay/r2.py", revision("r2", "'r1'"))
    assert alembic(repo, "heads") == "r2 (head)"
    assert "overlay" not in repo.git("status", "--porcelain", "-uall")
    assert "version_locations" not in Workspace.open(repo.path).init(), "it is there now"


def test_nothing_is_offered_where_there_is_no_alembic_and_nothing_is_written(tmp_path: Path) -> None:
    empty = Repo.init(tmp_path / "empty")
    empty.commit({"a": "a"})
    assert "version_locations" not in Workspace.open(empty.path).init()
    repo = project(tmp_path / "one", INI)
    Workspace.open(repo.path).init(write=True)
    assert repo.git("status", "--porcelain", "-uall") == "?? raccord.toml"
