"""The non-stress test before labour: 20 minutes, and 40 if they are not enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.dsp.features import FALSE_AT
from hub.model import (
    FS_HZ,
    Acceleration,
    Analysis,
    BaselineClass,
    Classification,
    Evidence,
    FloatArray,
    Indeterminate,
    VariabilityClass,
)

READABLE_FRACTION: Final = 0.5
"""Of a stretch must have a variability, else that condition is not judged (E)."""
_NOT_THE_FETUS: Final = (Indeterminate.MATERNAL_RATE, Indeterminate.DOUBLING_HALVING)


class NstVerdict(StrEnum):
    REACTIVE = "reactive"
    NON_REACTIVE = "non_reactive"
    CONTINUE = "continue"
    """Not reactive so far, and the record is shorter than 40 min (or than 20)."""
    INDETERMINATE = "indeterminate"
    """Too little signal, or signal that may not be the fetus's."""


@dataclass(frozen=True, slots=True)
class NstCondition:
    """One of the four conditions of a reassuring test; `is_met` is None where it could not be read."""

    name: str
    is_met: bool | None
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class NstReport:
    """What the first 20 or 40 minutes of a record say; times in s from its first sample.

    `acceleration_count` is the largest number whose peaks lie within 20 min.  The
    test is reassuring only if it is reactive and all four `conditions` are met.
    """

    verdict: NstVerdict
    end_s: float
    """How much of the record was looked at."""
    acceleration_count: int
    baseline_bpm: float | None
    variability_bpm: float | None
    deceleration_count: int
    conditions: tuple[NstCondition, ...]
    is_reassuring: bool
    valid_fraction: float
    is_poor_signal: bool
    is_coincidence_checked: bool


def report_nst(fhr: FloatArray, analysis: Analysis, *, fs: float = FS_HZ) -> NstReport:
    """Read a record that begins with a non-stress test.

    Parameters
    ----------
    fhr : ndarray, shape (n_samples,)
        The heart rate in beats/min that `analysis` was made of.  NaN marks signal loss.
    analysis : Analysis
        Its findings, with segments that begin at the first sample.  The gestational
        age given to it decides how large an acceleration is.
    fs : float, optional
        Sampling frequency in Hz.

    Returns
    -------
    NstReport
        Reactive: 2 accelerations in 20 min (V2).  Non-reactive only after 40 min (V2).

    Raises
    ------
    ValueError
        If `fhr` and the arrays of `analysis` differ in shape.

    Notes
    -----
    Reassuring needs all four: baseline of 110 to 160 beats/min, normal variability,
    reactive, no deceleration (V2) [1]_.  Baseline and decelerations are read over
    everything looked at, variability over the 20 minutes that made the test reactive,
    because the reason to go on is a sleep cycle (E).  Under 50 % of signal, or with
    signal that may be maternal or doubled, there is no verdict (E).

    References
    ----------
    .. [1] Clinical rules section 4.1, after the JSOG/JAOG guideline for obstetrics.

    Examples
    --------
    >>> from hub.dsp.analyse import analyse
    >>> fhr = np.full(5760, 140.0)  # 24 min without an acceleration
    >>> report_nst(fhr, analyse(fhr)).verdict.value
    'continue'
    """
    if fhr.shape != analysis.baseline_bpm.shape:
        msg = f"fhr {fhr.shape} and the analysis {analysis.baseline_bpm.shape} must share a shape"
        raise ValueError(msg)
    duration_s = fhr.size / fs
    first_s, longest_s = rules.NST_WINDOW_S.value, rules.NST_EXTENDED_WINDOW_S.value
    end_s = min(first_s, duration_s)
    count, last_s = _most_in_window(analysis.accelerations, end_s)
    if count < rules.NST_MIN_ACCELERATIONS.value:
        end_s = min(longest_s, duration_s)
        count, last_s = _most_in_window(analysis.accelerations, end_s)
    is_reactive = count >= rules.NST_MIN_ACCELERATIONS.value
    segments = [c for c in analysis.segments if c.start_s >= 0 and c.end_s <= end_s]
    valid = np.isfinite(fhr) & (analysis.false_signal < FALSE_AT)
    looked_at = valid[: round(end_s * fs)]
    valid_fraction = float(looked_at.mean()) if looked_at.size else 0.0
    verdict = _verdict(is_reactive, end_s, segments, valid_fraction)
    from_s = max(min(last_s, end_s) - first_s, 0.0) if is_reactive else 0.0
    stretch = slice(round(from_s * fs), round((from_s + first_s if is_reactive else end_s) * fs))
    variability_bpm = _median_variability(analysis.variability_bpm[stretch])
    falls = sum(d.onset_s < end_s for d in analysis.decelerations)
    conditions = (
        NstCondition("baseline", _is_baseline_normal(segments), "V2"),
        NstCondition("variability", _is_variability_normal(segments, variability_bpm), "V2"),
        NstCondition("reactive", _is_met(verdict), "V2"),
        NstCondition("no_deceleration", _is_without_falls(falls, valid_fraction), "V2"),
    )
    baselines = [c.baseline_raw_bpm for c in segments if c.baseline_raw_bpm is not None]
    return NstReport(
        verdict=verdict,
        end_s=end_s,
        acceleration_count=count,
        baseline_bpm=(
            rules.round_half_up(float(np.mean(baselines)), rules.BASELINE_STEP_BPM.value)
            if baselines
            else None
        ),
        variability_bpm=variability_bpm,
        deceleration_count=falls,
        conditions=conditions,
        is_reassuring=all(condition.is_met is True for condition in conditions),
        valid_fraction=valid_fraction,
        is_poor_signal=valid_fraction < rules.GOOD_SIGNAL_FRACTION.value,
        is_coincidence_checked=analysis.is_coincidence_checked,
    )


