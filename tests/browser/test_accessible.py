"""The status page as axe-core judges it, in light and in dark."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.bench import Bench, visit
from tests.fakes.sink import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAVE = ("serious", "critical")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def violations(page: Page) -> list[Any]:
    """What axe finds that is serious or critical: rule and elements."""
    await page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finish()))")
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found.response["violations"]
        if each["impact"] in GRAVE
    ]


async def in_both(page: Page) -> list[Any]:
    """The same in light and in dark."""
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found += await violations(page)
    return found


async def test_nothing_serious_is_found(bench: Bench, browser: Browser) -> None:
    bench.sink.good = Reply(status=400, body="no")
    office = bench.put("office-1", "BUILDING")
    for status in ("ERROR", "CREATING", "ACTIVE", "DELETING", "BUILT", "NEW"):
        bench.put(f"in-{status}", status)
    async with visit(browser, bench.url, bypass_csp=True) as seen:
        page = seen.page
        await expect(page.locator("a.row")).to_have_count(7)
        await bench.until_dead(1)
        await page.reload()
        await expect(page.locator(".card", has_text="Failed").first).to_be_visible()
        await expect(page.locator("a.row")).to_have_count(7)
        assert await in_both(page) == []
        for button in ("Acknowledge", "Silence"):
            await page.get_by_role("button", name=button).first.click()
            assert await in_both(page) == []
            await page.keyboard.press("Escape")
        bench.put("office-1", "ERROR", id=office)
        await page.goto(f"{bench.url}/#/instances/prod/{office}")
        await expect(page.locator(".bar button")).to_have_count(2)
        await page.get_by_text("As a table").click()
        await page.get_by_text("Raw record").click()
        assert await in_both(page) == []
