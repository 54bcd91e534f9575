// The live connection: joins, acknowledges, notices silence, and joins afresh when anything does not fit.

import { FreezeGuard, LINK_MS } from "./clock.js";
import { decodeBatch } from "./wire.js";

const RETRY_MS = [200, 500, 1000, 2000];
const CONNECT_MS = 4000;

export class Link {
  /** `on`: {snapshot(message, now), update(message, now), batch(batch, now)}. */
  constructor(url, on, historyS = 2400) {
    this.url = url;
    this.on = on;
    this.historyS = historyS;
    this.socket = null;
    this.tries = 0;
    this.heardAt = performance.now();
    this.guard = new FreezeGuard(performance.now(), Date.now());
    this.reset();
  }

  start() {
    this.open();
    setInterval(() => this.watch(), 250);
    setInterval(() => this.acknowledge(), 500); // twice as often as asked: history is sent only as fast as it is acknowledged
  }

  /** Up means: this connection has its snapshot and the last update is younger than the limit. */
  isUp(now) {
    return this.hasSnapshot && now - this.heardAt <= LINK_MS;
  }

  silentMs(now) {
    return now - this.heardAt;
  }

  reset() {
    this.hasSnapshot = false;
    this.bootId = null;
    this.seq = 0;
  }

  open() {
    this.reset();
    this.openedAt = performance.now();
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      if (socket !== this.socket) return;
      socket.send(JSON.stringify({ type: "hello", beds: null, history_s: this.historyS }));
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) this.receive(event.data);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.again("closed");
    };
  }

  /** Let go of this connection and join afresh: a new snapshot is the only way back to a known state. */
  again(why) {
    const old = this.socket;
    this.socket = null;
    if (old) old.close();
    this.hasSnapshot = false;
    this.why = why;
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), wait);
  }

  receive(data) {
    const now = performance.now();
    if (this.guard.beat(now, Date.now())) return this.again("this console was frozen");
    const isText = typeof data === "string";
    const message = isText ? JSON.parse(data) : decodeBatch(data);
    if (message.seq !== this.seq + 1) return this.again(`message ${message.seq} after ${this.seq}`);
    this.seq = message.seq;
    if (!isText) return this.on.batch(message, now);
    if (this.bootId !== null && message.boot_id !== this.bootId) return this.again("the hub was restarted");
    this.bootId = message.boot_id;
    this.heardAt = now;
    if (message.type === "snapshot") {
      this.hasSnapshot = true;
      this.tries = 0;
      return this.on.snapshot(message, now);
    }
    return this.on.update(message, now);
  }

  watch() {
    const now = performance.now();
    if (this.guard.beat(now, Date.now())) return this.again("this console was frozen");
    if (!this.socket) return undefined;
    const limit = this.hasSnapshot ? LINK_MS : CONNECT_MS;
    const since = this.hasSnapshot ? this.heardAt : this.openedAt;
    if (now - since > limit) this.again("silent");
    return undefined;
  }

  acknowledge() {
    if (this.seq > 0 && this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "ack", seq: this.seq }));
    }
  }
}
