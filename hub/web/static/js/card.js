// An alert nobody has acknowledged, with the button that ends it: 確認, then one of four reasons.

import { alertText, small, span, t } from "./i18n.js";
import { button, h, icon, setClass, setText } from "./dom.js";
import { MARK, toneOf } from "./words.js";

export const REASONS = ["watching", "at_bedside", "artefact", "treated"];

/** A label with its key cap and the other language small beside it. */
export function labelled(key, cap = null) {
  const out = h("span", "", h("span", "b", t(key)), h("span", "s", small(key)));
  if (cap) out.append(h("kbd", "", cap));
  return out;
}

/** The way back to the wall, at the left of the head of the other views. */
export function backButton(app) {
  const label = h("span", "", icon("back", 18), h("span", "b", t("ui.list")), h("kbd", "", "Esc"));
  return button("back", label, () => app.openWall(), t("ui.list"));
}

export class Card {
  /** `desk` is the acknowledgement desk of the page: {isArmed(id), arm(id), confirm(alert, reason), pick(id)}. */
  constructor(alert, bed, desk, onOpen, extra = null) {
    this.desk = desk;
    this.age = h("span", "age");
    this.what = h("div", "what");
    this.more = h("div", "more");
    this.acts = h("div", "acts");
    this.mark = h("span");
    this.element = h(
      "div", "card",
      h("div", "line", this.mark, h("span", "code", bed?.code ?? alert.bed),
        h("span", "site", bed?.siteName ?? alert.site), this.age),
      this.what, this.more, extra, this.acts,
    );
    this.element.addEventListener("click", () => onOpen(alert));
    this.element.dataset.alert = alert.id;
  }

  refresh(alert, context) {
    const armed = this.desk.isArmed(alert.id);
    setText(this.age, span(context.hubNow - alert.raised_ms));
    const tone = toneOf(alert); // an alert may rise while it waits
    for (const name of ["high", "medium", "tech"]) setClass(this.element, name, name === tone);
    this.mark.className = `mark ${tone}`;
    setText(this.mark, MARK[alert.priority]);
    setText(this.what, alertText(alert));
    setText(this.more, moreText(alert));
    setClass(this.element, "picked", this.desk.picked === alert.id);
    const key = String(armed);
    if (key === this.key) return;
    this.key = key;
    if (armed) this.element.scrollIntoView({ block: "nearest" });
    setClass(this.acts, "why", armed);
    this.acts.replaceChildren(...(armed ? reasonButtons(alert, this.desk) : [this.askButton(alert)]));
  }

  askButton(alert) {
    return button("main", labelled("ui.ack", "A"), () => this.desk.arm(alert.id), t("ui.ack"));
  }
}

export function reasonButtons(alert, desk) {
  return REASONS.map((reason, i) =>
    button("", labelled(`ack.${reason}`, String(i + 1)), () => desk.confirm(alert, reason), t(`ack.${reason}`)),
  );
}

/** Which path fired, and whether the condition still holds. */
export function moreText(alert) {
  const latched = alert.is_present ? "" : ` · ${t("ui.latched")}`;
  return `${t(`path.${alert.path}`)} · ${t(`priority.${alert.priority}`)}${latched}`;
}
