"""When blocks of ticks began, from when they came: a slow fit that no hiccup of a cable moves.  Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hub.model import MonitorStatus
from site_agent.device import TickBlock

STEP_MS: Final = 1000.0
"""Less than this is smoothed; from here on the time jumped, and a new anchor is laid."""
_SMOOTHING: Final = 1 / 16
_BEGIN_MS: Final = 60.0
_END_MS: Final = 10.0
_MOST_MS: Final = 25.0
_BURST_SHARE: Final = 0.5
"""Blocks that come faster than this share of their own length were waiting somewhere."""
_HOLD_MS: Final = 2500.0
_MOST_HELD: Final = 300
_MOVED: Final = MonitorStatus.TICKS_INSERTED | MonitorStatus.TICKS_DELETED


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with its time; `is_joined` if its first tick follows the last one before it."""

    block: TickBlock
    t0_ms: float
    is_joined: bool


class PhaseFit:
    """Places the blocks of one bed whose device sends no time.

    A block is never earlier than it says, only later, by cable, adapter and buffers.  So where
    the time jumps, blocks are held until one has come at its own pace, and the earliest that all
    of them allow is the anchor: a burst after a hiccup is laid back where it belongs, and a real
    gap stays one.
    """

    def __init__(self) -> None:
        self.anchors_ms: list[float] = []
        """How far each new anchor lies from where the ticks before it ended; 0 for the first."""
        self._end_ms: float | None = None
        self._error_ms = 0.0
        self._is_moving = False
        self._held: list[TickBlock] = []

    def push(self, block: TickBlock) -> list[Placed]:
        """Take a block in the order of arrival; gives what has its place now."""
        if self._held or self._end_ms is None:
            return self._hold(block)
        error_ms = block.t0_ms - self._end_ms
        is_joined = True
        if block.status & _MOVED and (ticks := round(error_ms / block.period_ms)):
            # The monitor itself says that it left ticks out or put some in: whole ticks, at once.
            self._end_ms += ticks * block.period_ms
            error_ms -= ticks * block.period_ms
            is_joined = False
        if abs(error_ms) >= STEP_MS:
            return self._hold(block)
        return [self._place(block, self._follow(error_ms), is_joined=is_joined)]

    def tick(self, now_ms: float) -> list[Placed]:
        """Place what was held when nothing further comes."""
        if self._held and now_ms - self._held[-1].t0_ms >= _HOLD_MS:
            return list(self._release(self._take_held()))
        return []

    def _hold(self, block: TickBlock) -> list[Placed]:
        self._held.append(block)
        if len(self._held) >= _MOST_HELD:
            return list(self._release(self._take_held()))
        if len(self._held) < 2:
            return []
        apart_ms = block.t0_ms - self._held[-2].t0_ms
        if 0 <= apart_ms < _BURST_SHARE * block.n_ticks * block.period_ms:
            return []
        *burst, last = self._take_held()
        return [*self._release(burst), *self.push(last)]

    def _take_held(self) -> list[TickBlock]:
        held, self._held = self._held, []
        return held

    def _release(self, blocks: list[TickBlock]) -> Iterator[Placed]:
        starts_ms, start_ms = [], 0.0
        for block in blocks:
            starts_ms.append(start_ms)
            start_ms += block.n_ticks * block.period_ms
        anchor_ms = min(b.t0_ms - s for b, s in zip(blocks, starts_ms, strict=True))
        is_joined = self._end_ms is not None and abs(anchor_ms - self._end_ms) < STEP_MS
        if not is_joined:
            self.anchors_ms.append(0.0 if self._end_ms is None else anchor_ms - self._end_ms)
            self._end_ms, self._error_ms, self._is_moving = anchor_ms, 0.0, False
        for block in blocks:
            yield self._place(block, 0.0, is_joined=is_joined)
            is_joined = True

    def _place(self, block: TickBlock, move_ms: float, *, is_joined: bool) -> Placed:
        t0_ms = (block.t0_ms if self._end_ms is None else self._end_ms) + move_ms
        self._end_ms = t0_ms + block.n_ticks * block.period_ms
        return Placed(block, t0_ms, is_joined)

    def _follow(self, error_ms: float) -> float:
        """How far this block moves towards its arrival: nothing for jitter, a little for drift."""
        self._error_ms += _SMOOTHING * (error_ms - self._error_ms)
        if abs(self._error_ms) > _BEGIN_MS:
            self._is_moving = True
        elif abs(self._error_ms) < _END_MS:
            self._is_moving = False
        if not self._is_moving:
            return 0.0
        move_ms = min(max(_SMOOTHING * self._error_ms, -_MOST_MS), _MOST_MS)
        self._error_ms -= move_ms
        return move_ms
