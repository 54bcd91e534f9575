// Level glyphs in a 64-unit box: shape and numeral carry the level, hue only helps.

import { h, svg } from "./dom.js";
import { t } from "./i18n.js";

const TRIANGLE = "M29 4.6 Q32 0 35 4.6 L62 54 Q64.5 60 58 60 L6 60 Q-.5 60 2 54 Z";
const DIAMOND = "M29 3 Q32 .5 35 3 L61 29 Q63.5 32 61 35 L35 61 Q32 63.5 29 61 L3 35 Q.5 32 3 29 Z";
const OCTAGON = "M20.5 3.5 H43.5 L60.5 20.5 V43.5 L43.5 60.5 H20.5 L3.5 43.5 V20.5 Z";
const SHAPES = {
  1: { tag: "circle", at: { cx: 32, cy: 32, r: 29.5 }, stroke: "--l1", width: 4, size: 42, y: 47 },
  2: { tag: "rect", at: { x: 3, y: 3, width: 58, height: 58, rx: 9 }, stroke: "--l2", width: 5, size: 42, y: 47 },
  3: { tag: "path", at: { d: TRIANGLE }, fill: "--l3", stroke: "--l3-edge", width: 2, ink: "--l3-ink", size: 38, y: 55 },
  4: { tag: "path", at: { d: DIAMOND }, fill: "--l4", stroke: "--l4-edge", width: 2, ink: "--l4-ink", size: 41, y: 46.5 },
  5: { tag: "path", at: { d: OCTAGON }, fill: "--l5", stroke: "--l5", width: 3, ink: "--l5-ink", size: 46, y: 48.5 },
};

function numeral(text, size, y, ink) {
  const element = svg("text", { x: 32, y, "text-anchor": "middle", "font-size": size, "font-weight": 700 });
  element.textContent = text;
  element.style.fill = `var(${ink})`;
  return element;
}

function shape(kind, level) {
  if (kind === "indeterminate") {
    const ring = svg("circle", { cx: 32, cy: 32, r: 29, fill: "none", "stroke-width": 4.5, "stroke-dasharray": "9.700 5.500" });
    ring.style.stroke = "var(--none)";
    return [ring, numeral("?", 42, 47, "--t1")];
  }
  if (kind === "dark") {
    const box = svg("rect", { x: 3, y: 3, width: 58, height: 58, rx: 2, fill: "none", "stroke-width": 4 });
    const lines = svg("path", { d: "M16 48 L48 16 M16 16 L24 24 M40 40 L48 48", fill: "none", "stroke-width": 4.5 });
    for (const part of [box, lines]) part.style.stroke = "var(--none)";
    return [box, lines];
  }
  const spec = SHAPES[level];
  const grey = kind === "stale";
  const outline = svg(spec.tag, { ...spec.at, "stroke-width": grey ? 4 : spec.width, "stroke-linejoin": "round" });
  outline.style.fill = spec.fill && !grey ? `var(${spec.fill})` : "none";
  outline.style.stroke = `var(${grey ? "--none" : spec.stroke})`;
  return [outline, numeral(String(level), spec.size, spec.y, grey ? "--none" : (spec.ink ?? "--t1"))];
}

/** `kind`: "level", "stale" (the last shape in grey), "indeterminate" or "dark". */
export function glyph({ kind, level = null }, size = 66) {
  const known = kind === "indeterminate" || kind === "dark" || level !== null;
  const shown = known ? kind : "indeterminate";
  const label = shown === "level" || shown === "stale" ? t(`level.${level}`) : t(`ui.glyph_${shown}`);
  return svg(
    "svg",
    { viewBox: "0 0 64 64", width: size, height: size, role: "img", "aria-label": label, class: `glyph ${shown}` },
    ...shape(shown, level),
  );
}

/** A glyph that is only rebuilt when it changes. */
export class GlyphBox {
  constructor(size) {
    this.size = size;
    this.element = h("span");
    this.element.style.display = "contents";
    this.key = "";
  }

  set(state) {
    const key = `${state.kind}${state.level}`;
    if (key === this.key) return;
    this.key = key;
    this.element.replaceChildren(glyph(state, this.size));
  }
}
