// The alert list: the queue by priority and age on the left, the chosen alert with its strip on the right.

import { alertShort, alertText, clockText, small, span, t } from "./i18n.js";
import { bedDisplay } from "./display.js";
import { button, h, setText } from "./dom.js";
import { backButton, Card, moreText, reasonButtons } from "./card.js";
import { GlyphBox } from "./glyph.js";
import { alertTags, MARK, seenText, toneOf } from "./words.js";
import { notePainted } from "./metrics.js";
import { panelTitle } from "./rail.js";
import { readAlerts } from "./api.js";
import { scaleText, stripState, subLine, twinNote } from "./tile.js";
import { Strip } from "./strip.js";

const PAST_SHOWN = 60;
const PAST_MS = 3600000;
const ROOM_BELOW = 330; // head of the panel, the reasons and a few lines of the log

export class Alerts {
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.cards = new Map();
    this.past = [];
    this.element = h("div", "view");
    this.element.style.display = "contents";
    this.build();
    this.readPast();
    this.timer = setInterval(() => this.readPast(), 15000);
  }

  build() {
    const { app } = this;
    this.time = h("div", "time");
    this.sound = h("div", "v");
    const head = h("header", "head", backButton(app), h("h1", "name", t("ui.alerts"), h("span", "s", small("ui.alerts"))),
      h("div", "note", `${t("ui.not_a_diagnosis")} ${small("ui.not_a_diagnosis")}`), h("div", "grow"), app.operator.element,
      h("div", "fact", h("div", "k", `${t("ui.sound")} ${small("ui.sound")}`), this.sound), this.time);
    this.open = panelTitle("ui.unacknowledged", t("ui.by_priority"));
    this.queue = h("div");
    this.none = h("div", "more", t("ui.none_unacknowledged"));
    this.held = panelTitle("ui.acknowledged");
    this.heldRows = h("div", "rows open");
    this.gone = panelTitle("ui.resolved");
    this.goneRows = h("div", "rows open");
    this.canvas = h("canvas");
    this.strip = new Strip(this.canvas);
    this.glyph = new GlyphBox(58);
    this.code = h("span", "code");
    this.sub = h("span", "sub");
    this.what = h("div", "what");
    this.age = h("div", "age");
    this.ageLabel = h("div", "sub");
    this.holder = h("div", "holder", this.canvas);
    const who = h("div", "", h("div", "", this.code, " ", this.sub), this.what);
    const line = h("div", "line", this.glyph.element, who, h("div", "right", this.ageLabel, this.age));
    this.detail = h("section", "panel detail", line, this.holder);
    this.acts = h("section", "panel acts");
    this.log = h("section", "panel logs");
    const queue = h(
      "div", "queue",
      h("section", "panel cards", this.open.title, this.none, this.queue),
      h("section", "panel", this.held.title, this.heldRows),
      h("section", "panel give", this.gone.title, this.goneRows),
    );
    const chosen = h("main", "chosen", this.detail, this.acts, this.log);
    this.element.replaceChildren(head, h("div", "alertpage", queue, chosen));
  }

  close() {
    clearInterval(this.timer);
  }

  readPast() {
    readAlerts(PAST_SHOWN).then((body) => {
      this.past = body.alerts;
      this.app.refresh();
    }, () => undefined); // asked again by the timer; open alerts do not depend on it
  }

  get alert() {
    const { store } = this.app;
    return store.alerts.get(this.id) ?? this.past.find((a) => a.id === this.id) ?? store.unacknowledged()[0] ?? null;
  }

  alertForKey() {
    const chosen = this.alert;
    const isOpen = chosen && (chosen.state === "active" || chosen.state === "latched");
    return isOpen ? chosen : (this.app.store.unacknowledged()[0] ?? null);
  }

  choose(alert) {
    this.id = alert.id;
    this.app.desk.pick(alert.id);
    history.replaceState(null, "", `#/alerts/${encodeURIComponent(alert.id)}`);
    this.app.refresh();
  }

  key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return event.key === "Enter" && this.openBed();
    const open = this.app.store.unacknowledged();
    const at = open.findIndex((a) => a.id === this.alert?.id);
    const next = open[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) this.choose(next);
    return true;
  }

  openBed() {
    const { alert } = this;
    const bed = alert && this.app.store.bed(`${alert.site}/${alert.bed}`);
    if (bed) this.app.openBed(bed);
    return Boolean(bed);
  }

  /** The strip around the moment the alert was raised, with two minutes after it. */
  openMoment(alert) {
    const bed = this.app.store.bed(`${alert.site}/${alert.bed}`);
    if (bed) this.app.openBed(bed, alert.raised_ms + (bed.view.vitals.clock_offset_ms ?? 0) + 120000);
  }

  refresh(context) {
    const { store } = this.app;
    setText(this.time, clockText(context.hubNow ?? Date.now(), "hms"));
    setText(this.sound, t(this.app.sounder.mayPlay ? "ui.sound_high_only" : "ui.sound_off"));
    this.sound.classList.toggle("bad", !this.app.sounder.mayPlay);
    const open = store.unacknowledged();
    this.app.desk.pick(this.alert?.id ?? null);
    setText(this.open.count, String(open.length));
    this.none.hidden = open.length > 0;
    this.refreshQueue(open, context);
    this.rows(this.heldRows, store.acknowledged(), seenText);
    setText(this.held.count, String(store.acknowledged().length));
    const since = (context.hubNow ?? 0) - PAST_MS;
    this.rows(this.goneRows, this.past.filter((a) => a.state === "clear" && a.changed_ms > since), (a) => clockText(a.changed_ms));
    this.refreshDetail(context);
  }

  refreshQueue(open, context) {
    for (const [id, card] of this.cards) {
      if (open.some((a) => a.id === id)) continue;
      card.element.remove();
      this.cards.delete(id);
    }
    open.forEach((alert, i) => {
      let card = this.cards.get(alert.id);
      if (!card) {
        card = new Card(alert, this.app.store.bed(`${alert.site}/${alert.bed}`), this.app.desk, (a) => this.choose(a));
        this.cards.set(alert.id, card);
      }
      card.refresh(alert, context);
      if (this.queue.children[i] !== card.element) this.queue.insertBefore(card.element, this.queue.children[i] ?? null);
    });
  }

  rows(box, alerts, end) {
    const key = `${this.app.store.order.length}|${alerts.map((a) => a.id + a.changed_ms).join()}`;
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    box.replaceChildren(...alerts.map((alert) => {
      const bed = this.app.store.bed(`${alert.site}/${alert.bed}`);
      const name = h("span", "bed", bed?.code ?? alert.bed);
      const row = h("div", "", name, h("span", "txt", alertText(alert)), h("span", "end", end(alert)));
      row.addEventListener("click", () => this.choose(alert));
      return row;
    }));
  }

  refreshDetail(context) {
    const { alert } = this;
    const bed = alert && this.app.store.bed(`${alert.site}/${alert.bed}`);
    for (const part of [this.detail, this.acts, this.log]) part.hidden = !bed;
    if (!bed) return;
    const d = bedDisplay(bed, context);
    this.display = d;
    const isOpen = alert.state === "active" || alert.state === "latched";
    this.detail.className = `panel detail ${isOpen ? toneOf(alert) : ""}`;
    this.glyph.set(d.glyph);
    setText(this.code, bed.code);
    setText(this.sub, `${subLine(bed, true)}${d.isTest ? ` · ${t("ui.test_data")}` : ""}`);
    const onset = t("ui.onset_at", { time: clockText(alert.onset_ms, "hms") });
    setText(this.what, `${MARK[alert.priority]} ${alertText(alert)} · ${onset} · ${moreText(alert)}`);
    setText(this.ageLabel, isOpen ? `${t("ui.unacknowledged")} ${small("ui.unacknowledged")}` : t(`state.${alert.state}`));
    setText(this.age, isOpen ? span(context.hubNow - alert.raised_ms) : "");
    this.refreshActs(alert, isOpen);
    this.refreshLog(alert);
  }

  refreshActs(alert, isOpen) {
    const key = `${alert.id}|${isOpen}`;
    if (key === this.actKey) return;
    this.actKey = key;
    const ask = h("div", "ask", h("span", "b", t("ui.ack")), h("span", "s", small("ui.ack")), isOpen ? h("kbd", "", "A") : null);
    ask.append(h("div", "more", t("ui.ack_note")));
    this.acts.replaceChildren(...(isOpen ? [ask, ...reasonButtons(alert, this.app.desk)] : [ask]),
      button("quiet", h("span", "", t("ui.open_moment")), () => this.openMoment(alert)),
      button("quiet", h("span", "", t("ui.open_bed"), h("kbd", "", "Enter")), () => this.openBed()));
  }

  refreshLog(alert) {
    const key = `${alert.id}${alert.changed_ms}${alert.state}`;
    if (key === this.logKey) return;
    this.logKey = key;
    const rows = [[alert.onset_ms, t("ui.log_onset")], [alert.raised_ms, `${t("ui.log_raised")} · ${alertShort(alert)}`]];
    if (alert.acknowledged_ms) rows.push([alert.acknowledged_ms, seenText(alert)]);
    if (alert.changed_ms > alert.raised_ms) rows.push([alert.changed_ms, t(`state.${alert.state}`)]);
    this.log.replaceChildren(
      h("div", "title", h("span", "", t("ui.alert_log")), h("span", "s", small("ui.alert_log")), h("span", "right", alert.id)),
      ...rows.reverse().map(([ms, text]) => h("div", "row", h("span", "when", clockText(ms, "hms")), h("span", "txt", text))),
    );
  }

  paint(context) {
    const { alert } = this;
    const bed = alert && this.app.store.bed(`${alert.site}/${alert.bed}`);
    if (!bed || !this.display || bed.siteNow(context.now) === null) return 0;
    const width = this.holder.clientWidth;
    if (width < 200) return 0;
    const room = this.element.querySelector(".chosen").clientHeight - ROOM_BELOW;
    const pxPerCm = Math.max(8, Math.min((width - 40) / 36, (room - 29) / 11));
    if (this.strip.resize({ width, pxPerCm, tocoCm: 4, left: 40, foot: 18, mode: "full" })) {
      this.holder.style.height = this.canvas.style.height;
    }
    const lines = this.app.linesOf(bed);
    const state = stripState(bed, this.display);
    const isDrawn = this.strip.draw({
      source: bed.ring, analysis: bed.analysis, analysisKey: bed.version.analysis, alerts: lines,
      endMs: bed.siteNow(context.now), dirty: bed.dirty,
      glass: {
        scale: scaleText(pxPerCm), state, late: bed.ring.lateSpans, tags: alertTags(lines), note: twinNote(bed),
      },
    });
    bed.dirty = { from: Infinity, to: -Infinity };
    notePainted(bed);
    return isDrawn ? 1 : 0;
  }
}
