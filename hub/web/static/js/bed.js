// One bed opened in place: the strip with scroll-back over the whole record, why, response, segments, its alerts.

import { BedHead } from "./bedhead.js";
import { BedLists } from "./bedlists.js";
import { Banner } from "./banner.js";
import { bedDisplay, bedLevel } from "./display.js";
import { button, h, setClass, setText } from "./dom.js";
import { ageText, clockText, small, span, t } from "./i18n.js";
import { notePainted } from "./metrics.js";
import { Neighbours } from "./neighbours.js";
import { legend, Overview } from "./overview.js";
import { Record } from "./record.js";
import { readingAt, responsePanel, whyPanel } from "./why.js";
import { Strip } from "./strip.js";
import { scaleText, stripState, twinNote } from "./tile.js";
import { alertTags, deviceWords } from "./words.js";

const STEP_MS = 60000;
const FULL_CM = 7 + 4;
const FULL_REST = 11 + 18; // between the lanes, and the clock
const AXIS = 40;
const OFFER_MS = 60000;

export class BedView {
  constructor(app, key, endMs = null) {
    this.app = app;
    this.key_ = key;
    this.endMs = endMs; // null: live
    this.system = "jsog";
    this.isWhyShown = true;
    this.touchedAt = performance.now();
    this.element = h("div", "view");
    this.element.style.display = "contents";
    this.build();
  }

  get bed() {
    return this.app.store.bed(this.key_);
  }

