"""The pipeline of one worker: rings, analysis and alerts of its beds."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from hub.acquisition.ring import RING_S, Ring, is_test_frame
from hub.acquisition.timeline import Arrival, Timeline
from hub.alerts.engine import BedAlerts, RawRateObservation, SignalObservation
from hub.dsp.level import next_shown
from hub.model import (
    GRID_MS,
    AckReason,
    Alert,
    AlertTransition,
    BedEvent,
    BedState,
    BedView,
    Classification,
    Lane,
    LevelSpan,
    SiteStatus,
    WaveEntry,
    WaveFrame,
)
from hub.pipeline.analysis import SEGMENT_S, BedResult, BedWindow, FetusResult
from hub.pipeline.bed import Bed, Site
from hub.pipeline.observe import (
    LiveSignals,
    level_observation,
    newest_baseline,
    note_coincidence,
    raw_rate_observations,
    signal_observations,
    technical_observation,
)
from hub.pipeline.paths import contained
from hub.pipeline.views import bed_analysis, bed_view, recent_frames

_log = logging.getLogger(__name__)

ANALYSIS_PERIOD_S: Final = 10
"""Each bed is analysed anew this often (design: at least every 10 s)."""
NUMBER_SAMPLES: Final = 2000 // GRID_MS
"""A number shown as current is no older than 2 s within its own trace (design: stale from 3 s)."""
SIGNAL_SAMPLES: Final = SEGMENT_S * 1000 // GRID_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """A complete segment that the store has not seen in this form."""

    site: str
    bed: str
    fetus: int
    origin_ms: int
    classification: Classification
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What accepting a round of analysis led to."""

    transitions: list[AlertTransition] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)


