// The row above the strip: the bed's unacknowledged alert with its reasons, or what rests there.
// The row always keeps its height, so an alert does not push the strip away under a hand.

import { alertText, small, span, t } from "./i18n.js";
import { button, h } from "./dom.js";
import { labelled, REASONS, moreText } from "./card.js";
import { MARK, seenText, toneOf } from "./words.js";

export class Banner {
  constructor(desk) {
    this.desk = desk;
    this.element = h("div", "banner");
  }

  refresh(alerts, context) {
    const open = alerts.filter((a) => a.state !== "acknowledged");
    const alert = open[0] ?? alerts[0] ?? null;
    const isOpen = open.length > 0;
    const age = isOpen ? span(context.hubNow - alert.raised_ms) : "";
    const text = alert ? alertText(alert) : "";
    const key = [alert?.id, alert?.state, age, text, this.desk.isArmed(alert?.id), open.length].join("|");
    if (key === this.key) return;
    const rebuildButtons = `${alert?.id}|${isOpen}|${this.desk.isArmed(alert?.id)}`;
    this.key = key;
    this.element.className = `banner ${isOpen ? toneOf(alert) : "quiet"}`;
    if (!alert) {
      this.element.replaceChildren(h("span", "rest", t("ui.no_alert"), h("span", "s", small("ui.no_alert"))));
      this.built = null;
      return;
    }
    if (!isOpen) {
      this.element.replaceChildren(h("span", "rest", `✓ ${seenText(alert)} · ${alertText(alert)}`));
      this.built = null;
      return;
    }
    const more = open.length > 1 ? ` · ${t("ui.more_alerts", { n: open.length - 1 })}` : "";
    const words = h("div", "words",
      h("div", "b", `${alertText(alert)} · ${t("ui.unacknowledged_for", { age })}`), h("div", "more", moreText(alert) + more));
    if (this.built === rebuildButtons) {
      this.element.children[1].replaceWith(words); // the buttons stay: one may be under a finger
      return;
    }
    this.built = rebuildButtons;
    const isArmed = this.desk.isArmed(alert.id);
    this.element.replaceChildren(
      h("div", "mark", MARK[alert.priority]), words,
      h("span", "ask", t("ui.ack"), h("span", "s", small("ui.ack")), h("kbd", "", "A")),
      ...REASONS.map((reason, i) => button(isArmed ? "pill armed" : "pill",
        labelledShort(reason, i), () => this.desk.confirm(alert, reason), t(`ack.${reason}`))),
    );
  }
}

function labelledShort(reason, i) {
  const out = labelled(`ack.${reason}`, String(i + 1));
  out.querySelector(".s").remove();
  return out;
}
