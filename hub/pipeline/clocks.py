"""What the sites' agents measured of their clocks, as limits for the age of their beds' samples."""

from typing import Final

from hub.model import SiteHealth
from hub.pipeline.beds import Beds

SET_MS: Final = 500
"""The hub's wall clock was set if it moved by this much against the monotonic one since the last look."""
DISTRUST_S: Final = 120.0
"""So long after that an offset may still be one to the clock as it was: agents keep eight, one each 5 s."""


class Clocks:
    """Hands the offsets on to the beds, unless the hub's own wall clock has just been set."""

    def __init__(self, beds: Beds) -> None:
        self._beds = beds
        self._wall_ms: float | None = None
        """Wall clock less monotonic clock."""
        self._trusted_s = 0.0

    def watch(self, now_ms: int, now_s: float) -> None:
        """Look at both clocks of the hub, each second."""
        wall_ms = now_ms - 1000 * now_s
        if self._wall_ms is not None and abs(wall_ms - self._wall_ms) > SET_MS:
            self._trusted_s = now_s + DISTRUST_S
            for bed in self._beds:
                bed.lag.forget_bounds()
        self._wall_ms = wall_ms

    def take(self, site: str, health: SiteHealth, now_ms: int, now_s: float) -> None:
        """Bound the lag of a site's beds by what its agent measured."""
        self.watch(now_ms, now_s)
        if health.clock_offset_ms is None or health.clock_delay_ms is None or now_s < self._trusted_s:
            return
        at_once_ms = 1000 * now_s - now_ms + health.clock_offset_ms
        for bed in self._beds:
            if bed.site == site:
                half_ms = health.clock_delay_ms / 2
                bed.lag.bound(at_once_ms - half_ms, at_once_ms + half_ms, 1000 * now_s)
