"""Many beds for a long time: nothing lost, the loop on time, and how many there are before it breaks."""

import asyncio
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chaos.compare import count_frames
from chaos.world import HOST, ChaosError, World, wait_until

WARM_UP_S = 30
DRAIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """What one run of so many beds for so long gave."""

    beds: int
    seconds: int
    sent: int
    stored: int
    refused: int
    loop_lag_p50_ms: float
    loop_lag_p99_ms: float
    loop_lag_max_ms: float
    oldest_analysis_s: float
    commit_age_p99_s: float
    drained_s: float
    hub_rss_mb: float
    hub_cpu_percent: float

    @property
    def lost(self) -> int:
        """Frames that the broker took and the database does not hold."""
        return self.sent - self.stored


def run_overload(folder: Path, *, beds: int, seconds: int) -> Overload:
    """Let so many simulated beds speak once a second through broker, hub and database.

    The load generator sends every frame once, at QoS 1, and repeats nothing: what it counts as
    sent and the database does not hold is lost between broker and hub.
    """
    with World(folder, max_beds=beds + 100) as world:
        load = world.add(
            "load",
            (
                *(sys.executable, "-m", "device_sim", "load", "--beds", str(beds), "--seconds", str(seconds)),
                *("--broker", f"mqtt://{HOST}:{world.mqtt_port}"),
            ),
        )
        lags, ages, analysis = [], [], [0.0]
        begun_s, cpu_s = time.monotonic(), world.hub.cpu_s()
        while load.is_running:
            figures = world.metrics()
            if time.monotonic() - begun_s > WARM_UP_S:
                lags.append(1000 * figures["ctg_loop_lag_seconds"])
                ages.append(figures['ctg_stage_age_seconds{stage="store_frames"}'])
                analysis.append(figures['ctg_stage_age_seconds{stage="analysis"}'])
            time.sleep(0.5)
        cpu_percent = 100 * (world.hub.cpu_s() - cpu_s) / (time.monotonic() - begun_s)
        drained_s = wait_until(
            "the queue of the store to be empty",
            lambda: world.metrics()['ctg_stage_pending{stage="store_frames"}'] == 0,
            within_s=DRAIN_S,
        )
        refused = int(world.metrics()["ctg_refused_frames"])
        rss_mb = world.hub.rss_mb()
        said = re.search(r"(\d+) frames sent", load.log.read_text())
        if said is None:
            msg = f"load: expected a report of what was sent, got {load.log.read_text()[-500:]!r}"
            raise ChaosError(msg)
        with world.open_database() as dsn:
            stored = asyncio.run(count_frames(dsn))
    p50, p99 = np.percentile(lags, [50, 99]) if lags else (np.nan, np.nan)
    return Overload(
        beds=beds,
        seconds=seconds,
        sent=int(said[1]),
        stored=stored,
        refused=refused,
        loop_lag_p50_ms=float(p50),
        loop_lag_p99_ms=float(p99),
        loop_lag_max_ms=max(lags, default=np.nan),
        oldest_analysis_s=max(analysis),
        commit_age_p99_s=float(np.percentile(ages, 99)) if ages else np.nan,
        drained_s=drained_s,
        hub_rss_mb=rss_mb,
        hub_cpu_percent=cpu_percent,
    )
