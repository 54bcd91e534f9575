"""The last minutes of every bed of a worker, in one preallocated array."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import GRID_MS, HEART_RATES, Channel, ChannelSamples, FloatArray, FrameFlag, WaveFrame

RING_S: Final = 40 * 60
"""Length of the ring: the longest look-back of the guidelines is 30 min (design choice: plus one segment)."""

RING_CHANNELS: Final = (Channel.FHR1, Channel.FHR2, Channel.FHR3, Channel.MHR, Channel.TOCO, Channel.IUP)
"""Channels that the ring keeps, in the order of its second axis; the store keeps the others too."""

_COLUMN = {channel: column for column, channel in enumerate(RING_CHANNELS)}

Codes = npt.NDArray[np.uint16]
"""Samples as the ring keeps them: whole steps of the wire from the channel's origin on, 0 for signal loss."""

LOST: Final = 0
_RATE: Final = np.uint16(0x07FF)
_RATE_LOST: Final = np.uint16(0x8000)
_IUP_ZERO: Final = 0x8000
_STEP: Final = np.array([0.25 if channel in HEART_RATES else 0.5 for channel in RING_CHANNELS], np.float32)
"""Steps of the wire, in bpm, monitor units and mmHg."""
_ORIGIN: Final = np.array(
    [{Channel.TOCO: 1, Channel.IUP: _IUP_ZERO}.get(channel, 0) for channel in RING_CHANNELS], np.float32
)
"""Code of the value 0: the lowest value of the wire has code 1, as a rate of 0 is signal loss."""


