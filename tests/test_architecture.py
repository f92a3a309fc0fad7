"""Applies the house rules to the code, and to snippets that break them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import (
    RULES,
    Module,
    Rule,
    check_children,
    check_direction,
    check_files,
    check_heavy,
    check_length,
    check_lengths,
    check_processes,
    check_sqlite,
    check_surroundings,
)

SOURCE = Path(__file__).resolve().parent.parent / "src" / "raccord"
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = [Module(path.relative_to(SOURCE).as_posix(), path.read_text("utf-8")) for path in FILES]


def rule_name(value):
    return value.__name__.removeprefix("check_") if callable(value) else None


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_the_house_keeps_its_rules(rule: Rule):
    wrong = [line for module in MODULES for line in rule(module)]
    assert not wrong, "\n".join([rule.__doc__ or "", *wrong])


def test_most_modules_are_short():
    assert list(check_lengths(MODULES)) == []


def test_a_median_that_is_too_long_is_noticed():
    short, long = Module("model/a.py", "x = 1\n" * 9), Module("model/b.py", "x = 1\n" * 300)
    empty = [Module(f"model/{i}.py", "") for i in range(9)]
    assert list(check_lengths([short, short, long])) == []
    assert list(check_lengths([short, long, long])) != []
    assert list(check_lengths([short, long, long, *empty])) != []


BAD: list[tuple[Rule, str, str]] = [
    (check_children, "migrations/driver/x.py", "import psycopg"),
    (check_children, "migrations/driver/x.py", "def f():\n    from raccord.kernel import fs"),
    (check_children, "migrations/x.py", "from raccord.migrations.driver import run"),
    (check_direction, "attic/x.py", ""),
    (check_direction, "checks/x.py", "def f():\n    from raccord.code import plan"),
    (check_direction, "code/plan.py", "from raccord.verbs import sync"),
    (check_direction, "code/plan.py", "from raccord import Workspace"),
    (check_direction, "code/plan.py", "from raccord import verbs"),
    (check_direction, "code/plan.py", "from raccord.attic import x"),
    (check_direction, "code/plan.py", "from ..migrations import graph"),
    (check_direction, "code/plan.py", "from .. import migrations"),
    (check_direction, "config.py", "import raccord.kernel.fs"),
    (check_direction, "errors.py", "from raccord.model.text import shown"),
    (check_direction, "git/run.py", "import importlib\nimportlib.import_module('raccord.code.plan')"),
    (check_direction, "git/run.py", "import importlib as i\ni.import_module(f'raccord.verbs.{x}')"),
    (check_direction, "git/run.py", "if TYPE_CHECKING:\n    import raccord.objects"),
    (check_direction, "model/x.py", "import raccord.errors"),
    (check_direction, "web/x.py", "from raccord.cli import main"),
    (check_files, "code/x.py", "import os\nos.rename(a, b)"),
    (check_files, "code/x.py", "import os\nf = os.open(p, os.O_RDWR)"),
    (check_files, "code/x.py", "from os import unlink as away\naway(p)"),
    (check_files, "code/x.py", "import shutil\nshutil.rmtree(p)"),
    (check_files, "code/x.py", "import tempfile as t\nt.mkdtemp()"),
    (check_files, "code/x.py", "open(p, 'w')"),
    (check_files, "code/x.py", "open(p, mode='r+b')"),
    (check_files, "code/x.py", "p.open('ab')"),
    (check_files, "code/x.py", "import tarfile\ntarfile.open(p, 'w:gz')"),
    (check_files, "code/x.py", "p.parent.mkdir(parents=True)"),
    (check_files, "code/x.py", "p.write_text('x')"),
    (check_files, "code/x.py", "p.replace(q)"),
    (check_files, "kernel/files.py", "p.unlink()"),
    (check_heavy, "config.py", "import tomlkit"),
    (check_heavy, "verbs/x.py", "try:\n    from rich.table import Table\nexcept ImportError:\n    pass"),
    (check_heavy, "__init__.py", "import typer"),
    (check_length, "model/x.py", "x = 1\n" * 401),
    (check_processes, "git/run.py", "import subprocess"),
    (check_processes, "git/run.py", "from subprocess import run"),
    (check_processes, "git/run.py", "import os\nos.execvp('git', [])"),
    (check_processes, "git/run.py", "from os import posix_spawn"),
    (check_processes, "git/run.py", "import os as o\no.system('git')"),
    (check_processes, "git/run.py", "import asyncio\nasyncio.create_subprocess_exec('git')"),
    (check_sqlite, "kernel/journal.py", "import sqlite3"),
    (check_sqlite, "code/x.py", "from sqlite3 import connect"),
    (check_sqlite, "database/heads.py", "import sqlite3"),
    (check_surroundings, "code/x.py", "import os\nos.environ['A']"),
    (check_surroundings, "code/x.py", "from os import getenv"),
    (check_surroundings, "code/x.py", "from pathlib import Path\nPath.home()"),
    (check_surroundings, "kernel/proc.py", "import os.path\nos.path.expanduser('~')"),
    (check_surroundings, "code/x.py", "p.expanduser()"),
    (check_surroundings, "workspace.py", "print('done')"),
    (check_surroundings, "config.py", "import sys\nsys.exit(1)"),
    (check_surroundings, "verbs/x.py", "raise SystemExit(1)"),
    (check_surroundings, "verbs/x.py", "from sys import stderr\nstderr.write('x')"),
]  # fmt: skip
GOOD: list[tuple[Rule, str, str]] = [
    (check_direction, "__main__.py", "from raccord.cli.main import main"),
    (check_direction, "cli/serve.py", "from raccord.web import app\nimport raccord.mcp.server"),
    (check_direction, "cli/sync.py", "from raccord import Workspace, __version__\nimport raccord.errors"),
    (check_direction, "code/steps.py", "import raccord.code.plan\nfrom .plan import y\nfrom . import plan"),
    (check_direction, "verbs/sync.py", "import os, raccord\nfrom raccord.code import plan"),
    (check_files, "code/x.py", "from raccord.kernel import fs\nfs.unlink(p)\nfs.replace(p)\nfs.mkdir(p)"),
    (check_files, "code/x.py", "open(p)\nopen(p, 'rb')\np.open()\np.open('r')\nopen(p, encoding='ascii')"),
    (check_files, "code/x.py", "s.replace('a', 'b')\nd.replace(tzinfo=u)"),
    (check_files, "code/x.py", "import os, shutil\nos.open(p, os.O_RDONLY)\nx.remove(y)\nshutil.which(z)"),
    (check_files, "kernel/fs.py", "import os\nos.rename(a, b)"),
    (check_files, "kernel/fs_atomic.py", "import tempfile"),
    (check_heavy, "cli/main.py", "import typer"),
    (check_heavy, "config.py", "def edit():\n    import tomlkit"),
    (check_heavy, "config.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tomlkit"),
    (check_length, "model/x.py", "x = 1\n" * 400),
    (check_processes, "kernel/proc.py", "import subprocess"),
    (check_processes, "kernel/locks.py", "import os\nos.kill(1, 0)\nos.path.exists(p)"),
    (check_sqlite, "database/sqlite.py", "import sqlite3"),
    (check_sqlite, "kernel/store.py", "import sqlite3"),
    (check_surroundings, "cli/x.py", "import os\nprint(os.environ)"),
    (check_surroundings, "config.py", "import os\nos.environ.get('A')"),
    (check_surroundings, "config/load.py", "from pathlib import Path\nPath.home()"),
    (check_surroundings, "kernel/proc.py", "import os\nos.environ.copy()"),
    (check_surroundings, "web/x.py", "import sys\nsys.exit()"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "source"), BAD, ids=rule_name)
def test_a_broken_rule_is_noticed(rule: Rule, path: str, source: str):
    assert list(rule(Module(path, source)))


@pytest.mark.parametrize(("rule", "path", "source"), GOOD, ids=rule_name)
def test_what_is_allowed_is_left_alone(rule: Rule, path: str, source: str):
    assert list(rule(Module(path, source))) == []
