// Bytes of the live protocol to arrays: wave batch v1 (C8) and wave frame v1 (C7).  NaN is signal loss.

const CHANNELS = new Map([
  [0x01, "fhr1"], [0x02, "fhr2"], [0x03, "fhr3"], [0x10, "mhr"], [0x20, "toco"], [0x21, "iup"], [0x30, "fspo2"],
]);
const WIDTH = { fhr1: 2, fhr2: 2, fhr3: 2, mhr: 2, toco: 1, iup: 2, fspo2: 1 };
export const FLAG = { BACKFILL: 1, UNSYNCHRONISED: 2, TEST: 4, CRC: 8 };

export class WireError extends Error {}

const u48 = (view, at) => view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);

function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

function readSamples(view, at, name, ticks, isInop) {
  const out = new Float32Array(ticks);
  for (let i = 0; i < ticks; i++) {
    let value;
    if (WIDTH[name] === 1) {
      const word = view.getUint8(at + i);
      value = word === 255 ? NaN : name === "toco" ? word / 2 : word;
    } else if (name === "iup") {
      const word = view.getInt16(at + 2 * i);
      value = word === -0x8000 ? NaN : word / 2;
    } else {
      const word = view.getUint16(at + 2 * i);
      const quarters = word & 0x07ff;
      value = word & 0x8000 || quarters === 0 ? NaN : quarters / 4;
    }
    out[i] = isInop ? NaN : value;
  }
  return out;
}

/** One wave frame: {epoch, seq, t0, period, ticks, end, flags, status, channels: {fhr1: Float32Array…}}. */
export function decodeFrame(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 20 || view.getUint8(0) !== 0xc7) throw new WireError("not a wave frame");
  if (view.getUint8(1) >> 4 !== 1) throw new WireError("unknown version of the wave frame");
  const flags = view.getUint8(1) & 15;
  const ticks = view.getUint8(16);
  const period = view.getUint8(17) * 10;
  if (ticks === 0 || period === 0) throw new WireError("wave frame without ticks");
  const frame = {
    epoch: view.getUint32(2), seq: view.getUint32(6), t0: u48(view, 10), period, ticks, flags,
    status: view.getUint8(19), channels: {},
  };
  frame.end = frame.t0 + ticks * period;
  const stop = bytes.length - (flags & FLAG.CRC ? 2 : 0);
  if (flags & FLAG.CRC && crc16(bytes.subarray(0, stop)) !== view.getUint16(stop)) throw new WireError("wrong CRC");
  let at = 20;
  for (let n = view.getUint8(18); n > 0; n--) {
    if (at + 2 > stop) throw new WireError("wave frame cut short");
    const id = view.getUint8(at);
    const name = CHANNELS.get(id);
    const width = name ? WIDTH[name] : id < 0x20 || id & 1 ? 2 : 1; // the rule for ids not known yet
    const end = at + 2 + ticks * width;
    if (end > stop) throw new WireError("wave frame cut short");
    if (name) frame.channels[name] = readSamples(view, at + 2, name, ticks, (view.getUint8(at + 1) & 1) === 1);
    at = end;
  }
  return frame;
}

/** One wave batch: {seq, t, entries: [{site, bed, arrived, frame}], bad}; a frame that cannot be read is only counted. */
export function decodeBatch(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (bytes.length < 12 || bytes[0] !== 0xc8 || bytes[1] !== 1) throw new WireError("not a wave batch");
  const batch = { seq: view.getUint32(2), t: u48(view, 6), entries: [], bad: 0 };
  let at = 12;
  const take = (n) => {
    if (at + n > bytes.length) throw new WireError("wave batch cut short");
    at += n;
    return at - n;
  };
  const text = () => {
    const length = bytes[take(1)];
    const from = take(length);
    return String.fromCharCode(...bytes.subarray(from, from + length));
  };
  while (at < bytes.length) {
    const site = text();
    const bed = text();
    const arrived = u48(view, take(6));
    const length = view.getUint16(take(2));
    const from = take(length);
    try {
      batch.entries.push({ site, bed, arrived, frame: decodeFrame(bytes.subarray(from, from + length)) });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      batch.bad += 1;
    }
  }
  return batch;
}
