"""What a 10-minute window says."""

import dataclasses

import numpy as np
import pytest

from hub.dsp.features import BedFindings, WindowFeatures, compute_window_features, mark_events
from hub.dsp.sinusoidal import SinusoidalRun
from hub.model import Acceleration, Contraction, Deceleration, DecelerationKind, FloatArray, Severity

MIN = 240
N = 30 * MIN


def findings(fhr: FloatArray) -> BedFindings:
    no = np.zeros(fhr.size, dtype=bool)
    return BedFindings(
        fhr=fhr,
        baseline=np.full(fhr.size, 140.0),
        false_probability=np.where(np.isfinite(fhr), 0.0, np.nan),
        is_coincident=no,
        is_doubling_halving=no,
        is_coincidence_checked=True,
        accelerations=(),
        decelerations=(),
        sinusoidal=(),
        contractions=(),
        are_contractions_known=~no,
        gestational_weeks=39.0,
        modifiers=frozenset(),
    )


STEADY = findings(np.full(N, 140.0))
PIECES = np.full(30, 12.0)


def window(found: BedFindings, pieces: FloatArray = PIECES, start_min: int = 20) -> WindowFeatures:
    return compute_window_features(
        found,
        pieces[: start_min + 10],
        start=start_min * MIN,
        stop=min((start_min + 10) * MIN, found.fhr.size),
        previous_baseline_bpm=139.0,
        is_rolling=False,
    )


def fall(
    onset_s: float, end_s: float, kind: DecelerationKind = DecelerationKind.LATE, lag_s: float | None = None
) -> Deceleration:
    return Deceleration(
        onset_s=onset_s,
        nadir_s=(onset_s + end_s) / 2,
        end_s=end_s,
        depth_bpm=30.0,
        nadir_bpm=110.0,
        kind=kind,
        severity=Severity.SEVERE,
        onset_to_nadir_s=40.0,
        lag_s=lag_s,
    )


def test_a_steady_window_is_read_as_it_is():
    seen = window(STEADY)
    assert (seen.start_s, seen.end_s) == (1200.0, 1800.0)
    assert seen.baseline_raw_bpm == 140.0
    assert seen.baseline_readable_s == 600.0
    assert seen.variability_bpm == 12.0
    assert seen.valid_fraction == 1.0
    assert seen.longest_gap_s == 0.0
    assert seen.is_complete
    assert seen.previous_baseline_bpm == 139.0


def test_events_do_not_enter_the_baseline():
    fhr = np.full(N, 140.0)
    fhr[21 * MIN : 25 * MIN] = 90.0
    found = dataclasses.replace(findings(fhr), decelerations=(fall(21 * 60, 25 * 60),))
    seen = window(found)
    assert seen.baseline_raw_bpm == 140.0
    assert seen.baseline_readable_s == 360.0
    assert len(seen.decelerations) == 1


def test_marked_variability_does_not_enter_the_baseline_while_something_else_is_left():
    fhr = np.full(N, 140.0)
    fhr[20 * MIN : 23 * MIN] = 150.0
    pieces = PIECES.copy()
    pieces[20:23] = 30.0
    assert window(findings(fhr), pieces).baseline_raw_bpm == 140.0
    assert window(findings(np.full(N, 141.0)), np.full(30, 30.0)).baseline_raw_bpm == 141.0


def test_less_than_two_minutes_of_baseline_are_not_read():
    found = dataclasses.replace(STEADY, decelerations=(fall(1200, 1690),))
    seen = window(found)
    assert seen.baseline_raw_bpm is None
    assert seen.baseline_readable_s == 110.0
    assert seen.previous_baseline_bpm == 139.0


@pytest.mark.parametrize(("step", "is_several"), [(24.0, False), (27.0, True)])
def test_stretches_that_differ_by_26_are_several_baselines(step: float, is_several: bool):
    fhr = np.full(N, 140.0)
    fhr[25 * MIN :] += step
    seen = window(findings(fhr))
    assert seen.is_several_baselines == is_several
    assert (seen.baseline_raw_bpm is None) == is_several


def test_variability_is_the_median_rounded_half_up():
    pieces = np.full(30, np.nan)
    pieces[20:24] = [4.0, 5.0, 6.0, 9.0]
    seen = window(STEADY, pieces)
    assert seen.variability_bpm == 6.0
    assert seen.variability_piece_count == 4


def test_variability_needs_two_pieces():
    pieces = np.full(30, np.nan)
    pieces[25] = 8.0
    assert window(STEADY, pieces).variability_bpm is None


