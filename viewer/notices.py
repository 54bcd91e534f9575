"""What concerns every bed at once: the database takes no writes, or beds send that nobody watches."""

from typing import Final

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from hub.model import NoticeKind
from viewer.marks import text_right
from viewer.state import Wall
from viewer.texts import Texts, elapsed
from viewer.theme import Theme, color, font

ROW: Final = 42
_SHAPE: Final = 26.0
_Line = tuple[tuple[float, float], ...]


class NoticeBar(QWidget):
    """One row for each notice, below the header; gone when there is none, or when the hub is silent."""

    def __init__(self, theme: Theme, texts: Texts) -> None:
        super().__init__()
        self._theme, self._texts = theme, texts
        self.lines: tuple[tuple[NoticeKind, str], ...] = ()
        """What is shown: kind and sentence."""
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def refresh(self, wall: Wall, now_s: float) -> None:
        """Show what stands; of a silent hub nothing is known, and the header says that instead."""
        hub_ms = wall.now_ms(now_s)
        lines = tuple(
            (
                notice.kind,
                self._texts(
                    f"notice.{notice.kind.value}",
                    n=notice.count,
                    age=elapsed((hub_ms - notice.since_ms) / 1000),
                ),
            )
            for notice in (() if wall.is_dark(now_s) else wall.notices)
        )
        if lines == self.lines:
            return
        self.lines = lines
        self.setFixedHeight(ROW * len(lines))
        self.setVisible(bool(lines))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        theme, texts = self._theme, self._texts
        p = QPainter(self)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, (kind, words) in enumerate(self.lines):
            is_high = kind is NoticeKind.BEDS_FULL
            ink = color(theme.high_ink if is_high else theme.medium_ink)
            top = float(number * ROW)
            p.fillRect(0, number * ROW, self.width(), ROW, color(theme.high if is_high else theme.medium))
            p.setPen(QPen(ink, 2.0, c=Qt.PenCapStyle.RoundCap, j=Qt.PenJoinStyle.RoundJoin))
            p.setBrush(Qt.BrushStyle.NoBrush)
            p.drawPath(_shape(kind, 24.0, top + (ROW - _SHAPE) / 2))
            p.setFont(font(17, bold=True))
            x = 24 + _SHAPE + 14
            p.drawText(QPointF(x, top + 27), words)
            x += QFontMetricsF(p.font()).horizontalAdvance(words) + 18
            p.setFont(font(15))
            p.drawText(QPointF(x, top + 27), texts(f"notice.{kind.value}.do"))
            x += QFontMetricsF(p.font()).horizontalAdvance(texts(f"notice.{kind.value}.do"))
            beside = texts.beside(f"notice.{kind.value}.name")
            if x + QFontMetricsF(font(13)).horizontalAdvance(beside) + 40 < self.width():
                text_right(p, beside, font(13), ink, self.width() - 24.0, top + 10, 22)
        p.end()


def _shape(kind: NoticeKind, x: float, y: float) -> QPainterPath:
    """Draw a triangle, or a barrel that is struck through."""
    path = QPainterPath()
    if kind is NoticeKind.BEDS_FULL:
        corners = ((0.5, 0.1), (0.95, 0.85), (0.05, 0.85), (0.5, 0.1))
        lines: tuple[_Line, ...] = (corners, ((0.5, 0.38), (0.5, 0.6)), ((0.5, 0.72), (0.5, 0.74)))
    else:
        barrel = ((0.22, 0.25), (0.22, 0.8), (0.78, 0.8), (0.78, 0.25), (0.22, 0.25))
        lines = (barrel, ((0.22, 0.38), (0.78, 0.38)), ((0.1, 0.92), (0.9, 0.08)))
    for points in lines:
        path.moveTo(x + points[0][0] * _SHAPE, y + points[0][1] * _SHAPE)
        for across, down in points[1:]:
            path.lineTo(x + across * _SHAPE, y + down * _SHAPE)
    return path
