"""The analysis of beds from samples to classifications: one code for live beds and for whole records."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.baseline import estimate_baseline
from hub.dsp.baseline_choice import load_choice
from hub.dsp.classify import classify_window
from hub.dsp.contractions import UterineActivity, find_contractions
from hub.dsp.event_model import load_event_model
from hub.dsp.events import find_accelerations, find_decelerations
from hub.dsp.false_signal import PROBABILITY_COINCIDENT, FalseSignal, estimate_false_signal
from hub.dsp.features import FALSE_AT, BedFindings, compute_window_features, mark_events
from hub.dsp.learned import estimate_learned, load_network
from hub.dsp.quality import find_spikes, remove_impossible
from hub.dsp.sinusoidal import find_sinusoidal, is_cycle
from hub.dsp.suspicion import count_low_rates, join_learned
from hub.dsp.variability import compute_variability, spread_pieces
from hub.model import FS_HZ, Acceleration, Analysis, BoolArray, Classification, Deceleration, FloatArray

_T = TypeVar("_T")

ALGORITHM: Final = ", ".join(
    ["ctg-hub rules 1"]
    + ["false signal 3"] * (load_network() is not None)
    + ["baseline 2"] * (load_choice() is not None)
    + ["events 2"] * (load_event_model() is not None)
)
"""Changes whenever the same samples may lead to another answer."""

LOWEST_FS_HZ: Final = 1.0
HIGHEST_FS_HZ: Final = 1000.0
BASELINE_REACH_S: Final = 60.0
"""The baseline is shown up to this far from the nearest signal."""


def analyse(
    fhr: npt.ArrayLike,
    toco: npt.ArrayLike | None = None,
    mhr: npt.ArrayLike | None = None,
    *,
    fs: float = FS_HZ,
    gestational_weeks: float | None = None,
    iup: npt.ArrayLike | None = None,
    segment_offset_s: float = 0.0,
    modifiers: frozenset[str] = frozenset(),
    use_learned: bool = True,
    is_scalp: bool = False,
) -> Analysis:
    """Analyse the heart rate of one fetus.

    Parameters
    ----------
    fhr : array_like, shape (n_samples,)
        Fetal heart rate in beats/min.  NaN marks signal loss; rates outside 30 to
        240 count as loss too.
    toco, mhr, iup : array_like, shape (n_samples,), optional
        Tocodynamometer in monitor units, maternal heart rate in beats/min and
        intrauterine pressure in mmHg on the same clock.  Pressure goes before toco.
    fs : float, optional
        Sampling frequency in Hz, 1 to 1000.  The analysis works at 4 Hz and takes
        the sample that was current at each of its ticks.
    gestational_weeks : float, optional
        Gestational age, for the size of an acceleration.
    segment_offset_s : float, optional
        Time of a segment boundary, in s from the first sample; the others lie
        every 600 s from it.
    modifiers : frozenset of str, optional
        Background recorded by people; see `WindowFeatures.modifiers`.
    use_learned : bool, optional
        Let the learned detector judge which signal is false, if its weights are
        there; else rules alone do.
    is_scalp : bool, optional
        The rate is from a scalp electrode, not from Doppler; see `remove_false`.

    Returns
    -------
    Analysis
        Arrays have the shape of `fhr`; times are in s from its first sample.

    Raises
    ------
    ValueError
        If `fhr` is not one-dimensional, another signal differs from it in shape,
        or `fs` or `segment_offset_s` is out of range.

    Notes
    -----
    `hub.dsp.rules` holds the clinical numbers with their sources, docs/analysis.md
    describes the methods.  A reading aid, not a diagnosis.

    Examples
    --------
    >>> result = analyse(np.full(4800, 140.0))
    >>> [round(b) for b in result.baseline_bpm[[0, -1]]]
    [140, 140]
    """
    rate = np.asarray(fhr, dtype=np.float64)
    if rate.ndim != 1:
        msg = f"fhr must have shape (n_samples,), got {rate.shape}"
        raise ValueError(msg)

    def row(signal: npt.ArrayLike | None) -> FloatArray | None:
        return None if signal is None else np.asarray(signal, dtype=np.float64)[None]

    return analyse_beds(
        rate[None],
        row(toco),
        row(mhr),
        fs=fs,
        gestational_weeks=[gestational_weeks],
        iup=row(iup),
        segment_offset_s=segment_offset_s,
        modifiers=[modifiers],
        use_learned=use_learned,
        is_scalp=[is_scalp],
    )[0]


def analyse_beds(
    fhr: npt.ArrayLike,
    toco: npt.ArrayLike | None = None,
    mhr: npt.ArrayLike | None = None,
    *,
    fs: float = FS_HZ,
    gestational_weeks: Sequence[float | None] | None = None,
    iup: npt.ArrayLike | None = None,
    segment_offset_s: float = 0.0,
    modifiers: Sequence[frozenset[str]] | None = None,
    use_learned: bool = True,
    is_scalp: Sequence[bool] | None = None,
) -> list[Analysis]:
    """Analyse many fetuses at once; each row gets the answer that `analyse` gives for it alone.

    Parameters
    ----------
    fhr : array_like, shape (n_beds, n_samples)
        Fetal heart rates in beats/min, one fetus in a row.  NaN marks signal loss.
    toco, mhr, iup : array_like, shape (n_beds, n_samples), optional
        As in `analyse`; a row that is all NaN is an absent channel.
    fs : float, optional
        Sampling frequency in Hz, 1 to 1000.
    gestational_weeks : sequence of float or None, length n_beds, optional
        Gestational ages.
    segment_offset_s : float, optional
        Time of a segment boundary, in s from the first sample.
    modifiers : sequence of frozenset of str, length n_beds, optional
        Background recorded by people.
    use_learned : bool, optional
        As in `analyse`.
    is_scalp : sequence of bool, length n_beds, optional
        Which rates are from a scalp electrode.

    Returns
    -------
    list of Analysis
        One for each row.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or `fs` or `segment_offset_s` is out of range.
    """
    rate = np.asarray(fhr, dtype=np.float64)
    channels = [
        _check_channel(name, x, rate.shape) for name, x in (("toco", toco), ("mhr", mhr), ("iup", iup))
    ]
    n_beds, n_given = _check_call(rate, fs, segment_offset_s)
    weeks = _check_length("gestational_weeks", gestational_weeks, None, n_beds)
    backgrounds = _check_length("modifiers", modifiers, frozenset[str](), n_beds)
    scalp: BoolArray = np.array(_check_length("is_scalp", is_scalp, False, n_beds), np.bool_)

    source = _grid_index(n_given, fs)
    toco_4, mhr_4, iup_4 = (x[:, source] for x in channels)
    raw = rate[:, source]
    mother = remove_impossible(mhr_4)
    network = load_network() if use_learned else None
    learned = None if network is None else estimate_learned(network, remove_impossible(raw), mother, toco_4)
    clean, false = remove_false(raw, mother, learned, scalp)
    activity = find_activity(toco_4, iup_4)
    baseline = estimate_baseline(clean)
    accelerations, decelerations = find_events(clean, baseline, activity, weeks)
    waves = find_sinusoidal(clean, baseline)
    found = [
        BedFindings(
            fhr=clean[bed],
            baseline=baseline[bed],
            false_probability=false.probability[bed],
            is_coincident=false.is_coincident[bed],
            is_doubling_halving=false.is_doubling_halving[bed],
            is_coincidence_checked=bool(false.is_checked[bed]),
            accelerations=[
                a for a in accelerations[bed] if not is_cycle(waves[bed], a.onset_s, a.end_s, a.rise_bpm)
            ],
            decelerations=[
                d for d in decelerations[bed] if not is_cycle(waves[bed], d.onset_s, d.end_s, d.depth_bpm)
            ],
            sinusoidal=waves[bed],
            contractions=activity.contractions[bed],
            are_contractions_known=activity.is_known[bed],
            gestational_weeks=weeks[bed],
            modifiers=backgrounds[bed],
        )
        for bed in range(n_beds)
    ]
    given = _given_index(n_given, source.size, fs)
    analyses = _read_windows(found, clean, baseline, segment_offset_s, given)
    if false.shown is None:
        return analyses
    return [replace(a, false_signal=row[given]) for a, row in zip(analyses, false.shown, strict=True)]


def _check_call(rate: FloatArray, fs: float, segment_offset_s: float) -> tuple[int, int]:
    if rate.ndim != 2:
        msg = f"fhr must have shape (n_beds, n_samples), got {rate.shape}"
        raise ValueError(msg)
    if not LOWEST_FS_HZ <= fs <= HIGHEST_FS_HZ:
        msg = f"fs must lie in {LOWEST_FS_HZ} to {HIGHEST_FS_HZ} Hz, got {fs}"
        raise ValueError(msg)
    if not np.isfinite(segment_offset_s):
        msg = f"segment_offset_s must be a number of seconds, got {segment_offset_s}"
        raise ValueError(msg)
    return rate.shape[0], rate.shape[1]


def _check_channel(name: str, signal: npt.ArrayLike | None, shape: tuple[int, ...]) -> FloatArray:
    if signal is None:
        return np.full(shape, np.nan)
    values = np.asarray(signal, dtype=np.float64)
    if values.shape != shape:
        msg = f"{name} {values.shape} and fhr {shape} must share a shape"
        raise ValueError(msg)
    return values


def _check_length(name: str, given: Sequence[_T] | None, default: _T, n_beds: int) -> Sequence[_T]:
    if given is None:
        return [default] * n_beds
    if len(given) != n_beds:
        msg = f"{name} must have one entry for each of {n_beds} beds, got {len(given)}"
        raise ValueError(msg)
    return given


def _grid_index(n_given: int, fs: float) -> npt.NDArray[np.intp]:
    """Index of the given sample that is current at each tick of the 4 Hz grid."""
    if fs == FS_HZ:
        return np.arange(n_given)
    n = max(round(n_given * FS_HZ / fs), min(n_given, 1))
    return np.minimum((np.arange(n) * fs / FS_HZ + 1e-9).astype(np.intp), max(n_given - 1, 0))


def _given_index(n_given: int, n: int, fs: float) -> npt.NDArray[np.intp]:
    """Index of the 4 Hz tick that answers for each given sample."""
    if fs == FS_HZ:
        return np.arange(n_given)
    return np.minimum((np.arange(n_given) * FS_HZ / fs + 1e-9).astype(np.intp), max(n - 1, 0))


def remove_false(
    raw: FloatArray,
    mhr: FloatArray,
    learned: FloatArray | None = None,
    is_scalp: BoolArray | None = None,
) -> tuple[FloatArray, FalseSignal]:
    """Take out what is no signal or not the fetus; the probabilities say what was taken out and why.

    `learned` are the probabilities of the learned detector; without them rules decide alone.
    What comes from a scalp electrode, rows of `is_scalp`, is left to the 60-second rule of
    coincidence: doubling and halving are Doppler's, and the detector has learned Doppler only.
    """
    possible = remove_impossible(raw)
    spikes = find_spikes(possible)
    steady = np.where(spikes, np.nan, possible)
    false = estimate_false_signal(steady, mhr)
    rules_alone = false
    if learned is not None:
        false = count_low_rates(join_learned(false, learned, possible, mhr), possible, mhr)
    if is_scalp is not None and is_scalp.any():
        false = _keep_scalp(rules_alone, false, is_scalp)
    is_wrong = spikes | (np.isfinite(raw) & ~np.isfinite(possible))
    probability = np.where(is_wrong, 1.0, false.probability)
    shown = None if false.shown is None else np.where(is_wrong, 1.0, false.shown)
    clean = np.where(probability >= FALSE_AT, np.nan, steady)
    return clean, replace(false, probability=probability, shown=shown)


def _keep_scalp(rules_alone: FalseSignal, joined: FalseSignal, is_scalp: BoolArray) -> FalseSignal:
    """Let only the 60-second rule speak of rows from a scalp electrode."""
    rows = is_scalp[:, None]
    by_minute = rules_alone.probability == PROBABILITY_COINCIDENT
    kept = np.where(by_minute | np.isnan(rules_alone.probability), rules_alone.probability, 0.0)
    return replace(
        joined,
        probability=np.where(rows, kept, joined.probability),
        is_doubling_halving=joined.is_doubling_halving & ~rows,
        shown=None if joined.shown is None else np.where(rows, kept, joined.shown),
    )


def find_events(
    clean: FloatArray,
    baseline: FloatArray,
    activity: UterineActivity,
    weeks: Sequence[float | None],
    earlier: Sequence[Sequence[Deceleration]] | None = None,
    *,
    begin: int = 0,
) -> tuple[list[list[Acceleration]], list[list[Deceleration]]]:
    """Find the accelerations and decelerations of each bed; whole records and live beds both come here.

    What ends at or before the sample `begin` is left out.
    """
    model = load_event_model()
    decelerations = find_decelerations(
        clean,
        baseline,
        contractions=activity.contractions,
        are_contractions_known=activity.is_known,
        earlier=earlier,
        model=None if model is None else model.fall,
        begin=begin,
    )
    accelerations = find_accelerations(
        clean,
        baseline,
        gestational_weeks=weeks,
        decelerations=decelerations,
        model=None if model is None else model.rise,
        begin=begin,
    )
    return accelerations, decelerations


def find_activity(toco: FloatArray, iup: FloatArray) -> UterineActivity:
    """Find contractions by pressure where there is any, else by toco."""
    has_pressure: BoolArray = np.asarray(np.isfinite(iup).any(axis=-1))
    model = load_event_model()
    return find_contractions(
        np.where(has_pressure[:, None], iup, toco),
        are_units_mmhg=has_pressure,
        model=None if model is None else model.contraction,
    )


def _read_windows(
    found: Sequence[BedFindings],
    clean: FloatArray,
    baseline: FloatArray,
    segment_offset_s: float,
    given: npt.NDArray[np.intp],
) -> list[Analysis]:
    n = clean.shape[-1]
    segment = round(rules.SEGMENT_S.value * FS_HZ)
    piece = round(rules.VARIABILITY_PIECE_S.value * FS_HZ)
    first = round(segment_offset_s * FS_HZ) % segment
    is_event = np.zeros(clean.shape, dtype=bool)
    for bed, findings in enumerate(found):
        is_event[bed] = mark_events(findings.accelerations, n) | mark_events(findings.decelerations, n)
    by_segment = compute_variability(clean, baseline, is_event, start=first % piece)
    by_now = compute_variability(clean, baseline, is_event, start=n % piece)
    shown = spread_pieces(by_segment, n, start=first % piece)[:, given]
    line = np.where(is_near_signal(clean), baseline, np.nan)[:, given]
    analyses = []
    for bed, findings in enumerate(found):
        segments, rolling = _classify(findings, by_segment[bed], by_now[bed], first)
        known = findings.are_contractions_known
        analyses.append(
            Analysis(
                baseline_bpm=line[bed],
                variability_bpm=shown[bed],
                false_signal=findings.false_probability[given],
                accelerations=list(findings.accelerations),
                decelerations=list(findings.decelerations),
                contractions=list(findings.contractions),
                are_contractions_known=bool(known[-segment:].mean() >= 0.5) if n else False,
                segments=segments,
                rolling=rolling,
                is_coincidence_checked=findings.is_coincidence_checked,
                algorithm=ALGORITHM,
            )
        )
    return analyses


def is_near_signal(clean: FloatArray) -> BoolArray:
    """Say where the baseline may be shown, because there was signal within a minute."""
    reach = round(BASELINE_REACH_S * FS_HZ)
    total = np.zeros((clean.shape[0], clean.shape[1] + 2 * reach + 1))
    total[:, reach + 1 : reach + 1 + clean.shape[1]] = np.isfinite(clean)
    np.cumsum(total, axis=-1, out=total)
    near: BoolArray = total[:, 2 * reach + 1 :] - total[:, : clean.shape[1]] > 0
    return near


def _classify(
    found: BedFindings, by_segment: FloatArray, by_now: FloatArray, first: int
) -> tuple[list[Classification], Classification | None]:
    n = found.fhr.size
    segment = round(rules.SEGMENT_S.value * FS_HZ)
    piece = round(rules.VARIABILITY_PIECE_S.value * FS_HZ)
    segments: list[Classification] = []
    previous: float | None = None
    before_now: float | None = None
    for start in range(first, n - segment + 1, segment):
        upto = by_segment[: (start + segment - first % piece) // piece]
        features = compute_window_features(
            found, upto, start=start, stop=start + segment, previous_baseline_bpm=previous, is_rolling=False
        )
        segments.append(classify_window(features))
        previous = features.baseline_raw_bpm if features.baseline_raw_bpm is not None else previous
        if start + segment <= n - segment:
            before_now = previous
    if n == 0:
        return segments, None
    now = compute_window_features(
        found, by_now, start=max(n - segment, 0), stop=n, previous_baseline_bpm=before_now, is_rolling=True
    )
    return segments, classify_window(now)
