"""The configuration: defaults, what is read, and errors that name the line."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.config import Config, commented, load, parse
from raccord.config.keys import NAMED, SECTIONS, Key, keys
from raccord.config.kinds import Invalid
from raccord.config.lines import line_of
from raccord.config.text import reference, toml
from raccord.errors import ConfigError

# One document with a statement of every shape, so that each line number below was counted by hand.
LAYOUT = '''\
# a comment
title = "x"

[tool.other]
text = """
[tool.raccord]
sync = 1
"""

[tool.raccord]   # ours
snapshots.keep_days = 3
[tool.raccord.sync]
base = "main"
protected = [
  "main", # bsae = 1

  "next",
]
"quoted key" = 1
[tool.raccord.gates]
commands = [["a"],
  ["b"]]
'''


def test_defaults_where_there_is_no_file(tmp_path):
    config = load(tmp_path)
    assert config == Config()
    assert config.source == ""
    assert config.gates.commands is None
    assert config.sync.protected == ("main", "master", "develop", "prod", "production", "release/*")


def test_every_value_is_read_and_frozen(tmp_path):
    (tmp_path / "raccord.toml").write_text(
        """
        [sync]
        base = "develop"
        remote = "upstream"
        jobs = 3
        protected = ["live"]
        fetch_reuse_seconds = 0
        lock_wait_seconds = 1
        [gates]
        commands = [["pytest", "-q"], "npm run 'a b'"]
        timeout_seconds = 60
        environment = ["NODE_ENV"]
        artefacts = ["*.pyc"]
        setup = ["npm ci"]
        setup_when = ["package-lock.json"]
        [snapshots]
        keep_days = 1
        keep_last = 2
        """
    )
    config = load(tmp_path)
    assert config.source == str(tmp_path / "raccord.toml")
    assert config.sync.base == "develop"
    assert config.sync.remote == "upstream"
    assert config.sync.jobs == 3
    assert config.sync.protected == ("live",)
    assert config.gates.commands == (("pytest", "-q"), ("npm", "run", "a b"))
    assert config.gates.setup == (("npm", "ci"),)
    assert config.gates.setup_when == ("package-lock.json",)
    assert config.gates.environment == ("NODE_ENV",)
    assert config.gates.artefacts == ("*.pyc",)
    assert config.gates.timeout_seconds == 60
    assert (config.snapshots.keep_days, config.snapshots.keep_last) == (1, 2)


def test_no_gates_at_all_differs_from_gates_left_out():
    assert parse("[gates]\ncommands = []", "f").gates.commands == ()
    assert parse("[gates]", "f").gates.commands is None


def test_pyproject_is_read(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.raccord.sync]\nbase = "next"\n')
    config = load(tmp_path)
    assert config.sync.base == "next"
    assert config.source.endswith("pyproject.toml")


def test_a_pyproject_that_only_mentions_raccord_configures_nothing(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "raccord"\n')
    assert load(tmp_path) == Config()
    (tmp_path / "raccord.toml").write_text("")
    assert load(tmp_path).source.endswith("raccord.toml")


def test_a_broken_pyproject_without_raccord_is_not_ours_to_judge(tmp_path):
    (tmp_path / "pyproject.toml").write_text("<<<<<<< HEAD\n")
    assert load(tmp_path) == Config()


def test_both_files_are_refused_with_the_line(tmp_path):
    (tmp_path / "raccord.toml").write_text("[sync]\n")
    (tmp_path / "pyproject.toml").write_text("\n[tool.raccord.sync]\njobs = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert "pyproject.toml:2: tool.raccord: raccord.toml is there too" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[sync]\n\nbsae = "x"', "f:3: sync.bsae: is no key; did you mean base?; expected one of base,"),
        (
            "[snc]",
            "f:1: snc: is no section; did you mean sync?; expected one of "
            + ", ".join(sorted({"language", *SECTIONS, *NAMED})),
        ),
        ('language = "de"', 'f:1: language: is \'de\'; expected "en" or "fr"'),
        ("language = 1", "f:1: language: is a number"),
        ('[lint]\nbaseline = "../x"', "f:2: lint.baseline: is '../x', which leads out"),
        ('base = "x"', "f:1: base: is no section; did you mean sync.base?"),
        ("[sync]\nlock-wait-seconds = 3", "f:2: sync.lock-wait-seconds: is no key; did you mean lock_wait"),
        (
            "[sync]\njobs = '4'",
            "f:2: sync.jobs: is a string; expected a whole number of worktrees, 0 or more",
        ),
        ("[sync]\njobs = -1", "f:2: sync.jobs: is -1; expected"),
        ("[sync]\njobs = true", "f:2: sync.jobs: is a boolean; expected"),
        ("[sync]\njobs = 1.5", "f:2: sync.jobs: is a number; expected a whole number"),
        ("[sync]\nbase = 2020-01-01", "f:2: sync.base: is a date or time; expected a string"),
        ('[sync]\nbase = "a\\nb"', "f:2: sync.base: holds a control character"),
        ('[sync]\nprotected = "main"', "f:2: sync.protected: is a string; expected a list of patterns"),
        ('[sync]\nprotected = ["a", ""]', "f:2: sync.protected: item 2 is empty"),
        ("sync = 1", "f:1: sync: is not a table"),
        ("[[gates]]", "f:1: gates: is not a table; expected [gates]"),
        ('[gates]\ncommands = "pytest"', "f:2: gates.commands: is a string; expected a list of commands"),
        ('[gates]\ncommands = [\n["a"],\n[]]', "f:2: gates.commands: item 2 names no program"),
        ("[gates]\ncommands = [[1]]", "f:2: gates.commands: item 1, item 1 is a number"),
        ('[gates]\ncommands = ["a \'b"]', "f:2: gates.commands: item 1 can't be split: no closing quotation"),
        ('[gates]\ncommands = ["a\\u0000b"]', "f:2: gates.commands: item 1 "),
        ('[gates]\nenvironment = ["A=B"]', "f:2: gates.environment: item 1 is 'A=B'"),
        ('[migrations]\noutside = ["../x"]', "f:2: migrations.outside: item 1 is '../x', neither absolute"),
        ('[gates]\nartefacts = ["../x"]', "f:2: gates.artefacts: item 1 is '../x', which leads out"),
        ('[gates]\nartefacts = ["/x"]', "f:2: gates.artefacts: item 1 is '/x', which leads out"),
        ("[sync]\n[sync]", "f:2: cannot declare ('sync',) twice; expected TOML"),
        ("x = ", "f:1: invalid value; expected TOML"),
        ('a = 1\nb = """', "f:2: "),
        ("a = [" * 1, "f:1: "),
        ("[" * 5000, "f"),
        ("x = " + "[" * 5000, "f: is nested too deeply"),
        ("x = " + "1" * 5000, "f"),
        ('"\\u001b[31m" = 1', "f:1: '\\x1b[31m': is no section"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.message.startswith(said)
    assert "\x1b" not in caught.value.message
    assert caught.value.hint.startswith("edit f")


def test_a_key_below_tool_raccord_is_named_in_full():
    with pytest.raises(ConfigError) as caught:
        parse("[tool.raccord.sync]\n# here\njobs = 'x'", "pyproject.toml", ("tool", "raccord"))
    assert caught.value.message.startswith("pyproject.toml:3: tool.raccord.sync.jobs: is a string")
    assert caught.value.data["line"] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[sync]\nbase = '\xff'\n", ":2: is not UTF-8"),
        (b" " * (1024 * 1024 + 1), ": is too large"),
        (b"<<<<<<< HEAD\n", ":1: invalid"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, said):
    (tmp_path / "raccord.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert f"raccord.toml{said}" in caught.value.message


def test_what_windows_editors_write_is_read(tmp_path):
    (tmp_path / "raccord.toml").write_bytes(b"\xef\xbb\xbf[sync]\r\njobs = 2\r\n")
    assert load(tmp_path).sync.jobs == 2


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("raccord.toml", path)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make):
    make(str(tmp_path / "raccord.toml"))
    with pytest.raises(ConfigError):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "raccord.toml").touch(0o000)
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("title", 2),
        ("tool", 4),
        ("tool.other.text", 5),
        ("tool.raccord", 10),
        ("tool.raccord.snapshots.keep_days", 11),
        ("tool.raccord.sync", 12),
        ("tool.raccord.sync.base", 13),
        ("tool.raccord.sync.protected", 14),
        ("tool.raccord.sync.quoted key", 19),
        ("tool.raccord.gates.commands", 21),
        ("tool.raccord.nothing", 0),
    ],
)
def test_the_line_of_a_key(path, line):
    assert line_of(LAYOUT, path.split(".")) == line
    assert line_of(LAYOUT.replace("\n", "\r\n"), path.split(".")) == line


