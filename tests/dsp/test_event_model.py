"""The learned second look at events: what it may decide, and what it may not."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hub.dsp import analyse
from hub.dsp.baseline import estimate_baseline
from hub.dsp.contraction_model import PEAK_FEATURES, ContractionModel, describe_peaks
from hub.dsp.contractions import find_contractions
from hub.dsp.event_features import FEATURES, REACH_S, describe_stretches
from hub.dsp.event_model import WEIGHTS, EventModel, Forest, load_event_model
from hub.dsp.events import find_accelerations, find_decelerations
from hub.dsp.quality import find_runs
from hub.model import Acceleration, Deceleration, DecelerationKind, FloatArray

MIN = 240
N = 30 * MIN
AT_S = 600.0
KNOWN = np.zeros((1, N), dtype=bool)


def forest(answer: float) -> Forest:
    """One leaf that answers the same to everything."""
    leaf = np.zeros(1, np.intp)
    return Forest(
        roots=leaf,
        feature=leaf,
        threshold=np.zeros(1, np.float32),
        children=np.zeros(2, np.intp),
        value=np.array([answer], np.float32),
        depth=1,
        accept_at=0.5,
    )


REFUSES = forest(0.0)
ACCEPTS = forest(1.0)


def trace(change_bpm: float, duration_s: float, *, level_bpm: float = 140.0, seed: int = 0) -> FloatArray:
    """A trapezoid that begins at `AT_S`, with slopes of 5 s, on a trace with a little grain."""
    corners = [AT_S, AT_S + 5, AT_S + duration_s - 5, AT_S + duration_s]
    change = np.interp(np.arange(N) / 4.0, corners, [0.0, change_bpm, change_bpm, 0.0])
    grain: FloatArray = np.random.default_rng(seed).normal(0.0, 1.0, N)
    return (level_bpm + change + grain)[None]


def falls(fhr: FloatArray, model: Forest | None, *, level_bpm: float = 140.0) -> list[Deceleration]:
    line = np.full(fhr.shape, level_bpm)
    return find_decelerations(fhr, line, contractions=[[]], are_contractions_known=KNOWN, model=model)[0]


def rises(fhr: FloatArray, model: Forest | None, weeks: float | None = 39.0) -> list[Acceleration]:
    line = np.full(fhr.shape, 140.0)
    return find_accelerations(fhr, line, gestational_weeks=[weeks], decelerations=[[]], model=model)[0]


def shipped() -> EventModel:
    model = load_event_model()
    assert model is not None, f"{WEIGHTS} is part of the package"
    return model


def test_the_model_may_refuse_what_the_rules_would_take():
    assert falls(trace(-20, 40), None)
    assert not falls(trace(-20, 40), REFUSES)
    assert rises(trace(20, 40), None)
    assert not rises(trace(20, 40), REFUSES)


def test_a_fall_of_40_for_30_seconds_stays_whatever_the_model_says():
    (kept,) = falls(trace(-42, 34, level_bpm=165.0), REFUSES, level_bpm=165.0)
    assert kept.depth_bpm >= 40
    assert kept.nadir_bpm > 110


def test_a_prolonged_fall_stays_whatever_the_model_says():
    (kept,) = falls(trace(-18, 135), REFUSES)
    assert kept.kind is DecelerationKind.PROLONGED
    assert kept.nadir_bpm > 110


def test_a_fall_below_110_stays_whatever_the_model_says():
    (kept,) = falls(trace(-22, 40, level_bpm=126.0), REFUSES, level_bpm=126.0)
    assert kept.nadir_bpm < 110


def test_a_fall_into_a_gap_stays_whatever_the_model_says():
    fhr = trace(-30, 120)
    fhr[:, round((AT_S + 20) * 4) : round((AT_S + 220) * 4)] = np.nan
    (kept,) = falls(fhr, REFUSES)
    assert kept.end_s - kept.onset_s >= 120


def test_a_fall_stays_until_two_minutes_after_its_end():
    fhr = trace(-20, 40)
    soon, later = round((AT_S + 40 + 100) * 4), round((AT_S + 40 + 140) * 4)
    assert [d.is_provisional for d in falls(fhr[:, :soon], REFUSES)] == [True]
    assert not falls(fhr[:, :later], REFUSES)


def test_every_severe_fall_of_random_size_survives_a_model_that_refuses_all():
    rng = np.random.default_rng(5)
    for seed in range(40):
        depth, duration_s = rng.uniform(45, 80), rng.uniform(40, 400)
        kept = falls(trace(-depth, duration_s, seed=seed), REFUSES)
        assert kept, f"lost a fall of {depth:.0f} bpm for {duration_s:.0f} s"


def test_a_model_that_accepts_all_adds_nothing_that_is_slight_or_short():
    for change, duration_s in ((8, 60), (25, 8)):
        assert not falls(trace(-change, duration_s), ACCEPTS)
        assert not rises(trace(change, duration_s), ACCEPTS)


def test_a_variable_deceleration_is_never_less_than_12_deep():
    found = [d for k in range(20) for d in falls(trace(-10.5 - 0.15 * k, 40, seed=k), ACCEPTS)]
    variable = [d.depth_bpm for d in found if d.kind is DecelerationKind.VARIABLE]
    assert variable
    assert min(variable) >= 12


def test_onset_and_end_are_those_of_the_rules():
    for fhr in (trace(-25, 50), trace(25, 50)):
        for find in (falls, rises):
            by_rules = [(e.onset_s, e.end_s) for e in find(fhr, None)]
            assert by_rules == [(e.onset_s, e.end_s) for e in find(fhr, ACCEPTS)]


def test_before_32_weeks_the_rules_decide_on_accelerations():
    assert rises(trace(12, 30), REFUSES, weeks=30.0)
    assert not rises(trace(12, 30), REFUSES, weeks=39.0)


def describe(fhr: FloatArray) -> npt.NDArray[np.float32]:
    line = np.full(fhr.shape, 140.0)
    departure = np.nan_to_num(line - fhr)
    runs = find_runs(departure > 6.0)
    longest = np.argmax(runs[:, 2] - runs[:, 1])
    table = describe_stretches(runs[longest : longest + 1], departure, line - fhr, line)
    return np.asarray(table[0], np.float32)


def test_what_lies_farther_than_two_minutes_away_changes_nothing():
    fhr = trace(-25, 50)
    other = fhr.copy()
    other[:, : round((AT_S - REACH_S - 20) * 4)] += 9.0
    other[:, round((AT_S + 50 + REACH_S + 20) * 4) :] = np.nan
    assert describe(other) == pytest.approx(describe(fhr), abs=1e-3)


def test_every_column_is_a_number_even_without_surroundings():
    fhr = trace(-25, 50)
    fhr[:, : round((AT_S - 1) * 4)] = np.nan
    fhr[:, round((AT_S + 52) * 4) :] = np.nan
    row = describe(fhr)
    assert row.shape == (len(FEATURES),)
    assert np.isfinite(row).all()


def test_beds_do_not_touch_one_another():
    model = shipped()
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.normal(0, 0.6, (4, N)), axis=-1)
    fhr = 140 + 12 * np.sin(walk / 9) + rng.normal(0, 2, (4, N))
    baseline = estimate_baseline(fhr)
    together = find_decelerations(
        fhr,
        baseline,
        contractions=[[]] * 4,
        are_contractions_known=np.zeros((4, N), dtype=bool),
        model=model.fall,
    )
    assert sum(len(row) for row in together)
    for bed in range(4):
        alone = find_decelerations(
            fhr[bed : bed + 1],
            baseline[bed : bed + 1],
            contractions=[[]],
            are_contractions_known=KNOWN,
            model=model.fall,
        )
        assert alone[0] == together[bed]


def test_trees_give_the_mean_of_their_leaves():
    stump = Forest(
        roots=np.array([0, 3]),
        feature=np.array([1, 0, 0, 0, 0, 0]),
        threshold=np.array([5.0, 0, 0, 1.0, 0, 0], np.float32),
        children=np.array([1, 2, 1, 1, 2, 2, 4, 5, 4, 4, 5, 5]),
        value=np.array([0, 0.2, 0.8, 0, 0.1, 0.9], np.float32),
        depth=1,
        accept_at=0.5,
    )
    rows = np.array([[0.0, 5.0], [2.0, 5.0], [0.0, 6.0], [2.0, 6.0]], np.float32)
    assert stump.predict(rows) == pytest.approx([0.15, 0.55, 0.45, 0.85])


def test_a_large_textbook_event_is_accepted_and_flat_noise_is_not():
    model = shipped()
    assert falls(trace(-35, 60), model.fall)
    assert rises(trace(28, 45), model.rise)
    assert not falls(trace(0, 60), model.fall)
    assert not rises(trace(0, 60), model.rise)


def test_without_the_weights_file_the_rules_decide(tmp_path: Path):
    assert load_event_model(tmp_path / "events.npz") is None


def test_weights_made_for_other_features_are_refused():
    with np.load(WEIGHTS) as file:
        arrays = {key: file[key] for key in file.files}
    with pytest.raises(ValueError, match="expected features"):
        EventModel.from_arrays(arrays | {"features": np.array(FEATURES[:-1])})
    with pytest.raises(ValueError, match="expected features"):
        EventModel.from_arrays(arrays | {"peak_features": np.array(PEAK_FEATURES[::-1])})


def test_the_whole_analysis_uses_the_model_and_gives_the_same_answer_twice():
    fhr = trace(-35, 60)[0]
    first, second = analyse(fhr), analyse(fhr)
    assert first.decelerations
    assert first.decelerations == second.decelerations
    assert first.algorithm.endswith("events 2")


def contractions_of(toco: FloatArray, model: ContractionModel | None) -> int:
    return len(find_contractions(toco[None], model=model).contractions[0])


def toco(height: float) -> FloatArray:
    """A bell each 3 min on a resting tone of 10, with a little grain."""
    away = (np.arange(N) / 4.0 + 90.0) % 180.0 - 90.0
    grain: FloatArray = np.random.default_rng(1).normal(0, 0.5, N)
    return 10.0 + height * np.exp(-0.5 * (away / 25.0) ** 2) + grain


def test_high_contractions_count_whatever_the_model_says():
    model = shipped().contraction
    refuses = ContractionModel(model.mean, model.scale, model.weight, model.bias, accept_at=2.0)
    assert contractions_of(toco(50), refuses) >= 9
    assert contractions_of(toco(14), refuses) == 0


def test_plain_contractions_are_accepted_and_a_resting_line_is_not():
    model = shipped().contraction
    assert contractions_of(toco(50), model) == contractions_of(toco(50), None)
    assert contractions_of(toco(0), model) == 0


def test_the_model_of_the_toco_has_no_say_over_the_pressure():
    model = shipped().contraction
    accepts = ContractionModel(model.mean, model.scale, model.weight, model.bias, accept_at=-1.0)
    pressure = toco(9)
    by_rules = contractions_of(pressure, None)
    assert contractions_of(pressure, accepts) > by_rules
    found = find_contractions(pressure[None], are_units_mmhg=np.array([True]), model=accepts)
    assert len(found.contractions[0]) == by_rules


def test_peaks_that_are_far_apart_are_described_alike():
    near, far = (
        describe_peaks(
            np.array([0.0, gap_s]),
            prominence=np.full(2, 20.0),
            width_s=np.full(2, 60.0),
            height=np.full(2, 25.0),
            noise=np.ones(2),
        )
        for gap_s in (400.0, 4000.0)
    )
    assert near == pytest.approx(far)
