// What lies over the paper and moves with the window: axis, clock, letters, late marks, the hatch of missing data.

import { labelOf, letterOf } from "./findings.js";
import { hatch } from "./hatch.js";
import { clockText, t } from "./i18n.js";
import { fhrY, tocoY } from "./paper.js";
import { FONT } from "./theme.js";

const TILE_AXIS = [60, 120, 180];
const FULL_AXIS = [30, 60, 90, 120, 150, 180, 210, 240];

const font = (g, px, weight = 400) => `${weight} ${px * g.dpr}px ${FONT}`;

/**
 * `glass`: {clock, scale, state: {kind: "live"|"stale"|"dark", sinceMs, lines}, tags: [{ms, text, tone}], note}.
 * `view`: {start, stop, xOf, events, glass}.
 */
export function paintOverlay(ctx, g, p, view) {
  const { glass } = view;
  const right = g.left + g.columns;
  ctx.save();
  ctx.beginPath();
  ctx.rect(g.left, 0, g.columns, g.height);
  ctx.clip();
  paintState(ctx, g, p, view, right);
  paintLateLabels(ctx, g, p, view, glass.late ?? []);
  if (g.mode === "full") paintFullLabels(ctx, g, p, view);
  else paintLetters(ctx, g, p, view);
  paintTags(ctx, g, p, view, right);
  ctx.restore();
  paintAxis(ctx, g, p);
  if (glass.clock !== false) paintClock(ctx, g, p, view, right);
  if (glass.note) paintNote(ctx, g, p, glass.note, right);
  if (glass.state?.lines?.length) paintWords(ctx, g, p, view, right);
}

function paintAxis(ctx, g, p) {
  const full = g.mode === "full";
  ctx.font = font(g, full ? 13 : 11);
  ctx.fillStyle = p.t2;
  ctx.textBaseline = full ? "middle" : "bottom";
  ctx.textAlign = full ? "right" : "left";
  const x = full ? g.left - 6 * g.dpr : g.dpr;
  const halo = (text, y) => {
    if (!full) {
      ctx.strokeStyle = p.paper;
      ctx.lineWidth = 3 * g.dpr;
      ctx.lineJoin = "round";
      ctx.strokeText(text, x, y);
    }
    ctx.fillText(text, x, y);
  };
  for (const bpm of full ? FULL_AXIS : TILE_AXIS) {
    const edge = bpm === 240 ? 6 * g.dpr : bpm === 30 ? -5 * g.dpr : 0;
    halo(String(bpm), fhrY(g, bpm) + (full ? edge : 0.5 * g.dpr));
  }
  if (!full || !g.tocoH) return;
  for (const value of [0, 25, 50, 75, 100]) {
    const edge = value === 100 ? 6 * g.dpr : value === 0 ? -5 * g.dpr : 0;
    halo(String(value), tocoY(g, value) + edge);
  }
}

function paintClock(ctx, g, p, { start, stop, xOf, glass }, right) {
  const full = g.mode === "full";
  const step = full && g.cmPerMin >= 3 ? 60000 : full ? 180000 : 120000;
  ctx.font = font(g, full ? 13 : 11);
  ctx.fillStyle = p.t2;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "center";
  const scaleRoom = glass.scale ? ctx.measureText(glass.scale).width + 6 * g.dpr : 0;
  const half = ctx.measureText("00:00").width / 2;
  for (let ms = Math.ceil(start / step) * step; ms <= stop; ms += step) {
    const x = xOf(ms);
    if (x - half < g.left || x + half > right - scaleRoom) continue;
    ctx.fillText(clockText(ms), x, g.height);
  }
  if (!glass.scale) return;
  ctx.textAlign = "right";
  ctx.fillStyle = p.t3;
  ctx.fillText(glass.scale, right, g.height);
}

function paintLetters(ctx, g, p, { xOf, start, stop, events }) {
  ctx.font = font(g, 13, 700);
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  let free = -Infinity;
  for (const event of events) {
    if (event.to < start || event.from > stop) continue;
    const text = letterOf(event);
    const half = ctx.measureText(text).width / 2;
    const middle = (xOf(Math.max(event.from, start)) + xOf(Math.min(event.to, stop))) / 2;
    const x = Math.min(Math.max(middle, g.left + half + g.dpr), g.left + g.columns - half - g.dpr);
    if (x - half < free) continue;
    free = x + half;
    ctx.fillStyle = event.type === "acceleration" ? p.accInk : p.decInk;
    ctx.fillText(text, x, 3 * g.dpr);
  }
}

