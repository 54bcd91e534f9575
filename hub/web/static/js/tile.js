// One bed of the wall.  Built once; afterwards only what changed is written.

import { alertShort, ageText, span, t } from "./i18n.js";
import { bars, h, icon, setClass, setText } from "./dom.js";
import { bedDisplay, trendOf } from "./display.js";
import { bedWords, MARK, seenText, toneOf } from "./words.js";
import { GlyphBox } from "./glyph.js";
import { OFFSETS } from "./traces.js";
import { paintRibbon, ribbonSpans, worstSpans } from "./ribbon.js";
import { palette } from "./theme.js";
import { scaleOf } from "./paper.js";
import { Strip } from "./strip.js";
import { stripLayout } from "./layout.js";

export class Tile {
  constructor(bed, { onOpen }) {
    this.bed = bed;
    this.glyph = new GlyphBox(66);
    this.prefix = h("span", "prefix");
    this.code = h("span");
    this.test = h("span", "tag test", t("ui.test_data"));
    this.sub = h("div", "sub");
    this.state = h("div", "state");
    this.canvas = h("canvas");
    this.strip = new Strip(this.canvas);
    this.nums = h("div", "nums");
    this.ribbon = h("canvas");
    this.foot = h("div", "foot");
    this.paper = h("div", "paper", this.canvas);
    this.codeLine = h("div", "code", this.prefix, this.code);
    this.subLine = h("div", "subline", this.sub);
    const id = h("div", "id", this.codeLine, this.subLine);
    this.element = h(
      "div", "tile",
      h("div", "top", this.glyph.element, id, this.state),
      h("div", "mid", this.paper, this.nums),
      h("div", "rib", this.ribbon),
      this.foot,
    );
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "button");
    this.element.dataset.bed = bed.key;
    this.element.addEventListener("click", () => onOpen(bed));
    this.cells = {};
    this.keys = {};
  }

  place(x, y, layout) {
    const key = `${x},${y},${layout.w},${layout.h},${layout.size},${layout.hasToco}`;
    if (key === this.keys.place) return;
    this.keys.place = key;
    const { style } = this.element;
    style.left = `${x}px`;
    style.top = `${y}px`;
    style.width = `${layout.w}px`;
    style.height = `${layout.h}px`;
    setClass(this.element, "m", layout.size === "m");
    setClass(this.element, "low", !layout.hasToco);
    // On M the mark stands in the second line: beside the code it would leave no room for an alert.
    if (layout.size === "l") this.codeLine.append(this.test);
    else this.subLine.prepend(this.test);
    this.layout = layout;
    this.size = stripLayout(layout);
    this.strip.resize({ width: this.size.width, pxPerCm: this.size.pxPerCm, tocoCm: this.size.tocoCm, foot: this.size.foot });
    this.buildNumbers();
    this.keys.ribbon = null;
  }

  buildNumbers() {
    const row = (name, label) => {
      const value = h("b");
      this.cells[name] = { row: h("div", "row", h("i", "", label), value), value };
      return this.cells[name].row;
    };
    this.cells.label = h("div", "lab", "FHR");
    this.cells.fhr = h("div", "fhr");
    this.cells.more = h("div");
    this.nums.replaceChildren(
      this.cells.label, this.cells.fhr, this.cells.more, row("mhr", t(this.layout.size === "l" ? "ui.maternal" : "ui.maternal_short")),
      row("contractions", t(this.layout.size === "l" ? "ui.contractions_10" : "ui.contractions_short")),
    );
    if (this.layout.size === "l") this.nums.append(row("toco", "Toco"));
    setClass(this.cells.label, "name", true);
  }

  /** Words and numbers; called a few times a second. */
  refresh(context, alerts, ribbonHours) {
    const d = bedDisplay(this.bed, context);
    this.display = d;
    this.glyph.set(d.glyph);
    setText(this.prefix, this.bed.isAmbiguous ? this.bed.site : "");
    setText(this.code, this.bed.label);
    this.test.hidden = !d.isTest;
    setText(this.test, t(this.layout.size === "l" ? "ui.test_data" : "ui.test_data.short"));
    setText(this.sub, subLine(this.bed, this.layout.size === "l"));
    const open = alerts.filter((a) => a.state !== "acknowledged");
    const tone = open.length && context.isUp ? toneOf(open[0]) : null;
    for (const name of ["high", "medium", "tech"]) setClass(this.element, name, tone === name);
    this.refreshState(d, open, alerts, context);
    this.refreshNumbers(d);
    this.refreshFoot(d, context);
    this.refreshRibbon(d, ribbonHours);
    const words = bedWords(this.bed, d, context);
    const label = t("ui.tile_label", {
      code: this.bed.code, site: this.bed.siteName, state: words.title, fhr: d.fetuses.map((f) => f.text).join(" / "),
      alert: open.length ? alertShort(open[0]) : t("ui.no_alert"),
    });
    if (this.keys.label !== label) this.element.setAttribute("aria-label", (this.keys.label = label));
  }

  refreshState(d, open, alerts, context) {
    const words = bedWords(this.bed, d, context);
    const hub = context.hubNow;
    let key;
    let build;
    if (open.length) {
      const alert = open[0];
      const chip = `${MARK[alert.priority]} ${alertShort(alert)}`;
      const age = span(hub - alert.raised_ms);
      key = `open|${chip}|${age}|${words.brief}`;
      build = () => {
        const more = this.layout.size === "l" && d.level === null ? ` ${words.brief}` : "";
        const timer = h("div", "timer", t("ui.unacknowledged_for", { age }), h("span", "", more));
        return [h("div", `chip ${toneOf(alert)}`, chip), timer];
      };
    } else {
      const seen = alerts[0];
      const trend = d.level === null ? null : trendOf(worstSpans(this.bed.analysis), d.level);
      const under = this.layout.size === "l" ? words.under : (words.tight ?? (words.brief || words.under));
      const note = seen ? seenText(seen) : "";
      key = `rest|${words.since}|${trend}|${under}|${note}`;
      build = () => [
        h("div", "since", words.since, trend ? icon(trend, this.layout.size === "l" ? 20 : 15) : null),
        note ? h("div", "seen", icon("check", 14), note) : h("div", "word", under),
      ];
    }
    if (key === this.keys.state) return;
    this.keys.state = key;
    this.state.replaceChildren(...build());
  }

  refreshNumbers(d) {
    const { cells } = this;
    const [first, ...others] = d.fetuses;
    const isOld = d.state !== "live";
    const isAged = d.state === "marked" || d.state === "stale";
    const name = d.fetuses.length > 1 ? t("ui.fetus_fhr", { name: "A" }) : "FHR";
    setText(cells.label, isAged ? t("ui.ago", { age: ageText(d.ageMs) }) : name);
    setClass(cells.label, "old", isAged);
    setClass(cells.label, "name", !isAged);
    setText(cells.fhr, first.text);
    setClass(cells.fhr, "out", first.tone === "out");
    setClass(cells.fhr, "old", first.tone === "old" && isOld);
    const key = others.map((f) => `${f.fetus}${f.text}${f.tone}`).join();
    if (key !== this.keys.others) {
      this.keys.others = key;
      setClass(this.nums, "twin", others.length > 0);
      cells.more.replaceChildren(
        ...others.map((f) => h("div", `fhr2 ${f.tone}`, h("i", "", t("ui.fetus_short", { name: "ABC"[f.fetus - 1] })), f.text)),
      );
    }
    for (const row of ["mhr", "contractions", "toco"]) if (cells[row]) setText(cells[row].value, d[row]);
    setClass(cells.contractions.row, "many", d.isTachysystole);
  }

  refreshFoot(d, context) {
    const isOld = d.state !== "live";
    // With the hub silent the age of the data stays their own, not that of the silence.
    const ownMs = this.bed.age.at(context.now);
    const age = d.state === "hub" && ownMs !== null ? t("ui.ago", { age: ageText(ownMs) }) : ageText(ownMs);
    const share = d.share === null ? null : Math.round(d.share * 100);
    const offset = this.bed.view.vitals.clock_offset_ms;
    const skew = offset !== null && Math.abs(offset) > 2000 ? t("ui.clock_skew", { s: (offset / 1000).toFixed(0) }) : "";
    const late = this.bed.ring.lateSpans.length ? t("ui.has_late") : "";
    const key = `${age}|${isOld}|${share}|${skew}|${late}`;
    if (key === this.keys.foot) return;
    this.keys.foot = key;
    const large = this.layout.size === "l";
    const ago = isOld && d.state !== "hub" && d.ageMs !== null ? t("ui.ago", { age }) : age;
    this.foot.replaceChildren(
      h("span", isOld ? "bad" : "", large ? icon("link", 16) : null, ago),
      h("span", share !== null && share < 80 ? "bad" : "", bars(d.share), large ? (share === null ? "–" : `${share}%`) : null),
      h("span", "push", late),
      h("span", "bad", skew),
    );
  }

  refreshRibbon(d, hours) {
    const now = d.siteNow ?? this.bed.view.vitals.head_ms;
    const minute = now === null ? null : Math.ceil(now / 30000);
    const dark = d.state === "dark" || d.state === "hub" ? this.bed.ring.headMs : null;
    const key = `${minute}|${hours}|${this.bed.version.analysis}|${palette.version}|${dark}|${this.layout.w}`;
    if (key === this.keys.ribbon || now === null) return;
    this.keys.ribbon = key;
    const large = this.layout.size === "l";
    const toMs = minute * 30000;
    paintRibbon(this.ribbon, {
      w: this.layout.w - (large ? 20 : 18), h: large ? 37 : 24, labels: large, spans: ribbonSpans(this.bed.analysis),
      fromMs: toMs - hours * 3600000, toMs, box: { from: toMs - this.strip.spanMs, to: toMs }, darkFromMs: dark,
    });
  }

  /** The strip; called at the pace of the scheduler.  Returns true if it was drawn. */
  paint(context, alerts) {
    const { bed } = this;
    const d = this.display;
    if (!d || d.siteNow === null || bed.ring.head === null) return this.paintEmpty(d);
    const dirty = bed.dirty;
    const isDrawn = this.strip.draw({
      source: bed.ring, analysis: bed.analysis, analysisKey: bed.version.analysis, alerts, endMs: d.siteNow, dirty,
      glass: {
        scale: this.layout.size === "l" ? scaleText(this.size.pxPerCm) : null, clock: this.layout.size === "l",
        state: stripState(bed, d, this.layout.size), late: bed.ring.lateSpans, note: twinNote(bed),
      },
    });
    bed.dirty = { from: Infinity, to: -Infinity };
    return isDrawn;
  }

  paintEmpty(d) {
    if (!d) return false;
    const key = `${d.state}|${palette.version}|${this.keys.place}`;
    if (this.keys.empty === key) return false;
    this.keys.empty = key;
    this.strip.draw({
      source: EMPTY, analysis: null, analysisKey: "", endMs: 0,
      glass: { clock: false, state: { kind: "dark", sinceMs: -1e9, lines: [t("ui.no_data")] } },
    });
    return true;
  }
}

