// The why-panel: every sentence of a reading with its time, its numbers and its evidence; and the response table.

import { button, h } from "./dom.js";
import { clockText, isSitePage, otherLanguage, reasonText, small, t } from "./i18n.js";

const VERDICT = new Set(["cell", "fallback", "growth_restriction", "special_cause", "indeterminate"]);
const RESPONSE = {
  doctor: { 1: "A", 2: "AB", 3: "BC", 4: "CD", 5: "D" },
  midwife: { 1: "A", 2: "B", 3: "BC", 4: "CD", 5: "D" },
};

/** Decelerations first, newest first; then the rest as the hub ordered it; the verdict closes. */
export function ordered(reasons) {
  const falls = reasons.filter((r) => r.code === "deceleration").sort((a, b) => b.start_s - a.start_s);
  const rest = reasons.filter((r) => r.code !== "deceleration" && !VERDICT.has(r.code));
  return { findings: [...falls, ...rest], verdict: reasons.filter((r) => VERDICT.has(r.code)) };
}

/** The reading that stood at the end of a window: rolling when live, otherwise the last segment complete by then. */
export function readingAt(fetus, endMs = null) {
  if (!fetus) return null;
  if (endMs === null) return fetus.rolling ?? fetus.segments.at(-1) ?? null;
  const end = (endMs - fetus.origin_ms) / 1000;
  return fetus.segments.filter((s) => s.end_s <= end + 1).at(-1) ?? null;
}

export function readingSpan(fetus, reading) {
  const at = (s) => clockText(fetus.origin_ms + s * 1000);
  return `${at(reading.start_s)}–${at(reading.end_s)}`;
}

/** `onSpan(fromMs, toMs)` jumps to a finding. */
export function whyPanel({ fetus, reading, titleKey, values, onSpan, shownLevel = null }) {
  const cap = h("span", "right", h("kbd", "", "W"));
  const title = h("div", "title", h("span", "", t(titleKey, values)), h("span", "s", small(titleKey, values)), cap);
  if (!reading) return [title, h("div", "more", t(isSitePage() ? "agent.no_level" : "ui.no_reading"))];
  const { findings, verdict } = ordered(reading.reasons);
  const rows = findings.map((reason) => {
    const from = fetus.origin_ms + reason.start_s * 1000;
    const to = fetus.origin_ms + reason.end_s * 1000;
    const isWhole = reason.end_s - reason.start_s >= reading.end_s - reading.start_s - 1;
    const when = isWhole
      ? h("span", "when", t("ui.ten_minutes"))
      : button("when", clockText(from), () => onSpan(from, to), t("ui.jump_to", { time: clockText(from) }));
    return h(
      "div", "reason", when,
      h("div", "", h("div", isWhole ? "" : "b", reasonText(reason)), h("div", "en", reasonText(reason, otherLanguage()))),
      h("span", "tag", reason.evidence),
    );
  });
  const foot = verdict.map((reason) => h("div", "", h("span", "b", reasonText(reason)), h("span", "tag", reason.evidence)));
  const compare = h("div", "en", t("ui.compare", { figo: figoText(reading.figo), nichd: nichdText(reading.nichd) }));
  const isHeld = shownLevel !== null && reading.level !== null && reading.level < shownLevel;
  const held = isHeld ? h("div", "", t("ui.level_held", { level: shownLevel, now: reading.level })) : null;
  return [title, h("div", "reasons", ...rows), h("div", "verdict", ...foot, held, compare)];
}

export const figoText = (value, name) => (value === null ? t("ui.no_value", {}, name) : t(`figo.${value}`, {}, name));
export const nichdText = (value, name) => (value === null ? t("ui.no_value", {}, name) : t(`nichd.${value}`, {}, name));

/** What the guideline's response table says at a level; the bedside decides. */
export function responsePanel(level) {
  const title = h("div", "title", h("span", "", t("ui.response")), h("span", "s", small("ui.response")));
  if (level === null) return [title, h("div", "more", t("ui.response_none"))];
  const category = (who, letter) => h("div", "", h("span", "b", letter), ` ${t(`response.${who}.${letter}`)}`);
  const rows = Object.entries(RESPONSE).map(([who, table]) =>
    h(
      "div", "resp", h("span", "who", t(`ui.${who}`)),
      h("div", "", ...[...table[level]].map((letter) => category(who, letter))),
    ),
  );
  return [title, ...rows, h("div", "en", `${t("ui.bedside_decides")} ${small("ui.bedside_decides")}`)];
}
