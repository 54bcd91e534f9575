// Head of the opened bed: glyph, code, level in words with its window, numbers, clock.

import { backButton } from "./card.js";
import { bedWords } from "./words.js";
import { h, setClass, setText } from "./dom.js";
import { clockText, small, t } from "./i18n.js";
import { figoText, nichdText, readingAt, readingSpan } from "./why.js";
import { GlyphBox } from "./glyph.js";
import { subLine } from "./tile.js";

export class BedHead {
  constructor(app) {
    this.glyph = new GlyphBox(48);
    this.code = h("span", "code");
    this.test = h("span", "tag test", t("ui.test_data"));
    this.sub = h("div", "sub");
    this.title = h("div", "lev");
    this.note = h("div", "note");
    this.numbers = h("div", "numbers");
    this.time = h("div", "time");
    this.element = h(
      "header", "head bedhead", backButton(app), this.glyph.element,
      h("div", "", h("div", "", this.code, this.test), this.sub),
      h("div", "reading", this.title, this.note), h("div", "grow"), app.operator.element, this.numbers, this.time,
    );
  }

  empty(context) {
    setText(this.code, t("ui.no_such_bed"));
    this.test.hidden = true;
    setText(this.time, clockText(context.hubNow ?? Date.now(), "hms"));
  }

  refresh(bed, d, context, system) {
    this.glyph.set(d.glyph);
    setText(this.code, bed.code);
    this.test.hidden = !d.isTest;
    setText(this.sub, subLine(bed, true));
    const words = bedWords(bed, d, context);
    const reading = d.fetus ? readingAt(d.fetus) : null;
    const compare = d.state !== "live" || !reading ? "" : system === "figo"
      ? ` · FIGO ${figoText(reading.figo)}${t("ui.compare_only")}`
      : system === "nichd" ? ` · NICHD ${nichdText(reading.nichd)}${t("ui.compare_only")}` : "";
    setText(this.title, `${words.title} ${words.since}${compare}`);
    const version = d.fetus ? t("ui.version", { version: d.fetus.algorithm }) : "";
    const window = reading && d.state === "live" ? ` · ${readingSpan(d.fetus, reading)} · ${version}` : "";
    setText(this.note, `${t("ui.reading_aid")} · ${t("ui.jsog_provisional")}${window}  ${small("ui.reading_aid")}`);
    this.refreshNumbers(d);
    setText(this.time, clockText(context.hubNow ?? Date.now(), "hms"));
  }

  refreshNumbers(d) {
    const key = JSON.stringify([d.fetuses, d.mhr, d.contractions, d.toco]);
    if (key === this.key) return;
    this.key = key;
    const cell = (label, value, className = "") => h("span", className, h("i", "", label), value);
    this.numbers.replaceChildren(
      ...d.fetuses.map((f) => {
        const name = d.fetuses.length > 1 ? t("ui.fetus_fhr", { name: "ABC"[f.fetus - 1] }) : "FHR";
        const out = cell(name, f.text, "fhr");
        setClass(out, "out", f.tone === "out");
        setClass(out, "old", f.tone === "old");
        return out;
      }),
      cell(t("ui.maternal"), d.mhr), cell(t("ui.contractions_10"), d.contractions), cell("Toco", d.toco),
    );
  }
}
