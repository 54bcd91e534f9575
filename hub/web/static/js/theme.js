// Day and night: by the clock (20:00-07:00) until someone presses N on this screen; palette for the canvases.

import { clockText } from "./i18n.js";

const KEY = "ctg.theme";
const NAMES = {
  paper: "--paper", band: "--band", bandEdge: "--band-edge", grid10: "--grid10", grid30: "--grid30", gridMin: "--grid-min",
  gridMode: "--grid-mode", trace: "--trace", toco: "--toco", tocoFill: "--toco-fill", baseline: "--baseline",
  mhr: "--mhr", twin: "--twin", decFill: "--dec-fill", decInk: "--dec-ink", accFill: "--acc-fill", accInk: "--acc-ink",
  lateFill: "--late-fill", lateInk: "--late-ink", hatch: "--hatch", t1: "--t1", t2: "--t2", t3: "--t3",
  surface: "--surface", surface2: "--surface2", line: "--line", accent: "--accent", high: "--high", highInk: "--high-ink",
  medium: "--medium", mediumInk: "--medium-ink", tech: "--tech", techInk: "--tech-ink", l1: "--l1", l2: "--l2",
  l3: "--l3", l3Edge: "--l3-edge", l4: "--l4", l4Edge: "--l4-edge", l5: "--l5", none: "--none",
};

export const FONT = '"Noto Sans JP","Noto Sans CJK JP","Hiragino Sans","Yu Gothic UI",Meiryo,system-ui,sans-serif';

export const palette = { version: 0 };

const hourNow = () => Number(clockText(Date.now()).slice(0, 2));

export function byClock(hour) {
  return hour >= 20 || hour < 7 ? "night" : "day";
}

function apply(name) {
  document.documentElement.dataset.theme = name;
  const style = getComputedStyle(document.documentElement);
  for (const [key, token] of Object.entries(NAMES)) palette[key] = style.getPropertyValue(token).trim();
  palette.version += 1;
}

export const theme = () => document.documentElement.dataset.theme;

/** Set the theme of this screen: a stored choice, else the clock. */
export function refreshTheme() {
  const wanted = localStorage.getItem(KEY) ?? byClock(hourNow());
  if (palette.version === 0 || wanted !== theme()) apply(wanted);
}

/** Key N.  Back on the clock's own choice the clock rules again. */
export function toggleTheme() {
  const next = theme() === "day" ? "night" : "day";
  if (next === byClock(hourNow())) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  apply(next);
}
