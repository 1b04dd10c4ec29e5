"""Plays a scenario: fills the world and plans the timeline in it."""

import logging
from functools import partial

from watcher.simulator.faults import FaultBoard
from watcher.simulator.instances import Attributes
from watcher.simulator.scenario import (
    AnyStep,
    CreateStep,
    DeleteStep,
    FaultOffStep,
    FaultOnStep,
    InstanceSpec,
    RecreateStep,
    Scenario,
    SetStatusStep,
    VanishStep,
)
from watcher.simulator.world import NotAllowedError, UnknownInstanceError, World

logger = logging.getLogger(__name__)


class Player:
    """Carries out a scenario on a world and a fault board; `problems` collects steps that could not be done."""

    def __init__(self, scenario: Scenario, *, world: World, faults: FaultBoard) -> None:
        self.problems: list[str] = []
        self._world = world
        self._faults = faults
        self._ids: dict[str, str] = {}
        for spec in scenario.instances:
            self._put(spec)
        for step in scenario.timeline:
            world.after(step.at, partial(self._do, step))

    def _put(self, spec: InstanceSpec) -> None:
        attributes = Attributes()
        if spec.description is not None:
            attributes["description"] = spec.description
        if spec.enterprise_project_id is not None:
            attributes["enterprise_project_id"] = spec.enterprise_project_id
        for name in spec.names():
            self._ids[name] = self._world.put(
                id=spec.id,
                name=name,
                status=spec.status,
                image_id=spec.image_id,
                build=spec.build,
                lives=True,
                **attributes,
            )

    def _do(self, step: AnyStep) -> None:
        try:
            self._carry_out(step)
        except (UnknownInstanceError, NotAllowedError, KeyError) as problem:
            text = f"step at {step.at:g}s could not be carried out: {type(problem).__name__}: {problem}"
            self.problems.append(text)
            logger.warning("%s", text)

    def _carry_out(self, step: AnyStep) -> None:
        match step:
            case CreateStep(create=new):
                self._ids[new.name] = self._world.create(
                    name=new.name, outcome=new.outcome, reason=new.reason, build=new.build
                )
            case RecreateStep(recreate=what):
                self._world.recreate(self._ids[what.name], outcome=what.outcome, reason=what.reason)
            case DeleteStep(delete=what):
                self._world.delete(self._ids[what.name])
            case SetStatusStep(set_status=what):
                self._world.put(id=self._ids[what.name], status=what.status, image_id=what.image_id)
            case VanishStep(vanish=what):
                self._world.vanish(self._ids[what.name])
            case FaultOnStep(fault_on=fault):
                self._faults.add(fault)
            case FaultOffStep(fault_off=fault_id):
                self._faults.remove(fault_id)
