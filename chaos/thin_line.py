"""Beds over 64 kbit/s with 2 s ± 1 s of delay and 30 % loss: live, or honestly late, never wrong (R18)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from chaos.lines import Lines
from chaos.outages import Outcome, wait_for_drain, wait_for_live
from chaos.proxy import Faults
from chaos.sites import Site, open_sites
from chaos.watcher import Watcher
from chaos.wire import Wire
from chaos.world import World

SETTLE_S: Final = 10.0
LIVE_S: Final = 3.0
LOOK_S: Final = 0.5
"""So much older may a sample be by the time that we have asked for its age."""
BYTES_PER_S: Final = 8000
HALF_WAY = Faults(delay_s=1.0, jitter_s=0.5, loss=0.3)
"""Each way, so that there and back takes 2 s ± 1 s."""


def run_thin_line(folder: Path, *, seconds: float = 300.0, beds: int = 5) -> Outcome:
    """Carry beds over a thin, slow and lossy line: packets where the kernel lets us, else a model of them."""
    outcome = Outcome()
    with Wire() as wire:
        if wire.why_not:
            _over_proxy(outcome, folder, seconds, beds, wire.why_not)
        else:
            _over_wire(outcome, folder, seconds, beds, wire)
    return outcome


def _over_wire(outcome: Outcome, folder: Path, seconds: float, beds: int, wire: Wire) -> None:
    outcome.note(line="packets lost and late below TCP, in a network namespace of its own")
    with World(folder, also_listens=wire.centre) as world, Watcher(world.url) as watcher:
        sites = open_sites(world, [beds], broker_host=wire.centre, inside=wire.inside)
        faults = Faults(
            delay_s=HALF_WAY.delay_s, jitter_s=HALF_WAY.jitter_s, loss=HALF_WAY.loss, bytes_per_s=BYTES_PER_S
        )
        _measure(
            outcome, world, watcher, sites, seconds, lambda: wire.set(faults), lambda: wire.set(Faults())
        )
        counts = wire.set(Faults())
        outcome.note(**{f"packets_{name}": count for name, count in counts.items()})
        outcome.compare(world, sites)


def _over_proxy(outcome: Outcome, folder: Path, seconds: float, beds: int, why_not: str) -> None:
    outcome.note(
        line=f"modelled in a proxy, as TCP would feel it, because packets may not be lost: {why_not}"
    )
    with World(folder) as world, Lines(world.mqtt_port, 1) as lines, Watcher(world.url) as watcher:
        sites = open_sites(world, [beds], broker_ports=lines.ports)
        # The site's two connections share the line: half of it each.
        faults = Faults(
            delay_s=HALF_WAY.delay_s,
            jitter_s=HALF_WAY.jitter_s,
            loss=HALF_WAY.loss,
            bytes_per_s=BYTES_PER_S / 2,
        )
        _measure(
            outcome,
            world,
            watcher,
            sites,
            seconds,
            lambda: lines.set(0, faults),
            lambda: lines.set(0, Faults()),
        )
        outcome.compare(world, sites)


def _measure(
    outcome: Outcome,
    world: World,
    watcher: Watcher,
    sites: list[Site],
    seconds: float,
    hurt: Callable[[], object],
    heal: Callable[[], object],
) -> None:
    beds = sum(len(site.beds) for site in sites)
    wait_for_live(world, sites)
    hurt()
    thin_s = time.monotonic()
    time.sleep(SETTLE_S)
    told_s, understated_s = _watch_ages(world, seconds - SETTLE_S)
    outcome.note(
        worst_understated_age_s=understated_s.max(initial=0.0),
        told_age_p50_s=float(np.median(told_s)),
        told_age_max_s=told_s.max(initial=0.0),
        shown_live_percent=100 * float((told_s < LIVE_S).mean()),
        shown_live_but_old_percent=100
        * float(((told_s < LIVE_S) & (told_s + understated_s > LIVE_S + LOOK_S)).mean()),
        came_live_percent=100 * len(watcher.between(thin_s + SETTLE_S)) / (beds * (seconds - SETTLE_S)),
    )
    outcome.note_live("thin", watcher, thin_s + SETTLE_S, time.monotonic())
    outcome.note(unconfirmed_at_the_end=sum(site.unconfirmed() for site in sites))
    heal()
    outcome.note(drained_s=wait_for_drain(sites, within_s=300))
    outcome.must(
        float(outcome.figures["worst_understated_age_s"]) <= LIVE_S,
        f"no sample shown younger than it is by {LIVE_S:.0f} s",
    )


def _watch_ages(world: World, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Ask each second for the age of every bed; give the ages told and how much too small they were, s."""
    told_s, understated_s = [], []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for bed in world.get("/api/v1/beds")["beds"]:
            head_ms, told_ms = bed["vitals"]["head_ms"], bed["vitals"]["age_ms"]
            if head_ms is not None and told_ms is not None:
                true_ms = time.time_ns() / 1e6 - head_ms  # site and hub share this machine's clock
                told_s.append(told_ms / 1000)
                understated_s.append((true_ms - told_ms) / 1000)
        time.sleep(1.0)
    return np.array(told_s), np.array(understated_s)
