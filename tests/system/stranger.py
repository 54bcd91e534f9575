"""A site feed written from docs/protocol.md alone: an MQTT client library, and nothing of this project."""

import json
import struct
import threading
import time
import zlib
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


class StrangerFeed:
    """One bed of one site: keeps each frame until an ack covers it, fills in what was lost."""

    def __init__(self, port: int, site: str, bed: str, *, rate_bpm: float = 133.25) -> None:
        self.site, self.bed, self.rate_bpm = site, bed, rate_bpm
        self.epoch = 0xC0FFEE
        self.frames: dict[int, bytes] = {}
        self.times: dict[int, int] = {}
        self.acked: set[int] = set()
        self.ack_messages = 0
        self._next_seq = 0
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{site}-live")
        self._client.will_set(f"ctg/v1/{site}/status", b'{"state":"offline"}', qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 2)
        self._client.connect_async("127.0.0.1", port, keepalive=15)
        self._client.loop_start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(f"ctg/v1/{self.site}/+/ack", qos=1)
        status = {"state": "online", "t_ms": now_ms(), "name": "よその施設", "beds": [self.bed]}
        client.publish(f"ctg/v1/{self.site}/status", json.dumps(status).encode(), qos=1, retain=True)
        state = {"state": "ok", "since_ms": now_ms(), "label": "Z-9", "gestational_weeks": 39.0}
        client.publish(f"ctg/v1/{self.site}/{self.bed}/state", json.dumps(state).encode(), qos=1, retain=True)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        ack = json.loads(message.payload)
        if ack["epoch"] != self.epoch:
            return
        missing = {
            seq for low, high in ack.get("missing", []) for seq in range(low, min(high, self._next_seq) + 1)
        }
        with self._lock:
            self.ack_messages += 1
            self.acked |= {seq for seq in self.frames if seq <= ack["contiguous"]} - missing

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += 1.0
            seq, t0_ms = self._next_seq, now_ms() // 250 * 250 - 1000
            payload = self.frame(seq, t0_ms)
            with self._lock:
                self.frames[seq], self.times[seq] = payload, t0_ms
            if self._client.is_connected():
                self._client.publish(f"ctg/v1/{self.site}/{self.bed}/wave/live", payload, qos=1)
            self._next_seq += 1
            if seq % 5 == 4:
                self._fill(seq - 10)

    def _fill(self, before: int) -> None:
        with self._lock:
            lost = [seq for seq in self.frames if seq not in self.acked and seq <= before]
        if lost and self._client.is_connected():
            body = b""
            for seq in sorted(lost, reverse=True):
                frame = bytearray(self.frames[seq])
                frame[1] |= 1
                body += struct.pack(">H", len(frame)) + bytes(frame)
            self._client.publish(f"ctg/v1/{self.site}/{self.bed}/wave/fill", zlib.compress(body), qos=1)

    def frame(self, seq: int, t0_ms: int) -> bytes:
        header = struct.pack(
            ">BBIIHIBBBB", 0xC7, 0x14, self.epoch, seq, t0_ms >> 32, t0_ms & 0xFFFFFFFF, 4, 25, 2, 1
        )
        word = 2 << 13 | round(self.rate_bpm * 4)
        fhr = struct.pack(">BB4H", 0x01, 0x10, word, word, word, word)
        toco = struct.pack(">BB4B", 0x20, 0x40, 40, 40, 40, 40)
        return header + fhr + toco


def now_ms() -> int:
    return time.time_ns() // 1_000_000
