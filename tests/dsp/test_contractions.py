"""Contractions from toco and pressure."""

import numpy as np
import pytest

from hub.dsp.contractions import find_contractions
from hub.model import FloatArray

MIN = 240
T_S = np.arange(30 * MIN) / 4.0


def toco(every_s: float, *, height: float = 50.0, width_s: float = 25.0, rest: float = 12.0) -> FloatArray:
    peaks = np.arange(every_s / 2, T_S[-1], every_s)
    squeeze = np.exp(-0.5 * ((T_S[:, None] - peaks) / width_s) ** 2).sum(axis=1)
    signal: FloatArray = rest + height * squeeze + np.random.default_rng(0).normal(0, 1.0, T_S.size)
    return signal[None]


@pytest.mark.parametrize("every_s", [85.0, 150.0, 300.0])
def test_each_contraction_is_found_at_its_peak(every_s: float):
    found = find_contractions(toco(every_s, width_s=18.0)).contractions[0]
    expected = np.arange(every_s / 2, T_S[-1], every_s)
    assert len(found) == len(expected)
    assert np.abs([c.peak_s for c in found] - expected).max() < 8.0
    assert all(c.onset_s < c.peak_s < c.end_s for c in found)


def test_the_height_is_over_the_resting_tone():
    heights = [c.amplitude for c in find_contractions(toco(200.0)).contractions[0]]
    assert np.median(heights) == pytest.approx(50.0, abs=6.0)


def test_a_calm_uterus_is_known_to_have_no_contraction():
    found = find_contractions(12.0 + np.random.default_rng(0).normal(0, 1.5, (1, T_S.size)))
    assert found.contractions[0] == []
    assert found.is_known.all()


@pytest.mark.parametrize(
    "signal",
    [
        np.full((1, T_S.size), np.nan),
        np.zeros((1, T_S.size)),
        np.full((1, T_S.size), 127.5),
        np.minimum(toco(200.0, height=400.0), 127.5),
    ],
    ids=["absent", "flat", "stuck at the top", "clipped"],
)
def test_a_sensor_that_shows_nothing_says_unknown(signal: FloatArray):
    found = find_contractions(signal)
    assert not found.is_known.any()
    assert found.contractions[0] == []


def test_pressure_may_exceed_the_stop_of_a_toco():
    pressure = toco(200.0, height=150.0, width_s=60.0)
    assert find_contractions(pressure, are_units_mmhg=np.array([True])).is_known.any()


def test_a_sensor_that_comes_on_late_is_known_from_then_on():
    signal = toco(200.0)
    signal[0, : 15 * MIN] = np.nan
    known = find_contractions(signal).is_known[0]
    assert not known[: 9 * MIN].any()
    assert known[16 * MIN :].all()


def test_half_a_minute_of_loss_moves_nothing():
    signal = toco(200.0)
    whole = find_contractions(signal).contractions[0]
    signal[0, 6000:6120] = np.nan
    assert len(find_contractions(signal).contractions[0]) == len(whole)


def test_a_contraction_that_has_only_begun_is_known():
    t_s = np.arange(1200 * 4) / 4
    toco = 10 + 40 * np.exp(-(((t_s % 240) - 120) ** 2) / (2 * 25.0**2))
    whole = find_contractions(toco[None]).contractions[0]
    rising = find_contractions(toco[None, : (4 * 240 + 110) * 4]).contractions[0]
    assert len(whole) == 5
    assert len(rising) == 5
    assert rising[-1].end_s == 4 * 240 + 110
    assert abs(rising[-1].peak_s - (4 * 240 + 110)) < 10
    resting = find_contractions(toco[None, : (4 * 240 + 20) * 4]).contractions[0]
    assert len(resting) == 4
