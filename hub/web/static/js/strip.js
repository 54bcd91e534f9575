// One strip on a canvas.  Columns of fixed time are painted once into a circular buffer; a redraw copies the buffer
// and adds what belongs to the glass (axis, letters, the hatch of stale data), so that 36 strips stay cheap.

import { eventsOf, paintBaseline, paintEvents, paintLate, suspectSpans } from "./findings.js";
import { paintOverlay } from "./overlay.js";
import { geometry, paintGrid, paintPaper } from "./paper.js";
import { GRID_MS } from "./ring.js";
import { palette } from "./theme.js";
import { toneOf } from "./words.js";
import { gapStart, OFFSETS, paintGaps, paintRate, paintToco } from "./traces.js";

const SPARE = 8; // columns
const SWITCH_MS = 30000; // suspect for at least this long is marked as a switch of the source
const RETURN_MS = 60000; // and a shorter return is no return
const EDGE = 3; // columns around a change that are painted anew: a line is wider than its point

/** Where the source probably switched: the starts of long suspect stretches, near ones taken together. */
function switches(spans) {
  const merged = [];
  for (const [a, b] of spans) {
    const last = merged.at(-1);
    if (last && a - last[1] < RETURN_MS) last[1] = b;
    else merged.push([a, b]);
  }
  return merged.filter(([a, b]) => b - a >= SWITCH_MS).map(([a]) => a);
}

