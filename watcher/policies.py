"""The settings as what the rooms work by: rules, policies, the client of a source's cloud."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from watcher.cloud.client import CloudClient
from watcher.cloud.regions import console_url
from watcher.core.alerts import AlertRules
from watcher.core.backoff import Backoff
from watcher.core.clock import Clock
from watcher.core.facts import Observer, RequestFinished
from watcher.core.maintenance import Window
from watcher.core.planner import Mode, PollPolicy
from watcher.core.ports import CloudApi
from watcher.core.routing import Recipient, Route, RoutingTable
from watcher.core.sharing import RECEIVER, SOURCE, lease_name
from watcher.core.watchlist import DiscoverRule
from watcher.delivery import DeliveryPolicy
from watcher.metrics import Measured
from watcher.ops import Access, Configured, Guard, SourceInfo, Tls
from watcher.polling import Watched
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.links import Links
from watcher.settings import DAYS, Settings, SourceSettings, WebAuthSettings

_RESOLUTION_AT_LEAST_S = 10.0  # a restart must not make an instance seem late, however often it is looked at


def watched_of(source: SourceSettings, settings: Settings) -> Watched:
    """What is watched of one source and how."""
    poll = settings.poll_for(source)
    return Watched(
        source=source.name,
        instances={instance.id: dict(instance.labels) for instance in source.instances},
        discover=tuple(
            DiscoverRule(name=rule.name, enterprise_project_id=rule.enterprise_project_id, labels=dict(rule.labels))
            for rule in source.discover
        ),
        policy=PollPolicy(
            interval_s=poll.interval.total_seconds(),
            steady_interval_s=poll.steady_interval.total_seconds(),
            jitter=poll.jitter,
            mode=Mode(poll.mode),
            budget_requests=poll.rate_limit.requests,
            budget_period_s=poll.rate_limit.per_s,
            concurrency=poll.concurrency,
            backoff=Backoff(initial_s=poll.backoff.initial.total_seconds(), max_s=poll.backoff.max.total_seconds()),
        ),
        rules=replace(
            alert_rules(settings), resolution_s=max(_RESOLUTION_AT_LEAST_S, 2 * poll.interval.total_seconds())
        ),
        updating=tuple(receiver.name for receiver in settings.receivers if receiver.updates),
    )


def open_source(
    source: SourceSettings, settings: Settings, *, environment: Mapping[str, str], clock: Clock, observer: Observer
) -> CloudApi:
    """The client of one source's cloud; raises ConfigurationError."""
    poll = settings.poll_for(source)

    def on_request(operation: str, code: str, duration_s: float) -> None:
        observer(RequestFinished(source.name, operation, code, duration_s))

    return CloudClient(
        settings=source,
        environment=environment,
        clock=clock,
        on_request=on_request,
        timeout_s=poll.timeout.total_seconds(),
        concurrency=poll.concurrency,
    )


def alert_rules(settings: Settings) -> AlertRules:
    """When something is a problem, and how much it matters."""
    alerts = settings.alerts
    return AlertRules(
        error=alerts.error.severity,
        build_failed=alerts.build_failed.severity,
        build_failed_after_s=alerts.build_failed.after.total_seconds(),
        stuck=alerts.stuck.severity,
        stuck_after_s={status: after.total_seconds() for status, after in alerts.stuck.after.items()},
        learned=alerts.stuck.learned,
        missing=alerts.missing.severity,
        unreachable=alerts.unreachable.severity,
        unreachable_after_s=alerts.unreachable.after.total_seconds(),
        flapping=alerts.flapping.severity,
        flapping_changes=alerts.flapping.changes,
        flapping_within_s=alerts.flapping.within.total_seconds(),
        repeat_interval_s=alerts.repeat_interval.total_seconds(),
    )


def windows(settings: Settings) -> tuple[Window, ...]:
    """When it is quiet again and again."""
    return tuple(
        Window(
            name=window.name,
            days=frozenset(DAYS.index(day) for day in window.days),
            start=window.start,
            duration=window.duration,
            timezone=ZoneInfo(window.timezone),
            match=window.match.matcher(),
        )
        for window in settings.maintenance
    )


