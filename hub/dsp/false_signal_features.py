"""What the learned detector looks at: 2-second steps of a bed described by numbers near one; causal."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from hub.dsp.running import (
    STEP_SAMPLES,
    Float32Array,
    RateHistory,
    RealArray,
    Rows,
    RunningSums,
    find_last,
    sum_steps,
    take_last,
)
from hub.model import FS_HZ, BoolArray, FloatArray

_Number = TypeVar("_Number", np.float32, np.int32)


USUAL_FHR_BPM: Final = 140.0
USUAL_MHR_BPM: Final = 90.0
"""Middle of the scale for each rate; only the size of the numbers hangs on them."""
JUMP_BPM: Final = 20.0
JUMP_GAP_S: Final = 20.0
"""A difference this large over a gap this short is a step of the trace (E)."""
PAUSE_S: Final = 1.0
"""Signal after a longer gap begins a new stretch (E)."""
MOTHER_HELD_S: Final = 60.0
"""The last maternal rate is compared with for this long."""
CLOSE_BPM: Final = 5.0
TWICE_CLOSE_BPM: Final = 8.0
MOTHER_FADES_S: Final = 30.0
"""Time constant with which the mark of a known maternal rate fades in its gaps."""
TOCO_HIGHEST: Final = 150.0
LONG_AGO_S: Final = 2500.0
MEMORIES_S: Final = (15, 60, 150, 300, 900)
KNOWN_MASS: Final = 2.0
"""A level counts as known after 4 s of signal."""

STEP_FEATURES: Final = (
    "rate", "signal", "signal_15", "since_signal", "gap_before", "run_length",
    "mother", "mother_known", "mother_share_150",
    "coincident", "pairs", "coincident_15", "coincident_60", "coincident_150", "coincident_900",
    "pairs_60", "pairs_150", "difference_15", "twice_mother_15",
    "deviation_15", "deviation_150", "roughness_15", "roughness_60", "jumps_60",
    "from_mean_15", "from_mean_60", "from_mean_150", "from_mean_300",
    "level", "from_level", "level_spread", "level_mass", "level_share", "recent_share",
    "from_recent", "recent_mass", "octaves_from_level",
    "from_mother_level", "mother_level_known", "mother_deviation",
    "from_before_jump", "jump", "since_jump",
    "toco", "toco_15", "toco_slope", "levels_apart",
)  # fmt: skip
SAMPLE_FEATURES: Final = ("from_level", "valid", "from_mother")
N_FEATURES: Final = len(STEP_FEATURES) + STEP_SAMPLES * len(SAMPLE_FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class _Fetus:
    """The fetal trace by steps; `samples` and `valid` at 4 Hz."""

    samples: RealArray
    valid: BoolArray
    rate: RealArray
    share: RealArray
    age_s: RealArray
    roughness: RealArray
    adjacent: RealArray
    jumps: RealArray
    before_jump: RealArray
    jump: RealArray
    jump_age_s: RealArray
    gap_s: RealArray
    run_s: RealArray


@dataclass(frozen=True, slots=True, eq=False)
class _Mother:
    """The maternal rate by steps, and the fetal trace against it; `apart` at 4 Hz."""

    apart: RealArray
    rate: RealArray
    share: RealArray
    known: RealArray
    difference: RealArray
    pairs: RealArray
    close: RealArray
    twice: RealArray


@dataclass(frozen=True, slots=True, eq=False)
class _Activity:
    """The uterine activity by steps."""

    share: RealArray
    level: RealArray
    slope: RealArray


class FeatureStream:
    """Describe the signals of some beds step by step.

    Parameters
    ----------
    n_beds : int
        Number of beds, all starting now.

    Notes
    -----
    Nothing after a step enters its numbers, and how the signal was cut into blocks
    does not either.  NaN is signal loss and becomes a weight or a mark of zero.
    """

    def __init__(self, n_beds: int) -> None:
        def full(value: float) -> Float32Array:
            return np.full(n_beds, value, np.float32)

        self._fhr, self._mhr, self._toco = full(USUAL_FHR_BPM), full(USUAL_MHR_BPM), full(0)
        self._fhr_age, self._mhr_age = full(JUMP_GAP_S * FS_HZ), full(LONG_AGO_S * FS_HZ)
        self._before_jump, self._jump, self._jump_age = full(USUAL_FHR_BPM), full(0), full(LONG_AGO_S * FS_HZ)
        self._gap, self._run = full(MOTHER_HELD_S * FS_HZ), full(0)
        self._sums = {
            memory_s: RunningSums(n_beds, n, memory_s=memory_s)
            for memory_s, n in zip(MEMORIES_S, (11, 7, 6, 5, 4), strict=True)
        }
        self._level = RateHistory(n_beds, memory_s=900)
        self._recent = RateHistory(n_beds, memory_s=180)
        self._mother_level = RateHistory(n_beds, memory_s=1200)

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        own = [self._fhr, self._mhr, self._toco, self._fhr_age, self._mhr_age]
        own += [self._before_jump, self._jump, self._jump_age, self._gap, self._run]
        others: list[Rows] = [*self._sums.values(), self._level, self._recent, self._mother_level]
        return own + [part for other in others for part in other.parts()]

    def push(self, fhr: FloatArray, mhr: FloatArray, toco: FloatArray) -> Float32Array:
        """Describe the next steps.

        Parameters
        ----------
        fhr, mhr, toco : ndarray, shape (n_beds, n_samples)
            Heart rates in beats/min and uterine activity in monitor units at 4 Hz,
            a whole number of steps of 8 samples.  NaN marks loss, or no channel.

        Returns
        -------
        ndarray, shape (n_beds, n_steps, n_features)
            `STEP_FEATURES`, then 8 of each of `SAMPLE_FEATURES`; all finite.

        Raises
        ------
        ValueError
            If the shapes differ or the length is not a multiple of 8.
        """
        if not fhr.shape == mhr.shape == toco.shape or fhr.shape[-1] % STEP_SAMPLES:
            msg = f"need equal shapes in steps of 8 samples, got {fhr.shape}, {mhr.shape}, {toco.shape}"
            raise ValueError(msg)
        if fhr.shape[-1] == 0:
            return np.zeros((fhr.shape[0], 0, N_FEATURES), np.float32)
        f, m, u = (np.asarray(x, np.float32) for x in (fhr, mhr, toco))
        with np.errstate(invalid="ignore"):
            fetus = self._read_fetus(f)
            mother = self._read_mother(f, m)
            activity = self._read_activity(u)
        return self._describe(fetus, mother, activity)

    def _read_fetus(self, f: Float32Array) -> _Fetus:
        valid = np.isfinite(f)
        tick = np.arange(f.shape[-1], dtype=np.int32)
        last = find_last(valid)
        held = take_last(f, last, self._fhr)
        age = np.where(last >= 0, tick - last, tick + 1 + self._fhr_age[:, None]).astype(np.float32)
        before = np.concatenate((self._fhr[:, None], held[:, :-1]), axis=1)
        gap = np.concatenate((self._fhr_age[:, None], age[:, :-1]), axis=1)
        step = f - before
        size = np.abs(step)
        is_jump = (size >= JUMP_BPM) & (gap < JUMP_GAP_S * FS_HZ)
        is_adjacent = valid & (gap < 1)
        at_jump, at_start = (
            _at_ends(find_last(is_jump)),
            _at_ends(find_last(valid & (gap >= PAUSE_S * FS_HZ))),
        )
        ends = _at_ends(tick)
        before_jump = take_last(before, at_jump, self._before_jump)
        jump = take_last(step, at_jump, self._jump)
        jump_age = np.where(at_jump >= 0, ends - at_jump, ends + 1 + self._jump_age[:, None])
        start_gap = take_last(gap, at_start, self._gap)
        run = np.where(at_start >= 0, ends - at_start, ends + 1 + self._run[:, None])
        self._fhr, self._fhr_age = held[:, -1].copy(), age[:, -1].copy()
        self._before_jump, self._jump = before_jump[:, -1].copy(), jump[:, -1].copy()
        self._jump_age = jump_age[:, -1].astype(np.float32)
        self._gap, self._run = start_gap[:, -1].copy(), run[:, -1].astype(np.float32)
        n_valid = sum_steps(valid)
        mean = sum_steps(np.where(valid, f, np.float32(0))) / np.maximum(n_valid, 1)
        return _Fetus(
            samples=held,
            valid=valid,
            rate=np.where(n_valid > 0, mean, _at_ends(held)),
            share=n_valid / STEP_SAMPLES,
            age_s=_at_ends(age) / np.float32(FS_HZ),
            roughness=sum_steps(np.where(is_adjacent, np.minimum(size, 10), np.float32(0))) / STEP_SAMPLES,
            adjacent=sum_steps(is_adjacent) / STEP_SAMPLES,
            jumps=sum_steps(is_jump),
            before_jump=before_jump,
            jump=jump,
            jump_age_s=jump_age / np.float32(FS_HZ),
            gap_s=start_gap / np.float32(FS_HZ),
            run_s=run / np.float32(FS_HZ),
        )

    def _read_mother(self, f: Float32Array, m: Float32Array) -> _Mother:
        valid = np.isfinite(m)
        tick = np.arange(m.shape[-1], dtype=np.int32)
        last = find_last(valid)
        held = take_last(m, last, self._mhr)
        age = np.where(last >= 0, tick - last, tick + 1 + self._mhr_age[:, None]).astype(np.float32)
        self._mhr, self._mhr_age = held[:, -1].copy(), age[:, -1].copy()
        apart = np.where(age <= MOTHER_HELD_S * FS_HZ, f - held, np.float32(0))
        apart = np.where(np.isfinite(apart), apart, np.float32(0))
        difference = f - m
        is_pair = np.isfinite(difference)
        difference = np.where(is_pair, difference, np.float32(1e3))
        twice = np.where(is_pair, f - 2 * held, np.float32(1e3))
        capped = np.where(is_pair, np.clip(difference, -40, 40), np.float32(0))
        return _Mother(
            apart=apart,
            rate=_at_ends(held),
            share=sum_steps(valid) / STEP_SAMPLES,
            known=np.exp(-_at_ends(age) / np.float32(MOTHER_FADES_S * FS_HZ)),
            difference=sum_steps(capped) / STEP_SAMPLES,
            pairs=sum_steps(is_pair) / STEP_SAMPLES,
            close=sum_steps(np.exp(-np.square(difference / np.float32(CLOSE_BPM)))) / STEP_SAMPLES,
            twice=sum_steps(np.exp(-np.square(twice / np.float32(TWICE_CLOSE_BPM)))) / STEP_SAMPLES,
        )

    def _read_activity(self, u: Float32Array) -> _Activity:
        valid = np.isfinite(u)
        share = sum_steps(valid) / STEP_SAMPLES
        level = sum_steps(np.where(valid, np.clip(u, 0, TOCO_HIGHEST), 0)) / STEP_SAMPLES
        slope = np.diff(level, axis=-1, prepend=self._toco[:, None])
        self._toco = level[:, -1].astype(np.float32)
        return _Activity(share=share, level=level, slope=np.where(share > 0.9, slope, np.float32(0)))

    def _describe(self, fetus: _Fetus, mother: _Mother, activity: _Activity) -> Float32Array:
        above = fetus.share * (fetus.rate - USUAL_FHR_BPM)
        above_squared = above * (fetus.rate - USUAL_FHR_BPM)
        signal = (fetus.share, above, above_squared)
        coincidence = (mother.pairs, mother.close)
        texture = (fetus.roughness, fetus.adjacent)
        s15 = self._sum(15, *signal, *coincidence, mother.difference, mother.twice, *texture,
                        activity.share, activity.level)  # fmt: skip
        s60 = self._sum(60, *signal[:2], *coincidence, *texture, fetus.jumps)
        s150 = self._sum(150, *signal, *coincidence, mother.share)
        s300 = self._sum(300, *signal[:2], activity.share, activity.level, np.square(activity.level))
        s900 = self._sum(900, *coincidence, mother.share, mother.share * (mother.rate - USUAL_MHR_BPM))
        own = fetus.share * (1 - _over(mother.close, mother.pairs))
        level = self._level.push(fetus.rate, own)
        recent = self._recent.push(fetus.rate, fetus.share)
        mothers = self._mother_level.push(mother.rate, mother.share)
        median = np.where(level.mass > KNOWN_MASS, level.median_bpm, np.float32(USUAL_FHR_BPM))
        has_mothers = (mothers.mass > KNOWN_MASS).astype(np.float32)
        from_usual = fetus.rate - USUAL_FHR_BPM
        from_means = [from_usual - _over(s[1], s[0]) for s in (s15, s60, s150, s300)]
        toco_mean = _over(s300[3], s300[2])
        toco_scale = _deviation(s300[4], s300[3], s300[2]) + 3
        has_toco = activity.share > 0.5
        columns = (
            from_usual / 30,
            fetus.share,
            s15[0],
            _log(fetus.age_s) / 3,
            _log(fetus.gap_s) / 3,
            _log(fetus.run_s) / 4,
            (mother.rate - USUAL_MHR_BPM) / 25 * mother.known,
            mother.known,
            s150[5],
            mother.close,
            mother.pairs,
            _over(s15[4], s15[3]),
            _over(s60[3], s60[2]),
            _over(s150[4], s150[3]),
            _over(s900[1], s900[0]),
            s60[2],
            s150[3],
            _limit(_over(s15[5], s15[3]) / 15, 3),
            _over(s15[6], s15[3]),
            _log(_deviation(s15[2], s15[1], s15[0])) / 2,
            _log(_deviation(s150[2], s150[1], s150[0])) / 2,
            np.log(_over(s15[7], s15[8]) + np.float32(0.1)),
            np.log(_over(s60[4], s60[5]) + np.float32(0.1)),
            _log(s60[6] * 30),
            *(_limit(x / 20, 3) for x in from_means),
            (median - USUAL_FHR_BPM) / 25,
            _limit((fetus.rate - median) / 25, 4),
            level.spread_bpm / 50 * (level.mass > KNOWN_MASS),
            _log(level.mass) / 5,
            level.share_here,
            recent.share_here,
            _limit((fetus.rate - recent.median_bpm) / 25, 4) * (recent.mass > KNOWN_MASS / 2),
            _log(recent.mass) / 4,
            _limit(np.log2(fetus.rate / median) * 3, 4),
            _limit((fetus.rate - mothers.median_bpm) / 15, 4) * has_mothers,
            has_mothers,
            _limit((mother.rate - USUAL_MHR_BPM - _over(s900[3], s900[2])) / 20, 3) * (s900[2] > 0.01),
            _limit((fetus.rate - fetus.before_jump) / 30, 4),
            _limit(fetus.jump / 40, 3),
            _log(fetus.jump_age_s) / 4,
            _limit((activity.level - toco_mean) / toco_scale, 4) / 2 * has_toco,
            _limit((_over(s15[10], s15[9]) - toco_mean) / toco_scale, 4) / 2 * has_toco,
            _limit(activity.slope / 5, 3),
            _limit((median - mothers.median_bpm) / 25, 4) * has_mothers,
        )
        n_beds, n_steps = fetus.rate.shape
        cube = (n_beds, n_steps, STEP_SAMPLES)
        # The network reads time first.
        described = np.empty((n_steps, n_beds, N_FEATURES), np.float32).swapaxes(0, 1)
        for k, column in enumerate(columns):
            described[..., k] = column
        first = len(columns)
        valid = fetus.valid.reshape(cube)
        by_sample = (
            _limit((fetus.samples.reshape(cube) - median[..., None]) / 25, 4) * valid,
            valid,
            _limit(mother.apart.reshape(cube) / 8, 4),
        )
        for k, samples in enumerate(by_sample):
            described[..., first + k * STEP_SAMPLES : first + (k + 1) * STEP_SAMPLES] = samples
        return described

    def _sum(self, memory_s: int, *quantities: Float32Array) -> list[Float32Array]:
        sums = self._sums[memory_s].push(np.stack(quantities, axis=1))
        return [sums[:, k] for k in range(len(quantities))]


def _at_ends(samples: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    return samples[..., STEP_SAMPLES - 1 :: STEP_SAMPLES]


def _over(total: RealArray, weight: RealArray) -> RealArray:
    return total / np.maximum(weight, np.float32(1e-3))


def _deviation(squares: RealArray, total: RealArray, weight: RealArray) -> RealArray:
    return np.sqrt(np.maximum(_over(squares, weight) - np.square(_over(total, weight)), 0))


def _log(x: RealArray) -> RealArray:
    return np.log1p(np.maximum(x, 0))


def _limit(x: RealArray, most: float) -> RealArray:
    return np.clip(x, -most, most)
