"""What systemd is told, heard at a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from watcher.app.systemd import ServiceManager

MINUTE_USEC = "60000000"


class Systemd:
    """The listener at the other end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0"))
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """The datagrams since the last look."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(65536).decode())
        return found

    def fed(self) -> int:
        """How many times the watchdog was fed since the last look."""
        return self.heard().count("WATCHDOG=1")


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    listener = Systemd(str(tmp_path / "notify") if request.param == "path" else f"@watcher-{secrets.token_hex(8)}")
    yield listener
    listener.socket.close()


@asynccontextmanager
async def watched(
    systemd: Systemd, clock: FakeClock, reasons: list[str | None], **environment: str
) -> AsyncIterator[asyncio.Task[None]]:
    """A running watchdog's feeder; the last of `reasons` is the present one."""
    manager = ServiceManager(environment={"NOTIFY_SOCKET": systemd.name, **environment}, clock=clock)
    task = asyncio.create_task(manager.run(lambda: reasons[-1]))
    await clock.settle()
    yield task
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_a_life(systemd: Systemd) -> None:
    manager = ServiceManager(environment={"NOTIFY_SOCKET": systemd.name}, clock=FakeClock())
    manager.ready("serving http://127.0.0.1:9468")
    manager.status("2 sources")
    manager.stopping()
    assert systemd.heard() == [
        "READY=1\nSTATUS=serving http://127.0.0.1:9468",
        "STATUS=2 sources",
        "STOPPING=1\nSTATUS=draining",
    ]


async def test_a_reload_names_the_moment_it_began(systemd: Systemd) -> None:
    clock = FakeClock()
    await clock.advance(12.5)
    manager = ServiceManager(environment={"NOTIFY_SOCKET": systemd.name}, clock=clock)
    manager.reloading()
    manager.ready()
    assert systemd.heard() == ["RELOADING=1\nMONOTONIC_USEC=12500000", "READY=1"]


def test_a_text_cannot_say_more_than_a_status(systemd: Systemd) -> None:
    manager = ServiceManager(environment={"NOTIFY_SOCKET": systemd.name}, clock=FakeClock())
    manager.status("office\nMAINPID=1\r\x0bSTOPPING=1 \ud800" + "x" * 9999)
    (heard,) = systemd.heard()
    assert "\n" not in heard
    assert heard.startswith("STATUS=office MAINPID=1 STOPPING=1 ?xxx")
    assert len(heard) < 600


async def test_the_watchdog_is_fed_four_times_in_its_time(systemd: Systemd) -> None:
    clock = FakeClock()
    async with watched(systemd, clock, [None], WATCHDOG_USEC=MINUTE_USEC, WATCHDOG_PID=str(os.getpid())):
        assert systemd.heard() == ["WATCHDOG=1"]
        await clock.advance(60)
        assert systemd.heard() == ["WATCHDOG=1"] * 4


async def test_the_watchdog_starves_while_the_daemon_is_stuck(systemd: Systemd) -> None:
    clock, reasons = FakeClock(), [None, "disk full"]
    async with watched(systemd, clock, reasons, WATCHDOG_USEC=MINUTE_USEC):
        await clock.advance(60)
        assert systemd.heard() == ["STATUS=disk full"]
        reasons.append(None)
        await clock.advance(15)
        assert systemd.heard() == ["WATCHDOG=1", "STATUS=it gets on again"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-1"},
        {"WATCHDOG_USEC": MINUTE_USEC, "WATCHDOG_PID": "1"},  # somebody else's
    ],
)
async def test_without_a_watchdog_nothing_is_fed_and_the_task_goes_on(
    environment: dict[str, str], systemd: Systemd
) -> None:
    clock = FakeClock()
    async with watched(systemd, clock, [None], **environment):
        await clock.advance(3600)
        assert systemd.fed() == 0


@pytest.mark.parametrize("address", ["", "@", "relative", "vsock:2:1234", "/nowhere/notify", "/" + "x" * 500])
def test_without_a_listener_nothing_happens(address: str) -> None:
    manager = ServiceManager(environment={"NOTIFY_SOCKET": address}, clock=FakeClock())
    manager.ready("here")
    manager.reloading()
    manager.stopping()


def test_a_listener_that_does_not_read_holds_up_nobody(systemd: Systemd) -> None:
    manager = ServiceManager(environment={"NOTIFY_SOCKET": systemd.name}, clock=FakeClock())
    for _ in range(5000):
        manager.status("still here")
    assert systemd.heard()