class Ring:
    """Samples of all beds on the 250 ms UTC grid of their sites: shape (beds, channels, n_samples).

    Each bed has a `head`, the grid index just behind its newest sample.  Writing
    past the head clears what lies between; writing before it fills in place.
    """

    def __init__(self, capacity_beds: int, *, length_s: int = RING_S) -> None:
        self.n_samples = length_s * 1000 // GRID_MS
        # Pages stay untouched, and so cost nothing, until they are written.  Channel by channel in memory:
        # most beds use three of six, and a page of the kernel's may span many beds.
        by_channel = np.zeros((len(RING_CHANNELS), capacity_beds, self.n_samples), np.uint16)
        self._codes = by_channel.transpose(1, 0, 2)
        self._late_s = np.zeros((capacity_beds, self.n_samples), np.uint32)
        """When late samples arrived, Unix s; 0 for live ones."""
        self._has_late = np.zeros(capacity_beds, np.bool_)
        """Beds to which something came late: the times of the others are 0, and their memory untouched."""
        self._is_open = np.zeros((capacity_beds, len(RING_CHANNELS)), np.bool_)
        """Channels that have been written; the memory of the others is never touched."""
        self._head: npt.NDArray[np.int64] = np.zeros(capacity_beds, np.int64)
        self._beds = 0

    @property
    def capacity_beds(self) -> int:
        """Most beds that fit."""
        return self._codes.shape[0]

    def add_bed(self) -> int | None:
        """Open a row for a new bed, or return None when all are taken."""
        if self._beds == self.capacity_beds:
            return None
        row = self._beds
        self._beds += 1
        return row

    def head_ms(self, row: int) -> int | None:
        """End of the newest sample, Unix ms on the site's clock; None before the first."""
        head = int(self._head[row])
        return head * GRID_MS if head else None

    def push(self, row: int, frame: WaveFrame, *, is_newest: bool, late_ms: int = 0) -> None:
        """Write one frame.

        `is_newest` says that the frame is the head of a live stream, so the bed's
        head goes where it ends, backwards too when the site's clock was set back.
        `late_ms` is the time of arrival of a frame that came late, kept to the second; 0 for a live one.
        What was there live stays as it is: a late frame fills in, it never replaces.
        """
        start, stop = round(frame.t0_ms / GRID_MS), round(frame.end_ms / GRID_MS)
        head, shift = int(self._head[row]), 0
        if is_newest and abs(start - head) == 1:
            # The site's clock is smoothed by a few ms: rounding must not tear a hole of one tick.
            shift = head - start
            start, stop = start + shift, stop + shift
        if stop <= start:
            return
        self._move_head(row, start, stop, is_newest=is_newest)
        start = max(start, int(self._head[row]) - self.n_samples)
        if start >= stop:
            return
        grid = np.arange(start, stop)
        if late_ms:
            grid = grid[~self._is_live(row, grid % self.n_samples)]
        slots = grid % self.n_samples
        # Sources slower or faster than 4 Hz: each grid tick takes the sample that covers its middle.
        middle_ms = (grid - shift) * GRID_MS + GRID_MS // 2 - frame.t0_ms
        ticks = (middle_ms // frame.period_ms).clip(0, frame.n_ticks - 1)
        for block in frame.channels:
            self._write(row, slots, ticks, block)
        if late_ms:
            self._has_late[row] = True
        if self._has_late[row]:
            self._late_s[row, slots] = max(1, late_ms // 1000) if late_ms else 0

    def _is_live(self, row: int, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        has_signal = (self._codes[row][np.ix_(self._is_open[row], slots)] != LOST).any(axis=0)
        return np.asarray(has_signal & (self._late_s[row, slots] == 0))

    def _write(
        self, row: int, slots: npt.NDArray[np.int64], ticks: npt.NDArray[np.int64], block: ChannelSamples
    ) -> None:
        column = _COLUMN.get(block.channel)
        if column is not None:
            self._is_open[row, column] = True
            self._codes[row, column, slots] = _encode(block)[ticks]

    def _move_head(self, row: int, start: int, stop: int, *, is_newest: bool) -> None:
        head = int(self._head[row])
        if head == 0 or stop > head:
            self._clear(row, head if head else start, stop)
        elif is_newest and stop < head:
            self._clear(row, stop, head)
        else:
            return
        self._head[row] = stop

    def _clear(self, row: int, start: int, stop: int) -> None:
        slots = np.arange(max(start, stop - self.n_samples), stop) % self.n_samples
        self._codes[row][np.ix_(self._is_open[row], slots)] = LOST
        if self._has_late[row]:
            self._late_s[row, slots] = 0

    def window(
        self, rows: npt.ArrayLike, n_samples: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Copy the newest `n_samples` of some beds, each up to its own head.

        Returns the samples, shape (n_rows, channels, n_samples), the times of
        arrival of late ones, shape (n_rows, n_samples), 0 for live, and the end of
        each window in Unix ms, shape (n_rows,).
        """
        index = np.atleast_1d(np.asarray(rows, np.intp))
        head = self._head[index]
        slots = (head[:, None] + np.arange(-n_samples, 0)) % self.n_samples
        columns = np.arange(len(RING_CHANNELS))[:, None]
        codes = self._codes[index[:, None, None], columns, slots[:, None, :]]
        late_ms = self._late_s[index[:, None], slots] * np.int64(1000)
        return decode(codes, columns), late_ms, head * GRID_MS

    @property
    def heads(self) -> npt.NDArray[np.int64]:
        """Grid index behind the newest sample of every row that was opened; 0 before the first."""
        return self._head[: self._beds]

    def copy_span(self, row: int, stop: int, n_samples: int) -> tuple[Codes, npt.NDArray[np.bool_]]:
        """Copy the codes of a bed for the `n_samples` before grid index `stop`, and say which came late."""
        start, head = stop - n_samples, int(self._head[row])
        codes = np.zeros((len(RING_CHANNELS), n_samples), np.uint16)
        is_late = np.zeros(n_samples, np.bool_)
        begin, end = max(start, head - self.n_samples), min(stop, head)
        while begin < end:
            slot = begin % self.n_samples
            n = min(end - begin, self.n_samples - slot)
            codes[:, begin - start : begin - start + n] = self._codes[row, :, slot : slot + n]
            is_late[begin - start : begin - start + n] = self._late_s[row, slot : slot + n] > 0
            begin += n
        return codes, is_late

    def column(
        self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], n_samples: int
    ) -> npt.NDArray[np.float32]:
        """Copy the newest samples of one channel of each row, shape (n_rows, n_samples); late ones NaN."""
        slots = (self._head[rows][:, None] + np.arange(-n_samples, 0)) % self.n_samples
        codes: Codes = self._codes[rows[:, None], columns[:, None], slots]
        late = np.flatnonzero(self._has_late[rows])
        codes[late] = np.where(self._late_s[rows[late, None], slots[late]] > 0, LOST, codes[late])
        return decode(codes, columns[:, None])

    def newest(self, rows: npt.ArrayLike, n_samples: int) -> FloatArray:
        """Latest value of each channel within the newest `n_samples`, shape (n_rows, channels); NaN: none."""
        samples, _, _ = self.window(rows, n_samples)
        is_valid = np.isfinite(samples)
        last = n_samples - 1 - np.argmax(is_valid[..., ::-1], axis=-1)
        value = np.take_along_axis(samples, last[..., None], axis=-1)[..., 0]
        return np.where(is_valid.any(axis=-1), value, np.nan).astype(np.float64)


def _encode(block: ChannelSamples) -> Codes:
    """Give the words of the wire as codes; of each channel the word for signal loss becomes 0."""
    if block.is_inop:
        return np.zeros(block.raw.shape, np.uint16)
    if block.channel is Channel.TOCO:
        return (block.raw.astype(np.uint8) + np.uint8(1)).astype(np.uint16)
    word: Codes = block.raw.astype(np.uint16)
    if block.channel is Channel.IUP:
        return word ^ np.uint16(_IUP_ZERO)
    return np.where(word & _RATE_LOST, np.uint16(LOST), word & _RATE)


def decode(codes: Codes, columns: npt.NDArray[np.intp] | int) -> npt.NDArray[np.float32]:
    """Give codes as values; `columns` says of which channels, in the shape of `codes` or one that spreads."""
    values = codes.astype(np.float32)
    values -= _ORIGIN[columns]
    values *= _STEP[columns]
    values[codes == LOST] = np.nan
    return values


def is_test_frame(frame: WaveFrame) -> bool:
    """Tell simulated data from a woman's."""
    return FrameFlag.TEST in frame.flags
