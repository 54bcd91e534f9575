"""How long a rate has been beyond a limit."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.raw_rate import raw_rate_seconds, signal_loss_seconds

FS = 4.0
NAN = float("nan")
Trace = npt.NDArray[np.float64]


def trace(*pieces: tuple[float, float]) -> Trace:
    """Join pieces of (seconds, bpm) into one row of rates at 4 Hz."""
    return np.concatenate([np.full(round(seconds * FS), bpm) for seconds, bpm in pieces])[np.newaxis, :]


def seconds_below_80(*pieces: tuple[float, float]) -> float:
    return float(raw_rate_seconds(trace(*pieces), fs=FS).by_rule["fhr_below_80"].duration_s[0])


@pytest.mark.req("ALT-6")
def test_an_unbroken_violation_counts_from_its_first_sample() -> None:
    violation = raw_rate_seconds(trace((300, 140), (61.5, 75)), fs=FS).by_rule["fhr_below_80"]
    assert violation.duration_s[0] == 61.5
    assert violation.onset_s[0] == 61.5
    assert violation.value_bpm[0] == 75


@pytest.mark.req("ALT-6")
@pytest.mark.parametrize(
    ("bpm", "violated"),
    [
        (79.75, {"fhr_below_80", "fhr_below_110", "fhr_below_110_prolonged"}),
        (80, {"fhr_below_110", "fhr_below_110_prolonged"}),
        (110, set()),
        (160, set()),
        (160.25, {"fhr_above_160"}),
    ],
)
def test_a_rate_exactly_at_its_limit_does_not_violate_it(bpm: float, violated: set[str]) -> None:
    by_rule = raw_rate_seconds(trace((400, bpm)), fs=FS).by_rule
    assert {rule for rule, violation in by_rule.items() if violation.duration_s[0] > 0} == violated


@pytest.mark.req("ALT-7")
@pytest.mark.parametrize("loss_s", [1, 15, 30])
def test_a_loss_inside_a_fall_counts_as_part_of_it(loss_s: float) -> None:
    assert seconds_below_80((300, 140), (30, 70), (loss_s, NAN), (10, 70)) == 40 + loss_s


@pytest.mark.req("ALT-7")
def test_a_fall_into_a_loss_goes_on_as_long_as_it_was_seen() -> None:
    assert seconds_below_80((300, 140), (30, 70), (15, NAN)) == 45
    assert seconds_below_80((300, 140), (30, 70), (45, NAN)) == 60
    assert seconds_below_80((300, 140), (3, 70), (57, NAN)) == 6


@pytest.mark.req("ALT-7")
def test_loss_alone_is_never_a_violation() -> None:
    by_rule = raw_rate_seconds(trace((300, 140), (50, NAN)), fs=FS).by_rule
    assert all(violation.duration_s[0] == 0 for violation in by_rule.values())


@pytest.mark.req("ALT-7")
def test_after_a_minute_without_signal_nothing_can_be_said() -> None:
    by_rule = raw_rate_seconds(trace((300, 70), (61, NAN)), fs=FS).by_rule
    assert all(np.isnan(violation.duration_s[0]) for violation in by_rule.values())


@pytest.mark.req("ALT-7")
def test_a_loss_of_more_than_a_minute_begins_a_new_count() -> None:
    assert seconds_below_80((200, 70), (60, NAN), (20, 70)) == 280
    assert seconds_below_80((200, 70), (60.5, NAN), (20, 70)) == 20


@pytest.mark.req("ALT-8")
def test_a_recovery_of_more_than_ten_seconds_ends_a_violation() -> None:
    assert seconds_below_80((300, 140), (50, 70), (10, 140), (20, 70)) == 80
    assert seconds_below_80((300, 140), (50, 70), (10.5, 140), (20, 70)) == 20
    assert seconds_below_80((300, 140), (50, 70), (10.5, 140)) == 0


@pytest.mark.req("ALT-8")
def test_a_rate_that_is_recovering_does_not_count_on() -> None:
    assert seconds_below_80((300, 140), (55, 70), (8, 120)) == 55


@pytest.mark.req("ALT-8")
def test_single_wrong_beats_do_not_add_up_to_a_violation() -> None:
    halved = trace((400, 140))
    halved[0, ::8] = 70
    assert raw_rate_seconds(halved, fs=FS).by_rule["fhr_below_80"].duration_s[0] < 2


@pytest.mark.req("ALT-8")
def test_wrong_beats_before_a_fall_do_not_hasten_its_alert_beyond_the_majority_rule() -> None:
    rates = trace((300, 140), (20, 70))
    rates[0, : round(300 * FS) : 32] = 70  # one in 8 s
    assert raw_rate_seconds(rates, fs=FS).by_rule["fhr_below_80"].duration_s[0] <= 45


@pytest.mark.req("ALT-8")
def test_a_single_good_sample_in_a_noisy_fall_is_no_recovery() -> None:
    assert seconds_below_80((300, 140), (40, 70), (5.5, NAN), (0.25, 140), (5.5, NAN), (20, 70)) == 71.25


@pytest.mark.req("ALT-21")
def test_a_fall_under_the_baseline_is_a_violation_only_where_there_is_a_baseline() -> None:
    rates = np.concatenate([trace((300, 140), (130, 124))] * 3)
    baseline = np.array([139.0, 139.25, NAN])
    by_rule = raw_rate_seconds(rates, fs=FS, baseline_bpm=baseline).by_rule
    assert by_rule["fhr_below_110_prolonged"].duration_s.tolist() == [130, 130, 0]
    assert by_rule["fhr_below_110"].duration_s.tolist() == [0, 0, 0]
    assert by_rule["fhr_below_110_prolonged"].limit_bpm.tolist() == [124, 124.25, 110]
    just_inside = raw_rate_seconds(rates, fs=FS, baseline_bpm=np.full(3, 138.75)).by_rule
    assert just_inside["fhr_below_110_prolonged"].duration_s.tolist() == [0, 0, 0]


@given(st.data())
def test_each_bed_is_measured_as_if_it_were_alone(data: st.DataObject) -> None:
    rows = data.draw(st.lists(noisy_rows(), min_size=1, max_size=6))
    together = raw_rate_seconds(np.array(rows), fs=1.0).by_rule
    for index, row in enumerate(rows):
        alone = raw_rate_seconds(np.array([row]), fs=1.0).by_rule
        for rule, violation in alone.items():
            assert np.array_equal(
                violation.duration_s, together[rule].duration_s[index : index + 1], equal_nan=True
            )


def noisy_rows() -> st.SearchStrategy[list[float]]:
    """Rows of 200 s at 1 Hz that fall, recover and lose signal in runs of any length."""
    runs = st.lists(st.tuples(st.sampled_from([70.0, 140.0, NAN]), st.integers(1, 70)), min_size=1)
    return runs.map(lambda pieces: _fill([bpm for bpm, length in pieces for _ in range(length)]))


def _fill(rates: list[float]) -> list[float]:
    return (rates * (200 // len(rates) + 1))[-200:]


@pytest.mark.req("ALT-7")
@given(noisy_rows())
def test_no_violation_lasts_more_than_twice_as_long_as_it_was_seen(row: list[float]) -> None:
    duration_s = raw_rate_seconds(np.array([row]), fs=1.0).by_rule["fhr_below_80"].duration_s[0]
    assert np.isnan(duration_s) or duration_s <= 2 * row.count(70.0)


@given(noisy_rows())
def test_the_measure_agrees_with_a_walk_through_the_samples(row: list[float]) -> None:
    duration_s = raw_rate_seconds(np.array([row]), fs=1.0).by_rule["fhr_below_80"].duration_s[0]
    assert duration_s == walk(row) or (np.isnan(duration_s) and np.isnan(walk(row)))


def walk(row: list[float]) -> float:
    """Measure the time below 80 bpm at 1 Hz, sample by sample, from the wording of the rule."""
    if all(np.isnan(rate) for rate in row[-60:]):
        return NAN
    stretch: list[int] = []
    pause = inside = 0
    for second, rate in enumerate(row):
        if rate < 80:
            stretch.append(second)
            pause = inside = 0
            continue
        pause += 1
        inside += not np.isnan(rate)
        if pause > (10 if inside else 60):
            stretch = []
    if not stretch:
        return 0.0
    last = stretch[-1]
    for index, first in enumerate(stretch):
        seen, elapsed = len(stretch) - index, last - first + 1
        if 2 * seen >= elapsed:
            trailing = 0 if inside else pause
            return float(min(elapsed + trailing, max(elapsed, 2 * seen)))
    pytest.fail("a stretch ends with a sample that was seen")


@pytest.mark.req("ALT-14")
def test_signal_is_lost_since_it_last_filled_half_of_five_seconds() -> None:
    rates = np.concatenate([trace((100, 140)), trace((40, 140), (60, NAN)), trace((100, NAN))])
    assert signal_loss_seconds(rates, fs=FS).tolist() == [0.0, 57.5, 100.0]
    flicker = trace((40, 140), (60, NAN))
    flicker[0, 160::20] = 140  # one sample in 5 s is no signal
    assert signal_loss_seconds(flicker, fs=FS)[0] == pytest.approx(57, abs=1)


def test_an_empty_array_of_beds_is_measured_too() -> None:
    assert raw_rate_seconds(np.empty((0, 100)), fs=FS).is_quiet.shape == (0,)
    assert signal_loss_seconds(np.empty((0, 100)), fs=FS).shape == (0,)
    assert np.isnan(raw_rate_seconds(np.empty((1, 0)), fs=FS).by_rule["fhr_below_80"].duration_s[0])


@pytest.mark.parametrize(("shape", "fs"), [((10,), 4.0), ((2, 10), 0.0)])
def test_a_wrong_call_is_refused(shape: tuple[int, ...], fs: float) -> None:
    with pytest.raises(ValueError, match="expected fhr"):
        raw_rate_seconds(np.zeros(shape), fs=fs)


def test_the_rates_are_not_changed_by_measuring_them() -> None:
    rates = trace((300, 140), (30, 70), (15, NAN))
    before = rates.copy()
    raw_rate_seconds(rates, fs=FS)
    signal_loss_seconds(rates, fs=FS)
    assert np.array_equal(rates, before, equal_nan=True)
