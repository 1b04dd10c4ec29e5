from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.simulator import (
    Build,
    Durations,
    NotAllowedError,
    Reason,
    SimulatedClock,
    UnknownInstanceError,
    World,
)
from watcher.simulator.lifecycle import BuildOutcome
from watcher.simulator.wire import instance_json, stamp

START = datetime(2026, 1, 1, tzinfo=UTC)
EXACT = Durations(create=420, build=1440, delete=60, active=30, spread=0)
RIDDLE = Reason(code="WKS.1", message="why not")


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(start=START, speed=0)


@pytest.fixture
def world(clock: SimulatedClock) -> World:
    return World(now=clock, durations=EXACT)


def test_create_goes_from_creating_to_active_and_stays(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office")
    assert world.get(created).status == "CREATING"
    clock.advance(419.9)
    assert world.get(created).status == "CREATING"
    clock.advance(0.1)
    assert world.get(created).status == "ACTIVE"
    clock.advance(1e6)
    assert world.get(created).status == "ACTIVE"
    assert world.get(created).image_id == ""


def test_a_change_is_stamped_when_it_was_due_not_when_it_was_seen(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office")
    clock.advance(5000)
    assert (world.get(created).updated_at - START).total_seconds() == 420
    [job] = world.jobs.jobs("CREATE_SERVER")
    assert job.end == world.get(created).updated_at


def test_create_can_fail(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office", outcome="error", build=Build())
    clock.advance(5000)
    assert world.get(created).status == "ERROR"
    [sub] = world.jobs.sub_jobs("CREATE_SERVER")
    assert (sub.resource_id, sub.status) == (created, "FAILED")
    assert sub.reason is not None
    assert sub.reason.code.startswith("WKS.")


@pytest.mark.parametrize("by", ["world", "instance"])
def test_a_build_follows_by_itself_only_if_asked(clock: SimulatedClock, by: str) -> None:
    world = World(now=clock, durations=EXACT, auto_build=by == "world")
    created = world.create(name="office", build=Build() if by == "instance" else None)
    seen = []
    for _ in range(2000):
        clock.advance(1)
        seen.append(world.get(created).status)
    assert list(dict.fromkeys(seen)) == ["CREATING", "ACTIVE", "BUILDING", "BUILT"]
    assert world.get(created).image_id != ""


@pytest.mark.parametrize(
    ("outcome", "status", "job_status", "new_image"),
    [
        ("success", "BUILT", "SUCCESS", True),
        ("no_image", "BUILT", "FAILED", False),
        ("error", "ERROR", "FAILED", False),
    ],
)
def test_what_a_build_comes_to(
    world: World, clock: SimulatedClock, outcome: BuildOutcome, status: str, job_status: str, new_image: bool
) -> None:
    instance = world.put(name="office", image_id="old")
    job_id = world.recreate(instance, outcome=outcome, reason=RIDDLE)
    assert world.get(instance).status == "BUILDING"
    assert world.get(instance).image_id == "old"
    clock.advance(1440)
    after = world.get(instance)
    assert after.status == status
    assert (after.image_id != "old") is new_image
    job = world.jobs.get(job_id)
    assert job is not None
    assert job.status == job_status
    [sub] = world.jobs.sub_jobs("CREATE_SERVER_IMAGE", job_id=job_id)
    assert sub.reason == (None if outcome == "success" else RIDDLE)
    assert sub.resource_name == "office"
    assert (sub.resource_id == after.image_id) is new_image


@pytest.mark.parametrize("status", ["CREATING", "BUILDING", "ERROR", "DELETING", "built", None, ""])
def test_recreate_is_for_active_and_built_only(world: World, status: str | None) -> None:
    instance = world.put(status=status)
    with pytest.raises(NotAllowedError):
        world.recreate(instance)


def test_delete_takes_a_while_then_the_instance_is_unknown(world: World, clock: SimulatedClock) -> None:
    keep, gone, too = (world.put(name=name) for name in "abc")
    job_id = world.delete(gone, too, gone)
    assert world.get(gone).status == "DELETING"
    clock.advance(60)
    assert world.ids() == [keep]
    with pytest.raises(UnknownInstanceError):
        world.get(gone)
    job = world.jobs.get(job_id)
    assert job is not None
    assert (job.status, [sub.resource_id for sub in job.subs]) == ("SUCCESS", [gone, too])


@pytest.mark.parametrize("status", ["CREATING", "BUILDING", "DELETING"])
def test_delete_of_several_is_all_or_nothing(world: World, status: str) -> None:
    fine, busy = world.put(), world.put(status=status)
    with pytest.raises(NotAllowedError):
        world.delete(fine, busy)
    assert world.get(fine).status == "BUILT"


def test_a_job_with_a_failure_among_its_parts_has_failed(world: World) -> None:
    job = world.jobs.start("CREATE_SERVER", [("1", "a"), ("2", "b")], at=START)
    world.jobs.finish(job.subs[0], at=START, reason=RIDDLE)
    assert job.status == "RUNNING"
    world.jobs.finish(job.subs[1], at=START)
    assert job.status == "FAILED"


@pytest.mark.parametrize("status", ["PAUSED", "null", "", None, "CREATING"])
def test_put_sets_any_status_and_it_stays(world: World, clock: SimulatedClock, status: str | None) -> None:
    instance = world.put(id="x", status=status)
    clock.advance(1e6)
    assert world.get(instance).status == status


def test_put_changes_only_what_is_given(world: World) -> None:
    world.put(id="x", name="office", status="ERROR", image_id="i", description="d")
    world.put(id="x", status="BUILT")
    after = world.get("x")
    assert (after.name, after.status, after.image_id, after.description) == ("office", "BUILT", "i", "d")


def test_put_overrides_what_was_planned(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office")
    world.put(id=created, status="ERROR")
    clock.advance(1e6)
    assert world.get(created).status == "ERROR"


def test_put_may_spoil_the_record(world: World) -> None:
    world.put(id="x", fields={"status": 7, "extra": []})
    record = instance_json(world.get("x"), lambda moment: moment)
    assert (record["status"], record["extra"], record["id"]) == (7, [], "x")


@pytest.mark.parametrize(("status", "later"), [("CREATING", "ACTIVE"), ("BUILDING", "BUILT"), ("ACTIVE", "ACTIVE")])
def test_put_can_let_an_instance_live_on(world: World, clock: SimulatedClock, status: str, later: str) -> None:
    instance = world.put(status=status, lives=True)
    clock.advance(1440)
    assert world.get(instance).status == later


def test_put_deleting_lives_on_to_the_end(world: World, clock: SimulatedClock) -> None:
    world.put(status="DELETING", lives=True)
    clock.advance(60)
    assert world.ids() == []


def test_vanish_is_at_once_and_forgets_what_was_planned(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office")
    world.vanish(created)
    clock.advance(1e6)
    assert len(world) == 0
    with pytest.raises(UnknownInstanceError):
        world.vanish(created)


def test_ids_of_related_things_are_empty_while_creating_then_fixed(world: World, clock: SimulatedClock) -> None:
    created = world.create(name="office")
    assert set(world.get(created).related_ids().values()) == {""}
    clock.advance(420)
    active = world.get(created).related_ids()
    assert len(set(active.values())) == 4
    world.recreate(created)
    assert world.get(created).related_ids() == active


def test_a_clock_that_goes_back_does_not_turn_the_world_back() -> None:
    times = iter([START, START + timedelta(seconds=10), START])
    world = World(now=lambda: next(times, START))
    first, second = world.put(), world.put()
    assert world.get(second).created_at == world.get(first).created_at == START + timedelta(seconds=10)


def test_pages_follow_what_comes_and_goes(world: World, clock: SimulatedClock) -> None:
    ids = [world.put() for _ in range(5)]
    assert [each.id for each in world.page(1, 3)] == ids[1:4]
    ids.append(world.put())
    assert [each.id for each in world.page(4, 100)] == ids[4:]
    world.vanish(ids[1])
    world.delete(ids[2])
    assert [each.id for each in world.page(1, 3)] == ids[2:5]
    clock.advance(60)
    new = world.put()
    assert [each.id for each in world.page(0, 100)] == [ids[0], *ids[3:], new]


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "2026-01-01T00:00:00Z"), (610_000, "2026-01-01T00:00:00.61Z"), (123_456, "2026-01-01T00:00:00.123Z")],
)
def test_stamps_drop_trailing_zeros(microseconds: int, text: str) -> None:
    assert stamp(START.replace(microsecond=microseconds)) == text


def test_durations_spread_around_their_value(clock: SimulatedClock) -> None:
    world = World(now=clock, seed=3, durations=Durations(create=100, spread=0.1))
    for _ in range(50):
        world.create(name="office")
    clock.advance(200)
    took = [(each.updated_at - START).total_seconds() for each in world.instances()]
    assert 90 <= min(took) < 95
    assert 105 < max(took) <= 110


@given(seed=st.integers(), steps=st.lists(st.floats(0, 2000), max_size=8))
def test_the_world_does_not_depend_on_when_it_is_looked_at(seed: int, steps: list[float]) -> None:
    def end_of_a_world(*, looking: bool) -> list[object]:
        clock = SimulatedClock(start=START, speed=0)
        world = World(now=clock, seed=seed, auto_build=True)
        created = world.create(name="a")
        world.create(name="b", build=Build(outcome="error"))
        world.after(700, lambda: world.vanish(created))
        world.after(700, lambda: world.create(name="c"))
        for step in steps:
            clock.advance(step)
            if looking:
                world.advance()
        return [*world.instances(), *world.jobs.jobs("CREATE_SERVER"), *world.jobs.sub_jobs("CREATE_SERVER_IMAGE")]

    assert end_of_a_world(looking=True) == end_of_a_world(looking=False)
