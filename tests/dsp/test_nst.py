"""The non-stress test: verdict at 20 and 40 minutes, and the four conditions."""

from dataclasses import replace

import numpy as np
import pytest

from device_sim.scenarios import scenario_signals
from hub.dsp import analyse
from hub.dsp.nst import NstReport, NstVerdict, report_nst
from hub.model import Acceleration, Analysis, FloatArray, Indeterminate

MIN = 240
MET = {"baseline": True, "variability": True, "reactive": True, "no_deceleration": True}


def modelled(scenario: str, minutes: int) -> tuple[FloatArray, Analysis]:
    signals = scenario_signals(scenario, seed=1, duration_s=60 * minutes)
    fhr = signals.fhr[0]
    return fhr, analyse(fhr, signals.toco, signals.mhr, gestational_weeks=39.0)


def with_peaks(peaks_min: list[float], minutes: int = 40) -> NstReport:
    """A calm trace, its accelerations put where the test wants them."""
    fhr, found = modelled("reassuring", minutes)
    accelerations = [
        Acceleration(onset_s=60 * p - 10, peak_s=60 * p, end_s=60 * p + 10, rise_bpm=20) for p in peaks_min
    ]
    return report_nst(fhr, replace(found, accelerations=accelerations, decelerations=[]))


def conditions(report: NstReport) -> dict[str, bool | None]:
    return {c.name: c.is_met for c in report.conditions}


def test_a_modelled_healthy_fetus_is_reactive_and_reassuring_after_20_minutes():
    report = report_nst(*modelled("reassuring", 40))
    assert report.verdict is NstVerdict.REACTIVE
    assert report.end_s == 1200
    assert conditions(report) == MET
    assert report.is_reassuring


@pytest.mark.parametrize(
    ("peaks_min", "verdict", "end_min", "count"),
    [
        ([5, 15], NstVerdict.REACTIVE, 20, 2),
        ([5], NstVerdict.NON_REACTIVE, 40, 1),
        ([], NstVerdict.NON_REACTIVE, 40, 0),
        ([15, 30], NstVerdict.REACTIVE, 40, 2),
        ([5, 30], NstVerdict.NON_REACTIVE, 40, 1),
        ([25, 35], NstVerdict.REACTIVE, 40, 2),
        ([19.9, 30], NstVerdict.REACTIVE, 40, 2),
    ],
)
def test_two_accelerations_in_twenty_minutes_are_reactive_and_forty_minutes_are_given(
    peaks_min: list[float], verdict: NstVerdict, end_min: int, count: int
):
    report = with_peaks(peaks_min)
    assert (report.verdict, report.end_s, report.acceleration_count) == (verdict, 60 * end_min, count)


@pytest.mark.parametrize(("minutes", "peaks_min"), [(39, [5]), (20, []), (12, [3, 6])])
def test_a_short_record_goes_on_rather_than_fails(minutes: int, peaks_min: list[float]):
    report = with_peaks(peaks_min, minutes)
    assert report.verdict is NstVerdict.CONTINUE
    assert not report.is_reassuring


def test_what_comes_after_forty_minutes_does_not_count():
    assert with_peaks([42, 45], minutes=50).verdict is NstVerdict.NON_REACTIVE


def test_a_deceleration_is_reactive_but_not_reassuring():
    fhr, found = modelled("late_severe", 20)
    assert found.decelerations
    accelerations = [
        Acceleration(onset_s=t, peak_s=t + 10, end_s=t + 20, rise_bpm=20) for t in (100.0, 500.0)
    ]
    report = report_nst(fhr, replace(found, accelerations=accelerations))
    assert report.verdict is NstVerdict.REACTIVE
    assert conditions(report)["no_deceleration"] is False
    assert not report.is_reassuring


@pytest.mark.parametrize(("shift_bpm", "is_met"), [(0, True), (40, False), (-45, False)])
def test_a_baseline_outside_110_to_160_is_not_reassuring(shift_bpm: int, is_met: bool):
    signals = scenario_signals("reassuring", seed=1, duration_s=2400)
    fhr = signals.fhr[0] + shift_bpm
    report = report_nst(fhr, analyse(fhr, signals.toco))
    assert conditions(report)["baseline"] is is_met
    assert report.is_reassuring is is_met


def test_low_variability_is_not_reassuring():
    fhr, found = modelled("reassuring", 40)
    report = report_nst(fhr, replace(found, variability_bpm=np.full(fhr.size, 4.0)))
    assert conditions(report)["variability"] is False


def test_variability_that_cannot_be_read_is_not_met():
    fhr, found = modelled("reassuring", 40)
    report = report_nst(fhr, replace(found, variability_bpm=np.full(fhr.size, np.nan)))
    assert conditions(report)["variability"] is None
    assert not report.is_reassuring


def test_a_sleep_cycle_before_the_accelerations_does_not_spoil_the_variability():
    fhr, found = modelled("reassuring", 40)
    variability = np.where(np.arange(fhr.size) < 19 * MIN, 4.0, 12.0)
    accelerations = [
        Acceleration(onset_s=t, peak_s=t + 10, end_s=t + 20, rise_bpm=20) for t in (1900.0, 2300.0)
    ]
    report = report_nst(
        fhr, replace(found, variability_bpm=variability, accelerations=accelerations, decelerations=[])
    )
    assert report.verdict is NstVerdict.REACTIVE
    assert report.variability_bpm == 12


def test_without_half_of_the_signal_there_is_no_verdict():
    fhr, found = modelled("reassuring", 40)
    lost = fhr.copy()
    lost[::2] = np.nan
    lost[1 : 10 * MIN] = np.nan
    report = report_nst(lost, found)
    assert report.verdict is NstVerdict.INDETERMINATE
    assert conditions(report)["reactive"] is None


def test_a_rate_that_may_be_maternal_has_no_verdict():
    fhr, found = modelled("reassuring", 40)
    segments = [replace(found.segments[0], indeterminate=Indeterminate.MATERNAL_RATE), *found.segments[1:]]
    assert report_nst(fhr, replace(found, segments=segments)).verdict is NstVerdict.INDETERMINATE


def test_samples_judged_false_are_no_signal():
    fhr, found = modelled("reassuring", 40)
    report = report_nst(fhr, replace(found, false_signal=np.full(fhr.size, 0.9)))
    assert (report.verdict, report.valid_fraction) == (NstVerdict.INDETERMINATE, 0.0)


@pytest.mark.parametrize("fhr", [np.zeros(0), np.array([140.0]), np.full(40 * MIN, np.nan)])
def test_nothing_is_never_reassuring(fhr: FloatArray):
    report = report_nst(fhr, analyse(fhr))
    assert report.verdict in (NstVerdict.CONTINUE, NstVerdict.INDETERMINATE)
    assert not report.is_reassuring


def test_a_record_and_the_analysis_of_another_are_refused():
    with pytest.raises(ValueError, match="share a shape"):
        report_nst(np.full(10, 140.0), analyse(np.full(11, 140.0)))
