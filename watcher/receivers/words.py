"""One event in words: what happened, how long it took or may take, which alerts fire; nothing of how it is shown."""

from __future__ import annotations

from watcher.core.alerts import BUILD_FAILED, ERROR, FLAPPING, MISSING, STUCK, UNREACHABLE
from watcher.core.event_json import format_time
from watcher.core.model import Alert, AlertStatus, Event, EventKind, Expectation, Status
from watcher.core.timers import is_unwatched

_NAME_CHARS = 100
_STATUS_CHARS = 40
_STATUS_EMOJI = {
    Status.CREATING: "🆕",
    Status.ACTIVE: "🟢",
    Status.BUILDING: "🔨",
    Status.BUILT: "✅",
    Status.ERROR: "🔴",
    Status.DELETING: "🗑️",
}
_NO_EMOJI = "⚪"
_KIND_EMOJI = {
    EventKind.BUILD_FAILED: "❌",
    EventKind.DELETED: "🗑️",
    EventKind.MISSING: "❓",
    EventKind.STUCK: "⏳",
    EventKind.REMINDER: "🔔",
    EventKind.UNREACHABLE: "🔴",
}
_UNWATCHED_EMOJI, _ANSWERS_EMOJI, _FLAPPING_EMOJI, _CALM_EMOJI = "⏹️", "🟢", "🔁", "〰️"
_STILL = {
    UNREACHABLE: "still cannot be reached",
    MISSING: "is still missing",
    ERROR: "is still in ERROR",
    STUCK: "is still stuck in {status}",
    BUILD_FAILED: "is still without a new image",
    FLAPPING: "is still flapping",
}
"""What a reminder says, by the alert that matters most."""


def emoji(event: Event) -> str:
    """The same for the same `news`."""
    if event.kind is EventKind.FLAPPING:
        return _FLAPPING_EMOJI if fires(event, FLAPPING) else _CALM_EMOJI
    if is_unwatched(event):
        return _UNWATCHED_EMOJI
    if event.kind is EventKind.RECOVERED and not event.instance_id:
        return _ANSWERS_EMOJI
    if is_built_badly(event):
        return _KIND_EMOJI[EventKind.BUILD_FAILED]
    status = Status(event.to_status) if event.to_status in list(Status) else Status.NULL
    return _KIND_EMOJI.get(event.kind, _STATUS_EMOJI.get(status, _NO_EMOJI))


def name_of(event: Event) -> str:
    """Whom the event is about: the instance's name, its id if it has none, or the source."""
    return shortened(plain(event.instance_name) or plain(event.instance_id), _NAME_CHARS) or f"source {event.source}"


def news(event: Event) -> str:
    """What happened, to be read after the name: `is BUILT`, `is stuck in BUILDING`, `answers again`."""
    status, but = _status(event.to_status), ", but its build failed" if is_built_badly(event) else ""
    words = {
        EventKind.DISCOVERED: f"is in {status}",
        EventKind.TRANSITION: "was built again" if event.from_status == event.to_status else f"is {status}{but}",
        EventKind.BUILD_FAILED: "ended its build without a new image",
        EventKind.DELETED: "is deleted",
        EventKind.MISSING: "is missing",
        EventKind.STUCK: f"is stuck in {status}",
        EventKind.FLAPPING: "is flapping" if fires(event, FLAPPING) else "is calm again",
        EventKind.UNREACHABLE: "cannot be reached",
    }
    if event.kind is EventKind.REMINDER:
        still = next((words for name, words in _STILL.items() if fires(event, name)), "is still {status}")
        return still.format(status=status)
    if is_unwatched(event):
        return "is no longer watched"
    if is_built_after_all(event):
        return "has its new image after all"
    if event.kind is EventKind.RECOVERED:
        there = "is back in" if event.from_status is not None else "has appeared in"
        return f"{there} {status}" if event.instance_id else "answers again"
    return words[event.kind]


def group_words(event: Event) -> str:
    """What happened, to be read after a count: `ERROR`, `stuck in BUILDING`; events that share it are told together."""
    if _is_new_status(event):
        return _status(event.to_status)
    return news(event).removeprefix("is ")


def group_label(event: Event) -> str:
    """The same with its source: `prod → ERROR`, `prod: stuck in BUILDING`."""
    return f"{event.source}{' → ' if _is_new_status(event) else ': '}{group_words(event)}"


def summary(event: Event) -> str:
    """The facts behind the news in one line: from → to, how long, how much longer, what is still wrong."""
    return "; ".join(part for part in _facts(event) if part)


def _facts(event: Event) -> list[str]:
    lasted = format_length(event.duration_s) if event.duration_s is not None else ""
    facts = [f"{_steps(event)} after {lasted}" if lasted else _steps(event), _left(event)]
    if is_unwatched(event):
        facts = [plain(event.reason.message) if event.reason is not None else "", _last_seen(event)]
    elif not event.instance_id:
        silent = "it was silent for" if event.kind is EventKind.RECOVERED else "no answer for"
        facts = [f"{silent} {lasted}" if lasted else ""]
    elif event.kind is EventKind.DISCOVERED:
        facts = ["seen for the first time", _usually(event.expected)]
    elif event.kind is EventKind.DELETED:
        facts = [_last_seen(event)]
    elif event.kind is EventKind.MISSING:
        facts = ["the cloud does not know it, and no deletion was seen", _last_seen(event)]
    elif event.kind in (EventKind.STUCK, EventKind.BUILD_FAILED):
        facts = [_so_far(event), _usually(event.expected)]
    elif event.kind is EventKind.FLAPPING:
        facts = _flapping(event)
    elif event.kind is EventKind.REMINDER or is_built_after_all(event):
        facts = [_so_far(event) or _last_seen(event), _left(event)]
    elif event.kind is EventKind.RECOVERED:
        facts = [f"the cloud knows it {'again' if event.from_status is not None else 'now'}", _left(event)]
    return facts


