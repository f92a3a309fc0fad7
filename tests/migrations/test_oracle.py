"""Compares the graph with real alembic's: on histories made up here, and on those in published packages."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raccord.errors import RaccordError, UsageError
from raccord.migrations.graph import Graph
from raccord.migrations.loading import Loaded, load
from raccord.migrations.project import read_project
from raccord.migrations.resolve import resolve, target
from tests.migrations.histories import IDS, LABELS, broken, specs, write
from tests.migrations.oracle import Oracle, running

# The package, the folder of versions in it, and what is asked of it at least: revisions, merges.
PUBLISHED = [
    ("apache-airflow-core", "airflow/migrations/versions", 120, 0),
    ("apache-superset", "superset/migrations/versions", 340, 30),
    ("dagster", "dagster/_core/storage/alembic/versions", 85, 0),
    ("keystone", "keystone/common/sql/migrations/versions", 10, 0),
    ("langflow-base", "langflow/alembic/versions", 160, 28),
    ("mlflow", "mlflow/server/auth/db/migrations/versions", 5, 0),
    ("mlflow", "mlflow/store/db_migrations/versions", 68, 0),
    ("neutron", "neutron/db/migration/alembic_migrations/versions", 130, 0),
    ("nova", "nova/db/api/migrations/versions", 3, 0),
    ("nova", "nova/db/main/migrations/versions", 10, 0),
    ("open-webui", "open_webui/migrations/versions", 60, 0),
    ("prefect", "prefect/server/database/_migrations/versions/postgresql", 115, 0),
    ("prefect", "prefect/server/database/_migrations/versions/sqlite", 110, 0),
]
# A folder that keeps downloads from one run to the next; who names one lets the tests use the network.
CACHE = os.environ.get("PYTEST_RACCORD_DOWNLOADS")
needs_downloads = pytest.mark.skipif(
    not CACHE, reason="PYTEST_RACCORD_DOWNLOADS names no folder for downloads"
)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    with running(tmp_path_factory.mktemp("alembic")) as child:
        yield child


def versions(package: str, folder: str) -> Path:
    """The version folder of a published package, unpacked and never imported; skips where it can't be had."""
    assert CACHE
    place = Path(CACHE).absolute() / package
    unpacked = place / "files"
    if not (unpacked / folder).exists():
        place.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        argv += ["--no-cache-dir", "--retries", "1"]
        env = os.environ | {"HOME": str(place), "XDG_CACHE_HOME": str(place / "cache")}
        try:
            done = subprocess.run(
                [*argv, "--dest", str(place), package],
                env=env,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{package}: the download takes longer than 300 s")
        wheels = [*place.glob("*.whl")]
        if done.returncode or not wheels:
            pytest.skip(f"{package} can't be downloaded: {done.stderr.strip().splitlines()[-1:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(unpacked, [name for name in wheel.namelist() if "/versions/" in name])
        wheels[0].unlink()
    return unpacked / folder


def compare(oracle: Oracle, folders: list[Path], loaded: Loaded, *, recursive: bool = False) -> Graph:
    """Asserts that alembic and the graph see the same history."""
    graph = Graph(loaded.revisions)
    said = oracle.ask(folders, recursive=recursive)
    assert "error" not in said, said
    assert said["warned"] == [] and graph.healthy and not loaded.faults
    assert said["heads"] == list(graph.heads)
    assert said["effective_heads"] == list(graph.effective_heads)
    assert said["bases"] == list(graph.bases)
    assert said["parents"] == {rev: list(graph.parents(rev)) for rev in graph}
    assert said["depends"] == {rev: list(graph[rev].depends_on) for rev in graph}
    assert said["resolved"] == {rev: list(graph.dependencies.get(rev, ())) for rev in graph}
    assert said["order"] == list(graph.order())
    assert set(said["merges"]) == set(graph.merges)
    assert set(said["branch_points"]) == set(graph.branch_points)
    for rev in graph:
        assert (said["doc"][rev].splitlines() or [""])[0].strip() == graph[rev].message
    if not any(one.unclear for one in loaded.revisions):
        assert said["labels"] == {rev: sorted(graph.branch_labels(rev)) for rev in graph}
    return graph


@pytest.mark.long
@pytest.mark.timeout(400)
@needs_downloads
@pytest.mark.parametrize(("package", "folder", "least", "merges"), PUBLISHED, ids=lambda value: str(value))
def test_published_histories_are_as_alembic_sees_them(package, folder, least, merges, oracle):
    place = versions(package, folder)
    loaded = load([place], recursive=True)
    graph = compare(oracle, [place], loaded, recursive=True)
    assert len(graph) >= least and len(graph.merges) >= merges
    assert loaded.strangers == ()
    # From every third revision to the newest, the same steps in the same order.
    starts = list(graph)[::3]
    said = oracle.ask([place], recursive=True, paths=[[[start], "heads"] for start in starts])
    for start, steps in zip(starts, said["paths"], strict=True):
        assert steps == list(graph.between([start], graph.effective_heads)), start


def test_made_up_histories_are_as_alembic_sees_them(oracle):
    @settings(max_examples=50)
    @given(specs())
    def check(history):
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            compare(oracle, [place], load([place]))

    check()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_made_up_histories_are_as_alembic_sees_them(oracle):
    @settings(max_examples=1500)
    @given(specs(20))
    def check(history):
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            compare(oracle, [place], load([place]))

    check()


def test_upgrades_take_the_steps_that_alembic_takes(oracle):
    @settings(max_examples=50)
    @given(specs(), st.data())
    def check(history, data):
        assume(history)
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            graph = Graph(load([place]).revisions)
            one = st.sampled_from(list(graph))
            # A version table never holds a revision together with what it needs.
            currents = [list(graph.tips(data.draw(st.lists(one, max_size=2)))) for _ in range(4)]
            targets = [data.draw(one) for _ in currents] + ["heads"]
            asked = [(current, goal) for current in currents for goal in targets]
            said = oracle.ask([place], paths=asked)
            for (current, goal), steps in zip(asked, said["paths"], strict=True):
                assert steps == list(graph.between(current, resolve(graph, goal))), (current, goal)

    check()


def test_words_for_revisions_mean_what_they_mean_to_alembic(oracle):
    starts = sorted({word[:length] for word in [*IDS, *LABELS] for length in (2, 3, 4, 5)} | {*LABELS})
    plain = [*starts, *IDS, "head", "heads", "base", "nothing", "-1", "-2"]
    words = [
        *plain,
        *(f"{label}@{word}" for label in [*LABELS, IDS[0]] for word in [*plain[-7:], *IDS[:3], "a1b2"]),
    ]

    @settings(max_examples=50)
    @given(specs())
    def check(history):
        assume(history)  # without any, alembic takes every word for a label
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            graph = Graph(load([place]).revisions)
            said = oracle.ask([place], ask=words)["ask"]
            for word in words:
                try:
                    found: object = list(resolve(graph, word))
                except UsageError:
                    found = None
                if isinstance(said[word], str):
                    assert found is None, (word, said[word])
                elif None in said[word]:
                    pass  # alembic walked past the base
                else:
                    assert found == [rev for rev in said[word] if rev != "base"], word

    check()


def test_steps_up_mean_what_they_mean_to_alembic(oracle):
    @settings(max_examples=50)
    @given(specs(), st.data())
    def check(history, data):
        assume(history)
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            graph = Graph(load([place]).revisions)
            current = list(graph.tips([data.draw(st.sampled_from(list(graph)))]))
            words = ["+1", "+2", *(f"{rev}+1" for rev in graph), *(f"{label}@+1" for label in graph.labels)]
            said = oracle.ask([place], paths=[[current, word] for word in words])
            for word, steps in zip(words, said["paths"], strict=True):
                try:
                    found: object = list(graph.between(current, target(graph, word, current)))
                except UsageError:
                    found = None
                assert found == (None if isinstance(steps, str) else steps), (word, steps)

    check()


def test_what_alembic_refuses_is_not_healthy_and_what_is_healthy_it_loads(oracle):
    @settings(max_examples=80)
    @given(broken())
    def check(history):
        with tempfile.TemporaryDirectory() as folder:
            place = write(Path(folder) / "versions", history)
            loaded = load([place])
            graph = Graph(loaded.revisions)
            said = oracle.ask([place])
            if "error" in said or said["warned"]:
                assert not graph.healthy, said
            if graph.healthy:
                compare(oracle, [place], loaded)

    check()


def test_version_folders_are_listed_as_alembic_lists_them(oracle, tmp_path):
    one = write(tmp_path / "one", [])
    for name in ("b.py", "a.py", "z.py"):
        (one / name).write_text(f"revision = {name!r}[0]\ndown_revision = None\n".replace("'[0]", ".x'"))
    listing = {
        "top.py": "t1", ".#lock.py": "x1", "__init__.py": "x2", "__init__more.py": "x3", "notes.txt": "x4",
        "deep/er/low.py": "d1", "deep/a.py": "d2", "__pycache__/p.py": "x5", "a__pycache__/p.py": "x6",
        ".hidden/h.py": "h1", "up.PY": "x7",
    }  # fmt: skip
    two = tmp_path / "two"
    for path, rev in listing.items():
        (two / path).parent.mkdir(parents=True, exist_ok=True)
        (two / path).write_text(f"revision = {rev!r}\ndown_revision = None\n")
    (two / "linked.py").symlink_to(two / "deep" / "a.py")
    (two / "other_name").symlink_to(write(tmp_path / "far", []) / "real.py")
    (tmp_path / "far" / "real.py").write_text("revision = 'f1'\ndown_revision = None\n")
    (two / "folder").symlink_to(one)
    (one / "b.py").write_text("revision = 'o2'\ndown_revision = None\n")
    (one / "a.py").write_text("revision = 'o1'\ndown_revision = None\n")
    (one / "z.py").unlink()
    for recursive in (False, True):
        folders = [two, tmp_path / "absent", one]
        loaded = load(folders, recursive=recursive)
        compare(oracle, folders, loaded, recursive=recursive)
        assert loaded.absent == (str(tmp_path / "absent"),)
        found = {rev for rev in Graph(loaded.revisions) if rev[0] != "x"}
        assert len(found) == len(loaded.files)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "version_locations = a b",
        "version_locations = a, b,c  d",
        "version_locations = %(here)s/a %(there)s/b\nthere = /x",
        f"version_locations = a{os.pathsep}b c{os.pathsep}\npath_separator = os",
        "version_locations = a:b\nversion_path_separator = :",
        "version_locations = a;b c\npath_separator = ;\nversion_path_separator = :",
        "version_locations = a  b\nversion_path_separator = space",
        "version_locations =\n  a\n  b c\n\n  d\npath_separator = newline",
        "version_locations = a b\npath_separator =",
        "version_locations = a b\npath_separator = comma",
        "version_locations =",
        "file_template = %%(epoch)s_%%(rev)s\ntimezone = Europe/Paris\ntruncate_slug_length = 7",
        "sourceless = true\nrecursive_version_locations = true\noutput_encoding = utf-16",
        "sourceless = True\nrecursive_version_locations = yes",
        "sqlalchemy.url = postgresql://u:p%%40@h/%(name)s\nname = db",
        "sqlalchemy.url = sqlite:///%(here)s/x.db",
        "truncate_slug_length = many",
        "file_template = %(gone)s",
        "version_locations = a\nversion_locations = b",
    ],
)
def test_a_configuration_is_read_as_alembic_reads_it(options, oracle, tmp_path):
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "env.py").write_text("engine_from_config(x)\nconfigure()\n")
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = alembic\n{options}\n")
    same_as_alembic(oracle.configured(ini), tmp_path, ini)


@pytest.mark.parametrize(
    "table",
    [
        'script_location = "alembic"',
        'script_location = "%(here)s/alembic"\nversion_locations = ["%(here)s/a", "b"]\ntimezone = "%%(x)s"',
        'script_location = "alembic"\nsourceless = true\nrecursive_version_locations = true',
        'script_location = "alembic"\nsourceless = "true"',
        'script_location = "alembic"\ntruncate_slug_length = 12',
        'script_location = "%(gone)s"',
        'version_locations = ["a"]',
    ],
)
def test_a_pyproject_is_read_as_alembic_reads_it(table, oracle, tmp_path):
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "env.py").write_text("configure()\n")
    toml = tmp_path / "pyproject.toml"
    toml.write_text(f"[tool.alembic]\n{table}\n")
    same_as_alembic(oracle.configured(None, toml), tmp_path, toml)


def same_as_alembic(said, root: Path, ini: Path):
    if "error" in said:
        with pytest.raises(RaccordError):
            read_project(root, ini)
        return
    found = read_project(root, ini).databases[0]
    values = {name: getattr(found, name) for name in said if name not in ("script", "versions")}
    assert said == values | {"script": str(found.script), "versions": [str(path) for path in found.versions]}
