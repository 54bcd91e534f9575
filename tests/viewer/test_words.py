"""Sentences and spans of the console."""

import pytest

from hub.model import Classification, LevelSpan
from tests.viewer.conftest import KEY, T0_MS, make_alert, make_analysis, make_message, make_view
from viewer.face import make_face
from viewer.lists import log_html, segments_html
from viewer.state import Wall
from viewer.texts import Texts
from viewer.theme import DAY
from viewer.words import bed_ribbon, level_words


def wall_of(analysis: object, *, now_s: float = 1000.0) -> Wall:
    wall = Wall()
    wall.join(now_s)
    wall.push_message(make_message(make_view(analysis=analysis)), now_s)  # type: ignore[arg-type]
    return wall


def segment(start_s: float, level: int | None) -> Classification:
    return Classification(start_s=start_s, end_s=start_s + 600, level=level, baseline_bpm=140.0)


def test_the_ribbon_begins_with_the_segments_read_and_ends_with_the_levels_shown():
    analysis = make_analysis(4, origin_ms=T0_MS - 1_800_000, segments=(segment(0, 2), segment(1200, None)))
    assert list(bed_ribbon(wall_of(analysis).beds[KEY])) == [
        LevelSpan(start_ms=T0_MS - 1_800_000, end_ms=T0_MS - 1_200_000, level=2),
        LevelSpan(start_ms=T0_MS - 600_000, end_ms=T0_MS - 60_000, level=None),
        LevelSpan(start_ms=T0_MS - 60_000, end_ms=T0_MS, level=4),
    ]


def test_a_level_that_never_was_has_no_time_at_it():
    wall = wall_of(make_analysis(None, level_since_ms=0, last_level=None, last_level_ms=None))
    title, _ = level_words(Texts(), make_face(wall, wall.beds[KEY], 1000.0), T0_MS)
    assert title == ""


@pytest.mark.parametrize(("bpm", "shown"), [(79.5, "79"), (80.0, "80")])
def test_a_rate_below_its_limit_never_reads_as_equal_to_it(bpm: float, shown: str):
    values = Texts().worded("fhr_below_80", {"value_bpm": bpm, "limit_bpm": 80.0})
    assert Texts()("alert.fhr_below_80", **values).startswith(f"FHR {shown} ")


@pytest.mark.parametrize(("before", "is_said"), [(3, True), ("-", False)])
def test_the_level_before_is_said_only_if_there_was_one(before: int | str, is_said: bool):
    texts = Texts("en")
    words = texts("alert.level_4", **texts.worded("level_4", {"level": 4, "from_level": before}))
    assert ("from" in words) is is_said


def test_segments_and_alerts_are_listed_newest_first():
    analysis = make_analysis(4, segments=(segment(0, 2), segment(600, 4)))
    html = segments_html(Texts("en"), DAY, analysis.fetuses[0])
    assert html.index("4 Moderate") < html.index("2 Subnormal")
    older, newer = make_alert(raised_ms=T0_MS - 120_000), make_alert("level_5", raised_ms=T0_MS)
    log = log_html(Texts("en"), DAY, (older, newer), ())
    assert log.index("Level 5") < log.index("below 80")
