// What concerns every bed at once: the database takes no writes, or beds send that nobody watches.
// A block of its own below the header of the page; each notice has a shape beside its colour.

import { h, svg } from "./dom.js";
import { small, span, t } from "./i18n.js";

// A barrel that is struck through, and a triangle.
const SHAPES = {
  store_away: ["M5 7c0-2 14-2 14 0v10c0 2-14 2-14 0z", "M5 7c0 2 14 2 14 0", "M3 21L21 3"],
  beds_full: ["M12 3L22 20H2z", "M12 9v6", "M12 17.2v.6"],
};

function shape(kind) {
  const paths = (SHAPES[kind] ?? SHAPES.beds_full).map((d) => svg("path", { d }));
  return svg("svg", { viewBox: "0 0 24 24", width: 26, height: 26, class: "shape", "aria-hidden": "true" }, ...paths);
}

export class Notices {
  constructor() {
    this.element = h("div", "notices");
    this.element.setAttribute("role", "alert");
    this.element.hidden = true;
  }

  /** Show what stands; while the hub is silent nothing is known of it, and the page says that instead. */
  refresh(notices, context) {
    const standing = context.isUp ? notices : [];
    const lines = standing.map((one) => [one.kind, t(`notice.${one.kind}`, { n: one.count, age: span(context.hubNow - one.since_ms) })]);
    const key = JSON.stringify([lines, document.documentElement.lang]);
    if (key === this.key) return;
    this.key = key;
    this.element.hidden = lines.length === 0;
    this.element.replaceChildren(...lines.map(([kind, words]) =>
      h("div", `notice ${kind}`, shape(kind),
        h("span", "b", words), h("span", "", t(`notice.${kind}.do`)), h("span", "s", small(`notice.${kind}.name`)))));
  }
}
