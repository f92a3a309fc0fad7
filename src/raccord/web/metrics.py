"""Prometheus metrics, read from the ledger at each scrape: a restart resets no counter."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from raccord.coordination.keeper import Checked
from raccord.coordination.service import AutoSyncService
from raccord.model.coordination import UNKNOWN
from raccord.web.kept import Kept
from raccord.web.metrics_runs import Runs
from raccord.web.sync import safe
from raccord.workspace import Workspace

CHECKS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
CONSOLIDATIONS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
TRIGGERS = ("threshold", "time_based", "manual")


class Metrics:
    """The metrics of one service."""

    def __init__(self, service: AutoSyncService, workspace: Workspace) -> None:
        self._service = service
        self._registry, ledger = CollectorRegistry(), CollectorRegistry()
        self._checks = Histogram(
            "sync_check_duration_seconds",
            "How long a look at watched files took.",
            buckets=CHECKS,
            registry=self._registry,
        )
        ledger.register(_Ledger(service))
        ledger.register(Runs(workspace))
        self._kept = Kept(lambda: service.keeper.ledger.generation())
        self._counted = lambda: generate_latest(ledger)

    def checked(self, one: Checked) -> None:
        """Counts a look at files."""
        self._checks.observe(one.seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus's text format 0.0.4."""
        more = (self._service.watching, *self._service.keeper.known_roots())
        return self._kept.body("", self._counted, more=more) + generate_latest(self._registry)


class _Ledger(Collector):
    def __init__(self, service: AutoSyncService) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Nothing is asked before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Reads the ledger."""
        keeper = self._service.keeper
        yield self._changes()
        yield from self._consolidations()
        yield from self._files()
        pending = GaugeMetricFamily("raccord_pending_changes", "Changes that no report tells of yet.")
        pending.add_metric([], keeper.ledger.waiting())
        yield pending
        mode = self._service.watching
        folders = GaugeMetricFamily(
            "raccord_watched_folders", "Directories that are watched, by how they are.", labels=["mode"]
        )
        if mode is not None:
            folders.add_metric([mode.name], mode.folders)
        yield folders

    def _changes(self) -> Metric:
        found: Count[tuple[str, str]] = Count()
        for (kind, owner), number in self._service.keeper.tally.counts().items():
            found[kind, safe(owner)] += number
        made = CounterMetricFamily(
            "sync_changes_detected", "Changes of watched files.", labels=["file_type", "agent"]
        )
        for labels, number in sorted((found or {("sync", UNKNOWN): 0}).items()):
            made.add_metric(list(labels), number)
        return made

    def _consolidations(self) -> Iterator[Metric]:
        took: dict[str, list[float]] = {trigger: [] for trigger in TRIGGERS}
        for trigger, one in self._service.keeper.ledger.durations():
            took[trigger].append(one)
        counter = CounterMetricFamily(
            "sync_consolidations_triggered",
            "Consolidations, by what triggered them.",
            labels=["trigger_type"],
        )
        histogram = HistogramMetricFamily(
            "sync_consolidation_duration_seconds", "How long consolidations took.", labels=["trigger_type"]
        )
        for trigger, seconds in took.items():
            counter.add_metric([trigger], len(seconds))
            buckets = [(str(most), sum(one <= most for one in seconds)) for most in CONSOLIDATIONS]
            histogram.add_metric([trigger], [*buckets, ("+Inf", len(seconds))], sum(seconds))
        yield counter
        yield histogram

    def _files(self) -> Iterator[Metric]:
        worst: dict[str, int] = {}
        each = GaugeMetricFamily(
            "raccord_file_status",
            "A watched file in one worktree: 1 synced, 0 out of sync, -1 error.",
            labels=["worktree", "file_path"],
        )
        for one in self._service.keeper.standing():
            path = safe(one.state.path)
            worst[path] = min(worst.get(path, 1), one.status)
            each.add_metric([safe(one.root), path], one.status)
        status = GaugeMetricFamily(
            "sync_status",
            "A watched file in all worktrees: 1 synced, 0 out of sync, -1 error.",
            labels=["file_path"],
        )
        for path, value in sorted(worst.items()):
            status.add_metric([path], value)
        yield status
        yield each
