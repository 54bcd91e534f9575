"""More and more beds on one hub until a goal breaks: how many it holds, and what breaks first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from chaos.gauges import (
    LIVE_FRAMES,
    Gauges,
    count_stored,
    cpu_percent,
    lag_quantile_ms,
    oldest_reading_s,
    read_load,
    start_load,
)
from chaos.watcher import Watcher, percentiles
from chaos.world import World, wait_until

SETTLE_S: Final = 20.0
"""The first seconds of a step, in which beds are made and first read; at most a third of it."""
LOOK_S: Final = 5.0
DRAIN_S: Final = 900.0
STILL_S: Final = 20.0
WATCHED: Final = 12
LATE_LOAD_MS: Final = 500
ENOUGH_SENT: Final = 0.95
"""Share of its frames that the load must really have sent; it tells each second, so some are in between."""
BUSY_OTHERS_PERCENT: Final = 20.0

PARTS: Final = ("hub", "broker", "database", "load")
LIMITS: Final = {
    "lost": 0.0,
    "at_broker_s": 2.0,
    "lag_p99_ms": 50.0,
    "console_p99_ms": 1000.0,
    "at_store_s": 5.0,
    "reading_s": 15.0,
    "unread": 0.0,
}
"""What a step may not exceed, causes before consequences.  Standing queues are in seconds of the load."""

COLUMNS: Final = {
    "beds": "beds",
    "taken/s": "taken_per_s",
    "lost": "lost",
    "broker s": "at_broker_s",
    "store s": "at_store_s",
    "lag99 ms": "lag_p99_ms",
    "cons99 ms": "console_p99_ms",
    "samp99 ms": "sample_p99_ms",
    "reading s": "reading_s",
    "unread": "unread",
    "late ms": "load_late_ms",
    **{f"{name} %": f"cpu_{name}" for name in (*PARTS, "driver", "others")},
    "hub MB": "hub_mb",
    "db MB": "database_mb",
}
LEGEND: Final = """\
taken/s    frames that the hub took
lost       dropped by the broker or refused by the hub; a real agent would send them again, the load does not
broker s   standing queue before the hub, in seconds of the load; store s: before the database
lag99      99th percentile of the lateness of the hub's loop
cons99     of the way from arrival at the hub to a console; samp99: from the newest sample,
           of which up to 1.3 s are the load's own spread over each second
