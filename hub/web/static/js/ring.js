// The newest minutes of one bed: one bounded array per channel on the 250 ms grid, addressed by time.

export const GRID_MS = 250;
export const RING_TICKS = 10240; // 42 min 40 s
export const CHANNELS = ["fhr1", "fhr2", "fhr3", "mhr", "toco", "iup"];
const LATE_SPANS = 64;

export class Ring {
  constructor() {
    this.head = null; // first tick after the newest sample
    this.first = null; // first tick ever written: before it there was no monitoring, and so no gap
    this.values = {};
    this.last = null;
    this.late = new Uint8Array(RING_TICKS);
    this.lateSpans = []; // [{from, to, arrived}] in ms, oldest first
  }

  get headMs() {
    return this.head === null ? null : this.head * GRID_MS;
  }

  get startMs() {
    return this.head === null ? null : (this.head - RING_TICKS) * GRID_MS;
  }

  /** From here on the ring holds everything it was given. */
  get keptFromMs() {
    return this.head === null ? Infinity : Math.max(this.startMs, this.first * GRID_MS);
  }

  has(channel) {
    return channel in this.values;
  }

  /** The value at a tick; NaN outside the ring. */
  at(channel, tick) {
    const array = this.values[channel];
    if (!array || tick >= this.head || tick < this.head - RING_TICKS) return NaN;
    return array[tick % RING_TICKS];
  }

  isLate(tick) {
    return this.head !== null && tick < this.head && tick >= this.head - RING_TICKS && this.late[tick % RING_TICKS] === 1;
  }

  /** Where a frame lies on the grid; one that follows its predecessor by a smoothed clock is moved to join it. */
  ticksOf(frame) {
    let first = Math.round(frame.t0 / GRID_MS);
    let stop = Math.max(first + 1, Math.round(frame.end / GRID_MS));
    const last = this.last;
    if (last && last.epoch === frame.epoch && last.seq + 1 === frame.seq && Math.abs(last.stop - first) === 1) {
      stop += last.stop - first;
      first = last.stop;
    }
    this.last = { epoch: frame.epoch, seq: frame.seq, stop };
    return [first, stop];
  }

  /** Write a decoded frame; returns the span touched {from, to, isNew} in ms, or null if it lies before the ring. */
  push(frame, { isLate = false, arrived = null } = {}) {
    const [first, stop] = this.ticksOf(frame);
    if (this.head === null) this.head = first;
    if (stop <= this.head - RING_TICKS) return null;
    this.first = this.first === null ? first : Math.min(this.first, first);
    const oldHead = this.head;
    if (stop > this.head) this.advance(stop);
    const from = Math.max(first, this.head - RING_TICKS);
    for (const name of CHANNELS) {
      const samples = frame.channels[name];
      if (!samples) continue;
      const array = (this.values[name] ??= new Float32Array(RING_TICKS).fill(NaN));
      for (let tick = from; tick < stop; tick++) {
        const index = Math.floor(((tick - first) * GRID_MS + GRID_MS / 2) / frame.period);
        array[tick % RING_TICKS] = samples[Math.min(index, frame.ticks - 1)];
      }
    }
    this.markLate(from, stop, isLate ? arrived : null);
    return { from: Math.min(from, oldHead) * GRID_MS, to: stop * GRID_MS, isNew: stop > oldHead };
  }

  /** Ticks [from, stop) came at `arrived` ms; null: they came live. */
  markLate(from, stop, arrived) {
    const begin = Math.max(from, this.head - RING_TICKS);
    const end = Math.min(stop, this.head);
    for (let tick = begin; tick < end; tick++) this.late[tick % RING_TICKS] = arrived === null ? 0 : 1;
    if (arrived !== null && end > begin) this.addLateSpan(begin * GRID_MS, end * GRID_MS, arrived);
  }

  advance(stop) {
    const clear = Math.min(stop - this.head, RING_TICKS);
    for (let tick = stop - clear; tick < stop; tick++) {
      const at = tick % RING_TICKS;
      this.late[at] = 0;
      for (const name in this.values) this.values[name][at] = NaN;
    }
    this.head = stop;
    const start = this.startMs;
    while (this.lateSpans.length && this.lateSpans[0].to < start) this.lateSpans.shift();
  }

  /** The site's clock was set back to `headMs`: what lies behind it is no longer of this time. */
  setBack(headMs) {
    const head = Math.round(headMs / GRID_MS);
    const from = Math.max(head, this.head - RING_TICKS);
    for (let tick = from; tick < this.head; tick++) {
      const at = tick % RING_TICKS;
      this.late[at] = 0;
      for (const name in this.values) this.values[name][at] = NaN;
    }
    this.head = head;
    this.first = Math.min(this.first, head);
    this.lateSpans = this.lateSpans.filter((span) => span.from < headMs);
    for (const span of this.lateSpans) span.to = Math.min(span.to, headMs);
  }

  addLateSpan(from, to, arrived) {
    const near = this.lateSpans.find((span) => from <= span.to + GRID_MS && to >= span.from - GRID_MS);
    if (near) {
      near.from = Math.min(near.from, from);
      near.to = Math.max(near.to, to);
      near.arrived = Math.max(near.arrived, arrived);
      return;
    }
    this.lateSpans.push({ from, to, arrived });
    this.lateSpans.sort((a, b) => a.from - b.from);
    if (this.lateSpans.length > LATE_SPANS) this.lateSpans.shift();
  }
}
