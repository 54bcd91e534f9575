"""Accelerations and decelerations, their kinds and their ends."""

import numpy as np
import pytest

from hub.dsp.events import find_accelerations, find_decelerations
from hub.model import Acceleration, Contraction, Deceleration, DecelerationKind, FloatArray, Severity

MIN = 240
N = 20 * MIN
LINE = np.full((1, N), 140.0)
KNOWN = np.ones((1, N), dtype=bool)


def shape(onset_s: float, fall_s: float, hold_s: float, rise_s: float, depth_bpm: float) -> FloatArray:
    """A trapezoid of the given depth, as seen on a trace with a little grain."""
    corners = np.cumsum([onset_s, fall_s, hold_s, rise_s])
    drop = np.interp(np.arange(N) / 4.0, corners, [0.0, depth_bpm, depth_bpm, 0.0])
    grain: FloatArray = np.random.default_rng(0).normal(0, 1.0, N)
    return (140.0 - drop + grain)[None]


def decelerations(
    fhr: FloatArray, *, peaks_s: tuple[float, ...] = (), is_known: bool = True
) -> list[Deceleration]:
    contractions = [Contraction(onset_s=p - 40, peak_s=p, end_s=p + 40, amplitude=50.0) for p in peaks_s]
    return find_decelerations(
        fhr, LINE, contractions=[contractions], are_contractions_known=KNOWN if is_known else ~KNOWN
    )[0]


def accelerations(
    fhr: FloatArray, weeks: float | None = 39.0, near: tuple[Deceleration, ...] = ()
) -> list[Acceleration]:
    return find_accelerations(fhr, LINE, gestational_weeks=[weeks], decelerations=[near])[0]


def test_a_quick_fall_is_variable_and_measured():
    (found,) = decelerations(shape(300, 10, 25, 15, 40))
    assert found.kind is DecelerationKind.VARIABLE
    assert found.severity is Severity.MILD
    assert found.onset_s == pytest.approx(300, abs=3)
    assert found.end_s == pytest.approx(350, abs=4)
    assert found.depth_bpm == pytest.approx(40, abs=4)
    assert found.nadir_bpm == pytest.approx(100, abs=4)
    assert found.onset_to_nadir_s == pytest.approx(10, abs=4)
    assert not found.is_ongoing
    assert not found.is_provisional


@pytest.mark.parametrize(("peak_s", "kind"), [(350, DecelerationKind.EARLY), (315, DecelerationKind.LATE)])
def test_a_gradual_fall_is_early_or_late_by_its_contraction(peak_s: float, kind: DecelerationKind):
    (found,) = decelerations(shape(300, 50, 0, 50, 25), peaks_s=(peak_s,))
    assert found.kind is kind
    assert found.onset_to_nadir_s == pytest.approx(50, abs=8)
    assert found.lag_s == pytest.approx(350 - peak_s, abs=6)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_gradual_fall_without_its_contraction_is_undetermined_and_graded_as_late(is_known: bool):
    (found,) = decelerations(shape(300, 50, 0, 50, 25), peaks_s=(800.0,), is_known=is_known)
    assert found.kind is DecelerationKind.UNDETERMINED
    assert found.severity is Severity.SEVERE
    assert found.lag_s is None


@pytest.mark.parametrize(
    ("hold_s", "depth_bpm", "severity"),
    [(40, 75, Severity.SEVERE), (40, 64, Severity.MILD), (60, 64, Severity.SEVERE), (60, 50, Severity.MILD)],
)
def test_a_variable_deceleration_is_graded_by_nadir_and_duration(
    hold_s: float, depth_bpm: float, severity: Severity
):
    (found,) = decelerations(shape(300, 6, hold_s, 6, depth_bpm))
    assert found.severity is severity


@pytest.mark.parametrize(("depth_bpm", "severity"), [(40, Severity.MILD), (68, Severity.SEVERE)])
def test_two_minutes_make_it_prolonged(depth_bpm: float, severity: Severity):
    (found,) = decelerations(shape(300, 20, 150, 20, depth_bpm))
    assert found.kind is DecelerationKind.PROLONGED
    assert found.severity is severity


@pytest.mark.parametrize(("hold_s", "depth_bpm"), [(30, 8), (6, 20)], ids=["too shallow", "too short"])
def test_a_small_quick_dip_is_none(hold_s: float, depth_bpm: float):
    assert decelerations(shape(300, 3, hold_s, 3, depth_bpm)) == []


