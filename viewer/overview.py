"""The whole record in one band: envelope of the heart rate, findings, ribbon, and the window on it."""

from itertools import pairwise

import numpy as np
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from hub.model import BedAnalysis, LevelSpan
from viewer.records import Record
from viewer.ribbon import draw_ribbon
from viewer.strip import FHR_AXIS, HATCH_S
from viewer.theme import Theme, color

_RIBBON = 26
_HOURS = 14


class Overview(QWidget):
    """The whole labour; a click or a drag moves the window."""

    moved = Signal(int)
    """Time, ms, that the middle of the window should have."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._record: Record | None = None
        self._analysis: BedAnalysis | None = None
        self._ribbon: tuple[LevelSpan, ...] = ()
        self._span = (0, 1)
        self._window = (0, 1)
        self._live = (0, 1)
        self._lost_ms: int | None = None
        self.setMinimumHeight(96)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def show_record(
        self,
        record: Record | None,
        analysis: BedAnalysis | None,
        ribbon: tuple[LevelSpan, ...],
        span: tuple[int, int],
        window: tuple[int, int],
        live: tuple[int, int],
        lost_ms: int | None,
    ) -> None:
        """Show a record from `span[0]` to `span[1]`; `window` is what the strip shows."""
        self._record, self._analysis, self._ribbon = record, analysis, ribbon
        self._span, self._window, self._live, self._lost_ms = span, window, live, lost_ms
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        theme = self._theme
        p = QPainter(self)
        lane = QRectF(0, 0, self.width(), self.height() - _RIBBON - _HOURS - 6)
        p.fillRect(lane, color(theme.paper))
        p.fillRect(
            QRectF(0, self._y(lane, 160), lane.width(), self._y(lane, 110) - self._y(lane, 160)),
            color(theme.band),
        )
        self._paint_findings(p, lane)
        self._paint_envelope(p, lane)
        self._paint_window(p, lane, self._live, Qt.PenStyle.DashLine, theme.t3)
        self._paint_window(p, lane, self._window, Qt.PenStyle.SolidLine, theme.accent)
        draw_ribbon(
            p,
            theme,
            QRectF(0, lane.bottom() + 6, self.width(), _RIBBON),
            self._ribbon,
            *self._span,
            window=None,
            dark_from_ms=self._lost_ms,
            hours=True,
        )
        p.end()

    def _paint_findings(self, p: QPainter, lane: QRectF) -> None:
        for fetus in self._analysis.fetuses if self._analysis else ():
            for fall in fetus.decelerations:
                left = self._x(fetus.origin_ms + fall.onset_s * 1000)
                right = self._x(fetus.origin_ms + fall.end_s * 1000)
                if right >= 0 and left <= lane.width():
                    p.fillRect(
                        QRectF(left, 0, max(2.0, right - left), lane.height()),
                        color(self._theme.deceleration),
                    )

    def _paint_envelope(self, p: QPainter, lane: QRectF) -> None:
        record = self._record
        if record is None:
            return
        held = np.flatnonzero(np.isfinite(record.low))
        if held.size == 0:
            return
        width = max(1.0, record.step_ms / max(1, self._span[1] - self._span[0]) * self.width())
        for i, low, high in zip(held.tolist(), record.low[held], record.high[held], strict=True):
            top, bottom = (self._y(lane, float(np.clip(v, *FHR_AXIS))) for v in (high, low))
            p.fillRect(
                QRectF(self._x(record.from_ms + i * record.step_ms), top, width, bottom - top + 1.2),
                color(self._theme.trace),
            )
        # Steps without a sample count as a gap once they are as long as one that the strip would hatch.
        for before, after in pairwise(held.tolist()):
            if (after - before - 1) * record.step_ms >= HATCH_S * 1000:
                left, right = (self._x(record.from_ms + i * record.step_ms) for i in (before + 1, after))
                p.fillRect(
                    QRectF(left, 0, right - left, lane.height()),
                    QBrush(color(self._theme.hatch), Qt.BrushStyle.BDiagPattern),
                )

    def _paint_window(
        self, p: QPainter, lane: QRectF, window: tuple[int, int], style: Qt.PenStyle, ink: str
    ) -> None:
        left, right = self._x(window[0]), self._x(window[1])
        p.setPen(QPen(color(ink), 2 if style is Qt.PenStyle.SolidLine else 1, style))
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawRect(
            QRectF(
                max(1.0, left), 1, max(4.0, min(right, self.width() - 1) - max(1.0, left)), lane.height() - 2
            )
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        self._move(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        self._move(event)

    def _move(self, event: QMouseEvent) -> None:
        share = event.position().x() / max(1, self.width())
        self.moved.emit(round(self._span[0] + share * (self._span[1] - self._span[0])))

    def _x(self, t_ms: float) -> float:
        return (t_ms - self._span[0]) / max(1, self._span[1] - self._span[0]) * self.width()

    def _y(self, lane: QRectF, bpm: float) -> float:
        low, high = FHR_AXIS
        return lane.bottom() - (bpm - low) / (high - low) * lane.height()
