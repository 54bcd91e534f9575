"""How fast a site may fill, how it batches live frames, and when a line counts as dead.  Pure."""

import math
from dataclasses import dataclass
from typing import Final

from hub.wire import MAX_FILL_FRAMES

OWN_RATE: Final = 200.0
"""Frames a second on the fill lane without a credit of the hub: an hour of five beds in 90 s."""
LARGEST_RATE: Final = 20_000.0
LONGEST_CREDIT_S: Final = 600.0
LEAST_MESSAGE: Final = 60
_SLOW_ANSWER_S: Final = 2.0
_QUICK_ANSWER_S: Final = 0.5
_LEAST_SHARE: Final = 0.05
_CONGESTED_S: Final = 0.5
_BATCHES: Final = ((4.0, 5.0), (1.5, 2.0))
"""Live lane slower than the first figure: one batch each so many seconds, as in the second."""
_BACK_AFTER_S: Final = 30.0
_FIRST_PATIENCE_S: Final = 8.0
_LONGEST_PATIENCE_S: Final = 30.0
_SMOOTHING: Final = 0.25
_LEAST_RTT_DRIFT: Final = 1.01


class LinePulse:
    """Whether a connection is up and how long its answers take."""

    def __init__(self) -> None:
        self.is_up = False
        self.rtt_s: float | None = None
        self.least_rtt_s: float | None = None
        self.answered_s = 0.0
        self._fruitless = 0

    def up(self, now_s: float) -> None:
        """Note a new connection."""
        self.is_up, self.answered_s = True, now_s
        self._fruitless += 1

    def down(self) -> None:
        """Note that it is gone."""
        self.is_up = False

    def answer(self, took_s: float, now_s: float) -> None:
        """Note an answer and how long it took."""
        self.answered_s = now_s
        self._fruitless = 0
        self.rtt_s = took_s if self.rtt_s is None else self.rtt_s + _SMOOTHING * (took_s - self.rtt_s)
        # It may grow slowly, so that a line that became longer for good does not count as jammed for ever.
        self.least_rtt_s = min(took_s, (self.least_rtt_s or math.inf) * _LEAST_RTT_DRIFT)

    def silent_s(self, oldest_flight_s: float | None, now_s: float) -> float:
        """For how long an answer has been owed and none at all has come."""
        if not self.is_up or oldest_flight_s is None:
            return 0.0
        return max(0.0, now_s - max(oldest_flight_s, self.answered_s))

    @property
    def patience_s(self) -> float:
        """Silence after which the line counts as dead: under 10 s unless its answers always take long.

        Each connection in a row that brought no answer is waited for twice as long: its first answer
        is what tells how slow the line is.
        """
        first_s = _FIRST_PATIENCE_S * (1 << min(max(0, self._fruitless - 1), 4))
        return min(max(first_s, 8 * (self.rtt_s or 0.0)), _LONGEST_PATIENCE_S)


@dataclass(slots=True)
class LiveBatch:
    """Live frames go one by one, or as a batch each 2 s or 5 s where answers are slow."""

    span_s: float = 1.0
    _slow_s: float = -math.inf

    def judge(self, answer_s: float, now_s: float) -> None:
        """Take the present time of an answer on the live lane."""
        for slower_than_s, span_s in _BATCHES:
            if answer_s > slower_than_s:
                if span_s >= self.span_s:
                    self.span_s, self._slow_s = span_s, now_s
                return
        if self.span_s > 1.0 and now_s - self._slow_s > _BACK_AFTER_S:
            self.span_s, self._slow_s = (2.0 if self.span_s > 2.0 else 1.0), now_s


class FillPace:
    """A token bucket at the hub's credit or an own modest rate, slowed while live frames suffer."""

    def __init__(self, own_rate: float = OWN_RATE) -> None:
        self.own_rate = own_rate
        self._credit = 0.0
        self._credit_until_s = -math.inf
        self._share = 1.0
        self._tokens = 0.0
        self._filled_s: float | None = None
        self._judged_s = 0.0
        self._size = 4 * LEAST_MESSAGE
        self._is_slow = False

    @property
    def max_flights(self) -> int:
        """Fill messages that may be unanswered at the same time."""
        return 1 if self._is_slow else 4

    def credit(self, frames_per_s: float, valid_s: float, now_s: float) -> None:
        """Take what the hub grants; nonsense counts as none."""
        if not (math.isfinite(frames_per_s) and math.isfinite(valid_s)):
            return
        self._credit = min(max(frames_per_s, 0.0), LARGEST_RATE)
        self._credit_until_s = now_s + min(max(valid_s, 0.0), LONGEST_CREDIT_S)

    def rate(self, now_s: float) -> float:
        """Frames a second that may go now."""
        granted = self._credit if now_s <= self._credit_until_s else self.own_rate
        return granted * self._share

    def message_frames(self, now_s: float) -> int:
        """Size of the next message; 0 while the bucket holds too little."""
        rate = self.rate(now_s)
        if rate <= 0:
            return 0
        size = round(min(max(min(rate, self._size), LEAST_MESSAGE), MAX_FILL_FRAMES))
        passed_s = 0.0 if self._filled_s is None else max(0.0, now_s - self._filled_s)
        self._filled_s = now_s
        self._tokens = min(self._tokens + passed_s * rate, max(size, rate))
        return size if self._tokens >= size else 0

    def spend(self, frames: int, now_s: float) -> None:
        """Note that frames were sent."""
        self._filled_s = now_s
        self._tokens -= frames

    def answer(self, took_s: float) -> None:
        """Take the time of an answer on the fill lane: a slow line gets smaller messages."""
        self._is_slow = took_s > _SLOW_ANSWER_S
        if took_s > _SLOW_ANSWER_S:
            self._size = max(LEAST_MESSAGE, self._size // 2)
        elif took_s < _QUICK_ANSWER_S:
            self._size = min(MAX_FILL_FRAMES, self._size * 2)

    def yield_to_live(
        self, rtt_s: float | None, least_rtt_s: float | None, silent_s: float, now_s: float
    ) -> None:
        """Halve the rate each second in which live answers come late, and let it grow again slowly."""
        if now_s - self._judged_s < 1.0:
            return
        self._judged_s = now_s
        least_s = least_rtt_s or 0.0
        is_jammed = max(rtt_s or 0.0, silent_s) > 2 * least_s + _CONGESTED_S
        self._share = max(_LEAST_SHARE, self._share / 2) if is_jammed else min(1.0, self._share + 0.05)
