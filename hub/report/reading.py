"""Reads the traces of a recording, or of a stretch of it in the light of what lies around it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from hub.dsp import analyse
from hub.dsp.features import FALSE_AT
from hub.dsp.nst import NstReport, report_nst
from hub.dsp.quality import find_runs
from hub.dsp.stv import Stv, compute_stv
from hub.errors import RecordError
from hub.model import (
    Acceleration,
    Analysis,
    BoolArray,
    Classification,
    Contraction,
    Deceleration,
    FloatArray,
)
from hub.records import Record

MIN_FALSE_S = 5.0
"""Shorter stretches of suspected false signal are counted as loss but not listed."""

_Event = TypeVar("_Event", Acceleration, Deceleration, Contraction)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One trace over one stretch; the times of `analysis` count from `start_s` of the recording.

    `nst` and `stv` are there only for a record before labour.
    """

    name: str
    trace: int
    n_traces: int
    fs: float
    start_s: float
    end_s: float
    gestational_weeks: float | None
    fhr: FloatArray
    toco: FloatArray | None
    mhr: FloatArray | None
    analysis: Analysis
    false_spans: list[tuple[float, float]]
    nst: NstReport | None
    stv: Stv | None

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def are_contractions_known(self) -> bool:
        """Say whether any segment could read them; the analysis itself says it of its last 10 min only."""
        segments = self.analysis.segments
        if not segments:
            return self.analysis.are_contractions_known
        return any(window.contractions_per_10min is not None for window in segments)

    @property
    def valid_fraction(self) -> float:
        return float(np.isfinite(self.fhr).mean())


def read_traces(
    record: Record,
    *,
    from_s: float = 0.0,
    to_s: float | None = None,
    gestational_weeks: float | None = None,
    is_antenatal: bool = False,
    is_one_fetus: bool = False,
) -> list[Reading]:
    """Analyse every trace of a recording.

    The whole recording is analysed; `from_s` and `to_s` choose what of it is told, and
    segments of 10 minutes begin at `from_s`.  `is_one_fetus` takes the traces for
    sensors of one fetus and reads the higher one where both have signal.

    Raises
    ------
    RecordError
        If the stretch is empty or the sampling rate is not one that can be analysed.
    """
    end_s = record.duration_s if to_s is None else min(to_s, record.duration_s)
    a, b = round(from_s * record.fs), round(end_s * record.fs)
    if not 0 <= a < b:
        msg = (
            f"{record.name}: expected a stretch inside its {record.duration_s:g} s,"
            f" got {from_s:g} to {end_s:g} s"
        )
        raise RecordError(msg)
    weeks = record.gestational_weeks if gestational_weeks is None else gestational_weeks
    traces = np.fmax.reduce(record.fhr, axis=0, keepdims=True) if is_one_fetus else record.fhr
    readings = []
    for number, fhr in enumerate(traces, start=1):
        try:
            whole = analyse(
                fhr,
                record.toco,
                record.mhr,
                iup=record.iup,
                fs=record.fs,
                gestational_weeks=weeks,
                segment_offset_s=from_s,
            )
        except ValueError as error:
            msg = f"{record.name}: {error}"
            raise RecordError(msg) from error
        cut = cut_analysis(whole, a, b, record.fs)
        is_false = cut.false_signal >= FALSE_AT
        heard = np.where(is_false, np.nan, fhr[a:b])
        falls = _mark(cut.decelerations, b - a, record.fs)
        readings.append(
            Reading(
                name=record.name,
                trace=number,
                n_traces=len(traces),
                fs=record.fs,
                start_s=a / record.fs,
                end_s=b / record.fs,
                gestational_weeks=weeks,
                fhr=fhr[a:b],
                toco=_part(record.toco if record.iup is None else record.iup, a, b),
                mhr=_part(record.mhr, a, b),
                analysis=cut,
                false_spans=_find_spans(is_false, record.fs),
                nst=report_nst(fhr[a:b], cut, fs=record.fs) if is_antenatal else None,
                stv=(
                    compute_stv(heard, falls, fs=record.fs, gestational_weeks=weeks) if is_antenatal else None
                ),
            )
        )
    return readings


def cut_analysis(whole: Analysis, start: int, stop: int, fs: float) -> Analysis:
    """Take the samples `start` to `stop` out of an analysis; times then count from `start`.

    Events that reach into the stretch stay whole; of the segments only those inside it
    stay, and the rolling window only if it ends with the stretch.
    """
    start_s, stop_s = start / fs, stop / fs
    is_last = stop == whole.baseline_bpm.size
    return replace(
        whole,
        baseline_bpm=whole.baseline_bpm[start:stop],
        variability_bpm=whole.variability_bpm[start:stop],
        false_signal=whole.false_signal[start:stop],
        accelerations=[
            _shift_acceleration(e, start_s) for e in _inside(whole.accelerations, start_s, stop_s)
        ],
        decelerations=[
            _shift_deceleration(e, start_s) for e in _inside(whole.decelerations, start_s, stop_s)
        ],
        contractions=[_shift_contraction(e, start_s) for e in _inside(whole.contractions, start_s, stop_s)],
        segments=[
            _shift_window(c, start_s) for c in whole.segments if start_s <= c.start_s and c.end_s <= stop_s
        ],
        rolling=_shift_window(whole.rolling, start_s) if is_last and whole.rolling is not None else None,
    )


def _inside(events: Sequence[_Event], start_s: float, stop_s: float) -> list[_Event]:
    return [event for event in events if event.onset_s < stop_s and event.end_s > start_s]


def _shift_acceleration(event: Acceleration, by_s: float) -> Acceleration:
    return replace(event, onset_s=event.onset_s - by_s, peak_s=event.peak_s - by_s, end_s=event.end_s - by_s)


def _shift_deceleration(event: Deceleration, by_s: float) -> Deceleration:
    return replace(
        event, onset_s=event.onset_s - by_s, nadir_s=event.nadir_s - by_s, end_s=event.end_s - by_s
    )


def _shift_contraction(event: Contraction, by_s: float) -> Contraction:
    return replace(event, onset_s=event.onset_s - by_s, peak_s=event.peak_s - by_s, end_s=event.end_s - by_s)


def _shift_window(window: Classification, by_s: float) -> Classification:
    reasons = tuple(
        replace(reason, start_s=reason.start_s - by_s, end_s=reason.end_s - by_s) for reason in window.reasons
    )
    return replace(window, start_s=window.start_s - by_s, end_s=window.end_s - by_s, reasons=reasons)


def _part(signal: FloatArray | None, start: int, stop: int) -> FloatArray | None:
    return None if signal is None else signal[start:stop]


def _mark(events: Sequence[Deceleration], n: int, fs: float) -> BoolArray:
    marked = np.zeros(n, dtype=bool)
    for event in events:
        marked[max(round(event.onset_s * fs), 0) : max(round(event.end_s * fs), 0)] = True
    return marked


def _find_spans(is_false: BoolArray, fs: float) -> list[tuple[float, float]]:
    runs = find_runs(is_false[None])
    return [(a / fs, b / fs) for _, a, b in runs.tolist() if (b - a) / fs >= MIN_FALSE_S]
