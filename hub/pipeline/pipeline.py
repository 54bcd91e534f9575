"""The pipeline of one worker: rings, analysis and alerts of its beds."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.acquisition.ring import Ring, is_test_frame
from hub.acquisition.timeline import Arrival
from hub.alerts.engine import BedAlerts, RawRateObservation, SignalObservation
from hub.dsp.level import next_shown
from hub.dsp.live import LiveAnalysis, Plan
from hub.dsp.past import STEP
from hub.model import (
    GRID_MS,
    AckReason,
    Alert,
    AlertPath,
    AlertTransition,
    BedEvent,
    BedState,
    BedView,
    Classification,
    Lane,
    LevelSpan,
    SiteStatus,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.pipeline.analysis import SEGMENT_S, BedResult, FetusResult, FetusWork, Round
from hub.pipeline.bed import Bed, FetusRecord, SegmentForm, Site
from hub.pipeline.gate import CONTINUOUS_MS, Verdict
from hub.pipeline.observe import (
    PAUSE_MS,
    SILENT_MS,
    LiveSignals,
    level_observation,
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
LONG_UPDATES: Final = 12
"""Beds that are read again from far back, or for the first time, in one round."""
READ_AGAIN_S: Final = 2.0
"""A bed that is being filled in waits so long, so that one bed does not take the turn of others."""
NEW_BED_S: Final = 5.0
"""A new bed waits so long, so that its first reading has some of what it brings along."""
BEHIND_MS: Final = 10_000
"""What a bed that catches up read on its way there is told no more often than what is read in time: the
minutes it passes through are not now."""
NUMBER_SAMPLES: Final = 2000 // GRID_MS
"""A number shown as current is no older than 2 s within its own trace (design: stale from 3 s)."""
STALLED_MS: Final = 60_000
"""A bed is analysed every 10 s; without an analysis for this long its level says nothing any more."""
CONFLICT_S: Final = 60.0
"""A bed is in conflict for so long after a frame that claimed the identity of another."""
UNWATCHED_S: Final = 60.0
"""A bed without room that has not sent for so long is not counted any more."""
MAX_STATES: Final = 10_000
"""Sites, and beds without a frame, that are remembered: a flood of invented names ends there."""
ALERTED_SAMPLES: Final = 5 * SEGMENT_S // 2 * 1000 // GRID_MS
"""25 min: so long ago the newest complete segment may begin, told up to 2 min late; alerts rest on it."""


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
        self._unwatched_s: dict[tuple[str, str], float] = {}
        """When a bed without room last sent."""
        self._ring = Ring(capacity_beds)
        self._live = LiveAnalysis(min(capacity_beds, 64))
        self._due = np.zeros(capacity_beds, np.int64)
        """Tick from which on a bed is due, by row of the ring."""
        self._is_changed = np.zeros(capacity_beds, np.bool_)
        self._again_s = np.zeros(capacity_beds)
        """Monotonic time from which on a bed that is new, or whose past changed, may be read."""
        self._now_s = 0.0
        self._beds: dict[tuple[str, str], Bed] = {}
        self._sites: dict[str, Site] = {}
        self._states: dict[tuple[str, str], BedState] = {}
        """States of beds that have not sent a frame."""

    # ------------------------------------------------------------------ in

    def push_frame(self, frame: WaveFrame, *, lane: Lane, arrived_ms: int, now_s: float) -> Arrival | None:
        """Take one frame; None when there is no room for its bed.  `now_s` is monotonic."""
        self._now_s = now_s
        bed = self._bed(frame.site, frame.bed)
        if bed is None:
            return None
        if lane is Lane.LIVE:
            arrival = self._push_live(bed, frame, arrived_ms=arrived_ms, now_s=now_s)
        else:
            arrival = self._push_fill(bed, frame, arrived_ms=arrived_ms, now_s=now_s)
        bed.is_test = is_test_frame(frame)
        return arrival

    def _push_fill(self, bed: Bed, frame: WaveFrame, *, arrived_ms: int, now_s: float) -> Arrival:
        arrival = bed.gate.fill(frame)
        site_now_ms = bed.lag.site_now_ms(now_s * 1000)
        # What lies in the future of a site that is live was stamped by a clock that was wrong.
        is_possible = site_now_ms is None or frame.end_ms <= site_now_ms + CONTINUOUS_MS
        if arrival is Arrival.LATE and is_possible:
            self._write(bed, frame, is_newest=False, late_ms=arrived_ms)
        return arrival

    def _push_live(self, bed: Bed, frame: WaveFrame, *, arrived_ms: int, now_s: float) -> Arrival:
        if not bed.gate.admit(frame.epoch, now_s):
            return Arrival.REPEATED  # of a second feed: stored under its own epoch, drawn nowhere
        arrival = bed.gate.arrive(frame)
        if arrival is Arrival.LATE:
            self._write(bed, frame, is_newest=False)
        if arrival not in {Arrival.NEXT, Arrival.AHEAD}:
            return arrival
        head_ms = self._ring.head_ms(bed.row)
        site_now_ms = bed.lag.site_now_ms(now_s * 1000)
        verdict = bed.gate.judge(frame, site_now_ms=site_now_ms, head_ms=head_ms)
        if verdict is Verdict.HOLD:
            return arrival
        frames = [frame]
        if verdict is Verdict.STEP:
            frames, bed.gate.held = bed.gate.held, []
            bed.lag.reset()
            bed.note_step(head_ms or frames[0].t0_ms, frames[0].t0_ms)
        for one in frames:
            self._write(bed, one, is_newest=True)
        age_ms = bed.lag.age_ms(now_s * 1000)
        if age_ms is None or age_ms > SILENT_MS:
            bed.analysed_ms = arrived_ms  # live from here on: from here on an analysis is due
        if age_ms is None or age_ms > PAUSE_MS:
            bed.live_again_ms = frames[0].t0_ms
        bed.lag.push(frame.t0_ms, frame.end_ms, now_s * 1000, is_in_sequence=arrival is Arrival.NEXT)
        bed.clock_offset_ms = frame.end_ms - arrived_ms
        if bed.live_since_ms is None or frames[0].t0_ms < bed.live_since_ms:
            bed.live_since_ms = frames[0].t0_ms
        bed.note_frame(frame)
        return arrival

    def _write(self, bed: Bed, frame: WaveFrame, *, is_newest: bool, late_ms: int = 0) -> None:
        head = int(self._ring.heads[bed.row])
        start, stop = round(frame.t0_ms / GRID_MS), round(frame.end_ms / GRID_MS)
        # One tick of jitter of a live stream is closed by the ring, and changes nothing that was read.
        is_next = is_newest and abs(start - head) <= 1
        if head == 0:
            self._again_s[bed.row] = self._now_s + NEW_BED_S
        bed.note_span(head if is_next else start, stop, head=head, is_late=late_ms > 0)
        self._is_changed[bed.row] |= bed.changed_from is not None
        self._ring.push(bed.row, frame, is_newest=is_newest, late_ms=late_ms)

    def push_status(self, site: str, status: SiteStatus) -> None:
        """Take what a site says of itself; its last will comes this way too."""
        if site in self._sites or len(self._sites) < MAX_STATES:
            known = self._sites.setdefault(site, Site())
            if known.status is not None and status.name is None:
                status = replace(status, name=known.status.name)  # a last will names nobody
            known.status = status

    def push_state(self, site: str, bed: str, state: BedState) -> None:
        """Take what a site says of a bed's device; the bed itself begins with its first frame."""
        if record := self._beds.get((site, bed)):
            record.state = state
        elif len(self._states) < MAX_STATES:
            self._states[site, bed] = state

    def note_conflict(self, site: str, bed: str, now_s: float) -> None:
        """Take from the store that a frame of a bed claimed the identity of another one."""
        if record := self._beds.get((site, bed)):
            record.conflict_until_s = now_s + CONFLICT_S

    def push_event(self, site: str, bed: str, event: BedEvent) -> bool:
        """Take an event; False for one that is known already."""
        record = self._beds.get((site, bed))
        if record is None:
            return True  # to be stored; there is no strip yet to show it on
        if any(known.id == event.id for known in record.events):
            return False
        record.events.append(event)
        return True

    def restore_frames(self, frames: Iterable[tuple[WaveFrame, Lane, int]]) -> None:
        """Rebuild the rings from stored frames in time order; no live state follows from them."""
        for frame, lane, arrived_ms in frames:
            if bed := self._bed(frame.site, frame.bed):
                late_ms = arrived_ms if lane is Lane.FILL else 0
                self._write(bed, frame, is_newest=False, late_ms=late_ms)
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

    def tick(self, now_ms: int, now_s: float, *, part: int = 0, parts: int = 1) -> list[AlertTransition]:
        """Check raw rates and technical conditions; each path alone may fail.

        Of `parts` calls in a second each takes its own share of the beds.
        """
        self._now_s = now_s
        beds = list(self._beds.values())[part::parts]
        if not beds:
            return []
        transitions: list[AlertTransition] = []
        signals = LiveSignals(self._ring, beds)
        rates, rate_fault = contained("raw-rate path", lambda: raw_rate_observations(signals))
        losses, _ = contained("technical path", lambda: signal_observations(signals))
        for key, observations in (rates or {}).items():
            bed = self._beds[key]
            raised, fault = contained(
                f"{bed.site}/{bed.bed}: raw-rate path", partial(_push_rates, bed, observations, now_ms)
            )
            bed.rate_fault = fault
            transitions += raised or []
        for bed in beds:
            if rate_fault is None and not (rates and bed.key in rates):
                bed.rate_fault = None
            fault = rate_fault or bed.rate_fault
            raised, _ = contained(
                f"{bed.site}/{bed.bed}: technical path",
                partial(self._push_technical, bed, losses or {}, fault, now_ms, now_s),
            )
            transitions += raised or []
        return transitions

    def _push_technical(
        self,
        bed: Bed,
        losses: Mapping[tuple[str, str], Sequence[SignalObservation]],
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
            self._sites.get(bed.site),
            losses.get(bed.key, ()),
            age_ms=age_ms,
            head_ms=self._ring.head_ms(bed.row) or 0,
            faults={path: fault for path, fault in faults.items() if fault is not None},
            is_contested=is_contested,
            has_conflict=has_conflict,
        )
        return bed.alerts.push_technical(observation, now_ms)

    # ------------------------------------------------------------- analysis

    def due_windows(self, second: int = 0, *, most: int | None = None) -> Round:
        """Copy out the beds that have 10 s of new samples, or changed ones; at most so many rows.

        Beds of which many minutes have to be read again wait for one another: those first that
        were not read again lately, and of them the newest.
        """
        del second  # every bed has its own second of ten, by the phase of its row
        heads = self._ring.heads
        is_due = (heads >= self._due[: heads.size]) | self._is_changed[: heads.size]
        is_new = self._due[: heads.size] == 0
        waits = (is_new | self._is_changed[: heads.size]) & (self._again_s[: heads.size] > self._now_s)
        is_due &= ~waits
        work: list[FetusWork] = []
        n_long = 0
        beds = list(self._beds.values())
        for index in np.lexsort((-heads, self._again_s[: heads.size], ~is_due)).tolist():
            if not is_due[index] or (most is not None and len(work) >= most):
                break
            bed = beds[index]
            plans = self._plans(bed)
            is_long = any(plan.is_changed or plan.is_jump for _, plan, _ in plans)
            if is_long and n_long >= LONG_UPDATES:
                continue
            n_long += is_long
            work += self._copy(bed, plans)
        return Round(self._live, work)

    def _plans(self, bed: Bed) -> list[tuple[int, Plan, bool]]:
        """Plan the updates of the fetuses of a bed: number, plan, and whether late samples are left out."""
        head = int(self._ring.heads[bed.row])
        first = max(bed.first or head, head - self._ring.n_samples)
        planned = []
        for number in bed.fetus_numbers:
            record = bed.fetus(number)
            if record.row is None:
                record.row = self._live.past.open_row(4 * (bed.row % ANALYSIS_PERIOD_S))
            self._keep_live_row(bed, record, head)
            plan = self._live.plan(record.row, first=first, head=head, changed_from=bed.changed_from)
            if plan is not None:
                planned.append((number, plan, False))
            if record.live_row is None:
                continue
            changed_from = bed.live_changed_from
            plan = self._live.plan(record.live_row, first=first, head=head, changed_from=changed_from)
            if plan is not None:
                planned.append((number, plan, True))
        return planned

    def _keep_live_row(self, bed: Bed, record: FetusRecord, head: int) -> None:
        """Keep a row without late samples while there are some in what an alert may rest on."""
        past = self._live.past
        is_late = bed.late_until > head - ALERTED_SAMPLES
        if is_late and record.live_row is None and record.row is not None:
            # What was read before the late samples came is what the live ones alone gave.
            record.live_row = (
                past.open_row(int(past.phase[record.row])) if bed.had_late else past.copy_row(record.row)
            )
        elif not is_late and record.live_row is not None:
            past.close_row(record.live_row)
            record.live_row = None

    def _copy(self, bed: Bed, plans: list[tuple[int, Plan, bool]]) -> list[FetusWork]:
        work: list[FetusWork] = []
        spans: dict[tuple[int, int, bool], npt.NDArray[np.float32]] = {}
        for number, plan, is_live_only in plans:
            key = (plan.end, plan.n_samples, is_live_only)
            if key not in spans:
                spans[key], late_ms = self._ring.copy_span(bed.row, plan.end, plan.n_samples)
                if is_live_only:
                    spans[key][:, late_ms > 0] = np.nan
            weeks = bed.state.gestational_weeks if bed.state else None
            is_scalp = bed.transducers.get(number) is Transducer.DECG
            has_live_row = bed.fetus(number).live_row is not None
            work.append(
                FetusWork(
                    bed.site, bed.bed, number, plan, is_live_only, has_live_row, spans[key], weeks, is_scalp
                )
            )
        head = int(self._ring.heads[bed.row])
        ends = [plan.end for _, plan, _ in plans]
        # A bed that is behind goes on at once; else it is due when its next 10 s are full.
        self._due[bed.row] = (min(ends) if ends else head // STEP * STEP) + STEP
        if bed.changed_from is not None:
            self._again_s[bed.row] = self._now_s + READ_AGAIN_S
        self._is_changed[bed.row] = False
        bed.had_late |= bed.changed_from is not None and bed.late_until > 0
        bed.changed_from = bed.live_changed_from = None
        return work

    def accept(self, results: list[BedResult], now_ms: int) -> Outcome:
        """Take the results of a round: levels, ribbons, level alerts, segments for the store."""
        outcome = Outcome()
        for result in results:
            bed = self._beds[result.site, result.bed]
            behind_ms = int(self._ring.heads[bed.row]) * GRID_MS - result.end_ms
            is_told = behind_ms <= BEHIND_MS or abs(now_ms - bed.told_ms) >= ANALYSIS_PERIOD_S * 1000
            bed.told_ms = now_ms if is_told else bed.told_ms
            for one in result.fetuses:
                if one.is_read or one.error:
                    outcome.segments.extend(self._accept_fetus(bed, one, result.end_ms, is_told=is_told))
                if is_told:
                    outcome.transitions.extend(self._alert_on_level(bed, one, now_ms))
            if all(one.is_read for one in result.fetuses):
                bed.analysis = bed_analysis(bed.fetuses, result, now_ms=now_ms)
                bed.analysed_ms = now_ms
                bed.is_analysis_new = True
        return outcome

    def _accept_fetus(self, bed: Bed, one: FetusResult, end_ms: int, *, is_told: bool) -> list[StoredSegment]:
        record = bed.fetus(one.fetus)
        record.error = one.error
        record.signal_fraction = one.signal_fraction
        reading = one.analysis
        newest = reading.segments[-1] if reading and reading.segments else None
        if is_told:
            record.shown = next_shown(record.shown, reading.rolling if reading else None, newest, end_ms)
            bed.extend_ribbon(one.fetus, end_ms, record.shown.level)
        if reading is None:
            return []
        new = []
        forms: dict[int, SegmentForm] = {}
        for segment in reading.segments:
            end_of_segment_ms = reading.origin * GRID_MS + round(segment.end_s * 1000)
            forms[end_of_segment_ms] = (segment.level, segment.cell, segment.indeterminate)
            if record.stored.get(end_of_segment_ms) != forms[end_of_segment_ms]:
                new.append(
                    StoredSegment(
                        site=bed.site,
                        bed=bed.bed,
                        fetus=one.fetus,
                        origin_ms=reading.origin * GRID_MS,
                        classification=segment,
                        algorithm=reading.algorithm,
                    )
                )
        record.stored = forms
        return new

    def _alert_on_level(self, bed: Bed, one: FetusResult, now_ms: int) -> list[AlertTransition]:
        reading = one.live_analysis
        if reading is None or bed.live_since_ms is None:
            return []  # failed, or nothing live was ever seen: the technical path speaks
        record = bed.fetus(one.fetus)

        def push() -> list[AlertTransition]:
            note_coincidence(bed, one.fetus, reading)
            record.baseline_bpm = reading.baseline_now_bpm
            newest = reading.segments[-1] if reading.segments else None
            end_ms = reading.end * GRID_MS
            shown = next_shown(record.alerting, reading.rolling, newest, end_ms)
            if record.alerting is not None and shown.level != record.alerting.level:
                record.level_before = record.alerting.level
            record.alerting = shown
            return bed.alerts.push_level(level_observation(bed, one.fetus, reading), now_ms)

        raised, record.error = contained(f"{bed.site}/{bed.bed}: level path", push)
        return raised or []

    # ------------------------------------------------------------------ out

    def bed_keys(self) -> list[tuple[str, str]]:
        """Every bed, in the order of site and bed."""
        return sorted(self._beds)

    def site_statuses(self) -> dict[str, SiteStatus]:
        """Give what the sites say of themselves."""
        return {name: site.status for name, site in self._sites.items() if site.status is not None}

    def unwatched(self, now_s: float) -> list[tuple[str, str]]:
        """Beds that send and for which there is no room."""
        return [key for key, seen_s in self._unwatched_s.items() if now_s - seen_s < UNWATCHED_S]

    def views(
        self, keys: Collection[tuple[str, str]] | None, *, now_s: float, with_analysis: bool
    ) -> list[BedView]:
        """Beds as the consoles show them; without `with_analysis` only what is new of it."""
        wanted = self.bed_keys() if keys is None else sorted(key for key in keys if key in self._beds)
        beds = [self._beds[key] for key in wanted]
        if not beds:
            return []
        rows = [bed.row for bed in beds]
        newest = self._ring.newest(rows, NUMBER_SAMPLES).tolist()
        return [
            bed_view(
                bed,
                self._sites.get(bed.site),
                newest=newest[index],
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

    def mark_pushed(self, keys: Iterable[tuple[str, str]] | None = None) -> None:
        """Note that every new analysis of these beds, or of all, has been handed to the consoles."""
        for bed in self._beds.values() if keys is None else (self._beds[key] for key in keys):
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
            if (site, name) in self._unwatched_s or len(self._unwatched_s) < MAX_STATES:
                self._unwatched_s[site, name] = self._now_s
            return None
        bed = Bed(site, name, row, BedAlerts(site, name), state=self._states.pop((site, name), None))
        self._beds[site, name] = bed
        return bed


def _push_rates(bed: Bed, observations: Sequence[RawRateObservation], now_ms: int) -> list[AlertTransition]:
    return [move for observation in observations for move in bed.alerts.push_raw(observation, now_ms)]


def _level_fault(bed: Bed, now_ms: int | None) -> str | None:
    """Say why there is no level; `now_ms` only while samples come, which is when one is due."""
    if now_ms is not None and bed.analysed_ms is not None and now_ms - bed.analysed_ms > STALLED_MS:
        return f"no analysis for {(now_ms - bed.analysed_ms) // 1000} s"
    return next((record.error for record in bed.fetuses.values() if record.error), None)
