"""Sinusoidal pattern: a regular, smooth wave in place of variability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.dsp.quality import bridge_gaps, find_runs
from hub.model import FS_HZ, BoolArray, FloatArray

GRID_S: Final = 1.0
WINDOW_S: Final = 120.0
HOP_S: Final = 30.0
MIN_CORRELATION: Final = 0.8
"""Of the wave with itself one and two cycles later."""
MIN_POWER_FRACTION: Final = 0.8
"""Share of the power within the peak of the spectrum and its neighbours: smooth means little else."""
MIN_RUN_WINDOWS: Final = 2
LAG_FACTORS: Final = np.array([0.9, 0.95, 1.0, 1.05, 1.1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SinusoidalRun:
    """A stretch with a sinusoidal pattern; times in s from the first sample."""

    start_s: float
    end_s: float
    amplitude_bpm: float
    """Mean peak-to-trough amplitude."""


def find_sinusoidal(fhr: FloatArray, baseline: FloatArray) -> list[list[SinusoidalRun]]:
    """Find sinusoidal stretches in the FHR of each bed.

    Parameters
    ----------
    fhr : ndarray, shape (n_beds, n_samples)
        Heart rate in beats/min at 4 Hz.  NaN marks signal loss.
    baseline : ndarray, shape (n_beds, n_samples)
        Baseline in beats/min; its slow drift is no wave.

    Returns
    -------
    list of list of SinusoidalRun
        One list per bed, in time order, each run at least 2.5 min long.

    Notes
    -----
    In windows of 2 min the wave must have 2 to 6 cycles/min and a peak-to-trough
    amplitude of 5 to 30 beats/min, hold 80 % of the power in its spectral peak,
    and repeat itself (correlation 0.8 after one and after two cycles).  The
    guideline's mean amplitude of 5 to 15 [1]_ is read from peak to trough at its
    lower end and to either side at its upper end, which finds more.

    References
    ----------
    .. [1] Clinical rules section 1.3, draft of the JSOG definitions of 2002 (V1).
    """
    return join_hops(measure_hops(fhr, baseline))


def measure_hops(fhr: FloatArray, baseline: FloatArray) -> FloatArray:
    """Measure a window of 2 min every 30 s: amplitude in beats/min, NaN where it is no sinusoidal wave."""
    wave = _to_grid(bridge_gaps(fhr) - baseline)
    width, hop = round(WINDOW_S / GRID_S), round(HOP_S / GRID_S)
    if wave.shape[-1] < width:
        return np.empty((fhr.shape[0], 0))
    windows = np.lib.stride_tricks.sliding_window_view(wave, width, axis=-1)[:, ::hop]
    is_whole: BoolArray = np.asarray(np.isfinite(windows).all(axis=-1))
    windows = np.where(is_whole[..., None], windows, 0.0)
    amplitude, is_wave = _measure_waves(windows)
    return np.where(is_wave & is_whole, amplitude, np.nan)


def join_hops(amplitude: FloatArray, *, start_s: float = 0.0) -> list[list[SinusoidalRun]]:
    """Join the windows of each bed to runs; the first window begins at `start_s`."""
    runs: list[list[SinusoidalRun]] = [[] for _ in range(amplitude.shape[0])]
    for bed, start, stop in find_runs(np.isfinite(amplitude)):
        if stop - start >= MIN_RUN_WINDOWS:
            runs[bed].append(
                SinusoidalRun(
                    start_s=start_s + float(start * HOP_S),
                    end_s=start_s + float((stop - 1) * HOP_S + WINDOW_S),
                    amplitude_bpm=float(amplitude[bed, start:stop].mean()),
                )
            )
    return runs


def is_cycle(runs: Sequence[SinusoidalRun], onset_s: float, end_s: float, size_bpm: float) -> bool:
    """Say whether a rise or fall is only one swing of a sinusoidal run, and so no event.

    Examples
    --------
    >>> run = SinusoidalRun(start_s=0.0, end_s=900.0, amplitude_bpm=24.0)
    >>> is_cycle([run], 300.0, 316.0, 13.0), is_cycle([run], 300.0, 400.0, 13.0)
    (True, False)
    """
    longest_s = 60.0 / rules.SINUSOIDAL_MIN_CPM.value
    return end_s - onset_s <= longest_s and any(
        run.start_s <= onset_s and end_s <= run.end_s and size_bpm <= run.amplitude_bpm for run in runs
    )


def _to_grid(signal: FloatArray) -> FloatArray:
    size = round(GRID_S * FS_HZ)
    n = signal.shape[-1] // size
    mean: FloatArray = signal[:, : n * size].reshape(signal.shape[0], n, size).mean(axis=-1)
    return mean


def _measure_waves(windows: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Amplitude of each window, and whether it is a sinusoidal wave."""
    width = windows.shape[-1]
    line = np.linspace(-1.0, 1.0, width)
    centred = windows - windows.mean(axis=-1, keepdims=True)
    centred = centred - (centred * line).mean(axis=-1, keepdims=True) / (line**2).mean() * line
    power = np.abs(np.fft.rfft(centred, 2 * width, axis=-1)) ** 2
    correlation = np.fft.irfft(power, axis=-1)[..., :width]
    overlap = width / (width - np.arange(width))
    correlation = correlation / np.maximum(correlation[..., :1], 1e-9) * overlap

    per_min = np.arange(power.shape[-1]) * 60.0 / (2 * width * GRID_S)
    band = (per_min >= rules.SINUSOIDAL_MIN_CPM.value) & (per_min <= rules.SINUSOIDAL_MAX_CPM.value)
    peak = np.argmax(np.where(band, power, 0.0), axis=-1)
    near = np.abs(np.arange(power.shape[-1]) - peak[..., None]) <= 3
    share = (power * near).sum(axis=-1) / np.maximum(power[..., 1:].sum(axis=-1), 1e-9)

    # A window without any wave has its peak at bin 0; it is held inside the array and refused below.
    period = np.minimum(2 * width / peak.clip(1), (width - 1) / 2)

    def correlation_after(lag: FloatArray) -> FloatArray:
        # The spectrum gives the period to a quarter of a cycle a minute only: the best lag near it.
        near = np.rint(lag[..., None] * LAG_FACTORS).astype(np.intp).clip(0, width - 1)
        best: FloatArray = np.take_along_axis(correlation, near, axis=-1).max(axis=-1)
        return best

    repeats = np.minimum(correlation_after(period), correlation_after(2 * period))
    amplitude: FloatArray = 2 * np.sqrt(2) * centred.std(axis=-1)
    is_wave = (
        (share >= MIN_POWER_FRACTION)
        & (repeats >= MIN_CORRELATION)
        & (amplitude >= rules.SINUSOIDAL_MIN_MEAN_BPM.value)
        & (amplitude <= 2 * rules.SINUSOIDAL_MAX_MEAN_BPM.value)
    )
    return amplitude, is_wave
