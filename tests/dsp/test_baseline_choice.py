"""Which of two levels the newest minutes belong to: what may be chosen, and what may not."""

import numpy as np
import pytest

from hub.dsp.baseline import continue_baseline, estimate_baseline
from hub.dsp.baseline_choice import (
    FEATURES,
    WEIGHTS,
    Blocks,
    choose_ends,
    describe_ends,
    find_ends,
    load_choice,
    read_forest,
)
from hub.dsp.event_model import Forest, load_event_model
from hub.dsp.events import find_decelerations
from hub.model import DecelerationKind, FloatArray

MIN = 240
RATES_BPM: FloatArray = 100.0 + 2.0 * np.arange(31, dtype=np.float64)


def forest(answer: float) -> Forest:
    """One leaf that answers the same to everything."""
    leaf = np.zeros(1, np.intp)
    return Forest(
        leaf, leaf, np.zeros(1, np.float32), np.zeros(2, np.intp), np.array([answer], np.float32), 1, 0.5
    )


ALWAYS = forest(1.0)
NEVER = forest(0.0)


def two_ends(own_bpm: float, other_bpm: float, *, dearer: float = 20.0) -> tuple[Blocks, FloatArray]:
    """Blocks and costs of a path that may end at either of two rates, of which one is cheaper."""
    away = np.minimum(4 * np.abs(RATES_BPM - own_bpm), 4 * np.abs(RATES_BPM - other_bpm) + dearer)
    cost = np.tile(away, (1, 60, 1))
    rate = np.where(np.arange(600) % 60 < 30, own_bpm, other_bpm)[None]
    return Blocks(rate, np.ones((1, 600)), np.ones((1, 600))), cost


def end_of(choice: Forest | None, own_bpm: float, other_bpm: float) -> float:
    blocks, cost = two_ends(own_bpm, other_bpm)
    return float(RATES_BPM[choose_ends(choice, blocks, cost, RATES_BPM)[0]])


def trace(level: float = 140.0, minutes: int = 40, seed: int = 0) -> FloatArray:
    return level + np.random.default_rng(seed).normal(0, 2.0, (1, minutes * MIN))


def test_a_forest_decides_between_the_two_ends_and_without_one_the_cheaper_is_taken():
    assert end_of(None, 150, 130) == 150
    assert end_of(NEVER, 150, 130) == 150
    assert end_of(ALWAYS, 150, 130) == 130
    assert end_of(ALWAYS, 130, 150) == 150


@pytest.mark.parametrize(("own_bpm", "other_bpm"), [(150, 138), (130, 122), (126, 108), (124, 102)])
def test_no_choice_leads_a_little_down_or_below_110(own_bpm: float, other_bpm: float):
    """A fall of under 15 bpm is not taken out of the path, and below 110 bpm alerts look."""
    assert end_of(ALWAYS, own_bpm, other_bpm) == own_bpm


@pytest.mark.parametrize("depth_bpm", [17, 18, 20, 24, 30, 45, 60])
@pytest.mark.parametrize("level_bpm", [130.0, 150.0])
def test_neither_choice_hides_a_prolonged_fall(depth_bpm: float, level_bpm: float):
    """From its third minute to its ninth a fall is one prolonged deceleration, whatever a forest says."""
    model = load_event_model()
    assert model is not None
    for minutes in range(3, 10):
        fhr = trace(level_bpm, 30)
        fhr[0, -minutes * MIN :] -= depth_bpm
        for choice in (NEVER, ALWAYS):
            line = continue_baseline(fhr, choice=choice).baseline
            found = find_decelerations(
                fhr,
                line,
                contractions=[[]],
                are_contractions_known=np.zeros(fhr.shape, bool),
                model=model.fall,
            )
            assert [d.kind for d in found[0]] == [DecelerationKind.PROLONGED], (minutes, choice.value)


def test_a_steady_rate_and_no_signal_leave_nothing_to_choose():
    fhr = np.concatenate([trace(), np.full((1, 40 * MIN), np.nan)])
    chosen = continue_baseline(fhr, choice=ALWAYS).baseline
    assert np.array_equal(chosen, continue_baseline(fhr).baseline, equal_nan=True)


def test_nothing_older_than_12_minutes_is_looked_at():
    blocks, cost = two_ends(150, 130)
    older = Blocks(*(x.copy() for x in blocks))
    older.rate[:, :240] = 90.0
    older.support[:, :240] = 0.0
    ends = find_ends(blocks, cost, RATES_BPM)
    rows = [describe_ends(ends, x, cost, RATES_BPM) for x in (blocks, older)]
    assert np.array_equal(rows[0], rows[1])
    assert rows[0].shape == (1, len(FEATURES))


def test_weights_made_for_other_features_are_refused():
    with np.load(WEIGHTS) as file:
        arrays = {key: file[key] for key in file.files}
    with pytest.raises(ValueError, match="expected features"):
        read_forest(arrays | {"features": np.array(FEATURES[:-1])})


def test_a_return_from_a_long_rise_is_a_return_and_no_fall():
    """The fetus rested at 130, was at 150 for 9 min and is back."""
    assert load_choice() is not None, f"{WEIGHTS} is part of the package"
    fhr = trace(130.0, 34)
    fhr[0, 18 * MIN : 27 * MIN] += 20.0
    assert np.abs(estimate_baseline(fhr)[0, 29 * MIN :] - 130.0).max() < 6.0
