"""Many beds for a long time: nothing lost, the loop on time, and how many there are before it breaks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos.breaking_point import wait_for_store
from chaos.gauges import LIVE_FRAMES, Gauges, count_stored, oldest_reading_s, read_load, start_load
from chaos.watcher import Watcher, percentiles
from chaos.world import Part, World, wait_until

WARM_UP_S = 30.0
LOOK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """What one run of so many beds for so long gave."""

    beds: int
    seconds: int
    sent: int
    stored: int
    refused: int
    loop_lag_over_50_ms_percent: float
    """Share of the ticks of the event loop that came more than 50 ms late; the goal is at most 1."""
    loop_lag_over_250_ms_percent: float
    live_p50_ms: float
    """From a frame's arrival at the hub to a console that watches a dozen beds."""
    live_p99_ms: float
    live_max_ms: float
    oldest_reading_s: float
    """Age of the oldest analysis of any bed, looked at each minute."""
    drained_s: float
    """From the end of the load until the database had taken what it sent, or nothing moved any more."""
    hub_rss_mb: float
    hub_cpu_percent: float

    @property
    def lost(self) -> int:
        """Frames that the broker took and the database does not hold."""
        return self.sent - self.stored


def run_overload(
    folder: Path, *, beds: int, seconds: int, tell: Callable[[str], object] = lambda line: None
) -> Overload:
    """Let so many simulated beds speak once a second through broker, hub and database.

    Each minute `tell` hears where frames wait, so that a run that breaks has said when.

    The load generator sends every frame once, at QoS 1, and repeats nothing: what it counts as
    sent and the database does not hold is lost between broker and hub.
    """
    with World(folder, max_beds=beds + 100) as world:
        load = start_load(world, "load", beds=beds, seconds=seconds)
        wait_until("the beds to appear", lambda: world.metrics().get(LIVE_FRAMES, 0) > beds, within_s=60)
        watched = [f"load{site:04d}/bed01" for site in range(min(12, -(-beds // 20)))]
        with Watcher(world.url, watched) as watcher, Gauges(world, load) as gauges:
            time.sleep(min(WARM_UP_S, seconds / 3))
            before, begun_s, cpu_s = world.metrics(), time.monotonic(), world.hub.cpu_s()
            oldest_s = 0.0
            while load.is_running:
                oldest_s = max(oldest_s, oldest_reading_s(world)[0])
                look = gauges.read()
                tell(
                    f"{look.at_s - begun_s:5.0f} s: {look.taken:,} frames taken,"
                    f" {look.at_broker:,} wait at the broker, {look.at_store:,} for the database;"
                    f" hub {world.hub.rss_mb():.0f} MB"
                )
                _wait_for(load, LOOK_S)
            after, spent_s = world.metrics(), time.monotonic() - begun_s
            cpu_percent = 100 * (world.hub.cpu_s() - cpu_s) / spent_s
            live = percentiles(one.since_arrival_ms for one in watcher.between(begun_s))
        drained_s = wait_for_store(world, read_load(load).sent)
        refused = int(world.metrics()["ctg_refused_frames"])
        rss_mb = world.hub.rss_mb()
        sent, stored = read_load(load).sent, count_stored(world)
    return Overload(
        beds=beds,
        seconds=seconds,
        sent=sent,
        stored=stored,
        refused=refused,
        loop_lag_over_50_ms_percent=_late_percent(before, after, "0.05"),
        loop_lag_over_250_ms_percent=_late_percent(before, after, "0.25"),
        live_p50_ms=live["p50"],
        live_p99_ms=live["p99"],
        live_max_ms=live["max"],
        oldest_reading_s=oldest_s,
        drained_s=drained_s,
        hub_rss_mb=rss_mb,
        hub_cpu_percent=cpu_percent,
    )


def _wait_for(load: Part, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while load.is_running and time.monotonic() < end_s:
        time.sleep(0.5)


def _late_percent(before: dict[str, float], after: dict[str, float], limit_s: str) -> float:
    within, of_all = (
        after[name] - before[name]
        for name in (f'ctg_loop_lag_seconds_bucket{{le="{limit_s}"}}', "ctg_loop_lag_seconds_count")
    )
    return 100 * (1 - within / of_all) if of_all else float("nan")
