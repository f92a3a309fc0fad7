"""Many files at once: all or nothing, from any point, with an editor racing."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raccord.errors import CannotRun, UnsafePath, WorldMoved
from raccord.kernel import fs, fs_rename, fs_swap, fs_swap_log
from raccord.kernel.fs_swap_log import Entry, Phase, Swap
from tests.kernel.test_fs import tiny_disk


class Interrupted(BaseException):
    """Stands for a kill."""


@pytest.fixture(params=["exchange", "links"])
def way(request, monkeypatch):
    """Both ways of renaming: with the kernel's flags, and where the file system has none."""
    if request.param == "links":
        monkeypatch.setattr(fs_rename, "_RENAME", None)
    return request.param


def tree(root: Path) -> dict[str, tuple[int, str | None]]:
    found: dict[str, tuple[int, str | None]] = {}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(folder, name)
            seen = path.lstat()
            text = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None
            found[str(path.relative_to(root))] = (stat.S_IFMT(seen.st_mode), text)
    return found


def fill(root: Path, files: dict[str, str | None]) -> None:
    """Writes files; "-> x" makes a link to x, None a directory."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir(exist_ok=True)
        elif text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)


def prepare(base: Path, old: dict[str, str | None], new: dict[str, str | None]) -> Swap:
    """A log that brings a tree with `old` to `new`."""
    root, stage = base / "root", base / "stage"
    (stage / "new").mkdir(parents=True)
    root.mkdir(exist_ok=True)
    fill(root, old)
    fill(stage / "new", {name: text for name, text in new.items() if text is not None})
    entries = []
    for name in sorted({*old, *new}):
        before = fs.signature(root / name)
        if new.get(name) is not None:
            entries.append(Entry(name, before, staged=name))
        elif name in new:
            entries.append(Entry(name, before, folder=True))
        elif not (before and before.is_dir):
            entries.append(Entry(name, before))
    return fs_swap_log.prepare(stage, root, stage, entries, {})


Tree = dict[str, str | None]
CASES: dict[str, tuple[Tree, Tree]] = {
    "change": ({"a": "1"}, {"a": "2"}),
    "come": ({}, {"x/y/z": "1"}),
    "go": ({"x/y/z": "1", "x/a": "1"}, {"x/a": "2"}),
    "all go": ({"x/y/z": "1"}, {}),
    "file to directory": ({"a": "1"}, {"a/b/c": "1"}),
    "directory to file": ({"a/b/c": "1", "a/d": "1", "a/empty": None}, {"a": "1"}),
    "link to file": ({"a": "-> nowhere"}, {"a": "1"}),
    "file to link": ({"a": "1"}, {"a": "-> ."}),
    "link to directory": ({"a": "-> /etc"}, {"a/b": "1"}),
    "directory to link": ({"a/b": "1"}, {"a": "-> /etc"}),
    "file to empty directory": ({"a": "1"}, {"a": None}),
    "strange names": ({"-rf": "1", "a\nb": "1", "\udcff": "1"}, {"-rf": "2", "\udcff/x": "1"}),
}


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(tmp_path, case, way):
    old, new = CASES[case]
    swap = prepare(tmp_path, old, new)
    before = tree(tmp_path / "root")
    fs_swap.verify(swap)
    fs_swap.forward(swap)
    expected = tmp_path / "expected"
    expected.mkdir()
    fill(expected, new)
    assert tree(tmp_path / "root") == tree(expected)
    fs_swap.forward(swap)
    assert tree(tmp_path / "root") == tree(expected)
    fs_swap.backward(swap)
    assert tree(tmp_path / "root") == before
    fs_swap.backward(swap)
    assert tree(tmp_path / "root") == before
    assert fs_swap.rescue(swap, tmp_path / "rescued", done=False) == ()


NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/f", "g"])
TREES = st.dictionaries(NAMES, st.sampled_from(["1", "2", "-> x"]), max_size=5)


@settings(max_examples=40, deadline=None)
@given(old=TREES, new=TREES, stop=st.integers(0, 12), then=st.sampled_from(["forward", "backward"]))
def test_from_any_point_forward_and_backward_end_the_same(tmp_path_factory, old, new, stop, then):
    base = tmp_path_factory.mktemp("swap")
    swap = prepare(base, old, new)
    before = tree(base / "root")
    with pytest.MonkeyPatch.context() as patch:
        count = 0

        def stopping(real):
            def call(*args, **keywords):
                nonlocal count
                count += 1
                if count > stop:
                    raise Interrupted
                return real(*args, **keywords)

            return call

        for name in ("place", "exchange"):
            patch.setattr(fs_rename, name, stopping(getattr(fs_rename, name)))
        for name in ("rmdir", "mkdir"):
            patch.setattr(os, name, stopping(getattr(os, name)))
        with contextlib.suppress(Interrupted):
            fs_swap.forward(swap)
    loaded = fs_swap_log.load(base / "stage")
    assert loaded == (swap, Phase.FORWARD)
    getattr(fs_swap, then)(swap)
    wanted = base / "expected"
    wanted.mkdir()
    fill(wanted, new)
    # Directories that the old tree had empty, or that became so, go as git lets them go.
    assert tree(base / "root") == (before if then == "backward" else tree(wanted))
    assert fs_swap.rescue(swap, base / "rescued", done=then == "forward") == ()


def racing(monkeypatch, what, edit):
    """Runs `edit` once, just before a rename, when all checks were made."""
    real = getattr(fs_rename, what)
    left = [edit]

    def call(*args, **keywords):
        if left:
            left.pop()()
        return real(*args, **keywords)

    monkeypatch.setattr(fs_rename, what, call)


def rewrite(path: Path) -> None:
    """As most editors save."""
    other = path.with_name("saved~")
    other.write_text("edited")
    other.replace(path)


EDITS = {"in place": lambda path: path.write_text("edited"), "by rename": rewrite}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_at_the_very_moment_stays_and_refuses_the_whole(tmp_path, monkeypatch, edit):
    swap = prepare(tmp_path, {"a": "1", "b": "1"}, {"a": "2", "b": "2"})
    racing(monkeypatch, "exchange", lambda: EDITS[edit](tmp_path / "root/a"))
    with pytest.raises(WorldMoved, match="a changed meanwhile"):
        fs_swap.forward(swap)
    fs_swap.backward(swap)
    assert fs_swap.rescue(swap, tmp_path / "rescued", done=False) == ()
    assert (tmp_path / "root/a").read_text() == "edited"
    assert (tmp_path / "root/b").read_text() == "1"


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_what_is_just_removed_comes_back(tmp_path, monkeypatch, edit):
    swap = prepare(tmp_path, {"a": "1"}, {})
    racing(monkeypatch, "place", lambda: EDITS[edit](tmp_path / "root/a"))
    with pytest.raises(WorldMoved):
        fs_swap.forward(swap)
    fs_swap.backward(swap)
    assert (tmp_path / "root/a").read_text() == "edited"


def test_a_file_made_where_one_comes_is_not_overwritten(tmp_path, monkeypatch, way):
    swap = prepare(tmp_path, {"b": "1"}, {"a": "2", "b": "2"})
    racing(monkeypatch, "place", lambda: (tmp_path / "root/a").write_text("mine"))
    with pytest.raises(WorldMoved):
        fs_swap.forward(swap)
    fs_swap.backward(swap)
    assert tree(tmp_path / "root") == {"a": (stat.S_IFREG, "mine"), "b": (stat.S_IFREG, "1")}


def test_without_exchange_an_edit_between_the_two_renames_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fs_rename, "_RENAME", None)
    swap = prepare(tmp_path, {"a": "1"}, {"a": "2"})
    real, calls = fs_rename.place, []

    def place(*args, **keywords):
        calls.append(args)
        if len(calls) == 2:
            (tmp_path / "root/a").write_text("edited")
        return real(*args, **keywords)

    monkeypatch.setattr(fs_rename, "place", place)
    with pytest.raises(WorldMoved):
        fs_swap.forward(swap)
    monkeypatch.setattr(fs_rename, "place", real)
    fs_swap.backward(swap)
    kept = fs_swap.rescue(swap, tmp_path / "rescued", done=False)
    assert (tmp_path / "root/a").read_text() == "edited"
    assert [Path(path).read_text() for path in kept] == ["1"]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_after_the_swap_stays_when_the_swap_is_taken_back(tmp_path, edit, way):
    swap = prepare(tmp_path, {"a": "1", "gone": "1"}, {"a": "2", "new": "2"})
    fs_swap.forward(swap)
    for name in ("a", "new"):
        EDITS[edit](tmp_path / "root" / name)
    (tmp_path / "root/gone").write_text("mine")
    fs_swap.forward(swap)
    fs_swap.backward(swap)
    kept = fs_swap.rescue(swap, tmp_path / "rescued", done=False)
    here = {name: text for name, (_, text) in tree(tmp_path / "root").items()}
    assert here == {"a": "edited", "new": "edited", "gone": "mine"}
    assert {Path(path).name: Path(path).read_text() for path in kept} == {"a": "1", "gone": "1"}


def test_what_is_written_to_the_old_file_through_an_open_descriptor_is_rescued(tmp_path):
    swap = prepare(tmp_path, {"a": "1", "b": "1"}, {"a": "2"})
    with (tmp_path / "root/a").open("a") as one, (tmp_path / "root/b").open("a") as other:
        fs_swap.forward(swap)
        one.write("late")
        other.write("late")
    kept = fs_swap.rescue(swap, tmp_path / "rescued", done=True)
    assert {Path(path).name: Path(path).read_text() for path in kept} == {"a": "1late", "b": "1late"}
    assert (tmp_path / "root/a").read_text() == "2"


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_a_file_that_is_still_open_for_writing_is_kept_for_what_comes_later(tmp_path):
    swap = prepare(tmp_path, {"a": "1", "b": "1", "c": "1"}, {"a": "2"})
    with (
        (tmp_path / "root/a").open("a") as one,
        (tmp_path / "root/b").open("a") as other,
        (tmp_path / "root/c").open(),
    ):
        fs_swap.forward(swap)
        kept = fs_swap.rescue(swap, tmp_path / "rescued", done=True)
        one.write("later")
        other.write("later")
    assert {Path(path).name: Path(path).read_text() for path in kept} == {"a": "1later", "b": "1later"}


def test_a_directory_with_anything_else_in_it_stays(tmp_path):
    swap = prepare(tmp_path, {"x/y/z": "1", "w/v": "1"}, {})
    (tmp_path / "root/x/y/mine").write_text("mine")
    fs_swap.forward(swap)
    assert sorted(tree(tmp_path / "root")) == ["x", "x/y", "x/y/mine"]


def test_emptied_directories_come_back_with_their_modes(tmp_path):
    fill(tmp_path / "root", {"x/y/z": "1"})
    (tmp_path / "root/x/y").chmod(0o710)
    (tmp_path / "root/x").chmod(0o2700)
    swap = prepare(tmp_path, {"x/y/z": "1"}, {})
    fs_swap.forward(swap)
    assert tree(tmp_path / "root") == {}
    fs_swap.backward(swap)
    modes = [stat.S_IMODE((tmp_path / "root" / name).stat().st_mode) for name in ("x", "x/y")]
    assert modes == [0o2700, 0o710]


def test_two_names_of_one_file_are_no_race(tmp_path):
    fill(tmp_path / "root", {"a": "1"})
    os.link(tmp_path / "root/a", tmp_path / "root/b")
    swap = prepare(tmp_path, {}, {"a": "2", "b": "2"})
    fs_swap.forward(swap)
    assert {text for _, text in tree(tmp_path / "root").values()} == {"2"}


@pytest.mark.parametrize("new", [{"link/x": "1"}, {"a": "2", "sub/link/deep/x": "1"}])
def test_a_linked_parent_is_refused_before_anything_moves(tmp_path, new):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "root", {"a": "1", "link": "-> ../out", "sub/link": "-> ../../out"})
    with pytest.raises(UnsafePath):
        prepare(tmp_path, {}, new)
    assert not (tmp_path / "stage/manifest.json").exists()
    assert os.listdir(tmp_path / "out") == []


def test_a_parent_on_another_file_system_is_refused_before_anything_moves(tmp_path):
    fill(tmp_path / "root", {"a": "1"})
    with tiny_disk(tmp_path / "root/disk"), pytest.raises(CannotRun, match="another file system"):
        prepare(tmp_path, {}, {"a": "2", "disk/b": "1"})
    assert (tmp_path / "root/a").read_text() == "1"


READ_ONLY = """
import os, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from raccord.errors import CannotRun
from raccord.kernel import fs_swap, fs_swap_log
from tests.kernel.test_fs_swap import prepare, tree
base, when = Path(sys.argv[1]), sys.argv[2]
if os.geteuid() == 0:  # root may write everywhere
    os.chown(base, 65534, 65534)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
