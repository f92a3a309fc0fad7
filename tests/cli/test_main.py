"""The program as a person starts it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raccord import __version__
from raccord.cli import app, output
from raccord.cli.main import main
from raccord.errors import WorldMoved

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None, **options):
    """Runs the program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "raccord", *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=150,
        **options,
    )


def imported(*words: str) -> set[str]:
    """The modules that are loaded once the program has run a command line."""
    script = (
        "import sys; from raccord.cli.main import main; main(sys.argv[1:]); print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=150)
    return set(done.stdout.splitlines())


def test_version_imports_nothing_heavy():
    assert run("--version").stdout == f"raccord {__version__}\n"
    loaded = imported("--version")
    ours = {name for name in loaded if name.startswith("raccord") and " " not in name}
    assert ours == {"raccord", "raccord.cli", "raccord.cli.main"}
    assert not loaded & {"typer", "rich", "subprocess", "sqlite3", "json", "dataclasses", "tomllib"}


def test_a_verb_imports_its_own_file_and_no_other():
    loaded = imported("sync", "--skip-tests")
    verbs = {name for name in app.VERBS if f"raccord.cli.{app.module_name(name)}" in loaded}
    assert verbs == {"sync"}
    assert "raccord.workspace" not in loaded
    assert "rich" not in loaded


def test_the_help_lists_every_verb_in_its_group(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Example: raccord sync --all --dry-run" in out
    order = [out.index(f" {group} ─") for group in ("Look", "Act", "Run", "Set up")]
    assert order == sorted(order)
    for verb in app.VERBS:
        assert f"│ {verb} " in out
    # One screen: each verb takes one line, beside the options and frames.
    assert len(out.rstrip().splitlines()) <= 25 + len(app.VERBS)


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_page_of_help_ends_with_an_example(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.rstrip().splitlines()[-1].strip().startswith("Example: raccord")
    assert "--json" in out


@pytest.mark.parametrize(
    ("words", "said", "then"),
    [
        (["synk"], "No such command 'synk'. Did you mean 'sync'?", "raccord --help"),
        (["sync", "--bogus"], "No such option: --bogus", "raccord sync --help"),
        (["sync", "--jobs", "many"], "Invalid value for '--jobs'", "raccord sync --help"),
        (["env", "check", "--bogus"], "No such option: --bogus", "raccord env check --help"),
        (
            ["-C", "/nowhere/at/all", "status"],
            "-C /nowhere/at/all: there is no such directory",
            "raccord --help",
        ),
        (["sync", "--no-push"], "--no-push needs --reason TEXT", 'raccord sync --no-push --reason "…"'),
        (["sync", "--no-push", "--reason", " "], "--no-push needs --reason TEXT", "raccord sync"),
        (["sync", "-SkipTests", "-AllowDirty"], "--skip-tests --allow-dirty needs --reason", "raccord sync"),
        (["sync", "-TestCommands", "@()"], "-TestCommands names no command", "raccord sync --test-command"),
        (
            ["sync", "--test-command", ""],
            "--test-command '': names no program",
            "raccord sync --test-command",
        ),
        (["sync", "--test-command", "a 'b"], "--test-command a 'b: ", "raccord sync --test-command"),
        (["sync", "--test-command", "[1]"], "--test-command [1]: names no program", "raccord sync"),
    ],
)
def test_a_wrong_call_is_one_line_and_the_next_command(words, said, then, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first.startswith(f"raccord: {said}")
    assert second.startswith(f"next: {then}")


def test_a_wrong_call_with_json_is_an_object(capsys):
    assert main(["sync", "--no-push", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit"] == 2
    assert err == ""


def test_a_directory_without_a_repository(tmp_path):
    done = run("status", cwd=tmp_path)
    assert done.returncode == 6
    assert done.stdout == ""
    assert done.stderr.startswith("raccord: ")
    assert done.stderr.splitlines()[-1].startswith("next: ")
    assert len(done.stderr.splitlines()) == 2


def test_a_working_directory_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD" && exec "$0" -m raccord status'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=gone, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 6, done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_full_disk_is_no_bug():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "raccord", "init", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=150,
        )
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("raccord: No space left on device\nnext: ")


def test_a_reader_that_went_away_is_no_failure(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        output.write("x" * 100)
        assert gone.closed


def test_a_closed_pipe_leaves_no_trace():
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m raccord --help | true; echo ${{PIPESTATUS:-}}"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.stderr == ""


def test_a_stream_that_lacks_a_character_shows_it_escaped():
    done = run("sync", "--no-push", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "\\u2026" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "raccord: interrupted\n"),
        (WorldMoved("main moved"), 1, "raccord: main moved\n"),
        (ZeroDivisionError("x"), 3, "raccord: a bug: ZeroDivisionError: x\n"),
    ],
)
def test_what_a_verb_raises(error, code, said, capsys, monkeypatch):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(app, "_invoke", fails)
    assert main(["status"]) == code
    assert said in capsys.readouterr().err


def test_completion_offers_verbs_and_options():
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_RACCORD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return run(env=env).stdout.split("\n")

    assert "sync" in complete("raccord s")
    assert "--allow-dirty" in complete("raccord sync --a")


def test_the_verb_is_found_behind_the_global_options():
    assert app.verb_at(["-C", "sync", "status"]) == 2
    assert app.verb_at(["--json", "--no-color", "log"]) == 2
    assert app.verb_at(["-C", "x"]) is None
    assert app.verb_at([]) is None


def test_the_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_streams_are_prepared_even_where_they_are_no_files(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    output.prepare()
