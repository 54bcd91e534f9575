"""The console on the real chain: simulator, broker, hub, database, browser."""

import re
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect

from tests.system.conftest import Demo, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")


class Screen:
    """One open console and everything it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", self._fail)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _fail(self, error: Error) -> None:
        self.complaints.append(str(error))

    def wait_for_tiles(self, count: int = 12) -> None:
        expect(self.page.locator(".tile")).to_have_count(count, timeout=15000)

    def freshest(self) -> list[str]:
        """Kinds of all glyphs on the tiles."""
        kinds: list[str] = self.page.eval_on_selector_all(
            ".tile .top svg.glyph", "all => all.map((g) => g.getAttribute('class').split(' ')[1])"
        )
        return kinds


@pytest.fixture(scope="module")
def chain() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory(prefix="ctg-console-") as folder:
        Path(folder).chmod(0o755)  # the database of a demo run by root belongs to another account
        running = Demo(Path(folder) / "data")
        try:
            running.wait_for_beds()
            yield running
        finally:
            running.stop()


@pytest.fixture
def screen(browser: Browser, chain: Demo) -> Iterator[Screen]:
    page = browser.new_page(viewport={"width": 2560, "height": 1440})
    opened = Screen(page)
    page.goto(chain.url)
    opened.wait_for_tiles()
    yield opened
    page.close()


def test_the_wall_shows_every_bed_marked_as_test_data(screen: Screen):
    assert screen.page.locator(".tile .tag.test:visible").count() == 12
    expect(screen.page.locator(".head .note").first).to_contain_text("判読支援(参考)")
    assert "not a diagnosis" in screen.page.title()
    wait_until("12 live tiles", lambda: "dark" not in screen.freshest(), within_s=10)
    assert screen.complaints == []


def test_tiles_stand_by_site_and_bed(screen: Screen):
    keys = screen.page.eval_on_selector_all(".tile", "all => all.map((tile) => tile.dataset.bed)")
    assert keys == sorted(keys)


def test_a_frame_is_on_the_glass_within_a_second_of_its_last_sample(screen: Screen):
    wait_until(
        "120 frames on the glass",
        lambda: screen.page.evaluate("window.ctgMetrics.length") > 120,
        within_s=30,
    )
    measured = screen.page.evaluate(
        "window.ctgMetrics.map((f) => [f.bed, f.paintMs - f.end, f.paintedAt - f.receivedAt])"
    )
    assert len({bed for bed, _, _ in measured}) == 12
    assert statistics.median(waited for _, _, waited in measured) < 300
    assert statistics.median(delay for _, delay, _ in measured) < 1000


def test_the_wall_draws_at_most_ten_times_a_second(screen: Screen):
    pace = wait_until(
        "a measured pace",
        lambda: screen.page.evaluate("window.ctgPace.fps > 0 && window.ctgPace"),
        within_s=10,
    )
    assert 4 <= pace["fps"] <= 10.5


def test_keys_open_a_bed_scroll_back_and_return_to_the_same_tile(screen: Screen):
    page = screen.page
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.dataset.bed")
    page.keyboard.press("Enter")
    expect(page.locator(".bedhead .code")).to_be_visible()
    expect(page.locator(".livechip.live")).to_be_visible(timeout=5000)
    page.keyboard.press("v")
    expect(page.locator(".switch button.on").first).to_contain_text("1 cm")
    page.keyboard.press("v")
    page.keyboard.press("w")
    expect(page.locator(".why")).to_be_hidden()
    page.keyboard.press("Escape")
    screen.wait_for_tiles()
    assert page.evaluate("document.activeElement.dataset.bed") == focused
    assert screen.complaints == []


def test_language_and_theme_change_by_key(screen: Screen):
    page = screen.page
    before = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("n")
    assert page.evaluate("document.documentElement.dataset.theme") != before
    page.keyboard.press("l")
    expect(page.locator("h1.name")).to_have_text("CTG central monitor")
    assert not JAPANESE.search(page.locator(".rail .title > span").first.inner_text())
    page.keyboard.press("l")
    page.keyboard.press("n")


def test_an_alert_is_acknowledged_by_a_named_person_with_key_and_reason(screen: Screen, chain: Demo):
    page = screen.page
    wait_until(
        "an alert nobody has acknowledged",
        lambda: chain.get("/api/v1/alerts", params={"open": True}).json()["alerts"],
        within_s=120,
    )
    page.wait_for_selector(".card", timeout=10000)
    page.keyboard.press("2")  # a digit alone acknowledges nothing
    page.keyboard.press("a")
    page.wait_for_selector(".card .acts.why")
    page.keyboard.press("2")
    expect(page.locator("#operator")).to_be_focused()  # nobody is named yet
    page.keyboard.type("K.M.")
    page.keyboard.press("Enter")
    alert = page.locator(".card").first.get_attribute("data-alert")
    page.keyboard.press("2")

    def acknowledged() -> bool:
        alerts = chain.get("/api/v1/alerts").json()["alerts"]
        found = [one for one in alerts if one["id"] == alert]
        return (
            bool(found) and found[0]["acknowledged_by"] == "K.M." and found[0]["ack_reason"] == "at_bedside"
        )

    wait_until("the hub to know who has seen it", acknowledged, within_s=15)
    expect(page.locator(f'.card[data-alert="{alert}"]')).to_have_count(0, timeout=5000)


def test_a_dead_hub_is_said_within_3_s_and_nothing_stays_coloured(screen: Screen, chain: Demo):
    page = screen.page
    hub = chain.child("hub")
    hub.send_signal(signal.SIGSTOP)
    try:
        page.wait_for_selector("#lost:not([hidden])", timeout=3000)
        wait_until("every tile dark", lambda: set(screen.freshest()) == {"dark"}, within_s=2)
        assert set(page.locator(".tile .nums .fhr").all_inner_texts()) == {"–––"}
    finally:
        hub.send_signal(signal.SIGCONT)
    page.wait_for_selector("#lost", state="hidden", timeout=10000)
    wait_until("live tiles again", lambda: "dark" not in screen.freshest(), within_s=10)


def test_a_console_that_was_frozen_starts_afresh_instead_of_drawing_old_data_as_live(screen: Screen):
    renderers = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE and "--type=renderer" in " ".join(process.cmdline())
    ]
    assert renderers
    woken_at_s = time.monotonic() + 6
    for process in renderers:
        process.suspend()
    wait_until("six seconds of standstill", lambda: time.monotonic() >= woken_at_s, within_s=8)
    for process in renderers:
        process.resume()
    assert screen.page.evaluate("window.ctgApp.link.why") == "this console was frozen"
    wait_until("live tiles again", lambda: "dark" not in screen.freshest(), within_s=5)
    assert screen.page.locator("#lost").is_hidden()


WATCH_SPAN = """([keys, from, to]) => {
  // What the console holds of a span, ten times a second: {bed: [ticks as live, ticks as late]}.
  window.watched = [];
  const look = () => {
    const held = {};
    for (const key of keys) {
      const ring = window.ctgApp.store.bed(key).ring;
      held[key] = [0, 0];
      for (let tick = from / 250; tick < to / 250; tick++) {
        const hasValue = ["fhr1", "fhr2", "mhr", "toco"].some((name) => !Number.isNaN(ring.at(name, tick)));
        if (hasValue) held[key][ring.isLate(tick) ? 1 : 0] += 1;
      }
    }
    window.watched.push({ joined: document.querySelector("#lost").hidden, held });
  };
  window.setInterval(look, 100);
}"""


def test_after_a_killed_hub_the_console_rejoins_and_the_gap_is_a_gap_until_it_is_filled_as_late(
    screen: Screen, chain: Demo
):
    page = screen.page
    keys = [f"{bed['site']}/{bed['bed']}" for bed in chain.beds()]
    killed_ms = time.time_ns() // 10**9 * 1000
    chain.child("hub").kill()
    page.wait_for_selector("#lost:not([hidden])", timeout=3000)
    # Nothing listened in this second, however quickly the hub was back.
    span = (killed_ms + 1000, killed_ms + 2000)
    page.evaluate(WATCH_SPAN, [keys, *span])
    wait_until(
        "the sites to have sent it into the void",
        lambda: time.time_ns() > (span[1] + 300) * 10**6,
        within_s=5,
    )
    sites = chain.child("simulator")
    sites.suspend()  # so that the console is back before the sites have sent it again
    try:
        page.wait_for_selector("#lost", state="hidden", timeout=30000)
        wait_until(
            "the console to have looked",
            lambda: page.evaluate("() => window.watched.at(-1).joined"),
            within_s=5,
        )
    finally:
        sites.resume()
    wait_until("live tiles again", lambda: "dark" not in screen.freshest(), within_s=15)

    def held() -> dict[str, list[int]]:
        newest: dict[str, list[int]] = page.evaluate("() => window.watched.at(-1).held")
        return newest

    def stored(key: str) -> int:
        site, name = key.split("/")
        strip = chain.get(f"/api/v1/beds/{site}/{name}/strip", params={"from": span[0], "to": span[1]}).json()
        return sum(
            any(values[tick] is not None for values in strip["channels"].values()) for tick in range(4)
        )

    def is_filled() -> bool:
        in_database = {key: stored(key) for key in keys}
        # A recording may have lost all its signals just then.
        return sum(count > 0 for count in in_database.values()) >= len(keys) - 2 and all(
            late == in_database[key] for key, (_, late) in held().items()
        )

    wait_until("the second that the hub missed to be filled, here as in the database", is_filled, within_s=90)
    watched = page.evaluate("() => window.watched")
    assert any(
        moment["joined"] and not any(late for _, late in moment["held"].values()) for moment in watched
    ), "the gap was never seen as a gap"
    assert not any(live for moment in watched for live, _ in moment["held"].values())
