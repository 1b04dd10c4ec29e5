"""How instances live: the statuses, how long each lasts, what a build may come to. Values only."""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Status(StrEnum):
    """The documented statuses. A record may carry any other word: the simulator is there to try that, too."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    BUILDING = "BUILDING"
    BUILT = "BUILT"
    ERROR = "ERROR"
    DELETING = "DELETING"


def seconds(value: object) -> object:
    """Reads `500ms`, `15s`, `5m`, `2h`, `7d` as seconds and leaves numbers alone. Raises ValueError on other text."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 500ms, 15s, 5m, 2h, 7d or a number of seconds")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0, strict=True, allow_inf_nan=False)]

BuildOutcome = Literal["success", "error", "no_image", "no_word"]
CreateOutcome = Literal["success", "error"]


class SimulatorModel(BaseModel):
    """What all written input of the simulator has in common: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(SimulatorModel):
    """Why a job failed, as `job_execute_info` tells it: a service code such as `WKS.00170206` and a text."""

    code: str
    message: str


class Build(SimulatorModel):
    """What an image build comes to.

    `success`: BUILT with a new image. `error`: ERROR, job FAILED. `no_image`: BUILT, but with the image of before,
    and job FAILED. `no_word`: the same, but the job stays RUNNING. `reason` is the failure's; a plausible one is
    used by default.
    """

    outcome: BuildOutcome = "success"
    reason: Reason | None = None

    def failure(self) -> Reason | None:
        """The reason of the failure, None for a success."""
        match self.outcome:
            case "success" | "no_word":
                return None
            case "error":
                return self.reason or Reason(
                    code="WKS.00170206",
                    message="sysprep failed: package Microsoft.Todos was installed for a user, but not provisioned "
                    "for all users",
                )
            case "no_image":
                return self.reason or Reason(
                    code="WKS.00170211", message="create image failed: the image export timed out"
                )


def creation_failure() -> Reason:
    """Why creating an instance failed, when nobody said why."""
    return Reason(code="WKS.00170103", message="create server failed: the flavor is sold out in this availability zone")


class Durations(SimulatorModel):
    """How long things take, in simulated seconds.

    `create`: CREATING. `build`: BUILDING. `delete`: DELETING. `active`: the pause in ACTIVE before a build that
    starts by itself. `spread`: each duration is drawn, seeded, from ± this fraction around its value.
    """

    create: Seconds = 7 * 60.0
    build: Seconds = 24 * 60.0
    delete: Seconds = 60.0
    active: Seconds = 60.0
    spread: Annotated[float, Field(ge=0, lt=1)] = 0.1
