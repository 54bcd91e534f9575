"""A seeded model of fetal heart rate, contractions and maternal rate at 4 Hz.

Every sample is a function of (patient, seed, index) alone.  The model is worked out
in pages of one minute that always start at the same indices, so however the stream is
chopped the same samples come out, bit for bit, and any minute can be had without the
ones before it.

The shapes follow the definitions of the Japanese guideline (see `docs/simulator.md`);
they are made to be plausible on a strip, not to be a theory of the fetus.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from device_sim.signals import Signals
from hub.model import FS_HZ, BoolArray, FloatArray

PAGE_SAMPLES: Final = 240
"""One minute at 4 Hz: short enough for a live stream, long enough to be vectorised."""

_HR_STEP_BPM: Final = 0.25
_TOCO_STEP: Final = 0.5
_TOCO_MAX: Final = 127.0

# One number per independent random stream; a change of one leaves the others as they were.
_WANDER, _LONG_TERM, _SHORT_TERM, _ACCELERATION, _DECELERATION, _LOSS = range(6)
_CONTRACTION, _TOCO_NOISE, _MHR_NOISE, _CAPTURE, _MHR_LOSS = range(100, 105)
_FETUS_STRIDE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Variability:
    """Peak-to-trough amplitude per minute and the band in which it lies.

    With `calm_s` above 0 each cycle of `cycle_s` ends with that many seconds of
    `calm_amplitude_bpm` instead.
    """

    amplitude_bpm: float = 12.0
    lowest_per_min: float = 2.2
    highest_per_min: float = 6.0
    cycle_s: float = 600.0
    calm_s: float = 0.0
    calm_amplitude_bpm: float = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerations:
    every_s: float = 150.0
    jitter_s: float = 30.0
    rise_bpm: float = 24.0
    onset_to_peak_s: float = 10.0
    hold_s: float = 14.0
    decay_s: float = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decelerations:
    """One kind of deceleration, coupled to each contraction or recurring on its own.

    The nadir begins `lag_s` after the peak of the contraction and lasts `hold_s`; with
    `every_s` set the contractions play no part.
    """

    depth_bpm: float
    onset_to_nadir_s: float
    hold_s: float
    recovery_s: float
    lag_s: float = 0.0
    every_s: float | None = None
    shoulder_bpm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLoss:
    """Gaps that begin about every `every_s` and last from `shortest_s` to `longest_s`."""

    every_s: float = 75.0
    shortest_s: float = 0.5
    longest_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinusoid:
    half_amplitude_bpm: float = 6.0
    cycles_per_min: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetus:
    baseline_bpm: float = 140.0
    wander_bpm: float = 1.5
    variability: Variability = Variability()
    accelerations: Accelerations | None = None
    decelerations: tuple[Decelerations, ...] = ()
    sinusoid: Sinusoid | None = None
    loss: SignalLoss | None = SignalLoss()
    captured_from_s: float | None = None
    """From here on the transducer follows the mother's heart instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mother:
    """Contractions on the toco (`every_s` from one to the next) and the maternal rate."""

    every_s: float = 200.0
    jitter_s: float = 10.0
    rise_s: float = 36.0
    fall_s: float = 44.0
    amplitude: float = 50.0
    resting_tone: float = 12.0
    is_pushing: bool = False
    mhr_bpm: float = 82.0
    mhr_rise_bpm: float = 5.0
    """How far the maternal rate rises with a contraction; 20 to 30 when pushing."""
    has_mhr: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    fetuses: tuple[Fetus, ...] = (Fetus(),)
    mother: Mother = Mother()