export class Strip {
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.buffer = document.createElement("canvas");
    this.pen = this.buffer.getContext("2d", { alpha: false });
    this.g = null;
    this.shown = {};
    this.layers = { baseline: true, findings: true };
  }

  /** Fix size and scale (CSS px); true if anything changed. */
  resize(options) {
    const dpr = window.devicePixelRatio || 1;
    const key = JSON.stringify({ ...options, dpr });
    if (key === this.sizeKey) return false;
    this.sizeKey = key;
    const g = geometry({ ...options, dpr });
    this.g = g;
    this.canvas.width = g.left + g.columns;
    this.canvas.height = g.height;
    this.canvas.style.width = `${(g.left + g.columns) / dpr}px`;
    this.canvas.style.height = `${g.height / dpr}px`;
    this.size = g.columns + SPARE;
    this.buffer.width = this.size;
    this.buffer.height = g.tocoTop + g.tocoH;
    this.painted = null;
    return true;
  }

  get spanMs() {
    return this.g.columns * this.g.binMs;
  }

  invalidate() {
    this.painted = null;
  }

  /**
   * Draw the span that ends at `endMs`.  `dirty` {from, to} is what changed in the data since the last call;
   * `glass` says what lies over the paper (see overlay.js).  Returns false if nothing had to be drawn.
   */
  draw({ source, analysis, analysisKey, alerts = [], endMs, dirty = null, glass = {} }) {
    const { g } = this;
    const stop = Math.ceil(endMs / g.binMs);
    const start = stop - g.columns;
    const paperKey = `${analysisKey}|${palette.version}|${alerts.map((a) => a.id).join()}|${JSON.stringify(this.layers)}`;
    if (paperKey !== this.paperKey || source !== this.source) this.painted = null;
    const glassKey = `${stop}|${JSON.stringify(glass)}`;
    const isDirty = dirty && dirty.to > dirty.from;
    if (this.painted && !isDirty && glassKey === this.glassKey) return false;
    this.paperKey = paperKey;
    this.glassKey = glassKey;
    this.source = source;
    this.events = this.painted ? this.events : eventsOf(analysis);
    const scene = { source, analysis, alerts };
    if (!this.painted || start >= this.painted.stop || stop < this.painted.start + EDGE) {
      this.paint(scene, start, stop);
    } else {
      if (start < this.painted.start) this.paint(scene, start, Math.min(stop, this.painted.start + EDGE));
      if (stop > this.painted.stop) this.paint(scene, this.painted.stop - EDGE, stop);
      if (isDirty) {
        const from = gapStart((tick) => source.at("fhr1", tick), Math.floor(dirty.from / GRID_MS), source.first ?? -Infinity);
        const a = Math.max(start, Math.floor((from * GRID_MS) / g.binMs) - EDGE);
        const b = Math.min(stop, Math.ceil(dirty.to / g.binMs) + EDGE);
        if (b > a) this.paint(scene, a, b);
      }
    }
    this.painted = { start, stop };
    this.show(start, stop, glass);
    return true;
  }

  /** Paint columns [start, stop) into the circular buffer, in at most two pieces. */
  paint(scene, start, stop) {
    let from = Math.max(start, stop - this.size);
    while (from < stop) {
      const slot = ((from % this.size) + this.size) % this.size;
      const to = Math.min(stop, from + this.size - slot);
      this.paintPiece(scene, from, to, slot);
      from = to;
    }
  }

  paintPiece({ source, analysis, alerts }, from, to, slot) {
    const { pen: ctx } = this;
    const p = palette;
    const g = { ...this.g, originX: from - slot };
    const xOf = (ms) => ms / g.binMs - from + slot;
    const t0 = from * g.binMs;
    const t1 = to * g.binMs;
    const pad = EDGE * g.binMs;
    ctx.save();
    ctx.beginPath();
    ctx.rect(slot, 0, to - from, this.buffer.height);
    ctx.clip();
    ctx.fillStyle = p.surface;
    ctx.fillRect(slot, 0, to - from, this.buffer.height);
    paintPaper(ctx, g, p, slot, slot + to - from);
    paintLate(ctx, g, p, source.lateSpans, t0, t1, xOf);
    if (this.layers.findings) paintEvents(ctx, g, p, this.events, t0, t1, xOf);
    paintGrid(ctx, g, p, t0, t1, xOf);
    const ticks = [Math.floor((t0 - pad) / GRID_MS) - 1, Math.ceil((t1 + pad) / GRID_MS) + 1];
    paintGaps(ctx, g, p, source, ticks[0], ticks[1], xOf, g.originX);
    this.paintTraces(ctx, g, p, source, analysis, ticks, xOf, [t0 - pad, t1 + pad]);
    this.paintAlerts(ctx, g, p, alerts, xOf);
    ctx.restore();
  }

  paintTraces(ctx, g, p, source, analysis, [from, to], xOf, [t0, t1]) {
    const full = g.mode === "full";
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, g.tocoTop, this.size, g.tocoH);
    if (g.tocoH) {
      ctx.clip();
      const channel = source.has("iup") && !source.has("toco") ? "iup" : "toco";
      paintToco(ctx, g, p, source, channel, from, to, xOf, full ? 1.6 : 1.2);
    }
    ctx.restore();
    const inks = (normal) => ({ normal, late: p.lateInk, suspect: p.mhr });
    const width = full ? 1.7 : 1.25;
    const isMother = analysis?.fetuses.some((f) => f.rolling?.indeterminate === "maternal_rate");
    if (source.has("mhr") && (full || isMother)) {
      paintRate(ctx, g, source, "mhr", from, to, xOf, { inks: inks(p.mhr), styleOf: () => "normal", width: full ? 1.5 : width });
    }
    if (this.layers.baseline) paintBaseline(ctx, g, p, analysis, t0, t1, xOf, OFFSETS);
    ["fhr3", "fhr2", "fhr1"].forEach((channel, i) => {
      if (!source.has(channel)) return;
      const fetus = 3 - i;
      const spans = suspectSpans(analysis, fetus);
      const styleOf = (tick) => {
        const ms = tick * GRID_MS;
        if (spans.some(([a, b]) => ms >= a && ms < b)) return "suspect";
        return source.isLate(tick) ? "late" : "normal";
      };
      const normal = fetus === 1 ? p.trace : fetus === 2 ? p.twin : p.t2;
      paintRate(ctx, g, source, channel, from, to, xOf, { inks: inks(normal), styleOf, width, offset: OFFSETS[fetus - 1] });
      ctx.fillStyle = p.tech;
      for (const a of switches(spans)) ctx.fillRect(xOf(a), 0, 1.5 * g.dpr, g.tocoTop + g.tocoH);
    });
  }

  paintAlerts(ctx, g, p, alerts, xOf) {
    for (const alert of alerts) {
      ctx.fillStyle = p[toneOf(alert)];
      ctx.fillRect(xOf(alert.raised_ms), 0, 1.5 * g.dpr, g.tocoTop + g.tocoH);
    }
  }

  /** Copy the columns to the glass and draw what lies over them. */
  show(start, stop, glass) {
    const { ctx, g } = this;
    ctx.fillStyle = palette.surface;
    ctx.fillRect(0, 0, this.canvas.width, this.canvas.height);
    let from = start;
    while (from < stop) {
      const slot = ((from % this.size) + this.size) % this.size;
      const n = Math.min(stop - from, this.size - slot);
      ctx.drawImage(this.buffer, slot, 0, n, this.buffer.height, g.left + from - start, 0, n, this.buffer.height);
      from += n;
    }
    const xOf = (ms) => g.left + ms / g.binMs - start;
    const shown = this.layers.findings ? this.events : [];
    paintOverlay(ctx, g, palette, { start: start * g.binMs, stop: stop * g.binMs, xOf, events: shown, glass });
  }
}