function paintFullLabels(ctx, g, p, { xOf, start, stop, events }) {
  const rows = [-Infinity, -Infinity];
  const pad = 5 * g.dpr;
  const hasTwins = events.some((event) => event.fetus > 1);
  for (const event of events) {
    if (event.to < start || event.from > stop) continue;
    const [head, detail] = labelOf(event, hasTwins);
    ctx.font = font(g, 12);
    const detailWidth = detail ? ctx.measureText(detail).width : 0;
    ctx.font = font(g, 14, 700);
    const w = Math.max(ctx.measureText(head).width, detailWidth) + 2 * pad;
    const h = (detail ? 36 : 19) * g.dpr;
    const middle = (xOf(Math.max(event.from, start)) + xOf(Math.min(event.to, stop))) / 2;
    const x = Math.min(Math.max(middle - w / 2, g.left + g.dpr), g.left + g.columns - w - g.dpr);
    const row = rows.findIndex((free) => x > free);
    if (row < 0) continue;
    rows[row] = x + w + 2 * g.dpr;
    const y = (4 + row * 39) * g.dpr;
    const ink = event.type === "acceleration" ? p.accInk : p.decInk;
    ctx.fillStyle = p.surface;
    ctx.fillRect(x, y, w, h);
    ctx.strokeStyle = ink;
    ctx.lineWidth = g.dpr;
    ctx.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    ctx.fillStyle = ink;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.fillText(head, x + pad, y + 2.5 * g.dpr);
    ctx.font = font(g, 12);
    if (detail) ctx.fillText(detail, x + pad, y + 20 * g.dpr);
  }
}

function paintLateLabels(ctx, g, p, { xOf, start, stop }, spans) {
  ctx.font = font(g, 12, 700);
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  ctx.fillStyle = p.lateInk;
  for (const span of spans) {
    if (span.to < start || span.from > stop) continue;
    const text = t("ui.late_arrived", { time: clockText(span.arrived) });
    const x = Math.max(xOf(span.from), g.left + (g.mode === "full" ? 0 : 22 * g.dpr)) + 3 * g.dpr; // beside the axis
    if (xOf(span.to) - x < 20 * g.dpr) continue;
    ctx.fillText(text, x, g.fhrH - 17 * g.dpr);
  }
}

function paintState(ctx, g, p, { xOf, glass }, right) {
  const { state } = glass;
  if (!state || state.kind === "live" || state.sinceMs === null) return;
  const x = Math.max(g.left, xOf(state.sinceMs));
  const kind = state.kind === "dark" ? "dark" : "gap";
  const lanes = g.tocoH ? [[0, g.fhrH], [g.tocoTop, g.tocoH]] : [[0, g.fhrH]];
  for (const [y, h] of lanes) {
    if (kind === "dark") {
      ctx.fillStyle = p.paper;
      ctx.fillRect(x, y, right - x, h);
    }
    hatch(ctx, x, y, right - x, h, { kind, color: p.hatch, scale: g.dpr });
  }
  ctx.fillStyle = p.none;
  ctx.fillRect(x, 0, 2 * g.dpr, g.tocoTop + g.tocoH);
}

/** The words of a loss stand in its hatch, or as near to it as they fit. */
function paintWords(ctx, g, p, { xOf, glass }, right) {
  const { state } = glass;
  const size = g.mode === "full" ? 17 : 14;
  ctx.font = font(g, size, 700);
  const w = Math.max(...state.lines.map((text) => ctx.measureText(text).width)) + 18 * g.dpr;
  const h = (state.lines.length * (size + 6) + 6) * g.dpr;
  const from = Math.max(g.left, xOf(state.sinceMs ?? -Infinity));
  const middle = Math.min(Math.max((from + right) / 2, g.left + w / 2), right - w / 2 - 2 * g.dpr);
  const y = Math.max(2 * g.dpr, g.fhrH / 2 - h / 2);
  ctx.fillStyle = p.surface;
  ctx.fillRect(middle - w / 2, y, w, h);
  ctx.fillStyle = p.t1;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  state.lines.forEach((text, i) => {
    ctx.font = font(g, i ? size - 1 : size, i ? 400 : 700);
    ctx.fillText(text, middle, y + (4 + i * (size + 6)) * g.dpr);
  });
}

function paintTags(ctx, g, p, { xOf, glass }, right) {
  if (g.mode !== "full") return;
  ctx.font = font(g, 13, 700);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const tag of glass.tags ?? []) {
    const w = ctx.measureText(tag.text).width + 10 * g.dpr;
    const at = xOf(tag.ms);
    if (at < g.left || at > right) continue;
    const x = Math.min(Math.max(at, g.left + w / 2), right - w / 2);
    ctx.fillStyle = p[tag.tone];
    ctx.fillRect(x - w / 2, g.tocoTop + 3 * g.dpr, w, 19 * g.dpr);
    ctx.fillStyle = p[`${tag.tone}Ink`];
    ctx.fillText(tag.text, x, g.tocoTop + 13 * g.dpr);
  }
}

function paintNote(ctx, g, p, note, right) {
  ctx.font = font(g, g.mode === "full" ? 13 : 11, 700);
  ctx.fillStyle = p.twin;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(note, right - 3 * g.dpr, g.fhrH - 4 * g.dpr);
}
