from __future__ import annotations

from tests.fakes.values import at
from watcher.core.alerts import AlertRules
from watcher.core.errors import CloudUnavailableError
from watcher.core.model import AlertStatus, EventKind, Severity
from watcher.core.outage import begin_outage, end_outage, source_key

ERROR = CloudUnavailableError("no answer within 10 s", http_status=503, code="WKS.1")
RULES = AlertRules()


def test_an_outage_is_one_alert_with_its_reason_and_its_end() -> None:
    state, down = begin_outage(None, source="prod", since=at(0), now=at(300), rules=RULES, error=ERROR)
    assert (down.kind, down.source, down.instance_id, down.sequence) == (EventKind.UNREACHABLE, "prod", "", 1)
    assert (down.severity, down.duration_s) == (Severity.CRITICAL, 300.0)
    assert down.reason is not None
    assert (down.reason.code, down.reason.exact) == ("WKS.1", True)
    assert [(alert.name, alert.status) for alert in down.alerts] == [("unreachable", AlertStatus.FIRING)]
    assert state.key == source_key("prod")
    state, up = end_outage(state, now=at(600), rules=RULES)
    assert (up.kind, up.sequence, up.duration_s) == (EventKind.RECOVERED, 2, 600.0)
    assert [(alert.fingerprint, alert.status) for alert in up.alerts] == [
        (down.alerts[0].fingerprint, AlertStatus.RESOLVED)
    ]
    assert up.severity is Severity.CRITICAL  # whoever was woken by it is told that it is over
    assert state.alerts == ()


def test_ids_tell_outages_apart_and_the_same_one_alike() -> None:
    def ids(since_s: float) -> list[str]:
        state, down = begin_outage(
            None, source="prod", since=at(since_s), now=at(since_s + 300), rules=RULES, error=ERROR
        )
        return [down.id, end_outage(state, now=at(9999), rules=RULES)[1].id]

    assert ids(0) == ids(0)
    assert len({*ids(0), *ids(1000)}) == 4


def test_the_next_outage_has_its_own_beginning() -> None:
    state, _ = begin_outage(None, source="prod", since=at(0), now=at(300), rules=RULES, error=ERROR)
    state, _ = end_outage(state, now=at(600), rules=RULES)
    _, down = begin_outage(state, source="prod", since=at(1000), now=at(1300), rules=RULES, error=ERROR)
    assert (down.duration_s, down.previous_observed_at, down.sequence) == (300.0, at(600), 3)
