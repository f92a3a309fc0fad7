"""What is wrong with a history, as findings that every face can show. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from raccord.migrations import lfs
from raccord.migrations.graph import Graph
from raccord.migrations.loading import Loaded
from raccord.model.plan import Finding
from raccord.model.text import shown

HISTORY = "raccord migrations history"


def findings(graph: Graph, loaded: Loaded | None = None) -> tuple[Finding, ...]:
    """Everything that keeps alembic from loading a history; none where it is healthy.

    Args:
        graph: the history.
        loaded: what it was read from, for the files that are no part of it.
    """
    return (*_of_files(loaded or Loaded()), *_of_graph(graph))


def blocking(graph: Graph, loaded: Loaded) -> Finding | None:
    """What keeps alembic from working with a history; of two equal files, a copy and the own, it warns."""
    return next((one for one in findings(graph, loaded) if not _harmless(one, graph)), None)


def _harmless(finding: Finding, graph: Graph) -> bool:
    twins = graph.duplicates.get(str(finding.data.get("id")), ())
    return finding.name.endswith(".duplicate") and len({one.digest for one in twins}) == 1


def _of_files(loaded: Loaded) -> Iterator[Finding]:
    for fault in loaded.faults:
        where = f"{fault.path}:{fault.line}" if fault.line else fault.path
        hint = lfs.CHECK_OUT if fault.reason.startswith(lfs.POINTS) else f"edit {where}"
        yield _fail("unread", f"{where}: {fault.reason}", hint, path=fault.path, line=fault.line)
    for path in loaded.strangers:
        said = f"{path} is no revision, and alembic refuses to work beside it"
        yield _fail("stranger", said, "move it out of the version folder", path=path)


def _of_graph(graph: Graph) -> Iterator[Finding]:
    for rev, twins in graph.duplicates.items():
        names = sorted(one.name for one in twins)
        same = len({one.digest for one in twins}) == 1
        how = "with the same content" if same else "with different contents"
        said = f"revision {rev} is in several files, {how}: {', '.join(names)}"
        hint = f"raccord migrations find {quote(rev)} --diff"
        yield _fail("duplicate", said, hint, id=rev, names=names)
    for cycle in graph.cycles:
        if len(cycle) == 1:
            said = f"revision {cycle[0]} comes before itself"
        else:
            said = f"these revisions come before each other: {', '.join(cycle)}"
        yield _fail("cycle", said, HISTORY, ids=list(cycle), names=[graph[rev].name for rev in cycle])
    for clash in graph.clashes:
        said = f"the branch label {clash.label!r} is taken more than once: {', '.join(clash.ids)}"
        yield _fail("label", said, HISTORY, label=clash.label, ids=list(clash.ids))
    for rev, named_by in graph.missing.items():
        said = f"revision {rev} is missing; {', '.join(named_by)} can't be applied without it"
        yield _fail("missing", said, "raccord migrations heal", id=rev, named_by=list(named_by))


def _fail(name: str, message: str, hint: str = "", **data: object) -> Finding:
    return Finding(f"migrations.{name}", "fail", shown(message), shown(hint), data)