if when == "before":
    (base / "root/b").mkdir(parents=True)
    (base / "root/b/x").write_text("1")
    (base / "root/b").chmod(0o500)
    try:
        prepare(base, {"a/x": "1"}, {"a/x": "2", "b/x": "2"})
    except CannotRun as error:
        print(error)
else:
    swap = prepare(base, {"a/x": "1", "b/x": "1"}, {"a/x": "2", "b/x": "2"})
    (base / "root/b").chmod(0o500)
    try:
        fs_swap.forward(swap)
    except CannotRun as error:
        print(error)
        assert (base / "root/a/x").read_text() == "2"
        fs_swap.backward(swap)
print(sorted((name, text) for name, (_, text) in tree(base / "root").items() if text))
"""


@pytest.mark.parametrize("when", ["before", "half-way"])
def test_a_read_only_directory_refuses_the_whole_or_has_it_taken_back(when):
    # Not below pytest's own directory, which every run of it closes to others.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        base = Path(folder, "base")
        base.mkdir()
        read_only(base, when)


def read_only(base: Path, when: str) -> None:
    homes = [str(Path(fs.__file__).parents[2]), str(Path(__file__).parents[2])]
    script = [sys.executable, "-c", READ_ONLY, str(base), when, *homes]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, files = done.stdout.splitlines()
    assert "permission denied" in said
    assert files == "[('a/x', '1'), ('b/x', '1')]"


def test_a_log_of_another_format_is_not_touched(tmp_path):
    prepare(tmp_path, {"a": "1"}, {"a": "2"})
    path = tmp_path / "stage/manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(CannotRun, match="another release"):
        fs_swap_log.load(tmp_path / "stage")
