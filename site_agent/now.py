"""The two clocks of this machine, read here and nowhere else in the agent."""

import logging
import time

from site_agent.clock import SiteClock

_log = logging.getLogger(__name__)


class AgentClock:
    """Wall time labels, monotonic time measures; a step of the wall clock is logged and followed."""

    def __init__(self) -> None:
        self._site_clock = SiteClock()

    def now_ms(self) -> float:
        """Site's time, Unix ms UTC, spaced by the monotonic clock."""
        n_steps = len(self._site_clock.steps)
        now_ms = self._site_clock.label(time.monotonic(), time.time_ns() / 1e6)
        for step_ms in self._site_clock.steps[n_steps:]:
            _log.warning("the clock of this machine was set by %+.1f s", step_ms / 1000)
        return now_ms

    def now_s(self) -> float:
        """Monotonic clock, s."""
        return time.monotonic()

    @property
    def steps(self) -> int:
        """How often the wall clock was set since the start."""
        return len(self._site_clock.steps)
