"""A week of the daemon in less than a minute, and that a week in which something leaks would be told from it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.loop import soak_loop
from tests.soak.samples import Sample, growth, table

ROOT = Path(__file__).parents[2]
FLAT = [
    Sample(
        day=day,
        rss_mib=113.0 + 0.3 * (day % 3),
        objects=150_000 + 400 * (day % 2),
        tasks=15 + day % 3,
        sockets=9 + 2 * (day % 2),
        files=20,
        threads=12,
        db_kib=min(1500, 500 * day),
        observations=12_000 * day,
        notifications=500 * day,
        events=130 * day,
        events_kept=min(430, 200 * day) + 20 * (day % 3),
    )
    for day in range(1, 8)
]


@pytest.mark.long
async def test_after_a_week_it_holds_what_it_held_after_a_day() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak", "--days", "7"),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},  # not measured for coverage, which would be most of the time and of the memory
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    print(out.decode())  # noqa: T201 - shown when it fails
    assert process.returncode == 0, out.decode()


def test_what_stays_the_same_is_nothing_wrong() -> None:
    assert growth(FLAT) == []
    assert table(FLAT).count("\n") == 7


@pytest.mark.parametrize(
    ("name", "by_day"),
    [
        ("rss_mib", 1.0),
        ("objects", 1000),
        ("tasks", 1),
        ("sockets", 1),
        ("files", 1),
        ("threads", 1),
        ("db_kib", 100),
        ("events_kept", 100),
    ],
)
def test_what_grows_day_by_day_is_told(name: str, by_day: float) -> None:
    leaking = [replace(sample, **{name: getattr(sample, name) + by_day * sample.day}) for sample in FLAT]
    [found] = growth(leaking)
    assert found.startswith(name)


def test_time_passes_while_nobody_is_at_work_and_only_then() -> None:
    def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"said")
        writer.close()

    with soak_loop() as (loop, clock):

        async def work() -> tuple[float, float, bytes]:
            server = await asyncio.start_server(say, "127.0.0.1", 0)
            async with server, asyncio.timeout(1.0):  # in virtual time: what is under way is never too late
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                said = await reader.readexactly(4)
                await asyncio.to_thread(sum, range(10**6))
                at_work_s = clock.monotonic()
                writer.close()
                await writer.wait_closed()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3600):
                    await asyncio.Event().wait()
            return at_work_s, clock.monotonic(), said

        at_work_s, in_all_s, said = loop.run_until_complete(work())
        loop.run_until_complete(loop.shutdown_default_executor())
    assert said == b"said"
    assert at_work_s < 0.1
    assert 3600 < in_all_s < 3601
