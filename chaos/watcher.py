"""A console without a screen: joins the live push, acknowledges, and notes how late things come."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from hub.errors import WireError
from hub.model import FrameFlag
from hub.wire import decode_batch, decode_wave

_RETRY_S: Final = 0.2
_ACK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A live frame here: when, whose, how long after its newest sample, and after it reached the hub."""

    at_s: float
    bed: str
    since_newest_ms: float
    since_arrival_ms: float


class Watcher(threading.Thread):
    """Stays joined for as long as it runs; joins again by itself, as a console does."""

    def __init__(self, url: str, beds: Sequence[str] | None = None) -> None:
        super().__init__(name="watcher", daemon=True)
        self._url = url.replace("http", "ws", 1) + "/ws/v1/live"
        self._beds = list(beds) if beds is not None else None
        self._is_ending = threading.Event()
        self.seen: list[Seen] = []
        self.late_frames = 0
        self.alerts: dict[str, dict[str, Any]] = {}
        """Every alert ever told, as last told, by id."""
        self.raised_at_s: dict[str, float] = {}
        self.heard_s = time.monotonic()
        self.joins = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self.join(10)

    def run(self) -> None:
        """Join, read until it breaks, join again."""
        while not self._is_ending.is_set():
            try:
                with connect(self._url, open_timeout=5, close_timeout=1, max_size=None) as connection:
                    self.joins += 1
                    self._read(connection)
            except (OSError, EOFError, TimeoutError, WebSocketException):
                self._is_ending.wait(_RETRY_S)

    def between(self, since_s: float = 0.0, until_s: float = float("inf")) -> list[Seen]:
        """Live frames seen in a span of monotonic time."""
        return [one for one in self.seen if since_s <= one.at_s < until_s]

    def _read(self, connection: Connection) -> None:
        connection.send(json.dumps({"type": "hello", "beds": self._beds, "history_s": 0}))
        acked_s, seq = time.monotonic(), 0
        while not self._is_ending.is_set():
            try:
                message = connection.recv(timeout=_ACK_S)
            except TimeoutError:
                message = None
            now_s = time.monotonic()
            if message is not None:
                self.heard_s = now_s
                seq = (
                    self._take_words(message, now_s)
                    if isinstance(message, str)
                    else self._take_waves(message, now_s)
                )
            if now_s - acked_s >= _ACK_S and seq:
                connection.send(json.dumps({"type": "ack", "seq": seq}))
                acked_s = now_s

    def _take_words(self, text: str, now_s: float) -> int:
        message = json.loads(text)
        for alert in message["alerts"]:
            if alert["id"] not in self.alerts:
                self.raised_at_s[alert["id"]] = now_s
            self.alerts[alert["id"]] = alert
        return int(message["seq"])

    def _take_waves(self, payload: bytes, now_s: float) -> int:
        seq, _, entries = decode_batch(payload)
        now_ms = time.time_ns() / 1e6
        for entry in entries:
            try:
                frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
            except WireError:
                continue
            if FrameFlag.BACKFILL in frame.flags:
                self.late_frames += 1
            else:
                self.seen.append(
                    Seen(
                        now_s,
                        f"{entry.site}/{entry.bed}",
                        now_ms - (frame.end_ms - frame.period_ms),
                        now_ms - entry.arrived_ms,
                    )
                )
        return seq


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Median, 99th percentile and greatest, NaN of nothing."""
    array = np.fromiter(values, float)
    if not array.size:
        return {"p50": np.nan, "p99": np.nan, "max": np.nan}
    p50, p99 = np.percentile(array, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "max": float(array.max())}
