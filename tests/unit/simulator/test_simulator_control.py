import pytest

from watcher.simulator.control import is_loopback


@pytest.mark.parametrize(
    ("peer", "own"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("10.0.0.7", False), ("fe80::1", False), (None, False)],
)
def test_control_is_for_loopback(peer: str | None, own: bool) -> None:
    assert is_loopback(peer) is own
