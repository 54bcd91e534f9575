import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.pace import Pace


def test_at_speed_one_each_tick_is_due_at_its_own_time() -> None:
    pace = Pace(real_ms=1_000_000, lead_s=60)
    assert pace.start_ms == 940_000
    assert pace.compute_due_s(940_000) == -60.0
    assert pace.compute_due_s(1_005_000) == 5.0


def test_fast_history_catches_up_and_then_keeps_to_real_time() -> None:
    pace = Pace(real_ms=1_000_000, lead_s=90, speed=10)
    assert pace.compute_due_s(pace.start_ms) == 0.0
    assert pace.compute_due_s(1_000_000) == 9.0
    assert pace.compute_due_s(1_010_000) == 10.0
    assert pace.compute_due_s(1_060_000) == 60.0


@given(
    real_ms=st.integers(min_value=0, max_value=2**41),
    lead_s=st.floats(min_value=0.25, max_value=7200),
    speed=st.floats(min_value=1, max_value=100),
    at=st.lists(st.integers(min_value=0, max_value=10**7), min_size=2),
)
def test_ticks_start_on_the_grid_and_never_outrun_real_time(
    real_ms: int, lead_s: float, speed: float, at: list[int]
) -> None:
    pace = Pace(real_ms=real_ms, lead_s=lead_s, speed=speed)
    assert pace.start_ms % 250 == 0
    times = [pace.start_ms + ms for ms in sorted(at)]
    due = [pace.compute_due_s(t) for t in times]
    assert due == sorted(due)
    assert all(d * 1000 >= t - real_ms - 1e-3 for d, t in zip(due, times, strict=True))


@pytest.mark.parametrize(("speed", "lead_s"), [(0.5, 60.0), (2.0, 0.0), (1.0, -1.0), (float("nan"), 0.0)])
def test_a_pace_that_cannot_end_at_real_time_is_refused(speed: float, lead_s: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Pace(real_ms=0, lead_s=lead_s, speed=speed)
