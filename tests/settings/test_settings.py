"""Keys of the configuration: shown with where they come from, set as a run, and put back."""

from __future__ import annotations

import threading

import pytest

from raccord.errors import ConfigError, UsageError
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.gitkit import Repo

FILE = """\
# What this team agreed on.
language = "en"  # for now

[coordination]
threshold = 5     # few
watch = [
  "AGENTS.md",    # everybody's
]

[channels.team]
url = "https://hooks.example/T0KEN"
events = ["*"]
"""


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "main")
    made.commit({"raccord.toml": FILE}, "start")
    return made


def file(repo):
    return repo.path / "raccord.toml"


def put(workspace, name, text, by="") -> RunReport:
    done = workspace.configuration.put(name, text, by=by)
    assert isinstance(done, RunReport)
    return done


def test_a_key_is_set_as_a_run_and_put_back_to_the_byte(repo):
    with Workspace.open(repo.path) as workspace:
        done = put(workspace, "coordination.threshold", "3", by="Ada")
        assert (done.verb, done.state, done.by) == ("config", "done", "Ada")
        assert done.lanes[0].steps[0].title == "coordination.threshold: 5 → 3"
        assert file(repo).read_text() == FILE.replace("threshold = 5 ", "threshold = 3 ")
        assert workspace.log()[0].verb == "config"
        workspace.undo()
        assert file(repo).read_text() == FILE
        workspace.undo(workspace.log()[0].id)
    assert "threshold = 3     # few" in file(repo).read_text()


def test_an_undo_leaves_what_was_changed_since(repo):
    with Workspace.open(repo.path) as workspace:
        first = put(workspace, "coordination.threshold", "3")
        put(workspace, "coordination.reports_kept", "7")
        workspace.undo(first.id)
        assert file(repo).read_text() == FILE.replace(
            "# everybody's\n]\n", "# everybody's\n]\nreports_kept = 7\n"
        )
        again = put(workspace, "coordination.threshold", "4")
        file(repo).write_text(file(repo).read_text().replace("threshold = 4", "threshold = 9"))
        refused = workspace.undo(again.id)
        assert isinstance(refused, RunReport)
        assert refused.lanes[0].finding is not None
        assert "changed since: coordination.threshold" in refused.lanes[0].finding.message
    assert "threshold = 9" in file(repo).read_text()


def test_where_there_was_no_file_there_is_none_after_the_undo(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({"a": ""}, "start")
    with Workspace.open(repo.path) as workspace:
        put(workspace, "language", "fr")
        assert file(repo).read_text() == 'language = "fr"\n'
        workspace.undo()
    assert {one.name for one in repo.path.iterdir()} == {".git", "a"}


def test_pyproject_is_changed_where_it_configures(tmp_path):
    repo = Repo.init(tmp_path / "main")
    before = b'[project]\r\nname = "x"\r\n[tool.raccord.sync]\r\nbase = "main" # it\r\n\r\n[tool.y]\r\n'
    repo.commit({"pyproject.toml": before.decode()}, "start")
    (repo.path / "pyproject.toml").write_bytes(before)
    with Workspace.open(repo.path) as workspace:
        put(workspace, "sync.base", "next")
        assert (repo.path / "pyproject.toml").read_bytes() == before.replace(b'"main"', b'"next"')
        (one,) = workspace.again().configuration.settings("sync.jobs")
        assert (one.value, one.origin) == (0, "default")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "coordination.threshold",
            "-1",
            "coordination.threshold: is -1; expected a whole number",
        ),
        ("coordination.threshold", "x", "coordination.threshold: is a string; expected a whole number"),
        ("coordination.treshold", "1", "did you mean threshold?"),
        ("treshold", "1", "did you mean coordination.threshold?"),
        ("coordination.watch", '["../x"]', "leads out of the worktree"),
        ("coordination.worktree", "nowhere", "no worktree nowhere"),
        ("language", "de", 'expected "en" or "fr"'),
        ("language", 'fr"\nx = "1', "expected"),
        ("coordination", "1", "expected one of coordination.agents"),
        ("channels.team", "1", "expected one of channels.team.events"),
        ("channels.team.url", "https://other/S3CRET", "may be a secret"),
        ("channels.team.url", "env:TEAM", "has a value that may be a secret"),
        ("channels.new.url", "https://other/S3CRET", "may be a secret"),
    ],
)
def test_what_is_refused_changes_nothing_and_is_said_once(repo, name, text, said):
    with Workspace.open(repo.path) as workspace:
        with pytest.raises(UsageError) as caught:
            put(workspace, name, text)
        assert said in caught.value.message
        assert "S3CRET" not in caught.value.message
        assert workspace.log() == ()
    assert file(repo).read_text() == FILE


def test_a_broken_file_is_not_changed(repo):
    file(repo).write_text("[coordination]\nthreshold = 'x'\n")
    with Workspace.open(repo.path) as workspace, pytest.raises(ConfigError, match="threshold"):
        put(workspace, "coordination.reports_kept", "3")
    assert file(repo).read_text() == "[coordination]\nthreshold = 'x'\n"


def test_each_value_says_where_it_comes_from_and_no_secret_is_shown(repo, monkeypatch):
    file(repo).write_text(FILE.replace('language = "en"  # for now\n', ""))
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    with Workspace.open(repo.path) as workspace:
        found = {one.key: one for one in workspace.configuration.settings()}
    assert (found["language"].value, found["language"].origin, found["language"].where) == (
        "fr",
        "environment",
        "LC_ALL",
    )
    assert (found["coordination.threshold"].origin, found["coordination.threshold"].where) == (
        "file",
        "raccord.toml:4",
    )
    assert found["snapshots.keep_days"].origin == "default"
    assert (found["channels.team.url"].value, found["channels.team.url"].hidden) == (None, True)
    assert found["channels.team.events"].value == ["*"]
    assert "T0KEN" not in str(found)


def test_the_journal_has_no_secret_that_stands_in_the_same_line(repo):
    file(repo).write_text('channels = { team = { url = "https://hooks.example/T0KEN", events = ["*"] } }\n')
    with Workspace.open(repo.path) as workspace:
        put(workspace, "channels.team.events", '["trouble"]')
        state = workspace.coordination.state
        workspace.undo()
    assert 'events = ["*"]' in file(repo).read_text()
    assert not any(b"T0KEN" in one.read_bytes() for one in state.rglob("*") if one.is_file())


def test_what_others_set_meanwhile_is_not_lost(repo):
    def one(key, value):
        with Workspace.open(repo.path) as workspace:
            assert put(workspace, key, value).state == "done"

    wanted = {"coordination.threshold": "9", "coordination.reports_kept": "8", "snapshots.keep_days": "7"}
    threads = [threading.Thread(target=one, args=pair) for pair in wanted.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Workspace.open(repo.path) as workspace:
        found = {one.key: one.value for one in workspace.configuration.settings()}
    assert {key: str(found[key]) for key in wanted} == wanted