def delivery_policy(receiver: AnyReceiverSettings) -> DeliveryPolicy:
    """How one receiver is served."""
    rate = receiver.rate_limit
    return DeliveryPolicy(
        timeout_s=receiver.timeout.total_seconds(),
        max_age=receiver.max_age,
        digest_over=receiver.digest_over,
        send_resolved=receiver.send_resolved,
        rate=(rate.requests, rate.per_s) if rate is not None else None,
    )


def links(settings: Settings) -> Links:
    """Where people go on reading."""
    external_url = settings.web.external_url
    consoles = {source.name: source.console_url or console_url(source.region) for source in settings.sources}
    return Links(
        external_url=str(external_url) if external_url is not None else None,
        consoles={name: url for name, url in consoles.items() if url},
        runbooks={name: str(url) for name, url in settings.runbooks.items()},
    )


def configured(settings: Settings, *, clock: Clock) -> Configured:
    """What the API shows of the settings, and who may do what over HTTP."""
    web = settings.web
    return Configured(
        sources=_source_infos(settings),
        receivers={receiver.name: receiver.type for receiver in settings.receivers},
        pages=links(settings),
        guard=_guard(settings, clock=clock),
        external_url=str(web.external_url) if web.external_url else None,
    )


def leases(settings: Settings) -> frozenset[str]:
    """What is polled and served by one replica each."""
    polled = (lease_name(SOURCE, source.name) for source in settings.sources)
    served = (lease_name(RECEIVER, receiver.name) for receiver in settings.receivers)
    return frozenset((*polled, *served))


def measured(settings: Settings, sources: Collection[str]) -> Measured:
    """What the metrics of whoever polls these sources tell of from the start."""
    return Measured(
        sources=[source.name for source in settings.sources if source.name in sources],
        receivers={receiver.name: receiver.type for receiver in settings.receivers},
        alerts={name: severity.value for name, severity in alert_rules(settings).by_name.items()},
        instance_limit=settings.web.metrics_instance_limit,
        has_heartbeat=settings.heartbeat is not None,
    )


def steady_intervals_s(settings: Settings, sources: Collection[str]) -> dict[str, float]:
    """How often each of these sources is asked at least."""
    return {
        source.name: settings.poll_for(source).steady_interval.total_seconds()
        for source in settings.sources
        if source.name in sources
    }


def _source_infos(settings: Settings) -> list[SourceInfo]:
    polls = ((source, settings.poll_for(source)) for source in settings.sources)
    return [
        SourceInfo(
            name=source.name,
            region=source.region,
            project_id=source.project_id,
            interval_s=poll.interval.total_seconds(),
            steady_interval_s=poll.steady_interval.total_seconds(),
            mode=poll.mode,
        )
        for source, poll in polls
    ]


def _guard(settings: Settings, *, clock: Clock) -> Guard:
    web = settings.web
    return Guard(
        access=_access(web.auth, clock=clock) if web.auth is not None else None,
        read_only=web.auth is None and not web.listen.is_loopback,
        external_url=str(web.external_url) if web.external_url else None,
    )


def _access(auth: WebAuthSettings, *, clock: Clock) -> Access:
    return Access(
        bearer_token=auth.optional_secret("bearer_token"),
        username=auth.username,
        password=auth.optional_secret("password"),
        clock=clock,
    )


def tls(settings: Settings) -> Tls | None:
    """What HTTPS is served with, None for plain HTTP; raises ConfigurationError."""
    section = settings.web.tls
    return Tls(cert_file=section.cert_file, key_file=section.key_file) if section is not None else None


def routing_table(settings: Settings) -> RoutingTable:
    """Who is told of what."""
    return RoutingTable(
        recipients=tuple(
            Recipient(
                name=receiver.name,
                min_severity=receiver.min_severity,
                send_resolved=receiver.send_resolved,
                alerts_only=receiver.alerts_only,
            )
            for receiver in settings.receivers
        ),
        routes=tuple(
            Route(match=route.match.matcher(), receivers=route.receivers, goes_on=route.goes_on)
            for route in settings.routes
        ),
    )
