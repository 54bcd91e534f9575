// The key card: which key does what in the view that is open.  It lies in the corner away from the alerts and stops nothing.

import { button, h } from "./dom.js";
import { language, small, t } from "./i18n.js";

const EVERYWHERE = [
  [["A", "1–4"], "keys.ack"], [["N"], "keys.theme"], [["L"], "keys.language"], [["[", "]"], "keys.ribbon"], [["?"], "keys.card"],
];
const ROWS = {
  wall: [[["← ↑ ↓ →", "Tab"], "keys.choose"], [["Enter"], "keys.open"], [["PgUp", "PgDn"], "keys.page"]],
  bed: [
    [["← →", "Shift"], "keys.scroll"], [["Home", "End"], "keys.ends"], [["↑ ↓"], "keys.neighbour"], [["V"], "keys.speed"],
    [["W"], "keys.why"], [["Esc"], "keys.back"],
  ],
  alerts: [[["↑ ↓"], "keys.next_alert"], [["Enter"], "keys.open"], [["Esc"], "keys.back"]],
};

export class KeyCard {
  constructor() {
    this.element = h("aside", "keycard panel");
    this.element.hidden = true;
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** Show the keys of a view: "wall", "bed" or "alerts". */
  open(view) {
    this.element.hidden = false;
    this.element.lang = language();
    this.element.setAttribute("aria-label", t("keys.title"));
    this.element.replaceChildren(
      h("div", "title", h("span", "", t("keys.title")), h("span", "s", small("keys.title")),
        h("span", "right", button("quiet", "×", () => this.close(), t("keys.card")))),
      ...[...ROWS[view], ...EVERYWHERE].map(([caps, key]) =>
        h("div", "keyrow", h("span", "caps", ...caps.map((cap) => h("kbd", "", cap))),
          h("span", "", t(key), h("span", "s", small(key))))),
      h("div", "more", t("keys.note")),
    );
  }

  close() {
    this.element.hidden = true;
  }
}
