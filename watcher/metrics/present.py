"""What is so now, collected when scraped."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watcher.core.model import InstanceState, Presence, Status
from watcher.core.ports import SourceView, StateView

STATUSES = tuple(status.value for status in Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known in advance: sources, receivers' types by name, alerts' severities by name.

    Above `instance_limit` instances there are no metrics of single ones.
    """

    sources: Sequence[str] = ()
    receivers: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    instance_limit: int = 2000
    has_heartbeat: bool = True


class StateCollector(Collector):
    """What is so now, made from memory at each scrape: nothing is counted while polling."""

    def __init__(self, *, view: StateView) -> None:
        self._view = view
        self.measured = Measured()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not scrape to learn the names."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The families of one scrape."""
        known = self._view.states()
        states = {
            source: [state for state in of_source if state.presence is Presence.PRESENT and state.status is not None]
            for source, of_source in known.items()
        }
        sources = self._view.sources()
        yield self._counts(states)
        yield self._stale(sources)
        yield from self._each(states)
        yield self._firing(known, sources)

    def _counts(self, states: Mapping[str, list[InstanceState]]) -> Metric:
        family = GaugeMetricFamily("watcher_instances", "Instances by status.", labels=["source", "status"])
        for source, of_source in states.items():
            tally = Tally(dict.fromkeys(STATUSES, 0))
            tally.update(state.status or Status.NULL for state in of_source)
            for status, count in tally.items():
                family.add_metric([source, status], count)
        return family

    def _each(self, states: Mapping[str, list[InstanceState]]) -> Iterable[Metric]:
        one_hot = GaugeMetricFamily(
            "watcher_instance_status",
            "1 for the status the instance has.",
            labels=["source", "instance_id", "instance_name", "status"],
        )
        since = GaugeMetricFamily(
            "watcher_instance_status_timestamp_seconds",
            "When the present status was first seen.",
            labels=["source", "instance_id"],
        )
        if sum(map(len, states.values())) <= self.measured.instance_limit:
            for state in (state for of_source in states.values() for state in of_source):
                for status in dict.fromkeys((*STATUSES, state.status or Status.NULL)):
                    labels = [state.key.source, state.key.id, state.name, status]
                    one_hot.add_metric(labels, 1 if status == state.status else 0)
                since.add_metric([state.key.source, state.key.id], state.since.timestamp())
        yield one_hot
        yield since

    def _stale(self, sources: Mapping[str, SourceView]) -> Metric:
        family = GaugeMetricFamily(
            "watcher_instances_stale",
            "Instances whose last known state could not be confirmed when it last was due.",
            labels=["source"],
        )
        for source, view in sources.items():
            family.add_metric([source], view.stale)
        return family

    def _firing(self, known: Mapping[str, Collection[InstanceState]], sources: Mapping[str, SourceView]) -> Metric:
        family = GaugeMetricFamily("watcher_alerts", "Alerts firing now.", labels=["source", "name", "severity"])
        for source, of_source in known.items():
            tally = Tally(dict.fromkeys(self.measured.alerts.items(), 0))
            tally.update((alert.name, alert.severity.value) for state in of_source for alert in state.alerts)
            tally.update((alert.name, alert.severity.value) for alert in sources[source].alerts)
            for (name, severity), count in tally.items():
                family.add_metric([source, name, severity], count)
        return family
