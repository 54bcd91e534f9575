"""The rail: alerts that wait for a person, those somebody answers for, and what changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from hub.model import AckReason, Alert, Priority
from viewer.face import Glyph, make_face
from viewer.glyphs import draw_glyph
from viewer.panels import panel_of, title_label
from viewer.state import Bed, LevelChange, Wall, recent_changes
from viewer.texts import Texts, clock, elapsed
from viewer.theme import Theme, color, font
from viewer.words import MARKS, acknowledged_words, alert_tone, alert_words, bed_code, both

REASONS: Final = (AckReason.WATCHING, AckReason.AT_BEDSIDE, AckReason.ARTEFACT, AckReason.TREATED)
"""Keys 1 to 4, in this order on every screen."""
_ROW: Final = 34
_SHOWN_CHANGES: Final = 14
_CARD: Final = 155
"""About the height of a card."""
_CHANGES_MS: Final = 30 * 60 * 1000


def reason_buttons(texts: Texts, chosen: Callable[[AckReason], None]) -> list[QPushButton]:
    """Make a button for each of the four reasons, with its key."""
    buttons = []
    for number, reason in enumerate(REASONS, 1):
        button = QPushButton(f"{texts(f'ack.{reason.value}')}  {number}")
        button.setObjectName("reason")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _checked=False, r=reason: chosen(r))
        buttons.append(button)
    return buttons


class AlertCard(QFrame):
    """One alert that waits: its sentence, how long, and the way to answer it."""

    chosen = Signal(str)
    opened = Signal(str)
    acknowledged = Signal(str, object)

    def __init__(self, look: "_Look", alert: Alert, bed: Bed | None, texts: Texts) -> None:
        super().__init__()
        self.look = look
        self.alert = alert
        self._texts = texts
        self.setObjectName("card")
        self.setProperty("priority", alert_tone(alert))
        self.setProperty("chosen", "true" if look.is_chosen else "false")
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 8, 10, 10)
        box.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(_label(f"{MARKS[alert.priority]} {look.code}", "code"))
        # Where it is gives way to who and how long.
        where = _label((bed.view.site_name if bed else None) or alert.site, "small")
        where.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        head.addWidget(where, 1)
        self._time = _label("", "code")
        head.addWidget(self._time)
        box.addLayout(head)
        self._sentence = _label(alert_words(texts, alert), "strong")
        self._sentence.setWordWrap(True)
        box.addWidget(self._sentence)
        state = texts(f"path.{alert.path.value}")
        if not alert.is_present:
            state = texts("ui.latched") + " · " + state
        box.addWidget(_label(state, "small"))
        if look.is_armed:
            grid = QGridLayout()
            grid.setSpacing(6)
            for index, button in enumerate(reason_buttons(texts, self._answer)):
                grid.addWidget(button, index // 2, index % 2)
            box.addLayout(grid)
        else:
            row = QHBoxLayout()
            answer = QPushButton(texts("ui.ack") + "  A")
            answer.setObjectName("main")
            answer.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            answer.clicked.connect(lambda: self.chosen.emit(self.alert.id))
            opener = QPushButton(texts("ui.open_bed"))
            opener.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            opener.clicked.connect(lambda: self.opened.emit(f"{self.alert.site}/{self.alert.bed}"))
            row.addWidget(answer, 2)
            row.addWidget(opener, 1)
            box.addLayout(row)

    def show_values(self, alert: Alert) -> None:
        """Take the numbers of the alert as they are now."""
        self.alert = alert
        self._sentence.setText(alert_words(self._texts, alert))

    def refresh(self, hub_ms: int) -> None:
        """Show how long the alert has waited."""
        self._time.setText(elapsed((hub_ms - self.alert.raised_ms) / 1000))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        self.opened.emit(f"{self.alert.site}/{self.alert.bed}")
        event.accept()

    def _answer(self, reason: AckReason) -> None:
        self.acknowledged.emit(self.alert.id, reason)


class Rail(QWidget):
    """Right column of the wall; empty space stays empty."""

    opened = Signal(str)
    acknowledged = Signal(str, object)
    """Alert id and `AckReason`, to be sent to the hub."""

    def __init__(self, theme: Theme, texts: Texts, operator: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texts = texts
        self._shown: object = None
        self._looked: object = None
        self.chosen_id: str | None = None
        self.is_armed = False
        self.cards: list[AlertCard] = []
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        self._waiting_title = title_label()
        self._waiting = QVBoxLayout()
        self._waiting.setSpacing(8)
        inner = QWidget()
        inner.setObjectName("plain")
        inner.setLayout(self._waiting)
        self._waiting.setContentsMargins(0, 0, 4, 0)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        area.viewport().setObjectName("plain")
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.addWidget(panel_of(self._waiting_title, area), 3)
        self._answered = _Rows(theme)
        self._answered.opened.connect(self.opened)
        self._answered_title = title_label()
        column.addWidget(panel_of(self._answered_title, self._answered), 0)
        self._changes = _Rows(theme)
        self._changes.opened.connect(self.opened)
        self._changes_title = title_label()
        column.addWidget(panel_of(self._changes_title, self._changes), 2)
        self.name = QLineEdit(operator)
        self.name.setMaxLength(32)
        self._name_title = title_label()
        self.note = _label("", "small")
        self.note.setWordWrap(True)
        column.addWidget(panel_of(self._name_title, self.name, self.note), 0)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        for rows in (self._answered, self._changes):
            rows.theme = theme
            rows.update()

    def retext(self) -> None:
        """Draw again in the language now chosen."""
        self._shown = self._looked = None

    # ----------------------------------------------------------------- what is shown

    def settle(self, wall: Wall) -> None:
        """Let go of a chosen alert that no longer waits, and of the digits with it."""
        waiting = wall.unacknowledged()
        if self.chosen_id not in {alert.id for alert in waiting}:
            self.chosen_id = waiting[0].id if waiting else None
            self.is_armed = False

    def refresh(self, wall: Wall, now_s: float) -> None:
        """Show alerts as they stand."""
        texts = self._texts
        self.settle(wall)
        shown = (wall.alert_revision, self.chosen_id, self.is_armed, texts.language, len(wall.beds))
        if (*shown, int(now_s)) == self._looked:
            return
        self._looked = (*shown, int(now_s))
        waiting, answered = wall.unacknowledged(), wall.acknowledged()
        if shown != self._shown:
            self._shown = shown
            self._waiting_title.setText(both(texts, "ui.unacknowledged", len(waiting)))
            self._answered_title.setText(both(texts, "ui.acknowledged", len(answered)))
            self._changes_title.setText(both(texts, "ui.changes"))
            self._name_title.setText(both(texts, "ui.operator"))
            self.name.setPlaceholderText(texts("ui.operator_hint"))
            self._fill_waiting(wall, waiting)
            # What changed gives way to what waits.
            is_tight = len(waiting) * _CARD > self.height() * 0.55
            self._changes.most_needed = 3 if is_tight else 6
            self._column.setStretch(0, 6 if is_tight else 3)
            self._column.setStretch(2, 1 if is_tight else 2)
        hub_ms = wall.now_ms(now_s)
        for card in self.cards:
            card.refresh(hub_ms)
            card.setEnabled(not wall.is_dark(now_s))
        self._answered.show_rows([self._answered_row(wall, a, now_s) for a in answered[:8]])
        recent = recent_changes(wall.beds, hub_ms - _CHANGES_MS)[:_SHOWN_CHANGES]
        self._changes.show_rows([self._change_row(wall, c) for c in recent])

    def _fill_waiting(self, wall: Wall, waiting: list[Alert]) -> None:
        kept = {card.look: card for card in self.cards}
        cards = []
        for alert in waiting:
            bed = wall.beds.get(f"{alert.site}/{alert.bed}")
            is_chosen = alert.id == self.chosen_id
            look = _Look(
                alert.id,
                bed_code(bed) if bed else alert.bed,
                alert.priority,
                alert.is_present,
                self._texts.language,
                is_chosen,
                is_chosen and self.is_armed,
            )
            # Numbers change each second: a card built anew for them would blink, and lose the click on it.
            card = kept.pop(look, None) or self._make_card(look, alert, bed)
            card.show_values(alert)
            cards.append(card)
        for card in kept.values():
            card.hide()
            card.deleteLater()
        if cards != self.cards:
            while self._waiting.takeAt(0) is not None:
                pass
            for card in cards:
                self._waiting.addWidget(card)
            self._waiting.addStretch(1)
        self.cards = cards

    def _make_card(self, look: "_Look", alert: Alert, bed: Bed | None) -> AlertCard:
        card = AlertCard(look, alert, bed, self._texts)
        card.chosen.connect(self.arm)
        card.opened.connect(self.opened)
        card.acknowledged.connect(self._acknowledge)
        return card

    def _answered_row(self, wall: Wall, alert: Alert, now_s: float) -> "_Row":
        key = f"{alert.site}/{alert.bed}"
        bed = wall.beds.get(key)
        glyphs = (make_face(wall, bed, now_s).glyph,) if bed else ()
        words = f"{acknowledged_words(self._texts, alert)} · {alert_words(self._texts, alert, is_short=True)}"
        return _Row(key, "", bed_code(bed) if bed else alert.bed, glyphs, "", words)

    def _change_row(self, wall: Wall, change: LevelChange) -> "_Row":
        bed = wall.beds.get(change.key)
        before, after = (
            Glyph.UNKNOWN if x is None else Glyph(str(x)) for x in (change.from_level, change.to_level)
        )
        arrow = "→"
        if change.from_level is not None and change.to_level is not None:
            arrow = "↗" if change.to_level > change.from_level else "↘"
        words = (
            self._texts(f"level.{change.to_level}")
            if change.to_level
            else self._texts("ui.glyph_indeterminate")
        )
        return _Row(
            change.key,
            clock(change.t_ms),
            bed_code(bed) if bed else change.key,
            (before, after),
            arrow,
            words,
        )

    # ---------------------------------------------------------------------- answering

    def arm(self, alert_id: str | None = None) -> None:
        """Choose an alert and show its reasons: a digit alone never acknowledges."""
        if alert_id is not None:
            self.chosen_id = alert_id
        self.is_armed = self.chosen_id is not None

    def disarm(self) -> None:
        """Put the reasons away again."""
        self.is_armed = False

    def choose(self, alert_id: str) -> None:
        """Put the keyboard on an alert."""
        if alert_id != self.chosen_id:
            self.chosen_id, self.is_armed = alert_id, False

    def answer(self, number: int) -> None:
        """Acknowledge the chosen alert with reason 1-4, if it has been armed."""
        if self.is_armed and self.chosen_id is not None:
            self._acknowledge(self.chosen_id, REASONS[number - 1])

    def _acknowledge(self, alert_id: str, reason: AckReason) -> None:
        if not self.name.text().strip():
            self.note.setText(self._texts("ui.operator_needed"))
            self.name.setFocus()
            return
        self.note.setText("")
        self.is_armed = False
        self.acknowledged.emit(alert_id, reason)


class _Look(NamedTuple):
    """Everything of a card that cannot change without building it anew."""

    alert_id: str
    code: str
    priority: Priority
    is_present: bool
    language: str
    is_chosen: bool
    is_armed: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the rail: a bed, its glyphs, some words."""

    key: str
    time: str
    code: str
    glyphs: tuple[Glyph, ...]
    arrow: str
    words: str


