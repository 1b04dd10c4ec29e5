import pytest
from pydantic import ValidationError

from watcher.simulator import Fault
from watcher.simulator.faults import FaultBoard


class Board:
    """A fault board that counts how often all tokens were ended."""

    def __init__(self) -> None:
        self.expired = 0
        self.faults = FaultBoard(expire_tokens=self._expire, seed=1)

    def _expire(self) -> None:
        self.expired += 1

    def hits(self, operation: str = "ShowImageServer", instance_id: str | None = None) -> list[str]:
        return [hit.id for hit in self.faults.strike(operation=operation, instance_id=instance_id)]


@pytest.fixture
def board() -> Board:
    return Board()


def test_a_fault_hits_until_it_is_removed(board: Board) -> None:
    fault_id = board.faults.add(Fault(kind="reset"))
    assert board.hits() == board.hits() == [fault_id]
    board.faults.remove(fault_id)
    assert board.hits() == []
    with pytest.raises(KeyError):
        board.faults.remove(fault_id)


def test_a_count_runs_out(board: Board) -> None:
    board.faults.add(Fault(kind="reset", count=2))
    assert [bool(board.hits()) for _ in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("operation", "hit"), [("ShowImageServer", False), ("ListImageServers", True), ("ListImageJobs", True)]
)
def test_an_operation_may_be_a_pattern(board: Board, operation: str, hit: bool) -> None:
    board.faults.add(Fault(kind="empty", operation="List*"))
    assert bool(board.hits(operation)) is hit


def test_an_instance_may_be_named(board: Board) -> None:
    board.faults.add(Fault(kind="hang", instance_id="1"))
    assert [bool(board.hits(instance_id=each)) for each in ("1", "2", None)] == [True, False, False]
    assert board.hits("ListImageServers") == []


def test_wrong_types_for_an_instance_concern_the_list_too(board: Board) -> None:
    board.faults.add(Fault(kind="wrong_types", instance_id="1"))
    assert board.hits("ListImageServers") != []
    assert board.hits("ListImageJobs") == []


def test_probability_is_seeded() -> None:
    def pattern() -> list[bool]:
        board = Board()
        board.faults.add(Fault(kind="reset", probability=0.3))
        return [bool(board.hits()) for _ in range(200)]

    assert pattern() == pattern()
    assert 40 < sum(pattern()) < 80


def test_latency_adds_to_the_first_of_the_others(board: Board) -> None:
    for fault in (
        Fault(id="a", kind="latency", ms=1),
        Fault(id="b", kind="reset", count=1),
        Fault(id="c", kind="html"),
        Fault(id="d", kind="latency", ms=1),
    ):
        board.faults.add(fault)
    assert board.hits() == ["a", "b", "d"]
    assert board.hits() == ["a", "c", "d"]


def test_the_same_id_replaces(board: Board) -> None:
    board.faults.add(Fault(id="x", kind="reset"))
    board.faults.add(Fault(id="x", kind="html"))
    assert [active.fault.kind for active in board.faults.active()] == ["html"]


def test_token_expiry_happens_at_once_and_leaves_nothing(board: Board) -> None:
    board.faults.add(Fault(kind="token_expiry"))
    assert (board.expired, board.faults.active()) == (1, [])


def test_clear_lets_hanging_requests_go(board: Board) -> None:
    board.faults.add(Fault(kind="hang", count=1))
    [hit] = board.faults.strike(operation="x", instance_id=None)
    assert not hit.removed.is_set()
    board.faults.clear()
    assert hit.removed.is_set()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"kind": "latency"}, "needs 'ms'"),
        ({"kind": "reset", "ms": 5}, "reset has no 'ms'"),
        ({"kind": "hang", "status": 500}, "hang has no 'status'"),
        ({"kind": "error", "retry_after": 5}, "error has no 'retry_after'"),
        ({"kind": "explosion"}, "Input should be"),
        ({"kind": "reset", "often": True}, "Extra inputs"),
        ({"kind": "reset", "probability": 0}, "greater than 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(content: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Fault.model_validate(content)
