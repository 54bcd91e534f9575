"""Epochs and sequence numbers of one bed: what is new, repeated, late or missing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_RANGES: Final = 1024
"""Most separate runs of seq remembered per epoch; beyond it the oldest gap is given up as missing."""


class Arrival(StrEnum):
    """How a frame stands to those already seen of its epoch."""

    NEXT = "next"
    """The one after the highest: the stream goes on."""
    AHEAD = "ahead"
    """Later than the next one: those between are missing for now."""
    LATE = "late"
    """Fills a hole below the highest: reordered or filled in."""
    REPEATED = "repeated"


@dataclass(slots=True)
class Timeline:
    """Which frames of one epoch of one bed have been seen, as runs of seq in rising order.

    Bounded: with more than `MAX_RANGES` runs the two oldest are joined, so a frame
    from the hole between them counts as repeated.  Only the live picture suffers;
    what is stored is decided by the database.
    """

    epoch: int
    _runs: list[list[int]]

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._runs = []

    @property
    def highest(self) -> int | None:
        """The highest seq seen, None before the first frame."""
        return self._runs[-1][1] if self._runs else None

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Inclusive holes between the lowest and the highest seq seen."""
        return [
            (a[1] + 1, b[0] - 1) for a, b in zip(self._runs, self._runs[1:], strict=False) if b[0] > a[1] + 1
        ]

    def __contains__(self, seq: int) -> bool:
        """Whether a frame has been seen."""
        return any(low <= seq <= high for low, high in reversed(self._runs))

    def push(self, seq: int) -> Arrival:
        """Note that `seq` came, and say how it stands to the others."""
        runs = self._runs
        if not runs or seq > runs[-1][1] + 1:
            runs.append([seq, seq])
            self._bound()
            return Arrival.AHEAD if len(runs) > 1 else Arrival.NEXT
        if seq == runs[-1][1] + 1:
            runs[-1][1] = seq
            return Arrival.NEXT
        return self._fill(seq)

    def _fill(self, seq: int) -> Arrival:
        runs = self._runs
        index = len(runs) - 1
        while index >= 0 and runs[index][0] > seq:  # holes are young: the newest run is nearly always near
            index -= 1
        if index >= 0 and seq <= runs[index][1]:
            return Arrival.REPEATED
        runs.insert(index + 1, [seq, seq])
        self._join(index + 1)
        self._join(index)
        self._bound()
        return Arrival.LATE

    def _join(self, index: int) -> None:
        runs = self._runs
        if 0 <= index < len(runs) - 1 and runs[index][1] + 1 == runs[index + 1][0]:
            runs[index][1] = runs[index + 1][1]
            del runs[index + 1]

    def _bound(self) -> None:
        if len(self._runs) > MAX_RANGES:
            self._runs[1][0] = self._runs[0][0]
            del self._runs[0]