const EMPTY = { at: () => NaN, has: () => false, isLate: () => false, lateSpans: [], first: 0, head: 0 };

export function subLine(bed, isLong) {
  const weeks = bed.view.gestational_weeks;
  const age = weeks === null ? null : `${Math.floor(weeks + 1e-6)}w${Math.round((weeks % 1) * 7 + 1e-6) % 7}d`;
  const name = bed.label === bed.bed ? null : bed.bed;
  const parts = isLong ? [bed.siteName, name, age] : [age, bed.siteName]; // what comes last is cut first
  return parts.filter(Boolean).join(" · ");
}

export function scaleText(pxPerCm) {
  const { isTrue, factor } = scaleOf(pxPerCm);
  return isTrue ? t("ui.true_scale") : `×${factor.toFixed(2)}`;
}

export function twinNote(bed) {
  const shown = [2, 3].filter((fetus) => bed.ring.has(`fhr${fetus}`));
  const signed = (bpm) => (bpm > 0 ? `+${bpm}` : `−${-bpm}`);
  return shown.map((fetus) => `${"ABC"[fetus - 1]} ${signed(OFFSETS[fetus - 1])}`).join(" ");
}

/** The hatch over a strip and the words in it. */
export function stripState(bed, d, size = "l") {
  if (d.state === "live" || d.state === "never") return null;
  const sinceMs = bed.ring.headMs;
  if (d.state === "marked" || d.state === "stale") return { kind: "stale", sinceMs, lines: [] };
  const age = span(d.ageMs ?? 0);
  const isHub = d.state === "hub";
  const first = isHub ? t("ui.hub_dark", { age }) : t("ui.site_dark", { site: size === "l" ? bed.siteName : "", age }).trim();
  return { kind: "dark", sinceMs, lines: size === "l" && !isHub ? [first, t("ui.site_goes_on")] : [first] };
}
