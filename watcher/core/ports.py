"""What the rooms ask of each other, as narrow Protocols: the rooms themselves never import one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from watcher.core.errors import DeliveryError
from watcher.core.model import (
    Alert,
    Delivery,
    DeliveryState,
    Event,
    Expectation,
    Instance,
    InstanceKey,
    InstanceState,
    Job,
    Notification,
    Reason,
    Step,
    SubJob,
    Suppression,
)
from watcher.core.quiet import Acknowledgement, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """One page of ListImageServers. `count` is the cloud's total; `malformed` tells of items that could not be read."""

    count: int
    items: tuple[Instance, ...]
    malformed: tuple[str, ...] = ()


class CloudApi(Protocol):
    """One source's cloud. Every method raises a `CloudError` of the kind that says what to do."""

    async def show(self, instance_id: str) -> Instance:
        """ShowImageServer; CloudNotFoundError when the service knows no such instance."""
        ...

    async def list_page(
        self, *, offset: int, limit: int = 100, name: str | None = None, enterprise_project_id: str | None = None
    ) -> InstancePage:
        """One page of ListImageServers; `limit` 1 to 100.

        A page whose bytes are those of the last time is the very same object, and an item that is the same is the same
        object: whoever knows it need not look at it again.
        """
        ...

    async def jobs(self, job_type: str, *, status: str | None = None) -> list[Job]:
        """The newest page (100) of ListImageJobs."""
        ...

    async def sub_jobs(
        self,
        job_type: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[SubJob]:
        """One page of ListImageSubJobs, newest first; `limit` 1 to 100."""
        ...

    async def job(self, job_id: str) -> Job:
        """ShowImageJob, with its steps."""
        ...

    async def has_new_credential(self) -> bool:
        """Whether the credential to use now is another one than that refused last; asks the cloud nothing with it."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The reason of an event that was told without one. `receivers` can update what they sent, and are to do so."""

    event_id: str
    reason: Reason
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be kept: a state, its events, each with the receivers it is routed to, and what there is to learn.

    `explained` is for an earlier event of the instance.
    """

    state: InstanceState
    events: tuple[tuple[Event, tuple[str, ...]], ...] = ()
    steps: tuple[Step, ...] = ()
    explained: Explanation | None = None


class StateStore(Protocol):
    """What polling needs of the store."""

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        """All that was remembered of a source's instances."""
        ...

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        """Write states, their events and one delivery for each (event, receiver) in one transaction.

        An event also goes to the receivers that were to be told of an alert it ends or repeats, routed to them or not.
        What is `explained` has its reason from now on; those of its receivers that took it are to be sent it once more,
        unless they took it as part of a digest.
        Raises StoreError, and then nothing was written. An event whose id is already there is not written again.
        """
        ...

    async def steps(self, source: str) -> Sequence[Step]:
        """The latest steps of a source that went well, oldest first, as many of each sort as `Lessons` keeps."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A pending delivery that is due, without what it tells. `size` is that of its event in bytes."""

    id: int
    key: InstanceKey
    digest_id: str | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one try to deliver ended, or that there was none.

    Without `error` it was accepted, with one and `next_attempt_at` it is tried again then, as part of the delivery's
    digest if it names one, else it is dead. With `suppression` it was not sent, because of `held_by`.
    """

    delivery: Delivery
    finished_at: datetime
    error: DeliveryError | None = None
    next_attempt_at: datetime | None = None
    suppression: Suppression | None = None
    held_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """A delivery as people look at it: where it stands, why, and what the receiver answered last."""

    delivery: Delivery
    state: DeliveryState
    created_at: datetime
    finished_at: datetime | None
    reason: str | None
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as history keeps it: behind all that have a smaller `position`. `body` is the contract's JSON."""

    position: int
    event_id: str
    kind: str
    source: str
    instance_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are asked for: of what is given one must hold, nothing given: all. `until` is not in it any more."""

    kinds: Collection[str] = ()
    sources: Collection[str] = ()
    instance_ids: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None


class HistoryStore(Protocol):
    """What is kept of events. Every method raises StoreError."""

    async def entries(
        self, wanted: Wanted, *, after: int | None = None, limit: int = 100, newest_first: bool = False
    ) -> Sequence[Entry]:
        """Events in the order they were written, or the other way round, from behind the position `after`."""
        ...

    async def position_of(self, event_id: str) -> int | None:
        """Where an event is; None when it is not kept, or not any more."""
        ...

    async def last_position(self) -> int:
        """Where the latest event is; 0 when there never was one."""
        ...


class DeliveryStore(Protocol):
    """What delivery needs of the store. Every method raises StoreError; every write is one transaction."""

    async def waiting(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Waiting]:
        """Pending deliveries that are due, oldest first.

        None of an instance whose earlier delivery is not yet due, unless both are part of digests; nor what somebody
        else has claimed, and what is behind it of the same instance.
        """
        ...

    async def claim(self, ids: Collection[int]) -> Collection[int]:
        """Of these pending deliveries those that nobody else sends, and will before they are recorded."""
        ...

    async def unclaim(self, ids: Collection[int] | None = None) -> None:
        """Nobody sends these (None: all that are claimed) after all."""
        ...

    async def deliveries_of(self, ids: Collection[int]) -> Sequence[Delivery]:
        """These deliveries, oldest first; their events without what fires and is not for their receiver."""
        ...

    async def digest(self, receiver: str, digest_id: str) -> Sequence[Delivery]:
        """The receiver's pending deliveries that are sent together as this digest, oldest first."""
        ...

    async def form_digest(self, digest_id: str | None, ids: Collection[int]) -> None:
        """From now on these are sent together, or (None) each by itself."""
        ...

    async def next_due_at(self, receiver: str, *, now: datetime) -> datetime | None:
        """When the next pending delivery that is not due at `now` will be; None when there is none."""
        ...

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down how tries ended."""
        ...

    async def make_due(self, receiver: str, *, now: datetime, beyond: timedelta = timedelta()) -> None:
        """Whatever waits for another try for longer than `beyond` from now is due now."""
        ...

    async def aged(self, receiver: str, *, before: datetime, limit: int) -> Sequence[Delivery]:
        """Pending deliveries queued before that, oldest first; a digest when all it holds was."""
        ...

    async def held(self, receiver: str) -> Sequence[Delivery]:
        """Deliveries suppressed by a silence or a maintenance window whose alerts fire still and were not told."""
        ...

    async def requeue(self, ids: Collection[int], *, now: datetime, digest_id: str | None = None) -> None:
        """Suppressed or dead deliveries are pending again, as if they were new."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert that a receiver was told of, as it stands: `alert` fires, or is resolved since lately.

    `event` is the one that told of it last, `acknowledged` who has taken it on, if anybody has.
    """

    alert: Alert
    event: Event
    acknowledged: Acknowledgement | None = None


class StandingStore(Protocol):
    """What is kept of the alerts that receivers were told of. Every method raises StoreError."""

    async def standing(self, receiver: str, *, ended_since: datetime) -> Sequence[Standing]:
        """The alerts the receiver was told of that fire, or ended since then; the oldest first."""
        ...


class Notebook(Protocol):
    """What a receiver has to remember of what it sent, such as where. Every method raises StoreError."""

    async def note(self, receiver: str, key: str) -> str | None:
        """What it noted there; None if nothing, or so long ago that it was forgotten."""
        ...

    async def write_note(self, receiver: str, key: str, text: str | None, *, now: datetime) -> None:
        """Note it, in place of what was there; None: forget."""
        ...


class QuietView(Protocol):
    """What delivery may ask of silences and maintenance windows."""

    def why_quiet(self, event: Event) -> Held | None:
        """What keeps the event back now, None if nothing does."""
        ...

    async def refresh(self) -> None:
        """Take up what has changed meanwhile; raises StoreError."""
        ...


class Receiver(Protocol):
    """Somewhere notifications go."""

    @property
    def name(self) -> str:
        """The configured name."""
        ...

    @property
    def type(self) -> str:
        """The configured type, such as `webhook`."""
        ...

    @property
    def digest_bytes(self) -> int | None:
        """How much of events a digest may hold; None: any, as it only counts them."""
        ...

    async def send(self, notification: Notification) -> str:
        """Have it accepted, and return in a few words what the other side said; raises DeliveryError."""
        ...

    async def reach(self) -> None:
        """Connect without sending anything; raises DeliveryError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class StandingReceiver(Receiver, Protocol):
    """A receiver whose other side keeps a state of alerts that has to be kept true."""

    @property
    def refresh_s(self) -> float:
        """How often, in seconds."""
        ...

    async def refresh(self, standing: Sequence[Standing]) -> None:
        """Have the other side know how these alerts stand; raises DeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """How a source is: its own alerts, and how many instances were not observed when they last should have been."""

    alerts: tuple[Alert, ...] = ()
    stale: int = 0


class StateView(Protocol):
    """What metrics and the API may look at: the present, in memory."""

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        """The remembered state of every watched instance, by source."""
        ...

    def sources(self) -> Mapping[str, SourceView]:
        """The present state of every source."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is known of an instance beside its state.

    `seen_at` is when it was last observed in this run. `expected` is how long the present status usually lasts, where
    it will end by itself.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    seen_at: datetime | None = None
    expected: Expectation | None = None


class InstanceView(StateView, Protocol):
    """What the API may look at: the present, and what is known of each instance beside its state."""

    def background(self, state: InstanceState) -> Background:
        """What is known of a watched instance beside this state of it."""
        ...
