// How long a sample took to the glass, and how often the wall is drawn.  Read by tests and by whoever measures.

const KEPT = 8192;
export const frames = [];
export const pace = { fps: 0, drawnStrips: 0, busyMs: 0 };
window.ctgMetrics = frames;
window.ctgPace = pace;

let waiting = [];
let counted = { at: performance.now(), ticks: 0, strips: 0, busy: 0 };
const channel = new MessageChannel();

// A message posted from a frame callback is handled after that frame has been handed to the compositor.
channel.port1.onmessage = () => {
  const paintedAt = performance.now();
  const paintMs = Date.now();
  for (const item of waiting) frames.push({ ...item, paintedAt, paintMs });
  waiting = [];
  if (frames.length > KEPT) frames.splice(0, frames.length - KEPT / 2);
};

/** Frames of a bed that have just been drawn. */
export function notePainted(bed) {
  if (bed.unpainted.length === 0) return;
  for (const frame of bed.unpainted) waiting.push({ bed: bed.key, ...frame });
  bed.unpainted = [];
}

/** End of one round of the scheduler. */
export function noteRound(startedAt, drawn) {
  if (waiting.length) channel.port2.postMessage(0);
  const now = performance.now();
  counted.ticks += 1;
  counted.strips += drawn;
  counted.busy += now - startedAt;
  const elapsed = now - counted.at;
  if (elapsed < 2000) return;
  pace.fps = (counted.ticks * 1000) / elapsed;
  pace.drawnStrips = (counted.strips * 1000) / elapsed;
  pace.busyMs = counted.busy / counted.ticks;
  counted = { at: now, ticks: 0, strips: 0, busy: 0 };
}
