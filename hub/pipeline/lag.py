"""How old the newest sample of a bed is, without comparing the clocks of two machines."""

from collections import deque
from typing import Final

BLOCK_MS: Final = 15_000
BLOCKS: Final = 8
"""The least lag of the last two minutes counts as "on time": long enough to outlast a burst of
delay, short enough that a site clock drifting by 1 % is not mistaken for one."""

STEP_MS: Final = 2_000
"""A jump of the sample times by more than this between two frames in sequence is a stepped clock."""


class LagEstimator:
    """Lag of a bed's samples behind the fastest recent ones; all arrival times are monotonic ms."""

    __slots__ = ("_blocks", "_end_ms", "_newest")

    def __init__(self) -> None:
        self._blocks: deque[tuple[int, float]] = deque(maxlen=BLOCKS)
        self._newest: float | None = None
        self._end_ms = 0

    def reset(self) -> None:
        """Forget the lag learnt so far: the site's clock was set, or a new epoch began."""
        self._blocks.clear()

    def push(self, start_ms: int, end_ms: int, arrived_ms: float, *, is_in_sequence: bool) -> None:
        """Note a live frame that reaches up to `end_ms` on the site's clock."""
        if is_in_sequence and self._newest is not None and abs(start_ms - self._end_ms) > STEP_MS:
            self.reset()
        lag = arrived_ms - end_ms
        block = int(arrived_ms // BLOCK_MS)
        if self._blocks and self._blocks[-1][0] == block:
            self._blocks[-1] = (block, min(lag, self._blocks[-1][1]))
        else:
            self._blocks.append((block, lag))
        self._newest = arrived_ms
        self._end_ms = end_ms

    def age_ms(self, now_ms: float) -> int | None:
        """Age of the newest live sample at the monotonic time `now_ms`; None before the first frame."""
        if self._newest is None:
            return None
        on_time = min(lag for _, lag in self._blocks)
        return max(0, round(now_ms - self._end_ms - on_time))
