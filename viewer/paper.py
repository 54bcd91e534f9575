"""The paper of a strip: its geometry, bands, grid, and what is filled behind the traces."""

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen

from viewer.strip import FHR_AXIS, TOCO_AXIS, SpanKind, StripContent
from viewer.theme import Theme, color

FHR_CM: Final = 7.0
"""30-240 bpm at 30 bpm/cm."""
TOCO_CM: Final = 4.0
"""0-100 units at 25 units/cm."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie on a strip, in px; one scale for both axes, so that shapes stay true."""

    width: float
    height: float
    left: float
    cm: float
    """Pixels per centimetre of paper."""
    cm_per_min: float
    toco_cm: float
    gap: float
    is_full: bool
    has_clock: bool
    right_s: float
    """Time at the right edge, s of the site's clock."""

    @property
    def px_per_s(self) -> float:
        """Pixels per second."""
        return self.cm * self.cm_per_min / 60

    @property
    def span_s(self) -> float:
        """Seconds across the strip."""
        return (self.width - self.left) / self.px_per_s

    @property
    def fhr(self) -> QRectF:
        """Lane of the heart rates."""
        return QRectF(self.left, 0, self.width - self.left, FHR_CM * self.cm)

    @property
    def toco(self) -> QRectF:
        """Lane of the contractions."""
        return QRectF(self.left, FHR_CM * self.cm + self.gap, self.width - self.left, self.toco_cm * self.cm)

    def x(self, t_ms: float) -> float:
        """Pixel of a time."""
        return self.width + (t_ms / 1000 - self.right_s) * self.px_per_s

    def y_fhr(self, bpm: float) -> float:
        """Pixel of a heart rate."""
        low, high = FHR_AXIS
        return self.fhr.bottom() - (bpm - low) / (high - low) * self.fhr.height()

    def y_toco(self, units: float) -> float:
        """Pixel of a toco value."""
        low, high = TOCO_AXIS
        return self.toco.bottom() - (units - low) / (high - low) * self.toco.height()


# ------------------------------------------------------------------ below the traces


def paint_paper(p: QPainter, lay: Layout, theme: Theme, content: StripContent | None) -> None:
    """Paper, bands, grid, and whatever is filled behind the traces."""
    p.fillRect(QRectF(0, 0, lay.width, lay.height), color(theme.surface))
    lanes = [lay.fhr] + ([lay.toco] if lay.toco_cm else [])
    for lane in lanes:
        p.fillRect(lane, color(theme.paper))
    p.fillRect(
        QRectF(lay.left, lay.y_fhr(160), lay.width - lay.left, lay.y_fhr(110) - lay.y_fhr(160)),
        color(theme.band),
    )
    if content is not None:
        _paint_fills(p, lay, theme, content)
    _paint_grid(p, lay, theme)
    if content is not None:
        _paint_gaps(p, lay, theme, content)


def _paint_fills(p: QPainter, lay: Layout, theme: Theme, content: StripContent) -> None:
    for late in content.late:
        box = span_box(lay, late.from_ms, late.to_ms)
        if box is not None:
            p.fillRect(box, color(theme.late))
            if lay.toco_cm:
                p.fillRect(QRectF(box.x(), lay.toco.y(), box.width(), lay.toco.height()), color(theme.late))
    for span in content.spans:
        box = span_box(lay, span.from_ms, span.to_ms)
        if box is None:
            continue
        if span.kind is SpanKind.DECELERATION:
            fill = QColor(color(theme.deceleration))
            if span.is_doubtful:
                fill.setAlpha(110)
            p.fillRect(box, fill)
        elif lay.is_full:
            p.fillRect(box, color(theme.acceleration))


def _paint_grid(p: QPainter, lay: Layout, theme: Theme) -> None:
    p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    left_s = lay.right_s - lay.span_s
    fine: list[QLineF] = []
    normal: list[QLineF] = []
    heavy: list[QLineF] = []
    for bpm in range(30, 241, 10 if lay.is_full else 30):
        (normal if bpm % 30 == 0 else fine).append(across(lay, lay.y_fhr(bpm)))
    if lay.toco_cm:
        normal += [across(lay, lay.y_toco(units)) for units in (0, 25, 50, 75, 100)]
    # A fine line each third of a centimetre and a normal one each centimetre, whatever the speed.
    step_s = 10 if lay.is_full and lay.cm_per_min >= 3 else 60
    for t_s in range(ceil(left_s / step_s) * step_s, floor(lay.right_s) + 1, step_s):
        lines = heavy if t_s % 60 == 0 else normal if t_s % 20 == 0 else fine
        x = round(lay.x(t_s * 1000)) + 0.5
        lines.append(QLineF(x, lay.fhr.top(), x, lay.fhr.bottom()))
        if lay.toco_cm:
            lines.append(QLineF(x, lay.toco.top(), x, lay.toco.bottom()))
    minute = QColor(color(theme.grid_minute))
    if not lay.is_full:
        minute.setAlphaF(0.6)
    # Multiplied by day, added by night: the grid shows on every fill and hides none.
    mode = QPainter.CompositionMode
    p.setCompositionMode(mode.CompositionMode_Plus if theme.is_night else mode.CompositionMode_Multiply)
    for lines, ink in ((fine, color(theme.grid_fine)), (normal, color(theme.grid)), (heavy, minute)):
        p.setPen(QPen(ink, 1))
        p.drawLines(lines)
    p.setCompositionMode(mode.CompositionMode_SourceOver)
    p.setPen(QPen(color(theme.band_edge), 1))
    p.drawLines([across(lay, lay.y_fhr(110)), across(lay, lay.y_fhr(160))])


def _paint_gaps(p: QPainter, lay: Layout, theme: Theme, content: StripContent) -> None:
    for gap in content.gaps:
        box = span_box(lay, gap.from_ms, gap.to_ms)
        if box is not None:
            p.fillRect(box, QBrush(color(theme.hatch), Qt.BrushStyle.BDiagPattern))


def across(lay: Layout, y: float) -> QLineF:
    whole = round(y) + 0.5 if y < lay.height - 1 else round(y) - 0.5
    return QLineF(lay.left, whole, lay.width, whole)


def span_box(lay: Layout, from_ms: int, to_ms: int) -> QRectF | None:
    """Box of a span in the heart-rate lane, clipped to the strip; None when it is not on it."""
    left, right = max(lay.x(from_ms), lay.left), min(lay.x(to_ms), lay.width)
    if right <= left:
        return None
    return QRectF(left, lay.fhr.top(), right - left, lay.fhr.height())
