// Two text catalogues, Japanese first; key L swaps which one is large.  Placeholders are {names}.

export const LANGUAGES = ["ja", "en"];
const catalogues = { ja: {}, en: {} };
let current = "ja";

export async function loadTexts() {
  for (const name of LANGUAGES) {
    const response = await fetch(new URL(`../texts/${name}.json`, import.meta.url));
    if (!response.ok) throw new Error(`text catalogue ${name}: ${response.status}`);
    catalogues[name] = await response.json();
  }
}

export const language = () => current;
export const otherLanguage = () => (current === "ja" ? "en" : "ja");

export function setLanguage(name) {
  current = LANGUAGES.includes(name) ? name : "ja";
  document.documentElement.lang = current;
}

/** Whether this is a delivery site's own page, where nothing is read and the fixed limits alone speak. */
export const isSitePage = () => document.documentElement.dataset.role === "site";

export const hasText = (key) => key in catalogues.ja;

/** The text of a key, filled; an unknown key shows itself, so that nothing is silently missing. */
export function t(key, values = {}, name = current) {
  const text = catalogues[name][key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, slot) => show(values[slot]));
}

/** The same in the other language, for the small print beside it. */
export const small = (key, values = {}) => t(key, values, otherLanguage());

function show(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return String(Math.round(value));
  return String(value);
}

const KIND = (value, name) => t(`kind.${value}`, {}, name);
const SLOTS = {
  kind: KIND,
  severity: (value, name) => t(`severity.${value}`, {}, name),
  why: (value, name) => t(`indeterminate.${value}`, {}, name),
  baseline_class: (value, name) => t(`class.baseline.${value}`, {}, name),
  column: (value, name) => t(`column.${value}`, {}, name),
  path: (value, name) => t(`path.${value}`, {}, name),
};

/** Values of a reason or alert with their closed words put into the language. */
export function worded(code, values, name = current) {
  const out = { ...values };
  for (const [slot, word] of Object.entries(SLOTS)) {
    if (typeof out[slot] === "string" && hasWord(slot, out[slot])) out[slot] = word(out[slot], name);
  }
  if (typeof out.why === "string" && hasText(`silent.${out.why}`)) out.why = t(`silent.${out.why}`, {}, name);
  // A rate below its limit must not read as equal to it: rounded away from the limit.
  if (out.value_bpm < out.limit_bpm) out.value_bpm = Math.floor(out.value_bpm);
  if (out.value_bpm > out.limit_bpm) out.value_bpm = Math.ceil(out.value_bpm);
  if (out.from_level !== undefined) out.before = out.from_level === "-" ? "" : t("ui.level_before", { level: out.from_level }, name);
  if (typeof out.duration_s === "number") out.duration_min = out.duration_s / 60;
  if (typeof out.class === "string") out.class = t(`class.${code}.${out.class}`, {}, name);
  if (out.ongoing !== undefined) out.ongoing = t(out.ongoing === "yes" ? "ui.ongoing" : "ui.ended", {}, name);
  return out;
}

const FAMILY = { kind: "kind", severity: "severity", why: "indeterminate", baseline_class: "class.baseline",
  column: "column", path: "path" };
const hasWord = (slot, value) => hasText(`${FAMILY[slot]}.${value}`);

export const reasonText = (reason, name = current) =>
  t(`reason.${reason.code}`, worded(reason.code, reason.values, name), name);
export const alertText = (alert, name = current) => t(`alert.${alert.rule}`, worded(alert.rule, alert.values, name), name);
export const alertShort = (alert, name = current) =>
  t(`alert.${alert.rule}.short`, worded(alert.rule, alert.values, name), name);

/** Seconds as m:ss, or h:mm:ss from an hour on. */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return s < 3600 ? `${minutes}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(minutes % 60)}:${two(s % 60)}`;
}

const ZONE = "Asia/Tokyo";
/** Both consoles show Japanese time wherever they run: two screens side by side name one moment alike. */
export const ZONE_OFFSET_MS = 9 * 3600000; // no summer time in Japan
const stamps = {};
/** Clock label of a Unix ms in Japan; "hm" or "hms". */
export function clockText(ms, form = "hm") {
  stamps[form] ??= new Intl.DateTimeFormat("en-GB", {
    timeZone: ZONE, hour: "2-digit", minute: "2-digit", ...(form === "hms" ? { second: "2-digit" } : {}), hourCycle: "h23",
  });
  return stamps[form].format(ms);
}

/** Age in the words of the tile foot: one decimal below 10 s. */
export function ageText(ms) {
  if (ms === null) return "–";
  if (ms < 10000) return t("ui.seconds", { n: (Math.floor(ms / 100) / 10).toFixed(1) });
  if (ms < 60000) return t("ui.seconds", { n: Math.floor(ms / 1000) });
  return span(ms);
}