def _most_in_window(accelerations: Sequence[Acceleration], end_s: float) -> tuple[int, float]:
    """Largest number of accelerations with their peaks in 20 min; when the test first had enough of them."""
    inside = sorted((a.peak_s, a.end_s) for a in accelerations if a.end_s <= end_s)
    peaks = np.array([peak for peak, _ in inside])
    if peaks.size == 0:
        return 0, 0.0
    count = np.arange(peaks.size) - np.searchsorted(peaks, peaks - rules.NST_WINDOW_S.value) + 1
    enough = np.flatnonzero(count >= rules.NST_MIN_ACCELERATIONS.value)
    at = int(enough[0]) if enough.size else int(count.argmax())
    return int(count.max()), inside[at][1]


def _verdict(
    is_reactive: bool, end_s: float, segments: Sequence[Classification], valid_fraction: float
) -> NstVerdict:
    if end_s < rules.NST_WINDOW_S.value:
        return NstVerdict.CONTINUE
    is_other = any(c.indeterminate in _NOT_THE_FETUS for c in segments)
    if valid_fraction < rules.POOR_SIGNAL_FRACTION.value or is_other:
        return NstVerdict.INDETERMINATE
    if is_reactive:
        return NstVerdict.REACTIVE
    return NstVerdict.CONTINUE if end_s < rules.NST_EXTENDED_WINDOW_S.value else NstVerdict.NON_REACTIVE


def _is_met(verdict: NstVerdict) -> bool | None:
    known = {NstVerdict.REACTIVE: True, NstVerdict.NON_REACTIVE: False}
    return known.get(verdict)


def _is_baseline_normal(segments: Sequence[Classification]) -> bool | None:
    if any(c.baseline_class not in (None, BaselineClass.NORMAL) for c in segments):
        return False
    are_read = all(c.baseline_class is not None and c.indeterminate is None for c in segments)
    return True if segments and are_read else None


def _is_without_falls(count: int, valid_fraction: float) -> bool | None:
    if count:
        return False
    return True if valid_fraction >= rules.POOR_SIGNAL_FRACTION.value else None


def _median_variability(pieces: FloatArray) -> float | None:
    known = pieces[np.isfinite(pieces)]
    if known.size == 0 or known.size < READABLE_FRACTION * pieces.size:
        return None
    return rules.round_amplitude(float(np.median(known)))


def _is_variability_normal(segments: Sequence[Classification], variability_bpm: float | None) -> bool | None:
    if any(c.variability_class is VariabilityClass.SINUSOIDAL for c in segments):
        return False
    if variability_bpm is None:
        return None
    return rules.class_of_variability(variability_bpm) is VariabilityClass.MODERATE
