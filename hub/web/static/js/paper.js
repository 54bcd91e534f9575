// CTG paper: one aspect ratio everywhere, 3 cm/min to 30 bpm/cm.  All numbers here are device pixels.

export const FHR_TOP_BPM = 240;
export const FHR_BOTTOM_BPM = 30;
const FHR_CM = 7;
const GAP_PX = 4;
const NOMINAL_PX_PER_CM = 96 / 2.54; // what a browser calls a centimetre; true only on a measured screen
const STORED = "ctg.pxPerCm";

/** CSS pixels per cm of this screen as measured with a card held to the glass, or null. */
export function measuredPxPerCm() {
  const value = Number(localStorage.getItem(STORED));
  return value > 10 && value < 400 ? value : null;
}

/** How the scale is printed: true size only on a measured screen, otherwise the factor. */
export function scaleOf(pxPerCm) {
  const measured = measuredPxPerCm();
  const factor = pxPerCm / (measured ?? NOMINAL_PX_PER_CM);
  return { isTrue: measured !== null && Math.abs(factor - 1) < 0.02, factor };
}

/**
 * Geometry of a strip from CSS sizes.  `tocoCm` 0 leaves the toco lane out; `left` is the room for the axis,
 * `foot` the room for the clock.
 */
export function geometry({ width, pxPerCm, dpr, cmPerMin = 3, tocoCm = 4, left = 0, foot = 13, mode = "tile" }) {
  const cm = pxPerCm * dpr;
  const fhrH = Math.round(FHR_CM * cm);
  const tocoTop = tocoCm ? fhrH + Math.round((mode === "full" ? 11 : GAP_PX) * dpr) : fhrH;
  const tocoH = Math.round(tocoCm * cm);
  return {
    mode, dpr, pxPerCm, cmPerMin, left: Math.round(left * dpr), columns: Math.max(1, Math.round((width - left) * dpr)),
    binMs: 60000 / (cmPerMin * cm), fhrTop: 0, fhrH, tocoTop, tocoH, foot: foot * dpr,
    height: tocoTop + tocoH + Math.round(foot * dpr),
  };
}

export const clampFhr = (bpm) => Math.min(FHR_TOP_BPM, Math.max(FHR_BOTTOM_BPM, bpm));
export const fhrY = (g, bpm) => g.fhrTop + ((FHR_TOP_BPM - clampFhr(bpm)) / (FHR_TOP_BPM - FHR_BOTTOM_BPM)) * g.fhrH;
export const tocoY = (g, value) => g.tocoTop + (1 - Math.min(100, Math.max(0, value)) / 100) * g.tocoH;

function line(ctx, x0, y0, x1, y1) {
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
}

/** Paper and band under everything else; x0..x1 are the columns to fill. */
export function paintPaper(ctx, g, p, x0, x1) {
  ctx.fillStyle = p.paper;
  ctx.fillRect(x0, 0, x1 - x0, g.fhrH);
  if (g.tocoH) ctx.fillRect(x0, g.tocoTop, x1 - x0, g.tocoH);
  ctx.fillStyle = p.band;
  const top = fhrY(g, 160);
  const bottom = fhrY(g, 110);
  ctx.fillRect(x0, top, x1 - x0, bottom - top);
  paintBandEdges(ctx, g, p, x0, x1);
}

export function paintBandEdges(ctx, g, p, x0, x1) {
  ctx.fillStyle = p.bandEdge;
  for (const bpm of [160, 110]) ctx.fillRect(x0, Math.round(fhrY(g, bpm)), x1 - x0, g.dpr);
}

/** Grid over the fills: multiplied by day, added by night.  `xOf` maps ms to x. */
export function paintGrid(ctx, g, p, t0, t1, xOf) {
  const x0 = xOf(t0);
  const x1 = xOf(t1);
  const full = g.mode === "full";
  const heavyMs = 180000 / g.cmPerMin; // each minute at 3 cm/min, every third at 1 cm/min: 3 cm apart
  ctx.save();
  ctx.globalCompositeOperation = p.gridMode;
  const rows = (step, from, to, y, color, skip) => {
    ctx.strokeStyle = color;
    ctx.beginPath();
    for (let v = from; v <= to; v += step) {
      if (skip && (v - from) % skip === 0) continue;
      const at = Math.round(y(g, v)) + 0.5;
      line(ctx, x0, at, x1, at);
    }
    ctx.stroke();
  };
  const columns = (stepMs, color, width, skipMs) => {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    for (let t = Math.ceil(t0 / stepMs - 1) * stepMs; t <= t1 + stepMs; t += stepMs) {
      if (skipMs && t % skipMs === 0) continue;
      const x = Math.round(xOf(t)) + 0.5;
      line(ctx, x, 0, x, g.fhrH);
      if (g.tocoH) line(ctx, x, g.tocoTop, x, g.tocoTop + g.tocoH);
    }
    ctx.stroke();
  };
  ctx.lineWidth = g.dpr;
  if (full) {
    rows(10, FHR_BOTTOM_BPM, FHR_TOP_BPM, fhrY, p.grid10, 30);
    rows(12.5, 0, 100, tocoY, p.grid10, 25);
    columns(30000 / g.cmPerMin, p.grid10, g.dpr, 60000 / g.cmPerMin);
    columns(60000 / g.cmPerMin, p.grid30, g.dpr, heavyMs);
  }
  rows(30, FHR_BOTTOM_BPM, FHR_TOP_BPM, fhrY, p.grid30);
  if (g.tocoH) rows(25, 0, 100, tocoY, p.grid30);
  ctx.globalAlpha = full ? 1 : 0.6;
  columns(heavyMs, p.gridMin, (full ? 1.4 : 1) * g.dpr);
  ctx.restore();
  ctx.fillStyle = p.gridMin;
  for (const y of g.tocoH ? [0, g.fhrH, g.tocoTop, g.tocoTop + g.tocoH - g.dpr] : [0, g.fhrH - g.dpr]) {
    ctx.fillRect(x0, y, x1 - x0, g.dpr);
  }
}
