// The line on top: what this is and is not, census by level, sites, delay, sound, order, clock.

import { button, h, setClass, setText } from "./dom.js";
import { glyph } from "./glyph.js";
import { bedDisplay } from "./display.js";
import { clockText, isSitePage, language, small, t } from "./i18n.js";
import { scaleText } from "./tile.js";

const CENSUS = [1, 2, 3, 4, 5, "indeterminate", "dark"];

function fact(key) {
  const value = h("div", "v");
  return { box: h("div", "fact", h("div", "k", `${t(key)} ${small(key)}`), value), value };
}

/** Name of the person who acknowledges at this screen; asked for once per browser session. */
export class Operator {
  constructor() {
    this.input = h("input");
    this.input.value = sessionStorage.getItem("ctg.by") ?? "";
    this.input.maxLength = 20;
    this.input.id = "operator";
    this.input.placeholder = t("ui.operator_hint");
    this.input.setAttribute("aria-label", t("ui.operator"));
    this.input.addEventListener("input", () => sessionStorage.setItem("ctg.by", this.name));
    this.input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" || event.key === "Escape") this.input.blur();
    });
    const label = h("label", "k", `${t("ui.operator")} ${small("ui.operator")}`);
    label.htmlFor = "operator";
    this.element = h("div", "fact who", label, this.input);
  }

  get name() {
    return this.input.value.trim();
  }

  ask() {
    setClass(this.element, "ask", true);
    this.input.focus();
    this.input.addEventListener("blur", () => setClass(this.element, "ask", false), { once: true });
  }
}

export class Header {
  constructor(operator, { onLanguage, onTheme, onKeys, onPage }) {
    this.census = new Map(CENSUS.map((level) => [level, h("b", "")]));
    const cells = CENSUS.map((level) =>
      h("span", "", glyph(typeof level === "number" ? { kind: "level", level } : { kind: level }, 31), this.census.get(level)),
    );
    this.sites = fact("ui.sites");
    this.delay = fact("ui.delay");
    this.scale = fact("ui.scale");
    this.sound = fact("ui.sound");
    this.order = fact("ui.order");
    this.order.box.classList.add("spare");
    setText(this.order.value, t("ui.order_site"));
    this.pages = h("span", "");
    this.time = h("div", "time");
    const cap = (key, name) => h("span", "", h("span", "cap", t(key)), h("kbd", "", name));
    const keys = h(
      "div", "keys",
      button("quiet", cap("ui.other_theme", "N"), onTheme, t("ui.other_theme")),
      " ",
      button("quiet", cap("ui.other_language", "L"), onLanguage, t("ui.other_language")),
      " ",
      button("quiet", cap("keys.title", "?"), onKeys, t("keys.title")),
    );
    this.onPage = onPage;
    const note = h("div", "note", t("ui.not_a_diagnosis"), h("span", "en", ` ${small("ui.not_a_diagnosis")}`));
    this.element = h(
      "header", "head",
      h("div", "", h("h1", "name", t(isSitePage() ? "agent.title" : "ui.title")), note),
      operator.element,
      h("div", "census", ...cells),
      this.pages,
      h("div", "grow"),
      this.sites.box, this.delay.box, this.scale.box, this.sound.box, this.order.box, keys,
      this.time,
    );
    this.element.querySelector(".census").setAttribute("aria-label", t("ui.census"));
  }

  refresh(store, context, { layout = null, page = 0, pages = 1, pxPerCm = null, sounder }) {
    const counts = new Map(CENSUS.map((level) => [level, 0]));
    const ages = [];
    const sites = new Map();
    for (const bed of store.order) {
      const d = bedDisplay(bed, context);
      const key = d.glyph.kind === "level" ? d.glyph.level : d.glyph.kind === "dark" ? "dark" : "indeterminate";
      counts.set(key, counts.get(key) + 1);
      if (d.state === "live") ages.push(d.ageMs);
      const isUp = d.state !== "dark" && d.state !== "hub";
      sites.set(bed.site, { name: bed.siteName, isUp: isUp || (sites.get(bed.site)?.isUp ?? false) });
    }
    for (const [level, cell] of this.census) setText(cell, String(counts.get(level)));
    const down = [...sites.values()].filter((site) => !site.isUp);
    const names = down.length > 2 ? down.length : down.map((site) => site.name).join(" ");
    const cut = down.length ? ` · ${t("ui.sites_down", { names })}` : "";
    setText(this.sites.value, `${sites.size - down.length} / ${sites.size}${cut}`);
    const second = (ms) => (Math.round(ms / 100) / 10).toFixed(1);
    const range = () => t("ui.delay_range", { low: second(Math.min(...ages)), high: second(Math.max(...ages)) });
    setText(this.delay.value, ages.length ? range() : "–");
    this.scale.box.hidden = layout?.size !== "m" || pxPerCm === null;
    if (!this.scale.box.hidden) setText(this.scale.value, scaleText(pxPerCm));
    setText(this.sound.value, t(sounder.mayPlay ? "ui.sound_high_only" : "ui.sound_off"));
    setClass(this.sound.value, "bad", !sounder.mayPlay);
    setText(this.time, clockText(context.hubNow ?? Date.now(), "hms"));
    const key = `${page}/${pages}/${language()}`;
    if (key !== this.pageKey) {
      this.pageKey = key;
      this.pages.replaceChildren(
        ...(pages < 2 ? [] : Array.from({ length: pages }, (_, i) =>
          button(i === page ? "main" : "quiet", String(i + 1), () => this.onPage(i), t("ui.page", { n: i + 1 })))),
      );
    }
  }
}
