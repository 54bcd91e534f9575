import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import Deceleration, DecelerationKind, Severity
from tests.viewer.conftest import KEY, T0_MS, make_analysis, make_frame, make_message, make_view
from viewer.face import make_face
from viewer.rings import Ring, Samples
from viewer.state import Wall
from viewer.strip import Loss, find_gaps, find_late, live_content, make_content, pen_points


def segments(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Start and end of each stroke that a pen broken at NaN would draw."""
    joined = np.isfinite(y[:-1]) & np.isfinite(y[1:])
    return [(float(a), float(b)) for a, b in zip(x[:-1][joined], x[1:][joined], strict=True)]


def test_the_pen_never_crosses_a_gap():
    t = np.arange(6) / 4
    x, y = pen_points(t, np.array([140, 141, np.nan, np.nan, 142, 143]))
    assert not [s for s in segments(x, y) if s[0] < 0.75 < s[1]]


def test_a_single_beat_between_two_gaps_is_seen():
    x, y = pen_points(np.arange(3) / 4, np.array([np.nan, 140.0, np.nan]))
    assert segments(x, y) == [(0.25, 0.5)]


def test_a_step_above_30_bpm_lifts_the_pen():
    x, y = pen_points(np.arange(4) / 4, np.array([140.0, 140, 109, 109]))
    assert not [s for s in segments(x, y) if s[0] == 0.25 and s[1] > 0.5]
    rises = np.abs(np.diff(y))
    assert not (rises[np.isfinite(rises)] > 30).any()


def test_a_step_of_30_bpm_is_drawn():
    x, y = pen_points(np.arange(2) / 4, np.array([140.0, 110]))
    assert (0.0, 0.25) in segments(x, y)


@given(st.lists(st.one_of(st.none(), st.floats(30, 240)), max_size=60))
def test_every_sample_is_drawn_and_nothing_else(values: list[float | None]):
    given_values = np.array([np.nan if v is None else v for v in values], np.float64)
    t = np.arange(given_values.size) / 4
    x, y = pen_points(t, given_values)
    assert set(y[np.isfinite(y)].tolist()) == set(given_values[np.isfinite(given_values)].tolist())
    strokes = segments(x, y)
    for time, value in zip(t.tolist(), given_values.tolist(), strict=True):
        covered = any(a <= time < b for a, b in strokes)
        assert covered == np.isfinite(value)


def samples_with(lost: slice, seconds: int = 60) -> Samples:
    ring = Ring()
    values = np.full(seconds * 4, 140.0)
    values[lost] = np.nan
    for start in range(0, values.size, 200):
        ring.push(make_frame(values[start : start + 200], t0_ms=T0_MS + start * 250), 0)
    return ring.read(T0_MS, T0_MS + seconds * 1000)


@pytest.mark.parametrize(("ticks", "is_hatched"), [(59, False), (60, True), (100, True)])
def test_gaps_are_hatched_from_15_seconds_on(ticks: int, is_hatched: bool):
    gaps = find_gaps(samples_with(slice(40, 40 + ticks)), T0_MS, T0_MS + 60_000)
    assert bool(gaps) is is_hatched
    if gaps:
        assert (gaps[0].from_ms, gaps[0].to_ms) == (T0_MS + 10_000, T0_MS + 10_000 + ticks * 250)


def test_time_before_the_first_sample_is_not_a_gap():
    samples = samples_with(slice(0, 100))
    assert find_gaps(samples, T0_MS + 25_000, T0_MS + 60_000) == ()


def test_late_stretches_name_their_arrival():
    samples = samples_with(slice(0, 0))
    samples.late_ms[8:12] = T0_MS + 99_000
    (late,) = find_late(samples)
    assert (late.from_ms, late.to_ms, late.note_ms) == (T0_MS + 2000, T0_MS + 3000, T0_MS + 99_000)


def test_findings_stand_at_their_own_time():
    fall = Deceleration(
        onset_s=500.0,
        nadir_s=520.0,
        end_s=545.0,
        depth_bpm=60.0,
        nadir_bpm=66.0,
        kind=DecelerationKind.VARIABLE,
        severity=Severity.SEVERE,
        onset_to_nadir_s=20.0,
        readable_fraction=0.26,
    )
    content = make_content(
        samples_with(slice(0, 0)),
        make_analysis(3, decelerations=(fall,)),
        (),
        (),
        first_ms=T0_MS,
        head_ms=T0_MS + 60_000,
    )
    (span,) = content.spans
    assert (span.from_ms, span.to_ms) == (T0_MS - 100_000, T0_MS - 55_000)
    assert (span.severity, span.is_doubtful, span.readable_percent, span.duration_s) == (
        "severe",
        True,
        26,
        45,
    )


def test_many_suspect_moments_of_one_switch_get_one_mark():
    analysis = make_analysis(None, suspect_spans_s=((100.0, 110.0), (114.0, 130.0), (200.0, 210.0)))
    content = make_content(
        samples_with(slice(0, 0)), analysis, (), (), first_ms=T0_MS, head_ms=T0_MS + 60_000
    )
    origin_ms = T0_MS - 600_000
    assert [(s.from_ms - origin_ms, s.to_ms - origin_ms) for s in content.suspect] == [
        (100_000, 130_000),
        (200_000, 210_000),
    ]


def test_the_last_value_is_not_stretched_when_data_stop():
    wall = Wall()
    wall.join(100.0)
    wall.push_message(make_message(make_view(age_ms=0)), 100.0)
    bed = wall.beds[KEY]
    bed.ring.push(make_frame([140] * 4, t0_ms=T0_MS - 1000), 0)
    wall.push_message(make_message(t_ms=T0_MS + 42_000, is_snapshot=False), 142.0)
    edge_ms = bed.edge_ms(142.0)
    assert edge_ms is not None
    content = live_content(bed, make_face(wall, bed, 142.0), (), edge_ms - 60_000, edge_ms)
    assert (content.loss, content.lost_from_ms) == (Loss.STALE, T0_MS)
    after = content.samples.times_s * 1000 >= T0_MS
    assert np.isnan(content.samples.values[:, after]).all()
