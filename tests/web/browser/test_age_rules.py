"""No value without its age: what a console may show of a bed as its data grow old."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system

DISPLAY = """async ([vitals, fetuses, context]) => {
  const { Bed } = await import("/js/store.js");
  const { Age } = await import("/js/clock.js");
  const { bedDisplay } = await import("/js/display.js");
  const bed = new Bed("h012", "bed3");
  bed.view = { site: "h012", bed: "bed3", label: null, site_name: null, gestational_weeks: null, vitals };
  bed.age = new Age(vitals.age_ms, 0);
  const contractions = { are_contractions_known: true, contractions_per_10min: 4, is_tachysystole: false };
  bed.analysis = { fetuses, ...contractions };
  bed.isKnown = context.isKnown ?? true;
  return bedDisplay(bed, { isUp: true, silentMs: 0, ...context });
}"""


def vitals(**changed: Any) -> dict[str, Any]:
    return {
        "head_ms": 1000,
        "age_ms": 400,
        "clock_offset_ms": 0,
        "link": "online",
        "device": "ok",
        "is_test": False,
        "fetuses": [{"fetus": 1, "fhr_bpm": 140.25, "quality": 2, "signal_fraction": 0.97}],
        "mhr_bpm": 82.0,
        "toco": 20.0,
        "iup_mmhg": None,
        "is_coincident": False,
    } | changed


def fetus(
    level: int | None = 1, why: str | None = None, number: int = 1, last: int | None = None
) -> dict[str, Any]:
    return {
        "fetus": number,
        "level": level,
        "level_since_ms": 0,
        "computed_ms": 0,
        "last_level": last,
        "last_level_ms": 0,
        "rolling": {"indeterminate": why},
        "ribbon": [],
    }


def show(
    page: Page, seen: dict[str, Any], fetuses: list[dict[str, Any]] | None = None, **context: Any
) -> Any:
    return page.evaluate(DISPLAY, [seen, [fetus()] if fetuses is None else fetuses, {"now": 0, **context}])


def test_a_live_bed_shows_number_and_level(modules: Page):
    d = show(modules, vitals())
    assert (d["state"], d["fetuses"][0]["text"], d["glyph"]) == ("live", "140", {"kind": "level", "level": 1})


@pytest.mark.parametrize(
    ("age_ms", "state", "number"),
    [(3000, "live", "140"), (3001, "marked", "140"), (9999, "marked", "140"), (10000, "stale", "–––")],
)
def test_after_3_s_a_value_is_marked_and_from_10_s_it_is_gone(
    modules: Page, age_ms: int, state: str, number: str
):
    d = show(modules, vitals(age_ms=400), [fetus(2)], now=age_ms - 400)
    assert (d["state"], d["fetuses"][0]["text"]) == (state, number)
    if state != "live":
        assert d["fetuses"][0]["tone"] == "old"
        assert d["glyph"] == {"kind": "stale", "level": 2}
        assert d["level"] is None


@pytest.mark.parametrize("age_ms", [3001, 10_000])
def test_a_level_1_that_may_not_stand_any_more_is_a_question_mark(modules: Page, age_ms: int):
    d = show(modules, vitals(age_ms=400), [fetus(1)], now=age_ms - 400)
    assert d["glyph"] == {"kind": "indeterminate", "level": None}


@pytest.mark.parametrize(
    ("seen", "context"),
    [
        (vitals(), {"isUp": False, "silentMs": 2600}),
        (vitals(link="offline", age_ms=4000), {}),
        (vitals(age_ms=None), {}),
        (vitals(), {"isKnown": False}),
    ],
)
def test_without_contact_there_is_neither_level_nor_number(
    modules: Page, seen: dict[str, Any], context: dict[str, Any]
):
    d = show(modules, seen, **context)
    assert d["glyph"]["kind"] == "dark"
    assert d["level"] is None
    assert [d["fetuses"][0]["text"], d["mhr"], d["toco"], d["contractions"]] == ["–––", "–", "–", "–"]


@pytest.mark.parametrize("age_ms", [60_000, 60_001])
def test_a_level_whose_analysis_stands_still_loses_its_colour_though_samples_come(modules: Page, age_ms: int):
    d = show(modules, vitals(), [fetus(2)], hubNow=age_ms)
    assert (d["state"], d["fetuses"][0]["text"]) == ("live", "140")
    is_old = age_ms > 60_000
    assert d["glyph"] == {"kind": "stale" if is_old else "level", "level": 2}
    assert (d["level"], d["contractions"]) == ((None, "?") if is_old else (2, "4"))


@pytest.mark.parametrize("why", ["maternal_rate", "doubling_halving", "too_little_signal"])
def test_a_doubtful_rate_is_a_question_mark_and_never_level_1(modules: Page, why: str):
    d = show(modules, vitals(), [fetus(None, why, last=1)])
    assert d["fetuses"][0]["text"] == "?"
    assert d["glyph"] == {"kind": "indeterminate", "level": None}


def test_a_coincidence_told_by_the_device_stops_number_and_level(modules: Page):
    d = show(modules, vitals(is_coincident=True))
    assert d["fetuses"][0]["text"] == "?"
    assert d["glyph"]["kind"] == "indeterminate"


def test_a_bed_without_reading_is_indeterminate(modules: Page):
    assert show(modules, vitals(), [])["glyph"]["kind"] == "indeterminate"


@pytest.mark.parametrize(
    ("levels", "glyph"),
    [
        ((1, 2), {"kind": "level", "level": 2}),
        ((1, None), {"kind": "indeterminate", "level": None}),
        ((4, None), {"kind": "level", "level": 4}),
    ],
)
def test_of_twins_the_worse_gives_the_glyph(
    modules: Page, levels: tuple[int | None, ...], glyph: dict[str, Any]
):
    fetuses = [fetus(level, number=i + 1) for i, level in enumerate(levels)]
    assert show(modules, vitals(), fetuses)["glyph"] == glyph


def test_bold_means_outside_110_to_160_and_nothing_else(modules: Page):
    def tone(bpm: float) -> str:
        one = {"fetus": 1, "fhr_bpm": bpm, "quality": 2, "signal_fraction": 1.0}
        return str(show(modules, vitals(fetuses=[one]))["fetuses"][0]["tone"])

    assert [tone(bpm) for bpm in (109.0, 110.0, 160.0, 161.0)] == ["out", "normal", "normal", "out"]


def test_waiting_on_the_way_is_seen_without_comparing_clocks(modules: Page):
    waits = modules.evaluate("""async () => {
      const { TransitMeter } = await import("/js/clock.js");
      const meter = new TransitMeter(60000);
      const received = [[5_000_000, 10], [5_001_000, 1010], [5_002_000, 4010], [5_003_000, 4020]];
      return received.map(([t, now]) => meter.push(t, now));
    }""")
    assert waits == [0, 0, 2000, 1010]


def test_a_console_that_stood_still_or_slept_knows_it(modules: Page):
    found = modules.evaluate("""async () => {
      const { FreezeGuard } = await import("/js/clock.js");
      const guard = new FreezeGuard(0, 1_000_000);
      const frozen = [[250, 1_000_250], [60_000, 1_060_000], [60_250, 1_060_250]];
      const asleep = [[60_500, 4_000_000], [60_750, 4_000_250]];
      return [...frozen, ...asleep].map(([now, wall]) => guard.beat(now, wall));
    }""")
    assert found == [False, True, False, True, False]


def test_the_console_shows_japanese_time_wherever_it_runs(browser: Browser, module_url: str):
    for zone in ("UTC", "America/New_York"):
        context = browser.new_context(timezone_id=zone)
        page = context.new_page()
        page.goto(f"{module_url}/blank")
        clock = 'async (ms) => (await import("/js/i18n.js")).clockText(ms, "hms")'
        assert page.evaluate(clock, 1_790_000_000_000) == "23:13:20"
        context.close()


def test_the_ribbon_begins_with_the_segments_read_and_ends_with_the_levels_shown(modules: Page):
    spans = modules.evaluate("""async () => {
      const { ribbonSpans } = await import("/js/ribbon.js");
      const segments = [{ start_s: 0, end_s: 600, level: 2 }, { start_s: 600, end_s: 1200, level: null }];
      const ribbon = [{ start_ms: 900000, end_ms: 960000, level: 4 }];
      return ribbonSpans({ fetuses: [{ origin_ms: 0, segments, ribbon }] });
    }""")
    assert [(s["start_ms"], s["end_ms"], s["level"]) for s in spans] == [
        (0, 600_000, 2),
        (600_000, 900_000, None),
        (900_000, 960_000, 4),
    ]
