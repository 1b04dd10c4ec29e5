"""What really happens to the instances, and the cloud that tells of it."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tests.fakes.values import START
from tests.simulation.faults import CLOUD_ERRORS, Faults
from watcher.core.clock import Clock
from watcher.core.errors import CloudError, CloudNotFoundError, CloudThrottledError, CloudUnavailableError
from watcher.core.model import Instance, Job, SubJob
from watcher.core.ports import InstancePage

CLOUD_TIMEOUT_S = 10.0
_FOLLOWERS: Mapping[str | None, tuple[str | None, ...]] = {
    None: ("CREATING",),
    "CREATING": ("ACTIVE", "ACTIVE", "ACTIVE", "ERROR"),
    "ACTIVE": ("BUILDING", "BUILDING", "BUILDING", "ERROR", "DELETING"),
    "BUILDING": ("BUILT", "BUILT", "BUILT", "ERROR", "ERROR", "NULL"),
    "BUILT": ("BUILDING", "BUILDING", "BUILDING", "BUILT", "ERROR", "DELETING", "FROZEN"),
    "ERROR": ("BUILDING", "BUILT", "ACTIVE", "DELETING"),
    "DELETING": (None, None, None, "ERROR"),
    "NULL": ("BUILT", "ERROR"),
    "FROZEN": ("BUILT",),
}
_FLAPS = {"ERROR": "BUILT", "BUILT": "BUILDING", "BUILDING": "ERROR"}
_MOODS_S = {"calm": (200.0, 2000.0), "busy": (60.0, 500.0), "flapping": (20.0, 120.0)}


@dataclass(slots=True)
class Biography:
    """All that one instance is, from when on; None: it is not there.

    `steps` are those of its builds, and from when on the cloud tells of them; `in_doubt` are the records in which it is
    BUILT without the image of its last build.
    """

    id: str
    times_s: list[float] = field(default_factory=list)
    states: list[Instance | None] = field(default_factory=list)
    steps: list[tuple[float, SubJob]] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)

    def add(self, at_s: float, state: Instance | None) -> None:
        """From now on it is this."""
        self.times_s.append(at_s)
        self.states.append(state)

    def at(self, now_s: float) -> Instance | None:
        """What it is at this moment."""
        return self.states[self.place(now_s)]

    def place(self, now_s: float) -> int:
        """Which of its states it is in at this moment."""
        return bisect_right(self.times_s, now_s) - 1

    def ends_s(self, place: int) -> float:
        """When this state of it ends."""
        return self.times_s[place + 1] if place + 1 < len(self.times_s) else float("inf")


def live(rng: random.Random, instance_id: str, *, until_s: float) -> Biography:
    """A whole life, until the world stands still."""
    status = rng.choice([None, "CREATING", "ACTIVE", "BUILDING", "BUILT", "BUILT", "BUILT", "ERROR"])
    mood, builds, now_s = rng.choice(["calm", "busy", "busy", "flapping"]), 0, 0.0
    biography, build_began_s = Biography(instance_id), None
    while True:
        image = ""
        if build_began_s is not None and status != "NULL":
            image = _end_build(rng, biography, status, builds=builds, began_s=build_began_s, now_s=now_s)
            build_began_s = None
        build_began_s = now_s if status == "BUILDING" else build_began_s
        if image == "late" and now_s + 60.0 < until_s:
            early = _told(instance_id, "BUILT", builds=builds, count=len(biography.times_s))
            biography.add(now_s, early)
            biography.in_doubt.add(early.record)
            now_s += rng.uniform(1.0, 60.0)
        builds += status == "BUILT" and image != "none"
        told = _told(instance_id, status, builds=builds, count=len(biography.times_s)) if status is not None else None
        biography.add(now_s, told)
        if told is not None and image == "none":
            biography.in_doubt.add(told.record)
        now_s += rng.uniform(*_MOODS_S[mood])
        if status is not None and rng.random() < 0.08:
            # It vanishes, and comes back as it was, but for the time of its last update: a list that shows all just as
            # it was is taken to lag behind, and a discovered instance that was gone stays gone for it.
            biography.add(now_s, None)
            now_s += rng.choice([rng.uniform(1, 60), rng.uniform(60, 900)])
            back = _told(instance_id, status, builds=builds, count=len(biography.times_s))
            biography.add(now_s, back)
            if told is not None and told.record in biography.in_doubt:
                biography.in_doubt.add(back.record)
            now_s += rng.uniform(*_MOODS_S[mood])
        if rng.random() < 0.15:
            mood = rng.choice(list(_MOODS_S))
        if now_s >= until_s:
            while biography.times_s[-1] >= until_s:
                biography.times_s.pop()
                biography.states.pop()
            return biography
        is_nervous = mood == "flapping" and rng.random() < 0.9 and status in _FLAPS
        status = _FLAPS[status] if is_nervous and status is not None else rng.choice(_FOLLOWERS[status])


def _end_build(
    rng: random.Random, biography: Biography, status: str | None, *, builds: int, began_s: float, now_s: float
) -> str:
    """Write down the step, or do not; whether the new image is there at once (`now`), `late`, or `none` comes."""
    image = rng.choice(["now", "now", "now", "late", "none", "none"]) if status == "BUILT" else "none"
    is_good = image != "none"
    known_s = rng.choice([0.0, 0.0, rng.uniform(1, 60), rng.uniform(60, 500), None])
    if known_s is not None and status in ("BUILT", "ERROR"):
        step = SubJob(
            id=f"step-{biography.id}-{len(biography.steps)}",
            job_id="job",
            job_type="CREATE_SERVER_IMAGE",
            status="SUCCESS" if is_good else "FAILED",
            resource_id=_image(biography.id, builds + 1) if is_good else f"lost-{biography.id}-{len(biography.steps)}",
            resource_name=f"office-{biography.id}",
            begin_at=START + timedelta(seconds=began_s),
            end_at=START + timedelta(seconds=now_s),
            error_code="" if is_good else "WKS.00170206",
            error_message="" if is_good else f"the build of {biography.id} broke",
        )
        biography.steps.append((now_s + known_s, step))
    return image


def _image(instance_id: str, builds: int) -> str:
    return f"img-{instance_id}-{builds}" if builds else ""


def _told(instance_id: str, status: str, *, builds: int, count: int) -> Instance:
    image_id = _image(instance_id, builds)
    body = {
        "id": instance_id,
        "image_id": image_id,
        "name": f"office-{instance_id}",
        "status": status,
        "update_time": f"u{count}",
    }
    return Instance(
        id=instance_id,
        name=f"office-{instance_id}",
        status=status,
        image_id=image_id,
        updated_at=f"u{count}",
        image_source="gold",
        record=json.dumps(body, separators=(",", ":"), sort_keys=True),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the watcher was told of one instance, and when; `error` where it was refused an answer."""

    arrived_s: float
    run: int
    status: str | None = None
    error: bool = False


