"""Days of history in a store before its daemon starts, as the core would have told it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.fakes.receivers import refusal
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.lessons import Lessons, lesson_of
from watcher.core.model import Event, Instance, InstanceKey, InstanceState, Observation, Reason
from watcher.core.news import Context
from watcher.core.ports import Attempt, Change
from watcher.core.reasons import Finding
from watcher.core.timers import ring
from watcher.store import Store


@dataclass(frozen=True, kw_only=True)
class Was:
    """What an instance became so many minutes ago; `status` None: time alone made news of it."""

    minutes_ago: float
    status: str | None
    image_id: str = ""
    reason: Reason | None = None


async def write_past(
    store: Store, instance: Instance, story: Iterable[Was], *, now: datetime, receivers: Sequence[str], refused_by: str
) -> None:
    """Keep what the story of an instance tells; the receiver `refused_by` refused the last of it, if it is one."""
    rules, lessons = AlertRules(), Lessons()
    key, state = InstanceKey("prod", instance.id), None
    for was in sorted(story, key=lambda each: -each.minutes_ago):
        at = now - timedelta(minutes=was.minutes_ago)
        context = Context(
            rules=rules,
            labels={"team": "vdi"},
            previous_observed_at=at - timedelta(seconds=15),
            finding=Finding(reason=was.reason, succeeded=was.status == "BUILT"),
            lessons=lessons,
        )
        before: InstanceState | None = state
        if was.status is None:
            assert state is not None
            state, events = ring(state, now=at, context=context)
        else:
            seen = _as_it_was(instance, was)
            state, events = detect(state, Observation(key=key, observed_at=at, instance=seen), context)
        steps = [step for each in events if (step := lesson_of(before, each, resolution_s=30.0)) is not None]
        for step in steps:
            lessons.learn(step)
        told = tuple((each, tuple(receivers) if before is not None else ()) for each in events)
        await store.commit([Change(state=state, events=told, steps=tuple(steps))], now=at)
        await _deliver(store, events, at=at, refused_by=refused_by if was.minutes_ago < 10 else "")


async def _deliver(store: Store, events: Sequence[Event], *, at: datetime, refused_by: str) -> None:
    ids = {event.id for event in events}
    reports = [report for report in await store.reports(limit=20) if report.delivery.event.id in ids]
    attempts = [
        Attempt(
            delivery=report.delivery,
            finished_at=at + timedelta(seconds=1),
            error=refusal(permanent=True) if report.delivery.receiver == refused_by else None,
        )
        for report in reports
    ]
    if attempts:
        await store.record(attempts)


def _as_it_was(instance: Instance, was: Was) -> Instance:
    status, image_id = was.status or "", was.image_id or instance.image_id
    record = {**json.loads(instance.record), "status": status, "image_id": image_id}
    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return replace(instance, status=status, image_id=image_id, record=text)
