"""Events of every kind in both directions, as the core makes them of what is observed."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.values import KEY, at, observation
from watcher.core.alerts import AlertRules, fingerprint
from watcher.core.detector import detect
from watcher.core.errors import CloudUnavailableError
from watcher.core.lessons import Lessons
from watcher.core.model import (
    Event,
    InstanceKey,
    InstanceState,
    Reason,
    Step,
)
from watcher.core.news import Context
from watcher.core.outage import begin_outage, end_outage
from watcher.core.reasons import Finding
from watcher.core.timers import close, ring

MINUTE, HOUR = 60.0, 3600.0
REASON = Reason(code="WKS.0017", message="sysprep failed", exact=True)
LESSONS = Lessons(
    Step(source=KEY.source, image_source="", status="BUILDING", duration_s=minutes * MINUTE)
    for minutes in (22, 23, 24, 24, 25, 31)
)


class Story:
    """One instance, told what is seen of it and what time makes of that."""

    def __init__(self, name: str = "office-2026", key: InstanceKey = KEY, *, configured: bool = True) -> None:
        self._name = name
        self._key = key
        self._context = Context(rules=AlertRules(), lessons=LESSONS, labels={"team": "vdi"}, configured=configured)
        self.state: InstanceState | None = None

    def see(
        self, status: str | None, seconds: float, *, reason: Reason | None = None, image_id: str = ""
    ) -> list[Event]:
        """What one observation tells."""
        more = {"name": self._name, "image_id": image_id} if status is not None else {}
        seen = observation(status, seconds, key=self._key, **more)
        before = self.state.observed_at if self.state is not None else None
        context = replace(self._context, finding=Finding(reason=reason), previous_observed_at=before)
        self.state, events = detect(self.state, seen, context)
        return list(events)

    def wait(self, seconds: float) -> list[Event]:
        """What time alone tells."""
        assert self.state is not None
        self.state, events = ring(self.state, now=at(seconds), context=self._context)
        return list(events)

    def unwatch(self, seconds: float) -> Event:
        """What is told when nobody watches any more."""
        assert self.state is not None
        self.state, told = close(self.state, now=at(seconds), context=self._context)
        return told


def stories() -> dict[str, Event]:
    """An event of every kind, in both directions where it has two, by what it is."""
    return {**_builds(), **_stuck(), **_gone(), **_flapping(), **_outage(), **_build_failed()}


def _builds() -> dict[str, Event]:
    story = Story()
    story.see("ACTIVE", 0)
    [building] = story.see("BUILDING", MINUTE)
    [built] = story.see("BUILT", 25 * MINUTE, image_id="img-1")
    [again] = story.see("BUILT", HOUR, image_id="img-2")
    [unseen] = story.see("ERROR", 2 * HOUR, reason=replace(REASON, exact=False))
    [reminder] = story.wait(6 * HOUR)
    [over] = story.see("BUILDING", 6.5 * HOUR)
    story.see("ERROR", 7 * HOUR)
    fresh = Story()
    [found] = fresh.see("ERROR", 0, reason=REASON)
    [unwatched] = [fresh.unwatch(12 * MINUTE)]
    failing = Story()
    failing.see("BUILDING", 0)
    [failed] = failing.see("ERROR", 12 * MINUTE, reason=REASON)
    passed = Story()
    passed.see("ACTIVE", 0)
    [jumped] = passed.see("BUILT", MINUTE)
    return {
        "building": building,
        "built": built,
        "built again": again,
        "build error": failed,
        "error": unseen,
        "error reminder": reminder,
        "error over": over,
        "found in error": found,
        "unwatched": unwatched,
        "passed unseen": jumped,
    }


def _stuck() -> dict[str, Event]:
    story = Story()
    story.see("ACTIVE", 0)
    story.see("BUILDING", MINUTE)
    [stuck] = story.wait(53 * MINUTE)
    [reminder] = story.wait(5 * HOUR)
    [over] = story.see("BUILT", 5 * HOUR + MINUTE, image_id="img-1")
    unknown = Story(key=InstanceKey("prod", "2"))
    unknown.see("ACTIVE", 0)
    unknown.see("DELETING", MINUTE)
    [slow] = unknown.wait(2 * HOUR + MINUTE)
    return {"stuck": stuck, "stuck reminder": reminder, "stuck over": over, "stuck without experience": slow}


def _gone() -> dict[str, Event]:
    story = Story()
    story.see("BUILT", 0)
    story.see(None, MINUTE)
    [missing] = story.see(None, 2 * MINUTE)
    [reminder] = story.wait(5 * HOUR)
    [back] = story.see("BUILT", 6 * HOUR)
    story.see("DELETING", 7 * HOUR)
    [deleted] = story.see(None, 7 * HOUR + MINUTE)
    never = Story()
    never.see(None, 0)
    [unknown] = never.see(None, MINUTE)
    [appeared] = never.see("BUILDING", HOUR)
    failing = Story(configured=False)
    failing.see("ERROR", 0)
    failing.see(None, MINUTE)
    [gone] = failing.see(None, 2 * MINUTE)
    return {
        "missing": missing,
        "missing reminder": reminder,
        "back": back,
        "deleted": deleted,
        "never there": unknown,
        "there at last": appeared,
        "deleted in error": gone,
    }


def _flapping() -> dict[str, Event]:
    story = Story()
    told = [event for turn in range(7) for event in story.see(("BUILT", "BUILDING")[turn % 2], turn * 2 * MINUTE)]
    begin = told[-1]
    [held_back] = story.see("BUILDING", 13 * MINUTE)
    [calm] = story.wait(50 * MINUTE)
    bad = Story()
    for turn in range(8):
        bad.see(("BUILT", "BUILDING")[turn % 2], turn * 2 * MINUTE)
    bad.see("ERROR", 15 * MINUTE)
    [calm_in_error] = bad.wait(50 * MINUTE)
    endless = Story()
    for turn in range(1 + int(5 * HOUR / (3 * MINUTE))):
        endless.see(("BUILT", "BUILDING")[turn % 2], turn * 3 * MINUTE)
        reminders = endless.wait(turn * 3 * MINUTE)
        if reminders:
            break
    else:
        raise AssertionError("nobody was reminded")
    return {
        "flapping": begin,
        "change while flapping": held_back,
        "calm": calm,
        "calm in error": calm_in_error,
        "flapping reminder": reminders[0],
    }


def _outage() -> dict[str, Event]:
    error = CloudUnavailableError("no answer within 10 s", http_status=503, code="WKS.00050902")
    rules = AlertRules()
    state, down = begin_outage(None, source=KEY.source, since=at(0), now=at(300), rules=rules, error=error)
    state, [reminder] = ring(state, now=at(5 * HOUR), context=Context(rules=rules))
    return {
        "outage": down,
        "outage reminder": reminder,
        "outage over": end_outage(state, now=at(6 * HOUR), rules=rules)[1],
    }


def _build_failed() -> dict[str, Event]:
    """Builds that end in BUILT with the image they began with."""
    story = Story()
    story.see("BUILT", 0, image_id="img-1")
    story.see("BUILDING", MINUTE, image_id="img-1")
    badly, failed = story.see("BUILT", 25 * MINUTE, image_id="img-1", reason=replace(REASON, exact=False))
    [reminder] = story.wait(5 * HOUR)
    [over] = story.see("BUILDING", 6 * HOUR, image_id="img-1")
    silent = Story()
    silent.see("BUILT", 0, image_id="img-1")
    silent.see("BUILDING", MINUTE, image_id="img-1")
    silent.see("BUILT", 25 * MINUTE, image_id="img-1")
    [unexplained] = silent.wait(27 * MINUTE)
    [after_all] = silent.see("BUILT", 40 * MINUTE, image_id="img-2")
    return {
        "built badly": badly,
        "build failed": failed,
        "build failed reminder": reminder,
        "build failed over": over,
        "build failed without a reason": unexplained,
        "built after all": after_all,
    }


def many(count: int) -> tuple[Event, ...]:
    """News of so many instances, two a second: of each 25 one fails and the others are built; some more is mixed in."""
    events = list[Event]()
    for number in range(count - min(count // 30, 8)):
        story = Story(f"office-{number:03}", InstanceKey("prod", f"{697612196993040000 + number}"))
        story.see("BUILDING", 0)
        events += story.see("ERROR" if number % 25 == 24 else "BUILT", 20 * MINUTE + number / 2)
    more = stories()
    others = ("stuck", "missing", "flapping", "outage", "deleted", "calm in error", "back", "unwatched")
    events += [_of_another(number, more[name]) for number, name in enumerate(others[: count - len(events)])]
    return tuple(events)


def _of_another(number: int, told: Event) -> Event:
    if not told.instance_id:
        return replace(told, observed_at=at(HOUR))
    key = InstanceKey("prod", f"{697612196993050000 + number}")
    alerts = tuple(replace(alert, fingerprint=fingerprint(alert.name, key)) for alert in told.alerts)
    name = f"lab-{number}"
    return replace(told, observed_at=at(HOUR), instance_id=key.id, instance_name=name, alerts=alerts)
