"""`raccord env`: what there is, what can be reached, and commands that run there, from the command line."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import TransportError, UsageError
from raccord.model.options_env import EnvExecOptions
from raccord.workspace import Workspace
from tests import pgkit, sshkit, warm
from tests.gitkit import Repo

SRC = Path(__file__).resolve().parent.parent.parent / "src"


@pytest.fixture
def shop(tmp_path) -> Repo:
    repo = Repo.init(tmp_path / "shop")
    repo.commit({"a.txt": "a"}, "start")
    return repo


def configure(shop: Repo, **environments: Mapping[str, object]) -> None:
    lines = []
    for name, keys in environments.items():
        lines += [f"[environments.{name}]", *(f"{key} = {json.dumps(one)}" for key, one in keys.items())]
    (shop.path / "raccord.toml").write_text("\n".join(lines) + "\n")


def behind(far: sshkit.Host, **keys: object) -> dict[str, object]:
    return {"ssh": far.alias, "ssh_config": far.config} | keys


def started(shop: Repo, *words: str, **more) -> subprocess.Popen[bytes]:
    env = os.environ | {"PYTHONPATH": str(SRC)}
    return subprocess.Popen([sys.executable, "-m", "raccord", *words], cwd=shop.path, env=env, **more)


def ran(shop: Repo, *words: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """The exit status and both outputs of a process of its own."""
    done = warm.run("raccord", words, shop.path, input=stdin)
    return done.returncode, done.stdout.encode(), done.stderr


def test_a_command_runs_there_as_if_it_were_here(shop, far):
    configure(shop, dev={}, prod=behind(far))
    for name in ("dev", "prod"):
        # One word is a line for the shell there.
        assert ran(shop, "env", "exec", name, "--", "cat; echo err >&2; exit 7", stdin=b"in\0\n") == (
            7,
            b"in\0\n",
            "err\n",
        )
        # Several are passed on one by one.
        assert ran(shop, "env", "exec", name, "--", "printf", "%s|", "a b", "$HOME", "-l", "it's") == (
            0,
            b"a b|$HOME|-l|it's|",
            "",
        )
    code, out, _ = ran(shop, "--json", "env", "exec", "prod", "--", "echo out; echo err >&2; exit 3")
    said = json.loads(out)
    assert (code, said["status"], said["stdout"], said["stderr"]) == (3, 3, "out\n", "err\n")
    assert said["place"] == "far" and said["kind"] == "environment-run"
    code, out, _ = ran(shop, "env", "exec", "prod", "--dry-run", "--", "touch", "a b")
    assert code == 0 and b"far" in out and b"touch 'a b'" in out
    # A megabyte streams through, and what runs there ends with what runs here.
    child = started(shop, "env", "exec", "prod", "--", "head -c 1000000 /dev/zero", stdout=subprocess.PIPE)
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, len(out)) == (0, 1_000_000)


def test_what_runs_there_ends_with_what_runs_here(shop, far):
    configure(shop, prod=behind(far))
    pipe = subprocess.PIPE
    child = started(shop, "env", "exec", "prod", "--", "echo begun; exec cat", stdin=pipe, stdout=pipe)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"begun\n"
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    until = time.monotonic() + 20
    while b"\0cat\0" in b"\0".join(_words(pid) for pid in sshkit.family(far.process.pid)):
        assert time.monotonic() < until
        time.sleep(0.05)


def _words(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_protected_one_asks_for_its_name(shop, far, capsys):
    configure(shop, prod=behind(far, protected=True))
    assert main(["-C", str(shop.path), "env", "exec", "prod", "--", "touch", "x y"]) == 2
    said = capsys.readouterr().err
    assert "prod is protected" in said
    assert " env exec prod --yes-to prod -- touch 'x y'" in said
    with Workspace.open(shop.path) as workspace:
        with pytest.raises(UsageError, match="--yes-to names dev"):
            workspace.environments.run(EnvExecOptions("prod", ("true",), yes_to="dev"))
        with pytest.raises(UsageError, match="no environment"):
            workspace.environments.run(EnvExecOptions("test", ("true",)))
        assert "Accepted" not in far.log
        assert workspace.environments.run(EnvExecOptions("prod", ("true",), yes_to="prod")).status == 0


def test_a_host_that_is_lost(shop, far):
    configure(shop, prod=behind(far))
    with Workspace.open(shop.path) as workspace:
        assert workspace.environments.run(EnvExecOptions("prod", ("exit 255",))).status == 255
        far.kill()
        with pytest.raises(TransportError):
            workspace.environments.run(EnvExecOptions("prod", ("true",)))


def test_what_there_is(shop, monkeypatch, capsys):
    configure(
        shop,
        dev={"database": "postgresql://app:s3cret@localhost/app", "objects": "file:///srv/files"},
        prod={
            "ssh": "env:VPS_HOST",
            "ssh_user": "deploy",
            "database": "command:op read secret-name",
            "container": "db",
            "protected": True,
        },
    )
    assert main(["-C", str(shop.path), "--json", "env", "list"]) == 0
    dev, prod = json.loads(capsys.readouterr().out)["environments"]
    assert dev["database"] == "postgresql://app:***@localhost/app" and not dev["protected"]
    assert (prod["host"], prod["database"]) == ("deploy@env:VPS_HOST", "command") and prod["protected"]
    assert main(["-C", str(shop.path), "env", "list"]) == 0
    said = capsys.readouterr().out
    assert "s3cret" not in said and "secret-name" not in said and "protected" in said


def test_what_can_be_reached(shop, far, docker, tmp_path, capsys):
    try:
        server = pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    docker.add("shop-db-1", "perl")
    (tmp_path / "files").mkdir()
    good = {"database": server.url("postgres"), "objects": f"file://{tmp_path}/files"}
    configure(
        shop,
        dev=good,
        prod=behind(far, container="shop-db-1", **good),
        wrong=behind(far, container="shop-db", database=good["database"], objects="file:///no/such/place"),
        lost={"ssh": "no.such.host.invalid", "ssh_config": far.config, "database": good["database"]},
        poor={"database": good["database"].replace("postgres:", "nobody:")},
    )
    assert main(["-C", str(shop.path), "--json", "env", "check"]) == 1
    said = {one["name"]: one for one in json.loads(capsys.readouterr().out)["environments"]}
    found = {name: {each["name"]: each["status"] for each in one["findings"]} for name, one in said.items()}
    assert found == {
        "dev": {"env.database": "pass", "env.objects": "pass"},
        "lost": {"env.host": "fail", "env.database": "unknown"},
        "poor": {"env.database": "fail"},
        "prod": dict.fromkeys(("env.host", "env.container", "env.database", "env.objects"), "pass"),
        "wrong": {
            "env.host": "pass",
            "env.container": "fail",
            "env.database": "unknown",
            "env.objects": "fail",
        },
    }
    assert [name for name, one in said.items() if one["passed"]] == ["dev", "prod"]
    assert pgkit.PASSWORD not in json.dumps(said, ensure_ascii=False)
    assert main(["-C", str(shop.path), "env", "check", "prod"]) == 0
    shown = capsys.readouterr().out
    for words in ("shop-db-1 (Up 2 hours)", "PostgreSQL 18", "its key is the known one"):
        assert words in shown
    assert main(["-C", str(shop.path), "env", "check", "test"]) == 2


def on_terminal(shop: Repo, words: list[str], answers: dict[str, str]) -> tuple[int, str]:
    """Runs the program on a terminal of its own, and types each answer once its question is there."""
    ours, theirs = pty.openpty()
    child = started(shop, *words, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, left, deadline = "", dict(answers), time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 4096).decode()
            except OSError:  # the other end is closed
                break
        for question in [one for one in left if one in seen]:
            os.write(ours, f"{left.pop(question)}\n".encode())
        if child.poll() is not None and not select.select([ours], [], [], 0)[0]:
            break
    os.close(ours)
    return child.wait(60), seen


def test_a_terminal_is_asked_about_a_key_and_a_password(shop, tmp_path, docker):
    try:
        with sshkit.host(tmp_path / "far", known=False, password=True, PubkeyAuthentication="no") as far:
            configure(shop, prod=behind(far, protected=True))
            words = ["env", "exec", "prod", "--", "echo in"]
            answers = {
                "type its name": "prod",
                "continue connecting": "yes",
                "password:": sshkit.PASSWORD,
            }
            code, seen = on_terminal(shop, words, answers | {"continue connecting": "no"})
            assert code == 6 and far.fingerprint() in seen and not far.known_hosts.exists()
            code, seen = on_terminal(shop, words, answers)
            assert code == 0 and seen.rstrip().endswith("in"), seen
            assert far.fingerprint() in seen and sshkit.PASSWORD not in seen
            # The key is known now.
            code, seen = on_terminal(shop, words, {**answers, "password:": "wrong"})
            assert code == 6 and far.fingerprint() not in seen and "wrong" not in seen
            assert far.log.count("Accepted") == 1
    except sshkit.NoSshd as error:
        pytest.skip(f"no ssh server: {error}")
