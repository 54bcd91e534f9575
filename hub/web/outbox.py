"""What waits for one client, and what is sent next.  Pure: time comes in as data.

When the client is slow: waves are dropped oldest first and read again from the ring
once it keeps up, of each bed only the newest view is kept, alerts and bed events
are all kept.  A client that stays behind is cut by its session.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from hub.model import Alert, BedEvent, FrameFlag, HubNotice, WaveEntry
from hub.web.backend import BedKey
from hub.web.board import Board
from hub.web.flight import Flight
from hub.web.limits import LiveLimits
from hub.wire import encode_batch

_ENTRY_OVERHEAD: Final = 10
_REFILL_MARGIN_S: Final = 5.0
"""A frame covers time before its arrival; read that much more when a lost one is made good."""
_MOST_HISTORY_FRAMES: Final = 5000
"""Backfilled frames beyond this are read from the ring instead, once there is room."""
_BEDS_PER_CHUNK: Final = 8
"""Most rings read for one message of history, so that the event loop goes on in between."""


class Outbox:
    """Everything that one client has still to be told."""

    def __init__(
        self,
        limits: LiveLimits,
        board: Board,
        recent_waves: Callable[[BedKey, float], Sequence[WaveEntry]],
        boot_id: str,
    ) -> None:
        self._limits = limits
        self._board = board
        self._recent_waves = recent_waves
        self._boot_id = boot_id
        self._is_first = True
        self._is_second_due = False
        self._is_catching_up = False
        self._due: dict[BedKey, bool] = {}
        self._alerts: list[Alert] = []
        self._events: dict[str, tuple[BedEvent, ...]] = {}
        self._waves: deque[tuple[WaveEntry, int, float]] = deque()
        self._waves_bytes = 0
        self._history_since_s: dict[BedKey, float] = {}
        self._history: deque[WaveEntry] = deque()
        self.flight = Flight(limits)
        self.history_s = 0.0
        """History that the client asked for."""
        self.notices: tuple[HubNotice, ...] = ()
        """What stands about the hub itself; every message says all of it."""
        self.dropped_waves = 0
        """Live frames that this client did not get at once; its history makes them good later."""
        self.wave_waited_s = 0.0
        """How long the oldest frame of the newest batch had waited."""

    # ------------------------------------------------------------- what comes in

    def push_views(self, keys: Iterable[BedKey], *, with_analysis: bool) -> None:
        """Note that these beds have something new on the board."""
        for key in keys:
            self._due[key] = with_analysis or self._due.get(key, False)
        self._is_second_due = True

    def push_joined(self, keys: Iterable[BedKey]) -> None:
        """Note beds that are new to the client: their views are bulk, like history, until all are sent."""
        self.push_views(keys, with_analysis=True)
        self._is_catching_up = True

    def push_alerts(self, alerts: Iterable[Alert]) -> None:
        """Queue alerts, each change of each; none is ever dropped."""
        self._alerts.extend(alerts)

    def push_events(self, key: BedKey, events: Sequence[BedEvent]) -> None:
        """Queue bed events; none is ever dropped."""
        name = f"{key[0]}/{key[1]}"
        self._events[name] = self._events.get(name, ()) + tuple(events)

    def push_wave(self, entry: WaveEntry, now_s: float) -> None:
        """Queue a frame; of live ones the oldest give way when the client does not keep up.

        A frame that was filled in later goes with the history, so that hours of
        backfill never delay what is live.
        """
        if _is_backfill(entry):
            self._push_backfill(entry, now_s)
            return
        size = len(entry.payload) + len(entry.site) + len(entry.bed) + _ENTRY_OVERHEAD
        self._waves.append((entry, size, now_s))
        self._waves_bytes += size
        if self.flight.is_behind(now_s):
            self._drop_waves(now_s)

    def ask_history(self, keys: Iterable[BedKey], since_s: float) -> None:
        """Queue the frames that came since a monotonic time, to be read when there is room."""
        for key in keys:
            self._history_since_s[key] = min(since_s, self._history_since_s.get(key, since_s))

    def keep(self, wants: Callable[[BedKey], bool]) -> None:
        """Forget what waits for beds that the client no longer asks for."""
        self._due = {key: full for key, full in self._due.items() if wants(key)}
        self._history_since_s = {key: s for key, s in self._history_since_s.items() if wants(key)}
        self._history = deque(entry for entry in self._history if wants((entry.site, entry.bed)))
        self._waves = deque(item for item in self._waves if wants((item[0].site, item[0].bed)))
        self._waves_bytes = sum(size for _, size, _ in self._waves)

    def is_lost(self, now_s: float) -> bool:
        """Tell whether the client is beyond help and must be cut."""
        return (
            self.flight.oldest_age_s(now_s) > self._limits.cut_s
            or len(self._alerts) > self._limits.pending_alerts
        )

    # ------------------------------------------------------------- what goes out

    def next_message(self, now_s: float, now_ms: int) -> str | bytes | None:
        """Return the next message, text or binary, or None when there is nothing to say or no room."""
        is_behind = self.flight.is_behind(now_s)
        may_view = self.flight.may_send_history(now_s) if self._is_catching_up else not is_behind
        if self._alerts or self._events or ((self._is_second_due or self._due) and may_view):
            return self._next_json(now_s, now_ms, with_views=may_view)
        if self._waves and not is_behind:
            self._drop_waves(now_s)
            if self._waves:
                return self._next_waves(now_s, now_ms)
        if (self._history or self._history_since_s) and self.flight.may_send_history(now_s):
            return self._next_history(now_s, now_ms)
        return None

    def _next_json(self, now_s: float, now_ms: int, *, with_views: bool) -> str:
        kind: Literal["snapshot", "update"] = "snapshot" if self._is_first else "update"
        is_history = self._is_catching_up and with_views
        beds, t_ms = self._take_views(now_ms) if with_views else ([], now_ms)
        message = msgspec.json.encode(
            {
                "type": kind,
                "seq": self.flight.seq + 1,
                "t_ms": t_ms,
                "boot_id": self._boot_id,
                "beds": beds,
                "alerts": self._alerts,
                "events": self._events,
                "notices": self.notices,
            }
        )
        self._alerts = []
        self._events = {}
        self._is_first = False
        self._send(len(message), now_s, is_history=is_history)
        return message.decode()

    def _take_views(self, now_ms: int) -> tuple[list[msgspec.Raw], int]:
        """Take what is due, up to the size of a message; the snapshot names every bed all the same."""
        beds: list[msgspec.Raw] = []
        true_at_ms = now_ms
        left_bytes = self._limits.message_bytes
        rest: dict[BedKey, bool] = {}
        for key, with_analysis in self._due.items():
            if key not in self._board:
                continue
            if left_bytes <= 0:
                rest[key] = with_analysis
                if not self._is_first:
                    continue
            encoded, t_ms = self._board.encoded(key, with_analysis=with_analysis and left_bytes > 0)
            beds.append(msgspec.Raw(encoded))
            left_bytes -= len(encoded)
            true_at_ms = min(true_at_ms, t_ms)
        self._due = rest
        self._is_second_due = False
        self._is_catching_up = self._is_catching_up and bool(rest)
        return beds, true_at_ms

    def _next_waves(self, now_s: float, now_ms: int) -> bytes:
        self.wave_waited_s = now_s - self._waves[0][2]
        entries: list[WaveEntry] = []
        n_bytes = 0
        while self._waves and (not entries or n_bytes + self._waves[0][1] <= self._limits.window_bytes):
            entry, size, _ = self._waves.popleft()
            entries.append(entry)
            n_bytes += size
        self._waves_bytes -= n_bytes
        return self._batch(entries, now_s, now_ms, is_history=False)

    def _next_history(self, now_s: float, now_ms: int) -> bytes | None:
        entries: list[WaveEntry] = []
        n_bytes = 0
        beds_read = 0
        while n_bytes < self._limits.chunk_bytes:
            if not self._history:
                if not self._history_since_s or beds_read == _BEDS_PER_CHUNK:
                    break
                key = next(iter(self._history_since_s))
                span_s = now_s - self._history_since_s.pop(key)
                self._history.extend(self._recent_waves(key, span_s))
                beds_read += 1
                continue
            entry = self._history.popleft()
            entries.append(entry)
            n_bytes += len(entry.payload) + len(entry.site) + len(entry.bed) + _ENTRY_OVERHEAD
        return self._batch(entries, now_s, now_ms, is_history=True) if entries else None

    def _batch(self, entries: Collection[WaveEntry], now_s: float, now_ms: int, *, is_history: bool) -> bytes:
        message = encode_batch(self.flight.seq + 1, now_ms, list(entries))
        self._send(len(message), now_s, is_history=is_history)
        return message

    def _send(self, n_bytes: int, now_s: float, *, is_history: bool) -> None:
        self.flight.seq += 1
        self.flight.send(n_bytes, now_s, is_history=is_history)

    def _push_backfill(self, entry: WaveEntry, now_s: float) -> None:
        if len(self._history) < _MOST_HISTORY_FRAMES:
            self._history.append(entry)
        elif self.history_s > 0:
            self.ask_history(((entry.site, entry.bed),), now_s - self.history_s)

    def _drop_waves(self, now_s: float) -> None:
        """Drop what has waited too long or is too much, and remember to read it again from the ring."""
        while self._waves:
            entry, size, pushed_s = self._waves[0]
            if self._waves_bytes <= self.flight.window_bytes and now_s - pushed_s <= self._limits.behind_s:
                return
            self._waves.popleft()
            self._waves_bytes -= size
            self.dropped_waves += 1
            self.ask_history(((entry.site, entry.bed),), pushed_s - _REFILL_MARGIN_S)


def _is_backfill(entry: WaveEntry) -> bool:
    return len(entry.payload) > 1 and bool(entry.payload[1] & FrameFlag.BACKFILL)
