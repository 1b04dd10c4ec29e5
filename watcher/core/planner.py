"""When each instance is due, what one cycle asks, and whether the budget allows it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from watcher.core.backoff import Backoff
from watcher.core.lifecycle import is_changing
from watcher.core.sweep import PAGE_LIMIT

_LIST_AGAIN = 3  # steady intervals
_AT_ONCE_S = 0.0  # when the first sweep is due, whatever the time is then: it cannot be late
_PAGES_UNKNOWN = 2  # before the first page has told the count, a list is worth a try when more than one is due


class Mode(StrEnum):
    """How to ask: the whole list, each instance by itself, or whichever costs fewer requests."""

    AUTO = "auto"
    LIST = "list"
    GET = "get"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How one source is polled (`poll` in the configuration); times in seconds, `jitter` a fraction of the interval.

    The source may spend `budget_requests` in any `budget_period_s`.
    """

    interval_s: float = 15.0
    steady_interval_s: float = 60.0
    jitter: float = 0.1
    mode: Mode = Mode.AUTO
    concurrency: int = 16
    budget_requests: int = 180
    budget_period_s: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one cycle asks: the list, and a single `get` for each of `gets`, most overdue first.

    `lag_s`: how late the first of all is.
    """

    sweep: bool = False
    gets: tuple[str, ...] = ()
    lag_s: float = 0.0

    def __bool__(self) -> bool:
        return self.sweep or bool(self.gets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the intervals ask for: so many instances `changing` and `resting`, in so many requests a second."""

    changing: int
    resting: int
    requests_per_s: float
    mode: Mode

    def told(self, policy: PollPolicy, *, budget_per_s: float) -> str:
        """The shortage in figures, in requests a minute."""
        counts = [(self.changing, policy.interval_s), (self.resting, policy.steady_interval_s)]
        first, *second = [(count, interval_s) for count, interval_s in counts if count] or counts[1:]
        who = f"{first[0]:,} instances at {first[1]:g}s"
        who += "".join(f" and {count:,} at {interval_s:g}s" for count, interval_s in second)
        need, budget = round(self.requests_per_s * 60), round(budget_per_s * 60)
        return f"{who} need {need:,} requests a minute in {self.mode} mode; budget {budget:,}"


