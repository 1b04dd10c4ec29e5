"""The status page in a real browser: what can be done from it, and by whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser import bench as benches
from tests.browser.bench import Bench, visit
from tests.components import free_port
from tests.fakes.sink import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_acknowledge(bench: Bench, browser: Browser) -> None:
    for name in ("office-1", "office-2"):
        bench.put(name, "ERROR")
    async with visit(browser, bench.url) as seen:
        page = seen.page
        await page.get_by_role("button", name="Acknowledge: In ERROR, office-1").click()
        dialog = page.get_by_role("dialog", name="Acknowledge office-1")
        await expect(dialog.get_by_label("Your name")).to_be_focused()
        await dialog.get_by_role("button", name="Acknowledge").click()
        await expect(dialog.get_by_role("alert")).to_have_text("Not done: say who you are")
        await dialog.get_by_label("Your name").fill("ada")
        await dialog.get_by_label("Comment").fill("on it")
        await dialog.get_by_role("button", name="Acknowledge").click()
        taken = page.locator(".alert", has_text="office-1")
        await expect(taken).to_contain_text("Acknowledgedby ada just now: on it")
        await expect(page.get_by_role("heading", level=1)).to_have_text("2 alerts fire: 2 critical, 1 acknowledged")
        await page.get_by_role("button", name="Acknowledge: In ERROR, office-2").click()
        await expect(page.get_by_label("Your name")).to_have_value("ada")
        await expect(page.get_by_label("Comment")).to_be_focused()


async def test_silence_and_end_it(bench: Bench, browser: Browser) -> None:
    bench.put("office-1", "ERROR")
    async with visit(browser, bench.url) as seen:
        seen.expected = "status of 409"
        page = seen.page
        await page.get_by_role("button", name="Silence: In ERROR, office-1").click()
        dialog = page.get_by_role("dialog", name="Silence office-1")
        await dialog.get_by_label("Your name").fill("ada")
        await dialog.get_by_role("button", name="Silence").click()
        await expect(dialog.get_by_role("alert")).to_have_text("Not done: say why, in the comment")
        await dialog.get_by_label("Comment").fill("rebuilt today")
        await dialog.get_by_label("Until …").check()
        await dialog.get_by_label("Until", exact=True).fill("2001-01-01T00:00")
        await dialog.get_by_role("button", name="Silence").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("must be after the present time")
        await dialog.get_by_label("4 hours").check()
        await dialog.get_by_role("button", name="Silence").click()
        await expect(dialog).to_have_count(0)
        await expect(page.locator(".alert")).to_contain_text("Quiet")
        silences = page.get_by_role("region", name="Silences")
        await expect(silences).to_contain_text("rebuilt today")
        await expect(silences).to_contain_text(re.compile(r"ends in (4 h|3 h 59 min)|ends in 4 h"))
        await silences.get_by_role("button", name="End the silence").click()
        await page.get_by_role("dialog").get_by_role("button", name="End it").click()
        await expect(silences).to_contain_text("None.")
        await expect(page.locator(".alert")).not_to_contain_text("Quiet")


async def test_retry(bench: Bench, browser: Browser) -> None:
    bench.sink.good = Reply(status=400, body="<b>no</b>")
    for name in ("office-1", "office-2", "office-3"):
        office = bench.put(name)
        await bench.until(name, "BUILT")
        bench.put(name, "BUILDING", id=office)
    await bench.until_dead(3)
    async with visit(browser, bench.url) as seen:
        page = seen.page
        failed = page.get_by_role("region", name="Notifications")
        await expect(page.get_by_role("heading", level=1)).to_have_text("3 notifications could not be delivered")
        await expect(failed.locator(".card", has_text="office-1")).to_contain_text("client error")
        bench.sink.good = Reply()
        await failed.get_by_role("button", name="Retry: hooks, office-1").click()
        await bench.sink.until(lambda received: len(received) >= 4)
        assert "office-1" in bench.sink.received[-1].body
        await expect(failed.locator(".card")).to_have_count(2)
        await failed.get_by_role("button", name="Retry all").click()
        await bench.sink.until(lambda received: len(received) >= 6)
        await expect(failed.locator(".card")).to_have_count(0)
        await expect(page.get_by_role("heading", level=1)).to_have_text("All well: 3 instances, nothing fires")


async def test_what_cannot_be_done_is_said_where_it_was_tried(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-1", "ERROR")
    async with visit(browser, bench.url) as seen:
        seen.expected = "status of 404"
        page = seen.page
        await page.get_by_role("button", name="Acknowledge").click()
        bench.put("office-1", "BUILT", id=office)
        await expect(page.locator(".alert")).to_have_count(0)
        await page.get_by_label("Your name").fill("ada")
        await page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Not done: no alert with")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("heading", level=1)).to_be_focused()


async def test_who_may_only_look_is_told_why(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    async with benches.bench(tmp_path, web={"listen": f"0.0.0.0:{port}"}) as bench:
        bench.put("office-1", "ERROR")
        async with visit(browser, f"http://127.0.0.1:{port}") as seen:
            await expect(seen.page.locator(".alert")).to_be_visible()
            await expect(seen.page.get_by_text("Only to look at")).to_contain_text("set web.auth.bearer_token")
            for name in ("Acknowledge", "Silence", "Retry", "End"):
                await expect(seen.page.get_by_role("button", name=re.compile(name))).to_have_count(0)


async def test_with_a_token_the_browser_asks_for_it(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    web = {"listen": f"0.0.0.0:{port}", "auth": {"bearer_token": "s3cret"}}
    async with benches.bench(tmp_path, web=web) as bench:
        office = bench.put("office-1", "ERROR")
        url = f"http://127.0.0.1:{port}"
        credentials = {"username": "anybody", "password": "s3cret"}
        async with visit(browser, url, http_credentials=credentials) as seen:
            await expect(seen.page.locator("#live")).to_have_text("Live")
            await seen.page.get_by_role("button", name="Acknowledge").click()
            await seen.page.get_by_label("Your name").fill("ada")
            await seen.page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
            await expect(seen.page.locator(".alert")).to_contain_text("by ada")
            bench.put("office-1", "BUILT", id=office)
            await expect(seen.page.get_by_role("heading", level=1)).to_contain_text("All well")
        async with visit(browser, "about:blank", http_credentials={**credentials, "password": "wrong"}) as seen:
            seen.expected = "status of 401"
            answer = await seen.page.goto(url)
            assert answer is not None
            assert answer.status == 401
