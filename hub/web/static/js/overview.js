// The whole labour in one line: least and greatest rate of each step, falls, gaps, ribbon, and where the window is.

import { readStrip } from "./api.js";
import { eventsOf } from "./findings.js";
import { h } from "./dom.js";
import { glyph } from "./glyph.js";
import { hatch } from "./hatch.js";
import { t } from "./i18n.js";
import { paintRibbon, ribbonSpans } from "./ribbon.js";
import { palette } from "./theme.js";

const LONGEST_MS = 12 * 3600000;
const SHORTEST_MS = 30 * 60000;
const REFRESH_MS = 20000;
const STEPS = 1200;

/** What the shapes mean, for whoever meets them here first. */
export function legend() {
  const cell = (state, text) => h("span", "", glyph(state, 18), text);
  const levels = [1, 2, 3, 4, 5].map((level) => cell({ kind: "level", level }, t(`level.${level}.short`)));
  return h("span", "right legend", ...levels, cell({ kind: "indeterminate" }, t("ui.glyph_indeterminate")));
}

export class Overview {
  /** `onJump(ms)` is called with the time that was pointed at. */
  constructor(bed, onJump) {
    this.bed = bed;
    this.canvas = h("canvas");
    this.ribbon = h("canvas");
    this.element = h("div", "overview", this.canvas, this.ribbon);
    this.element.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      if (this.fromMs) onJump(this.fromMs + ((event.clientX - box.left) / box.width) * (this.toMs - this.fromMs));
    });
    this.readAt = -Infinity;
    this.strip = null;
  }

  async read(now, siteNow) {
    if (siteNow === null || now - this.readAt < REFRESH_MS) return;
    this.readAt = now;
    const known = this.strip ? siteNow - this.startMs + SHORTEST_MS / 2 : LONGEST_MS;
    const spanMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, known)); // the first look finds how long the record is
    const stepMs = Math.ceil(spanMs / STEPS / 250) * 250;
    try {
      this.strip = await readStrip(this.bed, siteNow - spanMs, siteNow, stepMs);
      this.error = null;
    } catch (error) {
      this.error = error.message;
    }
    if (spanMs === LONGEST_MS && siteNow - this.startMs < LONGEST_MS / 2) this.readAt = -Infinity;
    this.key = null;
  }

  /** First moment with any sample, ms. */
  get startMs() {
    const low = this.strip?.channels.fhr1?.min;
    const first = low ? low.findIndex((value) => value !== null) : -1;
    const fromRing = this.bed.ring.first === null ? Infinity : this.bed.ring.first * 250;
    return first < 0 ? fromRing : Math.min(fromRing, this.strip.from_ms + first * this.strip.period_ms);
  }

  paint({ width, height, siteNow, window: shown, live, version }) {
    if (siteNow === null) return;
    const key = `${width},${height},${Math.floor(siteNow / 5000)},${shown.from}|${shown.to}|${palette.version}|${version}`;
    if (key === this.key) return;
    this.key = key;
    this.toMs = siteNow;
    this.fromMs = Math.max(siteNow - LONGEST_MS, Math.min(this.startMs, siteNow - SHORTEST_MS));
    const dpr = window.devicePixelRatio || 1;
    const w = Math.round(width * dpr);
    const ht = Math.round((height - 44) * dpr);
    this.canvas.width = w;
    this.canvas.height = ht;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height - 44}px`;
    const ctx = this.canvas.getContext("2d");
    const xOf = (ms) => ((ms - this.fromMs) / (this.toMs - this.fromMs)) * w;
    const yOf = (bpm) => ((220 - Math.min(220, Math.max(40, bpm))) / 180) * ht;
    const p = palette;
    ctx.fillStyle = p.paper;
    ctx.fillRect(0, 0, w, ht);
    ctx.fillStyle = p.band;
    ctx.fillRect(0, yOf(160), w, yOf(110) - yOf(160));
    for (const event of eventsOf(this.bed.analysis)) {
      if (event.type !== "deceleration") continue;
      ctx.fillStyle = p.decFill;
      ctx.fillRect(xOf(event.from), 0, Math.max(dpr, xOf(event.to) - xOf(event.from)), ht);
    }
    if (this.strip) this.paintRate(ctx, p, xOf, yOf, ht, dpr);
    paintRibbon(this.ribbon, {
      w: width, h: 37, spans: ribbonSpans(this.bed.analysis), fromMs: this.fromMs, toMs: this.toMs,
    });
    this.paintBox(ctx, p, xOf, ht, dpr, live, !shown.isLive);
    if (!shown.isLive) this.paintBox(ctx, p, xOf, ht, dpr, shown, false);
  }

  paintRate(ctx, p, xOf, yOf, ht, dpr) {
    const { from_ms: from, period_ms: step, channels } = this.strip;
    const rate = channels.fhr1;
    if (!rate) return;
    const start = this.startMs;
    ctx.fillStyle = p.trace;
    let gap = null;
    for (let i = 0; i < rate.min.length; i++) {
      const ms = from + i * step;
      if (rate.min[i] === null) {
        if (gap === null && ms > start) gap = ms;
        continue;
      }
      if (gap !== null) {
        if (ms - gap >= 60000) hatch(ctx, xOf(gap), 0, xOf(ms) - xOf(gap), ht, { color: p.hatch, scale: dpr });
        gap = null;
      }
      const top = yOf(rate.max[i]);
      const x = xOf(ms);
      ctx.fillRect(x, top - 0.6 * dpr, Math.max(1.2 * dpr, xOf(ms + step) - x), Math.max(1.4 * dpr, yOf(rate.min[i]) - top));
    }
  }

  paintBox(ctx, p, xOf, ht, dpr, span, isDashed) {
    ctx.save();
    ctx.strokeStyle = isDashed ? p.t3 : p.accent;
    ctx.lineWidth = (isDashed ? 1.2 : 2.5) * dpr;
    if (isDashed) ctx.setLineDash([3 * dpr, 3 * dpr]);
    const edge = 1.5 * dpr;
    const left = Math.max(edge, xOf(span.from));
    const right = Math.min(xOf(span.to), xOf(this.toMs) - edge);
    ctx.strokeRect(left, edge, right - left, ht - 2 * edge);
    ctx.restore();
  }
}
