"""Which level is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dsp.level import ShownLevel, next_shown
from hub.model import Classification, Indeterminate

MIN = 60_000


def window(level: int | None, end_min: float, *, is_poor: bool = False) -> Classification:
    return Classification(
        start_s=end_min * 60 - 600,
        end_s=end_min * 60,
        level=level,
        indeterminate=Indeterminate.TOO_LITTLE_SIGNAL if level is None else None,
        is_poor_signal=is_poor,
    )


def show(
    *steps: tuple[float, int | None, tuple[int | None, float] | None],
    poor: frozenset[float] = frozenset(),
) -> ShownLevel:
    """Run steps of (minute, level of the rolling window, (level, end) of the newest segment)."""
    shown: ShownLevel | None = None
    for minute, rolling, segment in steps:
        newest = window(segment[0], segment[1], is_poor=segment[1] in poor) if segment else None
        shown = next_shown(shown, window(rolling, minute), newest, round(minute * MIN))
    assert shown is not None
    return shown


@pytest.mark.req("ALT-20")
def test_the_rolling_window_raises_the_level_at_once() -> None:
    shown = show((10, 1, (1, 10)), (12, 4, (1, 10)))
    assert (shown.level, shown.since_ms) == (4, 12 * MIN)


@pytest.mark.req("ALT-20")
def test_the_rolling_window_never_lowers_the_level() -> None:
    assert show((10, 4, (4, 10)), (12, 1, (4, 10)), (19, 1, (4, 10))).level == 4


@pytest.mark.req("ALT-20")
def test_a_complete_segment_lowers_the_level() -> None:
    shown = show((10, 4, (4, 10)), (19, 1, (4, 10)), (20, 1, (1, 20)))
    assert (shown.level, shown.since_ms) == (1, 20 * MIN)


@pytest.mark.req("ALT-20")
def test_the_same_segment_lowers_the_level_once_only() -> None:
    assert show((10, 1, (1, 10)), (12, 3, (1, 10)), (12.2, 1, (1, 10))).level == 3


@pytest.mark.req("ALT-20")
def test_a_segment_of_poor_signal_raises_but_does_not_lower() -> None:
    steps = ((10, 3, (3, 10)), (20, 1, (1, 20)))
    assert show(*steps, poor=frozenset({20.0})).level == 3
    assert show((10, 3, (3, 10)), (20, 4, (4, 20)), poor=frozenset({20.0})).level == 4


def test_without_an_answer_the_last_level_stays_greyed_with_its_time() -> None:
    shown = show((10, 3, (3, 10)), (12, 3, (3, 10)), (13, None, (3, 10)), (15, None, (3, 10)))
    assert (shown.level, shown.since_ms) == (None, 13 * MIN)
    assert (shown.last_level, shown.last_level_ms) == (3, 12 * MIN)
    assert shown.indeterminate is Indeterminate.TOO_LITTLE_SIGNAL


def test_an_interruption_does_not_lower_the_level() -> None:
    steps = ((10, 4, (4, 10)), (13, None, (4, 10)), (18, 1, (4, 10)))
    assert show(*steps).level == 4
    assert show(*steps, (20, 1, (1, 20))).level == 1


def test_a_segment_without_an_answer_lowers_nothing() -> None:
    shown = show((10, 4, (4, 10)), (20, None, (None, 20)), (23, 2, (None, 20)))
    assert shown.level == 4


def test_a_failed_analysis_is_shown_as_indeterminate() -> None:
    shown = next_shown(show((10, 2, (2, 10))), None, None, 11 * MIN)
    assert (shown.level, shown.last_level, shown.indeterminate) == (None, 2, Indeterminate.FAULT)


def test_before_the_first_answer_there_is_no_last_level() -> None:
    shown = next_shown(None, window(None, 3), None, 3 * MIN)
    assert (shown.level, shown.last_level, shown.last_level_ms) == (None, None, None)


def test_complete_segments_that_confirm_a_level_are_counted() -> None:
    steps = ((10, 1, (1, 10)), (15, 4, (1, 10)), (20, 4, (4, 20)), (25, 4, (4, 20)), (30, 4, (4, 30)))
    assert [show(*steps[: n + 1]).segments_at_level for n in range(5)] == [1, 0, 1, 1, 2]


def test_the_answer_does_not_hang_on_where_the_record_begins() -> None:
    shown = None
    for minute, level, origin_min in ((10, 3, 0), (14, 1, 3), (19, 1, 9), (20, 1, 10)):
        newest_end = 10 if minute < 20 else 20
        newest = window(3 if minute < 20 else 1, newest_end - origin_min)
        shown = next_shown(shown, window(level, minute - origin_min), newest, minute * MIN)
    assert shown is not None
    assert (shown.level, shown.since_ms) == (1, 20 * MIN)


LEVELS = st.none() | st.integers(1, 5)


@pytest.mark.req("ALT-20")
@given(st.lists(st.tuples(LEVELS, st.booleans()), min_size=2, max_size=80))
def test_the_level_falls_only_when_a_good_segment_ends(levels: list[tuple[int | None, bool]]) -> None:
    shown: ShownLevel | None = None
    newest: Classification | None = None
    for minute, (level, is_poor) in enumerate(levels):
        is_segment_end = minute % 10 == 0
        rolling = window(level, minute, is_poor=is_poor)
        newest = rolling if is_segment_end else newest
        before = shown
        shown = next_shown(before, rolling, newest, minute * MIN)
        assert (shown.level is None) == (level is None)
        known = shown.last_level if shown.level is None else shown.level
        assert level is None or (known is not None and known >= level)
        if before is not None:
            known_before = before.last_level if before.level is None else before.level
            if (known or 0) < (known_before or 0):
                assert is_segment_end
                assert not is_poor
                assert known == level
