"""The pictures of the README, made anew: `python -m tests.browser.pictures`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import aiohttp
from playwright.async_api import Browser

from tests.browser.bench import Bench, chromium, visit
from tests.browser.past import Was, write_past
from tests.fakes.sink import Sink
from watcher.core.clock import SystemClock
from watcher.core.model import Reason
from watcher.policies import open_source
from watcher.settings import Settings
from watcher.simulator import Scenario, Simulator
from watcher.store import open_store

_FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_HOUR, _DAY = 60.0, 1440.0
_SYSPREP = Reason(
    code="WKS.00170206",
    message="sysprep failed: package Microsoft.Todos was installed for a user, but not provisioned for all users",
    exact=True,
)


def _builds(*at: float, lasting: Sequence[float] = (23, 24, 22, 25, 24, 26)) -> list[Was]:
    """Builds that began so many minutes ago, each with its new image."""
    found = [Was(minutes_ago=max(at) + 200, status="BUILT", image_id="img-0")]
    for number, begin in enumerate(sorted(at, reverse=True)):
        took = lasting[number % len(lasting)]
        image = f"img-{number}"
        found += [Was(minutes_ago=begin, status="BUILDING", image_id=image)]
        if begin > took:
            found += [Was(minutes_ago=begin - took, status="BUILT", image_id=f"img-{number + 1}")]
    return found


def _stories() -> dict[str, list[Was]]:
    """What became of which instance, the last of it what it is now."""
    return {
        "office-2026": [
            *_builds(2.9 * _DAY, 2.4 * _DAY, 1.9 * _DAY, 1.45 * _DAY, 0.95 * _DAY),
            Was(minutes_ago=11 * _HOUR, status="BUILDING"),
            Was(minutes_ago=11 * _HOUR - 19, status="ERROR", reason=_SYSPREP),
            Was(minutes_ago=8.5 * _HOUR, status="BUILDING"),
            Was(minutes_ago=8.5 * _HOUR - 24, status="BUILT", image_id="img-9"),
            Was(minutes_ago=14, status="BUILDING", image_id="img-9"),
        ],
        "training-room": [*_builds(2 * _DAY, 1 * _DAY), Was(minutes_ago=31, status="BUILDING")],
        "call-centre": [
            *_builds(1.5 * _DAY),
            Was(minutes_ago=26, status="BUILDING"),
            Was(minutes_ago=7, status="ERROR", reason=_SYSPREP),
        ],
        "lab-linux": [
            *_builds(2 * _DAY),
            Was(minutes_ago=3 * _HOUR, status="BUILDING"),
            Was(minutes_ago=2.7 * _HOUR, status="ERROR"),
        ],
        "legacy-2019": [
            Was(minutes_ago=9 * _DAY, status="BUILT"),
            Was(minutes_ago=42, status="DELETING"),
            Was(minutes_ago=11, status=None),
        ],
        "design-gpu": [Was(minutes_ago=4, status="CREATING"), Was(minutes_ago=2, status="ACTIVE")],
        **{
            name: _builds((2 + number) * _DAY)
            for number, name in enumerate(("finance", "kiosk-lobby", "office-2025", "sales-apac", "warehouse"))
        },
    }


class _Shown(Bench):
    def settings(self) -> dict[str, object]:
        plain = super().settings()
        chat = {**plain["receivers"][0], "name": "chat"}
        pager = {**plain["receivers"][0], "name": "on-call"}
        pages = {"error": "https://wiki.example/image-in-error", "stuck": "https://wiki.example/stuck"}
        return {**plain, "receivers": [chat, pager], "runbooks": pages, "poll": {}}


async def _prepare(bench: Bench, now: datetime) -> None:
    """The cloud as it is now, and in the store how it came to be so."""
    settings = Settings.model_validate(bench.settings())
    api = open_source(settings.sources[0], settings, environment={}, clock=SystemClock(), observer=lambda _: None)
    store = await open_store(settings.store.required_secret("url").reveal())
    for name, story in _stories().items():
        last = min(story, key=lambda was: was.minutes_ago if was.status is not None else _DAY)
        image = next((was.image_id for was in sorted(story, key=lambda was: was.minutes_ago) if was.image_id), "")
        instance = await api.show(bench.put(name, last.status or "", image_id=image))
        await write_past(store, instance, story, now=now, receivers=("chat", "on-call"), refused_by="chat")
    await api.close()
    await store.close()


async def _act(bench: Bench) -> None:
    async with aiohttp.ClientSession(f"{bench.url}/api/v1/") as session:
        taken = None
        while taken is None:
            async with session.get("alerts") as answer:
                items = (await answer.json())["items"]
            taken = next((each for each in items if each["instance_name"] == "lab-linux"), None)
        await session.post(f"alerts/{taken['fingerprint']}/ack", json={"author": "ada", "comment": "asked the vendor"})
        quiet = {"match": {"name": ["kiosk-*"]}, "duration": "4h", "author": "grace", "comment": "kiosks are moved"}
        await session.post("silences", json=quiet)


async def _take(browser: Browser, bench: Bench) -> None:
    async with visit(browser, bench.url, viewport={"width": 1280, "height": 880}, color_scheme="light") as seen:
        await seen.page.locator("a.row").nth(8).wait_for()
        await seen.page.get_by_text("kiosks are moved").wait_for()
        await seen.page.screenshot(path=_FOLDER / "status-page.png")
        await seen.page.emulate_media(color_scheme="dark")
        await seen.page.locator("a.row", has_text="office-2026").click()
        await seen.page.locator(".bar button").nth(9).wait_for()
        await seen.page.locator(".events li").nth(9).wait_for()
        await seen.page.screenshot(path=_FOLDER / "instance-page.png")


async def main() -> None:
    """Take them."""
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Sink() as sink, Simulator(Scenario(), speed=0) as cloud:
            bench = _Shown(cloud, sink, Path(folder))
            await _prepare(bench, SystemClock().now())
            await bench.start()
            try:
                await bench.until("lab-linux", "ERROR")
                await _act(bench)
                async with chromium() as browser:
                    await _take(browser, bench)
            finally:
                await bench.stop()


if __name__ == "__main__":
    asyncio.run(main())
