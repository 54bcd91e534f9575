"""What one 10-minute window says: the hand-over from signal analysis to the guideline tables."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.dsp.quality import find_runs
from hub.dsp.sinusoidal import SinusoidalRun
from hub.model import (
    FS_HZ,
    Acceleration,
    BoolArray,
    Contraction,
    Deceleration,
    DecelerationKind,
    FloatArray,
)

FALSE_AT: Final = 0.5
"""Samples with this probability of not being the fetus count as loss."""
KNOWN_FRACTION: Final = 0.5
COVERING_FRACTION: Final = 0.2
MIN_PIECES: Final = 2
"""1-minute pieces below which the variability of a window is not judged."""
RANGE_BOUNDS_BPM: Final = (5.0, 25.0)
SINUSOIDAL_TOUCH_S: Final = 60.0
RECURRENCE_S: Final = 3600.0

_PIECE: Final = round(rules.VARIABILITY_PIECE_S.value * FS_HZ)
_BESIDE: Final = round(5.0 * FS_HZ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """How regularly one kind of deceleration comes with the contractions.

    Counted over the `span_min` minutes that end with the window (at most 60),
    beginning with the first deceleration of the kind.  `fraction` is the share of
    the contractions of that span that carry one; None while contractions are unknown.
    `last_20_min_fraction` is the same over the last 20 minutes (NICHD 2008).
    """

    kind: DecelerationKind
    count: int
    span_min: float
    fraction: float | None
    last_20_min_fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFeatures:
    """All that one 10-minute window of one fetus says; every `*_s` counts from the first sample.

    Samples judged false (maternal rate, doubling, spikes) count as loss everywhere
    but in `false_signal_fraction`.  None means "could not be read", never zero.
    """

    start_s: float
    end_s: float
    is_rolling: bool = False
    is_complete: bool = True
    """False when the record is shorter than the window: no level may be given."""

    baseline_raw_bpm: float | None
    """Mean of the baseline stretches of this window, not rounded; None: not assessable here."""
    baseline_readable_s: float
    """Seconds of valid signal outside events and outside marked variability."""
    is_several_baselines: bool = False
    """Stretches that could be the baseline differ by 26 bpm or more."""
    previous_baseline_bpm: float | None = None
    """Raw baseline of the newest earlier window that had one, for when this one has none."""

    variability_bpm: float | None
    """Median peak-to-trough amplitude of the 1-minute pieces, rounded half-up to whole bpm."""
    variability_piece_count: int = 0
    """1-minute pieces behind `variability_bpm`."""
    variability_duration_min: float = 0.0
    """Minutes up to the window's end for which the amplitude has stayed in its present range
    (below 5, 5 to 25, above 25 bpm), the window itself included."""
    deceleration_variability_low_min: float = 0.0
    """Longest stretch inside one deceleration of the window with amplitude below 5 bpm, minutes."""

    sinusoidal_min: float = 0.0
    """Minutes for which a sinusoidal pattern that touches the window has been running; 0: none."""
    sinusoidal_amplitude_bpm: float | None = None
    """Mean peak-to-trough amplitude of that pattern."""

    accelerations: tuple[Acceleration, ...] = ()
    decelerations: tuple[Deceleration, ...] = ()
    """Events of which any part lies in the window, in time order."""
    recurrences: tuple[Recurrence, ...] = ()
    """One entry per kind of deceleration seen in the last hour."""

    are_contractions_known: bool = False
    contractions: tuple[Contraction, ...] = ()
    """Contractions whose peak lies in the window."""
    contractions_per_10min: int | None = None
    """Number of those; None while contractions are unknown."""
    contractions_per_10min_mean: float | None = None
    """Mean number per 10 minutes over the last 30 minutes, or what there is of them."""

    valid_fraction: float
    longest_gap_s: float
    is_fall_hidden: bool = False
    """A gap of more than 60 s may hide a prolonged deceleration."""
    false_signal_fraction: float = 0.0
    """Share of the window's samples judged not to be the fetus."""
    is_maternal_rate: bool = False
    """Coincidence with the maternal rate stands at the window's end, or covers a fifth of it."""
    is_doubling_halving: bool = False
    """A doubling or halving of the rate is suspected and was not resolved."""
    is_coincidence_checked: bool = False
    """A maternal rate was there to compare with."""

    gestational_weeks: float | None = None
    modifiers: frozenset[str] = frozenset()
    """Background recorded by people: "growth_restriction", "placental_abnormality", "special_cause"."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BedFindings:
    """All that was found in the signal of one fetus; arrays have shape (n_samples,) at 4 Hz.

    Events count in s from a time origin, which the arrays may begin `first` samples
    behind: the events of an hour are remembered longer than its samples.
    """

    fhr: FloatArray
    """Cleaned: NaN marks loss and samples judged false."""
    baseline: FloatArray
    false_probability: FloatArray
    is_coincident: BoolArray
    is_doubling_halving: BoolArray
    is_coincidence_checked: bool
    accelerations: Sequence[Acceleration]
    decelerations: Sequence[Deceleration]
    sinusoidal: Sequence[SinusoidalRun]
    contractions: Sequence[Contraction]
    are_contractions_known: BoolArray
    gestational_weeks: float | None
    modifiers: frozenset[str]
    first: int = 0


def compute_window_features(
    found: BedFindings,
    pieces: FloatArray,
    *,
    start: int,
    stop: int,
    previous_baseline_bpm: float | None,
    is_rolling: bool,
) -> WindowFeatures:
    """Gather what one window of one fetus says.

    Parameters
    ----------
    found : BedFindings
        Findings of the whole record.
    pieces : ndarray, shape (n_pieces,)
        Variability in beats/min of the 1-minute pieces up to `stop`, the last one
        ending there; NaN where not assessable.
    start, stop : int
        First sample of the window, and the one behind its last, from the time origin.
    previous_baseline_bpm : float or None
        Baseline of the newest earlier window that had one.
    is_rolling : bool
        The window ends where the record ends, not at a segment boundary.

    Returns
    -------
    WindowFeatures
        With `is_complete` False when the window is shorter than 10 min.

    Notes
    -----
    The baseline is the mean of the readable samples outside events and outside
    marked variability, at least 2 min of them [1]_.  When the whole window is
    marked, its marked parts are read after all, because Table IV of the level
    classification presumes a baseline there (E).  Two 2-minute means of them that
    differ by 26 beats/min or more are several baselines [1]_.

    References
    ----------
    .. [1] Clinical rules sections 1.1, 1.2 and 6.
    """
    start_s, end_s = start / FS_HZ, stop / FS_HZ
    span = slice(start - found.first, stop - found.first)
    fhr = found.fhr[span]
    valid = np.isfinite(fhr)
    in_window = pieces[max(pieces.size - (stop - start) // _PIECE, 0) :]
    accelerations = tuple(a for a in found.accelerations if a.onset_s < end_s and a.end_s > start_s)
    decelerations = tuple(d for d in found.decelerations if d.onset_s < end_s and d.end_s > start_s)
    is_event = _mark_within((*accelerations, *decelerations), start, stop)
    readable, candidates = _readable_parts(fhr, valid & ~is_event, in_window)
    readable_s = int(np.count_nonzero(readable)) / FS_HZ
    is_several = bool(
        candidates.size and candidates.max() - candidates.min() >= rules.BASELINE_SEVERAL_BPM.value
    )
    is_readable = readable_s >= rules.BASELINE_MIN_READABLE_S.value
    contractions = tuple(c for c in found.contractions if start_s <= c.peak_s < end_s)
    is_known = stop > start and _share(found.are_contractions_known[span]) >= KNOWN_FRACTION
    amplitude, duration_min = _summarise_variability(pieces, len(in_window))
    wave = _sinusoidal_in(found.sinusoidal, start_s, end_s)
    false = found.false_probability[span] >= FALSE_AT
    doubling = found.is_doubling_halving[span]
    longest_gap_s = _longest_gap_s(valid)
    is_fall_hidden = longest_gap_s > rules.LONG_GAP_S.value and _is_fall_hidden(found, span.start, span.stop)
    return WindowFeatures(
        start_s=start_s,
        end_s=end_s,
        is_rolling=is_rolling,
        is_complete=stop - start >= round(rules.SEGMENT_S.value * FS_HZ),
        baseline_raw_bpm=float(fhr[readable].mean()) if is_readable and not is_several else None,
        baseline_readable_s=readable_s,
        is_several_baselines=is_readable and is_several,
        previous_baseline_bpm=previous_baseline_bpm,
        variability_bpm=amplitude,
        variability_piece_count=int(np.count_nonzero(np.isfinite(in_window))),
        variability_duration_min=duration_min,
        deceleration_variability_low_min=max((_low_inside(found, d) for d in decelerations), default=0.0),
        sinusoidal_min=0.0 if wave is None else (min(wave.end_s, end_s) - wave.start_s) / 60,
        sinusoidal_amplitude_bpm=None if wave is None else wave.amplitude_bpm,
        accelerations=accelerations,
        decelerations=decelerations,
        recurrences=_count_recurrences(found, end_s, is_known=is_known),
        are_contractions_known=is_known,
        contractions=contractions,
        contractions_per_10min=_per_10min(len(contractions), end_s - start_s) if is_known else None,
        contractions_per_10min_mean=_mean_per_10min(found.contractions, end_s) if is_known else None,
        valid_fraction=_share(valid),
        longest_gap_s=longest_gap_s,
        is_fall_hidden=is_fall_hidden,
        false_signal_fraction=_share(false),
        is_maternal_rate=_stands_or_covers(found.is_coincident[span], false & ~doubling),
        is_doubling_halving=_stands_or_covers(doubling, doubling),
        is_coincidence_checked=found.is_coincidence_checked,
        gestational_weeks=found.gestational_weeks,
        modifiers=found.modifiers,
    )


def mark_events(events: Sequence[Acceleration] | Sequence[Deceleration], n_samples: int) -> BoolArray:
    """Mark the samples that lie inside an event, shape (n_samples,)."""
    marked = np.zeros(n_samples, dtype=bool)
    for event in events:
        marked[round(event.onset_s * FS_HZ) : round(event.end_s * FS_HZ)] = True
    return marked


def _mark_within(events: Sequence[Acceleration | Deceleration], start: int, stop: int) -> BoolArray:
    marked = np.zeros(stop - start, dtype=bool)
    for event in events:
        marked[max(round(event.onset_s * FS_HZ) - start, 0) : max(round(event.end_s * FS_HZ) - start, 0)] = (
            True
        )
    return marked


def _share(mask: BoolArray) -> float:
    return int(np.count_nonzero(mask)) / mask.size if mask.size else 0.0


def _readable_parts(
    fhr: FloatArray, outside: BoolArray, in_window: FloatArray
) -> tuple[BoolArray, FloatArray]:
    """Find the samples that may enter the baseline, and the means of 2-minute stretches outside events."""
    marked = np.zeros(fhr.size, dtype=bool)
    if in_window.size:
        is_marked = in_window >= rules.BASELINE_EXCLUDED_VARIABILITY_BPM.value
        marked[-in_window.size * _PIECE :] = np.repeat(is_marked, _PIECE)
    readable = outside & ~marked
    if np.count_nonzero(readable) / FS_HZ < rules.BASELINE_MIN_READABLE_S.value:
        readable = outside
    n_minutes = fhr.size // _PIECE
    cut = fhr.size - n_minutes * _PIECE
    rate = np.where(outside, fhr, 0.0)[cut:].reshape(n_minutes, _PIECE).sum(axis=-1)
    count = outside[cut:].reshape(n_minutes, _PIECE).sum(axis=-1)
    pair_count = count[1:] + count[:-1]
    is_enough = (np.minimum(count[1:], count[:-1]) >= _PIECE / 3) & (pair_count > 0)
    return readable, ((rate[1:] + rate[:-1]) / np.maximum(pair_count, 1))[is_enough]


def _summarise_variability(pieces: FloatArray, n_window: int) -> tuple[float | None, float]:
    """Amplitude of the window, and for how many minutes it has stayed in its range."""
    amplitude = _median_amplitude(pieces[pieces.size - n_window :])
    if amplitude is None:
        return None, 0.0
    if pieces.size <= n_window:
        return amplitude, float(n_window)
    # Every earlier window of the same length at once; NaN sorts to the end.
    earlier = np.sort(np.lib.stride_tricks.sliding_window_view(pieces[:-1], n_window), axis=-1)
    seen = np.isfinite(earlier).sum(axis=-1)
    at = np.arange(seen.size)
    middle = (seen // 2).clip(max=n_window - 1)
    medians = (earlier[at, middle] + earlier[at, (seen - 1) // 2]) / 2
    amplitudes = np.floor(medians + 0.5)
    ranges = (amplitudes >= RANGE_BOUNDS_BPM[0]).astype(int) + (amplitudes > RANGE_BOUNDS_BPM[1])
    is_other = (seen < MIN_PIECES) | (ranges != _range_of(amplitude))
    stays = int(np.argmax(is_other[::-1])) if is_other.any() else seen.size
    return amplitude, float(n_window + stays)


def _median_amplitude(pieces: FloatArray) -> float | None:
    # Ten numbers: the sort of a list costs a tenth of a call of np.median.
    seen = sorted(p for p in pieces.tolist() if not isnan(p))
    if len(seen) < MIN_PIECES:
        return None
    middle = len(seen) // 2
    return rules.round_half_up((seen[middle] + seen[~middle]) / 2)


def _range_of(amplitude_bpm: float) -> int:
    return int(amplitude_bpm >= RANGE_BOUNDS_BPM[0]) + int(amplitude_bpm > RANGE_BOUNDS_BPM[1])


def _low_inside(found: BedFindings, event: Deceleration) -> float:
    """Longest run of minutes inside a deceleration with an amplitude below 5 bpm, its slope taken out."""
    if event.end_s - event.onset_s < 120.0:
        return 0.0
    onset = max(round(event.onset_s * FS_HZ) - found.first, 0)
    inside = found.fhr[onset : round(event.end_s * FS_HZ) - found.first]
    n = inside.size // _PIECE
    if n < 2:
        return 0.0
    minutes = inside[: n * _PIECE].reshape(n, _PIECE // round(FS_HZ), round(FS_HZ))
    is_seen: BoolArray = np.asarray(np.isfinite(minutes).all(axis=-1))
    seconds = np.where(is_seen[..., None], minutes, 0.0).mean(axis=-1)
    longest = current = 0
    for second, seen in zip(seconds, is_seen, strict=True):
        is_low = False
        if seen.mean() >= 0.5:
            at = np.flatnonzero(seen)
            at = at - at.mean()
            swing = second[seen] - second[seen].mean()
            is_low = bool(np.ptp(swing - (at @ swing) / (at @ at) * at) < RANGE_BOUNDS_BPM[0])
        current = current + 1 if is_low else 0
        longest = max(longest, current)
    return float(longest)


def _sinusoidal_in(runs: Sequence[SinusoidalRun], start_s: float, end_s: float) -> SinusoidalRun | None:
    touching = [r for r in runs if min(r.end_s, end_s) - max(r.start_s, start_s) >= SINUSOIDAL_TOUCH_S]
    return max(touching, key=lambda r: min(r.end_s, end_s) - r.start_s, default=None)


def _count_recurrences(found: BedFindings, end_s: float, *, is_known: bool) -> tuple[Recurrence, ...]:
    horizon_s = max(end_s - RECURRENCE_S, 0.0)
    recent = [d for d in found.decelerations if horizon_s < d.end_s and d.onset_s < end_s]
    counted = []
    for kind in sorted({d.kind for d in recent}):
        same = [d for d in recent if d.kind is kind]
        since_s = max(same[0].onset_s, horizon_s)
        counted.append(
            Recurrence(
                kind=kind,
                count=len(same),
                span_min=(end_s - since_s) / 60,
                fraction=_share_with(found.contractions, same, since_s, end_s) if is_known else None,
                last_20_min_fraction=_share_with(found.contractions, same, max(end_s - 1200.0, 0.0), end_s)
                if is_known
                else None,
            )
        )
    return tuple(counted)


def _share_with(
    contractions: Sequence[Contraction], events: Sequence[Deceleration], start_s: float, end_s: float
) -> float | None:
    """Share of the contractions of a span that carry one of these decelerations."""
    within = [c for c in contractions if start_s - 60.0 <= c.peak_s < end_s]
    if not within:
        return None
    peaks = sorted(d.nadir_s - d.lag_s for d in events if d.lag_s is not None)
    n_carrying = 0
    for contraction in within:
        at = bisect_right(peaks, contraction.peak_s - 1.0)
        n_carrying += at < len(peaks) and peaks[at] < contraction.peak_s + 1.0
    return min(n_carrying, len(events)) / len(within)


def _per_10min(count: int, span_s: float) -> int:
    return (
        count if span_s >= rules.SEGMENT_S.value else round(count * rules.SEGMENT_S.value / max(span_s, 60.0))
    )


def _mean_per_10min(contractions: Sequence[Contraction], end_s: float) -> float:
    span_s = min(end_s, rules.TACHYSYSTOLE_NICHD_AVERAGE_S.value)
    count = sum(end_s - span_s <= c.peak_s < end_s for c in contractions)
    return count * rules.SEGMENT_S.value / span_s


def _longest_gap_s(valid: BoolArray) -> float:
    # Positions of what is valid, framed: much quicker than runs, and asked of every window of every bed.
    at = np.flatnonzero(valid)
    if at.size == valid.size:
        return 0.0
    if at.size == 0:
        return valid.size / FS_HZ
    longest = max(int(at[0]), valid.size - 1 - int(at[-1]), int(np.diff(at).max(initial=1)) - 1)
    return longest / FS_HZ


def _is_fall_hidden(found: BedFindings, start: int, stop: int) -> bool:
    """Say whether a gap of over 60 s could hold a prolonged deceleration.

    One of 2 min or more could hold it whole, one that is still open could be its
    beginning, and a shorter one could hold its rest when the rate beside it is low.
    """
    n = found.fhr.size
    low = found.baseline - found.fhr >= rules.FALL_BEFORE_GAP_BPM.value
    for _, first, last in find_runs(~np.isfinite(found.fhr)[None]):
        inside = min(last, stop) - max(first, start)
        if inside <= rules.LONG_GAP_S.value * FS_HZ:
            continue
        is_long = last - first >= rules.PROLONGED_MIN_S.value * FS_HZ
        beside = low[max(first - _BESIDE, 0) : first].any() or low[last : last + _BESIDE].any()
        if is_long or beside or last == n or first == 0:
            return True
    return False


def _stands_or_covers(standing: BoolArray, covering: BoolArray) -> bool:
    return bool(standing.size and (standing[-1] or _share(covering) >= COVERING_FRACTION))
