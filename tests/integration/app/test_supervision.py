"""What the daemon says of itself: to whoever asks whether it lives, and to systemd."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import structlog
import trustme

from tests.acceptance.process import configuration
from tests.fakes.sink import Sink
from watcher.app import ConfigurationFile, Daemon
from watcher.core.clock import SystemClock
from watcher.simulator import Fault, Scenario, Simulator


class LeapingClock(SystemClock):
    """The machine's clocks, but hours may pass at once."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@asynccontextmanager
async def running(config: Path, clock: SystemClock, **environment: str) -> AsyncIterator[str]:
    """The daemon in this process, until it has drained; the URL it serves."""
    file = ConfigurationFile(config, environment, clock=clock)
    settings, _ = file.load()
    daemon = Daemon(
        settings=settings, environment=environment, clock=clock, rng=random.Random(1), output=io.StringIO(), file=file
    )
    stop, serving = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(daemon.run(stop, on_started=serving.set_result))
    try:
        yield await serving
    finally:
        stop.set()
        await task


async def healthy(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/-/healthy") as answer:
        return answer.status, await answer.text()


async def test_a_poll_that_hangs_for_good_makes_it_unhealthy_and_stops_the_heartbeat(tmp_path: Path) -> None:
    clock = LeapingClock()
    async with Simulator(Scenario(), speed=0) as cloud, Sink() as sink:
        office = cloud.world.put(name="office", status="BUILT")
        config = configuration(
            cloud,
            tmp_path,
            instances=[office],
            receivers=[],
            poll={"timeout": "1h"},
            heartbeat={"url": f"{sink.url}/beat", "interval": "50ms"},
        )
        async with running(config, clock) as url:
            await sink.until(lambda received: len(received) >= 2)
            cloud.faults.add(Fault(kind="hang", count=1))
            [hang] = cloud.faults.active()
            async with asyncio.timeout(30):
                while hang.remaining:
                    assert await healthy(url) == (200, "watcher is healthy.\n")
            clock.ahead_s = 6 * 3600.0
            answer = await healthy(url)
            assert answer[0] == 503
            assert answer[1].startswith("watcher is not healthy: the scheduler has done nothing for 216")
            async with asyncio.timeout(30):  # it looks again, and goes on
                while "the scheduler" in (answer := await healthy(url))[1]:
                    pass
            assert answer[0] == 503
            assert answer[1].startswith("watcher is not healthy: a poll cycle of source prod has been under way for 21")
            sink.received.clear()
            await healthy(url)
            assert sink.received == []
            cloud.faults.clear()


async def test_systemd_is_told_of_start_reload_and_stop(tmp_path: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud:
        config = configuration(cloud, tmp_path, instances=["1"], receivers=[])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.setblocking(False)
            async with running(config, SystemClock(), NOTIFY_SOCKET=str(tmp_path / "notify")) as url:
                for text in (config.read_text(), "sources: 3"):
                    config.write_text(text)
                    async with aiohttp.ClientSession() as session, session.post(f"{url}/-/reload") as answer:
                        assert answer.status == (500 if text == "sources: 3" else 200)
            told = []
            while True:
                try:
                    told.append(systemd.recv(4096).decode().splitlines())
                except BlockingIOError:
                    break
    refused = f"STATUS=the configuration is refused: {config}:1:10: sources: must be a list"
    assert [[line for line in lines if not line.startswith("MONOTONIC_USEC=")] for lines in told] == [
        ["READY=1", f"STATUS=serving {url}"],
        ["RELOADING=1"],
        ["READY=1", "STATUS=the configuration applies"],
        ["RELOADING=1"],
        ["READY=1", refused],
        ["STOPPING=1", "STATUS=draining"],
    ]


async def test_a_certificate_that_is_renewed_on_disk_is_served_and_a_broken_one_is_not(tmp_path: Path) -> None:
    ca, trust = trustme.CA(), ssl.create_default_context()
    ca.configure_trust(trust)
    pair = {"cert_file": str(tmp_path / "tls.crt"), "key_file": str(tmp_path / "tls.key")}

    def write(name: str) -> None:
        certificate = ca.issue_cert("127.0.0.1", common_name=name)
        certificate.cert_chain_pems[0].write_to_path(pair["cert_file"])
        certificate.private_key_pem.write_to_path(pair["key_file"])

    async def served(url: str) -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), ssl=trust)
        subject = writer.get_extra_info("peercert")["subject"]
        writer.close()
        return str(dict(each[0] for each in subject)["commonName"])

    write("first")
    async with Simulator(Scenario(), speed=0) as cloud:
        web = {"listen": "127.0.0.1:0", "tls": pair}
        config = configuration(cloud, tmp_path, instances=["1"], receivers=[], web=web)
        with structlog.testing.capture_logs() as logs:
            async with running(config, SystemClock()) as url, asyncio.timeout(30):
                assert url.startswith("https://")
                assert await served(url) == "first"
                Path(pair["key_file"]).write_text("no key at all")
                while not any(line["event"] == "certificate refused" for line in logs):
                    assert await served(url) == "first"
                write("second")
                while await served(url) == "first":
                    pass
                assert await served(url) == "second"
