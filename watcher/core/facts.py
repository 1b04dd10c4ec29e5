"""What happens inside, as values for those who count and log it. Nobody's work depends on an observer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.core.errors import CloudError, DeliveryError, StoreError, WatcherError
from watcher.core.model import Delivery, Event, InstanceKey, Notification, Suppression


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """One request to the cloud ended; `code` is the HTTP status, or `timeout`, `network` or `malformed`."""

    source: str
    operation: str
    code: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """So many instances were observed."""

    source: str
    count: int


@dataclass(frozen=True, slots=True)
class CycleFinished:
    """One poll cycle ended; `lag_s` is how late its most overdue instance was asked, `ok` whether the cloud answers.

    `pace` is the fraction of the configured rate that is used, `stretch` what the intervals are multiplied by.
    """

    source: str
    duration_s: float
    lag_s: float
    ok: bool
    at: datetime
    pace: float
    stretch: float


@dataclass(frozen=True, slots=True)
class BudgetShort:
    """The budget of a source cannot meet its intervals; `figures` says by how much. Told once until it is met."""

    source: str
    figures: str
    stretch: float


@dataclass(frozen=True, slots=True)
class BudgetMet:
    """The budget of a source meets its intervals again."""

    source: str


@dataclass(frozen=True, slots=True)
class ListAvoided:
    """Reading the list fails while single instances can be asked for, which is done instead for `retry_in_s`."""

    source: str
    error: CloudError
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """A source as a whole does not answer; `first` on the edge from well to unwell."""

    source: str
    error: CloudError
    retry_in_s: float
    first: bool


@dataclass(frozen=True, slots=True)
class SourceRecovered:
    """A source answers again."""

    source: str


@dataclass(frozen=True, slots=True)
class InstanceFailed:
    """One instance could not be observed while its source is well; `first` on the edge."""

    key: InstanceKey
    error: CloudError
    first: bool


@dataclass(frozen=True, slots=True)
class ItemsUnreadable:
    """Items of the list cannot be read, one line each that tells which and why. Told of each once."""

    source: str
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Committed:
    """These events are in the store."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """`who` could not read or write the store; `first` on the edge."""

    who: str
    error: StoreError
    first: bool


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """The store works again for `who`."""

    who: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A receiver accepted a notification at that time: one delivery, or the many of a digest."""

    receiver: str
    receiver_type: str
    notification: Notification
    at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """One try failed, the `attempts`-th; `retry_in_s` is None when it was the last."""

    receiver: str
    receiver_type: str
    notification: Notification
    error: DeliveryError
    attempts: int
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A delivery was not sent, because of `held_by`."""

    delivery: Delivery
    reason: Suppression
    held_by: str | None


@dataclass(frozen=True, slots=True)
class ReceiverFailed:
    """A receiver does not take anything at present: one delivery at a time is tried, the next in `retry_in_s`.

    `first` on the edge.
    """

    receiver: str
    error: DeliveryError
    retry_in_s: float
    first: bool


@dataclass(frozen=True, slots=True)
class ReceiverRecovered:
    """A receiver takes notifications again."""

    receiver: str


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    """A receiver's other side could not be told how its alerts stand; `first` on the edge."""

    receiver: str
    error: WatcherError
    first: bool


@dataclass(frozen=True, slots=True)
class RefreshRecovered:
    """A receiver's other side knows again how its alerts stand."""

    receiver: str


@dataclass(frozen=True, slots=True)
class TemplateFailed:
    """A template could not be filled in: the product's own text was sent in place of it."""

    receiver: str
    error: str


@dataclass(frozen=True, slots=True)
class HeartbeatSent:
    """The dead man's switch was told that all is well."""

    at: datetime


@dataclass(frozen=True, slots=True)
class HeartbeatMissed:
    """The dead man's switch was not told, for this reason; `first` on the edge."""

    reason: str
    first: bool


@dataclass(frozen=True, slots=True)
class ConfigurationApplied:
    """The configuration applies as it now is, but for the keys `waiting` for a restart; `remarks` are warnings."""

    at: datetime
    waiting: Sequence[str] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationRefused:
    """The configuration cannot be applied, for these reasons, a line each: the one before goes on."""

    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class CertificateChanged:
    """The files that HTTPS is served with have changed: new connections get them, unless there is a `problem`."""

    problem: str | None


@dataclass(frozen=True, slots=True)
class ReplicaJoined:
    """This watcher shares the work from now on, under this id."""

    replica_id: str


@dataclass(frozen=True, slots=True)
class LeasesTaken:
    """This replica polls or serves these from now on, such as `source/prod`."""

    leases: Sequence[str]


@dataclass(frozen=True, slots=True)
class LeasesGiven:
    """This replica has given these away to others."""

    leases: Sequence[str]


@dataclass(frozen=True, slots=True)
class LeasesLost:
    """This replica was not heard of for too long: others have taken over all that it held, which were these."""

    leases: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReplicasLost:
    """These replicas, by name, are there no more; this one looked when others had found them dead, or they had left."""

    names: Sequence[str]


Fact = (
    RequestFinished
    | Observed
    | CycleFinished
    | BudgetShort
    | BudgetMet
    | ListAvoided
    | SourceFailed
    | SourceRecovered
    | InstanceFailed
    | ItemsUnreadable
    | Committed
    | StoreFailed
    | StoreRecovered
    | Delivered
    | DeliveryFailed
    | Suppressed
    | ReceiverFailed
    | ReceiverRecovered
    | RefreshFailed
    | RefreshRecovered
    | TemplateFailed
    | HeartbeatSent
    | HeartbeatMissed
    | ConfigurationApplied
    | ConfigurationRefused
    | CertificateChanged
    | ReplicaJoined
    | LeasesTaken
    | LeasesGiven
    | LeasesLost
    | ReplicasLost
)
Observer = Callable[[Fact], None]
"""Told of every fact. Must be quick and must not raise."""


def tell_all(*observers: Observer) -> Observer:
    """One observer that tells several."""

    def observe(fact: Fact) -> None:
        for observer in observers:
            observer(fact)

    return observe
