"""The simulated cloud itself: instances and jobs as a function of simulated time. No I/O, no clock reads."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, Final, Unpack

from watcher.simulator.agenda import Action, Agenda
from watcher.simulator.instances import Attributes, Instance, as_uuid
from watcher.simulator.jobs import JobBook, SubJob
from watcher.simulator.lifecycle import (
    Build,
    BuildOutcome,
    CreateOutcome,
    Durations,
    Reason,
    Status,
    creation_failure,
)


class UnknownInstanceError(LookupError):
    """There is no instance of that id (any more)."""


class NotAllowedError(Exception):
    """The instance's status does not permit the operation."""


class Unset(Enum):
    """Marks an argument that was not given, where None means JSON null."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class World:
    """Instances and their jobs.

    Nothing runs in the background: every method first applies, in order, all that has fallen due up to `now()`, the
    simulated time in UTC. Two worlds with the same seed and the same calls at the same times are equal. With
    `auto_build` a created instance goes on to build its image by itself.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        seed: int = 1,
        durations: Durations | None = None,
        auto_build: bool = False,
    ) -> None:
        self.jobs = JobBook()
        self.auto_build = auto_build
        self._now = now
        self._time = now()
        self._advancing = False
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - a simulation must be repeatable
        self._durations = durations or Durations()
        self._instances: dict[str, Instance] = {}
        self._order: list[str] | None = None
        self._agenda = Agenda()
        self._last_id = 697612196993040384

    # -- time ----------------------------------------------------------------------------------------------------

    def advance(self, now: datetime | None = None) -> None:
        """Applies everything due up to `now` (default: the clock's); each thing happens at the instant it was due."""
        if self._advancing:
            return
        until = max(now or self._now(), self._time)
        self._advancing = True
        try:
            while (entry := self._agenda.take(until)) is not None:
                self._time, action = entry
                action()
            self._time = until
        finally:
            self._advancing = False

    def after(self, seconds: float, action: Action) -> None:
        """Plans `action` for `seconds` of simulated time from now; the world's methods may be called in it."""
        self.advance()
        self._agenda.add(self._time + timedelta(seconds=seconds), action)

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, instance_id: str) -> Instance:
        """The instance as it is now. Raises UnknownInstanceError."""
        self.advance()
        try:
            return self._instances[instance_id]
        except KeyError:
            raise UnknownInstanceError(instance_id) from None

    def ids(self) -> list[str]:
        """The ids of all instances, in the order of their creation."""
        self.advance()
        return list(self._instances)

    def instances(self) -> Iterator[Instance]:
        """All instances as they are now, in the order of their creation; do not change the world meanwhile."""
        self.advance()
        return iter(self._instances.values())

    def page(self, offset: int, limit: int) -> list[Instance]:
        """Up to `limit` instances from the `offset`th on, in the order of their creation."""
        self.advance()
        if self._order is None:
            self._order = list(self._instances)
        return [self._instances[instance_id] for instance_id in self._order[offset : offset + limit]]

    def __len__(self) -> int:
        self.advance()
        return len(self._instances)

    # -- what a client can ask for -------------------------------------------------------------------------------

    def create(
        self,
        *,
        name: str,
        outcome: CreateOutcome = "success",
        reason: Reason | None = None,
        build: Build | None = None,
        **attributes: Unpack[Attributes],
    ) -> str:
        """Starts the creation of an instance and returns its id; the job is the instance's `job_id`.

        CREATING, then ACTIVE, or ERROR with `outcome="error"`. With `build` (or `auto_build`) it goes on to build its
        image.
        """
        self.advance()
        instance = Instance(self._new_id(), name, Status.CREATING, self._time, self._time, **attributes)
        failure = None if outcome == "success" else (reason or creation_failure())
        self._begin_create(instance, failure, build or (Build() if self.auto_build else None))
        return instance.id

    def recreate(self, instance_id: str, *, outcome: BuildOutcome = "success", reason: Reason | None = None) -> str:
        """Starts a build of the instance's image and returns the job's id.

        Raises UnknownInstanceError, and NotAllowedError unless the status is ACTIVE or BUILT.
        """
        instance = self.get(instance_id)
        if instance.status not in (Status.ACTIVE, Status.BUILT):
            raise NotAllowedError(f"recreate is not allowed in status {instance.status}")
        return self._begin_build(instance, Build(outcome=outcome, reason=reason))

    def delete(self, *instance_ids: str) -> str:
        """Starts the deletion of instances, all of them or none, and returns the job's id.

        Raises UnknownInstanceError, and NotAllowedError in CREATING, BUILDING or DELETING.
        """
        instances = [self.get(instance_id) for instance_id in dict.fromkeys(instance_ids)]
        for instance in instances:
            if instance.status in (Status.CREATING, Status.BUILDING, Status.DELETING):
                raise NotAllowedError(f"delete is not allowed in status {instance.status}")
        return self._begin_delete(instances)

    # -- what only a test can do ---------------------------------------------------------------------------------

    def put(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the record's own word
        name: str | None = None,
        status: str | Unset | None = UNSET,
        image_id: str | None = None,
        fields: Mapping[str, Any] | None = None,
        lives: bool = False,
        build: Build | None = None,
        **attributes: Unpack[Attributes],
    ) -> str:
        """Sets an instance directly, creating it if need be, and returns its id.

        What is not given stays as it is; a new instance is BUILT by default, and has an image if it is. Any status
        goes, None included, and stays until it is changed; with `lives`, CREATING, BUILDING and DELETING take their
        course from now on, with a job and, if given, `build`. `fields` replaces keys of the record as the API words
        it, with any JSON.
        """
        self.advance()
        old = self._instances.get(id) if id is not None else None
        if old is None:
            old = Instance(id or self._new_id(), name or "image-instance", Status.BUILT, self._time, self._time)
            built = status in (UNSET, Status.BUILT)
            image_id = (self._new_uuid() if built else "") if image_id is None else image_id
        given = {"name": name, "image_id": image_id, "fields": fields, **attributes}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if status is not UNSET:
            changes["status"] = status
        instance = self._change(old, **changes)
        if lives:
            self._let_live(instance, build)
        return instance.id

    def vanish(self, instance_id: str) -> None:
        """Removes an instance at once, without DELETING and without a job. Raises UnknownInstanceError."""
        self._remove(self.get(instance_id))

    # -- the course of life --------------------------------------------------------------------------------------

    def _let_live(self, instance: Instance, build: Build | None) -> None:
        match instance.status:
            case Status.CREATING:
                self._begin_create(instance, None, build or (Build() if self.auto_build else None))
            case Status.BUILDING:
                self._begin_build(instance, build or Build())
            case Status.DELETING:
                self._begin_delete([instance])

    def _begin_create(self, instance: Instance, failure: Reason | None, build: Build | None) -> None:
        job = self.jobs.start("CREATE_SERVER", [(instance.id, instance.name)], at=self._time)
        instance = self._change(instance, status=Status.CREATING, job_id=job.id)
        self._then(instance, self._durations.create, partial(self._end_create, job.subs[0], failure, build))

    def _end_create(self, sub: SubJob, failure: Reason | None, build: Build | None, instance: Instance) -> None:
        self.jobs.finish(sub, at=self._time, reason=failure)
        instance = self._change(instance, status=Status.ACTIVE if failure is None else Status.ERROR)
        if failure is None and build is not None:
            self._then(instance, self._durations.active, lambda active: self._begin_build(active, build))

    def _begin_build(self, instance: Instance, build: Build) -> str:
        image_id = self._new_uuid()
        job = self.jobs.start("CREATE_SERVER_IMAGE", [(image_id, instance.name)], at=self._time)
        instance = self._change(instance, status=Status.BUILDING, job_id=job.id)
        self._then(instance, self._durations.build, partial(self._end_build, job.subs[0], build))
        return job.id

    def _end_build(self, sub: SubJob, build: Build, instance: Instance) -> None:
        if build.outcome != "no_word":
            self.jobs.finish(sub, at=self._time, reason=build.failure())
        match build.outcome:
            case "success":
                self._change(instance, status=Status.BUILT, image_id=sub.resource_id)
            case "no_image" | "no_word":
                self._change(instance, status=Status.BUILT)
            case "error":
                self._change(instance, status=Status.ERROR)

    def _begin_delete(self, instances: list[Instance]) -> str:
        job = self.jobs.start("DELETE_SERVER", [(each.id, each.name) for each in instances], at=self._time)
        for instance, sub in zip(instances, job.subs, strict=True):
            deleting = self._change(instance, status=Status.DELETING, job_id=job.id)
            self._then(deleting, self._durations.delete, partial(self._end_delete, sub))
        return job.id

    def _end_delete(self, sub: SubJob, instance: Instance) -> None:
        self.jobs.finish(sub, at=self._time)
        self._remove(instance)

    # -- the rest ------------------------------------------------------------------------------------------------

    def _change(self, instance: Instance, **changes: Any) -> Instance:
        changed = replace(instance, updated_at=self._time, generation=instance.generation + 1, **changes)
        if changed.id not in self._instances:
            self._order = None
        self._instances[changed.id] = changed
        return changed

    def _remove(self, instance: Instance) -> None:
        del self._instances[instance.id]
        self._order = None

    def _then(self, instance: Instance, seconds: float, act: Callable[[Instance], object]) -> None:
        """Plans `act` for the instance, unless somebody changes it before."""

        def when_due() -> None:
            current = self._instances.get(instance.id)
            if current is not None and current.generation == instance.generation:
                act(current)

        spread = self._durations.spread
        # Drawn for the instance alone, so that one more instance does not change the fate of the others.
        draw = random.Random(f"{self._seed}/{instance.id}/{instance.generation}")  # noqa: S311 - repeatable
        due = self._time + timedelta(seconds=seconds * draw.uniform(1 - spread, 1 + spread))
        self._agenda.add(due, when_due)

    def _new_id(self) -> str:
        # Steps of a few thousand milliseconds in the upper bits, as a snowflake has them.
        self._last_id += (self._random.randrange(1_000, 60_000) << 22) + self._random.randrange(1 << 12)
        return str(self._last_id)

    def _new_uuid(self) -> str:
        return as_uuid(f"{self._random.getrandbits(128):032x}")
