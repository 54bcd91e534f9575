"""What a round of analysis leads to: shown levels, ribbons, level alerts, segments for the store."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hub.dsp.level import next_shown
from hub.dsp.reading import LiveReading
from hub.model import GRID_MS, AlertTransition, Classification
from hub.pipeline.analysis import BedResult, FetusResult
from hub.pipeline.bed import Bed, SegmentForm
from hub.pipeline.beds import Beds
from hub.pipeline.observe import level_observation, note_coincidence
from hub.pipeline.paths import contained
from hub.pipeline.turns import ANALYSIS_PERIOD_S
from hub.pipeline.views import bed_analysis

BEHIND_MS: Final = 10_000
"""What a bed that catches up read on its way there is told no more often than what is read in time: the
minutes it passes through are not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """A complete segment that the store has not seen in this form."""

    site: str
    bed: str
    fetus: int
    origin_ms: int
    classification: Classification
    algorithm: str

    @property
    def window(self) -> tuple[str, str, int, int]:
        """What it is a reading of: site, bed, fetus and end, Unix ms on the site's clock."""
        return self.site, self.bed, self.fetus, self.origin_ms + round(self.classification.end_s * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What accepting a round of analysis led to."""

    transitions: list[AlertTransition] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)


def accept(beds: Beds, results: Iterable[BedResult], now_ms: int) -> Outcome:
    """Take the results of a round."""
    outcome = Outcome()
    for result in results:
        bed = beds[result.site, result.bed]
        behind_ms = int(beds.ring.heads[bed.row]) * GRID_MS - result.end_ms
        is_told = behind_ms <= BEHIND_MS or abs(now_ms - bed.told_ms) >= ANALYSIS_PERIOD_S * 1000
        bed.told_ms = now_ms if is_told else bed.told_ms
        for one in result.fetuses:
            if one.is_read or one.error:
                _note_reading(bed, one, result.end_ms, is_told=is_told)
                outcome.segments.extend(_new_segments(bed, one.fetus, one.analysis))
            if is_told:
                outcome.transitions.extend(_alert_on_level(bed, one, now_ms))
        if all(one.is_read for one in result.fetuses):
            bed.analysis = bed_analysis(bed.fetuses, result, now_ms=now_ms)
            bed.analysed_ms = now_ms
            bed.is_analysis_new = True
    return outcome


def _note_reading(bed: Bed, one: FetusResult, end_ms: int, *, is_told: bool) -> None:
    record = bed.fetus(one.fetus)
    record.error = one.error
    record.signal_fraction = one.signal_fraction
    if is_told:
        reading = one.analysis
        newest = reading.segments[-1] if reading and reading.segments else None
        record.shown = next_shown(record.shown, reading.rolling if reading else None, newest, end_ms)
        bed.extend_ribbon(one.fetus, end_ms, record.shown.level)


def _new_segments(bed: Bed, fetus: int, reading: LiveReading | None) -> list[StoredSegment]:
    """Give the complete segments that read otherwise than when they were last handed to the store."""
    if reading is None:
        return []
    record = bed.fetus(fetus)
    origin_ms = reading.origin * GRID_MS
    new = []
    forms: dict[int, SegmentForm] = {}
    for segment in reading.segments:
        end_ms = origin_ms + round(segment.end_s * 1000)
        forms[end_ms] = (segment.level, segment.cell, segment.indeterminate)
        if record.stored.get(end_ms) != forms[end_ms]:
            new.append(
                StoredSegment(
                    site=bed.site,
                    bed=bed.bed,
                    fetus=fetus,
                    origin_ms=origin_ms,
                    classification=segment,
                    algorithm=reading.algorithm,
                )
            )
    record.stored = forms
    return new


def _alert_on_level(bed: Bed, one: FetusResult, now_ms: int) -> list[AlertTransition]:
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
