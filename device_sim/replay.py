"""Plays a recording for ever: at its end comes a gap of signal loss, then its beginning."""

from typing import Final

import numpy as np

from device_sim.signals import Signals
from hub.model import FS_HZ, FloatArray
from hub.records import Record

SEAM_S: Final = 5.0
"""Length of the gap between two rounds: long enough to be seen as one, too short to matter."""


class Replay:
    """A recording in a loop on the 4 Hz grid; a `SignalSource`.

    The clock runs on over the seam.  A recording at another rate is laid on the grid by
    holding its samples: nothing is invented between them and no gap is joined.
    """

    def __init__(self, record: Record, *, offset_s: float = 0.0) -> None:
        """Start the loop `offset_s` into the recording."""
        if not offset_s >= 0:
            msg = f"offset_s must not be negative, got {offset_s}"
            raise ValueError(msg)
        n_grid = int(record.fhr.shape[-1] / record.fs * FS_HZ)
        if n_grid == 0:
            msg = f"{record.name}: expected at least one sample at {FS_HZ} Hz, got {record.duration_s} s"
            raise ValueError(msg)
        held = np.minimum((np.arange(n_grid) * (record.fs / FS_HZ)).astype(np.intp), record.fhr.shape[-1] - 1)
        self._fhr = _with_seam(record.fhr[:, held])
        self._toco = None if record.toco is None else _with_seam(record.toco[held])
        self._mhr = None if record.mhr is None else _with_seam(record.mhr[held])
        self._offset = int(offset_s * FS_HZ)

    def samples(self, start: int, stop: int) -> Signals:
        """Give samples `start` (inclusive) to `stop` (exclusive) on the 4 Hz grid."""
        if not 0 <= start < stop:
            msg = f"expected 0 <= start < stop, got {start} and {stop}"
            raise ValueError(msg)
        at = (np.arange(start, stop) + self._offset) % self._fhr.shape[-1]
        return Signals(
            fhr=self._fhr[:, at],
            toco=None if self._toco is None else self._toco[at],
            mhr=None if self._mhr is None else self._mhr[at],
        )


def _with_seam(values: FloatArray) -> FloatArray:
    gap = np.full((*values.shape[:-1], int(SEAM_S * FS_HZ)), np.nan)
    return np.concatenate((values, gap), axis=-1)
