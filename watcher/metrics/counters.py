"""What is counted: an observer of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from watcher import __version__
from watcher.core.errors import FailureReason
from watcher.core.facts import (
    Committed,
    ConfigurationApplied,
    ConfigurationRefused,
    CycleFinished,
    Delivered,
    DeliveryFailed,
    Fact,
    HeartbeatSent,
    LeasesGiven,
    LeasesLost,
    LeasesTaken,
    Observed,
    RefreshFailed,
    RequestFinished,
    SourceFailed,
    StoreFailed,
    StoreRecovered,
    Suppressed,
    TemplateFailed,
)
from watcher.core.model import DeliveryState, EventKind, Status, Suppression
from watcher.core.ports import StateView
from watcher.metrics.present import STATUSES, Measured, StateCollector

_LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 14400, 86400)
_CYCLE_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_REQUEST_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The `watcher_` metrics in a registry of their own; an observer of facts.

    Every label set known in advance is there from the start with 0, so that `increase()` sees the first one.
    """

    def __init__(self, *, view: StateView) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._declare_service()
        self._declare_sharing()
        self._declare_observing()
        self._declare_polling()
        self._declare_delivery()
        self._by_source: set[str] = set()
        self._by_receiver: set[tuple[str, str]] = set()
        self._state = StateCollector(view=view)
        self.registry.register(self._state)

    def watch(self, measured: Measured) -> None:
        """This is measured from now on: what is new begins at zero, what is gone is shown no more."""
        self._state.measured = measured
        if not measured.has_heartbeat:
            self._heartbeat_at.set(0)  # else its last beat would become older and older
        by_source, by_receiver = set(measured.sources), set(measured.receivers.items())
        for source in self._by_source - by_source:
            for metric in self._of_sources:
                metric.remove_by_labels({"source": source})
        for receiver, _ in self._by_receiver - by_receiver:
            for metric in self._of_receivers:
                metric.remove_by_labels({"receiver": receiver})
        self._start_at_zero(by_source - self._by_source, by_receiver - self._by_receiver)
        self._by_source, self._by_receiver = by_source, by_receiver

    @property
    def _of_sources(self) -> tuple[MetricWrapperBase, ...]:
        polling = (self._requests, self._request_s, self._cycle_s, self._lag_s, self._pace, self._stretch)
        return (self._transitions, self._up, self._last_success, self._observations, *polling)

    @property
    def _of_receivers(self) -> tuple[MetricWrapperBase, ...]:
        failures = (self._failed, self._template_failures, self._refresh_failures)
        return (self._sent, self._latency_s, self._pending, self._dead, *failures)

    def _declare_service(self) -> None:
        build = Gauge("watcher_build_info", "The version that runs.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self._store_up = Gauge(
            "watcher_store_up", "Whether the store could be read and written when last tried.", registry=self.registry
        )
        self._store_up.set(1)
        self._heartbeat_at = Gauge(
            "watcher_heartbeat_last_success_timestamp_seconds",
            "When the dead man's switch was last told that all is well.",
            registry=self.registry,
        )
        self._reload_ok = Gauge(
            "watcher_config_last_reload_successful", "Whether the last (re)load was good.", registry=self.registry
        )
        self._reload_at = Gauge(
            "watcher_config_last_reload_success_timestamp_seconds", "When it was last good.", registry=self.registry
        )
        self._reload_failures = Counter(
            "watcher_config_reload_failures_total", "Configurations that were refused.", registry=self.registry
        )

    def _declare_sharing(self) -> None:
        registry = self.registry
        self._leases = Gauge(
            "watcher_leases_held", "Sources and receivers whose work is this replica's.", registry=registry
        )
        self._replicas = Gauge("watcher_replicas", "Replicas that share the work, as this one sees.", registry=registry)
        self._neglected = Gauge(
            "watcher_leases_neglected",
            "Sources and receivers whose work no replica has taken for long.",
            registry=registry,
        )
        self._lease_changes = Counter(
            "watcher_lease_changes_total",
            "Leases that this replica took, gave to others, or lost because it was not heard of.",
            ["change"],
            registry=registry,
        )
        for change in ("taken", "given", "lost"):
            self._lease_changes.labels(change)

    def set_sharing(self, *, leases: int, neglected: int, replicas: int) -> None:
        """How many leases this replica holds, how many nobody does for long, and how many replicas there are."""
        self._leases.set(leases)
        self._neglected.set(neglected)
        self._replicas.set(replicas)

    def _declare_observing(self) -> None:
        registry = self.registry
        self._transitions = Counter(
            "watcher_transitions_total", "Status changes.", ["source", "from", "to"], registry=registry
        )
        self._up = Gauge("watcher_source_up", "Whether the source answers.", ["source"], registry=registry)
        self._last_success = Gauge(
            "watcher_source_last_success_timestamp_seconds", "The last good cycle.", ["source"], registry=registry
        )
        self._observations = Counter("watcher_observations_total", "Instances observed.", ["source"], registry=registry)

    def _declare_polling(self) -> None:
        registry = self.registry
        self._requests = Counter(
            "watcher_api_requests_total", "Requests to the cloud.", ["source", "operation", "code"], registry=registry
        )
        self._request_s = Histogram(
            "watcher_api_request_duration_seconds",
            "How long the cloud took.",
            ["source", "operation"],
            buckets=_REQUEST_BUCKETS_S,
            registry=registry,
        )
        self._cycle_s = Histogram(
            "watcher_poll_cycle_duration_seconds",
            "How long a cycle took.",
            ["source"],
            buckets=_CYCLE_BUCKETS_S,
            registry=registry,
        )
        self._lag_s = Gauge(
            "watcher_poll_lag_seconds",
            "How late the last cycle's oldest poll was.",
            ["source"],
            registry=registry,
        )

        self._pace = Gauge(
            "watcher_poll_pace_ratio",
            "The fraction of the configured rate limit in use: less than 1 after the cloud said it is too much.",
            ["source"],
            registry=registry,
        )
        self._stretch = Gauge(
            "watcher_poll_stretch_ratio",
            "What the intervals are multiplied by to fit the rate limit: 1 when they are met.",
            ["source"],
            registry=registry,
        )

    def _declare_delivery(self) -> None:
        registry = self.registry
        self._sent = Counter(
            "watcher_notifications_total", "Notifications accepted.", ["receiver", "type"], registry=registry
        )
        self._failed = Counter(
            "watcher_notifications_failed_total",
            "Tries that failed.",
            ["receiver", "type", "reason"],
            registry=registry,
        )
        self._suppressed = Counter(
            "watcher_notifications_suppressed_total", "Notifications kept back.", ["reason"], registry=registry
        )
        for suppression in Suppression:
            self._suppressed.labels(suppression.value)
        self._template_failures = Counter(
            "watcher_template_failures_total",
            "Notifications that got the built-in text because a template failed.",
            ["receiver"],
            registry=registry,
        )
        self._refresh_failures = Counter(
            "watcher_refresh_failures_total",
            "Tries to tell a receiver how its alerts stand that failed.",
            ["receiver"],
            registry=registry,
        )
        self._pending = Gauge(
            "watcher_notifications_pending", "Notifications waiting.", ["receiver"], registry=registry
        )
        self._dead = Gauge("watcher_notifications_dead", "Dead letters.", ["receiver"], registry=registry)
        self._latency_s = Histogram(
            "watcher_notification_latency_seconds",
            "From observation to accepted.",
            ["receiver", "type"],
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )

    def _start_at_zero(self, sources: Iterable[str], receivers: Iterable[tuple[str, str]]) -> None:
        for source in sources:
            for metric in (self._up, self._last_success, self._observations, self._cycle_s, self._lag_s):
                metric.labels(source)
            self._pace.labels(source).set(1)
            self._stretch.labels(source).set(1)
            for from_status, to_status in product(STATUSES, STATUSES):
                if from_status != to_status or from_status == Status.BUILT:
                    self._transitions.labels(source, from_status, to_status)
            for operation in ("ShowImageServer", "ListImageServers"):
                self._requests.labels(source, operation, "200")
                self._request_s.labels(source, operation)
        for receiver, type_ in receivers:
            for metric in (self._sent, self._latency_s):
                metric.labels(receiver, type_)
            for each in (self._pending, self._dead, self._template_failures, self._refresh_failures):
                each.labels(receiver)
            for reason in FailureReason:
                self._failed.labels(receiver, type_, reason.value)

    def set_deliveries(self, counts: Mapping[tuple[str, DeliveryState], int], receivers: Iterable[str]) -> None:
        """The store's present counts of waiting and dead notifications."""
        for receiver in receivers:
            self._pending.labels(receiver).set(counts.get((receiver, DeliveryState.PENDING), 0))
            self._dead.labels(receiver).set(counts.get((receiver, DeliveryState.DEAD), 0))

    def __call__(self, fact: Fact) -> None:
        """Count what happened."""
        match fact:
            case RequestFinished(source, operation, code, duration_s):
                self._requests.labels(source, operation, code).inc()
                self._request_s.labels(source, operation).observe(duration_s)
            case Observed(source, count):
                self._observations.labels(source).inc(count)
            case CycleFinished():
                self._cycle_finished(fact)
            case SourceFailed(source):
                self._up.labels(source).set(0)
            case ConfigurationApplied(at):
                self._reload_ok.set(1)
                self._reload_at.set(at.timestamp())
            case ConfigurationRefused():
                self._reload_ok.set(0)
                self._reload_failures.inc()
            case Committed(events):
                for event in events:
                    if event.kind is EventKind.TRANSITION:
                        self._transitions.labels(event.source, event.from_status, event.to_status).inc()
            case _:
                self._told(fact)

    def _told(self, fact: Fact) -> None:
        match fact:
            case StoreFailed():
                self._store_up.set(0)
            case StoreRecovered():
                self._store_up.set(1)
            case HeartbeatSent(at):
                self._heartbeat_at.set(at.timestamp())
            case Delivered() | DeliveryFailed():
                if (fact.receiver, fact.receiver_type) in self._by_receiver:  # else one that has left ends its last try
                    self._tried(fact)
            case Suppressed(_, reason):
                self._suppressed.labels(reason.value).inc()
            case TemplateFailed(receiver):
                self._template_failures.labels(receiver).inc()
            case RefreshFailed(receiver):
                self._refresh_failures.labels(receiver).inc()
            case _:
                self._shared(fact)

    def _shared(self, fact: Fact) -> None:
        match fact:
            case LeasesTaken(leases):
                self._lease_changes.labels("taken").inc(len(leases))
            case LeasesGiven(leases):
                self._lease_changes.labels("given").inc(len(leases))
            case LeasesLost(leases):
                self._lease_changes.labels("lost").inc(len(leases))
            case _:
                pass

    def _tried(self, fact: Delivered | DeliveryFailed) -> None:
        match fact:
            case Delivered(receiver, type_, notification, at):
                self._sent.labels(receiver, type_).inc()
                latency_s = self._latency_s.labels(receiver, type_)
                for event in notification.events:
                    latency_s.observe(max(0.0, (at - event.observed_at).total_seconds()))
            case DeliveryFailed(receiver, type_, _, error):
                self._failed.labels(receiver, type_, error.reason.value).inc()

    def _cycle_finished(self, fact: CycleFinished) -> None:
        self._cycle_s.labels(fact.source).observe(fact.duration_s)
        self._lag_s.labels(fact.source).set(fact.lag_s)
        self._pace.labels(fact.source).set(fact.pace)
        self._stretch.labels(fact.source).set(fact.stretch)
        self._up.labels(fact.source).set(1 if fact.ok else 0)
        if fact.ok:
            self._last_success.labels(fact.source).set(fact.at.timestamp())
