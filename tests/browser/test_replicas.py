"""The page of one of two replicas: it shows what the other polls, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.bench import Bench, visit
from tests.fakes.sink import Sink
from watcher.simulator import Scenario, Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def two_replicas(cloud: Simulator, ids: list[str], url: str, folder: Path) -> AsyncIterator[list[Bench]]:
    """Each with a source of its own, which has one instance."""
    async with Sink() as sink:
        [source] = Bench(cloud, sink, folder).settings()["sources"]
        sources = [{**source, "name": f"s-{key}", "instances": [key], "discover": []} for key in ids]
        more = {"store": {"url": url}, "cluster": {"lease_ttl": "2s"}, "sources": sources}
        replicas = [Bench(cloud, sink, folder, more) for _ in ids]
        for replica in replicas:
            await replica.start()
        try:
            async with asyncio.timeout(30):
                while {len(each["sources"]) for each in (await replicas[0].ask("replicas"))["items"]} != {1}:
                    pass
            yield replicas
        finally:
            for replica in replicas:
                await replica.stop()


async def test_the_whole_is_shown_by_each(browser: Browser, postgres_url: str, tmp_path: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud:
        ids = [cloud.world.put(name=f"office-{number}", status="BUILDING") for number in range(2)]
        async with two_replicas(cloud, ids, postgres_url, tmp_path) as [shown, _]:
            me = (await shown.ask("status"))["replica"]
            holders = {each["name"]: each["replica"] for each in (await shown.ask("sources"))["items"]}
            away = next(key for key in ids if holders[f"s-{key}"] != me)
            async with visit(browser, shown.url) as visited:
                await expect(visited.page.locator("#version")).to_contain_text(f"replica {me}, one of 2")
                for holder in holders.values():
                    await expect(visited.page.get_by_role("region", name="Sources")).to_contain_text(
                        f"polled by {holder}"
                    )
                cloud.world.put(id=away, name="office-away", status="ERROR")
                await expect(visited.page.locator("a.row", has_text="office-away")).to_contain_text("ERROR")
                headline = visited.page.get_by_role("heading", level=1)
                await expect(headline).to_have_text("1 alert fires: 1 critical")
