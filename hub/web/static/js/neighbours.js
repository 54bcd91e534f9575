// The beds beside the opened one: XS tiles, never without glyph, code, number and alert border.

import { bedDisplay } from "./display.js";
import { h, setClass, setText } from "./dom.js";
import { GlyphBox } from "./glyph.js";
import { ageText, alertShort, span, t } from "./i18n.js";
import { toneOf } from "./words.js";

export class Neighbours {
  constructor(app, key) {
    this.app = app;
    this.key = key;
    this.rows = new Map();
    this.element = h("nav", "near-list");
    this.element.setAttribute("aria-label", t("ui.other_beds"));
  }

  refresh(context) {
    const { store } = this.app;
    store.order.forEach((bed, i) => {
      let row = this.rows.get(bed.key);
      if (!row) {
        row = { glyph: new GlyphBox(34), code: h("div", "b"), site: h("span", "site"), value: h("span") };
        const line = h("div", "val", row.site, row.value);
        row.element = h("button", "near", row.glyph.element, h("span", "", row.code, line));
        row.element.type = "button";
        row.element.addEventListener("click", () => this.app.openBed(bed));
        this.rows.set(bed.key, row);
        if (bed.key === this.key) requestAnimationFrame(() => row.element.scrollIntoView({ block: "nearest" }));
      }
      if (this.element.children[i] !== row.element) this.element.insertBefore(row.element, this.element.children[i] ?? null);
      const d = bedDisplay(bed, context);
      row.glyph.set(d.glyph);
      setText(row.code, bed.label);
      const isCut = d.state === "dark" || d.state === "hub";
      const age = span(d.ageMs ?? 0);
      let value = d.fetuses.map((f) => f.text).join(" / ");
      if (d.state === "stale") value = t("ui.ago", { age: ageText(d.ageMs) });
      if (isCut) value = bed.isAmbiguous ? age : t("ui.cut_for", { age });
      setText(row.site, bed.isAmbiguous ? bed.site : "");
      setText(row.value, value);
      const open = store.alertsOf(bed).filter((a) => a.state !== "acknowledged");
      const tone = open.length && context.isUp ? toneOf(open[0]) : null;
      for (const name of ["high", "medium", "tech"]) setClass(row.element, name, tone === name);
      setClass(row.element, "here", bed.key === this.key);
      row.element.setAttribute("aria-label", `${bed.code} ${d.fetuses[0].text} ${open.length ? alertShort(open[0]) : ""}`);
    });
  }
}