VALUES = st.one_of(
    st.integers(-5, 5).map(str),
    st.text("ab#=[]\"'\\ ", max_size=5).map(toml),
    st.lists(st.text("ab#[", max_size=3), max_size=3).map(
        lambda all_: "[\n" + "".join(f" {toml(x)},\n" for x in all_) + "]"
    ),
    st.text("ab#=\n", max_size=8).map(lambda text: f"'''{text}'''"),
)


@given(st.lists(st.tuples(VALUES, st.sampled_from(["", "\n", "# c\n", "[t{}]\n"])), min_size=1, max_size=12))
def test_the_line_of_any_key_of_any_document(statements):
    text, table = "", list[str]()
    lines: dict[tuple[str, ...], int] = {}
    for number, (value, before) in enumerate(statements):
        text += before.format(number)
        if before.startswith("["):
            table = [f"t{number}"]
        lines[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    for path, line in lines.items():
        assert line_of(text, path) == line


def test_a_hostile_document_does_not_stall_the_line_finder():
    text = 'a = """\n' + "\n" * 200_000 + '"""\nb = 1'
    assert line_of(text, ["b"]) in (0, 200_003)


def test_the_commented_file_is_valid_and_changes_nothing():
    assert parse(commented({}), "f") == Config(source="f")


def test_the_commented_file_holds_what_was_found():
    text = commented({"sync.base": ("develop", "origin/HEAD"), "gates.commands": ([["make", "test"]], "")})
    config = parse(text, "f")
    assert config.sync.base == "develop"
    assert config.gates.commands == (("make", "test"),)
    assert "Found: origin/HEAD." in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_commented_file_escapes_what_it_found():
    hostile = 'a"\\\n\x1b]\u2028'
    text = commented({"gates.commands": ([[hostile] * 9], hostile)})
    assert parse(text, "f").gates.commands == ((hostile,) * 9,)


def test_what_nobody_declared_is_not_written():
    with pytest.raises(KeyError):
        commented({"sync.bsae": ("x", "")})


def test_every_declared_example_and_default_is_valid():
    for key in keys():
        assert said(key, key.example) is not None
        if key.default is not None:
            assert said(key, toml(key.default)) == key.default


def said(key: Key, value: str) -> object:
    """What a key is once this stands in the configuration."""
    if not key.section:
        return getattr(parse(f"{key.name} = {value}", "f"), key.field)
    if key.section not in NAMED:
        return getattr(getattr(parse(f"[{key.section}]\n{key.name} = {value}", "f"), key.section), key.field)
    found = parse(f"[{key.section}.one]\n{key.name} = {value}", "f")
    return getattr(getattr(found, key.section)["one"], key.field)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[data.x]\nmod = 1", "f:2: data.x.mod: is no key; did you mean mode?"),
        ("[data.x]\nmode = 'all'", "f:2: data.x.mode: is 'all'; expected one of \"replace\""),
        ("[data]\nx = 1", "f:2: data.x: is not a table; expected [data.knowledge]"),
        ("[data.'a b']", "f:1: data.'a b': is no name; expected letters, digits, - and _"),
        ("[data.x]\nwhere = { a.b = '1' }", "f:2: data.x.where: has a table at 'a'"),
        ("[data.x.where]\na = ''", "f:1: data.x.where: at 'a' is empty"),
        ("[environments.e]\ndatabase = 'p4ss'", "f:2: environments.e.database: is neither a URL nor env:"),
        ("[environments.e]\ndatabase = 'env:p4ss w'", "f:2: environments.e.database: names no variable"),
    ],
)
def test_what_is_wrong_in_a_named_section(text, problem):
    with pytest.raises(ConfigError) as error:
        parse(text, "f")
    assert error.value.message.startswith(problem)
    # What stands where a URL belongs may be a password.
    assert "p4ss" not in error.value.message


