"""The learned detector of live rows agrees with that of whole records; late samples make it look again."""

from dataclasses import replace

import numpy as np
import pytest

from device_sim.scenarios import scenario_signals
from hub.dsp.learned import estimate_learned, load_network
from hub.dsp.learned_past import LearnedPast
from hub.dsp.network import Network
from hub.dsp.past import Past
from hub.model import FloatArray

MIN = 240
WINDOW = 20 * MIN
T0 = 7_054_440_000


def shipped() -> Network:
    network = load_network()
    if network is None:
        pytest.skip("the weights were left out")
    return network


def signals(seed: int = 0) -> FloatArray:
    """Fetal rate, maternal rate and uterine activity, the mother captured from the thirtieth minute on."""
    played = scenario_signals("reassuring", seed=seed, duration_s=2400)
    assert played.mhr is not None
    assert played.toco is not None
    fhr = played.fhr[0].copy()
    fhr[30 * MIN :] = played.mhr[30 * MIN :]
    return np.stack((fhr, played.mhr, played.toco))


def update(
    learned: LearnedPast, past: Past, row: int, x: FloatArray, end: int, changed: bool = False
) -> FloatArray:
    rows, ends = np.array([row]), np.array([T0 + end])
    start = max(end - WINDOW, 0)
    seen = x[:, None, start:end]
    learned.follow(past, rows, ends, np.array([changed]), list(seen))
    past.end[row] = T0 + end
    return np.asarray(learned.read(rows, ends - (end - start), seen[0])[0])


def play(learned: LearnedPast, past: Past, row: int, x: FloatArray, *, start: int = 0) -> FloatArray:
    found = np.empty(0)
    for end in range(start + 40, x.shape[-1] + 1, 40):
        found = update(learned, past, row, x, end)
    return found


def test_a_row_that_is_carried_on_is_judged_like_the_whole_record():
    learned, past, x = LearnedPast(shipped()), Past(2), signals()
    found = play(learned, past, past.open_row(0), x)
    # Live beds are revised without hindsight.
    whole = estimate_learned(replace(shipped(), hindsight=None), *x[:, None])[0, -WINDOW:]
    # Live, the newest 28 s were marked as they came; of the rest the last answer is left.
    np.testing.assert_allclose(found, whole, atol=0.004)


def test_a_changed_row_is_followed_anew_through_its_window():
    learned, past, x = LearnedPast(shipped()), Past(2), signals()
    row = past.open_row(0)
    with_hole = x.copy()
    with_hole[0, 30 * MIN : 34 * MIN] = np.nan
    play(learned, past, row, with_hole)
    found = update(learned, past, row, x, x.shape[-1], changed=True)
    assert (found[-9 * MIN :][np.isfinite(found[-9 * MIN :])] >= 0.5).mean() > 0.95


def test_a_copy_goes_on_from_what_was_known():
    learned, past, x = LearnedPast(shipped()), Past(1), signals()
    row, cut = past.open_row(0), 32 * MIN
    play(learned, past, row, x[:, :cut])
    copied = past.copy_row(row)
    np.testing.assert_array_equal(
        play(learned, past, copied, x, start=cut), play(learned, past, row, x, start=cut)
    )


def test_a_row_given_to_another_fetus_knows_nothing_of_the_one_before():
    learned, past = LearnedPast(shipped()), Past(1)
    row = past.open_row(0)
    play(learned, past, row, signals(seed=1))
    past.close_row(row)
    assert past.open_row(0) == row
    fresh = LearnedPast(shipped())
    np.testing.assert_array_equal(
        play(learned, past, row, signals(seed=2)), play(fresh, Past(1), 0, signals(seed=2))
    )


def test_rows_of_different_length_are_judged_together_as_alone():
    network, past = shipped(), Past(2)
    together, x = LearnedPast(network), (signals(seed=1), signals(seed=2))
    rows = np.array([past.open_row(0), past.open_row(0)])
    play(together, past, int(rows[0]), x[0][:, : 36 * MIN - 80])
    play(together, past, int(rows[1]), x[1][:, : 36 * MIN - 40])
    end = 36 * MIN
    both = np.stack([part[:, end - WINDOW : end] for part in x], axis=1)
    together.follow(past, rows, np.full(2, T0 + end), np.zeros(2, dtype=bool), list(both))
    found = together.read(rows, np.full(2, T0 + end - WINDOW), both[0])
    for k in range(2):
        alone, own = LearnedPast(network), Past(1)
        expected = play(alone, own, own.open_row(0), x[k][:, :end])
        np.testing.assert_allclose(found[k], expected, atol=0.005)


def test_a_row_is_suspect_while_what_is_suspected_lies_in_its_last_minutes():
    learned, past, x = LearnedPast(shipped()), Past(1), signals()
    rows = np.array([past.open_row(0)])
    play(learned, past, 0, x[:, : 29 * MIN])
    assert not learned.find_suspect(rows, np.array([T0 + 23 * MIN]), 6 * MIN)[0]
    play(learned, past, 0, x[:, : 32 * MIN], start=29 * MIN)
    assert learned.find_suspect(rows, np.array([T0 + 26 * MIN]), 6 * MIN)[0]
