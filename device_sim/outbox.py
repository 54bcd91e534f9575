"""Frames of one bed that the hub has not yet confirmed as stored: bounded, in memory, no clock of its own."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hub.model import Ack
from hub.wire import with_backfill_flag

CAPACITY_FRAMES: Final = 7200
"""Two hours at one frame a second."""

_LIVE_PATIENCE_S: Final = 30.0
"""How long a frame sent live may wait for its ack; the hub acknowledges at least every 10 s."""

_FIRST_WAIT_S: Final = 30.0
_LONGEST_WAIT_S: Final = 600.0
"""Without any answer the same frame is sent again after 30 s, 60 s … 10 min."""

_IN_FLIGHT_S: Final = 5.0
"""A frame sent less than this ago may be called missing only because it is under way."""


@dataclass(slots=True)
class _Entry:
    payload: bytes
    due_s: float
    wait_s: float = _FIRST_WAIT_S
    filled_s: float | None = None


class Outbox:
    """The unconfirmed frames of one epoch of one bed, by rising seq.

    Full, it gives up the oldest frame and counts it in `overflowed`: the simulator has
    no disk, and a frame two hours old is the least that a reader will miss.
    """

    def __init__(self, epoch: int, *, capacity: int = CAPACITY_FRAMES) -> None:
        self.epoch = epoch
        self.overflowed = 0
        self._capacity = capacity
        self._entries: dict[int, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, seq: int, payload: bytes, now_s: float, *, was_sent: bool) -> None:
        """Keep a frame; one that was not sent live is due for filling at once."""
        self._entries[seq] = _Entry(payload, now_s + _LIVE_PATIENCE_S if was_sent else now_s)
        while len(self._entries) > self._capacity:
            del self._entries[next(iter(self._entries))]
            self.overflowed += 1

    def acknowledge(self, ack: Ack, now_s: float) -> int:
        """Drop what the hub has stored, call due what it misses; give the number dropped."""
        if ack.epoch != self.epoch:
            return 0
        highest = ack.highest
        if highest is None:
            # `missing` ends below the highest stored seq, so one beyond its end is stored.
            highest = max((last + 1 for _, last in ack.missing), default=ack.contiguous)
        firsts = [first for first, _ in ack.missing]
        stored = []
        for seq, entry in self._entries.items():
            if seq > max(highest, ack.contiguous):
                break
            hole = bisect_right(firsts, seq) - 1
            if hole < 0 or seq > ack.missing[hole][1]:
                stored.append(seq)
            elif entry.filled_s is None or now_s - entry.filled_s > _IN_FLIGHT_S:
                entry.due_s = min(entry.due_s, now_s)
        for seq in stored:
            del self._entries[seq]
        return len(stored)

    def take_due(self, now_s: float, limit: int) -> list[bytes]:
        """Give up to `limit` frames to fill, of the newest that are due, oldest of them first.

        They carry the backfill flag, stay in the outbox, and are due again later unless confirmed.
        """
        due = (seq for seq, entry in reversed(self._entries.items()) if entry.due_s <= now_s)
        payloads = []
        for seq in sorted(islice(due, limit)):
            entry = self._entries[seq]
            entry.filled_s = now_s
            entry.due_s = now_s + entry.wait_s
            entry.wait_s = min(2 * entry.wait_s, _LONGEST_WAIT_S)
            payloads.append(with_backfill_flag(entry.payload))
        return payloads
