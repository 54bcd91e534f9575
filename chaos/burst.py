"""Fifty times the usual frames for ten seconds: late data that comes fast, beside live beds (R14)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaos.breaking_point import wait_for_store
from chaos.gauges import LIVE_FRAMES, Gauges, count_stored, lag_quantile_ms, read_load, start_load
from chaos.outages import Outcome
from chaos.watcher import Watcher
from chaos.world import Part, World, wait_until

CALM_S: Final = 30.0
TAKEN_S: Final = 300.0
NO_END_S: Final = 86_400
WATCHED: Final = 10
ALERT_MS: Final = 2000


def run_burst(folder: Path, *, seconds: float = 10.0, beds: int = 200, times: int = 50) -> Outcome:
    """Let as many other beds come beside the live ones, each with `times` seconds of its past a second.

    No agent behaves so, because it sends what is late at the rate that the hub grants; but the
    live lane takes what comes.
    """
    outcome = Outcome()
    with World(folder, max_beds=2 * beds + 100) as world:
        live = start_load(world, "live", beds=beds, seconds=NO_END_S, prefix="live")
        wait_until("the beds to speak", lambda: world.metrics().get(LIVE_FRAMES, 0) > beds, within_s=60)
        watched = [f"live{site:04d}/bed01" for site in range(min(WATCHED, -(-beds // 20)))]
        with Gauges(world, live) as gauges, Watcher(world.url, watched) as watcher:
            time.sleep(CALM_S)
            before = gauges.read()
            outcome.note_live("before", watcher, before.at_s - CALM_S / 2, before.at_s)
            burst = start_load(
                world, "burst", beds=beds, seconds=round(seconds), frames_per_s=times, prefix="burst"
            )
            wait_until("the burst to begin", lambda: "frames sent" in burst.log.read_text(), within_s=30)
            begun_s = time.monotonic()
            wait_until("the burst to end", lambda: not burst.is_running, within_s=10 * seconds + 60)
            wait_until(
                "the hub to take it", lambda: _is_taken(world, [live, burst], 2 * beds), within_s=TAKEN_S
            )
            after = gauges.read()
            outcome.note(
                burst_frames=read_load(burst).sent,
                taken_after_s=after.at_s - begun_s,
                taken_per_s=(after.taken - before.taken) / (after.at_s - begun_s),
                lag_p99_ms=lag_quantile_ms(before, after, 0.99),
                dropped_by_the_broker=after.dropped,
                refused_by_the_hub=after.refused,
            )
            outcome.note_live("meanwhile", watcher, begun_s, after.at_s)
            live.end()
        sent = read_load(live).sent + read_load(burst).sent
        outcome.note(stored_after_s=wait_for_store(world, sent), hub_rss_mb=world.hub.rss_mb())
        lost = sent - count_stored(world)
        outcome.note(sent=sent, lost=lost)
        outcome.must(lost == 0, "nothing lost")
        outcome.must(
            float(outcome.figures["meanwhile_live_p99_ms"]) <= ALERT_MS,
            f"what alerts rest on arrives within {ALERT_MS / 1000:.0f} s",
        )
    return outcome


def _is_taken(world: World, loads: Sequence[Part], on_the_way: int) -> bool:
    return world.metrics()[LIVE_FRAMES] >= sum(read_load(load).sent for load in loads) - on_the_way
