// Below the strip: the reading of each 10-minute segment, and the alerts and events of the bed.

import { alertText, clockText, small, t } from "./i18n.js";
import { button, h } from "./dom.js";
import { figoText, nichdText } from "./why.js";
import { glyph } from "./glyph.js";
import { readAlerts } from "./api.js";
import { MARK, seenText, toneOf } from "./words.js";

const COLUMNS = ["time", "level", "baseline", "variability", "falls", "contractions", "signal"];
const ALERTS_SHOWN = 30;
const REFRESH_MS = 20000;

export class BedLists {
  constructor(app, key, onJump) {
    this.app = app;
    this.key = key;
    this.onJump = onJump;
    this.segments = h("div", "table");
    this.log = h("div", "log");
    this.past = [];
    this.readAt = -Infinity;
    const title = (name) => h("div", "title", h("span", "", t(name)), h("span", "s", small(name)));
    const segments = h("section", "panel", title("ui.segments"), this.segments);
    this.element = h("div", "lists", segments, h("section", "panel", title("ui.bed_log"), this.log));
  }

  refresh(bed, fetus, alerts) {
    this.read(bed);
    const states = alerts.map((a) => a.id + a.state);
    const key = [bed.version.analysis, bed.events.length, this.past.length, this.readAt, ...states].join("|");
    if (key === this.shown) return;
    this.shown = key;
    const segments = [...(fetus?.segments ?? [])].reverse();
    this.segments.replaceChildren(
      h("div", "tr th", ...COLUMNS.map((k) => h("span", "", t(`ui.col_${k}`))), h("span", "", "FIGO"), h("span", "", "NICHD")),
      ...segments.map((s) => this.segmentRow(fetus, s)),
    );
    const unread = alerts.filter((a) => !this.past.some((p) => p.id === a.id));
    const rows = [...this.past, ...unread].map((a) => ({ ms: a.raised_ms, alert: a }));
    for (const event of bed.events) rows.push({ ms: event.t_ms, event });
    rows.sort((a, b) => b.ms - a.ms);
    this.log.replaceChildren(...(rows.length ? rows.map((row) => this.logRow(row)) : [h("div", "more", t("ui.log_empty"))]));
  }

  segmentRow(fetus, s) {
    const from = fetus.origin_ms + s.start_s * 1000;
    const to = fetus.origin_ms + s.end_s * 1000;
    const named = (value) => (value === null ? "" : t(`class.variability.${value}.short`));
    const bpm = (value) => (value === null ? "–" : String(Math.round(value)));
    return h(
      "div", "tr",
      button("when", `${clockText(from)}–${clockText(to)}`, () => this.onJump(to + 60000), clockText(from)),
      h("span", "lv", glyph(s.level === null ? { kind: "indeterminate" } : { kind: "level", level: s.level }, 20),
        s.level === null ? t(`indeterminate.${s.indeterminate}.short`) : t(`level.${s.level}.short`)),
      h("span", "", bpm(s.baseline_bpm)),
      h("span", "", `${bpm(s.variability_bpm)} ${named(s.variability_class)}`),
      h("span", "", s.deceleration_class ? t(`column.${s.deceleration_class}`) : "–"),
      h("span", "", s.contractions_per_10min === null ? "?" : String(s.contractions_per_10min)),
      h("span", "", `${Math.round(s.valid_fraction * 100)}%`),
      h("span", "", figoText(s.figo)), h("span", "", nichdText(s.nichd)),
    );
  }

  logRow({ ms, alert, event }) {
    if (event) {
      const kind = h("span", "tag", t(`event.${event.kind}`));
      return h("div", "", h("span", "when", clockText(ms)), kind, h("span", "txt", event.text ?? ""));
    }
    const state = alert.acknowledged_by ? seenText(alert) : t(`state.${alert.state}`);
    return h("div", "", h("span", "when", clockText(ms)), h("span", `mark ${toneOf(alert)}`, MARK[alert.priority]),
      h("span", "txt", `${alertText(alert)} · ${state}`));
  }

  read(bed) {
    const now = performance.now();
    if (now - this.readAt < REFRESH_MS) return;
    this.readAt = now;
    readAlerts(ALERTS_SHOWN, bed).then(
      (body) => {
        this.past = body.alerts;
        this.shown = null;
      },
      () => {
        this.readAt = now - REFRESH_MS + 5000; // asked again in 5 s; the open alerts come over the live link anyway
      },
    );
  }
}