def test_a_secret_never_shows_itself():
    found = parse("[environments.e]\ndatabase = 'postgresql://u:p4ss@h/d'", "f")
    assert "p4ss" not in repr(found) and found.environments["e"].database is not None


def test_what_stands_above_all_sections_comes_first():
    text = commented({"language": ("fr", "README.md")})
    assert text.index("# The language of") < text.index('\nlanguage = "fr"\n') < text.index("[sync]")
    assert parse(text, "f").language == "fr"
    pyproject = parse(f"[tool.raccord]\n{text}".replace("[sync]", "[tool.raccord.sync]").split("[gates]")[0],
                      "f", ("tool", "raccord"))  # fmt: skip
    assert pyproject.language == "fr"


def test_the_reference_names_every_key():
    page = reference()
    for key in keys():
        assert f"| `{key.name}` |" in page


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3))
)
def test_a_kind_takes_a_value_or_says_why_not(value):
    for key in keys():
        with contextlib.suppress(Invalid):
            hash(key.kind.read(value))


def test_the_top_may_have_any_name(tmp_path):
    top = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"))
    top.mkdir()
    (top / "raccord.toml").write_text("[sync]\njobs = 'x'")
    with pytest.raises(ConfigError, match=r"sync\.jobs"):
        load(top)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('objects = "http://x"', "s3://BUCKET"),
        ('objects = "s3://key:canary@x"', "belong in objects_key_id"),
        ('objects = "s3:///x"', "names no bucket"),
        ('objects = "file:///"', "names no directory"),
        ('objects = "sftp://far"', "names no directory"),
        ('objects = "sftp:///x"', "names no host"),
        ('objects = "sftp://me:canary@far/x"', "belongs in ssh_password"),
        ('objects = "sftp://-oProxyCommand=x/x"', "names no host"),
        ('objects = "file:///a/../b"', "parts"),
        ('objects_key = "canary"', "env:VARIABLE"),
        ('objects_key = "x://canary"', "for everybody to read"),
        ('objects_endpoint = "https://me:canary@x"', "without a user"),
    ],
)
def test_places_of_objects_are_checked_and_keys_not_repeated(line, said):
    with pytest.raises(ConfigError) as caught:
        parse(f"[environments.dev]\n{line}\n", "raccord.toml")
    assert said in caught.value.message and "canary" not in caught.value.message
