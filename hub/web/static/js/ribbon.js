// The ribbon: hours of levels, one step per minute, bar height by level, so that it reads without colour.

import { hatch } from "./hatch.js";
import { clockText, ZONE_OFFSET_MS } from "./i18n.js";
import { FONT, palette } from "./theme.js";

export const HEIGHT = { 1: 0.2, 2: 0.36, 3: 0.56, 4: 0.78, 5: 1 };
const STEP_MS = 60000;

/** Levels per minute step in [from, to): number, null for 判定不能, undefined where nothing was monitored. */
export function steps(spans, from, to) {
  const out = [];
  for (let ms = from; ms < to; ms += STEP_MS) {
    const middle = ms + STEP_MS / 2;
    const span = spans.find((s) => middle >= s.start_ms && middle < s.end_ms);
    out.push(span ? span.level : undefined);
  }
  return out;
}

/** Levels that were shown, with the 10-minute segments before them: data that came late were never shown, but read. */
function withSegments(fetus) {
  const shown = fetus.ribbon[0]?.start_ms ?? Infinity;
  const read = fetus.segments
    .map((s) => ({ start_ms: fetus.origin_ms + s.start_s * 1000, end_ms: fetus.origin_ms + s.end_s * 1000, level: s.level }))
    .filter((s) => s.start_ms < shown)
    .map((s) => ({ ...s, end_ms: Math.min(s.end_ms, shown) }));
  return [...read, ...fetus.ribbon];
}

/** What the ribbon draws: every level known, of the worst fetus. */
export const ribbonSpans = (analysis) => worstOf((analysis?.fetuses ?? []).map(withSegments));

/** The levels that were shown, of the worst fetus: what changes and trends are read from. */
export const worstSpans = (analysis) => worstOf((analysis?.fetuses ?? []).map((f) => f.ribbon));

/** The worst of several span lists: the higher level wins, then 判定不能. */
function worstOf(lists) {
  if (lists.length < 2) return lists[0] ?? [];
  const edges = [...new Set(lists.flat().flatMap((s) => [s.start_ms, s.end_ms]))].sort((a, b) => a - b);
  const out = [];
  for (let i = 0; i + 1 < edges.length; i++) {
    const here = lists.flatMap((spans) => spans.filter((s) => s.start_ms <= edges[i] && s.end_ms >= edges[i + 1]));
    if (!here.length) continue;
    const levels = here.map((s) => s.level).filter((level) => level !== null);
    out.push({ start_ms: edges[i], end_ms: edges[i + 1], level: levels.length ? Math.max(...levels) : null });
  }
  return out;
}

/** Draw on a canvas of CSS size w x h; `box` {from, to} marks the span of the strip. */
export function paintRibbon(canvas, { w, h, spans, fromMs, toMs, box = null, darkFromMs = null, labels = true }) {
  const dpr = window.devicePixelRatio || 1;
  const width = Math.round(w * dpr);
  const height = Math.round(h * dpr);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
  }
  const ctx = canvas.getContext("2d");
  const p = palette;
  const bar = labels ? height - 11 * dpr : height;
  const xOf = (ms) => ((ms - fromMs) / (toMs - fromMs)) * width;
  ctx.clearRect(0, 0, width, height);
  ctx.fillStyle = p.surface2;
  ctx.fillRect(0, 0, width, bar);
  for (const span of spans) {
    const x = Math.max(0, Math.round(xOf(Math.round(span.start_ms / STEP_MS) * STEP_MS)));
    const x1 = Math.min(width, Math.round(xOf(Math.min(Math.round(span.end_ms / STEP_MS) * STEP_MS, toMs))));
    if (x1 <= x) continue;
    if (span.level === null) {
      hatch(ctx, x, 0, x1 - x, bar, { color: p.hatch, scale: dpr * 0.8 });
      continue;
    }
    const top = bar - HEIGHT[span.level] * bar;
    ctx.fillStyle = p[`l${span.level}`];
    ctx.fillRect(x, top, x1 - x, bar - top);
    if (span.level === 3 || span.level === 4) {
      ctx.fillStyle = p[`l${span.level}Edge`];
      ctx.fillRect(x, top, x1 - x, 1.5 * dpr);
    }
  }
  if (darkFromMs !== null && darkFromMs < toMs) {
    const x = Math.max(0, xOf(darkFromMs));
    hatch(ctx, x, 0, width - x, bar, { kind: "dark", color: p.hatch, scale: dpr * 0.7 });
  }
  paintHours(ctx, { p, dpr, bar, height, width, fromMs, toMs, xOf, labels });
  if (box) {
    ctx.strokeStyle = p.t2;
    ctx.lineWidth = 1.5 * dpr;
    const x = Math.max(1, xOf(box.from));
    ctx.strokeRect(x, 0.75 * dpr, Math.min(width - 1, xOf(box.to)) - x, bar - 1.5 * dpr);
  }
}

function paintHours(ctx, { p, dpr, bar, height, width, fromMs, toMs, xOf, labels }) {
  const hours = (toMs - fromMs) / 3600000;
  const step = (hours > 8.5 ? 2 : 1) * 3600000;
  ctx.font = `400 ${11 * dpr}px ${FONT}`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  ctx.fillStyle = p.gridMin;
  ctx.fillRect(0, bar - dpr, width, dpr);
  for (let ms = Math.ceil((fromMs + ZONE_OFFSET_MS) / step) * step - ZONE_OFFSET_MS; ms < toMs; ms += step) {
    const x = Math.round(xOf(ms));
    ctx.fillStyle = p.gridMin;
    ctx.fillRect(x, 0, dpr, bar + (labels ? 4 * dpr : 0));
    if (!labels || x + 34 * dpr > width) continue;
    ctx.fillStyle = p.t3;
    ctx.fillText(clockText(ms), x + 3 * dpr, height + dpr);
  }
}