reading    age of the oldest analysis of any bed; unread: beds without one
late       how late the load itself was
%          of one core; others: processes that are no part of this run"""


@dataclass(slots=True)
class Step:
    """The figures of one number of beds."""

    figures: dict[str, float]
    is_load_too_slow: bool = False
    """Then the step says nothing about the hub."""

    def remarks(self) -> list[str]:
        """Say what speaks against blaming the hub."""
        others = self.figures["cpu_others"]
        slow = ["load generator too slow"] if self.is_load_too_slow else []
        return slow + ([f"others take {others:.0f} %"] if others > BUSY_OTHERS_PERCENT else [])

    def broken(self) -> list[str]:
        """Name the goals that did not hold."""
        return [name for name, limit in LIMITS.items() if not self.figures[name] <= limit]

    def holds(self) -> bool:
        """Whether so many beds were really there, and every goal held."""
        return not self.is_load_too_slow and not self.broken()

    def line(self) -> str:
        """Give its row of the table."""
        cells = (
            f"{value:>{max(7, len(head))},.{0 if value >= 100 or value.is_integer() else 1}f}"
            for head, value in ((head, float(self.figures[key])) for head, key in COLUMNS.items())
        )
        return " ".join(cells) + "  " + "; ".join([*self.broken(), *self.remarks()])


@dataclass(slots=True)
class BreakingPoint:
    """All steps that were made, and the count at the end."""

    steps: list[Step] = field(default_factory=list)
    sent: int = 0
    stored: int = 0
    drained_s: float = 0.0
    verdict: str = "no step was made"

    def judge(self) -> None:
        """Say what broke first, or what cannot be said."""
        most = max((step.figures["beds"] for step in self.steps if step.holds()), default=0.0)
        first = next((step for step in self.steps if not step.holds()), None)
        if first is None:
            self.verdict = f"every goal held up to {most:,.0f} beds"
            return
        told = ", ".join(f"{name} {first.figures[name]:,.1f} > {LIMITS[name]:g}" for name in first.broken())
        self.verdict = f"held {most:,.0f} beds; at {first.figures['beds']:,.0f} broke: {told or 'no goal'}"
        taken = ", ".join(f"{name} {first.figures[f'cpu_{name}']:.0f}" for name in PARTS)
        self.verdict += f"; % of a core: {taken}"
        if first.remarks():
            self.verdict += f" (in doubt: {'; '.join(first.remarks())})"


def header() -> str:
    """Give the heads of the table."""
    return " ".join(f"{head:>7}" for head in COLUMNS)


def run_breaking_point(
    folder: Path,
    *,
    steps: Sequence[int],
    seconds: int,
    goes_on: bool,
    tell: Callable[[str], object],
) -> BreakingPoint:
    """Let more beds speak in each step; stop after the first one that breaks a goal, unless it goes on."""
    result = BreakingPoint()
    with World(folder, max_beds=steps[-1] + 100) as world:
        load = start_load(world, "load", ramp=",".join(map(str, steps)), seconds=seconds)
        watched = [f"load{site:04d}/bed01" for site in range(min(WATCHED, -(-steps[0] // 20)))]
        wait_until("the beds to speak", lambda: world.metrics().get(LIVE_FRAMES, 0) > 0, within_s=60)
        begun_s = time.monotonic()
        with Gauges(world, load) as gauges, Watcher(world.url, watched) as watcher:
            tell(header())
            for number, beds in enumerate(steps):
                end_s = begun_s + (number + 1) * seconds
                try:
                    step = _make_step(world, gauges, watcher, beds, seconds, end_s)
                except httpx.HTTPError as error:
                    result.verdict = f"at {beds:,} beds the hub did not answer: {error!r}"
                    tell(result.verdict)
                    break
                result.steps.append(step)
                tell(step.line())
                if not step.holds() and not goes_on:
                    break
            load.end()
            result.sent = read_load(load).sent
            result.drained_s = wait_for_store(world, result.sent)
        result.stored = count_stored(world)
    if result.steps:
        result.judge()
    return result


def wait_for_store(world: World, sent: int) -> float:
    """Wait until the hub has taken and stored all that was sent, or nothing has moved for a while."""
    begun_s = moved_s = time.monotonic()
    last: tuple[float, float] | None = None
    while time.monotonic() - begun_s < DRAIN_S and time.monotonic() - moved_s < STILL_S:
        try:
            metrics = world.metrics()
        except httpx.HTTPError:
            time.sleep(1.0)
            continue
        now = (metrics.get(LIVE_FRAMES, 0.0), metrics['ctg_stage_pending{stage="store_frames"}'])
        if now[0] >= sent and now[1] == 0:
            break
        if now != last:
            last, moved_s = now, time.monotonic()
        time.sleep(0.5)
    return time.monotonic() - begun_s


def _make_step(world: World, gauges: Gauges, watcher: Watcher, beds: int, seconds: int, end_s: float) -> Step:
    time.sleep(max(0.0, end_s - seconds + min(SETTLE_S, seconds / 3) - time.monotonic()))
    looks = [gauges.read()]
    while time.monotonic() + LOOK_S < end_s - 2:
        time.sleep(LOOK_S)
        looks.append(gauges.read())
    before, after = looks[0], looks[-1]
    last_third = looks[-max(1, len(looks) // 3) :]
    seen = watcher.between(before.at_s)
    reading_s, unread = oldest_reading_s(world)  # after the looks: its long answer costs the loop some lag
    cpu = cpu_percent(before, after)
    step = Step(
        {
            "beds": beds,
            "taken_per_s": (after.taken - before.taken) / (after.at_s - before.at_s),
            "lost": after.dropped + after.refused,
            "at_broker_s": min(look.at_broker for look in last_third) / beds,
            "at_store_s": min(look.at_store for look in last_third) / beds,
            "lag_p99_ms": lag_quantile_ms(before, after, 0.99),
            "console_p99_ms": percentiles(one.since_arrival_ms for one in seen)["p99"],
            "sample_p99_ms": percentiles(one.since_newest_ms for one in seen)["p99"],
            "reading_s": reading_s,
            "unread": unread,
            "load_late_ms": max(look.late_ms for look in looks),
            "hub_mb": world.hub.rss_mb(),
            "database_mb": world.database.rss_mb(),
        }
        | {f"cpu_{name}": percent for name, percent in cpu.items()}
    )
    sent_per_s = (after.sent - before.sent) / (after.at_s - before.at_s)
    step.is_load_too_slow = step.figures["load_late_ms"] > LATE_LOAD_MS or sent_per_s < ENOUGH_SENT * beds
    return step
