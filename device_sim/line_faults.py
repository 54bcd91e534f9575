"""What goes wrong on a serial line: pure and seeded, so that a bad run can be had again."""

from dataclasses import dataclass
from typing import Final

import numpy as np

_GARBAGE: Final = np.array((0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE, 0xFF), np.uint8)
"""What bytes at another speed look like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlan:
    """Faults of the line and of the device's power; by default there are none.

    `byte_loss` and `bit_flip` are shares of the bytes, `garbage` of the blocks.  After each
    `cable_every_s` nothing passes for `cable_out_s`; after each `power_every_s` the device is
    off for `power_off_s` and says who it is when it is back.
    """

    byte_loss: float = 0.0
    bit_flip: float = 0.0
    garbage: float = 0.0
    cable_every_s: float = 0.0
    cable_out_s: float = 0.0
    power_every_s: float = 0.0
    power_off_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1 and pauses that never end."""
        for name in ("byte_loss", "bit_flip", "garbage"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                msg = f"{name}: expected a share from 0 to 1, got {getattr(self, name)}"
                raise ValueError(msg)
        for name, every_s, length_s in (
            ("cable", self.cable_every_s, self.cable_out_s),
            ("power", self.power_every_s, self.power_off_s),
        ):
            if length_s < 0 or every_s < 0 or (length_s > 0 and length_s >= every_s):
                msg = f"{name}: expected it out for less than {every_s} s, got {length_s} s"
                raise ValueError(msg)

    def has_cable(self, elapsed_s: float) -> bool:
        """Say whether the cable is in."""
        return not _is_out(elapsed_s, self.cable_every_s, self.cable_out_s)

    def has_power(self, elapsed_s: float) -> bool:
        """Say whether the device is on."""
        return not _is_out(elapsed_s, self.power_every_s, self.power_off_s)


def _is_out(elapsed_s: float, every_s: float, length_s: float) -> bool:
    return length_s > 0 and elapsed_s >= every_s and elapsed_s % every_s < length_s


class FaultyLine:
    """The line from the device to the host."""

    def __init__(self, plan: LinePlan, seed: int) -> None:
        self._plan = plan
        self._rng = np.random.default_rng((seed, 115200))
        self.n_harmed = 0
        """Blocks that did not come through as they were sent."""

    def carry(self, data: bytes) -> bytes:
        """Give what arrives of one block."""
        if not data:
            return data
        raw = np.frombuffer(data, np.uint8)
        lost, flipped = self._rng.random((2, raw.size)) < [[self._plan.byte_loss], [self._plan.bit_flip]]
        if self._rng.random() < self._plan.garbage:
            arrived = self._rng.choice(_GARBAGE, raw.size).tobytes()
        else:
            bit = np.uint8(1) << self._rng.integers(0, 8, raw.size, dtype=np.uint8)
            arrived = np.where(flipped, raw ^ bit, raw)[~lost].tobytes()
        self.n_harmed += arrived != data
        return arrived
