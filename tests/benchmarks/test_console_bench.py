"""How often the browser console draws a wall of 36 live strips, on the whole chain."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from device_sim.scenarios import SCENARIOS
from tests.system.conftest import Demo
from tests.web.browser.conftest import ARGUMENTS, CHROMIUM

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""

FURTHER_BEDS = 24
WATCHED_MS = 20_000


@pytest.mark.timeout(180)
def test_a_wall_of_36_live_strips_in_the_browser(benchmark: Benchmark):
    names = [name for name in SCENARIOS if name != "twins"]
    beds = [f"--bed=b{k:02}=scenario:{names[k % len(names)]}" for k in range(FURTHER_BEDS)]
    with tempfile.TemporaryDirectory(prefix="ctg-console-") as folder:
        Path(folder).chmod(0o755)  # the database of a demo run by root belongs to another account
        demo = Demo(Path(folder) / "data")
        broker = f"--broker=mqtt://127.0.0.1:{demo.mqtt_port}"
        site = subprocess.Popen([sys.executable, "-m", "device_sim", "site", "many", *beds, broker])
        try:
            demo.wait_for_beds(12 + FURTHER_BEDS)
            pace = benchmark.pedantic(_watch, args=(demo.url,), rounds=1)
        finally:
            site.terminate()
            site.wait(20)
            demo.stop()
    benchmark.extra_info["frames_per_s"] = round(pace["fps"], 1)
    benchmark.extra_info["busy_ms_per_frame"] = round(pace["busyMs"], 1)
    benchmark.extra_info["strips_drawn_per_s"] = round(pace["drawnStrips"])
    assert pace["fps"] > 4


def _watch(url: str) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 2560, "height": 1440})
        page.goto(url)
        expect(page.locator(".tile")).to_have_count(12 + FURTHER_BEDS, timeout=30_000)
        page.wait_for_timeout(WATCHED_MS)
        pace: dict[str, float] = page.evaluate("window.ctgPace")
        browser.close()
    return pace
