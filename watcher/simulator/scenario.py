"""Scenarios: what a simulated cloud starts with, and what happens in it when."""

from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from watcher.simulator.faults import Fault
from watcher.simulator.lifecycle import Build, BuildOutcome, CreateOutcome, Durations, Reason, Seconds, SimulatorModel

Name = Annotated[str, Field(min_length=1, max_length=64)]


class InstanceSpec(SimulatorModel):
    """One instance, or `count` of them with `{n}` (or `{n:03}`) in the name, that are there from the start.

    `status` is any word or null. CREATING, BUILDING and DELETING take their course from the start of the scenario,
    with `build` saying what a build comes to; other words stay.
    """

    name: Name
    id: Annotated[str, Field(min_length=1)] | None = None
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    status: str | None = "BUILT"
    image_id: str | None = None
    description: str | None = None
    enterprise_project_id: str | None = None
    build: Build | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if self.count > 1 and self.id is not None:
            raise ValueError("'id' is for one instance, not with 'count'")
        try:
            first, second = self.named(1), self.named(2)
        except (ValueError, LookupError, AttributeError):
            raise ValueError(f"name {self.name!r} is not a pattern such as 'vdi-{{n}}' or 'vdi-{{n:03}}'") from None
        if self.count > 1 and first == second:
            raise ValueError("'count' needs a pattern such as 'vdi-{n}' as name")
        return self

    def named(self, number: int) -> str:
        """The name of the instance of that number, which counts from 1."""
        return self.name.format(n=number)

    def names(self) -> list[str]:
        """The names of all of them."""
        return [self.named(number) for number in range(1, self.count + 1)]


class Target(SimulatorModel):
    """The instance that a step is about, by name: the youngest one of that name."""

    name: Name


class Create(SimulatorModel):
    """A new instance; with `build` it goes on to build its image by itself."""

    name: Name
    outcome: CreateOutcome = "success"
    reason: Reason | None = None
    build: Build | None = None


class Recreate(Target):
    """A build of an image that comes to `outcome`."""

    outcome: BuildOutcome = "success"
    reason: Reason | None = None


class SetStatus(Target):
    """Any status, null included, without a job; `image_id` is changed only if given."""

    status: str | None
    image_id: str | None = None


class NamedFault(Fault):
    """A fault with a name of its own, by which `fault_off` finds it."""

    id: str


class Step(SimulatorModel):
    """One entry of the timeline; `at` is simulated time since the start, in seconds."""

    at: Seconds


class CreateStep(Step):
    """`create`."""

    create: Create


class RecreateStep(Step):
    """`recreate`."""

    recreate: Recreate


class DeleteStep(Step):
    """`delete`: the regular way, by DELETING."""

    delete: Target


class SetStatusStep(Step):
    """`set_status`."""

    set_status: SetStatus


class VanishStep(Step):
    """`vanish`: gone from one request to the next."""

    vanish: Target


class FaultOnStep(Step):
    """`fault_on`."""

    fault_on: NamedFault


class FaultOffStep(Step):
    """`fault_off`: the id of the fault."""

    fault_off: str


ACTIONS = ("create", "recreate", "delete", "set_status", "vanish", "fault_on", "fault_off")


def action_of(entry: object) -> str | None:
    """What a step, read or yet to be read, does: the one of ACTIONS that it names, None unless it is exactly one."""
    if isinstance(entry, Step):
        return next(name for name in ACTIONS if hasattr(entry, name))
    named = [name for name in ACTIONS if name in entry] if isinstance(entry, dict) else []
    return named[0] if len(named) == 1 else None


AnyStep = Annotated[
    Annotated[CreateStep, Tag("create")]
    | Annotated[RecreateStep, Tag("recreate")]
    | Annotated[DeleteStep, Tag("delete")]
    | Annotated[SetStatusStep, Tag("set_status")]
    | Annotated[VanishStep, Tag("vanish")]
    | Annotated[FaultOnStep, Tag("fault_on")]
    | Annotated[FaultOffStep, Tag("fault_off")],
    Discriminator(
        action_of,
        custom_error_type="step",
        custom_error_message=f"needs 'at' and exactly one of {', '.join(ACTIONS)}",
    ),
]


class ThrottleSpec(SimulatorModel):
    """Requests a minute, in *real* time, and whether refusals carry Retry-After."""

    requests_per_minute: Annotated[int, Field(ge=0)] | None = None
    retry_after: bool = False


class Scenario(SimulatorModel):
    """A whole scenario. The empty one is an empty cloud."""

    seed: int = 1
    auto_build: bool = False
    durations: Durations = Durations()
    throttle: ThrottleSpec = ThrottleSpec()
    instances: tuple[InstanceSpec, ...] = ()
    timeline: tuple[AnyStep, ...] = ()