class PatientModel:
    """Samples of one modelled patient; a `SignalSource`."""

    def __init__(self, patient: Patient, seed: int) -> None:
        if seed < 0:
            msg = f"seed must not be negative, got {seed}"
            raise ValueError(msg)
        self._patient = patient
        self._seed = seed
        self._page_number = -1
        self._page: Signals | None = None

    def samples(self, start: int, stop: int) -> Signals:
        """Give samples `start` (inclusive) to `stop` (exclusive) on the 4 Hz grid."""
        if not 0 <= start < stop:
            msg = f"expected 0 <= start < stop, got {start} and {stop}"
            raise ValueError(msg)
        parts: list[Signals] = []
        for number in range(start // PAGE_SAMPLES, (stop - 1) // PAGE_SAMPLES + 1):
            first = number * PAGE_SAMPLES
            inside = slice(max(start - first, 0), stop - first)
            parts.append(_cut(self._get_page(number), inside))
        return _join(parts)

    def _get_page(self, number: int) -> Signals:
        if self._page is None or self._page_number != number:
            self._page = compute_page(self._patient, self._seed, number)
            self._page_number = number
        return self._page


def compute_page(patient: Patient, seed: int, number: int) -> Signals:
    """Work out minute `number` of a patient."""
    t_s = (number * PAGE_SAMPLES + np.arange(PAGE_SAMPLES)) / FS_HZ
    mother = patient.mother
    peaks = _contraction_peaks(mother, seed, t_s[0] - 600.0, t_s[-1] + 600.0)
    squeeze = _contraction_shape(mother, t_s, peaks)
    mhr = _compute_mhr(mother, seed, number, t_s, squeeze)
    fhr, movement = [], np.zeros(t_s.shape, dtype=np.bool_)
    for index, fetus in enumerate(patient.fetuses):
        stream = (index + 1) * _FETUS_STRIDE
        rate, moves = _compute_fhr(fetus, seed, stream, number, t_s, peaks, mhr)
        fhr.append(rate)
        movement |= moves
    return Signals(
        fhr=np.stack(fhr),
        toco=_compute_toco(mother, seed, number, t_s, squeeze),
        mhr=_quantise(mhr, _HR_STEP_BPM) if mother.has_mhr else None,
        movement=movement,
    )


def _compute_fhr(
    fetus: Fetus,
    seed: int,
    stream: int,
    number: int,
    t_s: FloatArray,
    peaks: FloatArray,
    mhr: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    drop, held = np.zeros_like(t_s), np.zeros_like(t_s)
    rise = _compute_rise(fetus.accelerations, seed, stream, t_s)
    has_moved = rise > 0.8 * (fetus.accelerations.rise_bpm if fetus.accelerations else np.inf)
    for kind, parameters in enumerate(fetus.decelerations):
        fall, shoulder = _compute_drop(parameters, seed, stream + 10 * kind, t_s, peaks)
        drop = np.maximum(drop, fall * parameters.depth_bpm)
        held = np.maximum(held, np.minimum(fall, 1.0))
        rise = rise + shoulder
    # A fall in rate goes with less variability; it never vanishes in it altogether.
    variability = _compute_variability(fetus.variability, seed, stream, t_s) * (1.0 - 0.75 * held)
    fhr = (
        fetus.baseline_bpm + _compute_wander(fetus.wander_bpm, seed, stream, t_s) + variability + rise - drop
    )
    if fetus.sinusoid is not None:
        fhr = fhr + _compute_sinusoid(fetus.sinusoid, seed, stream, t_s)
    if fetus.captured_from_s is not None:
        noise = _rng(seed, stream + _CAPTURE, number).normal(0.0, 0.6, t_s.size)
        fhr = np.where(t_s >= fetus.captured_from_s, mhr + noise, fhr)
    fhr = _quantise(np.clip(fhr, 30.0, 240.0), _HR_STEP_BPM)
    if fetus.loss is not None:
        fhr[_is_lost(fetus.loss, seed, stream + _LOSS, t_s)] = np.nan
    return fhr, has_moved


def _compute_wander(amplitude_bpm: float, seed: int, stream: int, t_s: FloatArray) -> FloatArray:
    """Slow drift of the baseline over 8 to 25 minutes, at most `amplitude_bpm` either way."""
    tones = _Tones.draw(_rng(seed, stream + _WANDER), 4, 1 / 1500, 1 / 480)
    return amplitude_bpm / 4 * tones.sum_at(t_s)


def _compute_variability(variability: Variability, seed: int, stream: int, t_s: FloatArray) -> FloatArray:
    slow = _Tones.draw(
        _rng(seed, stream + _LONG_TERM), 40, variability.lowest_per_min / 60, variability.highest_per_min / 60
    )
    fast = _Tones.draw(_rng(seed, stream + _SHORT_TERM), 24, 0.15, 0.6)
    # n tones have the SD sqrt(n/2).  Left alone their beats would double the range of one
    # minute against another; the bend keeps every stretch inside the class it is meant for.
    swing = np.tanh(slow.sum_at(t_s) / math.sqrt(20.0) / 1.2)
    # The factors make the median one-minute range 1.
    unit = 0.47 * swing + 0.05 * fast.sum_at(t_s) / math.sqrt(12.0)
    amplitude: FloatArray = np.full(t_s.shape, variability.amplitude_bpm)
    if variability.calm_s > 0:
        in_cycle = np.mod(t_s, variability.cycle_s)
        amplitude[in_cycle >= variability.cycle_s - variability.calm_s] = variability.calm_amplitude_bpm
    return unit * amplitude


def _compute_sinusoid(sinusoid: Sinusoid, seed: int, stream: int, t_s: FloatArray) -> FloatArray:
    phase = _rng(seed, stream + _LONG_TERM).uniform(0.0, 2 * np.pi)
    return sinusoid.half_amplitude_bpm * np.sin(2 * np.pi * sinusoid.cycles_per_min / 60 * t_s + phase)


def _compute_rise(accelerations: Accelerations | None, seed: int, stream: int, t_s: FloatArray) -> FloatArray:
    rise = np.zeros_like(t_s)
    if accelerations is None:
        return rise
    a = accelerations
    length_s = a.onset_to_peak_s + a.hold_s + a.decay_s
    starts = _recur(
        seed, stream + _ACCELERATION, a.every_s, a.jitter_s, t_s[0] - length_s, t_s[-1] + a.every_s
    )
    for start_s, u in starts:
        bump = _bump(t_s - start_s, a.onset_to_peak_s, a.hold_s, a.decay_s)
        rise = np.maximum(rise, a.rise_bpm * (0.9 + 0.2 * u) * bump)
    return rise


def _compute_drop(
    d: Decelerations, seed: int, stream: int, t_s: FloatArray, peaks: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fall as a share of the depth, and the shoulders beside it in bpm."""
    if d.every_s is None:
        nadirs = [
            (peak_s + d.lag_s, depth)
            for peak_s, depth in zip(peaks, _shares(seed, stream, peaks), strict=True)
        ]
    else:
        nadirs = [
            (start_s + d.onset_to_nadir_s, 0.95 + 0.1 * u)
            for start_s, u in _recur(
                seed, stream + _DECELERATION, d.every_s, 5.0, t_s[0] - 1.5 * d.every_s, t_s[-1] + d.every_s
            )
        ]
    fall, shoulder = np.zeros_like(t_s), np.zeros_like(t_s)
    for nadir_s, share in nadirs:
        since_onset = t_s - (nadir_s - d.onset_to_nadir_s)
        end_s = d.onset_to_nadir_s + d.hold_s + d.recovery_s
        fall = np.maximum(fall, share * _bump(since_onset, d.onset_to_nadir_s, d.hold_s, d.recovery_s))
        if d.shoulder_bpm > 0:
            for centre_s in (-6.0, end_s + 6.0):
                shoulder += d.shoulder_bpm * np.exp(-0.5 * ((since_onset - centre_s) / 3.0) ** 2)
    return fall, shoulder


def _shares(seed: int, stream: int, peaks: FloatArray) -> list[float]:
    # Keyed by the peak's time in ms: a contraction keeps its depth on whichever page it is seen.
    return [
        0.95 + 0.1 * _rng(seed, stream + _DECELERATION, round(peak_s * 1000)).random() for peak_s in peaks
    ]


def _contraction_peaks(mother: Mother, seed: int, from_s: float, to_s: float) -> FloatArray:
    return np.array(
        [
            start_s + mother.rise_s
            for start_s, _ in _recur(seed, _CONTRACTION, mother.every_s, mother.jitter_s, from_s, to_s)
        ],
        dtype=np.float64,
    )


def _contraction_shape(mother: Mother, t_s: FloatArray, peaks: FloatArray) -> FloatArray:
    squeeze = np.zeros_like(t_s)
    for peak_s in peaks:
        x = t_s - peak_s
        part = np.where(x < 0, 1.0 + x / mother.rise_s, 1.0 - x / mother.fall_s)
        squeeze = np.maximum(squeeze, np.sin(np.pi / 2 * np.clip(part, 0.0, 1.0)) ** 2)
    return squeeze


def _compute_toco(mother: Mother, seed: int, number: int, t_s: FloatArray, squeeze: FloatArray) -> FloatArray:
    rng = _rng(seed, _TOCO_NOISE)
    drift = _Tones.draw(rng, 4, 1 / 900, 1 / 300).sum_at(t_s) / 4
    breathing = _Tones.draw(rng, 5, 0.22, 0.32).sum_at(t_s) / 5
    noise = _rng(seed, _TOCO_NOISE, number).normal(0.0, 0.35, t_s.size)
    toco = mother.resting_tone + 1.5 * drift + 1.8 * breathing + noise + mother.amplitude * squeeze
    if mother.is_pushing:
        # Bearing down three or four times near the top of the contraction.
        push = np.sin(2 * np.pi * t_s / 11.0).clip(0.0, 1.0) ** 2
        toco = toco + 22.0 * push * (squeeze > 0.6)
    return _quantise(np.clip(toco, 0.0, _TOCO_MAX), _TOCO_STEP)


def _compute_mhr(mother: Mother, seed: int, number: int, t_s: FloatArray, squeeze: FloatArray) -> FloatArray:
    rng = _rng(seed, _MHR_NOISE)
    slow = _Tones.draw(rng, 12, 0.01, 0.08).sum_at(t_s) / math.sqrt(6.0)
    respiratory = _Tones.draw(rng, 5, 0.22, 0.32).sum_at(t_s) / math.sqrt(2.5)
    noise = _rng(seed, _MHR_NOISE, number).normal(0.0, 0.3, t_s.size)
    return mother.mhr_bpm + 1.6 * slow + 0.8 * respiratory + noise + mother.mhr_rise_bpm * np.sqrt(squeeze)


def _is_lost(loss: SignalLoss, seed: int, stream: int, t_s: FloatArray) -> BoolArray:
    lost = np.zeros(t_s.shape, dtype=np.bool_)
    gaps = _recur(
        seed, stream, loss.every_s, 0.4 * loss.every_s, t_s[0] - 2 * loss.every_s, t_s[-1] + loss.every_s
    )
    for start_s, u in gaps:
        length_s = loss.shortest_s + u * (loss.longest_s - loss.shortest_s)
        lost |= (t_s >= start_s) & (t_s < start_s + length_s)
    return lost


def _bump(x_s: FloatArray, rise_s: float, hold_s: float, fall_s: float) -> FloatArray:
    """One excursion from 0 to 1 and back, with clear corners at onset and end, round at the top."""
    part = np.minimum(x_s / rise_s, (rise_s + hold_s + fall_s - x_s) / fall_s)
    return np.sin(np.pi / 2 * np.clip(part, 0.0, 1.0)) ** 1.3


def _recur(
    seed: int, stream: int, every_s: float, jitter_s: float, from_s: float, to_s: float
) -> Iterator[tuple[float, float]]:
    """Give the starts between two times: one per period, moved by up to `jitter_s`, with a random share."""
    # Keys (a, b) and (a, b, 0) seed the same generator, hence the + 1 below.
    offset_s = 0.5 * every_s * _rng(seed, stream).random()
    first = max(int((from_s - jitter_s - offset_s) // every_s), 0)
    for index in range(first, int((to_s + jitter_s) // every_s) + 1):
        move, share = _rng(seed, stream, index + 1).random(2)
        start_s = offset_s + index * every_s + (2 * move - 1) * jitter_s
        if from_s <= start_s <= to_s:
            yield float(start_s), float(share)


class _Tones(NamedTuple):
    """Unit sine waves spread evenly over a band: noise that can be had at any time without its past."""

    per_s: FloatArray
    phase: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, lowest_hz: float, highest_hz: float) -> "_Tones":
        edges = np.linspace(lowest_hz, highest_hz, count + 1)
        return cls(rng.uniform(edges[:-1], edges[1:]), rng.uniform(0.0, 2 * np.pi, count))

    def sum_at(self, t_s: FloatArray) -> FloatArray:
        waves = np.sin(2 * np.pi * self.per_s[:, None] * t_s + self.phase[:, None])
        total: FloatArray = waves.sum(axis=0)
        return total


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _quantise(values: FloatArray, step: float) -> FloatArray:
    return np.rint(values / step) * step


def _cut(page: Signals, inside: slice) -> Signals:
    return Signals(
        fhr=page.fhr[:, inside].copy(),
        toco=None if page.toco is None else page.toco[inside].copy(),
        mhr=None if page.mhr is None else page.mhr[inside].copy(),
        movement=None if page.movement is None else page.movement[inside].copy(),
    )


def _join(parts: list[Signals]) -> Signals:
    if len(parts) == 1:
        return parts[0]

    def lay(arrays: list[npt.NDArray[np.float64] | None]) -> FloatArray | None:
        present = [a for a in arrays if a is not None]
        return np.concatenate(present) if present else None

    moves = [p.movement for p in parts if p.movement is not None]
    return Signals(
        fhr=np.concatenate([p.fhr for p in parts], axis=1),
        toco=lay([p.toco for p in parts]),
        mhr=lay([p.mhr for p in parts]),
        movement=np.concatenate(moves) if moves else None,
    )
