"""Programs are started without a shell, end with all they started, and can't flood or hang raccord."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from raccord.errors import CannotRun, ProcessFailed, ProcessTimeout, ProgramMissing
from raccord.kernel import proc

SH = "/bin/sh"


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_soon(pid: int) -> bool:
    for _ in range(3000):
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_keeps_output_errors_and_status(tmp_path):
    result = proc.run([SH, "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path)
    assert (result.stdout, result.stderr, result.returncode) == (b"out\n", "err\n", 3)
    with pytest.raises(ProcessFailed) as caught:
        result.check(hint="try again")
    assert caught.value.returncode == 3
    assert "err" in caught.value.message
    assert caught.value.hint == "try again"


def test_a_program_gets_what_it_shall_read_and_nothing_else():
    assert proc.run(["cat"], stdin=b"x" * 3_000_000).stdout == b"x" * 3_000_000
    assert proc.run(["cat"]).stdout == b""


def test_a_program_that_reads_little_of_much_is_well():
    assert proc.run(["head", "-c", "3"], stdin=b"abc" * 1_000_000).stdout == b"abc"


def test_both_streams_at_once_do_not_block():
    script = "import sys\nfor _ in range(2000): sys.stderr.write('e' * 1000); sys.stdout.write('o' * 1000)"
    result = proc.run([sys.executable, "-c", script])
    assert len(result.stdout) == 2_000_000
    assert len(result.stderr) == proc.STDERR_LIMIT


def test_output_beyond_the_limit_ends_the_program():
    with pytest.raises(ProcessFailed, match="more than 5000000 bytes"):
        proc.run(["cat", "/dev/zero"], limit=5_000_000)


def test_a_missing_program_and_a_missing_directory_are_told_apart(tmp_path):
    with pytest.raises(ProgramMissing):
        proc.run(["no-such-program-anywhere"], cwd=tmp_path)
    with pytest.raises(CannotRun) as caught:
        proc.run(["true"], cwd=tmp_path / "gone")
    assert "gone" in caught.value.message


def test_a_file_that_is_no_program(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(CannotRun, match="Permission denied"):
        proc.run([str(tmp_path / "data")])


def test_timeout_ends_the_whole_group(tmp_path):
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    since = time.monotonic()
    with pytest.raises(ProcessTimeout, match=r"no end after 1 s"):
        proc.run([SH, "-c", script], timeout=1)
    assert time.monotonic() - since < 30
    assert gone_soon(int((tmp_path / "pid").read_text()))


def test_a_child_that_ignores_the_request_is_killed(tmp_path):
    # The shell exits on the signal, what it started does not: it is killed after the grace.
    inner = f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep 60"
    with proc.started([SH, "-c", f'{SH} -c "{inner}" & wait']) as child:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            time.sleep(0.01)
        proc.end(child, grace=0.2)
        assert child.returncode == -signal.SIGTERM
    assert gone_soon(int((tmp_path / "pid").read_text()))


def test_timeout_also_holds_for_a_program_that_closed_its_output():
    with pytest.raises(ProcessTimeout):
        proc.run([SH, "-c", "exec >&- 2>&-; sleep 60"], timeout=0.3)


def test_a_background_process_that_holds_the_pipes_does_not_hold_us():
    since = time.monotonic()
    result = proc.run([SH, "-c", "sleep 100 & echo said; echo $!"])
    assert time.monotonic() - since < 50
    said, pid = result.stdout.split()
    assert said == b"said"
    os.kill(int(pid), signal.SIGKILL)


def test_the_variables_of_a_surrounding_hook_do_not_leak(monkeypatch):
    for name in (
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "GIT_CONFIG_PARAMETERS",
        "GIT_EDITOR",
        "GIT_PREFIX",
    ):
        monkeypatch.setenv(name, "dripped")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -v")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    said = proc.run(["env"], env={"EXTRA": "1"}).stdout.decode()
    assert "dripped" not in said
    for kept in (
        "GIT_SSH_COMMAND=ssh -v",
        "GIT_CONFIG_KEY_0=safe.directory",
        "GIT_CONFIG_VALUE_0=*",
        "EXTRA=1",
    ):
        assert kept in said.splitlines()


def test_arguments_reach_the_program_as_bytes(tmp_path):
    odd = os.fsdecode(b"\xff\n-x")
    assert proc.run(["printf", "%s", odd]).stdout == b"\xff\n-x"


def test_pipe_joins_two_programs():
    result = proc.pipe(["cat"], ["wc", "-c"], stdin=b"x" * 2_000_000)
    assert result.stdout.strip() == b"2000000"


def test_pipe_tells_which_one_failed():
    with pytest.raises(ProcessFailed) as caught:
        proc.pipe([SH, "-c", "echo lost >&2; exit 4"], ["cat"])
    assert caught.value.returncode == 4
    assert "lost" in caught.value.message
    assert proc.pipe(["true"], ["false"]).returncode == 1


def test_pipe_ends_both(tmp_path):
    with pytest.raises(ProcessTimeout):
        proc.pipe([SH, "-c", f"echo $$ > {tmp_path}/pid; sleep 60"], ["cat"], timeout=1)
    assert gone_soon(int((tmp_path / "pid").read_text()))


def test_pipe_whose_reader_stops_early_ends():
    with pytest.raises(ProcessFailed):
        proc.pipe(["cat", "/dev/zero"], ["head", "-c", "1"], timeout=50)


def test_stream_gives_output_as_it_comes(tmp_path):
    seen: list[bytes] = []

    def sink(data: bytes) -> None:
        seen.append(data)
        (tmp_path / "go").touch()

    # It goes on once the first line has come.
    script = "echo a; until test -e go; do sleep 0.01; done; echo b >&2; exit 7"
    assert proc.stream([SH, "-c", script], cwd=tmp_path, sink=sink, timeout=50) == 7
    assert seen == [b"a\n", b"b\n"]


def test_stream_ends_when_cancelled(tmp_path):
    pid = tmp_path / "pid"
    with pytest.raises(KeyboardInterrupt):
        proc.stream(
            [SH, "-c", f"echo $$ > {pid}; sleep 60"],
            cwd=tmp_path,
            sink=lambda data: None,
            cancelled=lambda: pid.exists() and pid.read_text().endswith("\n"),
        )
    assert gone_soon(int((tmp_path / "pid").read_text()))


def test_stream_has_a_time_limit_even_where_output_never_ends(tmp_path):
    with pytest.raises(ProcessTimeout):
        proc.stream(["cat", "/dev/zero"], cwd=tmp_path, sink=lambda data: None, timeout=0.3)


def test_a_sink_that_fails_ends_the_program(tmp_path):
    def full(data: bytes) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        proc.stream([SH, "-c", f"echo $$ > {tmp_path}/pid; echo x; sleep 60"], cwd=tmp_path, sink=full)
    assert gone_soon(int((tmp_path / "pid").read_text()))


def test_no_file_descriptor_is_left(tmp_path):
    proc.run(["true"])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        proc.run(["cat"], stdin=b"x")
        proc.pipe(["true"], ["cat"])
        with pytest.raises(ProcessTimeout):
            proc.run(["sleep", "9"], timeout=0.05)
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_threads_at_once():
    results: list[bytes] = []

    def work(number: int) -> None:
        results.append(proc.run(["cat"], stdin=b"%d" % number).stdout)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, results)) == list(range(40))


def test_the_way_of_windows_reads_and_writes_too(monkeypatch):
    # Threads instead of a selector; forced here, since nothing else tests it on Linux.
    from raccord.kernel import pipes

    monkeypatch.setattr(pipes, "_by_selector", pipes._by_threads)
    result = proc.run([SH, "-c", "cat; echo err >&2"], stdin=b"x" * 3_000_000)
    assert (len(result.stdout), result.stderr) == (3_000_000, "err\n")
    with pytest.raises(ProcessTimeout):
        proc.run(["sleep", "9"], timeout=0.3)


def test_no_program_of_the_directory_is_found_by_a_relative_path(tmp_path, monkeypatch):
    trap = tmp_path / "git"
    trap.write_text("#!/bin/sh\ntouch ran\n")
    trap.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((".", "", os.environ["PATH"])))
    assert proc.run(["git", "--version"], cwd=tmp_path).stdout.startswith(b"git version")
    assert not (tmp_path / "ran").exists()
