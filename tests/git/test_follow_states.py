"""Random worktrees against a model: a move does all and nothing else, or is held back and does nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from raccord.errors import HeldBack, UnsafePath
from raccord.git import follow
from raccord.git.follow import Move
from raccord.git.refs import Change
from raccord.git.run import Git
from tests.git.followkit import files, shared
from tests.gitkit import Repo

CONTENT = ("one\n", "two\n", "three\n")
FLAT = ("a", "b", "e/f/g", "d/x", "d/y", "i.ignored")
NESTED = (*FLAT, "d", "e/f", "b/c")


def trees(names):
    """Files by name, where no name is a directory of another."""
    several = st.dictionaries(st.sampled_from(names), st.sampled_from(CONTENT), max_size=len(names))
    return several.map(
        lambda files: {n: t for n, t in files.items() if not any(o.startswith(f"{n}/") for o in files)}
    )


@dataclass
class State:
    """Two commits, and a worktree at the first with edits: None for a path that is removed."""

    old: dict[str, str]
    new: dict[str, str]
    staged: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)

    @property
    def index(self) -> dict[str, str]:
        return {n: t for n, t in {**self.old, **self.staged}.items() if t is not None}

    @property
    def work(self) -> dict[str, str]:
        return {n: t for n, t in {**self.old, **self.files}.items() if t is not None}

    def changed(self) -> list[str]:
        return sorted(n for n in {*self.old, *self.new} if self.old.get(n) != self.new.get(n))

    def overlaps(self) -> list[str]:
        """The paths that stand in the way."""
        found = []
        for name in self.changed():
            index, work = self.index.get(name), self.work.get(name)
            if index == self.new.get(name):
                continue  # it is staged already
            if name not in self.old:
                fine = index is None and work in (None, self.new[name])
            elif name not in self.new:
                fine = index == self.old[name] and work in (None, index)
            else:
                fine = index == self.old[name] == work
            if not fine:
                found.append(name)
        return found

    def after(self) -> tuple[dict[str, str], dict[str, str]]:
        """The index and the files that a move leaves."""
        index, work = dict(self.index), dict(self.work)
        for name in self.changed():
            if self.index.get(name) == self.new.get(name):
                continue
            for one in (index, work):
                one.pop(name, None)
                if name in self.new:
                    one[name] = self.new[name]
        return index, work


def states(names):
    edits = st.dictionaries(st.sampled_from(names), st.sampled_from((*CONTENT, None)), max_size=3)
    return st.builds(State, trees(names), trees(names), edits, edits)


@dataclass
class Bench:
    """One worktree, used over and over."""

    main: Repo
    tree: Repo
    gitdir: str
    blobs: dict[str, str]

    def commit(self, content: dict[str, str]) -> str:
        git = self.tree.git
        env = {"GIT_INDEX_FILE": f"{self.gitdir}/scratch-index"}
        git("read-tree", "--empty", env=env)
        lines = "".join(f"100644 {self.blobs[text]}\t{name}\n" for name, text in content.items())
        git("update-index", "--index-info", input=lines, env=env)
        dates = {"GIT_AUTHOR_DATE": "@1 +0000", "GIT_COMMITTER_DATE": "@1 +0000"}
        return git("commit-tree", "-m", "x", git("write-tree", env=env), env=dates)

    def lay(self, state: State) -> Move:
        git, root = self.tree.git, self.tree.path
        old, new = self.commit(state.old), self.commit(state.new)
        for path in root.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        git("update-ref", "refs/heads/feature", old)
        git("read-tree", "--reset", "-u", old)
        lines = [
            f"0 {'0' * 40}\t{n}" if t is None else f"100644 {self.blobs[t]}\t{n}"
            for n, t in state.staged.items()
        ]
        git("update-index", "--index-info", input="".join(f"{line}\n" for line in lines))
        # What goes makes room first: a file may take a directory's place, or the other way round.
        for name, text in state.files.items():
            if text is None and (root / name).is_file():
                (root / name).unlink()
        for name, text in state.files.items():
            path = root / name
            if text is not None:
                if path.is_dir():
                    shutil.rmtree(path)  # left empty
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        git("update-index", "-q", "--refresh", check=False)
        return Move(str(root), self.gitdir, old, new, (Change("refs/heads/feature", new, old),))

    def index(self) -> str:
        return self.tree.git("ls-files", "--stage")

    def listed(self, content: dict[str, str]) -> str:
        return "\n".join(f"100644 {self.blobs[text]} 0\t{name}" for name, text in sorted(content.items()))

    def work(self) -> dict[str, str]:
        return {
            n: entry[0].decode() for n, entry in files(self.tree.path).items() if isinstance(entry[0], bytes)
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    main = Repo.init(tmp_path_factory.mktemp("states") / "repo")
    main.commit({"start": "x"})
    tree = main.worktree("tree", "feature")
    Path(main.path / ".git/info/exclude").write_text("*.ignored\n")
    blobs = {text: main.git("hash-object", "-w", "--stdin", input=text) for text in CONTENT}
    return Bench(main, tree, tree.git("rev-parse", "--absolute-git-dir"), blobs)


def run(bench: Bench, state: State, modelled: bool) -> None:
    move = bench.lay(state)
    before = (files(bench.tree.path), bench.index())
    if modelled:
        # An edit may also just be the old content: what is there counts.
        assert bench.work() == state.work
    try:
        follow.apply(Git(bench.tree.path), move, "run", "lane", shared(Git(bench.tree.path)))
    except (HeldBack, UnsafePath):
        event("held back")
        assert (files(bench.tree.path), bench.index()) == before
        assert bench.tree.oid() == move.old
        if modelled:
            assert state.overlaps()
        return
    event("moved")
    assert bench.tree.oid() == move.new
    index, work = state.after()
    if modelled:
        assert not state.overlaps()
        assert bench.index() == bench.listed(index)
        assert bench.work() == work
    # What plumbing says without reading files is what a careful look says.
    quick = bench.tree.git("diff-files", "--name-only")
    bench.tree.git("update-index", "-q", "--really-refresh", check=False)
    assert quick == bench.tree.git("diff-files", "--name-only")
    assert not Path(bench.gitdir, "index.lock").exists() and not Path(bench.gitdir, "raccord-stage").exists()


settings.register_profile("worktrees", deadline=None, suppress_health_check=list(HealthCheck))
COMMON = settings.get_profile("worktrees")


@settings(COMMON, max_examples=12)
@given(state=states(FLAT))
def test_a_move_is_what_the_model_says(bench, state):
    run(bench, state, modelled=True)


@pytest.mark.long
@settings(COMMON, max_examples=400)
@given(state=states(FLAT))
@pytest.mark.timeout(600)
def test_many_moves_are_what_the_model_says(bench, state):
    run(bench, state, modelled=True)


def nested_ok(state: State) -> bool:
    """Whether the edits themselves can be laid: no file where another needs a directory."""
    for names in (state.index, state.work):
        if any(other.startswith(f"{name}/") for name in names for other in names):
            return False
    return True


@pytest.mark.long
@settings(COMMON, max_examples=400)
@given(state=states(NESTED).filter(nested_ok))
@pytest.mark.timeout(600)
def test_files_and_directories_in_each_others_place_are_never_lost(bench, state):
    run(bench, state, modelled=False)
