"""The site's clock: monotonic time with a wall-clock label, and how far that is from the hub's.  Pure."""

import math
from collections import deque
from enum import StrEnum
from typing import Final

from hub.model import TimeExchange

STEP_MS: Final = 1000.0
"""A wall clock that moved by this much against the monotonic one was set: the label follows at once."""
SLEW_MS_PER_S: Final = 5.0
"""Smaller differences are followed this slowly: ticks are spaced by the monotonic clock."""
WARN_MS: Final = 200.0
UNSYNCHRONISED_MS: Final = 1000.0
SAMPLES: Final = 8
DRIFT: Final = 0.01
"""The fastest drift that is reckoned with."""
_LONGEST_DELAY_MS: Final = 60_000.0


class SiteClock:
    """Labels monotonic time; `steps` are the jumps of the wall clock that were followed, in ms."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self._offset_ms = math.nan
        self._last_s = 0.0

    def label(self, monotonic_s: float, wall_ms: float) -> float:
        """Give the time of now, Unix ms UTC; call it often, with both clocks as they stand."""
        offset_ms = wall_ms - 1000.0 * monotonic_s
        difference_ms = offset_ms - self._offset_ms
        if math.isnan(difference_ms):
            self._offset_ms = offset_ms
        elif abs(difference_ms) >= STEP_MS:
            self._offset_ms = offset_ms
            self.steps.append(difference_ms)
        else:
            most_ms = SLEW_MS_PER_S * max(0.0, monotonic_s - self._last_s)
            self._offset_ms += min(max(difference_ms, -most_ms), most_ms)
        self._last_s = monotonic_s
        return self._offset_ms + 1000.0 * monotonic_s


class Synchrony(StrEnum):
    """What the exchange with the hub says of the site's clock."""

    UNKNOWN = "unknown"
    GOOD = "good"
    WARNING = "warning"
    UNSYNCHRONISED = "unsynchronised"


class OffsetFilter:
    """Hub's clock less the site's: of the last eight exchanges the one that can be least wrong.

    It can by half of its delay, and by what a clock may have drifted since.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=SAMPLES)
        """When the answer came, delay and offset, in ms."""

    @property
    def offset_ms(self) -> float | None:
        """The best estimate; None before the first answer."""
        return self._best()[2] if self._samples else None

    @property
    def delay_ms(self) -> float | None:
        """Way there and back of the sample it comes from."""
        return self._best()[1] if self._samples else None

    def _best(self) -> tuple[float, float, float]:
        newest_ms = self._samples[-1][0]
        return min(self._samples, key=lambda sample: sample[1] / 2 + DRIFT * (newest_ms - sample[0]))

    @property
    def synchrony(self) -> Synchrony:
        """How far the clock is off, in words."""
        if self.offset_ms is None:
            return Synchrony.UNKNOWN
        off_ms = abs(self.offset_ms)
        if off_ms > UNSYNCHRONISED_MS:
            return Synchrony.UNSYNCHRONISED
        return Synchrony.WARNING if off_ms > WARN_MS else Synchrony.GOOD

    def push(self, answer: TimeExchange, came_ms: float) -> bool:
        """Take the answer to an own question, come back at `came_ms`; False if it makes no sense."""
        delay_ms = (came_ms - answer.asked_ms) - (answer.answered_ms - answer.received_ms)
        if answer.received_ms == 0 or not delay_ms + 2 >= 0 or delay_ms > _LONGEST_DELAY_MS:
            return False
        offset_ms = ((answer.received_ms - answer.asked_ms) + (answer.answered_ms - came_ms)) / 2
        self._samples.append((came_ms, delay_ms, offset_ms))
        return True

    def clear(self) -> None:
        """Forget all samples: the site's own clock was set."""
        self._samples.clear()
