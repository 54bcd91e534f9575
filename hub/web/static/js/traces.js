// Traces: nothing is ever joined over a gap or a jump, nothing is smoothed, nothing leaves the paper unmarked.

import { hatch } from "./hatch.js";
import { clampFhr, fhrY, tocoY } from "./paper.js";
import { GRID_MS } from "./ring.js";

export const MAX_STEP_BPM = 30; // a larger step lifts the pen
export const HATCH_TICKS = 60; // 15 s
export const OFFSETS = [0, 20, -20]; // display offset of fetus 1, 2, 3 in bpm; printed beside the trace

/** True if the pen must be lifted between two neighbouring samples. */
export function isLift(before, value) {
  return Number.isNaN(before) || Number.isNaN(value) || Math.abs(value - before) > MAX_STEP_BPM;
}

/** Stretches [start, stop) of an array that are drawn in one pen stroke. */
export function penRuns(values) {
  const runs = [];
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    if (i > 0 && !isLift(values[i - 1], values[i])) runs.at(-1)[1] = i + 1;
    else runs.push([i, i + 1]);
  }
  return runs;
}

/** Gaps of at least 15 s in [from, to) ticks, looked at beyond the edges so that chopping changes nothing. */
export function findGaps(at, from, to, { first = -Infinity, head = Infinity } = {}) {
  const gaps = [];
  const isLost = (tick) => tick >= first && tick < head && Number.isNaN(at(tick));
  let start = null;
  let tick = from;
  if (isLost(from)) {
    start = from;
    while (isLost(start - 1) && from - start < HATCH_TICKS) start--;
  }
  for (; tick <= to; tick++) {
    const lost = tick < to && isLost(tick);
    if (lost && start === null) start = tick;
    if (lost || start === null) continue;
    let stop = tick;
    while (isLost(stop) && stop - start < HATCH_TICKS) stop++;
    if (stop - start >= HATCH_TICKS) gaps.push([Math.max(start, from), Math.min(stop, to)]);
    start = null;
  }
  return gaps;
}

/** Where a repaint that begins at `tick` has to begin, so that a gap that just became 15 s long is hatched whole. */
export function gapStart(at, tick, first = -Infinity) {
  let start = tick;
  while (start - 1 >= first && Number.isNaN(at(start - 1)) && tick - start < HATCH_TICKS) start--;
  return start;
}

export function paintGaps(ctx, g, p, source, from, to, xOf, originX) {
  const at = (tick) => source.at("fhr1", tick);
  for (const [a, b] of findGaps(at, from, to, { first: source.first, head: source.head })) {
    const x = xOf(a * GRID_MS);
    hatch(ctx, x, 0, xOf(b * GRID_MS) - x, g.fhrH, { color: p.hatch, originX, scale: g.dpr });
  }
}

/** A rate trace; `styleOf(tick)` names the ink, and the pen changes ink without a break. */
export function paintRate(ctx, g, source, channel, from, to, xOf, { inks, styleOf, width, offset = 0 }) {
  let before = NaN;
  let style = null;
  let pen = null;
  const dot = 0.01;
  const begin = (name) => {
    if (style !== null) ctx.stroke();
    style = name;
    ctx.beginPath();
    ctx.strokeStyle = inks[name];
    ctx.lineWidth = (name === "late" ? 0.85 : 1) * width * g.dpr;
    if (pen) ctx.moveTo(pen.x, pen.y);
  };
  ctx.lineCap = "round";
  ctx.lineJoin = "round";
  for (let tick = from; tick < to; tick++) {
    const value = source.at(channel, tick);
    const isBreak = isLift(before, value);
    before = value;
    if (Number.isNaN(value)) {
      pen = null;
      continue;
    }
    if (isBreak) pen = null;
    const name = styleOf(tick);
    if (name !== style) begin(name);
    const shown = value + offset;
    const x = xOf(tick * GRID_MS);
    const y = fhrY(g, shown);
    if (pen) ctx.lineTo(x, y);
    else {
      ctx.moveTo(x, y);
      ctx.lineTo(x + dot, y);
    }
    pen = { x, y };
    if (clampFhr(shown) !== shown) paintClamp(ctx, g, x, y, shown > 100);
  }
  if (style !== null) ctx.stroke();
}

/** A value outside the paper: kept at the edge and marked there. */
function paintClamp(ctx, g, x, y, isAbove) {
  const r = 3 * g.dpr;
  const dir = isAbove ? 1 : -1;
  ctx.moveTo(x - r, y + dir * r);
  ctx.lineTo(x, y + dir * 0.5);
  ctx.lineTo(x + r, y + dir * r);
  ctx.moveTo(x, y);
}

export function paintToco(ctx, g, p, source, channel, from, to, xOf, width) {
  const bottom = g.tocoTop + g.tocoH;
  let run = [];
  const flush = () => {
    if (run.length === 0) return;
    ctx.beginPath();
    ctx.moveTo(run[0][0], bottom);
    for (const [x, y] of run) ctx.lineTo(x, y);
    ctx.lineTo(run.at(-1)[0], bottom);
    ctx.fillStyle = p.tocoFill;
    ctx.globalAlpha = 0.85;
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    run.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    ctx.strokeStyle = source.isLate(run[0][2]) ? p.lateInk : p.toco;
    ctx.lineWidth = width * g.dpr;
    ctx.stroke();
    run = [];
  };
  for (let tick = from; tick < to; tick++) {
    const value = source.at(channel, tick);
    if (Number.isNaN(value)) {
      flush();
      continue;
    }
    const point = [xOf(tick * GRID_MS), tocoY(g, value), tick];
    if (run.length && source.isLate(tick) !== source.isLate(run[0][2])) {
      run.push(point);
      flush();
    }
    run.push(point);
  }
  flush();
}
