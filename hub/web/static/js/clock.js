// Ages and deadlines on this console's monotonic clock.  Wall clocks of two machines are never compared:
// the age of a value is the age it carried plus the time since it was received here.

export const MARK_MS = 3000; // older than this: marked
export const DROP_MS = 10000; // from here on: the number goes
export const LINK_MS = 2400; // a hub sends an update each second; this leaves time to draw within 3 s
export const FROZEN_MS = 2500; // the console itself did not turn for this long

/** "live" to 3 s, "marked" to 10 s, then "stale"; an unknown age is stale. */
export function freshness(ageMs) {
  if (ageMs === null || Number.isNaN(ageMs)) return "stale";
  if (ageMs > DROP_MS || ageMs === DROP_MS) return "stale";
  return ageMs > MARK_MS ? "marked" : "live";
}

/** An age that goes on growing after it was received. */
export class Age {
  constructor(carriedMs, receivedAt) {
    this.carriedMs = carriedMs;
    this.receivedAt = receivedAt;
  }

  at(now) {
    return this.carriedMs === null ? null : this.carriedMs + Math.max(0, now - this.receivedAt);
  }
}

/**
 * How long a message waited on its way beyond the fastest of the last minute.  Only differences within one
 * clock enter: (own receipt - own receipt) against (hub stamp - hub stamp).
 */
export class TransitMeter {
  constructor(spanMs = 60000) {
    this.spanMs = spanMs;
    this.seen = [];
  }

  push(hubMs, now) {
    const shift = now - hubMs;
    while (this.seen.length && this.seen[0].now < now - this.spanMs) this.seen.shift();
    while (this.seen.length && this.seen.at(-1).shift >= shift) this.seen.pop();
    this.seen.push({ now, shift });
    return shift - this.seen[0].shift;
  }
}

/** The hub's time, carried on by the own monotonic clock; a label, never a deadline. */
export class HubClock {
  constructor() {
    this.hubMs = null;
    this.now = 0;
  }

  set(hubMs, now) {
    this.hubMs = hubMs;
    this.now = now;
  }

  at(now) {
    return this.hubMs === null ? null : this.hubMs + (now - this.now);
  }
}

/** Notices that this console stood still (frozen tab, sleep): what then arrives in one heap is not live. */
export class FreezeGuard {
  constructor(now, wallMs) {
    this.now = now;
    this.wallMs = wallMs;
  }

  /** True if the console did not turn since the last beat; the wall clock catches sleep, which stops the other one. */
  beat(now, wallMs) {
    const gap = now - this.now;
    const wallGap = wallMs - this.wallMs;
    this.now = now;
    this.wallMs = wallMs;
    return gap > FROZEN_MS || wallGap - gap > FROZEN_MS;
  }
}
