"""What is checked once a second: raw rates and technical conditions, each path walled off from the other."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from hub.alerts.engine import RawRateObservation, SignalObservation
from hub.model import AlertPath, AlertTransition
from hub.pipeline.bed import Bed
from hub.pipeline.beds import BedKey, Beds
from hub.pipeline.observe import (
    SILENT_MS,
    LiveSignals,
    raw_rate_observations,
    signal_observations,
    technical_observation,
)
from hub.pipeline.paths import contained

STALLED_MS: Final = 60_000
"""A bed is analysed every 10 s; without an analysis for this long its level says nothing any more."""


def check(beds: Beds, some: Sequence[Bed], now_ms: int, now_s: float) -> list[AlertTransition]:
    """Check raw rates and technical conditions of some beds; each path alone may fail."""
    transitions: list[AlertTransition] = []
    signals = LiveSignals(beds.ring, some)
    rates, rate_fault = contained("raw-rate path", lambda: raw_rate_observations(signals))
    losses, _ = contained("technical path", lambda: signal_observations(signals))
    for key, observations in (rates or {}).items():
        bed = beds[key]
        raised, fault = contained(
            f"{bed.site}/{bed.bed}: raw-rate path", partial(_push_rates, bed, observations, now_ms)
        )
        bed.rate_fault = fault
        transitions += raised or []
    for bed in some:
        if rate_fault is None and not (rates and bed.key in rates):
            bed.rate_fault = None
        fault = rate_fault or bed.rate_fault
        raised, _ = contained(
            f"{bed.site}/{bed.bed}: technical path",
            partial(_push_technical, beds, bed, losses or {}, fault, now_ms, now_s),
        )
        transitions += raised or []
    return transitions


def _push_rates(bed: Bed, observations: Sequence[RawRateObservation], now_ms: int) -> list[AlertTransition]:
    return [move for observation in observations for move in bed.alerts.push_raw(observation, now_ms)]


def _push_technical(
    beds: Beds,
    bed: Bed,
    losses: Mapping[BedKey, Sequence[SignalObservation]],
    rate_fault: str | None,
    now_ms: int,
    now_s: float,
) -> list[AlertTransition]:
    age_ms = bed.lag.age_ms(now_s * 1000)
    if bed.watched_since_s is None:
        bed.watched_since_s = now_s
    if age_ms is None:
        # Known from the store or the fill lane alone: silent since this worker has known of it.
        age_ms = round((now_s - bed.watched_since_s) * 1000)
    faults = {"raw_rate": rate_fault, "level": _level_fault(bed, now_ms if age_ms < SILENT_MS else None)}
    is_contested = bed.gate.is_contested(now_s)
    has_conflict = now_s < bed.conflict_until_s
    is_calm = (
        age_ms < SILENT_MS
        and bed.key not in losses
        and not (is_contested or has_conflict or any(faults.values()))
    )
    if is_calm and not bed.alerts.has_open(AlertPath.TECHNICAL):
        return []
    observation = technical_observation(
        bed,
        beds.sites.get(bed.site),
        losses.get(bed.key, ()),
        age_ms=age_ms,
        head_ms=beds.ring.head_ms(bed.row) or 0,
        faults={path: fault for path, fault in faults.items() if fault is not None},
        is_contested=is_contested,
        has_conflict=has_conflict,
    )
    return bed.alerts.push_technical(observation, now_ms)


def _level_fault(bed: Bed, now_ms: int | None) -> str | None:
    """Say why there is no level; `now_ms` only while samples come, which is when one is due."""
    if now_ms is not None and bed.analysed_ms is not None and now_ms - bed.analysed_ms > STALLED_MS:
        return f"no analysis for {(now_ms - bed.analysed_ms) // 1000} s"
    return next((record.error for record in bed.fetuses.values() if record.error), None)
