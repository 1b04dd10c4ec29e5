"""Structured logs on standard error: JSON or console, redacted, and an observer that writes edges, not every try."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudPermissionError,
    CloudThrottledError,
)
from watcher.core.facts import (
    BudgetMet,
    BudgetShort,
    CertificateChanged,
    Committed,
    ConfigurationApplied,
    ConfigurationRefused,
    Delivered,
    DeliveryFailed,
    Fact,
    HeartbeatMissed,
    InstanceFailed,
    ItemsUnreadable,
    LeasesGiven,
    LeasesLost,
    LeasesTaken,
    ListAvoided,
    ReceiverFailed,
    ReceiverRecovered,
    RefreshFailed,
    RefreshRecovered,
    ReplicaJoined,
    ReplicasLost,
    SourceFailed,
    SourceRecovered,
    StoreFailed,
    StoreRecovered,
    Suppressed,
    TemplateFailed,
)
from watcher.core.model import Event, EventKind, Notification

HIDDEN = "**********"
_SECRET_KEY = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|credential|(access|secret|private|routing|api)_key|signature|webhook_url",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"whsec_[A-Za-z0-9+/=]+"  # a signing secret
    r"|xox[a-z]-[A-Za-z0-9-]+"  # a Slack token
    r"|(?<=hooks\.slack\.com/)[A-Za-z0-9/_-]+"  # the path of a Slack webhook is its secret
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"  # user and password in a URL
    r"|(?<=Signature=)[0-9a-f]+"
    r"|(?<=Bearer )\S+",
)


_ITEMS = 5
_ASK_LESS = "all intervals are stretched alike: lengthen them, raise rate_limit, or use mode auto"
_NO_LIST = "each instance is asked for by itself: grant workspace:imageServer:list, or use mode get"


def configure_logging(*, level: str, style: Literal["json", "console"], output: TextIO | None = None) -> None:
    """Send our own logs and those of the libraries the same way, to standard error unless told otherwise."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    out = output if output is not None else sys.stderr
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries: only what is wrong
    logging.getLogger("watcher").setLevel(level.upper())


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Hide values by the name of their key, and what looks like a secret inside any text."""
    return {key: _redacted(key, value) for key, value in event_dict.items()}


def _redacted(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return HIDDEN if _SECRET_KEY.search(key) else _SECRET_TEXT.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return HIDDEN if _SECRET_KEY.search(key) else _SECRET_TEXT.sub(HIDDEN, str(value))


class LogObserver:
    """Writes down what people want to read: changes, and the edges where something breaks or heals."""

    def __init__(self) -> None:
        self._log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("watcher")

    def __call__(self, fact: Fact) -> None:
        """Log what happened, if it is worth a line."""
        match fact:
            case Committed(events):
                for event in events:
                    self._event(event)
            case StoreFailed(who, error, first):
                log = self._log.error if first else self._log.debug
                log("store failed", who=who, error=str(error), do="nothing is sent that is not stored: mend the store")
            case StoreRecovered(who):
                self._log.info("store recovered", who=who)
            case Delivered() | DeliveryFailed() | Suppressed() | ReceiverFailed() | ReceiverRecovered():
                self._delivery(fact)
            case RefreshFailed(receiver, problem, first):
                log = self._log.error if first else self._log.debug
                log("refresh failed", receiver=receiver, error=str(problem))
            case RefreshRecovered(receiver):
                self._log.info("refresh recovered", receiver=receiver)
            case TemplateFailed(receiver, why):
                self._log.warning("template failed", receiver=receiver, error=why, do="the built-in text was sent")
            case ConfigurationApplied() | ConfigurationRefused() | CertificateChanged():
                self._configuration(fact)
            case _:
                self._polling(fact)

    def _configuration(self, fact: ConfigurationApplied | ConfigurationRefused | CertificateChanged) -> None:
        match fact:
            case CertificateChanged(None):
                self._log.info("certificate renewed")
            case CertificateChanged(problem):
                self._log.error("certificate refused", problem=problem, do="mend it: the one before goes on")
            case ConfigurationApplied(_, waiting, remarks):
                self._log.info("configuration applied")
                for key in waiting:
                    self._log.warning("configuration waits", key=key, do="restart the watcher to have it applied")
                for remark in remarks:
                    self._log.warning("configuration", finding=remark)
            case ConfigurationRefused(problems):
                for problem in problems:
                    self._log.error("configuration refused", problem=problem, do="mend it: the one before goes on")

    def _sharing(self, fact: Fact) -> None:
        match fact:
            case ReplicaJoined(replica_id):
                self._log.info("replica joined", replica=replica_id)
            case LeasesTaken(leases):
                self._log.info("leases taken", leases=list(leases))
            case LeasesGiven(leases):
                self._log.info("leases given away", leases=list(leases))
            case LeasesLost(leases):
                self._log.warning("leases lost", leases=list(leases), do="it was not heard of for lease_ttl")
            case ReplicasLost(names):
                self._log.info("replicas gone", names=list(names))
            case _:
                pass

    def _polling(self, fact: Fact) -> None:
        match fact:
            case SourceFailed(source, error, retry_in_s, first):
                log = self._log.error if first else self._log.debug
                log("source failed", source=source, error=str(error), retry_in_s=round(retry_in_s, 1), do=advice(error))
            case SourceRecovered(source):
                self._log.info("source recovered", source=source)
            case InstanceFailed(key, error, first):
                log = self._log.warning if first else self._log.debug
                log("instance failed", source=key.source, instance_id=key.id, error=str(error))
            case ItemsUnreadable(source, items):
                self._log.warning("items unreadable", source=source, items=list(items[:_ITEMS]), count=len(items))
            case BudgetShort(source, figures, stretch):
                times = round(stretch, 1)
                self._log.warning("budget short", source=source, figures=figures, stretch=times, do=_ASK_LESS)
            case BudgetMet(source):
                self._log.info("budget met", source=source)
            case HeartbeatMissed(reason, first=True):
                self._log.warning("heartbeat withheld", reason=reason)
            case ListAvoided(source, error, retry_in_s):
                self._log.warning("list avoided", source=source, error=str(error), retry_in_s=retry_in_s, do=_NO_LIST)
            case _:
                self._sharing(fact)

    def _event(self, event: Event) -> None:
        log = self._log.debug if event.kind is EventKind.DISCOVERED else self._log.info
        log(
            event.kind.value,
            source=event.source,
            instance_id=event.instance_id,
            instance_name=event.instance_name,
            from_status=event.from_status,
            to_status=event.to_status,
            severity=event.severity.value,
            event_id=event.id,
            sequence=event.sequence,
        )

    def _delivery(self, fact: Delivered | DeliveryFailed | Suppressed | ReceiverFailed | ReceiverRecovered) -> None:
        match fact:
            case Delivered(receiver, type_, notification, at):
                latency_s = max((at - event.observed_at).total_seconds() for event in notification.events)
                facts = _notification(notification)
                self._log.info("delivered", receiver=receiver, type=type_, **facts, latency_s=round(latency_s, 3))
            case DeliveryFailed():
                self._delivery_failed(fact)
            case Suppressed(delivery, reason, held_by):
                self._log.info(
                    "suppressed",
                    receiver=delivery.receiver,
                    event_id=delivery.event.id,
                    reason=reason.value,
                    held_by=held_by,
                )
            case ReceiverFailed(receiver, error, retry_in_s, first):
                log = self._log.error if first else self._log.debug
                log("receiver failed", receiver=receiver, error=str(error), retry_in_s=round(retry_in_s, 1))
            case ReceiverRecovered(receiver):
                self._log.info("receiver recovered", receiver=receiver)

    def _delivery_failed(self, fact: DeliveryFailed) -> None:
        dead = fact.retry_in_s is None
        log = self._log.error if dead else self._log.warning if fact.attempts == 1 else self._log.debug
        log(
            "delivery dead" if dead else "delivery failed",
            receiver=fact.receiver,
            **_notification(fact.notification),
            attempts=fact.attempts,
            error=str(fact.error),
            reason=fact.error.reason.value,
            retry_in_s=round(fact.retry_in_s, 1) if fact.retry_in_s is not None else None,
        )


def _notification(notification: Notification) -> dict[str, Any]:
    if notification.is_digest:
        return {"digest_id": notification.id, "events": len(notification.events)}
    return {"event_id": notification.id}


def advice(error: CloudError) -> str:
    """What the operator can do about a source that fails this way."""
    match error:
        case CloudAuthError():
            return "check credential, region and clock; asked again after the 5 min lock, or when its file changes"
        case CloudPermissionError():
            return "grant workspace:imageServer:get and workspace:imageServer:list to the credential"
        case CloudThrottledError():
            return "ask less: longer intervals, or fewer watchers with this credential"
        case CloudEndpointError():
            return "check region, endpoint and project_id"
        case CloudMalformedError():
            return "check that the endpoint is the cloud's API and no proxy answers in its place"
        case _:
            return "the cloud or the way to it is down: nothing to do but wait"
