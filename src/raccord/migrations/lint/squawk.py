"""Lets squawk judge the SQL that the project's alembic would send to PostgreSQL.

This alone runs something: alembic as a child, offline (`--sql`), which loads env.py and the revisions and
connects to no database, as long as env.py doesn't by itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import CannotRun, ProcessFailed, ProgramMissing
from raccord.kernel import proc
from raccord.migrations.graph import Graph
from raccord.migrations.project import Database, Project
from raccord.migrations.runner import misread, variables, words

PREFIX = "squawk:"
LIMIT_S = 120.0
OUTPUT = 64 * 1024 * 1024  # bytes
# Those of squawk's rules that are about locks and about what a running application stumbles over; those about
# style are not. Each with the rule of raccord's own that says the same.
LOCKS = {
    "adding-field-with-default": "",
    "adding-foreign-key-constraint": "lock-constraint",
    "adding-not-nullable-field": "lock-not-null",
    "adding-required-field": "lock-not-null",
    "adding-serial-primary-key-field": "lock-constraint",
    "ban-alter-domain-with-add-constraint": "",
    "ban-concurrent-index-creation-in-transaction": "",
    "ban-create-domain-with-constraint": "",
    "ban-drop-column": "destructive",
    "ban-drop-database": "destructive",
    "ban-drop-schema": "destructive",
    "ban-drop-table": "destructive",
    "ban-truncate-cascade": "destructive",
    "changing-column-type": "lock-type",
    "constraint-missing-not-valid": "lock-constraint",
    "disallowed-unique-constraint": "lock-constraint",
    "renaming-column": "",
    "renaming-table": "",
    "require-concurrent-index-creation": "lock-index",
    "require-concurrent-index-deletion": "",
    "require-concurrent-partition-detach": "",
    "require-concurrent-reindex": "",
}
_MARK = re.compile(r"^-- Running upgrade .*-> (.+?)\s*$", re.MULTILINE)
_EDGES = re.compile(r"\A(?:\s*(?:BEGIN|COMMIT);)+|(?:(?:BEGIN|COMMIT);\s*)+\Z")
_OTHER = re.compile(r"Context impl (?!Postgresql)(\w+)Impl")


@dataclass(frozen=True, slots=True)
class Violation:
    """What squawk found.

    Attributes:
        rule: its name, squawk's.
        said: what squawk says.
        help: what it advises, or "".
        sql: the statement.
    """

    rule: str
    said: str
    help: str
    sql: str


@dataclass(frozen=True, slots=True)
class Printed:
    """What alembic printed.

    Attributes:
        sql: of each revision.
        failed: the revisions of which it could print none, with the reason.
    """

    sql: Mapping[str, str]
    failed: Mapping[str, str]


def program(configured: Sequence[str] | None) -> tuple[str, ...]:
    """The words that start squawk; none where it isn't installed."""
    if configured:
        return tuple(configured)
    found = shutil.which("squawk", path=proc.environment().get("PATH", os.defpath))
    return (found,) if found else ()


def chains(graph: Graph, wanted: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Runs of revisions of which each stands on the one before, in order; merges are left out."""
    plain = [one for one in reversed(graph.order(wanted)) if len(graph.parents(one)) < 2 and not misread(one)]
    left = dict.fromkeys(plain)
    while left:
        chain = [next(iter(left))]
        del left[chain[0]]
        while next_ := [one for one in graph.children(chain[-1]) if one in left][:1]:
            chain += next_
            del left[next_[0]]
        yield tuple(chain)


def printed(
    project: Project, database: Database, start: Sequence[str], graph: Graph, chain: Sequence[str]
) -> Printed:
    """The SQL that alembic would send for a run of revisions; nothing is sent.

    Args:
        start: the words that start alembic.
        chain: as `chains` makes them.
    """
    sql: dict[str, str] = {}
    failed: dict[str, str] = {}
    left = list(chain)
    while left:
        lower = next(iter(graph.parents(left[0])), "base")
        said, why = _offline(project, words(start, database, f"{lower}:{left[-1]}"))
        parts = {one[0]: one[1] for one in _parts(said)}
        if why:
            # The last one that was begun is the one that failed; those behind it are asked for anew.
            begun = [one for one in left if one in parts]
            culprit = begun[-1] if begun else left[0]
            failed[culprit] = why
            parts.pop(culprit, None)
            left, rest = left[: left.index(culprit)], left[left.index(culprit) + 1 :]
        else:
            rest = []
        sql |= {one: parts[one] for one in left if one in parts}
        left = rest
    return Printed(sql, failed)


def _offline(project: Project, argv: Sequence[str]) -> tuple[str, str]:
    """What alembic printed, and why it failed or ""."""
    try:
        env = variables(project)
        ended = proc.run([*argv, "--sql"], cwd=project.backend, env=env, timeout=LIMIT_S, limit=OUTPUT)
    except (ProcessFailed, CannotRun) as error:
        return "", error.message
    said = ended.stdout.decode("utf-8", "replace")
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        return said, lines[-1].strip() if lines else f"exit {ended.returncode}"
    if other := _OTHER.search(ended.stderr):
        return "", f"env.py speaks {other[1]}, not PostgreSQL"
    return said, ""


def _parts(said: str) -> Iterator[tuple[str, str]]:
    marks = list(_MARK.finditer(said))
    transactional = said.lstrip().startswith("BEGIN;")
    for at, mark in enumerate(marks):
        end = marks[at + 1].start() if at + 1 < len(marks) else len(said)
        inner = _EDGES.sub("", said[mark.end() : end].strip()).strip()
        yield mark[1], f"BEGIN;\n{inner}\nCOMMIT;\n" if transactional else f"{inner}\n"


def judged(start: Sequence[str], sql: str, cwd: Path) -> tuple[Violation, ...]:
    """What squawk says about some SQL.

    Args:
        start: the words that start squawk.
        cwd: where it looks for its own configuration.

    Raises:
        CannotRun: it can't be run, or answers with something else.
    """
    argv = [*start, "--reporter", "json", "--stdin-filepath", "revision.sql"]
    try:
        ended = proc.run(argv, cwd=cwd, stdin=sql.encode(), timeout=LIMIT_S, limit=OUTPUT)
        found = json.loads(ended.stdout)
        return tuple(_violation(one, sql.splitlines()) for one in found if one["rule_name"] in LOCKS)
    except ProgramMissing as error:
        raise CannotRun(f"{argv[0]} is not there", hint="correct [lint] squawk in raccord.toml") from error
    except (ProcessFailed, ValueError, TypeError, KeyError) as error:
        raise CannotRun(
            f"squawk gave no answer that raccord can read: {error}", hint='off = ["squawk:*"] below [lint]'
        ) from error


def _violation(one: Mapping[str, object], lines: Sequence[str]) -> Violation:
    begin, end = one["line"], one.get("line_end")
    first = begin if isinstance(begin, int) else 0
    last = end if isinstance(end, int) else first
    sql = " ".join(" ".join(lines[first : last + 1]).split())
    return Violation(str(one["rule_name"]), str(one["message"]), str(one.get("help") or ""), sql)
