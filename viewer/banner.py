"""Top of the open bed: who and what level, its numbers, and the alert that waits for a person."""

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hub.model import AckReason, Alert
from viewer.alerts import reason_buttons
from viewer.face import Face, Freshness
from viewer.glyphs import draw_glyph
from viewer.marks import draw_number, draw_test_mark, text_right
from viewer.state import Bed
from viewer.texts import Texts, elapsed
from viewer.theme import Theme, color, font
from viewer.words import (
    MARKS,
    acknowledged_words,
    alert_tone,
    alert_words,
    bed_code,
    describe_bed,
    level_words,
)

HEIGHT = 64


class BedHead(QWidget):
    """Header of the open bed."""

    def __init__(self, theme: Theme, texts: Texts) -> None:
        super().__init__()
        self._theme, self._texts = theme, texts
        self._shown: tuple[Bed, Face, int] | None = None
        self.setFixedHeight(HEIGHT)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def refresh(self, bed: Bed, face: Face, edge_ms: int) -> None:
        """Show the bed as it stands."""
        self._shown = (bed, face, edge_ms)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        theme, texts = self._theme, self._texts
        p = QPainter(self)
        p.fillRect(self.rect(), color(theme.surface))
        if self._shown is None:
            p.end()
            return
        bed, face, edge_ms = self._shown
        p.setPen(color(theme.t2))
        p.setFont(font(16, bold=True))
        p.drawText(QPointF(16, 38), "‹ " + texts("ui.list") + "  Esc")
        x = 140.0
        draw_glyph(p, theme, face.glyph, x, 8, 48, grey=face.is_grey)
        x += 60
        p.setPen(color(theme.t1))
        p.setFont(font(28, bold=True))
        code = bed_code(bed)
        p.drawText(QPointF(x, 32), code)
        width = QFontMetricsF(p.font()).horizontalAdvance(code)
        if face.is_test:
            width = draw_test_mark(p, theme, texts, x + width + 8, 13) - x
        p.setFont(font(14))
        p.setPen(color(theme.t2))
        line = describe_bed(bed)
        p.drawText(QPointF(x, 54), line)
        x += max(width, QFontMetricsF(p.font()).horizontalAdvance(line)) + 30
        title, name = level_words(texts, face, edge_ms)
        if face.freshness <= Freshness.MARKED:
            title, name = name, title
        p.setPen(color(theme.t1))
        p.setFont(font(20, bold=True))
        p.drawText(QPointF(x, 29), f"{title}  {name}")
        p.setFont(font(13))
        p.setPen(color(theme.t2))
        p.drawText(QPointF(x, 51), f"{texts('ui.jsog_provisional')}  {texts.beside('ui.not_a_diagnosis')}")
        self._paint_numbers(p, face)
        p.end()

    def _paint_numbers(self, p: QPainter, face: Face) -> None:
        theme, texts = self._theme, self._texts
        right = self.width() - 24.0
        columns = [
            ("Toco", face.toco, 26),
            (texts("ui.contractions_10"), face.contractions, 26),
            (texts("ui.maternal"), face.mhr, 26),
        ]
        fetuses = [
            (texts("ui.fetus", name="ABC"[f.fetus - 1]) if len(face.fetuses) > 1 else "FHR", f.fhr, 42)
            for f in face.fetuses
        ]
        for label, number, size in [*columns, *reversed(fetuses)]:
            right = draw_number(p, theme, number, right, 32 - size * 0.56, size, plain=size < 40) - 6
            right = text_right(p, label, font(14), color(theme.t3), right, 22, 22) - 22


class BedBanner(QFrame):
    """The alert of the open bed with its four reasons; gone when nothing waits."""

    acknowledged = Signal(str, object)

    def __init__(self, theme: Theme, texts: Texts) -> None:
        super().__init__()
        self._texts = texts
        self._alert: Alert | None = None
        self.setObjectName("card")
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 4, 10, 4)
        words = QVBoxLayout()
        words.setSpacing(0)
        self._title, self._line = QLabel(), QLabel()
        self._title.setObjectName("strong")
        self._line.setObjectName("body")
        words.addWidget(self._title)
        words.addWidget(self._line)
        row.addLayout(words, 1)
        self._key = QLabel()
        self._key.setObjectName("body")
        row.addWidget(self._key)
        self._buttons: list[QPushButton] = reason_buttons(texts, self._answer)
        for button in self._buttons:
            row.addWidget(button)
        self.setFixedHeight(58)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Colours come from the style sheet; look at the priority again."""
        self.style().unpolish(self)
        self.style().polish(self)

    def retext(self) -> None:
        """Write again in the language now chosen."""
        for number, (button, reason) in enumerate(zip(self._buttons, AckReason, strict=True), 1):
            button.setText(f"{self._texts(f'ack.{reason.value}')}  {number}")

    def refresh(self, waiting: Alert | None, answered: Alert | None, hub_ms: int) -> None:
        """Show the most urgent alert that waits, or who answers for one that goes on."""
        alert = waiting or answered
        self.setVisible(alert is not None)
        if alert is None:
            self._alert = None
            return
        texts = self._texts
        if alert != self._alert:
            self.setProperty("priority", alert_tone(alert) if waiting else "none")
            self.style().unpolish(self)
            self.style().polish(self)
        self._alert = alert
        since = elapsed((hub_ms - alert.raised_ms) / 1000)
        if waiting is None:
            self._title.setText(alert_words(texts, alert))
            self._line.setText("✓ " + acknowledged_words(texts, alert))
        else:
            waited = texts("ui.unacknowledged_for", age=since)
            self._title.setText(f"{MARKS[alert.priority]}  {alert_words(texts, alert)} · {waited}")
            self._line.setText(texts(f"path.{alert.path.value}"))
        self._key.setText(texts("ui.ack") + " A" if waiting else "")
        for button in self._buttons:
            button.setVisible(waiting is not None)

    def _answer(self, reason: AckReason) -> None:
        if self._alert is not None:
            self.acknowledged.emit(self._alert.id, reason)
