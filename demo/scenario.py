"""Builds the demo's workspace with plain git: six worktrees in different states, behind a base that moved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks import hermetic
from demo import project
from demo.project import Files


@dataclass(frozen=True)
class Agent:
    """One worktree and the commits on its branch."""

    name: str
    branch: str
    about: str
    commits: tuple[tuple[str, Files], ...]


AGENTS = (
    Agent("agent-1", "gift-notes", "work that is not committed yet", (("Add gift notes", project.GIFTS),)),
    Agent("agent-2", "free-shipping", "conflicts with the base", (("Lower the limit", project.LOWER_LIMIT),)),
    Agent("agent-3", "vat-report", "its test fails on the new base", (("Report the VAT", project.REPORT),)),
    Agent(
        "agent-4",
        "csv-export",
        "was merged by squash",
        (("Export orders as CSV", project.EXPORT), ("Quote every cell", project.EXPORT_QUOTED)),
    ),
    Agent(
        "agent-5",
        "currency",
        "is fine",
        (("Name the currency", project.CURRENCY), ("Show amounts", project.CURRENCY_SHOWN)),
    ),
    Agent("agent-6", "stock-levels", "is fine", (("Count the stock", project.STOCK),)),
)

BASE_MOVES: tuple[tuple[str, Files], ...] = (
    ("Round the VAT as the tax office does", project.ROUNDED),
    ("Export orders as CSV (#41)", project.EXPORT_QUOTED),
    ("Raise the limit for free shipping", project.RAISED_LIMIT),
)


@dataclass(frozen=True)
class Scenario:
    """Where everything lies."""

    root: Path

    @property
    def remote(self) -> Path:
        """The bare repository."""
        return self.root / "origin.git"

    @property
    def main(self) -> Path:
        """The clone on main, which owns the worktrees."""
        return self.root / "shop"

    @property
    def trees(self) -> tuple[Path, ...]:
        """Every directory with files checked out."""
        return (self.main, *(self.root / agent.name for agent in AGENTS))

    @property
    def environment(self) -> dict[str, str]:
        """What child processes see."""
        return hermetic.environment(self.root / "home")

    def git(self, where: Path, *arguments: str) -> str:
        """Run git in `where`."""
        return hermetic.git(where, arguments, self.environment)


def build(root: Path) -> Scenario:
    """Make the workspace in `root`, which is empty or new."""
    scenario = Scenario(root.resolve())
    hermetic.make_home(scenario.root / "home")
    scenario.git(scenario.root, "init", "--quiet", "--bare", "origin.git")
    scenario.git(scenario.root, "clone", "--quiet", "origin.git", "colleague")
    colleague = scenario.root / "colleague"
    _commit(scenario, colleague, "Start the shop", project.START)
    scenario.git(colleague, "push", "--quiet", "origin", "main")
    scenario.git(scenario.root, "clone", "--quiet", "origin.git", "shop")
    for agent in AGENTS:
        tree = scenario.root / agent.name
        scenario.git(scenario.main, "worktree", "add", "--quiet", "--no-track", "-b", agent.branch, str(tree))
        for message, files in agent.commits:
            _commit(scenario, tree, message, files)
        scenario.git(tree, "push", "--quiet", "--set-upstream", "origin", agent.branch)
    for message, files in BASE_MOVES:
        _commit(scenario, colleague, message, files)
    scenario.git(colleague, "push", "--quiet", "origin", "main")
    _leave_dirty(scenario, scenario.root / AGENTS[0].name)
    return scenario


def _commit(scenario: Scenario, tree: Path, message: str, files: Files) -> None:
    _write(tree, files)
    scenario.git(tree, "add", "--all")
    scenario.git(tree, "commit", "--quiet", "--message", message)


def _write(tree: Path, files: Files) -> None:
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")


def _leave_dirty(scenario: Scenario, tree: Path) -> None:
    """Staged, unstaged, both in one file, untracked and ignored."""
    _write(
        tree, {"README.md": "# Shop\n\nSells tea, also as a gift.\n", "shop/wrapping.py": "PAPER = 'red'\n"}
    )
    scenario.git(tree, "add", "README.md", "shop/wrapping.py")
    invoice = project.INVOICE.replace("One line of it.", "One line of it, without the gift note.")
    _write(tree, {"shop/wrapping.py": "PAPER = 'red'\nRIBBON = 'gold'\n", "shop/invoice.py": invoice})
    _write(tree, {"ideas.txt": "Sell cups.\n", ".env": "SHOP_TOKEN=only-here\n"})