class Schedule:
    """When each instance of a source is due, in monotonic seconds.

    An instance rides the *sweep* (one reading of the whole list) while it is at rest and the list shows it; it has a
    due time of its own while it is changing, while something about it is to be looked at soon, or when the list is
    not in use or does not show it (`unlisted`). All that one cycle asks share one jitter, so that those who are due
    together stay together and can be asked together.
    """

    def __init__(self, policy: PollPolicy, *, ids: Collection[str], discovers: bool = False) -> None:
        """`ids` are those watched, as they come and go: who of them has no due time of its own rides the sweep."""
        self._policy = policy
        self._ids = ids
        self._discovers = discovers
        self._own_s: dict[str, float] = {}
        self._changing: set[str] = set()
        self._unlisted: set[str] = set()
        self._rides = discovers and policy.mode is not Mode.GET
        self._sweeping = False
        self._avoided = False
        self._sweep_due_s = _AT_ONCE_S
        self._sweep_began_s = 0.0
        self._swept_s: float | None = None
        self._pages: int | None = None
        self.stretch = 1.0

    def follow(self, before: Schedule, *, now_s: float) -> None:
        """Go on from another schedule of the same source: nobody is due later than by either of the two policies.

        Who was not in it is due now. A sweep that was under way there is to begin anew.
        """
        kept, same = {key for key in self._ids if key in before._ids}, before._policy == self._policy
        self._rides = before._rides and self._policy.mode is not Mode.GET
        self._avoided = before._avoided
        self.stretch = before.stretch
        self._swept_s = before._swept_s
        self._sweep_began_s = before._sweep_began_s
        self._pages = before._pages
        self._changing = before._changing & kept
        self._unlisted = before._unlisted & kept
        self._sweep_due_s = now_s if before._sweeping else before._sweep_due_s
        if not same:
            self._sweep_due_s = min(self._sweep_due_s, now_s + self._policy.steady_interval_s)
        for instance_id in kept:
            own_s = before._own_s.get(instance_id, None if self._rides else self._sweep_due_s)
            if own_s is not None:
                changing = instance_id in self._changing
                interval_s = self._policy.interval_s if changing else self._policy.steady_interval_s
                self._own_s[instance_id] = own_s if same else min(own_s, now_s + interval_s)
        self._own_s |= {key: now_s for key in self._ids if key not in kept}

    # -- what is learned -------------------------------------------------------------------------------------------

    def set(self, instance_id: str, due_s: float) -> None:
        """Make an instance due at this moment."""
        self._own_s[instance_id] = due_s

    def forget(self, instance_id: str) -> None:
        """This instance is watched no more."""
        self._own_s.pop(instance_id, None)
        self._changing.discard(instance_id)
        self._unlisted.discard(instance_id)

    def seen(self, instance_id: str, status: str | None, *, asked_s: float, factor: float, soon: bool = False) -> None:
        """An instance was observed in this status by a request made at `asked_s`; `factor` is its cycle's jitter.

        `soon` has it looked at again after the short interval whatever its status.
        """
        if soon or is_changing(status):
            self._changing.add(instance_id)
        else:
            self._changing.discard(instance_id)
        if instance_id in self._changing:
            self.set(instance_id, asked_s + self._policy.interval_s * factor * self.stretch)
        elif self._rides and instance_id not in self._unlisted:
            self._own_s.pop(instance_id, None)
        else:
            self.set(instance_id, asked_s + self._policy.steady_interval_s * factor * self.stretch)

    def listed(self, instance_id: str) -> None:
        """The list shows this instance."""
        self._unlisted.discard(instance_id)

    def unlisted(self, instance_id: str, *, now_s: float) -> None:
        """The list does not show this instance: it is to be asked for by itself, at once the first time."""
        if instance_id not in self._unlisted:
            self._unlisted.add(instance_id)
            self.set(instance_id, now_s)

    # -- the sweep -------------------------------------------------------------------------------------------------

    def sweep_begins(self, *, now_s: float, budget_per_s: float) -> None:
        """Those that are due wait for the sweep, unless it will take so long that the changing ones had better not."""
        self._sweeping = True
        self._sweep_began_s = now_s
        if self._policy.mode is Mode.GET:
            return
        self._rides = True
        long = self._policy.mode is Mode.AUTO and (self._pages or 0) > budget_per_s * self._policy.interval_s
        for instance_id in [key for key, due_s in self._own_s.items() if due_s <= now_s]:
            if instance_id not in self._unlisted and not (long and instance_id in self._changing):
                del self._own_s[instance_id]

    def sweep_counted(self, pages: int, *, now_s: float) -> bool:
        """The first page told how long the list is; False when asking for each that waits costs less: leave it then."""
        self._pages = pages
        if self._policy.mode is not Mode.AUTO or self._discovers or pages <= self._riders:
            return True
        self._leave_list(due_s=now_s)
        return False

    def sweep_ended(self, *, pages: int, factor: float) -> None:
        """The list was read to its end, in so many pages."""
        self._sweeping = False
        self._pages = pages
        self._swept_s = self._sweep_began_s
        self._sweep_due_s = self._sweep_began_s + self._policy.steady_interval_s * factor * self.stretch

    def sweep_failed(self, *, again_s: float) -> None:
        """The sweep came to nothing: those who wait for it are due again at this moment."""
        self._sweeping = False
        self._sweep_due_s = again_s

    def avoid_list(self, *, now_s: float) -> None:
        """Reading the list does not work while asking for each does: those who wait for it are due by themselves."""
        self._avoided = True
        self._leave_list(due_s=now_s)

    def allow_list(self) -> None:
        """The list may be worth a try again."""
        self._avoided = False

    # -- what to do ------------------------------------------------------------------------------------------------

    def next_due_s(self) -> float | None:
        """When the first is due; None when there is none."""
        first_s = min(self._own_s.values(), default=None)
        if not self._awaits_sweep:
            return first_s
        return self._sweep_due_s if first_s is None else min(first_s, self._sweep_due_s)

    def plan(self, *, now_s: float, together_s: float) -> Plan:
        """What is due now, and what falls due within `together_s` from now and is asked with it."""
        first_s = self.next_due_s()
        if first_s is None or first_s > now_s:
            return Plan()
        self._give_list_another_chance(now_s)
        due = sorted((at, key) for key, at in self._own_s.items() if at <= now_s + together_s)
        sweep_due = self._awaits_sweep and self._sweep_due_s <= now_s + together_s
        listed = sum(key not in self._unlisted for _, key in due)
        sweep = self._list_is_worth(listed, sweep_due=sweep_due)
        by_list = self._policy.mode is Mode.LIST or (sweep and self._policy.mode is Mode.AUTO)
        gets = [key for _, key in due if not by_list or key in self._unlisted]
        if sweep_due and not sweep:
            gets += sorted(key for key in self._ids if key not in self._own_s)
            self._leave_list(due_s=self._sweep_due_s)
        lag_s = max(0.0, now_s - first_s) if first_s != _AT_ONCE_S else 0.0
        return Plan(sweep=sweep, gets=tuple(gets), lag_s=lag_s)

    def _give_list_another_chance(self, now_s: float) -> None:
        """When everybody is asked for by itself because the list once did not show them, it is not read any more: were
        it mended, nobody would know.
        """
        again_s = _LIST_AGAIN * self._policy.steady_interval_s
        if self._unlisted and not self._sweeping and self._swept_s is not None and now_s - self._swept_s >= again_s:
            self._unlisted.clear()

    @property
    def _riders(self) -> int:
        return len(self._ids) - len(self._own_s)

    @property
    def _awaits_sweep(self) -> bool:
        return not self._sweeping and (self._discovers or self._riders > 0)

    def _leave_list(self, *, due_s: float) -> None:
        self._sweeping = self._rides = False
        for instance_id in self._ids:
            self._own_s.setdefault(instance_id, due_s)

    def _list_is_worth(self, due: int, *, sweep_due: bool) -> bool:
        if self._sweeping or self._avoided:
            return False
        if sweep_due and self._discovers:
            return True
        wanted = due + (self._riders if sweep_due else 0)
        match self._policy.mode:
            case Mode.GET:
                return False
            case Mode.LIST:
                return wanted > 0
            case Mode.AUTO:
                return wanted >= (self._pages if self._pages is not None else _PAGES_UNKNOWN)

    def demand(self) -> Demand | None:
        """What the intervals ask for; None while it is not known how long the list is."""
        policy, pages = self._policy, self._pages
        changing = len(self._changing)
        resting = len(self._ids) - changing
        by_get = changing / policy.interval_s + resting / policy.steady_interval_s
        discovery = (pages or 0) / policy.steady_interval_s if self._discovers else 0.0
        mode, need_per_s = Mode.GET, by_get + discovery
        if policy.mode is not Mode.GET:
            if pages is None:
                return None
            by_list = len(self._unlisted) / policy.steady_interval_s
            if policy.mode is Mode.LIST:
                by_list += pages / (policy.interval_s if changing else policy.steady_interval_s)
            else:
                by_list += pages / policy.steady_interval_s + min(changing, pages) / policy.interval_s
            if policy.mode is Mode.LIST or self._discovers or by_list <= by_get:
                mode, need_per_s = Mode.LIST, by_list
        return Demand(changing=changing, resting=resting, requests_per_s=need_per_s, mode=mode)


def pages_for(count: int) -> int:
    """How many pages a list of so many instances has."""
    return max(1, math.ceil(count / PAGE_LIMIT))
