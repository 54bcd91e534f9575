// The whole record of a bed behind the ring: spans read from the hub as the reader scrolls, in bounded number.

import { readStrip } from "./api.js";
import { CHANNELS, GRID_MS } from "./ring.js";

const CHUNK_MS = 20 * 60000;
const CHUNKS_KEPT = 12;

/** One span of samples with the face of a ring (see strip.js). */
class Chunk {
  constructor(body) {
    this.firstTick = Math.round(body.from_ms / GRID_MS);
    this.channels = Object.fromEntries(
      CHANNELS.filter((name) => body.channels[name]).map((name) => [
        name, Float32Array.from(body.channels[name], (value) => (value === null ? NaN : value)),
      ]),
    );
    this.late = body.late.map((span) => ({ from: span.from_ms, to: span.to_ms, arrived: span.arrived_ms }));
    this.analysis = body.analysis;
    this.alerts = body.alerts;
    this.events = body.events;
  }

  at(channel, tick) {
    const array = this.channels[channel];
    const index = tick - this.firstTick;
    return array && index >= 0 && index < array.length ? array[index] : NaN;
  }
}

export class Record {
  constructor(bed) {
    this.bed = bed;
    this.chunks = new Map();
    this.wanted = new Map();
    this.version = 0;
    this.error = null;
    this.first = -Infinity;
    this.head = Infinity;
  }

  /** Ask for what is missing of a span; `onReady` is called as pieces arrive. */
  want(fromMs, toMs, onReady) {
    for (let at = Math.floor(fromMs / CHUNK_MS); at <= Math.floor(toMs / CHUNK_MS); at++) {
      const isOpen = (at + 1) * CHUNK_MS > (this.bed.ring.headMs ?? 0);
      if (this.wanted.has(at) && !(isOpen && performance.now() - this.wanted.get(at) > 15000)) continue;
      this.wanted.set(at, performance.now());
      readStrip(this.bed, at * CHUNK_MS, (at + 1) * CHUNK_MS).then(
        (body) => this.keep(at, new Chunk(body), onReady),
        (error) => {
          this.error = error.message;
          this.wanted.set(at, performance.now() - 10000);
          onReady();
        },
      );
    }
  }

  keep(at, chunk, onReady) {
    this.error = null;
    this.chunks.set(at, chunk);
    while (this.chunks.size > CHUNKS_KEPT) {
      const oldest = this.chunks.keys().next().value;
      this.chunks.delete(oldest);
      this.wanted.delete(oldest);
    }
    this.version += 1;
    onReady();
  }

  chunkAt(tick) {
    return this.chunks.get(Math.floor((tick * GRID_MS) / CHUNK_MS));
  }

  at(channel, tick) {
    return this.chunkAt(tick)?.at(channel, tick) ?? NaN;
  }

  has(channel) {
    for (const chunk of this.chunks.values()) if (chunk.channels[channel]) return true;
    return false;
  }

  get lateSpans() {
    return [...this.chunks.values()].flatMap((chunk) => chunk.late);
  }

  isLate(tick) {
    const ms = tick * GRID_MS;
    return this.chunkAt(tick)?.late.some((span) => ms >= span.from && ms < span.to) ?? false;
  }

  /** Findings of the span that ends at `endMs`, as the hub keeps them; null where it keeps none. */
  analysisAt(endMs) {
    return this.chunks.get(Math.floor((endMs - 1) / CHUNK_MS))?.analysis ?? null;
  }
}
