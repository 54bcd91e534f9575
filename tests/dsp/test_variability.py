"""Amplitude of the swings between events."""

import numpy as np
import pytest

from hub.dsp.variability import compute_variability, spread_pieces
from hub.model import FloatArray

MIN = 240
T_S = np.arange(10 * MIN) / 4.0
LINE = np.full((1, 10 * MIN), 140.0)
NOTHING = np.zeros((1, 10 * MIN), dtype=bool)


def wave(amplitude: float) -> FloatArray:
    return LINE + amplitude / 2 * np.sin(2 * np.pi * T_S / 15.0)


@pytest.mark.parametrize("amplitude", [0.0, 4.0, 12.0, 30.0])
def test_the_amplitude_is_peak_to_trough(amplitude: float):
    assert compute_variability(wave(amplitude), LINE, NOTHING) == pytest.approx(amplitude, rel=0.05, abs=0.01)


def test_a_sloping_baseline_is_no_variability():
    slope = np.linspace(0, 20, 10 * MIN)
    assert compute_variability(LINE + slope, LINE + slope, NOTHING).max() == 0.0


def test_a_piece_with_less_than_half_its_samples_is_not_assessed():
    fhr = wave(10.0)
    fhr[0, MIN : MIN + 130] = np.nan
    fhr[0, 2 * MIN : 2 * MIN + 110] = np.nan
    pieces = compute_variability(fhr, LINE, NOTHING)[0]
    assert np.isnan(pieces[1])
    assert pieces[2] == pytest.approx(10.0, rel=0.05)


def test_events_do_not_count():
    fhr = wave(8.0)
    fhr[0, 1000:1100] -= 60.0
    excluded = NOTHING.copy()
    excluded[0, 990:1110] = True
    assert np.nanmax(compute_variability(fhr, LINE, excluded)) < 9.0


def test_lost_signal_is_never_absent_variability():
    lost = np.full((1, 10 * MIN), np.nan)
    assert np.isnan(compute_variability(lost, LINE, NOTHING)).all()


def test_pieces_lie_over_their_own_minutes():
    spread = spread_pieces(np.array([[3.0, np.nan]]), 3 * MIN, start=60)
    assert np.isnan(spread[0, :60]).all()
    assert (spread[0, 60 : 60 + MIN] == 3.0).all()
    assert np.isnan(spread[0, 60 + MIN :]).all()
