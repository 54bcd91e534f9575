"""The window: header, wall or open bed, rail; one timer draws, one signal brings what came."""

import logging
import time
from datetime import UTC, datetime
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from hub.errors import WireError
from hub.model import AckReason, Alert
from hub.wire import decode_json
from viewer.alerts import Rail
from viewer.bed import BedView, RecordWanted, StripWanted
from viewer.header import Header
from viewer.keycard import KeyCard
from viewer.link import Answer, HubLink, Joined, Said, Waves, monotonic_s
from viewer.notices import NoticeBar
from viewer.state import Key, Wall
from viewer.texts import JAPAN, Texts
from viewer.theme import DAY, NIGHT, Theme, style_sheet
from viewer.tile import RIBBON_HOURS
from viewer.wall import GAP, WallView
from viewer.words import scale_words

_log = logging.getLogger(__name__)

TICK_MS: Final = 50
"""20 per second: a 2 Hz border keeps its half-and-half, strips draw only what moved by a pixel."""
RAIL_WIDTH: Final = 418
_NIGHT_FROM, _NIGHT_TO = 20, 7


class Console(QWidget):
    """The whole console."""

    def __init__(
        self, link: HubLink, *, operator: str = "", px_per_cm: float = 37.8, theme: Theme | None = None
    ) -> None:
        super().__init__()
        self.setObjectName("page")
        self.link = link
        self.wall = Wall()
        self.texts = Texts()
        self._is_theme_chosen = theme is not None
        self.theme = theme or _theme_by_clock(datetime.fromtimestamp(time.time_ns() / 1e9, UTC))
        self._px_per_cm = px_per_cm
        self.header = Header(self.theme, self.texts)
        self.notices = NoticeBar(self.theme, self.texts)
        self.tiles = WallView(self.theme, self.texts, px_per_cm)
        self.rail = Rail(self.theme, self.texts, operator)
        self.bed = BedView(self.theme, self.texts, px_per_cm)
        self._build()
        self.key_card = KeyCard(self, self.texts)
        self._apply_theme()
        self.setWindowTitle(self.texts("ui.page_title"))
        self._second = -1
        self.frames = 0
        """Passes of the timer so far."""
        link.arrived.connect(self._take_news, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self)

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.notices)
        column.addWidget(self.bed.head)
        self.pages = QStackedWidget()
        page = QWidget()
        page.setObjectName("page")
        row = QHBoxLayout(page)
        row.setContentsMargins(14, 12, 14, 12)
        row.setSpacing(GAP + 8)
        row.addWidget(self.tiles, 1)
        self.rail.setFixedWidth(RAIL_WIDTH)
        row.addWidget(self.rail)
        self.pages.addWidget(page)
        self.bed.setObjectName("page")
        self.bed.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.pages.addWidget(self.bed)
        column.addWidget(self.pages, 1)
        self.bed.head.hide()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.rail.name.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.rail.name.returnPressed.connect(self.setFocus)
        self.tiles.opened.connect(self.open_bed)
        self.rail.opened.connect(self.open_bed)
        self.rail.acknowledged.connect(self.acknowledge)
        self.bed.opened.connect(self.open_bed)
        self.bed.acknowledged.connect(self.acknowledge)
        self.bed.wanted.connect(self.link.ask)

    # ----------------------------------------------------------------- what comes in

    @Slot()
    def _take_news(self) -> None:
        for news in self.link.take():
            if isinstance(news, Said):
                self.wall.push_message(news.message, news.now_s)
            elif isinstance(news, Waves):
                self.wall.push_waves(news.entries, news.t_ms, news.now_s)
            elif isinstance(news, Joined):
                self.wall.join(news.greeted_s)
            else:
                self._take_answer(news)

    def _take_answer(self, answer: Answer) -> None:
        if isinstance(answer.token, StripWanted | RecordWanted):
            self.bed.take_answer(answer)
            return
        if answer.error is not None:
            self.rail.note.setText(self.texts("ui.ack_failed", why=answer.error))
            return
        try:
            self.wall.push_alert(decode_json(answer.body, Alert))
        except WireError as error:
            self.rail.note.setText(self.texts("ui.ack_failed", why=error))

    # ------------------------------------------------------------------ what is shown

    def tick(self) -> None:
        """Draw what has changed; called by the one timer."""
        self._take_news()
        now_s = monotonic_s()
        self.frames += 1
        is_new_second = int(now_s) != self._second
        self._second = int(now_s)
        if self.is_bed_open:
            self.rail.settle(self.wall)
            self.bed.refresh(self.wall, now_s)
        else:
            self.tiles.refresh(self.wall, now_s)
            self.rail.refresh(self.wall, now_s)
        self.notices.refresh(self.wall, now_s)
        if is_new_second or self.wall.is_dark(now_s):
            first = next(iter(self.tiles.tiles.values()), None)
            is_wall = first is not None and not self.is_bed_open
            self.header.scale = scale_words(first.strip.cm, self._px_per_cm) if first and is_wall else ""
            self.header.refresh(self.wall, now_s, (self.tiles.page + 1, self.tiles.pages))
            if not self._is_theme_chosen:
                self._set_theme(_theme_by_clock(datetime.fromtimestamp(time.time_ns() / 1e9, UTC)))

    @property
    def is_bed_open(self) -> bool:
        """Whether a bed is shown in full."""
        return self.pages.currentIndex() == 1

    def open_bed(self, key: Key) -> None:
        """Show a bed in full."""
        if key not in self.wall.beds:
            return
        self.tiles.select(key)
        waiting = self.wall.waiting_at(key)
        if waiting:
            self.rail.choose(waiting[0].id)
        self.bed.show_bed(key)
        self.key_card.hide()
        self.pages.setCurrentIndex(1)
        self.bed.head.show()
        self.tick()

    def close_bed(self) -> None:
        """Back to the wall, same place."""
        self.pages.setCurrentIndex(0)
        self.bed.head.hide()
        self.rail.disarm()
        self.key_card.hide()
        self.tick()

    def acknowledge(self, alert_id: str, reason: AckReason) -> None:
        """Send an acknowledgement; the alert moves when the hub says so, not before."""
        name = self.rail.name.text().strip()
        if not name:
            self.close_bed()
            self.rail.note.setText(self.texts("ui.operator_needed"))
            self.rail.name.setFocus()
            return
        self.link.ask(
            f"ack {alert_id}", f"/api/v1/alerts/{alert_id}/ack", body={"by": name, "reason": reason.value}
        )

    # ---------------------------------------------------------------------- settings

    def _set_theme(self, theme: Theme) -> None:
        if theme != self.theme:
            self.theme = theme
            self._apply_theme()

    def _apply_theme(self) -> None:
        self.setStyleSheet(style_sheet(self.theme))
        for part in (self.header, self.notices, self.tiles, self.rail, self.bed):
            part.set_theme(self.theme)
        self._write_key_card()

    def switch_theme(self) -> None:
        """Day or night, by hand from now on."""
        self._is_theme_chosen = True
        self._set_theme(DAY if self.theme.is_night else NIGHT)

    def switch_language(self) -> None:
        """Swap which language is large."""
        self.texts.switch()
        for part in (self.tiles, self.rail, self.bed):
            part.retext()
        self._second = -1
        self._write_key_card()

    def switch_key_card(self) -> None:
        """Show the key card, or put it away."""
        if self.key_card.isVisible():
            self.key_card.hide()
        else:
            self.key_card.open(self.theme, is_bed_open=self.is_bed_open)

    def _write_key_card(self) -> None:
        if self.key_card.isVisible():
            self.key_card.open(self.theme, is_bed_open=self.is_bed_open)

    def switch_ribbon(self, step: int) -> None:
        """4, 8 or 12 hours of ribbon."""
        for tile in self.tiles.tiles.values():
            at = RIBBON_HOURS.index(tile.ribbon_h) + step
            tile.ribbon_h = RIBBON_HOURS[min(max(at, 0), len(RIBBON_HOURS) - 1)]

    # ---------------------------------------------------------------------- keyboard

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        # Tab moves among beds, so keys are taken before Qt turns them into focus changes.
        if (
            event.type() is QEvent.Type.KeyPress
            and isinstance(event, QKeyEvent)
            and watched is self.focus_target()
        ):
            return self.press(event.key())
        return False

    def focus_target(self) -> QObject | None:
        """Widget whose keys are commands: the focused one, unless it is the name field."""
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit):
            return None
        return focused if focused is not None else self

    def press(self, key: int) -> bool:
        """Carry out a key of console.md section 10; True if it was one."""
        for keys in (self._press_anywhere, self._press_bed if self.is_bed_open else self._press_wall):
            if keys(key):
                self.tick()
                return True
        return False

    def _press_anywhere(self, key: int) -> bool:
        k = Qt.Key
        if key == k.Key_N:
            self.switch_theme()
        elif key == k.Key_L:
            self.switch_language()
        elif key == k.Key_A:
            self._arm()
        elif key == k.Key_Question:
            self.switch_key_card()
        elif key == k.Key_Escape and self.key_card.isVisible():
            self.key_card.hide()
        elif k.Key_1 <= key <= k.Key_4:
            if not self.rail.is_armed:
                return False
            self.rail.answer(key - k.Key_1 + 1)
        elif key in (k.Key_BracketLeft, k.Key_BracketRight):
            self.switch_ribbon(-1 if key == k.Key_BracketLeft else 1)
        else:
            return False
        return True

    def _arm(self) -> None:
        """Arm the digits for the alert in sight: the chosen card, or the banner of the open bed."""
        self.rail.settle(self.wall)
        if self.is_bed_open:
            waiting = self.wall.waiting_at(self.bed.key or "")
            if waiting:
                self.rail.arm(waiting[0].id)
        else:
            self.rail.arm()

    def _press_wall(self, key: int) -> bool:
        k = Qt.Key
        steps = {
            k.Key_Left: (-1, 0),
            k.Key_Right: (1, 0),
            k.Key_Up: (0, -1),
            k.Key_Down: (0, 1),
            k.Key_Tab: (1, 0),
            k.Key_Backtab: (-1, 0),
        }
        if key in steps:
            self.tiles.step(*steps[k(key)])
        elif key in (k.Key_Return, k.Key_Enter, k.Key_W) and self.tiles.selected:
            self.open_bed(self.tiles.selected)
        elif key in (k.Key_PageUp, k.Key_PageDown):
            self.tiles.turn(self.tiles.page + (1 if key == k.Key_PageDown else -1))
        elif key == k.Key_Escape:
            self.rail.disarm()
        else:
            return False
        return True

    def _press_bed(self, key: int) -> bool:
        k = Qt.Key
        if key == k.Key_Escape:
            self.close_bed()
        elif key == k.Key_Left:
            self.bed.scroll_pages(-0.5)
        elif key == k.Key_Right:
            self.bed.scroll_pages(0.5)
        elif key == k.Key_Home:
            self.bed.go_start()
        elif key == k.Key_End:
            self.bed.go_live()
        elif key == k.Key_V:
            self.bed.switch_speed()
        elif key in (k.Key_Tab, k.Key_Backtab):
            self.tiles.step(1 if key == k.Key_Tab else -1)
            if self.tiles.selected:
                self.open_bed(self.tiles.selected)
        else:
            return False
        return True

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.key_card.place()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        self._timer.stop()
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self)
        self.link.stop()
        super().closeEvent(event)


def _theme_by_clock(now: datetime) -> Theme:
    hour = now.astimezone(JAPAN).hour
    return NIGHT if hour >= _NIGHT_FROM or hour < _NIGHT_TO else DAY
