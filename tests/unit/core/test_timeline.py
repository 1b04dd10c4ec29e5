"""Events as spans of time."""

from __future__ import annotations

from tests.fakes.values import at, context, event, history
from watcher.core.model import EventKind, Reason
from watcher.core.timeline import Span, spans_of
from watcher.core.timers import close

REASON = Reason(code="WKS.0017", message="sysprep failed", exact=False)


def told(*statuses: str | None) -> list[tuple[str | None, float, float | None]]:
    """Status, beginning and end in seconds of each span of an instance seen so every 15 s."""
    _, events = history(*statuses)
    return [(span.status, (span.began_at - at(0)).total_seconds(), _seconds(span)) for span in spans_of(events)]


def _seconds(span: Span) -> float | None:
    return (span.ended_at - at(0)).total_seconds() if span.ended_at is not None else None


def test_each_status_is_a_span_and_the_last_one_lasts() -> None:
    assert told("CREATING", "ACTIVE", "ACTIVE", "BUILDING") == [
        ("CREATING", 0, 15),
        ("ACTIVE", 15, 45),
        ("BUILDING", 45, None),
    ]


def test_missing_is_a_span_and_what_comes_after_is_another() -> None:
    assert told("BUILT", None, None, "BUILT", "BUILDING") == [
        ("BUILT", 0, 30),
        (None, 30, 45),
        ("BUILT", 45, 60),
        ("BUILDING", 60, None),
    ]


def test_after_deletion_there_is_nothing_until_it_is_seen_again() -> None:
    assert told("BUILT", "DELETING", None, None) == [("BUILT", 0, 15), ("DELETING", 15, 30)]
    assert told("DELETING", None, None, "CREATING")[1:] == [("CREATING", 45, None)]


def test_what_is_watched_no_more_is_nothing_until_it_is_seen_again() -> None:
    state, events = history("BUILDING", "ERROR")
    _, closed = close(state, now=at(60), context=context())
    first, last = spans_of([*events, closed])
    assert (first.status, last.status, last.ended_at) == ("BUILDING", "ERROR", at(60))
    again = event(kind=EventKind.DISCOVERED, from_status=None, to_status="ERROR", observed_at=at(99))
    assert [span.began_at for span in spans_of([*events, closed, again])] == [at(0), at(15), at(99)]


def test_no_events_no_spans() -> None:
    assert spans_of([]) == ()


def test_without_the_first_events_the_first_span_begins_when_they_say() -> None:
    late = event(observed_at=at(100), duration_s=40.0)
    assert spans_of([late])[0] == Span(status="BUILDING", began_at=at(60), ended_at=at(100))
    assert spans_of([late])[1].began_at == at(100)


def test_an_alert_that_begins_or_ends_is_no_span_of_its_own() -> None:
    built = event(observed_at=at(0), duration_s=None)
    stuck = event(kind=EventKind.STUCK, from_status="BUILT", to_status="BUILT", observed_at=at(10))
    calm = event(kind=EventKind.RECOVERED, from_status="BUILT", to_status="BUILT", observed_at=at(20))
    assert [span.began_at for span in spans_of([built, stuck, calm])] == [at(0)]


def test_a_rebuild_passed_unseen_is_a_span_of_its_own() -> None:
    again = event(from_status="BUILT", to_status="BUILT", inferred=("BUILDING",), observed_at=at(50))
    first, second = spans_of([event(observed_at=at(0), duration_s=None), again])
    assert (first.ended_at, second.inferred) == (at(50), ("BUILDING",))


def test_why_it_failed_is_with_the_span_even_when_that_is_known_later() -> None:
    failed = event(kind=EventKind.BUILD_FAILED, from_status="BUILT", observed_at=at(99), reason=REASON)
    [span] = spans_of([event(observed_at=at(0), duration_s=None), failed])
    assert (span.reason, span.ended_at) == (REASON, None)
    assert spans_of([event(to_status="ERROR", reason=REASON)])[-1].reason == REASON


def test_how_long_it_lasted() -> None:
    span = Span(status="BUILT", began_at=at(10))
    assert span.duration_s(at(15)) == 5
    assert span.duration_s(at(5)) == 0
    assert Span(status="BUILT", began_at=at(10), ended_at=at(12)).duration_s(at(99)) == 2
