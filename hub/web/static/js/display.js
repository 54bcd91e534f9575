// What may be shown of a bed now.  Pure: every rule about stale, dark and doubtful data is here and nowhere else.

import { freshness } from "./clock.js";

const DOUBTFUL = new Set(["maternal_rate", "doubling_halving", "too_little_signal"]);
const NOTHING = "–––";
const STUCK_MS = 60000; // a reading is due every 10 s: one this old says nothing of now, however live the samples

/** "hub" (this console hears no hub), "dark" (site cut off), "never" (no data yet), "stale", "marked" or "live". */
export function bedState(bed, { now, isUp }) {
  if (!isUp) return "hub";
  const age = bed.age.at(now);
  const fresh = freshness(age);
  // Samples that keep arriving say more than a last will that may have been overtaken.
  if (!bed.isKnown || (bed.view.vitals.link === "offline" && fresh !== "live")) return "dark";
  return age === null ? "never" : fresh;
}

/** The level of a bed: the worst fetus; 判定不能 of one fetus never hides behind level 1 or 2 of another. */
export function bedLevel(bed) {
  const fetuses = bed.analysis?.fetuses ?? [];
  if (fetuses.length === 0) return { level: null, fetus: null };
  const worst = fetuses.reduce((a, b) => ((b.level ?? -1) > (a.level ?? -1) ? b : a));
  const unknown = fetuses.find((f) => f.level === null);
  if (bed.view.vitals.is_coincident) return { level: null, fetus: unknown ?? worst };
  if (unknown && (worst.level ?? 0) < 3) return { level: null, fetus: unknown };
  return { level: worst.level, fetus: worst };
}

/** The last level that was answered, for words only. */
export function lastLevel(fetus) {
  if (!fetus) return null;
  if (fetus.level !== null) return { level: fetus.level, ms: fetus.computed_ms };
  return fetus.last_level === null ? null : { level: fetus.last_level, ms: fetus.last_level_ms };
}

/** Whether the reading has stopped while samples still come; hub time against hub time. */
function isStuck(fetuses, hubNow) {
  return Number.isFinite(hubNow) && fetuses.some((f) => hubNow - f.computed_ms > STUCK_MS);
}

/** Which glyph a bed wears.  Only a live bed wears its level in colour. */
export function bedGlyph(state, { level, fetus }) {
  if (state === "hub" || state === "dark" || state === "never") return { kind: "dark", level: null };
  if (state === "live") return level === null ? { kind: "indeterminate", level: null } : { kind: "level", level };
  const last = lastLevel(fetus);
  // A level 1 that is not known to stand now is not shown, not even in grey.
  return last && last.level > 1 ? { kind: "stale", level: last.level } : { kind: "indeterminate", level: null };
}

/** The number of one fetus: {text, tone} with tone "normal", "out" (outside 110-160) or "old". */
export function fhrNumber(state, vitals, fetus, isCoincident) {
  if (state === "hub" || state === "dark" || state === "never" || state === "stale") return { text: NOTHING, tone: "old" };
  const why = fetus?.level === null ? fetus.rolling?.indeterminate : null;
  if (vitals.fhr_bpm === null || isCoincident || DOUBTFUL.has(why)) return { text: "?", tone: "normal" };
  const bpm = Math.round(vitals.fhr_bpm);
  if (state === "marked") return { text: String(bpm), tone: "old" };
  return { text: String(bpm), tone: bpm < 110 || bpm > 160 ? "out" : "normal" };
}

const shown = (state, value) =>
  state === "live" || state === "marked" ? (value === null || value === undefined ? "–" : String(Math.round(value))) : "–";

/** Everything of a bed that is a number or a state; words are put in by the caller. */
export function bedDisplay(bed, context) {
  const { now } = context;
  const state = bedState(bed, context);
  const vitals = bed.view.vitals;
  const answer = bedLevel(bed);
  const analyses = bed.analysis?.fetuses ?? [];
  const isFresh = state === "live" || state === "marked";
  const isOld = isStuck(analyses, context.hubNow);
  const fetuses = vitals.fetuses.map((v) => ({
    fetus: v.fetus,
    ...fhrNumber(state, v, analyses.find((f) => f.fetus === v.fetus), vitals.is_coincident),
  }));
  if (fetuses.length === 0) fetuses.push({ fetus: 1, text: isFresh ? "?" : NOTHING, tone: "old" });
  const known = bed.analysis?.are_contractions_known && !isOld;
  return {
    state,
    ageMs: state === "hub" ? context.silentMs : bed.age.at(now),
    glyph: bedGlyph(isOld && state === "live" ? "stale" : state, answer),
    level: state === "live" && !isOld ? answer.level : null,
    fetus: answer.fetus,
    last: lastLevel(answer.fetus),
    fetuses,
    mhr: shown(state, vitals.mhr_bpm),
    toco: shown(state, vitals.toco ?? vitals.iup_mmhg),
    contractions: !isFresh ? "–" : known ? shown(state, bed.analysis.contractions_per_10min) : "?",
    isTachysystole: isFresh && !isOld && Boolean(bed.analysis?.is_tachysystole),
    share: vitals.fetuses.length ? Math.min(...vitals.fetuses.map((f) => f.signal_fraction)) : null,
    isTest: vitals.is_test,
    siteNow: bed.siteNow(now),
  };
}

/** Up, down or same: how the level stands to the one before it in the ribbon. */
export function trendOf(spans, level) {
  for (let i = spans.length - 1; i >= 0; i--) {
    const before = spans[i].level;
    if (before === null || before === level) continue;
    return before < level ? "up" : "down";
  }
  return "same";
}

/** Level changes of the last `spanMs`, newest first: [{ms, from, to}]. */
export function changesOf(spans, sinceMs) {
  const out = [];
  for (let i = spans.length - 1; i > 0 && spans[i].start_ms >= sinceMs; i--) {
    const from = spans[i - 1];
    if (from.level !== spans[i].level && spans[i].start_ms - from.end_ms < 120000) {
      out.push({ ms: spans[i].start_ms, from: from.level, to: spans[i].level });
    }
  }
  return out;
}
