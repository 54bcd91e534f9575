"""The scenarios are measured with plain arithmetic, apart from any analysis of ours."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import find_peaks

from device_sim.scenarios import SCENARIOS, Scenario, scenario_signals
from hub.model import (
    BaselineClass,
    DecelerationKind,
    Indeterminate,
    Severity,
    VariabilityClass,
)

FloatArray = npt.NDArray[np.float64]
MINUTE = 240
SEEDS = (0, 1, 2024)
WITH_LEVEL = [s for s in SCENARIOS.values() if s.expected.level is not None]

# Tables I to V: rows by baseline, columns none, early, variable, late, prolonged (mild, severe).
COLUMNS = ["none", "early", "variable_mild", "variable_severe"]
COLUMNS += ["late_mild", "late_severe", "prolonged_mild", "prolonged_severe"]
TABLES: dict[str, dict[str, list[int | None]]] = {
    "I": {
        "normal": [1, 2, 2, 3, 3, 3, 3, 4],
        "tachycardia": [2, 2, 3, 3, 3, 4, 3, 4],
        "bradycardia": [3, 3, 3, 4, 4, 4, 4, 4],
        "severe_bradycardia": [4, 4, None, 4, 4, 4, None, None],
    },
    "II": {
        "normal": [2, 3, 3, 4, 3, 4, 4, 5],
        "tachycardia": [3, 3, 4, 4, 4, 5, 4, 5],
        "bradycardia": [4, 4, 4, 5, 5, 5, 5, 5],
        "severe_bradycardia": [5, 5, None, 5, 5, 5, None, None],
    },
    "III": {"any": [4, 5, 5, 5, 5, 5, 5, 5]},
    "IV": {"any": [2, 2, 3, 3, 3, 4, 3, 4]},
    "V": {"any": [4, 4, 4, 4, 5, 5, 5, 5]},
}


def fhr_of(scenario: Scenario, seed: int) -> FloatArray:
    """One hour after the warm-up, first fetus."""
    warm_up_s = scenario.expected.warm_up_s
    signals = scenario_signals(scenario.name, seed=seed, duration_s=warm_up_s + 3600)
    return signals.fhr[0, int(warm_up_s * 4) :]


@pytest.mark.parametrize("scenario", WITH_LEVEL, ids=lambda s: s.name)
def test_the_stated_level_is_the_one_of_its_table_cell(scenario: Scenario) -> None:
    expected = scenario.expected
    assert expected.cell is not None
    table, row, column = expected.cell.split("/")
    assert TABLES[table][row][COLUMNS.index(column)] == expected.level
    variability = {"I": "moderate", "II": "minimal", "III": "absent", "IV": "marked", "V": "sinusoidal"}
    assert expected.variability == VariabilityClass(variability[table])
    assert row in ("any", expected.baseline)
    kinds = {k if s == Severity.UNGRADED else f"{k}_{s}" for k, s in expected.decelerations}
    assert kinds == (set() if column == "none" else {column})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", WITH_LEVEL, ids=lambda s: s.name)
def test_the_baseline_lies_well_inside_its_class(scenario: Scenario, seed: int) -> None:
    baseline = np.nanmedian(fhr_of(scenario, seed))
    low, high = {
        BaselineClass.SEVERE_BRADYCARDIA: (60, 75),
        BaselineClass.BRADYCARDIA: (88, 104),
        BaselineClass.NORMAL: (117, 154),
        BaselineClass.TACHYCARDIA: (168, 190),
    }[BaselineClass(scenario.expected.baseline or "")]
    assert low < baseline < high


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "scenario",
    [s for s in WITH_LEVEL if not s.expected.decelerations and not s.expected.has_accelerations],
    ids=lambda s: s.name,
)
def test_variability_lies_well_inside_its_class(scenario: Scenario, seed: int) -> None:
    ranges = np.nanmax(fhr_of(scenario, seed).reshape(-1, MINUTE), axis=1) - np.nanmin(
        fhr_of(scenario, seed).reshape(-1, MINUTE), axis=1
    )
    windows = np.median(ranges.reshape(6, 10), axis=1)
    low, high = {
        VariabilityClass.ABSENT: (0.0, 1.2),
        VariabilityClass.MINIMAL: (2.0, 4.7),
        VariabilityClass.MODERATE: (6.5, 18.0),
        VariabilityClass.MARKED: (27.0, 60.0),
        VariabilityClass.SINUSOIDAL: (11.0, 15.0),
    }[VariabilityClass(scenario.expected.variability or "")]
    assert ((windows > low) & (windows < high)).all(), windows


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS.values() if s.expected.decelerations], ids=lambda s: s.name
)
def test_each_ten_minutes_hold_the_stated_deceleration(scenario: Scenario, seed: int) -> None:
    """Nadirs by peak picking on the smoothed trace; depth, fall and lag against the definitions."""
    fetus = scenario.patient.fetuses[0]
    signals = scenario_signals(scenario.name, seed=seed, duration_s=3600)
    fhr, toco = signals.fhr[0], signals.toco
    assert toco is not None
    bridged = np.interp(np.arange(fhr.size), np.flatnonzero(np.isfinite(fhr)), fhr[np.isfinite(fhr)])
    smooth = np.convolve(bridged, np.full(20, 1 / 20), "same")
    depth = fetus.baseline_bpm - smooth
    wanted = fetus.decelerations[0]
    apart_s = 300 if wanted.every_s else 100
    nadirs, _ = find_peaks(depth, height=0.7 * wanted.depth_bpm, distance=apart_s * 4)
    assert np.diff(np.concatenate(([0], nadirs, [fhr.size]))).max() < 10 * MINUTE
    contractions, _ = find_peaks(np.convolve(toco, np.full(40, 1 / 40), "same"), height=40, distance=60 * 4)
    (kind, severity), *_ = scenario.expected.decelerations
    for nadir in nadirs[(nadirs > 1200) & (nadirs < fhr.size - 1200)]:
        low = depth[nadir - 1200 : nadir + 1200]
        # Outermost sample around the nadir that still lies 5 bpm down.
        below = np.flatnonzero(low <= 5.0)
        onset = below[below < 1200].max()
        end = below[below > 1200].min()
        duration_s = (end - onset) / 4
        if kind == DecelerationKind.PROLONGED:
            assert 130 < duration_s < 400
            assert (smooth[nadir] < 72) == (severity == Severity.SEVERE)
            continue
        lag_s = np.min(np.abs(contractions - nadir)) / 4
        if kind == DecelerationKind.VARIABLE:
            assert 20 < duration_s < 110
            steepest = np.abs(np.diff(smooth[nadir - 160 : nadir])).max() * 4
            assert steepest > 3.0, "falls at least 15 bpm in well under 30 s"
            assert (smooth[nadir] < 68) == (severity == Severity.SEVERE)
        else:
            assert 45 < duration_s < 118
            assert (lag_s < 12) == (kind == DecelerationKind.EARLY)
            if kind == DecelerationKind.LATE:
                assert lag_s > 22
                assert (depth[nadir] > 18) == (severity == Severity.SEVERE)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_tachysystole_exceeds_five_contractions_in_ten_minutes(seed: int) -> None:
    for scenario in SCENARIOS.values():
        toco = scenario_signals(scenario.name, seed=seed, duration_s=3600).toco
        assert toco is not None
        peaks, _ = find_peaks(np.convolve(toco, np.full(60, 1 / 60), "same"), prominence=15, distance=40 * 4)
        counts = np.histogram(peaks, bins=np.arange(0, 61, 10) * MINUTE)[0]
        assert (counts[1:-1] > 5).all() == scenario.expected.is_tachysystole, scenario.name


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reassuring_patient_accelerates_in_every_ten_minutes(seed: int) -> None:
    fhr = fhr_of(SCENARIOS["reassuring"], seed).reshape(6, 10 * MINUTE)
    baseline = SCENARIOS["reassuring"].patient.fetuses[0].baseline_bpm
    seconds_above = (fhr > baseline + 15).sum(axis=1) / 4
    assert (seconds_above > 30).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_captured_transducer_shows_the_maternal_rate(seed: int) -> None:
    signals = scenario_signals("maternal_capture", seed=seed, duration_s=1800)
    assert signals.mhr is not None
    difference = np.abs(signals.fhr[0] - signals.mhr)
    assert np.nanmin(difference[: 290 * 4]) > 5
    captured = difference[310 * 4 :]
    assert (captured[np.isfinite(captured)] <= 5).mean() > 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_signal_loss_leaves_less_than_half_of_every_ten_minutes(seed: int) -> None:
    fhr = fhr_of(SCENARIOS["signal_loss"], seed).reshape(6, 10 * MINUTE)
    assert (np.isfinite(fhr).mean(axis=1) < 0.45).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_twins_and_mother_keep_apart(seed: int) -> None:
    signals = scenario_signals("twins", seed=seed, duration_s=1800)
    assert signals.fhr.shape[0] == 2
    assert np.nanmean(np.abs(signals.fhr[0] - signals.fhr[1]) < 5) < 0.25


@pytest.mark.parametrize(
    "scenario",
    [s for s in SCENARIOS.values() if s.expected.indeterminate != Indeterminate.MATERNAL_RATE],
    ids=lambda s: s.name,
)
def test_fetal_and_maternal_rate_coincide_only_where_that_is_the_point(scenario: Scenario) -> None:
    signals = scenario_signals(scenario.name, seed=4, duration_s=2400)
    assert signals.mhr is not None
    is_close = np.abs(signals.fhr - signals.mhr) <= 5
    per_minute = is_close.reshape(is_close.shape[0], -1, MINUTE).mean(axis=2)
    assert per_minute.max() < 0.3


def test_every_missing_level_says_why() -> None:
    for scenario in SCENARIOS.values():
        assert (scenario.expected.level is None) == (scenario.expected.indeterminate is not None)
