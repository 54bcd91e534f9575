"""The strip is paper: no gap is joined, no jump is drawn, and chopping does not change the picture."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.system

RUNS = """async (values) => {
  const { penRuns } = await import("/js/traces.js");
  return penRuns(values.map((v) => v ?? NaN));
}"""
GAPS = """async ([values, spans]) => {
  const { findGaps } = await import("/js/traces.js");
  const at = (tick) => values[tick] ?? NaN;
  return spans.map(([from, to]) => findGaps(at, from, to, { first: 0, head: values.length }));
}"""
LAYOUT = """async ([n, w, h]) => {
  const { wallLayout } = await import("/js/layout.js");
  return wallLayout(n, w, h);
}"""
PICTURES = """async ([fhr, toco, cuts, mode]) => {
  const { Ring } = await import("/js/ring.js");
  const { Strip } = await import("/js/strip.js");
  const { loadTexts } = await import("/js/i18n.js");
  const { refreshTheme } = await import("/js/theme.js");
  await loadTexts();
  refreshTheme();
  const ring = new Ring();
  const t0 = 1_790_000_000_000;
  const piece = (values, from, to) => values.slice(from, to).map((v) => v ?? NaN);
  const push = (from, to) => ring.push({
    t0: t0 + from * 250, end: t0 + to * 250, period: 250, ticks: to - from, epoch: 1, seq: from, flags: 0,
    channels: { fhr1: piece(fhr, from, to), toco: piece(toco, from, to) },
  });
  const make = () => {
    const strip = new Strip(document.createElement("canvas"));
    strip.resize({ width: 400, pxPerCm: 40 / 3, tocoCm: 4, foot: 13, mode });
    return strip;
  };
  const draw = (strip, dirty) => strip.draw({
    source: ring, analysis: null, analysisKey: 0, endMs: ring.headMs, dirty, glass: { clock: true } });
  const grown = make();
  for (let i = 0; i + 1 < cuts.length; i++) {
    const span = push(cuts[i], cuts[i + 1]);
    draw(grown, { from: span.from, to: span.to });
  }
  const whole = make();
  draw(whole, null);
  const pixels = (strip) => strip.ctx.getImageData(0, 0, strip.canvas.width, strip.canvas.height).data;
  const [a, b] = [pixels(grown), pixels(whole)];
  let different = 0;
  // Edges of a long path and of its pieces are smoothed a little differently; a missing line is not that.
  for (let i = 0; i < a.length; i++) if (Math.abs(a[i] - b[i]) > 40) different++;
  return { different, size: a.length };
}"""


def as_json(values: Any) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def recording(n: int, seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    values = 140 + 8 * np.sin(np.arange(n) / 37) + rng.normal(0, 1.5, n)
    values[300:345] = np.nan  # 11 s: a gap, not hatched
    values[700:790] = np.nan  # 22 s: hatched
    values[1000:1040] += 60  # a jump there and back
    return np.asarray(values.round(2))


def test_the_pen_is_lifted_at_loss_and_at_steps_above_30_bpm(modules: Page):
    nan = np.nan
    values = [140, 141, nan, 142, 172, 203, 203, nan, nan, 90]
    assert modules.evaluate(RUNS, as_json(values)) == [[0, 2], [3, 5], [5, 7], [9, 10]]


def test_no_run_of_a_recording_holds_a_loss_or_a_jump(modules: Page):
    values = recording(2400, 1)
    runs = modules.evaluate(RUNS, as_json(values))
    for start, stop in runs:
        piece = values[start:stop]
        assert np.isfinite(piece).all()
        assert (np.abs(np.diff(piece)) <= 30).all()
    for (_, stop), (start, _) in pairwise(runs):
        lost = np.isnan(values[stop:start]).any() if start > stop else False
        assert lost or abs(values[start] - values[stop - 1]) > 30


def test_a_gap_is_hatched_from_15_s_on_however_it_is_chopped(modules: Page):
    values = np.full(800, 140.0)
    values[100:159] = np.nan  # 14.75 s
    values[300:360] = np.nan  # 15 s
    values[500:700] = np.nan
    spans = [[0, 800], *[[at, at + 7] for at in range(0, 800, 7)]]
    whole, *pieces = modules.evaluate(GAPS, [as_json(values), spans])
    assert whole == [[300, 360], [500, 700]]
    ticks = {tick for piece in pieces for a, b in piece for tick in range(a, b)}
    assert ticks == {*range(300, 360), *range(500, 700)}


@pytest.mark.parametrize("mode", ["tile", "full"])
@pytest.mark.parametrize("step", [1, 4, 13])
def test_a_strip_drawn_as_it_arrives_looks_like_one_drawn_at_once(modules: Page, mode: str, step: int):
    n = 2600 if step > 1 else 900
    fhr = recording(2600, 2)[:n]
    toco = np.clip(30 + 25 * np.sin(np.arange(n) / 160), 0, 100)
    toco[2000:2100] = np.nan
    cuts = [*range(0, n, step), n]
    picture = modules.evaluate(PICTURES, [as_json(fhr), as_json(toco), cuts, mode])
    assert picture["different"] / picture["size"] < 0.0002, picture


def test_a_smoothed_site_clock_leaves_no_false_gap(modules: Page):
    lost = modules.evaluate("""async () => {
      const { Ring } = await import("/js/ring.js");
      const ring = new Ring();
      for (let seq = 0; seq < 300; seq++) {
        const t0 = 1_790_000_000_000 + Math.round(seq * 1000 * 1.0005);
        const channels = { fhr1: [140, 141, 142, 143] };
        ring.push({ t0, end: t0 + 1000, period: 250, ticks: 4, epoch: 1, seq, flags: 0, channels });
      }
      let lost = 0;
      for (let tick = ring.first; tick < ring.head; tick++) if (Number.isNaN(ring.at("fhr1", tick))) lost++;
      return lost;
    }""")
    assert lost == 0


def test_late_data_stay_late_and_never_move_the_head(modules: Page):
    got = modules.evaluate("""async () => {
      const { Ring } = await import("/js/ring.js");
      const ring = new Ring();
      const frame = (second, bpm) => ({
        t0: second * 1000, end: second * 1000 + 1000, period: 250, ticks: 4, epoch: 1, seq: second, flags: 0,
        channels: { fhr1: [bpm, bpm, bpm, bpm] } });
      ring.push(frame(1000, 140));
      ring.push(frame(1010, 141));
      const before = ring.head;
      ring.push(frame(1004, 120), { isLate: true, arrived: 1_011_500 });
      return {
        moved: ring.head - before, value: ring.at("fhr1", 4016), late: ring.isLate(4016),
        live: ring.isLate(4000), gap: Number.isNaN(ring.at("fhr1", 4010)), spans: ring.lateSpans };
    }""")
    assert got == {
        "moved": 0,
        "value": 120,
        "late": True,
        "live": False,
        "gap": True,
        "spans": [{"from": 1_004_000, "to": 1_005_000, "arrived": 1_011_500}],
    }


def test_the_paper_keeps_3_cm_per_minute_to_30_bpm_per_cm(modules: Page):
    ratio = modules.evaluate("""async () => {
      const { geometry, fhrY } = await import("/js/paper.js");
      return [10.2, 13.333, 36].map((pxPerCm) => {
        const g = geometry({ width: 400, pxPerCm, dpr: 1 });
        const cmPerMinute = 60000 / g.binMs / pxPerCm;
        const bpmPerCm = 30 / ((fhrY(g, 120) - fhrY(g, 150)) / pxPerCm);
        return [cmPerMinute, bpmPerCm];
      });
    }""")
    for cm_per_minute, bpm_per_cm in ratio:
        assert cm_per_minute == pytest.approx(3, rel=1e-6)
        assert bpm_per_cm == pytest.approx(30, rel=0.01)  # whole pixels of height


@pytest.mark.parametrize(
    ("beds", "area", "expected"),
    [
        (12, (2086, 1362), (3, 4, "l", True)),
        (16, (2086, 1362), (4, 4, "l", True)),
        (32, (2086, 1362), (6, 6, "m", False)),
        (36, (2086, 1362), (6, 6, "m", False)),
        (16, (1456, 1010), (4, 4, "m", True)),
    ],
)
def test_the_wall_has_the_drawn_columns(
    modules: Page, beds: int, area: tuple[int, int], expected: tuple[int, int, str, bool]
):
    layout = modules.evaluate(LAYOUT, [beds, *area])
    assert (layout["columns"], layout["rows"], layout["size"], layout["hasToco"]) == expected
    assert layout["w"] >= 338
    assert layout["h"] >= 180


def test_more_beds_than_a_desk_holds_go_to_the_next_page(modules: Page):
    layout = modules.evaluate(LAYOUT, [60, 1456, 1010])
    assert layout["perPage"] < 60
    assert layout["h"] >= 180


@pytest.mark.parametrize("back_s", [480, 7200])
def test_after_a_site_clock_was_set_back_no_old_sample_stands_where_new_ones_are_missing(
    modules: Page, back_s: int
):
    got = modules.evaluate(
        """async (back) => {
      const { Store } = await import("/js/store.js");
      const store = new Store();
      const start = 1_790_000_000_000;
      const vitals = { age_ms: 100, clock_offset_ms: 0, fetuses: [] };
      const view = (head) => ({ site: "h", bed: "b", analysis: null, vitals: { ...vitals, head_ms: head } });
      const update = (head, t) =>
        store.update({ t_ms: t, beds: [view(head)], alerts: [], events: {} }, t - start);
      const push = (seq, t0, bpm, t) => {
        const frame = { t0, end: t0 + 1000, period: 250, ticks: 4, epoch: 1, seq, flags: 0,
          channels: { fhr1: [bpm, bpm, bpm, bpm] } };
        store.batch({ t, bad: 0, entries: [{ site: "h", bed: "b", arrived: t, frame }] }, t - start);
      };
      for (let s = 0; s < 600; s++) {
        const t0 = start + s * 1000;
        update(t0, t0);
        push(s, t0, 140, t0 + 1000);
      }
      for (let s = 600; s < 610; s++) {
        const t = start + s * 1000;
        push(s, t - back * 1000, 70, t + 1000);
        update(t - back * 1000 + 1000, t + 1000);
      }
      const { ring } = store.bed("h/b");
      const newest = start + (610 - back) * 1000;
      const at = (ms) => {
        const bpm = ring.at("fhr1", Math.floor(ms / 250));
        return Number.isNaN(bpm) ? null : bpm;
      };
      return { head: ring.headMs - newest, now: at(newest - 1000), gap: at(newest + 30_000) };
    }""",
        back_s,
    )
    assert got == {"head": 0, "now": 70, "gap": None}