class Pipeline:
    """All beds of a worker.  Methods are called from one thread; `run_analysis` alone runs elsewhere."""

    def __init__(self, *, boot_id: str, capacity_beds: int = 256) -> None:
        self.boot_id = boot_id
        self.refused_beds = 0
        self._ring = Ring(capacity_beds)
        self._beds: dict[tuple[str, str], Bed] = {}
        self._sites: dict[str, Site] = {}
        self._started_s: float | None = None

    # ------------------------------------------------------------------ in

    def push_frame(self, frame: WaveFrame, *, lane: Lane, arrived_ms: int, now_s: float) -> Arrival | None:
        """Take one frame; None when there is no room for its bed.  `now_s` is monotonic."""
        bed = self._bed(frame.site, frame.bed)
        if bed is None:
            return None
        if lane is Lane.LIVE:
            arrival = self._push_live(bed, frame, arrived_ms=arrived_ms, now_s=now_s)
        else:
            arrival = Arrival.LATE
            self._ring.push(bed.row, frame, is_newest=False, late_ms=arrived_ms)
        bed.is_test = is_test_frame(frame)
        bed.is_stale = True
        return arrival

    def _push_live(self, bed: Bed, frame: WaveFrame, *, arrived_ms: int, now_s: float) -> Arrival:
        if bed.timeline is None or bed.timeline.epoch != frame.epoch:
            bed.timeline = Timeline(frame.epoch)
            bed.lag.reset()
        arrival = bed.timeline.push(frame.seq)
        is_newest = arrival in {Arrival.NEXT, Arrival.AHEAD}
        if arrival is not Arrival.REPEATED:
            self._ring.push(bed.row, frame, is_newest=is_newest)
        if is_newest:
            bed.lag.push(frame.t0_ms, frame.end_ms, now_s * 1000, is_in_sequence=arrival is Arrival.NEXT)
            bed.clock_offset_ms = frame.end_ms - arrived_ms
            if bed.live_since_ms is None or frame.t0_ms < bed.live_since_ms:
                bed.live_since_ms = frame.t0_ms
            bed.note_frame(frame)
        return arrival

    def push_status(self, site: str, status: SiteStatus) -> None:
        """Take what a site says of itself; its last will comes this way too."""
        self._sites.setdefault(site, Site()).status = status

    def push_state(self, site: str, bed: str, state: BedState) -> None:
        """Take what a site says of a bed's device."""
        if record := self._bed(site, bed):
            record.state = state

    def push_event(self, site: str, bed: str, event: BedEvent) -> bool:
        """Take an event; False for one that is known already."""
        record = self._bed(site, bed)
        if record is None or any(known.id == event.id for known in record.events):
            return False
        record.events.append(event)
        return True

    def restore_frames(self, frames: Iterable[tuple[WaveFrame, Lane, int]]) -> None:
        """Rebuild the rings from stored frames in time order; no live state follows from them."""
        for frame, lane, arrived_ms in frames:
            if bed := self._bed(frame.site, frame.bed):
                late_ms = arrived_ms if lane is Lane.FILL else 0
                self._ring.push(bed.row, frame, is_newest=False, late_ms=late_ms)
                bed.note_frame(frame)
                bed.is_test = is_test_frame(frame)

    def restore_alerts(self, alerts: Iterable[Alert]) -> None:
        """Take over the alerts that were open when the worker ended."""
        by_bed: dict[tuple[str, str], list[Alert]] = {}
        for alert in alerts:
            by_bed.setdefault((alert.site, alert.bed), []).append(alert)
        for (site, name), known in by_bed.items():
            if bed := self._bed(site, name):
                bed.alerts.restore(known)

    def restore_ribbon(self, site: str, bed: str, fetus: int, spans: Iterable[LevelSpan]) -> None:
        """Take over the ribbon of a fetus, oldest first."""
        if record := self._bed(site, bed):
            record.fetus(fetus).ribbon.extend(spans)

    # -------------------------------------------------------- once a second

    def tick(self, now_ms: int, now_s: float) -> list[AlertTransition]:
        """Check raw rates and technical conditions of all beds; each path alone may fail."""
        if self._started_s is None:
            self._started_s = now_s
        beds = list(self._beds.values())
        if not beds:
            return []
        signals = LiveSignals(self._ring, beds)
        rates, rate_fault = contained("raw-rate path", lambda: raw_rate_observations(signals))
        losses, _ = contained("technical path", lambda: signal_observations(signals))
        transitions: list[AlertTransition] = []
        for bed in beds:
            raised, own_fault = contained(
                f"{bed.site}/{bed.bed}: raw-rate path", partial(_push_rates, bed, rates or {}, now_ms)
            )
            transitions += raised or []
            faults = {"raw_rate": rate_fault or own_fault, "level": _level_fault(bed)}
            raised, _ = contained(
                f"{bed.site}/{bed.bed}: technical path",
                partial(self._push_technical, bed, losses or {}, faults, now_ms, now_s),
            )
            transitions += raised or []
        return transitions

    def _push_technical(
        self,
        bed: Bed,
        losses: Mapping[tuple[str, str], Sequence[SignalObservation]],
        faults: Mapping[str, str | None],
        now_ms: int,
        now_s: float,
    ) -> list[AlertTransition]:
        age_ms = bed.lag.age_ms(now_s * 1000)
        if age_ms is None:
            # Known from the store or the broker, silent since the start of this worker.
            age_ms = round((now_s - (self._started_s or now_s)) * 1000)
        observation = technical_observation(
            bed,
            self._sites.get(bed.site),
            losses.get(bed.key, ()),
            age_ms=age_ms,
            head_ms=self._ring.head_ms(bed.row) or 0,
            faults={path: fault for path, fault in faults.items() if fault is not None},
        )
        return bed.alerts.push_technical(observation, now_ms)

    # ------------------------------------------------------------- analysis

    def due_windows(self, second: int) -> list[BedWindow]:
        """Copy out the beds whose turn it is in this second, spread evenly over the period."""
        due = [
            bed
            for bed in self._beds.values()
            if bed.is_stale and bed.row % ANALYSIS_PERIOD_S == second % ANALYSIS_PERIOD_S
        ]
        return self._windows(due)

    def _windows(self, beds: list[Bed]) -> list[BedWindow]:
        if not beds:
            return []
        samples, late_ms, end_ms = self._ring.window([bed.row for bed in beds], RING_S * 1000 // GRID_MS)
        windows = []
        for index, bed in enumerate(beds):
            bed.is_stale = False
            first = int(np.argmax(np.isfinite(samples[index]).any(axis=0)))
            windows.append(
                BedWindow(
                    bed.site,
                    bed.bed,
                    bed.fetus_numbers,
                    int(end_ms[index]),
                    samples[index, :, first:],
                    late_ms[index, first:],
                    bed.state.gestational_weeks if bed.state else None,
                )
            )
        return windows

    def accept(self, results: list[BedResult], now_ms: int) -> Outcome:
        """Take the results of a round: levels, ribbons, level alerts, segments for the store."""
        outcome = Outcome()
        for result in results:
            bed = self._beds[result.window.site, result.window.bed]
            for one in result.fetuses:
                outcome.segments.extend(self._accept_fetus(bed, one, result.window))
                outcome.transitions.extend(self._alert_on_level(bed, one, result.window, now_ms))
            bed.analysis = bed_analysis(bed.fetuses, result, now_ms=now_ms)
            bed.is_analysis_new = True
        return outcome

    def _accept_fetus(self, bed: Bed, one: FetusResult, window: BedWindow) -> list[StoredSegment]:
        record = bed.fetus(one.fetus)
        record.error = one.error
        reading = one.analysis
        newest = reading.segments[-1] if reading and reading.segments else None
        record.shown = next_shown(record.shown, reading.rolling if reading else None, newest, window.end_ms)
        bed.extend_ribbon(one.fetus, window.end_ms, record.shown.level)
        if reading is None:
            return []
        new = []
        for segment in reading.segments:
            end_ms = window.origin_ms + round(segment.end_s * 1000)
            if end_ms > record.last_segment_ms:
                record.last_segment_ms = end_ms
                new.append(
                    StoredSegment(
                        site=bed.site,
                        bed=bed.bed,
                        fetus=one.fetus,
                        origin_ms=window.origin_ms,
                        classification=segment,
                        algorithm=reading.algorithm,
                    )
                )
        return new

    def _alert_on_level(
        self, bed: Bed, one: FetusResult, window: BedWindow, now_ms: int
    ) -> list[AlertTransition]:
        reading = one.live_analysis
        if reading is None or bed.live_since_ms is None:
            return []  # failed, or nothing live was ever seen: the technical path speaks
        record = bed.fetus(one.fetus)

        def push() -> list[AlertTransition]:
            note_coincidence(bed, one.fetus, window, reading)
            record.baseline_bpm = newest_baseline(reading)
            newest = reading.segments[-1] if reading.segments else None
            shown = next_shown(record.alerting, reading.rolling, newest, window.end_ms)
            if record.alerting is not None and shown.level != record.alerting.level:
                record.level_before = record.alerting.level
            record.alerting = shown
            return bed.alerts.push_level(level_observation(bed, one.fetus, window, reading), now_ms)

        raised, record.error = contained(f"{bed.site}/{bed.bed}: level path", push)
        return raised or []

    # ------------------------------------------------------------------ out

    def bed_keys(self) -> list[tuple[str, str]]:
        """Every bed, in the order of site and bed."""
        return sorted(self._beds)

    def views(
        self, keys: Collection[tuple[str, str]] | None, *, now_s: float, with_analysis: bool
    ) -> list[BedView]:
        """Beds as the consoles show them; without `with_analysis` only what is new of it."""
        wanted = self.bed_keys() if keys is None else sorted(key for key in keys if key in self._beds)
        beds = [self._beds[key] for key in wanted]
        if not beds:
            return []
        rows = [bed.row for bed in beds]
        newest = self._ring.newest(rows, NUMBER_SAMPLES)
        samples, _, _ = self._ring.window(rows, SIGNAL_SAMPLES)
        fractions = np.isfinite(samples[:, :3]).mean(axis=-1)
        return [
            bed_view(
                bed,
                self._sites.get(bed.site),
                newest=newest[index],
                signal_fraction=fractions[index],
                head_ms=self._ring.head_ms(bed.row),
                age_ms=bed.lag.age_ms(now_s * 1000),
                analysis=bed.analysis if with_analysis or bed.is_analysis_new else None,
            )
            for index, bed in enumerate(beds)
        ]

    def gestational_weeks(self, key: tuple[str, str]) -> float | None:
        """Gestational age that the site gave for a bed."""
        bed = self._beds.get(key)
        return bed.state.gestational_weeks if bed and bed.state else None

    def mark_pushed(self) -> None:
        """Note that every new analysis has been handed to the consoles."""
        for bed in self._beds.values():
            bed.is_analysis_new = False

    def recent_waves(self, key: tuple[str, str], span_s: float) -> list[WaveEntry]:
        """Return the newest samples of a bed as wave frames; none for an unknown bed."""
        bed = self._beds.get(key)
        if bed is None:
            return []
        n_samples = min(round(span_s * 1000 / GRID_MS), self._ring.n_samples)
        samples, late_ms, end_ms = self._ring.window(bed.row, n_samples)
        return list(recent_frames(bed, samples[0], late_ms[0], int(end_ms[0])))

    def alerts(self) -> list[Alert]:
        """All alerts that are not clear."""
        return [alert for bed in self._beds.values() for alert in bed.alerts.alerts]

    def acknowledge(self, alert_id: str, *, by: str, reason: AckReason, now_ms: int) -> AlertTransition:
        """Acknowledge an alert.  Raises KeyError for an unknown one, ValueError when it may not be."""
        for bed in self._beds.values():
            if any(alert.id == alert_id for alert in bed.alerts.alerts):
                return bed.alerts.acknowledge(alert_id, by=by, reason=reason, t_ms=now_ms)
        raise KeyError(alert_id)

    # ------------------------------------------------------------------ own

    def _bed(self, site: str, name: str) -> Bed | None:
        bed = self._beds.get((site, name))
        if bed is not None:
            return bed
        row = self._ring.add_bed()
        if row is None:
            if self.refused_beds == 0:
                _log.error(
                    "%s/%s: no room for another bed, %d are kept", site, name, self._ring.capacity_beds
                )
            self.refused_beds += 1
            return None
        bed = Bed(site, name, row, BedAlerts(site, name))
        self._beds[site, name] = bed
        return bed


def _push_rates(
    bed: Bed, rates: Mapping[tuple[str, str], Sequence[RawRateObservation]], now_ms: int
) -> list[AlertTransition]:
    return [
        transition
        for observation in rates.get(bed.key, ())
        for transition in bed.alerts.push_raw(observation, now_ms)
    ]


def _level_fault(bed: Bed) -> str | None:
    return next((record.error for record in bed.fetuses.values() if record.error), None)