def test_the_time_in_one_range_of_variability_reaches_back_over_the_window():
    low = np.full(30, 3.0)
    assert window(STEADY, low).variability_duration_min == 30.0
    low[:15] = 12.0
    assert 10.0 <= window(STEADY, low).variability_duration_min <= 20.0


def test_loss_and_the_longest_gap_are_counted():
    fhr = np.full(N, 140.0)
    fhr[22 * MIN : 22 * MIN + 180] = np.nan
    fhr[26 * MIN : 26 * MIN + 60] = np.nan
    seen = window(findings(fhr))
    assert seen.valid_fraction == pytest.approx(0.9)
    assert seen.longest_gap_s == 45.0
    assert not seen.is_fall_hidden


@pytest.mark.parametrize(
    ("gap_s", "before_bpm", "is_hidden"),
    [(59, 110.0, False), (90, 140.0, False), (90, 120.0, True), (130, 140.0, True)],
)
def test_a_gap_hides_a_fall_when_it_is_long_or_begins_low(gap_s: int, before_bpm: float, is_hidden: bool):
    fhr = np.full(N, 140.0)
    start = 24 * MIN
    fhr[start - 10 : start] = before_bpm
    fhr[start : start + gap_s * 4] = np.nan
    assert window(findings(fhr)).is_fall_hidden == is_hidden


def test_an_open_gap_of_over_a_minute_may_hide_a_fall():
    fhr = np.full(N, 140.0)
    fhr[-70 * 4 :] = np.nan
    assert window(findings(fhr)).is_fall_hidden


def test_standing_coincidence_is_the_maternal_rate():
    coincident = np.zeros(N, dtype=bool)
    coincident[-4:] = True
    assert window(dataclasses.replace(STEADY, is_coincident=coincident)).is_maternal_rate
    assert not window(STEADY).is_maternal_rate


def test_a_fifth_of_false_samples_is_the_maternal_rate():
    probability = np.zeros(N)
    probability[21 * MIN : 23 * MIN] = 0.9
    seen = window(dataclasses.replace(STEADY, false_probability=probability))
    assert seen.is_maternal_rate
    assert seen.false_signal_fraction == pytest.approx(0.2)


def test_a_sinusoidal_run_is_timed_to_the_windows_end():
    run = SinusoidalRun(start_s=900.0, end_s=1770.0, amplitude_bpm=12.0)
    seen = window(dataclasses.replace(STEADY, sinusoidal=(run,)))
    assert seen.sinusoidal_min == 14.5
    assert seen.sinusoidal_amplitude_bpm == 12.0


def test_contractions_are_counted_by_their_peaks_and_only_when_known():
    peaks = np.arange(30.0, 1800.0, 100.0)
    contractions = tuple(Contraction(onset_s=p - 30, peak_s=p, end_s=p + 30, amplitude=40.0) for p in peaks)
    found = dataclasses.replace(STEADY, contractions=contractions)
    assert window(found).contractions_per_10min == 6
    assert window(found).contractions_per_10min_mean == pytest.approx(6.0)
    unknown = dataclasses.replace(found, are_contractions_known=np.zeros(N, dtype=bool))
    assert window(unknown).contractions_per_10min is None
    assert window(unknown).contractions_per_10min_mean is None


def test_the_share_of_contractions_with_a_deceleration_is_told():
    peaks = (300.0, 600.0, 900.0, 1200.0, 1500.0)
    contractions = tuple(Contraction(onset_s=p - 30, peak_s=p, end_s=p + 30, amplitude=40.0) for p in peaks)
    falls = tuple(fall(p, p + 80, lag_s=40.0) for p in peaks[1:4])
    (late,) = window(dataclasses.replace(STEADY, contractions=contractions, decelerations=falls)).recurrences
    assert late.kind is DecelerationKind.LATE
    assert late.count == 3
    assert late.fraction == pytest.approx(0.75)


def test_a_short_record_is_not_complete():
    found = findings(np.full(5 * MIN, 140.0))
    seen = compute_window_features(
        found, np.full(5, 10.0), start=0, stop=5 * MIN, previous_baseline_bpm=None, is_rolling=True
    )
    assert not seen.is_complete
    assert seen.baseline_raw_bpm == 140.0


def test_marking_covers_the_event_and_nothing_else():
    marked = mark_events([Acceleration(onset_s=2.0, peak_s=3.0, end_s=4.0, rise_bpm=20.0)], 40)
    assert np.flatnonzero(marked).tolist() == list(range(8, 16))
