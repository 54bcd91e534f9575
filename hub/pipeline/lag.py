"""How old the newest sample of a bed is, without comparing the clocks of two machines."""

import math
from typing import Final

DRIFT: Final = 0.011
"""The least lag may grow by this much per ms: a site clock that drifts by 1 % is not taken for delay,
and a sudden delay is not forgotten for an hour and a half per minute of it."""
QUARTZ: Final = 0.0002
"""So much per ms a clock drifts of which nobody has seen that it drifts more (E; a quartz does half)."""
STEP_MS: Final = 2_000
"""A jump of the sample times by more than this between two frames in sequence is a stepped clock."""


class LagEstimator:
    """Lag of a bed's samples behind the fastest ones; all arrival times are monotonic ms."""

    __slots__ = ("_arrived_ms", "_end_ms", "_most_at_ms", "_most_ms", "_on_time_ms")

    def __init__(self) -> None:
        self._on_time_ms: float | None = None
        self._arrived_ms = 0.0
        self._end_ms = 0
        self._most_ms = math.inf
        self._most_at_ms = 0.0

    def reset(self) -> None:
        """Forget the lag learnt so far: the site's clock was set."""
        self._on_time_ms = None
        self._most_ms = math.inf

    def forget_bounds(self) -> None:
        """Forget what the exchange of clocks said: one of the clocks was set."""
        self._most_ms = math.inf

    def bound(self, least_ms: float, most_ms: float, now_ms: float) -> None:
        """Take from an exchange of clocks between which limits the lag of a sample lies that needs no time.

        Frames alone cannot tell a line that has become slow from a clock that has: this can.
        The narrowest limit stays while no later one contradicts it, so that what was learnt
        on a good line holds on a bad one.
        """
        known_ms = self._most(now_ms)
        self._most_ms = most_ms if least_ms > known_ms else min(known_ms, most_ms)
        self._most_at_ms = now_ms

    def push(self, start_ms: int, end_ms: int, arrived_ms: float, *, is_in_sequence: bool) -> None:
        """Note a live frame that reaches up to `end_ms` on the site's clock."""
        if is_in_sequence and abs(start_ms - self._end_ms) > STEP_MS:
            self.reset()
        lag_ms = arrived_ms - end_ms
        if self._on_time_ms is not None:
            lag_ms = min(lag_ms, self._on_time_ms + DRIFT * (arrived_ms - self._arrived_ms))
        self._on_time_ms = lag_ms
        self._arrived_ms = arrived_ms
        self._end_ms = end_ms

    def age_ms(self, now_ms: float) -> int | None:
        """Age of the newest live sample at the monotonic time `now_ms`; None before the first frame."""
        site_ms = self.site_now_ms(now_ms)
        return None if site_ms is None else max(0, round(site_ms - self._end_ms))

    def site_now_ms(self, now_ms: float) -> float | None:
        """Tell what the site's clock shows at the monotonic time `now_ms`; None before the first frame."""
        if self._on_time_ms is None:
            return None
        return now_ms - min(self._on_time_ms, self._most(now_ms))

    def _most(self, now_ms: float) -> float:
        return self._most_ms + QUARTZ * (now_ms - self._most_at_ms)
