"""Small things drawn on tiles and panels: numbers, the test mark, signal bars, text against an edge."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from hub.model import Alert
from viewer.face import Look, Number
from viewer.texts import Texts
from viewer.theme import Theme, color, font
from viewer.words import alert_tone


def draw_number(
    p: QPainter,
    theme: Theme,
    number: Number,
    right: float,
    top: float,
    pixels: int,
    *,
    bold: bool = False,
    plain: bool = False,
) -> float:
    """Draw a number against the right edge; returns where it begins.

    Bold says only that an FHR lies outside 110-160.
    """
    words = {Look.UNKNOWN: "?", Look.GONE: "–" if plain else "---"}.get(number.look, "")
    if number.value is not None:
        words = f"{number.value:.0f}"
    if plain and number.look is Look.UNKNOWN:
        words = "–"
    is_bold = bold or (number.is_outside and not plain)
    ink = theme.t3 if number.look in (Look.GREY, Look.GONE) else theme.t1
    return text_right(p, words, font(pixels, bold=is_bold), color(ink), right, top, pixels * 1.1)


def draw_test_mark(
    p: QPainter, theme: Theme, texts: Texts, x: float, y: float, *, height: float = 18
) -> float:
    """Draw the mark of simulated data; returns its right edge."""
    p.setFont(font(12 if height > 16 else 11, bold=True))
    words = texts("ui.test_data.short")
    width = QFontMetricsF(p.font()).horizontalAdvance(words) + 8
    box = QRectF(x, y, width, height)
    p.setPen(QPen(color(theme.t3), 1))
    p.setBrush(Qt.BrushStyle.NoBrush)
    p.drawRoundedRect(box, 3, 3)
    p.setPen(color(theme.t2))
    p.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
    return box.right()


def draw_signal(p: QPainter, theme: Theme, x: float, y: float, fraction: float | None) -> float:
    """Draw four bars of signal; returns their right edge."""
    lit = (
        0
        if fraction is None
        else 4
        if fraction >= 0.8
        else 3
        if fraction >= 0.65
        else 2
        if fraction >= 0.5
        else 1
    )
    for bar in range(4):
        box = QRectF(x + bar * 4, y + 6 - 3 * (bar + 1), 3, 3 * (bar + 1))
        p.fillRect(box, color(theme.t2 if bar < lit else theme.line))
    return x + 16


def text_right(
    p: QPainter, words: str, face: QFont, ink: QColor, right: float, top: float, height: float
) -> float:
    """Draw text ending at `right`; returns where it begins."""
    p.setFont(face)
    p.setPen(ink)
    width = QFontMetricsF(p.font()).horizontalAdvance(words)
    p.drawText(
        QRectF(right - width - 2, top, width + 2, height),
        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
        words,
    )
    return right - width


def alert_colors(theme: Theme, alert: Alert) -> tuple[QColor, QColor]:
    """Fill and ink of an alert: red for high, cyan for low and technical, else yellow."""
    tone = alert_tone(alert)
    if tone == "high":
        return color(theme.high), color(theme.high_ink)
    if tone == "medium":
        return color(theme.medium), color(theme.medium_ink)
    return color(theme.low), color(theme.low_ink)
