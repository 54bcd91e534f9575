"""One strip: FHR and MHR above, toco below, on CTG paper with one fixed aspect (3 cm/min to 30 bpm/cm)."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QVBoxLayout, QWidget

from hub.model import Channel, FloatArray
from viewer.annotations import paint_marks
from viewer.paper import FHR_CM, TOCO_CM, Layout, paint_paper
from viewer.strip import FHR_AXIS, LIFT_BPM, TOCO_AXIS, TWIN_OFFSET_BPM, StripContent, pen_points
from viewer.texts import Texts
from viewer.theme import Theme, color

_CLOCK_TILE: Final = 13
_CLOCK_FULL: Final = 22
_GAP_TILE: Final = 4
_GAP_FULL: Final = 10
_LEFT_FULL: Final = 36

_TRACES: Final = ("fhr1", "fhr2", "fhr3", "mhr", "late", "suspect", "baseline1", "baseline2", "baseline3")


class _Layer(QGraphicsItem):
    """Paints one layer of the strip in pixels of the view."""

    def __init__(self, paint: Callable[[QPainter], None]) -> None:
        super().__init__()
        self._paint = paint
        self._rect = QRectF()

    def resize(self, width: float, height: float) -> None:
        self.prepareGeometryChange()
        self._rect = QRectF(0, 0, width, height)

    def boundingRect(self) -> QRectF:  # noqa: N802 - Qt's name
        return self._rect

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        self._paint(painter)


class Strip(QWidget):
    """A strip whose scale follows from its height; `show_content` is its one verb."""

    def __init__(
        self, theme: Theme, texts: Texts, *, is_full: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme, self._texts = theme, texts
        self._is_full = is_full
        self.has_clock = True
        self.toco_cm = TOCO_CM
        self.cm_per_min = 3.0
        self.max_cm: float | None = None
        self._content: StripContent | None = None
        self._loss_lines: Sequence[str] = ()
        self._right_s = 0.0
        self._layout = self._make_layout()
        self._view: Any = pg.GraphicsView(self)
        self._view.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._view)
        self._below = _Layer(self._paint_below)
        self._above = _Layer(self._paint_above)
        self._above.setZValue(10)
        self._below.setZValue(-200)  # a ViewBox lies at -100
        self._fhr_box = _lane(FHR_AXIS)
        self._toco_box = _lane(TOCO_AXIS)
        for item in (self._below, self._fhr_box, self._toco_box, self._above):
            self._view.addItem(item)
        self._curves: dict[str, Any] = {}
        for name in _TRACES:
            self._curves[name] = _curve()
            self._fhr_box.addItem(self._curves[name])
        # The fill is a curve of its own: smoothed, its pieces would show their seams.
        self._curves["toco_fill"] = _curve(antialias=False)
        for name in ("toco", "toco_late"):
            self._curves[name] = _curve()
        for name in ("toco_fill", "toco", "toco_late"):
            self._toco_box.addItem(self._curves[name])
        self.set_theme(theme)

    # ------------------------------------------------------------------ settings

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._view.setBackground(color(theme.surface))
        inks = {
            "fhr1": theme.trace,
            "fhr2": theme.twin,
            "fhr3": theme.mhr,
            "mhr": theme.mhr,
            "late": theme.late_ink,
            "suspect": theme.mhr,
            "toco": theme.toco,
            "toco_late": theme.late_ink,
        }
        for name, curve in self._curves.items():
            ink = color(inks.get(name, theme.baseline))
            dash = [7, 5] if self._is_full else [4, 3]
            is_baseline = name.startswith("baseline")
            curve.setPen(pg.mkPen(ink, width=1, dash=dash) if is_baseline else pg.mkPen(ink, width=1))
        fill = self._curves["toco_fill"]
        fill.setPen(None)
        fill.setBrush(pg.mkBrush(color(theme.toco_fill)))
        fill.setFillLevel(0.0)
        self._redraw()

    def use_layout(self, *, has_clock: bool, toco_cm: float, cm_per_min: float, max_cm: float | None) -> None:
        """Say what the strip may leave out, its speed, and the scale it may not exceed."""
        wanted = (has_clock, toco_cm, cm_per_min, max_cm)
        if wanted != (self.has_clock, self.toco_cm, self.cm_per_min, self.max_cm):
            self.has_clock, self.toco_cm, self.cm_per_min, self.max_cm = wanted
            self._place()

    @property
    def span_s(self) -> float:
        """Seconds across the strip at its present size."""
        return self._layout.span_s

    @property
    def cm(self) -> float:
        """Pixels per centimetre of paper at its present size."""
        return self._layout.cm

    @property
    def geometry_px(self) -> Layout:
        """Where things lie on the strip."""
        return self._layout

    # ---------------------------------------------------------------- what is shown

    def show_content(
        self, content: StripContent | None, right_ms: int, *, with_mhr: bool, loss_lines: Sequence[str] = ()
    ) -> None:
        """Show `content` with `right_ms` at the right edge."""
        self._content = content
        self._loss_lines = loss_lines
        # Fixed time bins of one pixel each: the line does not shimmer as it moves.
        bin_s = 1 / self._layout.px_per_s
        self._right_s = np.floor(right_ms / 1000 / bin_s) * bin_s
        self._layout = self._make_layout()
        if content is None:
            for curve in self._curves.values():
                curve.setVisible(False)
        else:
            self._draw_traces(content, with_mhr=with_mhr)
        self._redraw()

    def _draw_traces(self, content: StripContent, *, with_mhr: bool) -> None:
        samples = content.samples
        t_s = samples.times_s - self._right_s
        is_late = samples.late_ms > 0
        is_suspect = np.zeros(t_s.size, bool)
        for span in content.suspect:
            is_suspect |= (samples.times_s * 1000 >= span.from_ms) & (samples.times_s * 1000 < span.to_ms)
        offset = {Channel.FHR2: TWIN_OFFSET_BPM}
        for name, channel in (("fhr1", Channel.FHR1), ("fhr2", Channel.FHR2), ("fhr3", Channel.FHR3)):
            y = samples.channel(channel) + offset.get(channel, 0.0)
            if channel is Channel.FHR1:
                self._set_rate("late", t_s, np.where(is_late & ~is_suspect, y, np.nan))
                self._set_rate("suspect", t_s, np.where(is_suspect, y, np.nan))
                y = np.where(is_late | is_suspect, np.nan, y)
            self._set_rate(name, t_s, y)
        mhr = samples.channel(Channel.MHR)
        self._set_rate("mhr", t_s, mhr if with_mhr or content.suspect else np.full(t_s.size, np.nan))
        for index in (1, 2, 3):
            self._set_baseline(f"baseline{index}", content, index)
        toco = samples.channel(Channel.TOCO)
        iup = samples.channel(Channel.IUP)
        uterus = np.where(np.isnan(toco), iup, toco)
        uterus = np.clip(uterus, *TOCO_AXIS)
        self._set("toco_fill", *pen_points(t_s, uterus, lift=None))
        for name, is_shown in (("toco", ~is_late), ("toco_late", is_late)):
            self._set(name, *pen_points(t_s, np.where(is_shown, uterus, np.nan), lift=None))

    def _set_rate(self, name: str, t_s: FloatArray, y: FloatArray) -> None:
        self._set(name, *pen_points(t_s, np.clip(y, *FHR_AXIS), lift=LIFT_BPM))

    def _set_baseline(self, name: str, content: StripContent, index: int) -> None:
        found = next((b for b in content.baseline if b[0] == index), None)
        if found is None:
            self._curves[name].setVisible(False)
            return
        _, times_s, values = found
        offset = TWIN_OFFSET_BPM if index == 2 else 0.0
        self._set(name, times_s - self._right_s, np.clip(values + offset, *FHR_AXIS))

    def _set(self, name: str, x: FloatArray, y: FloatArray) -> None:
        curve = self._curves[name]
        is_seen = bool(np.isfinite(y).any())
        curve.setVisible(is_seen)
        if is_seen:
            curve.setData(x, y, connect="finite")

    # --------------------------------------------------------------------- geometry

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        self._layout = lay = self._make_layout()
        for layer in (self._below, self._above):
            layer.resize(self.width(), self.height())
        for box, lane, axis in ((self._fhr_box, lay.fhr, FHR_AXIS), (self._toco_box, lay.toco, TOCO_AXIS)):
            box.setGeometry(lane)
            box.setRange(xRange=(-lay.span_s, 0), yRange=axis, padding=0, disableAutoRange=True)
        self._toco_box.setVisible(lay.toco_cm > 0)
        self._redraw()

    def _make_layout(self) -> Layout:
        clock_px = (_CLOCK_FULL if self._is_full else _CLOCK_TILE) if self.has_clock else 0
        gap = _GAP_FULL if self._is_full else _GAP_TILE
        cm = max(1.0, (self.height() - clock_px - gap - 1) / (FHR_CM + self.toco_cm))
        if self.max_cm is not None:
            cm = min(cm, self.max_cm)
        return Layout(
            width=float(max(self.width(), 60)),
            height=float(self.height()),
            left=float(_LEFT_FULL if self._is_full else 0),
            cm=cm,
            cm_per_min=self.cm_per_min,
            toco_cm=self.toco_cm,
            gap=float(gap),
            is_full=self._is_full,
            has_clock=self.has_clock,
            right_s=float(self._right_s),
        )

    def _redraw(self) -> None:
        self._below.update()
        self._above.update()

    def _paint_below(self, p: QPainter) -> None:
        paint_paper(p, self._layout, self._theme, self._content)

    def _paint_above(self, p: QPainter) -> None:
        paint_marks(p, self._layout, self._theme, self._texts, self._content, self._loss_lines)


def _lane(axis: tuple[float, float]) -> Any:  # noqa: ANN401  pyqtgraph has no types
    """Make a lane with a fixed range, without mouse, menu, frame or automatic anything."""
    box = pg.ViewBox(border=None, enableMouse=False, enableMenu=False, defaultPadding=0.0)
    box.disableAutoRange()
    box.setRange(xRange=(-600, 0), yRange=axis, padding=0)
    return box


def _curve(*, antialias: bool = True) -> Any:  # noqa: ANN401  pyqtgraph has no types
    """Make a trace: pen of width 1, broken where a sample is missing, never thinned out."""
    curve = pg.PlotCurveItem(connect="finite", antialias=antialias)
    curve.setVisible(False)
    return curve
