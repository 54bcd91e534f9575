"""The other beds beside an open one: glyph, code, rate; what waits for a person keeps its border."""

from typing import Final, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from hub.model import Alert
from viewer.face import Face, Freshness, Look, make_face
from viewer.glyphs import draw_glyph
from viewer.marks import alert_colors
from viewer.state import Key, Wall
from viewer.texts import Texts, elapsed
from viewer.theme import Theme, color, font
from viewer.words import age_words, lost_seconds

WIDTH: Final = 128
_ROW: Final = 56


class _Neighbour(NamedTuple):
    key: Key
    code: str
    is_namesake: bool
    face: Face
    alert: Alert | None


class Neighbours(QWidget):
    """Left rail of the bed view, in the order of the wall."""

    opened = Signal(str)

    def __init__(self, theme: Theme, texts: Texts) -> None:
        super().__init__()
        self._theme, self._texts = theme, texts
        self._rows: list[_Neighbour] = []
        self._open: Key | None = None
        self._first = 0
        self.setFixedWidth(WIDTH)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def refresh(self, wall: Wall, now_s: float, open_key: Key) -> None:
        """Show all beds; the open one stays in sight."""
        rows = []
        for key in wall.bed_keys():
            bed = wall.beds[key]
            waiting = wall.waiting_at(key)
            alert = waiting[0] if waiting else None
            rows.append(_Neighbour(key, bed.label, bed.is_namesake, make_face(wall, bed, now_s), alert))
        room = max(1, self.height() // _ROW)
        if open_key != self._open:
            at = next((i for i, row in enumerate(rows) if row.key == open_key), 0)
            if not self._first <= at < self._first + room:
                self._first = at - room // 2
        self._first = min(max(self._first, 0), max(0, len(rows) - room))
        self._rows, self._open = rows, open_key
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        theme = self._theme
        p = QPainter(self)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.fillRect(self.rect(), color(theme.surface2))
        for index, row in enumerate(self._rows[self._first :]):
            key, code, is_namesake, face, alert = row
            box = QRectF(0, index * _ROW, WIDTH, _ROW)
            if box.top() > self.height():
                break
            if key == self._open:
                p.fillRect(box, color(theme.surface))
                p.fillRect(QRectF(0, box.top(), 4, _ROW), color(theme.accent))
            p.setPen(color(theme.line))
            p.drawLine(box.bottomLeft(), box.bottomRight())
            draw_glyph(p, theme, face.glyph, 9, box.top() + 11, 34, grey=face.is_grey)
            p.setPen(color(theme.t1))
            p.setFont(font(16, bold=True))
            code = QFontMetricsF(p.font()).elidedText(code, Qt.TextElideMode.ElideRight, WIDTH - 54)
            p.drawText(QPointF(50, box.top() + 25), code)
            p.setPen(color(theme.t2))
            p.setFont(font(14))
            prefix = key.partition("/")[0] + " " if is_namesake else ""
            p.drawText(QPointF(50, box.top() + 45), prefix + self._line(face, is_namesake=is_namesake))
            if alert is not None and face.freshness is not Freshness.HUB_DARK:
                p.setPen(QPen(alert_colors(theme, alert)[0], 4))
                p.setBrush(Qt.BrushStyle.NoBrush)
                p.drawRoundedRect(box.adjusted(2, 2, -2, -2), 4, 4)
        p.end()

    def _line(self, face: Face, *, is_namesake: bool) -> str:
        if face.freshness >= Freshness.STALE:
            lost_s = lost_seconds(face)
            if lost_s is None:
                return "–"
            if face.freshness is Freshness.STALE:
                return age_words(self._texts, face)
            return elapsed(lost_s) if is_namesake else self._texts("ui.cut_for", age=elapsed(lost_s))
        numbers = [
            f"{f.fhr.value:.0f}" if f.fhr.value is not None else Look.UNKNOWN.value for f in face.fetuses
        ]
        return " / ".join(numbers) or "?"

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        index = self._first + int(event.position().y() // _ROW)
        if 0 <= index < len(self._rows):
            self.opened.emit(self._rows[index].key)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        self._first += -1 if event.angleDelta().y() > 0 else 1
