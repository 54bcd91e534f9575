"""The site's own page in a real browser, on a real agent: without a centre, and when the centre is back."""

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiomqtt
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from chaos.outages import wait_for_live
from chaos.sites import Site, open_sites
from chaos.world import HOST, START_S, World, wait_until
from hub.model import Advice
from hub.wire import encode_json
from tests.web.browser.conftest import browser

__all__ = ["browser"]

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@contextlib.contextmanager
def lonely_site() -> Iterator[tuple[World, Site]]:
    """An agent with two beds; broker and hub are configured, and not there yet."""
    with tempfile.TemporaryDirectory(prefix="ctg-page-") as folder:
        Path(folder).chmod(0o755)  # broker and database of a test run by root belong to other users
        world = World(Path(folder))
        try:
            yield world, open_sites(world, [2])[0]
        finally:
            world.__exit__()


def open_page(browser: Browser, site: Site) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    url = f"http://{HOST}:{site.page_port}/"
    wait_until("the agent to serve its page", lambda: httpx.get(url).status_code == 200, within_s=30)
    page.goto(url)
    return page, complaints


def test_a_site_sees_its_beds_without_a_centre_and_its_advice_and_backlog_with_one(browser: Browser) -> None:
    with lonely_site() as (world, site):
        page, complaints = open_page(browser, site)
        bar = page.locator(".sitebar")
        expect(page.locator(".tile")).to_have_count(2, timeout=15_000)
        expect(bar.locator(".line .b").first).to_contain_text(
            "中央センターと接続がありません", timeout=15_000
        )
        expect(bar.locator(".line .mark")).to_have_text("▲")
        expect(page.locator(".tile .nums .fhr").first).to_have_text(re.compile(r"\d{2,3}"), timeout=30_000)
        expect(page.locator(".tile").first).to_contain_text("ここでは判読しません")
        assert page.evaluate("window.ctgApp.site.isAway") is True  # so a high alert sounds here

        wait_until("a backlog", lambda: site.unconfirmed() > 20, within_s=30)
        world.broker.start()
        world.hub.start()
        wait_until("the hub", world.is_ready, within_s=START_S)
        wait_for_live(world, [site])
        expect(bar.locator(".line .b").first).to_contain_text(
            "中央センターとつながっています", timeout=60_000
        )
        assert page.evaluate("window.ctgApp.site.isAway") is False
        wait_until("the backlog to be sent", lambda: site.unconfirmed() < 20, within_s=60)

        with ThreadPoolExecutor(1) as other:  # the browser's driver holds this thread's event loop
            other.submit(asyncio.run, send_advice(world, site)).result(10)
        card = bar.locator(".card").first
        expect(card).to_contain_text("体位変換", timeout=15_000)
        page.fill("#operator", "K.M.")
        card.locator("button").click()
        expect(bar.locator(".card.done")).to_contain_text("K.M.", timeout=15_000)
        confirmed = ("advice_confirmed", "K.M.")
        wait_until("the centre to know", lambda: confirmed in told(world, site), within_s=30)
        assert complaints == []
        page.close()


async def send_advice(world: World, site: Site) -> None:
    advice = Advice(
        id="01J8ZQ4W9TXV5K3M2N1P0R7S6A", t_ms=1_795_000_000_000, author="佐藤 医師", text="体位変換と酸素投与"
    )
    async with aiomqtt.Client(HOST, world.mqtt_port) as client:
        await client.publish(f"ctg/v1/{site.name}/bed01/advice", encode_json(advice), qos=1)


def told(world: World, site: Site) -> set[tuple[str, str | None]]:
    now_ms = time.time_ns() // 10**6
    span = {"from": now_ms - 600_000, "to": now_ms + 60_000}
    strip = world.get(f"/api/v1/beds/{site.name}/bed01/strip", **span)
    return {(event["kind"], event.get("by")) for event in strip["events"]}
