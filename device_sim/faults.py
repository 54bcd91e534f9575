"""What goes wrong between a site and the broker: pure and seeded, so that a bad run can be had again."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.model import GRID_MS

_REORDER_S: Final = (1.2, 3.0)
"""A frame is held back this long so that one to three later ones overtake it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Faults of the live lane and of the site's clock; by default there are none.

    `loss`, `duplicate` and `reorder` are shares of the frames.  Each frame arrives
    `delay_s` late and an exponential `jitter_s` on top.  After each `outage_every_s`
    nothing leaves the site for `outage_s`.  The clock stands `clock_offset_ms` wrong at
    the start and runs `clock_drift_ppm` fast.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    outage_every_s: float = 0.0
    outage_s: float = 0.0
    clock_offset_ms: int = 0
    clock_drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1, negative times and outages that never end."""
        for name in ("loss", "duplicate", "reorder"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                msg = f"{name}: expected a share from 0 to 1, got {getattr(self, name)}"
                raise ValueError(msg)
        for name in ("delay_s", "jitter_s", "outage_every_s", "outage_s"):
            if not 0.0 <= getattr(self, name) < math.inf:
                msg = f"{name}: expected seconds, 0 or more, got {getattr(self, name)}"
                raise ValueError(msg)
        if self.outage_s > 0 and self.outage_s >= self.outage_every_s:
            msg = f"outage: expected it shorter than {self.outage_every_s} s, got {self.outage_s} s"
            raise ValueError(msg)


def find_deliveries(plan: FaultPlan, seed: int, stream: int, seq: int) -> tuple[float, ...]:
    """Delays in s of each copy of one live frame that reaches the broker; none if it is lost.

    `stream` tells the beds apart.
    """
    rng = np.random.default_rng((seed, stream, seq))
    is_lost, is_double, is_late = rng.random(3) < (plan.loss, plan.duplicate, plan.reorder)
    if is_lost:
        return ()
    delay_s = plan.delay_s + plan.jitter_s * rng.exponential()
    if is_late:
        delay_s += rng.uniform(*_REORDER_S)
    return (delay_s, delay_s + rng.uniform(0.0, 1.0)) if is_double else (delay_s,)


def is_out(plan: FaultPlan, elapsed_s: float) -> bool:
    """Say whether the line of the site is dead `elapsed_s` after its start."""
    if plan.outage_s <= 0 or elapsed_s < plan.outage_every_s:
        return False
    return elapsed_s % plan.outage_every_s < plan.outage_s


def compute_stamp_ms(plan: FaultPlan, t_ms: int, elapsed_s: float) -> int:
    """Give the time that the site's clock shows at `t_ms`, on the grid of the ticks.

    A clock that drifts thus slips by one tick now and then, as a site that keeps its
    ticks on its own grid does.
    """
    error_ms = plan.clock_offset_ms + plan.clock_drift_ppm * 1e-6 * elapsed_s * 1000.0
    return round((t_ms + error_ms) / GRID_MS) * GRID_MS
