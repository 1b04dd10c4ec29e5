"""The status page in a real browser: what happened to this one?"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.bench import Bench, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_all_that_is_known_of_one(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-2026", fields={"flavor": {"cpu": 4}})
    async with visit(browser, bench.url) as seen:
        page = seen.page
        await page.locator("a.row", has_text="office-2026").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("office-2026")
        await expect(page.locator(".bar button")).to_have_count(1)
        for status in ("BUILDING", "ERROR"):
            bench.put("office-2026", status, id=office)
            await expect(page.locator(".big")).to_contain_text(f"{status} for")
        spans = page.locator(".bar button")
        await expect(spans).to_have_count(3)
        await expect(page.locator(".bar .fill-bad")).to_have_attribute(
            "aria-label", re.compile(r"^ERROR, from \d\d:\d\d until now, \d+ s")
        )
        await page.mouse.move(1, 1)
        await expect(page.locator(".detail")).to_contain_text("ERROR")
        await spans.nth(1).hover()
        await expect(page.locator(".detail")).to_contain_text("BUILDING")
        await spans.last.focus()
        await page.keyboard.press("Home")
        await expect(page.locator(".detail")).to_contain_text("BUILT")
        await page.get_by_text("As a table").click()
        await expect(page.get_by_role("table").get_by_role("rowheader")).to_have_text(["ERROR", "BUILDING", "BUILT"])
        await expect(page.locator(".events li")).to_have_count(3)
        await expect(page.locator(".events li").first).to_contain_text(re.compile("BUILDING.*ERROR"))
        await expect(page.locator(".alert")).to_contain_text("In ERROR")
        deliveries = page.get_by_role("region", name="Deliveries")
        await expect(deliveries.locator(".card", has_text="Delivered")).to_have_count(2)
        await expect(page.locator("dl")).to_contain_text("vdi")
        await page.get_by_text("Raw record").click()
        await expect(page.locator("pre")).to_contain_text('"cpu": 4')
        await expect(page).to_have_title("(1) office-2026 · watcher")
        await expect(page.get_by_role("link", name="1 alert fires: 1 critical")).to_be_visible()
        await page.get_by_role("link", name="← All instances").click()
        await expect(page.locator("a.row")).to_be_focused()


async def test_one_that_is_not_there(bench: Bench, browser: Browser) -> None:
    async with visit(browser, f"{bench.url}/#/instances/prod/nobody") as seen:
        seen.expected = "status of 404"
        await expect(seen.page.get_by_role("alert").first).to_contain_text("no instance 'nobody' of source 'prod'")
        await expect(seen.page.locator("section:visible")).to_have_count(0)
        await seen.page.get_by_role("link", name="Show all instances").click()
        await expect(seen.page.get_by_role("heading", level=1)).to_contain_text("All well")


async def test_an_odd_id_can_be_looked_at(bench: Bench, browser: Browser) -> None:
    bench.put("odd", id="a b/ä?#%")
    async with visit(browser, bench.url) as seen:
        await seen.page.locator("a.row").click()
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("odd")
        await expect(seen.page.locator(".bar button")).to_have_count(1)


async def test_how_far_a_build_is(bench: Bench, browser: Browser) -> None:
    for name in ("o1", "o2", "o3", "o4", "o5", "next"):  # five are enough to know how long it usually takes
        instance_id = bench.put(name, "ACTIVE", image_id="")
        await bench.until(name, "ACTIVE")
        bench.put(name, "BUILDING", id=instance_id)
        await bench.until(name, "BUILDING")
        if name != "next":
            bench.put(name, "BUILT", id=instance_id, image_id=f"img-{name}")
            await bench.until(name, "BUILT")
    async with visit(browser, bench.url) as seen:
        building = seen.page.locator("a.row", has_text="next")
        await expect(building.get_by_role("progressbar", name="BUILDING of next")).to_be_visible()
        await expect(building).to_contain_text(re.compile(r"usually \d+ s"))
        await building.click()
        await expect(seen.page.locator(".big")).to_contain_text("from 5 before")
        await expect(seen.page.locator(".detail")).to_contain_text("usually")
