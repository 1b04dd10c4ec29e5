from datetime import UTC, datetime
from pathlib import Path

import pytest

from watcher.simulator import (
    InstanceSpec,
    Scenario,
    ScenarioError,
    SimulatedClock,
    Simulator,
    builtin_scenario,
    load_scenario,
)
from watcher.simulator.scenario import ACTIONS

ROOT = Path(__file__).parents[3]


def still(scenario: Scenario | None) -> Simulator:
    """A simulator that does not serve and whose time stands still."""
    return Simulator(scenario, clock=SimulatedClock(start=datetime(2026, 1, 1, tzinfo=UTC), speed=0))


def statuses(simulator: Simulator) -> dict[str, str | None]:
    return {each.name: each.status for each in simulator.world.instances()}


def from_text(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "s.yaml"
    file.write_text(text, encoding="utf-8")
    return load_scenario(file)


def findings(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        from_text(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(raised.value).splitlines()]


def test_the_default_world_is_five_instances_in_different_states() -> None:
    simulator = still(None)
    assert sorted(str(each) for each in statuses(simulator).values()) == [
        "ACTIVE",
        "BUILDING",
        "BUILT",
        "BUILT",
        "CREATING",
    ]
    assert all(len(each) == 18 and each.isdecimal() for each in simulator.world.ids())
    assert simulator.world.ids() == still(None).world.ids()


def test_an_empty_scenario_is_an_empty_cloud(tmp_path: Path) -> None:
    assert len(still(from_text(tmp_path, "")).world) == 0


def test_the_demo_shows_every_ending_within_fifty_minutes() -> None:
    simulator = still(builtin_scenario())
    before = {each.name: each.image_id for each in simulator.world.instances()}
    simulator.advance(120)
    assert statuses(simulator)["design-gpu"] == "BUILDING", "something happens in the first two seconds at speed 60"
    simulator.advance(48 * 60)
    after = {each.name: each for each in simulator.world.instances()}
    assert {name: each.status for name, each in after.items()} == {
        "office-2026": "BUILT",
        "design-gpu": "BUILT",
        "training-room": "BUILT",
        "call-centre": "ERROR",
        "lab-linux": "BUILT",
    }
    assert after["office-2026"].image_id != before["office-2026"]
    assert after["design-gpu"].image_id != before["design-gpu"]
    reasons = [sub.reason.code for sub in simulator.world.jobs.sub_jobs("CREATE_SERVER_IMAGE") if sub.reason]
    assert sorted(reasons) == ["WKS.00170206", "WKS.00170211"]
    assert simulator.problems == []


def test_the_example_of_faults_runs_through() -> None:
    simulator = still(load_scenario(ROOT / "config" / "scenarios" / "faults.yaml"))
    simulator.advance(60)
    assert [active.id for active in simulator.faults.active()] == ["slow"]
    simulator.advance(3600)
    assert simulator.problems == []
    assert statuses(simulator)["vdi-01"] == "HIBERNATED"
    assert statuses(simulator)["vdi-02"] is None
    assert "vdi-03" not in statuses(simulator)


def test_every_step_does_what_it_says(tmp_path: Path) -> None:
    scenario = from_text(
        tmp_path,
        """
        durations: {create: 7m, build: 24m, delete: 1m, spread: 0}
        instances:
          - {name: "v-{n:02}", count: 3}
          - {name: odd, id: "17", status: null}
        timeline:
          - {at: 20s, delete: {name: v-02}}
          - {at: 10, create: {name: new}}
          - {at: 30s, recreate: {name: v-01, outcome: error}}
          - {at: 40s, vanish: {name: v-03}}
          - {at: 500ms, set_status: {name: odd, status: PAUSED, image_id: i}}
          - {at: 50s, fault_on: {id: f, kind: reset}}
          - {at: 1h, fault_off: f}
        """,
    )
    simulator = still(scenario)
    assert statuses(simulator) == {"v-01": "BUILT", "v-02": "BUILT", "v-03": "BUILT", "odd": None}
    simulator.advance(51)
    assert statuses(simulator) == {"v-01": "BUILDING", "v-02": "DELETING", "odd": "PAUSED", "new": "CREATING"}
    assert simulator.world.get("17").image_id == "i"
    assert [active.id for active in simulator.faults.active()] == ["f"]
    simulator.advance(3600)
    assert statuses(simulator) == {"v-01": "ERROR", "odd": "PAUSED", "new": "ACTIVE"}
    assert simulator.faults.active() == []


def test_a_step_that_cannot_be_done_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    scenario = from_text(
        tmp_path,
        """
        instances: [{name: a, status: BUILDING}]
        timeline: [{at: 1s, recreate: {name: a}}, {at: 2s, vanish: {name: a}}, {at: 3s, delete: {name: a}}]
        """,
    )
    simulator = still(scenario)
    simulator.advance(3)
    assert len(simulator.world) == 0
    assert [problem.split(":")[0] for problem in simulator.problems] == [
        "step at 1s could not be carried out",
        "step at 3s could not be carried out",
    ]


def test_a_seed_makes_another_world() -> None:
    scenario = Scenario(instances=(InstanceSpec(name="a"),))
    assert Simulator(scenario, seed=1).world.ids() != Simulator(scenario, seed=2).world.ids()


def test_all_findings_at_once_each_with_its_place(tmp_path: Path) -> None:
    text = """
    instances:
      - {name: a, labels: {x: y}}
      - {name: "b{m}"}
      - {name: c, count: 2}
    durations: {create: 7 minutes}
    timeline:
      - {at: 1s, recreate: {name: a, outcome: maybe}}
      - {at: 1s, explode: {name: a}}
      - {at: 1s, fault_on: {kind: reset}}
      - {delete: {name: a}}
    """
    assert findings(tmp_path, text) == [
        "s.yaml: durations.create: '7 minutes' is not a duration such as 500ms, 15s, 5m, 2h, 7d or a number of seconds",
        "s.yaml: instances[0].labels: unknown key",
        "s.yaml: instances[1]: name 'b{m}' is not a pattern such as 'vdi-{n}' or 'vdi-{n:03}'",
        "s.yaml: instances[2]: 'count' needs a pattern such as 'vdi-{n}' as name",
        "s.yaml: timeline[0].recreate.outcome: Input should be 'success', 'error', 'no_image' or 'no_word'",
        f"s.yaml: timeline[1]: needs 'at' and exactly one of {', '.join(ACTIONS)}",
        "s.yaml: timeline[2].fault_on.id: is missing",
        "s.yaml: timeline[3].at: is missing",
    ]


def test_a_step_about_nobody_is_found(tmp_path: Path) -> None:
    text = "timeline: [{at: 5s, create: {name: late}}, {at: 1s, delete: {name: late}}, {at: 6s, delete: {name: late}}]"
    assert findings(tmp_path, text) == ["s.yaml: timeline[1].delete.name: no instance named 'late' at that time"]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: [", "s.yaml:1:5: expected the node content, but found '<stream end>'"),
        ("- 1", "s.yaml: scenario: Input should be a valid dictionary or instance of Scenario"),
        ("seed: \x07", "s.yaml: unacceptable character #x0007: special characters are not allowed"),
    ],
)
def test_unreadable_files(tmp_path: Path, text: str, finding: str) -> None:
    assert findings(tmp_path, text) == [finding]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml: No such file or directory"):
        load_scenario(tmp_path / "none.yaml")
