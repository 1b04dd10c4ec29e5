"""The tables of `watcher status`, and of `watcher alerts`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from watcher.cli.event_lines import alerts_of, reason_in_words
from watcher.cli.tables import STYLES, Since, Styled, print_table
from watcher.cli.times import how_long, read_number, read_time
from watcher.core.event_json import format_time

Item = Mapping[str, Any]
_SPARE_OF_ALERTS = ("INSTANCE", "SILENCED BY", "STATUS", "SOURCE", "ACKED BY")


def print_alerts(items: Sequence[Item], *, now: datetime | None = None, spare: Sequence[str] = ()) -> None:
    """Alerts that fire; `now` is what ages are counted to, `spare` are the columns that are left out first."""
    columns = ("fingerprint", "name", "severity", "starts_at", "source", "instance_id", "instance_name")
    print_table(
        (
            *("FINGERPRINT", "ALERT", "SEVERITY", "SINCE", "SOURCE", "INSTANCE", "NAME", "STATUS", "ACKED BY"),
            *("SILENCED BY", "REASON"),
        ),
        [
            [
                *(Since(item.get(key)) if key == "starts_at" else item.get(key) for key in columns),
                item.get("instance_status"),
                _acked_by(item),
                item.get("silenced_by"),
                reason_in_words(item.get("reason")),
            ]
            for item in items
        ],
        now=now,
        flexible=("NAME", "SILENCED BY", "REASON"),
        spare=(*spare, *_SPARE_OF_ALERTS),
    )


def _acked_by(alert: Item) -> object:
    acknowledged = alert.get("acknowledged")
    return acknowledged.get("author") if isinstance(acknowledged, dict) else None


def print_instances(items: Sequence[Item], *, now: datetime) -> None:
    """Instances, in the order given."""
    print_table(
        ("STATUS", "SINCE", "ENDS", "ALERTS", "NAME", "SOURCE", "ID"),
        [
            [
                "missing" if item.get("presence") == "missing" else item.get("status") or "not seen",
                Since(item.get("since")),
                _ends(item),
                _alerts(item),
                item.get("name"),
                item.get("source"),
                item.get("id"),
            ]
            for item in items
        ],
        now=now,
        flexible=("NAME", "ALERTS"),
        spare=("SOURCE", "ENDS"),
    )


def _ends(item: Item) -> object:
    """When its status will usually have ended: on a terminal what is left, or `late`."""
    expected = item.get("expected") if item.get("presence") == "present" else None
    since = read_time(item.get("since"))
    median_s = read_number(expected.get("median_s")) if isinstance(expected, dict) else None
    if median_s is None or since is None:
        return None
    left_s = read_number(item.get("left_s"))
    if not sys.stdout.isatty():
        try:
            return format_time(since + timedelta(seconds=median_s))
        except OverflowError:
            return None
    return f"in {how_long(left_s)}" if left_s else "late"


def _alerts(item: Item) -> object:
    firing = alerts_of(item)
    severities = {str(alert.get("severity")) for alert in firing}
    worst = next((severity for severity in ("critical", "warning") if severity in severities), "")
    return Styled(",".join(str(alert.get("name")) for alert in firing), STYLES.get(worst, ""))


def print_sources(items: Sequence[Item], *, now: datetime) -> None:
    """Sources, with what they are asked and what they answer."""
    print_table(
        ("SOURCE", "STATE", "LAST SUCCESS", "INSTANCES", "STALE", "PACE", "ERROR"),
        [
            [
                item.get("name"),
                item.get("state"),
                Since(item.get("last_success_at")),
                item.get("instances"),
                _stale(item),
                _pace(item),
                item.get("error"),
            ]
            for item in items
        ],
        now=now,
        flexible=("ERROR",),
        spare=("STALE", "INSTANCES", "ERROR"),
    )


def print_replicas(items: Sequence[Item], *, now: datetime) -> None:
    """The replicas that share the work, and how much of it each has."""
    print_table(
        ("REPLICA", "STATE", "SINCE", "VERSION", "SOURCES", "RECEIVERS", "WHY"),
        [
            [
                item.get("id"),
                _state(item),
                Since(item.get("started_at")),
                item.get("version"),
                len(_names(item.get("sources"))),
                ", ".join(_names(item.get("receivers"))),
                item.get("unwell"),
            ]
            for item in items
        ],
        now=now,
        flexible=("RECEIVERS", "WHY"),
        spare=("VERSION", "RECEIVERS"),
    )


def _state(replica: Item) -> object:
    if replica.get("draining"):
        return "draining"
    return Styled("unwell", "red") if replica.get("unwell") else "well"


def _names(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _stale(item: Item) -> object:
    return Styled(item.get("stale"), "yellow" if item.get("stale") else "")


def _pace(item: Item) -> object:
    """How fast it is asked, of what is configured: `100%`, or `50%, intervals x2`."""
    pace, stretch = read_number(item.get("pace")), read_number(item.get("stretch"))
    if pace is None:
        return None
    stretched = f", intervals x{stretch:.3g}" if stretch is not None and stretch > 1 else ""
    return Styled(f"{pace:.0%}{stretched}", "yellow" if stretched or pace < 1 else "")
