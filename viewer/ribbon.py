"""The ribbon: hours of levels in a band, readable by height without colour (console.md 6)."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Final

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QBrush, QPainter, QPen

from hub.model import LevelSpan
from viewer.texts import clock
from viewer.theme import Theme, color, font

_HOUR_LABEL: Final = Qt.AlignmentFlag.AlignCenter
_HEIGHT: Final = {1: 0.20, 2: 0.36, 3: 0.56, 4: 0.78, 5: 1.0}


def draw_ribbon(
    p: QPainter,
    theme: Theme,
    box: QRectF,
    spans: Sequence[LevelSpan],
    from_ms: float,
    to_ms: float,
    *,
    window: tuple[float, float] | None,
    dark_from_ms: float | None = None,
    hours: bool,
) -> None:
    """Draw levels from `from_ms` to `to_ms` into `box`, and a frame round the span of the strip."""
    scale = box.width() / max(1.0, to_ms - from_ms)

    def x(t_ms: float) -> float:
        return box.left() + (min(max(t_ms, from_ms), to_ms) - from_ms) * scale

    p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    p.fillRect(box, color(theme.surface2))
    _draw_hours(p, theme, box, from_ms, to_ms, x(from_ms), scale, with_labels=hours)
    for span in spans:
        left, right = x(span.start_ms), x(span.end_ms)
        if right <= left:
            continue
        if span.level is None:
            p.fillRect(
                QRectF(left, box.top(), right - left, box.height()),
                QBrush(color(theme.hatch), Qt.BrushStyle.BDiagPattern),
            )
            continue
        height = box.height() * _HEIGHT[span.level]
        bar = QRectF(left, box.bottom() - height, max(right - left, 1.0), height)
        p.fillRect(bar, theme.ribbon(span.level))
        if span.level in (3, 4):
            p.setPen(QPen(color(theme.level_edge[span.level - 1]), 1))
            p.drawLine(QLineF(bar.left(), bar.top(), bar.right(), bar.top()))
    if dark_from_ms is not None and dark_from_ms < to_ms:
        p.fillRect(
            QRectF(x(dark_from_ms), box.top(), box.right() - x(dark_from_ms), box.height()),
            QBrush(color(theme.hatch), Qt.BrushStyle.FDiagPattern),
        )
    if window is not None:
        p.setPen(QPen(color(theme.t2), 1.5))
        p.setBrush(Qt.BrushStyle.NoBrush)
        left, right = x(window[0]), x(window[1])
        p.drawRect(QRectF(left, box.top(), max(4.0, right - left - 1), box.height() - 1))


def _draw_hours(
    p: QPainter,
    theme: Theme,
    box: QRectF,
    from_ms: float,
    to_ms: float,
    left: float,
    scale: float,
    *,
    with_labels: bool,
) -> None:
    hour_ms = 3_600_000
    p.setFont(font(11))
    for hour in range(ceil(from_ms / hour_ms), floor(to_ms / hour_ms) + 1):
        x = left + (hour * hour_ms - from_ms) * scale
        p.setPen(QPen(color(theme.grid_minute), 1))
        p.drawLine(QLineF(x, box.top(), x, box.bottom()))
        if with_labels and box.left() + 18 < x < box.right() - 18:
            p.setPen(color(theme.t3))
            p.drawText(
                QRectF(x - 24, box.bottom() - 2, 48, 17),
                _HOUR_LABEL,
                clock(hour * hour_ms),
            )
