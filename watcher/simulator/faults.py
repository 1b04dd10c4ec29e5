"""Faults that can be switched on and off while the simulator serves: which there are, and which one hits whom."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from watcher.simulator.lifecycle import SimulatorModel

FaultKind = Literal[
    "latency",
    "throttle",
    "error",
    "hang",
    "reset",
    "truncated",
    "html",
    "empty",
    "bad_json",
    "wrong_types",
    "token_expiry",
]


class Fault(SimulatorModel):
    """One way of going wrong.

    `operation` (a name or a pattern such as `List*`) and `instance_id` say which requests it may hit, `probability`
    how often it does, `count` how many it hits before it is spent. `ms`: the delay of latency, in milliseconds of
    real time. `status`: the HTTP status of error (default 500), html (502) and empty (200). `code` and `message`: the
    error's own. `retry_after`: the header of throttle, in seconds; none if it is not given.
    """

    kind: FaultKind
    id: str | None = None
    operation: str | None = None
    instance_id: str | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    count: Annotated[int, Field(ge=1)] | None = None
    ms: Annotated[float, Field(gt=0, le=600_000)] | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    code: str | None = None
    message: str | None = None
    retry_after: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _only_its_own_fields(self) -> Self:
        if self.kind == "latency" and self.ms is None:
            raise ValueError("latency needs 'ms'")
        own = {
            "ms": ("latency",),
            "status": ("error", "html", "empty"),
            "code": ("error",),
            "message": ("error",),
            "retry_after": ("throttle",),
        }
        for name, kinds in own.items():
            if getattr(self, name) is not None and self.kind not in kinds:
                raise ValueError(f"{self.kind} has no '{name}'")
        return self


@dataclass(slots=True)
class ActiveFault:
    """A fault that is switched on; spent at `remaining` 0. `removed` ends the requests that hang on it."""

    id: str
    fault: Fault
    remaining: int | None
    removed: asyncio.Event = field(default_factory=asyncio.Event)


class FaultBoard:
    """The faults that are switched on, in the order they were added. `expire_tokens` carries out token_expiry."""

    def __init__(self, *, expire_tokens: Callable[[], None], seed: int = 1) -> None:
        self._expire_tokens = expire_tokens
        self._random = random.Random(seed)  # noqa: S311 - a simulation must be repeatable
        self._active: dict[str, ActiveFault] = {}
        self._added = 0

    def add(self, fault: Fault) -> str:
        """Switches a fault on and returns its id; one with the same id is replaced. token_expiry happens at once."""
        self._added += 1
        fault_id = fault.id or f"fault-{self._added}"
        if fault.kind == "token_expiry":
            self._expire_tokens()
            return fault_id
        if fault_id in self._active:
            self.remove(fault_id)
        self._active[fault_id] = ActiveFault(fault_id, fault, fault.count)
        return fault_id

    def remove(self, fault_id: str) -> None:
        """Switches a fault off; requests it keeps hanging are cut. Raises KeyError."""
        self._active.pop(fault_id).removed.set()

    def clear(self) -> None:
        """Switches all faults off."""
        for fault_id in list(self._active):
            self.remove(fault_id)

    def active(self) -> list[ActiveFault]:
        """The faults that are switched on, the spent ones included."""
        return list(self._active.values())

    def strike(self, *, operation: str, instance_id: str | None) -> list[ActiveFault]:
        """The faults that hit this request: every latency, and the first of the others. Counts them down.

        `instance_id` is the one the request names; a fault for an instance hits ListImageServers, too, if it is
        wrong_types, which can spoil one item of many.
        """
        hits: list[ActiveFault] = []
        struck = False
        for active in self._active.values():
            is_latency = active.fault.kind == "latency"
            if (struck and not is_latency) or active.remaining == 0:
                continue
            if not _concerns(active.fault, operation, instance_id):
                continue
            if active.fault.probability < 1 and self._random.random() >= active.fault.probability:
                continue
            if active.remaining is not None:
                active.remaining -= 1
            struck = struck or not is_latency
            hits.append(active)
        return hits


def _concerns(fault: Fault, operation: str, instance_id: str | None) -> bool:
    if fault.operation is not None and not fnmatchcase(operation, fault.operation):
        return False
    if fault.instance_id is None or fault.instance_id == instance_id:
        return True
    return fault.kind == "wrong_types" and operation == "ListImageServers" and instance_id is None
