// Right rail of the wall: unacknowledged, acknowledged and still true, what changed in the last 30 minutes.

import { Card } from "./card.js";
import { changesOf } from "./display.js";
import { alertText, clockText, small, t } from "./i18n.js";
import { glyph } from "./glyph.js";
import { h, icon, setText } from "./dom.js";
import { worstSpans } from "./ribbon.js";
import { eventsOf } from "./findings.js";

const CHANGES_MS = 30 * 60000;
const CHANGES_SHOWN = 24;

export function panelTitle(key, right = "") {
  const count = h("span", "n");
  const title = h("div", "title", h("span", "", t(key)), count, h("span", "s", small(key)), h("span", "right", right));
  return { title, count };
}

export class Rail {
  constructor(desk, { onAlert, onBed }) {
    this.desk = desk;
    this.onAlert = onAlert;
    this.onBed = onBed;
    this.cards = new Map();
    this.open = panelTitle("ui.unacknowledged");
    this.cardBox = h("div");
    this.none = h("div", "more", t("ui.none_unacknowledged"));
    this.held = panelTitle("ui.acknowledged");
    this.heldRows = h("div", "rows open");
    this.heldPanel = h("div", "panel", this.held.title, this.heldRows);
    this.changes = panelTitle("ui.changes");
    this.changeRows = h("div", "rows");
    this.element = h(
      "div", "rail",
      h("section", "panel cards", this.open.title, this.none, this.cardBox),
      this.heldPanel,
      h("section", "panel give", this.changes.title, this.changeRows),
    );
  }

  refresh(store, context) {
    const open = store.unacknowledged();
    setText(this.open.count, String(open.length));
    this.none.hidden = open.length > 0;
    this.refreshCards(open, store, context);
    this.refreshHeld(store);
    this.refreshChanges(store);
  }

  refreshCards(open, store, context) {
    for (const [id, card] of this.cards) {
      if (open.some((alert) => alert.id === id)) continue;
      card.element.remove();
      this.cards.delete(id);
    }
    open.forEach((alert, i) => {
      let card = this.cards.get(alert.id);
      if (!card) {
        card = new Card(alert, store.bed(`${alert.site}/${alert.bed}`), this.desk, this.onAlert);
        this.cards.set(alert.id, card);
      }
      card.refresh(alert, context);
      if (this.cardBox.children[i] !== card.element) this.cardBox.insertBefore(card.element, this.cardBox.children[i] ?? null);
    });
  }

  refreshHeld(store) {
    const held = store.acknowledged();
    setText(this.held.count, String(held.length));
    this.heldPanel.hidden = held.length === 0;
    const key = held.map((a) => `${a.id}${a.changed_ms}${a.values.value_bpm ?? ""}`).join();
    if (key === this.heldKey) return;
    this.heldKey = key;
    this.heldRows.replaceChildren(
      ...held.map((alert) => {
        const bed = store.bed(`${alert.site}/${alert.bed}`);
        const row = h(
          "div", "", h("span", "bed", bed?.code ?? alert.bed),
          h("span", "txt", `${alert.acknowledged_by} ${t(`ack.${alert.ack_reason}`)} · ${alertText(alert)}`),
          h("span", "end", clockText(alert.acknowledged_ms)),
        );
        row.addEventListener("click", () => this.onAlert(alert));
        return row;
      }),
    );
  }

  refreshChanges(store) {
    const rows = [];
    for (const bed of store.order) {
      const end = bed.ring.headMs;
      if (end === null) continue;
      for (const change of changesOf(worstSpans(bed.analysis), end - CHANGES_MS)) rows.push({ bed, ...change });
    }
    rows.sort((a, b) => b.ms - a.ms);
    const shown = rows.slice(0, CHANGES_SHOWN);
    const key = shown.map((row) => `${row.bed.key}${row.ms}${row.to}`).join();
    if (key === this.changeKey) return;
    this.changeKey = key;
    setText(this.changes.count, "");
    this.changeRows.replaceChildren(
      ...shown.map(({ bed, ms, from, to }) =>
        h(
          "div", "", h("span", "when", clockText(ms)), h("span", "bed", bed.code), small27(from),
          h("span", "arrow", arrow(from, to)), small27(to), h("span", "txt", whyChanged(bed, ms, from, to)),
        ),
      ),
    );
  }
}

const small27 = (level) => glyph(level === null ? { kind: "indeterminate" } : { kind: "level", level }, 27);

const arrow = (from, to) => icon(from === null || to === null ? "same" : to > from ? "up" : "down", 14);

/** Why a level moved, in two or three words: what raised it, or that a segment ended. */
function whyChanged(bed, ms, from, to) {
  if (to === null) return t("ui.changed_no_answer");
  if (from === null) return t("ui.changed_answer");
  if (to < from) return t("ui.changed_segment");
  const fall = eventsOf(bed.analysis)
    .filter((e) => e.type === "deceleration" && e.from < ms && e.to > ms - 600000)
    .sort((a, b) => b.d.depth_bpm - a.d.depth_bpm)[0];
  if (!fall) return "";
  return t("ui.kind_severity", { kind: t(`kind.${fall.d.kind}.short`), severity: t(`severity.${fall.d.severity}`) });
}
