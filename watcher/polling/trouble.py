"""What went wrong: whose fault it is taken to be, and what is told of it."""

from __future__ import annotations

import random

from watcher.core.budget import Budget
from watcher.core.clock import Clock
from watcher.core.errors import CloudError, CloudPermissionError, CloudThrottledError
from watcher.core.facts import InstanceFailed, ItemsUnreadable, ListAvoided, Observer, SourceFailed, SourceRecovered
from watcher.core.model import InstanceKey
from watcher.core.planner import Mode, PollPolicy, Schedule
from watcher.core.ports import InstancePage
from watcher.core.watchlist import Watchlist
from watcher.polling.health import SourceHealth

_LIST_AVOIDED_MAX_S = 600.0


class Trouble:
    """Takes the bad answers of one source, and notes the good ones that end its trouble.

    What fails is an instance, the list, or the source. An instance is told of at the end of the cycle, when it is
    known that it was not the source. The list is at fault when it fails while single instances can be asked for.
    """

    def __init__(
        self,
        *,
        source: str,
        policy: PollPolicy,
        watchlist: Watchlist,
        schedule: Schedule,
        budget: Budget,
        health: SourceHealth,
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        self._source = source
        self._policy = policy
        self._watchlist = watchlist
        self._schedule = schedule
        self._budget = budget
        self._health = health
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._failures: dict[str, int] = {}
        self._doubts: dict[str, CloudError] = {}
        self._unreadable: set[str] = set()
        self._list_is_suspect = False
        self._list_retry_s: float | None = None
        self._list_failures = 0

    def follow(self, before: Trouble) -> None:
        """Go on from what another one knew of the same source."""
        self._failures = {key: count for key, count in before._failures.items() if key in self._watchlist.ids}
        self._unreadable = before._unreadable
        self._list_is_suspect = before._list_is_suspect
        self._list_retry_s = before._list_retry_s
        self._list_failures = before._list_failures

    @property
    def failing(self) -> int:
        """How many instances could not be observed when they last were asked for."""
        return len(self._failures)

    def is_failing(self, instance_id: str) -> bool:
        """Whether this instance could not be observed when it last was asked for."""
        return instance_id in self._failures

    @property
    def wants_single_probe(self) -> bool:
        """Whether the list was the last to fail, so that asking for one instance would tell whether it is to blame."""
        return self._list_is_suspect and not self._health.well and self._may_avoid_list

    @property
    def _may_avoid_list(self) -> bool:
        return self._policy.mode is Mode.AUTO and not self._watchlist.discovers and bool(self._watchlist.ids)

    def answered(self, instance_id: str) -> None:
        """A good answer of one instance came."""
        self._good()
        self._failures.pop(instance_id, None)

    def page_answered(self, page: InstancePage) -> None:
        """A good page came."""
        self._good()
        self._list_is_suspect = False
        self._list_failures = 0
        for instance in page.items if self._failures else ():
            self._failures.pop(instance.id, None)
        new = [item for item in page.malformed if _without_place(item) not in self._unreadable]
        if new:
            self._unreadable.update(map(_without_place, new))
            self._observer(ItemsUnreadable(self._source, new))

    def _good(self) -> None:
        if self._health.answered(now_s=self._clock.monotonic()):
            self._observer(SourceRecovered(self._source))

    def instance_failed(self, instance_id: str, error: CloudError) -> None:
        """One instance could not be observed: it is asked again after its own backoff."""
        self._list_is_suspect = False
        failures = self._failures[instance_id] = self._failures.get(instance_id, 0) + 1
        delay_s = self._policy.backoff.delay_s(failures, rng=self._rng, retry_after_s=error.retry_after_s)
        self._schedule.set(instance_id, self._clock.monotonic() + delay_s)
        self._doubts[instance_id] = error
        if self._health.failed(instance_id, error, of=len(self._watchlist.ids)):
            self._pause(error)

    def page_failed(self, offset: int, error: CloudError, *, pages: int) -> bool:
        """A page did not come, of a list of so many (0: not yet known); True when the list is to be avoided."""
        first = pages == 0
        now_s = self._clock.monotonic()
        at_fault = isinstance(error, CloudPermissionError) or (self._list_is_suspect and self._health.well)
        if first and at_fault and self._may_avoid_list:
            self._avoid_list(error, now_s=now_s)
            return True
        if self._health.failed(f"page {offset}", error, of=1 if first else pages):
            self._list_is_suspect = first
            self._pause(error)
        return False

    def _avoid_list(self, error: CloudError, *, now_s: float) -> None:
        """Do without the list until the next steady interval, and longer each time that does not help."""
        wait_s = min(_LIST_AVOIDED_MAX_S, self._policy.steady_interval_s * 2**self._list_failures)
        self._list_failures = min(self._list_failures + 1, 30)
        self._list_retry_s = now_s + wait_s
        self._schedule.avoid_list(now_s=now_s)
        if self._list_failures == 1:
            self._observer(ListAvoided(self._source, error, retry_in_s=wait_s))

    def _pause(self, error: CloudError) -> None:
        now_s = self._clock.monotonic()
        if now_s < self._health.paused_until_s:
            return  # those under way when the pause began add nothing to it
        if isinstance(error, CloudThrottledError):
            self._budget.throttled(now_s)
        wait_s, first = self._health.pause(error, now_s=now_s)
        self._observer(SourceFailed(self._source, error, retry_in_s=wait_s, first=first))

    def begin_cycle(self) -> None:
        """The list may be worth a try again."""
        if self._list_retry_s is not None and self._clock.monotonic() >= self._list_retry_s:
            self._list_retry_s = None
            self._schedule.allow_list()

    def end_cycle(self) -> None:
        """Tell of the instances that failed, unless it was the source: then none is suspected for it."""
        for instance_id, error in self._doubts.items():
            if not self._health.well:
                self._failures.pop(instance_id, None)
            elif instance_id in self._failures:
                key = InstanceKey(self._source, instance_id)
                self._observer(InstanceFailed(key, error, first=self._failures[instance_id] == 1))
        self._doubts.clear()


def _without_place(item: str) -> str:
    """What is said of an item but for its place on the page, which is another one each time."""
    return item.partition("(")[2]