class _Rows(QWidget):
    """Lines painted one below the other; a click opens the bed."""

    opened = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._rows: list[_Row] = []
        self.most_needed = 6
        """Lines for which room is claimed."""

    def show_rows(self, rows: list[_Row]) -> None:
        """Show these lines."""
        needed = min(len(rows), self.most_needed) * _ROW
        if needed != self.minimumHeight():
            self.setMinimumHeight(needed)
        if rows != self._rows:
            self._rows = rows
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        p = QPainter(self)
        for index, row in enumerate(self._rows):
            top = float(index * _ROW)
            if top + _ROW > self.height() + 2:
                break
            p.setPen(color(self.theme.line2))
            if index:
                p.drawLine(QPointF(0, top), QPointF(self.width(), top))
            x = 0.0
            if row.time:
                x = self._write(p, row.time, x, top, 46, bold=False)
            if row.time:
                x = self._write(p, row.code, x, top, 84, bold=True)
            for number, glyph in enumerate(row.glyphs):
                if number:
                    x = self._write(p, row.arrow, x, top, 22, bold=False)
                draw_glyph(p, self.theme, glyph, x, top + 6, 22)
                x += 28
            if not row.time:
                x = self._write(p, row.code, x, top, 84, bold=True)
            self._write(p, row.words, x + 4, top, self.width() - x - 4, bold=False)
        p.end()

    def _write(self, p: QPainter, words: str, x: float, top: float, width: float, *, bold: bool) -> float:
        p.setFont(font(14, bold=bold))
        p.setPen(color(self.theme.t1 if bold else self.theme.t2))
        words = QFontMetricsF(p.font()).elidedText(words, Qt.TextElideMode.ElideRight, width)
        p.drawText(QRectF(x, top, width, _ROW), Qt.AlignmentFlag.AlignVCenter, words)
        return x + width

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        index = int(event.position().y() // _ROW)
        if 0 <= index < len(self._rows):
            self.opened.emit(self._rows[index].key)


def _label(words: str, name: str) -> QLabel:
    label = QLabel(words)
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
