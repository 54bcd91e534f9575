"""How long each heart rate has been beyond each limit, for all beds at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hub.alerts.limits import (
    LOSS_BRIDGED_S,
    PROLONGED_DROP_BPM,
    RECOVERY_S,
    RECOVERY_SEEN_S,
    RULES,
    SEEN_FRACTION,
    SIGNAL_PIECE_S,
    AlertRule,
)
from hub.model import AlertPath, BoolArray, FloatArray

Rates = npt.NDArray[np.floating]

RATE_RULES: Final = tuple(rule for rule in RULES.values() if rule.path is AlertPath.RAW_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateViolation:
    """How long one rate has been beyond one limit; `duration_s` NaN: too long without signal to tell."""

    rule: str
    duration_s: float
    onset_ms: int
    value_bpm: float
    limit_bpm: float | None = None
    """The limit that held; None: the one of the rule.  A fall is measured from its baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRateObservation:
    """The rate of one fetus against every raw-rate limit, now."""

    fetus: int
    violations: tuple[RateViolation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Violation:
    """One limit over all beds; arrays of shape (n_beds,).

    `duration_s` is 0 where the rate is not beyond the limit and NaN where there was
    no signal for so long that nothing can be said.  `onset_s` is how long before the
    end of the signal it began, `value_bpm` the last rate seen beyond the limit, and
    `limit_bpm` the limit itself, which follows the baseline for a fall.
    """

    duration_s: FloatArray
    onset_s: FloatArray
    value_bpm: FloatArray
    limit_bpm: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RawRateSeconds:
    """All raw-rate limits over all beds."""

    by_rule: Mapping[str, Violation]

    @property
    def is_quiet(self) -> BoolArray:
        """Beds beyond no limit, shape (n_beds,); they need no `push_raw` unless a raw-rate alert is open."""
        durations_s = np.stack([violation.duration_s for violation in self.by_rule.values()])
        return np.asarray((durations_s == 0).all(axis=0))

    def observe(self, row: int, *, fetus: int, end_ms: int) -> RawRateObservation:
        """Give the observation of one row; `end_ms` is the end of its signal on the site's clock."""
        violations = tuple(
            RateViolation(
                rule=rule,
                duration_s=float(violation.duration_s[row]),
                onset_ms=end_ms - round(float(violation.onset_s[row]) * 1000),
                value_bpm=float(violation.value_bpm[row]),
                limit_bpm=float(violation.limit_bpm[row]),
            )
            for rule, violation in self.by_rule.items()
        )
        return RawRateObservation(fetus=fetus, violations=violations)


def raw_rate_seconds(
    fhr: Rates,
    *,
    fs: float,
    baseline_bpm: Rates | None = None,
    limits: Iterable[AlertRule] = RATE_RULES,
) -> RawRateSeconds:
    """Measure for how long each rate has been beyond each limit.

    `fhr` has shape (n_beds, n_samples), ends now, NaN is loss, and should reach back
    at least 60 s further than the longest delay: 360 s.  `baseline_bpm`, shape
    (n_beds,), adds a fall of 15 bpm under it to `fhr_below_110_prolonged`; NaN or
    None leaves that out, so that the raw rates do not lean on the analysis.

    The rule: a violation ends when the rate was seen inside the limit and not beyond
    it for more than 10 s.  A loss of signal of up to 60 s does not end it.  It counts
    only as far back as it was seen for half of the time, and a loss at its end counts
    no further than that: loss alone is never a violation.  Give only live signal:
    what was filled in late must be NaN.

    Raises ValueError if `fhr` is not two-dimensional or `fs` is not positive.
    """
    if fhr.ndim != 2 or not fs > 0:
        msg = f"raw rates: expected fhr (beds, samples) and a positive fs, got {fhr.shape} and {fs} Hz"
        raise ValueError(msg)
    recent = fhr[:, -max(1, round(LOSS_BRIDGED_S * fs)) :]
    is_unknown = np.asarray(np.isnan(recent).all(axis=1))
    return RawRateSeconds(
        {rule.key: _measure(fhr, recent, is_unknown, rule, baseline_bpm, fs=fs) for rule in limits}
    )


def signal_loss_seconds(fhr: Rates, *, fs: float) -> FloatArray:
    """Seconds since half of a 5 s stretch last carried signal, per row of `fhr` (n_beds, n_samples)."""
    width = round(SIGNAL_PIECE_S * fs)
    loss_s = np.zeros(fhr.shape[0])
    is_lost = np.isfinite(fhr[:, -width:]).sum(axis=1) < width / 2
    if fhr.shape[1] < width or not is_lost.any():
        return np.where(is_lost, fhr.shape[1] / fs, 0.0)
    counts = np.cumsum(np.isfinite(fhr[is_lost]), axis=1, dtype=np.int32)
    counts[:, width:] -= counts[:, :-width].copy()
    has_signal = counts[:, width - 1 :] >= width / 2
    since = np.argmax(has_signal[:, ::-1], axis=1)
    loss_s[is_lost] = np.where(has_signal.any(axis=1), since, fhr.shape[1]) / fs
    return loss_s


def _measure(
    fhr: Rates,
    recent: Rates,
    is_unknown: BoolArray,
    rule: AlertRule,
    baseline_bpm: Rates | None,
    *,
    fs: float,
) -> Violation:
    n_beds = fhr.shape[0]
    duration_s, onset_s, value_bpm = np.zeros(n_beds), np.zeros(n_beds), np.full(n_beds, np.nan)
    duration_s[is_unknown] = np.nan
    limit_bpm = np.full(n_beds, rule.limit)
    if rule.key == "fhr_below_110_prolonged" and baseline_bpm is not None:
        limit_bpm = np.fmax(limit_bpm, baseline_bpm - PROLONGED_DROP_BPM)
    # Most rates are inside every limit: only rows with a recent violation are looked at closely.
    rows = np.flatnonzero(_is_beyond(recent, rule, limit_bpm).any(axis=1))
    if rows.size:
        close = fhr[rows]
        beyond = _is_beyond(close, rule, limit_bpm[rows])
        stretch = _last_stretch(beyond, ~np.isnan(close), fs=fs)
        duration_s[rows] = stretch.counted / fs
        onset_s[rows] = (fhr.shape[1] - stretch.first) / fs
        value_bpm[rows] = close[np.arange(rows.size), stretch.last]
    return Violation(duration_s, onset_s, value_bpm, limit_bpm)


def _is_beyond(fhr: Rates, rule: AlertRule, limit_bpm: FloatArray) -> BoolArray:
    limits = limit_bpm[:, np.newaxis]
    if rule.key == "fhr_above_160":
        return fhr > limits
    # A rate exactly 15 bpm under its baseline is a fall, one exactly at a fixed limit is not beyond it.
    is_fall = limits > rule.limit
    return (fhr < limits) | (is_fall & (fhr == limits)) if is_fall.any() else fhr < limits


class _Stretch(NamedTuple):
    """First and last sample beyond the limit, and samples that count; shape (n_rows,)."""

    first: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    counted: FloatArray


def _last_stretch(beyond: BoolArray, valid: BoolArray, *, fs: float) -> _Stretch:
    """Find the violation that is going on in each row; every row has a sample beyond the limit."""
    n_rows, n_samples = beyond.shape
    inside = np.cumsum(valid & ~beyond, axis=1, dtype=np.int32)
    rows, cols = np.nonzero(beyond)

    def is_ended(pause: npt.NDArray[np.intp], n_inside: npt.NDArray[np.int32]) -> BoolArray:
        allowed_s = np.where(n_inside >= RECOVERY_SEEN_S * fs, RECOVERY_S, LOSS_BRIDGED_S)
        return pause > allowed_s * fs

    is_new_row = np.diff(rows) > 0
    n_inside = np.diff(inside[rows, cols])
    is_start = np.concatenate(([True], is_new_row | is_ended(np.diff(cols) - 1, n_inside)))

    # Positions in the list of samples beyond the limit: last of each row, start of its last stretch.
    row_last = np.searchsorted(rows, np.arange(n_rows), side="right") - 1
    starts = np.flatnonzero(is_start)
    row_start = starts[np.searchsorted(starts, row_last, side="right") - 1]

    # Go back only as far as the limit was seen exceeded for half of the time.
    position = np.arange(rows.size)
    n_seen = row_last[rows] - position + 1
    elapsed = cols[row_last[rows]] - cols + 1
    is_enough = (position >= row_start[rows]) & (n_seen >= SEEN_FRACTION * elapsed)
    _, earliest = np.unique(rows[is_enough], return_index=True)
    first_position = position[is_enough][earliest]

    last = cols[row_last]
    trailing = n_samples - 1 - last
    n_inside_after = inside[:, -1] - inside[np.arange(n_rows), last]
    is_only_loss = n_inside_after < RECOVERY_SEEN_S * fs
    until_last = elapsed[first_position]
    allowed = np.maximum(until_last, n_seen[first_position] / SEEN_FRACTION)
    counted = np.minimum(until_last + np.where(is_only_loss, trailing, 0), allowed)
    counted[is_ended(trailing, n_inside_after)] = 0
    return _Stretch(cols[first_position], last, counted.astype(np.float64))
