"""Taking what was answered: observation → detection → what is to be committed, and when the instance is due again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watcher.core.alerts import AlertRules
from watcher.core.builds import explanation, is_urgent
from watcher.core.clock import Clock
from watcher.core.detector import detect, is_unchanged
from watcher.core.lessons import Lessons, lesson_of
from watcher.core.lifecycle import is_changing
from watcher.core.model import Event, Instance, InstanceKey, InstanceState, Observation, Presence, Step
from watcher.core.news import Context
from watcher.core.planner import Mode, PollPolicy, Schedule
from watcher.core.ports import Background, Change, Explanation, InstancePage
from watcher.core.reasons import NOTHING_FOUND, Finding
from watcher.core.timers import close, due_at, ring
from watcher.core.watchlist import DiscoverRule, Watchlist
from watcher.polling.asker import Paged, Single
from watcher.polling.ledger import Ledger, Listed
from watcher.polling.outbox import Outbox
from watcher.polling.timers import Timers

_LEARNED_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched of one source and how: instance ids with their labels, and what to discover.

    `updating` are the names of the receivers that can update what they sent, when its reason is found later.
    """

    source: str
    instances: Mapping[str, Mapping[str, str]]
    discover: tuple[DiscoverRule, ...] = ()
    policy: PollPolicy = field(default_factory=PollPolicy)
    rules: AlertRules = field(default_factory=AlertRules)
    updating: tuple[str, ...] = ()


