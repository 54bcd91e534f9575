"""The last 44 minutes of one bed's samples on the 4 Hz grid.  No Qt, no clock."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import GRID_MS, Channel, FloatArray, FrameFlag, WaveFrame
from hub.wire import to_values

RING_S: Final = 44 * 60
"""Longer than any strip on the wall, and than the 40 minutes a hub replays."""

STRIP_CHANNELS: Final = (
    Channel.FHR1,
    Channel.FHR2,
    Channel.FHR3,
    Channel.MHR,
    Channel.TOCO,
    Channel.IUP,
)
"""Channels drawn on a strip, in the order of the rows of a ring."""

ROW: Final = {channel: row for row, channel in enumerate(STRIP_CHANNELS)}

_TICKS: Final = RING_S * 1000 // GRID_MS
_CLOCK_SET_BACK: Final = 5 * 60 * 1000 // GRID_MS
"""A head this far behind the one held means that the site's clock was set back."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A stretch of one bed on the grid, its own copy: `values` has shape (6, n), rows as STRIP_CHANNELS.

    `late_ms` (n,) is the time at which a sample arrived after the fact, 0 for one
    that came live; NaN in `values` is signal loss or nothing received.
    """

    first_tick: int
    values: FloatArray
    late_ms: npt.NDArray[np.int64]

    def channel(self, channel: Channel) -> FloatArray:
        """One channel, shape (n,)."""
        row: FloatArray = self.values[ROW[channel]]
        return row

    @property
    def times_s(self) -> FloatArray:
        """Time of each sample in s, Unix epoch of the site's clock."""
        ticks = self.first_tick + np.arange(self.values.shape[1], dtype=np.float64)
        return ticks * (GRID_MS / 1000)


class Ring:
    """Samples by time; frames may come twice, late and out of order."""

    def __init__(self) -> None:
        self._values = np.full((len(STRIP_CHANNELS), _TICKS), np.nan, np.float32)
        self._late_ms = np.zeros(_TICKS, np.int64)
        self.head: int | None = None
        """Tick after the newest sample."""
        self.first: int | None = None
        """Oldest tick ever received."""

    def push(self, frame: WaveFrame, late_ms: int) -> None:
        """Place one frame; `late_ms` is 0 for a live one, else the time at which it came."""
        start, stop = round(frame.t0_ms / GRID_MS), round(frame.end_ms / GRID_MS)
        ticks = np.arange(start, stop)
        if self.head is None or stop > self.head:
            self._advance(start, stop)
        ticks = ticks[ticks >= (self.head or 0) - _TICKS]
        if ticks.size == 0:
            return
        source = ((ticks * GRID_MS - frame.t0_ms) // frame.period_ms).clip(0, frame.n_ticks - 1)
        at = ticks % _TICKS
        is_new = np.zeros(ticks.size, bool)
        for block in frame.channels:
            row = ROW.get(block.channel)
            if row is None:
                continue
            incoming = to_values(block)[source]
            is_new |= np.isnan(self._values[row, at]) & ~np.isnan(incoming)
            self._values[row, at] = incoming
        # What was already seen live stays live, however often it is sent again.
        self._late_ms[at[is_new]] = late_ms
        self.first = start if self.first is None else min(self.first, start)

    def expect_head(self, head_ms: int) -> None:
        """Start afresh when the hub's head lies far behind ours: the site's clock was set back."""
        if self.head is not None and self.head - head_ms // GRID_MS > _CLOCK_SET_BACK:
            self._values[:] = np.nan
            self._late_ms[:] = 0
            self.head = self.first = None

    def read(self, from_ms: int, to_ms: int) -> Samples:
        """Copy of the span; what the ring does not hold is NaN."""
        start, stop = from_ms // GRID_MS, max(-(-to_ms // GRID_MS), from_ms // GRID_MS)
        ticks = np.arange(start, stop)
        values = np.full((len(STRIP_CHANNELS), ticks.size), np.nan)
        late = np.zeros(ticks.size, np.int64)
        if self.head is not None:
            held = (ticks < self.head) & (ticks >= self.head - _TICKS)
            at = ticks[held] % _TICKS
            values[:, held] = self._values[:, at]
            late[held] = self._late_ms[at]
        return Samples(int(start), values, late)

    @property
    def head_ms(self) -> int | None:
        """End of the newest sample, ms."""
        return None if self.head is None else self.head * GRID_MS

    def _advance(self, start: int, stop: int) -> None:
        head = start if self.head is None else self.head
        fresh = np.arange(max(head, stop - _TICKS), stop) % _TICKS
        self._values[:, fresh] = np.nan
        self._late_ms[fresh] = 0
        self.head = stop


def is_backfill(frame: WaveFrame) -> bool:
    """Whether the site sent the frame after the fact."""
    return FrameFlag.BACKFILL in frame.flags
