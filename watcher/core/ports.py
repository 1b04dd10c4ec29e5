"""What the rooms ask of each other, as narrow Protocols: the rooms themselves never import one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from watcher.core.errors import DeliveryError
from watcher.core.model import Alert, Delivery, Event, Instance, InstanceKey, InstanceState, Job, Notification, SubJob


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

    async def sub_jobs(self, job_type: str, *, job_id: str | None = None, status: str | None = None) -> list[SubJob]:
        """The newest page (100) of ListImageSubJobs."""
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
class Change:
    """What one observation changed: the state to keep and, for each event to tell, the receivers it goes to."""

    state: InstanceState
    events: tuple[tuple[Event, tuple[str, ...]], ...] = ()


class StateStore(Protocol):
    """What polling needs of the store."""

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        """All that was remembered of a source's instances."""
        ...

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        """Write states, their events and one delivery for each (event, receiver) in one transaction.

        Raises StoreError, and then nothing was written. An event whose id is already there is not written again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The outcome of one try to deliver; `error` None means accepted. `next_attempt_at` None means no more tries."""

    delivery: Delivery
    finished_at: datetime
    error: DeliveryError | None = None
    next_attempt_at: datetime | None = None


class DeliveryStore(Protocol):
    """What delivery needs of the store."""

    async def due(
        self, receiver: str, *, now: datetime, limit: int, under_way: Collection[int] = ()
    ) -> Sequence[Delivery]:
        """Pending deliveries that may be tried now: at most the oldest of each instance, none that is `under_way`."""
        ...

    async def next_due_at(self, receiver: str, *, under_way: Collection[int] = ()) -> datetime | None:
        """When the next pending delivery may be tried; None when there is none beside those `under_way` (ids)."""
        ...

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down how tries ended, in one transaction. Raises StoreError."""
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

    async def send(self, notification: Notification) -> str:
        """Have it accepted, and return in a few words what the other side said; raises DeliveryError."""
        ...

    async def reach(self) -> None:
        """Connect without sending anything; raises DeliveryError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
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
