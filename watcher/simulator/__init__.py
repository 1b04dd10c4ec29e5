"""A simulated cloud on loopback: the Workspace image-server API, IAM and machine metadata.

This room answers as the cloud does, on demand with faults, for `watcher simulate`, `watcher demo` and the tests. It
knows nothing of the rest of the package, so that it can prove the rest wrong. Nothing that watches, decides or
notifies belongs here.
"""

from watcher.simulator.clock import SimulatedClock
from watcher.simulator.credentials import Credentials
from watcher.simulator.faults import Fault
from watcher.simulator.lifecycle import Build, Durations, Reason, Status
from watcher.simulator.scenario import InstanceSpec, Scenario
from watcher.simulator.scenario_file import ScenarioError, builtin_scenario, load_scenario
from watcher.simulator.simulator import Simulator
from watcher.simulator.world import NotAllowedError, UnknownInstanceError, World

__all__ = [
    "Build",
    "Credentials",
    "Durations",
    "Fault",
    "InstanceSpec",
    "NotAllowedError",
    "Reason",
    "Scenario",
    "ScenarioError",
    "SimulatedClock",
    "Simulator",
    "Status",
    "UnknownInstanceError",
    "World",
    "builtin_scenario",
    "load_scenario",
]
