"""The status page in a real browser: is anything wrong?"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser import bench as benches
from tests.browser.bench import Bench, Visit, visit
from watcher.core.clock import SystemClock
from watcher.simulator import Scenario
from watcher.simulator.scenario import InstanceSpec

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_ROWS = 1000


def headline(seen: Visit) -> Any:
    """What is said about the sentence at the top."""
    return expect(seen.page.get_by_role("heading", level=1))


def row(page: Page, name: str) -> Any:
    return page.locator("a.row", has_text=name)


def report(line: str) -> None:
    """A measurement, for who runs the tests with `-s`."""
    sys.stdout.write(f"{line}\n")


async def too_wide(page: Page) -> list[str]:
    """What does not fit into the window, but for what scrolls by itself."""
    found: list[str] = await page.evaluate(
        """[document.documentElement, ...document.querySelectorAll('body *')]
        .filter((node) => !node.closest('.strip, .scroll, pre, .hidden, .skip'))
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
        .map((node) => node.outerHTML.slice(0, 100))"""
    )
    return found


async def painted_ms(page: Page) -> float:
    """When the first row was there, from the begin of the navigation."""
    await page.locator("a.row").first.wait_for()
    found: float = await page.evaluate("performance.now()")
    return found


async def test_all_is_well(bench: Bench, browser: Browser) -> None:
    for number in range(5):
        bench.put(f"office-{number}")
    async with visit(browser, bench.url) as seen:
        took_ms = await painted_ms(seen.page)
        await headline(seen).to_have_text("All well: 5 instances, nothing fires")
        await expect(seen.page.locator("a.row")).to_have_count(5)
        await expect(seen.page.locator("#live")).to_have_text("Live")
        assert await seen.page.title() == "watcher"
    report(f"first rows of 5 instances after {took_ms:.0f} ms")
    assert took_ms < 5000


async def test_a_configuration_that_is_refused_is_told(bench: Bench, browser: Browser) -> None:
    bench.put("office")
    async with aiohttp.ClientSession() as session, session.post(f"{bench.url}/-/reload") as answer:
        assert answer.status == 500
    async with visit(browser, bench.url) as seen:
        told = (
            "The configuration file is refused, the one before goes on: this watcher runs without a configuration file"
        )
        await headline(seen).to_have_text(told)


async def test_ten_thousand_are_as_quick_as_five(browser: Browser, tmp_path: Path) -> None:
    scenario = Scenario(instances=(InstanceSpec(name="vdi-{n:05}", count=10_000),))
    poll = {"interval": "1s", "steady_interval": "60s", "rate_limit": "100000/1s"}
    clock = SystemClock()
    async with benches.bench(tmp_path, scenario, poll=poll, receivers=[]) as bench, asyncio.timeout(60):
        async with visit(browser, bench.url) as seen:
            await headline(seen).to_have_text("All well: 10,000 instances, nothing fires", timeout=40_000)
        async with visit(browser, bench.url) as seen:
            page = seen.page
            took_ms = await painted_ms(page)
            await headline(seen).to_have_text("All well: 10,000 instances, nothing fires")
            await expect(page.locator("a.row")).to_have_count(100)
            await expect(page.get_by_role("heading", name="Instances", level=2)).to_contain_text("100 of 10,000")
            began_s = clock.monotonic()
            await page.get_by_role("searchbox").fill("vdi-09999")
            await expect(page.locator("a.row")).to_have_count(1)
            searched_s = clock.monotonic() - began_s
            await page.keyboard.press("Escape")
            more = page.get_by_role("button", name="Show more")
            await more.click()
            await expect(page.locator("a.row")).to_have_count(300)
            await expect(page.locator("a.row").nth(100)).to_be_focused()
            await more.click()
            await expect(page.locator("a.row")).to_have_count(MOST_ROWS)
            await expect(page.get_by_role("button", name="These are the first 1,000")).to_be_disabled()
    report(f"first rows of 10,000 instances after {took_ms:.0f} ms, one found in {1000 * searched_s:.0f} ms")
    assert took_ms < 10_000
    assert searched_s < 5


async def test_a_transition_is_shown_without_loading_anew(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-2026")
    bench.put("zoo")
    async with visit(browser, bench.url) as seen:
        await expect(row(seen.page, "office-2026")).to_contain_text("BUILT")
        await seen.page.evaluate("window.stays = true")
        bench.put("office-2026", "BUILDING", id=office)
        await expect(row(seen.page, "office-2026")).to_contain_text("BUILDING")
        await expect(seen.page.get_by_role("button", name="1 BUILDING")).to_be_visible()
        bench.put("office-2026", "ERROR", id=office)
        await headline(seen).to_have_text("1 alert fires: 1 critical")
        await expect(seen.page.locator(".alert")).to_contain_text("office-2026")
        await expect(seen.page.locator("a.row").first).to_contain_text("office-2026")
        await expect(seen.page).to_have_title("(1) watcher")
        bench.put("office-2027", "CREATING")
        await expect(row(seen.page, "office-2027")).to_contain_text("CREATING")
        assert await seen.page.evaluate("window.stays")


async def test_what_changed_is_marked_at_once(bench: Bench, browser: Browser) -> None:
    """By the event itself: whatever is asked for afterwards is held back here."""
    office = bench.put("office-2026")
    async with visit(browser, bench.url) as seen:
        await expect(row(seen.page, "office-2026")).to_contain_text("BUILT")
        await expect(seen.page.locator("#live")).to_have_text("Live")
        await seen.page.route("**/api/v1/instances?*", lambda _route: None)
        bench.put("office-2026", "ERROR", id=office)
        await expect(row(seen.page, "office-2026")).to_contain_text("In ERROR")
        await expect(seen.page.locator(".rows li.flash")).to_have_count(1)
        await seen.page.unroute_all(behavior="ignoreErrors")


async def test_search_and_filters(bench: Bench, browser: Browser) -> None:
    for name, status in [("office-1", "BUILT"), ("office-2", "ERROR"), ("lab-1", "BUILDING")]:
        bench.put(name, status)
    async with visit(browser, bench.url) as seen:
        page = seen.page
        rows = page.locator("a.row")
        await expect(rows).to_have_count(3)
        await page.get_by_role("searchbox").fill("OFFICE")
        await expect(rows).to_have_count(2)
        await page.get_by_role("button", name="1 ERROR").click()
        await expect(rows).to_have_text([re.compile("office-2")])
        await expect(page.get_by_role("button", name="1 ERROR")).to_have_attribute("aria-pressed", "true")
        assert page.url.endswith("#/?q=OFFICE&status=ERROR")
        await page.reload()
        await expect(rows).to_have_text([re.compile("office-2")])
        await page.get_by_role("button", name="With alerts").click()
        await page.get_by_role("searchbox").fill("team=vdi nothing")
        await page.get_by_text("No instance is like that.").wait_for()
        await page.get_by_role("button", name="Show all").click()
        await expect(rows).to_have_count(3)
        await page.get_by_role("searchbox").fill("team=vdi lab")
        await expect(rows).to_have_text([re.compile("lab-1")])
        await rows.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("lab-1")
        await page.go_back()
        await expect(rows).to_have_text([re.compile("lab-1")])


async def test_an_answer_that_is_overtaken_is_dropped(bench: Bench, browser: Browser) -> None:
    bench.put("office-1")
    bench.put("lab-1")
    async with visit(browser, bench.url) as seen:
        page = seen.page
        await expect(page.locator("a.row")).to_have_count(2)
        late: list[Route] = []

        async def hold(route: Route) -> None:
            late.append(route)

        await page.route("**/api/v1/instances?q=office*", hold)
        async with page.expect_request("**/api/v1/instances?q=office*"):
            await page.get_by_role("searchbox").fill("office")
        await page.get_by_role("searchbox").fill("lab")
        await expect(page.locator("a.row")).to_have_text([re.compile("lab-1")])
        for route in late:
            async with page.expect_response("**/api/v1/instances?q=office*"):
                await route.continue_()
        await page.evaluate("new Promise(requestAnimationFrame)")
        await expect(page.locator("a.row")).to_have_text([re.compile("lab-1")])


async def test_a_source_that_does_not_answer(browser: Browser, tmp_path: Path) -> None:
    async with benches.bench(tmp_path, alerts={"unreachable": {"after": "1h"}}) as bench:
        bench.put("office-1")
        async with visit(browser, bench.url) as seen:
            await headline(seen).to_have_text("All well: 1 instance, nothing fires")
            await bench.fail()
            await seen.page.reload()
            await headline(seen).to_have_text(re.compile(r"^Source prod has not answered for \d+ s$"))
            source = seen.page.locator(".card", has_text="prod")
            await expect(source).to_contain_text("does not answer")
            await expect(source).to_contain_text("503")
            bench.cloud.faults.clear()


async def test_a_source_that_fails_between_two_answers(browser: Browser, tmp_path: Path) -> None:
    async with benches.bench(tmp_path, alerts={"unreachable": {"after": "1h"}}) as bench:
        bench.put("office-1")
        async with visit(browser, bench.url) as seen:
            await headline(seen).to_have_text("All well: 1 instance, nothing fires")
            answers = [await bench.ask("sources")] * 2  # the page asks at its start, and when the stream is there
            await bench.fail()

            async def answer(route: Route) -> None:
                if answers:
                    await route.fulfill(json=answers.pop())
                else:
                    await route.continue_()

            await seen.page.route("**/api/v1/sources", answer)
            await seen.page.reload()
            await headline(seen).to_have_text(re.compile(r"^Source prod has not answered for \d+ s$"))
            await expect(seen.page.locator(".card", has_text="prod")).to_contain_text("does not answer")


async def test_the_connection_is_lost_and_comes_back(bench: Bench, browser: Browser) -> None:
    bench.put("office-1")
    async with visit(browser, bench.url) as seen:
        seen.expected = "Failed to load resource|ERR_"
        await headline(seen).to_have_text("All well: 1 instance, nothing fires")
        await expect(seen.page.locator("#live")).to_have_text("Live")
        await bench.stop()
        banner = seen.page.locator("#banner")
        await expect(banner).to_have_text(re.compile(r"^Connection lost, trying again … last news \d+ s ago$"))
        # A page that asked while the daemon ended has heard why.
        last = "(All well: 1 instance, nothing fires|watcher is not ready: it is draining)"
        await headline(seen).to_have_text(re.compile(f"^Last known: {last}$"))
        bench.put("office-2")
        await bench.start()
        await expect(banner).to_be_hidden(timeout=15_000)
        await expect(row(seen.page, "office-2")).to_be_visible()
        await headline(seen).to_have_text("All well: 2 instances, nothing fires")
        await expect(seen.page.locator("#live")).to_have_text("Live")


async def test_a_stream_that_was_refused_is_asked_for_again(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-1")
    async with visit(browser, "about:blank") as seen:
        seen.expected = "status of 503"
        refused = 0

        async def refuse_once(route: Route) -> None:
            nonlocal refused
            refused += 1
            if refused == 1:
                await route.fulfill(status=503, body="busy")
            else:
                await route.continue_()

        await seen.page.route("**/api/v1/stream", refuse_once)
        await seen.page.goto(bench.url)
        await expect(seen.page.locator("#live")).to_have_text("Live")
        assert refused == 2
        bench.put("office-1", "BUILDING", id=office)
        await expect(row(seen.page, "office-1")).to_contain_text("BUILDING")


async def test_names_are_text_and_nothing_else(bench: Bench, browser: Browser) -> None:
    image = "<img src=x onerror=\"alert('hacked')\">"
    for name in (
        image,
        "<script>alert(1)</script>",
        "evil\u202egnp.exe",
        "x" * 255,
        "tab\tbell\x07",
        "javascript:alert(1)",
    ):
        bench.put(name, "ERROR", fields={"description": image})
    async with visit(browser, bench.url, viewport={"width": 320, "height": 700}) as seen:
        page = seen.page
        await headline(seen).to_have_text("6 alerts fire: 6 critical")
        await expect(page.locator("a.row", has_text="<img src=x")).to_have_count(1)
        assert "\u202e" not in await page.locator("main").inner_text()
        assert await too_wide(page) == []
        await page.get_by_role("button", name=re.compile("^Silence: In ERROR, <img")).click()
        await expect(page.get_by_role("dialog")).to_contain_text("Silence <img src=x")
        await page.keyboard.press("Escape")
        await page.locator("a.row", has_text="<img src=x").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(image)
        await page.get_by_text("Raw record").click()
        await expect(page.locator("pre")).to_contain_text("<img src=x")
        await page.locator(".events li").first.wait_for()
        assert await page.locator("main img, main script").count() == 0
        assert await too_wide(page) == []


async def test_by_keyboard_alone(bench: Bench, browser: Browser) -> None:
    for name in ("alpha", "beta"):
        bench.put(name)
    bench.put("gamma", "ERROR")
    async with visit(browser, bench.url) as seen:
        page = seen.page
        await expect(page.locator("a.row")).to_have_count(3)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to what is wrong")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()
        assert page.url == f"{bench.url}/"
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("a")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(row(page, "alpha")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1, name="alpha")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(row(page, "alpha")).to_be_focused()
        await page.get_by_role("button", name="Acknowledge: In ERROR, gamma").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.type("ada")
        await page.keyboard.press("Enter")
        await expect(page.locator(".alert")).to_contain_text("by ada")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert await page.evaluate("document.activeElement !== document.body"), "the focus is not lost"


async def test_light_and_dark(bench: Bench, browser: Browser) -> None:
    async with visit(browser, bench.url, color_scheme="dark") as seen:
        page = seen.page

        async def background() -> str:
            found: str = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            return found

        dark = await background()
        await page.emulate_media(color_scheme="light")
        light = await background()
        assert dark != light
        toggle = page.locator("#theme")
        await expect(toggle).to_have_text("Auto")
        await toggle.click()
        await toggle.click()
        await expect(toggle).to_have_text("Dark")
        assert await background() == dark
        await page.reload()
        await expect(toggle).to_have_text("Dark")
        assert await background() == dark


async def test_on_a_narrow_screen(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-with-quite-a-long-name-2026-for-the-second-floor", "ERROR")
    bench.put("lab", "BUILDING")
    async with visit(browser, bench.url, viewport={"width": 320, "height": 640}) as seen:
        page = seen.page

        await expect(page.locator("a.row")).to_have_count(2)
        assert await too_wide(page) == []
        for button in ("Acknowledge", "Silence"):
            await page.get_by_role("button", name=button).first.click()
            box = await page.get_by_role("dialog").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 320
            assert await too_wide(page) == []
            await page.keyboard.press("Escape")
        await page.goto(f"{bench.url}/#/instances/prod/{office}")
        await page.locator(".bar button").first.wait_for()
        await page.get_by_text("As a table").click()
        assert await too_wide(page) == []


async def test_broken_answers_are_told_and_the_rest_is_shown(bench: Bench, browser: Browser) -> None:
    answers = ("{}", "[]", "<html>proxy</html>", '{"items": [{}, null, 7, {"alerts": {}, "reason": 1, "labels": []}]}')
    for broken in answers:
        async with visit(browser, "about:blank") as seen:
            page = seen.page
            await page.route(re.compile("/api/v1/(?!stream)"), _answer_with(broken))
            for place in ("", "#/instances/prod/1"):
                await page.goto(f"{bench.url}/{place}")
                await expect(page.locator("main section:visible").first).to_be_visible()
                await expect(page.locator("main h1")).to_contain_text("" if place else "Cannot tell")
                await expect(page.locator("main h1")).not_to_be_empty()
                if broken.startswith("<"):
                    await expect(page.locator(".error:visible").first).to_contain_text("is this the watcher?")


def _answer_with(body: str) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        await route.fulfill(body=body)

    return answer


async def test_an_older_watcher_that_lacks_a_part(bench: Bench, browser: Browser) -> None:
    bench.put("office-1")
    async with visit(browser, "about:blank") as seen:
        seen.expected = "status of 404"
        problem = '{"status": 404, "detail": "no such path"}'
        await seen.page.route(
            re.compile("/api/v1/(status|sources)"), lambda route: route.fulfill(status=404, body=problem)
        )
        await seen.page.goto(bench.url)
        await headline(seen).to_have_text("Cannot tell how things are: no such path")
        await expect(seen.page.locator("a.row")).to_have_count(1)
        sources = seen.page.get_by_role("region", name="Sources")
        await expect(sources.get_by_role("alert")).to_have_text("Cannot show this: no such path")


async def test_below_a_path_of_another_server(bench: Bench, browser: Browser) -> None:
    office = bench.put("office-1")
    async with benches.proxied(bench.url, "/tools/watcher") as url, visit(browser, url) as seen:
        await headline(seen).to_have_text("All well: 1 instance, nothing fires")
        await expect(seen.page.locator("#live")).to_have_text("Live")
        bench.put("office-1", "BUILDING", id=office)
        await expect(row(seen.page, "office-1")).to_contain_text("BUILDING")
        await row(seen.page, "office-1").click()
        await expect(seen.page.locator(".bar button")).to_have_count(2)


async def test_without_scripts_it_says_what_to_do(bench: Bench, browser: Browser) -> None:
    async with visit(browser, bench.url, java_script_enabled=False) as seen:
        await headline(seen).to_have_text("This page needs JavaScript")
        assert "watcher alerts" in await seen.page.locator("main").inner_text()
