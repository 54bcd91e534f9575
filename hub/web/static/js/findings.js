// Findings of the analysis on the paper: decelerations, accelerations, baseline, late spans, suspect spans.

import { fhrY, paintBandEdges } from "./paper.js";
import { t } from "./i18n.js";

const FRESH_S = 15;
export const READABLE_MIN = 0.5; // under half of the span readable: doubtful

/** Decelerations and accelerations of all fetuses with absolute times, in time order. */
export function eventsOf(analysis) {
  const events = [];
  for (const fetus of analysis?.fetuses ?? []) {
    const ms = (s) => fetus.origin_ms + s * 1000;
    for (const d of fetus.decelerations) {
      events.push({ type: "deceleration", from: ms(d.onset_s), to: ms(d.end_s), fetus: fetus.fetus, d });
    }
    for (const a of fetus.accelerations) {
      events.push({ type: "acceleration", from: ms(a.onset_s), to: ms(a.end_s), fetus: fetus.fetus, a });
    }
  }
  return events.sort((x, y) => x.from - y.from);
}

export function suspectSpans(analysis, fetusNumber) {
  const fetus = (analysis?.fetuses ?? []).find((f) => f.fetus === fetusNumber);
  if (!fetus) return [];
  const spans = fetus.suspect_spans_s.map(([a, b]) => [fetus.origin_ms + a * 1000, fetus.origin_ms + b * 1000]);
  const { rolling } = fetus;
  const last = spans.at(-1);
  // Samples newer than the analysis stay suspect until it says otherwise: they must not look like a fetus again.
  const isGoingOn = rolling?.indeterminate === "maternal_rate" && last?.[1] >= fetus.origin_ms + (rolling.end_s - FRESH_S) * 1000;
  if (isGoingOn) last[1] = Infinity;
  return spans;
}

const isRunning = (d) => d.is_ongoing && d.end_s - d.onset_s < 120;
export const isDoubtful = (d) => d.readable_fraction < READABLE_MIN;

/** One letter for the tile: ! severe, ? doubtful. */
export function letterOf(event) {
  if (event.type === "acceleration") return t("letter.acceleration");
  const { d } = event;
  const letter = isRunning(d) ? t("letter.running") : t(`letter.${d.kind}`);
  return letter + (isDoubtful(d) ? "?" : d.severity === "severe" ? "!" : "");
}

/** Two lines for the full strip; with twins the first names the fetus. */
export function labelOf(event, hasTwins = false) {
  const [head, detail] = wordsOf(event);
  return [hasTwins ? `${"ABC"[event.fetus - 1]} ${head}` : head, detail];
}

function wordsOf(event) {
  if (event.type === "acceleration") return [t(event.a.is_prolonged ? "ui.prolonged_acceleration" : "ui.acceleration"), ""];
  const { d } = event;
  const kind = isRunning(d)
    ? t("ui.deceleration_running")
    : t("ui.kind_severity", { kind: t(`kind.${d.kind}.short`), severity: t(`severity.${d.severity}`) });
  const head = d.severity === "ungraded" && !isRunning(d) ? t(`kind.${d.kind}.short`) : kind;
  const values = { duration: d.end_s - d.onset_s, nadir: d.nadir_bpm, readable: d.readable_fraction * 100 };
  const ongoing = d.is_ongoing ? "_ongoing" : "";
  const detail = isDoubtful(d) ? t(`ui.event_doubtful${ongoing}`, values) : t(`ui.event_detail${ongoing}`, values);
  return [head + (isDoubtful(d) ? "?" : ""), detail];
}

