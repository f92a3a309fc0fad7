"""Prometheus metrics of runs and of what they did, read from the journal at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from raccord.model.plan import Json
from raccord.web.sync import safe
from raccord.workspace import Workspace

ENDS = ("aborted", "done", "failed", "partial")
UNFINISHED = ("running", "stopped", "interrupted")
CONFLICT = ".conflict"  # what the findings end in of lanes that two sides of a change stopped
PROMOTED = {
    "rows": "Rows that were brought into an environment.",
    "objects": "Objects of a store that were brought into an environment.",
    "bytes": "Bytes of objects that were brought into an environment.",
}


class Runs(Collector):
    """What the journal has counted; nothing of it falls when runs are undone or dropped."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def describe(self) -> list[Metric]:
        """Nothing is asked before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Reads the journal."""
        said = self._workspace.totals()
        yield _runs(said.get("runs", {}))
        unfinished = GaugeMetricFamily(
            "raccord_runs_unfinished", "Runs that are not over, by where they stand.", labels=["state"]
        )
        now = self._workspace.unfinished()
        for state in UNFINISHED:
            unfinished.add_metric([state], now.get(state, 0))
        yield unfinished
        heals = CounterMetricFamily("raccord_heals", "Worktrees whose migrations were healed.")
        heals.add_metric([], said.get("heals", 0))
        yield heals
        yield from _stops(said.get("stops", {}))
        for what, says in PROMOTED.items():
            yield _promoted(what, says, said.get("promoted", {}).get(what, {}))


def _runs(by_verb: Mapping[str, Mapping[str, int]]) -> Metric:
    made = CounterMetricFamily(
        "raccord_runs", "Runs that are over, by what they did and how they ended.", labels=["verb", "state"]
    )
    for verb, states in sorted(by_verb.items()):
        # Those that never were too: Prometheus sees no rise from nothing.
        for state, number in sorted({**dict.fromkeys(ENDS, 0), **states}.items()):
            made.add_metric([safe(verb), safe(state)], number)
    return made


def _stops(by_finding: Mapping[str, int]) -> Iterator[Metric]:
    conflicts = CounterMetricFamily("raccord_conflicts", "Lanes of runs that met a conflict.")
    conflicts.add_metric([], sum(n for name, n in by_finding.items() if name.endswith(CONFLICT)))
    yield conflicts
    stops = CounterMetricFamily(
        "raccord_lanes_stopped", "Lanes that stopped or were held back, by why.", labels=["finding"]
    )
    for name, number in sorted(by_finding.items()):
        stops.add_metric([safe(name)], number)
    yield stops


def _promoted(what: str, says: str, by_set: Mapping[str, Json]) -> Metric:
    labels = ["set", "environment", "change"]
    made = CounterMetricFamily(f"raccord_promoted_{what}", says, labels=labels)
    for name, by_goal in sorted(by_set.items()):
        for goal, numbers in sorted(by_goal.items()):
            for change, number in sorted(numbers.items()):
                made.add_metric([safe(name), safe(goal), change], number)
    return made
