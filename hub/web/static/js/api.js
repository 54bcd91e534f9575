// The hub's HTTP face; a refusal becomes an Error with the hub's own words.

const TIMEOUT_MS = 8000;
const path = (text) => encodeURIComponent(text);

async function ask(url, options = {}) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? body.title ?? String(response.status));
  return body;
}

/** Samples and findings of a span; with `stepMs` the least and greatest value of each step. */
export function readStrip(bed, fromMs, toMs, stepMs = null) {
  const step = stepMs === null ? "" : `&step_ms=${stepMs}`;
  const span = `from=${Math.floor(fromMs)}&to=${Math.floor(toMs)}`;
  return ask(`/api/v1/beds/${path(bed.site)}/${path(bed.bed)}/strip?${span}${step}`);
}

/** Alerts, newest first, of one bed or of all. */
export function readAlerts(limit, bed = null) {
  const of = bed ? `&site=${path(bed.site)}&bed=${path(bed.bed)}` : "";
  return ask(`/api/v1/alerts?limit=${limit}${of}`);
}

export function acknowledge(alert, by, reason) {
  return ask(`/api/v1/alerts/${path(alert.id)}/ack`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ by, reason }),
  });
}

/** What the agent of this site says of itself: only a site's own page has it. */
export function readSite() {
  return ask("/api/v1/site");
}

export function confirmAdvice(id, by) {
  return ask(`/api/v1/advice/${path(id)}/confirm`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ by }),
  });
}
