"""How the time of the simulated ticks runs beside real time: pure arithmetic."""

from dataclasses import dataclass

from hub.model import GRID_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The ticks start `lead_s` before real time and run `speed` times as fast until they have caught up.

    At speed 1 the lead is history: it exists at once and is filled in, and live goes on from now.
    `real_ms` is the real time of the start, Unix ms UTC.
    """

    real_ms: int
    lead_s: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a speed that could not end at real time."""
        if not (self.speed >= 1.0 and self.lead_s >= 0.0):
            msg = (
                f"expected speed of 1 or more and history of 0 s or more, got {self.speed} and {self.lead_s}"
            )
            raise ValueError(msg)
        if self.speed > 1.0 and self.lead_s == 0.0:
            msg = f"expected history to play at speed {self.speed}, got none: ticks cannot outrun real time"
            raise ValueError(msg)

    @property
    def start_ms(self) -> int:
        """Time of the first tick, on the grid."""
        return round((self.real_ms - self.lead_s * 1000) / GRID_MS) * GRID_MS

    def compute_due_s(self, t_ms: int) -> float:
        """Give the real seconds since the start at which the simulated time `t_ms` is reached."""
        real_s = (t_ms - self.real_ms) / 1000.0
        if self.speed == 1.0:
            return real_s
        return max(real_s, (t_ms - self.start_ms) / 1000.0 / self.speed)
