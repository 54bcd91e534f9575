"""What the alerts are shown of a bed: live signal only, each path from its own source."""

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
from hub.alerts.limits import LOSS_BRIDGED_S
from hub.dsp.level import ShownLevel
from hub.dsp.reading import LiveReading
from hub.model import FS_HZ, GRID_MS, AlertPath, DeviceState, Indeterminate, MonitorStatus, SiteState
from hub.pipeline.analysis import FETUS_COLUMNS
from hub.pipeline.bed import Bed, Site

WATCHED_SAMPLES: Final = round(600 * FS_HZ)
"""10 minutes: longer than the longest raw-rate delay with its margin, and the span of the signal share."""

GLANCE_SAMPLES: Final = round(LOSS_BRIDGED_S * FS_HZ)
"""A rate beyond a limit was so within this time: a longer loss of signal ends it."""

SILENT_MS: Final = 3000
"""Without new samples for this long nothing is said of the signal: silence is its own alert (goal R10)."""

COINCIDENCE_SEEN_S: Final = 60.0
"""The analysis needs this long to see a coincidence (clinical-rules section 6, E), so it began then."""

PAUSE_MS: Final = round(COINCIDENCE_SEEN_S * 1000)
"""After a longer pause of the live frames it may have begun with them."""

Key = tuple[str, str]


class LiveSignals:
    """The live heart rates of some fetuses, once a second: one row each, what came late left out.

    Most are calm.  Their last minute says so, and only the rows that it does not
    speak for, or that have an alert open, are looked at as far back as the limits ask.
    """

    def __init__(self, ring: Ring, beds: Sequence[Bed]) -> None:
        self._ring = ring
        self.rows = [(bed, number) for bed in beds for number in bed.fetus_numbers]
        self._ring_rows = np.array([bed.row for bed, _ in self.rows], np.intp)
        self._columns = np.array([FETUS_COLUMNS[number - 1] for _, number in self.rows], np.intp)
        self.end_ms = ring.heads[self._ring_rows] * GRID_MS
        self.minute = self.read(np.arange(len(self.rows)), GLANCE_SAMPLES)

    def read(self, index: npt.NDArray[np.intp], n_samples: int) -> npt.NDArray[np.float32]:
        """Copy the newest samples of some of the rows, shape (n_index, n_samples)."""
        return self._ring.column(self._ring_rows[index], self._columns[index], n_samples)


def raw_rate_observations(signals: LiveSignals) -> dict[Key, list[RawRateObservation]]:
    """Measure against the raw-rate limits every rate that is beyond one, or has an alert open.

    The fixed limits need nothing of the analysis; a baseline, where there is one, adds the
    fall of 15 bpm below it.
    """
    observed: dict[Key, list[RawRateObservation]] = {}
    baseline_bpm = np.array([bed.fetus(number).baseline_bpm for bed, number in signals.rows])
    has_open = np.array([bed.alerts.has_open(AlertPath.RAW_RATE) for bed, _ in signals.rows], np.bool_)
    glance = raw_rate_seconds(signals.minute, fs=FS_HZ, baseline_bpm=baseline_bpm)
    is_unknown = np.isnan(signals.minute).all(axis=1)
    close = np.flatnonzero((~glance.is_quiet & ~is_unknown) | has_open)
    if not close.size:
        return observed
    seconds = raw_rate_seconds(
        signals.read(close, WATCHED_SAMPLES), fs=FS_HZ, baseline_bpm=baseline_bpm[close]
    )
    for row, index in enumerate(close.tolist()):
        bed, number = signals.rows[index]
        observation = seconds.observe(row, fetus=number, end_ms=int(signals.end_ms[index]))
        observed.setdefault(bed.key, []).append(observation)
    return observed


def signal_observations(signals: LiveSignals) -> dict[Key, list[SignalObservation]]:
    """Measure the loss of signal of every fetus that has one, and how long its rate has been the mother's.

    A bed of which all is well, and no technical alert open, is left out.
    """
    observed: dict[Key, list[SignalObservation]] = {}
    is_lost = signal_loss_seconds(signals.minute, fs=FS_HZ) > 0
    watched = {
        bed.key
        for (bed, number), lost in zip(signals.rows, is_lost.tolist(), strict=True)
        if lost
        or bed.fetus(number).coincident_since_ms is not None
        or bed.alerts.has_open(AlertPath.TECHNICAL)
    }
    index = np.array([k for k, (bed, _) in enumerate(signals.rows) if bed.key in watched], np.intp)
    if not index.size:
        return observed
    fhr = signals.read(index, WATCHED_SAMPLES)
    loss_s = signal_loss_seconds(fhr, fs=FS_HZ)
    percent = 100 * np.isfinite(fhr).mean(axis=1)
    for row, k in enumerate(index.tolist()):
        bed, number = signals.rows[k]
        end_ms = int(signals.end_ms[k])
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
                coincidence_s=0.0 if since_ms is None else max(0.1, (end_ms - since_ms) / 1000),
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
    is_contested: bool = False,
    has_conflict: bool = False,
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
        is_contested=is_contested,
        has_conflict=has_conflict,
    )


def level_observation(bed: Bed, number: int, reading: LiveReading) -> LevelObservation:
    """Put together what the level of one fetus says, from its reading without late data."""
    record = bed.fetus(number)
    shown = record.alerting or ShownLevel(level=None, since_ms=reading.end * GRID_MS)
    rolling = reading.rolling
    segment = reading.segments[-1] if reading.segments else None
    return LevelObservation(
        fetus=number,
        level=shown.level,
        since_ms=shown.since_ms,
        end_ms=reading.end * GRID_MS,
        from_level=record.level_before,
        segments_at_level=shown.segments_at_level,
        why=shown.indeterminate or "",
        contractions_per_10min=rolling.contractions_per_10min if rolling else None,
        segment_contractions=segment.contractions_per_10min if segment else None,
    )


def note_coincidence(bed: Bed, number: int, reading: LiveReading) -> None:
    """Note since when the rate of a fetus has been the mother's, by the device or by the analysis."""
    record = bed.fetus(number)
    rolling = reading.rolling
    is_seen = rolling is not None and rolling.indeterminate is Indeterminate.MATERNAL_RATE
    if not is_seen and MonitorStatus.COINCIDENCE not in bed.status:
        record.coincident_since_ms = None
    elif record.coincident_since_ms is None:
        end_ms = reading.end * GRID_MS
        since_ms = end_ms - round((COINCIDENCE_SEEN_S if is_seen else 0.0) * 1000)
        # A few seconds of signal after a pause do not tell of the minute before them.
        record.coincident_since_ms = max(since_ms, min(bed.live_again_ms, end_ms))


def _why_silent(site: Site | None, device: DeviceState | None) -> str:
    if site is not None and site.status is not None and site.status.state is SiteState.OFFLINE:
        return "site_offline"
    if device in {DeviceState.DISCONNECTED, DeviceState.STALE}:
        return f"device_{device}"
    return "no_data"
