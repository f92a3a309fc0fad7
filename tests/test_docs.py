"""The written pages are true: README's commands do what stands there, options exist, links lead somewhere.

A README block ```console holds commands behind `$ `, each with its output below it or none. `# exit 5` behind
a command is its exit code, else 0. `python -m tests.test_docs` writes the outputs anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from demo import scenario
from raccord.cli import app, exits
from tests import warm

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("[a-z]*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)
HOME = "/home/ada"  # where the workspace lies, as README tells it
# What differs from one run to the next: ids, names of commits and logs, times, sizes.
VARIES = [
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6,8}\b"), "RUN"),
    (re.compile(r"\b[0-9a-f]{10}\b"), "COMMIT"),
    (re.compile(r"[^\s/]+\.log\b"), "LOG"),
    (re.compile(r"\bnow\b|\b\d+ (s|min|h|d) ago\b"), "AGO"),
    (re.compile(r"\b\d+(\.\d)? (B|kB|MB)\b"), "SIZE"),
]


@dataclass(frozen=True)
class Command:
    """A command of a page: its words, its exit code, what it prints."""

    line: str
    exit: int
    output: str


def console(text: str) -> list[Command]:
    """The commands of the ```console blocks."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            exit_code = re.search(r"  # exit (\d+)", line)
            found.append(Command(line, int(exit_code[1]) if exit_code else 0, output))
    return found


def said(command: Command, workspace: scenario.Scenario) -> Command:
    """What the command does now."""
    name, *words = shlex.split(command.line, comments=True)
    assert name == "raccord"
    # Too narrow for the table's long form, however young the last run is.
    env = workspace.environment | {"COLUMNS": "90", "NO_COLOR": "1", "PYTHONPATH": str(ROOT / "src")}
    done = warm.run("raccord", words, workspace.main, env=env, merged=True)
    output = done.stdout
    for here, there in ((str(workspace.root), HOME), (dashed(str(workspace.root)), dashed(HOME))):
        output = output.replace(here, there)
    return Command(command.line, done.returncode, "\n".join(map(str.rstrip, output.splitlines())) + "\n")


def dashed(path: str) -> str:
    """A path as it stands in the name of a log."""
    return path.strip("/").replace("/", "-")


def plain(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    # Columns are as wide as what varies in them.
    return re.sub(r" {2,}", "  ", text.strip())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> scenario.Scenario:
    return scenario.build(tmp_path_factory.mktemp("demo"))


def test_every_decision_has_its_line():
    said = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    made = {path.name for path in ROOT.glob("docs/decisions/*.md")}
    assert made == set(re.findall(r"\(decisions/([^)]+)\)", said[said.index("## Decisions") :]))


def test_the_readme_is_what_happens(workspace: scenario.Scenario) -> None:
    commands = console(README.read_text("utf-8"))
    assert len(commands) > 3
    for wanted in commands:
        found = said(wanted, workspace)
        assert found.exit == wanted.exit, f"{wanted.line}\n{found.output}"
        if wanted.output:
            assert plain(found.output) == plain(wanted.output), "python -m tests.test_docs writes it anew"


def test_every_exit_code_is_in_the_readme() -> None:
    rows = re.findall(r"^\| (\d+) \|", README.read_text("utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == list(exits.MEANING)


def spoken(text: str) -> Iterator[list[str]]:
    """The words of every command that a page names, in `code` or in a block."""
    block = re.compile(r"^```.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    lines = [line for inside in block.findall(text) for line in inside.splitlines()]
    lines += re.findall(r"^ {4}(raccord .*)$", text, re.MULTILINE)
    lines += re.findall(r"`(raccord\b[^`]*)`", block.sub("", text))
    for line in lines:
        match = re.fullmatch(r"(?:\$ )?(raccord(?: .*)?)", line.replace("\n", " "))
        if match and "…" not in match[1]:
            yield shlex.split(match[1], comments=True)[1:]


@pytest.fixture(scope="module")
def group() -> Any:
    """The whole command line; to build it takes longer than to read a page."""
    return typer.main.get_command(app.application())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_verbs_and_options_exist(page: Path, group: Any) -> None:
    commands = group.commands
    unknown = []
    for words in spoken(page.read_text("utf-8")):
        known = {opt for param in group.params for opt in param.opts} | {"--help"}
        at = app.verb_at(words)
        if at is not None:
            if words[at].split(",")[0] not in commands:
                unknown.append(words)
                continue
            verb = commands[words[at].split(",")[0]]
            known |= {opt for param in verb.params for opt in param.opts}
            below = getattr(verb, "commands", {})
            if below and words[at + 1 : at + 2]:
                name = words[at + 1].split(",")[0]
                if name not in below:
                    unknown.append(words)
                    continue
                known |= {opt for param in below[name].params for opt in param.opts}
        options = {word for word in words if word.startswith("--") and word != "--"}
        unknown += [[*words, f"({option})"] for option in options - known]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_paths_that_pages_name_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = "checks|cli|code|config|git|kernel|model|verbs"
    named = set(re.findall(rf"`((?:{rooms})/[\w*]+\.py)`", text))
    missing = [path for path in named if not list((ROOT / "src" / "raccord").glob(path))]
    assert named
    assert missing == []


def test_the_package_shows_the_readme() -> None:
    assert re.search(r'^readme = "README.md"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_a_wrong_page_is_noticed(tmp_path: Path, group: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text("Run `raccord snc` or `raccord sync --al`: [here](nowhere.md), [there](#no-title).\n")
    with pytest.raises(AssertionError):
        test_verbs_and_options_exist(page, group)
    with pytest.raises(AssertionError):
        test_links_lead_somewhere(page)


def main() -> None:
    """Writes the outputs in README anew."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = scenario.build(Path(folder))
        text = README.read_text("utf-8")
        pairs = [(old, said(old, workspace)) for old in console(text)]
        if all(
            old.exit == new.exit and plain(old.output) == plain(new.output)
            for old, new in pairs
            if old.output
        ):
            return  # ids alone are no reason for a change
        for old, new in pairs:
            if new.exit != old.exit:
                raise SystemExit(f"{old.line}: exit {new.exit}\n{new.output}")
            if old.output:
                text = text.replace(f"$ {old.line}\n{old.output}", f"$ {old.line}\n{new.output}", 1)
        README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
