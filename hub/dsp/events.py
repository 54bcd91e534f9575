"""Accelerations and decelerations: where the FHR leaves its baseline, and what kind of leaving it is."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from hub.dsp import rules
from hub.dsp.event_features import IntArray, measure_peaks
from hub.dsp.event_model import Forest, accept_stretches, is_protected
from hub.dsp.quality import bridge_gaps, find_runs, hold_last
from hub.model import (
    FS_HZ,
    Acceleration,
    BoolArray,
    Contraction,
    Deceleration,
    DecelerationKind,
    FloatArray,
)

ACCELERATION_SMOOTHING_S: Final = 6.0
DECELERATION_SMOOTHING_S: Final = 3.0
NADIR_SMOOTHING_S: Final = 1.0
ACCELERATION_EDGE_BPM: Final = 5.0
DECELERATION_EDGE_BPM: Final = 4.0
"""An event begins and ends this far from the baseline."""
ACCELERATION_FILL: Final = 0.9
DECELERATION_FILL: Final = 1.33
"""Least area of an event, as a multiple of its nominal height times its nominal duration."""
SHOULDER_GAP_S: Final = 10.0
SHOULDER_BPM: Final = 25.0
"""A smaller rise that touches a deceleration is its shoulder, not an acceleration."""
ABRUPT_MARGIN_BPM: Final = 3.0
"""How much less than the nominal 15 is deep enough, because the baseline is uncertain by that much."""
LEAST_ABRUPT_BPM: Final = rules.VARIABLE_MIN_DROP_BPM.value - ABRUPT_MARGIN_BPM
TWIN_GAP_S: Final = 5.0
TWIN_BOTTOMS_S: Final = 60.0
"""Two falls with so short a return between them, and bottoms so near, are one fall with two bottoms (E)."""
SHALLOW_SMOOTHING_S: Final = 15.0
SHALLOW_EDGE_BPM: Final = 3.0
SHALLOW_MIN_BPM: Final = 6.0
SHALLOW_MIN_S: Final = 40.0
SHALLOW_SPAN_S: Final = 600.0
SHALLOW_SHARE: Final = 0.5
SHALLOW_COUNT: Final = 3
"""A late deceleration has no minimum depth in the guideline.  A shallow one cannot be told from
variability alone, so it counts only as one of three that follow half of the contractions around."""

FIRST_BOTTOM_DEPTH: Final = 0.6
FIRST_BOTTOM_HOLD_S: Final = 15.0
FALL_BEGUN: Final = 0.1
FALL_DONE: Final = 0.95
"""Shares of the depth of the first bottom between which the fall is timed, and then drawn on to its ends."""
ONSET_SEARCH_S: Final = 30.0

EARLY_LAG_S: Final = 15.0
"""A nadir up to this long after the peak of its contraction still coincides with it (E)."""
LEAD_S: Final = 20.0
LAG_MAX_S: Final = 90.0
PROVISIONAL_S: Final = 120.0
"""Findings that end within the last 2 min may still change."""


class _Trace(NamedTuple):
    """One bed, as far as a deceleration is described from it."""

    rate: FloatArray
    baseline: FloatArray
    contractions: Sequence[Contraction]
    are_contractions_known: BoolArray
    n_until_lost: int
    """Samples up to the last one with signal."""


def find_accelerations(
    fhr: FloatArray,
    baseline: FloatArray,
    *,
    gestational_weeks: Sequence[float | None],
    decelerations: Sequence[Sequence[Deceleration]],
    model: Forest | None = None,
    begin: int = 0,
) -> list[list[Acceleration]]:
    """Find accelerations of the FHR of each bed.

    Parameters
    ----------
    fhr, baseline : ndarray, shape (n_beds, n_samples)
        Heart rate and its baseline in beats/min at 4 Hz.  NaN in `fhr` marks loss.
    gestational_weeks : sequence of float or None, length n_beds
        Below 32 weeks 10 beats/min for 10 s are enough, else 15 for 15 s [1]_;
        unknown counts as 32 or more.
    decelerations : sequence of sequence of Deceleration, length n_beds
        Decelerations of each bed, whose shoulders are no accelerations.
    model : Forest, optional
        Decides from 32 weeks on in the place of size, area and shoulder; before, and
        without a model, the rules do.
    begin : int, optional
        What ends at or before this sample is left out; it only surrounds the others.

    Returns
    -------
    list of list of Acceleration
        One list per bed, in time order.  From 2 min on they are marked prolonged.

    Notes
    -----
    From 5 beats/min above the baseline, averaged over 6 s, to the return there,
    and with nine tenths of the area that the nominal size would fill [2]_.  A gap
    of more than 15 s ends an acceleration: what was not seen does not reassure.
    A rise of less than 25 beats/min within 10 s of a deceleration is a shoulder.

    References
    ----------
    .. [1] Clinical rules section 1.4, after the JSOG definitions of 2003.
    .. [2] This and the other numbers here were chosen on the 44 development
       records of FHRMA.
    """
    rise = measure_rise(fhr, baseline)
    n = fhr.shape[-1]
    found: list[list[Acceleration]] = [[] for _ in range(fhr.shape[0])]
    runs = find_runs(rise > ACCELERATION_EDGE_BPM)
    is_accepted = None
    if model is not None:
        is_accepted = accept_stretches(model, runs, rise, fhr - baseline, baseline, begin=begin)
    for k, (bed, start, stop) in enumerate(runs.tolist()):
        if stop <= begin:
            continue
        rule = rules.acceleration_rule(gestational_weeks[bed])
        if is_accepted is not None and rule is rules.ACCELERATION_TERM:
            is_event = bool(is_accepted[k])
        else:
            is_event = _is_acceleration(rise[bed, start:stop], rule, start, decelerations[bed])
        if not is_event:
            continue
        part = rise[bed, start:stop]
        peak = int(part.argmax())
        found[bed].append(
            Acceleration(
                onset_s=float(start / FS_HZ),
                peak_s=float((start + peak) / FS_HZ),
                end_s=float(stop / FS_HZ),
                rise_bpm=float(part[peak]),
                is_prolonged=bool(stop - start >= rules.ACCELERATION_PROLONGED_S.value * FS_HZ),
                is_provisional=bool(n - stop < PROVISIONAL_S * FS_HZ),
            )
        )
    return found


def find_decelerations(
    fhr: FloatArray,
    baseline: FloatArray,
    *,
    contractions: Sequence[Sequence[Contraction]],
    are_contractions_known: BoolArray,
    earlier: Sequence[Sequence[Deceleration]] | None = None,
    model: Forest | None = None,
    begin: int = 0,
) -> list[list[Deceleration]]:
    """Find decelerations of the FHR of each bed, with kind and severity.

    Parameters
    ----------
    fhr, baseline : ndarray, shape (n_beds, n_samples)
        Heart rate and its baseline in beats/min at 4 Hz.  NaN in `fhr` marks loss.
    contractions : sequence of sequence of Contraction, length n_beds
        Contractions of each bed.
    are_contractions_known : ndarray of bool, shape (n_beds, n_samples)
        False where the sensor could not have shown a contraction.
    earlier : sequence of sequence of Deceleration, length n_beds, optional
        Decelerations known from before the first sample, with times below 0: they
        count among the regular ones.
    model : Forest, optional
        Decides in the place of depth and area, but for what `is_protected` keeps.
    begin : int, optional
        What ends at or before this sample is left out; it only surrounds the others.

    Returns
    -------
    list of list of Deceleration
        One list per bed, in time order.

    Notes
    -----
    From 4 beats/min below the baseline, averaged over 3 s, to the return there, at
    least 15 s, with 1.33 times the area that 15 beats/min would fill in 15 s.  The
    lowest point is at least 12 beats/min down (15 less what the baseline is
    uncertain by [3]_).  Two that are at most 5 s apart, with bottoms at most 60 s
    apart, are one with two bottoms [3]_.  Shallower ones, down to 6 beats/min, count
    when they are late and regular.  A gap that begins at 15 beats/min or more below
    the baseline is a fall in progress, not loss [2]_; it is followed for 10 min at
    most.

    Kind [1]_: 2 min and longer are prolonged; less than 30 s from the onset to the
    first bottom are variable; gradual ones are early when the nadir comes at most
    15 s after the peak of their contraction and late when it comes later, and
    undetermined when contractions are unknown or none is near.

    References
    ----------
    .. [1] Clinical rules sections 1.5 and 1.6, after the JSOG definitions of 2003.
    .. [2] Clinical rules section 6.
    .. [3] Chosen on the 44 development records of FHRMA.
    """
    below = baseline - bridge_gaps(fhr)
    depth = _smooth_fall(below)
    calm = _departure(below, SHALLOW_SMOOTHING_S)
    rate = np.where(np.isfinite(fhr), baseline - _departure(below, NADIR_SMOOTHING_S), np.nan)
    runs = find_runs(depth > DECELERATION_EDGE_BPM)
    is_event = _are_plain(runs, depth)
    if model is not None:
        is_event &= is_protected(runs, depth, rate)
        is_event |= accept_stretches(model, runs, depth, baseline - fhr, baseline, begin=begin)
    plain = _join_twins(runs[is_event & (runs[:, 2] > begin)], depth)
    shallow = find_runs(calm > SHALLOW_EDGE_BPM)
    shallow = shallow[_are_shallow(shallow, calm) & (shallow[:, 2] > begin)]
    seen = np.isfinite(rate)
    n_until_lost = (seen * np.arange(1, fhr.shape[-1] + 1)).max(axis=-1, initial=0)
    found = []
    for bed in range(fhr.shape[0]):
        trace = _Trace(
            rate[bed], baseline[bed], contractions[bed], are_contractions_known[bed], int(n_until_lost[bed])
        )
        events: list[Deceleration] = []
        for start, stop in plain[plain[:, 0] == bed, 1:].tolist():
            earliest = round(events[-1].end_s * FS_HZ) if events else 0
            event = _describe(trace, depth[bed], start, stop, earliest)
            if event.kind is not DecelerationKind.VARIABLE or event.depth_bpm >= LEAST_ABRUPT_BPM:
                events.append(event)
        before = earlier[bed] if earlier is not None else ()
        free = [
            (start, stop)
            for start, stop in shallow[shallow[:, 0] == bed, 1:].tolist()
            if contractions[bed] and _is_free(start, stop, events)
        ]
        if len(free) + len(before) + len(events) < SHALLOW_COUNT:
            free = []  # too few to be regular, whatever they are
        slight = [_describe(trace, calm[bed], start, stop, 0) for start, stop in free]
        found.append(_add_regular(events, slight, contractions[bed], before))
    return found


def measure_rise(fhr: FloatArray, baseline: FloatArray) -> FloatArray:
    """Give the distance above the baseline in which accelerations are looked for."""
    return _departure(bridge_gaps(fhr) - baseline, ACCELERATION_SMOOTHING_S)


def measure_fall(fhr: FloatArray, baseline: FloatArray) -> FloatArray:
    """Give the distance below the baseline in which decelerations are looked for, carried through gaps."""
    return _smooth_fall(baseline - bridge_gaps(fhr))


def _smooth_fall(below: FloatArray) -> FloatArray:
    return _continue_falls(_departure(below, DECELERATION_SMOOTHING_S), np.isfinite(below))


def _is_acceleration(
    rise: FloatArray, rule: rules.AccelerationRule, start: int, decelerations: Sequence[Deceleration]
) -> bool:
    """Say whether a rise is long, high and large enough, and no shoulder."""
    least_area = ACCELERATION_FILL * rule.min_rise_bpm * rule.min_duration_s * FS_HZ
    if rise.size < rule.min_duration_s * FS_HZ or rise.max() < rule.min_rise_bpm or rise.sum() < least_area:
        return False
    is_high = rise.max() >= SHOULDER_BPM
    return bool(is_high or not _touches(start / FS_HZ, (start + rise.size) / FS_HZ, decelerations))


def _are_plain(runs: IntArray, depth: FloatArray) -> BoolArray:
    """Say which falls are long, deep and large enough to count on their own."""
    drop, shortest = rules.VARIABLE_MIN_DROP_BPM.value, rules.VARIABLE_MIN_S.value * FS_HZ
    is_plain: BoolArray = runs[:, 2] - runs[:, 1] >= shortest
    is_plain &= measure_peaks(runs, depth) >= LEAST_ABRUPT_BPM
    for k in np.flatnonzero(is_plain):
        bed, start, stop = runs[k]
        is_plain[k] = depth[bed, start:stop].sum() >= DECELERATION_FILL * drop * shortest
    return is_plain


def _join_twins(runs: IntArray, depth: FloatArray) -> IntArray:
    """Join falls of a bed that all but touch and have their bottoms near one another."""
    if len(runs) == 0:
        return runs
    bottom = runs[:, 1] + np.array([depth[bed, i:j].argmax() for bed, i, j in runs], dtype=np.intp)
    is_near = (runs[1:, 0] == runs[:-1, 0]) & (runs[1:, 1] - runs[:-1, 2] <= TWIN_GAP_S * FS_HZ)
    is_near &= np.diff(bottom) <= TWIN_BOTTOMS_S * FS_HZ
    first = np.flatnonzero(np.append(True, ~is_near))
    last = np.append(first[1:], len(runs)) - 1
    return np.column_stack((runs[first, :2], runs[last, 2]))


def _are_shallow(runs: IntArray, depth: FloatArray) -> BoolArray:
    is_long: BoolArray = runs[:, 2] - runs[:, 1] >= SHALLOW_MIN_S * FS_HZ
    return is_long & (measure_peaks(runs, depth) >= SHALLOW_MIN_BPM)


def _is_free(start: int, stop: int, events: Sequence[Deceleration]) -> bool:
    return all(stop / FS_HZ <= e.onset_s or start / FS_HZ >= e.end_s for e in events)


def _add_regular(
    events: list[Deceleration],
    slight: Sequence[Deceleration],
    contractions: Sequence[Contraction],
    earlier: Sequence[Deceleration],
) -> list[Deceleration]:
    """Add the slight falls that are late, free of the plain ones, and follow most contractions around."""
    free = [
        s
        for s in slight
        if s.kind is DecelerationKind.LATE
        and all(s.end_s <= e.onset_s or s.onset_s >= e.end_s for e in events)
    ]
    late = [e for e in (*earlier, *events) if e.kind is DecelerationKind.LATE] + free
    for event in free:
        followers = sum(abs(e.nadir_s - event.nadir_s) <= SHALLOW_SPAN_S for e in late)
        around = sum(abs(c.peak_s - event.nadir_s) <= SHALLOW_SPAN_S for c in contractions)
        if followers >= SHALLOW_COUNT and followers >= SHALLOW_SHARE * around:
            events.append(event)
    return sorted(events, key=lambda e: e.onset_s)


def _touches(start_s: float, end_s: float, decelerations: Sequence[Deceleration]) -> bool:
    return any(
        start_s <= d.end_s + SHOULDER_GAP_S and end_s >= d.onset_s - SHOULDER_GAP_S for d in decelerations
    )


def _departure(swing: FloatArray, smoothing_s: float) -> FloatArray:
    """Average the distance from the baseline; 0 in gaps that are not bridged."""
    seen = np.isfinite(swing)
    width = round(smoothing_s * FS_HZ)
    total = uniform_filter1d(np.where(seen, swing, 0.0), width, axis=-1, mode="constant")
    share = uniform_filter1d(seen.astype(np.float64), width, axis=-1, mode="constant")
    return np.asarray(np.where(seen, total / np.maximum(share, 1e-9), 0.0), np.float64)


def _continue_falls(depth: FloatArray, seen: BoolArray) -> FloatArray:
    """Carry a fall of 15 beats/min or more on through the gap behind it."""
    held = hold_last(np.where(seen, depth, np.nan))
    index = np.arange(depth.shape[-1])
    last_seen = np.maximum.accumulate(np.where(seen, index, -1), axis=-1)
    within = index - last_seen <= rules.DECELERATION_BASELINE_CHANGE_S.value * FS_HZ
    is_fall = ~seen & within & (held >= rules.FALL_BEFORE_GAP_BPM.value)
    return np.where(is_fall, held, depth)


def _describe(trace: _Trace, depth: FloatArray, start: int, stop: int, earliest: int) -> Deceleration:
    rate = trace.rate[start:stop]
    seen = np.isfinite(rate)
    n_seen = np.count_nonzero(seen)
    nadir = start + int(np.where(seen, rate, np.inf).argmin() if n_seen else depth[start:stop].argmax())
    unseen_bpm = trace.baseline[nadir] - depth[nadir]
    nadir_bpm = float(trace.rate[nadir] if np.isfinite(trace.rate[nadir]) else unseen_bpm)
    depth_bpm = float(trace.baseline[nadir] - nadir_bpm)
    onset_s, onset_to_nadir_s = _time_fall(depth, start, stop, earliest)
    end_s = stop / FS_HZ
    is_known = trace.are_contractions_known[start:stop].any()
    contraction = _matching_contraction(nadir / FS_HZ, trace.contractions if is_known else ())
    lag_s = None if contraction is None else nadir / FS_HZ - contraction.peak_s
    kind = _kind(end_s - onset_s, onset_to_nadir_s, lag_s)
    return Deceleration(
        onset_s=onset_s,
        nadir_s=nadir / FS_HZ,
        end_s=end_s,
        depth_bpm=depth_bpm,
        nadir_bpm=nadir_bpm,
        kind=kind,
        severity=rules.severity_of(kind, drop_bpm=depth_bpm, nadir_bpm=nadir_bpm, duration_s=end_s - onset_s),
        onset_to_nadir_s=onset_to_nadir_s,
        lag_s=lag_s,
        readable_fraction=float(n_seen) / rate.size,
        is_ongoing=trace.n_until_lost <= stop,
        is_provisional=trace.rate.size - stop < PROVISIONAL_S * FS_HZ,
    )


def _time_fall(depth: FloatArray, start: int, stop: int, earliest: int) -> tuple[float, float]:
    """Give the onset, and the time from there to the bottom at which the fall first comes to rest."""
    part = depth[start:stop]
    hold = round(FIRST_BOTTOM_HOLD_S * FS_HZ)
    deepest_ahead = maximum_filter1d(
        part, hold + 1, mode="constant", cval=-np.inf, origin=-(hold // 2)
    )  # from each sample on
    is_bottom = (part >= deepest_ahead) & (part >= FIRST_BOTTOM_DEPTH * part.max())
    bottom_depth = part[is_bottom.argmax()]
    done = start + int((part >= FALL_DONE * bottom_depth).argmax())
    begin = max(start - round(ONSET_SEARCH_S * FS_HZ), earliest)
    not_begun = np.flatnonzero(depth[begin : done + 1] <= FALL_BEGUN * bottom_depth)
    begun = begin + int(not_begun[-1]) if not_begun.size else begin
    # A straight fall takes this much longer than its middle part, and begins that much earlier.
    fall_s = (done - begun) / FS_HZ / (FALL_DONE - FALL_BEGUN)
    onset_s = max(begun / FS_HZ - FALL_BEGUN * fall_s, begin / FS_HZ)
    return min(onset_s, start / FS_HZ), fall_s


def _matching_contraction(nadir_s: float, contractions: Sequence[Contraction]) -> Contraction | None:
    """Pick the last contraction that peaks before the nadir, or coincides with it."""
    near = [c for c in contractions if -LEAD_S <= nadir_s - c.peak_s <= LAG_MAX_S and nadir_s >= c.onset_s]
    return min(near, key=lambda c: abs(nadir_s - c.peak_s), default=None)


def _kind(duration_s: float, onset_to_nadir_s: float, lag_s: float | None) -> DecelerationKind:
    if duration_s >= rules.PROLONGED_MIN_S.value:
        return DecelerationKind.PROLONGED
    if onset_to_nadir_s < rules.GRADUAL_ONSET_S.value:
        return DecelerationKind.VARIABLE
    if lag_s is None:
        return DecelerationKind.UNDETERMINED
    return DecelerationKind.EARLY if lag_s <= EARLY_LAG_S else DecelerationKind.LATE
