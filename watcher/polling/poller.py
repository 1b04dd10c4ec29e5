"""One source, one cycle after another: plan → ask → detect → commit."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from watcher.core.budget import Budget
from watcher.core.clock import Clock
from watcher.core.facts import BudgetMet, BudgetShort, CycleFinished, Observed, Observer
from watcher.core.lessons import Lessons
from watcher.core.model import Event, Instance, InstanceState, Presence
from watcher.core.outage import source_key
from watcher.core.planner import Mode, Plan, PollPolicy, Schedule, pages_for
from watcher.core.ports import Background, CloudApi, InstancePage, SourceView, StateStore
from watcher.core.sweep import Sweep
from watcher.core.watchlist import Watchlist
from watcher.polling.asker import Answer, Asker, Questions, Single
from watcher.polling.health import SourceHealth
from watcher.polling.intake import Intake, Watched
from watcher.polling.ledger import Ledger
from watcher.polling.outage import OutageWatch
from watcher.polling.outbox import Outbox
from watcher.polling.timers import Timers
from watcher.polling.trouble import Trouble

_TOGETHER_S = 1.0  # instances due within this time of each other are asked in one cycle
_CREDENTIAL_LOOK_S = 10.0  # how often, while the credential is refused, to look whether there is a new one
_CYCLE_AT_LEAST_S = 0.5
_IDLE_S = 3600.0
_SEEN_OF_LATE = 3  # steady intervals
_CLEARLY = 1.1  # a demand that hovers about the budget, or grows a little, is told once


@dataclass(frozen=True, slots=True)
class Lasting:
    """What of a source lasts when it is watched in another way: what is known, not yet written, and already spent."""

    ledger: Ledger
    outbox: Outbox
    budget: Budget


class SourcePoller:
    """Knows the present state of a source's instances and keeps it true.

    What changed is kept in memory at once and committed at once; while the store cannot be written it is held and
    committed later, in order. Nothing is told that is not in the store, because only the store is delivered from.
    """

    def __init__(
        self,
        *,
        watched: Watched,
        api: CloudApi,
        store: StateStore,
        receivers_for: Callable[[Event], tuple[str, ...]],
        clock: Clock,
        rng: random.Random,
        observer: Observer,
        before: SourcePoller | None = None,
    ) -> None:
        """`before` is the poller of the same source in whose place this one goes on, between two of its cycles."""
        policy, source = watched.policy, watched.source
        self.source = source
        self._policy = policy
        self._api = api
        self._store = store
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._watchlist = Watchlist(watched.instances, watched.discover)
        self.lasting: Lasting = before.lasting if before is not None else self._begin(policy)
        self._ledger, self._outbox, self._budget = self.lasting.ledger, self.lasting.outbox, self.lasting.budget
        self._budget.resize(requests=policy.budget_requests, period_s=policy.budget_period_s)
        self._schedule = Schedule(policy, ids=self._watchlist.ids, discovers=self._watchlist.discovers)
        self._health = SourceHealth(backoff=policy.backoff, rng=rng, concurrency=policy.concurrency)
        self._outage = OutageWatch(source=source, rules=watched.rules, health=self._health, clock=clock)
        self._timers = Timers()
        self._intake = Intake(
            watched=watched,
            watchlist=self._watchlist,
            ledger=self._ledger,
            schedule=self._schedule,
            outbox=self._outbox,
            timers=self._timers,
            receivers_for=receivers_for,
            clock=clock,
        )
        self._trouble = Trouble(
            source=source,
            policy=policy,
            watchlist=self._watchlist,
            schedule=self._schedule,
            budget=self._budget,
            health=self._health,
            clock=clock,
            rng=rng,
            observer=observer,
        )
        self._sweep: Sweep | None = None
        self._sweeps = 0
        self._swept = False
        self._factor = 1.0
        self._ends_s = 0.0
        self._told_per_s = 0.0
        if before is not None:
            self._follow(before)

    def _begin(self, policy: PollPolicy) -> Lasting:
        outbox = Outbox(
            source=self.source, store=self._store, clock=self._clock, rng=self._rng, observer=self._observer
        )
        budget = Budget(requests=policy.budget_requests, period_s=policy.budget_period_s)
        return Lasting(Ledger(), outbox, budget)

    @property
    def tried(self) -> bool:
        """Whether the source has been asked at least once."""
        return self._health.tried

    @property
    def settled(self) -> bool:
        """Whether everything that is watched has been asked for at least once."""
        return self.tried and not self._intake.untried and (self._swept or not self._watchlist.discovers)

    def states(self) -> Collection[InstanceState]:
        """The present state of every watched instance seen so far."""
        watched = self._watchlist.ids
        return [state for key, state in self._ledger.states.items() if key in watched]

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside its state."""
        return self._intake.background(state)

    def view(self) -> SourceView:
        """How the source is."""
        stale = self._trouble.failing
        if not self._health.well:
            stale = sum(state.presence is Presence.PRESENT and state.status is not None for state in self.states())
        return SourceView(alerts=self._outage.alerts, stale=stale)

    async def start(self) -> None:
        """Pick up where the last run was; raises StoreError."""
        self._intake.lessons = Lessons(await self._store.steps(self.source))
        remembered = await self._store.load(self.source)
        self._outage.remember(remembered.pop(source_key(self.source), None))
        for state in remembered.values():
            self._ledger.keep(state)
            if state.presence is not Presence.DELETED:
                self._watchlist.remember(state)
        self._intake.untried |= self._watchlist.ids
        for instance_id in self._watchlist.ids:
            self._schedule.set(instance_id, self._clock.monotonic())
        for state in remembered.values():
            if state.key.id in self._watchlist.ids:
                self._intake.set_timer(state)
                continue
            if state.alerts:
                self._intake.close(state)
            self._ledger.forget(state.key.id)

    def _follow(self, before: SourcePoller) -> None:
        """Know what the one before knew; nothing of it is asked or told again because of that."""
        watched, were_watched, states = self._watchlist.ids, before._watchlist.ids, self._ledger.states
        self._watchlist.follow(before._watchlist, states)
        self._ledger.forget_pages()
        now_s = self._clock.monotonic()
        self._schedule.follow(before._schedule, now_s=now_s)
        if self._watchlist.discovers and not self._watchlist.discovers_as(before._watchlist):
            self._schedule.sweep_failed(again_s=now_s)
        self._health.follow(before._health, same_connection=self._api is before._api)
        self._outage.remember(before._outage.state)
        self._trouble.follow(before._trouble)
        self._intake.lessons = before._intake.lessons
        self._intake.untried = (before._intake.untried & watched) | (watched - were_watched)
        self._sweeps, self._swept, self._told_per_s = before._sweeps, before._swept, before._told_per_s
        for instance_id in watched & states.keys():
            self._intake.set_timer(states[instance_id])
        for instance_id in were_watched - watched:
            if instance_id in states and states[instance_id].alerts:
                self._intake.close(states[instance_id])
            self._ledger.forget(instance_id)

    async def flush(self) -> bool:
        """Commit what waits; whether nothing waits any more."""
        return await self._outbox.flush() is None

    async def cycle(self) -> float:
        """Ask what is due and commit what changed; how many seconds to wait before the next cycle."""
        began_s = self._clock.monotonic()
        if began_s < self._health.paused_until_s and self._health.refused and await self._api.has_new_credential():
            self._health.end_pause()
        if began_s >= self._health.paused_until_s:
            await self._ask_all(began_s)
        self._look_at_time()
        return self._wait_s(await self._outbox.flush())

    def _look_at_time(self) -> None:
        """Tell what time alone makes news of."""
        news = self._outage.look()
        if news is not None:
            self._intake.add(*news)
        for instance_id in self._timers.due(self._clock.now()):
            state = self._ledger.states.get(instance_id)
            if state is not None and instance_id in self._watchlist.ids:
                self._intake.ring(state, is_fresh=self._is_fresh(state))

    def _is_fresh(self, state: InstanceState) -> bool:
        """Whether the instance was seen of late as it is remembered: after an outage, not everybody is at once."""
        instance_id = state.key.id
        seen_at = self._ledger.last_seen(instance_id)
        if not self._health.well or seen_at is None or state.absences or self._trouble.is_failing(instance_id):
            return False
        seen_s = (self._clock.now() - seen_at).total_seconds()
        return seen_s <= _SEEN_OF_LATE * self._policy.steady_interval_s * self._schedule.stretch

    async def _ask_all(self, began_s: float) -> None:
        self._factor = self._rng.uniform(1 - self._policy.jitter, 1 + self._policy.jitter)
        # What is left then is asked in the next cycle, beside what is due then.
        self._ends_s = began_s + max(_CYCLE_AT_LEAST_S, self._policy.interval_s / 3)
        self._intake.begin_cycle(factor=self._factor)
        self._trouble.begin_cycle()
        self._fit_the_budget(began_s)
        probing = not self._health.well
        plan = await self._ask()
        if probing and self._health.well:
            await self._ask()
        self._trouble.end_cycle()
        if plan is None:
            return
        now_s = self._clock.monotonic()
        self._observer(
            CycleFinished(
                self.source,
                now_s - began_s,
                plan.lag_s,
                ok=self._health.well,
                at=self._clock.now(),
                pace=self._budget.pace(now_s),
                stretch=self._schedule.stretch,
            )
        )

    def _wait_s(self, store_retry_s: float | None) -> float:
        now_s = self._clock.monotonic()
        due_s = now_s if self._sweep is not None else self._schedule.next_due_s()
        ask_s = max(now_s + _IDLE_S if due_s is None else due_s, self._health.paused_until_s)
        moments = [max(ask_s, self._budget.free_s(now_s))]
        if self._health.refused:
            moments.append(now_s + _CREDENTIAL_LOOK_S)
        if self._outage.due_s is not None:
            moments.append(self._outage.due_s)
        ring_at = self._timers.next_at()
        if ring_at is not None:
            moments.append(now_s + (ring_at - self._clock.now()).total_seconds())
        if store_retry_s is not None:
            moments.append(now_s + store_retry_s)
        return max(0.0, min(moments) - now_s)

    def _fit_the_budget(self, now_s: float) -> None:
        """Stretch all intervals alike when the budget cannot meet them, and say so once."""
        demand = self._schedule.demand()
        if demand is None:
            return
        need_per_s, budget_per_s = demand.requests_per_s, self._budget.per_s(now_s)
        self._schedule.stretch = max(1.0, need_per_s / budget_per_s)
        if not self.settled:
            return  # who is changing and who is at rest is not yet known
        if need_per_s > max(budget_per_s, self._told_per_s * _CLEARLY):
            self._told_per_s = need_per_s
            figures = demand.told(self._policy, budget_per_s=budget_per_s)
            self._observer(BudgetShort(self.source, figures, self._schedule.stretch))
        elif self._told_per_s and need_per_s * _CLEARLY < budget_per_s:
            self._told_per_s = 0.0
            self._observer(BudgetMet(self.source))

    async def _ask(self) -> Plan | None:
        """Ask what is due, as much as the budget has; None when there was nothing to ask."""
        now_s = self._clock.monotonic()
        most = self._budget.available(now_s)
        if not most:
            return None
        plan = self._schedule.plan(now_s=now_s, together_s=_TOGETHER_S)
        if plan.sweep:
            self._sweeps += 1
            self._sweep = Sweep()
            self._schedule.sweep_begins(now_s=now_s, budget_per_s=self._budget.per_s(now_s))
        if not plan and self._sweep is None:
            return None
        gets = plan.gets
        if not gets and self._trouble.wants_single_probe:
            gets = (min(self._watchlist.ids),)
        asker = Asker(
            Questions(
                gets=gets,
                sweep=self._sweep,
                go_on=self._wants_the_rest,
                most=most if self._health.well else 1,
                at_once=self._policy.concurrency,
            ),
            source=self.source,
            api=self._api,
            clock=self._clock,
            budget=self._budget,
            enterprise_project_id=self._watchlist.enterprise_project_id,
            state_of=self._ledger.states.get,
            in_question=self._ledger.in_question,
            is_watched=self._awaits_news_by_list,
            is_paused=self._is_paused,
        )
        await asker.run(self._take)
        self._look_at_sweep()
        return plan

    def _awaits_news_by_list(self, instance: Instance) -> bool:
        return self._policy.mode is not Mode.GET and self._watchlist.consider(instance)

    def _is_paused(self) -> bool:
        now_s = self._clock.monotonic()
        return now_s < self._health.paused_until_s or now_s >= self._ends_s

    def _wants_the_rest(self, page: InstancePage) -> bool:
        if self._schedule.sweep_counted(pages_for(page.count), now_s=self._clock.monotonic()):
            return True
        self._sweep = None
        return False

    def _look_at_sweep(self) -> None:
        """See whether the list has been read to its end, or came to nothing."""
        sweep, now_s = self._sweep, self._clock.monotonic()
        if sweep is None or not (sweep.complete or not self._health.well):
            return
        self._sweep = None
        if not self._health.well or not sweep.begun:
            self._schedule.sweep_failed(again_s=now_s)
            return
        self._swept = True
        self._ledger.cut(sweep.end)
        if self._policy.mode is not Mode.GET:
            for instance_id in self._ledger.unseen(self._watchlist.ids, sweep=self._sweeps):
                self._schedule.unlisted(instance_id, now_s=now_s)
        self._schedule.sweep_ended(pages=sweep.pages, factor=self._factor)

    async def _take(self, batch: list[Answer]) -> None:
        observed = sum(map(self._take_one, batch))
        if observed:
            self._observer(Observed(self.source, observed))
        await self._outbox.flush_news()

    def _take_one(self, answer: Answer) -> int:
        if isinstance(answer, Single):
            if answer.observation is not None:
                self._trouble.answered(answer.instance_id)
                return self._intake.take_single(answer, answer.observation)
            if answer.error is not None:
                self._intake.untried.discard(answer.instance_id)
                self._trouble.instance_failed(answer.instance_id, answer.error)
        elif answer.page is not None:
            self._trouble.page_answered(answer.page)
            return self._intake.take_page(answer, answer.page, sweep=self._sweeps)
        elif answer.error is not None:
            pages = pages_for(self._sweep.end) if self._sweep is not None and self._sweep.begun else 0
            if self._trouble.page_failed(answer.offset, answer.error, pages=pages):
                self._sweep = None
        return 0
