"""Level glyphs: a shape of its own for each answer, so that none rests on colour (console.md 6)."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF

from viewer.face import Glyph
from viewer.theme import Theme, color, font

_BOX = 64.0
_NUMERAL_SIZE = {1: 42, 2: 42, 3: 38, 4: 41, 5: 46}
_STROKE = {1: 4.0, 2: 5.0, 3: 2.5, 4: 2.5, 5: 2.5}


def draw_glyph(
    p: QPainter, theme: Theme, glyph: Glyph, x: float, y: float, size: float, *, grey: bool = False
) -> None:
    """Draw a glyph in a square of `size` px with its corner at (x, y)."""
    p.save()
    p.setRenderHint(QPainter.RenderHint.Antialiasing)
    p.translate(x, y)
    p.scale(size / _BOX, size / _BOX)
    if glyph is Glyph.UNKNOWN:
        _draw_unknown(p, theme)
    elif glyph is Glyph.DARK:
        _draw_dark(p, theme)
    elif glyph is Glyph.PAUSED:
        _draw_paused(p, theme)
    else:
        _draw_level(p, theme, int(glyph.value), grey=grey)
    p.restore()


def _draw_level(p: QPainter, theme: Theme, level: int, *, grey: bool) -> None:
    edge = theme.hatch if grey else theme.level_edge[level - 1]
    ink = theme.t3 if grey else theme.level_ink[level - 1]
    is_filled = level >= 3 and not grey
    p.setPen(QPen(color(edge), _STROKE[level], j=Qt.PenJoinStyle.RoundJoin))
    p.setBrush(color(theme.level_fill[level - 1]) if is_filled else QBrush(Qt.BrushStyle.NoBrush))
    numeral = QRectF(0, 0, _BOX, _BOX)
    if level == 1:
        p.drawEllipse(QPointF(32, 32), 28, 28)
    elif level == 2:
        p.drawRoundedRect(QRectF(5, 5, 54, 54), 9, 9)
    elif level == 3:
        p.drawPolygon(QPolygonF([QPointF(32, 3), QPointF(62, 58), QPointF(2, 58)]))
        numeral = QRectF(0, 11, _BOX, _BOX - 8)
    elif level == 4:
        p.drawPolygon(QPolygonF([QPointF(32, 1), QPointF(63, 32), QPointF(32, 63), QPointF(1, 32)]))
    else:
        a, b = 2.0, 20.0
        corners = [
            (b, a),
            (64 - b, a),
            (64 - a, b),
            (64 - a, 64 - b),
            (64 - b, 64 - a),
            (b, 64 - a),
            (a, 64 - b),
            (a, b),
        ]
        p.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
    _write(p, str(level), numeral, _NUMERAL_SIZE[level], color(ink))


def _draw_unknown(p: QPainter, theme: Theme) -> None:
    pen = QPen(color(theme.no_answer), 4.5)
    pen.setDashPattern([2.2, 1.5])
    p.setPen(pen)
    p.setBrush(Qt.BrushStyle.NoBrush)
    p.drawEllipse(QPointF(32, 32), 28, 28)
    _write(p, "?", QRectF(0, 0, _BOX, _BOX), 40, color(theme.no_answer))


def _draw_dark(p: QPainter, theme: Theme) -> None:
    p.setPen(QPen(color(theme.no_answer), 4, c=Qt.PenCapStyle.RoundCap, j=Qt.PenJoinStyle.RoundJoin))
    p.setBrush(Qt.BrushStyle.NoBrush)
    p.drawRoundedRect(QRectF(4, 4, 56, 56), 4, 4)
    p.drawLine(QPointF(14, 50), QPointF(27, 37))
    p.drawLine(QPointF(37, 27), QPointF(50, 14))
    p.drawLine(QPointF(24, 26), QPointF(28, 30))
    p.drawLine(QPointF(36, 34), QPointF(40, 38))


def _draw_paused(p: QPainter, theme: Theme) -> None:
    pen = QPen(color(theme.no_answer), 3.5)
    pen.setDashPattern([1.2, 1.6])
    p.setPen(pen)
    p.setBrush(Qt.BrushStyle.NoBrush)
    p.drawRoundedRect(QRectF(4, 4, 56, 56), 4, 4)
    p.fillRect(QRectF(23, 20, 6, 24), color(theme.no_answer))
    p.fillRect(QRectF(35, 20, 6, 24), color(theme.no_answer))


def _write(p: QPainter, text: str, box: QRectF, pixels: int, ink: QColor) -> None:
    p.setPen(ink)
    p.setFont(font(pixels, bold=True))
    # The CJK face carries its ascent high: a nudge of a twentieth centres a numeral.
    p.drawText(box.translated(0, -pixels / 20), Qt.AlignmentFlag.AlignCenter, text)