export function paintLate(ctx, g, p, spans, t0, t1, xOf) {
  for (const span of spans) {
    if (span.to < t0 || span.from > t1) continue;
    const x = xOf(span.from);
    const w = xOf(span.to) - x;
    ctx.fillStyle = p.lateFill;
    ctx.fillRect(x, 0, w, g.fhrH);
    if (g.tocoH) ctx.fillRect(x, g.tocoTop, w, g.tocoH);
    paintBandEdges(ctx, g, p, x, x + w); // 110 and 160 stay readable on a record that came late as a whole
    ctx.fillStyle = p.lateInk;
    const dash = 3 * g.dpr;
    for (let at = x - (((x + g.originX) % (2 * dash)) + 2 * dash) % (2 * dash); at < x + w; at += 2 * dash) {
      const from = Math.max(at, x);
      const width = Math.min(at + dash, x + w) - from;
      if (width > 0) for (const y of [0, g.fhrH - 1.5 * g.dpr]) ctx.fillRect(from, y, width, 1.5 * g.dpr);
    }
  }
}

export function paintEvents(ctx, g, p, events, t0, t1, xOf) {
  const full = g.mode === "full";
  for (const event of events) {
    if (event.to < t0 || event.from > t1) continue;
    const x = xOf(event.from);
    const w = Math.max(g.dpr, xOf(event.to) - x);
    const bar = 3 * g.dpr;
    if (event.type === "acceleration") {
      if (full) {
        ctx.fillStyle = p.accFill;
        ctx.fillRect(x, 0, w, g.fhrH);
      }
      ctx.fillStyle = p.accInk;
      ctx.fillRect(x, 0, w, bar);
      continue;
    }
    const doubtful = isDoubtful(event.d);
    ctx.fillStyle = p.decFill;
    ctx.globalAlpha = doubtful ? 0.5 : 1;
    ctx.fillRect(x, 0, w, g.fhrH);
    ctx.globalAlpha = 1;
    ctx.fillStyle = p.decInk;
    if (full) for (const edge of [x, x + w - g.dpr]) ctx.fillRect(edge, 0, g.dpr * 0.6, g.fhrH);
    const step = doubtful ? 6 * g.dpr : w;
    const dash = doubtful ? 3.5 * g.dpr : w;
    for (let at = x; at < x + w; at += step) ctx.fillRect(at, g.fhrH - bar, Math.min(dash, x + w - at), bar);
  }
}

/** The dashed baseline; its dash is anchored to absolute columns, so pieces painted apart fit together. */
export function paintBaseline(ctx, g, p, analysis, t0, t1, xOf, offsets) {
  const dash = g.mode === "full" ? [7, 5] : [4, 3];
  const period = (dash[0] + dash[1]) * g.dpr;
  ctx.save();
  ctx.strokeStyle = p.baseline;
  ctx.lineWidth = (g.mode === "full" ? 1.8 : 1.2) * g.dpr;
  ctx.setLineDash(dash.map((n) => n * g.dpr));
  for (const fetus of analysis?.fetuses ?? []) {
    const step = fetus.baseline_step_ms;
    const values = fetus.baseline_bpm;
    const spans = suspectSpans(analysis, fetus.fetus);
    const offset = offsets[fetus.fetus - 1] ?? 0;
    const first = Math.max(0, Math.floor((t0 - fetus.origin_ms) / step) - 1);
    const last = Math.min(values.length - 1, Math.ceil((t1 - fetus.origin_ms) / step) + 1);
    let isDown = false;
    ctx.beginPath();
    for (let i = first; i <= last; i++) {
      const at = fetus.origin_ms + i * step;
      if (values[i] === null || spans.some(([a, b]) => at >= a && at < b)) {
        isDown = false;
        continue;
      }
      const x = xOf(at);
      const y = fhrY(g, values[i] + offset);
      if (isDown) ctx.lineTo(x, y);
      else {
        ctx.stroke(); // the piece before: each piece has its own dash phase
        ctx.beginPath();
        ctx.lineDashOffset = (((x + g.originX) % period) + period) % period;
        ctx.moveTo(x, y);
      }
      isDown = true;
    }
    ctx.stroke();
  }
  ctx.restore();
}