class SimulatedCloud:
    """Answers late, badly or not at all; an answer is true at one moment between question and arrival.

    Now and then it says once that it knows no instance that it knows, or its list does not show one.
    """

    def __init__(
        self,
        world: Mapping[str, Biography],
        faults: Faults,
        clock: Clock,
        *,
        page: int,
        is_list_believed: bool,
        tell: Callable[..., None],
    ) -> None:
        self._world = world
        self._faults = faults
        self._clock = clock
        self._page = page
        self._is_list_believed = is_list_believed
        self._tell = tell
        self._pages: dict[tuple[int, int, tuple[Instance, ...]], InstancePage] = {}
        self._gone: set[str] = set()
        self.run = 0
        self.answers: dict[str, list[Answer]] = {instance_id: [] for instance_id in world}

    def of_run(self, run: int) -> SimulatedCloud:
        """The same cloud as one of several watchers asks it."""
        theirs = copy.copy(self)
        theirs.run = run
        return theirs

    async def show(self, instance_id: str) -> Instance:
        back_s = await self._travel(instance_id, "show", instance_id)
        seen = self._world[instance_id].at(self._clock.monotonic())
        if seen is not None and self._may_lie(instance_id) and self._faults.draw(self._faults.lies):
            self._tell("lies", instance_id)
            seen = None
        await self._return(back_s)
        self._note(instance_id, seen)
        if seen is None:
            self._gone.add(instance_id)
            raise CloudNotFoundError("no such server", http_status=404, code="WKS.00211902")
        self._gone.discard(instance_id)
        return seen

    async def list_page(
        self, *, offset: int, limit: int = 100, name: str | None = None, enterprise_project_id: str | None = None
    ) -> InstancePage:
        back_s = await self._travel("", "list")
        now_s = self._clock.monotonic()
        there = [seen for biography in self._world.values() if (seen := biography.at(now_s)) is not None]
        shown = [seen for seen in there if not self._faults.draw(self._faults.list_hides)]
        items = tuple(shown[offset : offset + min(limit, self._page)])
        await self._return(back_s)
        for seen in items if self._is_list_believed else ():
            self._note(seen.id, seen)
        key = offset, len(shown), items
        return self._pages.setdefault(key, InstancePage(count=len(shown), items=items))

    async def sub_jobs(
        self,
        job_type: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[SubJob]:
        back_s = await self._travel("", "jobs")
        now_s = self._clock.monotonic()
        known = [
            (at_s, step)
            for biography in self._world.values()
            for at_s, step in biography.steps
            if at_s <= now_s and step.job_type == job_type
        ]
        steps = [step for _, step in sorted(known, key=lambda each: (each[0], each[1].id), reverse=True)]
        await self._return(back_s)
        return steps[offset : offset + limit]

    async def has_new_credential(self) -> bool:
        return self._faults.draw(0.1)

    async def jobs(self, job_type: str, *, status: str | None = None) -> list[Job]:
        raise NotImplementedError

    async def job(self, job_id: str) -> Job:
        raise NotImplementedError

    async def close(self) -> None:
        pass

    def _may_lie(self, instance_id: str) -> bool:
        """Not twice in a row, nor of what is being deleted: there is no telling such a lie from the truth."""
        biography = self._world[instance_id]
        past = biography.states[: biography.place(self._clock.monotonic()) + 1]
        return instance_id not in self._gone and all(seen is None or seen.status != "DELETING" for seen in past)

    async def _travel(self, instance_id: str, *scopes: str) -> float:
        """Go to the cloud; how long the way back will take. Raises what the cloud is ill of."""
        rng, faults = faults_rng(self._faults), self._faults
        there_s, back_s = rng.choice([(0.05, 0.0), (0.0, 0.05), (0.1, 0.2)])
        if faults.draw(faults.slow_cloud):
            there_s, back_s = rng.choice([(6.0, 0.0), (0.0, 6.0), (0.0, 3.0), (1.0, 20.0)])
        if there_s:
            await asyncio.sleep(there_s * rng.uniform(0.1, 1.0))  # noqa: TID251 - virtual time
        faults.point()
        for scope in scopes:
            spell = faults.met(faults.cloud, self._clock.monotonic(), scope)
            if spell is not None:
                self._blame(instance_id)
                raise _error(spell.error, rng)
        if back_s > CLOUD_TIMEOUT_S:
            await asyncio.sleep(CLOUD_TIMEOUT_S)  # noqa: TID251 - virtual time
            self._blame(instance_id)
            raise CloudUnavailableError(f"no answer within {CLOUD_TIMEOUT_S:g} s")
        return back_s

    async def _return(self, back_s: float) -> None:
        arrives_s = self._clock.monotonic() + back_s
        if back_s:
            await asyncio.sleep(back_s)  # noqa: TID251 - virtual time
        self._faults.point()
        if self._clock.monotonic() > arrives_s + CLOUD_TIMEOUT_S:  # who asked was stopped meanwhile
            raise CloudUnavailableError(f"no answer within {CLOUD_TIMEOUT_S:g} s")

    def _note(self, instance_id: str, seen: Instance | None) -> None:
        status = seen.status if seen is not None else None
        self.answers[instance_id].append(Answer(self._clock.monotonic(), self.run, status))
        self._tell("cloud", instance_id, status)

    def _blame(self, instance_id: str) -> None:
        if instance_id:
            self.answers[instance_id].append(Answer(self._clock.monotonic(), self.run, error=True))
        self._tell("cloud", instance_id or "list", "fails")


def faults_rng(faults: Faults) -> random.Random:
    """What the latencies are drawn from."""
    return faults.rng


def _error(kind: type[CloudError], rng: random.Random) -> CloudError:
    retry_after_s = rng.uniform(1, 60) if kind is CloudThrottledError and rng.random() < 0.5 else None
    return kind("ill", http_status=400 + CLOUD_ERRORS.index(kind), code="WKS.0", retry_after_s=retry_after_s)