class Intake:
    """Takes the good answers of one source's cycles.

    Within a cycle an instance may be asked about twice, by itself and by a page. The first answer that brings news
    counts; one that was asked for before that news came may be older than it and is not believed against it.
    """

    def __init__(
        self,
        *,
        watched: Watched,
        watchlist: Watchlist,
        ledger: Ledger,
        schedule: Schedule,
        outbox: Outbox,
        timers: Timers,
        receivers_for: Callable[[Event], tuple[str, ...]],
        clock: Clock,
    ) -> None:
        self._source = watched.source
        self._rules = watched.rules
        self._updating = watched.updating
        self._look_again_s = watched.policy.interval_s
        self._only_new = watched.policy.mode is Mode.GET
        self._watchlist = watchlist
        self._ledger = ledger
        self._schedule = schedule
        self._outbox = outbox
        self._timers = timers
        self._receivers_for = receivers_for
        self._clock = clock
        self._factor = 1.0
        self._changed_s: dict[str, float] = {}
        self._held: dict[str, Listed] = {}
        self.untried: set[str] = set()
        self.lessons = Lessons()

    def begin_cycle(self, *, factor: float) -> None:
        """A new cycle, with its jitter: all that is asked from now on is asked after what was taken before."""
        self._factor = factor
        self._changed_s.clear()

    def add(
        self,
        state: InstanceState,
        *events: Event,
        steps: tuple[Step, ...] = (),
        explained: Explanation | None = None,
    ) -> None:
        """A state to keep, the events to tell of it, and what they teach; the reason of an earlier event."""
        told = tuple((event, self._receivers_for(event)) for event in events)
        self._outbox.add(Change(state=state, events=told, steps=steps, explained=explained))

    def ring(self, state: InstanceState, *, is_fresh: bool) -> None:
        """The moment of an instance has come; `is_fresh`: it was seen of late."""
        now = self._clock.now()
        after, events = ring(state, now=now, context=self._context(state.key.id, state), is_fresh=is_fresh)
        if events:
            self._ledger.keep(after)
            self.add(after, *events)
        self.set_timer(after, not_before=now + timedelta(seconds=self._look_again_s))

    def close(self, state: InstanceState) -> None:
        """An instance that is watched no more has its alerts closed."""
        after, event = close(state, now=self._clock.now(), context=self._context(state.key.id, state))
        self._ledger.keep(after)
        self.add(after, event)

    def set_timer(self, state: InstanceState, *, not_before: datetime | None = None) -> None:
        """Look at the instance again when time alone makes news of it."""
        at = due_at(state, self._rules, self.lessons)
        if is_changing(state.status):  # how long is too long may be learned meanwhile
            again_at = self._clock.now() + _LEARNED_WITHIN
            at = min(at, again_at) if at is not None else again_at
        self._timers.set(state.key.id, max(at, not_before) if at is not None and not_before is not None else at)

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside its state."""
        instance_id = state.key.id
        lasts = is_changing(state.status) and state.presence is Presence.PRESENT
        return Background(
            labels=self._watchlist.labels(instance_id, name=state.name, record=state.record),
            seen_at=self._ledger.last_seen(instance_id),
            expected=self.lessons.expectation(state.image_source, state.status) if lasts else None,
        )

    def take_single(self, answer: Single, observation: Observation) -> int:
        """What was said of one instance; how many were observed by it."""
        instance_id = answer.instance_id
        before = self._ledger.states.get(instance_id)
        believed = self._observe(instance_id, observation, asked_s=answer.asked_s, finding=answer.finding)
        if answer.listed:
            listed = self._held.pop(instance_id, None)
            if listed is not None:  # else the page shows it just as before
                self._ledger.shown(instance_id, listed)
            if not believed:
                self._ledger.doubt(instance_id)
            return 0  # counted with its page
        if self._ledger.states.get(instance_id) is not before:
            self._ledger.doubt(instance_id)
        if instance_id in self._watchlist.ids:
            self._ledger.alone(instance_id, observation.observed_at)
        return 1

    def take_page(self, answer: Paged, page: InstancePage, *, sweep: int) -> int:
        """What a page shows; how many watched instances were observed by it."""
        if self._only_new:
            self._meet(page)
            return 0
        now = self._clock.now()
        listed = self._ledger.page(answer.offset, sweep=sweep)
        believed = page if page is listed.page else self._read(listed, answer, page, now=now)
        listed.page, listed.sweep, listed.seen_at = believed, sweep, now
        for instance_id in listed.changing:
            if instance_id in self._watchlist.ids:  # a list may lag behind and show what a get has found to be gone
                self._seen(self._ledger.states[instance_id], asked_s=answer.asked_s)
        return listed.watched

    def _meet(self, page: InstancePage) -> None:
        """Instances are asked for by themselves: the page only tells of those not yet known."""
        for instance in page.items:
            if instance.id not in self._watchlist.ids and self._watchlist.consider(instance):
                self._schedule.set(instance.id, self._clock.monotonic())

    def _read(self, listed: Listed, answer: Paged, page: InstancePage, *, now: datetime) -> InstancePage:
        """Take from a page what is not just as it was there the last time; the page without what is not believed."""
        doubted: set[str] = set()
        before = {instance.id: instance for instance in listed.page.items}
        for instance in page.items:
            if before.pop(instance.id, None) is instance or not self._watchlist.consider(instance):
                continue
            self._schedule.listed(instance.id)
            if instance.id in answer.held:
                self._held[instance.id] = listed
                self._ledger.left(instance.id, listed)  # until then it was last seen when the page was, before
                continue
            observation = Observation(key=InstanceKey(self._source, instance.id), observed_at=now, instance=instance)
            if self._observe(instance.id, observation, asked_s=answer.asked_s):
                self._ledger.shown(instance.id, listed)
            else:
                doubted.add(instance.id)
                self._ledger.left(instance.id, listed)
        for instance_id in before:
            self._ledger.left(instance_id, listed)
        watched = [instance for instance in page.items if instance.id in self._watchlist.ids]
        listed.watched = len(watched)
        listed.changing = tuple(instance.id for instance in watched if is_changing(instance.status))
        if not doubted:
            return page
        return replace(page, items=tuple(instance for instance in page.items if instance.id not in doubted))

    def _observe(
        self, instance_id: str, observation: Observation, *, asked_s: float, finding: Finding = NOTHING_FOUND
    ) -> bool:
        """Take one observation; False when it is not believed, and nothing is to be remembered of it."""
        self.untried.discard(instance_id)
        state = self._ledger.states.get(instance_id)
        is_same = state is not None and is_unchanged(state, observation.instance)
        if state is None or not is_same or finding != NOTHING_FOUND:
            if asked_s < self._changed_s.get(instance_id, asked_s):
                return False
            if not is_same:
                self._changed_s[instance_id] = self._clock.monotonic()
            state = self._change(instance_id, state, observation, finding)
        elif observation.instance is not None and state.record is not observation.instance.record:
            # The same text twice in memory, as after a restart: keep the one that the page keeps, too.
            state = self._ledger.states[instance_id] = replace(state, record=observation.instance.record)
        if state.presence is Presence.DELETED and not self._watchlist.is_configured(instance_id):
            self._watchlist.drop(instance_id)
            self._schedule.forget(instance_id)
            self._ledger.forget(instance_id)
        else:
            self._seen(state, asked_s=asked_s)
        return True

    def _change(
        self, instance_id: str, state: InstanceState | None, observation: Observation, finding: Finding
    ) -> InstanceState:
        context = self._context(instance_id, observation.instance or state, state=state, finding=finding)
        after, events = detect(state, observation, context)
        self._ledger.keep(after)
        if events or (state is not None and _is_news_to_the_store(state, after)):
            resolution_s = self._rules.resolution_s
            learned = [lesson_of(state, event, resolution_s=resolution_s) for event in events]
            steps = tuple(step for step in learned if step is not None)
            for step in steps:
                self.lessons.learn(step)
            explained = explanation(state, after, self._updating)
            self.add(after, *events, steps=steps, explained=explained)
        if events:
            self.set_timer(after)
        return after

    def _context(
        self,
        instance_id: str,
        shown: Instance | InstanceState | None,
        *,
        state: InstanceState | None = None,
        finding: Finding = NOTHING_FOUND,
    ) -> Context:
        last_seen = self._ledger.last_seen(instance_id)
        name, record = (shown.name, shown.record) if shown is not None else ("", "{}")
        return Context(
            rules=self._rules,
            labels=self._watchlist.labels(instance_id, name=name, record=record),
            configured=self._watchlist.is_configured(instance_id),
            previous_observed_at=last_seen or (state.observed_at if state is not None else None),
            finding=finding,
            lessons=self.lessons,
        )

    def _seen(self, state: InstanceState, *, asked_s: float) -> None:
        # One "no such instance" is to be confirmed, and what became of a build known, without the slow interval.
        soon = state.absences > 0 or is_urgent(state, now=self._clock.now())
        self._schedule.seen(state.key.id, state.status, asked_s=asked_s, factor=self._factor, soon=soon)


def _is_news_to_the_store(before: InstanceState, after: InstanceState) -> bool:
    """Whether anything else has changed than when it was last seen, and how often it was not there."""
    return replace(after, observed_at=before.observed_at, absences=before.absences) != before
