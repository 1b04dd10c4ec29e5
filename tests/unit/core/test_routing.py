from __future__ import annotations

import pytest

from tests.fakes.values import event, outage
from watcher.core.model import EventKind, Severity
from watcher.core.routing import Explanation, Matcher, Recipient, Route, RoutingTable

EVERYBODY = (Recipient(name="chat"), Recipient(name="oncall", min_severity=Severity.CRITICAL))


def test_without_routes_everybody_is_told_what_is_severe_enough() -> None:
    table = RoutingTable(recipients=EVERYBODY)
    assert table.receivers_for(event()) == ("chat",)
    assert table.receivers_for(event(severity=Severity.CRITICAL)) == ("chat", "oncall")


def test_first_sight_is_history_only_unless_it_is_an_error() -> None:
    table = RoutingTable(recipients=EVERYBODY)
    assert table.receivers_for(event(kind=EventKind.DISCOVERED, from_status=None)) == ()
    assert table.receivers_for(event(kind=EventKind.DISCOVERED, from_status=None, to_status="ERROR")) == ("chat",)


def test_the_first_match_wins_unless_it_continues() -> None:
    any_event = Matcher()
    first = Route(match=any_event, receivers=("a",))
    second = Route(match=any_event, receivers=("b", "a"))
    recipients = (Recipient(name="a"), Recipient(name="b"))
    assert RoutingTable(recipients=recipients, routes=(first, second)).receivers_for(event()) == ("a",)
    goes_on = Route(match=any_event, receivers=("a",), goes_on=True)
    assert RoutingTable(recipients=recipients, routes=(goes_on, second)).receivers_for(event()) == ("a", "b")


def test_with_routes_what_matches_none_goes_nowhere() -> None:
    route = Route(match=Matcher(to_status=("ERROR",)), receivers=("chat",))
    assert RoutingTable(recipients=EVERYBODY, routes=(route,)).receivers_for(event()) == ()


def test_it_explains_who_is_told_and_why_others_are_not() -> None:
    errors = Route(match=Matcher(to_status=("ERROR",)), receivers=("oncall",))
    office = Route(match=Matcher(name=("office-*",)), receivers=("chat", "oncall"), goes_on=True)
    lab = Route(match=Matcher(name=("lab-*",)), receivers=("mail",))
    mail = Recipient(name="mail")
    table = RoutingTable(recipients=(*EVERYBODY, mail), routes=(errors, lab, office, office))
    assert table.explain(event()) == Explanation(
        routes=(2, 3),
        told=("chat",),
        untold={"oncall": "info is below its min_severity critical", "mail": "no route that matches names it"},
    )
    error = event(to_status="ERROR", severity=Severity.CRITICAL)
    assert (table.explain(error).routes, table.explain(error).told) == ((0,), ("oncall",))
    nothing = table.explain(event(instance_name="test-1"))
    assert (nothing.routes, nothing.told, set(nothing.untold.values())) == ((), (), {"no route matches"})
    first = RoutingTable(recipients=(mail,)).explain(event(kind=EventKind.DISCOVERED, from_status=None))
    assert first == Explanation(routes=(), told=(), untold={"mail": "first sight is no news"})


def test_who_is_not_told_of_endings_is_told_of_what_begins_only() -> None:
    [_, ended] = outage()
    quiet = Recipient(name="oncall", min_severity=Severity.CRITICAL, send_resolved=False)
    assert RoutingTable(recipients=(quiet,)).explain(ended).untold == {
        "oncall": "info is below its min_severity critical"
    }


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        (Matcher(), True),
        (Matcher(kind=("transition", "deleted")), True),
        (Matcher(kind=("deleted",)), False),
        (Matcher(from_status=("BUILDING",), to_status=("BUILT", "ERROR")), True),
        (Matcher(from_status=("CREATING",)), False),
        (Matcher(source=("prod",)), True),
        (Matcher(source=("test",)), False),
        (Matcher(name=("lab-*", "office-*")), True),
        (Matcher(name=("OFFICE-*",)), False),
        (Matcher(severity=("info",)), True),
        (Matcher(severity=("critical",)), False),
        (Matcher(labels={"team": "vdi"}), True),
        (Matcher(labels={"team": "vdi", "site": "sgp"}), False),
    ],
)
def test_matchers(matcher: Matcher, matches: bool) -> None:
    assert matcher.matches(event()) is matches
