"""The PowerShell script's spellings become raccord's own, and nothing else changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.cli.seed import normalised
from raccord.cli.sync import argv
from raccord.errors import UsageError


def sync(*words: str) -> list[str]:
    """What follows `sync` once it is normalised."""
    return normalised(["sync", *words], 0)[1:]


def commands(*words: str) -> list[list[str]]:
    """The commands that these words ask for."""
    out = sync(*words)
    assert out[::2] == ["--test-command"] * (len(out) // 2)
    return [list(argv(word)) for word in out[1::2]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-BaseBranch", "develop", "-NoPush"], ["--base", "develop", "--no-push"]),
        (["-basebranch", "-odd"], ["--base", "-odd"]),
        (["-BASEBRANCH:develop"], ["--base", "develop"]),
        (["-BaseBranch"], ["--base"]),
        (
            ["-SkipTests", "-AllowDirty", "-Reason", "-NoPush"],
            ["--skip-tests", "--allow-dirty", "--reason", "-NoPush"],
        ),
        (["-SkipTests:$true", "-NoPush:$False"], ["--skip-tests"]),
        (["--reason", "-NoPush"], ["--reason", "-NoPush"]),
        (["--reason=-NoPush", "-j", "2", "--all"], ["--reason=-NoPush", "-j", "2", "--all"]),
        (["--", "-NoPush"], ["--", "-NoPush"]),
        ([], []),
    ],
)
def test_the_spellings(words, expected):
    assert sync(*words) == expected


def test_what_stands_before_the_verb_is_left_alone():
    assert normalised(["-C", "-NoPush", "sync", "-NoPush"], 2) == ["-C", "-NoPush", "sync", "--no-push"]


PAGE = """@(
    @("pwsh","-NoProfile","-ExecutionPolicy","Bypass","-File","tests/run_all.ps1"),
    @("pytest","tests/backend")
)"""
SMOKE = ["pwsh", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", "tests/run_all.ps1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # The example of the script's own page, as a shell hands it over when it is quoted whole.
        (
            [PAGE],
            [SMOKE, ["pytest", "tests/backend"]],
        ),
        # Cut at its blanks.
        (
            ["@(", '@("pwsh","-File",', '"x.ps1"),', "@('pytest')", ")"],
            [["pwsh", "-File", "x.ps1"], ["pytest"]],
        ),
        # A shell took the double quotes away.
        (["@(@(pwsh,-File,x.ps1),@(pytest,tests))"], [["pwsh", "-File", "x.ps1"], ["pytest", "tests"]]),
        # PowerShell evaluated the list, and joined each command with blanks.
        (["pytest tests", "npm test"], [["pytest", "tests"], ["npm", "test"]]),
        (['[["pytest", "a b"], ["npm"]]'], [["pytest", "a b"], ["npm"]]),
        (['["pytest", "tests"]'], [["pytest", "tests"]]),
        # PowerShell unrolls a list that holds one list.
        (['@("pytest","tests")'], [["pytest", "tests"]]),
        (['@(@("a`"b`$c`n","d""e","f\'g",\'h\'\'i$\'))'], [['a"b$c\n', 'd"e', "f'g", "h'i$"]]),
    ],
)
def test_lists_of_commands(words, expected):
    assert commands("-TestCommands", *words) == expected


def test_options_go_on_behind_a_list():
    assert sync("-testcommands", '@(@("a"))', "-NoPush") == ["--test-command", '["a"]', "--no-push"]
    assert sync("-TestCommands", "a b", "c", "-NoPush")[-1] == "--no-push"
    assert sync('-TestCommands:@(@("a"))', "-NoPush") == ["--test-command", '["a"]', "--no-push"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["-NoPush"],
        ["@()"],
        ["@(@())"],
        ['@(@(""))'],
        ["[]"],
        ["[[1]]"],
        ["@(@('a')"],
        ["@(@('a'"],
        ["@('a' 'b')"],
        ["@(@('a'),)"],
        ["@(@('a')) more"],
        ["@x"],
        ["@(@($env:TESTS))", "x"],
        ['@(@("$x"))'],
        ['@(@("a"),"b")'],
        ["a 'b"],
        ["@(" * 100_000],
        ["[" * 100_000],
    ],
)
def test_what_nobody_can_mean_is_refused(words):
    with pytest.raises(UsageError) as caught:
        commands("-TestCommands", *words)
    assert caught.value.hint


def test_a_switch_takes_only_true_or_false():
    with pytest.raises(UsageError):
        sync("-SkipTests:1")


ARGUMENTS = st.lists(st.text(max_size=8), min_size=1, max_size=4).filter(lambda words: bool(words[0]))
COMMANDS = st.lists(ARGUMENTS, min_size=1, max_size=3)


def quoted(word: str, style: bool) -> str:
    """A PowerShell string, single- or double-quoted."""
    if style:
        return "'" + word.replace("'", "''") + "'"
    return '"' + "".join("`" + char if char in '"`$' else char for char in word) + '"'


@given(COMMANDS, st.booleans(), st.booleans())
def test_any_list_survives(given_commands, style, as_json):
    lists = (f"@({','.join(quoted(word, style) for word in words)})" for words in given_commands)
    text = json.dumps(given_commands) if as_json else f"@({', '.join(lists)})"
    assert commands("-TestCommands", text) == given_commands


@given(COMMANDS.filter(lambda many: " " not in json.dumps(many, separators=(",", ":"))), st.data())
def test_a_list_cut_into_words_survives(given_commands, data):
    text = (
        "@( "
        + " , ".join("@( " + " , ".join(quoted(w, True) for w in words) + " )" for words in given_commands)
        + " )"
    )
    words, rest = [], text.split(" ")
    while rest:
        many = data.draw(st.integers(1, len(rest)))
        words.append(" ".join(rest[:many]))
        del rest[:many]
    assert commands("-TestCommands", *words) == given_commands


WORDS = st.lists(
    st.sampled_from(
        [
            "-BaseBranch",
            "-SkipTests",
            "-nopush",
            "--reason",
            "--all",
            "x",
            "-Reason",
            "--",
            "-C",
            "--test-command",
        ]
    )
)


@given(WORDS)
def test_normalising_twice_changes_nothing_more(words):
    once = sync(*words)
    assert sync(*once) == once


@given(st.lists(st.text(max_size=6).map(lambda text: f"-{text}" if text != "-" else text)))
def test_no_words_make_it_fail_otherwise(words):
    try:
        out = sync(*words)
    except UsageError:
        return
    assert all(isinstance(word, str) for word in out)


@given(st.lists(st.sampled_from(["--base", "main", "--all", "-j", "3", "--dry-run", "--json"])))
def test_words_of_raccord_stay_as_they_are(words):
    assert sync(*words) == words
