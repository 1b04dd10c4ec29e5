"""What goes on around the watcher, day after day: the same each day, so that one day can be held against another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.soak.mailbox import Mailbox
from watcher.core.clock import Clock
from watcher.simulator import Build, Fault, Simulator
from watcher.simulator.lifecycle import BuildOutcome

HOUR_S = 3600.0
MINUTE_S = 60.0
OFFICES = 60

# By the hour of the day in which the cloud is so, from its 20th to its 40th minute.
OUTAGES: dict[int, dict[str, Any]] = {
    2: {"kind": "error", "status": 503},
    4: {"kind": "error", "status": 401},
    6: {"kind": "hang"},
    8: {"kind": "bad_json"},
    9: {"kind": "html"},
    11: {"kind": "reset"},
    12: {"kind": "throttle", "retry_after": 30},
    13: {"kind": "token_expiry"},
    15: {"kind": "truncated"},
    16: {"kind": "wrong_types"},
    17: {"kind": "empty"},
    19: {"kind": "latency", "ms": 700},
    20: {"kind": "error", "status": 500, "probability": 0.3},
}
_FAILURES: tuple[BuildOutcome, ...] = ("error", "no_image", "no_word")
PAGE = (
    "/",
    "/api/v1/status",
    "/api/v1/instances?order=problems&limit=50",
    "/api/v1/events?order=newest&limit=50",
    "/api/v1/alerts?order=problems",
    "/api/v1/sources",
    "/api/v1/silences",
    "/api/v1/deliveries?limit=50",
    "/api/v1/nothing",
)


class Life:
    """Instances, outages, receivers, operators, and all who look."""

    def __init__(
        self, *, cloud: Simulator, mailbox: Mailbox, clock: Clock, web: aiohttp.ClientSession, offices: list[str]
    ) -> None:
        self._cloud = cloud
        self._mailbox = mailbox
        self._clock = clock
        self._web = web
        self._offices = offices
        self._temps: list[str] = []
        self._broken: list[str] = []
        self._ack_fingerprint = ""
        self.url = ""
        self.wrong: list[str] = []
        self.answers: dict[int, int] = {}
        self._number = 0
        self._scrapes = 0  # at the first it is not yet ready

    async def day(self) -> None:
        """Live for 24 hours."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hours())
            group.create_task(self._each(HOUR_S, self._scrape))
            group.create_task(self._each(6 * HOUR_S, self._look_at_page))
            group.create_task(self._each(2 * HOUR_S, self._listen))
            group.create_task(self._do_not_read())

    async def _each(self, every_s: float, what: Callable[[], Awaitable[None]]) -> None:
        for _ in range(int(24 * HOUR_S / every_s)):
            began_s = self._clock.monotonic()
            await what()
            await self._clock.sleep(every_s - (self._clock.monotonic() - began_s))

    async def reload(self) -> None:
        """Have the watcher read its configuration again, and live with it for a quarter of an hour."""
        async with self._web.post(f"{self.url}/-/reload") as response:
            if response.status != 200:
                self.wrong.append(f"the configuration is refused: {await response.text()}")
        await self._clock.sleep(15 * MINUTE_S)

    # -- the cloud -----------------------------------------------------------------------------------------------

    async def _hours(self) -> None:
        for hour in range(24):
            began_s = self._clock.monotonic()
            self._go_on(hour)
            await self._operate(hour)
            self._change_receivers(hour)
            await self._clock.sleep(20 * MINUTE_S)
            if hour in OUTAGES:
                self._cloud.faults.add(Fault(id="outage", **OUTAGES[hour]))
            await self._clock.sleep(20 * MINUTE_S)
            self._cloud.faults.clear()
            await self._clock.sleep(HOUR_S - (self._clock.monotonic() - began_s))

    def _go_on(self, hour: int) -> None:
        world = self._cloud.world
        for each in self._broken:
            world.put(id=each, status="ACTIVE")
        self._broken.clear()
        if hour == 23:
            return
        first = 4 + 2 * hour  # those before have parts of their own
        good, bad = self._offices[first : first + 2]
        outcome = _FAILURES[hour // 2 % len(_FAILURES)]
        if hour % 2:
            world.recreate(good)
        else:
            world.recreate(bad, outcome=outcome)
            self._broken.append(bad)
        self._be_odd(hour)
        if hour % 6 == 1:
            self._number += 1
            self._temps.append(world.create(name=f"temp-{self._number}", build=Build()))
        elif hour % 6 == 4:
            world.delete(self._temps.pop())

    def _be_odd(self, hour: int) -> None:
        """What comes to a few in a day: stuck, an unknown status, missing for hours."""
        world = self._cloud.world
        match hour:
            case 1:
                world.put(id=self._offices[2], status="BUILDING")  # stuck, and reminded of
            case 5:
                world.put(id=self._offices[3], status="ON FIRE")
            case 7:
                world.put(id=self._offices[3], status="BUILT")
                world.put(id=self._offices[2], status="BUILT")
            case 10:
                world.vanish(self._offices[3])
            case 14:
                world.put(id=self._offices[3], name="office-3", status="BUILT")
            case _:
                pass

    # -- receivers and operators ---------------------------------------------------------------------------------

    def _change_receivers(self, hour: int) -> None:
        match hour:
            case 3:
                self._mailbox.feel("single", "down")
            case 7:
                self._mailbox.feel("single", "well")
                self._mailbox.feel("digests", "cutting")
            case 9:
                self._mailbox.feel("digests", "well")
                self._mailbox.feel("single", "hanging")
            case 10:
                self._mailbox.feel("single", "well")
            case _:
                pass

    async def _operate(self, hour: int) -> None:
        silenced, taken, *_ = self._offices
        who = {"author": "soak", "comment": "again"}
        match hour:
            case 1:
                await self._post("/api/v1/silences", {"match": {"instance_id": silenced}, "duration": "2h", **who})
                self._cloud.world.put(id=silenced, status="ERROR")
                self._cloud.world.put(id=taken, status="ERROR")
            case 2:
                path = f"/api/v1/alerts?instance_id={taken}"
                for alert in (await self._get(path))["items"]:
                    await self._post(f"/api/v1/alerts/{alert['fingerprint']}/ack", who)
            case 8:
                made = await self._post("/api/v1/silences", {"match": {"name": "office-0"}, "duration": "5h", **who})
                async with self._web.delete(f"{self.url}/api/v1/silences/{made['id']}") as response:
                    assert response.status == 204, response.status
            case 12:
                self._cloud.world.put(id=silenced, status="BUILT")
                self._cloud.world.put(id=taken, status="BUILT")
            case _:
                pass

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._web.post(self.url + path, json=body) as response:
            said = await response.json()
            assert response.status < 300, said
            return dict(said)

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._web.get(self.url + path) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def figures(self) -> dict[str, int]:
        """How much there was, by the watcher's own metrics."""
        async with self._web.get(f"{self.url}/metrics") as response:
            text = await response.text()
        names = {
            "observations": "watcher_observations_total",
            "notifications": "watcher_notifications_total",
            "events": "watcher_transitions_total",
        }
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {
            key: sum(int(float(line.rpartition(" ")[2])) for line in lines if line.partition("{")[0] == metric)
            for key, metric in names.items()
        }

    # -- those who look ------------------------------------------------------------------------------------------

    async def _scrape(self) -> None:
        self._scrapes += 1
        for path in ("/metrics", "/-/healthy", "/-/ready"):
            async with self._web.get(self.url + path) as response:
                await response.read()
                if response.status != 200 and self._scrapes > 1:
                    self.wrong.append(f"{path} at {self._clock.now()}: {await response.text()}")

    async def _look_at_page(self) -> None:
        for path in (*PAGE, f"/api/v1/instances/prod/{self._offices[0]}/timeline"):
            async with self._web.get(self.url + path) as response:
                await response.read()
                self.answers[response.status] = self.answers.get(response.status, 0) + 1

    async def _listen(self) -> None:
        """Listen to the stream for an hour, from the beginning of what is kept."""
        async with self._web.get(f"{self.url}/api/v1/stream?after=", timeout=aiohttp.ClientTimeout()) as response:
            try:
                async with asyncio.timeout(HOUR_S):
                    async for _ in response.content.iter_any():
                        pass
            except TimeoutError:
                return
            self.wrong.append(f"the stream ended by itself at {self._clock.now()}")

    async def _do_not_read(self) -> None:
        """Be the client of the stream that never reads."""
        at = urlsplit(self.url)
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            silent.connect((at.hostname, at.port))
            silent.sendall(b"GET /api/v1/stream?after= HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await self._clock.sleep(22 * HOUR_S)
