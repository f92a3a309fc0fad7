"""Settings are read as git reads them, and no program that the repository itself names runs in a look."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.errors import CannotRun
from raccord.git.config import Entry, Settings, looking, parse
from raccord.git.repo import open_repository
from raccord.git.run import Git
from tests.git.plants import PLANTS, Plant, clean, merge_driver, required_clean
from tests.git.traps import Trap, hook, plain, touch
from tests.gitkit import Repo, git


@pytest.fixture
def repo(tmp_path):
    return plain(Repo.init(tmp_path / "repo"))


@pytest.fixture
def trap(tmp_path):
    return Trap.made(tmp_path / "trap")


def test_values_scopes_and_order(repo):
    repo.git("config", "user.name", "Own")
    repo.git("config", "--add", "remote.origin.url", "one")
    repo.git("config", "--add", "remote.origin.url", "two")
    repo.git("config", "remote.UP/Stream.url", "three")
    repo.git("config", "remote.UP/Stream.pushurl", "four")
    repo.git("config", "branch.feature/x.y.remote", "origin")
    repo.git("config", "branch.feature/x.y.merge", "refs/heads/main")
    settings = open_repository(repo.path).settings
    assert settings.get("user.name") == settings.get("USER.Name") == "Own"
    assert settings.all("user.name") == ("Tester", "Own")
    assert settings.remotes() == ("UP/Stream", "origin")
    assert settings.urls("origin") == ("one", "two")
    assert settings.pushurls("origin") == ("one", "two")
    assert settings.pushurls("UP/Stream") == ("four",)
    assert settings.upstream("feature/x.y") == ("origin", "refs/heads/main")
    assert settings.upstream("other") is None
    assert settings.get("no.such", "default") == "default"
    scopes = {entry.value: entry.own for entry in settings.entries if entry.key == "user.name"}
    assert scopes == {"Tester": False, "Own": True}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("true", True),
        ("yes", True),
        ("1", True),
        ("-1", True),
        ("off", False),
        ("0", False),
        ("00", False),
        ("", False),
    ],
)
def test_booleans_as_git_reads_them(repo, written, expected):
    repo.git("config", "commit.gpgsign", written)
    assert open_repository(repo.path).settings.flag("commit.gpgsign") is expected
    assert repo.git("config", "--type=bool", "commit.gpgsign") == str(expected).lower()


def test_a_key_alone_is_true(repo):
    with (repo.path / ".git/config").open("a") as file:
        file.write("[Commit]\n\tGPGsign\n")
    assert open_repository(repo.path).settings.flag("commit.gpgSign")
    assert open_repository(repo.path).settings.flag("no.such", True)


@given(
    st.lists(
        st.tuples(
            *[
                st.text(st.characters(blacklist_characters="\0\n", blacklist_categories=["Cs"]))
                for _ in "1234"
            ]
        )
    )
)
def test_any_listing_is_read_back(rows):
    listing = "".join(f"{scope}\0{origin}\0{key}\n{value}\nmore\0" for scope, origin, key, value in rows)
    assert parse(listing.encode()) == tuple(Entry(s, o, k, v + "\nmore") for s, o, k, v in rows)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_no_program_of_the_repository_runs_in_a_look(repo, trap, plant: Plant):
    command = plant(repo, trap)
    asked = "protocol=https\nhost=localhost\nusername=me\n\n"
    git(repo.path, *command, input=asked, check=False, env={"GIT_TERMINAL_PROMPT": "0"})
    assert trap.sprung(), "the trap itself does not work"
    opened = open_repository(repo.path)
    assert not trap.sprung()
    opened.git.run(*command, stdin=asked.encode())
    assert not trap.sprung()


def test_what_the_user_set_up_for_all_repositories_stays(home: Path, repo, trap):
    command = clean(repo, trap)
    repo.git("config", "--unset", "filter.evil.clean")
    git(repo.path, "config", "--global", "filter.evil.clean", str(trap))
    opened = open_repository(repo.path)
    assert looking(opened.settings) == ()
    opened.git.run(*command)
    assert trap.sprung()


def test_a_call_on_the_users_order_runs_what_the_repository_says(repo, trap):
    command = clean(repo, trap)
    open_repository(repo.path).git.run(*command, trusted=True)
    assert trap.sprung()


def test_a_status_without_the_filter_still_answers(repo, trap):
    command = required_clean(repo, trap)
    assert open_repository(repo.path).git.run(*command).returncode == 0


def test_a_merge_without_its_driver_is_a_conflict_and_not_ours(repo, trap):
    command = merge_driver(repo, trap)
    repo.git("config", "merge.evil.driver", "true")
    assert open_repository(repo.path).git.run(*command).returncode == 0, "the common recipe of merge=ours"
    repo.git("config", "merge.evil.driver", f"{trap} %A")
    merged = open_repository(repo.path).git.run(*command)
    assert merged.returncode == 1
    assert b"CONFLICT (content): Merge conflict in f" in merged.stdout
    assert not trap.sprung()


def test_settings_of_another_worktree_count(repo, trap):
    command = clean(repo, trap)
    repo.git("config", "--unset", "filter.evil.clean")
    linked = repo.worktree("linked", "topic")
    repo.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "filter.evil.clean", str(trap))
    touch(linked.path / "f")
    linked.git(*command)
    assert trap.sprung()
    opened = open_repository(repo.path)
    opened.git.at(linked.path).run(*command)
    assert not trap.sprung()


def test_a_broken_worktree_setting_hides_no_other_one(repo, trap):
    clean(repo, trap)
    repo.git("config", "--unset", "filter.evil.clean")
    repo.git("config", "extensions.worktreeConfig", "true")
    linked = [repo.worktree(name, name) for name in ("a", "b")]
    (repo.path / ".git/worktrees/a/config.worktree").write_text("[core\n")
    linked[1].git("config", "--worktree", "filter.evil.clean", str(trap))
    opened = open_repository(repo.path)
    touch(linked[1].path / "f")
    assert opened.git.at(linked[1].path).run("status").returncode == 0
    assert not trap.sprung()


@pytest.mark.parametrize("relative", [True, False])
def test_conditional_settings_of_another_worktree_count(repo, trap, relative):
    command = clean(repo, trap)
    repo.git("config", "--unset", "filter.evil.clean")
    linked = repo.worktree("linked", "topic")
    # The condition holds on the branch of the other worktree alone, and includes a file that includes.
    (repo.path / ".git/one").write_text('[includeIf "onbranch:topic"]\n\tpath = two\n')
    (repo.path / ".git/two").write_text(f'[filter "evil"]\n\tclean = {trap}\n')
    path = "one" if relative else str(repo.path / ".git/one")
    repo.git("config", "includeIf.onbranch:topic.path", path)
    touch(linked.path / "f")
    linked.git(*command)
    assert trap.sprung()
    opened = open_repository(repo.path)
    opened.git.at(linked.path).run(*command)
    assert not trap.sprung()


def test_includes_in_a_circle_end(repo):
    (repo.path / ".git/one").write_text('[includeIf "onbranch:x"]\n\tpath = one\n')
    repo.git("config", "includeIf.onbranch:x.path", "one")
    assert open_repository(repo.path).settings.get("core.bare") == "false"


def test_a_long_chain_of_includes_is_refused_and_not_cut(repo):
    for number in range(14):
        (repo.path / f".git/n{number}").write_text(
            f'[includeIf "onbranch:x{number}"]\n\tpath = n{number + 1}\n'
        )
    repo.git("config", "includeIf.onbranch:x.path", "n0")
    with pytest.raises(CannotRun, match="too often"):
        open_repository(repo.path)


def test_only_what_the_repository_brings_is_switched_off():
    def entry(scope: str, key: str) -> Entry:
        return Entry(scope, "file:x", key, "program")

    user = Settings((entry("global", "filter.lfs.clean"), entry("system", "core.sshcommand")))
    assert looking(user) == ()
    own = Settings((entry("local", "filter.a.clean"), entry("worktree", "user.name")))
    assert looking(own) == ("-c", "filter.a.clean=", "-c", "filter.a.required=false")


def test_a_look_at_a_foreign_place_names_no_hook_of_it(repo, trap):
    hook(repo, "post-index-change", trap)
    Git(repo.path).run("update-index", "--refresh")
    assert not trap.sprung()
