"""Which test command is found, and that looking for it runs and follows nothing."""

import os
from pathlib import Path

import pytest

from raccord.checks.observe import Gates, detect

PROGRAMS = ("pwsh", "make", "pytest", "npm")


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with every program that a gate may need; each would leave a file behind if it were run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def top(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    return path


def lay(top: Path, files: dict[str, str | bytes]) -> None:
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(data) if isinstance(data, str) else data)


def only(gates: Gates) -> tuple[str, str]:
    (gate,) = gates.gates
    return " ".join(gate.argv), gate.source


@pytest.mark.parametrize(
    ("files", "argv", "source"),
    [
        (
            {"tests/run_all.ps1": "", "Makefile": "test:\n"},
            "pwsh -NoProfile -ExecutionPolicy Bypass -File tests/run_all.ps1",
            "tests/run_all.ps1",
        ),
        ({"Makefile": "a: b\n\nlint test: a ## run\n\techo\n"}, "make test", "Makefile: target test"),
        ({"Makefile": ".PHONY: all \\\n  test\n", "pytest.ini": ""}, "make test", "Makefile: target test"),
        (
            {"Makefile": "test::\n\ttrue\n", "GNUmakefile": "test :\n"},
            "make test",
            "GNUmakefile: target test",
        ),
        ({"Makefile": b"# \xff\xfe\ntest: x\n"}, "make test", "Makefile: target test"),
        ({"Makefile": "test:\r\n\ttrue\r\n"}, "make test", "Makefile: target test"),
        (
            {"Makefile": "x:\n", "pyproject.toml": "[tool.pytest.ini_options]\n"},
            "pytest",
            "pyproject.toml: tool.pytest",
        ),
        ({"pyproject.toml": "[tool.pytest]\n"}, "pytest", "pyproject.toml: tool.pytest"),
        ({"pytest.ini": "", "package.json": "{"}, "pytest", "pytest.ini"),
        ({"tox.ini": "[pytest]\n"}, "pytest", "tox.ini: [pytest]"),
        ({"setup.cfg": "[tool:pytest]\n"}, "pytest", "setup.cfg: [tool:pytest]"),
        ({"tests/a/test_b.py": ""}, "pytest", "tests/a/test_b.py"),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm test", "package.json: scripts.test"),
    ],
)
def test_what_the_files_say(top: Path, files: dict[str, str | bytes], argv: str, source: str) -> None:
    lay(top, files)
    assert only(detect(top)) == (argv, source)
    assert not (top.parent / "ran").exists()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"Makefile": "test := 1\ntest = 2\ntest ?= 3\ntests: x\n\ttest: no\n# test:\nx: test\n%: y\n"},
        {"Makefile": b"test:\n" + b"#" * 1_100_000},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "[" * 100_000},
        {"package.json": '{"scripts": ["test"]}'},
        {"pyproject.toml": "[tool.pytest\n", "setup.cfg": "nonsense\n", "tox.ini": "[a\n"},
        {"pyproject.toml": b"\xff\xfe\x00", "tool": ""},
        {"tests/helper.py": "", "tests/.hidden/test_a.py": ""},
    ],
)
def test_none_is_a_note(top: Path, files: dict[str, str | bytes]) -> None:
    lay(top, files)
    gates = detect(top)
    assert gates.gates == ()
    assert [note.name for note in gates.notes] == ["gate.none"]


def test_configured_commands_win(top: Path) -> None:
    lay(top, {"Makefile": "test:\n"})
    gates = detect(top, [["make", "lint"], ["./check", "-x"]])
    assert [(gate.argv, gate.source, gate.missing) for gate in gates.gates] == [
        (("make", "lint"), "configured", ""),
        (("./check", "-x"), "configured", "./check"),
    ]


def test_none_can_be_configured(top: Path) -> None:
    lay(top, {"Makefile": "test:\n"})
    assert detect(top, ()).gates == ()


def test_the_worktrees_own_interpreter(top: Path, programs: Path) -> None:
    lay(top, {"pytest.ini": "", ".venv/bin/python": "#!/bin/sh\n"})
    (top / ".venv/bin/python").chmod(0o755)
    (programs / "pytest").unlink()
    gates = detect(top)
    assert only(gates)[0] == ".venv/bin/python -m pytest"
    assert not gates.gates[0].missing


def test_a_program_that_is_not_there(top: Path, programs: Path) -> None:
    (programs / "make").unlink()
    lay(top, {"Makefile": "test:\n"})
    assert detect(top).gates[0].missing == "make"


def test_links_out_of_the_tree_and_fifos_are_not_read(top: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    lay(tmp_path / "outside", {"Makefile": "test:\n", "run_all.ps1": "", "test_a.py": ""})
    (top / "Makefile").symlink_to(tmp_path / "outside/Makefile")
    (top / "tests").symlink_to(tmp_path / "outside")
    os.mkfifo(top / "pyproject.toml")
    (top / "package.json").symlink_to("package.json")
    (top / "setup.cfg").mkdir()
    assert detect(top).gates == ()


def test_a_link_within_the_tree_is_followed(top: Path) -> None:
    lay(top, {"build/Makefile": "test:\n"})
    (top / "Makefile").symlink_to("build/Makefile")
    assert only(detect(top))[0] == "make test"