  build() {
    const app = this.app;
    this.head = new BedHead(app);
    this.near = new Neighbours(app, this.key_);
    this.banner = new Banner(app.desk);
    this.canvas = h("canvas");
    this.strip = new Strip(this.canvas);
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scroll(Math.sign(event.deltaY || event.deltaX) * STEP_MS);
    }, { passive: false });
    this.tools = h("div", "tools");
    this.holder = h("div", "holder", this.canvas);
    this.stripPanel = h("section", "panel strip", this.tools, this.holder);
    this.labour = h("section", "panel labour");
    this.lists = new BedLists(app, this.key_, (ms) => this.goTo(ms));
    this.mini = h("section", "panel mini");
    this.miniCanvas = h("canvas");
    this.miniStrip = new Strip(this.miniCanvas);
    this.why = h("section", "panel why");
    this.response = h("section", "panel response");
    this.device = h("section", "panel device");
    this.side = h("aside", "side", this.mini, this.why, this.response, this.device);
    this.element.replaceChildren(
      this.head.element,
      h("div", "bedpage", this.near.element,
        h("main", "bedmain", this.banner.element, this.stripPanel, this.labour, this.lists.element), this.side),
    );
  }

  // ---------------------------------------------------------------- moving

  get spanMs() {
    return this.strip.g ? this.strip.spanMs : 600000;
  }

  scroll(ms) {
    this.goTo((this.endMs ?? this.liveEnd) + ms);
  }

  /** Put the right edge at a time; at or beyond now is live. */
  goTo(endMs) {
    this.touchedAt = performance.now();
    const first = (this.overview?.startMs ?? this.liveEnd) + this.spanMs;
    const wanted = Math.max(endMs, Math.min(first, this.liveEnd));
    this.endMs = wanted >= this.liveEnd - 1000 ? null : Math.round(wanted);
    this.toolKey = this.sideKey = null;
    this.app.refresh();
  }

  get liveEnd() {
    return this.bed?.siteNow(performance.now()) ?? 0;
  }

  key(event) {
    const step = event.shiftKey ? 10 * STEP_MS : STEP_MS;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const actions = {
      ArrowLeft: () => this.scroll(-step), ArrowRight: () => this.scroll(step), Home: () => this.goTo(0),
      End: () => this.goTo(Infinity), v: () => this.swapScale(), w: () => this.swapWhy(),
      ArrowUp: () => this.neighbour(-1), ArrowDown: () => this.neighbour(1),
    };
    if (!actions[key]) return false;
    actions[key]();
    return true;
  }

  neighbour(step) {
    const order = this.app.store.order;
    const next = order[order.indexOf(this.bed) + step];
    if (next) this.app.openBed(next);
  }

  swapScale() {
    this.app.memory.cmPerMin = this.app.memory.cmPerMin === 3 ? 1 : 3;
    this.toolKey = null;
    this.app.refresh();
  }

  swapWhy() {
    this.isWhyShown = !this.isWhyShown;
    this.why.hidden = !this.isWhyShown;
  }

  alertForKey() {
    return this.bed ? (this.app.store.alertsOf(this.bed).find((a) => a.state !== "acknowledged") ?? null) : null;
  }

  // ----------------------------------------------------------------- words

  refresh(context) {
    this.near.refresh(context);
    const { bed } = this;
    if (!bed) return this.head.empty(context);
    this.record ??= new Record(bed);
    this.overview ??= this.openOverview(bed);
    const d = bedDisplay(bed, context);
    this.display = d;
    const { fetus } = bedLevel(bed);
    const alerts = this.app.store.alertsOf(bed);
    this.head.refresh(bed, d, context, this.system);
    this.banner.refresh(alerts, context);
    this.refreshTools(d);
    this.refreshSide(bed, d, fetus);
    this.refreshDevice(bed, d);
    this.lists.refresh(bed, fetus, alerts);
    this.overview.read(context.now, d.siteNow);
    if (this.endMs !== null) {
      this.record.want(this.endMs - this.spanMs, this.endMs, () => this.strip.invalidate());
    }
    return undefined;
  }

  openOverview(bed) {
    const overview = new Overview(bed, (ms) => this.goTo(ms + this.spanMs / 2));
    this.labour.replaceChildren(
      h("div", "title", h("span", "", t("ui.whole_labour")), h("span", "s", small("ui.whole_labour")), legend()),
      overview.element,
    );
    return overview;
  }

  toggle(labels, current, onPick) {
    return h("span", "switch", ...labels.map(([value, text]) => {
      const element = button(value === current ? "on" : "", text, () => onPick(value));
      element.setAttribute("aria-pressed", String(value === current));
      return element;
    }));
  }

  refreshTools(d) {
    const { cmPerMin } = this.app.memory;
    const age = ageText(d.ageMs);
    const isLive = this.endMs === null;
    const now = d.siteNow ?? 0;
    const behind = isLive ? "" : span(now - this.endMs);
    const isOffered = !isLive && performance.now() - this.touchedAt > OFFER_MS;
    const shown = [cmPerMin, this.system, JSON.stringify(this.strip.layers), this.endMs, behind, isOffered];
    const key = [...shown, age, d.state, this.record?.error].join();
    if (key === this.toolKey) return;
    this.toolKey = key;
    const layers = this.strip.layers;
    const flip = (name) => {
      layers[name] = !layers[name];
      this.toolKey = null;
      this.app.refresh();
    };
    const layer = (name, text) => {
      const element = button(layers[name] ? "on" : "", text, () => flip(name));
      element.setAttribute("aria-pressed", String(layers[name]));
      return element;
    };
    this.tools.replaceChildren(
      h("span", "b big", t("ui.strip")), h("span", "s", small("ui.strip")),
      this.toggle([3, 1].map((n) => [n, t("ui.cm_per_min", { n })]), cmPerMin, (n) => n !== cmPerMin && this.swapScale()),
      this.toggle([["jsog", "JSOG"], ["figo", "FIGO"], ["nichd", "NICHD"]], this.system, (name) => {
        this.system = name;
        this.toolKey = this.sideKey = null;
        this.app.refresh();
      }),
      h("span", "switch", layer("baseline", t("ui.baseline")), layer("findings", t("ui.findings"))),
      h("span", "push", `${scaleText(this.pxPerCm ?? 36)} · ${t("ui.cm_per_min", { n: cmPerMin })} · 30 bpm/cm`),
      ...(isLive
        ? [h("span", `livechip ${d.state}`, d.state === "live" ? t("ui.live", { age }) : t("ui.not_live", { age }))]
        : [
            h("span", `backchip ${isOffered ? "offer" : ""}`, t("ui.shown_span", {
              from: clockText(this.endMs - this.spanMs), to: clockText(this.endMs), behind })),
            button("", h("span", "", t("ui.to_live"), h("kbd", "", "End")), () => this.goTo(Infinity)),
          ]),
      h("span", "bad", this.record?.error ? t("ui.record_failed", { why: this.record.error }) : ""),
    );
  }

  refreshSide(bed, d, fetus) {
    const isLive = this.endMs === null;
    this.mini.hidden = isLive;
    const then = isLive ? null : (this.record.analysisAt(this.endMs) ?? bed.analysis);
    const read = isLive ? fetus : (then?.fetuses.find((f) => f.fetus === (fetus?.fetus ?? 1)) ?? null);
    const key = `${bed.version.analysis}|${this.endMs}|${d.state}|${this.record.version}|${d.level}`;
    if (key === this.sideKey) return;
    this.sideKey = key;
    const reading = readingAt(read, this.endMs);
    const isCurrent = isLive && d.state === "live";
    const titleKey = !isLive ? "ui.why_then" : isCurrent && d.level !== null ? "ui.why_level" : "ui.why_none";
    const level = isLive ? d.level : (reading?.level ?? null);
    this.why.replaceChildren(...whyPanel({
      fetus: read, reading, titleKey, shownLevel: isCurrent ? d.level : null,
      values: { level: level ?? "?", time: clockText(this.endMs ?? 0) },
      onSpan: (from, to) => this.goTo(to + Math.max(60000, (this.spanMs - (to - from)) / 2)),
    }));
    this.response.replaceChildren(...responsePanel(d.level));
  }

  refreshDevice(bed, d) {
    setText(this.device, deviceWords(bed, d));
    setClass(this.device, "bad", d.state !== "live");
  }

  // --------------------------------------------------------------- drawing

  paint(context) {
    const { bed } = this;
    if (!bed || !this.display) return 0;
    const width = this.holder.clientWidth;
    const height = this.holder.clientHeight;
    if (width < 200 || height < 100) return 0;
    this.pxPerCm = Math.min((height - FULL_REST) / FULL_CM, 60);
    const { cmPerMin } = this.app.memory;
    this.strip.resize({ width, pxPerCm: this.pxPerCm, tocoCm: 4, left: AXIS, foot: 18, mode: "full", cmPerMin });
    const drawn = this.paintStrip(bed, context) + this.paintMini(bed, context);
    const end = this.endMs ?? this.display.siteNow;
    const liveEnd = this.display.siteNow;
    this.overview?.paint({
      width: this.labour.clientWidth - 28, height: this.labour.clientHeight - 24 - 28,
      siteNow: liveEnd, version: bed.version.analysis,
      window: { from: end - this.spanMs, to: end, isLive: this.endMs === null }, live: { from: liveEnd - this.spanMs, to: liveEnd },
    });
    return drawn;
  }

  paintStrip(bed, context) {
    const d = this.display;
    const end = this.endMs ?? bed.siteNow(context.now);
    if (end === null) return 0;
    const isLive = this.endMs === null;
    const inRing = isLive || end - this.spanMs > bed.ring.keptFromMs;
    const source = inRing ? bed.ring : this.record;
    const analysis = inRing ? bed.analysis : (this.record.analysisAt(end) ?? bed.analysis);
    const alerts = this.app.linesOf(bed);
    const isDrawn = this.strip.draw({
      source, analysis, analysisKey: `${bed.version.analysis}|${inRing ? "" : this.record.version}`, alerts,
      endMs: end, dirty: inRing ? { ...bed.dirty } : null,
      glass: {
        state: isLive ? stripState(bed, d) : null, late: source.lateSpans, note: twinNote(bed),
        tags: alertTags(alerts),
      },
    });
    if (isLive) {
      bed.dirty = { from: Infinity, to: -Infinity };
      notePainted(bed);
    }
    return isDrawn ? 1 : 0;
  }

  /** While the reader looks back, the live strip goes on at the top of the side column. */
  paintMini(bed, context) {
    if (this.endMs === null) return 0;
    if (!this.miniTitle) {
      this.miniTitle = h("div", "title");
      this.mini.replaceChildren(this.miniTitle, this.miniCanvas);
    }
    const d = this.display;
    const first = d.fetuses[0];
    const text = `${t("ui.live_running")}  FHR ${first.text}  ${ageText(d.ageMs)}`;
    setText(this.miniTitle, text);
    const width = this.mini.clientWidth - 28;
    this.miniStrip.resize({ width, pxPerCm: width / 30, tocoCm: 2.4, foot: 13, mode: "tile" });
    const isDrawn = this.miniStrip.draw({
      source: bed.ring, analysis: bed.analysis, analysisKey: bed.version.analysis, alerts: this.app.linesOf(bed),
      endMs: bed.siteNow(context.now), dirty: bed.dirty,
      glass: { scale: scaleText(width / 30), state: stripState(bed, d), late: bed.ring.lateSpans, note: twinNote(bed) },
    });
    bed.dirty = { from: Infinity, to: -Infinity };
    notePainted(bed);
    return isDrawn ? 1 : 0;
  }
}
