// What this console knows: beds in fixed order, their rings, the alerts that are not clear, the events.

import { Age, HubClock, TransitMeter } from "./clock.js";
import { GRID_MS, Ring } from "./ring.js";
import { FLAG } from "./wire.js";

const EVENTS_KEPT = 200;
const SLEW_LIMIT_MS = 1500;
const SET_BACK_MS = 5000; // a view can be a moment older than the frames before it, but not by this much
const natural = new Intl.Collator("en", { numeric: true });

export class Bed {
  constructor(site, bed) {
    this.key = `${site}/${bed}`;
    this.site = site;
    this.bed = bed;
    this.view = null;
    this.analysis = null;
    this.ring = new Ring();
    this.age = new Age(null, 0);
    this.events = [];
    this.unpainted = []; // frames not yet on the glass, for the latency record
    this.version = { wave: 0, analysis: 0, view: 0 };
    this.dirty = { from: Infinity, to: -Infinity };
    this.isKnown = true;
    this.isAmbiguous = false;
    this.anchor = null; // site time minus own monotonic time
    this.viewsBehind = 0;
  }

  /** What the bed is called at its site. */
  get label() {
    return this.view?.label || this.bed;
  }

  /** What it is called here: with the site before it where two sites use the same name. */
  get code() {
    return this.isAmbiguous ? `${this.site} ${this.label}` : this.label;
  }

  get siteName() {
    return this.view?.site_name || this.site;
  }

  /** The site's time now: end of the newest sample plus its age, carried on.  Null before any data. */
  siteNow(now) {
    return this.anchor === null ? null : this.anchor + now;
  }

  /** Head and age belong together; small differences are slewed, so that the strips do not tremble. */
  anchorAt(headMs, ageMs, at) {
    const anchor = headMs + ageMs - at;
    const step = this.anchor === null ? Infinity : anchor - this.anchor;
    this.anchor = Math.abs(step) > SLEW_LIMIT_MS ? anchor : this.anchor + step / 8;
  }
}

/** Two views in a row whose head lies before the ring's say that the site's clock was set back, and the hub's ring too. */
function followHead(bed, headMs) {
  const isBehind = headMs !== null && bed.ring.headMs !== null && headMs + SET_BACK_MS < bed.ring.headMs;
  bed.viewsBehind = isBehind ? bed.viewsBehind + 1 : 0;
  if (bed.viewsBehind < 2) return;
  bed.dirty.from = Math.min(bed.dirty.from, headMs);
  bed.dirty.to = Math.max(bed.dirty.to, bed.ring.headMs);
  bed.ring.setBack(headMs);
  bed.version.wave += 1;
}

export class Store {
  constructor() {
    this.beds = new Map();
    this.order = [];
    this.alerts = new Map();
    this.notices = [];
    this.clock = new HubClock();
    this.transit = new TransitMeter();
    this.lastHubMs = null;
    this.outage = null; // {from, to} hub ms of the last time this console was cut off
    this.badFrames = 0;
    this.version = 0;
  }

  bed(key) {
    return this.beds.get(key);
  }

  snapshot(message, now) {
    this.outage = this.lastHubMs === null ? null : { from: this.lastHubMs, to: message.t_ms };
    this.transit = new TransitMeter();
    this.alerts.clear();
    for (const bed of this.beds.values()) {
      bed.ring = new Ring();
      bed.unpainted = [];
      bed.isKnown = false; // stays on the wall, dark, if the hub no longer names it
      bed.age = new Age(null, now);
      bed.version.wave += 1;
    }
    this.update(message, now);
  }

  update(message, now) {
    const waitedMs = this.transit.push(message.t_ms, now);
    this.clock.set(message.t_ms + waitedMs, now);
    this.lastHubMs = message.t_ms;
    this.notices = message.notices ?? [];
    for (const view of message.beds) this.setView(view, now - waitedMs);
    this.markAmbiguous();
    for (const alert of message.alerts) {
      if (alert.state === "clear") this.alerts.delete(alert.id);
      else this.alerts.set(alert.id, alert);
    }
    for (const [key, events] of Object.entries(message.events ?? {})) {
      const bed = this.beds.get(key);
      if (bed) bed.events = [...bed.events, ...events].slice(-EVENTS_KEPT);
    }
    this.version += 1;
  }

  markAmbiguous() {
    const count = new Map();
    for (const bed of this.order) count.set(bed.label, (count.get(bed.label) ?? 0) + 1);
    for (const bed of this.order) bed.isAmbiguous = count.get(bed.label) > 1;
  }

  setView(view, sentAt) {
    const key = `${view.site}/${view.bed}`;
    let bed = this.beds.get(key);
    if (!bed) {
      bed = new Bed(view.site, view.bed);
      this.beds.set(key, bed);
      this.order = [...this.beds.values()].sort(
        (a, b) => natural.compare(a.site, b.site) || natural.compare(a.bed, b.bed),
      );
    }
    bed.isKnown = true;
    bed.view = view;
    bed.age = new Age(view.vitals.age_ms, sentAt);
    if (view.vitals.head_ms !== null && view.vitals.age_ms !== null) {
      bed.anchorAt(view.vitals.head_ms, view.vitals.age_ms, sentAt);
    }
    followHead(bed, view.vitals.head_ms);
    bed.version.view += 1;
    if (view.analysis) {
      bed.analysis = view.analysis;
      bed.version.analysis += 1;
    }
  }

  /** Take the frames of a batch.  Ages come from the seconds' updates alone: history is stamped by site clocks. */
  batch(batch, now) {
    this.transit.push(batch.t, now);
    this.badFrames += batch.bad;
    for (const { site, bed: name, arrived, frame } of batch.entries) {
      const bed = this.beds.get(`${site}/${name}`);
      if (!bed) continue;
      const span = bed.ring.push(frame, { isLate: Boolean(frame.flags & FLAG.BACKFILL), arrived });
      if (!span) continue;
      this.markOutage(bed, frame);
      bed.version.wave += 1;
      bed.dirty.from = Math.min(bed.dirty.from, span.from);
      bed.dirty.to = Math.max(bed.dirty.to, span.to);
      const isHistory = frame.epoch === 0 && frame.seq === 0;
      if (span.isNew && !isHistory && bed.unpainted.length < 32) {
        bed.unpainted.push({ t0: frame.t0, end: frame.end, receivedAt: now });
      }
    }
  }

  /** What reached the hub while this console was cut off came late to this console, and looks so. */
  markOutage(bed, frame) {
    if (!this.outage) return;
    const skew = bed.view.vitals.clock_offset_ms ?? 0;
    const from = Math.max(frame.t0, this.outage.from + skew);
    const to = Math.min(frame.end, this.outage.to + skew);
    if (to > from) bed.ring.markLate(Math.ceil(from / GRID_MS), Math.floor(to / GRID_MS), this.outage.to);
  }

  /** Alerts nobody has acknowledged, highest priority first, then oldest first. */
  unacknowledged() {
    return [...this.alerts.values()].filter((a) => a.state === "active" || a.state === "latched").sort(byConcern);
  }

  acknowledged() {
    return [...this.alerts.values()].filter((a) => a.state === "acknowledged").sort(byConcern);
  }

  alertsOf(bed) {
    return [...this.alerts.values()].filter((a) => a.site === bed.site && a.bed === bed.bed).sort(byConcern);
  }
}

const RANK = { high: 0, medium: 1, low: 2 };
export const byConcern = (a, b) => RANK[a.priority] - RANK[b.priority] || a.raised_ms - b.raised_ms;
