"""Progress of each stage, and a supervisor that starts a stage again when it has work and does not move."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger(__name__)

STUCK_S: Final = 10.0
"""A stage with work and no progress for this long is started again (design 4.3)."""


class Clock:
    """The hub's two clocks: wall time labels, monotonic time measures."""

    def now_ms(self) -> int:
        """Wall clock, Unix ms UTC."""
        return time.time_ns() // 1_000_000

    def now_s(self) -> float:
        """Monotonic clock, s."""
        return time.monotonic()


class Stage:
    """One stage of the hub: when its last item went through, and how much waits."""

    def __init__(self, name: str, clock: Clock, pending: Callable[[], int] = lambda: 0) -> None:
        self.name = name
        self.restarts = 0
        self.last_item_ms: int | None = None
        self.waits_for: str | None = None
        """What it cannot go on without, and has not got."""
        self._clock = clock
        self._pending = pending
        self._item_s = self._turn_s = self._begun_s = clock.now_s()

    def beat(self) -> None:
        """Note that an item went through."""
        self._item_s = self._turn_s = self._clock.now_s()
        self.last_item_ms = self._clock.now_ms()

    def begin(self) -> None:
        """Note that something waits where nothing did."""
        self._begun_s = self._clock.now_s()

    def turn(self) -> None:
        """Note that the stage is alive though nothing went through, as while it retries."""
        self._turn_s = self._clock.now_s()

    @property
    def pending(self) -> int:
        """Items that wait."""
        return self._pending()

    @property
    def standstill_s(self) -> float:
        """Seconds for which something has waited and nothing went through; 0 when nothing waits."""
        return self._clock.now_s() - max(self._item_s, self._begun_s) if self.pending else 0.0

    @property
    def age_s(self) -> float:
        """Seconds since the last item, or since the start."""
        return self._clock.now_s() - self._item_s

    async def keep_running(self, run: Callable[[], Awaitable[None]], *, stuck_s: float = STUCK_S) -> None:
        """Run a stage that never ends; a failure goes up, a standstill with work starts it again."""
        while True:
            task = asyncio.ensure_future(run())
            try:
                await self._watch(task, stuck_s)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self.restarts += 1
            self.turn()
            _log.error(
                "stage %s: %d items, no move for %.0f s: started again", self.name, self.pending, stuck_s
            )

    async def _watch(self, task: "asyncio.Future[None]", stuck_s: float) -> None:
        while True:
            if self.pending == 0:
                self.turn()  # nothing to do is not a standstill
            elif self._clock.now_s() - self._turn_s > stuck_s:
                return
            done, _ = await asyncio.wait({task}, timeout=stuck_s / 10)
            if done:
                await task
                return
