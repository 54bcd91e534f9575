import pytest

from hub.model import Indeterminate, SiteState
from tests.viewer.conftest import KEY, T0_MS, make_analysis, make_message, make_view
from viewer.face import Face, Freshness, Glyph, Look, make_face
from viewer.state import Wall

LEVELS = [1, 2, 3, 4, 5, None]


def face_of(now_s: float = 100.0, *, level: int | None = 1, computed_ms: int = T0_MS, **view: object) -> Face:
    """Face of a bed whose snapshot came at 100 s."""
    wall = Wall()
    wall.join(100.0)
    bed = make_view(analysis=make_analysis(level, computed_ms=computed_ms), **view)  # type: ignore[arg-type]
    wall.push_message(make_message(bed), 100.0)
    # The hub itself goes on speaking, so that only the bed is stale.
    wall.push_message(make_message(t_ms=T0_MS + round((now_s - 100) * 1000), is_snapshot=False), now_s)
    return make_face(wall, wall.beds[KEY], now_s)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_live_data_show_their_level_in_colour(level: int):
    face = face_of(level=level)
    assert (face.glyph, face.is_grey, face.level) == (Glyph(str(level)), False, level)


def test_live_data_show_their_number():
    face = face_of(fhr=141.5)
    assert (face.fetuses[0].fhr.look, face.fetuses[0].fhr.value) == (Look.LIVE, 141.5)


@pytest.mark.req("R10")
@pytest.mark.parametrize("level", LEVELS)
def test_after_three_seconds_everything_is_marked(level: int | None):
    face = face_of(103.0, level=level, age_ms=100)
    assert face.freshness is Freshness.MARKED
    assert face.is_grey
    assert face.fetuses[0].fhr.look is Look.GREY
    assert face.glyph is not Glyph.LEVEL_1


@pytest.mark.parametrize("level", LEVELS)
def test_after_ten_seconds_no_number_is_left(level: int | None):
    face = face_of(110.0, level=level, age_ms=0)
    assert face.freshness is Freshness.STALE
    numbers = [face.fetuses[0].fhr, face.mhr, face.toco, face.contractions]
    assert all(number.look is Look.GONE and number.value is None for number in numbers)
    assert face.level is None
    assert face.signal_fraction is None


@pytest.mark.parametrize("now_s", [103.5, 110.5, 500.0])
@pytest.mark.parametrize("link", [SiteState.ONLINE, SiteState.OFFLINE, None])
@pytest.mark.parametrize("is_coincident", [True, False])
def test_level_1_is_never_shown_for_what_is_not_known_now(
    now_s: float, link: SiteState | None, is_coincident: bool
):
    face = face_of(now_s, level=1, link=link, is_coincident=is_coincident)
    assert face.glyph is not Glyph.LEVEL_1
    assert face.is_grey or face.glyph is Glyph.DARK


def test_a_stale_high_level_stays_in_grey():
    face = face_of(120.0, level=4)
    assert (face.glyph, face.is_grey, face.last_level) == (Glyph.LEVEL_4, True, 4)


def test_a_site_without_link_is_dark_with_its_last_level_in_words_only():
    face = face_of(100.0, level=2, link=SiteState.OFFLINE)
    assert (face.glyph, face.freshness, face.level, face.last_level) == (
        Glyph.DARK,
        Freshness.SITE_DARK,
        None,
        2,
    )


def test_under_a_silent_hub_every_bed_is_dark():
    wall = Wall()
    wall.join(100.0)
    wall.push_message(make_message(make_view(analysis=make_analysis(1))), 100.0)
    face = make_face(wall, wall.beds[KEY], 103.6)
    assert (face.glyph, face.freshness) == (Glyph.DARK, Freshness.HUB_DARK)
    assert face.fetuses[0].fhr.value is None


def test_a_coincidence_told_by_the_device_takes_level_and_number():
    face = face_of(level=1, is_coincident=True)
    assert (face.glyph, face.level, face.why_unknown) == (Glyph.UNKNOWN, None, Indeterminate.MATERNAL_RATE)
    assert face.fetuses[0].fhr.look is Look.UNKNOWN
    assert face.mhr.value == 82.0


def test_no_current_signal_is_a_question_mark_not_the_last_number():
    assert face_of(fhr=None).fetuses[0].fhr.look is Look.UNKNOWN


def test_indeterminate_has_its_own_look():
    face = face_of(level=None)
    assert (face.glyph, face.is_grey, face.last_level) == (Glyph.UNKNOWN, False, 2)


def test_a_level_that_is_no_longer_computed_does_not_stand():
    face = face_of(level=1, computed_ms=T0_MS - 61_000)
    assert (face.glyph, face.level, face.why_unknown) == (Glyph.UNKNOWN, None, Indeterminate.FAULT)


def test_a_bed_that_never_sent_waits():
    face = face_of(age_ms=None, fhr=None)
    assert face.freshness is Freshness.WAITING
    assert face.glyph is not Glyph.LEVEL_1


def test_simulated_data_say_so():
    assert face_of(is_test=True).is_test


@pytest.mark.parametrize(("bpm", "is_bold"), [(109.4, True), (109.6, False), (160.4, False), (161.0, True)])
def test_only_rates_outside_110_to_160_are_bold(bpm: float, is_bold: bool):
    assert face_of(fhr=bpm).fetuses[0].fhr.is_outside is is_bold
