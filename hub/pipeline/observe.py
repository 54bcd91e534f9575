"""What the alerts are shown of a bed: live signal only, each path from its own source."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.acquisition.ring import Ring
from hub.alerts.engine import (
    LevelObservation,
    RawRateObservation,
    SignalObservation,
    TechnicalObservation,
    raw_rate_seconds,
    signal_loss_seconds,
)
from hub.dsp.level import ShownLevel
from hub.model import FS_HZ, Analysis, DeviceState, Indeterminate, MonitorStatus, SiteState
from hub.pipeline.analysis import FETUS_COLUMNS, BedWindow
from hub.pipeline.bed import Bed, Site

WATCHED_SAMPLES: Final = round(600 * FS_HZ)
"""10 minutes: longer than the longest raw-rate delay with its margin, and the span of the signal share."""

SILENT_MS: Final = 3000
"""Without new samples for this long nothing is said of the signal: silence is its own alert (goal R10)."""

COINCIDENCE_SEEN_S: Final = 60.0
"""The analysis needs this long to see a coincidence (clinical-rules section 6, E), so it began then."""

Key = tuple[str, str]


class LiveSignals:
    """The live heart rates of all fetuses, once a second: one row each, what came late left out."""

    def __init__(self, ring: Ring, beds: Sequence[Bed]) -> None:
        self.rows = [(bed, number) for bed in beds for number in bed.fetus_numbers]
        samples, late_ms, self.end_ms = ring.window([bed.row for bed, _ in self.rows], WATCHED_SAMPLES)
        columns = [FETUS_COLUMNS[number - 1] for _, number in self.rows]
        self.fhr: npt.NDArray[np.float32] = samples[np.arange(len(columns)), columns]
        self.fhr[late_ms > 0] = np.nan


def raw_rate_observations(signals: LiveSignals) -> dict[Key, list[RawRateObservation]]:
    """Measure every rate against the raw-rate limits.

    The fixed limits need nothing of the analysis; a baseline, where there is one, adds the
    fall of 15 bpm below it.
    """
    observed: dict[Key, list[RawRateObservation]] = {}
    baseline_bpm = np.array([bed.fetus(number).baseline_bpm for bed, number in signals.rows])
    seconds = raw_rate_seconds(signals.fhr, fs=FS_HZ, baseline_bpm=baseline_bpm)
    for row, (bed, number) in enumerate(signals.rows):
        observation = seconds.observe(row, fetus=number, end_ms=int(signals.end_ms[row]))
        observed.setdefault(bed.key, []).append(observation)
    return observed


def signal_observations(signals: LiveSignals) -> dict[Key, list[SignalObservation]]:
    """Measure the loss of signal of every fetus, and how long its rate has been the mother's."""
    observed: dict[Key, list[SignalObservation]] = {}
    loss_s = signal_loss_seconds(signals.fhr, fs=FS_HZ)
    percent = 100 * np.isfinite(signals.fhr).mean(axis=1)
    for row, (bed, number) in enumerate(signals.rows):
        end_ms = int(signals.end_ms[row])
        # What came before this worker saw the bed live is unknown, not lost.
        watched_s = (end_ms - bed.live_since_ms) / 1000 if bed.live_since_ms is not None else 0.0
        lost_s = min(float(loss_s[row]), max(0.0, watched_s))
        since_ms = bed.fetus(number).coincident_since_ms
        observed.setdefault(bed.key, []).append(
            SignalObservation(
                fetus=number,
                loss_s=lost_s,
                loss_since_ms=end_ms - round(lost_s * 1000),
                signal_percent=round(float(percent[row]), 1),
                coincidence_s=0.0 if since_ms is None else (end_ms - since_ms) / 1000,
                coincidence_since_ms=since_ms or 0,
            )
        )
    return observed


def technical_observation(
    bed: Bed,
    site: Site | None,
    signals: Sequence[SignalObservation],
    *,
    age_ms: int,
    head_ms: int,
    faults: dict[str, str],
) -> TechnicalObservation:
    """Put together what is known of link, device and signal of one bed."""
    device = bed.state.state if bed.state else None
    levels = [
        level
        for record in bed.fetuses.values()
        if record.shown is not None
        for level in (record.shown.level, record.shown.last_level)
        if level is not None
    ]
    return TechnicalObservation(
        age_s=age_ms / 1000,
        head_ms=head_ms,
        is_monitored=device is not DeviceState.UNCONFIGURED,
        why=_why_silent(site, device),
        last_level=max(levels, default=None),
        signals=tuple(signals) if age_ms < SILENT_MS else (),
        faults=faults,
    )


def level_observation(bed: Bed, number: int, window: BedWindow, reading: Analysis) -> LevelObservation:
    """Put together what the level of one fetus says, from its reading without late data."""
    record = bed.fetus(number)
    shown = record.alerting or ShownLevel(level=None, since_ms=window.end_ms)
    rolling = reading.rolling
    segment = reading.segments[-1] if reading.segments else None
    return LevelObservation(
        fetus=number,
        level=shown.level,
        since_ms=shown.since_ms,
        end_ms=window.end_ms,
        from_level=record.level_before,
        segments_at_level=shown.segments_at_level,
        why=shown.indeterminate or "",
        contractions_per_10min=rolling.contractions_per_10min if rolling else None,
        segment_contractions=segment.contractions_per_10min if segment else None,
    )


def newest_baseline(reading: Analysis) -> float:
    """Return the baseline at the end of a reading in bpm, NaN where it is not assessable."""
    return float(reading.baseline_bpm[-1]) if reading.baseline_bpm.size else math.nan


def note_coincidence(bed: Bed, number: int, window: BedWindow, reading: Analysis) -> None:
    """Note since when the rate of a fetus has been the mother's, by the device or by the analysis."""
    record = bed.fetus(number)
    rolling = reading.rolling
    is_seen = rolling is not None and rolling.indeterminate is Indeterminate.MATERNAL_RATE
    if not is_seen and MonitorStatus.COINCIDENCE not in bed.status:
        record.coincident_since_ms = None
    elif record.coincident_since_ms is None:
        lead_s = COINCIDENCE_SEEN_S if is_seen else 0.0
        record.coincident_since_ms = window.end_ms - round(lead_s * 1000)


def _why_silent(site: Site | None, device: DeviceState | None) -> str:
    if site is not None and site.status is not None and site.status.state is SiteState.OFFLINE:
        return "site_offline"
    if device in {DeviceState.DISCONNECTED, DeviceState.STALE}:
        return f"device_{device}"
    return "no_data"
