"""What must hold between the world and the history: nothing invented, nothing lost, alerts true."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from tests.fakes.values import START
from tests.simulation.faults import Spell
from tests.simulation.setup import RULES
from tests.simulation.story import Story, seconds_of
from tests.simulation.world import Answer, Biography
from watcher.core.alerts import BUILD_FAILED, FLAPPING, STUCK, problems
from watcher.core.event_json import to_json
from watcher.core.lessons import far_longer_s
from watcher.core.model import AlertStatus, Event, EventKind, InstanceKey, InstanceState, Presence
from watcher.core.sharing import SOURCE, lease_name

_LATE_S = 60.0  # from the moment that an answer tells of to the moment it is taken: a slow cloud and a slow store
_SEEN_WITHIN_S = 300.0  # a status that stands for so long while all is well is seen
_AFTERMATH_S = 1000.0  # pauses and backoffs that follow when something was ill
_STALE_S = 400.0  # nobody is stuck who was not seen for so long
_MS = 0.002

Violations = Iterator[str]
_SEEN = (EventKind.DISCOVERED, EventKind.TRANSITION)
_OF_TIME = (EventKind.BUILD_FAILED, EventKind.REMINDER, EventKind.STUCK, EventKind.FLAPPING)
_LOOKED_UP_S = 5.0  # what a look-up brings may be younger than the observation that it is about
_A_BUILD = 3  # events: what was before, BUILDING, BUILT
_GONE = (EventKind.MISSING, EventKind.DELETED)


def check_history(story: Story) -> Violations:
    """Everything that can be wrong with what was remembered."""
    told: dict[InstanceKey, list[Event]] = defaultdict(list)
    for event in story.store.events.values():
        told[event.key].append(event)
    yield from _ids(story)
    for key, events in told.items():
        name = key.id or key.source
        yield from _numbers(name, events)
        yield from _alerts(name, events)
        yield from _reminders(name, events)
    for instance_id, biography in story.world.items():
        events = told[story.setup.key(instance_id)]
        yield from _chain(instance_id, events)
        yield from _invented(biography, events)
        yield from _overlooked(story, biography, events)
        yield from _stuck(story, biography, events)
        yield from _builds(story, biography, events)
        yield from _reasons(story, biography, events)
        yield from _flapping(instance_id, events)
        yield from _end(story, biography, events)
    for watched in story.setup.sources:
        source = story.store.states.get(InstanceKey(watched.source, ""))
        if source is not None and source.alerts:
            yield "the source is unreachable at the end, though it answers"


def _ids(story: Story) -> Violations:
    """Found again after a crash, it is the same news; other news has another id."""
    ids: dict[tuple[object, ...], str] = {}
    news: dict[str, tuple[object, ...]] = {}
    for _, event in story.found:
        if not event.instance_id:
            continue
        what = (event.instance_id, event.sequence, event.kind, event.from_status, event.to_status, event.record)
        if ids.setdefault(what, event.id) != event.id:
            yield f"the same news under two ids: {what}"
        if news.setdefault(event.id, what) != what:
            yield f"one id for two news: {event.id} {what}"


def _numbers(instance_id: str, events: Sequence[Event]) -> Violations:
    numbers = [event.sequence for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{instance_id}: the sequence has gaps or is out of order: {numbers}"


def _alerts(instance_id: str, events: Sequence[Event]) -> Violations:
    """Firing, then resolved, of the same beginning; never another one before."""
    firing: dict[str, object] = {}
    for event in events:
        for alert in event.alerts:
            known = firing.get(alert.fingerprint)
            if alert.status is AlertStatus.FIRING:
                if known not in (None, alert.starts_at):
                    yield f"{instance_id}#{event.sequence}: {alert.name} fires anew without having ended"
                firing[alert.fingerprint] = alert.starts_at
            elif firing.pop(alert.fingerprint, None) != alert.starts_at:
                yield f"{instance_id}#{event.sequence}: {alert.name} ends without having fired"


def _chain(instance_id: str, events: Sequence[Event]) -> Violations:
    known: str | None = None
    for event in events:
        if event.kind is EventKind.DISCOVERED:
            known = None
        if event.from_status != known:
            yield f"{instance_id}#{event.sequence}: goes on from {event.from_status}, it was {known}"
        if event.to_status is not None:
            known = event.to_status
        elif event.kind is EventKind.DELETED:
            known = None


def _invented(biography: Biography, events: Sequence[Event]) -> Violations:
    """Everything told was true at some moment shortly before it was observed, one after the other."""
    place = 0
    for event in events:
        if event.kind not in (*_SEEN, *_GONE):
            continue
        at_s = seconds_of(event)
        place = max(place, biography.place(max(0.0, at_s - _LATE_S)))
        while not _is_told(biography, place, event):
            place += 1
            if place == len(biography.states) or biography.times_s[place] > at_s + _MS:
                yield f"{biography.id}#{event.sequence}: was not {event.to_status} about {at_s:.3f} s"
                return


def _is_told(biography: Biography, place: int, event: Event) -> bool:
    state = biography.states[place]
    return state is None if event.kind in _GONE else state is not None and state.record == event.record


def _overlooked(story: Story, biography: Biography, events: Sequence[Event]) -> Violations:
    """What stood for long while all was well was seen."""
    is_configured = biography.id in story.setup.instances
    if story.faults.list_hides and not is_configured:
        return  # who is only known by the list may not be shown for long
    for place, state in enumerate(biography.states):
        begins_s, ends_s = biography.times_s[place], min(biography.ends_s(place), story.ended_s)
        if ends_s - begins_s < _SEEN_WITHIN_S or not _was_well(story, begins_s - _AFTERMATH_S, ends_s):
            continue
        known, is_there = None, False
        for event in events:
            if seconds_of(event) >= ends_s:
                break
            known, is_there = event.to_status or known, event.to_status is not None
        if state is None and not (is_there or (is_configured and not events)):
            continue
        if state is None or known != state.status or not is_there:
            yield f"{biography.id}: from {begins_s:.0f} to {ends_s:.0f} s it was {state and state.status}, not {known}"


def _was_well(story: Story, from_s: float, to_s: float) -> bool:
    def meets(spells: Sequence[Spell]) -> bool:
        return any(spell.begins_s < to_s and spell.ends_s > from_s for spell in spells)

    if from_s < 0 or meets(story.faults.cloud) or meets(story.faults.store):
        return False
    return any(began_s <= from_s and ended_s >= to_s for began_s, ended_s in story.lives)


def _stuck(story: Story, biography: Biography, events: Sequence[Event]) -> Violations:
    """Stuck is who was seen of late, by this run, in the status in which he stood for that long."""
    for event in events:
        if event.kind is not EventKind.STUCK:
            continue
        at_s, where = seconds_of(event), f"{biography.id}#{event.sequence}"
        began_s, run = story.served_since(lease_name(SOURCE, event.source), at_s)
        answers = story.clouds[event.source].answers[biography.id]
        last = _last_seen([answer for answer in answers if run in (None, answer.run)], at_s)
        if last is None or last.arrived_s < max(began_s, at_s - _STALE_S) or last.status != event.to_status:
            yield f"{where}: told to be stuck at {at_s:.0f} s, last seen {last}, up since {began_s:.0f} s"
        least_s = RULES.stuck_after_s.get(event.to_status or "", float("inf"))
        if event.expected is not None and story.setup.watched(biography.id).rules.learned:
            least_s = min(least_s, far_longer_s(event.expected, resolution_s=RULES.resolution_s))
        if event.duration_s is None or event.duration_s < least_s - _MS:
            yield f"{where}: told to be stuck after {event.duration_s} s, not {least_s} s"


def _last_seen(answers: Sequence[Answer], at_s: float) -> Answer | None:
    return next((answer for answer in reversed(answers) if answer.arrived_s <= at_s + _MS and not answer.error), None)


def _builds(story: Story, biography: Biography, events: Sequence[Event]) -> Violations:
    """A build that failed had no new image, and one that has none when all is over has failed."""
    for event in events:
        if event.kind is EventKind.BUILD_FAILED and event.record not in biography.in_doubt:
            yield f"{biography.id}#{event.sequence}: its build is told to have failed, and it has its image"
    changes = [place for place, event in enumerate(events) if event.kind not in _OF_TIME]
    if len(changes) < _A_BUILD or changes[-1] != changes[-2] + 1:
        return
    before, building, built = (events[place] for place in (changes[-2] - 1, changes[-2], changes[-1]))
    state = story.store.states[built.key]
    records = (before.record, building.record, built.record, state.record)
    images = {json.loads(record).get("image_id") for record in records}
    is_seen = building.kind is EventKind.TRANSITION and (building.to_status, built.to_status) == ("BUILDING", "BUILT")
    is_seen = is_seen and before.observed_at < building.observed_at  # else nobody saw the image of before
    is_told = any(alert.name == BUILD_FAILED for alert in state.alerts)
    if is_seen and len(images) == 1 and state.record in biography.in_doubt and not is_told:
        yield f"{biography.id}: has no image at the end, and nobody was told"


def _reasons(story: Story, biography: Biography, events: Sequence[Event]) -> Violations:
    """A reason is that of a step of this instance which the cloud told of by then; no end has one."""
    for event in events:
        if event.reason is None:
            continue
        where = f"{biography.id}#{event.sequence}"
        if event.reason.code != "unwatched" and event.kind in (EventKind.RECOVERED, EventKind.DELETED):
            yield f"{where}: an end with the reason of what is over"
        is_reminder = event.kind in (EventKind.REMINDER, EventKind.FLAPPING)
        if event.to_status not in ("ERROR", "BUILT", "NULL") and not (is_reminder and event.to_status is None):
            yield f"{where}: the reason of a failure that it left behind, in {event.to_status}"
        known_s = [at_s for at_s, step in biography.steps if step.error_message == event.reason.message]
        at_s = story.ended_s if event.id in story.explained else seconds_of(event) + _LOOKED_UP_S
        if not known_s or min(known_s) > at_s:
            yield f"{where}: a reason that nobody gave: {event.reason.message}"


def _flapping(instance_id: str, events: Sequence[Event]) -> Violations:
    """Flapping begins with so many changes, and no single change is told then as if it were calm."""
    flaps = False
    for event in events:
        for alert in event.alerts:
            if alert.name == FLAPPING:
                begins, flaps = not flaps, alert.status is AlertStatus.FIRING
                if begins and event.changes != RULES.flapping_changes:
                    yield f"{instance_id}#{event.sequence}: flaps after {event.changes} changes"
        if event.flapping and not flaps and event.kind is not EventKind.DELETED:
            yield f"{instance_id}#{event.sequence}: held back as flapping, and does not flap"


def _reminders(instance_id: str, events: Sequence[Event]) -> Violations:
    told_s: float | None = None
    for event in events:
        if not any(alert.status is AlertStatus.FIRING for alert in event.alerts):
            continue
        at_s = seconds_of(event)
        if event.kind is EventKind.REMINDER and (told_s is None or at_s - told_s < RULES.repeat_interval_s - _MS):
            yield f"{instance_id}#{event.sequence}: a reminder at {at_s:.3f} s of what was told at {told_s} s"
        told_s = at_s


def _end(story: Story, biography: Biography, events: Sequence[Event]) -> Violations:
    """When the world stands still, what is remembered is how it is, with the alerts that it deserves."""
    here = biography.states[-1]
    state = story.store.states.get(story.setup.key(biography.id))
    if state is None:
        if here is not None or biography.id in story.setup.instances:
            yield f"{biography.id}: nothing is known at the end"
        return
    if here is not None:
        if state.presence is not Presence.PRESENT or state.status != here.status:
            yield f"{biography.id}: it is {here.status}, and remembered as {state.presence} {state.status}"
    elif state.presence is Presence.PRESENT:
        yield f"{biography.id}: it is gone, and remembered as {state.status}"
    wanted = problems(state.status, state.presence)
    wanted |= _open_doubt(biography, state)
    since_s = story.ended_s - (seconds_of(events[-1]) if events else 0.0)
    firing = {alert.name for alert in state.alerts}
    after_s = RULES.stuck_after_s.get(state.status or "", float("inf"))
    stood_s = story.ended_s - (state.since - START) / timedelta(seconds=1)
    if here is not None and stood_s > after_s + _SEEN_WITHIN_S:
        wanted.add(STUCK)
    if state.status == "NULL":
        wanted |= firing  # "not set" ends nothing
    if firing - {STUCK} != wanted - {STUCK} or (STUCK in wanted and STUCK not in firing):
        yield f"{biography.id}: at the end {firing} fire in place of {wanted}"
    if firing and since_s > RULES.repeat_interval_s + _SEEN_WITHIN_S:
        yield f"{biography.id}: {firing} fire, and nobody was reminded for {since_s:.0f} s"


def _open_doubt(biography: Biography, state: InstanceState) -> set[str]:
    """The alert of a build that failed, where it may fire; `_builds` says where it must."""
    is_in_doubt = state.record in biography.in_doubt
    return {alert.name for alert in state.alerts if alert.name == BUILD_FAILED and is_in_doubt}


def as_told(event: Event) -> dict[str, object]:
    """What a receiver may rely on: all but the alerts, some of which are not its business, and a reason found later."""
    return {**to_json(event), "alerts": None, "reason": None}