def _flapping(event: Event) -> list[str]:
    changes = f"{event.changes} changes" if event.changes is not None else "many changes"
    now = f"now {_status(event.to_status)}" if event.to_status is not None else "now it is not there"
    if fires(event, FLAPPING):
        return [f"{changes} of status in a short time", "single changes are held back until it is calm", now]
    firing = ", ".join(alert.name for alert in event.alerts if alert.status is AlertStatus.FIRING)
    return [f"{changes} while it flapped", now, f"still firing: {firing}" if firing else ""]


def alerts(event: Event) -> str:
    """Which alerts fire and which are over: `error firing (critical)`, `missing resolved after 12 min`."""
    firing_first = sorted(
        event.alerts, key=lambda alert: (alert.status is not AlertStatus.FIRING, -alert.severity.rank)
    )
    return ", ".join(_alert(alert, event) for alert in firing_first)


def _alert(alert: Alert, event: Event) -> str:
    if alert.status is AlertStatus.RESOLVED:
        lasted_s = (alert.ends_at - alert.starts_at).total_seconds() if alert.ends_at is not None else None
        return f"{alert.name} resolved" + (f" after {about(max(0.0, lasted_s))}" if lasted_s is not None else "")
    for_s = (event.observed_at - alert.starts_at).total_seconds()
    if for_s <= 0:
        return f"{alert.name} firing ({alert.severity.value})"
    since = format_time(alert.starts_at)
    return f"{alert.name} firing for {about(for_s)} ({alert.severity.value}, since {since})"


def fires(event: Event, name: str) -> bool:
    """Whether the event says that this alert fires."""
    return any(alert.name == name and alert.status is AlertStatus.FIRING for alert in event.alerts)


def is_built_badly(event: Event) -> bool:
    """Whether it is BUILT, and the job says that its build failed: no success."""
    return event.kind is EventKind.TRANSITION and event.to_status == Status.BUILT and event.reason is not None


def is_built_after_all(event: Event) -> bool:
    """Whether it ends the alert of a build that seemed to have failed."""
    ends = any(alert.name == BUILD_FAILED and alert.status is AlertStatus.RESOLVED for alert in event.alerts)
    return event.kind is EventKind.RECOVERED and ends and not is_unwatched(event)


def _is_new_status(event: Event) -> bool:
    if is_built_badly(event):
        return False
    return event.kind in (EventKind.DISCOVERED, EventKind.TRANSITION) and event.from_status != event.to_status


def _steps(event: Event) -> str:
    steps = [event.from_status, *(f"({step})" for step in event.inferred), event.to_status]
    return " → ".join(_status(step) for step in steps if step is not None)


def _last_seen(event: Event) -> str:
    return f"last seen {_status(event.from_status)}" if event.from_status is not None else ""


def _so_far(event: Event) -> str:
    if event.to_status is None or event.duration_s is None:
        return ""
    if event.kind is EventKind.BUILD_FAILED and event.reason is not None:
        return "its job failed"
    if fires(event, FLAPPING):
        return f"now {_status(event.to_status)}"
    return f"{_status(event.to_status)} for {about(event.duration_s)}"


def _usually(expected: Expectation | None) -> str:
    return f"usually {about(expected.median_s)}, p95 {about(expected.p95_s)}" if expected is not None else ""


def _left(event: Event) -> str:
    """How much longer the status may last that the event leaves the instance in."""
    if event.expected is None:
        return ""
    # An event that changes no status says how long the present one has lasted; one that does begins the next.
    elapsed_s = event.duration_s if event.from_status == event.to_status else 0.0
    if elapsed_s is None or event.from_status is None:
        return _usually(event.expected)
    left_s = event.expected.median_s - elapsed_s
    left = f"about {about(left_s)} left" if left_s > 0 else "longer than usual"
    return f"{left} ({_usually(event.expected)})"


def _status(status: str | None) -> str:
    return shortened(plain(status or ""), _STATUS_CHARS)


def plain(text: str) -> str:
    """The text as one line, without what moves the cursor, colours a terminal or turns the direction of reading."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() or char == "\N{VARIATION SELECTOR-16}" else "\ufffd" for char in line)


def shortened(text: str, chars: int) -> str:
    """The text, or its beginning and `…`."""
    return text if len(text) <= chars else text[: chars - 1] + "…"


def about(seconds: float) -> str:
    """A length of time that nobody needs to the second: `24 min`, `1 h 5 min`, `45 s`."""
    return format_length(round(seconds / 60) * 60 if seconds >= 120 else seconds)  # noqa: PLR2004 - two minutes


def format_length(seconds: float) -> str:
    """A length of time for people, two units at most: `23 min 32 s`, `1 h 5 min`, `3 d 2 h`."""
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in units:
        count, whole = divmod(whole, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
