"""What the consoles are told of a bed: numbers, the reading, the strip of the last minutes."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hub.acquisition.ring import RING_CHANNELS
from hub.dsp.level import ShownLevel
from hub.dsp.past import DRAWN
from hub.dsp.reading import LiveReading
from hub.model import (
    GRID_MS,
    HEART_RATES,
    BedAnalysis,
    BedView,
    BedVitals,
    BoolArray,
    Channel,
    FetusAnalysis,
    FetusVitals,
    FrameFlag,
    MonitorStatus,
    SignalQuality,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.pipeline.analysis import FETUS_COLUMNS, BedResult, FetusResult
from hub.pipeline.bed import Bed, FetusRecord, Site
from hub.wire import encode_wave, samples_from_values

SHORTEST_SUSPECT_S = 2.0
FRAME_TICKS = 240

_HIGHEST = 30_000
_BPM: list[float | None] = [None, *(step / 100 for step in range(1, _HIGHEST + 1))]
"""Baselines are told to 0.01 bpm: the lines of all beds share these numbers, 900 of them to a line."""

_COLUMN = {channel: column for column, channel in enumerate(RING_CHANNELS)}


def bed_view(
    bed: Bed,
    site: Site | None,
    *,
    newest: Sequence[float],
    head_ms: int | None,
    age_ms: int | None,
    analysis: BedAnalysis | None,
) -> BedView:
    """Put one bed into the form of the consoles; `newest` has the value of each channel."""
    status = site.status if site else None
    vitals = BedVitals(
        head_ms=head_ms,
        age_ms=age_ms,
        clock_offset_ms=bed.clock_offset_ms,
        link=status.state if status else None,
        device=bed.state.state if bed.state else None,
        is_test=bed.is_test,
        fetuses=tuple(
            FetusVitals(
                fetus=number,
                fhr_bpm=_number(newest[FETUS_COLUMNS[number - 1]]),
                quality=bed.quality.get(number, SignalQuality.UNKNOWN),
                signal_fraction=round(bed.fetus(number).signal_fraction, 3),
            )
            for number in bed.fetus_numbers
        ),
        mhr_bpm=_number(newest[_COLUMN[Channel.MHR]]),
        toco=_number(newest[_COLUMN[Channel.TOCO]]),
        iup_mmhg=_number(newest[_COLUMN[Channel.IUP]]),
        is_coincident=MonitorStatus.COINCIDENCE in bed.status,
    )
    return BedView(
        site=bed.site,
        bed=bed.bed,
        site_name=status.name if status else None,
        label=bed.state.label if bed.state else None,
        gestational_weeks=bed.state.gestational_weeks if bed.state else None,
        vitals=vitals,
        analysis=analysis,
    )


def bed_analysis(records: Mapping[int, FetusRecord], result: BedResult, *, now_ms: int) -> BedAnalysis:
    """Put the result of one round into the form of the consoles; `records` by number of the fetus."""
    readings = [one.analysis for one in result.fetuses if one.analysis is not None]
    first = readings[0] if readings else None
    rolling = first.rolling if first else None
    return BedAnalysis(
        fetuses=tuple(
            fetus_analysis(one, records[one.fetus], end_ms=result.end_ms, now_ms=now_ms)
            for one in result.fetuses
        ),
        contractions=tuple(first.contractions) if first else (),
        are_contractions_known=bool(first and first.are_contractions_known),
        contractions_per_10min=rolling.contractions_per_10min if rolling else None,
        is_tachysystole=bool(rolling and rolling.is_tachysystole),
    )


def fetus_analysis(one: FetusResult, record: FetusRecord, *, end_ms: int, now_ms: int) -> FetusAnalysis:
    """Put the reading of one fetus into the form of the consoles."""
    shown = record.shown or ShownLevel(level=None, since_ms=now_ms)
    reading = one.analysis
    return FetusAnalysis(
        fetus=one.fetus,
        origin_ms=reading.origin * GRID_MS if reading else end_ms,
        computed_ms=now_ms,
        level=shown.level,
        level_since_ms=shown.since_ms,
        last_level=shown.last_level,
        last_level_ms=shown.last_level_ms,
        rolling=reading.rolling if reading else None,
        segments=tuple(reading.segments) if reading else (),
        baseline_step_ms=DRAWN * GRID_MS,
        baseline_bpm=_baseline(reading),
        accelerations=tuple(reading.accelerations) if reading else (),
        decelerations=tuple(reading.decelerations) if reading else (),
        suspect_spans_s=_suspect_spans(reading),
        ribbon=tuple(record.ribbon),
        is_coincidence_checked=bool(reading and reading.is_coincidence_checked),
        algorithm=reading.algorithm if reading else "",
    )


def _baseline(reading: LiveReading | None) -> tuple[float | None, ...]:
    if reading is None:
        return ()
    line = reading.baseline_bpm
    steps = np.where(np.isfinite(line), np.rint(line * 100), 0).astype(np.int64).clip(0, _HIGHEST)
    return tuple(map(_BPM.__getitem__, steps.tolist()))


def _suspect_spans(reading: LiveReading | None) -> tuple[tuple[float, float], ...]:
    if reading is None:
        return ()
    return tuple(span for span in reading.suspect_spans_s if span[1] - span[0] >= SHORTEST_SUSPECT_S)


def recent_frames(
    bed: Bed, samples: npt.NDArray[np.float32], late_ms: npt.NDArray[np.int64], end_ms: int
) -> Iterator[WaveEntry]:
    """Put the newest samples of a bed, shape (channels, n), into wave frames with epoch and seq 0.

    Stretches that came late carry the backfill flag and their time of arrival;
    what is missing altogether is left out, so a gap stays a gap.
    """
    start_ms = end_ms - samples.shape[-1] * GRID_MS
    has_any: BoolArray = np.asarray(np.isfinite(samples).any(axis=0))
    edges = np.flatnonzero((late_ms[1:] != late_ms[:-1]) | (has_any[1:] != has_any[:-1])) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), has_any.size], strict=True):
        if not has_any[start]:
            continue
        for first in range(start, stop, FRAME_TICKS):
            last = min(first + FRAME_TICKS, stop)
            t0_ms = start_ms + first * GRID_MS
            late = int(late_ms[first])
            flags = FrameFlag.TEST if bed.is_test else FrameFlag.NONE
            frame = WaveFrame(
                bed.site,
                bed.bed,
                0,
                0,
                t0_ms,
                GRID_MS,
                last - first,
                flags | (FrameFlag.BACKFILL if late else FrameFlag.NONE),
                bed.status,
                tuple(
                    samples_from_values(
                        channel,
                        samples[column, first:last],
                        transducer=Transducer.UNKNOWN,
                        quality=SignalQuality.UNKNOWN,
                    )
                    for column, channel in enumerate(RING_CHANNELS)
                    if channel in HEART_RATES or np.isfinite(samples[column, first:last]).any()
                    if np.isfinite(samples[column]).any()
                ),
            )
            yield WaveEntry(bed.site, bed.bed, late or frame.end_ms, encode_wave(frame))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 2)