@pytest.mark.parametrize(
    ("return_s", "between_s", "n_found"),
    [(3, 40, 1), (15, 52, 2), (3, 100, 2)],
    ids=["one contraction", "a real return", "bottoms far apart"],
)
def test_two_bottoms_of_one_fall_are_one_deceleration(return_s: float, between_s: float, n_found: int):
    lasts_s = between_s - return_s
    first, second = shape(300, 8, lasts_s - 16, 8, 40), shape(300 + between_s, 8, lasts_s - 16, 8, 30)
    found = decelerations(np.minimum(first, second))
    assert len(found) == n_found
    assert found[-1].end_s == pytest.approx(300 + between_s + lasts_s, abs=4)


def test_a_shallow_fall_counts_only_when_it_follows_contractions_regularly():
    fhr = LINE.copy()
    peaks = (150.0, 390.0, 630.0, 870.0)
    for peak_s in peaks:
        fhr += shape(peak_s - 10, 50, 0, 50, 9.0) - 140.0
    grainless = fhr + np.random.default_rng(2).normal(0, 0.3, N)
    late = decelerations(grainless, peaks_s=peaks)
    assert [d.kind for d in late] == [DecelerationKind.LATE] * 4
    assert all(d.severity is Severity.MILD for d in late)
    assert decelerations(grainless, peaks_s=()) == []


def test_a_fall_into_a_gap_goes_on_through_it():
    fhr = shape(300, 10, 1000, 10, 40)
    fhr[0, 320 * 4 : 500 * 4] = np.nan
    fhr[0, 500 * 4 :] = 140.0
    (found,) = decelerations(fhr)
    assert found.kind is DecelerationKind.PROLONGED
    assert found.end_s == pytest.approx(500, abs=2)
    assert found.readable_fraction < 0.2


def test_a_gap_after_a_steady_rate_is_no_fall():
    fhr = shape(300, 10, 20, 10, 0)
    fhr[0, 2000:3000] = np.nan
    assert decelerations(fhr) == []


def test_a_fall_that_the_data_end_in_is_ongoing():
    fhr = shape(1100, 10, 500, 10, 40)
    (found,) = decelerations(fhr)
    assert found.is_ongoing
    assert found.is_provisional
    fhr[0, -60:] = np.nan
    (found,) = decelerations(fhr)
    assert found.is_ongoing
    assert found.end_s == N / 4


def test_what_ended_over_two_minutes_ago_is_no_longer_provisional():
    (old, new) = decelerations(shape(300, 10, 25, 10, 40) + shape(1060, 10, 25, 10, 40) - 140.0)
    assert not old.is_provisional
    assert new.is_provisional
    assert not new.is_ongoing


@pytest.mark.parametrize(("weeks", "count"), [(39.0, 0), (None, 0), (31.9, 1), (32.0, 0)])
def test_before_32_weeks_a_smaller_rise_is_an_acceleration(weeks: float | None, count: int):
    assert len(accelerations(shape(300, 5, 8, 5, -13), weeks)) == count


def test_an_acceleration_is_measured():
    (found,) = accelerations(shape(300, 10, 15, 10, -22))
    assert found.onset_s == pytest.approx(302, abs=4)
    assert found.end_s == pytest.approx(333, abs=4)
    assert found.rise_bpm == pytest.approx(22, abs=2)
    assert not found.is_prolonged


def test_a_rise_of_two_minutes_is_a_prolonged_acceleration():
    (found,) = accelerations(shape(300, 10, 150, 10, -22))
    assert found.is_prolonged


def test_a_gap_ends_an_acceleration():
    fhr = shape(300, 5, 8, 5, -22)
    fhr[0, 308 * 4 : 400 * 4] = np.nan
    assert accelerations(fhr) == []


def test_the_shoulder_of_a_deceleration_is_no_acceleration():
    fhr = shape(300, 8, 20, 8, 45) + shape(336, 5, 12, 5, -19) - 140.0
    (fall,) = decelerations(fhr)
    assert len(accelerations(fhr)) == 1
    assert accelerations(fhr, near=(fall,)) == []


def test_no_signal_has_no_event():
    lost = np.full((1, N), np.nan)
    assert decelerations(lost) == []
    assert accelerations(lost) == []
