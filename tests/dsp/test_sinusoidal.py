"""Regular smooth waves."""

import numpy as np
import pytest

from hub.dsp.sinusoidal import find_sinusoidal
from hub.model import FloatArray

MIN = 240
T_S = np.arange(20 * MIN) / 4.0
LINE = np.full((1, T_S.size), 140.0)


def wave(cycles_per_min: float, peak_to_trough: float, noise: float = 0.5) -> FloatArray:
    grain = np.random.default_rng(0).normal(0, noise, T_S.size)
    return LINE + peak_to_trough / 2 * np.sin(2 * np.pi * T_S * cycles_per_min / 60.0) + grain


def minutes(fhr: FloatArray) -> float:
    return sum(run.end_s - run.start_s for run in find_sinusoidal(fhr, LINE)[0]) / 60.0


@pytest.mark.parametrize("cycles_per_min", [2.1, 3.0, 4.3, 5.9])
@pytest.mark.parametrize("peak_to_trough", [6.0, 15.0, 28.0])
def test_a_sine_is_found_for_as_long_as_it_runs(cycles_per_min: float, peak_to_trough: float):
    assert minutes(wave(cycles_per_min, peak_to_trough)) == pytest.approx(20.0, abs=0.6)


@pytest.mark.parametrize(
    ("cycles_per_min", "peak_to_trough"), [(1.2, 15.0), (9.0, 15.0), (4.0, 3.0), (4.0, 45.0)]
)
def test_another_frequency_or_size_is_none(cycles_per_min: float, peak_to_trough: float):
    assert minutes(wave(cycles_per_min, peak_to_trough)) == 0.0


def test_irregular_variability_is_none():
    grain = np.random.default_rng(3).normal(0, 1.0, T_S.size)
    irregular = np.convolve(grain, np.hanning(40), mode="same")
    assert minutes(LINE + 6.0 * irregular / irregular.std()) == 0.0


def test_a_wave_of_six_minutes_has_six_minutes():
    fhr = np.where((T_S >= 300) & (T_S < 660), wave(4.0, 12.0), 140.0)
    runs = find_sinusoidal(fhr, LINE)[0]
    assert len(runs) == 1
    assert runs[0].start_s == pytest.approx(300.0, abs=45.0)
    assert runs[0].end_s == pytest.approx(660.0, abs=45.0)
    assert runs[0].amplitude_bpm == pytest.approx(12.0, abs=2.0)


def test_a_long_gap_ends_the_run():
    fhr = wave(4.0, 12.0)
    fhr[0, 2400:2500] = np.nan
    assert len(find_sinusoidal(fhr, LINE)[0]) == 2


def test_less_than_two_minutes_are_not_judged():
    assert find_sinusoidal(LINE[:, :400], LINE[:, :400]) == [[]]
