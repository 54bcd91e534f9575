"""The console as it is drawn and as it answers to keys."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from hub.model import AckReason, AlertState, FrameFlag, HubNotice, NoticeKind, Priority, SiteState
from tests.viewer.conftest import (
    KEY,
    T0_MS,
    make_alert,
    make_analysis,
    make_entry,
    make_frame,
    make_message,
    make_view,
)
from viewer.face import Glyph
from viewer.link import HubLink, monotonic_s
from viewer.state import Wall
from viewer.texts import Texts
from viewer.theme import DAY, NIGHT
from viewer.traces import Strip
from viewer.wall import LEAST, choose_grid
from viewer.window import Console


@pytest.fixture
def console(app: QApplication) -> Iterator[Console]:
    """A console on a desk screen; its link is never started, the tests speak for the hub."""
    shown = Console(HubLink("http://127.0.0.1:9"), operator="K.M.", theme=DAY)
    shown.resize(1920, 1080)
    shown.show()
    app.processEvents()
    yield shown
    shown.close()
    app.processEvents()


def tell(console: Console, *views: object, seconds_ago: float = 0.0, **message: object) -> None:
    """Let the hub have said this, and nothing else, some seconds ago."""
    now_s = monotonic_s() - seconds_ago
    console.wall = Wall()
    console.wall.join(now_s)
    console.wall.push_message(make_message(*views, **message), now_s)  # type: ignore[arg-type]
    console.tick()


def pixels(widget: QWidget, area: QRect | None = None) -> np.ndarray:
    """RGB of a widget as drawn, shape (height, width, 3)."""
    image = widget.grab(area or widget.rect()).toImage().convertToFormat(QImage.Format.Format_RGB32)
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return raw[:, : image.width(), 2::-1].astype(int)


def count(shown: np.ndarray, token: str, tolerance: int = 12) -> int:
    """Pixels of a colour of the theme."""
    wanted = [int(token[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(shown - wanted) <= tolerance).all(axis=2).sum())


def press(console: Console, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(console, key)


# ------------------------------------------------------------------------ staleness


@pytest.mark.req("R10")
def test_a_silent_hub_turns_the_header_red(console: Console):
    tell(console, make_view())
    assert count(pixels(console.header), DAY.high) < 500  # the glyph of level 5 in the census
    tell(console, make_view(), seconds_ago=3.5)
    assert count(pixels(console.header), DAY.high) > 10_000


def test_green_is_drawn_only_while_level_1_is_known(console: Console):
    green = DAY.level_edge[0]
    glyph = QRect(0, 0, 62, 62)

    def drawn() -> int:
        return count(pixels(console.tiles.tiles[KEY], glyph), green)

    level_1 = make_analysis(1)
    tell(console, make_view(analysis=level_1))
    assert drawn() > 50
    for changes in (
        {"age_ms": 4_000},
        {"age_ms": 40_000},
        {"age_ms": None},
        {"link": SiteState.OFFLINE},
        {"is_coincident": True},
    ):
        tell(console, make_view(analysis=level_1, **changes))
        assert drawn() == 0, changes
    tell(console, make_view(analysis=level_1), seconds_ago=3.5)
    assert drawn() == 0


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_a_stale_level_loses_its_colour(console: Console, level: int):
    glyph = QRect(6, 6, 54, 54)  # within the border of the selected tile
    fill = DAY.level_fill[level - 1]
    tell(console, make_view(analysis=make_analysis(level)))
    assert count(pixels(console.tiles.tiles[KEY], glyph), fill) > 50
    tell(console, make_view(analysis=make_analysis(level), age_ms=4_000))
    assert count(pixels(console.tiles.tiles[KEY], glyph), fill) == 0


def test_a_number_older_than_ten_seconds_is_not_drawn(console: Console):
    tell(console, make_view(fhr=88.0))
    tile = console.tiles.tiles[KEY]
    numbers = QRect(tile.width() - 95, tile.strip.y(), 90, tile.strip.height())
    live = count(pixels(tile, numbers), DAY.t1)
    tell(console, make_view(fhr=88.0, age_ms=10_000))
    assert live > 200
    assert count(pixels(tile, numbers), DAY.t1) == 0


# ---------------------------------------------------------------------------- strip


def test_nothing_is_drawn_across_a_gap(console: Console):
    tell(console, make_view(age_ms=0))
    values = np.full(240, 140.0)
    values[80:160] = np.nan
    frame = make_frame(values, t0_ms=T0_MS - 60_000, seq=1)
    console.wall.push_waves([make_entry(frame, arrived_ms=T0_MS)], T0_MS, monotonic_s())
    console.tick()
    strip = console.tiles.tiles[KEY].strip
    lay = strip.geometry_px
    shown = pixels(strip)
    row = shown[round(lay.y_fhr(145)) : round(lay.y_fhr(135))]

    def dark(from_s: float, to_s: float) -> int:
        left, right = (round(lay.x(T0_MS - 60_000 + s * 1000)) for s in (from_s, to_s))
        return count(row[:, left:right], DAY.trace, 90)

    assert dark(2, 18) > 8
    assert dark(42, 58) > 8
    assert dark(22, 38) == 0


def test_late_data_are_blue(console: Console):
    tell(console, make_view(age_ms=0))
    frame = make_frame(np.full(240, 140.0), t0_ms=T0_MS - 60_000, seq=1, flags=FrameFlag.BACKFILL)
    console.wall.push_waves([make_entry(frame, arrived_ms=T0_MS)], T0_MS, monotonic_s())
    console.tick()
    strip = console.tiles.tiles[KEY].strip
    lay = strip.geometry_px
    band = pixels(strip)[round(lay.y_fhr(150)) : round(lay.y_fhr(130)), round(lay.x(T0_MS - 55_000)) :]
    assert count(band, DAY.late_ink, 110) > 20
    assert count(band, DAY.trace, 60) == 0


@pytest.mark.parametrize(("width", "height"), [(400, 163), (270, 110), (1270, 480)])
def test_one_scale_serves_both_axes(app: QApplication, width: int, height: int):
    strip = Strip(DAY, Texts())
    strip.resize(width, height)
    strip.show()
    app.processEvents()
    lay = strip.geometry_px
    px_per_min = lay.px_per_s * 60
    px_per_30_bpm = lay.y_fhr(110) - lay.y_fhr(140)
    assert px_per_min == pytest.approx(3 * px_per_30_bpm)
    strip.close()


def test_the_axes_stay_whatever_the_values_are(console: Console):
    tell(console, make_view(age_ms=0))
    strip = console.tiles.tiles[KEY].strip
    before = strip.geometry_px.y_fhr(140), strip.geometry_px.y_toco(50)
    frame = make_frame(np.full(240, 300.0), toco=np.full(240, 127.0), t0_ms=T0_MS - 60_000, seq=1)
    console.wall.push_waves([make_entry(frame, arrived_ms=T0_MS)], T0_MS, monotonic_s())
    console.tick()
    assert (strip.geometry_px.y_fhr(140), strip.geometry_px.y_toco(50)) == before


# ----------------------------------------------------------------------------- wall


@pytest.mark.parametrize("n_beds", range(1, 80))
@pytest.mark.parametrize(("width", "height"), [(2096, 1358), (1456, 998), (900, 600)])
def test_no_tile_is_ever_too_small_for_a_strip(n_beds: int, width: int, height: int):
    columns, rows = choose_grid(n_beds, width, height)
    assert (width + 10) // columns - 10 >= LEAST[0]
    assert (height + 10) // rows - 10 >= LEAST[1]


def test_beds_that_do_not_fit_go_to_the_next_page(console: Console):
    tell(console, *(make_view(bed=f"bed{n:02}") for n in range(40)))
    assert console.tiles.pages > 1
    first = [key for key, tile in console.tiles.tiles.items() if tile.isVisible()]
    press(console, Qt.Key.Key_PageDown)
    second = [key for key, tile in console.tiles.tiles.items() if tile.isVisible()]
    assert first
    assert second
    assert not set(first) & set(second)


def test_nothing_moves_when_a_level_rises_or_a_feed_dies(console: Console):
    beds = [f"bed{n}" for n in range(9)]
    tell(console, *(make_view(bed=bed, analysis=make_analysis(1)) for bed in beds))
    before = {key: tile.geometry() for key, tile in console.tiles.tiles.items()}
    changed = [make_view(bed=bed, analysis=make_analysis(5), age_ms=60_000) for bed in beds[:5]]
    unchanged = [make_view(bed=bed, analysis=make_analysis(1)) for bed in beds[5:]]
    tell(console, *changed, *unchanged, alerts=(make_alert("level_5", bed="bed3"),), t_ms=T0_MS + 1000)
    assert {key: tile.geometry() for key, tile in console.tiles.tiles.items()} == before


# -------------------------------------------------------------------------- keyboard


def test_enter_opens_the_selected_bed_and_escape_returns(console: Console):
    tell(console, make_view(), make_view(bed="bed4"))
    press(console, Qt.Key.Key_Right, Qt.Key.Key_Return)
    assert console.is_bed_open
    assert console.bed.key == "h012/bed4"
    press(console, Qt.Key.Key_Escape)
    assert not console.is_bed_open
    assert console.tiles.selected == "h012/bed4"


def test_a_digit_alone_never_acknowledges(console: Console):
    asked = listen(console)
    tell(console, make_view(), alerts=(make_alert(),))
    press(console, Qt.Key.Key_1, Qt.Key.Key_2)
    assert asked == []


@pytest.mark.parametrize(
    ("key", "reason"), [(Qt.Key.Key_1, AckReason.WATCHING), (Qt.Key.Key_4, AckReason.TREATED)]
)
def test_a_and_a_digit_acknowledge_with_name_and_reason(console: Console, key: Qt.Key, reason: AckReason):
    asked = listen(console)
    alert = make_alert()
    tell(console, make_view(), alerts=(alert,))
    press(console, Qt.Key.Key_A, key)
    assert asked == [(f"/api/v1/alerts/{alert.id}/ack", {"by": "K.M.", "reason": reason.value})]
    # It is the hub's word that moves the alert, not the key.
    assert console.wall.unacknowledged() == [alert]


def test_nobody_acknowledges_without_a_name(console: Console):
    asked = listen(console)
    console.rail.name.clear()
    tell(console, make_view(), alerts=(make_alert(),))
    press(console, Qt.Key.Key_A, Qt.Key.Key_1)
    assert asked == []
    assert console.rail.note.text()


def test_a_digit_after_another_alert_came_first_is_not_taken_for_it(console: Console):
    """The alert armed with A stays the one that is answered."""
    asked = listen(console)
    medium = make_alert("fhr_above_160", priority=Priority.MEDIUM)
    tell(console, make_view(), alerts=(medium,))
    press(console, Qt.Key.Key_A)
    console.wall.push_alert(make_alert("fhr_below_80", bed="bed4"))
    console.tick()
    press(console, Qt.Key.Key_1)
    assert [path for path, _ in asked] == [f"/api/v1/alerts/{medium.id}/ack"]


def test_when_the_armed_alert_goes_the_digits_are_dead_again(console: Console):
    asked = listen(console)
    tell(console, make_view(), alerts=(make_alert(),))
    press(console, Qt.Key.Key_A)
    console.wall.push_alert(make_alert(state=AlertState.CLEAR, changed_ms=T0_MS + 1))
    console.wall.push_alert(make_alert("level_5"))
    console.tick()
    press(console, Qt.Key.Key_1)
    assert asked == []


def test_in_an_open_bed_the_keys_answer_its_own_alert_and_no_other(console: Console):
    asked = listen(console)
    elsewhere = make_alert("level_5", bed="bed4")
    tell(console, make_view(), make_view(bed="bed4"), alerts=(elsewhere,))
    console.open_bed(KEY)
    press(console, Qt.Key.Key_A, Qt.Key.Key_1)
    assert [path for path, _ in asked if path.endswith("/ack")] == []
    own = make_alert(priority=Priority.MEDIUM)
    console.wall.push_alert(own)
    console.tick()
    press(console, Qt.Key.Key_A, Qt.Key.Key_2)
    assert [path for path, _ in asked if path.endswith("/ack")] == [f"/api/v1/alerts/{own.id}/ack"]


def test_keys_switch_theme_and_language(console: Console):
    tell(console, make_view())
    press(console, Qt.Key.Key_N, Qt.Key.Key_L)
    assert console.theme is NIGHT
    assert console.texts.language == "en"
    assert count(pixels(console), NIGHT.bg) > count(pixels(console), DAY.bg)


def test_letters_typed_into_the_name_are_not_commands(console: Console):
    tell(console, make_view())
    console.rail.name.setFocus()
    QTest.keyClicks(console.rail.name, " NAL")
    assert console.rail.name.text() == "K.M. NAL"
    assert console.theme is DAY


def test_scrolling_back_asks_for_the_past_and_keeps_the_live_strip(console: Console):
    asked = listen(console)
    tell(console, make_view(age_ms=0))
    press(console, Qt.Key.Key_Return, Qt.Key.Key_Left)
    assert not console.bed.is_live
    assert console.bed.live_strip.isVisible()
    assert any("/strip?from=" in path and "step_ms" not in path for path, _ in asked)
    press(console, Qt.Key.Key_End)
    assert console.bed.is_live


def test_a_coming_alert_is_seen_in_the_rail_at_once(console: Console):
    tell(console, make_view())
    console.wall.push_alert(make_alert())
    console.tick()
    assert [card.alert.rule for card in console.rail.cards] == ["fhr_below_80"]


def test_the_glyph_of_the_worse_twin_is_shown(console: Console):
    one, two = make_analysis(1), make_analysis(4, fetus=2)
    both = type(one)(
        fetuses=one.fetuses + two.fetuses,
        contractions=(),
        are_contractions_known=True,
        contractions_per_10min=None,
        is_tachysystole=False,
    )
    tell(console, make_view(analysis=both))
    face = console.tiles.tiles[KEY].face
    assert face is not None
    assert face.glyph is Glyph.LEVEL_4


def listen(console: Console) -> list[tuple[str, object]]:
    """Requests that the console makes, in place of sending them."""
    asked: list[tuple[str, object]] = []

    def ask(token: object, path: str, *, body: object = None) -> None:
        asked.append((path, body))

    console.link.ask = ask  # type: ignore[method-assign]
    console.bed.wanted.connect(ask)
    return asked


def test_a_card_stays_in_its_place_while_only_its_numbers_change(console: Console):
    first = make_alert()
    tell(console, make_view(), alerts=(first,))
    (card,) = console.rail.cards
    later = replace(first, values={**first.values, "duration_s": 75.0}, changed_ms=T0_MS + 1000)
    console.wall.push_message(make_message(make_view(), alerts=(later,), seq=2), monotonic_s())
    console.tick()
    assert console.rail.cards == [card]
    assert "75" in " ".join(label.text() for label in card.findChildren(QLabel))


def test_the_key_card_opens_over_the_bed_and_escape_puts_it_away_first(console: Console):
    tell(console, make_view())
    console.open_bed(KEY)
    console.press(Qt.Key.Key_Question)
    assert console.key_card.isVisible()
    assert console.texts("keys.ack") in console.key_card.text()
    console.press(Qt.Key.Key_Escape)
    assert not console.key_card.isVisible()
    assert console.is_bed_open
    console.press(Qt.Key.Key_Escape)
    assert not console.is_bed_open


def test_a_database_that_takes_nothing_and_beds_without_room_are_said_in_words_shape_and_colour(
    console: Console,
):
    assert not console.notices.isVisible()
    notices = (
        HubNotice(kind=NoticeKind.STORE_AWAY, since_ms=T0_MS - 5000),
        HubNotice(kind=NoticeKind.BEDS_FULL, since_ms=T0_MS, count=3),
    )
    now_s = monotonic_s()
    console.wall.join(now_s)
    console.wall.push_message(replace(make_message(make_view()), notices=notices), now_s)
    console.tick()
    assert console.notices.isVisible()
    assert [words for _, words in console.notices.lines] == [
        "データベースに保存できません 0:05",
        "監視していない床: 3床 0:00",
    ]
    drawn = pixels(console.notices)
    assert len({tuple(row) for row in drawn[:, 2]}) == 2
    assert not (drawn[10:30, 24:50] == drawn[10, 2]).all()
    console.wall.push_message(make_message(make_view(), is_snapshot=False), now_s)
    console.tick()
    assert not console.notices.isVisible()


def test_of_a_silent_hub_no_notice_stands(console: Console):
    message = replace(
        make_message(make_view()), notices=(HubNotice(kind=NoticeKind.STORE_AWAY, since_ms=T0_MS),)
    )
    console.wall.join(monotonic_s() - 10)
    console.wall.push_message(message, monotonic_s() - 10)
    console.tick()
    assert not console.notices.isVisible()
