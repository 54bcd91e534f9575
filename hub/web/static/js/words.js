// Sentences about a bed and an alert that several views share.

import { ageText, clockText, isSitePage, span, t } from "./i18n.js";

export const MARK = { high: "!!!", medium: "!!", low: "!" };

/** Which of the three alert looks: high is red; technical and low are cyan; the rest is yellow. */
export function toneOf(alert) {
  if (alert.priority === "high") return "high";
  return alert.path === "technical" || alert.priority === "low" ? "tech" : "medium";
}

/** Who saw an alert, why it may rest, and when. */
export const seenText = (alert) =>
  t("ui.seen", { by: alert.acknowledged_by, why: t(`ack.${alert.ack_reason}`), time: clockText(alert.acknowledged_ms) });

/** Tags in the toco lane at the moments of alerts. */
export const alertTags = (alerts) =>
  alerts.map((a) => ({ ms: a.raised_ms, text: t("ui.alert_tag", { time: clockText(a.raised_ms) }), tone: toneOf(a) }));

/** Minutes at a level, or m:ss of a loss. */
function sinceText(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60000));
  return minutes < 100 ? t("ui.minutes", { n: minutes }) : t("ui.hours", { h: Math.floor(minutes / 60), m: minutes % 60 });
}

function lastWords(d) {
  return d.last ? t("ui.last_level", { level: d.last.level, time: clockText(d.last.ms) }) : t("ui.no_level_yet");
}

/** {since, under, tight, brief, title} for the upper right corner of a tile and the head of the bed view. */
export function bedWords(bed, d, context) {
  const last = { under: lastWords(d), brief: lastWords(d) };
  if (d.state === "hub") return { ...last, since: span(context.silentMs), title: t("ui.state_hub") };
  if (d.state === "dark") return { ...last, since: span(d.ageMs ?? 0), title: t("ui.state_dark", { site: bed.siteName }) };
  if (d.state === "never") return { since: "–", under: t("ui.no_data"), brief: "", title: t("ui.no_data") };
  if (d.state === "stale" || d.state === "marked") {
    return { ...last, since: span(d.ageMs), title: t("ui.state_stale") };
  }
  const { fetus } = d;
  if (!fetus && isSitePage()) return { since: "", under: t("agent.no_level"), brief: "", title: t("agent.not_read") };
  if (!fetus) return { since: "–", under: t("ui.no_level_yet"), brief: "", title: t("ui.glyph_indeterminate") };
  // A hub that has never answered for this fetus says 0.
  const since = fetus.level_since_ms > 0 ? sinceText(context.hubNow - fetus.level_since_ms) : "–";
  if (d.level === null) {
    const why = bed.view.vitals.is_coincident ? "maternal_rate" : fetus.rolling?.indeterminate;
    const reason = why ? t(`indeterminate.${why}.short`) : t("ui.glyph_indeterminate");
    const before = d.last ? ` · ${last.brief}` : "";
    return { since, under: reason + before, brief: reason, title: `${t("ui.glyph_indeterminate")} ${reason}` };
  }
  const notes = [t(`level.${d.level}`)];
  if (bed.analysis.fetuses.length > 1) {
    const each = bed.analysis.fetuses.map((f) => `${"ABC"[f.fetus - 1]} ${f.level ?? "?"}`).join(" · ");
    notes[0] = t("ui.worse_of", { each });
  }
  if (fetus.rolling?.is_poor_signal) notes.push(t("ui.poor_signal"));
  if (!bed.analysis.are_contractions_known) notes.push(t("ui.contractions_unknown"));
  const tight = [t(`level.${d.level}.short`), ...notes.slice(1)].join(" · ");
  return { since, under: notes.join(" · "), tight, brief: "", title: t(`level.${d.level}`) };
}

/** Data, signal, device, site: what the reading of an opened bed rests on. */
export function deviceWords(bed, d) {
  const { device, link, clock_offset_ms: offset } = bed.view.vitals;
  const share = d.share === null ? "–" : `${Math.round(d.share * 100)} %`;
  const parts = [
    t("ui.data_age", { age: ageText(d.ageMs) }),
    t("ui.signal_share", { share }),
    t(device ? `device.${device}` : "device.unknown"),
    t(link ? `site.${link}` : "site.unknown"),
  ];
  if (offset !== null && Math.abs(offset) > 2000) parts.push(t("ui.clock_skew", { s: (offset / 1000).toFixed(0) }));
  if (bed.analysis?.fetuses.some((f) => !f.is_coincidence_checked)) parts.push(t("ui.coincidence_unchecked"));
  if (d.isTest) parts.push(t("ui.test_data"));
  return parts.join(" · ");
}
