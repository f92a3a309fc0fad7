"""Bad input at the command line: one line, the next command, the documented exit code, nothing changed."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.gitkit import git
from tests.hostile.desk import RACCORD, Desk, program
from tests.hostile.house import wrong_output

# Where raccord is called


@pytest.mark.parametrize(
    "verb", ["status", "sync", "snapshot", "restore", "log", "undo", "continue", "init", "gc"]
)
def test_no_repository(desk, nowhere, verb):
    desk.refused(6, "nowhere is in no git repository", "git init", verb, at=nowhere)


def test_no_commit_yet(desk, nowhere):
    git(nowhere, "init", "-q")
    assert "main" in desk.answered(0, "status", at=nowhere)
    desk.refused(6, "this repository has no commit yet", "git commit", "sync", "--all", at=nowhere)
    desk.refused(2, "no snapshot", "raccord", "restore", "--yes", at=nowhere)
    desk.refused(2, "no run to take back", "raccord", "undo", "--yes", at=nowhere)


def test_a_bare_repository(desk):
    bare = desk.house.folder / "remote.git"
    for verb in ("sync", "snapshot"):
        desk.refused(6, "is no worktree, but a bare repository", f"raccord {verb} --all", verb, at=bare)
    desk.refused(6, "is no worktree, but a bare repository", "git worktree add", "init", at=bare)
    desk.answered(0, "status", at=bare)


def test_a_directory_that_is_a_file_or_is_not_there(desk):
    desk.refused(2, "-C lib.py: there is no such directory", "raccord --help", "-C", "lib.py", "status")
    desk.refused(
        2, "-C /none/x: there is no such directory", "raccord --help", "-C", "/none/x", "sync", "--all"
    )
    desk.refused(2, r"-C a b\\x1b\[31m: there is no", "raccord --help", "-C", "a\nb\x1b[31m", "log")


def test_a_directory_that_is_gone(desk, nowhere):
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    for more in ([], ["--json"]):
        found = program(["sh", "-c", script, "sh", str(nowhere), *RACCORD, "status", *more])
        assert found.code == 6
        assert wrong_output(more, found) == []
        assert "the working directory is gone" in found.text
        nowhere.mkdir()


# The configuration


@pytest.mark.parametrize(
    ("text", "line", "key", "says", "expected"),
    [
        ("[sync]\nbase = \n", 2, "", "invalid value", "TOML"),
        ("x = 1\n[sync\n", 2, "", "", "TOML"),
        ("[sync]\n# \xff\nbase = 'main'\n", 2, "", "is not UTF-8", "UTF-8 text"),
        ("\0", 1, "", "", "TOML"),
        ("[sync]\n\nbas = 'main'\n", 3, "sync.bas", "did you mean base", "one of .*base"),
        ("[sinc]\nbase = 'main'\n", 1, "sinc", "did you mean sync", "one of .*sync"),
        ("[sync]\nbase = 1\n", 2, "sync.base", "", "."),
        ("[sync]\njobs = 'many'\n", 2, "sync.jobs", "", "."),
        ("[sync]\njobs = -1\n", 2, "sync.jobs", "", "."),
        ("sync = 1\n", 1, "sync", "is not a table", r"\[sync\]"),
        ("[gates]\ncommands = 'make test'\n", 2, "gates.commands", "", "."),
        ("[gates]\ncommands = [[]]\n", 2, "gates.commands", "", "."),
        ("[sync]\nbase = 'main'\nbase = 'main'\n", 3, "", "", "TOML"),
    ],
)
def test_an_invalid_configuration(desk, text, line, key, says, expected):
    file = desk.house.repo.path / "raccord.toml"
    file.write_bytes(text.encode("latin-1"))
    error = desk.refused(
        6, re.escape(f"{file}:{line}: ") + f".*{says}", "edit .*raccord.toml", "sync", "--all"
    )
    assert (error["data"]["file"], error["data"]["line"], error["data"]["key"]) == (str(file), line, key)
    assert re.search(expected, error["data"]["expected"])
    assert "; expected " in error["message"]


def test_an_invalid_section_of_a_pyproject(desk):
    (desk.house.repo.path / "raccord.toml").unlink()
    file = desk.house.repo.write(
        "pyproject.toml", "[project]\nname = 'x'\n\n[tool.raccord.sync]\nbas = 'main'\n"
    )
    error = desk.refused(6, "did you mean base", "edit .*pyproject.toml:5", "sync", "--all")
    assert (error["data"]["file"], error["data"]["line"]) == (str(file), 5)


def test_two_configurations(desk):
    desk.house.repo.write("pyproject.toml", "[tool.raccord.sync]\nbase = 'main'\n")
    desk.refused(6, "raccord.toml is there too", "edit .*pyproject.toml", "status")


def test_a_configured_remote_or_base_that_is_not_there(desk):
    desk.house.repo.write("raccord.toml", "[sync]\nremote = 'upstream'\n")
    desk.refused(2, "no remote called 'upstream'", "git remote -v", "sync", "--all")
    desk.house.repo.write("raccord.toml", "[sync]\nbase = 'mian'\n")
    desk.refused(2, "no branch called mian; did you mean main", "git branch -a", "sync", "--all")
    assert "no branch called mian" in desk.answered(0, "status")


# Words


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        ("sync --base mian", "no branch called mian; did you mean main", "git branch -a"),
        (
            "sync --base -rf",
            "no branch called -rf|requires an argument|No such option",
            "git branch -a|--help",
        ),
        ("sync --base refs/heads/none", "no branch called refs/heads/none", "git branch -a"),
        ("sync --skip-tests", "--skip-tests needs --reason", "--reason"),
        (
            "sync --no-push --allow-dirty",
            "--no-push.*needs --reason|--allow-dirty.*needs --reason",
            "--reason",
        ),
        ("sync --skip-tests --reason '  '", "--skip-tests needs --reason", "--reason"),
        ('sync --test-command "\'"', "--test-command.*No closing quotation", "raccord sync --test-command"),
        ("sync --test-command ''", "names no program", "raccord sync --test-command"),
        ("sync --test-command [1]", "names no program", "raccord sync --test-command"),
        ("sync --test-command '[\"a\"'", "--test-command", "raccord sync --test-command"),
        ("sync --jobs -1", "--jobs", "raccord sync --help"),
        ("sync --jobs many", "--jobs", "raccord sync --help"),
        ("sync --jobs 1.5", "--jobs", "raccord sync --help"),
        ("sync --al", "No such option.*--al", "raccord sync --help"),
        ("sync extra", "extra", "raccord sync --help"),
        ("synk --all", "synk", "raccord --help"),
        ("show", "no run yet", "raccord status"),
        ("show none", "none|nothing was journalled", "raccord"),
        ("undo none --yes", "none", "raccord log"),
        ("undo --yes", "no run to take back", "raccord log"),
        ("continue", "no run waits", "raccord status"),
        ("continue --run none", "none", "raccord log"),
        ("skip agent", "no run waits", "raccord status"),
        ("abort --run ../../x", "x", "raccord log"),
        ("restore none --yes", "no snapshot called 'none'", "raccord restore --list"),
        ("restore --yes", "no snapshot of this worktree", "raccord restore --list"),
        ("log --limit 0", "--limit", "raccord log --help"),
        ("init", "raccord.toml is there already", "edit"),
    ],
)
def test_words_that_mean_nothing(desk, words, says, hint):
    desk.refused(2, says, hint, *shlex.split(words))


def test_names_that_are_known_nearly(desk):
    desk.answered(0, "snapshot", "--all")
    desk.refused(2, "none", "raccord log", "show", "none")
    desk.refused(2, r"\\x1b\[31m", "raccord log", "undo", "\x1b[31m", "--yes")
    desk.refused(2, "'none'", "raccord restore --list", "restore", "none", "--yes")
    desk.refused(2, "several snapshots|no snapshot", "raccord restore --list", "restore", "2", "--yes")
    desk.refused(2, "no run waits", "raccord status", "continue", "agent")


def test_numbers_that_are_large(desk):
    for number in ("0", "1000000000", "9" * 40):
        assert "Nothing was changed" in desk.answered(0, "sync", "--all", "--dry-run", "--jobs", number)
    desk.answered(0, "log", "--limit", "1000000000")


def test_a_limit_that_is_too_large(desk):
    desk.answered(0, "snapshot")
    desk.answered(0, "log", "--limit", "9" * 40)


# Git


def fake_git(desk: Desk, script: str) -> None:
    folder = desk.house.folder / "bin"
    folder.mkdir()
    (folder / "git").write_text(script)
    (folder / "git").chmod(0o755)
    desk.env["PATH"] = str(folder)


@pytest.mark.parametrize("verb", ["status", "sync", "snapshot", "log"])
def test_no_git(desk, verb):
    desk.env["PATH"] = str(desk.house.outside)
    error = desk.refused(6, "no git on the PATH", "install git", verb)
    assert error["kind"] == "GitMissing"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/bin/sh\necho git version 2.30.2\n", "git.* 2.30.2 is too old; raccord needs 2.39"),
        ("#!/bin/sh\necho git version 1.8\n", "too old; raccord needs 2.39"),
        ("#!/bin/sh\nprintf '\\033[31mhello'\n", r"is none: it says \\x1b\[31mhello"),
        ("#!/bin/sh\n:\n", "is none"),
        ("#!/nonexistent\n", "no git on the PATH|can't start"),
        ("not a program", "can't start git"),
    ],
)
def test_a_git_that_is_none_or_too_old(desk, script, says):
    fake_git(desk, script)
    for words in (["status"], ["sync", "--all"]):
        desk.refused(6, says, ".", *words)


def test_a_git_that_fails(desk):
    fake_git(desk, "#!/bin/sh\necho broken >&2; exit 3\n")
    desk.refused(1, "broken", ".", "status")


def test_nobody_knows_who_commits(desk):
    desk.house.config(("user.useConfigOnly", "true"))
    desk.env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "EMAIL": ""}
    desk.refused(6, "git does not know who you are", "git config", "sync", "--all")


# The remote


def test_a_remote_that_is_gone(desk):
    shutil.rmtree(desk.house.folder / "remote.git")
    desk.refused(6, "origin is no repository", "git remote -v", "sync", "--all")
    desk.answered(0, "status")


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/x", "http://127.0.0.1:1/x", "git://127.0.0.1:1/x"])
def test_a_remote_that_does_not_answer(desk, url):
    desk.house.repo.git("remote", "set-url", "origin", url)
    desk.refused(6, "origin can't be reached", "git ls-remote origin", "sync", "--all")


@pytest.fixture
def locked_server() -> Iterator[str]:
    """The URL of a server that wants a password."""

    class Locked(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="\x1b[31mx"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://name:secret-word@127.0.0.1:{server.server_port}/x"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_remote_that_wants_a_password(desk, locked_server):
    desk.house.repo.git("remote", "set-url", "origin", locked_server)
    error = desk.refused(6, "origin does not let us in", "git ls-remote origin", "sync", "--all")
    assert "secret-word" not in json.dumps(error)


def test_several_remotes(desk):
    desk.house.repo.git("remote", "rename", "origin", "one")
    desk.house.repo.git("remote", "add", "two", str(desk.house.folder / "remote.git"))
    desk.refused(2, "several remotes.*none is called origin", "raccord init", "sync", "--all")
    desk.answered(0, "status")


SPEAKS = "#!/bin/sh\nprintf 'all \\033[31mred\\033]0;title\\007\\n\\342\\200\\256back\\r\\n' >&2\nexit 1\n"


def test_what_a_remote_says_moves_no_cursor(desk):
    hook = desk.house.folder / "remote.git/hooks/pre-receive"
    hook.parent.mkdir()
    hook.write_text(SPEAKS)
    hook.chmod(0o755)
    said = desk.answered(5, "sync", "--all", "--skip-tests", "--reason", "a test")
    assert r"\x1b[31mred" in said
    (run,) = json.loads(desk.answered(0, "log", "--json"))["runs"]
    assert r"\x1b[31mred" in desk.answered(0, "show", run["id"])


def test_what_a_test_says_moves_no_cursor(desk):
    test = desk.house.outside / "test"
    test.write_text(SPEAKS)
    test.chmod(0o755)
    desk.answered(5, "sync", "--all", "--no-push", "--reason", "x", "--test-command", str(test))
