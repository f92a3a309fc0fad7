"""Errors become a line, a next command and a documented exit code."""

from __future__ import annotations

import errno
import json
import typing
from pathlib import Path

import pytest

from raccord import errors
from raccord.cli import bug, exits
from raccord.model.plan import RESTORE_FAILED, Finding
from raccord.model.report import LaneReport, RunReport, RunState


def family(cls: type[errors.RaccordError]) -> list[type[errors.RaccordError]]:
    """A class and all that derive from it."""
    return [cls, *(one for below in cls.__subclasses__() for one in family(below))]


def made(cls: type[errors.RaccordError]) -> errors.RaccordError:
    """An error of a class, whatever its arguments."""
    if cls is errors.ConfigError:
        return errors.ConfigError("raccord.toml", 3, "sync.jobs", "is a string", "a number")
    if issubclass(cls, errors.ProcessFailed):
        return cls(("git", "push"), 1, "refused\n")
    return cls("something is wrong")


@pytest.mark.parametrize("cls", family(errors.RaccordError))
def test_every_error_has_a_documented_code_and_a_next_command(cls):
    problem = exits.problem(made(cls), [])
    assert problem.exit in exits.MEANING
    assert problem.exit != exits.BUG
    assert problem.kind == cls.__name__
    assert problem.message
    assert problem.hint


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.NotARepository("x"), 6),
        (errors.StoreError("x"), 6),
        (errors.WorldMoved("x"), 1),
        (errors.HeldBack("x"), 5),
        (errors.Stop("x"), 4),
        (errors.RestoreFailed("x"), 7),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 6),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 6),
        (OSError(errno.EROFS, "Read-only file system"), 6),
        (OSError(errno.EINVAL, "Invalid argument"), 3),
        (KeyError("x"), 3),
        (AssertionError(), 3),
    ],
)
def test_the_codes(error, code):
    assert exits.problem(error, []).exit == code


def ended(state: RunState, *lanes: LaneReport) -> RunReport:
    return RunReport("run", "sync", state, lanes)


def test_every_state_of_a_run_has_a_code():
    for state in typing.get_args(RunState):
        assert exits.of_run(ended(state)) in exits.MEANING
    assert exits.of_run(ended("failed")) == 1
    assert exits.of_run(ended("partial")) == 5
    assert exits.of_run(ended("stopped")) == 4
    lost = Finding(RESTORE_FAILED, "unknown", "it is in snapshot 1", "raccord restore 1")
    assert exits.of_run(ended("stopped", LaneReport("a", "A", "stopped", lost))) == 7


def test_the_lines_on_standard_error(capsys):
    code = exits.tell(
        exits.problem(errors.UsageError("no\nsuch \x1b[31mbranch", hint="git branch"), []), as_json=False
    )
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err == "raccord: no such \\x1b[31mbranch\nnext: git branch\n"


def test_the_object_on_standard_output(capsys):
    error = errors.WorldMoved("main moved", hint="raccord sync", ref="refs/heads/main\udcff")
    assert exits.tell(exits.problem(error, []), as_json=True) == 1
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert err == ""
    assert said["version"] == 1
    assert said["error"]["kind"] == "WorldMoved"
    assert said["error"]["data"] == {"ref": "refs/heads/main\udcff"}


def test_a_bug_comes_with_a_report(capsys):
    with pytest.raises(KeyError) as caught:
        dict[str, str]()["key"]
    assert exits.tell(exits.problem(caught.value, ["sync", "--token", "hunter2"]), as_json=False) == 3
    _, err = capsys.readouterr()
    for words in (
        "raccord ",
        "python ",
        "git 2.",
        "platform ",
        "argv 'sync'",
        "test_exits.py",
        "KeyError",
    ):
        assert words in err
    assert "hunter2" not in err
    assert err.splitlines()[-2] == "raccord: a bug: KeyError"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--password", "x", "-p"], ["--password", "…", "-p"]),
        (["--api-key=x"], ["--api-key=…"]),
        (["GITHUB_TOKEN=x"], ["GITHUB_TOKEN=…"]),
        (["https://me:x@host/r.git"], ["https://…"]),
        (["--url=postgres://me:x/@y@host/n?x=y"], ["--url=postgres://…"]),
        (["--test-command", "pytest -q"], ["--test-command", "pytest -q"]),
        (["--base", "main"], ["--base", "main"]),
    ],
)
def test_a_report_has_no_secrets(argv, shown):
    assert bug.redacted(argv) == shown


def test_data_that_json_does_not_know_is_no_second_error(capsys):
    error = errors.CannotRun("x", path=Path("/x"), many={1, 2}, raw=b"\xff")
    assert exits.tell(exits.problem(error, []), as_json=True) == 6
    assert json.loads(capsys.readouterr().out)["error"]["data"]["path"] == "/x"
