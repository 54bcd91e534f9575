"""What a source of CTG gives: samples on the 4 Hz grid, by index, as often as asked."""

from dataclasses import dataclass
from typing import Protocol

from hub.model import FS_HZ, BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """A stretch of one bed's signals at 4 Hz; NaN is signal loss, time is the last axis.

    `fhr` has shape (n_fetuses, n_samples) in bpm; `toco` in monitor units, `mhr` in
    bpm and `movement` (fetal movement seen by the device) have shape (n_samples,)
    and are None where the device has no such channel.
    """

    fhr: FloatArray
    toco: FloatArray | None = None
    mhr: FloatArray | None = None
    movement: BoolArray | None = None
    fs: float = FS_HZ


class SignalSource(Protocol):
    """Anything that can be played: a modelled patient or a recording in a loop."""

    def samples(self, start: int, stop: int) -> Signals:
        """Give samples `start` (inclusive) to `stop` (exclusive); the same answer each time."""
        ...
